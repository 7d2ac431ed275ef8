package conform

import (
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
)

// traitProbes hold a type to what its own schema says of each attribute (RFC 7643 §7):
// mutability, returned, required, uniqueness, caseExact, canonicalValues, type.
// What the schema has no attribute of is not asked.
func (r *runner) traitProbes(t resourceType) []probe {
	var all []probe
	for _, x := range []struct {
		id, title, source string
		breaks            []string
		is                func(attribute) bool
		run               func(*check, resourceType, []attribute)
	}{
		{"never", "what is returned never is in no answer, also when it is asked for", "RFC 7643 §7 (returned); RFC 7644 §3.9", meets("okta", "entra"), neverShown, traitNever},
		{"request", "what is returned on request is shown when it is asked for, and else not", "RFC 7643 §7 (returned); RFC 7644 §3.9", nil, shownOnRequest, traitRequest},
		{"always", "what is returned always is not left out", "RFC 7643 §7 (returned); RFC 7644 §3.9", nil, shownAlways, traitAlways},
		{"immutable", "an immutable value stays: another one by PUT or PATCH is 400 mutability, the same one is taken", "RFC 7643 §7 (mutability); RFC 7644 §3.5.1, §3.5.2", nil, immutable, traitImmutable},
		{"immutable.sub", "the immutable value of an element stays", "RFC 7643 §4.2, §7 (mutability); RFC 7644 §3.5.2", nil, immutableElements, traitImmutableSub},
		{"readonly", "POST and PUT ignore what is readOnly", "RFC 7644 §3.3, §3.5.1", meets("okta"), readOnly, traitReadOnly},
		{"required", "POST without a required attribute is 400, and nothing is made", "RFC 7643 §7 (required); RFC 7644 §3.12", meets("entra"), required, traitRequired},
		{"unique", "no two resources have one value of an attribute that is unique", "RFC 7643 §7 (uniqueness); RFC 7644 §3.12", meets("okta", "entra"), unique, traitUnique},
		{"case", "filters look at case where caseExact says so, and nowhere else", "RFC 7643 §2.2, §7 (caseExact); RFC 7644 §3.4.2.2", meets("okta", "entra"), attribute.writable, traitCase},
		{"canonical", "canonical values are kept as they are; another value is kept too, or refused", "RFC 7643 §7 (canonicalValues)", meets("okta", "entra"), canonical, traitCanonical},
		{"types", "a value of another type is 400, and nothing is made", "RFC 7643 §2.3; RFC 7644 §3.12", nil, attribute.writable, traitTypes},
	} {
		var those []attribute
		for _, a := range r.attributes(t) {
			if x.is(a) {
				those = append(those, a)
			}
		}
		if len(those) > 0 {
			all = append(all, probe{"traits." + t.Name + "." + x.id, x.title, x.source, must, x.breaks, func(c *check) { x.run(c, t, those) }})
		}
	}
	return all
}

func neverShown(a attribute) bool     { return a.Returned == "never" && a.writable() }
func shownOnRequest(a attribute) bool { return a.Returned == "request" && a.writable() }
func shownAlways(a attribute) bool    { return a.Returned == "always" && a.writable() }
func immutable(a attribute) bool      { return a.Mutability == "immutable" }
func readOnly(a attribute) bool       { return a.Mutability == "readOnly" }
func immutableElements(a attribute) bool {
	v, ok := a.sub("value")
	return ok && v.Mutability == "immutable" && a.MultiValued && a.writable()
}
func required(a attribute) bool {
	return a.Required && a.urn == "" && (a.writable() || a.Mutability == "immutable")
}
func unique(a attribute) bool {
	return (a.Uniqueness == "server" || a.Uniqueness == "global") && a.writable() && !a.MultiValued && a.Type != "complex" && a.Returned != "never"
}
func canonical(a attribute) bool {
	if kind, ok := a.sub("type"); ok && a.MultiValued {
		return len(kind.CanonicalValues) > 0 && a.writable() && a.refersTo() == ""
	}
	return len(a.CanonicalValues) > 0 && a.writable() && a.Type != "complex" && a.Returned != "never"
}

// with makes a document that has a value of an attribute. ok is false when none can be made.
func (c *check) with(t resourceType, a attribute) (doc object, value any, ok bool) {
	doc = c.least(t)
	if value, ok = c.sample(a); ok {
		put(doc, a, value)
	}
	return doc, value, ok
}

// samples gives each attribute with a resource that has a value of it, until the check
// is decided.
func (c *check) samples(t resourceType, those []attribute) iter.Seq2[attribute, object] {
	return func(yield func(attribute, object) bool) {
		for _, a := range those {
			if doc, _, ok := c.with(t, a); ok && !c.decided && !yield(a, doc) {
				return
			}
		}
	}
}

// everywhere reads a resource by every way that shows it: by id, in a list and, where
// there is one, by a search.
func (c *check) everywhere(t resourceType, doc object, attributes string) []answer {
	naming := c.naming(t)
	name, _ := field(doc, naming).(string)
	filter := naming + ` eq "` + name + `"`
	query, search := "", object{"schemas": []any{searchURN}, "filter": filter}
	if attributes != "" {
		query, search["attributes"] = "attributes="+escape(attributes), []any{attributes}
	}
	all := []answer{c.read(at(t, doc) + "?" + query)}
	inside := func(a answer) {
		if found := list(a.doc["Resources"]); len(found) == 1 {
			a.doc, _ = found[0].(object)
			all = append(all, a)
		}
	}
	a := c.do("GET", t.Endpoint+"?filter="+escape(filter)+"&"+query, nil)
	c.listForm(a)
	inside(a)
	if a := c.do("POST", t.Endpoint+"/.search", search); a.status == http.StatusOK {
		inside(a)
	}
	return all
}

func traitNever(c *check, t resourceType, those []attribute) {
	for a, doc := range c.samples(t, those) {
		v := of(doc, a)
		made := c.do("POST", t.Endpoint, doc)
		if made.status == http.StatusBadRequest { // a server that takes none (RFC 7644 §3.12)
			c.refused(made, http.StatusBadRequest)
			continue
		}
		if !c.status(made, http.StatusCreated) {
			return
		}
		answers := []answer{made, c.do("PUT", at(t, made.doc)+"?attributes="+escape(a.path()), doc), c.patch(at(t, made.doc), operation("replace", a.path(), v))}
		answers = append(answers, c.everywhere(t, made.doc, "")...)
		answers = append(answers, c.everywhere(t, made.doc, a.path())...)
		for _, got := range answers {
			if x := of(got.doc, a); x != nil && !c.decided {
				c.fail("%s: %s is there, but the schema says never", got.what, a.path())
			}
		}
	}
}

func traitRequest(c *check, t resourceType, those []attribute) {
	for a, doc := range c.samples(t, those) {
		v := of(doc, a)
		made := c.do("POST", t.Endpoint, doc)
		c.status(made, http.StatusCreated)
		for _, got := range c.everywhere(t, made.doc, "") {
			if x := of(got.doc, a); x != nil && !c.decided {
				c.fail("%s: %s is there, but nobody asked for it", got.what, a.path())
			}
		}
		for _, got := range c.everywhere(t, made.doc, a.path()) {
			if x := of(got.doc, a); !agree(x, c.visible(a, v)) && !c.decided {
				c.fail("%s: %s is %s, want %s: it was asked for", got.what, a.path(), show(x), show(v))
			}
		}
	}
}

func traitAlways(c *check, t resourceType, those []attribute) {
	for a, doc := range c.samples(t, those) {
		v := of(doc, a)
		made := c.do("POST", t.Endpoint, doc)
		c.status(made, http.StatusCreated)
		answers := append(c.everywhere(t, made.doc, "externalId"), c.read(at(t, made.doc)+"?excludedAttributes="+escape(a.path())))
		for _, got := range answers {
			if x := of(got.doc, a); !agree(x, c.visible(a, v)) && !c.decided {
				c.fail("%s: %s is %s, want %s", got.what, a.path(), show(x), show(v))
			}
		}
	}
}

func traitImmutable(c *check, t resourceType, those []attribute) {
	for _, a := range those {
		doc, first, ok := c.with(t, a)
		second, ok2 := c.sample(a)
		if !ok || !ok2 || c.decided {
			continue
		}
		made := c.do("POST", t.Endpoint, doc)
		c.status(made, http.StatusCreated)
		path := at(t, made.doc)
		stays := func() {
			asked := path
			if a.Returned == "request" {
				asked += "?attributes=" + escape(a.path())
			}
			if got := c.read(asked); !c.decided && a.Returned != "never" && !agree(of(got.doc, a), c.visible(a, first)) {
				c.fail("%s: %s is %s, want %s as it was made", got.what, a.path(), show(of(got.doc, a)), show(first))
			}
		}
		c.status(c.do("PUT", path, doc), http.StatusOK)
		c.done(c.patch(path, operation("replace", a.path(), first)))
		stays()
		put(doc, a, second)
		c.refused(c.do("PUT", path, doc), http.StatusBadRequest, "mutability")
		stays()
		c.refused(c.patch(path, operation("replace", a.path(), second)), http.StatusBadRequest, "mutability")
		c.refused(c.patch(path, operation("remove", a.path(), nil)), http.StatusBadRequest, "mutability")
		stays()
	}
}

func traitImmutableSub(c *check, t resourceType, those []attribute) {
	for _, a := range those {
		v := c.values(a, 2)
		one, _ := v[0].(object)
		other, _ := v[1].(object)
		if c.decided || one == nil || one["value"] == other["value"] {
			continue
		}
		doc := c.least(t)
		put(doc, a, []any{one})
		made := c.do("POST", t.Endpoint, doc)
		c.status(made, http.StatusCreated)
		id, _ := one["value"].(string)
		c.refused(c.patch(at(t, made.doc), operation("replace", fmt.Sprintf(`%s[value eq "%s"].value`, a.path(), id), other["value"])), http.StatusBadRequest, "mutability")
		if got := c.read(at(t, made.doc)); !c.decided && !agree(of(got.doc, a), []any{object{"value": id}}) {
			c.fail("%s: %s is %s, want %s alone", got.what, a.path(), show(of(got.doc, a)), id)
		}
	}
}

// writableAs is an attribute as if it could be written, to make a value of it.
func writableAs(a attribute) attribute {
	a.Mutability = "readWrite"
	a.SubAttributes = slices.Clone(a.SubAttributes)
	for i := range a.SubAttributes {
		a.SubAttributes[i].Mutability = "readWrite"
	}
	return a
}

func traitReadOnly(c *check, t resourceType, those []attribute) {
	sent := make([]attribute, len(those))
	for i, a := range those {
		sent[i] = writableAs(a)
	}
	for a, doc := range c.samples(t, sent) {
		v := of(doc, a)
		made := c.do("POST", t.Endpoint, doc)
		c.status(made, http.StatusCreated)
		c.status(c.do("PUT", at(t, made.doc), doc), http.StatusOK)
		if got := c.read(at(t, made.doc)); !c.decided && !empty(of(got.doc, a)) && agree(of(got.doc, a), v) {
			c.fail("%s: %s is %s: what the client sent was taken", got.what, a.path(), show(v))
		}
	}
}

// nobody demands that a refused POST made nothing.
func (c *check) nobody(t resourceType, doc object) {
	naming := c.naming(t)
	name, _ := field(doc, naming).(string)
	if name == "" {
		return
	}
	if a := c.do("GET", t.Endpoint+"?filter="+escape(naming+` eq "`+name+`"`), nil); a.ok() && number(a.doc["totalResults"]) != 0 {
		c.fail("%s: totalResults is %s after a refused POST, want 0", a.what, show(a.doc["totalResults"]))
	}
}

func traitRequired(c *check, t resourceType, those []attribute) {
	for _, a := range those {
		doc := c.least(t)
		delete(doc, a.Name)
		c.refused(c.do("POST", t.Endpoint, doc), http.StatusBadRequest, "invalidValue", "invalidSyntax")
		c.nobody(t, doc)
		doc[a.Name] = nil
		c.refused(c.do("POST", t.Endpoint, doc), http.StatusBadRequest, "invalidValue", "invalidSyntax")
		if a.Type == "string" && !a.MultiValued {
			doc[a.Name] = ""
			c.refused(c.do("POST", t.Endpoint, doc), http.StatusBadRequest, "invalidValue", "invalidSyntax")
		}
	}
}

func traitUnique(c *check, t resourceType, those []attribute) {
	for _, a := range those {
		first, v, ok := c.with(t, a)
		if !ok || c.decided {
			continue
		}
		made := c.do("POST", t.Endpoint, first)
		c.status(made, http.StatusCreated)
		twin := c.least(t)
		put(twin, a, v)
		c.refused(c.do("POST", t.Endpoint, twin), http.StatusConflict, "uniqueness")
		other := c.create(t, nil)
		c.refused(c.patch(at(t, other), operation("replace", a.path(), v)), http.StatusConflict, "uniqueness")
		c.same(at(t, other), other)
	}
}

// named are the simple strings of a type that a filter can name, with their paths: those
// whose values have no form of their own.
func (c *check) named(t resourceType) map[string]attribute {
	all := map[string]attribute{"externalId": {Name: "externalId", Type: "string", CaseExact: true}} // RFC 7643 §3.1
	free := func(a attribute) bool {
		text, ok := c.simple(a).(string)
		return ok && a.Type == "string" && len(a.CanonicalValues) == 0 && a.writable() && !a.MultiValued && a.Returned != "never" && strings.HasPrefix(text, "conform-")
	}
	for _, a := range c.attributes(t) {
		if free(a) {
			all[a.path()] = a
		}
		if a.Type == "complex" && !a.MultiValued && a.writable() && a.refersTo() == "" {
			for _, s := range a.SubAttributes {
				if free(s) {
					all[a.path()+"."+s.Name] = s
				}
			}
		}
	}
	return all
}

func traitCase(c *check, t resourceType, _ []attribute) {
	doc := c.least(t)
	paths := c.named(t)
	values := map[string]string{}
	for _, a := range c.attributes(t) {
		if a.Type == "complex" && a.writable() && !a.MultiValued && a.refersTo() == "" {
			o := object{}
			for _, s := range a.SubAttributes {
				if _, ok := paths[a.path()+"."+s.Name]; ok {
					values[a.path()+"."+s.Name] = c.name("Kc")
					o[s.Name] = values[a.path()+"."+s.Name]
				}
			}
			if len(o) > 0 {
				put(doc, a, o)
			}
		} else if _, ok := paths[a.path()]; ok {
			values[a.path()] = c.name("Kc")
			put(doc, a, values[a.path()])
		}
	}
	values["externalId"] = c.name("Kc")
	doc["externalId"] = values["externalId"]
	made := c.do("POST", t.Endpoint, doc)
	c.status(made, http.StatusCreated)
	asked := 0
	for path, a := range paths {
		for _, value := range []string{values[path], strings.ToUpper(values[path])} {
			got := c.do("GET", t.Endpoint+"?filter="+escape(path+` eq "`+value+`"`), nil)
			if got.status == http.StatusBadRequest {
				continue // it need not filter by everything (RFC 7644 §3.4.2.2)
			}
			asked++
			want := 1
			if a.CaseExact && value != values[path] {
				want = 0
			}
			if found := c.listForm(got); !c.decided && len(found) != want {
				c.fail("%s finds %d, want %d: caseExact of %s is %v", got.what, len(found), want, path, a.CaseExact)
			}
		}
	}
	if asked == 0 {
		c.unsupported("no filter by an attribute of %s is taken", t.Name)
	}
}

func traitCanonical(c *check, t resourceType, those []attribute) {
	for _, a := range those {
		choices := a.CanonicalValues
		if a.Type == "complex" {
			kind, _ := a.sub("type")
			choices = kind.CanonicalValues
		}
		value := func(choice string) any {
			if a.Type != "complex" {
				if a.MultiValued {
					return []any{choice}
				}
				return choice
			}
			v, _ := c.values(a, 1)[0].(object)
			v["type"] = choice
			delete(v, "primary")
			return []any{v}
		}
		path := at(t, c.create(t, nil))
		for _, choice := range choices {
			v := value(choice)
			c.becomes(path, a, operation("replace", a.path(), v), v)
		}
		v := value(c.name("odd"))
		if odd := c.patch(path, operation("replace", a.path(), v)); odd.status == http.StatusBadRequest {
			c.refused(odd, http.StatusBadRequest, "invalidValue", "invalidSyntax")
		} else if c.done(odd) {
			if got := c.read(path); !c.decided && !agree(of(got.doc, a), c.visible(a, v)) {
				c.fail("%s: %s is %s, want %s, which was taken", got.what, a.path(), show(of(got.doc, a)), show(v))
			}
		}
	}
}

// mistyped is a value that no reading of an attribute's type allows.
func mistyped(a attribute) any {
	var wrong any = object{"wrong": seven}
	switch strings.ToLower(a.Type) {
	case "complex":
		wrong = seven
	case "boolean", "integer", "decimal":
		wrong = "perhaps"
	case "datetime":
		wrong = "yesterday"
	}
	if a.MultiValued {
		return []any{wrong}
	}
	return wrong
}

const seven = 7

func traitTypes(c *check, t resourceType, those []attribute) {
	for _, a := range those {
		if c.decided {
			return
		}
		doc := c.least(t)
		put(doc, a, mistyped(a))
		c.refused(c.do("POST", t.Endpoint, doc), http.StatusBadRequest, "invalidValue", "invalidSyntax")
		c.nobody(t, doc)
		if a.Type != "complex" || a.refersTo() != "" {
			continue
		}
		for _, s := range a.SubAttributes {
			if !s.writable() || s.Name == "$ref" || c.decided {
				continue
			}
			inner := any(object{s.Name: mistyped(s)})
			if a.MultiValued {
				inner = []any{inner}
			}
			doc := c.least(t)
			put(doc, a, inner)
			c.refused(c.do("POST", t.Endpoint, doc), http.StatusBadRequest, "invalidValue", "invalidSyntax")
		}
	}
}
