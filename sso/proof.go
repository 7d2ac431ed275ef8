package sso

import (
	"slices"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// Proof is whether a connection works, and since when that is known.
type Proof struct {
	ID     ConnectionID
	Name   string
	Active bool
	At     store.Time // the newest sign-in over it that proves it; 0: none
	Ended  bool       // every certificate of the provider that is known here has ended
}

// VerifiedDomains are the names of the domains that the organization has proved.
func VerifiedDomains(tx *store.Tx) ([]string, error) { return verifiedIn(tx) }

// Proofs tells for each connection of the organization whether it has been seen to
// work within a day, as it is now: by a test sign-in, or by an admin's over it.
func (d *Door) Proofs(tx *store.Tx) ([]Proof, error) {
	list, err := connectionsIn(tx)
	if err != nil {
		return nil, err
	}
	proofs := make([]Proof, len(list))
	for i, c := range list {
		proofs[i] = Proof{ID: c.ID, Name: c.Name, Active: c.Status == statusActive}
		if proofs[i].At, err = adminSeen(tx, c.ID, max(c.UpdatedAt, tx.Now().Add(-24*time.Hour))); err != nil {
			return nil, err
		}
		tested, err := d.TestPassed(tx, c.ID)
		if err != nil {
			return nil, err
		}
		proofs[i].At = max(proofs[i].At, tested)
		certificates, err := certificateLinesIn(tx, c.ID) // the last to end comes first
		if err != nil {
			return nil, err
		}
		proofs[i].Ended = len(certificates) > 0 && certificates[0].NotAfter < tx.Now()
	}
	return proofs, nil
}

// adminSeen is when an admin last signed in over a connection, if that was after since.
func adminSeen(tx *store.Tx, id ConnectionID, since store.Time) (store.Time, error) {
	var rows []struct {
		User store.UserID `db:"user_id"`
		Seen store.Time   `db:"last_seen_at"`
	}
	err := tx.Select(&rows, `SELECT user_id, last_seen_at FROM identities WHERE org_id = ? AND connection_id = ? AND last_seen_at > ?
		ORDER BY last_seen_at DESC LIMIT 1000`, tx.Org(), id, since)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	ids := make([]store.UserID, len(rows))
	for i, r := range rows {
		ids[i] = r.User
	}
	roles, err := tx.RolesOf(ids)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if slices.Contains(store.RoleNames(roles[r.User]), access.Admin) {
			return r.Seen, nil
		}
	}
	return 0, nil
}
