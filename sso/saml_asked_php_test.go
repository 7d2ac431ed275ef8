package sso

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// TestSimpleSAMLphpIsAsked: what our requests ask for and demand, at a real foreign
// provider.
func TestSimpleSAMLphpIsAsked(t *testing.T) {
	t.Parallel()
	php := ssotest.StartSimpleSAMLphp(t, people)
	const password = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	for _, c := range []struct {
		name    string
		options map[string]string // SimpleSAMLphp's for us
		set     []string          // ours
		stop    string            // empty: alice is in
	}{
		{"by POST, our signature checked", map[string]string{"validate.authnrequest": "true"}, []string{"sso_post=" + php.URL + "saml2/idp/SSOService.php", "binding=post"}, ""},
		{"by redirect, our signature checked, with a hint beside it", map[string]string{"validate.authnrequest": "true"}, []string{"login_hint=parameter"}, ""},
		{"with a Subject", map[string]string{"validate.authnrequest": "true"}, []string{"login_hint=subject"}, ""},
		{"a fresh sign-in", nil, []string{"force_authn=true"}, ""},
		{"no NameIDPolicy", nil, []string{"name_id_format=none"}, ""},
		{"an encrypted NameID", map[string]string{"nameid.encryption": "true"}, nil, ""},
		{"an encrypted NameID in an encrypted assertion", map[string]string{"nameid.encryption": "true", "assertion.encryption": "true"}, []string{"want_encrypted=true"}, ""},
		{"both signed, as wanted", nil, []string{"want_signed=both"}, ""},
		{"only the assertion signed, both wanted", map[string]string{"saml20.sign.response": "false"}, []string{"want_signed=both"}, "signed"},
		{"only the response signed, the assertion wanted", map[string]string{"saml20.sign.assertion": "false"}, []string{"want_signed=assertion"}, "signed"},
		{"plain, encryption wanted", nil, []string{"want_encrypted=true"}, "encrypted"},
		{"its own context", nil, []string{"authn_context=" + password}, ""},
		{"a context that it has not", nil, []string{"authn_context=https://refeds.org/profile/mfa"}, "authentication.context"},
		{"sha1, refused", map[string]string{"signature.algorithm": "'http://www.w3.org/2000/09/xmldsig#rsa-sha1'"}, nil, "response.signature.form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: php.MetadataURL})
				if c.set != nil {
					s.settle(conn, c.set...)
				}
				php.Trust(t, s.metadata(conn), c.options)
				b := newBrowser(t)
				p := b.open(conn.URLs.Login + "?login_hint=" + url.QueryEscape("alice@acme.example"))
				if !strings.Contains(p.body, `type="password"`) { // posted by a page of ours
					p = b.send(b.form(p))
				}
				action, fields := b.passwordForm(p)
				fields.Set("username", "alice")
				fields.Set("password", "alicepw")
				p = b.send(b.form(b.send(action, fields)))
				if c.stop != "" {
					s.refused(p, c.stop)
					return
				}
				if !p.signedIn() {
					t.Fatalf("%d at %s: %s\n%v", p.status, p.url, p.body, s.log("user.signin.refused"))
				}
				// Again with the session there: only ForceAuthn asks for the password.
				p = b.open(conn.URLs.Login + "?prompt=login")
				if !strings.Contains(p.body, `type="password"`) {
					p = b.send(b.form(p))
				}
				if !strings.Contains(p.body, `type="password"`) {
					t.Errorf("prompt=login: SimpleSAMLphp asked for nothing: %d at %s", p.status, p.url)
				}
			})
		})
	}
}

// TestSimpleSAMLphpTile: somebody is signed in at the provider and clicks our tile.
func TestSimpleSAMLphpTile(t *testing.T) {
	t.Parallel()
	php := ssotest.StartSimpleSAMLphp(t, people)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: php.MetadataURL})
		php.Trust(t, s.metadata(conn), nil)
		tile := php.URL + "saml2/idp/SSOService.php?RelayState=" + url.QueryEscape("/account?from=tile") + "&spentityid=" + url.QueryEscape(conn.URLs.EntityID)
		b := newBrowser(t)
		acs, fields := b.phpLogin(tile, "alice", "alicepw")
		if acs != conn.URLs.ACS {
			t.Fatalf("the tile leads to %s", acs)
		}
		s.refused(b.send(acs, fields), "RelayState")

		s.settle(conn, "idp_initiated=bounce")
		p := b.send(b.form(b.send(b.form(b.open(tile))))) // the tile's answer, bounced; the real one
		if !p.signedIn() || p.url.RequestURI() != "/account?from=tile" {
			t.Errorf("bounce: %d at %s: %s", p.status, p.url, p.body)
		}

		s.settle(conn, "idp_initiated=direct")
		acs, fields = b.form(b.open(tile))
		if p := newBrowser(t).send(acs, fields); !p.signedIn() || p.url.RequestURI() != "/account" {
			t.Errorf("direct: %d at %s: %s", p.status, p.url, p.body)
		}
		s.refused(newBrowser(t).send(acs, fields), "replay")
	})
}
