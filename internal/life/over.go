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

// A planned deactivation ends when the person is deactivated before, a planned reactivation
// when the person is reactivated, and every plan when the person is deleted, by whatever
// door: the activity log says so, so that no door has to tell. From that commit on nobody
// sees the plan as one to come; it is written down as cancelled with the next round. Whoever
// takes that back does not bring the plan back: access would end, or begin, without anybody
// having said so again.

// overPlan is one of which nothing is left to do.
type overPlan struct {
	Plan
	by string // the activity that was faster
}

// sortOver parts plans that are open from those that are over.
func sortOver(tx *store.Tx, plans []Plan) (open []Plan, over []overPlan, err error) {
	open = []Plan{}
	ids := make([]store.UserID, len(plans))
	for i, p := range plans {
		ids[i] = p.UserID
	}
	if len(ids) == 0 {
		return open, nil, nil
	}
	turns, err := tx.LastTurns(ids)
	for _, p := range plans {
		switch last := turns[p.UserID]; {
		case last.Deleted >= p.CreatedAt:
			over = append(over, overPlan{p, "user.delete"})
		case p.Action == Deactivate && last.Ended >= p.CreatedAt:
			over = append(over, overPlan{p, "user.deactivate"})
		case p.Action == Reactivate && last.Back >= p.CreatedAt:
			over = append(over, overPlan{p, "user.reactivate"})
		default:
			open = append(open, p)
		}
	}
	return open, over, err
}

// endOver writes down which plans of a person are over.
func endOver(tx *store.Tx, u store.User) error {
	plans, err := openPlans(tx, u.ID)
	if err != nil {
		return err
	}
	_, over, err := sortOver(tx, plans)
	if err != nil {
		return err
	}
	for _, p := range over {
		var why error
		switch p.by {
		case "user.delete":
			why = fault.Conflict.Say("%s was deleted before that time.", u.DisplayName)
		case "user.deactivate":
			why = fault.Conflict.Say("%s was deactivated before that time.", u.DisplayName)
		default:
			why = fault.Conflict.Say("%s was reactivated before that time.", u.DisplayName)
		}
		told, err := json.Marshal(web.SaidBy(why))
		if err != nil {
			return err
		}
		p.Outcome = fault.Public(why)
		won, err := settle(tx, p.ID, Cancelled, p.Outcome, string(told))
		if err != nil {
			return err
		}
		if !won { // another server was faster
			continue
		}
		if err := record(tx, "user.plan.end", p.Plan, u.DisplayName); err != nil {
			return err
		}
	}
	return nil
}

// EndOver looks in all organizations for people whom something has befallen before what is
// planned for them.
func (s *Service) EndOver(ctx context.Context) error {
	var list []struct {
		Org  store.OrgID  `db:"org_id"`
		User store.UserID `db:"user_id"`
	}
	if err := s.opt.DB.LookupAll(ctx, &list, `SELECT DISTINCT p.org_id, p.user_id FROM planned_changes p JOIN users u ON u.org_id = p.org_id AND u.id = p.user_id
		WHERE p.state = 'planned' AND (u.status = 'deleted' OR u.status = 'deactivated' AND p.action = 'deactivate' OR p.action = 'reactivate' AND
		EXISTS (SELECT 1 FROM activity a WHERE a.org_id = p.org_id AND a.target_id = replace(CAST(p.user_id AS text), '-', '') AND a.action IN ('user.delete', 'user.reactivate', 'user.reinvite') AND a.at >= p.created_at)) LIMIT ?`, dueAtOnce); err != nil {
		return err
	}
	var failed []error
	for _, l := range list {
		err := s.opt.DB.Write(ctx, access.Muster(string(l.Org)), func(tx *store.Tx) error {
			u, err := tx.AnyUser(l.User)
			if err != nil {
				return err
			}
			return endOver(tx, u)
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			failed = append(failed, fmt.Errorf("plans of %s: %w", l.User, err))
		}
	}
	return errors.Join(failed...)
}
