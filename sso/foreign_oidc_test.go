package sso

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A whole sign-in at a provider that others wrote: discovery, PKCE, state, nonce,
// iss parameter, ID token, userinfo.
func TestForeignOIDCProvider(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var c Created
		ssotest.StartOIDCProvider(t, map[string]map[string]any{
			"ada": {"email": "ada@acme.example", "email_verified": true, "given_name": "Ada", "family_name": "Example"},
			"eve": {"email": "ada@acme.example", "email_verified": true},
		}, func(p ssotest.OIDCProvider) string {
			c = s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.ClientSecret})
			return c.Redirect
		})
		enter := func(b browser, login string, name string) page {
			t.Helper()
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
		b := newBrowser(t)
		p := enter(b, c.URLs.Login+"?next="+url.QueryEscape("/account?from=app"), "ada")
		if !p.signedIn() || p.url.RequestURI() != "/account?from=app" {
			t.Fatalf("status %d at %s: %s", p.status, p.url, p.body)
		}
		if again := enter(b, c.URLs.Login, ""); again.body != p.body {
			t.Errorf("second sign-in: %s, want %s", again.body, p.body)
		}
		s.refused(enter(newBrowser(t), c.URLs.Login, "eve"), "domain")
	})
}
