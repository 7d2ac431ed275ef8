package invite

import "github.com/muster-id/muster/store"

// Forget removes the links of a person who is removed for good; the invitations
// themselves go with everything else that is the person's.
func Forget(tx *store.Tx, user store.UserID) error {
	_, err := tx.Exec(`DELETE FROM invitation_links WHERE org_id = ? AND invitation_id IN (SELECT i.id FROM invitations i WHERE i.org_id = ? AND i.user_id = ?)`,
		tx.Org(), tx.Org(), user)
	return err
}
