package operate_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// desk is the operator's pages; who asks is named by a header.
type desk struct {
	t        testing.TB
	db       *store.DB
	door     *operate.Door
	mux      *web.Mux
	sessions *session.Store
	actors   map[string]access.Actor
	facts    map[store.OrgID]operate.Facts
	asked    int // for a fresh sign-in
	invited  []string
	roles    []string // of whom was invited with one
	resent   []store.UserID
	known    store.UserID // whose password somebody else knows
	mail     *mail.Outbox
	api      *api.Door
	examine  func(ctx context.Context, data bool) ([]operate.Check, error)
}

func newDesk(t testing.TB, db *store.DB) *desk {
	t.Helper()
	d := &desk{t: t, db: db, actors: map[string]access.Actor{}, facts: map[store.OrgID]operate.Facts{}}
	d.sessions = session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080"})
	var err error
	d.mail, err = mail.New(mail.Options{DB: db, URL: "smtp://muster:pa55word@127.0.0.1:1", From: "muster@example.com", PublicURL: "https://id.example.com", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d.api = api.New(api.Options{DB: db})
	d.door = operate.New(operate.Options{DB: db, Mail: d.mail, Keys: d.keyOps(), Did: console.Did, Host: "one", Version: "1.2.3",
		Examine: func(ctx context.Context, data bool) ([]operate.Check, error) { return d.examine(ctx, data) },
		Loops: func() []operate.Loop {
			return []operate.Loop{{Name: "mail", Round: store.TimeOf(db.Now()), Failed: store.TimeOf(db.Now()), Error: "send mail: <b>refused"}}
		},
		ServerKeys: func(context.Context) ([]operate.ServerKey, error) {
			return []operate.ServerKey{{What: web.Say("Keys of SAML connections"), State: web.Say("There is none yet.")}}, nil
		},
		HasSecond: func(*store.Tx, store.UserID) (bool, error) { return false, nil }, Sessions: d.sessions, Log: slog.New(slog.DiscardHandler),
		Facts: func(context.Context, []store.OrgID) (map[store.OrgID]operate.Facts, error) { return d.facts, nil },
		Known: func(_ *store.Tx, user store.UserID) (bool, error) { return user == d.known, nil },
		Invite: func(tx *store.Tx, _ store.Org, in operate.Newcomer, role string) (store.UserID, error) {
			if !strings.Contains(in.Email, "@") {
				return "", fault.Invalid.On("email", "%q is not an e-mail address. Write it like ada@example.com.", in.Email)
			}
			d.invited = append(d.invited, in.Email)
			if role != "" {
				d.roles = append(d.roles, role)
			}
			p := store.Profile{UserName: in.Email, Email: in.Email, GivenName: in.GivenName}
			u, err := tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromInvite, Status: store.Invited, Reason: store.Manual})
			return u.ID, err
		},
		Resend: func(_ *store.Tx, _ store.Org, user store.UserID) error {
			d.resent = append(d.resent, user)
			return nil
		}})
	d.mux = web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler), OperatorNav: operate.Nav,
		Authenticate: func(r *http.Request) (access.Actor, error) {
			if a, ok := d.actors[r.Header.Get("X-Who")]; ok {
				return a, nil
			}
			return access.Actor{}, fault.SignIn.Say("Please sign in.")
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
		Fresh:   func(http.ResponseWriter, *http.Request) (bool, error) { d.asked++; return false, nil },
		Entered: d.door.Entered,
	})
	d.mux.Console(access.ViewUsers, "GET /console/{org}/users", func(w http.ResponseWriter, r *http.Request) error { return nil })
	d.door.Mount(d.mux)
	home, _ := storetest.Org(t, db, "home")
	d.actors["olga"] = d.person(home, "olga", true)
	d.actors["admin"] = d.person(home, "admin", false)
	return d
}

// keyOps is package api as cmd/muster hands it in.
func (d *desk) keyOps() operate.KeyOps {
	shown := func(k api.Key) operate.Key {
		return operate.Key{Org: k.OrgID, ID: string(k.ID), Name: k.Name, Role: k.Role, CreatedBy: k.CreatedBy, Operator: k.Operator, CreatedAt: k.CreatedAt, UsedAt: k.LastUsedAt, Ends: k.ExpiresAt}
	}
	return operate.KeyOps{
		All: func(ctx context.Context, actor access.Actor, org store.OrgID, after string, limit int) (out []operate.Key, more bool, err error) {
			list, more, err := d.api.AllKeys(ctx, actor, api.Key{OrgID: org, ID: api.KeyID(after)}, limit)
			for _, k := range list {
				out = append(out, shown(k))
			}
			return out, more, err
		},
		Create: func(ctx context.Context, actor access.Actor, name string, expires time.Time) (operate.Key, string, error) {
			k, text, err := d.api.Create(ctx, actor, api.NewKey{Name: name, Operator: true, Expires: expires})
			return shown(k), text, err
		},
		Revoke: func(ctx context.Context, actor access.Actor, id string) error {
			known, err := store.ParseID[api.Key](id)
			if err != nil {
				return err
			}
			return d.api.Revoke(ctx, actor, known)
		},
	}
}

// person is an active one of an organization.
func (d *desk) person(org store.OrgID, name string, operator bool) access.Actor {
	d.t.Helper()
	var u store.User
	err := d.db.Write(d.t.Context(), access.Muster(string(org)), func(tx *store.Tx) (err error) {
		p := store.Profile{UserName: name + "@example.com", Email: name + "@example.com", GivenName: name}
		u, err = tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromInvite, Status: store.Active, Roles: []string{access.Admin}, Reason: store.Manual})
		if err == nil && operator {
			err = d.sessions.MakeOperator(tx, u.ID)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return access.Actor{Kind: access.Person, Org: string(org), ID: string(u.ID), Name: name, Roles: []string{access.Admin}, Operator: operator}
}

// ask sends a form, or JSON under /api.
func (d *desk) ask(who, method, path, body string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Who", who)
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(body, "{") {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	w := httptest.NewRecorder()
	openapitest.Checked(d.t, d.mux).ServeHTTP(w, r)
	if w.Code/100 != 3 && strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		webtest.Page(d.t, w.Body.String())
	}
	return w
}

// want fails unless the answer has the status and the words.
func (d *desk) want(who, method, path, body string, status int, words ...string) string {
	d.t.Helper()
	w := d.ask(who, method, path, body)
	text := w.Body.String()
	if w.Code != status {
		d.t.Fatalf("%s %s %s as %s: %d, want %d\n%s", method, path, body, who, w.Code, status, text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			d.t.Errorf("%s %s as %s does not say %q:\n%s", method, path, who, word, text)
		}
	}
	return text
}

// actions are those on record in an organization, newest first.
func (d *desk) actions(org store.OrgID) (list []string) {
	d.t.Helper()
	err := d.db.Read(d.t.Context(), access.Muster(string(org)), func(tx *store.Tx) error {
		acts, err := tx.Activities(store.ActivityQuery{})
		for _, a := range acts {
			list = append(list, a.Action)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// Whoever runs no server reaches none of it, and changes nothing by trying.
func TestOnlyOperatorsOperate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		before := len(d.actions(acme))
		for _, route := range d.mux.Patterns() {
			method, path, _ := strings.Cut(route, " ")
			if !strings.HasPrefix(path, "/console/-/") && !strings.HasPrefix(path, "/api/v1/") {
				continue
			}
			path = strings.NewReplacer("{slug}", "acme", "{", "", "}", "").Replace(path)
			for who, want := range map[string]int{"admin": http.StatusForbidden, "nobody": http.StatusSeeOther} {
				if who == "nobody" && (method == "POST" || strings.HasPrefix(path, "/api/")) {
					want = http.StatusUnauthorized
				}
				if w := d.ask(who, method, path, "why=x&name=x&slug=x"); w.Code != want {
					t.Errorf("%s %s as %s: %d, want %d", method, path, who, w.Code, want)
				}
			}
		}
		if got := d.actions(acme); len(got) != before || d.asked > 0 {
			t.Errorf("activity afterwards: %v; asked for a sign-in: %d", got, d.asked)
		}
	})
}

func TestTheListOfOrganizations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		for i := range 51 {
			storetest.Org(t, db, fmt.Sprintf("org-%02d", i))
		}
		first := d.want("olga", "GET", "/console/-/organizations", "", 200, "home Inc", "org-00 Inc", "Next page")
		if strings.Contains(first, "org-50 Inc") {
			t.Error("the first page has everything")
		}
		_, rest, _ := strings.Cut(first, "cursor=")
		cursor, _, _ := strings.Cut(rest, `"`)
		d.want("olga", "GET", "/console/-/organizations?cursor="+cursor, "", 200, "org-50 Inc", "First page")
		d.want("olga", "GET", "/console/-/organizations?q=ORG-07", "", 200, "org-07 Inc")
		d.want("olga", "GET", "/console/-/organizations?q="+url.QueryEscape("<b>\u202e"), "", 200, "No organization is like that")
		d.want("olga", "GET", "/console/-/organizations?cursor=x", "", 400, "is no cursor")
		d.want("olga", "GET", "/console/-/organizations?state=odd", "", 400, "odd")
		d.want("olga", "GET", "/api/v1/organizations?limit=2&q=org-0", "", 200, `"slug":"org-00"`, `"slug":"org-01"`, `"next":"`, `"state":"active"`)
		d.want("olga", "GET", "/api/v1/organizations?limit=0", "", 400)
	})
}

func TestWhatIsWrongWithAnOrganization(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		now := store.TimeOf(clock.Now())
		d.facts[acme] = operate.Facts{Required: true, Lost: []string{"acme.example"}, Waiting: 2,
			Directories: []operate.Directory{{ID: "d1", Name: "Okta <b>", Vendor: "okta", Last: now, Failing: now}},
			Connections: []operate.Connection{{ID: "c1", Name: "Off", Protocol: "saml", Ends: now.Add(-1)}}}
		d.want("olga", "GET", "/console/-/organizations/acme", "", 200, "Okta &lt;b&gt; is refused since", "no connection is active", "acme.example", "2 people wait", "/console/acme/directories/d1")
		d.want("olga", "GET", "/console/-/organizations", "", 200, "Okta &lt;b&gt; is refused since")
		d.facts[acme] = operate.Facts{Required: true, Connections: []operate.Connection{
			{ID: "c1", Name: "Old", Active: true, Ends: now.Add(-1)}, {ID: "c2", Name: "Soon", Active: true, Ends: now.Add(10 * 24 * 3600e9)}, {ID: "c3", Name: "Fine", Active: true, Ends: now.Add(90 * 24 * 3600e9), Problem: "x"}}}
		page := d.want("olga", "GET", "/console/-/organizations/acme", "", 200, "of the connection Old ended", "of the connection Soon ends in 10 days", "metadata of the connection Fine cannot be read")
		if strings.Contains(page, "no connection is active") || strings.Index(page, "Soon ends") < strings.Index(page, "Old ended") {
			t.Error("the findings are wrong, or not the worst first")
		}
		d.facts[acme] = operate.Facts{}
		d.want("olga", "GET", "/console/-/organizations/acme", "", 200, "Nothing is wrong.")
		d.want("olga", "GET", "/console/-/organizations/nowhere", "", 404)
	})
}

// What asks for a fresh sign-in in the console asks for it by the REST API, too.
func TestWhatMattersAsksForAFreshSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		storetest.Org(t, db, "acme")
		d.examine = func(context.Context, bool) ([]operate.Check, error) { return nil, nil }
		matters := regexp.MustCompile(`^(POST|DELETE) /(console/-|api/v1)/(organizations(/{slug}/(suspend|resume))?|(operators|keys|operator-keys)(/.*)?)$`)
		asking := 0
		for _, route := range d.mux.Patterns() {
			method, path, _ := strings.Cut(route, " ")
			if !strings.HasPrefix(path, "/console/-/") && !strings.HasPrefix(path, "/api/v1/") {
				continue
			}
			d.asked = 0
			d.ask("olga", method, strings.NewReplacer("{slug}", "acme", "{", "", "}", "").Replace(path), "")
			if want := matters.MatchString(route); d.asked > 0 != want {
				t.Errorf("%s asks %d times for a fresh sign-in; want %v", route, d.asked, want)
			} else if want {
				asking++
			}
		}
		if asking != 14 {
			t.Errorf("%d routes ask, want seven by each door", asking)
		}
	})
}

func TestMakingRenamingAndSuspending(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		const at = "/console/-/organizations"
		d.want("olga", "POST", at, "name=Acme&slug=Acme!&email=ada@acme.example", 400, "cannot stand in an address", `value="ada@acme.example"`)
		d.want("olga", "POST", at, "name=Acme&slug=acme&email=ada", 400, "is not an e-mail address")
		d.want("olga", "GET", at+"/acme", "", 404) // all or nothing
		d.want("olga", "POST", at, "name=Acme&slug=acme&email=ada@acme.example&given_name=Ada", 303)
		d.want("olga", "POST", at, "name=Acme&slug=acme", 409, "already")
		if strings.Join(d.invited, " ") != "ada@acme.example" || strings.Join(d.roles, " ") != access.Admin {
			t.Errorf("invited %v as %v", d.invited, d.roles)
		}
		acme, err := db.OrgBySlug(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		ada := d.person(acme.ID, "ada", false)
		token := d.signIn(ada)

		d.want("olga", "POST", at+"/acme/rename", "name=", 400, "needs a name")
		d.want("olga", "POST", at+"/acme/rename", "name=Acme+Ltd", 303)
		d.want("olga", "POST", at+"/acme/suspend", "why=", 400, "Say why")
		d.want("olga", "POST", at+"/acme/suspend", "why=Not+paid", 303)
		d.want("olga", "POST", at+"/acme/suspend", "why=Not+paid", 409, "suspended already")
		d.want("olga", "GET", at+"?state=suspended", "", 200, "Acme Ltd", "Suspended")
		if _, err := d.session(token); !fault.Is(err, fault.SignIn) {
			t.Errorf("a session outlives the suspension: %v", err)
		}
		if _, err := d.start(ada); !fault.Is(err, fault.Denied) {
			t.Errorf("somebody signs in to a suspended organization: %v", err)
		}
		err = db.Write(t.Context(), access.Muster(string(acme.ID)), func(tx *store.Tx) error { return d.sessions.MakeOperator(tx, store.UserID(ada.ID)) })
		if !fault.Is(err, fault.Denied) {
			t.Errorf("an operator is made in a suspended organization: %v", err)
		}
		d.want("olga", "POST", "/api/v1/organizations/acme/resume", "", 200, `"state":"active"`)
		d.want("olga", "POST", at+"/acme/resume", "", 409, "is not suspended")
		if _, err := d.session(token); !fault.Is(err, fault.SignIn) {
			t.Errorf("a session comes back: %v", err)
		}
		if _, err := d.session(d.signIn(ada)); err != nil {
			t.Errorf("nobody gets in again: %v", err)
		}
		// Operators cannot be shut out.
		d.want("olga", "POST", at+"/home/suspend", "why=x", 409, "Take the right to operate from them first")
		d.want("olga", "PATCH", "/api/v1/organizations/acme", `{"name": "Acme"}`, 200, `"name":"Acme"`)
		d.want("olga", "POST", "/api/v1/organizations", `{"slug": "beta", "name": "Beta", "admin": {"email": "b@beta.example"}}`, 201, `"slug":"beta"`)
		got := strings.Join(d.actions(acme.ID), " ")
		if want := "org.rename org.resume org.suspend org.rename"; !strings.HasPrefix(got, want) {
			t.Errorf("on record: %s, want %s ...", got, want)
		}
	})
}

func (d *desk) start(who access.Actor) (token string, err error) {
	err = d.db.Write(d.t.Context(), access.Muster(who.Org), func(tx *store.Tx) error {
		token, _, err = d.sessions.Start(tx, session.In{User: store.UserID(who.ID), Method: "password"})
		return err
	})
	return token, err
}

func (d *desk) signIn(who access.Actor) string {
	d.t.Helper()
	token, err := d.start(who)
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

func (d *desk) session(token string) (access.Actor, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "muster", Value: token})
	return d.sessions.Authenticate(r)
}

// That an operator looks into an organization is on record there, once an hour.
func TestAnOperatorsEntryIsOnRecord(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		entries := func(org store.OrgID) (n int) {
			for _, a := range d.actions(org) {
				if a == "operator.enter" {
					n++
				}
			}
			return n
		}
		for range 3 {
			d.want("olga", "GET", "/console/acme/users", "", 200)
		}
		d.want("olga", "GET", "/console/home/users", "", 200)
		d.want("admin", "GET", "/console/acme/users", "", 404)
		if entries(acme) != 1 || entries(store.OrgID(d.actors["olga"].Org)) != 0 {
			t.Errorf("entries: %v", d.actions(acme))
		}
		clock.Pass(operate.EntryEvery + 1)
		d.want("olga", "GET", "/console/acme/users", "", 200)
		if entries(acme) != 2 {
			t.Errorf("an hour later: %v", d.actions(acme))
		}
	})
}
