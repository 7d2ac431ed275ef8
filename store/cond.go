package store

import (
	"iter"
	"slices"
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
	GroupUpdated  // of the document or the members, whichever is later
	MemberUser    // inside HasMember
	MemberDisplay // inside HasMember with names
)

var columnNames = [...]string{"users.id", "users.user_name_key", "users.external_id", "users.created_at", "users.updated_at",
	"g.id", "g.name_key", "g.external_id", "g.created_at", "g.updated_at", "m.user_id", "users.display_name"}

// Text is something that a condition compares with text.
type Text struct {
	write   func(*sentence)
	id      bool // a uuid on PostgreSQL
	ordered bool // an indexed column in the order of its bytes
	anyCase bool
}

// Text is the column's text; ids are their 32 digits.
func (c Column) Text() Text {
	id := c == UserIDColumn || c == GroupIDColumn || c == MemberUser
	return Text{id: id, ordered: !id && c != MemberDisplay, write: func(s *sentence) { s.add(columnNames[c]) }}
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
	where := "$"
	for _, name := range path {
		where += `."` + strings.ReplaceAll(name, "'", "''") + `"`
	}
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

// FoldLetters is the folding of texts that have no key column: each letter by
// itself (Unicode simple folding), so that SQL can do the same for the letters of
// one value. ASCII letters fold among themselves only.
func FoldLetters(s string) string { return strings.Map(foldLetter, s) }

func foldLetter(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for f := range others(r) {
		least = min(least, f)
	}
	return least
}

// others are the non-ASCII letters that differ from r in case only. Cherokee is
// left out: Fold gives its two cases different keys (golang.org/x/text/cases
// swaps them), and this must never be coarser.
func others(r rune) iter.Seq[rune] {
	return func(yield func(rune) bool) {
		if unicode.Is(unicode.Cherokee, r) {
			return
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if f >= utf8.RuneSelf && !yield(f) {
				return
			}
		}
	}
}

// variants are the letters that fold to the non-ASCII letters of a value, each
// with what it folds to.
func variants(folded string) (pairs [][2]string) {
	seen := map[rune]bool{}
	for _, r := range folded {
		if r < utf8.RuneSelf || seen[r] {
			continue
		}
		seen[r] = true
		for f := range others(r) {
			pairs = append(pairs, [2]string{string(f), string(r)})
		}
	}
	return pairs
}

// MaxLetters bounds how many variants of letters one AnyCase comparison may ask for.
const MaxLetters = 100

// Letters counts the variants of a value's non-ASCII letters.
func Letters(value string) int { return len(variants(FoldLetters(value))) }
