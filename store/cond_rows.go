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

// Exists holds when there is something, also an object or a list.
func (t Text) Exists() Cond { return t.exists() }

// UserElement holds when within does for one element of a multi-valued attribute
// of the user's document.
func UserElement(within Cond, path ...string) Cond { return elementOf("users.doc", within, path) }

// HasValue holds when an indexed attribute (emails, phoneNumbers) has an element
// of this value; the value is compared as Fold does, which is coarser than
// AnyCase. It is for narrowing down with an index what UserElement then looks at.
func HasValue(attr, value string) Cond {
	return Cond{few: true, write: func(s *sentence) {
		const row = "SELECT v.user_id FROM user_values v WHERE v.org_id = ? AND v.attr = ? AND v.value_key = ?"
		s.add("users.id IN ("+row, s.tx.Org(), attr, Fold(value))
		switch number := backwards(value); { // see Profile.finds
		case attr == "emails":
			s.add(" UNION ALL SELECT o.id FROM users o WHERE o.org_id = ? AND o.email_key = ? AND o.deleted_at = 0", s.tx.Org(), Fold(value))
		case attr == "phoneNumbers" && number != "":
			s.add(" UNION ALL SELECT o.id FROM users o WHERE o.org_id = ? AND o.phone_key = ? AND o.deleted_at = 0", s.tx.Org(), number)
			s.add(" UNION ALL "+row, s.tx.Org(), wordAttr, number) // of a version before, see values_build.go
		}
		s.add(")")
	}}
}

// HasIndexedValues tells whether HasValue knows an attribute.
func HasIndexedValues(attr string) bool { return slices.Contains(indexedValues, attr) }

// InGroup holds for users who are in a group for which direct holds, or who belong
// to one for which indirect does by another group in it, without being a member of
// it themselves. The actor must be able to see the group.
func InGroup(direct, indirect Cond) Cond {
	return Cond{scan: direct.scan || indirect.scan, write: func(s *sentence) {
		s.add("users.id IN (SELECT m.user_id FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id WHERE m.org_id = ?", s.tx.Org())
		s.groupScope()
		s.add(" AND ")
		s.cond(direct)
		// One IN over both: an OR of two would have the databases look at everybody.
		s.add(` UNION ALL SELECT m.user_id FROM (WITH RECURSIVE below(top, id) AS (
			SELECT n.group_id, n.member_group_id FROM subgroups n JOIN groups g ON g.org_id = n.org_id AND g.id = n.group_id WHERE n.org_id = ?`, s.tx.Org())
		s.groupScope()
		s.add(" AND ")
		s.cond(indirect)
		s.add(` UNION SELECT below.top, n.member_group_id FROM below JOIN subgroups n ON n.org_id = ? AND n.group_id = below.id)
			SELECT top, id FROM below) AS b JOIN members m ON m.org_id = ? AND m.group_id = b.id
			WHERE NOT EXISTS (SELECT 1 FROM members d WHERE d.org_id = m.org_id AND d.group_id = b.top AND d.user_id = m.user_id))`, s.tx.Org(), s.tx.Org())
	}}
}

// HasMember holds for groups with a person in them for whom user holds, or with a
// group in them for which group does. names must be set when user looks at
// MemberDisplay, or group at SubgroupDisplay.
func HasMember(user, group Cond, names bool) Cond {
	users, groups := "members m", "subgroups n"
	if names {
		users += " JOIN users ON users.org_id = m.org_id AND users.id = m.user_id"
		groups += " JOIN groups k ON k.org_id = n.org_id AND k.id = n.member_group_id"
	}
	return Cond{scan: user.scan || group.scan, few: user.few && group.few, write: func(s *sentence) {
		s.add("g.id IN (SELECT m.group_id FROM "+users+" WHERE m.org_id = ? AND ", s.tx.Org())
		s.cond(user)
		s.add(" UNION ALL SELECT n.group_id FROM "+groups+" WHERE n.org_id = ? AND ", s.tx.Org())
		s.cond(group)
		s.add(")")
	}}
}
