package factor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Purpose is what a ticket is good for.
type Purpose string

// The purposes.
const (
	ToRegister Purpose = "register a passkey"
	ToSignIn   Purpose = "sign in with a passkey"
	ToFinish   Purpose = "second factor of a sign-in"
	ToStepUp   Purpose = "prove it once more"
	ToStandBy  Purpose = "prove it once more, beside the password"
	toSetUpApp Purpose = "set up an authenticator app"
)

// beside tells whether the password is asked for, too: then holding the device is enough.
func (p Purpose) beside() bool { return p == ToFinish || p == ToStandBy }

// How long there is time.
const (
	ticketFor = 10 * time.Minute
	// A sign-in page may stay open: its browser offers passkeys while somebody types.
	signInFor = time.Hour
)

// ticket is what a page must bring back. Bind names the browser: a session, a sign-in
// that is under way, a cookie.
type ticket struct {
	Challenge string       `json:"c,omitempty"`
	Seed      string       `json:"s,omitempty"`
	User      store.UserID `json:"u,omitempty"`
	Expires   store.Time   `json:"x"`
	// SecondOnly: what is registered is to stand beside a password, see Passkey.
	SecondOnly bool `json:"k,omitempty"`
}

func ticketPlace(p Purpose, bind string) string {
	return "factor/" + string(p) + "/" + secret.Hash(bind)
}

func (s *Store) seal(p Purpose, bind string, t ticket) (string, error) {
	if bind == "" {
		return "", fault.Invalid.Say("Your browser keeps no cookies for this site. Allow them, and load the page again.")
	}
	life := ticketFor
	if p == ToSignIn {
		life = signInFor
	}
	t.Expires = store.TimeOf(s.opt.DB.Now().Add(life))
	text, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	sealed, err := s.opt.Key.Seal(ticketPlace(p, bind), text)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// open reads a ticket. Faults: Expired (too old, of another browser, for something else).
func (s *Store) open(p Purpose, bind, text string) (t ticket, err error) {
	old := fault.Expired.On("ticket", "This took too long, or was begun in another browser. Try once more.")
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > 2000 || bind == "" {
		return t, old
	}
	plain, err := s.opt.Key.Open(ticketPlace(p, bind), sealed)
	if err != nil {
		return t, old
	}
	if err := json.Unmarshal(plain, &t); err != nil {
		return t, err
	}
	if t.Expires <= store.TimeOf(s.opt.DB.Now()) {
		return t, old
	}
	return t, nil
}

// burn makes a challenge unusable from here on, on all servers. Faults: Expired (it was).
func (s *Store) burn(ctx context.Context, t ticket) error {
	return s.opt.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
		n, err := tx.Exec("INSERT INTO used_challenges (challenge_hash, expires_at) VALUES (?, ?) ON CONFLICT (challenge_hash) DO NOTHING", secret.Hash(t.Challenge), t.Expires)
		if err == nil && n == 0 {
			err = fault.Expired.On("ticket", "This was answered already. Try once more.")
		}
		return err
	})
}
