package conform

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// probe is one check to be done.
type probe struct {
	id, title, source, severity string
	breaks                      []string
	run                         func(*check)
}

func meets(directories ...string) []string { return directories }

// probes are all checks for this server, in order: those of discovery first, because
// the others follow from what it says.
func (r *runner) probes() []probe {
	all := slices.Concat(discoveryProbes(), authProbes(), errorProbes())
	for _, t := range r.types {
		if !r.writes(t) {
			all = append(all, catalogProbes(t)...)
			continue
		}
		all = slices.Concat(all, crudProbes(t), changeProbes(t), r.listProbes(t), r.patchProbes(t), r.traitProbes(t), etagProbes(t))
	}
	all = slices.Concat(all, r.filterProbes(), projectionProbes(), r.patchRuleProbes(), memberProbes(), nestedProbes(), optionProbes())
	return append(all, r.scripts()...)
}

// status demands one of the codes.
func (c *check) status(a answer, codes ...int) bool {
	if c.decided {
		return false
	}
	if slices.Contains(codes, a.status) {
		return true
	}
	want := make([]string, len(codes))
	for i, code := range codes {
		want[i] = strconv.Itoa(code)
	}
	c.fail("%s: status %d, want %s", a.what, a.status, strings.Join(want, " or "))
	return false
}

// refused demands an error in the form of RFC 7644 §3.12, and one of the scimTypes
// when some are given.
func (c *check) refused(a answer, code int, scimTypes ...string) {
	if !c.status(a, code) {
		return
	}
	c.errorForm(a)
	if got, _ := field(a.doc, "scimType").(string); len(scimTypes) > 0 && !slices.Contains(scimTypes, got) {
		c.fail("%s: scimType is %q, want %s", a.what, got, strings.Join(scimTypes, " or "))
	}
}

func (c *check) errorForm(a answer) {
	if c.decided {
		return
	}
	if !contains(list(a.doc["schemas"]), errorURN) {
		c.fail("%s: the body of a %d is no SCIM error: schemas has no %s", a.what, a.status, errorURN)
	}
	if got, want := a.doc["status"], strconv.Itoa(a.status); got != want {
		c.fail("%s: status in the body is %s, want the string %q", a.what, show(got), want)
	}
}

// listForm demands a ListResponse (RFC 7644 §3.4.2) and gives its resources.
func (c *check) listForm(a answer) []any {
	if !c.status(a, http.StatusOK) {
		return nil
	}
	if !contains(list(a.doc["schemas"]), listURN) {
		c.fail("%s: schemas has no %s", a.what, listURN)
	}
	total := number(a.doc["totalResults"])
	byCursor := strings.Contains(a.what, "cursor=") && a.doc["totalResults"] == nil // may be left out (RFC 9865 §2)
	if total < 0 && !byCursor {
		c.fail("%s: totalResults is %s, want an integer", a.what, show(a.doc["totalResults"]))
	}
	all, isList := a.doc["Resources"].([]any)
	if !isList && a.doc["Resources"] != nil {
		c.fail("%s: Resources is no list", a.what)
	}
	if len(all) > total && !byCursor {
		c.fail("%s: %d Resources, but totalResults is %d", a.what, len(all), total)
	}
	if per := a.doc["itemsPerPage"]; per != nil && number(per) != len(all) {
		c.fail("%s: itemsPerPage is %s, but there are %d Resources", a.what, show(per), len(all))
	}
	return all
}

// equal demands a value at a JSON pointer of an answer.
func (c *check) equal(a answer, pointer string, want any) {
	if c.decided {
		return
	}
	if got := pick(a.doc, pointer); !agree(got, want) {
		c.fail("%s: %s is %s, want %s", a.what, pointer, show(got), show(want))
	}
}

// least is the smallest resource of a type: its name and what is required.
func (c *check) least(t resourceType) object {
	doc := object{"schemas": []any{t.Schema}}
	naming := c.naming(t)
	if a, ok := c.attribute(t, naming); ok && a.urn == "" {
		doc[naming], _ = c.sample(a)
	} else if naming == "userName" {
		doc[naming] = c.name("u") + "@example.com"
	} else {
		doc[naming] = c.name("g")
	}
	for _, a := range c.attributes(t) {
		if a.Required && a.writable() && a.Name != naming {
			if v, ok := c.sample(a); ok {
				put(doc, a, v)
			}
		}
	}
	return doc
}

// create makes a resource of least and more, and gives it as the server has it.
func (c *check) create(t resourceType, more object) object {
	doc := c.least(t)
	for k, v := range more {
		doc[k] = v
	}
	a := c.do("POST", t.Endpoint, doc)
	if !c.status(a, http.StatusCreated) {
		return object{}
	}
	if id, ok := a.doc["id"].(string); !ok || id == "" {
		c.fail("%s: the answer has no id", a.what)
		return object{}
	}
	return a.doc
}

// at is the path of a resource.
func at(t resourceType, doc object) string {
	id, _ := doc["id"].(string)
	return t.Endpoint + "/" + escape(id)
}

// read gets a resource that has to be there.
func (c *check) read(path string) answer {
	a := c.do("GET", path, nil)
	c.status(a, http.StatusOK)
	return a
}

// patch sends operations.
func (c *check) patch(path string, operations ...object) answer {
	all := make([]any, len(operations))
	for i, o := range operations {
		all[i] = o
	}
	return c.do("PATCH", path, object{"schemas": []any{patchURN}, "Operations": all})
}

func operation(op, path string, value any) object {
	o := object{"op": op}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

// done demands that a PATCH was taken: 200 with the resource, or 204 with nothing
// (RFC 7644 §3.5.2).
func (c *check) done(a answer) bool {
	if !c.status(a, http.StatusOK, http.StatusNoContent) {
		return false
	}
	if a.status == http.StatusNoContent && len(a.raw) > 0 {
		c.fail("%s: a 204 has a body", a.what)
	}
	if a.status == http.StatusOK && a.doc["id"] == nil {
		c.fail("%s: a 200 has no resource in it", a.what)
	}
	return !c.decided
}

// letters are the fixtures of filters and pages.
const letters = "abcde"

// some are five resources of a type, made once, whose names differ in their last
// letter. The first three users differ in what filters look at.
func (c *check) some(t resourceType) []object {
	if all, made := c.fixtures[t.Name]; made {
		return all
	}
	c.fixtures[t.Name] = nil // a fixture that refers to its own type finds none
	before := len(c.made)
	var all []object
	for _, letter := range letters {
		more := object{c.naming(t): c.prefix() + string(letter)}
		if t.Schema == userURN {
			for k, v := range c.person(byte(letter)) {
				more[k] = v
			}
		}
		all = append(all, c.create(t, more))
		if c.decided {
			if c.stopped != "" { // which is no fault of the server's
				delete(c.fixtures, t.Name)
			}
			return nil
		}
	}
	c.fixtures[t.Name] = all
	c.kept = append(c.kept, c.made[before:]...)
	c.made = c.made[:before]
	return all
}

// prefix begins the names of the fixtures.
func (r *runner) prefix() string {
	return fmt.Sprintf("conform-%s-fix-", r.word)
}

// person is what a fixture has beside its name.
func (c *check) person(letter byte) object {
	w := c.word
	mail := func(kind string) object {
		return object{"value": fmt.Sprintf("%c.%s.%s@example.com", letter, kind, w), "type": kind}
	}
	switch letter {
	case 'a':
		doc := object{"active": true, "title": "Engineer " + w, "externalId": "Ext-" + w + "-A", "displayName": "Ada " + w,
			"name": object{"givenName": "Ada", "familyName": "Byron-" + w}, "emails": []any{mail("work"), mail("home")}}
		if user, ok := c.typed("User"); ok {
			for _, e := range user.SchemaExtensions {
				if e.Schema == enterpriseURN {
					doc[enterpriseURN] = object{"department": "Engines " + w}
					doc["schemas"] = []any{user.Schema, enterpriseURN}
				}
			}
		}
		return doc
	case 'b':
		return object{"active": false, "displayName": "Bob " + w, "name": object{"givenName": "Bob", "familyName": "Cole-" + w}, "emails": []any{mail("work")}}
	case 'c':
		return object{"active": true, "title": "Sailor " + w, "displayName": `Carla "C" ` + w, "name": object{"givenName": "Carla", "familyName": "Dunn-" + w}}
	}
	return object{"active": true, "title": "Other " + w}
}
