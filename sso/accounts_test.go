package sso

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// mailbox keeps the door's letters.
type mailbox struct {
	mu      sync.Mutex
	letters []Letter
}

func (m *mailbox) put(_ *store.Tx, l Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
	return nil
}

func (m *mailbox) all() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter(nil), m.letters...)
}

func sentenceOf(err error) string {
	return refusalOf(err, nil).sentence.String()
}

// A preview runs the sign-in itself and leaves no trace of it.
func TestAPreviewWritesNothingAndSaysWhatHappensThen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.domain("acme.example", true, "")
		p.user("invited@acme.example", store.Invited)
		p.user("gone@acme.example", store.Deactivated)
		d := New(Options{DB: db, PublicURL: "http://muster.test"})
		for _, c := range []struct {
			name    string
			profile answer.Profile
			step    Step
			refused string
		}{
			{"new", who("n", "new@acme.example", answer.SaidYes), StepCreated, ""},
			{"invited", who("i", "invited@acme.example", answer.SaidYes), StepEmail, ""},
			{"deactivated", who("g", "gone@acme.example", answer.SaidYes), StepEmail, "status"},
			{"outside", who("o", "o@other.example", answer.SaidYes), "", "domain"},
		} {
			c.profile.SubjectKind = "sub"
			before := storetest.Dump(t, db)
			out, err := d.Preview(context.Background(), p.admin, p.conn.ID, c.profile)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if after := storetest.Dump(t, db); !maps.Equal(before, after) {
				t.Errorf("%s: the preview changed the database", c.name)
			}
			if refused := out.Refused; out.Step != c.step || (refused != nil) != (c.refused != "") || refused != nil && refused.Check != c.refused {
				t.Errorf("%s: step %q, refused %+v; want %q, %q", c.name, out.Step, out.Refused, c.step, c.refused)
			}
			var real Outcome
			err = db.Write(context.Background(), actorOf(p.conn, access.Actor{}), func(tx *store.Tx) (err error) {
				real, err = d.signIn(tx, p.conn, c.profile)
				return err
			})
			if got := refusedFor(err); got != c.refused {
				t.Errorf("%s: the sign-in is refused for %q, the preview said %q", c.name, got, c.refused)
			}
			// The id and the times of a new account are chosen anew.
			real.User, out.User, out.Refused = store.User{}, store.User{}, nil
			if !reflect.DeepEqual(real, out) {
				t.Errorf("%s:\npreview %+v\nreal    %+v", c.name, out, real)
			}
		}
		viewer := access.Actor{Kind: access.Person, Org: string(p.org), Roles: []string{access.Viewer}}
		if _, err := d.Preview(context.Background(), viewer, p.conn.ID, who("n", "", answer.Unsaid)); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer's preview: %v, want denied", err)
		}
		other := somewhere(t, db, "globex", "oidc", "jit")
		if _, err := d.Preview(context.Background(), other.admin, p.conn.ID, who("n", "", answer.Unsaid)); !fault.Is(err, fault.NotFound) {
			t.Errorf("a preview over another organization's connection: %v, want not found", err)
		}
	})
}

// People who were here are told what became of them, and are not made anew.
func TestWhoWasHereIsToldSo(t *testing.T) {
	t.Parallel()
	const mail = "ada@acme.example"
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for i, c := range []struct {
			name, accounts string
			before         func(p *place)
			sentence       string // empty: signed in
		}{
			{"deactivated", "jit", func(p *place) { p.user(mail, store.Deactivated) }, "deactivated"},
			{"deleted by its directory, never signed in", "jit", func(p *place) { p.end(p.managed(mail, mail, "x"), store.Deleted) }, "deleted"},
			{"deleted after having signed in", "jit", func(p *place) {
				u, err := p.comeOver(p.connection("former", "oidc", "jit"), who("old", mail, answer.SaidYes))
				if err != nil {
					p.t.Fatal(err)
				}
				p.end(u, store.Deleted)
			}, "deleted"},
			{"an invitation that was cancelled", "jit", func(p *place) { p.end(p.user(mail, store.Invited), store.Deleted) }, ""},
			{"not provisioned", "existing", func(*place) {}, "no account here yet"},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := somewhere(t, db, fmt.Sprint("org", i), "oidc", c.accounts)
				defer db.Sweep(context.Background(), "DELETE FROM domains WHERE org_id = ?", p.org)
				p.domain("acme.example", true, "")
				c.before(p)
				_, err := p.come(who("s1", mail, answer.SaidYes))
				if c.sentence == "" && err != nil || c.sentence != "" && (err == nil || !strings.Contains(sentenceOf(err), c.sentence)) {
					t.Errorf("got %v, want %q", err, c.sentence)
				}
			})
		}
	})
}

// Whoever can choose a preferred_username must not become somebody of the directory.
func TestAChosenUserNameFindsNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "scim")
		boss := p.managed("boss", "boss@acme.example", "x")
		a := who("eve", "eve@acme.example", answer.SaidNo)
		a.UserName = "boss"
		if u, err := p.come(a); refusedFor(err) != "not provisioned" {
			t.Errorf("eve calls herself boss: user %s, %v; want not provisioned", u.ID, err)
		}
		c := p.conn
		c.Config.UserNamesFixed = true
		if u, err := p.comeOver(c, a); err != nil || u.ID != boss.ID {
			t.Errorf("where names are fixed: user %s, %v; want %s", u.ID, err, boss.ID)
		}
	})
}

// An account whose domain is not proved is linked when its mailbox says so, once, in
// the browser that signed in.
func TestLinkingByAskingTheAddress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var box mailbox
		s.door.opts.Mail = box.put
		_, c := s.oidc("existing")
		ada := s.user("ada@acme.example", store.Active)
		b := newBrowser(t)
		s.refused(b.open(c.URLs.Login), "domain")
		letters := box.all()
		if len(letters) != 1 || letters[0].To != "ada@acme.example" {
			t.Fatalf("letters %+v, want one to ada", letters)
		}
		link := letters[0].URL
		if p := newBrowser(t).open(link); p.status != http.StatusBadRequest || !strings.Contains(p.body, "browser") {
			t.Errorf("another browser: status %d, want 400 and the reason:\n%s", p.status, p.body)
		}
		if p := newBrowser(t).send(link, nil); p.status != http.StatusBadRequest {
			t.Errorf("another browser's post: status %d, want 400", p.status)
		}
		p := b.open(link)
		if p.status != http.StatusOK {
			t.Fatalf("the link: status %d: %s", p.status, p.body)
		}
		if n := len(s.log("user.identity.link")); n != 0 {
			t.Errorf("opening the link linked %d identities", n)
		}
		if p := b.send(b.form(p)); !p.signedIn() || !strings.Contains(p.body, string(ada.ID)) {
			t.Errorf("after the link: %d at %s: %s; want signed in as %s", p.status, p.url, p.body, ada.ID)
		}
		if p := b.open(link); p.status != http.StatusNotFound {
			t.Errorf("the link once more: status %d, want 404", p.status)
		}
		if n := len(s.log("user.identity.link")); n != 1 {
			t.Errorf("%d links in the log, want 1", n)
		}
	})
}

// What changes between the mail and the click decides.
func TestALinkByMailIsCheckedAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for _, c := range []struct {
			name string
			then func(s *site, u store.User)
		}{
			{"deactivated", func(s *site, u store.User) { s.end(u, store.Deactivated) }},
			{"deleted", func(s *site, u store.User) { s.end(u, store.Deleted) }},
			{"another address", func(s *site, u store.User) {
				s.write(func(tx *store.Tx) error {
					doc, err := u.Attributes()
					if err != nil {
						return err
					}
					profile := u.Profile()
					profile.Email = "new@acme.example"
					profile.Apply(doc)
					_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
					return err
				})
			}},
			{"the domain got its own connection", func(s *site, _ store.User) {
				s.domain("acme.example", true, s.connection("other", "oidc", "jit").ID)
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := serve(t, storetestFresh(t, db))
				var box mailbox
				s.door.opts.Mail = box.put
				_, conn := s.oidc("existing")
				ada := s.user("ada@acme.example", store.Active)
				b := newBrowser(t)
				s.refused(b.open(conn.URLs.Login), "domain")
				p := b.open(box.all()[0].URL)
				c.then(s, ada)
				if p := b.send(b.form(p)); p.status < 400 || p.status > 499 || p.signedIn() {
					t.Errorf("status %d: %s; want refused", p.status, p.body)
				}
				if n := len(s.log("user.identity.link")); n != 0 {
					t.Errorf("%d identities were linked", n)
				}
			})
		}
	})
}

// storetestFresh is another database of the same kind: each site wants its own.
func storetestFresh(t *testing.T, db *store.DB) *store.DB {
	if db.Dialect() == "sqlite" {
		return storetest.SQLite(t)
	}
	return storetest.Postgres(t)
}

// Nobody's mailbox is flooded, and no mail goes where it could not help.
func TestAddressesAreAskedSeldom(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var box mailbox
		s.door.opts.Mail = box.put
		_, c := s.oidc("existing")
		s.user("ada@acme.example", store.Active)
		for range 6 {
			s.refused(newBrowser(t).open(c.URLs.Login), "domain")
		}
		if n := len(box.all()); n != confirmMost {
			t.Errorf("%d mails, want %d", n, confirmMost)
		}
	})
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var box mailbox
		s.door.opts.Mail = box.put
		_, c := s.oidc("existing")
		s.user("ada@acme.example", store.Deactivated)
		p := newBrowser(t).open(c.URLs.Login)
		s.refused(p, "domain")
		if n := len(box.all()); n != 0 || strings.Contains(p.body, "deactivated") {
			t.Errorf("%d mails about a deactivated account; the page must not tell its state:\n%s", n, p.body)
		}
	})
}
