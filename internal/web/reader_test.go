package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
)

var spoken = web.MustPages(fstest.MapFS{
	"p/said.html": {Data: []byte(`{{define "title"}}{{t "Sign in"}}{{end}}{{define "main"}}<h1>{{t "Sign in"}}</h1>
{{template "errors" .Form}}{{template "field" (.Form.Input "name" "Language")}}<p>{{when .At}}</p><p>{{.Own}}</p>{{end}}`)},
}, "p/*.html")

type saidPage struct {
	Form web.Form
	At   string
	Own  string
}

// german is a mux whose person "ada" prefers what is given.
func german(t testing.TB, prefer web.Preferences) *web.Mux {
	m := newMux(t, func(o *web.Options) {
		o.Banner = func() web.Said {
			return web.Say("No mail leaves this machine: it is kept at %s.", "http://127.0.0.1/dev/mailbox")
		}
		inner := o.Authenticate
		o.Authenticate = func(r *http.Request) (access.Actor, error) {
			actor, err := inner(r)
			if err == nil {
				web.Prefer(r.Context(), prefer)
			}
			return actor, err
		}
	})
	page := func(w http.ResponseWriter, r *http.Request) error {
		p := saidPage{At: "2026-11-22T23:56:22Z", Own: web.T(r, "Your account")}
		p.Form.FailWith("name", fault.Invalid.On("name", "%.40q is not a language. Choose one from the list.", "<x>"))
		p.Form.Fail("", "Please sign in.")
		return spoken.Write(w, r, http.StatusOK, "said", p)
	}
	m.Public("GET /said", page)
	m.Public("POST /said", page)
	m.Public("POST /only", page)
	m.Member("GET /mine", page)
	m.Public("GET /closed", func(http.ResponseWriter, *http.Request) error {
		return fault.Denied.Say("There is nothing at this address.")
	})
	m.API(access.Configure, "GET /api/v1/closed", func(http.ResponseWriter, *http.Request) error {
		return fault.Denied.Say("There is nothing at this address.")
	})
	return m
}

func TestPagesSpeakTheReadersLanguage(t *testing.T) {
	t.Parallel()
	chose := german(t, web.Preferences{Language: "de", TimeZone: "Europe/Berlin", Theme: "dark", OrgLanguage: "en"})
	none := german(t, web.Preferences{OrgLanguage: "de", OrgTimeZone: "Europe/Berlin"})
	for _, c := range []struct {
		what   string
		mux    *web.Mux
		path   string
		who    string
		header []string
		want   string
	}{
		{"nothing known", chose, "/said", "", nil, "en"},
		{"the browser asks", chose, "/said", "", []string{"Accept-Language", "de-CH,en;q=0.5"}, "de"},
		{"this browser chose before", chose, "/said", "", []string{"Accept-Language", "de", "Cookie", "muster-language=en"}, "en"},
		{"a broken cookie", chose, "/said", "", []string{"Accept-Language", "de", "Cookie", "muster-language=%00"}, "de"},
		{"the link", chose, "/said?lang=de", "", []string{"Accept-Language", "en"}, "de"},
		{"a link to nothing", chose, "/said?lang=<b>", "", []string{"Accept-Language", "en"}, "en"},
		{"the person chose", chose, "/mine", "admin", []string{"Accept-Language", "en", "Cookie", "muster-language=en"}, "de"},
		{"the browser before the organization", none, "/mine", "admin", []string{"Accept-Language", "en"}, "en"},
		{"the organization for those whose browser says nothing", none, "/mine", "admin", []string{"Accept-Language", "ja"}, "de"},
	} {
		w := send(c.mux, "GET", c.path, c.who, c.header...)
		doc := webtest.Page(t, w.Body.String())
		html := webtest.All(doc, "html")[0]
		body := webtest.Text(doc)
		if got := webtest.Attr(html, "lang"); got != c.want {
			t.Errorf("%s: lang=%q, want %q", c.what, got, c.want)
		}
		for english, theirs := range map[string]string{"Sign in": "Anmelden", "Your account": "Ihr Konto", "Please sign in.": "Bitte melden Sie sich an.", "Please check": "Bitte prüfen",
			"No mail leaves this machine: it is kept at http://127.0.0.1/dev/mailbox": "Keine E-Mail verlässt diese Maschine: Sie liegt unter http://127.0.0.1/dev/mailbox",
			`"<x>" is not a language.`: `"<x>" ist keine Sprache.`, "Language (optional)": "Sprache (optional)"} {
			if c.want == "de" {
				english, theirs = theirs, english
			}
			if !strings.Contains(body, english) || strings.Contains(strings.ReplaceAll(body, "Language", ""), theirs) && theirs != "Sprache (optional)" {
				t.Errorf("%s: want %q and not %q in %s", c.what, english, theirs, body)
			}
		}
	}
	w := send(chose, "GET", "/mine", "admin")
	if b := w.Body.String(); !strings.Contains(b, ` data-theme="dark"`) || !strings.Contains(b, `title="22. Nov. 2026, 23:56 UTC">23. Nov. 2026, 00:56 CET</time>`) {
		t.Errorf("theme and time of the person are missing:\n%s", b)
	}
}

func TestRefusalsSpeakToPeopleAndToMachines(t *testing.T) {
	t.Parallel()
	m := german(t, web.Preferences{})
	w := send(m, "GET", "/closed", "", "Accept-Language", "de")
	if b := w.Body.String(); !strings.Contains(b, "Unter dieser Adresse gibt es nichts.") || !strings.Contains(b, "Nicht erlaubt") {
		t.Errorf("a person was told %s", b)
	}
	w = send(m, "GET", "/nowhere", "", "Accept-Language", "de")
	if b := w.Body.String(); !strings.Contains(b, "oder Sie dürfen es nicht sehen") {
		t.Errorf("a person was told %s", b)
	}
	w = send(m, "GET", "/api/v1/closed", "admin", "Accept-Language", "de")
	if b := w.Body.String(); !strings.Contains(b, "There is nothing at this address.") {
		t.Errorf("a program was told %s", b)
	}
}

func TestSomebodySignedOutChoosesALanguage(t *testing.T) {
	t.Parallel()
	m := german(t, web.Preferences{})
	links := func(w *httptest.ResponseRecorder) (hrefs []string) {
		for _, a := range webtest.All(webtest.Page(t, w.Body.String()), "a") {
			if webtest.Attr(a, "hreflang") != "" {
				hrefs = append(hrefs, webtest.Attr(a, "href"))
			}
		}
		return hrefs
	}
	w := send(m, "GET", "/said?next=%2Fmine", "")
	if got := strings.Join(links(w), " "); got != "?lang=en&next=%2Fmine ?lang=de&next=%2Fmine" {
		t.Errorf("links %s", got)
	}
	w = send(m, "GET", "/said?lang=de&next=%2Fmine", "")
	c := w.Result().Cookies()
	if len(c) != 1 || c[0].Name != "muster-language" || c[0].Value != "de" || !c[0].HttpOnly || !c[0].Secure {
		t.Errorf("it is remembered as %v", c)
	}
	if got := links(send(m, "POST", "/said", "", "Sec-Fetch-Site", "same-origin")); len(got) != 2 || got[1] != "?lang=de" {
		t.Errorf("after a form: %v, want links to the page that can be opened again", got)
	}
	if got := links(send(m, "POST", "/only", "", "Sec-Fetch-Site", "same-origin")); got != nil {
		t.Errorf("a page that only takes a form has the links %v", got)
	}
	if got := links(send(m, "GET", "/mine", "admin")); got != nil {
		t.Errorf("somebody who is signed in has the links %v", got)
	}
}

// Many readers at once: nobody gets a page in the language or zone of another.
func TestReadersDoNotGetEachOthersLanguage(t *testing.T) {
	t.Parallel()
	m := german(t, web.Preferences{})
	var wg sync.WaitGroup
	for i := range 64 {
		lang, word, not := "de", "Anmelden", "Sign in<"
		if i%2 == 0 {
			lang, word, not = "en", "Sign in<", "Anmelden"
		}
		wg.Go(func() {
			for range 20 {
				b := send(m, "GET", "/said", "", "Accept-Language", lang).Body.String()
				if !strings.Contains(b, word) || strings.Contains(b, not) {
					t.Errorf("%s got %s", lang, b)
					return
				}
			}
		})
	}
	wg.Wait()
}

// What a language costs: the same page in English and in German.
func BenchmarkPage(b *testing.B) {
	m := german(b, web.Preferences{})
	for _, lang := range []string{"en", "de"} {
		b.Run(lang, func(b *testing.B) {
			r := httptest.NewRequestWithContext(context.Background(), "GET", "/said", nil)
			r.Header.Set("Accept-Language", lang)
			for b.Loop() {
				m.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
