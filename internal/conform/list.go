package conform

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// listProbes are about lists of one type and their pages by index. They look at the
// five fixtures only, so it does not matter who else is on the server.
func (r *runner) listProbes(t resourceType) []probe {
	id := "list." + t.Name + "."
	on := func(f func(*check, resourceType)) func(*check) { return func(c *check) { f(c, t) } }
	return []probe{
		{id + "form", "GET of the endpoint is a ListResponse of whole resources", "RFC 7644 §3.4.2", must, meets("okta", "entra", "sailpoint"), on(listForm)},
		{id + "none", "a filter that nobody matches is 200 with totalResults 0", "RFC 7644 §3.4.2", must, meets("okta", "entra", "jumpcloud", "google"), on(func(c *check, t resourceType) {
			c.some(t) // so that there is somebody who does not match
			if found := c.found(t, c.naming(t)+` eq "`+c.name("nobody")+`"`, ""); len(found) != 0 {
				c.fail("%d resources are found, want none", len(found))
			}
		})},
		{id + "pages", "pages by startIndex and count show everybody once", "RFC 7644 §3.4.2.4", must, meets("okta", "sailpoint", "ping"), on(pages)},
		{id + "total", "totalResults counts all results, not those of the page", "RFC 7644 §3.4.2", must, meets("okta", "sailpoint", "keycloak"), on(func(c *check, t resourceType) {
			a := c.page(t, "&count=1")
			c.equal(a, "/totalResults", asNumber(len(letters)))
			if n := len(list(a.doc["Resources"])); !c.decided && n != 1 {
				c.fail("%s: %d Resources, want 1", a.what, n)
			}
		})},
		{id + "count0", "count=0 gives totalResults and no resources", "RFC 7644 §3.4.2.4", must, nil, on(func(c *check, t resourceType) {
			a := c.page(t, "&count=0")
			c.equal(a, "/totalResults", asNumber(len(letters)))
			if n := len(list(a.doc["Resources"])); n != 0 {
				c.fail("%s: %d Resources, want none", a.what, n)
			}
		})},
		{id + "negative", "a negative count is 0, a startIndex below 1 is 1", "RFC 7644 §3.4.2.4", must, meets("entra"), on(func(c *check, t resourceType) {
			if n := len(list(c.page(t, "&count=-3").doc["Resources"])); n != 0 {
				c.fail("count=-3 gives %d Resources, want none", n)
			}
			for _, start := range []string{"0", "-2"} {
				a := c.page(t, "&startIndex="+start)
				if n := len(list(a.doc["Resources"])); !c.decided && n != len(letters) {
					c.fail("%s: %d Resources, want %d", a.what, n, len(letters))
				}
			}
		})},
		{id + "beyond", "a page behind the last is empty and still says the total", "RFC 7644 §3.4.2.4", must, meets("okta"), on(func(c *check, t resourceType) {
			a := c.page(t, "&startIndex=1000")
			c.equal(a, "/totalResults", asNumber(len(letters)))
			if n := len(list(a.doc["Resources"])); n != 0 {
				c.fail("%s: %d Resources, want none", a.what, n)
			}
		})},
	}
}

func asNumber(n int) any { return json.Number(strconv.Itoa(n)) }

// ours is the filter for the fixtures of a type.
func (c *check) ours(t resourceType) string { return c.naming(t) + ` sw "` + c.prefix() + `"` }

// page is a list of the fixtures.
func (c *check) page(t resourceType, more string) answer {
	if len(c.some(t)) == 0 {
		c.fail("the resources to look for could not be made")
		return answer{}
	}
	a := c.do("GET", t.Endpoint+"?filter="+escape(c.ours(t))+more, nil)
	if a.status == http.StatusBadRequest || a.status == http.StatusNotImplemented {
		c.skip("it needs a list of the fixtures alone, but %s is refused", c.ours(t))
	}
	c.listForm(a)
	return a
}

// found are the resources that match a filter.
func (c *check) found(t resourceType, filter, more string) []any {
	return c.listForm(c.do("GET", t.Endpoint+"?filter="+escape(filter)+more, nil))
}

func listForm(c *check, t resourceType) {
	fixtures := c.some(t)
	all := c.listForm(c.do("GET", t.Endpoint, nil))
	if len(fixtures) == 0 {
		c.fail("the resources to look for could not be made")
	}
	if !c.decided && len(all) == 0 {
		c.fail("the list is empty, but %d resources have been made", len(fixtures))
	}
	for _, one := range all {
		o, _ := one.(object)
		if id, _ := o["id"].(string); id == "" || !contains(list(o["schemas"]), t.Schema) || field(o, c.naming(t)) == nil {
			c.fail("a resource in the list has no id, schemas or %s: %s", c.naming(t), show(o))
		}
		c.meta(o, t.Name)
	}
}

func pages(c *check, t resourceType) {
	seen := map[string]bool{}
	for start := 1; start <= len(letters)+2 && !c.decided; start += 2 {
		a := c.page(t, fmt.Sprintf("&startIndex=%d&count=2", start))
		c.equal(a, "/totalResults", asNumber(len(letters)))
		c.equal(a, "/startIndex", asNumber(start))
		for _, one := range list(a.doc["Resources"]) {
			name, _ := pick(one, "/"+c.naming(t)).(string)
			if seen[name] {
				c.fail("%s: %s is on two pages", a.what, name)
			}
			seen[name] = true
		}
	}
	if !c.decided && len(seen) != len(letters) {
		c.fail("the pages show %d of %d resources", len(seen), len(letters))
	}
}

// lettersOf names the fixtures among found by their last letter, in order.
func (c *check) lettersOf(t resourceType, found []any) string {
	got := ""
	for _, letter := range letters {
		for _, one := range found {
			if name, _ := pick(one, "/"+c.naming(t)).(string); strings.EqualFold(name, c.prefix()+string(letter)) {
				got += string(letter)
			}
		}
	}
	for _, one := range found {
		if name, _ := pick(one, "/"+c.naming(t)).(string); !strings.HasPrefix(strings.ToLower(name), c.prefix()) {
			got += "?"
		}
	}
	return got
}
