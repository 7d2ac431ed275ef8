package scimmodel

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// PATCH (RFC 7644 §3.5.2): the operations one after the other on a copy, which is
// kept when all of them succeed.

// target is where an operation points to. a is nil for a name that no schema has.
type target struct {
	a    *attr
	sub  *attr
	only cond // the elements of a; nil: all of them
}

// patch applies a PATCH body to doc, in which the members of a group stand under
// "members" like any other attribute.
func (r reader) patch(doc map[string]any, body map[string]any) {
	urns, _ := body["schemas"].([]any)
	ops, _ := body["Operations"].([]any)
	if !slices.Contains(urns, any(patchURN)) || len(ops) == 0 {
		r.fault("invalidSyntax")
		return
	}
	for _, o := range ops {
		m, _ := o.(map[string]any)
		r.operation(doc, m)
	}
	for _, a := range r.k.attrs { // §3.5.2.2: a required attribute that is removed
		if v := get(doc, a); a.required && (v == nil || isBlank(v)) {
			r.fault("mutability")
			r.fault("invalidValue")
		}
	}
}

func (r reader) operation(doc, m map[string]any) {
	op, _ := m["op"].(string)
	if op = strings.ToLower(op); op != "add" && op != "remove" && op != "replace" {
		r.fault("invalidSyntax")
		return
	}
	path, isText := m["path"].(string)
	if m["path"] != nil && !isText {
		r.fault("invalidPath")
		return
	}
	value, sent := m["value"]
	switch {
	case path == "" && op == "remove":
		r.fault("noTarget") // §3.5.2.2
	case path == "" && r.strict:
		r.fault("invalidSyntax") // the profile: a path always
	case !sent && op != "remove":
		r.fault("invalidValue")
	case path == "":
		fields, ok := value.(map[string]any)
		if !ok {
			r.fault("invalidValue")
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			r.named(doc, op, name, fields[name])
		}
	default:
		r.byPath(doc, op, path, value)
	}
}

// named is one attribute of a value without a path. Read-only ones are ignored, as
// in a PUT (choice).
func (r reader) named(doc map[string]any, op, name string, value any) {
	if urn := r.k.schema(name); urn != "" && urn != r.k.urn {
		r.extension(doc, op, urn, value, false)
		return
	}
	t, err := r.parsePath(name)
	switch {
	case err != nil || t.a == nil:
		r.unknown()
	case strings.EqualFold(name, "schemas"), t.a.readOnly, t.sub != nil && t.sub.readOnly:
	case t.a.name == "password":
		r.password()
	default:
		r.apply(doc, op, t, value)
	}
}

func (r reader) byPath(doc map[string]any, op, path string, value any) {
	if urn := r.k.schema(path); urn != "" && urn != r.k.urn {
		r.extension(doc, op, urn, value, true)
		return
	}
	t, err := r.parsePath(path)
	switch {
	case errors.Is(err, errFilter):
		r.fault("invalidFilter")
		if r.strict { // the profile: no whole elements, so the path is wrong too
			r.fault("invalidPath")
		}
	case err != nil:
		r.fault("invalidPath")
	case t.a == nil:
		r.unknown()
	case t.a.name == "password":
		r.password()
	case t.a.readOnly || t.sub != nil && t.sub.readOnly:
		r.fault("mutability") // §3.5.2
	default:
		r.apply(doc, op, t, value)
	}
}

var errPath = errors.New("not a path")

// parsePath reads attrPath / valuePath [subAttr] (figure 7).
func (r reader) parsePath(path string) (t target, err error) {
	head, rest, filtered := strings.Cut(path, "[")
	if strings.ContainsAny(head, ` "()]`) || head == "" || strings.HasSuffix(head, ".") {
		return t, errPath
	}
	if t.a = attrOf(r.k, head); t.a != nil && t.a.parent != nil {
		t.sub, t.a = t.a, t.a.parent
	}
	if !filtered || t.a == nil {
		return t, nil
	}
	p := &filterReader{s: rest, k: r.k, within: t.a, strict: r.strict}
	if t.only, err = p.or(); err != nil || !p.take("]") {
		return t, errFilter
	}
	if t.sub != nil || !t.a.multi || t.a.kind != complexType {
		return t, errPath
	}
	if sub, ok := strings.CutPrefix(p.s, "."); ok {
		if t.sub = t.a.sub(sub); t.sub == nil {
			t.a = nil // an unknown attribute
		}
	} else if p.s != "" {
		return t, errPath
	}
	return t, nil
}

// extension is an operation on a whole extension: replace by path replaces it.
func (r reader) extension(doc map[string]any, op, urn string, value any, byPath bool) {
	fields, ok := value.(map[string]any)
	switch {
	case op == "remove" || value == nil || value == "":
		delete(doc, urn)
		return
	case !ok:
		r.fault("invalidValue")
		return
	case op == "replace" && byPath:
		delete(doc, urn)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		a := attrOf(r.k, urn+":"+name)
		switch {
		case a == nil:
			r.unknown()
		case a.parent != nil:
			r.apply(doc, op, target{a: a.parent, sub: a}, fields[name])
		default:
			r.apply(doc, op, target{a: a}, fields[name])
		}
	}
}

// apply does one operation on one attribute.
func (r reader) apply(doc map[string]any, op string, t target, raw any) {
	leaf := t.a
	if t.sub != nil {
		leaf = t.sub
	}
	if t.a.name == "members" {
		r.members(doc, op, t, raw)
		return
	}
	var v any
	if op != "remove" {
		if fields, ok := raw.(map[string]any); ok && r.merges(op, leaf) {
			r.merge(doc, op, t, leaf, fields)
			return
		}
		if t.only != nil && t.sub == nil {
			if r.strict { // the profile: whole elements are not replaced
				r.fault("invalidPath")
				return
			}
			v = r.single(leaf, raw)
		} else {
			v = r.value(leaf, raw)
		}
	}
	if t.a.name == "active" && v == nil { // choice: always has a value
		r.fault("mutability")
		return
	}
	switch {
	case t.a.multi && (t.only != nil || t.sub != nil):
		r.elements(doc, op, t, v)
	case t.a.multi:
		r.whole(doc, op, t.a, v, raw)
	case t.sub != nil:
		r.part(doc, t, v)
	default:
		set(doc, t.a, v)
	}
}

// merges: sub-attributes that are not named stay (§3.5.2.1, §3.5.2.3). Choice: a
// complex attribute that has a "value" is that value, and is replaced; in strict
// replace replaces (the profile).
func (r reader) merges(op string, a *attr) bool {
	return a.kind == complexType && !a.multi && a.sub("value") == nil && (op == "add" || !r.strict)
}

func (r reader) merge(doc map[string]any, op string, t target, a *attr, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		s := a.sub(name)
		if s == nil {
			r.unknown()
		} else if !s.readOnly {
			r.apply(doc, op, target{a: t.a, sub: s}, fields[name])
		}
	}
}

// part changes a sub-attribute of a single-valued complex attribute.
func (r reader) part(doc map[string]any, t target, v any) {
	in, _ := get(doc, t.a).(map[string]any)
	switch {
	case v == nil && in == nil:
		return
	case v == nil:
		delete(in, t.sub.name)
	default:
		if in == nil {
			in = map[string]any{}
		}
		in[t.sub.name] = v
	}
	// Choice in compat: a manager is its value, "" clears it.
	if len(in) == 0 || !r.strict && t.a.sub("value") != nil && in["value"] == nil {
		set(doc, t.a, nil)
		return
	}
	set(doc, t.a, in)
}

// whole is an operation on all values of a multi-valued attribute.
func (r reader) whole(doc map[string]any, op string, a *attr, v, raw any) {
	old, _ := get(doc, a).([]any)
	list, _ := v.([]any)
	switch op {
	case "add":
		list = union(old, list)
	case "remove":
		if raw == nil || raw == "" || r.strict && reflect.DeepEqual(raw, []any{}) {
			break
		}
		if r.strict { // choice: remove has no value (§3.5.2.2)
			r.fault("invalidSyntax")
			return
		}
		gone, _ := r.value(a, raw).([]any) // choice in compat: Entra ID names what goes
		list = slices.DeleteFunc(slices.Clone(old), func(e any) bool {
			return slices.ContainsFunc(gone, func(g any) bool { return same(e, g) || typeless(e, g) })
		})
	}
	if len(list) == 0 {
		set(doc, a, nil)
		return
	}
	set(doc, a, list)
}

func typeless(e, g any) bool {
	x, _ := e.(map[string]any)
	y, _ := g.(map[string]any)
	return y["type"] == nil && y["value"] != nil && x["value"] == y["value"]
}

// same: an element is its value and type (RFC 7643 §2.4), else all of it.
func same(x, y any) bool {
	a, okA := x.(map[string]any)
	b, okB := y.(map[string]any)
	if okA && okB && a["value"] != nil {
		return a["value"] == b["value"] && a["type"] == b["type"]
	}
	return reflect.DeepEqual(x, y)
}

// union adds values that are not there (§3.5.2.1: no change if they are). One that
// is there takes over what the new one says (choice).
func union(old, added []any) []any {
	list := clone(old)
	for _, v := range added {
		at := slices.IndexFunc(list, func(e any) bool { return same(e, v) })
		if at < 0 {
			at = len(list)
			list = append(list, clone(v))
		} else if m, ok := list[at].(map[string]any); ok {
			maps.Copy(m, clone(v).(map[string]any))
		}
		if m, ok := v.(map[string]any); ok && m["primary"] == true {
			onlyPrimary(list, at)
		}
	}
	return list
}

// onlyPrimary is §3.5.2: "the server SHALL set the value of the existing attribute
// to false" when another becomes primary.
func onlyPrimary(list []any, at int) {
	for i, e := range list {
		if m, ok := e.(map[string]any); ok && i != at && m["primary"] == true {
			m["primary"] = false
		}
	}
}

// elements is an operation on chosen elements, or on a sub-attribute of them.
func (r reader) elements(doc map[string]any, op string, t target, v any) {
	old, _ := clone(get(doc, t.a)).([]any)
	var chosen []int
	for i, e := range old {
		if t.only == nil || t.only.holds(scope{element: e}) {
			chosen = append(chosen, i)
		}
	}
	if op == "remove" || v == nil {
		r.clear(doc, t, old, chosen)
		return
	}
	if len(chosen) == 0 {
		made, ok := r.implied(t)
		if !ok {
			r.fault("noTarget") // §3.5.2.3
			return
		}
		old, chosen = append(old, made), []int{len(old)}
	}
	if len(chosen) > 1 && r.strict && t.only != nil {
		r.fault("invalidFilter") // the profile: one element
		return
	}
	for _, i := range chosen {
		e, _ := old[i].(map[string]any)
		switch {
		case t.sub != nil:
			e[t.sub.name] = clone(v)
		case op == "add":
			maps.Copy(e, clone(v).(map[string]any))
		default:
			old[i] = clone(v)
		}
	}
	last := chosen[len(chosen)-1]
	if m, ok := old[last].(map[string]any); ok && m["primary"] == true {
		onlyPrimary(old, last)
	}
	set(doc, t.a, old)
}

func (r reader) clear(doc map[string]any, t target, old []any, chosen []int) {
	var list []any
	for i, e := range old {
		if !slices.Contains(chosen, i) {
			list = append(list, e)
			continue
		}
		m, _ := e.(map[string]any)
		if t.sub == nil {
			continue
		}
		if delete(m, t.sub.name); len(m) > 0 && !r.hollow(t.a, m) {
			list = append(list, m)
		}
	}
	if list == nil {
		set(doc, t.a, nil)
		return
	}
	set(doc, t.a, list)
}

// implied is the element that a filter of equalities asks for. Choice in compat;
// the standard, and strict, have noTarget.
func (r reader) implied(t target) (map[string]any, bool) {
	made := map[string]any{}
	return made, !r.strict && equalities(t.only, made)
}

func equalities(c cond, into map[string]any) bool {
	switch c := c.(type) {
	case nil:
		return true
	case and:
		return equalities(c.a, into) && equalities(c.b, into)
	case test:
		into[c.a.name] = c.value
		return c.op == "eq" && c.value != ""
	}
	return false
}

// canonical is a value as text, for comparing.
func canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
