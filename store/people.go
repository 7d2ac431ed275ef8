package store

import (
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
	License   string      // an id of License; only of those who take a seat
	Sets      []PeopleSet // in each of them
	IDs       []UserID    // of these alone, when not nil

	Sort   string   // a key of peopleSorts, "-" before it for the other way round; "name" when empty
	After  Standing // behind this place of the order
	Before Standing // or before it: those next to it
	Limit  int      // 50 when 0, 500 at most
}

// PeopleSet are people whom another package tells: its select of their ids, each once and
// named id.
type PeopleSet struct {
	IDs  string
	Args []any
	Not  bool // or whoever is not among them
	ByID bool // an index tells whether somebody is
}

// WhoIs are those of some people who are in a set.
func (tx *Tx) WhoIs(set PeopleSet, ids []UserID) (map[UserID]bool, error) {
	var found []UserID
	err := tx.Select(&found, "SELECT s.id FROM ("+set.IDs+") AS s WHERE s.id {{in_ids}}", append(slices.Clone(set.Args), jsonList(ids))...)
	is := make(map[UserID]bool, len(ids))
	for _, id := range ids {
		is[id] = slices.Contains(found, id) != set.Not
	}
	return is, err
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
	AtLeast  bool // there are more than Total
	Previous bool // there is somebody before the page
	Next     bool
}

// peopleSort is a column that people are sorted by, and then by their ids.
type peopleSort struct {
	column string
	number bool
	runs   []run // the order, as roster has it in its indexes; none: nobody walks along it
	place  func(User) Standing
}

// run is a part of an order: those in it go before those in the next.
type run struct {
	column string // what tells them apart, beside the id
	has    string // the condition on them, which the index has too
	place  func(Standing) bool
	leaves func(PeopleQuery) bool // a query leaves all of them out
}

var peopleSorts = map[string]peopleSort{
	"name":    {"sort_key", false, []run{{column: "sort_key"}}, nil},
	"email":   {"email_key", false, nil, func(u User) Standing { return Standing{Text: Fold(u.Email), ID: u.ID} }},
	"created": {"user_id", false, []run{{column: "user_id"}}, func(u User) Standing { return Standing{ID: u.ID} }}, // ids sort by creation
	"signin":  {"signed_in_at", true, signInRuns, func(u User) Standing { return Standing{Number: int64(u.LastSignInAt), ID: u.ID} }},
	"status":  {"status", false, statusRuns, func(u User) Standing { return Standing{Text: string(u.Status), ID: u.ID} }},
	"source":  {"source", false, nil, func(u User) Standing { return Standing{Text: string(u.Source), ID: u.ID} }},
}

var signInRuns = []run{
	{"user_id", " AND r.signed_in_at = 0", func(s Standing) bool { return s.Number == 0 }, func(q PeopleQuery) bool { return q.SignedIn.From > 0 }},
	{"signed_in_at", " AND r.signed_in_at > 0", func(s Standing) bool { return s.Number != 0 }, func(q PeopleQuery) bool { return q.Never }},
}

// No status goes before active.
var statusRuns = []run{
	{"user_id", " AND r.status = 'active'", func(s Standing) bool { return s.Text == string(Active) }, func(q PeopleQuery) bool { return len(q.Status) > 0 && !slices.Contains(q.Status, Active) }},
	{"status", " AND r.status <> 'active'", func(s Standing) bool { return s.Text != string(Active) }, func(q PeopleQuery) bool { return slices.Equal(q.Status, []Status{Active}) }},
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

// People lists people with their roles and groups, in a number of queries that does not
// depend on how many there are. Faults: Denied, Invalid (sort).
func (tx *Tx) People(q PeopleQuery) (page PeoplePage, err error) {
	l, err := tx.peopleList(q)
	if err != nil {
		return page, err
	}
	limit := min(q.Limit, 500)
	if limit <= 0 {
		limit = 50
	}
	ids, err := l.find(limit + 1)
	if err != nil {
		return page, err
	}
	back := q.Before.ID != ""
	more := len(ids) > limit
	ids = ids[:min(len(ids), limit)]
	if back {
		slices.Reverse(ids)
	}
	page.Total, page.AtLeast = l.total, l.atLeast
	page.Previous, page.Next = back && more || q.After.ID != "", back || more
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
	q.Sort, q.After, q.Before = "created", Standing{}, Standing{}
	l, err := tx.peopleList(q)
	if err != nil {
		return err
	}
	const size = 5000
	for {
		ids, err := l.whole(size)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := each(ids); err != nil {
				return err
			}
			l.q.After.ID = ids[len(ids)-1]
		}
		if len(ids) < size {
			return nil
		}
	}
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
