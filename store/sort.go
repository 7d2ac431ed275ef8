package store

import (
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
)

// Sort is an order of users or groups. Rows without a value come last, or first
// when Descending (RFC 7644 §3.4.2.3), and rows of one value are in the order of
// their ids, or in its reverse. It is made by the functions here alone. The zero
// Sort is the order of creation.
type Sort struct {
	Descending bool

	write  func(*sentence) // no arguments; nil: the id
	always bool            // every row has a value
	unique bool            // no two rows have the same
	number bool
	scan   bool // no index has this order
}

// Place is where a row stands in a list: its id, and what it is sorted by. The
// zero Place is before all rows.
type Place struct {
	ID      string
	Key     string // of a number its digits
	Missing bool   // there is no value
}

// sortedLetters is how much of a text from a document counts when sorting.
const sortedLetters = 200

// Scans tells that no index has the order.
func (by Sort) Scans() bool { return by.scan }

// Sort is the order of the column, folded if it is a key.
func (c Column) Sort() Sort {
	switch c {
	case UserIDColumn, GroupIDColumn:
		return Sort{}
	case GroupUpdated:
		return Sort{always: true, number: true, scan: true, write: func(s *sentence) {
			s.add(`COALESCE((SELECT MAX(x.changed_at) FROM group_epochs x WHERE x.org_id = g.org_id AND x.group_id = g.id AND x.changed_at > g.updated_at), g.updated_at)`)
		}}
	}
	number := c == UserCreated || c == UserUpdated || c == GroupCreated
	return Sort{always: number || c == UserNameKey || c == GroupNameKey, unique: c == UserNameKey, number: number, scan: number, write: func(s *sentence) { s.add(columnNames[c]) }}
}

// Sort is the order of code points of the first 200 characters; AnyCase folds
// ASCII alone, as in Above and Below.
func (t Text) Sort() Sort {
	return Sort{scan: true, write: func(s *sentence) {
		s.add("NULLIF(substr(")
		if t.anyCase {
			s.add("lower(")
		}
		t.write(s)
		if s.postgres() {
			s.add(` COLLATE "C"`)
		}
		if t.anyCase {
			s.add(")")
		}
		s.add(", 1, " + strconv.Itoa(sortedLetters) + "), '')")
	}}
}

// SortActive puts deactivated users before the others.
func SortActive() Sort {
	return Sort{always: true, number: true, scan: true, write: func(s *sentence) {
		s.add("CASE WHEN users.status = 'deactivated' THEN 0 ELSE 1 END")
	}}
}

// UserMain is a sub-attribute of the element that stands for a multi-valued
// attribute of the user's document: the primary one, else the first. Without a
// sub-attribute it is the first element itself.
func UserMain(sub string, path ...string) Text { return mainOf("users.doc", sub, path) }

// GroupMain is UserMain for groups.
func GroupMain(sub string, path ...string) Text { return mainOf("g.doc", sub, path) }

func mainOf(doc, sub string, path []string) Text {
	return Text{write: func(s *sentence) {
		s.add("(SELECT ")
		from := s.elements(doc, path, " WITH ORDINALITY")
		if sub == "" {
			TheElement().write(s)
			s.add(from + " ORDER BY e.key LIMIT 1)")
			return
		}
		Element(sub).write(s)
		s.add(from + " ORDER BY CASE WHEN ")
		Element("primary").write(s)
		s.truth()
		s.add(" THEN 0 ELSE 1 END, e.key LIMIT 1)")
	}}
}

// SortedUsers is EachUser in another order. each learns the place of each user.
func (tx *Tx) SortedUsers(q Query, by Sort, each func(User, Place) error) (total int, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return 0, err
	}
	l := tx.userList(q)
	row := l.userRow()
	if by.write != nil && !by.scan && q.Offset == 0 {
		// An index has the order, so rows are read in it, which spares looking them up
		// by their ids: four fifths of such a page.
		users := make([]User, 0, q.likely())
		return l.sorted(by, func(rows *sqlx.Rows, key *sql.NullString) (string, error) {
			u, err := row.scan(rows, key)
			users = append(users, u)
			return string(u.ID), err
		}, func(_ *sentence, places []Place) (int, error) {
			if err := l.groups(users, row); err != nil {
				return 0, err
			}
			for i, u := range users {
				if err := each(u, places[i]); err != nil {
					return i, err
				}
			}
			users = users[:0]
			return len(places), nil
		})
	}
	return l.sorted(by, nil, func(where *sentence, places []Place) (int, error) {
		users := make([]User, 0, len(places))
		err := l.fetch(where, places, func(rows *sqlx.Rows) error {
			u, err := row.scan(rows)
			users = append(users, u)
			return err
		})
		if err != nil {
			return 0, err
		}
		if err := l.groups(users, row); err != nil {
			return 0, err
		}
		found := make(map[string]User, len(users))
		for _, u := range users {
			found[string(u.ID)] = u
		}
		return handOver(places, found, each)
	})
}

// SortedGroups is EachGroup in another order. each learns the place of each group.
func (tx *Tx) SortedGroups(q Query, by Sort, each func(Group, Place) error) (total int, err error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return 0, err
	}
	l := tx.groupList(q)
	return l.sorted(by, nil, func(where *sentence, places []Place) (int, error) {
		var list []Group
		err := l.fetch(where, places, func(rows *sqlx.Rows) error {
			var g Group
			err := rows.StructScan(&g)
			list = append(list, g)
			return err
		})
		if err != nil {
			return 0, err
		}
		if err := tx.addEpochs(list); err != nil {
			return 0, err
		}
		found := make(map[string]Group, len(list))
		for _, g := range list {
			found[string(g.ID)] = g
		}
		return handOver(places, found, each)
	})
}

// handOver calls each in the order of places, and counts. What was deleted between
// the two statements is passed over.
func handOver[row any](places []Place, found map[string]row, each func(row, Place) error) (n int, _ error) {
	for _, p := range places {
		r, ok := found[p.ID]
		if !ok {
			continue
		}
		n++
		if err := each(r, p); err != nil {
			return n, err
		}
	}
	return n, nil
}

// fetch reads the rows of some places, if they still match.
func (l listing) fetch(where *sentence, places []Place, scan func(*sqlx.Rows) error) error {
	ids := make([]string, len(places))
	for i, p := range places {
		ids[i] = p.ID
	}
	return l.search(l.columns+l.table+where.sql.String()+" AND "+l.id+" {{in_ids}}", append(slices.Concat(l.first, where.args), jsonList(ids)), scan)
}

// sorted is run for a Sort: it reads the places of a chunk, then hands them to
// flush, which tells how many it could hand on. Places are narrow, so the databases
// sort little. With scan, the rows themselves are read: it tells a row's id, and
// reads what the row is sorted by, which stands behind its columns.
func (l listing) sorted(by Sort, scan func(*sqlx.Rows, *sql.NullString) (string, error), flush func(*sentence, []Place) (int, error)) (int, error) {
	where := l.sentence()
	if err := l.affordable(l.q.Where.scan || by.scan && l.q.Where.write == nil); err != nil {
		return 0, err
	}
	if by.scan {
		l.q.Where.scan = true // see search
	}
	w := walk{l: l, by: by, scan: scan, where: where, at: l.q.After, chunk: make([]Place, 0, min(listChunk, max(l.q.Limit, 0)))}
	w.start()
	read := 0
	for read < l.q.Limit {
		want := min(listChunk, l.q.Limit-read)
		if err := w.read(want); err != nil {
			return 0, err
		}
		if len(w.chunk) > 0 {
			n, err := flush(where, w.chunk)
			if err != nil {
				return 0, err
			}
			read += n
		}
		if !w.turn(len(w.chunk) < want) {
			break
		}
	}
	return l.total(where, read)
}

// walk goes through a sorted list. Rows with a value and rows without one are two
// stretches, each read behind its last row, which an index can serve; only the
// first chunk behind an offset is read across both.
type walk struct {
	l       listing
	by      Sort
	scan    func(*sqlx.Rows, *sql.NullString) (string, error) // see sorted
	where   *sentence
	at      Place
	stretch stretch
	chunk   []Place
}

type stretch int

const (
	whole stretch = iota
	present
	absent
)

func (w *walk) start() {
	switch {
	case w.by.write == nil || w.l.q.Offset > 0:
		w.stretch = whole
	case w.at != Place{}:
		w.stretch = stretchOf(w.at)
	case w.by.Descending && !w.by.always:
		w.stretch = absent
	default:
		w.stretch = present
	}
}

func stretchOf(p Place) stretch {
	if p.Missing {
		return absent
	}
	return present
}

// turn goes on behind the chunk and tells whether there is more; short says that
// the stretch has ended.
func (w *walk) turn(short bool) bool {
	first := present
	if w.by.Descending {
		first = absent
	}
	switch {
	case !short:
		w.at = w.chunk[len(w.chunk)-1]
		if w.by.write != nil {
			w.stretch = stretchOf(w.at)
		}
		return true
	case w.by.always || w.stretch != first:
		return false
	}
	w.at, w.stretch = Place{}, present+absent-first
	return true
}

// read fills the chunk with up to limit places.
func (w *walk) read(limit int) error {
	w.chunk = w.chunk[:0]
	query, args := w.statement(limit)
	return w.l.search(query, args, func(rows *sqlx.Rows) error {
		var key sql.NullString
		var id string
		var err error
		if w.scan != nil {
			id, err = w.scan(rows, &key)
		} else {
			var narrow UserID // any kind's
			err = rows.Scan(&narrow, &key)
			id = string(narrow)
		}
		w.chunk = append(w.chunk, Place{ID: id, Key: key.String, Missing: w.by.write != nil && !key.Valid})
		return err
	})
}

func (w *walk) statement(limit int) (string, []any) {
	id, key, way, sign := w.l.id, "NULL", "", " > "
	at := "?" // numbers have no index, so they are planned each time anyway
	if !w.by.number {
		at = w.l.hidden("{{hidden_text}}")
	}
	if w.by.write != nil {
		var s sentence
		s.tx = w.l.tx
		w.by.write(&s)
		key = s.sql.String()
	}
	if w.by.Descending {
		way, sign = " DESC", " < "
	}
	var s sentence
	columns := "SELECT " + id
	if w.scan != nil {
		columns = w.l.columns
		s.args = append(s.args, w.l.first...)
	}
	s.add(columns+", "+key+" AS sorted_by"+w.l.table+w.where.sql.String(), w.where.args...)
	order := w.hide(id) + way
	switch {
	case w.by.write == nil:
		if w.at.ID != "" {
			s.add(" AND "+id+sign+w.l.hidden("{{hidden_id}}"), w.at.ID)
		}
	case w.stretch == absent:
		s.add(" AND " + key + " IS NULL")
		if w.at.ID != "" {
			s.add(" AND "+id+sign+w.l.hidden("{{hidden_id}}"), w.at.ID)
		}
	default:
		if w.stretch == present && !w.by.always {
			s.add(" AND " + key + " IS NOT NULL")
		}
		switch {
		case w.at.ID == "":
		case w.by.unique:
			s.add(" AND "+key+sign+at, w.key())
		default:
			s.add(" AND ("+key+", "+id+")"+sign+"("+at+", "+w.l.hidden("{{hidden_id}}")+")", w.key(), w.at.ID)
		}
		nulls := " NULLS LAST"
		if w.by.Descending {
			nulls = " NULLS FIRST"
		}
		if w.stretch == present || w.by.always {
			nulls = ""
		}
		order = w.hide(key) + way + nulls
		if !w.by.unique {
			order += ", " + id + way
		}
	}
	s.add(" ORDER BY "+order+" LIMIT "+w.l.hidden("{{hidden_int}}"), limit)
	if w.l.q.Offset > 0 && w.at.ID == "" && w.stretch == whole {
		s.add(" OFFSET ?", w.l.q.Offset)
	}
	return s.sql.String(), s.args
}

// hide keeps SQLite from walking an order when a condition finds a handful: see page.
func (w *walk) hide(expr string) string {
	if w.l.q.Where.few && w.l.tx.db.d != &postgres {
		return "+" + expr
	}
	return expr
}

func (w *walk) key() any {
	if !w.by.number {
		return w.at.Key
	}
	if w.l.tx.db.d == &postgres {
		return w.at.Key // it came from there, and takes it as it is
	}
	return nativeNumber(w.at.Key)
}

// jsonPath is a path into a document, of names in the schema.
func jsonPath(path []string) string {
	where := "$"
	for _, name := range path {
		where += `."` + strings.ReplaceAll(name, "'", "''") + `"`
	}
	return where
}
