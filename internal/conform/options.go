package conform

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// optionProbes are what a server may have, each only when it says so.
func optionProbes() []probe {
	announced := func(feature string, f func(*check)) func(*check) {
		return func(c *check) {
			if !c.announces(feature) {
				c.unsupported("ServiceProviderConfig says %s.supported false", feature)
				return
			}
			f(c)
		}
	}
	return []probe{
		{"sort.users", "sortBy and sortOrder order users", "RFC 7644 §3.4.2.3", must, nil, announced("sort", sortUsers)},
		{"cursor.users", "pages by cursor show everybody once, and a made-up cursor is 400", "RFC 9865 §2", must, nil, func(c *check) {
			if pick(c.config, "/pagination/cursor") != true {
				c.unsupported("ServiceProviderConfig says nothing of pagination.cursor")
				return
			}
			cursors(c)
		}},
		{"bulk.references", "a bulk request makes a user and a group that names it by bulkId", "RFC 7644 §3.7, §3.7.2", must, nil, announced("bulk", bulkReferences)},
		{"bulk.errors", "failOnErrors ends a bulk request, and each result says its status", "RFC 7644 §3.7, §3.7.3", must, nil, announced("bulk", bulkErrors)},
		{"bulk.circular", "two groups that name each other by bulkId are made, or refused with 409", "RFC 7644 §3.7.1", should, nil, announced("bulk", bulkCircular)},
		{"bulk.limit", "more operations than maxOperations are refused with 413, and none is done", "RFC 7644 §3.7.4", must, nil, announced("bulk", bulkLimit)},
		{"search.users", "POST /Users/.search is the same as GET /Users", "RFC 7644 §3.4.3", should, nil, searchUsers},
		{"me", "/Me is somebody, or refused with 501 or 404", "RFC 7644 §3.11", should, nil, func(c *check) {
			if a := c.do("GET", "/Me", nil); a.status != http.StatusOK && a.status != http.StatusPermanentRedirect {
				c.status(a, http.StatusNotImplemented, http.StatusNotFound, http.StatusForbidden)
				c.errorForm(a)
				c.unsupported("/Me answers %d", a.status)
			}
		}},
	}
}

func sortUsers(c *check) {
	user, _ := c.typed("User")
	for order, want := range map[string]string{"": letters, "&sortOrder=ascending": letters, "&sortOrder=descending": "edcba"} {
		got := ""
		for _, one := range list(c.page(user, "&sortBy=userName"+order).doc["Resources"]) {
			name, _ := pick(one, "/userName").(string)
			got += strings.TrimPrefix(name, c.prefix())
		}
		if !c.decided && got != want {
			c.fail("sortBy=userName%s gives %s, want %s", order, got, want)
		}
	}
}

func cursors(c *check) {
	user, _ := c.typed("User")
	seen := []string{}
	cursor := ""
	for range len(letters) {
		a := c.page(user, "&count=2&cursor="+url.QueryEscape(cursor))
		for _, one := range list(a.doc["Resources"]) {
			name, _ := pick(one, "/userName").(string)
			if slices.Contains(seen, name) {
				c.fail("%s: %s is on two pages", a.what, name)
			}
			seen = append(seen, name)
		}
		if cursor, _ = a.doc["nextCursor"].(string); cursor == "" {
			break
		}
	}
	if !c.decided && (len(seen) != len(letters) || cursor != "") {
		c.fail("the walk shows %d of %d users and ends with cursor %q", len(seen), len(letters), cursor)
	}
	c.refused(c.do("GET", "/Users?count=2&cursor=conform-made-up", nil), http.StatusBadRequest, "invalidCursor")
}

func bulkReferences(c *check) {
	user, _ := c.typed("User")
	group, ok := c.typed("Group")
	if !ok {
		c.unsupported("there is no resource type Group")
		return
	}
	g := c.least(group)
	g["members"] = []any{object{"value": "bulkId:u1"}}
	a := c.do("POST", "/Bulk", object{"schemas": []any{bulkURN}, "Operations": []any{
		object{"method": "POST", "path": group.Endpoint, "bulkId": "g1", "data": g},
		object{"method": "POST", "path": user.Endpoint, "bulkId": "u1", "data": c.least(user)},
	}})
	c.status(a, http.StatusOK)
	where := map[any]string{}
	for _, item := range list(a.doc["Operations"]) {
		if pick(item, "/status") != "201" {
			c.fail("%s: an operation's status is %s, want the string 201", a.what, show(pick(item, "/status")))
		}
		where[pick(item, "/bulkId")], _ = pick(item, "/location").(string)
	}
	if !c.decided && (where["g1"] == "" || where["u1"] == "") {
		c.fail("%s: the results have no location for each bulkId: %s", a.what, show(a.doc))
	}
	c.equal(c.read(where["g1"]), "/members/0/value", c.read(where["u1"]).doc["id"])
}

func bulkErrors(c *check) {
	user, _ := c.typed("User")
	bad := object{"method": "POST", "path": user.Endpoint, "bulkId": "x", "data": object{"schemas": []any{user.Schema}}}
	good := c.least(user)
	a := c.do("POST", "/Bulk", object{"schemas": []any{bulkURN}, "failOnErrors": 1, "Operations": []any{
		bad, object{"method": "POST", "path": user.Endpoint, "bulkId": "y", "data": good}}})
	c.status(a, http.StatusOK)
	c.equal(a, "/Operations/0/status", "400")
	c.equal(a, "/Operations/0/response/status", "400")
	name, _ := good["userName"].(string)
	if found := c.found(user, `userName eq "`+name+`"`, ""); len(found) != 0 {
		c.fail("the operation after the first error was done, though failOnErrors is 1")
	}
}

// bulkCircular is the example of RFC 7644 §3.7.1. A server that has no groups within
// groups may refuse the operations, but not leave a bulkId in a resource.
func bulkCircular(c *check) {
	group, ok := c.typed("Group")
	if !ok {
		c.unsupported("there is no resource type Group")
		return
	}
	member := func(id string) object {
		g := c.least(group)
		g["members"] = []any{object{"type": "Group", "value": "bulkId:" + id}}
		return g
	}
	a := c.do("POST", "/Bulk", object{"schemas": []any{bulkURN}, "Operations": []any{
		object{"method": "POST", "path": group.Endpoint, "bulkId": "one", "data": member("two")},
		object{"method": "POST", "path": group.Endpoint, "bulkId": "two", "data": member("one")},
	}})
	if a.status == http.StatusConflict {
		c.errorForm(a)
		return
	}
	c.status(a, http.StatusOK)
	for _, item := range list(a.doc["Operations"]) {
		status, _ := pick(item, "/status").(string)
		at, _ := pick(item, "/location").(string)
		switch {
		case status == "201":
			if got := c.read(at); strings.Contains(string(got.raw), "bulkId:") {
				c.fail("%s: a bulkId was stored as it was sent: %s", got.what, show(got.doc["members"]))
			}
		case status != "400" && status != "409":
			c.fail("%s: an operation's status is %q, want 201, 400 or 409", a.what, status)
		}
	}
}

func bulkLimit(c *check) {
	user, _ := c.typed("User")
	most := number(pick(c.config, "/bulk/maxOperations"))
	if most < 1 || most > 5000 {
		c.skip("maxOperations is %d; a request above it would be too large to try", most)
		return
	}
	doc := c.least(user)
	all := []any{object{"method": "POST", "path": user.Endpoint, "bulkId": "first", "data": doc}}
	for len(all) <= most {
		all = append(all, object{"method": "DELETE", "path": user.Endpoint + "/" + c.name("none")})
	}
	c.refused(c.do("POST", "/Bulk", object{"schemas": []any{bulkURN}, "Operations": all}), http.StatusRequestEntityTooLarge)
	name, _ := doc["userName"].(string)
	if found := c.found(user, `userName eq "`+name+`"`, ""); len(found) != 0 {
		c.fail("the first operation was done, though the request was refused")
	}
}

func searchUsers(c *check) {
	user, _ := c.typed("User")
	c.some(user)
	a := c.do("POST", "/Users/.search", object{"schemas": []any{searchURN}, "filter": c.ours(user), "startIndex": 1, "count": 2, "attributes": []any{"userName"}})
	if a.status == http.StatusNotImplemented || a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed {
		c.errorForm(a)
		c.unsupported("POST /Users/.search answers %d", a.status)
	}
	found := c.listForm(a)
	c.equal(a, "/totalResults", asNumber(len(letters)))
	if !c.decided && (len(found) != 2 || pick(found[0], "/name") != nil || pick(found[0], "/userName") == nil) {
		c.fail("%s: want two users with their userName alone, got %s", a.what, show(found))
	}
}
