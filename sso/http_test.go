package sso

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	crewjam "github.com/crewjam/saml"
	"golang.org/x/net/html"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// site is a running server with this door alone.
type site struct {
	*place
	door *Door
	url  string
}

// serve starts the door over plain http on loopback.
func serve(t *testing.T, db *store.DB) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &site{place: &place{t: t, db: db}, url: "http://" + server.Listener.Addr().String()}
	s.org, s.admin = storetest.Org(t, db, "acme")
	sessions := session.New(session.Options{DB: db, PublicURL: s.url})
	s.door = New(Options{DB: db, Sessions: sessions, Key: secret.NewKey(), PublicURL: s.url, Egress: loopback, Log: slog.New(slog.DiscardHandler)})
	m := web.NewMux(web.Options{PublicURL: s.url, Log: slog.New(slog.DiscardHandler), Org: func(ctx context.Context, slug string) (string, string, error) {
		o, err := db.OrgBySlug(ctx, slug)
		return string(o.ID), o.Name, err
	}, Authenticate: func(r *http.Request) (access.Actor, error) {
		if r.Header.Get("X-Test-Operator") != "" {
			return access.Actor{Kind: access.Person, ID: "op", Org: string(s.org), Operator: true}, nil
		}
		return sessions.Authenticate(r)
	}})
	s.door.Mount(m)
	m.Member("GET /account", func(w http.ResponseWriter, r *http.Request) error {
		_, err := fmt.Fprint(w, "signed in as ", web.Actor(r).ID)
		return err
	})
	m.Public("POST /logout", func(w http.ResponseWriter, r *http.Request) error { // as package account does
		actor, in, err := sessions.Actor(r)
		if err != nil {
			return err
		}
		path, err := s.door.Leave(r.Context(), actor, in.ID)
		if err != nil {
			return err
		}
		if err := sessions.Forget(r); err != nil {
			return err
		}
		http.Redirect(w, r, path, http.StatusSeeOther)
		return nil
	})
	m.Public("GET /login", func(w http.ResponseWriter, r *http.Request) error {
		_, err := fmt.Fprint(w, "the sign-in page")
		return err
	})
	server.Config.Handler = openapitest.Checked(t, m)
	server.Start()
	t.Cleanup(server.Close)
	return s
}

func (s *site) create(in NewConnection) Created {
	s.t.Helper()
	in.Name, in.Activate = "IdP", true
	c, err := s.door.CreateConnection(context.Background(), s.admin, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) saml(accounts string) (*ssotest.IDP, Created) {
	idp := ssotest.NewIDP()
	idp.Serve(s.t)
	return idp, s.create(NewConnection{Protocol: "saml", Accounts: accounts, Metadata: idp.Metadata()})
}

func (s *site) oidc(accounts string) (*ssotest.OIDC, Created) {
	idp := ssotest.NewOIDC(s.t)
	c := s.create(NewConnection{Protocol: "oidc", Accounts: accounts, Issuer: idp.URL, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret})
	idp.Register(c.Redirect)
	idp.As(map[string]any{"sub": "ada", "email": "ada@acme.example", "email_verified": true, "name": "Ada Example"})
	return idp, c
}

// page is what a browser shows in the end.
type page struct {
	status int
	url    *url.URL
	body   string
}

func (p page) signedIn() bool { return strings.Contains(p.body, "signed in as ") }

var referenceForm = regexp.MustCompile(`<code>([A-Z2-7]{5}-[A-Z2-7]{5})</code>`)

func (p page) reference() string {
	if m := referenceForm.FindStringSubmatch(p.body); m != nil {
		return m[1]
	}
	return ""
}

type browser struct {
	t *testing.T
	*http.Client
}

func newBrowser(t *testing.T) browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, &http.Client{Jar: jar}}
}

func (b browser) read(resp *http.Response, err error) page {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Request.URL, string(body)}
}

func (b browser) open(address string) page { b.t.Helper(); return b.read(b.Get(address)) }

// form is the one form of a page, for another browser to send if need be.
func (b browser) form(p page) (action string, fields url.Values) {
	b.t.Helper()
	doc, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		b.t.Fatal(err)
	}
	forms := webtest.All(doc, "form")
	if len(forms) != 1 {
		b.t.Fatalf("%d forms on the page of %s (status %d), want 1:\n%s", len(forms), p.url, p.status, p.body)
	}
	fields = url.Values{}
	for _, in := range webtest.All(forms[0], "input") {
		fields.Add(webtest.Attr(in, "name"), webtest.Attr(in, "value"))
	}
	to, err := p.url.Parse(webtest.Attr(forms[0], "action"))
	if err != nil {
		b.t.Fatal(err)
	}
	return to.String(), fields
}

func (b browser) send(action string, fields url.Values) page {
	b.t.Helper()
	return b.read(b.PostForm(action, fields))
}

// sendAcross is send as a browser does it from another site.
func (b browser) sendAcross(action string, fields url.Values) page {
	b.t.Helper()
	r, err := http.NewRequest("POST", action, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return b.read(b.Do(r))
}

// signIn goes through a SAML login.
func (b browser) samlSignIn(login string) page {
	b.t.Helper()
	return b.send(b.form(b.open(login)))
}

// log is the newest activity with an action, by what it says.
func (s *site) log(action string) []store.Activity {
	s.t.Helper()
	var list []store.Activity
	err := s.db.Read(context.Background(), s.admin, func(tx *store.Tx) (err error) {
		list, err = tx.Activities(store.ActivityQuery{Action: action})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// refused fails unless p is the page of a refusal that the log explains with check.
func (s *site) refused(p page, check string) {
	s.t.Helper()
	if p.status < 400 || p.status > 499 || p.reference() == "" || p.signedIn() {
		s.t.Errorf("status %d at %s, want a refusal for %s:\n%s", p.status, p.url, check, p.body)
		return
	}
	for _, a := range s.log("user.signin.refused") {
		if a.Detail["reference"] == p.reference() {
			if a.Detail["check"] != check {
				s.t.Errorf("refused for %q, want %q: %v", a.Detail["check"], check, a.Detail)
			}
			return
		}
	}
	s.t.Errorf("no activity under the reference %s", p.reference())
}

func TestSAMLSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id", Attributes: map[string][]string{"email": {"ada@acme.example"}, "firstName": {"Ada"}, "lastName": {"Example"}}})
		b := newBrowser(t)
		p := b.samlSignIn(c.URLs.Login)
		if !p.signedIn() || p.url.Path != "/account" {
			t.Fatalf("status %d at %s: %s", p.status, p.url, p.body)
		}
		first := strings.TrimPrefix(p.body, "signed in as ")
		if p := newBrowser(t).samlSignIn(c.URLs.Login + "?next=" + url.QueryEscape("/account?tab=2")); !p.signedIn() || p.url.RequestURI() != "/account?tab=2" || !strings.HasSuffix(p.body, first) {
			t.Errorf("second sign-in: %d at %s: %s; want the same person at /account?tab=2", p.status, p.url, p.body)
		}
		log := s.log("user.signin")
		if len(log) != 2 || log[0].TargetID != first || log[0].ActorID != string(c.ID) || log[0].Detail["method"] != "saml" {
			t.Errorf("activity: %+v", log)
		}
		// A redirect target of somebody else ends on our own page.
		if p := newBrowser(t).samlSignIn(c.URLs.Login + "?next=" + url.QueryEscape("//evil.example/")); !p.signedIn() || p.url.RequestURI() != "/account" {
			t.Errorf("foreign next: ended at %s", p.url)
		}
	})
}

// A post from another site comes without the cookie: a page of ours sends it again.
func TestBrowsersWithoutTheCookiePostTwice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := newBrowser(t)
		acs, fields := b.form(b.open(c.URLs.Login))
		strict := newBrowser(t) // as if SameSite had kept the cookie back
		interstitial := strict.sendAcross(acs, fields)
		if interstitial.status != http.StatusOK || interstitial.signedIn() {
			t.Fatalf("status %d: %s", interstitial.status, interstitial.body)
		}
		action, again := b.form(interstitial)
		if p := b.send(action, again); !p.signedIn() {
			t.Errorf("second post: %d: %s", p.status, p.body)
		}
		// A stranger's browser, into which somebody pushes an answer, stays outside.
		acs, fields = b.form(b.open(c.URLs.Login))
		action, again = strict.form(strict.sendAcross(acs, fields))
		s.refused(strict.send(action, again), "expired")
		// A program that says nothing about sites is refused at once.
		s.refused(newBrowser(t).send(acs, fields), "expired")
	})
}

func TestRefusedSAMLSignIns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("existing")
		idp.Next(ssotest.Login{NameID: "ada-id"})

		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "not provisioned")
		if asks := s.log("user.access.request"); len(asks) != 1 || asks[0].Detail["subject"] != "ada-id" {
			t.Errorf("requests for access: %+v", asks)
		}

		b := newBrowser(t)
		acs, fields := b.form(b.open(c.URLs.Login))
		b.send(acs, fields)
		s.refused(b.send(acs, fields), "not provisioned") // a refusal used nothing up, and gives nothing

		idp.Next(ssotest.Login{NameID: "ada-id", Assertion: func(a *crewjam.Assertion) { a.Issuer.Value = "https://evil.example" }})
		p := newBrowser(t).samlSignIn(c.URLs.Login)
		if p.status != http.StatusBadRequest || strings.Contains(p.body, "evil.example") {
			t.Errorf("wrong issuer: status %d; the page must not repeat the answer:\n%s", p.status, p.body)
		}
		idp.Next(ssotest.Login{NameID: "ada-id"})

		unasked := url.Values{"SAMLResponse": fields["SAMLResponse"]}
		s.refused(newBrowser(t).send(acs, unasked), "RelayState")
		s.refused(newBrowser(t).send(acs, url.Values{"RelayState": {"x"}}), "invalid")
		s.refused(newBrowser(t).send(acs, url.Values{"SAMLResponse": {"a", "b"}}), "invalid")
		s.refused(newBrowser(t).send(acs, url.Values{"SAMLResponse": {strings.Repeat("a", samlBodyLimit)}}), "invalid")
		for _, missing := range []string{"/sso/saml/x/login", "/sso/saml/" + strings.Repeat("0", 32) + "/login", "/sso/oidc/" + string(c.ID) + "/login", "/sso/saml/" + strings.ToUpper(string(c.ID)) + "/login"} {
			if p := b.open(s.url + missing); p.status != http.StatusNotFound {
				t.Errorf("%s: status %d, want 404", missing, p.status)
			}
		}
		if _, err := s.door.Disable(context.Background(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		s.refused(b.open(c.URLs.Login), "status")
		s.refused(b.send(acs, fields), "status")
	})
}

// One answer signs in once, however often and from wherever it comes.
func TestAnswersWorkOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := newBrowser(t)
		acs, fields := b.form(b.open(c.URLs.Login))
		const n = 6
		pages := make([]page, n)
		var wg sync.WaitGroup
		for i := range n {
			// The same cookie, each in its own jar, so that sessions do not mix.
			mine := newBrowser(t)
			home, _ := url.Parse(s.url)
			mine.Jar.SetCookies(home, b.Jar.Cookies(home))
			wg.Go(func() { pages[i] = mine.send(acs, fields) })
		}
		wg.Wait()
		won := 0
		for _, p := range pages {
			if p.signedIn() {
				won++
			} else {
				s.refused(p, "expired")
			}
		}
		if won != 1 {
			t.Errorf("%d of %d posts signed in, want 1", won, n)
		}
		// The same assertion for a new pending sign-in of the same browser.
		_, fresh := b.form(b.open(c.URLs.Login))
		fresh["SAMLResponse"] = fields["SAMLResponse"]
		if p := b.send(acs, fresh); p.status != http.StatusBadRequest {
			t.Errorf("an old answer for a new sign-in: status %d", p.status)
		}
	})
}

// The replay record stops an assertion that was used, even where each of two
// pending sign-ins gets a response of its own around it.
func TestAssertionsWorkOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id", Assertion: func(a *crewjam.Assertion) { a.ID = "_one" }})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Fatalf("status %d: %s", p.status, p.body)
		}
		s.refused(newBrowser(t).samlSignIn(c.URLs.Login), "replay")
	})
}

func TestOIDCSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		b := newBrowser(t)
		p := b.open(c.URLs.Login + "?next=%2Faccount%3Fx%3D1&login_hint=ada%40acme.example")
		if !p.signedIn() || p.url.RequestURI() != "/account?x=1" {
			t.Fatalf("status %d at %s: %s", p.status, p.url, p.body)
		}
		// A thin ID token: the rest comes from userinfo.
		idp.As(map[string]any{"sub": "bob", "email": "bob@acme.example", "email_verified": true, "given_name": "Bob"})
		idp.Misbehave(ssotest.Twist{IDToken: func(_, c map[string]any) { delete(c, "email"); delete(c, "given_name"); delete(c, "email_verified") }})
		if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() {
			t.Fatalf("thin token: status %d: %s", p.status, p.body)
		}
		found := false
		err := db.Read(context.Background(), s.admin, func(tx *store.Tx) error {
			u, err := tx.UserByName("bob@acme.example")
			found = err == nil && u.Profile().GivenName == "Bob"
			return err
		})
		if !found {
			t.Errorf("Bob's profile did not come from userinfo: %v", err)
		}
	})
}

// Each lie of a provider is stopped by the check that is there for it.
func TestMisbehavingProviders(t *testing.T) {
	t.Parallel()
	claim := func(name string, v any) ssotest.Twist {
		return ssotest.Twist{IDToken: func(_, c map[string]any) { c[name] = v }}
	}
	cases := map[string]struct {
		twist ssotest.Twist
		check string
	}{
		"nonce of another sign-in": {claim("nonce", "x"), "nonce"},
		"token for another client": {claim("aud", "x"), "aud"},
		"token of another issuer":  {claim("iss", "https://evil.example"), "iss"},
		"access token hash":        {claim("at_hash", "x"), "at_hash"},
		"no subject":               {claim("sub", nil), "sub"},
		"logout token":             {ssotest.Twist{IDToken: func(h, _ map[string]any) { h["typ"] = "logout+jwt" }}, "typ"},
		"unsigned":                 {ssotest.Twist{Sign: func(_, c map[string]any) string { return ssotest.Unsigned(c) }}, "algorithm"},
		"no ID token":              {ssotest.Twist{Tokens: func(a map[string]any) { delete(a, "id_token") }}, "id_token"},
		"mix-up":                   {ssotest.Twist{Callback: func(q url.Values) { q.Set("iss", "https://evil.example") }}, "iss parameter"},
		"iss left out":             {ssotest.Twist{Callback: func(q url.Values) { q.Del("iss") }}, "iss parameter"},
		"another code":             {ssotest.Twist{Callback: func(q url.Values) { q.Set("code", "x") }}, "token endpoint"},
		"no code":                  {ssotest.Twist{Callback: func(q url.Values) { q.Del("code") }}, "code"},
		"two codes":                {ssotest.Twist{Callback: func(q url.Values) { q.Add("code", "x") }}, "invalid"},
		"another state":            {ssotest.Twist{Callback: func(q url.Values) { q.Set("state", "x") }}, "expired"},
		"no state":                 {ssotest.Twist{Callback: func(q url.Values) { q.Del("state") }}, "expired"},
		"denied":                   {ssotest.Twist{Callback: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }}, "error parameter"},
		"userinfo of somebody else": {ssotest.Twist{
			IDToken:  func(_, c map[string]any) { delete(c, "email") },
			UserInfo: func(c map[string]any) { c["sub"] = "boss"; c["email"] = "boss@acme.example" },
		}, "userinfo sub"},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.oidc("jit")
		for name, lie := range cases {
			idp.Misbehave(lie.twist)
			p := newBrowser(t).open(c.URLs.Login)
			t.Run(name, func(t *testing.T) { s.refused(p, lie.check) })
		}
		if n := s.count(); n != 0 {
			t.Errorf("%d accounts were made", n)
		}
	})
}

func TestOIDCAnswersBelongToOneBrowserAndWorkOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		b := newBrowser(t)
		var callback string
		b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), c.Redirect) {
				callback = r.URL.String()
				return http.ErrUseLastResponse
			}
			return nil
		}
		b.open(c.URLs.Login)
		s.refused(newBrowser(t).open(callback), "expired")
		b.CheckRedirect = nil
		if p := b.open(callback); !p.signedIn() {
			t.Fatalf("status %d: %s", p.status, p.body)
		}
		s.refused(b.open(callback), "expired")
	})
}

func TestProvidersThatAreDownOrUnusable(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c := s.create(NewConnection{Protocol: "oidc", Issuer: gone.URL, ClientID: "x"})
	if c.Warning == "" {
		t.Error("no warning about a provider that does not answer")
	}
	if p := newBrowser(t).open(c.URLs.Login); p.status != http.StatusServiceUnavailable || p.reference() == "" {
		t.Errorf("status %d: %s", p.status, p.body)
	}
	for name, twist := range map[string]func(doc map[string]any){
		"HS256 only":         func(doc map[string]any) { doc["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} },
		"another issuer":     func(doc map[string]any) { doc["issuer"] = "https://evil.example" },
		"javascript address": func(doc map[string]any) { doc["authorization_endpoint"] = "javascript:alert(1)" },
		"no keys":            func(doc map[string]any) { delete(doc, "jwks_uri") },
	} {
		idp := ssotest.NewOIDC(t)
		idp.Misbehave(ssotest.Twist{Discovery: twist})
		_, err := s.door.CreateConnection(t.Context(), s.admin, NewConnection{Protocol: "oidc", Name: "x", Issuer: idp.URL, ClientID: "x"})
		if err == nil {
			t.Errorf("%s: the connection was made", name)
		}
	}
}

func TestConsolePages(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	_, c := s.saml("jit")
	_, o := s.oidc("scim")
	s.domain("acme.example", true, "")
	s.domain("acme.test", false, "")
	for path, want := range map[string][]string{
		"/console/acme/connections":                 {"acme.example", "_muster-challenge.acme.test", "Connections"},
		"/console/acme/connections/" + string(c.ID): {c.ACS, c.EntityID, c.URLs.Metadata, c.URLs.Login},
		"/console/acme/connections/" + string(o.ID): {o.Redirect, o.URLs.Login, "muster"},
	} {
		r, err := http.NewRequest("GET", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Test-Operator", "1")
		p := newBrowser(t).read(http.DefaultClient.Do(r))
		if p.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", path, p.status, p.body)
			continue
		}
		webtest.Page(t, p.body, copyScript)
		for _, w := range want {
			if !strings.Contains(p.body, w) {
				t.Errorf("%s does not show %s", path, w)
			}
		}
		if p := newBrowser(t).open(s.url + path); p.url.Path != "/login" {
			t.Errorf("%s without a session: %d at %s", path, p.status, p.url)
		}
	}
	p := newBrowser(t).open(c.URLs.Metadata)
	if !strings.Contains(p.body, `entityID="`+c.EntityID+`"`) || !strings.Contains(p.body, c.ACS) {
		t.Errorf("metadata: %s", p.body)
	}
}
