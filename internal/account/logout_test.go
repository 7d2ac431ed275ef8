package account_test

import (
	"errors"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/session"
)

// The session here ends, whatever becomes of the one at the provider.
func TestSigningOutOfAProviderToo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		for name, c := range map[string]struct {
			path string
			err  error
			to   string
		}{
			"there is a way":   {"/sso/logout/1/2", nil, "/sso/logout/1/2"},
			"there is none":    {"", nil, "/login"},
			"it went wrong":    {"", errors.New("no database"), "/login"},
			"it went half-way": {"/sso/logout/1", errors.New("no database"), "/sso/logout/1"},
		} {
			asked := 0
			s.leave = func(in session.Session) (string, error) {
				if asked++; in.ID == "" {
					t.Errorf("%s: the session is not named", name)
				}
				return c.path, c.err
			}
			b := s.browser()
			b.want(b.post("/login", "email", "ada@acme.example", "password", good), 303, "/account")
			b.want(b.post("/logout"), 303, c.to)
			b.want(b.get("/account"), 303, "/login?next=%2Faccount")
			b.want(b.post("/logout"), 303, "/login") // nobody is signed in
			if asked != 1 {
				t.Errorf("%s: the provider was asked %d times, want once", name, asked)
			}
		}
	})
}
