package life

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// PlanID names a planned change.
type PlanID = store.ID[Plan]

// What can be planned, and where a plan stands.
const (
	Deactivate = "deactivate"
	Reactivate = "reactivate"

	Planned   = "planned"
	Done      = "done"
	Skipped   = "skipped"
	Cancelled = "cancelled"
)

// Plan is a change of state that is to come, or what became of it.
type Plan struct {
	ID        PlanID       `db:"id"`
	UserID    store.UserID `db:"user_id"`
	Action    string       `db:"action"`
	DueAt     store.Time   `db:"due_at"`
	Zone      string       `db:"zone"`
	Reason    string       `db:"reason"`
	Why       string       `db:"why"`
	Successor store.UserID `db:"successor_id"`
	Operator  bool         `db:"by_operator"`
	May       string       `db:"by_may"` // which of access.Managing whoever planned it held
	By        string       `db:"planned_by"`
	CreatedAt store.Time   `db:"created_at"`
	State     string       `db:"state"`
	Outcome   string       `db:"outcome"` // why it was passed over, for programs
	ToldAs    string       `db:"told"`    // the same, see Told
	EndedAt   store.Time   `db:"ended_at"`
}

// Told is why it was passed over, for people; zero when it was not.
func (p Plan) Told() web.Said {
	var said web.Said
	if p.Outcome != "" && (p.ToldAs == "" || json.Unmarshal([]byte(p.ToldAs), &said) != nil) {
		return web.Say("%s", p.Outcome)
	}
	return said
}

// In is what Plan needs. At is as ParseTime reads it.
type In struct {
	User     store.UserID
	Action   string
	At, Zone string
	Leaving  store.Leaving // of who is deactivated; Why counts for both
}

// latest is how far ahead something can be planned.
const latest = 3 * 366 * 24 * time.Hour

// ParseTime reads a time as a form or a program writes it: 2026-11-30T18:00, a day (its
// beginning), both in the zone, or RFC 3339 with an offset. Faults: Invalid on "at", "zone".
func ParseTime(text, zone string, now time.Time) (store.Time, error) {
	if zone == "" {
		zone = "UTC"
	}
	place, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" || len(zone) > 60 {
		return 0, fault.Invalid.On("zone", "There is no time zone %.60q. Write it like Europe/Berlin.", zone)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, fault.Invalid.On("at", "Say when: a day and a time.")
	}
	at, err := time.Parse(time.RFC3339, text)
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if err == nil {
			break
		}
		if at, err = time.ParseInLocation(form, text, place); err == nil && at.Format(form) != text {
			return 0, fault.Invalid.On("at", "There is no %s in %s: the clocks are put forward over it. Choose a later time.", text, zone)
		}
	}
	switch {
	case err != nil:
		return 0, fault.Invalid.On("at", "%.40q is no time. Write it like 2026-11-30T18:00.", text)
	case !at.After(now):
		return 0, fault.Invalid.On("at", "%s is over. Choose a time to come, or do it now.", at.In(place).Format("2006-01-02 15:04 MST"))
	case at.After(now.Add(latest)):
		return 0, fault.Invalid.On("at", "%s is more than three years ahead. Choose an earlier time.", at.In(place).Format(time.DateOnly))
	}
	return store.TimeOf(at), nil
}

// Plan writes a change down for later. Needs Write. Faults: Denied, NotFound, Invalid on
// "at", "zone", "reason", "why", "successor", Conflict (planned already, or not possible).
func (s *Service) Plan(tx *store.Tx, in In) (Plan, error) {
	if err := tx.Require(access.EndUsers); err != nil {
		return Plan{}, err
	}
	u, err := tx.User(in.User)
	if err != nil {
		return Plan{}, err
	}
	if err := tx.MayTouch(u); err != nil {
		return Plan{}, err
	}
	due, err := ParseTime(in.At, in.Zone, tx.Now().Time())
	if err != nil {
		return Plan{}, err
	}
	l, err := tx.CheckLeaving(in.User, in.Leaving)
	if err != nil {
		return Plan{}, err
	}
	actor := tx.Actor()
	p := Plan{ID: store.NewID[Plan](), UserID: u.ID, Action: in.Action, DueAt: due, Zone: in.Zone, Reason: l.Reason, Why: l.Why, Successor: l.Successor,
		Operator: actor.Operator || actor.Kind == access.System, May: held(actor), By: actor.Name, CreatedAt: tx.Now(), State: Planned}
	if p.Zone == "" {
		p.Zone = "UTC"
	}
	if err := possible(tx, p, u); err != nil {
		return p, err
	}
	if in.Action == Reactivate && u.Status != store.Deactivated {
		if err := endsBefore(tx, p, u); err != nil {
			return p, err
		}
	}
	if err := endOver(tx, u); err != nil {
		return p, err
	}
	made, err := insertPlan(tx, p)
	if err != nil {
		return p, err
	}
	if !made {
		return p, fault.Conflict.Say("There is a time already at which %s is to be %sd. Cancel that one first.", u.DisplayName, p.Action)
	}
	return p, record(tx, "user.plan", p, u.DisplayName)
}

// held writes down what somebody may do: whether that reaches far enough for the person is
// asked again when the time has come.
func held(a access.Actor) string {
	var list []string
	for _, p := range access.Managing() {
		if a.May(p) {
			list = append(list, string(p))
		}
	}
	return strings.Join(list, " ")
}

// planner is whoever planned it, with what they might do then.
func (p Plan) planner(org store.OrgID) access.Actor {
	a := access.Actor{Kind: access.Person, Org: string(org), Name: p.By, Operator: p.Operator}
	for _, name := range strings.Fields(p.May) {
		a.Granted = append(a.Granted, access.Permission(name))
	}
	return a
}

// possible holds the rules that do not wait for the time.
func possible(tx *store.Tx, p Plan, u store.User) error {
	switch {
	case p.Action != Deactivate && p.Action != Reactivate:
		return fault.Invalid.On("action", "%.40q cannot be planned. It can be deactivate or reactivate.", p.Action)
	case u.DirectoryID != "":
		return fault.Denied.On("directory", "%s is managed by the directory %s, which has the last word then. Plan it there, or detach the person first.", u.DisplayName, tx.DirectoryName(u.DirectoryID))
	case p.Action == Deactivate && u.Status == store.Deactivated:
		return fault.Conflict.Say("%s is deactivated already.", u.DisplayName)
	}
	return nil
}

// endsBefore lets somebody be reactivated who is to be deactivated before: for a leave.
func endsBefore(tx *store.Tx, p Plan, u store.User) error {
	open, err := openPlans(tx, u.ID)
	if err != nil {
		return err
	}
	for _, o := range open {
		if o.Action == Deactivate && o.DueAt < p.DueAt {
			return nil
		}
	}
	return fault.Conflict.Say("%s is not deactivated, and is not to be before that time.", u.DisplayName)
}

// Cancel takes a planned change back. Needs Write. Faults: Denied, NotFound, Conflict (too late).
func (s *Service) Cancel(tx *store.Tx, id PlanID) (Plan, error) {
	if err := tx.Require(access.EndUsers); err != nil {
		return Plan{}, err
	}
	p, err := findPlan(tx, id)
	if err != nil {
		return p, err
	}
	u, err := tx.AnyUser(p.UserID)
	if err == nil {
		err = tx.MayTouch(u)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if err != nil {
		return p, err
	}
	won, err := settle(tx, id, Cancelled, "", "")
	if err != nil {
		return p, err
	}
	if !won {
		if p, err = findPlan(tx, id); err != nil {
			return p, err
		}
		switch p.State {
		case Cancelled:
			return p, fault.Conflict.Say("It is cancelled already.")
		case Skipped:
			return p, fault.Conflict.Say("It is too late: it was passed over.")
		}
		return p, fault.Conflict.Say("It is too late: it was done.")
	}
	p.State, p.EndedAt = Cancelled, tx.Now()
	return p, record(tx, "user.plan.cancel", p, u.DisplayName)
}

func record(tx *store.Tx, action string, p Plan, name string) error {
	detail := map[string]any{"plan": p.ID, "action": p.Action, "at": p.DueAt.RFC3339(), "zone": p.Zone}
	for key, value := range map[string]string{"reason": p.Reason, "why": p.Why, "successor": string(p.Successor), "outcome": p.Outcome, "planned_by": p.By} {
		if value != "" {
			detail[key] = value
		}
	}
	return tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(p.UserID), TargetName: name, Detail: detail})
}

// Query chooses planned changes.
type Query struct {
	State string // Planned when empty: the next one first; of others the latest first
	After string // what Page.Next said
	Limit int    // 50 when 0, 200 at most
}

// Page is some of them.
type Page struct {
	Plans []Plan
	Next  string // for Query.After; empty: that is all
}

// List tells what is planned, or what became of it. Faults: Denied, Invalid on "state" and "after".
func (s *Service) List(tx *store.Tx, q Query) (Page, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return Page{}, err
	}
	switch q.State {
	case "":
		q.State = Planned
	case Planned, Done, Skipped, Cancelled:
	default:
		return Page{}, fault.Invalid.On("state", "There is no state %.40q. It can be planned, done, skipped or cancelled.", q.State)
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	page, err := listPlans(tx, q, min(q.Limit, 200))
	if err == nil && q.State == Planned {
		page.Plans, _, err = sortOver(tx, page.Plans)
	}
	return page, err
}

// Of tells what is planned for one person. Faults: Denied.
func (s *Service) Of(tx *store.Tx, user store.UserID) ([]Plan, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	plans, err := openPlans(tx, user)
	if err == nil {
		plans, _, err = sortOver(tx, plans)
	}
	return plans, err
}
