package life

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// due is a plan whose time has come, in whichever organization.
type due struct {
	Org store.OrgID `db:"org_id"`
	Plan
}

// dueAtOnce is how many are read at a time.
const dueAtOnce = 100

// RunDue makes the changes whose time has come. What cannot be decided now, because the
// database fails, stays planned, and holds up no other.
func (s *Service) RunDue(ctx context.Context) error {
	var failed []error
	last := due{Plan: Plan{ID: "00000000000000000000000000000000"}}
	for {
		var list []due
		err := s.opt.DB.LookupAll(ctx, &list, `SELECT org_id, id, user_id, action, due_at, zone, reason, why, successor_id, by_operator, by_may, planned_by, created_at, state, outcome, ended_at
			FROM planned_changes WHERE state = 'planned' AND due_at <= ? AND (due_at, id) > ({{as_int}}, {{as_id}}) ORDER BY due_at, id LIMIT ?`,
			store.TimeOf(s.opt.DB.Now()), last.DueAt, last.ID, dueAtOnce)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for _, d := range list {
			if err := s.carryOut(ctx, d); err != nil {
				failed = append(failed, fmt.Errorf("planned change %s: %w", d.ID, err))
			}
			last = d
		}
		if len(list) < dueAtOnce || ctx.Err() != nil {
			return errors.Join(failed...)
		}
	}
}

// carryOut makes one change, or notes why it is passed over.
func (s *Service) carryOut(ctx context.Context, d due) error {
	actor := access.Muster(string(d.Org))
	if d.By != "" {
		actor.Name = fmt.Sprintf(access.AsPlannedBy, d.By)
	}
	err := s.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if u, err := tx.AnyUser(d.UserID); err == nil {
			if err := endOver(tx, u); err != nil {
				return err
			}
		}
		won, err := settle(tx, d.ID, Done, "", "")
		if err != nil || !won { // it is over, or another server was faster
			return err
		}
		return change(tx, d.Plan)
	})
	if err == nil {
		return nil
	}
	if fault.Field(err) == "version" { // somebody is changing the person all the time
		return err
	}
	switch fault.Of(err) {
	case fault.Denied, fault.Conflict, fault.NotFound, fault.Invalid, fault.Expired:
	default:
		return err
	}
	told, err2 := json.Marshal(web.SaidBy(err))
	if err2 != nil {
		return err2
	}
	d.State, d.Outcome, d.ToldAs = Skipped, fault.Public(err), string(told)
	return s.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		won, err := settle(tx, d.ID, Skipped, d.Outcome, d.ToldAs)
		if err != nil || !won {
			return err
		}
		u, err := tx.AnyUser(d.UserID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := record(tx, "user.plan.skip", d.Plan, u.DisplayName); err != nil || s.opt.Tell == nil {
			return err
		}
		return s.opt.Tell(tx, d.Plan, u.DisplayName)
	})
}

// change is the planned one, under the rules that hold now.
func change(tx *store.Tx, p Plan) error {
	u, err := tx.User(p.UserID)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFound.Say("The person was deleted meanwhile.")
	}
	if err != nil {
		return err
	}
	if err := tx.MayTouchFor(p.planner(tx.Org()), u); fault.Field(err) == "role" {
		return fault.Denied.On("role", "%s may do more by now than %s might, who planned it.", u.DisplayName, p.By)
	} else if err != nil {
		return err
	}
	if err := possible(tx, p, u); err != nil {
		return err
	}
	if p.Action == Reactivate {
		if u.Status != store.Deactivated {
			return fault.Conflict.Say("%s is not deactivated.", u.DisplayName)
		}
		_, err = tx.Reactivate(u.ID, p.Why)
		return err
	}
	l := store.Leaving{Reason: p.Reason, Why: p.Why, Successor: p.Successor}
	if _, err := tx.CheckLeaving(u.ID, l); fault.Field(err) == "successor" { // access ends all the same
		l.Successor = ""
	}
	_, err = tx.Leave(u.ID, l)
	return err
}
