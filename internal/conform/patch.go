package conform

import "strings"

// patchProbes are made from the schemas: one check for every attribute of a type that
// can be written, and one for each of its sub-attributes. Each changes a resource of
// its own and reads it after every change.
func (r *runner) patchProbes(t resourceType) []probe {
	var all []probe
	add := func(path, title, source string, run func(*check)) {
		id := "patch." + t.Name + "." + strings.ReplaceAll(path, enterpriseURN+":", "enterprise:")
		all = append(all, probe{id, title, source, must, meets("okta", "entra"), run})
	}
	for _, a := range r.attributes(t) {
		switch {
		case a.Mutability == "readOnly":
			add(a.path(), "PATCH does not change what is readOnly", "RFC 7644 §3.5.2 (mutability)", func(c *check) { patchReadOnly(c, t, a) })
		case a.Mutability == "immutable":
		case a.Returned == "never":
			add(a.path(), "PATCH takes it and nobody sees it", "RFC 7643 §7 (returned never)", func(c *check) { patchSecret(c, t, a) })
		case a.MultiValued && a.Type == "complex":
			add(a.path(), "add, replace and remove elements, by filter and all at once", "RFC 7644 §3.5.2.1 to §3.5.2.3", func(c *check) { patchElements(c, t, a) })
		case a.MultiValued:
			add(a.path(), "add, replace and remove values", "RFC 7644 §3.5.2.1 to §3.5.2.3", func(c *check) { patchValues(c, t, a) })
		case a.Type == "complex":
			add(a.path(), "add, replace and remove the whole, and add to it", "RFC 7644 §3.5.2.1 to §3.5.2.3", func(c *check) { patchWhole(c, t, a) })
		default:
			add(a.path(), "replace, add and remove the value", "RFC 7644 §3.5.2.1 to §3.5.2.3", func(c *check) { patchSingle(c, t, a) })
		}
		if a.Mutability == "readOnly" || a.Type != "complex" || a.refersTo() != "" {
			continue // what points to a resource follows from its value
		}
		for _, s := range a.SubAttributes {
			if !s.writable() || s.Name == "$ref" {
				continue
			}
			add(a.path()+"."+s.Name, "replace and remove the sub-attribute alone", "RFC 7644 §3.5.2.2, §3.5.2.3", func(c *check) {
				if a.MultiValued {
					patchElementSub(c, t, a, s)
				} else {
					patchSub(c, t, a, s)
				}
			})
		}
	}
	return all
}

// becomes sends one operation and demands that a read then shows want at the
// attribute; nil demands that it is unassigned. It gives what was read.
func (c *check) becomes(path string, a attribute, op object, want any) object {
	if !c.done(c.patch(path, op)) {
		return nil
	}
	asked := path
	if a.Returned == "request" {
		asked += "?attributes=" + escape(a.path())
	}
	got := c.read(asked)
	v := of(got.doc, a)
	switch {
	case c.decided:
	case want == nil && !empty(v):
		c.fail("after %s, %s is %s, want nothing", show(op), a.path(), show(v))
	case want != nil && !agree(v, c.visible(a, want)):
		c.fail("after %s, %s is %s, want %s", show(op), a.path(), show(v), show(want))
	}
	return got.doc
}

// values makes n values of an attribute, no two alike where its type allows.
func (c *check) values(a attribute, n int) []any {
	one := a
	one.MultiValued = false
	var all []any
	for range n {
		v, ok := c.sample(one)
		if !ok {
			c.skip("there is nothing that %s could point to", a.path())
			return make([]any, n)
		}
		if o, isObject := v.(object); isObject && o["primary"] == true {
			o["primary"] = len(all) == 0
		}
		all = append(all, v)
	}
	return all
}

func patchSingle(c *check, t resourceType, a attribute) {
	path := at(t, c.create(t, nil))
	v := c.values(a, 3)
	upper := a // names have no case (RFC 7643 §2.1)
	upper.Name = strings.ToUpper(a.Name[:1]) + a.Name[1:]
	c.becomes(path, a, operation("replace", a.path(), v[0]), v[0])
	c.becomes(path, a, operation("add", a.path(), v[1]), v[1])
	c.becomes(path, a, operation("replace", upper.path(), v[2]), v[2])
	if a.Required {
		c.refused(c.patch(path, operation("remove", a.path(), nil)), 400, "mutability", "invalidValue")
		if got := c.read(path); !c.decided && !agree(of(got.doc, a), v[2]) {
			c.fail("%s: %s is %s after a refused removal, want %s", got.what, a.path(), show(of(got.doc, a)), show(v[2]))
		}
		return
	}
	if a.Type == "boolean" {
		// A boolean that always has a value may say so (RFC 7644 §3.5.2.2).
		if answer := c.patch(path, operation("remove", a.path(), nil)); answer.status == 400 {
			c.refused(answer, 400, "mutability", "invalidValue")
			c.same(path, object{a.Name: v[2]})
		} else {
			c.done(answer)
		}
		return
	}
	c.becomes(path, a, operation("remove", a.path(), nil), nil)
}

func patchValues(c *check, t resourceType, a attribute) {
	path := at(t, c.create(t, nil))
	v := c.values(a, 3)
	c.becomes(path, a, operation("add", a.path(), []any{v[0]}), []any{v[0]})
	c.becomes(path, a, operation("add", a.path(), []any{v[1]}), []any{v[0], v[1]})
	c.becomes(path, a, operation("replace", a.path(), []any{v[2]}), []any{v[2]})
	c.becomes(path, a, operation("remove", a.path(), nil), nil)
}

func patchWhole(c *check, t resourceType, a attribute) {
	path := at(t, c.create(t, nil))
	v := c.values(a, 2)
	c.becomes(path, a, operation("add", a.path(), v[0]), v[0])
	c.becomes(path, a, operation("replace", a.path(), v[1]), v[1])
	if o, ok := v[1].(object); ok && len(o) > 1 {
		// Adding one sub-attribute keeps the others (RFC 7644 §3.5.2.1).
		merged, part := object{}, object{}
		for name, one := range o {
			merged[name] = one
			if s, ok := a.sub(name); ok && len(part) == 0 {
				part[name], _ = c.sample(c.within(a, s))
			}
		}
		for name, one := range part {
			merged[name] = one
		}
		c.becomes(path, a, operation("add", a.path(), part), merged)
	}
	if !a.Required {
		c.becomes(path, a, operation("remove", a.path(), nil), nil)
	}
}

// key is the sub-attribute by which an element can be told from the others.
func (a attribute) key() (attribute, bool) {
	if s, ok := a.sub("value"); ok && s.Type != "binary" && s.Type != "boolean" && s.Type != "complex" {
		return s, true
	}
	for _, s := range a.SubAttributes {
		if s.Type == "string" && len(s.CanonicalValues) == 0 && s.writable() {
			return s, true
		}
	}
	return attribute{}, false
}

// element is the path of one element: emails[value eq "x"].
func element(a, key attribute, v any) string {
	o, _ := v.(object)
	return a.path() + "[" + key.Name + " eq " + encode(o[key.Name]) + "]"
}

func patchElements(c *check, t resourceType, a attribute) {
	key, ok := a.key()
	if !ok {
		c.skip("%s has no sub-attribute by which its elements can be told apart", a.path())
		return
	}
	path := at(t, c.create(t, nil))
	v := c.values(a, 3)
	if c.decided {
		return
	}
	if third, ok := v[2].(object); ok && third["primary"] != nil {
		third["primary"] = true
	}
	c.becomes(path, a, operation("add", a.path(), []any{v[0]}), []any{v[0]})
	c.becomes(path, a, operation("add", a.path(), []any{v[1]}), []any{v[0], v[1]})
	c.becomes(path, a, operation("add", a.path(), []any{v[0]}), []any{v[0], v[1]}) // nothing twice
	c.becomes(path, a, operation("remove", element(a, key, v[0]), nil), []any{v[1]})
	c.becomes(path, a, operation("replace", a.path(), []any{v[2]}), []any{v[2]})
	if !a.Required {
		c.becomes(path, a, operation("remove", a.path(), nil), nil)
	}
}

// patchElementSub changes one sub-attribute of one of two elements.
func patchElementSub(c *check, t resourceType, a, s attribute) {
	key, ok := a.key()
	if !ok {
		c.skip("%s has no sub-attribute by which its elements can be told apart", a.path())
		return
	}
	path := at(t, c.create(t, nil))
	v := c.values(a, 2)
	c.becomes(path, a, operation("replace", a.path(), v), v)
	if c.decided {
		return
	}
	changed := object{}
	for name, one := range v[1].(object) {
		changed[name] = one
	}
	if s.Name == "primary" {
		changed[s.Name] = true
		v[0].(object)["primary"] = false // there is one primary (RFC 7643 §2.4)
	} else {
		changed[s.Name], _ = c.sample(c.within(a, s))
	}
	c.becomes(path, a, operation("replace", element(a, key, v[1])+"."+s.Name, changed[s.Name]), []any{v[0], changed})
	if s.Required || s.Name == "value" || s.Name == key.Name {
		return
	}
	at := element(a, key, changed) + "." + s.Name
	delete(changed, s.Name)
	got := c.becomes(path, a, operation("remove", at, nil), []any{v[0], changed})
	for _, one := range list(of(got, a)) {
		if left := field(one.(object), s.Name); agree(one, changed) && agree(field(one.(object), key.Name), changed[key.Name]) && !empty(left) && left != false {
			c.fail("after remove %s it is still %s", at, show(left))
		}
	}
}

// patchSub changes one sub-attribute of a singular complex attribute.
func patchSub(c *check, t resourceType, a, s attribute) {
	path := at(t, c.create(t, nil))
	first := c.values(a, 1)[0]
	c.becomes(path, a, operation("replace", a.path(), first), first)
	if c.decided {
		return
	}
	changed := object{}
	for name, one := range first.(object) {
		changed[name] = one
	}
	changed[s.Name], _ = c.sample(c.within(a, s))
	c.becomes(path, a, operation("replace", a.path()+"."+s.Name, changed[s.Name]), changed)
	changed[s.Name], _ = c.sample(c.within(a, s))
	c.becomes(path, a, operation("add", a.path()+"."+s.Name, changed[s.Name]), changed)
	if s.Required {
		return
	}
	delete(changed, s.Name)
	var want any = changed
	if len(changed) == 0 {
		want = nil
	}
	got := c.becomes(path, a, operation("remove", a.path()+"."+s.Name, nil), want)
	if o, ok := of(got, a).(object); ok && !empty(field(o, s.Name)) {
		c.fail("after remove %s.%s it is still %s", a.path(), s.Name, show(field(o, s.Name)))
	}
}

func patchReadOnly(c *check, t resourceType, a attribute) {
	path := at(t, c.create(t, nil))
	before := of(c.read(path).doc, a)
	value, ok := c.sampleAnyway(a)
	if !ok {
		c.skip("no value can be made for %s", a.path())
		return
	}
	answer := c.patch(path, operation("replace", a.path(), value))
	c.refused(answer, 400, "mutability")
	if after := of(c.read(path).doc, a); !c.decided && !agree(after, before) {
		c.fail("%s was changed from %s to %s", a.path(), show(before), show(after))
	}
}

// sampleAnyway makes a value as if everything could be written.
func (c *check) sampleAnyway(a attribute) (any, bool) {
	subs := make([]attribute, 0, len(a.SubAttributes))
	for _, s := range a.SubAttributes {
		if s.Name != "$ref" {
			s.Mutability = "readWrite"
			subs = append(subs, s)
		}
	}
	a.SubAttributes = subs
	return c.sample(a)
}

func patchSecret(c *check, t resourceType, a attribute) {
	path := at(t, c.create(t, nil))
	v, ok := c.sample(a)
	if !ok {
		return
	}
	answer := c.patch(path, operation("replace", a.path(), v))
	c.done(answer)
	for _, got := range []object{answer.doc, c.read(path).doc, c.read(path + "?attributes=" + escape(a.path())).doc} {
		if of(got, a) != nil {
			c.fail("%s is returned, but the schema says never", a.path())
		}
	}
}
