package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/access"
)

// Cond is a condition on users, groups, the elements of one of their attributes,
// or memberships, for EachUser and EachGroup. It is made by the functions here
// alone: its SQL is ours, and whatever a client sent is an argument. Comparing
// with something that is missing is false, and Not of it true. The zero Cond holds
// for everything.
type Cond struct {
	write func(*sentence)
	scan  bool // no index narrows it down: documents must be read
	few   bool // an index finds a handful
}

// Scans tells that no index narrows the condition down.
func (c Cond) Scans() bool { return c.scan }

// sentence is a WHERE clause while it is written.
type sentence struct {
	sql  strings.Builder
	args []any
	tx   *Tx
}

func (s *sentence) add(sql string, args ...any) {
	s.sql.WriteString(sql)
	s.args = append(s.args, args...)
}

func (s *sentence) postgres() bool { return s.tx.db.d == &postgres }

// groupScope narrows to the groups that the actor may see.
func (s *sentence) groupScope() {
	if s.tx.actor.Kind == access.Directory {
		s.add(" AND g.directory_id = ?", s.tx.actor.ID)
	}
}

func (s *sentence) cond(c Cond) {
	if c.write == nil {
		s.add("1 = 1")
		return
	}
	s.add("(")
	c.write(s)
	s.add(")")
}

// Nothing holds for no row.
func Nothing() Cond { return Cond{write: func(s *sentence) { s.add("1 = 0") }} }

// Everything holds for every row.
func Everything() Cond { return Cond{write: func(s *sentence) { s.add("1 = 1") }, scan: true} }

// And holds when both do. One of them with an index is enough for both.
func And(a, b Cond) Cond {
	return Cond{scan: a.scan && b.scan, few: a.few || b.few, write: func(s *sentence) { s.cond(a); s.add(" AND "); s.cond(b) }}
}

// Or holds when one of the two does.
func Or(a, b Cond) Cond {
	return Cond{scan: a.scan || b.scan, few: a.few && b.few, write: func(s *sentence) { s.cond(a); s.add(" OR "); s.cond(b) }}
}

// Not holds when c does not, also where c compares with something missing.
func Not(c Cond) Cond {
	return Cond{scan: true, write: func(s *sentence) { s.cond(c); s.add(" IS NOT TRUE") }}
}

// Column is a column that conditions may be about. Those named Key hold text
// folded by Fold, and are compared with such.
type Column int

// The columns.
const (
	UserIDColumn Column = iota
	UserNameKey
	UserExternalID
	UserCreated
	UserUpdated
	GroupIDColumn // also inside InGroup
	GroupNameKey  // also inside InGroup
	GroupExternalID
	GroupCreated
	GroupUpdated    // of the document or the members, whichever is later
	MemberUser      // inside HasMember
	MemberDisplay   // inside HasMember with names
	Subgroup        // inside HasMember
	SubgroupDisplay // inside HasMember with names
)

var columnNames = [...]string{"users.id", "users.user_name_key", "users.external_id", "users.created_at", "users.updated_at",
	"g.id", "g.name_key", "g.external_id", "g.created_at", "g.updated_at", "m.user_id", "users.display_name",
	"n.member_group_id", "k.name"}

// Text is something that a condition compares with text.
type Text struct {
	write   func(*sentence)
	id      bool // a uuid on PostgreSQL
	ordered bool // an indexed column in the order of its bytes
	anyCase bool
}

// Text is the column's text; ids are their 32 digits.
func (c Column) Text() Text {
	id := c == UserIDColumn || c == GroupIDColumn || c == MemberUser || c == Subgroup
	return Text{id: id, ordered: !id && c != MemberDisplay && c != SubgroupDisplay, write: func(s *sentence) { s.add(columnNames[c]) }}
}

// UserDoc is an attribute in a user's document; path is made of names in the schema.
func UserDoc(path ...string) Text { return inDoc("users.doc", path) }

// GroupDoc is an attribute in a group's document.
func GroupDoc(path ...string) Text { return inDoc("g.doc", path) }

// Element is a sub-attribute, inside UserElement.
func Element(name string) Text { return inDoc("e.value", []string{name}) }

// inDoc is the one place that reaches into JSON documents for a single value.
// Both databases have -> and ->> with a name on the right; SQLite takes one that
// begins with $ for a path, so it gets a path each time.
func inDoc(from string, path []string) Text {
	return Text{write: func(s *sentence) {
		s.add("(" + from)
		for i, name := range path {
			arrow := " -> "
			if i == len(path)-1 {
				arrow = " ->> "
			}
			if !s.postgres() {
				name = `$."` + name + `"`
			}
			s.add(arrow + quoted(name))
		}
		s.add(")")
	}}
}

func quoted(name string) string { return "'" + strings.ReplaceAll(name, "'", "''") + "'" }

// AnyCase compares without regard to case, as FoldLetters does. SQL folds ASCII;
// the other letters that the value has are replaced one by one.
func (t Text) AnyCase() Text {
	t.anyCase, t.ordered = true, false
	return t
}

func (t Text) expr(s *sentence, value string) {
	if t.id {
		s.add("replace(CAST(")
		t.write(s)
		s.add(" AS text), '-', '')")
		return
	}
	if !t.anyCase {
		t.write(s)
		return
	}
	pairs := variants(value)
	s.add(strings.Repeat("replace(", len(pairs)) + "lower(")
	t.write(s)
	if s.postgres() {
		s.add(` COLLATE "C"`) // ASCII only, as SQLite's
	}
	s.add(")")
	for _, p := range pairs {
		s.add(", ?, ?)", p[0], p[1])
	}
}

// Is compares for equality.
func (t Text) Is(value string) Cond {
	if t.id {
		if !isID(value) {
			return Nothing()
		}
		return Cond{few: true, write: func(s *sentence) { t.write(s); s.add(" = ?", value) }}
	}
	return Cond{scan: !t.ordered, few: t.ordered, write: func(s *sentence) { t.expr(s, value); s.add(" = ?", value) }}
}

// Contains, StartsWith and EndsWith look for a part. They do without LIKE, which
// knows wildcards and, on SQLite, no capitals.
func (t Text) Contains(value string) Cond {
	if value == "" {
		return t.exists()
	}
	return Cond{scan: true, write: func(s *sentence) {
		s.add("replace(")
		t.expr(s, value)
		s.add(", ?, '') <> ", value)
		t.expr(s, value)
	}}
}

// StartsWith on an indexed column is a range of the index.
func (t Text) StartsWith(value string) Cond {
	if value == "" {
		return t.exists()
	}
	if end, ok := after(value); t.ordered && ok {
		return Cond{write: func(s *sentence) {
			t.write(s)
			s.add(" >= ? AND ", value)
			t.write(s)
			s.add(" < ?", end)
		}}
	}
	return Cond{scan: true, write: func(s *sentence) {
		s.add("substr(")
		t.expr(s, value)
		s.add(", 1, ?) = ?", utf8.RuneCountInString(value), value)
	}}
}

// EndsWith: see Contains.
func (t Text) EndsWith(value string) Cond {
	if value == "" {
		return t.exists()
	}
	return Cond{scan: true, write: func(s *sentence) {
		s.add("substr(")
		t.expr(s, value)
		s.add(", length(")
		t.expr(s, value)
		s.add(") - ?) = ?", utf8.RuneCountInString(value)-1, value)
	}}
}

// after is the first text that comes after all those that start with s.
func after(s string) (string, bool) {
	runes := []rune(s)
	for i := len(runes) - 1; i >= 0; i-- {
		if r := runes[i] + 1; r <= unicode.MaxRune {
			if r == 0xD800 { // surrogates are no characters
				r = 0xE000
			}
			return string(append(runes[:i], r)), true
		}
	}
	return "", false
}

// Above holds for what sorts after value, or is equal when orEqual; the order is
// that of code points.
func (t Text) Above(value string, orEqual bool) Cond { return t.order(">", value, orEqual) }

// Below is the opposite of Above.
func (t Text) Below(value string, orEqual bool) Cond { return t.order("<", value, orEqual) }

func (t Text) order(sign, value string, orEqual bool) Cond {
	if orEqual {
		sign += "="
	}
	return Cond{scan: !t.ordered, write: func(s *sentence) {
		t.expr(s, "") // not the value's letters: order concerns all of them, so ASCII is folded and no more
		if s.postgres() {
			s.add(` COLLATE "C"`)
		}
		s.add(" "+sign+" ?", value)
	}}
}

// Present holds when there is a text that is not empty.
func (t Text) Present() Cond {
	if t.id {
		return t.exists()
	}
	return Cond{scan: true, write: func(s *sentence) { t.write(s); s.add(" <> ''") }}
}

func (t Text) exists() Cond {
	return Cond{scan: true, write: func(s *sentence) { t.write(s); s.add(" IS NOT NULL") }}
}

// True holds when a JSON boolean is true; Present tells whether there is one.
func (t Text) True() Cond {
	return Cond{scan: true, write: func(s *sentence) { t.write(s); s.truth() }}
}

// truth ends a test of a boolean that ->> has read: text on PostgreSQL, 1 on SQLite.
func (s *sentence) truth() {
	if s.postgres() {
		s.add(" = 'true'")
		return
	}
	s.add(" = 1")
}
