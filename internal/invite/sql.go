package invite

import (
	"encoding/json"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// found is the invitation behind a link.
type found struct {
	Invitation
	Org     store.OrgID `db:"org_id"`
	Current bool        `db:"current"` // the link is the newest one
}

// One open invitation per person: a second one becomes a new link of the first.
const upsertInvitation = `INSERT INTO invitations (org_id, id, user_id, email, state, token_hash, invited_by, sent, created_at, sent_at, expires_at)
	VALUES (?, ?, ?, ?, 'pending', ?, ?, 1, ?, ?, ?)
	ON CONFLICT (org_id, user_id) WHERE state = 'pending' DO UPDATE SET email = excluded.email, token_hash = excluded.token_hash,
		sent = invitations.sent + 1, sent_at = excluded.sent_at, expires_at = excluded.expires_at
	RETURNING id`

func upsert(tx *store.Tx, i Invitation, hash string) (id ID, err error) {
	err = tx.Get(&id, upsertInvitation, tx.Org(), i.ID, i.UserID, i.Email, hash, i.InvitedBy, i.SentAt, i.SentAt, i.ExpiresAt)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec("INSERT INTO invitation_links (org_id, token_hash, invitation_id, sent_by, sent_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
		tx.Org(), hash, id, i.InvitedBy, i.SentAt, i.ExpiresAt)
	return id, err
}

const selectByLink = `SELECT i.org_id, i.id, i.user_id, i.email, i.state, i.invited_by, i.sent, i.created_at, i.sent_at, i.expires_at, i.ended_at,
	i.token_hash = l.token_hash AS current
	FROM invitation_links l JOIN invitations i ON i.org_id = l.org_id AND i.id = l.invitation_id
	WHERE l.org_id = ? AND l.token_hash = ?`

func byLink(tx *store.Tx, hash string) (f found, err error) {
	return f, tx.Get(&f, selectByLink, tx.Org(), hash)
}

// lock holds up accepting and cancelling until the caller is done. What is read
// after it stays true.
func lock(tx *store.Tx, user store.UserID) error {
	var ids []ID
	return tx.Select(&ids, "SELECT id FROM invitations WHERE org_id = ? AND user_id = ? ORDER BY id"+tx.ForUpdate(), tx.Org(), user)
}

// claim ends a pending invitation by its newest link, and tells whether it was
// this call that did: of several at once one wins.
func claim(tx *store.Tx, id ID, hash string) (bool, error) {
	n, err := tx.Exec(`UPDATE invitations SET state = 'accepted', ended_at = ? WHERE org_id = ? AND id = ? AND token_hash = ? AND state = 'pending' AND expires_at > ?`,
		tx.Now(), tx.Org(), id, hash, tx.Now())
	return n > 0, err
}

// settle marks the open invitation of a person as accepted. Faults: NotFound (none is open).
func settle(tx *store.Tx, user store.UserID) (id ID, err error) {
	return id, tx.Get(&id, `UPDATE invitations SET state = 'accepted', ended_at = ? WHERE org_id = ? AND user_id = ? AND state = 'pending' RETURNING id`,
		tx.Now(), tx.Org(), user)
}

// cancel ends whatever is open. A person without an invitation has none to end.
func cancel(tx *store.Tx, user store.UserID) error {
	n, err := tx.Exec("UPDATE invitations SET state = 'cancelled', ended_at = ? WHERE org_id = ? AND user_id = ? AND state = 'pending'", tx.Now(), tx.Org(), user)
	if err != nil || n > 0 {
		return err
	}
	var accepted int
	if err := tx.Get(&accepted, "SELECT COUNT(*) FROM invitations WHERE org_id = ? AND user_id = ? AND state = 'accepted'", tx.Org(), user); err != nil {
		return err
	}
	if accepted > 0 {
		return fault.Conflict.Say("The invitation has just been accepted. Deactivate or delete the person instead.")
	}
	return nil
}

const newestInvitations = `SELECT id, user_id, email, state, invited_by, sent, created_at, sent_at, expires_at, ended_at
	FROM invitations WHERE org_id = ? AND user_id IN ({{ids}}) ORDER BY user_id, id`

func newest(tx *store.Tx, users []store.UserID) (rows []Invitation, err error) {
	list, err := json.Marshal(append([]store.UserID{}, users...)) // never null
	if err != nil {
		return nil, err
	}
	return rows, tx.Select(&rows, newestInvitations, tx.Org(), string(list))
}

// upload is a CSV file between upload and confirmation.
type upload struct {
	Name   string `db:"name"`
	Invite bool   `db:"invite"`
	Data   []byte `db:"data"`
}

// uploadsKept is how many files of an organization may wait; each can be large.
const uploadsKept = 5

// keepUpload stores a file, and drops those that nobody confirmed in time and all
// but the newest.
func keepUpload(tx *store.Tx, id uploadID, u upload) error {
	if _, err := tx.Exec("DELETE FROM imports WHERE org_id = ? AND created_at < ?", tx.Org(), tx.Now().Add(-uploadTTL)); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM imports WHERE org_id = ? AND id NOT IN (SELECT id FROM imports WHERE org_id = ? ORDER BY id DESC LIMIT ?)`,
		tx.Org(), tx.Org(), uploadsKept-1); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO imports (org_id, id, name, invite, data, created_at) VALUES (?, ?, ?, ?, ?, ?)", tx.Org(), id, u.Name, u.Invite, u.Data, tx.Now())
	return err
}

func findUpload(tx *store.Tx, id uploadID) (u upload, err error) {
	return u, tx.Get(&u, "SELECT name, invite, data FROM imports WHERE org_id = ? AND id = ? AND created_at >= ?", tx.Org(), id, tx.Now().Add(-uploadTTL))
}

// takeUpload tells whether it was this call that removed the file: of two
// confirmations at once one goes on.
func takeUpload(tx *store.Tx, id uploadID) (bool, error) {
	n, err := tx.Exec("DELETE FROM imports WHERE org_id = ? AND id = ?", tx.Org(), id)
	return n > 0, err
}
