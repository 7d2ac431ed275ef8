package sso

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var frames = regexp.MustCompile(`<iframe[^>]* src="([^"]+)"`)

// Another foreign provider: written in Perl, with signed userinfo, front-channel
// logout, and a secret that it takes in the body only, because of its characters.
func TestForeignLemonLDAP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var c Created
		ssotest.StartLemonLDAP(t, func(p ssotest.OIDCProvider) ssotest.LemonLDAPClient {
			c = s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.ClientSecret})
			return ssotest.LemonLDAPClient{Redirect: c.Redirect, SignedOut: c.SignedOut, FrontChannel: c.FrontChannel}
		})
		b := newBrowser(t)
		action, fields := b.form(b.open(c.URLs.Login))
		fields.Set("user", "dwho")
		fields.Set("password", "dwho")
		p := b.send(action, fields)
		if !p.signedIn() {
			t.Fatalf("status %d at %s: %v\n%s", p.status, p.url, s.log("user.signin.refused"), p.body)
		}
		err := db.Read(t.Context(), s.admin, func(tx *store.Tx) error {
			u, err := tx.UserByName("dwho@badwolf.org")
			if err == nil && u.DisplayName != "Doctor Who" {
				t.Errorf("the profile did not come from the signed userinfo: %+v", u.Profile())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if again := b.open(c.URLs.Login); again.body != p.body {
			t.Errorf("second sign-in: %d at %s: %s", again.status, again.url, again.body)
		}
		out := b.follow(b.send(s.url+"/logout", url.Values{}))
		// Its sign-out page tells us in a frame. This version puts the person's name
		// where the session's belongs, which its ID tokens do not have either, so there
		// is nothing that the frame could end.
		frame := frames.FindStringSubmatch(out.body)
		if frame == nil || !strings.HasPrefix(frame[1], c.FrontChannel+"?") {
			t.Fatalf("no frame of ours on its sign-out page, %d at %s: %s", out.status, out.url, out.body)
		}
		if p := newBrowser(t).open(strings.ReplaceAll(frame[1], "&amp;", "&")); p.status != http.StatusOK {
			t.Errorf("the frame's request: %d at %s: %v", p.status, p.url, s.log("user.signout.refused"))
		}
		back, _ := b.form(out)
		if end := b.open(back); s.in(b) || !strings.Contains(end.body, leaveWords[string(saml.LogoutDone)].String()) {
			t.Errorf("signing out ended at %s (still in: %v): %s", end.url, s.in(b), end.body)
		}
	})
}
