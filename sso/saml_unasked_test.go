package sso

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// tile is the form that the provider's page posts when somebody clicks our tile.
func tile(idp *ssotest.IDP, c Created, l ssotest.Login, relay string) url.Values {
	l.ACS, l.Audience = c.URLs.ACS, c.URLs.EntityID
	form := url.Values{"SAMLResponse": {idp.Respond(l)}}
	if relay != "" {
		form.Set("RelayState", relay)
	}
	return form
}

func TestIDPInitiatedIsOffByDefault(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		p := newBrowser(t).send(c.URLs.ACS, tile(idp, c, ssotest.Login{}, ""))
		s.refused(p, "RelayState")
		if !strings.Contains(p.body, "not switched on") {
			t.Errorf("not explained: %s", p.body)
		}
		s.refused(newBrowser(t).send(c.URLs.ACS, tile(idp, c, ssotest.Login{}, "/account")), "RelayState")
		if n := len(s.log("user.signin")); n != 0 {
			t.Errorf("%d people are signed in", n)
		}
	})
}

func TestBounce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "idp_initiated=bounce")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		first := newBrowser(t).samlSignIn(c.URLs.Login)
		for name, one := range map[string]struct {
			login ssotest.Login
			relay string
			ends  string
		}{
			"a good answer":            {ssotest.Login{NameID: "ada-id"}, "", "/account"},
			"with a path":              {ssotest.Login{NameID: "ada-id"}, "/account?tab=2", "/account?tab=2"},
			"with somebody's address":  {ssotest.Login{NameID: "ada-id"}, "https://evil.example/", "/account"},
			"with a protocol-relative": {ssotest.Login{NameID: "ada-id"}, "//evil.example/", "/account"},
			"about somebody else":      {ssotest.Login{NameID: "mallory"}, "", "/account"},
			"forged":                   {ssotest.Login{NameID: "mallory", Signer: ssotest.OtherSigner()}, "", "/account"},
			"stale":                    {ssotest.Login{Now: time.Now().Add(-24 * time.Hour)}, "", "/account"},
		} {
			b := newBrowser(t)
			p := b.send(b.form(b.send(c.URLs.ACS, tile(idp, c, one.login, one.relay))))
			if p.body != first.body || p.url.RequestURI() != one.ends {
				t.Errorf("%s: %d at %s: %s; want %s at %s", name, p.status, p.url, p.body, first.body, one.ends)
			}
		}
		// Answers to requests are none of those, however they come.
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := newBrowser(t)
		acs, fields := b.form(b.open(c.URLs.Login))
		stranger := newBrowser(t)
		s.refused(stranger.send(acs, fields), "expired")
		fields.Del("RelayState")
		s.refused(stranger.send(acs, fields), "RelayState")
	})
}

// A provider that answers to nothing, whatever it was asked, ends in an explanation.
func TestBounceEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "idp_initiated=bounce")
		b := newBrowser(t)
		var p page
		for range maxBounces + 1 {
			p = b.send(c.URLs.ACS, tile(idp, c, ssotest.Login{}, ""))
		}
		s.refused(p, "response.in_response_to")
	})
}

func TestDirect(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "idp_initiated=direct", "idp_initiated_paths=/account,/login")
		send := func(form url.Values) page { return newBrowser(t).send(c.URLs.ACS, form) }

		good := tile(idp, c, ssotest.Login{NameID: "ada-id"}, "/login")
		p := send(good)
		if p.url.Path != "/login" || p.status != http.StatusOK {
			t.Errorf("a page on the list: %d at %s", p.status, p.url)
		}
		if p := send(tile(idp, c, ssotest.Login{NameID: "ada-id"}, "")); !p.signedIn() || p.url.Path != "/account" {
			t.Errorf("without RelayState: %d at %s", p.status, p.url)
		}
		for _, relay := range []string{"/account/../console", "/console", "https://evil.example/account", "//evil.example", "/account?x=1", "javascript:alert(1)"} {
			if p := send(tile(idp, c, ssotest.Login{NameID: "ada-id"}, relay)); !p.signedIn() || p.url.RequestURI() != "/account" {
				t.Errorf("%s: %d at %s", relay, p.status, p.url)
			}
		}
		signed := s.log("user.signin")
		if len(signed) != 8 || signed[0].Detail["started"] != "by the identity provider" {
			t.Errorf("%d sign-ins, %v", len(signed), signed[0].Detail)
		}

		s.refused(send(good), "replay")
		s.refused(send(tile(idp, c, ssotest.Login{InResponseTo: "_other"}, "")), "RelayState")
		s.refused(send(tile(idp, c, ssotest.Login{Signer: ssotest.OtherSigner()}, "")), "assertion.signature")
		s.refused(send(tile(idp, c, ssotest.Login{Assertion: func(a *saml.Assertion) { a.IssueInstant = time.Now().Add(-8 * time.Minute) }}, "")), "assertion.issued")
		s.refused(send(tile(idp, c, ssotest.Login{Assertion: func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = "_somebody"
		}}, "")), "subject.confirmation")

		// What the connection demands of everybody holds here, too.
		s.settle(c, "force_authn=true")
		s.refused(send(tile(idp, c, ssotest.Login{Assertion: authenticated(time.Hour, "")}, "")), "authentication.fresh")
		s.settle(c, "force_authn=false", "authn_context=https://refeds.org/profile/mfa")
		s.refused(send(tile(idp, c, ssotest.Login{}, "")), "authentication.context")
		s.settle(c, "authn_context=")

		// An answer for another connection of ours is none for this one.
		other := s.create(NewConnection{Protocol: "saml", Accounts: "jit", Metadata: idp.Metadata()})
		s.refused(send(tile(idp, other, ssotest.Login{}, "")), "response.destination")

		// What is asked for here is held to as ever.
		idp.Next(ssotest.Login{Response: func(r *saml.Response) { r.InResponseTo = "" }})
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "response.in_response_to")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := newBrowser(t)
		acs, fields := b.form(b.open(c.URLs.Login))
		s.refused(newBrowser(t).send(acs, fields), "expired")
		fields.Del("RelayState")
		s.refused(newBrowser(t).send(acs, fields), "RelayState")

		if _, err := s.door.Disable(t.Context(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		s.refused(send(tile(idp, c, ssotest.Login{}, "")), "status")
	})
}

// Two at once with one answer: one is in.
func TestDirectOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "idp_initiated=direct")
		form := tile(idp, c, ssotest.Login{NameID: "ada-id"}, "")
		var in atomic.Int32
		done := make(chan struct{})
		for range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				resp, err := newBrowser(t).PostForm(c.URLs.ACS, form)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					in.Add(1)
				}
			}()
		}
		for range 4 {
			<-done
		}
		if in.Load() != 1 {
			t.Errorf("%d of 4 are signed in with one answer", in.Load())
		}
	})
}

// The artifact binding would have us call the provider at a stranger's word.
func TestArtifactIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var calls atomic.Int32
		resolver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
		t.Cleanup(resolver.Close)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		metadata := strings.Replace(string(idp.Metadata()), "<SingleSignOnService", `<ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="`+resolver.URL+`" index="0"></ArtifactResolutionService><SingleSignOnService`, 1)
		c := s.create(NewConnection{Protocol: "saml", Accounts: "jit", Metadata: []byte(metadata)})
		const artifact = "AAQAAMFbLinlXaCM+FIxiDwGOLAy2T71gbpO7ZhNzAgEANlB90ECfpNEVLg="
		b := newBrowser(t)
		for name, p := range map[string]page{
			"GET":               b.open(c.URLs.ACS + "?SAMLart=" + url.QueryEscape(artifact)),
			"POST":              b.send(c.URLs.ACS, url.Values{"SAMLart": {artifact}}),
			"POST with both":    b.send(c.URLs.ACS, url.Values{"SAMLart": {artifact}, "SAMLResponse": {idp.Respond(ssotest.Login{})}}),
			"POST with a query": b.send(c.URLs.ACS+"?SAMLart="+url.QueryEscape(artifact), url.Values{"SAMLResponse": {idp.Respond(ssotest.Login{})}}),
			"redirect binding":  b.open(c.URLs.ACS + "?SAMLResponse=abc"),
		} {
			s.refused(p, "binding")
			if !strings.Contains(p.body, "not supported here") {
				t.Errorf("%s: not explained: %s", name, p.body)
			}
		}
		s.refused(b.open(c.URLs.ACS), "invalid")
		if calls.Load() != 0 {
			t.Errorf("%d calls to the provider", calls.Load())
		}
	})
}
