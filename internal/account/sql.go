package account

import (
	"encoding/json"

	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

func insertReset(tx *store.Tx, token string, user store.UserID, until store.Time) error {
	_, err := tx.Exec("INSERT INTO password_resets (org_id, token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
		tx.Org(), secret.Hash(token), user, tx.Now(), until)
	return err
}

// findReset gives whose link it is. Faults: NotFound.
func findReset(tx *store.Tx, token string) (user store.UserID, err error) {
	return user, tx.Get(&user, findResetSQL, tx.Org(), secret.Hash(token), tx.Now())
}

// Access that was ended and given back begins anew: links from before stay dead.
const findResetSQL = `SELECT p.user_id FROM password_resets p WHERE p.org_id = ? AND p.token_hash = ? AND p.expires_at > ?
	AND NOT EXISTS (SELECT 1 FROM users u WHERE u.org_id = p.org_id AND u.id = p.user_id AND u.active_from > p.created_at)`

// useReset removes the link and with it every other one of the person.
func useReset(tx *store.Tx, token string, user store.UserID) (bool, error) {
	n, err := tx.Exec("DELETE FROM password_resets WHERE org_id = ? AND token_hash = ? AND expires_at > ?", tx.Org(), secret.Hash(token), tx.Now())
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec("DELETE FROM password_resets WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	return true, err
}

func insertSetup(tx *store.Tx, token string, until store.Time) error {
	_, err := tx.Exec("INSERT INTO setups (token_hash, created_at, expires_at) VALUES (?, ?, ?)", secret.Hash(token), tx.Now(), until)
	return err
}

// useSetup removes the link and with it every other one.
func useSetup(tx *store.Tx, token string) (bool, error) {
	n, err := tx.Exec("DELETE FROM setups WHERE token_hash = ? AND expires_at > ?", secret.Hash(token), tx.Now())
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec("DELETE FROM setups")
	return true, err
}

// OpenResets are the people with an open link for a new password.
func OpenResets(tx *store.Tx) (list []store.UserID, err error) {
	return list, tx.Select(&list, "SELECT DISTINCT user_id FROM password_resets WHERE org_id = ? AND expires_at > ? LIMIT 100000", tx.Org(), tx.Now())
}

// jsonIDs is a list of people for {{in_ids}}.
func jsonIDs(users []store.UserID) (string, error) {
	list, err := json.Marshal(users)
	return string(list), err
}

// EndResets ends the links of these people.
func EndResets(tx *store.Tx, users []store.UserID) error {
	list, err := jsonIDs(users)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM password_resets WHERE org_id = ? AND user_id {{in_ids}}", tx.Org(), list)
	return err
}
