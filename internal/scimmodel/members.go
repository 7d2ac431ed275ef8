package scimmodel

import (
	"slices"
	"strings"
)

// members is an operation on the members of a group, which are kept as
// {"value": id} alone: the rest of a member follows from the id. That they exist
// is seen when all operations are done.
func (r reader) members(doc map[string]any, op string, t target, raw any) {
	old, _ := get(doc, t.a).([]any)
	switch {
	case t.sub != nil: // RFC 7643 §4.2: immutable
		r.fault("mutability")
		return
	case t.only != nil && op != "remove":
		r.fault("invalidPath") // choice: members are added as a whole
		return
	case t.only != nil:
		old = slices.DeleteFunc(slices.Clone(old), func(e any) bool { return t.only.holds(scope{element: r.typed(e)}) })
	case op == "add":
		old = union(old, r.memberList(raw))
	case op == "replace":
		old = union(nil, r.memberList(raw))
	case raw == nil || r.strict && canonical(raw) == "[]": // choice: where it has a value, that names who leaves
		old = nil
	case r.strict:
		r.fault("invalidSyntax") // choice: remove has no value (§3.5.2.2)
		return
	default:
		gone := r.memberList(raw)
		old = slices.DeleteFunc(slices.Clone(old), func(e any) bool {
			return slices.ContainsFunc(gone, func(g any) bool { return same(e, g) })
		})
	}
	if len(old) == 0 {
		old = nil
		set(doc, t.a, nil)
		return
	}
	set(doc, t.a, old)
}

// memberList reads [{"value": id}]; choice: also one of them, and bare ids.
func (r reader) memberList(raw any) []any {
	var out []any
	for _, e := range one(raw) {
		id, _ := e.(string)
		if m, ok := e.(map[string]any); ok {
			id, _ = m["value"].(string)
			in := r.m.member(id)
			if kind, _ := m["type"].(string); kind != "" && in != nil && !strings.EqualFold(kind, in.k.name) {
				r.fault("invalidValue") // choice: what is said of a member must be so
			}
		}
		if id == "" {
			r.fault("invalidValue")
			continue
		}
		out = append(out, map[string]any{"value": id})
	}
	return out
}

// typed is a member with its type, as filters see it.
func (r reader) typed(e any) any {
	out := clone(e.(map[string]any))
	if in := r.m.member(out["value"].(string)); in != nil {
		out["type"] = in.k.name
	}
	return out
}
