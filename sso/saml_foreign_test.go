package sso

import (
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// foreigners are known to samlp and pysaml2.
var foreigners = map[string]ssotest.ForeignPerson{
	"alice": {ID: "alice-0001", Email: "alice@acme.example", GivenName: "Alice", FamilyName: "Ångström", Groups: []string{"staff", "admins"}},
}

// enter signs in at a foreign provider's login page, which asks for a name. It stops
// with the answer in hand: what the browser is about to post to the ACS.
func (b browser) enter(login, name string) (acs string, fields url.Values) {
	b.t.Helper()
	p := b.open(login)
	if strings.Contains(p.body, `action="/login"`) {
		action, fields := b.form(p)
		fields.Set("username", name)
		p = b.send(action, fields)
	} else if strings.Contains(p.body, "SAMLRequest") { // the POST binding: our own page sends the request
		p = b.send(b.form(p))
		action, fields := b.form(p)
		fields.Set("username", name)
		p = b.send(action, fields)
	}
	return b.form(p)
}

// arrives fails unless the answer signs alice in, once.
func (s *site) arrives(b browser, c Created, acs string, fields url.Values) {
	s.t.Helper()
	if acs != c.URLs.ACS {
		s.t.Fatalf("the answer goes to %s, not to %s", acs, c.URLs.ACS)
	}
	p := b.send(acs, fields)
	id, in := strings.CutPrefix(p.body, "signed in as ")
	if !in {
		s.t.Fatalf("status %d at %s: %s\n%v", p.status, p.url, p.body, s.log("user.signin.refused"))
	}
	s.knows(store.UserID(id), "alice@acme.example", "Alice Ångström")
	s.refused(b.send(acs, fields), "expired")
}

// TestSAMLP signs in through Auth0's samlp, by each way of signing and encrypting.
func TestSAMLP(t *testing.T) {
	t.Parallel()
	idp := ssotest.StartSAMLP(t, foreigners)
	const gcm = "http://www.w3.org/2009/xmlenc11#"
	for _, c := range []struct {
		name    string
		options map[string]any
		refused string // the check that stops it, if it must not sign in
	}{
		{name: "as it comes"},
		{name: "response and assertion signed", options: map[string]any{"signResponse": true}},
		{name: "response signed only", options: map[string]any{"signResponse": true, "signAssertion": false}},
		{name: "encrypted with AES-256-GCM", options: map[string]any{"encryptionAlgorithm": gcm + "aes256-gcm"}},
		{name: "encrypted with AES-128-GCM, response signed", options: map[string]any{"signResponse": true, "encryptionAlgorithm": gcm + "aes128-gcm"}},
		{name: "encrypted with AES-256-CBC, response signed", options: map[string]any{"signResponse": true,
			"disallowEncryptionWithInsecureAlgorithm": false, "encryptionAlgorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"}},
		{name: "AES-256-CBC without a signature around it", refused: "decryption",
			options: map[string]any{"disallowEncryptionWithInsecureAlgorithm": false, "encryptionAlgorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"}},
		{name: "nothing signed", options: map[string]any{"signAssertion": false}, refused: "signed"},
		{name: "SHA-1", options: map[string]any{"signatureAlgorithm": "rsa-sha1", "digestAlgorithm": "sha1"}, refused: "assertion.signature.form"},
		{name: "made for another audience", options: map[string]any{"audience": "https://other.example"}, refused: "conditions.audience"},
		{name: "recipient left out", options: map[string]any{"recipient": "https://other.example/acs"}, refused: "subject.confirmation"},
		{name: "the audience as Destination", options: map[string]any{"destination": "", "signResponse": true}, refused: "response.destination"},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: idp.MetadataURL})
				idp.Trust(t, s.metadata(conn), c.options)
				b := newBrowser(t)
				acs, fields := b.enter(conn.URLs.Login, "alice")
				if c.refused != "" {
					s.refused(b.send(acs, fields), c.refused)
					return
				}
				s.arrives(b, conn, acs, fields)
			})
		})
	}
}

// TestPySAML2 signs in through an identity provider made of pysaml2.
func TestPySAML2(t *testing.T) {
	t.Parallel()
	idp := ssotest.StartPySAML2(t, foreigners)
	for _, c := range []struct {
		name                         string
		response, assertion, encrypt bool
		refused                      string
	}{
		{name: "response and assertion signed", response: true, assertion: true},
		{name: "assertion signed only", assertion: true},
		{name: "response signed only", response: true},
		{name: "nothing signed", refused: "signed"},
		// It knows no other cipher than 3DES.
		{name: "encrypted", response: true, assertion: true, encrypt: true, refused: "decryption"},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", Vendor: "shibboleth", MetadataURL: idp.MetadataURL})
				idp.Trust(t, s.metadata(conn), c.response, c.assertion, c.encrypt)
				b := newBrowser(t)
				acs, fields := b.enter(conn.URLs.Login, "alice")
				if c.refused != "" {
					s.refused(b.send(acs, fields), c.refused)
					return
				}
				s.arrives(b, conn, acs, fields)
			})
		})
	}
}

// TestSAMLPChecksOurRequests: our requests pass there because of their signature, not
// for want of a look at it.
func TestSAMLPChecksOurRequests(t *testing.T) {
	t.Parallel()
	idp := ssotest.StartSAMLP(t, foreigners)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: idp.MetadataURL})
		other := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ssotest.OtherSigner().Cert.Raw})
		idp.Trust(t, s.metadata(conn), map[string]any{"signingCert": string(other)})
		b := newBrowser(t)
		action, fields := b.form(b.open(conn.URLs.Login))
		fields.Set("username", "alice")
		if p := b.send(action, fields); p.status != 500 || !strings.Contains(p.body, "Signature check errors") {
			t.Errorf("a request signed by another key: status %d: %s", p.status, p.body)
		}
	})
}

// logouts walks single logout in both directions at a foreign provider. there opens
// the provider's own sign-out page and says what it shows when all went well.
func (s *site) logouts(conn Created, there func(b browser) (p page, ok bool)) {
	s.t.Helper()
	enter := func() browser {
		s.t.Helper()
		b := newBrowser(s.t)
		acs, fields := b.enter(conn.URLs.Login, "alice")
		if p := b.send(acs, fields); !p.signedIn() {
			s.t.Fatalf("not signed in: %s\n%v", p.body, s.log("user.signin.refused"))
		}
		return b
	}
	b, elsewhere := enter(), enter()
	if p := b.follow(b.send(s.url+"/logout", url.Values{})); !strings.Contains(p.body, leaveWords["done"].String()) {
		s.t.Errorf("the page (status %d at %s) says\n%s\n%v", p.status, p.url, p.body, s.log("user.signout.refused"))
	}
	if p := b.open(conn.URLs.Login); !strings.Contains(p.body, "username") {
		s.t.Errorf("the session at the provider goes on: %s", p.body)
	}
	if !s.in(elsewhere) {
		s.t.Error("the session of another browser ended, which the provider keeps apart")
	}
	if p, ok := there(elsewhere); !ok {
		s.t.Errorf("the provider ends at %s (status %d): %s\n%v", p.url, p.status, p.body, s.log("user.signout.refused"))
	}
	if s.in(elsewhere) {
		s.t.Errorf("the session goes on\n%v", s.log("user.signout.refused"))
	}
}

// carry posts messages between the provider and us as long as pages hold any.
func (b browser) carry(p page) page {
	b.t.Helper()
	for range 5 {
		if !strings.Contains(p.body, `name="SAMLRe`) {
			return p
		}
		p = b.send(b.form(p))
	}
	return p
}

func TestSAMLPLogout(t *testing.T) {
	t.Parallel()
	idp := ssotest.StartSAMLP(t, foreigners)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: idp.MetadataURL})
		idp.Trust(t, s.metadata(conn), nil)
		s.logouts(conn, func(b browser) (page, bool) {
			p := b.carry(b.open(idp.SLO))
			return p, p.status == 200 && strings.HasPrefix(p.url.String(), idp.URL) && p.body == "OK"
		})
	})
}

func TestPySAML2Logout(t *testing.T) {
	t.Parallel()
	idp := ssotest.StartPySAML2(t, foreigners)
	for _, binding := range []string{crewjam.HTTPRedirectBinding, crewjam.HTTPPostBinding} {
		t.Run(binding[strings.LastIndex(binding, ":")+1:], func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: idp.MetadataURL})
				idp.Trust(t, s.metadata(conn), true, true, false)
				s.logouts(conn, func(b browser) (page, bool) {
					p := b.carry(b.open(idp.SLO + "?binding=" + url.QueryEscape(binding)))
					return p, p.body == "logged out: urn:oasis:names:tc:SAML:2.0:status:Success"
				})
			})
		})
	}
}
