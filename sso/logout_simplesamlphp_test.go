package sso

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Single logout with a real foreign provider, which reads our metadata with its
// own parser and checks our signatures.
func TestSimpleSAMLphpLogout(t *testing.T) {
	t.Parallel()
	php := ssotest.StartSimpleSAMLphp(t, people)
	options := map[string]string{"sign.logout": "true", "validate.logout": "true"}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		conn := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: php.MetadataURL})
		php.Trust(t, s.metadata(conn), options)
		enter := func() browser {
			t.Helper()
			b := newBrowser(t)
			acs, fields := b.phpLogin(conn.URLs.Login, "alice", "alicepw")
			if p := b.send(acs, fields); !p.signedIn() {
				t.Fatalf("not signed in: %s\n%v", p.body, s.log("user.signin.refused"))
			}
			return b
		}
		// From here: this session and the one there end.
		b := enter()
		elsewhere := enter()
		p := b.follow(b.send(s.url+"/logout", url.Values{}))
		if !strings.Contains(p.body, leaveWords["done"].String()) {
			t.Fatalf("the page (status %d at %s) says\n%s\n%v", p.status, p.url, p.body, s.log("user.signout.refused"))
		}
		if p := b.open(conn.URLs.Login); !strings.Contains(p.body, "password") {
			t.Errorf("the session at the provider goes on: %s", p.body)
		}
		if !s.in(elsewhere) {
			t.Error("the session of another browser ended, which the provider keeps apart")
		}
		// From there: the session here ends, and the provider takes our answer.
		p = elsewhere.open(php.URL + "saml2/idp/initSLO.php?RelayState=" + url.QueryEscape(php.URL+"saml2/idp/metadata.php"))
		if !strings.HasPrefix(p.url.String(), php.URL+"saml2/idp/metadata.php") || strings.Contains(p.body, "UNKNOWN") {
			t.Errorf("the provider ends at %s (status %d): %s\n%v", p.url, p.status, p.body, s.log("user.signout.refused"))
		}
		if s.in(elsewhere) {
			t.Errorf("the session goes on\n%v", s.log("user.signout.refused"))
		}
	})
}
