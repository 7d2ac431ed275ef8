package sso

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// as signs somebody in, in a browser of their own, with the provider's session sid.
func (s *site) as(idp *ssotest.OIDC, c Created, sub, sid string) browser {
	s.t.Helper()
	who := map[string]any{"sub": sub, "email": sub + "@acme.example", "email_verified": true, "name": sub}
	if sid != "" {
		who["sid"] = sid
	}
	idp.As(who)
	b := newBrowser(s.t)
	if p := b.open(c.URLs.Login); !p.signedIn() {
		s.t.Fatalf("%s: status %d: %s", sub, p.status, p.body)
	}
	return b
}

// logout posts a logout token, as a provider's server does.
func (s *site) logout(c Created, token string) (status int, resp *http.Response) {
	s.t.Helper()
	resp, err := http.PostForm(c.BackChannel, url.Values{"logout_token": {token}})
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("Cache-Control %q, want no-store", resp.Header.Get("Cache-Control"))
	}
	return resp.StatusCode, resp
}

// A provider's word ends exactly the sessions that it names: one by sid, all of a
// subject by sub, and none of another connection or organization.
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		other := s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: idp.URL, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret})
		idp.Register(other.Redirect)
		named := func(sid, sub string) string {
			return idp.LogoutToken(func(_, c map[string]any) {
				if sid != "" {
					c["sid"] = sid
				}
				if sub != "" {
					c["sub"] = sub
				}
			})
		}
		first, second, eve := s.as(idp, c, "ada", "s1"), s.as(idp, c, "ada", "s2"), s.as(idp, c, "eve", "s3")
		if status, _ := s.logout(other, named("s1", "ada")); status != http.StatusOK || !s.in(first) {
			t.Errorf("status %d; a session of another connection ended: %v", status, !s.in(first))
		}
		if status, _ := s.logout(c, named("s1", "")); status != http.StatusOK || s.in(first) || !s.in(second) || !s.in(eve) {
			t.Errorf("by sid: status %d, ada %v %v, eve %v", status, s.in(first), s.in(second), s.in(eve))
		}
		if status, _ := s.logout(c, named("s3", "ada")); status != http.StatusOK || !s.in(eve) {
			t.Errorf("a sid with another subject: status %d, eve %v", status, s.in(eve))
		}
		third, nameless := s.as(idp, c, "ada", "s4"), s.as(idp, c, "ada", "")
		if status, _ := s.logout(c, named("s2", "ada")); status != http.StatusOK || s.in(second) || !s.in(third) || s.in(nameless) {
			t.Errorf("by sid and sub: status %d, named %v, other %v, without sid %v", status, s.in(second), s.in(third), s.in(nameless))
		}
		all := named("", "ada")
		if status, _ := s.logout(c, all); status != http.StatusOK || s.in(third) || !s.in(eve) {
			t.Errorf("by sub: status %d, ada %v, eve %v", status, s.in(third), s.in(eve))
		}
		back := s.as(idp, c, "ada", "s5")
		if status, _ := s.logout(c, all); status != http.StatusBadRequest || !s.in(back) {
			t.Errorf("the same token again: status %d, ada %v", status, s.in(back))
		}
		if status, _ := s.logout(c, named("nobody's", "")); status != http.StatusOK {
			t.Errorf("a session that is over already: status %d", status)
		}
		if _, err := s.door.Disable(context.Background(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		if status, _ := s.logout(c, named("s5", "")); status != http.StatusOK || s.in(back) {
			t.Errorf("over a closed connection, whose sessions are over: status %d, ada %v", status, s.in(back))
		}
		if n := len(s.log("user.signout")); n != 4 {
			t.Errorf("%d sign-outs in the activity, want 4", n)
		}
	})
}

// A logout token names the sub of the ID token, also where people are known by another
// claim, as at Entra ID: that ends their sessions, and nobody else's.
func TestBackChannelLogoutWhereSubIsNotTheSubject(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		other := s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: idp.URL, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret})
		idp.Register(other.Redirect)
		for _, id := range []ConnectionID{c.ID, other.ID} {
			if err := db.Write(t.Context(), s.admin, func(tx *store.Tx) error {
				_, err := alterConnection(tx, id, func(c *Connection) error { c.Config.Subject = "oid+tid"; return nil })
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		enter := func(c Created, oid, sub, sid string) browser {
			t.Helper()
			idp.As(map[string]any{"sub": sub, "oid": oid, "tid": "acme", "sid": sid, "email": oid + "@acme.example", "email_verified": true, "name": oid})
			b := newBrowser(t)
			if p := b.open(c.URLs.Login); !p.signedIn() {
				t.Fatalf("%s: status %d: %s", oid, p.status, p.body)
			}
			return b
		}
		named := func(change map[string]any) string {
			return idp.LogoutToken(func(_, c map[string]any) {
				delete(c, "sid")
				maps.Copy(c, change)
			})
		}
		laptop, phone := enter(c, "ada", "pairwise-a", "s1"), enter(c, "ada", "pairwise-a", "s2")
		eve, elsewhere := enter(c, "eve", "ada@acme", "s3"), enter(other, "zoe", "pairwise-a", "s4")
		var kinds []string
		if err := db.LookupAll(t.Context(), &kinds, "SELECT DISTINCT subject_kind FROM sso_sessions"); err != nil || !slices.Equal(kinds, []string{"oid+tid"}) {
			t.Fatalf("people are known by %q, %v", kinds, err)
		}
		if status, _ := s.logout(c, named(map[string]any{"sid": "s1", "sub": "ada@acme"})); status != http.StatusOK || !s.in(laptop) {
			t.Errorf("a sid with somebody else's sub: status %d, ada %v", status, s.in(laptop))
		}
		if status, _ := s.logout(c, named(map[string]any{"sub": "ada"})); status != http.StatusOK || !s.in(laptop) {
			t.Errorf("what she is known by is not her sub: status %d, ada %v", status, s.in(laptop))
		}
		if status, _ := s.logout(c, named(map[string]any{"sid": "s2", "sub": "pairwise-a"})); status != http.StatusOK || !s.in(laptop) || s.in(phone) {
			t.Errorf("by sid and sub: status %d, laptop %v, phone %v", status, s.in(laptop), s.in(phone))
		}
		all := named(map[string]any{"sub": "pairwise-a"})
		if status, _ := s.logout(c, all); status != http.StatusOK || s.in(laptop) || !s.in(eve) || !s.in(elsewhere) {
			t.Errorf("by sub: status %d, ada %v, eve %v, the same sub over another connection %v", status, s.in(laptop), s.in(eve), s.in(elsewhere))
		}
		back := enter(c, "ada", "pairwise-a", "s5")
		if status, _ := s.logout(c, all); status != http.StatusBadRequest || !s.in(back) {
			t.Errorf("the same token again: status %d, ada %v", status, s.in(back))
		}
	})
}

// The ID token's exp says how long it proves a sign-in. It ends sessions only where the
// connection says so; session_expiry does everywhere, and the earlier of both holds.
// The addresses that a provider's server asks answer wrong methods and unknown connections
// in JSON; those that browsers open, with a page.
func TestProvidersGetNoPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		at := s.url + "/sso/oidc/" + string(c.ID)
		none := s.url + "/sso/oidc/" + string(store.NewID[Connection]())
		metadata := s.url + "/sso/saml/" + string(s.connection("saml", "saml", "jit").ID) + "/metadata"
		for _, ask := range []struct {
			method, at string
			status     int
			allow      string
			page       bool
		}{
			{"POST", at + "/jwks.json", 405, "GET, HEAD", false}, {"GET", at + "/backchannel-logout", 405, "POST", false}, {"PUT", at + "/backchannel-logout", 405, "POST", false},
			{"POST", metadata, 405, "GET, HEAD", false}, {"PUT", metadata, 405, "GET, HEAD", false}, {"GET", s.url + "/sso/saml/" + string(c.ID) + "/metadata", 404, "", false}, {"GET", metadata + "/more", 404, "", true},
			{"GET", none + "/jwks.json", 404, "", false}, {"POST", none + "/backchannel-logout", 404, "", false},
			{"PUT", at + "/login", 405, "GET, HEAD, POST", true}, {"GET", at + "/jwks.json/more", 404, "", true},
		} {
			r, err := http.NewRequest(ask.method, ask.at, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			var said map[string]string
			wrong := json.NewDecoder(res.Body).Decode(&said)
			res.Body.Close()
			if res.StatusCode != ask.status || res.Header.Get("Allow") != ask.allow {
				t.Errorf("%s %s: %d, Allow %q", ask.method, ask.at, res.StatusCode, res.Header.Get("Allow"))
			}
			if inJSON := wrong == nil && said["error"] == "invalid_request" && said["error_description"] != "" && res.Header.Get("Content-Type") == "application/json"; inJSON == ask.page {
				t.Errorf("%s %s: %v %v, %s", ask.method, ask.at, said, wrong, res.Header.Get("Content-Type"))
			}
		}
	})
}

func TestEndOfAnIDToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		ends := func(claims map[string]any) time.Duration {
			t.Helper()
			who := map[string]any{"sub": "ada", "email": "ada@acme.example", "email_verified": true, "name": "Ada"}
			maps.Copy(who, claims)
			idp.As(who)
			if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() {
				t.Fatalf("status %d: %s", p.status, p.body)
			}
			var at store.Time
			if err := db.Lookup(t.Context(), &at, "SELECT expires_at FROM sessions ORDER BY id DESC LIMIT 1"); err != nil {
				t.Fatal(err)
			}
			return time.Until(at.Time())
		}
		hour := time.Now().Add(time.Hour).Unix()
		if left := ends(nil); left < 2*time.Hour {
			t.Errorf("the session ends in %v although nobody asked for that", left)
		}
		if left := ends(map[string]any{"session_expiry": hour}); left > time.Hour || left < 10*time.Minute {
			t.Errorf("session_expiry in an hour: it ends in %v", left)
		}
		s.settle(c, "end_with_id_token=true")
		if left := ends(nil); left > 5*time.Minute {
			t.Errorf("with the ID token: it ends in %v", left)
		}
		if left := ends(map[string]any{"session_expiry": hour}); left > 5*time.Minute {
			t.Errorf("the earlier of both: it ends in %v", left)
		}
	})
}

// The clock of a provider is believed to be a little wrong. An end that has passed within
// that tolerance refuses nobody, and gives a session that lasts long enough to arrive; a
// session that is over for longer is said to be over.
func TestEndsThatHavePassed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		s.settle(c, "end_with_id_token=true")
		enter := func(claim string, ago time.Duration) (browser, page) {
			t.Helper()
			idp.As(map[string]any{"sub": "ada", "email": "ada@acme.example", "email_verified": true, "name": "Ada", claim: time.Now().Add(-ago).Unix()})
			b := newBrowser(t)
			return b, b.open(c.URLs.Login)
		}
		for _, claim := range []string{"exp", "session_expiry"} {
			begun := time.Now()
			b, p := enter(claim, 20*time.Second)
			if !p.signedIn() || time.Since(begun) < leastSession && !s.in(b) {
				t.Errorf("%s of a moment ago: status %d, in %v", claim, p.status, s.in(b))
			}
			var at store.Time
			if err := db.Lookup(t.Context(), &at, "SELECT expires_at FROM sessions ORDER BY id DESC LIMIT 1"); err != nil || at.Time().Before(begun.Add(leastSession)) || at.Time().After(time.Now().Add(leastSession)) {
				t.Errorf("%s of a moment ago: the session from %v on ends at %v, %v", claim, begun, at.Time(), err)
			}
			if _, p := enter(claim, time.Hour); p.signedIn() || p.reference() == "" || s.signin(t, p.reference()).Check != claim {
				t.Errorf("%s of an hour ago: status %d: %s", claim, p.status, p.body)
			}
		}
	})
}

// Each false logout token is stopped by the check that is there for it, and ends
// no session.
func TestHostileLogoutTokens(t *testing.T) {
	t.Parallel()
	type tok = map[string]any
	set := func(name string, v any) func(h, c tok) { return func(_, c tok) { c[name] = v } }
	del := func(name string) func(h, c tok) { return func(_, c tok) { delete(c, name) } }
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		b := s.as(idp, c, "ada", "s1")
		now := time.Now() // here: parallel tests may have waited for minutes
		for name, lie := range map[string]struct {
			change func(h, c tok)
			check  string
		}{
			"ID token type":           {func(h, _ tok) { h["typ"] = "at+jwt" }, "typ"},
			"an ID token":             {func(h, c tok) { h["typ"] = "JWT"; delete(c, "events"); c["nonce"] = "n" }, "events"},
			"no events":               {del("events"), "events"},
			"another event":           {set("events", tok{"http://schemas.openid.net/event/other": tok{}}), "events"},
			"event of another form":   {set("events", []string{"http://schemas.openid.net/event/backchannel-logout"}), "events"},
			"event without object":    {set("events", tok{"http://schemas.openid.net/event/backchannel-logout": true}), "events"},
			"with a nonce":            {set("nonce", "n"), "nonce"},
			"with an empty nonce":     {set("nonce", nil), "nonce"},
			"another issuer":          {set("iss", "https://evil.example"), "iss"},
			"issuer with slash":       {func(_, c tok) { c["iss"] = idp.URL + "/" }, "iss"},
			"another client":          {set("aud", "somebody else"), "aud"},
			"no client":               {del("aud"), "aud"},
			"three minutes old":       {set("iat", now.Add(-3*time.Minute).Unix()), "iat"},
			"of the future":           {set("iat", now.Add(3*time.Minute).Unix()), "iat"},
			"no iat":                  {del("iat"), "iat"},
			"expired":                 {set("exp", now.Add(-2*time.Minute).Unix()), "exp"},
			"no exp":                  {del("exp"), "exp"},
			"no jti":                  {del("jti"), "jti"},
			"jti is a number":         {set("jti", 7), "jti"},
			"neither sid nor sub":     {func(_, c tok) { delete(c, "sid"); delete(c, "sub") }, "sid, sub"},
			"sid is a list":           {func(_, c tok) { c["sid"] = []string{"s1"}; delete(c, "sub") }, "sid, sub"},
			"sub is a number":         {set("sub", 1), "sid, sub"},
			"signed by somebody else": {func(h, c tok) { h["kid"] = "k2" }, "signature"},
		} {
			token := idp.LogoutToken(func(h, c tok) { c["sid"], c["sub"] = "s1", "ada"; lie.change(h, c) })
			status, _ := s.logout(c, token)
			if got := s.log("user.signout.refused"); status != http.StatusBadRequest || len(got) == 0 || got[0].Detail["check"] != lie.check {
				t.Errorf("%s: status %d, stopped by %v, want %s", name, status, got[0].Detail["check"], lie.check)
			}
		}
		for name, fields := range map[string]url.Values{"nothing": {}, "two tokens": {"logout_token": {"a", "b"}}, "too long": {"logout_token": {strings.Repeat("a", maxOIDCForm)}}} {
			resp, err := http.PostForm(c.BackChannel, fields)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: status %d", name, resp.StatusCode)
			}
		}
		if !s.in(b) {
			t.Error("a false token ended a session")
		}
	})
}

// In a frame of the provider's sign-out page no cookie comes along.
func TestFrontChannelLogout(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		b, eve := s.as(idp, c, "ada", "s1"), s.as(idp, c, "eve", "s2")
		frame := newBrowser(t)
		for name, q := range map[string]url.Values{
			"no sid":         {"iss": {idp.URL}},
			"no iss":         {"sid": {"s1"}},
			"another issuer": {"iss": {"https://evil.example"}, "sid": {"s1"}},
			"two sids":       {"iss": {idp.URL}, "sid": {"s1", "s2"}},
		} {
			if p := frame.open(c.FrontChannel + "?" + q.Encode()); p.status != http.StatusBadRequest || p.reference() == "" || !s.in(b) {
				t.Errorf("%s: status %d, still in: %v", name, p.status, s.in(b))
			}
		}
		resp, err := http.Get(c.FrontChannel + "?" + url.Values{"iss": {idp.URL}, "sid": {"s1"}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		policy := resp.Header.Get("Content-Security-Policy")
		if resp.StatusCode != http.StatusOK || s.in(b) || !s.in(eve) {
			t.Errorf("status %d, ada in: %v, eve in: %v", resp.StatusCode, s.in(b), s.in(eve))
		}
		if !strings.Contains(policy, "frame-ancestors "+idp.URL+";") && !strings.HasSuffix(policy, "frame-ancestors "+idp.URL) || resp.Header.Get("X-Frame-Options") != "" ||
			resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", resp.Header)
		}
	})
}

// Signing out here leads through the provider and back, with the ID token as hint.
func TestRPInitiatedLogout(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		b := s.as(idp, c, "ada", "s1")
		p := b.send(s.url+"/logout", url.Values{})
		if s.in(b) {
			t.Fatal("the session here goes on while the provider is asked")
		}
		end := b.follow(p)
		q := idp.Asked()
		if end.status != http.StatusOK || end.url.Path != p.url.Path || !strings.Contains(end.body, leaveWords[string(saml.LogoutDone)].String()) {
			t.Errorf("status %d at %s: %s", end.status, end.url, end.body)
		}
		if q.Get("client_id") != idp.ClientID || q.Get("post_logout_redirect_uri") != c.SignedOut || strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("state") == "" {
			t.Errorf("asked %v", q)
		}
		if p := b.open(c.SignedOut + "?state=" + url.QueryEscape("made up")); p.status != http.StatusOK || !strings.Contains(p.body, leaveWords[leaveWaiting].String()) {
			t.Errorf("a made-up state: %d at %s: %s", p.status, p.url, p.body)
		}
		// A provider without the endpoint: the session here ends all the same.
		plain := ssotest.NewOIDC(t)
		plain.Misbehave(ssotest.Twist{Discovery: func(doc map[string]any) { delete(doc, "end_session_endpoint") }})
		o := s.create(NewConnection{Protocol: "oidc", Accounts: "jit", Issuer: plain.URL, ClientID: plain.ClientID, ClientSecret: plain.ClientSecret})
		plain.Register(o.Redirect)
		b = s.as(plain, o, "eve", "")
		if p := b.send(s.url+"/logout", url.Values{}); s.in(b) || !strings.Contains(p.body, leaveWords["none"].String()) {
			t.Errorf("no endpoint: still in %v, at %s: %s", s.in(b), p.url, p.body)
		}
	})
}
