package session

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Operator is somebody who runs the server.
type Operator struct {
	Org       store.OrgID  `db:"org_id"`
	User      store.UserID `db:"user_id"`
	Name      string       `db:"display_name"`
	Email     string       `db:"email"`
	Status    store.Status `db:"status"`
	SignedIn  store.Time   `db:"signed_in_at"`
	CreatedAt store.Time   `db:"created_at"`
}

const selectOperators = `SELECT o.org_id, o.user_id, u.display_name, u.email, u.status, u.signed_in_at, o.created_at
	FROM operators o JOIN users u ON u.org_id = o.org_id AND u.id = o.user_id ORDER BY o.created_at, o.user_id LIMIT 500`

// Everyone are the operators of whichever organization, the oldest first. Faults: Denied.
func (s *Store) Everyone(ctx context.Context, actor access.Actor) (list []Operator, err error) {
	if !actor.May(access.Operate) {
		return nil, fault.Denied.Say("Only an operator of this server can see who they are.")
	}
	return list, s.opts.DB.LookupAll(ctx, &list, selectOperators)
}

// removeOperator locks the others who are active: of two who remove one another at the same
// moment, one stays.
const removeOperator = `DELETE FROM operators WHERE org_id = ? AND user_id = ? AND EXISTS (SELECT 1 FROM (SELECT o.user_id FROM operators o
	JOIN users u ON u.org_id = o.org_id AND u.id = o.user_id WHERE u.status = 'active' ORDER BY o.org_id, o.user_id`

// RemoveOperator takes the right to run the server from a person of tx's organization, who
// keeps the account. Needs Write. Faults: Denied, NotFound, Conflict (nobody would be left).
func (s *Store) RemoveOperator(tx *store.Tx, user store.UserID) error {
	if err := tx.Require(access.Operate); err != nil {
		return err
	}
	is, err := s.IsOperator(tx, user)
	if err != nil {
		return err
	}
	if !is {
		return fault.NotFound.Say("This person is no operator, or not any more.")
	}
	lock := tx.ForUpdate()
	if lock != "" {
		lock += " OF o"
	}
	n, err := tx.Exec(removeOperator+lock+") AS x WHERE x.user_id <> ?)", tx.Org(), user, user)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Conflict.Say("Nobody could run this server any more. Make somebody else an operator first.")
	}
	u, err := tx.AnyUser(user)
	if err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "operator.remove", TargetKind: "user", TargetID: string(user), TargetName: u.DisplayName})
}
