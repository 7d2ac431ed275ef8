package sso

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// sessionOf is what the browser is signed in with.
func (s *site) sessionOf(b browser) session.Session {
	s.t.Helper()
	at, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest("GET", s.url, nil)
	for _, c := range b.Jar.Cookies(at) {
		r.AddCookie(c)
	}
	_, now, err := s.door.opts.Sessions.Actor(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return now
}

// stepUp sends the browser to the provider for a fresh sign-in, as package policy
// does, and gives where it is led. What was typed must not get into the request.
func (s *site) stepUp(b browser, now session.Session) (to string) {
	s.t.Helper()
	typed := url.Values{"target_link_uri": {"/evil"}, "iss": {"https://evil.example"}, "next": {"/evil"}}
	r := httptest.NewRequest("POST", "/step-up?to=/console&next=/evil", nil)
	r.PostForm, r.Form = typed, typed
	w := httptest.NewRecorder()
	if err := s.door.StepUp(w, r, now, "/account?back=1"); err != nil {
		s.t.Fatal(err)
	}
	at, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	b.Jar.SetCookies(at, w.Result().Cookies())
	return w.Result().Header.Get("Location")
}

func TestStepUpOverSAML(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		as := func(name string, ago time.Duration) {
			idp.Next(ssotest.Login{NameID: name, Now: clock.Now(), Assertion: func(a *crewjam.Assertion) { a.AuthnStatements[0].AuthnInstant = clock.Now().Add(-ago) }})
		}
		b := newBrowser(t)
		as("ada-id", 2*time.Hour)
		if p := b.samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Fatalf("sign-in: %d %s", p.status, p.body)
		}
		was := s.sessionOf(b)
		if old := clock.Now().Add(-2 * time.Hour); was.AuthAt > store.TimeOf(old.Add(time.Second)) {
			t.Errorf("signed in at the provider %s, the session says %s", old, was.AuthAt.Time())
		}
		again := func() page { return b.send(b.form(b.open(s.stepUp(b, was)))) }

		as("ada-id", 2*time.Hour) // it did not ask
		s.refused(again(), "authentication.fresh")
		as("eve-id", 0)
		s.refused(again(), "person")
		if now := s.sessionOf(b); now.AuthAt != was.AuthAt {
			t.Errorf("a refused step-up counts: %s", now.AuthAt.Time())
		}
		people := len(s.log("user.create"))
		as("ada-id", 0)
		request := s.stepUp(b, was)
		acs, form := b.form(b.open(request))
		if p := b.send(acs, form); p.url.RequestURI() != "/account?back=1" || !p.signedIn() {
			t.Errorf("ended at %s, %d: %s", p.url, p.status, p.body)
		}
		now := s.sessionOf(b)
		if now.ID != was.ID || now.AuthAt < store.TimeOf(clock.Now().Add(-time.Minute)) {
			t.Errorf("session %+v, was %+v", now, was)
		}
		if n := len(s.log("user.create")); n != people {
			t.Errorf("a step-up made %d accounts", n-people)
		}
		s.refused(b.send(acs, form), "expired") // once

		// Whatever the request's own checks let pass, an old sign-in proves nothing.
		_ = db.Write(t.Context(), s.admin, func(tx *store.Tx) error {
			for old, want := range map[time.Duration]bool{time.Hour: false, 2 * time.Minute: false, 30 * time.Second: true} {
				in := answered{arrival: answer.Profile{Subject: "ada-id", SubjectKind: "nameid", AuthnInstant: clock.Now().Add(-old)}}
				_, err := s.door.proveAgain(tx, c.Connection, pending{ReturnTo: string(now.ID) + " /account", ExpiresAt: store.TimeOf(clock.Now().Add(pendingFor))}, &in)
				if failed, bad := in.trace.Failed(); (err == nil) != want || !want && (!bad || failed.Name != "fresh sign-in") {
					t.Errorf("signed in %s before: %v, %v", old, err, in.trace)
				}
			}
			return nil
		})

		// Of a session that has ended nothing is proved.
		as("ada-id", 0)
		acs, form = b.form(b.open(s.stepUp(b, now)))
		if err := db.Write(t.Context(), s.admin, func(tx *store.Tx) error { return s.door.opts.Sessions.End(tx, now.ID) }); err != nil {
			t.Fatal(err)
		}
		s.refused(b.send(acs, form), "person")
	})
}

func TestStepUpOverOIDC(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		idp.Now = clock.Now
		b := newBrowser(t)
		if p := b.open(c.URLs.Login); !p.signedIn() {
			t.Fatalf("sign-in: %d %s", p.status, p.body)
		}
		was := s.sessionOf(b)
		clock.Pass(time.Hour)
		s.refused(b.open(s.stepUp(b, was)), "auth_time") // it says nothing
		if asked := idp.Asked(); asked.Get("prompt") != "login" || asked.Get("max_age") != "0" {
			t.Errorf("asked %v", asked)
		}
		idp.Misbehave(ssotest.Twist{IDToken: func(_, c map[string]any) { c["auth_time"] = clock.Now().Unix() }})
		if p := b.open(s.stepUp(b, was)); p.url.RequestURI() != "/account?back=1" {
			t.Errorf("ended at %s, %d: %s", p.url, p.status, p.body)
		}
		if now := s.sessionOf(b); now.ID != was.ID || now.AuthAt < store.TimeOf(clock.Now().Add(-time.Minute)) {
			t.Errorf("session %+v, was %+v", now, was)
		}
		// Another organization's session is not sent anywhere.
		foreign := was
		foreign.Org = store.NewID[store.Org]()
		if err := s.door.StepUp(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/step-up", nil), foreign, "/account"); err == nil {
			t.Error("a session of another organization was sent to the provider")
		}
	})
}
