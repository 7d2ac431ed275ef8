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
func (s *Store) SetTemporary(tx *store.Tx, u store.User, h Hashed) error {
	if err := s.put(tx, u.ID, h, true, tx.Now().Add(TemporaryFor)); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "password.temporary", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
		Detail: map[string]any{"until": tx.Now().Add(TemporaryFor).RFC3339()}})
}

// Change is why a person has to set a new password before anything else.
type Change struct {
	Temporary bool // an administrator has set this one
	Days      int  // the rules let passwords live so long, and this one is older
}

// Needed tells whether there is a reason.
func (c Change) Needed() bool { return c != Change{} }

// MustChange is why a person has to set a new password now.
func (s *Store) MustChange(tx *store.Tx, user store.UserID) (c Change, err error) {
	var row struct {
		Must bool       `db:"must_change"`
		At   store.Time `db:"updated_at"`
	}
	err = tx.Get(&row, "SELECT must_change, updated_at FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	if fault.Is(err, fault.NotFound) {
		return c, nil
	}
	if err != nil || row.Must {
		return Change{Temporary: row.Must}, err
	}
	rules, _, err := s.Rules(tx)
	if err == nil && rules.ExpireDays > 0 && row.At <= tx.Now().Add(-time.Duration(rules.ExpireDays)*24*time.Hour) {
		c.Days = rules.ExpireDays
	}
	return c, err
}

// Temporary makes a password to hand over: easy to read out, and of every kind of
// characters that a rule may ask for. It has at least 80 random bits.
func Temporary(r Rules) string {
	text := strings.ToLower(rand.Text() + rand.Text() + rand.Text())
	var b strings.Builder
	b.WriteString("Start7")
	for i := 0; i < 16 || b.Len() < r.MinLength; i += 4 {
		b.WriteString("-" + text[i:i+4])
	}
	return b.String()
}
