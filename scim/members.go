package scim

import (
	"slices"
	"strings"

	"github.com/elimity-com/scim"
	filter "github.com/scim2/filter-parser/v2"

	"github.com/muster-id/muster/store"
)

// memberChange folds the member operations of one PATCH, in their order, into a
// set difference. It needs no knowledge of who is a member, so its cost depends
// on the request and never on the group.
type memberChange struct {
	replaced bool       // the old members do not stay
	of       store.Kind // replaced: those of this kind alone; empty: of both
	order    []store.UserID
	in       map[store.UserID]bool // true: shall be a member, false: shall not
	said     map[store.UserID]store.Kind
}

func (m *memberChange) mark(id store.UserID, kind store.Kind, in bool) {
	if m.in == nil {
		m.in = map[store.UserID]bool{}
	}
	if _, seen := m.in[id]; !seen {
		m.order = append(m.order, id)
	}
	m.in[id] = in
	if m.said == nil && kind != "" {
		m.said = map[store.UserID]store.Kind{}
	}
	if m.said != nil {
		m.said[id] = kind
	}
}

func (m *memberChange) clear() { *m = memberChange{replaced: true} }

// clearKind takes out all users, or all groups.
func (m *memberChange) clearKind(kind store.Kind, path string) error {
	for _, id := range m.list(true) {
		switch m.said[id] {
		case kind:
			m.mark(id, kind, false)
		case "":
			return untyped(path)
		}
	}
	switch {
	case !m.replaced:
		m.replaced, m.of = true, kind
	case m.of != kind:
		m.of = ""
	}
	return nil
}

func (m *memberChange) saysGroup() bool {
	return slices.ContainsFunc(m.order, func(id store.UserID) bool { return m.said[id] == store.KindGroup })
}

// list gives the marked ids that shall (not) be members, in the order of the request.
func (m *memberChange) list(in bool) []store.UserID {
	out := []store.UserID{}
	for _, id := range m.order {
		if m.in[id] == in {
			out = append(out, id)
		}
	}
	return out
}

// into writes the difference into a store change.
func (m *memberChange) into(c *store.GroupChange) {
	c.Said = m.said
	if m.replaced {
		all := m.list(true)
		c.Replace, c.Of = &all, m.of
		if m.of != "" {
			c.Remove = m.list(false)
		}
		return
	}
	c.Add, c.Remove = m.list(true), m.list(false)
}

// compile takes one operation on members.
func (m *memberChange) compile(n normalizer, op scim.PatchOperation, path string) error {
	if op.Path.SubAttribute != nil || op.Path.AttributePath.SubAttribute != nil {
		return mutability("%s cannot be changed: add and remove members instead.", path)
	}
	if e := op.Path.ValueExpression; e != nil {
		if op.Op != scim.PatchOperationRemove {
			return invalidPath("%s: members are added without a filter.", path)
		}
		return m.removeMatching(e, path)
	}
	switch op.Op {
	case scim.PatchOperationAdd:
		list, err := readMembers(n, op.Value)
		m.include(list)
		return err
	case scim.PatchOperationReplace:
		list, err := readMembers(n, op.Value)
		if err != nil {
			return err
		}
		if !n.q.MembersReplaceIsAdd || len(list.ids) == 0 {
			m.clear()
		}
		m.include(list)
		return nil
	}
	list, isList := op.Value.([]any)
	if op.Value == nil || isList && len(list) == 0 && !n.q.RemoveWithValueArray { // else an empty list names nobody
		m.clear()
		return nil
	}
	if !n.q.RemoveWithValueArray {
		return invalidSyntax(`remove takes no value. Choose members with a filter: members[value eq "..."].`)
	}
	values, err := memberValues(n, op.Value)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := m.exclude(v.id, v.kind, path); err != nil {
			return err
		}
	}
	return nil
}

func (m *memberChange) include(list memberList) {
	for _, id := range list.ids {
		m.mark(id, list.said[id], true)
	}
}

// exclude marks a value as no member, if it is of the kind. One that is no id of
// ours is none anyway.
func (m *memberChange) exclude(value string, kind store.Kind, path string) error {
	id, err := store.ParseID[store.User](value)
	switch {
	case err != nil, m.replaced && m.of == "" && !m.in[id]:
		return nil
	case kind != "" && m.in[id] && m.said[id] == "":
		return untyped(path)
	case kind != "" && m.in[id] && m.said[id] != kind:
		return nil // not the one that was added
	}
	m.mark(id, kind, false)
	return nil
}

// untyped: whether the operation is about a member depends on what that is, which
// shows only when members are looked up.
func untyped(path string) error {
	return refuse("invalidFilter", "%s: what is removed by its type was added before it in the same request, without a type. Send the type, or two requests.", path)
}

// removeMatching takes value eq "a", type eq "Group", both joined by and, and
// several such joined by or. Other filters would have to read the members.
func (m *memberChange) removeMatching(e filter.Expression, path string) error {
	if e, ok := e.(*filter.LogicalExpression); ok && e.Operator == filter.OR {
		if err := m.removeMatching(e.Left, path); err != nil {
			return err
		}
		return m.removeMatching(e.Right, path)
	}
	value, kind, ok := chosen(e)
	switch {
	case !ok:
		return refuse("invalidFilter", `%s: members are chosen by value eq "...", type eq "User" or type eq "Group", and, or.`, path)
	case value == nil:
		return m.clearKind(kind, path)
	}
	return m.exclude(*value, kind, path)
}

// chosen reads one term of such a filter. value is nil when all of a kind are meant.
func chosen(e filter.Expression) (value *string, kind store.Kind, ok bool) {
	switch e := e.(type) {
	case *filter.LogicalExpression:
		value, kind, ok = chosen(e.Left)
		v, k, also := chosen(e.Right)
		if !ok || !also || e.Operator != filter.AND || value != nil && v != nil || kind != "" && k != "" {
			return nil, "", false
		}
		if v != nil {
			value = v
		}
		return value, kind + k, true
	case *filter.AttributeExpression:
		text, isText := e.CompareValue.(string)
		if !isText || !strings.EqualFold(string(e.Operator), string(filter.EQ)) || e.AttributePath.SubAttribute != nil {
			return nil, "", false
		}
		switch strings.ToLower(e.AttributePath.AttributeName) {
		case "value":
			return &text, "", true
		case "type":
			kind = kindOf(text)
			return nil, kind, kind != ""
		}
	}
	return nil, "", false
}

// kindOf reads a member's type in any case; empty: no such type.
func kindOf(text string) store.Kind {
	for _, kind := range []store.Kind{store.KindUser, store.KindGroup} {
		if strings.EqualFold(text, string(kind)) {
			return kind
		}
	}
	return ""
}

// memberList is what a client wants in a group.
type memberList struct {
	ids  []store.UserID
	said map[store.UserID]store.Kind // what it takes them for, as far as it said so
}

// readMembers reads member values of which each must be an id that could be a
// user's or a group's.
func readMembers(n normalizer, raw any) (list memberList, err error) {
	values, err := memberValues(n, raw)
	if err != nil {
		return list, err
	}
	list.ids = make([]store.UserID, 0, len(values))
	var unknown []string
	for _, v := range values {
		id, err := store.ParseID[store.User](v.id)
		if err != nil {
			unknown = append(unknown, v.id)
			continue
		}
		list.ids = append(list.ids, id)
		if v.kind != "" {
			if list.said == nil {
				list.said = make(map[store.UserID]store.Kind, len(values))
			}
			list.said[id] = v.kind
		}
	}
	if len(unknown) > 0 && !n.q.IgnoreUnknownMembers {
		return list, unknownMembers(unknown)
	}
	return list, nil
}

// unknownMembers names the ids, the first few of many.
func unknownMembers(ids []string) error {
	const some = 10
	all := ids
	ids = ids[:min(len(ids), some)]
	for i, id := range ids {
		ids[i] = show(id)
	}
	named := strings.Join(ids, ", ")
	if len(all) > some {
		return invalidValue("members: this directory has no user or group %s and others. Create the members first.", named)
	}
	return invalidValue("members: this directory has no user or group %s. Create the members first.", named)
}

// member is one value as it was sent.
type member struct {
	id   string
	kind store.Kind
}

// memberValues reads [{"value": id}], one such object, or bare ids, which older
// Microsoft libraries and its validator send.
func memberValues(n normalizer, raw any) ([]member, error) {
	list, ok := raw.([]any)
	if !ok {
		if raw == nil {
			return nil, nil
		}
		list = []any{raw}
	}
	out := make([]member, 0, len(list))
	for _, e := range list {
		v, err := memberValue(n, e)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// memberValue takes the type from "type", or from the URI of the member. Other types
// than those two say nothing, except in strict.
func memberValue(n normalizer, e any) (m member, err error) {
	switch e := e.(type) {
	case string:
		m.id = e
	case map[string]any:
		_, v := anyCase(e, "value")
		m.id, _ = v.(string)
		_, kind := anyCase(e, "type")
		_, ref := anyCase(e, "$ref")
		uri, _ := ref.(string)
		switch text, _ := kind.(string); {
		case text != "":
			if m.kind = kindOf(text); m.kind == "" && n.q.Strict {
				return m, invalidValue("members: the type is %s; it can be User or Group, or be left out.", show(text))
			}
		case strings.Contains(uri, "/Groups/"):
			m.kind = store.KindGroup
		case strings.Contains(uri, "/Users/"):
			m.kind = store.KindUser
		}
	}
	if m.id == "" {
		err = invalidValue(`members: %s has no "value" with the id of a user or group.`, show(e))
	}
	return m, err
}
