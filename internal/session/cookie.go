package session

import (
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// name has the __Host- prefix where browsers demand https for it. Plain http
// exists on loopback only.
func (s *Store) name() string {
	if s.secure {
		return "__Host-muster"
	}
	return "muster"
}

// SetCookie gives the token to the browser, which keeps it longer than any session
// lives: when the session ends is the server's to say.
func (s *Store) SetCookie(w http.ResponseWriter, token string) {
	web.KeepDevice(w)
	http.SetCookie(w, &http.Cookie{Name: s.name(), Value: token, Path: "/", MaxAge: int(longest.Seconds()),
		Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// ClearCookie takes it away.
func (s *Store) ClearCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: s.name(), Path: "/", MaxAge: -1, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// cookie reads the token and the organization that it starts with.
func (s *Store) cookie(r *http.Request) (token string, org store.OrgID, err error) {
	c, err := r.Cookie(s.name())
	if err != nil {
		return "", "", fault.SignIn.Say("Please sign in.")
	}
	prefix, rest, ok := strings.Cut(c.Value, ".")
	org, err = store.ParseID[store.Org](prefix)
	if !ok || err != nil || len(rest) != 43 {
		return "", "", fault.SignIn.Say("Please sign in.")
	}
	return c.Value, org, nil
}
