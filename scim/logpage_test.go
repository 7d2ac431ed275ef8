package scim

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/openapi"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// logSite is a console with nothing but the log's page.
type logSite struct {
	*door
	people map[string]access.Actor
	mux    http.Handler

	language string // of who reads the pages; empty: English
}

func newLogSite(t *testing.T, db *store.DB, in NewDirectory) *logSite {
	s := &logSite{door: openDoor(t, db, in), people: map[string]access.Actor{}}
	other, _ := storetest.Org(t, db, "other")
	for who, role := range map[string]string{"boss": access.Admin, "viewer": access.Viewer} {
		s.people[who] = access.Actor{Kind: access.Person, Org: s.admin.Org, ID: string(store.NewID[store.User]()), Name: who, Roles: []string{role}}
	}
	s.people["stranger"] = access.Actor{Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Name: "Stranger", Roles: []string{access.Admin}}
	m := web.NewMux(web.Options{PublicURL: testURL, Log: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (access.Actor, error) {
			if a, ok := s.people[r.Header.Get("X-Who")]; ok {
				return a, nil
			}
			return access.Actor{}, fault.SignIn.Say("Please sign in.")
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
	})
	s.log = Mount(m, db, Options{PublicURL: testURL, Log: slog.New(slog.DiscardHandler)})
	openapi.Mount(m)
	s.mux = openapitest.Checked(t, m)
	s.door.mux = s.mux
	return s
}

func (s *logSite) get(who, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", testURL+path, nil)
	r.Header.Set("X-Who", who)
	r.Header.Set("Accept-Language", s.language)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

func (s *logSite) path() string {
	return "/console/acme/directories/" + string(s.directory.ID) + "/log"
}

// page checks the structure and gives the text.
func (s *logSite) page(query string) string {
	s.t.Helper()
	w := s.get("boss", s.path()+query)
	if w.Code != 200 {
		s.t.Fatalf("%s: %d\n%s", query, w.Code, w.Body)
	}
	return webtest.Text(webtest.Page(s.t, w.Body.String()))
}

func (s *logSite) has(text string, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.t.Errorf("the page lacks %q:\n%s", part, text)
		}
	}
}

func TestTheLogPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newLogSite(t, db, NewDirectory{Name: "Okta Prod", Vendor: "okta"})
		doc := webtest.Page(t, s.get("boss", s.path()).Body.String())
		s.has(webtest.Text(doc), "Waiting for the first request", "Provisioning log of Okta Prod")
		if in := webtest.All(doc, "input"); len(in) != 1 || webtest.Attr(in[0], "value") != BaseURL(testURL, s.directory.ID) {
			t.Errorf("the empty page does not show the base URL: %d inputs", len(in))
		}
		jane := s.user("jane@acme.example", `"title":"Agent"`)
		s.must(200, "PATCH", "/Users/"+jane, patchBody(`{"op":"replace","path":"title","value":"<b>Head</b>"}`))
		s.refused(409, "uniqueness", "", "POST", "/Users", userBody("jane@acme.example", `"password":"Hunter22"`))
		text := s.page("")
		s.has(text, "Connected", "Create a user : jane@acme.example", "Change a user", "title Agent → <b>Head</b>", "409 uniqueness", "Why: userName:",
			"What to change: In Okta, Provisioning > Integration: Unique identifier field for users", `"password":"[redacted]"`, "192.0.2.1")
		if strings.Contains(text, "Hunter22") {
			t.Error("the page shows a password")
		}
		if one, two := strings.Index(text, "409 uniqueness"), strings.Index(text, "201"); one > two {
			t.Error("the newest is not first")
		}
		if text := s.page("?refused=1"); strings.Contains(text, "Agent → ") || !strings.Contains(text, "409") {
			t.Errorf("only refused: %s", text)
		}
		if text := s.page("?operation=" + url.QueryEscape("PATCH Users")); !strings.Contains(text, "Agent → ") || strings.Contains(text, "409 uniq") {
			t.Errorf("only changes: %s", text)
		}
		s.has(s.page("?target=nobody"), "No request is like this", "Clear")
		s.has(s.page("?from=2000-01-01&to=2000-01-02"), "No request is like this")
		for _, bad := range []string{"?from=yesterday", "?to=1.2.2026", "?operation=x"} {
			if w := s.get("boss", s.path()+bad); w.Code != 400 || !strings.Contains(webtest.Text(webtest.Page(t, w.Body.String())), "Please check") {
				t.Errorf("%s: %d", bad, w.Code)
			}
		}
		if w := s.get("boss", s.path()+"?before=x"); w.Code != 404 {
			t.Errorf("an odd cursor: %d", w.Code)
		}
	})
}

func TestTheLogPageIsTheOrganizationsOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newLogSite(t, db, NewDirectory{})
		s.user("jane")
		none := "/console/acme/directories/" + string(store.NewID[store.Directory]()) + "/log"
		foreign := strings.Replace(s.path(), "/acme/", "/other/", 1)
		for _, c := range []struct {
			who, path string
			want      int
		}{
			{"boss", s.path(), 200}, {"viewer", s.path(), 403}, {"stranger", s.path(), 404}, {"stranger", foreign, 404}, {"boss", foreign, 404},
			{"boss", none, 404}, {"boss", "/console/acme/directories/x/log", 404}, {"nobody", s.path(), 303},
		} {
			w := s.get(c.who, c.path)
			if w.Code != c.want || c.want != 200 && strings.Contains(w.Body.String(), "jane") {
				t.Errorf("%s at %s: %d, want %d", c.who, c.path, w.Code, c.want)
			}
		}
	})
}

func TestTheLogPageGoesBack(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newLogSite(t, db, NewDirectory{Vendor: "entra"})
		for i := range 2*logPageSize + 10 {
			clock.Pass(time.Second)
			s.user("user-" + itoa(i) + ".")
		}
		s.must(200, "GET", "/Users", "")
		seen, pages := 0, 0
		for next := "?operation=POST+Users"; next != ""; pages++ {
			doc := webtest.Page(t, s.get("boss", s.path()+next).Body.String())
			seen += strings.Count(webtest.Text(doc), "Create a user :")
			next = ""
			for _, a := range webtest.All(doc, "a") {
				if webtest.Attr(a, "rel") == "next" {
					next = webtest.Attr(a, "href")
				}
			}
		}
		if seen != 2*logPageSize+10 || pages != 3 {
			t.Errorf("%d requests on %d pages", seen, pages)
		}
	})
}

// Each kind of refusal has a remedy for everybody, and vendors' own words are of
// kinds that there are.
func TestRemedies(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{refusedToken, refusedURL, refusedMissing, refusedTaken, refusedBusy, refusedValue, refusedMembers, refusedNesting, refusedFormat, refusedFilter,
		refusedPath, refusedSize, refusedLimit, refusedUnsupported, refusedDenied, refusedServer} {
		for _, vendor := range []string{"okta", "entra", "google", "onelogin", "jumpcloud", "ping", "custom", "keycloak"} {
			if remedyOf(vendor, kind) == "" {
				t.Errorf("%s has no remedy for %s", vendor, kind)
			}
		}
	}
	for vendor, kinds := range remedies {
		for kind, sentence := range kinds {
			if remedies["custom"][kind] == "" || !strings.HasSuffix(sentence, ".") {
				t.Errorf("%s %s: %q", vendor, kind, sentence)
			}
		}
	}
}

// The log, what to change at the vendor and what a filter is refused for are said in
// German; a program reads English.
func TestTheLogInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newLogSite(t, db, NewDirectory{Vendor: "okta"})
		s.user("jane@acme.example")
		s.refused(409, "uniqueness", "", "POST", "/Users", userBody("jane@acme.example"))
		ann := s.user("ann")
		s.must(201, "POST", "/Groups", groupBody("All", `"members":`+memberJSON(ann)))
		s.must(200, "POST", "/Bulk", bulkBody(bulkPost("/Users", "a", `{}`), bulkPost("/Users", "b", userBody("ann"))))
		s.must(400, "POST", "/Users", `[]`)
		c, _ := s.client("")
		s.ask(url.Values{"grant_type": {"client_credentials"}, "client_id": {string(c.ID)}, "client_secret": {"not-this-one"}})
		s.ask(url.Values{"client_id": {string(c.ID)}, "client_secret": {"not-this-one"}})
		s.language = "de"
		text := s.page("")
		s.has(text, `Warum: userName: Den userName "jane@acme.example" gibt es in dieser Organisation schon.`, "2 von 2 Vorgängen fehlgeschlagen.", `Vorgang 2, POST /Users: 409, userName: Den userName "ann"`,
			"Der Inhalt ist kein JSON-Objekt.", "(2 Byte, die kein JSON-Objekt sind; nicht aufbewahrt)")
		for _, row := range s.logged(logQuery{limit: 50}) {
			if row.Reason != "" {
				inGerman(t, row.Reason)
			}
		}
		s.has(text, "Person anlegen : jane@acme.example", "Was zu ändern ist: In Okta, Provisioning > Integration: Unique identifier field for users sollte userName sein.", "Personen lesen oder suchen", "Alles")
		for _, english := range []string{"Create a user", "should be userName", "Read or find", "already in use", "were refused", "not a JSON object", "not kept"} {
			if strings.Contains(text, english) {
				t.Errorf("the page says %q:\n%s", english, text)
			}
		}
		s.has(webtest.Text(webtest.Page(t, s.get("boss", s.path()+"?from=soon").Body.String())), `"soon" ist kein Tag.`)
	})
}
