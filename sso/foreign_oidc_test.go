package sso

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// enterAt goes through the provider's own pages, wherever they lead.
func (b browser) enterAt(login, name string) page {
	b.t.Helper()
	p := b.open(login)
	for strings.Contains(p.url.Path, "/interaction/") {
		action, fields := b.form(p)
		if fields.Has("login") {
			fields.Set("login", name)
			fields.Set("password", "any")
		}
		p = b.send(action, fields)
	}
	return p
}

var oidcPeople = map[string]map[string]any{
	"ada": {"email": "ada@acme.example", "email_verified": true, "given_name": "Ada", "family_name": "Example"},
	"eve": {"email": "ada@acme.example", "email_verified": true},
}

// A whole sign-in at a provider that others wrote: discovery, PKCE, state, nonce,
// iss parameter, ID token, userinfo; then signing out over it, which tells our
// other sessions of that browser by back-channel.
func TestForeignOIDCProvider(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var c Created
		ssotest.StartOIDCProvider(t, oidcPeople, func(p ssotest.OIDCProvider) ssotest.OIDCClient {
			c = s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.ClientSecret})
			return ssotest.OIDCClient{Redirect: c.Redirect, SignedOut: c.SignedOut, BackChannel: c.BackChannel}
		})
		b := newBrowser(t)
		p := b.enterAt(c.URLs.Login+"?next="+url.QueryEscape("/account?from=app"), "ada")
		if !p.signedIn() || p.url.RequestURI() != "/account?from=app" {
			t.Fatalf("status %d at %s: %s", p.status, p.url, p.body)
		}
		if again := b.enterAt(c.URLs.Login, ""); again.body != p.body {
			t.Errorf("second sign-in: %s, want %s", again.body, p.body)
		}
		s.refused(newBrowser(t).enterAt(c.URLs.Login, "eve"), "domain")

		// The same session at the provider, another one here.
		second := s.inAnotherWindow(b, c)
		out := b.follow(b.send(s.url+"/logout", url.Values{}))
		if strings.Contains(out.body, "<form") { // the provider asks whether that is meant
			action, fields := b.form(out)
			fields.Set("logout", "yes")
			out = b.send(action, fields)
		}
		if !strings.Contains(out.body, leaveWords[string(saml.LogoutDone)].String()) {
			t.Errorf("signing out ended with status %d at %s: %s", out.status, out.url, out.body)
		}
		if s.in(b) || s.in(second) {
			t.Errorf("still signed in: %v, in the other window: %v (back-channel)", s.in(b), s.in(second))
		}
		log := s.log("user.signout")
		if len(log) == 0 || log[0].Detail["why"] != "the identity provider signed the person out" {
			t.Errorf("activity: %+v", log)
		}
	})
}

// inAnotherWindow signs the same browser in again, as a session of its own here.
func (s *site) inAnotherWindow(b browser, c Created) browser {
	s.t.Helper()
	idp, err := url.Parse(c.Issuer)
	if err != nil {
		s.t.Fatal(err)
	}
	other := newBrowser(s.t)
	for _, cookie := range b.Jar.Cookies(idp) {
		if !strings.HasPrefix(cookie.Name, "muster") && !strings.HasPrefix(cookie.Name, cookieName) {
			other.Jar.SetCookies(idp, []*http.Cookie{cookie})
		}
	}
	if p := other.enterAt(c.URLs.Login, ""); !p.signedIn() {
		s.t.Fatalf("the other window: status %d at %s: %s", p.status, p.url, p.body)
	}
	return other
}

// The same provider, where the client has no secret but a key, and userinfo is a
// signed token.
func TestForeignOIDCProviderWithKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var c Created
		ssotest.StartOIDCProvider(t, oidcPeople, func(p ssotest.OIDCProvider) ssotest.OIDCClient {
			c = s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: p.URL, ClientID: p.ClientID})
			s.set(c.ID, "client_auth", "private_key_jwt", "response_mode", "form_post")
			return ssotest.OIDCClient{Redirect: c.Redirect, Keys: c.JWKS}
		})
		for _, when := range []string{"first key", "rolled key"} {
			b := newBrowser(t)
			p := b.enterAt(c.URLs.Login, "ada")
			if strings.Contains(p.body, "<form") {
				p = b.send(b.form(p))
			}
			if !p.signedIn() {
				t.Fatalf("%s: status %d at %s: %v", when, p.status, p.url, s.log("user.signin.refused"))
			}
			if _, err := s.door.RollClientKey(t.Context(), s.admin, c.ID, false); err != nil && when == "first key" {
				t.Fatal(err)
			}
		}
		err := db.Read(t.Context(), s.admin, func(tx *store.Tx) error {
			u, err := tx.UserByName("ada@acme.example")
			if err == nil && u.Profile().GivenName != "Ada" {
				t.Errorf("the profile did not come from the signed userinfo: %+v", u.Profile())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
