package store

import "slices"

// Conditions about more than one value: times, elements of documents, and rows of
// other tables.

// Between holds for times from inclusive to exclusive; 0 leaves an end open. On
// GroupUpdated it looks at the members' changes too.
func (c Column) Between(from, to Time) Cond {
	lower := func(t Time) Cond {
		if c == GroupUpdated {
			return Cond{scan: true, write: func(s *sentence) {
				s.add("g.updated_at >= ? OR g.id IN (SELECT x.group_id FROM group_epochs x WHERE x.org_id = ? AND x.changed_at >= ?)", t, s.tx.Org(), t)
			}}
		}
		return Cond{scan: true, write: func(s *sentence) { s.add(columnNames[c]+" >= ?", t) }}
	}
	out := Everything()
	if from != 0 {
		out = And(out, lower(from))
	}
	if to != 0 {
		out = And(out, Not(lower(to)))
	}
	return out
}

// Suspended holds for deactivated users.
func Suspended() Cond {
	return Cond{scan: true, write: func(s *sentence) { s.add("users.status = 'deactivated'") }}
}

// HasUserDoc holds when a user's document has a name.
func HasUserDoc(path ...string) Cond { return UserDoc(path...).exists() }

// UserElement holds when within does for one element of a multi-valued attribute
// of the user's document. Taking documents apart needs different functions on the
// two databases; this is the one place for it.
func UserElement(within Cond, path ...string) Cond {
	where := jsonPath(path)
	return Cond{scan: true, write: func(s *sentence) {
		if s.postgres() {
			s.add("EXISTS (SELECT 1 FROM jsonb_path_query(users.doc, '" + where + "[*]') AS e(value) WHERE ")
		} else {
			s.add("EXISTS (SELECT 1 FROM json_each(users.doc, '" + where + "') AS e WHERE ")
		}
		s.cond(within)
		s.add(")")
	}}
}

// HasValue holds when an indexed attribute (emails, phoneNumbers) has an element
// of this value; the value is compared as Fold does, which is coarser than
// AnyCase. It is for narrowing down with an index what UserElement then looks at.
func HasValue(attr, value string) Cond {
	return Cond{few: true, write: func(s *sentence) {
		s.add("users.id IN (SELECT v.user_id FROM user_values v WHERE v.org_id = ? AND v.attr = ? AND v.value_key = ?)", s.tx.Org(), attr, Fold(value))
	}}
}

// HasIndexedValues tells whether HasValue knows an attribute.
func HasIndexedValues(attr string) bool { return slices.Contains(indexedValues, attr) }

// InGroup holds for users who are in a group for which within holds. The actor
// must be able to see the group.
func InGroup(within Cond) Cond {
	return Cond{scan: within.scan, write: func(s *sentence) {
		s.add("users.id IN (SELECT m.user_id FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id WHERE m.org_id = ?", s.tx.Org())
		s.groupScope()
		s.add(" AND ")
		s.cond(within)
		s.add(")")
	}}
}

// HasMember holds for groups with a member for whom within holds. names must be
// set when within looks at MemberDisplay.
func HasMember(within Cond, names bool) Cond {
	from := "g.id IN (SELECT m.group_id FROM members m WHERE m.org_id = ? AND "
	if names {
		from = "g.id IN (SELECT m.group_id FROM members m JOIN users ON users.org_id = m.org_id AND users.id = m.user_id WHERE m.org_id = ? AND "
	}
	return Cond{scan: within.scan, few: within.few, write: func(s *sentence) {
		s.add(from, s.tx.Org())
		s.cond(within)
		s.add(")")
	}}
}
