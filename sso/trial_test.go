package sso

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// asOperator adds the test's sign-in to requests to our own server.
type asOperator struct{ url string }

func (o asOperator) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.String(), o.url) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Test-Operator", "1")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// adminBrowser is a browser of somebody who may configure the organization.
func (s *site) adminBrowser() browser {
	b := newBrowser(s.t)
	b.Transport = asOperator{s.url}
	return b
}

func (s *site) desk(c Connection) string { return s.url + "/console/acme/connections/" + string(c.ID) }

// draft is a connection that nobody can sign in over yet.
func (s *site) draft(in NewConnection) Created {
	s.t.Helper()
	in.Name = "IdP"
	c, err := s.door.CreateConnection(context.Background(), s.admin, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) passedAt(id ConnectionID) (at store.Time) {
	s.t.Helper()
	err := s.db.Read(context.Background(), s.admin, func(tx *store.Tx) (err error) {
		at, err = s.door.TestPassed(tx, id)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

// changedNothing fails when a test left more than its own row and activity.
func (s *site) changedNothing(c Connection) {
	s.t.Helper()
	for _, action := range []string{"user.signin", "user.create", "user.signin.refused", "user.access.request", "user.update"} {
		if log := s.log(action); len(log) != 0 {
			s.t.Errorf("a test recorded %s: %+v", action, log)
		}
	}
	var identities, people, sessions int
	err := s.db.Read(context.Background(), s.admin, func(tx *store.Tx) error {
		if err := tx.Get(&identities, "SELECT COUNT(*) FROM identities WHERE org_id = ?", tx.Org()); err != nil {
			return err
		}
		if err := tx.Get(&sessions, "SELECT COUNT(*) FROM sessions WHERE org_id = ?", tx.Org()); err != nil {
			return err
		}
		return tx.Get(&people, "SELECT COUNT(*) FROM users WHERE org_id = ?", tx.Org())
	})
	if err != nil || identities+people+sessions != 0 {
		s.t.Errorf("after a test: %d identities, %d people, %d sessions, %v", identities, people, sessions, err)
	}
}

func TestSAMLTestSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		c := s.draft(NewConnection{Protocol: "saml", Accounts: "jit", Metadata: idp.Metadata()})
		idp.Next(ssotest.Login{NameID: "ada-id", Attributes: map[string][]string{"email": {"ada@acme.example"}, "firstName": {"Ada"}}})
		b := s.adminBrowser()

		acs, answer := b.form(b.send(s.desk(c.Connection)+"/tests", nil))
		p := b.send(acs, answer)
		if p.status != http.StatusOK || !strings.HasPrefix(p.url.Path, "/console/acme/connections/"+string(c.ID)+"/tests/") {
			t.Fatalf("status %d at %s: %s", p.status, p.url, p.body)
		}
		for _, want := range []string{"passed", "ada-id", "ada@acme.example", "Ada", "conditions.audience", "characters left out", "SHA-256 is"} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the page of the test does not say %q:\n%s", want, p.body)
			}
		}
		s.changedNothing(c.Connection)
		if s.passedAt(c.ID) == 0 {
			t.Error("TestPassed knows of no test")
		}
		log := s.log("connection.test")
		if len(log) != 1 || log[0].ActorID != "op" || log[0].ActorKind != access.Person || log[0].Detail["outcome"] != "passed" {
			t.Errorf("activity: %+v", log)
		}
		// The browser that tested is nobody here: a draft lets nobody in.
		s.refused(newBrowser(t).open(c.URLs.Login), "status")
		if n := len(s.log("user.signin")); n != 0 {
			t.Errorf("%d sign-ins", n)
		}
		// The answer was used up: it neither signs in nor passes a second test.
		s.refused(b.send(acs, answer), "status")
		acs, next := b.form(b.send(s.desk(c.Connection)+"/tests", nil))
		next.Set("SAMLResponse", answer.Get("SAMLResponse"))
		if p := b.send(acs, next); !strings.Contains(p.body, "response.in_response_to") || !strings.Contains(p.body, ">failed<") {
			t.Errorf("an old answer in a new test: %d at %s:\n%s", p.status, p.url, p.body)
		}
		// The test speaks for what was tested only.
		if _, err := s.door.UpdateConnection(context.Background(), s.admin, c.ID, Change{Set: map[string]string{"force_authn": "true"}}); err != nil {
			t.Fatal(err)
		}
		if s.passedAt(c.ID) != 0 {
			t.Error("a test counts after the settings were changed")
		}
	})
}

// Whoever would be let in nowhere has not passed: what a real sign-in would come to
// belongs to the test.
func TestTestSignInsTellTheAccount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		c := s.draft(NewConnection{Protocol: "saml", Accounts: "existing", Metadata: idp.Metadata()})
		idp.Next(ssotest.Login{NameID: "ada-id", Attributes: map[string][]string{"email": {"ada@acme.example"}, "firstName": {"Ada"}, "lastName": {"New"}}})
		b := s.adminBrowser()
		p := b.send(b.form(b.send(s.desk(c.Connection)+"/tests", nil)))
		if !strings.Contains(p.body, ">failed<") || !strings.Contains(p.body, "not provisioned") {
			t.Errorf("nobody there, none made: %s", p.body)
		}
		s.changedNothing(c.Connection)
		s.domain("acme.example", true, "")
		u := s.user("ada@acme.example", store.Active)
		p = b.send(b.form(b.send(s.desk(c.Connection)+"/tests", nil)))
		for _, want := range []string{">passed<", string(u.ID), "bound to this identity"} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the page does not say %q:\n%s", want, p.body)
			}
		}
		var identities int
		err := db.Read(context.Background(), s.admin, func(tx *store.Tx) error {
			return tx.Get(&identities, "SELECT COUNT(*) FROM identities WHERE org_id = ?", tx.Org())
		})
		if err != nil || identities != 0 {
			t.Errorf("the test bound %d identities, %v", identities, err)
		}
	})
}

func TestFailingTestSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id", Audience: "https://wrong.example", Assertion: func(a *saml.Assertion) { a.Subject.SubjectConfirmations = nil }})
		b := s.adminBrowser()
		p := b.send(b.form(b.send(s.desk(c.Connection)+"/tests", nil)))
		for _, want := range []string{"Why it failed", "https://wrong.example", c.EntityID, "conditions.audience", "subject.confirmation", "What to change", "also as Recipient"} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the page of the test does not say %q:\n%s", want, p.body)
			}
		}
		s.changedNothing(c.Connection)
		log := s.log("connection.test")
		if len(log) != 1 || log[0].Detail["check"] != "subject.confirmation" || log[0].Detail["hint"] == "" || log[0].Detail["trace"] == nil {
			t.Errorf("activity: %+v", log)
		}
		if s.passedAt(c.ID) != 0 {
			t.Error("a failed test counts")
		}
		// A test's answer that fails was used up too, and real sign-ins go on.
		idp.Next(ssotest.Login{NameID: "ada-id"})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("a sign-in after the test: %d: %s", p.status, p.body)
		}
	})
}

// An encrypted assertion is opened for the report of the test that it answers, and
// for no other.
func TestReportsOpenOnlyTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		setup, err := s.door.setup(context.Background(), s.admin, c.Connection)
		if err != nil {
			t.Fatal(err)
		}
		sealed := &ssotest.Encryption{To: &setup.party.DecryptKeys[0].PublicKey, Content: "http://www.w3.org/2009/xmlenc11#aes256-gcm", Key: "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"}
		idp.Next(ssotest.Login{NameID: "victim-0001", Encrypt: sealed})
		caught, fields := newBrowser(t).form(newBrowser(t).open(c.URLs.Login))
		b := s.adminBrowser()
		if p := b.send(b.form(b.send(s.desk(c.Connection)+"/tests", nil))); !strings.Contains(p.body, "victim-0001") {
			t.Errorf("the test's own answer is not readable:\n%s", p.body)
		}
		acs, mine := b.form(b.send(s.desk(c.Connection)+"/tests", nil))
		if acs != caught {
			t.Fatalf("%s and %s", acs, caught)
		}
		mine.Set("SAMLResponse", fields.Get("SAMLResponse"))
		p := b.send(acs, mine)
		if strings.Contains(p.body, "victim-0001") || !strings.Contains(p.body, "response.in_response_to") {
			t.Errorf("somebody else's answer was opened:\n%s", p.body)
		}
	})
}

// adasDraft is a draft whose provider knows Ada.
func (s *site) adasDraft() (Created, *ssotest.OIDC) {
	idp := ssotest.NewOIDC(s.t)
	c := s.draft(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: idp.URL, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret})
	idp.Register(c.Redirect)
	idp.As(map[string]any{"sub": "ada", "email": "ada@acme.example", "email_verified": true, "name": "Ada Example"})
	return c, idp
}

func TestOIDCTestSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		c, idp := s.adasDraft()
		b := s.adminBrowser()
		p := b.send(s.desk(c.Connection)+"/tests", nil)
		for _, want := range []string{"passed", "Ada Example", "ada@acme.example", "verified, says the provider", "&#34;sub&#34;: &#34;ada&#34;"} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the page of the test does not say %q:\n%s", want, p.body)
			}
		}
		s.changedNothing(c.Connection)
		if s.passedAt(c.ID) == 0 {
			t.Error("TestPassed knows of no test")
		}
		idp.As(map[string]any{"sub": "ada", "nonce": "another"})
		if p := b.send(s.desk(c.Connection)+"/tests", nil); !strings.Contains(p.body, "Why it failed") || !strings.Contains(p.body, "nonce") {
			t.Errorf("another nonce: %d at %s:\n%s", p.status, p.url, p.body)
		}
		// The provider cannot be reached at all: that is a result, too.
		if _, err := s.door.UpdateConnection(context.Background(), s.admin, c.ID, Change{Set: map[string]string{"client_id": "other"}}); err != nil {
			t.Fatal(err)
		}
		s.changedNothing(c.Connection)
	})
}

// The server's key is exchanged: what was tested is tested still, and the secret is the one
// that was entered, also where another one was entered during the walk.
func TestTestsCountUnderANewKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		c, idp := s.adasDraft()
		s.adminBrowser().send(s.desk(c.Connection)+"/tests", nil)
		passed, secrets, both := s.passedAt(c.ID), Sealed()[0], secret.NewKey().Over(s.door.opts.Key)
		if n, err := db.Reseal(t.Context(), both, secrets, true); err != nil || n.Older != 1 {
			t.Fatalf("%+v, %v", n, err)
		}
		if n, err := db.Reseal(t.Context(), both, secrets, false); err != nil || n.Newer != 1 || n.Older+n.Lost != 0 {
			t.Errorf("afterwards: %+v, %v", n, err)
		}
		if at := s.passedAt(c.ID); passed == 0 || at != passed {
			t.Errorf("the test passed at %v, and at %v under the new key", passed, at)
		}
		page, err := secrets.Page(t.Context(), db, store.SealedValue{Org: "00000000000000000000000000000000", ID: "00000000000000000000000000000000"}, 10)
		if err != nil || len(page) != 1 {
			t.Fatal(page, err)
		}
		if plain, err := both.Open(secrets.Place(page[0]), page[0].Sealed); err != nil || string(plain) != idp.ClientSecret {
			t.Errorf("the secret is %q, %v", plain, err)
		}
		late := page[0]
		late.Sealed = []byte("what was there before")
		s.write(func(tx *store.Tx) error { return secrets.Put(tx, late, []byte("made of it")) })
		if again, err := secrets.Page(t.Context(), db, store.SealedValue{Org: "00000000000000000000000000000000", ID: "00000000000000000000000000000000"}, 10); err != nil || !bytes.Equal(again[0].Sealed, page[0].Sealed) {
			t.Errorf("a secret that was entered meanwhile is lost: %v", err)
		}
	})
}

// Whoever may not configure the organization starts no test and sees none.
func TestTestsAreForWhoMayConfigure(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("jit")
		stranger := newBrowser(t)
		stranger.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, path := range []string{"/tests", "/tests/" + strings.Repeat("0", 32), "/setup"} {
			if p := stranger.open(s.desk(c.Connection) + path); p.status != http.StatusSeeOther {
				t.Errorf("GET %s as nobody: status %d, want the way to the sign-in", path, p.status)
			}
		}
		if p := stranger.send(s.desk(c.Connection)+"/tests", url.Values{}); p.status != http.StatusSeeOther && p.status != http.StatusForbidden {
			t.Errorf("POST tests as nobody: status %d", p.status)
		}
		// A test of another connection is not shown under this one's path.
		idp := ssotest.NewIDP()
		idp.Serve(t)
		other := s.draft(NewConnection{Protocol: "saml", Metadata: idp.Metadata()})
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := s.adminBrowser()
		p := b.send(b.form(b.send(s.desk(other.Connection)+"/tests", nil)))
		at := strings.Replace(p.url.String(), string(other.ID), string(c.ID), 1)
		if p := b.open(at); p.status != http.StatusNotFound {
			t.Errorf("a test of another connection: status %d, want 404", p.status)
		}
	})
}

// What a test showed goes after a week; that it took place stays for longer.
func TestReportsAreForgotten(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := s.adminBrowser()
		p := b.send(b.form(b.send(s.desk(c.Connection)+"/tests", nil)))
		id := TestID(p.url.Path[strings.LastIndex(p.url.Path, "/")+1:])
		age := func(by time.Duration) {
			t.Helper()
			err := db.Write(context.Background(), s.admin, func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE sso_tests SET expires_at = ?, started_at = ? WHERE org_id = ? AND id = ?",
					tx.Now().Add(reportFor-by), tx.Now().Add(-by), tx.Org(), id)
				return err
			})
			if err == nil {
				err = s.door.Sweep(context.Background())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		age(reportFor - time.Hour)
		if _, rep, err := s.door.test(context.Background(), s.admin, c.Connection, id); err != nil || rep.Answer == "" {
			t.Errorf("after six days: %+v, %v", rep, err)
		}
		age(reportFor + time.Hour)
		if row, rep, err := s.door.test(context.Background(), s.admin, c.Connection, id); err != nil || row.Outcome != testPassed || rep.Protocol != "" {
			t.Errorf("after a week: %+v, %+v, %v; want the row without a report", row, rep, err)
		}
		age(testFor + time.Hour)
		if _, _, err := s.door.test(context.Background(), s.admin, c.Connection, id); err == nil {
			t.Error("after three months the test is still there")
		}
	})
}
