package main

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared is a route for browsers, as the source declares it.
type declared struct{ guard, method, path string }

var declaration = regexp.MustCompile(`\bm\.(Public|Member|Console|API)\((?:access\.[A-Za-z]+, )?"([A-Z]+) ([^"]+)"`)

// browserRoutes reads them from the source, so that a new one is looked at too.
func browserRoutes(t *testing.T) (routes []declared) {
	t.Helper()
	for _, folder := range []string{"scim", "sso", "internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			for line := range strings.Lines(string(text)) {
				if m := declaration.FindStringSubmatch(line); m != nil && !strings.HasPrefix(strings.TrimSpace(line), "//") {
					routes = append(routes, declared{m[1], m[2], m[3]})
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(routes) < 40 {
		t.Fatalf("only %d routes found in the source", len(routes))
	}
	return routes
}

var parameter = regexp.MustCompile(`\{[a-z_]+\}`)

// address fills a route's parameters in: our organization, and ids of nobody.
func (d declared) address() string {
	path := strings.ReplaceAll(strings.TrimSuffix(d.path, "{$}"), "{org}", "acme")
	return parameter.ReplaceAllString(path, strings.Repeat("0", 31)+"1")
}

// demoVisitor is signed in as the demo's admin.
func demoVisitor(t *testing.T, s *server) *visitor {
	t.Helper()
	v := newVisitor(t).open(s.url+"/login?with=password").submit("/login", "email", demoAdmin, "password", s.demoPassword())
	if v.status != 200 || v.at.Path != "/account" {
		t.Fatalf("signed in: %d at %s", v.status, v.at)
	}
	return v
}

// Every form refuses foreign sites, every page behind the sign-in asks for it, and
// no answer may be kept or framed.
func TestEveryRouteIsGuarded(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve("--demo")
	signed := demoVisitor(t, s)
	signed.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	stranger := newVisitor(t)
	stranger.client.CheckRedirect = signed.client.CheckRedirect
	send := func(v *visitor, method, path string, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := v.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	for _, route := range browserRoutes(t) {
		at := route.address()
		if route.method != "GET" {
			for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
				if res := send(signed, route.method, at, foreign...); res.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s from %s: %d, want 403", route.method, at, foreign[1], res.StatusCode)
				}
			}
		}
		switch {
		case strings.HasPrefix(at, "/api/") && route.guard != "Public":
			if res := send(stranger, route.method, at); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s %s by nobody: %d, want 401", route.method, at, res.StatusCode)
			}
		case route.guard != "Public":
			if res := send(stranger, route.method, at); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/login") {
				t.Errorf("%s %s by nobody: %d to %q, want the sign-in", route.method, at, res.StatusCode, res.Header.Get("Location"))
			}
		}
		if route.method != "GET" || strings.HasPrefix(at, "/static/") {
			continue
		}
		res := send(signed, "GET", at)
		keep := "no-store"
		if at == "/api/v1/openapi.json" {
			keep = "no-cache" // the same for everybody
		} else if at == "/api/docs" {
			keep = "private, no-cache"
		}
		for name, want := range map[string]string{"Cache-Control": keep, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'"} {
			if got := res.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("GET %s: %s is %q, want %q", at, name, got, want)
			}
		}
		if res.StatusCode >= 500 {
			t.Errorf("GET %s: %d", at, res.StatusCode)
		}
	}
}

// Names are shown as they were typed, on every page and in every mail.
func TestNamesAreNoMarkup(t *testing.T) {
	t.Parallel()
	const nasty = `"'><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}`
	p := newProgram(t)
	s := p.serve("--demo")
	p.must("org", "create", "--slug", "nasty", "--name", nasty)
	v := demoVisitor(t, s)
	console := s.url + "/console/nasty"
	v.open(console+"/teams").submit("/teams", "name", nasty)
	team := v.at.String()
	v.open(console+"/invite").submit("/invite", "email", "ivy@nasty.example", "given_name", nasty, "family_name", nasty, "role", "agent", "title", nasty, "department", nasty)
	if v.status != 200 {
		t.Fatalf("invite: %d\n%s", v.status, v.page)
	}
	link := regexp.MustCompile(`value="(http[^"]*/invite/[^"]+)"`).FindStringSubmatch(v.page)
	person := regexp.MustCompile(`/console/nasty/users/[0-9a-f]{32}`).FindString(v.page)
	v.open(s.url + "/dev/mailbox")
	mail := regexp.MustCompile(`/dev/mailbox/[0-9a-f]{32}`).FindString(v.page)
	if link == nil || person == "" || mail == "" {
		t.Fatalf("link %v, person %q, mail %q", link, person, mail)
	}
	for _, page := range []string{console + "/users", console + "/users?q=" + "%22%3E%3Cscript%3E", console + "/teams", team, console + "/activity", console + "/invite", console + "/directories",
		console + "/connections", console + "/import", s.url + "/console", s.url + person, s.url + person + "/edit", s.url + "/dev/mailbox", s.url + mail, s.url + mail + "/html",
		s.url + "/o/nasty/login", s.url + "/login?next=%22%3E%3Cscript%3E", link[1]} {
		v.open(page)
		if v.status != 200 {
			t.Errorf("%s: %d", page, v.status)
		}
		low := strings.ToLower(v.page)
		for _, markup := range []string{"<script", "<img src=x", `""'>`} {
			if strings.Contains(low, markup) {
				t.Errorf("%s has %s:\n%s", page, markup, v.page)
			}
		}
	}
}
