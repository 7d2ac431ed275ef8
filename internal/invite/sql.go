package invite

import (
	"encoding/json"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
)

// found is the invitation behind a link.
type found struct {
	Invitation
	Org      store.OrgID `db:"org_id"`
	Current  bool        `db:"current"`   // nothing was sent after the link
	SentTo   string      `db:"sent_to"`   // the address that the link went to
	OpenedAt store.Time  `db:"opened_at"` // first
}

// waits tells whether the person of an invitation is still invited.
const waits = "EXISTS (SELECT 1 FROM users u WHERE u.org_id = i.org_id AND u.id = i.user_id AND u.status = 'invited')"

const invitationFields = `i.id, i.user_id, i.email, i.state, i.invited_by, i.sent, i.created_at, i.sent_at, i.expires_at, i.ended_at, i.note, i.bounced_at, i.bounce, i.asked_at, ` + waits + " AS waits"

// One open invitation per person: a second one becomes a new link of the first, which
// keeps its note unless there is another.
const upsertInvitation = `INSERT INTO invitations (org_id, id, user_id, email, state, invited_by, sent, created_at, sent_at, expires_at, note, remind_at)
	VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (org_id, user_id) WHERE state = 'pending' DO UPDATE SET email = excluded.email, sent = invitations.sent + 1, sent_at = excluded.sent_at,
		invited_by = CASE WHEN invitations.invited_by = '' THEN excluded.invited_by ELSE invitations.invited_by END,
		expires_at = excluded.expires_at, note = COALESCE(NULLIF(excluded.note, ''), invitations.note), remind_at = excluded.remind_at, bounced_at = 0, bounce = '', asked_at = 0
	RETURNING id, sent, invited_by, note`

// upsert gives the row as it is stored.
func upsert(tx *store.Tx, i Invitation, remindAt store.Time) (Invitation, error) {
	var is struct {
		ID        ID     `db:"id"`
		Sent      int    `db:"sent"`
		InvitedBy string `db:"invited_by"`
		Note      string `db:"note"`
	}
	err := tx.Get(&is, upsertInvitation, tx.Org(), i.ID, i.UserID, i.Email, i.InvitedBy, i.Sent, tx.Now(), i.SentAt, i.ExpiresAt, i.Note, remindAt)
	i.ID, i.Sent, i.InvitedBy, i.Note = is.ID, is.Sent, is.InvitedBy, is.Note
	return i, err
}

func insertLink(tx *store.Tx, i Invitation, hash, by string, m mail.ID) error {
	_, err := tx.Exec("INSERT INTO invitation_links (org_id, token_hash, invitation_id, sent_by, sent_at, expires_at, generation, email, mail_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), hash, i.ID, by, tx.Now(), i.ExpiresAt, i.Sent, i.Email, m)
	return err
}

const selectByLink = "SELECT i.org_id, " + invitationFields + `, l.generation = i.sent AS current, l.email AS sent_to, l.opened_at
	FROM invitation_links l JOIN invitations i ON i.org_id = l.org_id AND i.id = l.invitation_id
	WHERE l.org_id = ? AND l.token_hash = ?`

func byLink(tx *store.Tx, hash string) (f found, err error) {
	return f, tx.Get(&f, selectByLink, tx.Org(), hash)
}

// firstOpened tells whether a link was never opened before.
func firstOpened(tx *store.Tx, hash string) (bool, error) {
	n, err := tx.Exec("UPDATE invitation_links SET opened_at = ? WHERE org_id = ? AND token_hash = ? AND opened_at = 0", tx.Now(), tx.Org(), hash)
	return n > 0, err
}

// lock holds up accepting and cancelling until the caller is done. What is read
// after it stays true.
func lock(tx *store.Tx, user store.UserID) error {
	var ids []ID
	return tx.Select(&ids, "SELECT id FROM invitations WHERE org_id = ? AND user_id = ? ORDER BY id"+tx.ForUpdate(), tx.Org(), user)
}

// claim ends a pending invitation by a link that nothing was sent after, and tells
// whether it was this call that did: of several at once one wins.
func claim(tx *store.Tx, id ID, hash string) (bool, error) {
	n, err := tx.Exec(`UPDATE invitations SET state = 'accepted', ended_at = ? WHERE org_id = ? AND id = ? AND state = 'pending' AND expires_at > ?
		AND sent = (SELECT l.generation FROM invitation_links l WHERE l.org_id = ? AND l.token_hash = ?)`,
		tx.Now(), tx.Org(), id, tx.Now(), tx.Org(), hash)
	return n > 0, err
}

// settle marks the open invitation of a person as accepted. Faults: NotFound (none is open).
func settle(tx *store.Tx, user store.UserID) (id ID, err error) {
	return id, tx.Get(&id, `UPDATE invitations SET state = 'accepted', ended_at = ? WHERE org_id = ? AND user_id = ? AND state = 'pending' RETURNING id`,
		tx.Now(), tx.Org(), user)
}

// cancel ends whatever is open and keeps the person's teams. A person without an
// invitation has none to end, and gets one that was cancelled, to be opened again.
func cancel(tx *store.Tx, u store.User, teams []store.GroupID) (id ID, err error) {
	text, err := json.Marshal(teams)
	if err != nil {
		return "", err
	}
	err = tx.Get(&id, "UPDATE invitations SET state = 'cancelled', ended_at = ?, kept = {{as_json}} WHERE org_id = ? AND user_id = ? AND state = 'pending' RETURNING id",
		tx.Now(), string(text), tx.Org(), u.ID)
	if !fault.Is(err, fault.NotFound) {
		return id, err
	}
	var accepted int
	if err := tx.Get(&accepted, "SELECT COUNT(*) FROM invitations WHERE org_id = ? AND user_id = ? AND state = 'accepted'", tx.Org(), u.ID); err != nil {
		return "", err
	}
	if accepted > 0 {
		return "", fault.Conflict.Say("The invitation has just been accepted. Deactivate or delete the person instead.")
	}
	id = store.NewID[Invitation]()
	_, err = tx.Exec(`INSERT INTO invitations (org_id, id, user_id, email, state, invited_by, sent, created_at, sent_at, expires_at, ended_at, kept) VALUES (?, ?, ?, ?, 'cancelled', '', 0, ?, 0, 0, ?, {{as_json}})`,
		tx.Org(), id, u.ID, u.Email, tx.Now(), tx.Now(), string(text))
	return id, err
}

// keptBy are the teams that the person of a cancelled invitation had.
func keptBy(tx *store.Tx, id ID) (teams []store.GroupID, err error) {
	var text store.JSON
	if err := tx.Get(&text, "SELECT kept FROM invitations WHERE org_id = ? AND id = ?", tx.Org(), id); err != nil || len(text) == 0 {
		return nil, err
	}
	return teams, json.Unmarshal(text, &teams)
}

const newestInvitations = "SELECT " + invitationFields + " FROM invitations i WHERE i.org_id = ? AND i.user_id IN ({{ids}}) ORDER BY i.user_id, i.id"

func newest(tx *store.Tx, users []store.UserID) (rows []Invitation, err error) {
	list, err := json.Marshal(append([]store.UserID{}, users...)) // never null
	if err != nil {
		return nil, err
	}
	return rows, tx.Select(&rows, newestInvitations, tx.Org(), string(list))
}

// newestOf is the newest invitation of one person. Faults: NotFound.
func newestOf(tx *store.Tx, user store.UserID) (i Invitation, err error) {
	return i, tx.Get(&i, "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ? AND i.user_id = ? ORDER BY i.id DESC LIMIT 1", tx.Org(), user)
}

func insertEvent(tx *store.Tx, user store.UserID, id ID, what, by, detail string) error {
	_, err := tx.Exec("INSERT INTO invitation_events (org_id, user_id, id, invitation_id, at, what, by_name, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), user, store.NewID[Event](), id, tx.Now(), what, by, detail)
	return err
}

func events(tx *store.Tx, user store.UserID) (list []Event, err error) {
	return list, tx.Select(&list, "SELECT at, what, by_name, detail FROM invitation_events WHERE org_id = ? AND user_id = ? ORDER BY id DESC LIMIT 100", tx.Org(), user)
}
