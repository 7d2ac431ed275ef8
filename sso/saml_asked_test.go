package sso

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// settle changes settings of a connection, written KEY=VALUE.
func (s *site) settle(c Created, settings ...string) {
	s.t.Helper()
	ch := Change{Set: map[string]string{}}
	for _, one := range settings {
		key, value, _ := strings.Cut(one, "=")
		ch.Set[key] = value
	}
	if _, err := s.door.UpdateConnection(s.t.Context(), s.admin, c.ID, ch); err != nil {
		s.t.Fatalf("%v: %v on %s", settings, err, fault.Field(err))
	}
}

func authenticated(ago time.Duration, class string) func(*saml.Assertion) {
	return func(a *saml.Assertion) {
		a.AuthnStatements[0].AuthnInstant = time.Now().Add(-ago)
		if class != "" {
			a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = class
		}
	}
}

func TestFreshSignInWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{Assertion: authenticated(time.Hour, "")})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("not asked for: %d %s", p.status, p.body)
		}
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login+"?prompt=login"), "authentication.fresh")
		// What was asked for when the request left counts, not what is set now.
		b := newBrowser(t)
		s.settle(c, "force_authn=true")
		acs, fields := b.form(b.open(c.URLs.Login))
		s.settle(c, "force_authn=false")
		s.refused(b.send(acs, fields), "authentication.fresh")
		s.settle(c, "force_authn=true")
		idp.Next(ssotest.Login{})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("fresh as asked for: %d %s", p.status, p.body)
		}
	})
}

func TestContextThatIsAskedFor(t *testing.T) {
	t.Parallel()
	const mfa = "https://refeds.org/profile/mfa"
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "authn_context="+mfa, "authn_context_comparison=minimum")
		idp.Next(ssotest.Login{})
		p := newBrowser(t).samlSignIn(c.URLs.Login)
		s.refused(p, "authentication.context")
		idp.Next(ssotest.Login{Assertion: authenticated(0, mfa)})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("as asked: %d %s", p.status, p.body)
		}
		const stronger = "urn:example:hardware"
		idp.Next(ssotest.Login{Assertion: authenticated(0, stronger)})
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "authentication.context")
		s.settle(c, "authn_context_accepted="+stronger)
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("accepted besides: %d %s", p.status, p.body)
		}
		s.settle(c, "authn_context_accepted=", "authn_context_order=urn:example:weak\n"+mfa+"\n"+stronger)
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("stronger by the order: %d %s", p.status, p.body)
		}
		idp.Next(ssotest.Login{Assertion: authenticated(0, "urn:example:weak")})
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "authentication.context")
	})
}

func TestContextSettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolSAML, accountsJIT)
		d := p.keyed()
		if _, err := p.update(d, map[string]string{"sso_redirect": "https://idp.example/sso"}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			set   map[string]string
			field string
		}{
			{map[string]string{"authn_context": "password"}, "authn_context"},
			{map[string]string{"authn_context": "urn:a b"}, "authn_context"},
			{map[string]string{"authn_context": "urn:a", "authn_context_comparison": "better"}, "authn_context"},
			{map[string]string{"authn_context": "urn:a", "authn_context_order": "urn:b"}, "authn_context"},
			{map[string]string{"authn_context_order": "strong"}, "authn_context_order"},
			{map[string]string{"authn_context": "urn:a", "authn_context_comparison": "better", "authn_context_order": "urn:b\nurn:a"}, "authn_context"},
			{map[string]string{"authn_context_comparison": "stronger"}, "authn_context_comparison"},
			{map[string]string{"login_hint_parameter": "SAMLRequest"}, "login_hint_parameter"},
			{map[string]string{"login_hint_parameter": "a&b"}, "login_hint_parameter"},
			{map[string]string{"idp_initiated_paths": "//evil.example"}, "idp_initiated_paths"},
			{map[string]string{"idp_initiated_paths": "https://evil.example/"}, "idp_initiated_paths"},
			{map[string]string{"idp_initiated_paths": "/ok\n/a/../b"}, "idp_initiated_paths"},
			{map[string]string{"idp_initiated": "on"}, "idp_initiated"},
		} {
			if _, err := p.update(d, c.set); !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
				t.Errorf("%v: %v on %q", c.set, err, fault.Field(err))
			}
		}
		if _, err := p.update(d, map[string]string{"authn_context": "urn:a", "authn_context_comparison": "better", "authn_context_order": "urn:a\nurn:b"}); err != nil {
			t.Error(err)
		}
		if _, err := p.update(d, map[string]string{"authn_context_order": ""}); !fault.Is(err, fault.Invalid) {
			t.Errorf("nothing is better any more: %v", err)
		}
		if _, err := p.update(d, map[string]string{"authn_context": "urn:a", "authn_context_accepted": "urn:b,urn:c", "authn_context_comparison": "better", "idp_initiated_paths": "/account, /apps"}); err != nil {
			t.Error(err)
		}
	})
}

// Which vendor takes a hint how; what is set wins.
func TestLoginHintByVendor(t *testing.T) {
	t.Parallel()
	for vendor, want := range map[string]string{"entra": "login_hint", "google": "login_hint", "auth0": "login_hint", "adfs": "username", "keycloak": "subject", "okta": "", "custom": "", "shibboleth": ""} {
		c := Connection{Protocol: protocolSAML, Vendor: vendor}.filled()
		h := c.hint("ada@acme.example")
		got := h.Parameter
		if h.AsSubject {
			got += "subject"
		}
		if got != want || h.Value != "" != (want != "") {
			t.Errorf("%s: %+v, want %q", vendor, h, want)
		}
		c.Config.LoginHint = hintNone
		if h := c.hint("ada@acme.example"); h.Value != "" {
			t.Errorf("%s: a hint although none is to be sent", vendor)
		}
		c.Config.LoginHint, c.Config.LoginHintParameter = hintParameter, "user"
		if h := c.hint("ada@acme.example"); h.Parameter != "user" {
			t.Errorf("%s: %+v", vendor, h)
		}
		if h := c.hint(strings.Repeat("a", 400)); h.Value != "" {
			t.Error("an endless hint is passed on")
		}
		if h := c.hint("a\x00b"); h.Value != "" {
			t.Error("a control character is passed on")
		}
	}
}

// location is where the login URL sends a browser.
func (b browser) location(login string) *url.URL {
	b.t.Helper()
	resp, err := (&http.Client{Jar: b.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(login)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	u, err := resp.Location()
	if err != nil {
		b.t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return u
}

func TestLoginHintGoesAlong(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("jit")
		login := c.URLs.Login + "?login_hint=" + url.QueryEscape("ada+x@acme.example")
		if q := newBrowser(t).location(login).Query(); q.Has("login_hint") {
			t.Errorf("a hint that nobody wants: %v", q)
		}
		s.settle(c, "login_hint=parameter")
		if q := newBrowser(t).location(login).Query(); q.Get("login_hint") != "ada+x@acme.example" || q.Get("SAMLRequest") == "" {
			t.Errorf("%v", q)
		}
	})
}

func TestRequestByPost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "binding=post")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := newBrowser(t)
		p := b.open(c.URLs.Login)
		action, fields := b.form(p)
		if action != idp.URL || fields.Get("SAMLRequest") == "" || fields.Get("RelayState") == "" {
			t.Fatalf("%s %v", action, fields)
		}
		raw, err := base64.StdEncoding.DecodeString(fields.Get("SAMLRequest"))
		if err != nil || !strings.Contains(string(raw), "rsa-sha256") || strings.Contains(string(raw), `sha1"`) {
			t.Errorf("%v: %s", err, raw)
		}
		if p := b.send(b.form(b.send(action, fields))); !p.signedIn() {
			t.Errorf("%d %s", p.status, p.body)
		}
	})
}

func TestSignaturesAsWanted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		for want, good := range map[string]map[ssotest.Sign]bool{
			"any":       {ssotest.SignAssertion: true, ssotest.SignResponse: true, ssotest.SignBoth: true},
			"response":  {ssotest.SignResponse: true, ssotest.SignBoth: true},
			"assertion": {ssotest.SignAssertion: true, ssotest.SignBoth: true},
			"both":      {ssotest.SignBoth: true},
		} {
			s.settle(c, "want_signed="+want)
			for _, sign := range []ssotest.Sign{ssotest.SignAssertion, ssotest.SignResponse, ssotest.SignBoth, ssotest.SignNothing} {
				idp.Next(ssotest.Login{Sign: sign})
				p := newBrowser(t).samlSignIn(c.URLs.Login)
				if good[sign] && !p.signedIn() {
					t.Errorf("%s: signature %d: %d %s", want, sign, p.status, p.body)
				}
				if !good[sign] {
					s.refused(p, "signed")
				}
			}
		}
	})
}

// encryptionKey is the one in our metadata.
func (s *site) encryptionKey(c Created) *rsa.PublicKey {
	s.t.Helper()
	m := regexp.MustCompile(`(?s)use="encryption".*?<X509Certificate[^>]*>([^<]+)<`).FindSubmatch(s.metadata(c))
	if m == nil {
		s.t.Fatal("no encryption key in our metadata")
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(m[1])), ""))
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	return cert.PublicKey.(*rsa.PublicKey)
}

func TestEncryptedAssertionsAndNameIDs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.settle(c, "want_encrypted=true")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "encrypted")
		to := &ssotest.Encryption{To: s.encryptionKey(c)}
		idp.Next(ssotest.Login{NameID: "ada-id", Encrypt: to})
		one := newBrowser(t).samlSignIn(c.URLs.Login)
		idp.Next(ssotest.Login{NameID: "ada-id", Encrypt: to, EncryptID: to, Sign: ssotest.SignBoth})
		two := newBrowser(t).samlSignIn(c.URLs.Login)
		s.settle(c, "want_encrypted=false")
		idp.Next(ssotest.Login{NameID: "ada-id", EncryptID: to})
		three := newBrowser(t).samlSignIn(c.URLs.Login)
		if !one.signedIn() || one.body != two.body || two.body != three.body {
			t.Errorf("not the same person: %s | %s | %s", one.body, two.body, three.body)
		}
		cbc := &ssotest.Encryption{To: to.To, Content: "http://www.w3.org/2001/04/xmlenc#aes256-cbc"}
		idp.Next(ssotest.Login{NameID: "ada-id", Encrypt: cbc})
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "decryption")
		idp.Next(ssotest.Login{NameID: "ada-id", Encrypt: cbc, Sign: ssotest.SignResponse})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); p.body != one.body {
			t.Errorf("CBC inside a signed response: %d %s", p.status, p.body)
		}
	})
}

func TestSHA1UntilItsEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{Hash: crypto.SHA1})
		day := func(n int) string { return db.Now().AddDate(0, 0, n).UTC().Format(time.DateOnly) }
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "assertion.signature.form")
		s.settle(c, "sha1_until="+day(2))
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("%d %s", p.status, p.body)
		}
		if notes := s.notes(c); len(notes) != 1 || !strings.Contains(notes[0], "accepted until "+day(2)) {
			t.Errorf("notes: %q", notes)
		}
		s.settle(c, "sha1_until="+day(0))
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "assertion.signature.form")
		if notes := s.notes(c); len(notes) != 1 || !strings.Contains(notes[0], "refused since "+day(0)) {
			t.Errorf("notes: %q", notes)
		}
	})
}

func (s *site) notes(c Created) []string {
	s.t.Helper()
	now, err := s.door.Connection(s.t.Context(), s.admin, c.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.door.Info(now).Notes
}

func TestExpiredCertificateOfTheProvider(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Signer = ssotest.NewSigner(2048, time.Now().AddDate(-1, 0, 0))
		idp.Serve(t)
		c := s.create(NewConnection{Protocol: "saml", Accounts: "jit", Metadata: idp.Metadata()})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("%d %s", p.status, p.body)
		}
		s.settle(c, "strict_certificates=true")
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "certificates")
	})
}

func TestSkewAsSet(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{Now: time.Now().Add(4 * time.Minute)}) // the provider's clock is ahead
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "assertion.issued")
		s.settle(c, "skew_seconds=300")
		idp.Next(ssotest.Login{Now: time.Now().Add(4 * time.Minute)})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Errorf("%d %s", p.status, p.body)
		}
	})
}

// A way of sending that the provider does not have keeps a connection from opening.
func TestNoWayToSendARequest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("jit")
		if _, err := s.door.Disable(t.Context(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		for _, one := range [][]string{{"sso_post=", "binding=post"}, {"sso_redirect=", "sso_post=https://idp.example/sso", "binding=redirect"}, {"sso_post=", "binding="}} {
			s.settle(c, one...)
			if _, err := s.door.Activate(t.Context(), s.admin, c.ID); !fault.Is(err, fault.Conflict) || fault.Public(err) == "" {
				t.Errorf("%v: activated: %v", one, err)
			}
		}
		s.settle(c, "sso_post=https://idp.example/sso")
		if _, err := s.door.Activate(t.Context(), s.admin, c.ID); err != nil {
			t.Error(err)
		}
	})
}
