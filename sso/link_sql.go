package sso

import (
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

const selectLinks = `SELECT id, connection_id, email, may_activate, created_by, created_at, expires_at, revoked_at, opened_at, done_at
	FROM setup_links WHERE org_id = ?`

func insertLink(tx *store.Tx, l SetupLink, hash string) error {
	var connection any
	if l.ConnectionID != "" {
		connection = l.ConnectionID
	}
	_, err := tx.Exec(`INSERT INTO setup_links (org_id, id, connection_id, token, email, may_activate, created_by, created_at, expires_at, revoked_at, opened_at, done_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)`, tx.Org(), l.ID, connection, hash, l.Email, l.MayActivate, l.CreatedBy, l.CreatedAt, l.ExpiresAt)
	return err
}

// markLink writes what has happened to a link.
func markLink(tx *store.Tx, l SetupLink) error {
	_, err := tx.Exec("UPDATE setup_links SET revoked_at = ?, opened_at = ?, done_at = ? WHERE org_id = ? AND id = ?", l.RevokedAt, l.OpenedAt, l.DoneAt, tx.Org(), l.ID)
	return err
}

// markOpened tells whether this was the first time.
func markOpened(tx *store.Tx, id LinkID) (bool, error) {
	n, err := tx.Exec("UPDATE setup_links SET opened_at = ? WHERE org_id = ? AND id = ? AND opened_at = 0", tx.Now(), tx.Org(), id)
	return n > 0, err
}

func linkIn(tx *store.Tx, id LinkID) (l SetupLink, err error) {
	err = tx.Get(&l, selectLinks+" AND id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFound.Wrap(err, "There is no such link.")
	}
	return l, err
}

func linkByToken(tx *store.Tx, hash string) (l SetupLink, err error) {
	return l, tx.Get(&l, selectLinks+" AND token = ?", tx.Org(), hash)
}

func linksIn(tx *store.Tx) (list []SetupLink, err error) {
	return list, tx.Select(&list, selectLinks+" ORDER BY created_at DESC, id DESC LIMIT 200", tx.Org())
}

const sweepLinks = "DELETE FROM setup_links WHERE expires_at <= ?"
