package conform

import (
	"net/http"
	"strings"
	"time"
)

// crudProbes are about making, reading and deleting resources of one type.
func crudProbes(t resourceType) []probe {
	id := "crud." + t.Name + "."
	all := meets("okta", "entra", "google", "onelogin", "jumpcloud", "ping", "rippling", "sailpoint")
	on := func(f func(*check, resourceType)) func(*check) { return func(c *check) { f(c, t) } }
	return []probe{
		{id + "create", "POST gives 201 with id, meta and what was sent", "RFC 7644 §3.3; RFC 7643 §3.1", must, all, on(createOne)},
		{id + "location", "a 201 has Location, the same as meta.location, and it leads to the resource", "RFC 7644 §3.3", must, meets("sailpoint"), on(createLocation)},
		{id + "full", "a resource with every attribute is kept whole", "RFC 7644 §3.3; RFC 7643 §8.7.1", must, meets("okta", "entra", "rippling"), on(createFull)},
		{id + "readonly", "id and meta that a client sends are ignored", "RFC 7644 §3.3", must, meets("okta"), on(createReadOnly)},
		{id + "null", "null and an empty list are the same as not sent", "RFC 7643 §2.5", must, meets("okta", "entra"), on(createNull)},
		{id + "duplicate", "a second resource of the same name is 409 uniqueness, and not there", "RFC 7644 §3.3, §3.12", must, meets("okta", "entra", "rippling"), on(duplicate)},
		{id + "duplicate.case", "the same name in other case is 409 when the schema says that case does not matter", "RFC 7643 §2.2, §7", must, meets("okta", "entra"), on(duplicateCase)},
		{id + "delete", "DELETE gives 204 without a body; then GET, PUT, PATCH and DELETE are 404", "RFC 7644 §3.6", must, meets("entra", "jumpcloud", "google", "onelogin"), on(deleteOne)},
		{id + "delete.list", "a deleted resource is in no list", "RFC 7644 §3.6", must, meets("entra", "jumpcloud"), on(deleteList)},
		{id + "delete.reuse", "the name of a deleted resource is free again", "RFC 7644 §3.6; IPSIE AL1", should, meets("entra", "jumpcloud"), on(deleteReuse)},
	}
}

func createOne(c *check, t resourceType) {
	doc := c.least(t)
	doc["externalId"] = c.name("ext")
	a := c.do("POST", t.Endpoint, doc)
	if !c.status(a, http.StatusCreated) {
		return
	}
	if id, _ := a.doc["id"].(string); id == "" || id == "bulkId" {
		c.fail("%s: id is %s, want a string", a.what, show(a.doc["id"]))
	}
	if !contains(list(a.doc["schemas"]), t.Schema) {
		c.fail("%s: schemas is %s, want %s in it", a.what, show(a.doc["schemas"]), t.Schema)
	}
	delete(doc, "schemas")
	c.shows(a, doc)
	c.meta(a.doc, t.Name)
	for _, name := range []string{"created", "lastModified"} {
		text, _ := pick(a.doc, "/meta/"+name).(string)
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			c.fail("%s: meta.%s is %q, want a dateTime", a.what, name, text)
		}
	}
	c.shows(c.read(at(t, a.doc)), doc)
}

// shows demands all attributes of want in an answer.
func (c *check) shows(a answer, want object) {
	for name, v := range want {
		if c.decided {
			return
		}
		if got := field(a.doc, name); !agree(got, v) {
			c.fail("%s: %s is %s, want %s", a.what, name, show(got), show(v))
		}
	}
}

func createLocation(c *check, t resourceType) {
	a := c.do("POST", t.Endpoint, c.least(t))
	if !c.status(a, http.StatusCreated) {
		return
	}
	header, _ := a.header["Location"]
	inside := pick(a.doc, "/meta/location")
	if len(header) != 1 || header[0] != inside {
		c.fail("%s: Location is %q, meta.location is %s; want the same", a.what, header, show(inside))
		return
	}
	if !strings.HasPrefix(header[0], c.base+"/") {
		c.fail("%s: Location is %q, want a URL under %s", a.what, header[0], c.base)
		return
	}
	got := c.read(header[0])
	c.equal(got, "/id", a.doc["id"])
}

// whole makes a value for every attribute of a type that can be written.
func (c *check) whole(t resourceType) object {
	doc := c.least(t)
	for _, a := range c.attributes(t) {
		if a.Mutability == "readOnly" || field(doc, a.Name) != nil && a.urn == "" {
			continue
		}
		if v, ok := c.sample(a); ok {
			put(doc, a, v)
		}
	}
	return doc
}

func createFull(c *check, t resourceType) {
	if len(c.attributes(t)) == 0 {
		c.skip("there is no schema to go by")
		return
	}
	doc := c.whole(t)
	a := c.do("POST", t.Endpoint, doc)
	if !c.status(a, http.StatusCreated) {
		return
	}
	got := c.read(at(t, a.doc))
	for _, x := range c.attributes(t) {
		sent := of(doc, x)
		switch {
		case c.decided || sent == nil:
		case x.Returned == "never":
			if of(got.doc, x) != nil || of(a.doc, x) != nil {
				c.fail("%s is returned, but the schema says never", x.path())
			}
		case x.Returned == "request":
		case !agree(of(got.doc, x), c.visible(x, sent)):
			c.fail("%s: %s is %s, want %s", got.what, x.path(), show(of(got.doc, x)), show(sent))
		}
	}
}

// visible is what of a value is shown without asking for it.
func (c *check) visible(a attribute, v any) any {
	switch x := v.(type) {
	case []any:
		all := make([]any, len(x))
		for i := range x {
			all[i] = c.visible(a, x[i])
		}
		return all
	case object:
		o := object{}
		for name, one := range x {
			if s, ok := a.sub(name); !ok || s.Returned != "never" && s.Returned != "request" {
				o[name] = one
			}
		}
		return o
	}
	return v
}

func createReadOnly(c *check, t resourceType) {
	doc := c.least(t)
	doc["id"] = c.name("id")
	doc["meta"] = object{"resourceType": "Nonsense", "version": "W/\"never\"", "created": "1999-01-01T00:00:00Z"}
	a := c.do("POST", t.Endpoint, doc)
	if !c.status(a, http.StatusCreated) {
		return
	}
	if a.doc["id"] == doc["id"] {
		c.fail("%s: the id that the client sent was taken", a.what)
	}
	c.equal(a, "/meta/resourceType", t.Name)
	if pick(a.doc, "/meta/created") == "1999-01-01T00:00:00Z" {
		c.fail("%s: meta.created that the client sent was taken", a.what)
	}
}

func createNull(c *check, t resourceType) {
	doc := c.least(t)
	n := 0
	for _, a := range c.attributes(t) {
		if a.Required || a.urn != "" || !a.writable() || a.Type == "boolean" || field(doc, a.Name) != nil {
			continue
		}
		doc[a.Name] = nil
		if n++; a.MultiValued && n%2 == 0 {
			doc[a.Name] = []any{}
		}
	}
	a := c.do("POST", t.Endpoint, doc)
	if !c.status(a, http.StatusCreated) {
		return
	}
	for name, v := range doc {
		if got := field(a.doc, name); empty(v) && !empty(got) {
			c.fail("%s: %s is %s, want nothing", a.what, name, show(got))
		}
	}
}

// unique tells whether the schema promises that names are unique.
func (c *check) unique(t resourceType) (attribute, bool) {
	a, ok := c.attribute(t, c.naming(t))
	if !ok && t.Schema == userURN {
		return attribute{Name: "userName"}, true // RFC 7643 §4.1.1
	}
	if !ok || a.Uniqueness != "server" && a.Uniqueness != "global" {
		c.unsupported("/Schemas does not say that %s of %s is unique", c.naming(t), t.Name)
		return a, false
	}
	return a, true
}

func duplicate(c *check, t resourceType) {
	if _, ok := c.unique(t); ok {
		first := c.create(t, nil)
		c.twin(t, first, field(first, c.naming(t)))
	}
}

func duplicateCase(c *check, t resourceType) {
	a, ok := c.unique(t)
	if !ok {
		return
	}
	if a.CaseExact {
		c.unsupported("/Schemas says that case matters for %s", a.Name)
		return
	}
	first := c.create(t, nil)
	text, _ := field(first, a.Name).(string)
	c.twin(t, first, strings.ToUpper(text))
}

// twin demands that a second resource of this name is refused and leaves no trace.
func (c *check) twin(t resourceType, first object, name any) {
	doc := c.least(t)
	doc[c.naming(t)] = name
	c.refused(c.do("POST", t.Endpoint, doc), http.StatusConflict, "uniqueness")
	c.equal(c.read(at(t, first)), "/id", first["id"])
	text, _ := name.(string)
	a := c.do("GET", t.Endpoint+"?filter="+escape(c.naming(t)+` eq "`+text+`"`), nil)
	if a.ok() && number(a.doc["totalResults"]) != 1 {
		c.fail("%s: totalResults is %s after a refused twin, want 1", a.what, show(a.doc["totalResults"]))
	}
}

func deleteOne(c *check, t resourceType) {
	doc := c.create(t, nil)
	path := at(t, doc)
	a := c.do("DELETE", path, nil)
	if c.status(a, http.StatusNoContent) && len(a.raw) > 0 {
		c.fail("%s: a 204 has a body", a.what)
	}
	c.refused(c.do("GET", path, nil), http.StatusNotFound)
	c.refused(c.do("DELETE", path, nil), http.StatusNotFound)
	c.refused(c.do("PUT", path, c.least(t)), http.StatusNotFound)
	c.refused(c.patch(path, operation("replace", c.naming(t), c.name("late"))), http.StatusNotFound)
}

func deleteList(c *check, t resourceType) {
	doc := c.create(t, nil)
	text, _ := field(doc, c.naming(t)).(string)
	query := t.Endpoint + "?filter=" + escape(c.naming(t)+` eq "`+text+`"`)
	if found := c.listForm(c.do("GET", query, nil)); !c.decided && len(found) != 1 {
		c.fail("GET %s finds %d resources before the deletion, want 1", query, len(found))
	}
	c.status(c.do("DELETE", at(t, doc), nil), http.StatusNoContent)
	if found := c.listForm(c.do("GET", query, nil)); len(found) != 0 {
		c.fail("GET %s still finds the deleted resource", query)
	}
}

func deleteReuse(c *check, t resourceType) {
	doc := c.create(t, nil)
	c.status(c.do("DELETE", at(t, doc), nil), http.StatusNoContent)
	again := c.create(t, object{c.naming(t): field(doc, c.naming(t))})
	if !c.decided && again["id"] == doc["id"] {
		c.fail("the new resource has the id of the deleted one")
	}
}

// changeProbes are about PUT.
func changeProbes(t resourceType) []probe {
	id := "put." + t.Name + "."
	on := func(f func(*check, resourceType)) func(*check) { return func(c *check) { f(c, t) } }
	return []probe{
		{id + "replace", "PUT replaces every attribute, and GET agrees", "RFC 7644 §3.5.1", must, meets("okta", "onelogin", "jumpcloud", "ping"), on(putAll)},
		{id + "clear", "PUT clears what it leaves out", "RFC 7644 §3.5.1", should, meets("okta", "onelogin"), on(putClears)},
		{id + "readonly", "PUT does not change id and meta.created", "RFC 7644 §3.5.1", must, meets("okta"), on(putReadOnly)},
		{id + "required", "PUT without a required attribute is 400 and changes nothing", "RFC 7644 §3.5.1, §3.12", must, meets("entra"), on(putRequired)},
		{id + "conflict", "PUT with the name of another is 409 uniqueness and changes nothing", "RFC 7644 §3.5.1, §3.12", must, meets("okta"), on(putConflict)},
		{id + "unknown", "PUT of an unknown id is 404, not a creation", "RFC 7644 §3.5.1", must, meets("authentik"), on(func(c *check, t resourceType) {
			c.refused(c.do("PUT", t.Endpoint+"/"+c.name("none"), c.least(t)), http.StatusNotFound)
		})},
	}
}

func putAll(c *check, t resourceType) {
	path := at(t, c.create(t, nil))
	doc := c.whole(t)
	a := c.do("PUT", path, doc)
	c.status(a, http.StatusOK)
	got := c.read(path)
	for _, x := range c.attributes(t) {
		sent := of(doc, x)
		if c.decided || sent == nil || x.Returned == "never" || x.Returned == "request" {
			continue
		}
		for _, answer := range []answer{a, got} {
			if !agree(of(answer.doc, x), c.visible(x, sent)) {
				c.fail("%s: %s is %s, want %s", answer.what, x.path(), show(of(answer.doc, x)), show(sent))
			}
		}
	}
}

func putClears(c *check, t resourceType) {
	doc := c.whole(t)
	a := c.do("POST", t.Endpoint, doc)
	c.status(a, http.StatusCreated)
	less := c.least(t)
	c.status(c.do("PUT", at(t, a.doc), less), http.StatusOK)
	got := c.read(at(t, a.doc))
	for _, x := range c.attributes(t) {
		if !c.decided && of(less, x) == nil && of(doc, x) != nil && x.Mutability == "readWrite" && x.Type != "boolean" && !empty(of(got.doc, x)) {
			c.fail("%s: %s is still %s", got.what, x.path(), show(of(got.doc, x)))
		}
	}
}

func putReadOnly(c *check, t resourceType) {
	before := c.create(t, nil)
	doc := c.least(t)
	doc["id"] = c.name("id")
	doc["meta"] = object{"resourceType": t.Name, "created": "1999-01-01T00:00:00Z"}
	a := c.do("PUT", at(t, before), doc)
	if a.status == http.StatusBadRequest { // refusing the foreign id is as good
		c.errorForm(a)
	} else {
		c.status(a, http.StatusOK)
	}
	got := c.read(at(t, before))
	c.equal(got, "/id", before["id"])
	c.equal(got, "/meta/created", pick(before, "/meta/created"))
}

func putRequired(c *check, t resourceType) {
	before := c.create(t, nil)
	c.refused(c.do("PUT", at(t, before), object{"schemas": []any{t.Schema}, "externalId": c.name("x")}), http.StatusBadRequest, "invalidValue", "invalidSyntax")
	c.same(at(t, before), before)
}

func putConflict(c *check, t resourceType) {
	if _, ok := c.unique(t); !ok {
		return
	}
	one, other := c.create(t, nil), c.create(t, nil)
	doc := c.least(t)
	doc[c.naming(t)] = field(other, c.naming(t))
	c.refused(c.do("PUT", at(t, one), doc), http.StatusConflict, "uniqueness")
	c.same(at(t, one), one)
}

// same demands that a resource is as it was.
func (c *check) same(path string, before object) {
	got := c.read(path)
	c.shows(got, before)
}
