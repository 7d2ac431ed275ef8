package store

import (
	"encoding/json"
	"strconv"
)

// Conditions that only an organization's own attributes need: numbers, times, lists of
// simple values, and the rows of extra_values.

// GroupElement is UserElement for groups.
func GroupElement(within Cond, path ...string) Cond { return elementOf("g.doc", within, path) }

// elementOf takes documents apart, which needs different functions on the two
// databases; this is the one place for it.
func elementOf(doc string, within Cond, path []string) Cond {
	return Cond{scan: true, write: func(s *sentence) {
		s.add("EXISTS (SELECT 1" + s.elements(doc, path, "") + " WHERE ")
		s.cond(within)
		s.add(")")
	}}
}

// elements is the FROM of the elements of a list in a document, in PostgreSQL with
// their order as key when ordered says how.
func (s *sentence) elements(doc string, path []string, ordered string) string {
	if s.postgres() {
		return " FROM jsonb_path_query(" + doc + ", '" + jsonPath(path) + "[*]')" + ordered + " AS e(value" + map[bool]string{true: ", key"}[ordered != ""] + ")"
	}
	return " FROM json_each(" + doc + ", '" + jsonPath(path) + "') AS e"
}

// TheElement is the element itself of a list of simple values, inside UserElement or
// GroupElement.
func TheElement() Text {
	return Text{write: func(s *sentence) {
		if s.postgres() {
			s.add("(e.value #>> '{}')")
			return
		}
		s.add("e.value")
	}}
}

// Instant is a time in a document, as scim writes it: in UTC, with a Z behind it and
// no zeros at the end of a fraction. Without the Z such texts are in the order of time.
func (t Text) Instant() Text {
	return Text{write: func(s *sentence) { s.add("replace("); t.write(s); s.add(", 'Z', '')") }}
}

// number is the text as a number, NULL where it is none.
func (t Text) number(s *sentence) {
	if !s.postgres() { // ->> has kept the type
		s.add("CASE WHEN typeof(")
		t.write(s)
		s.add(") IN ('integer', 'real') THEN ")
		t.write(s)
		s.add(" END")
		return
	}
	s.add("CASE WHEN ")
	t.write(s)
	s.add(" ~ '^-{0,1}[0-9]+([.][0-9]+){0,1}([eE][-+]{0,1}[0-9]{1,3}){0,1}$' THEN CAST(")
	t.write(s)
	s.add(" AS numeric) END")
}

// Number compares a number in a document; sign is =, <, <=, > or >=.
func (t Text) Number(sign string, n json.Number) Cond {
	switch sign {
	case "=", "<", "<=", ">", ">=":
	default:
		return Nothing()
	}
	return Cond{scan: true, write: func(s *sentence) {
		t.number(s)
		if s.postgres() {
			s.add(" "+sign+" CAST(CAST(? AS text) AS numeric)", n.String())
			return
		}
		s.add(" "+sign+" ?", nativeNumber(n.String()))
	}}
}

func nativeNumber(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range: infinite, which is right for comparing
	return f
}

// SortNumber is the order of numbers in documents.
func (t Text) SortNumber() Sort {
	return Sort{scan: true, number: true, write: func(s *sentence) { s.add("("); t.number(s); s.add(")") }}
}

// SortFlag puts false before true.
func (t Text) SortFlag() Sort {
	return Sort{scan: true, number: true, write: func(s *sentence) {
		s.add("(CASE WHEN ")
		t.write(s)
		s.truth()
		s.add(" THEN 1 WHEN ")
		t.write(s)
		s.add(" IS NOT NULL THEN 0 END)")
	}}
}

// HasExtra holds when a user, or with groups a group, has a row for attr whose key lies
// between from and to, both inclusive; see IndexKey. It is for narrowing down with an
// index what is then looked at in the documents: a key is cut when it is long.
func HasExtra(groups bool, attr, from, to string) Cond {
	id := "users.id"
	if groups {
		id = "g.id"
	}
	from, to = clip(from, maxKey), clip(to, maxKey)
	return Cond{few: from == to, write: func(s *sentence) {
		s.add(id+" IN (SELECT v.owner_id FROM extra_values v WHERE v.org_id = ? AND v.attr = ? AND ", s.tx.Org(), attr)
		switch {
		case from == to:
			s.add("v.value_key = ?)", from)
		case to == "":
			s.add("v.value_key >= ?)", from)
		default:
			s.add("v.value_key >= ? AND v.value_key <= ?)", from, to)
		}
	}}
}

// AfterPrefix is a key behind all that begin with prefix; empty: there is none.
func AfterPrefix(prefix string) string {
	end, _ := after(clip(prefix, maxKey))
	return end
}
