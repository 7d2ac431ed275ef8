package invite_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
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
	s.mux.ServeHTTP(w, r)
	return w
}

func (s *site) want(w *httptest.ResponseRecorder, status int) string {
	s.t.Helper()
	if w.Code != status {
		s.t.Fatalf("status %d, want %d\n%s", w.Code, status, w.Body)
	}
	return w.Body.String()
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
		s.mux.ServeHTTP(w, r)
		s.want(w, http.StatusForbidden)
	})
}
