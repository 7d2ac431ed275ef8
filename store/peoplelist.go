package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// How a page of people is found, and how many there are, in a time that does not grow
// much with the organization, whatever is asked for.
//
//   - What names people itself, a word or a team, is counted first, each alone. When there
//     are few of them, they are met with the others and read from roster, all of them once.
//   - Then roster is read as far as few match: they are counted and sorted in the same
//     statement. Whoever is behind that is not counted: the list says "more than".
//   - When very many match, the page is looked for along the order, in the next people
//     that there are; only when too few of these match, everybody is looked at, see
//     peoplepage.go. Thousands whom one word finds are in between, see peoplewide.go.

// counted is up to how many people are counted and sorted exactly.
type counted int

const fewFound counted = 10_000

// some is in how many of very many people those are counted whom several conditions leave.
func (c counted) some() int { return int(c) * 3 / 10 }

// near is in how many people along the order a page is looked for first.
func (c counted) near() int { return c.some() / 2 }

// lookedUp ends a condition on who is looked up in an index. Of some people alone this is
// quicker on PostgreSQL than the list of all in the index, which it prefers: lists of
// everybody go without, see ofAll.
const lookedUp = "{{looked_up}}"

// condition is one on the row r of roster.
type condition struct {
	text string
	args []any
	span string // the column that it is a span of
}

// peopleList is a query for people on its way.
type peopleList struct {
	tx   *Tx
	most int // who are counted
	q    PeopleQuery
	sort peopleSort
	down bool

	all    bool        // nobody is left out but the deleted
	bare   bool        // not by columns of roster, at least
	here   []condition // on columns of roster
	few    *part       // whom it can be, who are few; nil: everybody
	many   []condition // by what another table says, of very many
	common []asked     // words that find very many
	least  int         // who are surely found by one of both, of those who are counted
	wide   *wide       // a word that alone gives few, when these are rather many

	total   int
	atLeast bool // there are more than total
}

func (tx *Tx) peopleList(q PeopleQuery) (*peopleList, error) {
	l := &peopleList{tx: tx, most: int(tx.db.counted), q: q}
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	var err error
	if l.sort, l.down, err = orderOf(q.Sort); err != nil {
		return nil, err
	}
	l.columns()
	l.bare = len(l.here) == 0 && tx.actor.Kind != access.Directory
	if len(q.Status) == 0 {
		l.and("NOT r.status = 'deleted'")
	}
	if tx.actor.Kind == access.Directory { // as visible has it
		l.and("(r.directory_id = ? OR r.directory_id IS NULL) AND NOT r.break_glass", tx.actor.ID)
	}
	if q.Role == DefaultRole {
		l.many = append(l.many, l.withRole(q.Role))
	} else if q.Role != "" {
		err = l.among(PeopleSet{IDs: "SELECT DISTINCT g.user_id AS id FROM user_roles g WHERE g.org_id = ? AND g.role = ?", Args: []any{tx.Org(), q.Role}, ByID: true})
	}
	if err == nil && q.Team != "" {
		err = l.among(PeopleSet{IDs: "SELECT m.user_id AS id FROM members m WHERE m.org_id = ? AND m.group_id = ?", Args: []any{tx.Org(), q.Team}, ByID: true})
	}
	if err == nil && q.License != "" {
		err = l.licensed(q.License)
	}
	for _, set := range q.Sets {
		if err == nil {
			err = l.among(set)
		}
	}
	if err == nil {
		err = l.search()
	}
	l.all = l.bare && l.few == nil && !l.costly()
	return l, err
}

func (l *peopleList) and(text string, args ...any) {
	l.here = append(l.here, condition{text: text, args: args})
}

// columns are the filters that roster itself answers.
func (l *peopleList) columns() {
	q := l.q
	// One argument each, as they are few: a list made of JSON is looked up row by row.
	if n := len(q.Status); n > 0 {
		l.and("r.status IN (?"+strings.Repeat(", ?", n-1)+")", anyOf(q.Status)...)
		if !slices.Contains(q.Status, Active) {
			l.and("r.status <> 'active'") // as the index has it
		}
	}
	if n := len(q.Source); n > 0 {
		l.and("r.source IN (?"+strings.Repeat(", ?", n-1)+")", anyOf(q.Source)...)
	}
	if len(q.Directory) > 0 {
		some := slices.DeleteFunc(slices.Clone(q.Directory), func(d DirectoryID) bool { return d == "" })
		text := "r.directory_id IN ({{ids}})"
		if len(some) < len(q.Directory) {
			text = "(r.directory_id IS NULL OR " + text + ")"
		}
		l.and(text, jsonList(some))
	}
	if q.Never {
		l.and("r.signed_in_at = 0")
	}
	for _, span := range []struct {
		column string
		Span
	}{{"r.signed_in_at", q.SignedIn}, {"r.created_at", q.Created}} {
		if span.From != 0 {
			l.here = append(l.here, condition{span.column + " >= ?", []any{span.From}, span.column})
		}
		if span.Until != 0 {
			l.here = append(l.here, condition{span.column + " < ?", []any{span.Until}, span.column})
		}
	}
	if q.IDs != nil {
		l.and("r.user_id {{in_ids}}", jsonList(q.IDs))
	}
}

func anyOf[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// among leaves those who are in a set.
func (l *peopleList) among(set PeopleSet) error {
	end := ")"
	if set.ByID {
		end = lookedUp + ")"
	}
	has := condition{text: "EXISTS (SELECT 1 FROM (" + set.IDs + ") AS s WHERE s.id = r.user_id" + end, args: set.Args}
	if set.Not {
		has.text = "NOT " + has.text
		l.many = append(l.many, has)
		return nil
	}
	met, err := l.meet([]part{{query: set.IDs, size: set.IDs, limit: fmt.Sprintf(" LIMIT %d", l.most+1), args: set.Args, exists: true, once: true}})
	if !met.few {
		l.many = append(l.many, has)
	}
	return err
}

// withRole are those who have one of these roles; whoever has none has DefaultRole.
func (l *peopleList) withRole(roles ...string) condition {
	c := condition{text: "("}
	if slices.Contains(roles, DefaultRole) { // first, as it is so of most
		c.text += "NOT EXISTS (SELECT 1 FROM user_roles g WHERE g.org_id = ? AND g.user_id = r.user_id" + lookedUp + ") OR "
		c.args = append(c.args, l.tx.Org())
	}
	c.text += "EXISTS (SELECT 1 FROM user_roles d WHERE d.org_id = ? AND d.user_id = r.user_id AND d.role IN ('' " + strings.Repeat(", ?", len(roles)) + ")" + lookedUp + "))"
	c.args = slices.Concat(c.args, []any{l.tx.Org()}, anyOf(roles))
	return c
}

// licensed leaves those who have a license, as licenseFor has it. Faults: Invalid.
func (l *peopleList) licensed(license string) error {
	rows, err := l.tx.seatRows()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(rows, func(r seatRow) bool { return r.License == license })
	if at < 0 {
		return fault.Invalid.On("license", "There is no license %.40q. Choose one in the list.", license)
	}
	l.and("r.status IN ('active', 'invited')")
	var others []string // roles that decide for another one
	for i, r := range rows {
		if i < at || i > at && rows[at].Fallback {
			others = append(others, strings.Fields(r.Roles)...)
		}
	}
	roles := strings.Fields(rows[at].Roles)
	own, not := l.withRole(roles...), l.withRole(others...)
	not.text = "NOT " + not.text
	switch {
	case !rows[at].Fallback:
		l.many = append(l.many, own, not)
	case len(roles) == 0:
		l.many = append(l.many, not)
	default: // the own roles go before those of later ones
		before := l.withRole(others[:countRoles(rows[:at])]...)
		l.many = append(l.many, condition{text: "(" + not.text + " OR " + own.text + " AND NOT " + before.text + ")", args: slices.Concat(not.args, own.args, before.args)})
	}
	return nil
}

func countRoles(rows []seatRow) (n int) {
	for _, r := range rows {
		n += len(strings.Fields(r.Roles))
	}
	return n
}

// search leaves those whom each word finds.
func (l *peopleList) search() error {
	alone := l.few == nil
	for _, w := range askedWords(l.q.Search) {
		parts := w.found(l.tx, slices.Contains(l.q.Status, Deleted))
		met, err := l.meet(parts)
		switch {
		case err != nil:
			return err
		case !met.few:
			l.common = append(l.common, w)
		case alone:
			l.wide, alone = l.wideOf(w, parts, met), false
		default:
			l.wide = nil
		}
	}
	return nil
}

// met is what meet has found: the most in one part, all in the parts in the order of names,
// and the sum of all.
type met struct {
	few              bool
	most, named, sum int
}

// meet leaves those whom the parts give, when they are few. They are counted here, and read
// from indexes once more where they are met with the roster: that costs a fifth of carrying
// their ids about.
func (l *peopleList) meet(parts []part) (m met, err error) {
	var sizes []struct{ Part, N int }
	query, args := l.sizesOf(parts)
	if err := l.tx.Select(&sizes, query, args...); err != nil {
		return m, err
	}
	least, there := 0, 0
	for _, s := range sizes {
		p := parts[s.Part]
		m.sum, m.most = m.sum+s.N, max(m.most, s.N)
		if p.once {
			least = max(least, s.N)
		}
		if p.exists {
			there = max(there, s.N)
		}
		if p.names {
			m.named = s.N
		}
	}
	query, args = idsOf(parts)
	if m.most <= l.most && m.sum > l.most { // several indexes find the same person
		if err := l.tx.Get(&m.most, "SELECT COUNT(*) FROM (SELECT DISTINCT f.id FROM ("+query+") AS f) AS d", args...); err != nil {
			return m, err
		}
		least = max(least, m.most)
	}
	if m.most > l.most {
		if there <= l.most { // some may be deleted
			var deleted int
			if err := l.tx.Get(&deleted, fmt.Sprintf("SELECT COUNT(*) FROM (%s LIMIT %d) AS n", idsOfDeleted, l.most), l.tx.Org()); err != nil {
				return m, err
			}
			there = max(there, least-deleted)
		}
		l.least = max(l.least, there)
		return m, nil
	}
	if f := l.few; f != nil {
		query, args = "SELECT m.id FROM ("+f.query+") AS m WHERE m.id IN ("+query+")", append(slices.Clip(f.args), args...)
	}
	l.few, m.few = &part{query: query, args: args}, true
	return m, nil
}

// idsOfDeleted is a select of the deleted, from the index with who is not active.
const idsOfDeleted = "SELECT d.user_id FROM roster d WHERE d.org_id = ? AND d.status <> 'active' AND d.status = 'deleted'"

// sizesOf is a select of how many each part gives. PostgreSQL counts nothing behind a part
// that gives more than most, which takes it as long for each; SQLite counts faster than it
// would ask.
func (l *peopleList) sizesOf(parts []part) (query string, args []any) {
	with, rows, few := make([]string, len(parts)), make([]string, len(parts)), ""
	for i, p := range parts {
		with[i] = fmt.Sprintf("p%d AS MATERIALIZED (SELECT COUNT(*) AS n FROM (%s%s%s) AS l)", i, p.size, few, p.limit)
		rows[i], args = fmt.Sprintf("SELECT %[1]d AS part, n FROM p%[1]d", i), append(args, p.args...)
		if l.tx.db.d == &postgres {
			few += fmt.Sprintf(" AND (SELECT n FROM p%d) <= %d", i, l.most)
		}
	}
	return "WITH " + strings.Join(with, ", ") + " " + strings.Join(rows, " UNION ALL "), args
}

// idsOf is a select of all ids that the parts give, some of them several times.
func idsOf(parts []part) (query string, args []any) {
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i], args = fmt.Sprintf("SELECT p%[1]d.id FROM (%[2]s) AS p%[1]d", i, p.query+p.limit), append(args, p.args...)
	}
	return strings.Join(list, " UNION ALL "), args
}

// costly tells that it takes looking into other tables whether somebody matches.
func (l *peopleList) costly() bool { return len(l.many)+len(l.common) > 0 }

// easily is FROM ... WHERE ... with what roster alone answers.
func (l *peopleList) easily() (string, []any) {
	text, args := "FROM roster r WHERE r.org_id = ?", []any{l.tx.Org()}
	for _, c := range l.here {
		text, args = text+" AND "+c.text, append(args, c.args...)
	}
	if l.few != nil {
		text, args = text+" AND r.user_id {{among}} ("+l.few.query+"){{end_among}}", append(args, l.few.args...)
	}
	return text, args
}

// strictly is the rest, for rows r that stand in from, which ends with its conditions.
func (l *peopleList) strictly(from string, args []any) (string, []any) {
	if len(l.common) > 0 {
		text := " EXISTS (SELECT 1 FROM users u WHERE u.org_id = ? AND u.id = r.user_id"
		args = append(args, l.tx.Org())
		for _, w := range l.common {
			match, values := w.matches()
			text, args = text+" AND "+match, append(args, values...)
		}
		from += " AND" + text + lookedUp + ")"
	}
	for _, c := range l.many {
		from, args = from+" AND "+c.text, append(args, c.args...)
	}
	return from, args
}

// find gives the ids of one page, and counts.
func (l *peopleList) find(limit int) (ids []UserID, err error) {
	switch {
	case l.all:
		if l.total, err = l.tx.CountPeople(); err != nil {
			return nil, err
		}
		return l.whole(limit)
	case l.wide != nil:
		return l.findWide(limit)
	case !l.costly():
		ids, err = l.countAndFind(limit)
		if err != nil || !l.atLeast {
			return ids, err
		}
		if !l.walked() {
			return l.whole(limit)
		}
	case l.few != nil || !l.bare:
		var all bool
		if ids, all, err = l.countAmongFew(limit); err != nil || l.total == 0 || all && len(ids) == limit {
			return ids, err
		}
		if all {
			return l.whole(limit)
		}
	default:
		if err = l.count(); err != nil || l.total == 0 {
			return nil, err
		}
	}
	if ids, err = l.next(limit); err != nil || len(ids) == limit {
		return ids, err
	}
	return l.whole(limit)
}

func (l *peopleList) ids(query string, args []any) (ids []UserID, err error) {
	return ids, l.tx.Select(&ids, query, args...)
}

// countAndFind counts those who are few, and sorts them in the same go.
func (l *peopleList) countAndFind(limit int) (ids []UserID, err error) {
	from, args := l.easily()
	by, behind, more := l.order("f")
	var rows []struct {
		N  int     `db:"n"`
		ID *UserID `db:"user_id"`
	}
	err = l.tx.Select(&rows, fmt.Sprintf(`WITH f AS MATERIALIZED (SELECT r.user_id%s %s LIMIT %d), t AS (SELECT COUNT(*) AS n FROM f)
		SELECT t.n, f.user_id FROM t LEFT JOIN f ON t.n <= %d%s%s LIMIT %d`, l.besideID(), from, l.most+1, l.most, behind, by, limit), append(args, more...)...)
	for _, row := range rows {
		l.total, l.atLeast = min(row.N, l.most), row.N > l.most
		if row.ID != nil {
			ids = append(ids, *row.ID)
		}
	}
	return ids, err
}

// looked is how many people are looked at to count.
func (l *peopleList) looked() int {
	switch {
	case len(l.common) > 0 && l.few != nil: // there are not many more in all
		return l.most / 10
	case len(l.common) > 0, len(l.many) > 2:
		return l.tx.db.counted.some()
	}
	return l.most
}

// sampled is how many of very many are looked at to count, in whatever order they are shown:
// it is fewer, because their number is not told exactly in any case.
func (l *peopleList) sampled() int {
	return min(l.looked(), l.tx.db.counted.some())
}

// countAmongFew counts in some of those whom the roster alone gives, and finds the page in
// the next of them, if these are few: then all of them are read once.
func (l *peopleList) countAmongFew(limit int) (ids []UserID, all bool, err error) {
	from, args := l.easily()
	match, values := l.strictly("", nil)
	by, behind, place := l.order("r")
	out, _, _ := l.order("g")
	query := fmt.Sprintf(`WITH b AS MATERIALIZED (SELECT r.user_id%[1]s %[2]s LIMIT %[10]d), c AS MATERIALIZED (SELECT COUNT(*) AS there FROM b),
		f AS MATERIALIZED (SELECT r.user_id FROM b AS r LIMIT (SELECT CASE WHEN c.there > %[11]d THEN %[12]d ELSE %[3]d END FROM c)),
		t AS MATERIALIZED (SELECT (SELECT c.there FROM c) AS there, (SELECT COUNT(*) FROM f) AS looked, (SELECT COUNT(*) FROM f AS r WHERE 1 = 1%[4]s) AS n)
		SELECT t.there, t.looked, t.n, g.user_id FROM t LEFT JOIN (SELECT r.user_id%[1]s FROM (SELECT r.user_id%[1]s FROM b AS r WHERE 1 = 1%[5]s%[6]s LIMIT %[7]d) AS r WHERE 1 = 1%[4]s%[6]s LIMIT %[8]d) AS g ON t.n > 0 AND t.there <= %[11]d%[9]s`,
		l.besideID(), from, l.looked(), match, behind, by, l.tx.db.counted.near(), limit, out, l.most+1, l.most, l.sampled())
	var rows []struct {
		There int `db:"there"`
		tally
		ID *UserID `db:"user_id"`
	}
	if err := l.tx.Select(&rows, query, slices.Concat(args, values, place, values)...); err != nil {
		return nil, false, err
	}
	for _, row := range rows {
		if row.ID != nil {
			ids = append(ids, *row.ID)
		}
	}
	few := rows[0].There <= l.most
	return ids, few, l.tell(rows[0].tally, few && rows[0].All < l.looked())
}

// count looks at some people, and at all only where none of these match.
func (l *peopleList) count() error {
	if l.bare && l.least > l.sampled() && len(l.many)+len(l.common) == 1 && l.q.Role == "" {
		l.total, l.atLeast = rounded(l.least-1), true // what is asked for was found to be more
		return nil
	}
	looked := l.looked()
	if l.least > l.most { // there are very many in any case
		looked = l.sampled()
	}
	t, err := l.sample(looked)
	if err != nil {
		return err
	}
	return l.tell(t, t.All < looked)
}

// sample looks at so many.
func (l *peopleList) sample(looked int) (t tally, err error) {
	from, args := l.easily()
	match, more := l.strictly("FROM f AS r WHERE 1 = 1", nil)
	err = l.tx.Get(&t, fmt.Sprintf("WITH f AS MATERIALIZED (SELECT r.user_id %s LIMIT %d) SELECT (SELECT COUNT(*) FROM f) AS looked, (SELECT COUNT(*) %s) AS n", from, looked, match), append(args, more...)...)
	return t, err
}

// tally is how many of those who were looked at match.
type tally struct {
	All int `db:"looked"`
	N   int `db:"n"`
}

// tell says what a tally means for all, or of all.
func (l *peopleList) tell(t tally, all bool) error {
	switch {
	case all:
		l.total = t.N
	case t.N > 1:
		l.total, l.atLeast = rounded(t.N-1), true
	default:
		from, args := l.easily()
		from, args = l.strictly(from, args)
		if err := l.tx.Get(&l.total, ofAll(fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 %s LIMIT %d) AS found", from, l.most+1)), args...); err != nil {
			return err
		}
		l.total, l.atLeast = min(l.total, l.most), l.total > l.most
	}
	return nil
}

// rounded is a number that is said to be less than the true one, with two digits that
// mean something.
func rounded(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}
