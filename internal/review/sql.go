package review

import (
	"encoding/json"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

const reviewColumns = `SELECT id, name, scope, scope_ref, scope_name, managers, state, total, names, started_by, started_by_id, started_at, due_at,
	people, prepared, prepared_at, work_at, ended_why, finished_by, finished_at, reminded, remind_at, repeat_months, repeat_at FROM reviews`

func oneReview(tx *store.Tx, query string, args ...any) (Review, error) {
	var r Review
	err := tx.Get(&r, query, args...)
	if fault.Is(err, fault.NotFound) {
		return r, fault.NotFound.Wrap(err, "There is no such review here.")
	}
	if err != nil {
		return r, err
	}
	return r, r.fill()
}

func find(tx *store.Tx, id ID, lock string) (Review, error) {
	return oneReview(tx, reviewColumns+" WHERE org_id = ? AND id = ?"+lock, tx.Org(), id)
}

func byOnce(tx *store.Tx, once string) (Review, error) {
	return oneReview(tx, reviewColumns+" WHERE org_id = ? AND once = ?", tx.Org(), once)
}

// List are the reviews of the organization, newest first, before this one or from the
// newest. Faults: Denied.
func (s *Service) List(tx *store.Tx, before ID, limit int) (list []Review, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	query, args := reviewColumns+" WHERE org_id = ?", []any{tx.Org()}
	if before != "" {
		query, args = query+" AND id < {{as_id}}", append(args, before)
	}
	if err := tx.Select(&list, query+" ORDER BY id DESC LIMIT ?", append(args, limit)...); err != nil {
		return nil, err
	}
	for i := range list {
		if err := list[i].fill(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// insertReview tells false when one with this once is there.
func insertReview(tx *store.Tx, r Review, once string) (bool, error) {
	var key any
	if once != "" {
		key = once
	}
	repeat := store.Time(0)
	if r.Months > 0 {
		repeat = store.TimeOf(r.StartedAt.Time().AddDate(0, r.Months, 0))
	}
	n, err := tx.Exec(`INSERT INTO reviews (org_id, id, name, scope, scope_ref, scope_name, managers, state, total, names, once, started_by, started_by_id, started_at, due_at, remind_at, work_at, repeat_months, repeat_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, {{as_json}}, ?, ?, ?, ?, ?, 0, ?, ?, ?) ON CONFLICT (org_id, once) DO NOTHING`,
		tx.Org(), r.ID, r.Name, r.Scope, r.ScopeRef, r.ScopeName, r.Managers, r.State, string(r.NamesRaw), key, r.StartedBy, r.StarterID, r.StartedAt, r.DueAt, r.WorkAt, r.Months, repeat)
	return n == 1, err
}

func setRepeat(tx *store.Tx, id ID, at store.Time) error {
	_, err := tx.Exec("UPDATE reviews SET repeat_at = ? WHERE org_id = ? AND id = ?", at, tx.Org(), id)
	return err
}

func setDue(tx *store.Tx, r Review) error {
	_, err := tx.Exec("UPDATE reviews SET due_at = ?, reminded = ?, remind_at = ? WHERE org_id = ? AND id = ?", r.DueAt, r.Reminded, r.RemindAt, tx.Org(), r.ID)
	return err
}

func setFinished(tx *store.Tx, r Review, by string) error {
	_, err := tx.Exec("UPDATE reviews SET state = ?, finished_by = ?, finished_by_id = ?, finished_at = ?, ended_why = ?, remind_at = 0 WHERE org_id = ? AND id = ?",
		r.State, r.FinishedBy, by, r.FinishedAt, r.EndedWhy, tx.Org(), r.ID)
	return err
}

func countOpen(tx *store.Tx) (n int, err error) {
	return n, tx.Get(&n, "SELECT COUNT(*) FROM reviews WHERE org_id = ? AND finished_at = 0", tx.Org())
}

func insertReviewers(tx *store.Tx, id ID, list []store.UserID) error {
	for _, user := range list {
		if _, err := tx.Exec("INSERT INTO review_reviewers (org_id, review_id, user_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", tx.Org(), id, user); err != nil {
			return err
		}
	}
	return nil
}

func dropReviewers(tx *store.Tx, id ID) error {
	_, err := tx.Exec("DELETE FROM review_reviewers WHERE org_id = ? AND review_id = ?", tx.Org(), id)
	return err
}

func reviewersOf(tx *store.Tx, id ID) ([]Reviewer, error) {
	list := []Reviewer{}
	return list, tx.Select(&list, `SELECT u.id, u.display_name, u.email FROM review_reviewers v JOIN users u ON u.org_id = v.org_id AND u.id = v.user_id
		WHERE v.org_id = ? AND v.review_id = ? ORDER BY u.sort_key, u.id`, tx.Org(), id)
}

func isReviewer(tx *store.Tx, id ID, user string) (bool, error) {
	var n int
	err := tx.Get(&n, "SELECT COUNT(*) FROM review_reviewers WHERE org_id = ? AND review_id = ? AND user_id = {{as_id}}", tx.Org(), id, user)
	return n > 0, err
}

func jsonOf[T any](list []T) string {
	text, err := json.Marshal(append([]T{}, list...)) // never null
	if err != nil {
		panic(err) // numbers and texts
	}
	return string(text)
}

// countAdmins tells how many of these are active admins.
func countAdmins(tx *store.Tx, list []store.UserID) (n int, err error) {
	return n, tx.Get(&n, `SELECT COUNT(*) FROM users u WHERE u.org_id = ? AND u.id {{in_ids}} AND u.status = 'active'
		AND EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = ? AND r.user_id = u.id AND r.role = ?)`, tx.Org(), jsonOf(list), tx.Org(), access.Admin)
}

// Row is one thing that somebody has.
type Row struct {
	N        int           `db:"n"`
	Person   store.UserID  `db:"person_id"`
	Name     string        `db:"person"`
	Email    string        `db:"email"`
	Status   store.Status  `db:"status"`
	Role     string        `db:"role"`     // empty: it is a team
	Group    store.GroupID `db:"group_id"` // empty: it is a role
	Team     string        `db:"team"`
	GivenBy  string        `db:"given_by"`
	AtSource bool          `db:"at_source"` // a directory or a sign-in gives it
	Since    store.Time    `db:"since"`     // 0: since always, as nobody gave it
	SignedIn store.Time    `db:"signed_in_at"`
	Deed     store.Time    `db:"deed_at"` // the last that an application told of the person
	Idle     bool          `db:"idle"`    // not signed in for 90 days at the start

	Decision  string     `db:"decision"`
	Note      string     `db:"note"`
	DecidedBy string     `db:"decided_by"`
	DecidedAt store.Time `db:"decided_at"`
	store.Reason
}

const rowColumns = `SELECT n, person_id, person, email, status, role, group_id, team, reason_kind, reason_ref, reason_detail, given_by, at_source, since,
	signed_in_at, deed_at, idle, decision, note, decided_by, decided_at FROM review_rows`

// Filter chooses rows of a review.
type Filter struct {
	Decision string // "any" when empty, else one of the decisions, "open" for none
	Role     string
	Team     store.GroupID
	Person   store.UserID
	Manager  store.UserID // of whom somebody is the manager
	Idle     bool         // not signed in for 90 days
}

// AnyDecision and NoDecision are values of Filter.Decision beside the decisions.
const (
	AnyDecision = ""
	NoDecision  = "open"
)

// where is what rows must be beside being of a review.
func (f Filter) where(tx *store.Tx, id ID) (where string, args []any) {
	args = []any{tx.Org(), id}
	and := func(condition string, values ...any) { where, args = where+" AND "+condition, append(args, values...) }
	switch f.Decision {
	case AnyDecision:
	case NoDecision:
		and("decision = ''")
	default:
		and("decision = ?", f.Decision)
	}
	if f.Role != "" {
		and("role = ?", f.Role)
	}
	if f.Team != "" {
		and("group_id = {{as_id}}", f.Team)
	}
	if f.Person != "" {
		and("person_id = {{as_id}}", f.Person)
	}
	if f.Manager != "" {
		and("manager_id = {{as_id}}", f.Manager)
	}
	if f.Idle {
		and("idle")
	}
	return where, args
}

// rowsOf are rows in their order, behind one or before one.
func rowsOf(tx *store.Tx, id ID, f Filter, after, before, limit int) ([]Row, error) {
	where, args := f.where(tx, id)
	list := []Row{}
	if before > 0 {
		err := tx.Select(&list, rowColumns+" WHERE org_id = ? AND review_id = ?"+where+" AND n < ? ORDER BY n DESC LIMIT ?", append(args, before, limit)...)
		slices.Reverse(list)
		return list, err
	}
	return list, tx.Select(&list, rowColumns+" WHERE org_id = ? AND review_id = ?"+where+" AND n > ? ORDER BY n LIMIT ?", append(args, after, limit)...)
}

// heldRows locks rows until the commit: these, or all of a person.
func heldRows(tx *store.Tx, id ID, ns []int, person, manager store.UserID) ([]Row, error) {
	where, args := Filter{Person: person, Manager: manager}.where(tx, id)
	if person == "" {
		where, args = where+" AND n {{in_ints}}", append(args, jsonOf(ns))
	}
	list := []Row{}
	return list, tx.Select(&list, rowColumns+" WHERE org_id = ? AND review_id = ?"+where+" ORDER BY n LIMIT ?"+tx.ForUpdate(), append(args, MaxAtOnce+1)...)
}

// Counts are how many rows there are of each decision.
type Counts map[string]int

func countRows(tx *store.Tx, id ID) (Counts, error) {
	var rows []struct {
		Decision string `db:"decision"`
		N        int    `db:"n"`
	}
	err := tx.Select(&rows, "SELECT decision, COUNT(*) AS n FROM review_rows WHERE org_id = ? AND review_id = ? GROUP BY decision", tx.Org(), id)
	counts := Counts{}
	for _, r := range rows {
		counts[r.Decision] = r.N
	}
	return counts, err
}

// openRows are how many rows of each review are not decided.
func openRows(tx *store.Tx, list []Review) (map[ID]int, error) {
	ids := make([]ID, len(list))
	for i, r := range list {
		ids[i] = r.ID
	}
	var rows []struct {
		ID ID  `db:"review_id"`
		N  int `db:"n"`
	}
	err := tx.Select(&rows, "SELECT review_id, COUNT(*) AS n FROM review_rows WHERE org_id = ? AND review_id {{in_ids}} AND decision = '' GROUP BY review_id", tx.Org(), jsonOf(ids))
	left := make(map[ID]int, len(rows))
	for _, r := range rows {
		left[r.ID] = r.N
	}
	return left, err
}

// heldKey is what goneOf asks about.
type heldKey struct {
	N      int           `json:"n"`
	Person store.UserID  `json:"p"`
	Role   string        `json:"r"`
	Kind   string        `json:"k"`
	Ref    string        `json:"f"`
	Group  store.GroupID `json:"g"`
	Nobody string        `json:"i"` // not empty: nobody gave it, and it is there as long as nothing else is
}

// goneOf are those of the rows whose role or membership is not there any more. Scalar
// subqueries look by key alone; for EXISTS PostgreSQL would read all people.
func goneOf(tx *store.Tx, rows []Row) (map[int]bool, error) {
	var keys []heldKey
	for _, r := range rows {
		if r.Decision == Undecided {
			k := heldKey{N: r.N, Person: r.Person, Role: r.Role, Kind: r.Kind, Ref: r.Ref, Group: r.Group}
			if r.implicit() {
				k.Nobody = "y"
			}
			keys = append(keys, k)
		}
	}
	gone := map[int]bool{}
	if len(keys) == 0 {
		return gone, nil
	}
	var found []int
	err := tx.Select(&found, `SELECT CAST(e.value ->> 'n' AS {{int}}) FROM {{each}} WHERE NOT (
		(SELECT 1 FROM users u WHERE u.org_id = ? AND u.id = CAST(e.value ->> 'p' AS {{id}}) AND u.status IN ('invited', 'active')) IS NOT NULL
		AND CASE WHEN e.value ->> 'g' <> '' THEN (SELECT 1 FROM members m WHERE m.org_id = ? AND m.group_id = CAST(e.value ->> 'g' AS {{id}}) AND m.user_id = CAST(e.value ->> 'p' AS {{id}})) IS NOT NULL
			WHEN e.value ->> 'i' <> '' THEN (SELECT 1 FROM user_roles r WHERE r.org_id = ? AND r.user_id = CAST(e.value ->> 'p' AS {{id}}) LIMIT 1) IS NULL
			ELSE (SELECT 1 FROM user_roles r WHERE r.org_id = ? AND r.user_id = CAST(e.value ->> 'p' AS {{id}}) AND r.role = e.value ->> 'r'
				AND r.reason_kind = e.value ->> 'k' AND r.reason_ref = e.value ->> 'f') IS NOT NULL END)`,
		jsonOf(keys), tx.Org(), tx.Org(), tx.Org(), tx.Org())
	for _, n := range found {
		gone[n] = true
	}
	return gone, err
}

// decide writes a decision down for rows that the caller holds.
func decide(tx *store.Tx, id ID, ns []int, decision, note string, by access.Actor) error {
	_, err := tx.Exec("UPDATE review_rows SET decision = ?, note = ?, decided_by = ?, decided_by_id = ?, decided_at = ? WHERE org_id = ? AND review_id = ? AND n {{in_ints}}",
		decision, note, by.Name, by.ID, tx.Now(), tx.Org(), id, jsonOf(ns))
	return err
}

// teamsIn are the teams of which a review has rows, at most 200.
func teamsIn(tx *store.Tx, id ID) (list []Row, err error) {
	last := store.GroupID("00000000000000000000000000000000")
	for len(list) < 200 { // from one to the next by the index
		var next Row
		err := tx.Get(&next, "SELECT group_id, team FROM review_rows WHERE org_id = ? AND review_id = ? AND group_id > {{as_id}} ORDER BY group_id LIMIT 1", tx.Org(), id, last)
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		last = next.Group
		list = append(list, next)
	}
	return list, nil
}
