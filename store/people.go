package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// PeopleQuery chooses people for a list. What is empty chooses nobody out.
type PeopleQuery struct {
	Search    string   // words, each of which begins a word of a name, the address, user name, externalId or employee number
	Status    []Status // Deleted only when named
	Source    []Source
	Directory []DirectoryID // an empty one: managed by nobody
	Role      string
	Team      GroupID
	SignedIn  Span
	Never     bool // never signed in
	Created   Span
	IDs       []UserID // of these alone, when not nil

	Sort   string   // a key of peopleSorts, "-" before it for the other way round; "name" when empty
	After  Standing // behind this place of the order
	Before Standing // or before it: those next to it
	Offset int
	Limit  int // 50 when 0, 500 at most
}

// Span is from, inclusive, to before Until; 0 is open.
type Span struct{ From, Until Time }

// Standing is where somebody stands in an order.
type Standing struct {
	Text   string // the value that is sorted by
	Number int64
	ID     UserID
}

// Person is a row of the list.
type Person struct {
	User
	Grants []Grant
	Groups []GroupRef
}

// PeoplePage is one page and the number of all that match.
type PeoplePage struct {
	People   []Person
	Total    int
	AtLeast  bool // a search finds more than Total
	Previous bool // there is somebody before the page
	Next     bool
}

// peopleSort is a column that people are sorted by.
type peopleSort struct {
	column string
	number bool
	place  func(User) Standing
}

var peopleSorts = map[string]peopleSort{
	"name":    {"sort_key", false, nil},
	"email":   {"email_key", false, func(u User) Standing { return Standing{Text: Fold(u.Email), ID: u.ID} }},
	"created": {"user_id", false, func(u User) Standing { return Standing{ID: u.ID} }}, // ids sort by creation
	"signin":  {"signed_in_at", true, func(u User) Standing { return Standing{Number: int64(u.LastSignInAt), ID: u.ID} }},
	"status":  {"status", false, func(u User) Standing { return Standing{Text: string(u.Status), ID: u.ID} }},
	"source":  {"source", false, func(u User) Standing { return Standing{Text: string(u.Source), ID: u.ID} }},
}

func orderOf(sort string) (s peopleSort, down bool, err error) {
	name, down := strings.CutPrefix(sort, "-")
	if name == "" {
		name = "name"
	}
	s, ok := peopleSorts[name]
	if !ok {
		err = fault.Invalid.On("sort", "People cannot be sorted by %.40q.", sort)
	}
	return s, down, err
}

// CheckPeopleSort refuses with Invalid an order that there is not.
func CheckPeopleSort(sort string) error {
	_, _, err := orderOf(sort)
	return err
}

// StandingOf is where a person stands in the order that sort asks for.
func StandingOf(u User, sort string) (Standing, error) {
	s, _, err := orderOf(sort)
	if err != nil {
		return Standing{}, err
	}
	if s.place != nil {
		return s.place(u), nil
	}
	doc, err := u.Attributes()
	if err != nil {
		return Standing{}, err
	}
	return Standing{Text: sortKeyOf(profileOf(doc)), ID: u.ID}, nil
}

// fewFound is up to how many people a search counts and sorts exactly.
const fewFound = 10_000

// People lists people with their roles and groups, in a number of queries that does not
// depend on how many there are. Faults: Denied, Invalid (sort).
func (tx *Tx) People(q PeopleQuery) (PeoplePage, error) {
	var page PeoplePage
	l, err := tx.peopleList(q)
	if err != nil {
		return page, err
	}
	if page.Total, page.AtLeast, err = l.count(); err != nil {
		return page, err
	}
	limit := min(q.Limit, 500)
	if limit <= 0 {
		limit = 50
	}
	query, args := l.page(limit + 1)
	var ids []UserID
	if err := tx.Select(&ids, query, args...); err != nil {
		return page, err
	}
	back := q.Before.ID != ""
	more := len(ids) > limit
	ids = ids[:min(len(ids), limit)]
	if back {
		slices.Reverse(ids)
	}
	page.Previous, page.Next = back && more || q.After.ID != "" || q.Offset > 0, back || more
	page.People, err = tx.peopleOf(ids)
	return page, err
}

// peopleOf reads some people in this order.
func (tx *Tx) peopleOf(ids []UserID) ([]Person, error) {
	users := []User{}
	if err := tx.Select(&users, userColumns+" WHERE org_id = ? AND id {{in_ids}}", tx.Org(), jsonList(ids)); err != nil {
		return nil, err
	}
	roles, err := tx.RolesOf(ids)
	if err != nil {
		return nil, err
	}
	groups, err := tx.GroupsOf(ids)
	if err != nil {
		return nil, err
	}
	at := make(map[UserID]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	slices.SortFunc(users, func(a, b User) int { return at[a.ID] - at[b.ID] })
	people := make([]Person, len(users))
	for i, u := range users {
		people[i] = Person{User: u, Grants: roles[u.ID], Groups: groups[u.ID]}
	}
	return people, nil
}

// CountPeople is the number of people in the organization. Faults: Denied.
func (tx *Tx) CountPeople() (n int, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return 0, err
	}
	// The counters leave break-glass accounts out, see count.go.
	return n, tx.Get(&n, `SELECT CAST((SELECT COALESCE(SUM(n), 0) FROM counts WHERE org_id = ? AND kind = ?)
		+ (SELECT COUNT(*) FROM roster WHERE org_id = ? AND break_glass AND NOT status = 'deleted') AS {{int}})`, tx.Org(), countUsers, tx.Org())
}

// EachOfPeople hands the ids of all who match to each, a page at a time, in order of their ids.
// Faults: Denied.
func (tx *Tx) EachOfPeople(q PeopleQuery, each func([]UserID) error) error {
	q.Sort, q.After, q.Before, q.Offset = "", Standing{}, Standing{}, 0
	l, err := tx.peopleList(q)
	if err != nil {
		return err
	}
	const size = 5000
	for after := UserID(noID); ; {
		var ids []UserID
		if err := tx.Select(&ids, "SELECT r.user_id "+l.from+" AND r.user_id > ? ORDER BY r.user_id LIMIT ?", append(slices.Clip(l.args), after, size)...); err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := each(ids); err != nil {
				return err
			}
			after = ids[len(ids)-1]
		}
		if len(ids) < size {
			return nil
		}
	}
}

// peopleList is a query for people on its way to its text.
type peopleList struct {
	tx      *Tx
	q       PeopleQuery
	sort    peopleSort
	down    bool
	from    string // FROM ... WHERE ...
	args    []any
	plain   bool // no condition at all
	dense   bool // a search that finds very many
	counted int  // how many a search without another condition finds; -1: not known
}

func (tx *Tx) peopleList(q PeopleQuery) (peopleList, error) {
	l := peopleList{tx: tx, q: q, counted: -1}
	if err := tx.Require(access.ViewUsers); err != nil {
		return l, err
	}
	var err error
	if l.sort, l.down, err = orderOf(q.Sort); err != nil {
		return l, err
	}
	where, args := tx.rosterWhere(q)
	l.plain = where == "" && tx.actor.Kind != access.Directory
	deleted := slices.Contains(q.Status, Deleted)
	if !deleted {
		where += " AND NOT r.status = 'deleted'"
	}
	seen, more := tx.rosterSeen()
	where, args = where+seen, append(args, more...)
	l.from, l.args = "FROM roster r WHERE r.org_id = ?"+where, append([]any{tx.Org()}, args...)
	if words := askedWords(q.Search); len(words) > 0 {
		return l, l.search(words, where, args, deleted)
	}
	return l, nil
}

// rosterSeen is visible for rows of roster.
func (tx *Tx) rosterSeen() (string, []any) {
	if tx.actor.Kind == access.Directory {
		return " AND (r.directory_id = ? OR r.directory_id IS NULL) AND NOT r.break_glass", []any{tx.actor.ID}
	}
	return "", nil
}

// rosterWhere are the filters, without the search.
func (tx *Tx) rosterWhere(q PeopleQuery) (string, []any) {
	var where strings.Builder
	var args []any
	add := func(condition string, values ...any) {
		where.WriteString(" AND " + condition)
		args = append(args, values...)
	}
	// One argument each, as they are few: a list made of JSON is looked up row by row.
	if n := len(q.Status); n > 0 {
		add("r.status IN (?"+strings.Repeat(", ?", n-1)+")", anyOf(q.Status)...)
	}
	if n := len(q.Source); n > 0 {
		add("r.source IN (?"+strings.Repeat(", ?", n-1)+")", anyOf(q.Source)...)
	}
	if len(q.Directory) > 0 {
		some := slices.DeleteFunc(slices.Clone(q.Directory), func(d DirectoryID) bool { return d == "" })
		condition := "r.directory_id IN ({{ids}})"
		if len(some) < len(q.Directory) {
			condition = "(r.directory_id IS NULL OR " + condition + ")"
		}
		add(condition, jsonList(some))
	}
	if q.Role == DefaultRole { // also whoever has no role at all: everybody but those who have others only
		add(`r.user_id NOT IN (SELECT g.user_id FROM user_roles g WHERE g.org_id = ? AND g.role <> ?
			AND NOT EXISTS (SELECT 1 FROM user_roles d WHERE d.org_id = g.org_id AND d.user_id = g.user_id AND d.role = ?))`, tx.Org(), q.Role, q.Role)
	} else if q.Role != "" {
		add("r.user_id IN (SELECT g.user_id FROM user_roles g WHERE g.org_id = ? AND g.role = ?)", tx.Org(), q.Role)
	}
	if q.Team != "" {
		add("r.user_id IN (SELECT m.user_id FROM members m WHERE m.org_id = ? AND m.group_id = ?)", tx.Org(), q.Team)
	}
	if q.Never {
		add("r.signed_in_at = 0")
	}
	for _, span := range []struct {
		column string
		Span
	}{{"r.signed_in_at", q.SignedIn}, {"r.created_at", q.Created}} {
		if span.From != 0 {
			add(span.column+" >= ?", span.From)
		}
		if span.Until != 0 {
			add(span.column+" < ?", span.Until)
		}
	}
	if q.IDs != nil {
		add("r.user_id {{in_ids}}", jsonList(q.IDs))
	}
	return where.String(), args
}

func anyOf[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// search narrows the list to those whom each word finds. The word that finds the fewest
// gives the candidates, the others are looked for in these. Words that all find very
// many are looked for along the order instead, which ends soon where so many match.
func (l *peopleList) search(words []asked, where string, args []any, deleted bool) error {
	there := "= 0"
	if deleted {
		there = "> 0"
	}
	best, candidates := -1, []UserID{}
	for i, w := range words {
		query, values := w.found(l.tx, there)
		var ids []UserID
		if err := l.tx.Select(&ids, "SELECT f.id FROM ("+query+") AS f LIMIT ?", append(values, fewFound+1)...); err != nil {
			return err
		}
		if len(ids) <= fewFound && (best < 0 || len(ids) < len(candidates)) {
			best, candidates = i, ids
		}
		if best >= 0 && len(candidates) < 100 {
			break
		}
	}
	rest := slices.Clone(words)
	if best >= 0 {
		rest = slices.Delete(rest, best, best+1)
	}
	if best >= 0 && len(rest) == 0 {
		if l.plain && len(l.args) == 1 && !deleted { // they are all there, and seen
			l.counted = len(candidates)
		}
		l.from, l.args = l.from+" AND r.user_id {{in_ids}}", append(l.args, jsonList(candidates))
		l.plain = false
		return nil
	}
	l.plain, l.dense = false, best < 0
	l.from = "FROM users u JOIN roster r ON r.org_id = u.org_id AND r.user_id = u.id WHERE u.org_id = ? AND u.deleted_at " + there + where
	l.args = append([]any{l.tx.Org()}, args...)
	if best >= 0 {
		l.from, l.args = l.from+" AND u.id {{in_ids}}", append(l.args, jsonList(candidates))
	}
	for _, w := range rest {
		condition, values := w.matches()
		l.from, l.args = l.from+condition, append(l.args, values...)
	}
	return nil
}

// count tells how many match, and whether there are more than that.
func (l peopleList) count() (n int, atLeast bool, err error) {
	switch {
	case l.counted >= 0:
		return l.counted, false, nil
	case l.plain:
		n, err = l.tx.CountPeople()
		return n, false, err
	case l.dense:
		err = l.tx.Get(&n, "SELECT COUNT(*) FROM (SELECT 1 "+l.from+" LIMIT ?) AS found", append(slices.Clip(l.args), fewFound+1)...)
		return min(n, fewFound), n > fewFound, err
	case l.onlyTeam():
		err = l.tx.Get(&n, "SELECT COUNT(*) FROM members m WHERE m.org_id = ? AND m.group_id = ?", l.tx.Org(), l.q.Team)
		return n, false, err
	}
	return n, false, l.tx.Get(&n, "SELECT COUNT(*) "+l.from, l.args...)
}

// onlyTeam tells that a team is all that is asked for: its members are counted then.
func (l peopleList) onlyTeam() bool {
	q := l.q
	return q.Team != "" && l.tx.actor.Kind != access.Directory && q.Search == "" && len(q.Status)+len(q.Source)+len(q.Directory) == 0 && q.Role == "" && !q.Never && q.SignedIn == Span{} && q.Created == Span{} && q.IDs == nil
}

// page is the select of the ids of one page.
func (l peopleList) page(limit int) (string, []any) {
	from, args, by, id := l.from, slices.Clone(l.args), "r."+l.sort.column, "r.user_id"
	if ordered := l.sort.column == "sort_key" || l.sort.column == "email_key"; ordered && (l.plain || l.dense) { // users has an index in this order
		by, id = "u."+l.sort.column, "u.id"
		if l.plain {
			from, args = "FROM users u WHERE u.org_id = ? AND u.deleted_at = 0", []any{l.tx.Org()}
		}
	}
	place, down := l.q.After, l.down
	if l.q.Before.ID != "" {
		place, down = l.q.Before, !down
	}
	if place.ID != "" {
		condition, values := place.beyond(by, id, down, l.sort.number)
		from, args = from+condition, append(args, values...)
	}
	way := ""
	if down {
		way = " DESC"
	}
	if by == id {
		return fmt.Sprintf("SELECT %s AS user_id %s ORDER BY %s%s LIMIT ? OFFSET ?", id, from, id, way), append(args, limit, max(l.q.Offset, 0))
	}
	return fmt.Sprintf("SELECT %s AS user_id %s ORDER BY %s%s, %s%s LIMIT ? OFFSET ?", id, from, by, way, id, way), append(args, limit, max(l.q.Offset, 0))
}

// beyond is the condition on what comes behind a place.
func (p Standing) beyond(by, id string, down, number bool) (string, []any) {
	sign := " > "
	if down {
		sign = " < "
	}
	if by == id {
		return " AND " + id + sign + "?", []any{p.ID}
	}
	var value any = p.Text
	if number {
		value = p.Number
	}
	return " AND (" + by + ", " + id + ")" + sign + "(?, ?)", []any{value, p.ID}
}

// Named tells people's display names by id, for lists that refer to them.
func (tx *Tx) Named(ids []UserID) (map[UserID]string, error) {
	var rows []struct {
		ID   UserID `db:"id"`
		Name string `db:"display_name"`
	}
	if err := tx.Select(&rows, "SELECT id, display_name FROM users WHERE org_id = ? AND id {{in_ids}}", tx.Org(), jsonList(ids)); err != nil {
		return nil, err
	}
	names := make(map[UserID]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, nil
}

// FirstGroups are the first groups by name, and one more that is wanted, for a choice.
// Faults: Denied.
func (tx *Tx) FirstGroups(limit int, also GroupID) ([]GroupRef, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	list := []GroupRef{}
	err := tx.Select(&list, "SELECT id, name FROM groups WHERE org_id = ? ORDER BY name_key, id LIMIT ?", tx.Org(), limit)
	if err != nil || also == "" || slices.ContainsFunc(list, func(g GroupRef) bool { return g.ID == also }) {
		return list, err
	}
	var one []GroupRef
	err = tx.Select(&one, "SELECT id, name FROM groups WHERE org_id = ? AND id = ?", tx.Org(), also)
	return append(list, one...), err
}
