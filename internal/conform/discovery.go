package conform

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

var discoveryEndpoints = []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"}

func discoveryProbes() []probe {
	all := []probe{
		{"discovery.config", "GET /ServiceProviderConfig says of each feature whether it is there", "RFC 7643 §5, RFC 7644 §4", must, meets("authentik", "rippling", "sailpoint"), configComplete},
		{"discovery.config.meta", "ServiceProviderConfig has meta with its type and absolute location", "RFC 7643 §3.1", should, nil, configMeta},
		{"discovery.types", "GET /ResourceTypes lists types with name, endpoint and schema", "RFC 7643 §6", must, meets("okta", "sailpoint"), typesComplete},
		{"discovery.types.one", "each resource type can be read by its name", "RFC 7644 §4", must, meets("sailpoint"), typesOneByOne},
		{"discovery.types.schemas", "the schema and extensions of each type are in /Schemas", "RFC 7643 §6", must, meets("okta", "entra", "sailpoint"), typesHaveSchemas},
		{"discovery.schemas", "GET /Schemas lists schemas whose attributes have all characteristics", "RFC 7643 §7", must, meets("entra", "sailpoint"), schemasComplete},
		{"discovery.schemas.one", "each schema can be read by its URN", "RFC 7644 §4", must, meets("entra", "sailpoint"), schemasOneByOne},
		{"discovery.schemas.self", "the schemas of the discovery resources are in /Schemas too", "RFC 7643 §8.7.2; scim2-tester", should, nil, schemasOfDiscovery},
		{"discovery.schemas.user", "the User schema has userName required and unique, password never returned", "RFC 7643 §4.1, §8.7.1", must, meets("okta", "entra"), userSchema},
		{"discovery.schemas.group", "the Group schema has displayName required", "RFC 7643 §4.2, erratum 5368", should, nil, groupSchema},
		{"discovery.unknown", "an unknown schema or resource type is 404", "RFC 7644 §4, §3.12", must, nil, discoveryUnknown},
	}
	for _, endpoint := range discoveryEndpoints {
		name := strings.ToLower(endpoint[1:])
		all = append(all,
			probe{"discovery.methods." + name, endpoint + " takes GET alone: 405 with Allow for the rest", "RFC 7644 §4; RFC 9110 §15.5.6", should, nil, func(c *check) { onlyGet(c, endpoint) }},
			probe{"discovery.filter." + name, endpoint + " refuses a filter with 403", "RFC 7644 §4", must, nil, func(c *check) {
				c.refused(c.do("GET", endpoint+"?filter="+escape(`id eq "x"`), nil), http.StatusForbidden)
			}})
	}
	return all
}

func configComplete(c *check) {
	a := c.read("/ServiceProviderConfig")
	if !contains(list(a.doc["schemas"]), configURN) {
		c.fail("%s: schemas has no %s", a.what, configURN)
	}
	for _, feature := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
		if _, ok := pick(a.doc, "/"+feature+"/supported").(bool); !ok {
			c.fail("%s.supported is %s, want a boolean", feature, show(pick(a.doc, "/"+feature+"/supported")))
		}
	}
	for _, limit := range []string{"/bulk/maxOperations", "/bulk/maxPayloadSize", "/filter/maxResults"} {
		if number(pick(a.doc, limit)) < 0 {
			c.fail("%s is %s, want an integer", limit, show(pick(a.doc, limit)))
		}
	}
	schemes, ok := a.doc["authenticationSchemes"].([]any)
	if !ok {
		c.fail("authenticationSchemes is missing")
	}
	for _, s := range schemes {
		for _, name := range []string{"type", "name", "description"} {
			if text, _ := pick(s, "/"+name).(string); text == "" {
				c.fail("an authentication scheme has no %s: %s", name, show(s))
			}
		}
	}
}

func configMeta(c *check) { c.meta(c.read("/ServiceProviderConfig").doc, "ServiceProviderConfig") }

// meta demands the resource type and an absolute location (RFC 7643 §3.1).
func (c *check) meta(doc object, kind string) {
	if c.decided {
		return
	}
	if got := pick(doc, "/meta/resourceType"); got != kind {
		c.fail("meta.resourceType is %s, want %q", show(got), kind)
	}
	if at, _ := pick(doc, "/meta/location").(string); !strings.HasPrefix(at, "http") {
		c.fail("meta.location is %q, want an absolute URL", at)
	}
}

func typesComplete(c *check) {
	all := c.listForm(c.do("GET", "/ResourceTypes", nil))
	if len(all) == 0 {
		c.fail("/ResourceTypes is empty")
	}
	for _, t := range all {
		o, _ := t.(object)
		if !contains(list(o["schemas"]), typeURN) {
			c.fail("a resource type's schemas has no %s: %s", typeURN, show(t))
		}
		for _, name := range []string{"name", "endpoint", "schema"} {
			if text, _ := o[name].(string); text == "" {
				c.fail("a resource type has no %s: %s", name, show(t))
			}
		}
		c.meta(o, "ResourceType")
	}
}

func typesOneByOne(c *check) { c.oneByOne("/ResourceTypes", "name") }

func schemasOneByOne(c *check) { c.oneByOne("/Schemas", "id") }

// oneByOne demands that each resource of a list is found under its own address.
func (c *check) oneByOne(endpoint, key string) {
	for _, t := range c.listForm(c.do("GET", endpoint, nil)) {
		name, _ := pick(t, "/"+key).(string)
		a := c.read(endpoint + "/" + escape(name))
		c.equal(a, "/"+key, name)
	}
}

func typesHaveSchemas(c *check) {
	for _, t := range c.types {
		if _, ok := c.schemas[t.Schema]; !ok {
			c.fail("the schema %s of %s is not in /Schemas", t.Schema, t.Name)
		}
		for _, e := range t.SchemaExtensions {
			if _, ok := c.schemas[e.Schema]; !ok {
				c.fail("the extension %s of %s is not in /Schemas", e.Schema, t.Name)
			}
		}
	}
}

// words are the values that a characteristic may have (RFC 7643 §2.2, §2.3, §7).
var words = map[string][]string{
	"type":       {"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"},
	"mutability": {"readOnly", "readWrite", "immutable", "writeOnly"},
	"returned":   {"always", "never", "default", "request"},
	"uniqueness": {"none", "server", "global"},
}

func schemasComplete(c *check) {
	all := c.listForm(c.do("GET", "/Schemas", nil))
	if len(all) == 0 {
		c.fail("/Schemas is empty")
	}
	for _, s := range all {
		o, _ := s.(object)
		id, _ := o["id"].(string)
		if !strings.HasPrefix(id, "urn:") {
			c.fail("a schema's id is %q, want a URN", id)
		}
		c.meta(o, "Schema")
		c.characteristics(id, list(o["attributes"]), true)
	}
}

func (c *check) characteristics(where string, attributes []any, deeper bool) {
	if len(attributes) == 0 {
		c.fail("%s has no attributes", where)
	}
	for _, a := range attributes {
		o, _ := a.(object)
		name, _ := o["name"].(string)
		if name == "" {
			c.fail("%s has an attribute without name", where)
		}
		if _, ok := o["multiValued"].(bool); !ok {
			c.fail("%s %s: multiValued is %s, want a boolean", where, name, show(o["multiValued"]))
		}
		for _, key := range []string{"type", "mutability", "returned", "uniqueness"} {
			got, given := o[key].(string)
			if key == "uniqueness" && !given {
				continue // complex attributes and booleans have none in RFC 7643 §8.7.1
			}
			if !slices.Contains(words[key], got) {
				c.fail("%s %s: %s is %s, want one of %s", where, name, key, show(o[key]), strings.Join(words[key], ", "))
			}
		}
		if o["type"] == "complex" && deeper {
			c.characteristics(where+" "+name, list(o["subAttributes"]), false)
		}
	}
}

func schemasOfDiscovery(c *check) {
	for _, urn := range []string{configURN, typeURN, schemaURN} {
		c.equal(c.read("/Schemas/"+urn), "/id", urn)
	}
}

func userSchema(c *check) {
	t, ok := c.typed("User")
	name, found := c.attribute(t, "userName")
	if !ok || !found {
		c.fail("there is no userName in the schema of User")
		return
	}
	if !name.Required || name.CaseExact || name.MultiValued || name.Uniqueness != "server" && name.Uniqueness != "global" {
		c.fail("userName is required %t, caseExact %t, uniqueness %q; want true, false, server", name.Required, name.CaseExact, name.Uniqueness)
	}
	if p, offered := c.attribute(t, "password"); offered && (p.Returned != "never" || p.Mutability != "writeOnly") {
		c.fail("password is returned %q and %q; want never and writeOnly", p.Returned, p.Mutability)
	}
}

func groupSchema(c *check) {
	t, ok := c.typed("Group")
	if !ok {
		c.unsupported("there is no resource type Group")
		return
	}
	if a, found := c.attribute(t, "displayName"); !found || !a.Required {
		c.fail("displayName of Group is not required")
	}
}

func discoveryUnknown(c *check) {
	c.refused(c.do("GET", "/Schemas/urn:example:none", nil), http.StatusNotFound)
	c.refused(c.do("GET", "/ResourceTypes/None", nil), http.StatusNotFound)
}

func onlyGet(c *check, endpoint string) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		a := c.do(method, endpoint, object{"schemas": []any{configURN}})
		c.refused(a, http.StatusMethodNotAllowed)
		if !c.decided && !strings.Contains(strings.ToUpper(a.header.Get("Allow")), "GET") {
			c.fail("%s: Allow is %q, want GET in it", a.what, a.header.Get("Allow"))
		}
	}
}

func authProbes() []probe {
	everybody := meets("okta", "entra")
	return []probe{
		{"auth.none", "a request without a token is 401 and says how to sign in", "RFC 7644 §2; RFC 9110 §15.5.2", must, everybody, func(c *check) {
			a := c.do("GET", "/Users", nil, "Authorization", "")
			if c.status(a, http.StatusUnauthorized) && a.header.Get("WWW-Authenticate") == "" {
				c.fail("%s: a 401 has no WWW-Authenticate", a.what)
			}
		}},
		{"auth.wrong", "a wrong token is 401, for reading and for writing", "RFC 7644 §2", must, everybody, func(c *check) {
			wrong := "Bearer " + c.name("wrong")
			c.status(c.do("GET", "/Users", nil, "Authorization", wrong), http.StatusUnauthorized)
			c.status(c.do("POST", "/Users", c.least(resourceType{Name: "User", Schema: userURN}), "Authorization", wrong), http.StatusUnauthorized)
		}},
		{"auth.error", "a 401 has a SCIM error in it, status as a string", "RFC 7644 §3.12; Okta SPEC test", must, meets("okta"), func(c *check) {
			c.refused(c.do("GET", "/Users", nil, "Authorization", ""), http.StatusUnauthorized)
		}},
	}
}

func errorProbes() []probe {
	post := func(body string) func(*check) answer {
		return func(c *check) answer { return c.do("POST", "/Users", body) }
	}
	user := func(rest string) string { return fmt.Sprintf(`{"schemas":[%q]%s}`, userURN, rest) }
	bad := func(id, title, source string, code int, send func(*check) answer, scimTypes ...string) probe {
		return probe{"error." + id, title, source, must, nil, func(c *check) { c.refused(send(c), code, scimTypes...) }}
	}
	return []probe{
		{"error.media", "answers are application/scim+json", "RFC 7644 §3.1, §8.1", must, nil, func(c *check) {
			for _, path := range []string{"/Users?count=1", "/ServiceProviderConfig", "/Users/none"} {
				if a := c.do("GET", path, nil); !c.decided && !strings.HasPrefix(a.header.Get("Content-Type"), scimJSON) {
					c.fail("%s: Content-Type is %q", a.what, a.header.Get("Content-Type"))
				}
			}
		}},
		bad("endpoint", "an unknown endpoint is 404 with a SCIM error", "RFC 7644 §3.12", http.StatusNotFound, func(c *check) answer { return c.do("GET", "/Nonesuch", nil) }),
		bad("resource", "an unknown id is 404 with a SCIM error", "RFC 7644 §3.12; Okta SPEC test", http.StatusNotFound, func(c *check) answer { return c.do("GET", "/Users/"+c.name("none"), nil) }),
		bad("json", "a body that is no JSON is 400 invalidSyntax", "RFC 7644 §3.12", http.StatusBadRequest, post(`{"schemas":[`), "invalidSyntax"),
		bad("array", "a body that is no object is 400 invalidSyntax", "RFC 7644 §3.12", http.StatusBadRequest, post(`["x"]`), "invalidSyntax"),
		bad("required", "a user without userName is 400 invalidValue", "RFC 7643 §4.1.1; RFC 7644 §3.12", http.StatusBadRequest, post(user(`,"displayName":"x"`)), "invalidValue"),
		bad("type.number", "a number as userName is 400", "RFC 7643 §2.3; RFC 7644 §3.12", http.StatusBadRequest, post(user(`,"userName":17`)), "invalidValue", "invalidSyntax"),
		bad("type.object", "a string as name is 400", "RFC 7643 §2.3.8; RFC 7644 §3.12", http.StatusBadRequest, post(user(`,"userName":"conform-type","name":"x"`)), "invalidValue", "invalidSyntax"),
		bad("type.boolean", "a number as active is 400", "RFC 7643 §2.3.2; RFC 7644 §3.12", http.StatusBadRequest, post(user(`,"userName":"conform-type","active":17`)), "invalidValue", "invalidSyntax"),
		{"error.method", "a method that an endpoint has not is 405", "RFC 9110 §15.5.6", should, nil, func(c *check) {
			c.refused(c.do("PUT", "/Users", object{}), http.StatusMethodNotAllowed)
			c.refused(c.do("DELETE", "/Users", nil), http.StatusMethodNotAllowed)
		}},
	}
}
