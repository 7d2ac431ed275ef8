package invite

import (
	"unicode/utf8"

	"github.com/muster-id/muster/store"
)

// What package importer has done here for the people of a file.

// Address checks an address and gives the form that mail servers know. Faults: Invalid
// on "email".
func Address(address string) (string, error) { return cleanAddress(address) }

// Imported makes the invitation of a new person in the caller's transaction, with its
// mail when it is sent; else it is saved. Needs Write.
func (d *Door) Imported(tx *store.Tx, org store.Org, u store.User, sent bool) error {
	if sent {
		_, err := d.issue(tx, org, u, Invitation{}, "create", true)
		return err
	}
	_, err := d.saved(tx, u, Invitation{ID: store.NewID[Invitation]()})
	return err
}

// saved keeps an invitation that is sent later.
func (d *Door) saved(tx *store.Tx, u store.User, row Invitation) (Made, error) {
	row.UserID, row.Email, row.InvitedBy = u.ID, u.Email, inviter(tx.Actor())
	if _, err := upsert(tx, row, 0); err != nil {
		return Made{}, err
	}
	return Made{UserID: u.ID, InvitationID: row.ID, Email: u.Email}, d.record(tx, u, row.ID, "save", map[string]any{"email": u.Email})
}

// clip cuts at a character's border.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
