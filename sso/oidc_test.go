package sso

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// set changes settings of a connection.
func (s *site) set(id ConnectionID, pairs ...string) {
	s.t.Helper()
	ch := Change{Set: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		ch.Set[pairs[i]] = pairs[i+1]
	}
	if _, err := s.door.UpdateConnection(context.Background(), s.admin, id, ch); err != nil {
		s.t.Fatal(err)
	}
}

// A secret with every kind of character reaches the provider whole, in the header
// and in the body, and a new one takes over while sign-ins go on.
func TestClientSecrets(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		for _, secret := range []string{"p:w%41 +/=&ü\"\\", "simple", " leading and trailing "} {
			idp.ClientSecret = secret
			s.set(c.ID, "client_secret", secret)
			for _, method := range []string{"client_secret_basic", "client_secret_post"} {
				s.set(c.ID, "client_auth", method)
				if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() || idp.Auth() != method {
					t.Errorf("secret %q, %s (came by %s): status %d: %s", secret, method, idp.Auth(), p.status, p.body)
				}
			}
		}
		s.set(c.ID, "client_auth", "")
		idp.ClientSecret = "the next one"
		s.refused(newBrowser(t).open(c.URLs.Login), "token endpoint")
		s.set(c.ID, "client_secret", "the next one")
		if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() {
			t.Errorf("after the new secret: status %d: %s", p.status, p.body)
		}
		for _, a := range s.log("connection.update") {
			if text, _ := json.Marshal(a.Detail); strings.Contains(string(text), "the next one") {
				t.Errorf("the activity shows the secret: %s", text)
			}
		}
	})
}

// A client that signs for itself, with its key replaced while sign-ins go on.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		idp.Now, idp.ClientKeys = clock.Now, c.JWKS
		s.refused(newBrowser(t).open(c.URLs.Login), "token endpoint") // a secret will not do
		s.set(c.ID, "client_auth", "private_key_jwt")
		enter := func(when string) {
			t.Helper()
			if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() || idp.Auth() != "private_key_jwt" {
				t.Fatalf("%s: status %d: %s", when, p.status, p.body)
			}
		}
		enter("with the first key")
		first := s.published(c.JWKS)
		list, err := s.door.RollClientKey(context.Background(), s.admin, c.ID, false)
		if err != nil || len(list) != 2 || list[0].State != "active" || list[0].ID != first[0] || list[1].State != "next" {
			t.Fatalf("%+v, %v", list, err)
		}
		if _, err := s.door.RollClientKey(context.Background(), s.admin, c.ID, false); !fault.Is(err, fault.Conflict) {
			t.Errorf("a third key while the second waits: %v", err)
		}
		if got := s.published(c.JWKS); len(got) != 2 {
			t.Errorf("published before it signs: %v", got)
		}
		enter("before the new key signs")
		clock.Pass(keyOverlap + time.Minute)
		enter("after the new key signs")
		if list, _ := s.door.ClientKeys(context.Background(), s.admin, c.ID); len(list) != 2 || list[0].ID == first[0] || list[0].State != "active" || list[1].State != "old" {
			t.Errorf("after a day: %+v", list)
		}
		clock.Pass(keyOverlap)
		if got := s.published(c.JWKS); len(got) != 1 || got[0] == first[0] {
			t.Errorf("the old key is still published: %v", got)
		}
		enter("with the new key alone")
		if _, err := s.door.RollClientKey(context.Background(), s.admin, c.ID, true); err != nil {
			t.Fatal(err)
		}
		enter("with a key that signs at once")
		_, other := storetest.Org(t, db, "rival")
		if _, err := s.door.ClientKeys(context.Background(), other, c.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization sees the keys: %v", err)
		}
		if _, err := s.door.RollClientKey(context.Background(), other, c.ID, true); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization makes keys: %v", err)
		}
		if n := len(s.log("connection.key.create")); n != 2 {
			t.Errorf("%d activities, want 2", n)
		}
	})
}

// published are the key ids of a key set, which must hold no private part.
func (s *site) published(address string) (ids []string) {
	s.t.Helper()
	p := newBrowser(s.t).open(address)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(p.body), &set); err != nil || p.status != http.StatusOK {
		s.t.Fatalf("status %d: %s", p.status, p.body)
	}
	for _, k := range set.Keys {
		if k["d"] != nil || k["p"] != nil || k["use"] != "sig" || k["kty"] != "RSA" {
			s.t.Errorf("published: %v", k)
		}
		ids = append(ids, k["kid"].(string))
	}
	return ids
}

func TestWhatTheProviderIsAsked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		s.set(c.ID, "prompt", "select_account", "acr_values", "phr,phrh", "domain_hint", "acme.example", "hosted_domain", "Acme.Example")
		if p := newBrowser(t).open(c.URLs.Login + "?login_hint=ada@acme.example"); !p.signedIn() {
			t.Fatalf("status %d: %s", p.status, p.body)
		}
		q := idp.Asked()
		for name, want := range map[string]string{"response_type": "code", "scope": "openid profile email", "code_challenge_method": "S256", "prompt": "select_account",
			"acr_values": "phr phrh", "domain_hint": "acme.example", "hd": "acme.example", "login_hint": "ada@acme.example", "max_age": "", "response_mode": ""} {
			if q.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, q.Get(name), want)
			}
		}
		if len(q.Get("nonce")) < 43 || len(q.Get("state")) < 43 || len(q.Get("code_challenge")) != 43 {
			t.Errorf("nonce %q, state %q, challenge %q are too short", q.Get("nonce"), q.Get("state"), q.Get("code_challenge"))
		}
	})
}

// The answer has to show what was asked for; providers may ignore it.
func TestFreshSignInsAreProved(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		idp.Now = clock.Now
		ago := func(d time.Duration) ssotest.Twist {
			return ssotest.Twist{IDToken: func(_, c map[string]any) { c["auth_time"] = clock.Now().Add(-d).Unix() }}
		}
		come := func(twist ssotest.Twist) page {
			idp.Misbehave(twist)
			return newBrowser(t).open(c.URLs.Login)
		}
		s.set(c.ID, "prompt", "login")
		s.refused(come(ssotest.Twist{}), "auth_time")
		s.refused(come(ago(time.Hour)), "auth_time")
		if p := come(ago(0)); !p.signedIn() || idp.Asked().Get("prompt") != "login" || idp.Asked().Get("max_age") != "0" {
			t.Errorf("a fresh sign-in: status %d, asked %v", p.status, idp.Asked())
		}
		s.set(c.ID, "prompt", "")
		idp.Misbehave(ago(time.Hour))
		s.refused(newBrowser(t).open(c.URLs.Login+"?prompt=login"), "auth_time") // one sign-in alone
		b := newBrowser(t)
		s.set(c.ID, "prompt", "login")
		callback := b.stopAt(c, c.URLs.Login)
		s.set(c.ID, "prompt", "") // what was asked holds for the answer, whatever is chosen since
		s.refused(b.open(callback), "auth_time")
		s.set(c.ID, "max_age_seconds", "3600")
		s.refused(come(ago(2*time.Hour)), "auth_time")
		if p := come(ago(30 * time.Minute)); !p.signedIn() || idp.Asked().Get("max_age") != "3600" {
			t.Errorf("within an hour: status %d, asked %v", p.status, idp.Asked())
		}
		s.set(c.ID, "max_age_seconds", "", "acr_values", "phr", "acr_required", "true")
		s.refused(come(ssotest.Twist{IDToken: func(_, c map[string]any) { c["acr"] = "pwd" }}), "acr")
		if p := come(ssotest.Twist{IDToken: func(_, c map[string]any) { c["acr"] = "phr" }}); !p.signedIn() {
			t.Errorf("the way that is demanded: status %d", p.status)
		}
	})
}

// A provider may start the sign-in (OpenID Connect Core 1.0 §4), and leads nobody
// away from here by it.
func TestThirdPartyInitiatedLogin(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		for target, want := range map[string]string{
			"":                                "/account",
			s.url + "/account?x=1":            "/account?x=1",
			"/account?x=2":                    "/account?x=2",
			"https://evil.example/":           "/account",
			s.url + ".evil.example/account":   "/account",
			s.url + "@evil.example/account":   "/account",
			"//evil.example/":                 "/account",
			"javascript:alert(1)":             "/account",
			s.url + "//evil.example/account":  "/account",
			s.url + "/\\evil.example/account": "/account",
		} {
			q := url.Values{"iss": {idp.URL}, "login_hint": {"ada"}, "target_link_uri": {target}}
			b := newBrowser(t)
			for how, p := range map[string]page{"GET": b.open(c.URLs.Login + "?" + q.Encode()), "POST": b.sendAcross(c.URLs.Login, q)} {
				if !p.signedIn() || p.url.RequestURI() != want || p.url.Host != strings.TrimPrefix(s.url, "http://") {
					t.Errorf("%s %q: status %d at %s, want %s", how, target, p.status, p.url, want)
				}
			}
			if idp.Asked().Get("login_hint") != "ada" {
				t.Errorf("the hint did not come along: %v", idp.Asked())
			}
		}
		s.refused(newBrowser(t).open(c.URLs.Login+"?iss="+url.QueryEscape("https://evil.example")), "iss")
		s.refused(newBrowser(t).open(c.URLs.Login+"?iss="+url.QueryEscape(idp.URL+"/")), "iss")
		s.refused(newBrowser(t).open(c.URLs.Login+"?iss=a&iss=b"), "invalid")
	})
}

// response_mode=form_post: the answer comes from another site, to which browsers
// may send no cookie.
func TestAnswersByFormPost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		s.set(c.ID, "response_mode", "form_post")
		b := newBrowser(t)
		if p := b.send(b.form(b.open(c.URLs.Login))); !p.signedIn() {
			t.Fatalf("status %d: %s", p.status, p.body)
		}
		callback, fields := b.form(b.open(c.URLs.Login))
		strict := newBrowser(t) // as if SameSite had kept the cookie back
		interstitial := strict.sendAcross(callback, fields)
		if interstitial.status != http.StatusOK || interstitial.signedIn() {
			t.Fatalf("status %d: %s", interstitial.status, interstitial.body)
		}
		action, again := b.form(interstitial)
		if p := b.send(action, again); !p.signedIn() {
			t.Errorf("second post: %d: %s", p.status, p.body)
		}
		callback, fields = b.form(b.open(c.URLs.Login))
		action, again = strict.form(strict.sendAcross(callback, fields))
		s.refused(strict.send(action, again), "expired")
		s.refused(newBrowser(t).send(callback, fields), "expired")
	})
}
