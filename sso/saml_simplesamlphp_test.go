package sso

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// people are known to SimpleSAMLphp.
var people = map[string]ssotest.PHPUser{
	"alice": {Password: "alicepw", Attributes: map[string][]string{
		"uid": {"alice-0001"}, "mail": {"alice@acme.example"}, "givenName": {"Alice"}, "sn": {"Ångström"}, "groups": {"staff", "admins"}}},
}

// phpLogin goes to the login URL and signs in at SimpleSAMLphp. It stops with
// the answer in hand: what the browser is about to post to the ACS.
func (b browser) phpLogin(login, name, password string) (acs string, fields url.Values) {
	b.t.Helper()
	p := b.open(login)
	action, fields := b.passwordForm(p)
	fields.Set("username", name)
	fields.Set("password", password)
	return b.form(b.send(action, fields))
}

// passwordForm is the form of a page that has a password field.
func (b browser) passwordForm(p page) (action string, fields url.Values) {
	b.t.Helper()
	doc, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, form := range webtest.All(doc, "form") {
		fields, found := url.Values{}, false
		for _, in := range webtest.All(form, "input") {
			found = found || webtest.Attr(in, "type") == "password"
			if webtest.Attr(in, "type") == "hidden" {
				fields.Add(webtest.Attr(in, "name"), webtest.Attr(in, "value"))
			}
		}
		if found {
			to, err := p.url.Parse(webtest.Attr(form, "action"))
			if err != nil {
				b.t.Fatal(err)
			}
			return to.String(), fields
		}
	}
	b.t.Fatalf("no password form at %s (status %d):\n%s", p.url, p.status, p.body)
	return "", nil
}

// metadata is what our door publishes for a connection.
func (s *site) metadata(c Created) []byte {
	s.t.Helper()
	resp, err := http.Get(c.URLs.Metadata)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("metadata: %s, %v", resp.Status, err)
	}
	return b
}

// TestSimpleSAMLphp signs in through a real foreign identity provider: metadata
// both ways, our request, its login page, its response.
func TestSimpleSAMLphp(t *testing.T) {
	t.Parallel()
	php := ssotest.StartSimpleSAMLphp(t, people)
	for _, c := range []struct {
		name    string
		options map[string]string // SimpleSAMLphp's for us
	}{
		{"as it comes", nil},
		{"our request's signature checked", map[string]string{"validate.authnrequest": "true"}},
		{"transient NameIDs set there, we ask for persistent", map[string]string{"NameIDFormat": "'" + saml.FormatTransient + "'"}},
		{"assertion signed only", map[string]string{"saml20.sign.response": "false"}},
		{"response signed only", map[string]string{"saml20.sign.assertion": "false"}},
		{"sha512", map[string]string{"signature.algorithm": "'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512'"}},
		{"encrypted", map[string]string{"assertion.encryption": "true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: php.MetadataURL})
				php.Trust(t, s.metadata(conn), c.options)
				b := newBrowser(t)
				acs, fields := b.phpLogin(conn.URLs.Login, "alice", "alicepw")
				if acs != conn.URLs.ACS {
					t.Fatalf("the answer goes to %s, not to %s", acs, conn.URLs.ACS)
				}
				p := b.send(acs, fields)
				id, in := strings.CutPrefix(p.body, "signed in as ")
				if !in {
					t.Fatalf("status %d at %s: %s\n%v", p.status, p.url, p.body, s.log("user.signin.refused"))
				}
				s.knows(store.UserID(id), "alice@acme.example", "Alice Ångström")
				// The same answer again: the pending request is used up.
				s.refused(b.send(acs, fields), "expired")
			})
		})
	}
}

// knows fails unless the person is in the organization under this address.
func (s *site) knows(id store.UserID, email, name string) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), s.admin, func(tx *store.Tx) error {
		u, err := tx.User(id)
		if err == nil && (u.Email != email || u.DisplayName != name || u.Source != store.FromJIT || u.Status != store.Active) {
			s.t.Errorf("the person is %+v, want %s, %s", u, email, name)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestSimpleSAMLphpRefused: real answers of a trusted provider that must not
// sign anybody in.
func TestSimpleSAMLphpRefused(t *testing.T) {
	t.Parallel()
	php := ssotest.StartSimpleSAMLphp(t, people)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		connect := func(options map[string]string) Created {
			c := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: php.MetadataURL})
			php.Trust(t, s.metadata(c), options)
			return c
		}
		a, b := connect(nil), connect(nil)
		browser := newBrowser(t)
		_, stolen := browser.phpLogin(a.URLs.Login, "alice", "alicepw")
		acs, fields := browser.form(browser.open(b.URLs.Login)) // signed in at the provider already
		fields.Set("SAMLResponse", stolen.Get("SAMLResponse"))
		s.refused(browser.send(acs, fields), "response.destination")

		// It can't encrypt with AES-GCM; AES-CBC needs a signature around it.
		c := connect(map[string]string{"assertion.encryption": "true", "saml20.sign.response": "false"})
		s.refused(browser.send(browser.form(browser.open(c.URLs.Login))), "decryption")
	})
}
