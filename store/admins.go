package store

import "github.com/muster-id/muster/internal/access"

// Admins are the active admins of the organization, the first hundred: whom a
// background loop tells what nobody is looking at. Whoever sets a connection up by a
// link has them told, too, and must be shown none of them. Faults: Denied.
func (tx *Tx) Admins() ([]User, error) {
	if err := tx.Require(access.SetUp); err != nil {
		if err := tx.Require(access.ViewUsers); err != nil {
			return nil, err
		}
	}
	list := []User{}
	return list, tx.Select(&list, userColumns+` WHERE org_id = ? AND status = 'active' AND deleted_at = 0
		AND id IN (SELECT r.user_id FROM user_roles r WHERE r.org_id = ? AND r.role = ?) ORDER BY id LIMIT 100`, tx.Org(), tx.Org(), access.Admin)
}
