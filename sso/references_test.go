package sso

import (
	"context"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *site) refs(find func(tx *store.Tx) ([]SessionRef, error)) (list []SessionRef) {
	s.t.Helper()
	err := s.db.Read(context.Background(), s.admin, func(tx *store.Tx) (err error) {
		list, err = find(tx)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// kept counts the rows themselves, of whatever organization.
func kept(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.Lookup(context.Background(), &n, "SELECT count(*) FROM sso_sessions"); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestASessionRemembersWhatItWasOpenedWith(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{Attributes: map[string][]string{"mail": {"alice@acme.example"}}, Assertion: func(a *crewjam.Assertion) {
			a.Subject.NameID.NameQualifier, a.Subject.NameID.SPNameQualifier = "https://idp.example/q", c.EntityID
			a.AuthnStatements[0].SessionIndex = "_index1"
		}})
		for range 2 {
			if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
				t.Fatalf("not signed in: %s", p.body)
			}
		}
		op, oc := s.oidc("jit")
		op.As(map[string]any{"sub": "ada", "sid": "_index1", "email": "ada@acme.example", "email_verified": true, "name": "Ada"})
		if p := newBrowser(t).open(oc.URLs.Login); !p.signedIn() {
			t.Fatalf("not signed in: %s", p.body)
		}

		want := answer.NameID{Value: "alice", Format: ssotest.FormatPersistent, NameQualifier: "https://idp.example/q", SPNameQualifier: c.EntityID}
		for name, find := range map[string]func(tx *store.Tx) ([]SessionRef, error){
			"subject": func(tx *store.Tx) ([]SessionRef, error) { return refsOfSubject(tx, c.ID, "nameid", "alice") },
			"index":   func(tx *store.Tx) ([]SessionRef, error) { return refsOfIndex(tx, c.ID, "_index1") },
			"NameID":  func(tx *store.Tx) ([]SessionRef, error) { return refsOfNameID(tx, c.ID, "alice") },
		} {
			list := s.refs(find)
			if len(list) != 2 || list[0].NameID != want || list[0].SessionIndex != "_index1" || list[0].Subject != "alice" || list[0].Connection != c.ID {
				t.Errorf("by %s: %+v, want two of alice with %+v", name, list, want)
			}
		}
		list := s.refs(func(tx *store.Tx) ([]SessionRef, error) { return refsOfIndex(tx, oc.ID, "_index1") })
		if len(list) != 1 || list[0].Subject != "ada" {
			t.Fatalf("by sid: %+v", list)
		}
		if token, err := s.door.idTokenOf(list[0]); err != nil || len(token) < 100 {
			t.Errorf("ID token %q, %v", token, err)
		}
		moved := list[0]
		moved.Session = store.NewID[session.Session]()
		if _, err := s.door.idTokenOf(moved); err == nil {
			t.Error("the sealed ID token opens at another session")
		}
		for name, find := range map[string]func(tx *store.Tx) ([]SessionRef, error){
			"no index":         func(tx *store.Tx) ([]SessionRef, error) { return refsOfIndex(tx, c.ID, "") },
			"no NameID":        func(tx *store.Tx) ([]SessionRef, error) { return refsOfNameID(tx, c.ID, "") },
			"other connection": func(tx *store.Tx) ([]SessionRef, error) { return refsOfSubject(tx, oc.ID, "nameid", "alice") },
			"other kind":       func(tx *store.Tx) ([]SessionRef, error) { return refsOfSubject(tx, c.ID, "attribute:x", "alice") },
		} {
			if list := s.refs(find); len(list) != 0 {
				t.Errorf("%s: %+v, want none", name, list)
			}
		}
	})
}

// However a session ends, its reference is not found any more, and gone after the
// next sweep.
func TestAReferenceEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *site, ref SessionRef){
		"signed out": func(s *site, ref SessionRef) {
			s.write(func(tx *store.Tx) error { return s.door.opts.Sessions.End(tx, ref.Session) })
		},
		"signed out everywhere": func(s *site, ref SessionRef) {
			s.write(func(tx *store.Tx) error { return s.door.opts.Sessions.EndAllOf(tx, ref.User) })
		},
		"deactivated": func(s *site, ref SessionRef) {
			s.write(func(tx *store.Tx) error { _, err := tx.Deactivate(ref.User, "left"); return err })
		},
		"deactivated and back": func(s *site, ref SessionRef) {
			s.write(func(tx *store.Tx) error { _, err := tx.Deactivate(ref.User, "left"); return err })
			s.write(func(tx *store.Tx) error { _, err := tx.Reactivate(ref.User, "back"); return err })
		},
		"deleted": func(s *site, ref SessionRef) {
			s.write(func(tx *store.Tx) error { _, err := tx.DeleteUser(ref.User, "left"); return err })
		},
		"expired": func(s *site, _ SessionRef) {
			later := session.New(session.Options{DB: s.db, Idle: time.Nanosecond})
			if err := later.Sweep(context.Background()); err != nil {
				s.t.Fatal(err)
			}
		},
		"over, the provider says": func(s *site, ref SessionRef) {
			s.write(func(tx *store.Tx) error {
				c, err := connectionIn(tx, ref.Connection)
				if err != nil {
					return err
				}
				return s.door.endRefs(tx, c, []SessionRef{ref}, "test")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				idp, c := s.saml("jit")
				idp.Next(ssotest.Login{Attributes: map[string][]string{"mail": {"alice@acme.example"}}})
				b := newBrowser(t)
				if p := b.samlSignIn(c.URLs.Login); !p.signedIn() {
					t.Fatalf("not signed in: %s", p.body)
				}
				find := func(tx *store.Tx) ([]SessionRef, error) { return refsOfSubject(tx, c.ID, "nameid", "alice") }
				list := s.refs(find)
				if len(list) != 1 {
					t.Fatalf("%d references after the sign-in, want 1", len(list))
				}
				if err := s.door.Sweep(t.Context()); err != nil || kept(t, db) != 1 {
					t.Fatalf("%d references after a sweep, %v; want 1", kept(t, db), err)
				}
				end(s, list[0])
				if list := s.refs(find); len(list) != 0 {
					t.Errorf("still found: %+v", list)
				}
				if err := s.door.Sweep(t.Context()); err != nil || kept(t, db) != 0 {
					t.Errorf("%d references kept, %v; want none", kept(t, db), err)
				}
				if p := b.open(s.url + "/account"); p.signedIn() {
					t.Error("the session goes on")
				}
			})
		})
	}
}
