package scim

import (
	"maps"
	"reflect"
	"strings"

	"github.com/elimity-com/scim"
	filter "github.com/scim2/filter-parser/v2"
)

// apply makes the plan's changes to doc, which is the caller's own copy (see copied), and
// checks the result as a whole. On an error doc is worthless. The plan itself is
// not changed: a command that lost a race applies it again.
func (p *plan) apply(doc map[string]any) error {
	work, was := 0, p.n.c.remember(doc)
	for _, s := range p.steps {
		if s.filter != nil {
			list, _ := container(doc, s.t.attr, false)[s.t.attr.Name].([]any)
			if work += len(list) * len(s.path); work > maxWork {
				return invalidValue("The filters of this PATCH have too much to look at. Split it.")
			}
		}
		s.value = fresh(s.value)
		if err := p.step(doc, s); err != nil {
			return err
		}
	}
	if err := p.n.c.guard(doc, was, false); err != nil {
		return err
	}
	err := p.n.complete(doc, func(a *Attr) error {
		if a.Extension() && was[a] == nil { // defined when the resource was there: it may go on without
			return nil
		}
		return mutability("%s is required: it can be replaced, not removed.", a.Path()) // RFC 7644 §3.5.2.2
	})
	if err != nil {
		return err
	}
	err = p.n.check(doc)
	if err != nil && p.n.tidy(doc) {
		err = p.n.check(doc)
	}
	return err
}

// copied is a copy of doc for apply, which shares with it what no step touches.
func (p *plan) copied(doc map[string]any) map[string]any {
	out := maps.Clone(doc)
	for _, urn := range p.n.c.URNs()[1:] {
		if in, ok := out[urn].(map[string]any); ok {
			out[urn] = maps.Clone(in)
		}
	}
	touched := map[*Attr]bool{}
	for _, s := range p.steps {
		if s.stray != nil {
			return fresh(doc).(map[string]any)
		}
		if s.t.attr == nil || touched[s.t.attr] {
			continue
		}
		touched[s.t.attr] = true
		in := container(out, s.t.attr, false)
		if v, there := in[s.t.attr.Name]; there {
			in[s.t.attr.Name] = fresh(v)
		}
	}
	return out
}

func (p *plan) step(doc map[string]any, s step) error {
	if s.stray != nil {
		return p.n.setStray(doc, s.op, s.path, s.stray, s.value)
	}
	if s.t.attr == nil {
		delete(doc, s.t.urn)
		return nil
	}
	a := s.t.attr
	in := container(doc, a, s.value != nil && s.op != scim.PatchOperationRemove)
	if in == nil {
		return nil
	}
	if a.Name == "active" && !a.Extension() && s.value == nil {
		return mutability("active always has a value: replace it with true or false.")
	}
	if a.MultiValued {
		return p.many(in, s)
	}
	return p.one(in, s)
}

// one changes a single-valued attribute or a sub-attribute of it.
func (p *plan) one(in map[string]any, s step) error {
	a := s.t.attr
	if s.t.sub == nil {
		return set(in, a, s.value)
	}
	parent, _ := in[a.Name].(map[string]any)
	if parent == nil {
		if s.value == nil {
			return nil
		}
		parent = map[string]any{}
		in[a.Name] = parent
	}
	if err := set(parent, s.t.sub, s.value); err != nil {
		return err
	}
	if len(parent) == 0 || a.Name == "manager" && parent["value"] == nil && !p.n.q.Strict {
		delete(in, a.Name) // a manager is its value: Entra ID clears it with ""
	}
	return nil
}

// set assigns or, with nil, removes. RFC 7643 §7: an immutable value stays.
func set(in map[string]any, a *Attr, v any) error {
	old, had := in[a.Name]
	if a.Mutability == immutable && had && !reflect.DeepEqual(old, v) {
		return mutability("%s cannot be changed once it is set.", a.Path())
	}
	if v == nil {
		delete(in, a.Name)
		return nil
	}
	in[a.Name] = v
	return nil
}

// many changes a multi-valued attribute.
func (p *plan) many(in map[string]any, s step) error {
	a := s.t.attr
	old, _ := in[a.Name].([]any)
	var list []any
	var err error
	switch {
	case s.filter != nil || s.t.sub != nil:
		list, err = p.elements(old, s)
	case s.op == scim.PatchOperationRemove && s.value != nil:
		list = without(old, s.value.([]any))
	case s.op == scim.PatchOperationAdd && s.value != nil:
		list = union(old, s.value.([]any))
	case s.value != nil:
		list = s.value.([]any)
	}
	if err != nil {
		return err
	}
	if len(list) > maxValues {
		return invalidValue("%s would have %d values; at most %d are kept.", a.Path(), len(list), maxValues)
	}
	if len(list) == 0 {
		delete(in, a.Name)
		return nil
	}
	in[a.Name] = list
	return nil
}

// elements changes those elements that the filter chooses, or all without one.
func (p *plan) elements(old []any, s step) ([]any, error) {
	a := s.t.attr
	var chosen []int
	for i, e := range old {
		if s.filter == nil {
			chosen = append(chosen, i)
			continue
		}
		ok, err := MatchValue(s.filter, e, a)
		if err != nil {
			return nil, err
		}
		if ok {
			chosen = append(chosen, i)
		}
	}
	if s.op == scim.PatchOperationRemove || s.value == nil {
		return p.clear(old, chosen, s), nil
	}
	if len(chosen) == 0 {
		made, err := p.missing(s)
		if err != nil {
			return nil, err
		}
		old = append(old, made)
		chosen = []int{len(old) - 1}
	}
	if len(chosen) > 1 && p.n.q.Strict && s.filter != nil {
		// draft-zollner-scim-interop-profile §6.5.3
		return nil, refuse("invalidFilter", "%s chooses %d elements: want one.", s.path, len(chosen))
	}
	for _, i := range chosen {
		e, _ := old[i].(map[string]any)
		switch {
		case s.t.sub != nil:
			if err := set(e, s.t.sub, s.value); err != nil {
				return nil, err
			}
		case s.op == scim.PatchOperationAdd && e != nil:
			for k, v := range s.value.(map[string]any) {
				e[k] = v
			}
		default:
			old[i] = fresh(s.value)
		}
	}
	if last, ok := old[chosen[len(chosen)-1]].(map[string]any); ok && last["primary"] == true {
		onlyPrimary(old, chosen[len(chosen)-1])
	}
	return old, nil
}

// clear removes the chosen elements, or one sub-attribute of each. Choosing none
// is what a repeated request does, and no fault.
func (p *plan) clear(old []any, chosen []int, s step) []any {
	gone := map[int]bool{}
	for _, i := range chosen {
		e, _ := old[i].(map[string]any)
		if s.t.sub != nil {
			delete(e, s.t.sub.Name)
		}
		gone[i] = s.t.sub == nil || len(e) == 0 || p.n.hollow(s.t.attr, e)
	}
	var list []any
	for i, e := range old {
		if !gone[i] {
			list = append(list, e)
		}
	}
	return list
}

// missing makes the element that the filter asks for, in compat. Entra ID replaces
// emails[type eq "work"].value of people without such an element.
func (p *plan) missing(s step) (map[string]any, error) {
	made := map[string]any{}
	if !p.n.q.CreateOnMissingFilterTarget || !p.equalities(s.filter, s.t.attr, made) {
		return nil, noTarget("%s chooses no element.", s.path) // RFC 7644 §3.5.2.3
	}
	return made, nil
}

// equalities collects what an element must hold to match: only "sub eq value",
// joined by "and", says that.
func (p *plan) equalities(e filter.Expression, a *Attr, into map[string]any) bool {
	switch e := e.(type) {
	case nil:
		return true
	case *filter.LogicalExpression:
		return e.Operator == filter.AND && p.equalities(e.Left, a, into) && p.equalities(e.Right, a, into)
	case *filter.AttributeExpression:
		sub := a.subOf(e.AttributePath.AttributeName)
		if sub == nil || !strings.EqualFold(string(e.Operator), string(filter.EQ)) {
			return false
		}
		v, err := p.n.value(sub, e.CompareValue)
		if err != nil || v == nil {
			return false
		}
		into[sub.Name] = v
		return true
	}
	return false
}

// union appends the values that are not there yet. One with the same value and
// type is the same (RFC 7643 §2.4) and takes over what the new one says.
func union(old, added []any) []any {
	list := old
	index := make(map[string]int, len(old)+len(added))
	for i := len(old) - 1; i >= 0; i-- { // the first of equals counts
		index[keyOf(old[i])] = i
	}
	for _, v := range added {
		key := keyOf(v)
		at, there := index[key]
		if !there {
			list = append(list, v)
			at = len(list) - 1
			index[key] = at
		} else if have, ok := list[at].(map[string]any); ok {
			for k, x := range v.(map[string]any) {
				have[k] = x
			}
		}
		if m, ok := v.(map[string]any); ok && m["primary"] == true {
			onlyPrimary(list, at)
		}
	}
	return list
}

// keyOf is what makes two elements the same: value and type, else all of it.
func keyOf(e any) string {
	m, ok := e.(map[string]any)
	if !ok || m["value"] == nil {
		return string(appendJSON(nil, e))
	}
	return string(appendJSON(nil, []any{m["value"], m["type"]}))
}

func elementValue(element map[string]any) string {
	v, _ := element["value"].(string)
	return v
}

// without removes the elements that gone names; one without a type names all of
// its value.
func without(old, gone []any) []any {
	keys, values := map[string]bool{}, map[string]bool{}
	for _, g := range gone {
		keys[keyOf(g)] = true
		if m, _ := g.(map[string]any); m["type"] == nil {
			values[elementValue(m)] = true
		}
	}
	var list []any
	for _, e := range old {
		m, _ := e.(map[string]any)
		if v := elementValue(m); !keys[keyOf(e)] && (v == "" || !values[v]) {
			list = append(list, e)
		}
	}
	return list
}

// onlyPrimary is RFC 7644 §3.5.2: a new primary value takes it from the others.
func onlyPrimary(list []any, keep int) {
	for i, e := range list {
		if m, ok := e.(map[string]any); ok && i != keep && m["primary"] == true {
			m["primary"] = false
		}
	}
}

// fresh copies a value, so that a later step cannot change it for its source.
func fresh(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = fresh(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = fresh(e)
		}
		return out
	}
	return v
}
