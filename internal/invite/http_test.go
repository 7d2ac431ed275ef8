package invite_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// site serves the door; who asks is named by a header.
type site struct {
	*stage
	mux    *web.Mux
	actors map[string]access.Actor
}

func newSite(t *testing.T, db *store.DB) *site {
	t.Helper()
	s := &site{stage: newStage(t, db), actors: map[string]access.Actor{}}
	s.mux = web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (access.Actor, error) {
			if a, ok := s.actors[r.Header.Get("X-Who")]; ok {
				return a, nil
			}
			return access.Actor{}, fault.SignIn.Say("Please sign in.")
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
	})
	s.door.Mount(s.mux)
	s.actors["admin"] = s.admin
	s.actors["viewer"] = s.person("viewer@acme.example", access.Viewer)
	s.actors["agent"] = s.person("agent@acme.example", access.Agent)
	other, _ := storetest.Org(t, db, "other")
	s.actors["stranger"] = access.Actor{Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Roles: []string{access.Admin}}
	s.actors["operator"] = access.Actor{Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Name: "Olga", Operator: true}
	return s
}

func (s *site) do(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Who", who)
	w := httptest.NewRecorder()
	openapitest.Checked(s.t, s.mux).ServeHTTP(w, r)
	return w
}

func (s *site) want(w *httptest.ResponseRecorder, status int) string {
	s.t.Helper()
	if w.Code != status {
		s.t.Fatalf("status %d, want %d\n%s", w.Code, status, w.Body)
	}
	return w.Body.String()
}

// Who has asked too often is told so, and nothing of passwords: there is none yet.
func TestTooManyWishesForALink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		ask := func(token string, status int) string {
			return webtest.Text(webtest.Page(t, s.want(s.do("", "POST", "/invite/"+token+"/again", url.Values{}), status)))
		}
		for n := range 20 {
			ask("link"+strconv.Itoa(n), http.StatusOK)
		}
		said := ask("link", http.StatusTooManyRequests)
		if !strings.Contains(said, "Too many links were asked for from your network. Wait 1 minute, then ask again.") || strings.Contains(said, "password") {
			t.Errorf("the refusal: %s", said)
		}
	})
}

func TestTheAcceptPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		made := s.invite("ada@example.com")
		path := "/invite/" + token(made.Link)
		for range 2 { // opening it consumes nothing
			doc := webtest.Page(t, s.want(s.do("", "GET", path, nil), http.StatusOK))
			text := webtest.Text(doc)
			for _, word := range []string{"acme Inc", "Bea Boss", "in 7 days", "UTC"} {
				if !strings.Contains(text, word) {
					t.Errorf("the page does not say %q", word)
				}
			}
		}
		body := s.want(s.do("", "POST", path, url.Values{"password": {"password1234"}}), http.StatusBadRequest)
		webtest.Page(t, body)
		if !strings.Contains(body, `id="f-password-error"`) || strings.Contains(body, "password1234") {
			t.Error("the refusal is not beside the field, or the password came back")
		}
		w := s.do("", "POST", path, url.Values{"password": {good}})
		s.want(w, http.StatusSeeOther)
		if w.Header().Get("Location") != "/account" || !strings.Contains(strings.Join(w.Header()["Set-Cookie"], "\n"), "muster="+string(s.org.ID)) {
			t.Errorf("after accepting: %v", w.Header())
		}
		for _, method := range []string{"GET", "POST"} {
			doc := webtest.Page(t, s.want(s.do("", method, path, url.Values{"password": {good}}), http.StatusGone))
			if !strings.Contains(webtest.Text(doc), "has been used") || strings.Contains(webtest.Text(doc), "Reference") {
				t.Errorf("%s of a used link: %s", method, webtest.Text(doc))
			}
		}
		webtest.Page(t, s.want(s.do("", "GET", path+"x", nil), http.StatusNotFound))
	})
}

func TestInvitingFromTheConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		webtest.Page(t, s.want(s.do("admin", "GET", "/console/acme/invite", nil), http.StatusOK))
		form := url.Values{"email": {"ada@example.com"}, "given_name": {"Ada"}, "family_name": {"Lovelace"}, "role": {"agent"}, "manager": {"boss@acme.example"}}
		body := s.want(s.do("admin", "POST", "/console/acme/invite", form), http.StatusOK)
		webtest.Page(t, body)
		m := <-s.mails
		link := m.Text[strings.Index(m.Text, "http://"):]
		link = link[:strings.IndexAny(link, "\n ")]
		if !strings.Contains(body, link) {
			t.Errorf("the page does not show the link %s", link)
		}
		body = s.want(s.do("admin", "POST", "/console/acme/invite", form), http.StatusConflict)
		webtest.Page(t, body)
		if !strings.Contains(body, `id="f-email-error"`) || !strings.Contains(body, `value="Lovelace"`) {
			t.Error("the conflict is not beside the address, or what was typed is gone")
		}
		for field, values := range map[string]url.Values{
			"manager": {"email": {"b@example.com"}, "manager": {"nobody@example.com"}},
			"role":    {"email": {"b@example.com"}, "role": {"emperor"}},
			"teams":   {"email": {"b@example.com"}, "teams": {"x'; --"}},
			"email":   {"email": {"b"}},
		} {
			body := s.want(s.do("admin", "POST", "/console/acme/invite", values), http.StatusBadRequest)
			if !strings.Contains(body, `href="#f-`+field+`"`) {
				t.Errorf("%v: no error on %s", values, field)
			}
		}
		user := s.find("ada@example.com")
		base := "/console/acme/users/" + string(user)
		body = s.want(s.do("operator", "POST", base+"/invitation/resend", nil), http.StatusOK)
		webtest.Page(t, body)
		if strings.Contains(body, link) || !strings.Contains(body, "/invite/"+string(s.org.ID)) {
			t.Error("resending shows the old link or none")
		}
		s.want(s.do("admin", "POST", base+"/invitation/cancel", nil), http.StatusSeeOther)
		s.want(s.do("admin", "POST", base+"/invitation/cancel", nil), http.StatusNotFound)
		s.want(s.do("admin", "POST", "/console/acme/users/zzz/invitation/resend", nil), http.StatusNotFound)
	})
}

func (s *site) find(name string) (id store.UserID) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) error {
		u, err := tx.UserByName(name)
		id = u.ID
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func TestWhoReachesWhichRoute(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		made := s.invite("ada@example.com")
		base := "/console/acme/users/" + string(made.UserID) + "/invitation/"
		for _, route := range []string{"GET /console/acme/invite", "POST /console/acme/invite", "POST " + base + "resend", "POST " + base + "cancel"} {
			method, path, _ := strings.Cut(route, " ")
			for who, want := range map[string]int{"viewer": 403, "agent": 403, "stranger": 404, "": 303} {
				if w := s.do(who, method, path, url.Values{}); w.Code != want {
					t.Errorf("%s %s: %d, want %d", who, route, w.Code, want)
				}
			}
		}
		if i := s.state(made.UserID); i.State != invite.Pending || i.Sent != 1 {
			t.Errorf("somebody changed the invitation: %+v", i)
		}
		r := httptest.NewRequest("POST", "http://127.0.0.1:8080"+base+"cancel", nil)
		r.Header.Set("X-Who", "admin")
		r.Header.Set("Origin", "https://evil.example")
		w := httptest.NewRecorder()
		openapitest.Checked(s.t, s.mux).ServeHTTP(w, r)
		s.want(w, http.StatusForbidden)
	})
}

func TestTheFormInvitesSavesShowsAndStarts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.person("grace@acme.example", access.Agent)
		const path = "/console/acme/invite"
		id := string(store.NewID[invite.Invitation]())
		form := func(do string, more ...string) url.Values {
			f := url.Values{"do": {do}, "id": {id}, "email": {"ada@example.com"}, "given_name": {"Ada"}, "role": {"agent", "viewer"}, "note": {"See <b>you</b>"}}
			for i := 0; i < len(more); i += 2 {
				f.Set(more[i], more[i+1])
			}
			return f
		}
		// Everybody here is called Bea Boss: the form asks which one is meant, and keeps what was typed.
		body := s.want(s.do("admin", "POST", path, form("send", "manager", "bea boss")), http.StatusBadRequest)
		for _, want := range []string{"Choose one of them below", `name="manager_id"`, "grace@acme.example", `value="ada@example.com"`, "See &lt;b&gt;you&lt;/b&gt;"} {
			if !strings.Contains(body, want) {
				t.Errorf("the form lacks %q", want)
			}
		}
		if body := s.want(s.do("admin", "POST", path, form("search", "manager", "grace@acme.example")), http.StatusOK); !strings.Contains(body, `value="grace@acme.example"`) {
			t.Error("a search that finds one person does not keep the name")
		}
		s.want(s.do("admin", "POST", path, form("send", "manager", "nobody at all")), http.StatusBadRequest)

		doc := webtest.Page(t, s.want(s.do("admin", "POST", path, form("preview")), http.StatusOK))
		frames := webtest.All(doc, "iframe")
		if len(frames) != 1 || !strings.Contains(webtest.Text(doc), "Bea Boss writes: See <b>you</b>") || len(s.mails) != 0 {
			t.Fatalf("preview: %d frames, %d mails", len(frames), len(s.mails))
		}
		frame := s.do("admin", "GET", webtest.Attr(frames[0], "src"), nil)
		if csp := frame.Header().Get("Content-Security-Policy"); frame.Code != 200 || !strings.Contains(csp, "sandbox") || !strings.Contains(frame.Body.String(), "See &lt;b&gt;you&lt;/b&gt;") {
			t.Errorf("the frame: %d %s %s", frame.Code, csp, frame.Body)
		}
		s.want(s.do("agent", "GET", webtest.Attr(frames[0], "src"), nil), http.StatusForbidden)

		s.want(s.do("admin", "POST", path, form("save")), http.StatusOK)
		if w := s.do("admin", "POST", path, form("save")); w.Code != http.StatusSeeOther || len(s.mails) != 0 {
			t.Errorf("the same form again: %d, %d mails", w.Code, len(s.mails))
		}
		if w := s.do("admin", "POST", path, form("send", "id", string(store.NewID[invite.Invitation]()))); w.Code != http.StatusConflict {
			t.Errorf("another form for the same address: %d", w.Code)
		}

		started := form("activate", "id", string(store.NewID[invite.Invitation]()), "email", "eve@example.com")
		s.want(s.do("admin", "POST", path, form("activate", "email", "eve@example.com", "first_password", "short")), http.StatusBadRequest)
		doc = webtest.Page(t, s.want(s.do("admin", "POST", path, started), http.StatusOK))
		if !strings.Contains(webtest.Text(doc), "eve@example.com can sign in now") || len(s.mails) != 0 {
			t.Errorf("started: %s, %d mails", webtest.Text(doc), len(s.mails))
		}
		var eve store.User
		if err := db.Read(ctx, s.admin, func(tx *store.Tx) (err error) { eve, err = tx.UserByName("eve@example.com"); return err }); err != nil || eve.Status != store.Active {
			t.Errorf("eve is %s, %v", eve.Status, err)
		}
		if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
			must, err := s.passwords.MustChange(tx, eve.ID)
			if !must.Temporary {
				t.Error("the first password need not be changed")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSendingAgainAndCorrectingInTheConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		made := s.invite("adda@example.com")
		at := "/console/acme/users/" + string(made.UserID) + "/invitation/"
		first := url.Values{"sent": {"1"}}
		s.want(s.do("admin", "POST", at+"link", first), http.StatusOK)
		s.want(s.do("admin", "POST", at+"resend", first), http.StatusOK)
		if w := s.do("admin", "POST", at+"resend", first); w.Code != http.StatusSeeOther || len(s.mails) != 2 {
			t.Errorf("pressed twice: %d, %d mails", w.Code, len(s.mails))
		}
		body := s.want(s.do("admin", "POST", at+"correct", url.Values{"sent": {"2"}, "email": {"ada@"}}), http.StatusBadRequest)
		if !strings.Contains(body, `value="ada@"`) {
			t.Error("what was typed is lost")
		}
		s.want(s.do("agent", "POST", at+"correct", url.Values{"email": {"eve@example.com"}}), http.StatusForbidden)
		s.want(s.do("stranger", "POST", at+"correct", url.Values{"email": {"eve@example.com"}}), http.StatusNotFound)
		s.want(s.do("admin", "POST", at+"correct", url.Values{"sent": {"2"}, "email": {"ada@example.com"}}), http.StatusOK)
		if w := s.do("", "GET", "/invite/"+token(made.Link), nil); w.Code != http.StatusGone || strings.Contains(w.Body.String(), "ada@example.com") {
			t.Errorf("the old link: %d %s", w.Code, w.Body)
		}
		s.want(s.do("admin", "POST", at+"cancel", nil), http.StatusSeeOther)
		s.want(s.do("admin", "POST", at+"reopen", url.Values{}), http.StatusOK)
		if got := s.history(made.UserID); strings.Join(got, " ") != "create link resend correct cancel reopen" {
			t.Errorf("history: %v", got)
		}
		// A scanner's look is noted once and changes nothing; HEAD not even that.
		again := s.invite("eve@example.com")
		for _, method := range []string{"HEAD", "GET", "GET"} {
			s.want(s.do("", method, "/invite/"+token(again.Link), nil), http.StatusOK)
		}
		if got := s.history(again.UserID); strings.Join(got, " ") != "create open" || s.accept(again.Link) != nil {
			t.Errorf("history: %v", got)
		}
		// Every link gets the same answer.
		known := s.want(s.do("", "POST", "/invite/"+token(again.Link)+"/again", url.Values{}), http.StatusOK)
		if unknown := s.want(s.do("", "POST", "/invite/"+strings.Repeat("a", 75)+"/again", url.Values{}), http.StatusOK); unknown != known {
			t.Error("the answers differ")
		}
	})
}
