package scim

import (
	"strings"

	"github.com/elimity-com/scim"
	filter "github.com/scim2/filter-parser/v2"

	"github.com/muster-id/muster/store"
)

// memberChange folds the member operations of one PATCH, in their order, into a
// set difference. It needs no knowledge of who is a member, so its cost depends
// on the request and never on the group.
type memberChange struct {
	replaced bool // the old members do not stay
	order    []store.UserID
	in       map[store.UserID]bool // true: shall be a member, false: shall not
}

func (m *memberChange) mark(id store.UserID, in bool) {
	if m.in == nil {
		m.in = map[store.UserID]bool{}
	}
	if _, seen := m.in[id]; !seen {
		m.order = append(m.order, id)
	}
	m.in[id] = in
}

func (m *memberChange) clear() { *m = memberChange{replaced: true} }

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
	if m.replaced {
		all := m.list(true)
		c.Replace = &all
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
		return m.include(n, op.Value)
	case scim.PatchOperationReplace:
		ids, err := memberIDs(n, op.Value)
		if err != nil {
			return err
		}
		if !n.q.MembersReplaceIsAdd || len(ids) == 0 {
			m.clear()
		}
		for _, id := range ids {
			m.mark(id, true)
		}
		return nil
	}
	if list, ok := op.Value.([]any); op.Value == nil || ok && len(list) == 0 {
		m.clear()
		return nil
	}
	if !n.q.RemoveWithValueArray {
		return invalidSyntax(`remove takes no value. Choose members with a filter: members[value eq "..."].`)
	}
	values, err := memberValues(op.Value)
	if err != nil {
		return err
	}
	for _, v := range values {
		m.exclude(v)
	}
	return nil
}

func (m *memberChange) include(n normalizer, raw any) error {
	ids, err := memberIDs(n, raw)
	for _, id := range ids {
		m.mark(id, true)
	}
	return err
}

// exclude marks a value as no member. One that is no id of ours is none anyway.
func (m *memberChange) exclude(value string) {
	id, err := store.ParseID[store.User](value)
	switch {
	case err != nil:
	case m.replaced && !m.in[id]:
	default:
		m.mark(id, false)
	}
}

// removeMatching takes members[value eq "a" or value eq "b"]. Other filters would
// have to read the members.
func (m *memberChange) removeMatching(e filter.Expression, path string) error {
	switch e := e.(type) {
	case *filter.LogicalExpression:
		if e.Operator == filter.OR {
			if err := m.removeMatching(e.Left, path); err != nil {
				return err
			}
			return m.removeMatching(e.Right, path)
		}
	case *filter.AttributeExpression:
		v, ok := e.CompareValue.(string)
		if ok && strings.EqualFold(e.AttributePath.AttributeName, "value") && strings.EqualFold(string(e.Operator), string(filter.EQ)) {
			m.exclude(v)
			return nil
		}
	}
	return refuse("invalidFilter", `%s: members are chosen by value eq "..." and or.`, path)
}

// memberIDs reads member values of which each must be an id that could be a user's.
func memberIDs(n normalizer, raw any) ([]store.UserID, error) {
	values, err := memberValues(raw)
	if err != nil {
		return nil, err
	}
	ids := make([]store.UserID, 0, len(values))
	var unknown []string
	for _, v := range values {
		id, err := store.ParseID[store.User](v)
		if err != nil {
			unknown = append(unknown, v)
			continue
		}
		ids = append(ids, id)
	}
	if len(unknown) > 0 && !n.q.IgnoreUnknownMembers {
		return nil, unknownMembers(unknown)
	}
	return ids, nil
}

// unknownMembers names the ids, the first few of many.
func unknownMembers(ids []string) error {
	const some = 10
	more := ""
	if len(ids) > some {
		ids, more = ids[:some], " and others"
	}
	for i, id := range ids {
		ids[i] = show(id)
	}
	return invalidValue("members: this directory has no user %s%s. Create the users first.", strings.Join(ids, ", "), more)
}

// memberValues reads [{"value": id}], one such object, or bare ids, which older
// Microsoft libraries and its validator send.
func memberValues(raw any) ([]string, error) {
	list, ok := raw.([]any)
	if !ok {
		if raw == nil {
			return nil, nil
		}
		list = []any{raw}
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		v, err := memberValue(e)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func memberValue(e any) (string, error) {
	switch e := e.(type) {
	case string:
		if e != "" {
			return e, nil
		}
	case map[string]any:
		_, kind := anyCase(e, "type")
		_, ref := anyCase(e, "$ref")
		if s, _ := kind.(string); strings.EqualFold(s, "Group") {
			return "", nested()
		}
		if s, _ := ref.(string); strings.Contains(s, "/Groups/") {
			return "", nested()
		}
		_, v := anyCase(e, "value")
		if s, ok := v.(string); ok && s != "" {
			return s, nil
		}
	}
	return "", invalidValue(`members: %s has no "value" with the id of a user.`, show(e))
}

func nested() error {
	return invalidValue("members: a group cannot be a member of a group here. Push the group's users as members.")
}
