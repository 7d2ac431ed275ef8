package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/store"
)

// leave is why somebody leaves, and who takes over.
type leave struct {
	Reason    string `help:"One of left, contract, role, leave, unused, duplicate, security, other."`
	Successor string `help:"Who takes the work over: user name, e-mail address or id." placeholder:"NAME-OR-ID"`
}

// later plans a change.
type later struct {
	At   string `help:"Not now but then: 2026-11-30T18:00, a day, or with an offset." placeholder:"TIME"`
	Zone string `help:"Time zone of --at, such as Europe/Berlin; else UTC."`
}

type userDeactivateCmd struct {
	target
	leave
	later
}

type userReactivateCmd struct {
	target
	later
}

type userDeleteCmd struct {
	target
	leave
}

type userRestoreCmd struct {
	target
	UserName string `help:"Another user name, when somebody has the old one now."`
	Active   bool   `help:"Let the person sign in at once."`
}

type userDetachCmd struct{ target }

func (c userDeactivateCmd) Run(a *app) error {
	return c.change(a, func(tx *store.Tx, id store.UserID, org store.Org) (store.User, *life.Plan, error) {
		l, err := c.leaving(tx, org, c.Why)
		if err != nil {
			return store.User{}, nil, err
		}
		if c.At != "" {
			return c.plan(a, tx, life.In{User: id, Action: life.Deactivate, Leaving: l})
		}
		u, err := tx.Leave(id, l)
		return u, nil, err
	})
}

func (c userReactivateCmd) Run(a *app) error {
	return c.change(a, func(tx *store.Tx, id store.UserID, _ store.Org) (store.User, *life.Plan, error) {
		if c.At != "" {
			return c.plan(a, tx, life.In{User: id, Action: life.Reactivate, Leaving: store.Leaving{Why: c.Why}})
		}
		u, err := tx.Reactivate(id, c.Why)
		return u, nil, err
	})
}

func (c userDeleteCmd) Run(a *app) error {
	return c.change(a, func(tx *store.Tx, id store.UserID, org store.Org) (store.User, *life.Plan, error) {
		l, err := c.leaving(tx, org, c.Why)
		if err != nil {
			return store.User{}, nil, err
		}
		u, err := tx.DeleteWith(id, l)
		return u, nil, err
	})
}

func (c userRestoreCmd) Run(a *app) error {
	return c.change(a, func(tx *store.Tx, id store.UserID, _ store.Org) (store.User, *life.Plan, error) {
		u, err := tx.RestoreAs(id, c.UserName, c.Why)
		if err == nil && c.Active {
			u, err = tx.Reactivate(id, c.Why)
		}
		return u, nil, err
	})
}

func (c userDetachCmd) Run(a *app) error {
	return c.change(a, func(tx *store.Tx, id store.UserID, _ store.Org) (store.User, *life.Plan, error) {
		u, err := tx.Detach(id, c.Why)
		return u, nil, err
	})
}

func (l leave) leaving(tx *store.Tx, org store.Org, why string) (store.Leaving, error) {
	out := store.Leaving{Reason: l.Reason, Why: why}
	if l.Successor == "" {
		return out, nil
	}
	id, err := target{User: l.Successor}.find(tx, org)
	if fault.Is(err, fault.NotFound) {
		return out, fault.NotFound.On("successor", "There is nobody %q in %s who could take over.", l.Successor, org.Slug)
	}
	out.Successor = id
	return out, err
}

func (l later) plan(a *app, tx *store.Tx, in life.In) (store.User, *life.Plan, error) {
	in.At, in.Zone = l.At, l.Zone
	p, err := a.opened.life.Plan(tx, in)
	if err != nil {
		return store.User{}, nil, err
	}
	u, err := tx.User(in.User)
	return u, &p, err
}

// planRow is a planned change as the command line shows it.
type planRow struct {
	ID      life.PlanID  `json:"id"`
	UserID  store.UserID `json:"user_id"`
	Action  string       `json:"action"`
	At      string       `json:"at"`
	Zone    string       `json:"zone"`
	By      string       `json:"planned_by"`
	State   string       `json:"state"`
	Outcome string       `json:"outcome"`
}

func planRowOf(p life.Plan) planRow {
	return planRow{p.ID, p.UserID, p.Action, p.DueAt.RFC3339(), p.Zone, p.By, p.State, p.Outcome}
}

// change makes one change of a person's state, or plans it.
func (c target) change(a *app, do func(*store.Tx, store.UserID, store.Org) (store.User, *life.Plan, error)) error {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var u store.User
	var plan *life.Plan
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		id, err := c.find(tx, org)
		if err != nil {
			return err
		}
		u, plan, err = do(tx, id, org)
		return err
	})
	if err != nil {
		return err
	}
	out := struct {
		ID      store.UserID `json:"id"`
		Status  store.Status `json:"status"`
		Planned *planRow     `json:"planned,omitempty"`
	}{ID: u.ID, Status: u.Status}
	said := fmt.Sprintf("%s is now %s.", u.UserName, u.Status)
	if plan != nil {
		row := planRowOf(*plan)
		out.Planned, said = &row, fmt.Sprintf("%s is to be %sd at %s. To cancel: muster user cancel-planned --org %s %s", u.UserName, plan.Action, row.At, c.Org, plan.ID)
	}
	return a.answer(out, said)
}

type userDeletedCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c userDeletedCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	type row struct {
		ID        store.UserID `json:"id"`
		UserName  string       `json:"user_name"`
		DeletedAt string       `json:"deleted_at"`
		Until     string       `json:"restorable_until"`
		Taken     bool         `json:"user_name_taken"`
	}
	rows, lines := []row{}, []string{}
	for after := ""; ; {
		var page store.DeletedPage
		if err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) { page, err = tx.DeletedPeople(after, 200); return err }); err != nil {
			return err
		}
		for _, u := range page.People {
			r := row{u.ID, u.UserName, u.DeletedAt.RFC3339(), u.DeletedAt.Add(store.RestoreFor).RFC3339(), u.Taken}
			rows = append(rows, r)
			lines = append(lines, fmt.Sprintf("%s %-30s until %s", r.ID, r.UserName, r.Until))
		}
		if after = page.Next; after == "" {
			return a.answer(rows, lines...)
		}
	}
}

type userPlannedCmd struct {
	Org   string `required:"" help:"Organization (short name)."`
	State string `enum:"planned,done,skipped,cancelled" default:"planned" help:"planned, done, skipped or cancelled."`
}

func (c userPlannedCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	rows, lines := []planRow{}, []string{}
	for after := ""; ; {
		var page life.Page
		if err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			page, err = a.opened.life.List(tx, life.Query{State: c.State, After: after, Limit: 200})
			return err
		}); err != nil {
			return err
		}
		for _, p := range page.Plans {
			r := planRowOf(p)
			rows = append(rows, r)
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %-10s %s %s", r.ID, r.At, r.Action, r.UserID, r.Outcome)))
		}
		if after = page.Next; after == "" {
			return a.answer(rows, lines...)
		}
	}
}

type userCancelCmd struct {
	Org  string `required:"" help:"Organization (short name)."`
	Plan string `arg:"" name:"id" help:"Id of the planned change: muster user planned."`
}

func (c userCancelCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	id, err := store.ParseID[life.Plan](c.Plan)
	if err != nil {
		return err
	}
	var p life.Plan
	if err := a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error { p, err = a.opened.life.Cancel(tx, id); return err }); err != nil {
		return err
	}
	return a.answer(planRowOf(p), "Cancelled.")
}

type orgSeatsCmd struct {
	Org   string `required:"" help:"Organization (short name)."`
	Limit string `help:"How many people it may have: a number, or none." placeholder:"N"`

	Licenses string `help:"License types in place of those that there are: a JSON file with a list, as --json prints it." placeholder:"FILE"`
}

func (c orgSeatsCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	limit := int64(store.NoLimit)
	if c.Limit != "" && c.Limit != "none" {
		if limit, err = strconv.ParseInt(c.Limit, 10, 64); err != nil || limit < 0 {
			return usage{fmt.Errorf("--limit is %q; it can be a number of seats, or none", c.Limit)}
		}
	}
	var licenses []api.LicenseJSON
	if c.Licenses != "" {
		text, err := os.ReadFile(c.Licenses)
		if err == nil {
			err = json.Unmarshal(text, &licenses)
		}
		if err != nil {
			return usage{fmt.Errorf("--licenses %s is no list of license types: %w", c.Licenses, err)}
		}
	}
	var s api.Seats
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		if c.Limit != "" {
			if err := tx.SetSeats(limit); err != nil {
				return err
			}
		}
		if c.Licenses != "" {
			if err := api.SetLicenses(tx, "", licenses); err != nil {
				return err
			}
		}
		s, err = api.SeatsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	lines := []string{counted(s.Used, "seat is taken; there is no limit.", "seats are taken; there is no limit.")}
	if s.Limit != nil {
		lines[0] = fmt.Sprintf("%d of %s taken.", s.Used, counted(*s.Limit, "seat", "seats"))
	}
	for _, l := range s.Licenses {
		of := "no limit"
		if l.Limit != nil {
			of = fmt.Sprint(*l.Limit)
		}
		lines = append(lines, fmt.Sprintf("%-20s %d of %s", l.Name, l.Used, of))
	}
	return a.answer(s, lines...)
}
