package policy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// site is an organization with its doors' services.
type site struct {
	*testing.T
	db        *store.DB
	admin     access.Actor
	sessions  *session.Store
	passwords *password.Store
	door      *policy.Door

	connections   []policy.Connection
	resets, ended []store.UserID
	mu            sync.Mutex
	told          []web.Notice // guarded by mu
}

func newSite(t *testing.T, db *store.DB) *site {
	t.Helper()
	s := &site{T: t, db: db}
	_, s.admin = storetest.Org(t, db, "acme")
	s.sessions = session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080",
		Admit: func(tx *store.Tx, in session.In) error { return s.door.Admit(tx, in) }})
	s.passwords = password.New(password.Options{DB: db})
	s.door = policy.New(policy.Options{DB: db, Sessions: s.sessions, Passwords: s.passwords,
		Connections: func(*store.Tx) ([]policy.Connection, error) { return s.connections, nil },
		Domains:     func(*store.Tx) ([]string, error) { return []string{"acme.example", "contractor.example"}, nil },
		Resets:      func(*store.Tx) ([]store.UserID, error) { return s.resets, nil },
		EndResets: func(_ *store.Tx, users []store.UserID) error {
			s.ended = users
			return nil
		},
		Tell: func(_ *store.Tx, n web.Notice) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, n)
			return nil
		},
	})
	return s
}

// live tells whether a browser with this token is signed in.
func (s *site) live(token string) bool {
	s.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "muster", Value: token})
	_, _, err := s.sessions.Actor(r)
	if err != nil && !fault.Is(err, fault.SignIn) {
		s.Fatal(err)
	}
	return err == nil
}

func (s *site) write(fn func(tx *store.Tx) error) {
	s.Helper()
	if err := s.db.Write(context.Background(), s.admin, fn); err != nil {
		s.Fatal(err)
	}
}

// user makes an active person.
func (s *site) user(address string, roles ...string) store.UserID {
	s.Helper()
	var u store.User
	s.write(func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: address, Email: address, DisplayName: address}.Doc(), Source: store.FromAPI, Status: store.Active,
			Roles: roles, Reason: store.Manual})
		return err
	})
	return u.ID
}

// set puts a policy into the table, past the checks of a change.
func (s *site) set(password bool, sso policy.SSO, domains string) {
	s.Helper()
	s.write(func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO policies (org_id, password, sso, domains, idle, absolute, fresh, version, updated_at) VALUES (?, ?, ?, {{as_json}}, 0, 0, 900000000, 1, 0)
			ON CONFLICT (org_id) DO UPDATE SET password = excluded.password, sso = excluded.sso, domains = excluded.domains`, tx.Org(), password, sso, domains)
		return err
	})
}

// start tries a sign-in and gives what the policy says to use instead.
func (s *site) start(in session.In) (instead string) {
	s.Helper()
	err := s.db.Write(context.Background(), s.admin, func(tx *store.Tx) error {
		_, _, err := s.sessions.Start(tx, in)
		return err
	})
	if not, ok := errors.AsType[*session.NotAllowed](err); ok {
		if !fault.Is(err, fault.Denied) || fault.Public(err) == "" {
			s.Errorf("refused without a sentence: %v", err)
		}
		return not.Use
	}
	if err != nil {
		s.Fatal(err)
	}
	return ""
}

// Each door against each policy: session.Start is what all of them go through.
func TestDoorsKeepThePolicy(t *testing.T) {
	t.Parallel()
	const sso, password = session.UseSSO, session.UsePassword
	type want struct{ password, invite, saml, oidc string } // what to use instead
	free := want{}
	onlySSO := want{password: sso, invite: sso}
	onlyPassword := want{saml: password, oidc: password}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		inside, outside, nameless := s.user("ada@acme.example"), s.user("grace@Contractor.example"), s.user("bare")
		connection := string(store.NewID[struct{}]())
		for _, c := range []struct {
			name                      string
			password                  bool
			sso                       policy.SSO
			domains                   string
			inside, outside, nameless want
		}{
			{"default", true, policy.Optional, `{}`, free, free, free},
			{"required", true, policy.Required, `{}`, onlySSO, onlySSO, onlySSO},
			{"off", true, policy.Off, `{}`, onlyPassword, onlyPassword, onlyPassword},
			{"no passwords", false, policy.Optional, `{}`, onlySSO, onlySSO, onlySSO},
			{"required for a domain", true, policy.Optional, `{"acme.example": "required"}`, onlySSO, free, free},
			{"required, but not for a domain", true, policy.Required, `{"contractor.example": "optional"}`, onlySSO, free, onlySSO},
			{"required, off for a domain", true, policy.Required, `{"contractor.example": "off"}`, onlySSO, onlyPassword, onlySSO},
			{"off, required for a domain", true, policy.Off, `{"acme.example": "required"}`, onlySSO, onlyPassword, onlyPassword},
			{"a domain below is another", true, policy.Optional, `{"example": "required"}`, free, free, free},
		} {
			s.set(c.password, c.sso, c.domains)
			for who, x := range map[string]struct {
				user store.UserID
				want want
			}{"inside": {inside, c.inside}, "outside": {outside, c.outside}, "nameless": {nameless, c.nameless}} {
				got := want{s.start(session.In{User: x.user, Method: "password"}), s.start(session.In{User: x.user, Method: "invite"}),
					s.start(session.In{User: x.user, Method: "saml", Connection: connection}), s.start(session.In{User: x.user, Method: "oidc", Connection: connection})}
				if got != x.want {
					t.Errorf("%s, %s: use instead %+v, want %+v", c.name, who, got, x.want)
				}
			}
			m, err := s.door.Methods(context.Background(), store.OrgID(s.admin.Org), "ACME.example")
			if err != nil || m.Password != (c.inside.password == "") || m.SSO != (c.inside.saml == "") {
				t.Errorf("%s: methods of acme.example %+v, %v", c.name, m, err)
			}
		}
	})
}
