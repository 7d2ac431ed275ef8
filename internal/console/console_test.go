package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var ctx = context.Background()

// site is one organization behind the console; who asks is named by a header.
type site struct {
	t        testing.TB
	db       *store.DB
	mux      *web.Mux
	sessions *session.Store
	jobs     *jobs.Service
	invited  []store.UserID // again, by jobs
	asked    int            // for a fresh sign-in
	org      store.OrgID
	actors   map[string]access.Actor
	muster   access.Actor
	okta     store.Directory
	people   map[string]store.UserID
}

func newSite(t testing.TB, db *store.DB) *site {
	t.Helper()
	s := &site{t: t, db: db, people: map[string]store.UserID{}, actors: map[string]access.Actor{}}
	s.org, s.muster = storetest.Org(t, db, "acme")
	s.sessions = session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080"})
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
		Fresh: func(http.ResponseWriter, *http.Request) (bool, error) { s.asked++; return false, nil },
	})
	s.jobs = jobs.New(jobs.Options{DB: db, Log: slog.New(slog.DiscardHandler), Actor: func(tx *store.Tx, who jobs.Starter) (access.Actor, error) {
		return s.sessions.ActorOf(tx, store.UserID(who.ID))
	}})
	s.jobs.Mount(s.mux)
	console.New(console.Options{DB: db, Sessions: s.sessions, Life: life.New(life.Options{DB: db}), Jobs: s.jobs, Bulk: console.BulkOps{
		InviteAgain: func(tx *store.Tx, id store.UserID) error { s.invited = append(s.invited, id); return nil },
		Cancel:      func(tx *store.Tx, id store.UserID) error { _, err := tx.DeleteUser(id, "cancelled"); return err },
		PutBack:     func(tx *store.Tx, id store.UserID) error { _, err := tx.ReinviteUser(id, "opened again"); return err },
	},
		Traits: map[string]func(tx *store.Tx) []store.PeopleSet{
			"locked": func(tx *store.Tx) []store.PeopleSet {
				return []store.PeopleSet{{IDs: "SELECT u.id FROM users u WHERE u.org_id = ? AND u.user_name_key = ? AND u.deleted_at = 0", Args: []any{tx.Org(), "ivy@acme.example"}}}
			},
			"nofactor": func(tx *store.Tx) []store.PeopleSet {
				not := store.PeopleSet{IDs: "SELECT u.id FROM users u WHERE u.org_id = ? AND u.user_name_key = ? AND u.deleted_at = 0", Args: []any{tx.Org(), "ivy@acme.example"}, Not: true}
				return []store.PeopleSet{not, not}
			},
		},
		Invitations: func(tx *store.Tx, ids []store.UserID) (map[store.UserID]console.Invitation, error) {
			of := map[store.UserID]console.Invitation{}
			for _, id := range ids {
				if id == s.people["ivy"] {
					of[id] = console.Invitation{State: "expired", InvitedBy: "Bea Boss", Sent: 2, SentAt: tx.Now(), ExpiresAt: tx.Now()}
				}
			}
			return of, nil
		},
		AttributeSources: func(tx *store.Tx, u store.User) (list []console.AttributeSource, err error) {
			if u.ID == s.people["ivy"] {
				list = []console.AttributeSource{{Attr: "title", Label: web.Say("Title"), Connection: "Okta SAML", Source: "t", Since: tx.Now()}, {Attr: "x", Label: web.Say("%s", "Team"), Locked: true}, {Attr: "y", Label: web.Say("%s", "Seat"), Connection: "Okta SAML", Source: "y"}}
			}
			return list, nil
		},
		Identities: func(tx *store.Tx, id store.UserID) ([]console.Identity, error) {
			return []console.Identity{{Connection: "Okta SAML", Subject: "00u1", LastSeen: tx.Now()}}, nil
		},
		CreateDirectory: func(tx *store.Tx, name, vendor, mode string) (store.Directory, string, error) {
			d, err := tx.CreateDirectory(store.Directory{Name: name, Vendor: vendor, Mode: mode})
			return d, "the-token", err
		},
		DirectoryURL: func(id store.DirectoryID) string { return "http://127.0.0.1:8080/scim/v2/" + string(id) },
		Tokens:       s.tokens(),
		Clients:      s.clients(),
		Settings:     s.settings(),
		Vendors:      []web.Option{{Value: "okta", Label: "Okta"}, {Value: "entra", Label: "Entra ID"}},
	}).Mount(s.mux)
	s.fill()
	return s
}

// fill has a person of every kind.
func (s *site) fill() {
	s.write(s.muster, func(tx *store.Tx) (err error) {
		s.okta, err = tx.CreateDirectory(store.Directory{Name: "Okta Prod", Vendor: "okta", Mode: "compat"})
		return err
	})
	s.people["okta"] = store.UserID(s.okta.ID)
	dir := access.Actor{Kind: access.Directory, Org: string(s.org), ID: string(s.okta.ID), Name: "Okta Prod"}
	s.add(s.muster, "boss", store.FromAPI, store.Active, access.Admin)
	s.add(s.muster, "viewer", store.FromCSV, store.Active, access.Viewer)
	s.add(s.muster, "agent", store.FromJIT, store.Active, access.Agent)
	s.add(dir, "scott", store.FromSCIM, store.Active)
	s.add(s.muster, "ivy", store.FromInvite, store.Invited)
	s.add(s.muster, "dora", store.FromInvite, store.Deactivated)
	s.write(s.muster, func(tx *store.Tx) error {
		g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}, Members: []store.UserID{s.people["agent"], s.people["scott"]}})
		s.people["Support"] = store.UserID(g.ID)
		return err
	})
	s.write(dir, func(tx *store.Tx) error {
		g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Everyone"}, Members: []store.UserID{s.people["scott"]}})
		s.people["Everyone"] = store.UserID(g.ID)
		return err
	})
	for who, role := range map[string]string{"boss": access.Admin, "viewer": access.Viewer, "agent": access.Agent} {
		s.actors[who] = access.Actor{Kind: access.Person, Org: string(s.org), ID: string(s.people[who]), Name: who, Roles: []string{role}, IP: "192.0.2.1"}
	}
	other, _ := storetest.Org(s.t, s.db, "other")
	s.actors["stranger"] = access.Actor{Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Name: "Stranger", Roles: []string{access.Admin}}
	s.actors["operator"] = access.Actor{Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Name: "Olga", Operator: true}
}

func (s *site) add(actor access.Actor, name string, from store.Source, status store.Status, roles ...string) {
	s.t.Helper()
	s.write(actor, func(tx *store.Tx) error {
		p := store.Profile{UserName: name + "@acme.example", Email: name + "@acme.example", GivenName: strings.ToUpper(name[:1]) + name[1:], FamilyName: "Person", Department: "Dept of " + name}
		u, err := tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: from, Status: status, Roles: roles, Reason: store.Manual})
		s.people[name] = u.ID
		return err
	})
}

func (s *site) write(actor access.Actor, f func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(ctx, actor, f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) user(name string) (u store.User) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.muster, func(tx *store.Tx) (err error) { u, err = tx.AnyUser(s.people[name]); return err }); err != nil {
		s.t.Fatal(err)
	}
	return u
}

// path is a page of the console; {name} is that person's or team's id.
func (s *site) path(p string) string {
	for name, id := range s.people {
		p = strings.ReplaceAll(p, "{"+name+"}", string(id))
	}
	return "/console/acme" + p
}

func (s *site) do(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(form.Encode()))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Who", who)
	w := httptest.NewRecorder()
	openapitest.Checked(s.t, s.mux).ServeHTTP(w, r)
	return w
}

// page gets a page, checks what every page must have, and gives its text.
func (s *site) page(who, path string) string {
	s.t.Helper()
	w := s.do(who, "GET", path, nil)
	if w.Code != http.StatusOK {
		s.t.Fatalf("GET %s as %s: %d: %s", path, who, w.Code, brief(w))
	}
	return webtest.Text(webtest.Page(s.t, w.Body.String()))
}

// german is the text of a page as the admin reads it in German, or of the answer to a form.
func (s *site) german(path string, form ...url.Values) string {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+path, nil)
	for _, f := range form {
		r = httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080"+path, strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Who", "boss")
	r.Header.Set("Accept-Language", "de")
	w := httptest.NewRecorder()
	openapitest.Checked(s.t, s.mux).ServeHTTP(w, r)
	return webtest.Text(webtest.Page(s.t, w.Body.String()))
}

// post sends a form; a refusal must be a proper page, whose body it gives.
func (s *site) post(who, path string, want int, form url.Values) string {
	s.t.Helper()
	w := s.do(who, "POST", path, form)
	if w.Code != want {
		s.t.Fatalf("POST %s as %s: %d, want %d: %s", path, who, w.Code, want, brief(w))
	}
	if want != http.StatusSeeOther {
		webtest.Page(s.t, w.Body.String())
	}
	return w.Body.String()
}

func has(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in: %.1500s", w, text)
		}
	}
}

func hasNot(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(text, w) {
			t.Errorf("%q in: %.1500s", w, text)
		}
	}
}

func TestWhoReachesWhichRoute(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		for route, want := range map[string]string{ // boss, viewer, agent, stranger, nobody, operator
			"GET /users":                                  "200 200 403 404 303 200",
			"GET /users/{ivy}":                            "200 200 403 404 303 200",
			"GET /users/{ivy}/edit":                       "200 403 403 404 303 200",
			"POST /users/{ivy}/edit":                      "409 403 403 404 303 409",
			"GET /users/{scott}/deactivate":               "200 403 403 404 303 200",
			"GET /users/{scott}/detach":                   "200 403 403 404 303 200",
			"GET /users/{dora}/reactivate":                "200 403 403 404 303 200",
			"GET /deleted":                                "200 403 403 404 303 200",
			"GET /planned":                                "200 200 403 404 303 200",
			"GET /settings/seats":                         "200 200 403 404 303 200",
			"POST /settings/seats":                        "403 403 403 404 303 303",
			"POST /settings/seats/licenses":               "303 403 403 404 303 303",
			"POST /users/{dora}/restore":                  "409 403 403 404 303 409",
			"POST /users/{agent}/detach":                  "409 403 403 404 303 409",
			"POST /users/{agent}/sessions/end":            "303 403 403 404 303 303",
			"GET /activity":                               "200 200 403 404 303 200",
			"GET /teams":                                  "200 200 403 404 303 200",
			"POST /teams":                                 "400 403 403 404 303 400",
			"GET /teams/{Support}":                        "200 200 403 404 303 200",
			"POST /teams/{Support}/rename":                "400 403 403 404 303 400",
			"POST /teams/{Support}/add":                   "400 403 403 404 303 400",
			"POST /teams/{Support}/remove":                "404 403 403 404 303 404",
			"POST /teams/{Everyone}/delete":               "403 403 403 404 303 403",
			"GET /directories":                            "200 403 403 404 303 200",
			"POST /directories":                           "400 403 403 404 303 400",
			"GET /directories/{okta}":                     "200 403 403 404 303 200",
			"POST /directories/{okta}/tokens":             "400 403 403 404 303 400",
			"POST /directories/{okta}/tokens/rotate":      "400 403 403 404 303 400",
			"POST /directories/{okta}/tokens/revoke":      "404 403 403 404 303 404",
			"GET /directories/{okta}/clients":             "200 403 403 404 303 200",
			"POST /directories/{okta}/clients":            "400 403 403 404 303 400",
			"POST /directories/{okta}/clients/rotate":     "400 403 403 404 303 400",
			"POST /directories/{okta}/clients/revoke":     "404 403 403 404 303 404",
			"GET /directories/{okta}/roles":               "200 403 403 404 303 200",
			"POST /directories/{okta}/roles":              "400 403 403 404 303 400",
			"POST /directories/{okta}/roles/unmap":        "404 403 403 404 303 404",
			"GET /directories/" + strings.Repeat("0", 32): "404 403 403 404 303 404",
			"GET /users/nothex":                           "404 404 403 404 303 404",
			"GET /users/" + strings.Repeat("0", 32):       "404 404 403 404 303 404",
			"GET /teams/" + strings.Repeat("f", 32):       "404 404 403 404 303 404",
		} {
			method, path, _ := strings.Cut(route, " ")
			var got []string
			for _, who := range []string{"boss", "viewer", "agent", "stranger", "", "operator"} {
				got = append(got, fmt.Sprint(s.do(who, method, s.path(path), nil).Code))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", route, got, want)
			}
		}
		for _, move := range []string{"deactivate", "reactivate", "delete"} {
			for who, want := range map[string]int{"viewer": 403, "agent": 403, "stranger": 404, "": 303} {
				if w := s.do(who, "POST", s.path("/users/{scott}/"+move), nil); w.Code != want {
					t.Errorf("%s by %q: %d, want %d", move, who, w.Code, want)
				}
			}
		}
		if u := s.user("scott"); u.Status != store.Active || u.Version != 1 {
			t.Errorf("somebody changed scott: %+v", u)
		}
	})
}

func TestTheDoorToTheConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		if w := s.do("viewer", "GET", "/console", nil); w.Header().Get("Location") != "/console/acme/users" {
			t.Errorf("a viewer goes to %q (%d)", w.Header().Get("Location"), w.Code)
		}
		if w := s.do("agent", "GET", "/console", nil); w.Code != http.StatusForbidden {
			t.Errorf("an agent gets %d", w.Code)
		}
		if w := s.do("operator", "GET", "/console", nil); w.Header().Get("Location") != "/console/-/organizations" {
			t.Errorf("an operator goes to %q (%d)", w.Header().Get("Location"), w.Code)
		}
		storetest.Org(t, db, "globex")
		has(t, s.page("operator", "/console/globex/users"), "Nobody is here yet", "Upload a CSV file", "Connect a directory")
	})
}

func TestTheListOfPeople(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		text := s.page("viewer", "/console/acme/users")
		has(t, text, "6 people", "Invite expired", "Deactivated", "Active", "SCIM Okta Prod", "JIT", "CSV", "Admin", "Support")
		hasNot(t, text, "Import CSV")
		has(t, s.page("boss", "/console/acme/users"), "Import CSV", "Invite")
		text = s.page("viewer", "/console/acme/users?q=scott+pers&status=active&source=scim")
		has(t, text, "1 of 6", "Scott Person", "Clear")
		hasNot(t, text, "Dora")
		has(t, s.page("viewer", "/console/acme/users?q=%00%ff%27%3B--&role=admin"), "Nobody matches", "Clear filters")
		for _, bad := range []string{"status=x", "source=x", "role=x", "sort=x", "after=x", "before=e30", "signin=x", "created=x", "columns=x", "after=bnVsbA"} {
			if w := s.do("viewer", "GET", "/console/acme/users?"+bad, nil); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, w.Code)
			}
		}
		doc := webtest.Page(t, s.do("viewer", "GET", "/console/acme/users?sort=-created", nil).Body.String())
		var sorts []string
		for _, th := range webtest.All(doc, "th") {
			if a := webtest.Attr(th, "aria-sort"); a != "" {
				sorts = append(sorts, a)
			}
		}
		if strings.Join(sorts, " ") != "none none none none none descending" {
			t.Errorf("aria-sort: %v", sorts)
		}
	})
}

func TestAPersonsPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			_, _, err := s.sessions.Start(tx, session.In{User: s.people["scott"], Method: "saml"})
			return err
		})
		text := s.page("boss", s.path("/users/{scott}"))
		has(t, text, "managed by the directory Okta Prod", "Support", "Everyone", "Everyone: put in by Okta Prod, since", "Okta SAML", "Sign out everywhere", "Deactivate Scott Person", "Detach from Okta Prod", "added")
		text = s.page("viewer", s.path("/users/{scott}"))
		hasNot(t, text, "Deactivate Scott", "Sign out everywhere", "Edit", "Detach")
		has(t, s.page("boss", s.path("/users/{ivy}")), "Invite expired", "Send again", "Cancel the invitation", "2 times")
		has(t, s.page("boss", s.path("/users/{dora}")), "Reactivate Dora Person")
		s.post("boss", s.path("/users/{scott}/sessions/end"), 303, nil)
		has(t, s.page("boss", s.path("/users/{scott}")), "Not signed in anywhere", "signed out")
	})
}

func TestEndingAndGivingBackAccess(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		step := func(action string, want store.Status) {
			t.Helper()
			s.post("boss", s.path("/users/{agent}/"+action), 303, url.Values{"why": {"because of " + action}})
			if u := s.user("agent"); u.Status != want {
				t.Errorf("after %s: %s", action, u.Status)
			}
		}
		step("deactivate", store.Deactivated)
		step("reactivate", store.Active)
		step("delete", store.Deleted)
		has(t, s.page("boss", s.path("/users/{agent}")), "Restore Agent Person", "because of delete")
		has(t, s.page("boss", "/console/acme/users?status=deleted"), "Agent Person")
		step("restore", store.Deactivated)
		body := s.post("boss", s.path("/users/{boss}/deactivate"), 409, nil)
		has(t, body, "last active admin")
		body = s.post("boss", s.path("/users/{ivy}/reactivate"), 409, nil)
		has(t, body, "has not accepted the invitation")
		dir := access.Actor{Kind: access.Directory, Org: string(s.org), ID: string(s.okta.ID), Name: "Okta Prod"}
		s.write(dir, func(tx *store.Tx) error { _, err := tx.Deactivate(s.people["scott"], ""); return err })
		has(t, s.post("boss", s.path("/users/{scott}/reactivate"), 403, nil), "Okta Prod")
		if u := s.user("scott"); u.Status != store.Deactivated {
			t.Errorf("scott is %s", u.Status)
		}
	})
}

// team is the team of this name.
func (s *site) team(name string) (id store.GroupID) {
	s.t.Helper()
	s.write(s.muster, func(tx *store.Tx) error { g, err := tx.GroupByName(name); id = g.ID; return err })
	return id
}

func TestEditing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/users/{agent}/edit")
		s.page("boss", at)
		form := url.Values{"version": {"1"}, "given_name": {"Ágnes"}, "family_name": {"Kiss"}, "user_name": {"agent@acme.example"}, "email": {"agnes@acme.example"},
			"title": {"Lead"}, "department": {"Ops"}, "manager": {"boss@acme.example"}, "role": {access.Viewer}, "teams": {}, "teams_shown": {string(s.team("Support"))}}
		s.post("boss", at, 303, form)
		u := s.user("agent")
		if p := u.Profile(); p.FullName() != "Ágnes Kiss" || p.Title != "Lead" || u.ManagerID != s.people["boss"] || u.Email != "agnes@acme.example" {
			t.Errorf("saved: %+v", p)
		}
		if err := db.Read(ctx, s.muster, func(tx *store.Tx) error {
			groups, err := tx.GroupsOf([]store.UserID{u.ID})
			roles, err2 := tx.RolesOf([]store.UserID{u.ID})
			if len(groups[u.ID]) > 0 || len(roles[u.ID]) != 1 || roles[u.ID][0].Role != access.Viewer {
				t.Errorf("groups %v, roles %v", groups, roles)
			}
			return joined(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		body := s.post("boss", at, 409, form) // the version is old now
		has(t, body, "changed meanwhile", `name="version" value="2"`)
		typed := url.Values{"version": {"1"}, "title": {"<b>Chief"}, "department": {""}, "given_name": {"Ágnes"}, "teams": {string(s.team("Support"))}}
		body = s.post("boss", at, 409, typed) // what was typed stays, beside what is stored
		has(t, body, `value="&lt;b&gt;Chief"`, "It is &#34;Lead&#34; now.", "It is &#34;Ops&#34; now.", `name="version" value="2"`)
		hasNot(t, body, "Ágnes&#34; now", `name="version" value="1"`)
		for field, c := range map[string]struct {
			status int
			with   url.Values
		}{
			"email":     {400, url.Values{"email": {"not an address"}}},
			"user_name": {409, url.Values{"user_name": {"BOSS@acme.example"}}},
			"manager":   {400, url.Values{"manager": {"nobody"}}},
			"role":      {400, url.Values{"role": {"emperor"}}},
			"teams":     {400, url.Values{"teams": {"x"}}},
			"title":     {400, url.Values{"title": {"a\x01b"}}},
		} {
			c.with.Set("version", "2")
			if c.with.Get("role") == "" {
				c.with.Set("role", access.Viewer)
			}
			body := s.post("boss", at, c.status, c.with)
			has(t, body, `href="#f-`+field+`"`)
		}
		if u := s.user("agent"); u.Version != 2 {
			t.Errorf("a refused edit left version %d", u.Version)
		}
		has(t, s.post("boss", s.path("/users/{boss}/edit"), 409, url.Values{"version": {"1"}, "role": {access.Viewer}}), "last active admin")
	})
}

func TestManagedPeopleAreEditedInTheirDirectory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/users/{scott}/edit")
		body := s.do("boss", "GET", at, nil).Body.String()
		has(t, body, "Okta Prod", "<fieldset class=\"field\" disabled>")
		has(t, s.post("boss", at, 403, url.Values{"version": {"1"}, "given_name": {"Mallory"}, "family_name": {"Person"}, "user_name": {"scott@acme.example"}, "email": {"scott@acme.example"}}), "managed by the directory Okta Prod")
		s.post("boss", at, 303, url.Values{"version": {"1"}, "role": {access.Viewer}, "teams": {}, "teams_shown": {string(s.team("Support"))}})
		if u := s.user("scott"); u.Profile().GivenName != "Scott" || u.Version != 1 {
			t.Errorf("scott: %+v", u.Profile())
		}
		if err := db.Read(ctx, s.muster, func(tx *store.Tx) error {
			groups, err := tx.GroupsOf([]store.UserID{s.people["scott"]})
			if g := groups[s.people["scott"]]; len(g) != 1 || g[0].Name != "Everyone" {
				t.Errorf("groups: %v", g)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		s.post("boss", s.path("/users/{scott}/detach"), 303, nil)
		if u := s.user("scott"); u.DirectoryID != "" {
			t.Errorf("scott is still managed by %s", u.DirectoryID)
		}
	})
}

func joined(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// brief is what a page says first.
func brief(w *httptest.ResponseRecorder) string {
	_, main, _ := strings.Cut(w.Body.String(), "<main")
	return main[:min(len(main), 600)]
}
