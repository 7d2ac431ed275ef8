package password

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// TemporaryFor is how long a password works that somebody else has set.
const TemporaryFor = 7 * 24 * time.Hour

// SetTemporary keeps a password that an administrator has chosen and may know. It opens
// nothing until the person has set their own with it, and ends after TemporaryFor. Who
// may is the caller's question, and so is ending sessions.
func (s *Store) SetTemporary(tx *store.Tx, user store.UserID, h Hashed) error {
	if err := put(tx, user, h, true, tx.Now().Add(TemporaryFor)); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "password.temporary", TargetKind: "user", TargetID: string(user),
		Detail: map[string]any{"until": tx.Now().Add(TemporaryFor).RFC3339()}})
}

// MustChange is why a person has to set a new password before anything else, as a
// sentence; empty: there is no reason.
func (s *Store) MustChange(tx *store.Tx, user store.UserID) (string, error) {
	var must bool
	err := tx.Get(&must, "SELECT must_change FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	switch {
	case fault.Is(err, fault.NotFound):
		return "", nil
	case err != nil || !must:
		return "", err
	}
	return "This password was set for you by an administrator. From now on only you should know yours.", nil
}

// Temporary makes a password to hand over: easy to read out, and of every kind of
// characters that a rule may ask for. It has 80 random bits.
func Temporary() string {
	text := strings.ToLower(rand.Text())
	return "Start-" + text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16] + "-7"
}
