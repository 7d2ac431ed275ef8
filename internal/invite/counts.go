package invite

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// Counts tells how many invitations are in each state. Faults: Denied.
func (d *Door) Counts(tx *store.Tx) (map[State]int, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	var rows []struct {
		State State `db:"state"`
		N     int   `db:"n"`
	}
	// The same cases in the same order as Invitation.at.
	err := tx.Select(&rows, `SELECT CASE WHEN state <> 'pending' THEN state WHEN sent = 0 THEN 'saved' WHEN bounced_at > 0 THEN 'bounced'
		WHEN expires_at <= ? THEN 'expired' ELSE state END AS state, COUNT(*) AS n FROM invitations WHERE org_id = ? GROUP BY 1`, tx.Now(), tx.Org())
	of := make(map[State]int, len(rows))
	for _, r := range rows {
		of[r.State] = r.N
	}
	return of, err
}
