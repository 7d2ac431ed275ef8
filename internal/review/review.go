/*
Package review is the review of access: who has what, since when, why and when last used,
and for each of it whether it stays.

	Start              an admin says whose access, who reviews and until when; what all of them
	                   have is written down (snapshot.go), at once or some at a time
	Prepare            goes on with what is too large for one transaction (prepare.go)
	Cancel             gives that up
	Decide, Reopen     a reviewer confirms or removes, row by row or many (decide.go)
	Finish             ends it; from then on nothing in it changes
	Run                tells the reviewers, before the end and after it, and starts what
	                   repeats (remind.go)

Whom a review is about is as of one moment, and so is what each of them has. A review that
is prepared some people at a time has a moment for each of these; it says from when to when.
Nobody decides before it is all there.

A row is one role or one membership of one person for one reason. Removing takes it away
in the transaction that writes the decision down, with store's operations, so all their
rules hold. What a directory or a sign-in gives would come back: it is not taken away here
but noted as to be removed at the source.

Reviewers are admins. A review may ask each person's manager as well: they see the rows of
their own people under /account/reviews, and need no right in the console. What a manager
removes the server takes away, unless the person may do more than the manager.

It has the pages /console/{org}/reviews (http.go, page.go), /account/reviews (manager.go)
and the REST API /api/v1/reviews (api.go). It owns the tables reviews, review_reviewers,
review_rows and review_parts; it reads people, roles, memberships and deeds to write them down.
*/
package review

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// ID names a review.
type ID = store.ID[Review]

// The scopes: whose access is reviewed.
const (
	Everybody = "all"
	HasRole   = "role"
	InTeam    = "team"
	Admins    = "admins"
	CameBy    = "source"
)

// The states of a review.
const (
	Preparing = "preparing" // what people have is being written down
	Open      = "open"
	Finished  = "finished"
	Cancelled = "cancelled" // while it was prepared; it has no rows
)

// Review is one look at what people have.
type Review struct {
	ID         ID         `db:"id"`
	Name       string     `db:"name"`
	Scope      string     `db:"scope"`
	ScopeRef   string     `db:"scope_ref"` // the role, the team's id, the source
	ScopeName  string     `db:"scope_name"`
	Managers   bool       `db:"managers"` // each person's manager reviews, too
	State      string     `db:"state"`
	Total      int        `db:"total"`
	NamesRaw   store.JSON `db:"names"`
	StartedBy  string     `db:"started_by"`
	StarterID  string     `db:"started_by_id"`
	StartedAt  store.Time `db:"started_at"`
	DueAt      store.Time `db:"due_at"`
	People     int        `db:"people"`      // who is in the scope; 0 until that is known
	Prepared   int        `db:"prepared"`    // of them, who is written down
	PreparedAt store.Time `db:"prepared_at"` // the last of them; 0: all with the start
	WorkAt     store.Time `db:"work_at"`
	EndedWhy   string     `db:"ended_why"` // why Muster cancelled it
	FinishedBy string     `db:"finished_by"`
	FinishedAt store.Time `db:"finished_at"` // or cancelled; 0: neither
	Reminded   string     `db:"reminded"`
	RemindAt   store.Time `db:"remind_at"`
	Months     int        `db:"repeat_months"` // 0: it is not repeated
	RepeatAt   store.Time `db:"repeat_at"`     // 0: not any more

	names map[string]string
}

// Reviewer is an admin who decides.
type Reviewer struct {
	ID    store.UserID `db:"id"`
	Name  string       `db:"display_name"`
	Email string       `db:"email"`
}

// Options of a Service.
type Options struct {
	DB  *store.DB
	Log *slog.Logger
	// ConnectionNames are the names of connections by id.
	ConnectionNames func(*store.Tx) (map[string]string, error)
	// Mail tells somebody who is active and wants notices. May be nil.
	Mail func(tx *store.Tx, user store.UserID, l web.Notice) error
}

// Service has the operations. Safe for concurrent use, also by several servers.
type Service struct {
	opt    Options
	atOnce int // people who are written down in one transaction
	most   int // rows of a review
	wake   chan struct{}
}

// New fills in the defaults.
func New(opt Options) *Service {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Service{opt: opt, atOnce: atOnce, most: maxRows, wake: make(chan struct{}, 1)}
}

const (
	maxReviewers = 20
	maxDue       = 366 * 24 * time.Hour
	maxOpen      = 20
	maxRows      = 400_000
	idleAfter    = 90 * 24 * time.Hour
)

// Months are how often a review can be repeated.
func Months() []int { return []int{0, 3, 6, 12} }

// In is a review to start.
type In struct {
	Name      string
	Scope     string
	Ref       string // a role, a team, a source
	Reviewers []store.UserID
	Managers  bool
	Due       store.Time
	Months    int
	Once      string // of the form that starts it: the same a second time starts nothing
}

// Start writes down what everybody in the scope has, or leaves that to Prepare when these are
// many. Needs Write. Faults: Denied, Invalid on "name", "scope", "reviewers", "due" or
// "repeat", TooMany (that are open).
func (s *Service) Start(tx *store.Tx, in In) (Review, error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return Review{}, err
	}
	by := tx.Actor()
	r := Review{ID: store.NewID[Review](), Name: strings.TrimSpace(in.Name), Scope: in.Scope, ScopeRef: in.Ref, Managers: in.Managers, State: Preparing,
		StartedBy: by.Name, StartedAt: tx.Now(), WorkAt: tx.Now(), DueAt: in.Due, Months: in.Months}
	if by.Kind == access.Person {
		r.StarterID = by.ID
	}
	if in.Once != "" {
		old, err := byOnce(tx, by.ID+" "+in.Once)
		if err == nil || !fault.Is(err, fault.NotFound) {
			return old, err
		}
		in.Once = by.ID + " " + in.Once
	}
	if err := s.check(tx, &r, in); err != nil {
		return r, err
	}
	people, err := some(tx, r, s.atOnce+1)
	if err == nil && len(people) == 0 {
		err = fault.Invalid.On("scope", "Nobody who is active or invited is in there, so there is nothing to review. Choose other people.")
	}
	if err != nil {
		return r, err
	}
	if made, err := insertReview(tx, r, in.Once); err != nil || !made {
		if err == nil {
			r, err = byOnce(tx, in.Once)
		}
		return r, err
	}
	if err := insertReviewers(tx, r.ID, in.Reviewers); err != nil {
		return r, err
	}
	if len(people) > s.atOnce {
		tx.AfterCommit(s.nudge)
		return r, note(tx, r, "review.start", map[string]any{"scope": r.Scope, "of": r.ScopeName, "due": r.DueAt.RFC3339()})
	}
	if r.Total, err = write(tx, r, people); err != nil {
		return r, err
	}
	r.State, r.People, r.Prepared, r.WorkAt, r.RemindAt = Open, len(people), len(people), 0, tx.Now()
	if err := setProgress(tx, r); err != nil {
		return r, err
	}
	return r, note(tx, r, "review.start", map[string]any{"scope": r.Scope, "of": r.ScopeName, "rows": r.Total, "due": r.DueAt.RFC3339()})
}

// check refuses what cannot be started, and fills in the names of what is meant.
func (s *Service) check(tx *store.Tx, r *Review, in In) error {
	if r.Name == "" {
		return fault.Invalid.On("name", "Write something here, such as Spring review.")
	}
	if err := fault.Line("name", r.Name, 120); err != nil {
		return err
	}
	if !slices.Contains(Months(), in.Months) {
		return fault.Invalid.On("repeat", "A review can be repeated every 3, 6 or 12 months, or not at all.")
	}
	if err := checkDue(tx, in.Due); err != nil {
		return err
	}
	roles, err := s.nameThings(tx, r)
	if err != nil {
		return err
	}
	if err := checkScope(tx, r, roles); err != nil {
		return err
	}
	if err := checkReviewers(tx, in.Reviewers); err != nil {
		return err
	}
	n, err := countOpen(tx)
	if err == nil && n >= maxOpen {
		err = fault.TooMany.Say("%d reviews of this organization are open already. Finish one of them first.", n)
	}
	return err
}

func checkDue(tx *store.Tx, due store.Time) error {
	if due <= tx.Now() || due > tx.Now().Add(maxDue) {
		return fault.Invalid.On("due", "Choose a day from tomorrow on, within a year.")
	}
	return nil
}

// nameThings keeps what roles, directories and connections are called now.
func (s *Service) nameThings(tx *store.Tx, r *Review) (roles map[string]string, err error) {
	r.names, roles = map[string]string{}, map[string]string{}
	list, err := tx.OrgRoles()
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		roles[one.ID], r.names["role "+one.ID] = one.Name, one.Name
	}
	directories, err := tx.Directories()
	if err != nil {
		return nil, err
	}
	for _, d := range directories {
		r.names[string(d.ID)] = d.Name
	}
	if s.opt.ConnectionNames != nil {
		connections, err := s.opt.ConnectionNames(tx)
		if err != nil {
			return nil, err
		}
		for id, name := range connections {
			r.names[id] = name
		}
	}
	raw, err := json.Marshal(r.names)
	r.NamesRaw = raw
	return roles, err
}

func checkScope(tx *store.Tx, r *Review, roles map[string]string) error {
	switch r.Scope {
	case Everybody, Admins:
		r.ScopeRef = ""
		return nil
	case HasRole:
		if r.ScopeName = roles[r.ScopeRef]; r.ScopeName == "" {
			return fault.Invalid.On("scope", "There is no role %.40q (any more). Choose another one.", r.ScopeRef)
		}
		return nil
	case InTeam:
		id, err := store.ParseID[store.Group](r.ScopeRef)
		if err != nil {
			return fault.Invalid.On("scope", "Choose a team.")
		}
		g, err := tx.Group(id)
		if fault.Is(err, fault.NotFound) {
			return fault.Invalid.On("scope", "There is no such team (any more). Choose another one.")
		}
		r.ScopeRef, r.ScopeName = string(g.ID), g.Name
		return err
	case CameBy:
		if !slices.Contains(store.Sources(), store.Source(r.ScopeRef)) {
			return fault.Invalid.On("scope", "Nobody comes by %.40q. It is invite, csv, jit, scim or api.", r.ScopeRef)
		}
		r.ScopeName = r.ScopeRef
		return nil
	}
	return fault.Invalid.On("scope", "Choose whose access is reviewed.")
}

// checkReviewers wants active admins.
func checkReviewers(tx *store.Tx, list []store.UserID) error {
	if len(list) == 0 || len(list) > maxReviewers {
		return fault.Invalid.On("reviewers", "Choose 1 to %d admins who review.", maxReviewers)
	}
	n, err := countAdmins(tx, list)
	if err == nil && n != len(list) {
		err = fault.Invalid.On("reviewers", "Reviewers are active admins of this organization. Choose them in the list.")
	}
	return err
}

// Get finds a review. Faults: Denied, NotFound.
func (s *Service) Get(tx *store.Tx, id ID) (Review, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return Review{}, err
	}
	return find(tx, id, "")
}

// Change is what becomes different of an open review. Nil fields keep what is there.
type Change struct {
	Due       *store.Time
	Reviewers []store.UserID // the same when empty
	Version   string         // tag of the review that the change is made for; whatever it is when empty
}

// tag changes with what Change changes, for forms that were open meanwhile.
func (r Review) tag(reviewers []Reviewer) string {
	ids := []store.UserID{}
	for _, one := range reviewers {
		ids = append(ids, one.ID)
	}
	slices.Sort(ids)
	return store.TagOf(r.DueAt, ids)
}

// StopRepeating has a review, open or over, not start again. Needs Write. Faults: Denied,
// NotFound, Conflict (it would not).
func (s *Service) StopRepeating(tx *store.Tx, id ID) (Review, error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return Review{}, err
	}
	r, err := find(tx, id, tx.ForUpdate())
	if err != nil {
		return r, err
	}
	if r.RepeatAt == 0 {
		return r, fault.Conflict.Say("This review does not start again. If it has been repeated, stop that at the newest one.")
	}
	if err := setRepeat(tx, id, 0); err != nil {
		return r, err
	}
	before := map[string]any{"repeat_at": r.RepeatAt.RFC3339()}
	r.RepeatAt = 0
	return r, note(tx, r, "review.change", map[string]any{"before": before, "after": map[string]any{"repeat_at": nil}})
}

// Change moves the end of a review or names other reviewers. Needs Write. Faults: Denied,
// NotFound, Invalid on "due" or "reviewers", Conflict (it is not open; on "version": changed
// since).
func (s *Service) Change(tx *store.Tx, id ID, ch Change) (Review, error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return Review{}, err
	}
	r, err := openOne(tx, id, tx.ForUpdate())
	if err != nil {
		return r, err
	}
	was, err := reviewersOf(tx, id)
	if err == nil {
		err = store.Unchanged(ch.Version, r.tag(was))
	}
	if err != nil {
		return r, err
	}
	detail := map[string]any{}
	if ch.Due != nil && *ch.Due != r.DueAt {
		if err := checkDue(tx, *ch.Due); err != nil {
			return r, err
		}
		detail["before"], detail["after"] = map[string]any{"due": r.DueAt.RFC3339()}, map[string]any{"due": ch.Due.RFC3339()}
		r.DueAt = *ch.Due
		if r.Reminded != "" {
			r.Reminded, r.RemindAt = started, soonBefore(r.DueAt, tx.Now())
		}
		if err := setDue(tx, r); err != nil {
			return r, err
		}
	}
	if len(ch.Reviewers) > 0 && !same(was, ch.Reviewers) {
		if err := checkReviewers(tx, ch.Reviewers); err != nil {
			return r, err
		}
		if err := dropReviewers(tx, id); err != nil {
			return r, err
		}
		if err := insertReviewers(tx, id, ch.Reviewers); err != nil {
			return r, err
		}
		detail["reviewers"] = ch.Reviewers
	}
	if len(detail) == 0 {
		return r, nil
	}
	return r, note(tx, r, "review.change", detail)
}

func same(was []Reviewer, is []store.UserID) bool {
	return len(was) == len(is) && !slices.ContainsFunc(was, func(r Reviewer) bool { return !slices.Contains(is, r.ID) })
}

// Finish ends a review; what is open stays so, for ever. Needs Write. Faults: Denied,
// NotFound, Conflict (it is not open).
func (s *Service) Finish(tx *store.Tx, id ID) (Review, error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return Review{}, err
	}
	r, err := openOne(tx, id, tx.ForUpdate())
	if err != nil {
		return r, err
	}
	counts, err := countRows(tx, id)
	if err != nil {
		return r, err
	}
	by := tx.Actor()
	r.State, r.FinishedBy, r.FinishedAt = Finished, by.Name, tx.Now()
	if err := setFinished(tx, r, by.ID); err != nil {
		return r, err
	}
	return r, note(tx, r, "review.finish", map[string]any{"open": counts[Undecided], "confirmed": counts[Confirmed], "removed": counts[Removed], "source": counts[AtSource], "gone": counts[Gone]})
}

// openOne finds a review in which something can change.
func openOne(tx *store.Tx, id ID, lock string) (Review, error) {
	r, err := find(tx, id, lock)
	if err == nil && r.State != Open {
		err = over(r)
	}
	return r, err
}

// over says why a review does not change, or has nothing to show.
func over(r Review) error {
	switch r.State {
	case Preparing:
		return fault.Conflict.Say("This review is still prepared: what people have is being written down. Try again when that is done.")
	case Cancelled:
		return fault.Conflict.Say("This review was cancelled before it began, so there is nothing in it. Start another one.")
	}
	return fault.Conflict.Say("This review is finished, so nothing in it changes any more. Start another one.")
}

// kept finds a review whose rows are all there. Faults: Denied, NotFound, Conflict.
func (s *Service) kept(tx *store.Tx, id ID) (Review, error) {
	r, err := s.Get(tx, id)
	if err == nil && !r.written() {
		err = over(r)
	}
	return r, err
}

// written tells that all rows are there.
func (r Review) written() bool { return r.State == Open || r.State == Finished }

func note(tx *store.Tx, r Review, action string, detail map[string]any) error {
	return tx.Record(store.Activity{Action: action, TargetKind: "review", TargetID: string(r.ID), TargetName: r.Name, Detail: detail})
}

// fill reads what things were called.
func (r *Review) fill() error {
	if err := json.Unmarshal(r.NamesRaw, &r.names); err != nil {
		return fmt.Errorf("names of review %s: %w", r.ID, err)
	}
	return nil
}

// Forget takes the name of somebody who is removed for good out of all reviews.
func Forget(tx *store.Tx, user store.UserID) error {
	for _, query := range []string{
		"UPDATE review_rows SET person = ?, email = '' WHERE org_id = ? AND person_id = {{as_id}}",
		"UPDATE review_rows SET decided_by = ? WHERE org_id = ? AND decided_by_id = ?",
		"UPDATE reviews SET started_by = ? WHERE org_id = ? AND started_by_id = ?",
		"UPDATE reviews SET finished_by = ? WHERE org_id = ? AND finished_by_id = ?",
	} {
		if _, err := tx.Exec(query, "Removed person", tx.Org(), user); err != nil {
			return err
		}
	}
	return nil
}
