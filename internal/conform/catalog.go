package conform

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// catalogProbes are about a resource type that is only read, such as the Role and
// Entitlement of Okta's URNs: its endpoint must keep what /ResourceTypes and /Schemas
// say of it.
func catalogProbes(t resourceType) []probe {
	id := "catalog." + t.Name + "."
	on := func(f func(*check, resourceType)) func(*check) { return func(c *check) { f(c, t) } }
	return []probe{
		{id + "list", "the endpoint lists resources of its schema, with nothing that is not declared and nothing missing that is required", "RFC 7643 §3.1, §7; RFC 7644 §3.4.2; Okta: SCIM 2.0 server with entitlements", must, meets("okta"), on(catalogList)},
		{id + "first", "startIndex=1&count=1 gives one resource and says how many there are", "RFC 7644 §3.4.2.4; Okta: SCIM 2.0 server with entitlements", must, meets("okta"), on(catalogFirst)},
		{id + "one", "each resource of the list is the same under its own location", "RFC 7644 §3.4.1; RFC 7643 §3.1", must, nil, on(catalogOne)},
		{id + "unknown", "an unknown id is 404", "RFC 7644 §3.12", must, nil, on(func(c *check, t resourceType) {
			c.refused(c.do("GET", t.Endpoint+"/"+c.name("none"), nil), http.StatusNotFound)
		})},
		{id + "methods", "POST, PUT, PATCH and DELETE are 405 with Allow, as no attribute can be written", "RFC 7643 §2.2; RFC 9110 §15.5.6", should, nil, on(catalogMethods)},
	}
}

func catalogList(c *check, t resourceType) {
	declared := c.attributes(t)
	for _, one := range c.listForm(c.do("GET", t.Endpoint, nil)) {
		o, _ := one.(object)
		if id, _ := o["id"].(string); id == "" || !contains(list(o["schemas"]), t.Schema) {
			c.fail("a resource in the list has no id or no schema %s: %s", t.Schema, show(o))
		}
		c.meta(o, t.Name)
		for _, a := range declared {
			if a.urn == "" && a.Required && field(o, a.Name) == nil {
				c.fail("%s is required, but %s has none", a.Name, show(o))
			}
		}
		for name := range o {
			known := slices.ContainsFunc(declared, func(a attribute) bool { return a.urn == "" && strings.EqualFold(a.Name, name) })
			if !known && !slices.Contains([]string{"schemas", "id", "externalId", "meta"}, name) && !strings.HasPrefix(name, "urn:") {
				c.fail("%s is not in the schema %s: %s", name, t.Schema, show(o))
			}
		}
	}
}

func catalogFirst(c *check, t resourceType) {
	all := c.listForm(c.do("GET", t.Endpoint, nil))
	a := c.do("GET", t.Endpoint+"?startIndex=1&count=1", nil)
	if n := len(c.listForm(a)); !c.decided && n != min(len(all), 1) {
		c.fail("%s: %d Resources, want %d", a.what, n, min(len(all), 1))
	}
	if total := number(a.doc["totalResults"]); !c.decided && total < len(all) {
		c.fail("%s: totalResults is %d, but the list has %d", a.what, total, len(all))
	}
}

func catalogOne(c *check, t resourceType) {
	for _, one := range c.listForm(c.do("GET", t.Endpoint+"?count=10", nil)) {
		id, _ := pick(one, "/id").(string)
		a := c.read(t.Endpoint + "/" + escape(id))
		if !c.decided && encode(a.doc) != encode(one) {
			c.fail("%s is %s, but %s in the list", a.what, show(a.doc), show(one))
		}
	}
}

func catalogMethods(c *check, t resourceType) {
	type try struct{ method, path string }
	tries := []try{{"POST", t.Endpoint}}
	if all := c.listForm(c.do("GET", t.Endpoint+"?count=1", nil)); len(all) > 0 {
		at := fmt.Sprintf("%s/%s", t.Endpoint, escape(fmt.Sprint(pick(all[0], "/id"))))
		tries = append(tries, try{"PUT", at}, try{"PATCH", at}, try{"DELETE", at})
	}
	for _, try := range tries {
		a := c.do(try.method, try.path, object{"schemas": []any{t.Schema}})
		c.refused(a, http.StatusMethodNotAllowed)
		if !c.decided && !strings.Contains(strings.ToUpper(a.header.Get("Allow")), "GET") {
			c.fail("%s: Allow is %q, want GET in it", a.what, a.header.Get("Allow"))
		}
	}
}
