package main

import (
	"context"
	"encoding/base64"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// inside is the program over a database whose statements the test sees.
type inside struct {
	*system
	t     *testing.T
	admin access.Actor // of acme
	seen  *storetest.Seen
	mark  string // what the browser has been marked with
}

func newInside(t *testing.T, db *store.DB, seen *storetest.Seen) *inside {
	t.Helper()
	return newInsideAt(t, db, seen, "http://127.0.0.1:8080")
}

func newInsideAt(t *testing.T, db *store.DB, seen *storetest.Seen, url string) *inside {
	t.Helper()
	cfg, err := config.Load(config.Input{Env: []string{"MUSTER_PUBLIC_URL=" + url}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := &inside{system: s, t: t, seen: seen}
	_, b.admin = storetest.Org(t, db, "acme")
	return b
}

func (b *inside) user(actor access.Actor, u store.NewUser, password string) store.User {
	b.t.Helper()
	ctx := context.Background()
	hash, err := b.passwords.Hash(ctx, password)
	if err != nil {
		b.t.Fatal(err)
	}
	var out store.User
	err = b.db.Write(ctx, actor, func(tx *store.Tx) error {
		if out, err = tx.CreateUser(u); err != nil || password == "" {
			return err
		}
		return b.passwords.Set(tx, out.ID, hash)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func newcomer(address string) store.NewUser {
	return store.NewUser{Doc: store.Profile{UserName: address, Email: address, GivenName: "Ada"}.Doc(), Source: store.FromAPI, Status: store.Active}
}

// answered is what a stranger can tell answers apart by.
type answered struct {
	status     int
	location   string
	header     http.Header
	body       string
	statements []string
	reference  string // taken out of the body, too
}

// someReference is one as people read it out.
var someReference = regexp.MustCompile(`<strong>([A-Z2-7]{5}-[A-Z2-7]{5})</strong>`)

// ask sends a form as a browser without cookies; what differs by nature (the address
// itself, the request's id) is taken out.
func (b *inside) ask(path string, form url.Values) answered {
	b.t.Helper()
	return b.askFrom("192.0.2.1", path, form)
}

func (b *inside) askFrom(ip, path string, form url.Values) answered {
	b.t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = ip + ":1234"
	if b.mark != "" {
		r.AddCookie(&http.Cookie{Name: "muster-browser", Value: b.mark})
	}
	w := httptest.NewRecorder()
	b.seen.Take()
	b.mux.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := answered{status: res.StatusCode, location: res.Header.Get("Location"), header: res.Header, body: string(body), statements: b.seen.Take()}
	address := strings.TrimSpace(form.Get("email"))
	for _, text := range []*string{&a.location, &a.body} {
		for _, form := range []string{address, url.QueryEscape(address), template.HTMLEscapeString(address)} {
			*text = strings.ReplaceAll(*text, form, "ADDRESS")
		}
	}
	if m := someReference.FindStringSubmatch(a.body); m != nil {
		a.reference = m[1]
	}
	a.body = someReference.ReplaceAllString(a.body, "REFERENCE")
	a.header.Del("X-Request-Id")
	a.header.Del("Location")
	return a
}

// differs says in what two answers differ, "" when a stranger cannot tell.
func (a answered) differs(b answered) string {
	switch {
	case a.status != b.status:
		return "the status"
	case a.location != b.location:
		return "where it leads: " + a.location + ", " + b.location
	case a.body != b.body:
		return "the page:\n" + a.body + "\n" + b.body
	case !slices.Equal(a.statements, b.statements):
		return "the work:\n" + strings.Join(a.statements, "\n") + "\n--\n" + strings.Join(b.statements, "\n")
	}
	for name, values := range a.header {
		if !slices.Equal(values, b.header[name]) {
			return "the header " + name
		}
	}
	if len(a.header) != len(b.header) {
		return "the headers"
	}
	return ""
}

// The step after the address is the same page, of the same size, after the same work,
// for everybody whose domain is the same to us.
func TestTheSignInPageTellsNobodyApart(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		b := newInside(t, db, seen)
		ctx := t.Context()
		_, other := storetest.Org(t, db, "beta")
		metadata, err := imaginaryProvider()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.sso.CreateConnection(ctx, b.admin, sso.NewConnection{Protocol: "saml", Name: "Okta", Metadata: metadata, Activate: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.sso.AddDomain(ctx, b.admin, sso.NewDomain{Domain: "routed.example", Verified: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.sso.AddDomain(ctx, b.admin, sso.NewDomain{Domain: "added.example"}); err != nil {
			t.Fatal(err)
		}
		plain := []string{"nobody@none.example", "nobody@added.example", "nobody@gmail.com", "not an address", "x@", "a@b@none.example", "nobody@x.", "' OR 1=1 --", strings.Repeat("x", 300) + "@none.example"}
		add := func(address string, u store.NewUser, password string) store.User {
			plain = append(plain, address)
			return b.user(b.admin, u, password)
		}
		add("with@none.example", newcomer("with@none.example"), goodPassword)
		add("without@none.example", newcomer("without@none.example"), "")
		add("claimed@added.example", newcomer("claimed@added.example"), goodPassword)
		invited := newcomer("invited@none.example")
		invited.Status, invited.Source = store.Invited, store.FromInvite
		add("invited@none.example", invited, "")
		glass := newcomer("glass@none.example")
		glass.BreakGlass = true
		add("glass@none.example", glass, goodPassword)
		gone := add("gone@none.example", newcomer("gone@none.example"), goodPassword)
		deleted := add("deleted@none.example", newcomer("deleted@none.example"), goodPassword)
		err = db.Write(ctx, b.admin, func(tx *store.Tx) error {
			if _, err := tx.Deactivate(gone.ID, "left"); err != nil {
				return err
			}
			_, err := tx.DeleteUser(deleted.ID, "left")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		add("both@none.example", newcomer("both@none.example"), goodPassword)
		b.user(other, newcomer("both@none.example"), goodPassword)

		for _, path := range []string{"/login", "/login?next=/account", "/o/acme/login"} {
			b.ask(path, url.Values{"email": {"warm@up.example"}})
			first := b.ask(path, url.Values{"email": {"someone@unknown.example"}})
			webtest.Page(t, first.body)
			if first.status != http.StatusOK || !strings.Contains(first.body, `type="password"`) {
				t.Fatalf("%s: %d %s", path, first.status, first.body)
			}
			for _, address := range plain {
				if how := first.differs(b.ask(path, url.Values{"email": {address}})); how != "" {
					t.Errorf("%s: %.60q differs from somebody unknown by %s", path, address, how)
				}
			}
			if len(first.statements) == 0 {
				t.Errorf("%s: no statement was seen: the test counts nothing", path)
			}
		}
		// In a proved domain everybody is led to the connection, whoever they are.
		b.user(b.admin, newcomer("known@routed.example"), goodPassword)
		first := b.ask("/login", url.Values{"email": {"unknown@routed.example"}})
		if first.status != http.StatusSeeOther || !strings.Contains(first.location, "/sso/saml/") || !strings.Contains(first.location, "login_hint=ADDRESS") {
			t.Errorf("a proved domain: %d %s", first.status, first.location)
		}
		for _, address := range []string{"known@routed.example", "KNOWN@Routed.Example", " known@routed.example "} {
			if how := first.differs(b.ask("/login", url.Values{"email": {address}})); how != "" {
				t.Errorf("%q differs from somebody unknown by %s", address, how)
			}
		}
		// Another organization's page does not lead there.
		if at := b.ask("/o/beta/login", url.Values{"email": {"known@routed.example"}}); at.status != http.StatusOK || at.location != "" {
			t.Errorf("another organization's page: %d %s", at.status, at.location)
		}
	})
}

// What the browser remembers is offered once more, may be put aside, and proves nothing.
func TestTheSignInPageRemembers(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		b := newInside(t, db, seen)
		ctx := t.Context()
		_, other := storetest.Org(t, db, "beta")
		metadata, err := imaginaryProvider()
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.sso.CreateConnection(ctx, b.admin, sso.NewConnection{Protocol: "saml", Name: "Okta", Metadata: metadata, Activate: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.sso.CreateConnection(ctx, other, sso.NewConnection{Protocol: "saml", Name: "Ping", Metadata: metadata, Activate: true}); err != nil {
			t.Fatal(err)
		}
		open := func(path, cookie string) *http.Response {
			r := httptest.NewRequest("GET", path, nil)
			if cookie != "" {
				r.AddCookie(&http.Cookie{Name: "mlast", Value: cookie})
			}
			w := httptest.NewRecorder()
			b.mux.ServeHTTP(w, r)
			return w.Result()
		}
		read := func(res *http.Response) string {
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			webtest.Page(t, string(body))
			return string(body)
		}
		cookie := func(id, email string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(url.Values{"c": {id}, "e": {email}}.Encode()))
		}
		good := cookie(string(c.ID), "ada@acme.example")
		page := read(open("/login?next=/account?x=1", good))
		if !strings.Contains(page, "Continue with Okta") || !strings.Contains(page, "ada@acme.example") || strings.Contains(page, "<form method=\"post\" action=\"/login\"") ||
			!strings.Contains(page, "next=%2Faccount%3Fx%3D1") {
			t.Errorf("the page: %s", page)
		}
		if page := read(open("/o/acme/login", good)); !strings.Contains(page, "Use another account") {
			t.Errorf("the organization's page: %s", page)
		}
		if page := read(open("/o/beta/login", good)); strings.Contains(page, "Okta") || strings.Contains(page, "ada@") {
			t.Errorf("another organization's page: %s", page)
		}
		res := open("/login?other=1", good)
		if set := res.Cookies(); len(set) != 1 || set[0].Name != "mlast" || set[0].MaxAge >= 0 || !set[0].HttpOnly {
			t.Errorf("use another: cookies %v", set)
		}
		if page := read(res); strings.Contains(page, "Okta") || !strings.Contains(page, `name="email"`) {
			t.Errorf("use another: %s", page)
		}
		for name, value := range map[string]string{
			"no base64": "***", "empty": cookie("", ""), "no such connection": cookie(string(store.NewID[sso.Connection]()), "ada@acme.example"),
			"not an id": cookie("../../evil", "x"), "huge": cookie(string(c.ID), strings.Repeat("x", 5000)),
		} {
			if page := read(open("/login", value)); !strings.Contains(page, `name="email"`) || strings.Contains(page, "Continue with") {
				t.Errorf("%s: %s", name, page)
			}
		}
		if page := read(open("/login", cookie(string(c.ID), "\"><script>\x00"))); strings.Contains(page, "<script>") || !strings.Contains(page, "Continue with Okta") {
			t.Errorf("a bad address: %s", page)
		}
		if _, err := b.sso.Disable(ctx, b.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		if page := read(open("/login", good)); strings.Contains(page, "Okta") {
			t.Errorf("a closed connection is offered: %s", page)
		}
	})
}

// Wherever next comes in, it leads to ourselves.
func TestTheSignInPageLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		b := newInside(t, db, seen)
		metadata, err := imaginaryProvider()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Okta", "Ping"} {
			if _, err := b.sso.CreateConnection(t.Context(), b.admin, sso.NewConnection{Protocol: "saml", Name: name, Metadata: metadata, Activate: true}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.sso.AddDomain(t.Context(), b.admin, sso.NewDomain{Domain: "routed.example", Verified: true}); err != nil {
			t.Fatal(err)
		}
		b.user(b.admin, newcomer("ada@none.example"), goodPassword)
		for _, next := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\tevil.example", "/\r\nevil.example", "/a/..//evil.example",
			"javascript:alert(1)//evil.example", "/%2fevil.example", "/%5cevil.example", " //evil.example", "evil.example", "/\x00evil.example", "/" + strings.Repeat("evil.example", 300)} {
			for _, path := range []string{"/login", "/o/acme/login"} {
				r := httptest.NewRequest("GET", path+"?"+url.Values{"next": {next}}.Encode(), nil)
				w := httptest.NewRecorder()
				b.mux.ServeHTTP(w, r)
				if strings.Contains(w.Body.String(), "evil.example") {
					t.Errorf("GET %s, next %.40q: %s", path, next, w.Body)
				}
				for _, form := range []url.Values{{"email": {"x@none.example"}}, {"email": {"x@routed.example"}}, {"email": {"ada@none.example"}, "password": {goodPassword}}} {
					form.Set("next", next)
					a := b.ask(path, form)
					if a.status >= 500 || strings.Contains(a.location+a.body, "evil.example") {
						t.Errorf("POST %s %v, next %.40q: %d %s %s", path, form["email"], next, a.status, a.location, a.body)
					}
				}
			}
		}
	})
}
