package factor

import (
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// pendingFor is how long somebody may look for the telephone.
const pendingFor = 10 * time.Minute

// SignIn is one whose first step was right and whose second is still to come.
type SignIn struct {
	Org    store.OrgID  `db:"org_id"`
	User   store.UserID `db:"user_id"`
	Method string       `db:"method"` // what the session will be said to have been started with
	SetAt  store.Time   `db:"set_at"` // of the password that was right
	Next   string       `db:"next_path"`
}

// Begin keeps a sign-in until its second step, in the transaction that has checked the
// first. The token belongs into a cookie of the browser and nowhere else.
func (s *Store) Begin(tx *store.Tx, in SignIn) (token string, err error) {
	token = string(tx.Org()) + "." + secret.NewToken()
	_, err = tx.Exec("INSERT INTO pending_signins (org_id, token_hash, user_id, method, set_at, next_path, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), secret.Hash(token), in.User, in.Method, in.SetAt, in.Next, tx.Now().Add(pendingFor))
	return token, err
}

func tookTooLong() error {
	return fault.Expired.Say("This took too long, or was used already. Sign in again.")
}

// PendingOrg is the organization that a token belongs to. Faults: Expired.
func PendingOrg(token string) (store.OrgID, error) {
	prefix, rest, _ := strings.Cut(token, ".")
	org, err := store.ParseID[store.Org](prefix)
	if err != nil || len(rest) != 43 {
		return "", tookTooLong()
	}
	return org, nil
}

// Pending is the sign-in that a token stands for; it stays. Faults: Expired.
func (s *Store) Pending(tx *store.Tx, token string) (in SignIn, err error) {
	err = tx.Get(&in, "SELECT org_id, user_id, method, set_at, next_path FROM pending_signins WHERE org_id = ? AND token_hash = ? AND expires_at > ?", tx.Org(), secret.Hash(token), tx.Now())
	if fault.Is(err, fault.NotFound) {
		err = tookTooLong()
	}
	return in, err
}

// Finish uses a pending sign-in up, once however many try. tx must be the one that starts
// the session. Faults: Expired.
func (s *Store) Finish(tx *store.Tx, token string) (in SignIn, err error) {
	err = tx.Get(&in, "DELETE FROM pending_signins WHERE org_id = ? AND token_hash = ? AND expires_at > ? RETURNING org_id, user_id, method, set_at, next_path", tx.Org(), secret.Hash(token), tx.Now())
	if fault.Is(err, fault.NotFound) {
		return in, tookTooLong()
	}
	return in, err
}

// Two cookies: one for a sign-in that is under way, one that only tells browsers apart, so
// that a page of one is no good in another.
const (
	stepCookie    = "muster-step"
	browserCookie = "muster-browser"
)

// cookie has the __Host- prefix where browsers demand https for it.
func (s *Store) cookie(name, value string, age time.Duration) *http.Cookie {
	secure := strings.HasPrefix(s.opt.PublicURL, "https:")
	if secure {
		name = "__Host-" + name
	}
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(age.Seconds()), Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func (s *Store) read(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookie(name, "", 0).Name)
	if err != nil || len(c.Value) > 100 {
		return ""
	}
	return c.Value
}

// SetCookie gives the token of Begin to the browser.
func (s *Store) SetCookie(w http.ResponseWriter, token string) {
	http.SetCookie(w, s.cookie(stepCookie, token, pendingFor))
}

// Cookie is the token that the browser has; empty: none.
func (s *Store) Cookie(r *http.Request) string { return s.read(r, stepCookie) }

// ClearCookie takes it away.
func (s *Store) ClearCookie(w http.ResponseWriter) {
	c := s.cookie(stepCookie, "", 0)
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// Browser is what tells this browser from others; empty: nothing yet.
func (s *Store) Browser(r *http.Request) string { return s.read(r, browserCookie) }

// Mark has the browser marked, for the ticket of a page that nobody has signed in for.
func (s *Store) Mark(w http.ResponseWriter, r *http.Request) string {
	if mark := s.Browser(r); len(mark) == len(secret.NewToken()) {
		return mark
	}
	mark := secret.NewToken()
	http.SetCookie(w, s.cookie(browserCookie, mark, 0))
	return mark
}
