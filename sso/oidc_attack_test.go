package sso

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// stopAt keeps a browser from following the provider's redirect to our callback,
// and gives its address.
func (b browser) stopAt(c Created, login string) string {
	b.t.Helper()
	var callback string
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), c.Redirect) {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.open(login)
	b.CheckRedirect = nil
	if callback == "" {
		b.t.Fatal("the provider sent nobody back")
	}
	return callback
}

// altered changes parameters of an address.
func altered(t *testing.T, address string, pairs ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func param(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get(name)
}

// A code of one sign-in in the answer of another: PKCE stops it at the provider,
// and a provider that does not look is stopped by the nonce.
func TestCodeInjection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		attacker, victim := newBrowser(t), newBrowser(t)
		idp.As(map[string]any{"sub": "boss", "email": "boss@acme.example", "email_verified": true, "name": "Boss"})
		stolen := param(t, victim.stopAt(c, c.URLs.Login), "code")
		own := attacker.stopAt(c, c.URLs.Login)
		s.refused(attacker.open(altered(t, own, "code", stolen)), "token endpoint")

		idp.Misbehave(ssotest.Twist{NoPKCE: true})
		stolen = param(t, victim.stopAt(c, c.URLs.Login), "code")
		own = attacker.stopAt(c, c.URLs.Login)
		s.refused(attacker.open(altered(t, own, "code", stolen)), "nonce")
		if n := s.count(); n != 0 {
			t.Errorf("%d accounts were made", n)
		}
	})
}

// Login CSRF and session fixation: an attacker's whole answer in a victim's
// browser, with and without the victim's own pending sign-in.
func TestAnAttackersAnswerInAVictimsBrowser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		attacker, victim := newBrowser(t), newBrowser(t)
		answer := attacker.stopAt(c, c.URLs.Login)
		s.refused(victim.open(answer), "expired")
		victims := victim.stopAt(c, c.URLs.Login)
		s.refused(victim.open(answer), "expired")
		s.refused(victim.open(altered(t, answer, "state", param(t, victims, "state"))), "token endpoint")
	})
}

// Mix-up: the answer of a provider that the attacker runs, at the honest one's
// redirect URL. The state belongs to one connection; iss says who answers; and a
// code that is sent to the wrong provider never is.
func TestMixUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		honest, c := s.oidc("jit")
		evil, e := s.oidc("jit")
		b := newBrowser(t)
		fromEvil, fromHonest := b.stopAt(e, e.URLs.Login), b.stopAt(c, c.URLs.Login)
		s.refused(b.open(strings.Replace(fromEvil, e.Redirect, c.Redirect, 1)), "expired")
		s.refused(b.open(strings.Replace(fromHonest, c.Redirect, e.Redirect, 1)), "expired")
		s.refused(b.open(altered(t, fromHonest, "iss", evil.URL)), "iss parameter")
		s.refused(b.open(altered(t, fromHonest, "iss", honest.URL+"/")), "iss parameter")
		s.refused(b.open(altered(t, fromHonest, "code", param(t, fromEvil, "code"))), "token endpoint")
		if p := b.open(b.stopAt(c, c.URLs.Login)); !p.signedIn() {
			t.Errorf("the honest sign-in: status %d", p.status)
		}
	})
}

// A token that is good elsewhere: of another client, of another provider with the
// same key, of the same person an hour ago, an access token, a logout token.
func TestTokenSubstitution(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		first := ""
		idp.Misbehave(ssotest.Twist{Tokens: func(a map[string]any) { first = a["id_token"].(string) }})
		if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() {
			t.Fatalf("status %d", p.status)
		}
		for name, lie := range map[string]struct {
			token func() string
			check string
		}{
			"the last sign-in's": {func() string { return first }, "nonce"},
			"a logout token":     {func() string { return idp.LogoutToken(func(_, c map[string]any) { c["sub"] = "ada" }) }, "typ"},
			"a stranger's": {func() string {
				return ssotest.NewOIDC(t).Sign(map[string]any{"kid": "k1"}, map[string]any{"sub": "ada"})
			}, "signature"},
		} {
			idp.Misbehave(ssotest.Twist{Tokens: func(a map[string]any) { a["id_token"] = lie.token() }})
			p := newBrowser(t).open(c.URLs.Login)
			t.Run(name, func(t *testing.T) { s.refused(p, lie.check) })
		}
	})
}

// Every address that a provider names is one that a tenant chose: none leads into
// the operator's network, and none answers for ever or without end.
func TestProvidersThatPointElsewhere(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	s := serve(t, db)
	s.door.client.Timeout = 500 * time.Millisecond
	bomb := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 1 << 10 {
			if _, err := z.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(bomb.Close)
	done := make(chan struct{})
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush() // a status, and then nothing
		<-done
	}))
	t.Cleanup(mute.Close)
	t.Cleanup(func() { close(done) })
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(moved.Close)
	for name, address := range map[string]string{
		"the cloud's metadata service": "http://169.254.169.254/latest/meta-data",
		"a private network":            "http://10.255.255.1/",
		"this machine, mapped":         "https://[::ffff:10.0.0.1]/",
		"a gzip bomb":                  bomb.URL,
		"silence":                      mute.URL,
		"a redirect that repeats":      moved.URL,
	} {
		for _, endpoint := range []string{"token_endpoint", "jwks_uri", "userinfo_endpoint"} {
			idp := ssotest.NewOIDC(t)
			idp.Misbehave(ssotest.Twist{Discovery: func(doc map[string]any) { doc[endpoint] = address }})
			c := s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: idp.URL, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret})
			idp.Register(c.Redirect)
			idp.As(map[string]any{"sub": fmt.Sprint(name, endpoint)})
			p := newBrowser(t).open(c.URLs.Login)
			if endpoint == "userinfo_endpoint" { // what it lacks stays unknown; nobody is refused for it
				if !p.signedIn() {
					t.Errorf("%s as %s: status %d: %s", name, endpoint, p.status, p.body)
				}
				continue
			}
			if p.signedIn() || p.reference() == "" || p.status < 400 || strings.Contains(p.body, address) {
				t.Errorf("%s as %s: status %d: %s", name, endpoint, p.status, p.body)
			}
		}
	}
}
