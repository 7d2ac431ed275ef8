package policy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const right = "four words that nobody guesses"

// browser is an admin of the site at a running server.
type browser struct {
	*site
	server *httptest.Server
	client *http.Client
	sent   []string // where the identity provider was to lead back to
	done   []string // what reached the form that matters
}

func (s *site) browse(in session.In) *browser {
	s.Helper()
	b := &browser{site: s, server: httptest.NewUnstartedServer(nil)}
	base := "http://" + b.server.Listener.Addr().String()
	s.door = policy.New(policy.Options{DB: s.db, Sessions: s.sessions, Passwords: s.passwords, Key: secret.NewKey(), PublicURL: base,
		Connections: func(*store.Tx) ([]policy.Connection, error) { return s.connections, nil },
		Domains:     func(*store.Tx) ([]string, error) { return []string{"acme.example"}, nil },
		Resets:      func(*store.Tx) ([]store.UserID, error) { return nil, nil },
		StepUp: func(w http.ResponseWriter, r *http.Request, _ session.Session, back string) error {
			b.sent = append(b.sent, back)
			_, err := fmt.Fprint(w, "at the provider")
			return err
		}})
	m := web.NewMux(web.Options{PublicURL: base, Log: slog.New(slog.DiscardHandler), Authenticate: s.sessions.Authenticate, Fresh: s.door.Fresh, Prove: s.door.Prove,
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := s.db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		}})
	s.door.Mount(m)
	m.Member("POST /account/gives-away", func(w http.ResponseWriter, r *http.Request) error {
		if asked, err := web.Prove(w, r); asked || err != nil {
			return err
		}
		b.done = append(b.done, "given away")
		return nil
	})
	m.ConsoleFresh(access.Configure, "POST /console/{org}/matters", func(w http.ResponseWriter, r *http.Request) error {
		f, err := web.ReadForm(r)
		b.done = append(b.done, fmt.Sprint(f.Values))
		return err
	})
	b.server.Config.Handler = openapitest.Checked(s, m)
	b.server.Start()
	s.Cleanup(b.server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	b.client = b.server.Client() // another server that closes takes the idle connections of the usual one
	b.client.Jar = jar
	var token string
	s.write(func(tx *store.Tx) error {
		token, _, err = s.sessions.Start(tx, in)
		return err
	})
	at, _ := url.Parse(base)
	jar.SetCookies(at, []*http.Cookie{{Name: "muster", Value: token, Path: "/"}})
	return b
}

func (b *browser) do(method, path string, fields ...string) (status int, page string) {
	b.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r, err := http.NewRequest(method, b.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	if strings.Contains(string(text), "<html") {
		webtest.Page(b, string(text))
	}
	return res.StatusCode, string(text)
}

// Of two admins the second sees that the first was faster, and all that was chosen.
func TestTwoAdminsChangeThePolicy(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		b := s.browse(session.In{User: s.user("ada@acme.example", access.Admin), Method: "password"})
		const at = "/console/acme/security"
		if status, _ := b.do("POST", at+"/sessions", "idle", "1h0m0s", "absolute", "0s", "fresh", "15m0s", "version", "1"); status != http.StatusOK {
			t.Fatalf("the first: %d", status)
		}
		for form, c := range map[string]struct {
			fields []string
			kept   string
		}{
			"/sessions": {[]string{"idle", "4h0m0s", "absolute", "24h0m0s", "fresh", "1h0m0s"}, `<option value="24h0m0s" selected>`},
			"/second":   {[]string{"second_factor", "off"}, `<option value="off" selected>Nobody`},
			"":          {[]string{"sso", "optional", "password", "no"}, `<option value="no" selected>`},
		} {
			status, page := b.do("POST", at+form, append(c.fields, "version", "1")...)
			if status != http.StatusConflict || !strings.Contains(page, "Somebody else changed these settings meanwhile") || !strings.Contains(page, c.kept) || !strings.Contains(page, `name="version" value="2"`) {
				t.Errorf("the second at %q: %d\n%s", form, status, page)
			}
		}
		p, err := s.door.Get(context.Background(), s.admin)
		if err != nil || p.Version != 2 || p.Idle != time.Hour || p.Absolute != 0 || !p.Password {
			t.Errorf("%+v %v", p, err)
		}
	})
}

// What matters asks for the password again when the sign-in is old, and goes on with
// what was typed.
func TestWhatMattersAsksForAFreshSignIn(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		ada := s.user("ada@acme.example", access.Admin)
		hash, err := s.passwords.Hash(context.Background(), right)
		if err != nil {
			t.Fatal(err)
		}
		s.write(func(tx *store.Tx) error { return s.passwords.Set(tx, ada, hash) })
		b := s.browse(session.In{User: ada, Method: "password"})
		const matters = "/console/acme/matters"
		if status, _ := b.do("POST", matters, "a", "1"); status != http.StatusOK || len(b.done) != 1 {
			t.Fatalf("just signed in: %d, %q", status, b.done)
		}
		clock.Pass(16 * time.Minute)
		status, page := b.do("POST", matters, "a", `typed "this"`, "b", "2", "b", "3")
		if status != http.StatusForbidden || len(b.done) != 1 {
			t.Fatalf("16 minutes later: %d, %q", status, b.done)
		}
		for _, hidden := range []string{`name="a" value="typed &#34;this&#34;"`, `name="b" value="2"`, `name="b" value="3"`} {
			if !strings.Contains(page, hidden) {
				t.Errorf("the page lost %s", hidden)
			}
		}
		if status, page = b.do("POST", matters, "a", "kept", "step_up_password", "wrong"); status != http.StatusBadRequest && status != http.StatusForbidden || len(b.done) != 1 || !strings.Contains(page, `value="kept"`) || strings.Contains(page, "wrong\"") {
			t.Errorf("a wrong password: %d, %q\n%s", status, b.done, page)
		}
		if status, _ = b.do("POST", matters, "a", "kept", "step_up_password", right); status != http.StatusOK || len(b.done) != 2 || b.done[1] != "map[a:[kept]]" {
			t.Errorf("the right one: %d, %q", status, b.done)
		}
		if status, _ = b.do("POST", matters, "a", "more"); status != http.StatusOK || len(b.done) != 3 {
			t.Errorf("right after it: %d, %q", status, b.done)
		}
		clock.Pass(16 * time.Minute)
		for range 6 {
			status, page = b.do("POST", matters, "step_up_password", "guess")
		}
		if !strings.Contains(page, "too many attempts") {
			t.Errorf("after six guesses: %d\n%s", status, page)
		}
		if status, _ = b.do("POST", matters, "step_up_password", right); len(b.done) != 3 {
			t.Errorf("the right one while it is locked: %d, %q", status, b.done)
		}
	})
}

// Over a connection what was typed waits here, for the same session only.
func TestAFreshSignInAtTheProvider(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		ada := s.user("ada@acme.example", access.Admin)
		connection := string(store.NewID[struct{}]())
		s.connections = []policy.Connection{{ID: connection, Name: "Okta", Active: true}}
		b := s.browse(session.In{User: ada, Method: "saml", Connection: connection, AuthAt: clock.Now().Add(-time.Hour)})
		status, page := b.do("POST", "/console/acme/matters", "a", "typed")
		if status != http.StatusForbidden || !strings.Contains(page, "Continue with Okta") || strings.Contains(page, "step_up_password") {
			t.Fatalf("an hour after the sign-in at the provider: %d\n%s", status, page)
		}
		if status, _ := b.do("POST", "/step-up?to=https://evil.example/", "a", "typed"); status != http.StatusBadRequest || len(b.sent) != 0 {
			t.Errorf("to another site: %d, %q", status, b.sent)
		}
		if b.do("POST", "/step-up?to=/console/acme/matters", "a", "typed"); len(b.sent) != 1 {
			t.Fatalf("nobody was sent to the provider: %q", b.sent)
		}
		var kept []byte
		if err := db.Lookup(context.Background(), &kept, "SELECT form FROM step_ups"); err != nil || strings.Contains(string(kept), "typed") {
			t.Errorf("what was typed is stored in the open: %q, %v", kept, err)
		}
		if _, page = b.do("GET", b.sent[0]); strings.Contains(page, "Go on") {
			t.Error("it goes on without a fresh sign-in")
		}
		s.write(func(tx *store.Tx) error {
			list, err := s.sessions.List(tx, ada)
			for _, x := range list {
				if err == nil {
					_, err = s.sessions.Proved(tx, x.ID, ada, clock.Now())
				}
			}
			return err
		})
		if _, page = b.do("GET", b.sent[0]); !strings.Contains(page, "Go on") || !strings.Contains(page, `action="/console/acme/matters"`) || !strings.Contains(page, `name="a" value="typed"`) {
			t.Errorf("after a fresh sign-in:\n%s", page)
		}
		other := s.browse(session.In{User: ada, Method: "saml", Connection: connection})
		if status, _ := other.do("GET", b.sent[0]); status != http.StatusGone {
			t.Errorf("in another session: %d", status)
		}
	})
}

// What would give the account away asks in the newest session, for what the person has
// here; whoever has nothing here proves it at the provider, a few minutes ago at most.
func TestWhatGivesTheAccountAwayAlwaysAsks(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		ada := s.user("ada@acme.example", access.Agent)
		connection := string(store.NewID[struct{}]())
		s.connections = []policy.Connection{{ID: connection, Name: "Okta", Active: true}}
		b := s.browse(session.In{User: ada, Method: "saml", Connection: connection})
		const at = "/account/gives-away"
		if status, _ := b.do("POST", at); status != http.StatusOK || len(b.done) != 1 {
			t.Errorf("fresh from the provider, with nothing else: %d", status)
		}
		clock.Pass(6 * time.Minute)
		if status, page := b.do("POST", at); status != http.StatusForbidden || len(b.done) != 1 || !strings.Contains(page, "Continue with Okta") {
			t.Errorf("six minutes later: %d\n%s", status, page)
		}
		hash, err := s.passwords.Hash(context.Background(), right)
		if err != nil {
			t.Fatal(err)
		}
		s.write(func(tx *store.Tx) error { return s.passwords.Set(tx, ada, hash) })
		b = s.browse(session.In{User: ada, Method: "saml", Connection: connection})
		if status, page := b.do("POST", at); status != http.StatusForbidden || strings.Contains(page, "Continue with Okta") || len(b.done) != 0 {
			t.Errorf("with a password, however fresh from the provider: %d\n%s", status, page)
		}
		b.do("POST", at, "step_up_code", "123456")
		b.do("POST", at, "step_up_answer", "{}", "step_up_ticket", "x")
		if b.do("POST", at, "step_up_password", "wrong"); len(b.done) != 0 {
			t.Error("it was done without the password")
		}
		if status, _ := b.do("POST", at, "step_up_password", right); status != http.StatusOK || len(b.done) != 1 {
			t.Errorf("with the password: %d", status)
		}
		if status, _ := b.do("POST", at); status != http.StatusForbidden || len(b.done) != 1 {
			t.Errorf("once more, right after it: %d", status)
		}
	})
}

// A key is not asked, a browser at the REST API is told where.
func TestProgramsAreNotAsked(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		b := s.browse(session.In{User: s.user("ada@acme.example", access.Admin), Method: "password"})
		clock.Pass(time.Hour)
		r, err := http.NewRequest("PATCH", b.server.URL+"/api/v1/policy", strings.NewReader(`{"idle": "1h"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := b.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("an old session at the REST API: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
		}
	})
}
