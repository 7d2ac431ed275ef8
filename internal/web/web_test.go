package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
)

var pages = web.MustPages(fstest.MapFS{
	"p/form.html": {Data: []byte(`{{define "title"}}Form{{end}}{{define "main"}}<h1>Form</h1>{{template "errors" .}}<form method="post">
{{template "field" (.Input "email" "E-mail address" "type=email" "required" "help=Yours.")}}
{{template "field" (.Input "password" "Password" "type=password" "required")}}
{{template "field" (.Input "note" "Note" "type=textarea")}}
{{template "field" (.Input "agree" "Agreed" "type=checkbox" "value=yes")}}
{{template "select" (.Select "role" "Role" nil "required")}}
{{template "checks" (.Checks "teams" "Teams" nil)}}
<button type="submit">Send</button></form>{{end}}`)},
}, "p/*.html")

// actors by the value of the cookie "who".
var actors = map[string]access.Actor{
	"admin":    {Kind: access.Person, Org: "1", ID: "u1", Name: "Ada", Roles: []string{access.Admin}},
	"agent":    {Kind: access.Person, Org: "1", ID: "u2", Name: "Bo", Roles: []string{access.Agent}},
	"operator": {Kind: access.Person, Org: "2", ID: "u3", Name: "Cy", Operator: true},
	"key":      {Kind: access.Key, ID: "k1", Name: "Ops", Operator: true}, // an operator's, of no organization
}

func newMux(t testing.TB, change func(*web.Options)) *web.Mux {
	t.Helper()
	o := web.Options{
		PublicURL: "https://id.example.com",
		Log:       slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (access.Actor, error) {
			c, err := r.Cookie("who")
			if err != nil {
				return access.Actor{}, fault.SignIn.Say("Please sign in.")
			}
			return actors[c.Value], nil
		},
		Org: func(_ context.Context, slug string) (string, string, error) {
			switch slug {
			case "acme":
				return "1", "Acme Inc", nil
			case "globex":
				return "2", "Globex", nil
			}
			return "", "", fault.NotFound.Say("There is no organization %q.", slug)
		},
		Nav: []web.NavItem{{Label: "Users", Path: "/console/{org}/users", Need: access.ViewUsers, Also: []string{"/console/{org}/import"}}, {Label: "Settings", Path: "/console/{org}/settings", Need: access.Configure}},
	}
	if change != nil {
		change(&o)
	}
	return web.NewMux(o)
}

func send(m http.Handler, method, target, who string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(""))
	if who != "" {
		r.AddCookie(&http.Cookie{Name: "who", Value: who})
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

func ok(w http.ResponseWriter, r *http.Request) error {
	a := web.Actor(r)
	return web.JSON(w, 200, map[string]string{"org": a.Org, "id": a.ID, "ip": a.IP, "request": a.Request})
}

func TestEveryKindOfFaultHasItsAnswer(t *testing.T) {
	t.Parallel()
	want := map[fault.Kind]int{
		fault.Internal: 500, fault.Invalid: 400, fault.NotFound: 404, fault.Conflict: 409, fault.Denied: 403,
		fault.SignIn: 401, fault.Expired: 410, fault.TooMany: 429, fault.Unavailable: 503,
	}
	for _, k := range fault.Kinds() {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			m := newMux(t, nil)
			refuse := func(http.ResponseWriter, *http.Request) error {
				if k == fault.Internal {
					return errors.New("the disk is on fire")
				}
				return k.On("email", "A sentence to show.")
			}
			m.Public("GET /x", refuse)
			m.Public("GET /api/v1/x", refuse)

			page := send(m, "GET", "/x", "")
			if page.Code != want[k] || want[k] == 0 {
				t.Fatalf("page: status %d, want %d", page.Code, want[k])
			}
			webtest.Page(t, page.Body.String())
			shows := strings.Contains(page.Body.String(), "A sentence to show.")
			if shows != (k != fault.Internal) || strings.Contains(page.Body.String(), "fire") {
				t.Errorf("page says %s", page.Body)
			}
			if !strings.Contains(page.Body.String(), page.Header().Get("X-Request-Id")) {
				t.Error("the reference is not on the page")
			}

			api := send(m, "GET", "/api/v1/x", "")
			var p struct {
				Status                   int
				Title, Detail, RequestID string
			}
			if err := json.Unmarshal(api.Body.Bytes(), &p); err != nil || api.Code != want[k] || p.Status != want[k] || p.Title == "" || p.Detail == "" {
				t.Errorf("api: %d %s", api.Code, api.Body)
			}
			if got := api.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("api: Content-Type %q", got)
			}
		})
	}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	m.Public("GET /open", ok)
	m.Public("POST /open", ok)
	m.Member("GET /mine", ok)
	m.Member("POST /mine", ok)
	m.Member("GET /api/mine", ok)
	m.Console(access.ViewUsers, "GET /console/{org}/users", ok)
	m.Machine("POST /machine", ok)
	m.API(access.ViewUsers, "GET /api/v1/users", ok)
	m.API(access.ViewUsers, "POST /api/v1/users", ok)
	m.OperatorAPI("DELETE /api/v1/orgs", ok)
	m.API(access.ViewUsers, "GET /api/v1/teams", ok)
	m.Parameters("GET /api/v1/teams", []web.Parameter{{Name: "q"}, {Name: "status", Many: true}, {Name: "free", Boolean: true}, {Name: "org"}})
	m.Parameters("DELETE /api/v1/orgs", nil)
	foreign := []string{"Sec-Fetch-Site", "cross-site"}
	for _, c := range []struct {
		name, method, path, who string
		header                  []string
		status                  int
		location, contains      string
	}{
		{"anybody", "GET", "/open", "", nil, 200, "", ""},
		{"own form", "POST", "/open", "", []string{"Sec-Fetch-Site", "same-origin"}, 200, "", ""},
		{"foreign form", "POST", "/open", "", foreign, 403, "", "another site"},
		{"foreign origin, old browser", "POST", "/open", "", []string{"Origin", "https://evil.example"}, 403, "", ""},
		{"public origin behind a proxy", "POST", "/open", "", []string{"Origin", "https://id.example.com"}, 200, "", ""},
		{"foreign form, signed in", "POST", "/mine", "admin", foreign, 403, "", ""},
		{"nobody", "GET", "/mine?a=b", "", nil, 303, "/login?next=%2Fmine%3Fa%3Db", ""},
		{"nobody posts", "POST", "/mine", "", nil, 303, "/login", ""},
		{"nobody, api", "GET", "/api/mine", "", nil, 401, "", "Please sign in"},
		{"member", "GET", "/mine", "agent", nil, 200, "", `"id":"u2"`},
		{"console, nobody", "GET", "/console/acme/users", "", nil, 303, "/login?next=%2Fconsole%2Facme%2Fusers", ""},
		{"console, admin", "GET", "/console/acme/users", "admin", nil, 200, "", `"org":"1"`},
		{"console, agent", "GET", "/console/acme/users", "agent", nil, 403, "", "users.view"},
		{"console, other org", "GET", "/console/globex/users", "admin", nil, 404, "", ""},
		{"console, operator is moved", "GET", "/console/acme/users", "operator", nil, 200, "", `"org":"1"`},
		{"console, no such org", "GET", "/console/nope/users", "operator", nil, 404, "", ""},
		{"api, nobody", "GET", "/api/v1/users", "", nil, 401, "", "Please sign in"},
		{"api, admin", "GET", "/api/v1/users", "admin", nil, 200, "", `"org":"1"`},
		{"api, admin names the own org", "GET", "/api/v1/users?org=acme", "admin", nil, 200, "", `"org":"1"`},
		{"api, agent", "GET", "/api/v1/users", "agent", nil, 403, "", "users.view"},
		{"api, other org", "GET", "/api/v1/users?org=globex", "admin", nil, 404, "", "does not belong"},
		{"api, no such org", "GET", "/api/v1/users?org=nope", "admin", nil, 404, "", "does not belong"},
		{"api, operator's key must say where", "GET", "/api/v1/users", "key", nil, 400, "", `"field":"org"`},
		{"api, operator's key is moved", "GET", "/api/v1/users?org=globex", "key", nil, 200, "", `"org":"2"`},
		{"parameters", "GET", "/api/v1/teams?q=a&status=b&status=c&org=acme", "admin", nil, 200, "", `"org":"1"`},
		{"no parameters", "GET", "/api/v1/teams", "admin", nil, 200, "", `"org":"1"`},
		{"a parameter that nobody knows", "GET", "/api/v1/teams?q=a&statsu=b", "admin", nil, 400, "", `There is no parameter \"statsu\". Possible: q, status, free, org.","field":"statsu"`},
		{"a parameter in other letters", "GET", "/api/v1/teams?Q=a", "admin", nil, 400, "", `"field":"Q"`},
		{"a parameter twice", "GET", "/api/v1/teams?q=a&q=b", "admin", nil, 400, "", `q is there twice.","field":"q"`},
		{"a boolean", "GET", "/api/v1/teams?free=true", "admin", nil, 200, "", `"org":"1"`},
		{"another boolean", "GET", "/api/v1/teams?free=false", "admin", nil, 200, "", `"org":"1"`},
		{"a boolean that is none", "GET", "/api/v1/teams?free=yes", "admin", nil, 400, "", `free is \"yes\"; it can be true or false.","field":"free"`},
		{"a boolean in other letters", "GET", "/api/v1/teams?free=True", "admin", nil, 400, "", `"field":"free"`},
		{"a boolean that is empty", "GET", "/api/v1/teams?free=", "admin", nil, 400, "", `"field":"free"`},
		{"a query with a semicolon", "GET", "/api/v1/teams?q=a;status=b", "admin", nil, 400, "", "percent-encode"},
		{"a query that is cut", "GET", "/api/v1/teams?q=%4", "admin", nil, 400, "", "percent-encode"},
		{"a parameter that nobody knows, by nobody", "GET", "/api/v1/teams?statsu=b", "", nil, 401, "", ""},
		{"a parameter where there is none", "DELETE", "/api/v1/orgs?q=a", "operator", nil, 400, "", "nor any other"},
		{"api of which nothing is told", "GET", "/api/v1/users?statsu=b", "admin", nil, 200, "", `"org":"1"`},
		{"api, foreign form", "POST", "/api/v1/users", "admin", foreign, 403, "", ""},
		{"machine takes foreign posts, knows nobody", "POST", "/machine", "admin", foreign, 200, "", `"id":""`},
		{"no such page", "GET", "/nope", "", nil, 404, "", "<h1>"},
		{"nul in the path", "GET", "/console/%00/users", "admin", nil, 404, "", ""},
		{"broken UTF-8 in the path", "GET", "/console/%ff/users", "admin", nil, 404, "", ""},
		{"wrong method", "DELETE", "/open", "", nil, 405, "", "DELETE"},
		{"no such api", "GET", "/api/nope", "", nil, 404, "", `"request_id"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := send(m, c.method, c.path, c.who, c.header...)
			if w.Code != c.status || w.Header().Get("Location") != c.location || !strings.Contains(w.Body.String(), c.contains) {
				t.Errorf("%s %s: %d %q %s\nwant %d %q %q", c.method, c.path, w.Code, w.Header().Get("Location"), w.Body, c.status, c.location, c.contains)
			}
		})
	}
}

// A form that was sent after the session had ended is not lost.
func TestWhatWasTypedIsKept(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	m.Console(access.ViewUsers, "POST /console/{org}/users", ok)
	m.API(access.ViewUsers, "POST /api/v1/users", ok)
	post := func(path, kind, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		return w
	}
	const urlencoded, file = "application/x-www-form-urlencoded", "multipart/form-data; boundary=X"
	w := post("/console/acme/users?a=b", urlencoded, "name=%3Cb%3EAda&team=1&team=2&password=hunter2hunter2&code=123456&step_up_code=123456&client_secret=s3cr3t")
	for _, want := range []string{`action="/console/acme/users?a=b"`, `name="name" value="&lt;b&gt;Ada"`, `name="team" value="1"`, `name="team" value="2"`, "not kept"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %s:\n%s", want, w.Body)
		}
	}
	if w.Code != 401 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	for _, never := range []string{"hunter2", "123456", "s3cr3t"} {
		if strings.Contains(w.Body.String(), never) {
			t.Errorf("the page says %s", never)
		}
	}
	w = post("/console/acme/users", file, "--X\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nx\r\n--X--\r\n")
	if w.Code != 401 || !strings.Contains(w.Body.String(), `name="note" value="hello"`) || !strings.Contains(w.Body.String(), "choose it again") {
		t.Errorf("with a file: status %d:\n%s", w.Code, w.Body)
	}
	for name, c := range map[string]struct {
		w    *httptest.ResponseRecorder
		want int
	}{
		"nothing was typed":      {post("/console/acme/users", urlencoded, ""), 303},
		"only a password":        {post("/console/acme/users", urlencoded, "password=hunter2hunter2"), 303},
		"it cannot be read":      {post("/console/acme/users", urlencoded, "a=%zz"), 303},
		"it is larger than any":  {post("/console/acme/users", urlencoded, "a="+strings.Repeat("x", 4<<20)), 303},
		"from another site":      {post("/console/acme/users", urlencoded, "a=b", "Sec-Fetch-Site", "cross-site"), 403},
		"programs get a refusal": {post("/api/v1/users", urlencoded, "a=b"), 401},
	} {
		if c.w.Code != c.want || strings.Contains(c.w.Body.String(), "hidden") {
			t.Errorf("%s: status %d, want %d:\n%s", name, c.w.Code, c.want, c.w.Body)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		public string
		hsts   string
	}{{"https://id.example.com", "max-age=31536000"}, {"http://127.0.0.1:8080", ""}} {
		m := newMux(t, func(o *web.Options) { o.PublicURL = c.public })
		m.Public("GET /x", ok)
		for _, path := range []string{"/x", "/nope"} {
			h := send(m, "GET", path, "").Header()
			csp := h.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
				if !strings.Contains(csp, part) {
					t.Errorf("%s%s: policy %q lacks %q", c.public, path, csp, part)
				}
			}
			if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
				t.Errorf("policy %q allows script or inline style", csp)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
				"X-Frame-Options": "DENY", "Cache-Control": "no-store", "Strict-Transport-Security": c.hsts,
			} {
				if got := h.Get(name); got != want {
					t.Errorf("%s%s: %s = %q, want %q", c.public, path, name, got, want)
				}
			}
		}
	}
}

func TestPolicyReplacesOneDirective(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	m.Public("GET /x", func(w http.ResponseWriter, r *http.Request) error {
		web.Policy(w, "form-action", "'self'", "https:")
		return ok(w, r)
	})
	got := send(m, "GET", "/x", "").Header().Get("Content-Security-Policy")
	if strings.Count(got, "form-action") != 1 || !strings.Contains(got, "form-action 'self' https:") || !strings.Contains(got, "default-src 'none'") {
		t.Errorf("policy %q", got)
	}
}

func TestLogHasThePatternAndNoSecrets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := newMux(t, func(o *web.Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	m.Public("GET /invite/{token}", func(w http.ResponseWriter, r *http.Request) error { return errors.New("broken pipe to the moon") })
	w := send(m, "GET", "/invite/s3cret?code=s3cret", "admin", "X-Request-Id", "edge-12345678")
	line := log.String()
	if strings.Count(line, "\n") != 1 || strings.Contains(line, "s3cret") {
		t.Errorf("log: %s", line)
	}
	for _, part := range []string{`"route":"/invite/{token}"`, `"status":500`, `"method":"GET"`, `"request_id":"edge-12345678"`, "broken pipe", `"took":`} {
		if !strings.Contains(line, part) {
			t.Errorf("log lacks %s: %s", part, line)
		}
	}
	if w.Header().Get("X-Request-Id") != "edge-12345678" {
		t.Error("the request id is not echoed")
	}
	if got := send(m, "GET", "/nope", "", "X-Request-Id", "bad id\"<x>").Header().Get("X-Request-Id"); len(got) != 20 {
		t.Errorf("took the request id %q", got)
	}
}

func TestPanicBecomesA500Page(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var seen int
	m := newMux(t, func(o *web.Options) {
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
		o.Metrics = func(route, _ string, status int, _ time.Duration) { seen = status }
	})
	m.Public("GET /x", func(http.ResponseWriter, *http.Request) error { panic("boom") })
	w := send(m, "GET", "/x", "")
	if w.Code != 500 || strings.Contains(w.Body.String(), "boom") || !strings.Contains(log.String(), "boom") || seen != 500 {
		t.Errorf("%d %s, metrics saw %d\nlog %s", w.Code, w.Body, seen, log.String())
	}
	webtest.Page(t, w.Body.String())
}

func TestFormBodiesAreLimited(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	read := func(allow int64) web.Handler {
		return func(w http.ResponseWriter, r *http.Request) error {
			if allow > 0 {
				web.AllowBody(r, allow)
			}
			f, err := web.ReadForm(r)
			if err != nil {
				return err
			}
			return web.JSON(w, 200, len(f.Get("a")))
		}
	}
	m.Public("POST /small", read(0))
	m.Public("POST /big", read(1<<20))
	post := func(path, body string) int {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		return w.Code
	}
	large := "a=" + strings.Repeat("x", 200<<10)
	for _, c := range []struct {
		path, body string
		want       int
	}{{"/small", "a=1", 200}, {"/small", large, 413}, {"/big", large, 200}, {"/big", strings.Repeat(large, 10), 413}, {"/small", "a=%zz", 400}, {"/small", "a=%00", 400}, {"/small", "a=%ff", 400}} {
		if got := post(c.path, c.body); got != c.want {
			t.Errorf("POST %s with %d bytes: %d, want %d", c.path, len(c.body), got, c.want)
		}
	}
}

func TestFormsShowWhatIsWrong(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	m.Public("GET /x", func(w http.ResponseWriter, r *http.Request) error {
		f := web.Form{}
		f.Set("email", `"><b>me`)
		f.Set("password", "hunter2hunter2")
		f.Set("agree", "yes")
		f.Take(fault.Invalid.On("email", "That is no address."))
		return pages.Write(w, r, 422, "form", f)
	})
	w := send(m, "GET", "/x", "")
	body := w.Body.String()
	doc := webtest.Page(t, body)
	if w.Code != 422 || strings.Contains(body, "hunter2") || strings.Contains(body, "<b>") {
		t.Errorf("%d %s", w.Code, body)
	}
	for _, in := range webtest.All(doc, "input") {
		switch webtest.Attr(in, "name") {
		case "email":
			if webtest.Attr(in, "aria-describedby") != "f-email-help f-email-error" || webtest.Attr(in, "aria-invalid") != "true" {
				t.Errorf("email control: %v", in.Attr)
			}
		case "agree":
			if !strings.Contains(body, `value="yes" checked`) {
				t.Error("the box is not checked")
			}
		}
	}
	if !strings.Contains(body, `<a href="#f-email">That is no address.</a>`) {
		t.Error("no error summary")
	}
}

func TestNavigationShowsWhatTheActorMayDo(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	show := func(w http.ResponseWriter, r *http.Request) error { return pages.Write(w, r, 200, "form", web.Form{}) }
	m.Console(access.ViewUsers, "GET /console/{org}/users/{user}", show)
	m.Console(access.ViewUsers, "GET /console/{org}/import/{file}", show) // belongs to the users by Also
	for _, path := range []string{"/console/acme/users/7", "/console/acme/import/7"} {
		doc := webtest.Page(t, send(m, "GET", path, "operator").Body.String())
		nav := webtest.All(doc, "nav")
		if len(nav) != 1 {
			t.Fatalf("%d navs", len(nav))
		}
		links := webtest.All(nav[0], "a")
		if len(links) != 2 || webtest.Attr(links[0], "href") != "/console/acme/users" || webtest.Attr(links[0], "aria-current") != "page" || webtest.Attr(links[1], "aria-current") != "" {
			t.Errorf("%s: nav: %s", path, webtest.Text(nav[0]))
		}
	}
}

func TestFlashIsShownOnce(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	m.Public("POST /do", func(w http.ResponseWriter, r *http.Request) error {
		web.Flash(w, "Grüße <done>")
		http.Redirect(w, r, "/see", http.StatusSeeOther)
		return nil
	})
	m.Public("GET /see", func(w http.ResponseWriter, r *http.Request) error { return pages.Write(w, r, 200, "form", web.Form{}) })
	set := send(m, "POST", "/do", "").Result().Cookies()
	if len(set) != 1 || set[0].Name != "__Host-muster-flash" || !set[0].Secure || !set[0].HttpOnly {
		t.Fatalf("cookies %v", set)
	}
	w := send(m, "GET", "/see", "", "Cookie", set[0].Name+"="+set[0].Value)
	if !strings.Contains(w.Body.String(), "Grüße &lt;done&gt;") {
		t.Errorf("not shown: %s", w.Body)
	}
	if gone := w.Result().Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("not removed: %v", gone)
	}
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	t.Parallel()
	m := newMux(t, nil)
	doc := webtest.Page(t, send(m, "GET", "/nope", "").Body.String())
	href := webtest.Attr(webtest.All(doc, "link")[0], "href")
	w := send(m, "GET", href, "")
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("GET %s: %d %v", href, w.Code, w.Header())
	}
	if w := send(m, "GET", "/static/muster.css", ""); w.Code != 404 {
		t.Errorf("without the hash: %d", w.Code)
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		peer    string
		forward []string
		want    string
	}{
		{"nobody is trusted", nil, "10.0.0.1:5", []string{"1.1.1.1"}, "10.0.0.1"},
		{"peer is no proxy", proxies, "9.9.9.9:5", []string{"1.1.1.1"}, "9.9.9.9"},
		{"one proxy", proxies, "10.0.0.1:5", []string{"1.1.1.1"}, "1.1.1.1"},
		{"the client lied", proxies, "10.0.0.1:5", []string{"6.6.6.6, 1.1.1.1"}, "1.1.1.1"},
		{"two proxies, two headers", proxies, "10.0.0.1:5", []string{"6.6.6.6, 1.1.1.1", "10.2.2.2"}, "1.1.1.1"},
		{"all are proxies", proxies, "10.0.0.1:5", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"garbage stops the walk", proxies, "10.0.0.1:5", []string{"1.1.1.1, unknown, 10.2.2.2"}, "10.2.2.2"},
		{"with ports", proxies, "[fd00::1]:5", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
		{"mapped", proxies, "[::ffff:10.0.0.1]:5", []string{"::ffff:1.1.1.1"}, "1.1.1.1"},
		{"no header", proxies, "10.0.0.1:5", nil, "10.0.0.1"},
	} {
		m := newMux(t, func(o *web.Options) { o.TrustedProxies = c.trusted })
		m.Public("GET /x", ok)
		r := httptest.NewRequest("GET", "/x", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.forward
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"ip":"`+c.want+`"`) {
			t.Errorf("%s: %s, want %s", c.name, w.Body, c.want)
		}
	}
}

func TestLocalStaysHere(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"/", "/account", "/console/acme/users?q=a%20b&x=//y", "/a/b/", "/x#y", "/oauth/authorize?redirect_uri=https://app.example/cb"} {
		if got := web.Local(good); got != good {
			t.Errorf("Local(%q) = %q", good, got)
		}
	}
	for _, bad := range []string{
		"", "account", "https://evil.example", "//evil.example", "///evil.example", "//", "//?x", "//#x", "/\\evil.example", "\\\\evil", "/\\/evil",
		"/%2f/evil.example", "/%5cevil.example", "/./" + "/evil.example", "/../x", "/a/../b", "/a//evil", "javascript:alert(1)", "/\t/evil.example", "/\n/evil", "\t//evil",
		" //evil", "/ /evil", "/x\r\nSet-Cookie: a=b", "/%00\x00", "/\u0085x", "http:/evil", "/%zz", "/%09/evil", strings.Repeat("/a", 2000),
	} {
		if got := web.Local(bad); got != "/account" {
			t.Errorf("Local(%q) = %q, want /account", bad, got)
		}
	}
}

func FuzzLocal(f *testing.F) {
	f.Add("//evil")
	f.Add("/a?b#c")
	f.Fuzz(func(t *testing.T, next string) {
		got := web.Local(next)
		if got != next && got != "/account" {
			t.Fatalf("Local(%q) = %q", next, got)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t ") {
			t.Fatalf("Local(%q) = %q leads away", next, got)
		}
	})
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, body string
		want       fault.Kind
	}{
		{"application/json", `{"name":"x"}`, 0}, {"application/json; charset=utf-8", ` {} `, 0},
		{"", `{}`, fault.Invalid}, {"text/plain", `{}`, fault.Invalid}, {"application/json", ``, fault.Invalid}, {"application/json", `{"nam":"x"}`, fault.Invalid},
		{"application/json", `{"name":7}`, fault.Invalid}, {"application/json", `{} {}`, fault.Invalid}, {"application/json", `[]`, fault.Invalid},
		{"application/json", `{"name":"x"`, fault.Invalid},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		var v struct{ Name string }
		err := web.ReadJSON(r, &v)
		if (c.want == 0) != (err == nil) || err != nil && !fault.Is(err, c.want) {
			t.Errorf("%s %s: %v", c.kind, c.body, err)
		}
		if c.body == `[]` && !strings.Contains(web.Sentence(err), "JSON type array. Send one object") {
			t.Errorf("%s: %s", c.body, web.Sentence(err))
		}
		if c.body == `{"nam":"x"}` && (fault.Field(err) != "nam" || !strings.Contains(web.Sentence(err), `"nam"`)) {
			t.Errorf("%s: on %q: %s", c.body, fault.Field(err), web.Sentence(err))
		}
	}
	for body, missing := range map[string]string{`{"name":"x","to":""}`: "", `{"Name":"x","TO":"y"}`: "", `{"name":"x"}`: "to", `{"name":"x","to":null}`: "to", `{"to":"y"}`: "name", `{}`: "name", `null`: "name"} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		err := web.ReadJSON(r, &struct{ Name, To string }{}, "name", "to")
		if fault.Field(err) != missing || (missing == "") != (err == nil) {
			t.Errorf("%s without %q: %v", body, missing, err)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"name":"`+strings.Repeat("x", 3000)+`"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, 2<<10)
	err := web.ReadJSON(r, &struct{ Name string }{})
	if web.Status(err) != http.StatusRequestEntityTooLarge || !strings.Contains(web.Sentence(err), "larger than the 2 kB") {
		t.Errorf("too large: %d, %s", web.Status(err), web.Sentence(err))
	}
}
