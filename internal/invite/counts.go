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
	err := tx.Select(&rows, `SELECT CASE WHEN i.state <> 'pending' THEN i.state WHEN NOT `+waits+` THEN 'unneeded' WHEN i.sent = 0 THEN 'saved' WHEN i.bounced_at > 0 THEN 'bounced'
		WHEN i.expires_at <= ? THEN 'expired' ELSE i.state END AS state, COUNT(*) AS n FROM invitations i WHERE i.org_id = ? GROUP BY 1`, tx.Now(), tx.Org())
	of := make(map[State]int, len(rows))
	for _, r := range rows {
		of[r.State] = r.N
	}
	return of, err
}
