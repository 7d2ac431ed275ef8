package review_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/review"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// desk is an organization with a service behind its pages; who asks is named by a header.
type desk struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	s     *review.Service
	mux   *web.Mux
	org   store.OrgID
	ids   map[string]store.UserID
	who   map[string]access.Actor
	mails []string // "ann: subject path"
	mu    sync.Mutex
}

func newDesk(t *testing.T, db *store.DB, clock *storetest.Clock) *desk {
	t.Helper()
	org, _ := storetest.Org(t, db, "acme")
	d := &desk{t: t, db: db, clock: clock, org: org, ids: map[string]store.UserID{}, who: map[string]access.Actor{}}
	d.s = d.another()
	d.mux = web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (access.Actor, error) {
			if a, ok := d.who[r.Header.Get("X-Who")]; ok {
				return a, nil
			}
			return access.Actor{}, fault.SignIn.Say("Please sign in.")
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		}})
	d.s.Mount(d.mux)
	d.person("root", access.Admin)
	d.person("bob", access.Admin)
	return d
}

func (d *desk) another() *review.Service {
	return review.New(review.Options{DB: d.db, Log: slog.New(slog.DiscardHandler), Mail: func(_ *store.Tx, user store.UserID, l web.Notice) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		for name, id := range d.ids {
			if id == user {
				d.mails = append(d.mails, name+": "+l.Subject.String())
			}
		}
		return nil
	}})
}

// write runs fn as the server.
func (d *desk) write(fn func(*store.Tx) error) {
	d.t.Helper()
	d.as(access.Muster(string(d.org)), fn)
}

func (d *desk) as(who access.Actor, fn func(*store.Tx) error) {
	d.t.Helper()
	if err := d.db.Write(context.Background(), who, fn); err != nil {
		d.t.Fatal(err)
	}
}

// person makes somebody active; a role is given by hand.
func (d *desk) person(name, role string) store.UserID {
	d.t.Helper()
	d.write(func(tx *store.Tx) error {
		u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, DisplayName: name, Email: name + "@acme.example"}.Doc(), Status: store.Active, Source: store.FromAPI, Reason: store.Manual})
		if err != nil {
			return err
		}
		d.ids[name] = u.ID
		if role != "" {
			return tx.Grant(u.ID, role, store.Manual)
		}
		return nil
	})
	d.who[name] = access.Actor{Kind: access.Person, Org: string(d.org), ID: string(d.ids[name]), Name: name, Roles: []string{role}, IP: "192.0.2.7"}
	return d.ids[name]
}

// team makes a local team with these people.
func (d *desk) team(name string, people ...string) store.GroupID {
	d.t.Helper()
	var id store.GroupID
	d.as(d.who["root"], func(tx *store.Tx) error {
		g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}})
		if err != nil {
			return err
		}
		id = g.ID
		for _, p := range people {
			if _, err := tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{d.ids[p]}}); err != nil {
				return err
			}
			if g, err = tx.Group(id); err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

// ask sends a form, or reads a page or the API, and wants this status.
func (d *desk) ask(want int, who, method, path, body string) string {
	d.t.Helper()
	return webtest.Ask(d.t, openapitest.Checked(d.t, d.mux), want, who, method, path, body)
}

func (d *desk) json(want int, who, method, path, body string) map[string]any {
	d.t.Helper()
	return webtest.AskJSON(d.t, openapitest.Checked(d.t, d.mux), want, who, method, path, body)
}

// start begins a review of everybody, decided by root and bob, and gives its address in the API.
func (d *desk) start(more string) string {
	d.t.Helper()
	due := d.clock.Now().Add(14 * 24 * time.Hour).Format(time.RFC3339)
	got := d.json(201, "root", "POST", "/api/v1/reviews", `{"name": "Spring", "scope": "all", "reviewers": ["root", "bob"], "due_at": "`+due+`"`+more+`}`)
	return "/api/v1/reviews/" + got["id"].(string)
}

// rows are "1 ann role viewer: open" by filter.
func (d *desk) rows(at, query string) []string {
	d.t.Helper()
	list := []string{}
	for _, r := range d.json(200, "root", "GET", at+"/rows"+query, "")["rows"].([]any) {
		m := r.(map[string]any)
		list = append(list, fmt.Sprint(m["number"], " ", m["person"], " ", m["kind"], " ", m["name"], ": ", m["decision"]))
	}
	return list
}

// row is the number of a row.
func (d *desk) row(at, what string) int {
	d.t.Helper()
	for _, line := range d.rows(at, "") {
		var n int
		if _, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, what+":") {
			if _, err := fmt.Sscan(line, &n); err != nil {
				d.t.Fatal(err)
			}
			return n
		}
	}
	d.t.Fatalf("no row %q in %v", what, d.rows(at, ""))
	return 0
}

// decide gives the result of one row: "done removed", "refused open: why".
func (d *desk) decide(who, at, do string, row int) string {
	d.t.Helper()
	got := d.json(200, who, "POST", at+"/decisions", fmt.Sprintf(`{"decision": %q, "rows": [%d], "note": "because"}`, do, row))
	m := got["results"].([]any)[0].(map[string]any)
	out := fmt.Sprint(m["result"], " ", m["decision"])
	if m["why"] != nil {
		out += ": " + m["why"].(string)
	}
	if m["remedy"] != nil {
		out += " | " + m["remedy"].(string)
	}
	return out
}

func (d *desk) roles(name string) string {
	d.t.Helper()
	var list []string
	d.write(func(tx *store.Tx) error {
		of, err := tx.RolesOf([]store.UserID{d.ids[name]})
		list = store.RoleNames(of[d.ids[name]])
		return err
	})
	return strings.Join(list, " ")
}

func (d *desk) is(what string, got, want any) {
	d.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAReviewFromStartToEnd(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("=ann", access.Viewer)
		d.person("carl", "")
		team := d.team("Support", "=ann", "carl")
		at := d.start("")
		d.is("rows", strings.Join(d.rows(at, ""), "; "), "1 =ann role Viewer: open; 2 =ann team Support: open; 3 bob role Admin: open; 4 carl role Agent: open; 5 carl team Support: open; 6 root role Admin: open")
		d.is("of a role", d.rows(at, "?role=admin"), "[3 bob role Admin: open 6 root role Admin: open]")
		d.is("of a team", d.rows(at, "?team="+string(team)), "[2 =ann team Support: open 5 carl team Support: open]")
		d.is("behind", d.rows(at, "?idle=true&after=4"), "[5 carl team Support: open 6 root role Admin: open]")
		d.is("confirm", d.decide("bob", at, "confirm", 1), "done confirmed")
		d.is("again", d.decide("root", at, "remove", 1), "refused confirmed: bob decided this meanwhile. Nothing was changed.")
		d.is("a team", d.decide("root", at, "remove", 2), "done removed")
		d.is("the default", d.decide("root", at, "remove", 4), "refused open: This is what everybody has without another role. Deactivate the person to end all access.")
		d.is("an admin", d.decide("root", at, "remove", 3), "done removed")
		d.is("the last admin", d.decide("root", at, "remove", 6), "refused open: This is the last active admin of the organization. Make somebody else an admin first.")
		d.is("bob", d.roles("bob"), "agent")
		d.is("members", d.rows(at, "?decision=open"), "[4 carl role Agent: open 5 carl team Support: open 6 root role Admin: open]")
		d.is("opened again", d.decide("root", at, "reopen", 1), "done open")
		d.is("not what is done", d.decide("root", at, "reopen", 2), "refused removed: Only what was confirmed, or is to be removed at the source, can be opened again.")
		d.write(func(tx *store.Tx) error { return tx.Revoke(d.ids["=ann"], access.Viewer, store.Manual) })
		d.is("gone meanwhile", d.decide("root", at, "confirm", 1), "done gone")
		d.write(func(tx *store.Tx) error { _, err := tx.DeleteUser(d.ids["carl"], ""); return err })
		d.is("a person gone", d.decide("root", at, "remove", 5), "done gone")
		d.json(404, "root", "POST", at+"/decisions", `{"decision": "confirm", "rows": [6, 99]}`)
		d.json(400, "root", "POST", at+"/decisions", `{"decision": "confirm", "rows": []}`)
		d.is("an odd decision", d.json(400, "root", "POST", at+"/decisions", `{"decision": "keep", "rows": [6]}`)["field"], "decision")
		d.json(400, "root", "POST", at+"/decisions", `{"decision": "confirm", "rows": [6], "note": "a\u202e"}`)
		got := d.json(200, "root", "POST", at+"/finish", "")
		d.is("finished", fmt.Sprint(got["state"], " ", got["rows"]), "finished map[confirmed:0 gone:2 open:2 removed:2 source:0]")
		d.json(409, "root", "POST", at+"/finish", "")
		d.json(409, "root", "POST", at+"/decisions", `{"decision": "confirm", "rows": [6]}`)
		d.json(409, "root", "PATCH", at, `{"reviewers": ["root"]}`)
		file := d.ask(200, "root", "GET", at+"/export/review.csv", "")
		if lines := strings.Split(strings.TrimSpace(file), "\n"); len(lines) != 7 || !strings.Contains(lines[1], "1,'=ann,'=ann@acme.example,") || !strings.Contains(lines[3], ",removed,because,root,") {
			t.Errorf("CSV: %s", file)
		}
		if rows := d.json(200, "root", "GET", at+"/export/review.json", "")["rows"].([]any); len(rows) != 6 {
			t.Errorf("JSON: %v", rows)
		}
		var acts []store.Activity
		d.write(func(tx *store.Tx) (err error) {
			acts, err = tx.Activities(store.ActivityQuery{Limit: 100})
			return err
		})
		n := map[string]int{}
		for _, a := range acts {
			n[a.Action]++
		}
		d.is("activity", []int{n["review.start"], n["review.decide"], n["review.finish"]}, "[1 6 1]")
	})
}

// What a directory or a sign-in gives is not taken away here, and never said to be.
func TestWhatComesFromElsewhereIsRemovedThere(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("ann", "")
		var group store.GroupID
		team := d.team("Sales")
		d.write(func(tx *store.Tx) error {
			dir, err := tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "strict"})
			if err != nil {
				return err
			}
			if err := tx.Grant(d.ids["ann"], access.Viewer, store.Reason{Kind: store.FromDirectory, Ref: string(dir.ID), Detail: `roles "Reader"`}); err != nil {
				return err
			}
			if _, err := tx.Join(d.ids["ann"], team, store.Reason{Kind: store.FromSignIn, Ref: "c1", Detail: "groups"}); err != nil {
				return err
			}
			return tx.As(access.Actor{Kind: access.Directory, Org: string(d.org), ID: string(dir.ID), Name: "Okta"}, func() error {
				u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "dora"}.Doc(), Status: store.Active, Source: store.FromSCIM})
				if err != nil {
					return err
				}
				d.ids["dora"] = u.ID
				g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Okta staff"}, Members: []store.UserID{u.ID}})
				group = g.ID
				return err
			})
		})
		at := d.start("")
		d.is("a directory's role", d.decide("root", at, "remove", d.row(at, "ann role Viewer")), `done source | Take the person out of what gives it at Okta (roles "Reader"), or change the mapping of the directory here.`)
		d.is("by a sign-in", d.decide("root", at, "remove", d.row(at, "ann team Sales")), `done source | Take the person out of what gives it at a directory that is gone (groups), or change the mapping of the connection here.`)
		d.is("a directory's group", d.decide("root", at, "remove", d.row(at, "dora team Okta staff")), "done source | Take the person out of the group Okta staff at Okta.")
		d.is("is there still", d.roles("ann"), "viewer")
		var n int
		d.write(func(tx *store.Tx) error {
			return tx.Get(&n, "SELECT COUNT(*) FROM members WHERE org_id = ? AND group_id IN (?, ?)", tx.Org(), group, team)
		})
		d.is("members", n, 2)
		d.is("a second thought", d.decide("bob", at, "reopen", d.row(at, "ann role Viewer")), "done open")
	})
}

// Nobody decides who is not asked, and nobody reaches over people who may do more.
func TestWhoDecides(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("ann", access.Viewer)
		d.person("third", access.Admin)
		d.person("boss", "")
		d.person("crew", access.Viewer)
		d.person("temp", "")
		d.write(func(tx *store.Tx) error {
			for _, name := range []string{"crew", "temp"} {
				u, err := tx.User(d.ids[name])
				if err != nil {
					return err
				}
				doc, err := u.Attributes()
				if err != nil {
					return err
				}
				doc["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = map[string]any{"manager": map[string]any{"value": string(d.ids["boss"])}}
				if _, err := tx.UpdateUser(u, store.UserChange{Doc: doc}); err != nil {
					return err
				}
			}
			_, err := tx.SetBreakGlass(d.ids["ann"], true, "breakglass.add")
			return err
		})
		d.team("Crew", "crew", "temp")
		other, _ := storetest.Org(t, db, "other")
		d.who["stranger"] = access.Actor{Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Name: "Eve", Roles: []string{access.Admin}}
		at := d.start(`, "managers": true`)
		d.json(403, "third", "POST", at+"/decisions", `{"decision": "confirm", "rows": [1]}`)
		d.json(403, "ann", "POST", at+"/decisions", `{"decision": "confirm", "rows": [1]}`)
		d.json(404, "stranger", "GET", at, "")
		d.json(404, "stranger", "POST", at+"/decisions", `{"decision": "confirm", "rows": [1]}`)
		got := d.decide("root", at, "remove", d.row(at, "ann role Viewer"))
		if !strings.HasPrefix(got, "refused open: ann is a break-glass account") {
			t.Errorf("a break-glass account: %s", got)
		}
		page := strings.Replace(at, "/api/v1", "/account", 1)
		text := d.ask(200, "boss", "GET", page, "")
		if !strings.Contains(text, "crew@acme.example") || strings.Contains(text, "bob@") || strings.Contains(text, "/console/") {
			t.Errorf("what a manager sees: %s", text)
		}
		if text := d.ask(200, "boss", "GET", "/account/reviews", ""); !strings.Contains(text, "Spring") {
			t.Error("the manager is not led to the review")
		}
		d.ask(404, "temp", "GET", page, "")
		d.ask(404, "temp", "POST", page+"/decide", "do=confirm&row=1")
		d.ask(404, "boss", "POST", page+"/decide", fmt.Sprintf("do=confirm&row=%d", d.row(at, "bob role Admin")))
		text = d.ask(409, "boss", "POST", page+"/decide", fmt.Sprintf("do=remove&row=%d", d.row(at, "crew role Viewer")))
		if !strings.Contains(text, "more than you may do yourself") {
			t.Errorf("over somebody who may do more: %s", text)
		}
		d.ask(303, "boss", "POST", page+"/decide", fmt.Sprintf("do=remove&row=%d", d.row(at, "temp team Crew")))
		d.is("taken", d.rows(at, "?decision=removed"), fmt.Sprintf("[%d temp team Crew: removed]", d.row(at, "temp team Crew")))
		d.is("kept", d.roles("crew"), "viewer")
		plain := d.start("")
		d.ask(404, "boss", "GET", strings.Replace(plain, "/api/v1", "/account", 1), "")
		was := d.json(200, "third", "GET", plain, "")["version"]
		now := d.json(200, "third", "PATCH", plain, fmt.Sprintf(`{"reviewers": ["third"], "version": %q}`, was))["version"]
		if got := d.json(409, "third", "PATCH", plain, fmt.Sprintf(`{"reviewers": ["root"], "version": %q}`, was)); got["field"] != "version" {
			t.Errorf("changed since: %v", got)
		}
		d.json(200, "third", "PATCH", plain, fmt.Sprintf(`{"reviewers": ["third"], "version": %q}`, now))
		d.json(403, "root", "POST", plain+"/decisions", `{"decision": "confirm", "rows": [1]}`)
		d.json(200, "third", "POST", plain+"/decisions", fmt.Sprintf(`{"decision": "confirm", "person": %q}`, d.ids["crew"]))
		d.is("all of a person", len(d.rows(plain, "?decision=confirmed")), 2)
	})
}

// Two reviewers decide one row at once: one does, the other is told.
func TestTwoDecideAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		for i := range 5 {
			d.person(fmt.Sprint("p", i), access.Viewer)
		}
		at := d.start("")
		id := review.ID(at[len("/api/v1/reviews/"):])
		for i := range 5 {
			row := d.row(at, fmt.Sprintf("p%d role Viewer", i))
			var done, told int
			var mu sync.Mutex
			var wg sync.WaitGroup
			for who, do := range map[string]string{"root": review.Remove, "bob": review.Confirm} {
				wg.Go(func() {
					err := db.Write(context.Background(), d.who[who], func(tx *store.Tx) error {
						out, err := d.s.Decide(tx, id, review.Decision{Do: do, Rows: []int{row}})
						if err == nil {
							mu.Lock()
							defer mu.Unlock()
							if out[0].Err == nil {
								done++
							} else {
								told++
							}
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			d.is("done and told", []int{done, told}, "[1 1]")
			kept, decision := d.roles(fmt.Sprint("p", i)), d.rows(at, fmt.Sprintf("?after=%d", row-1))[0]
			if (kept == "viewer") != strings.HasSuffix(decision, "confirmed") {
				t.Errorf("%s, and the person is %s", decision, kept)
			}
		}
	})
}

func TestScopesAndRefusals(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("ann", access.Viewer)
		d.person("carl", "")
		team := d.team("Support", "ann")
		due := clock.Now().Add(48 * time.Hour).Format(time.RFC3339)
		start := func(want int, scope, ref, more string) map[string]any {
			return d.json(want, "root", "POST", "/api/v1/reviews", fmt.Sprintf(`{"name": "x", "scope": %q, "scope_ref": %q, "reviewers": ["root"], "due_at": %q%s}`, scope, ref, due, more))
		}
		for _, c := range []struct {
			scope, ref string
			rows       float64
		}{{"all", "", 5}, {"admins", "", 2}, {"role", "viewer", 2}, {"role", "agent", 1}, {"team", string(team), 2}, {"source", "api", 5}} {
			d.is(c.scope+c.ref, start(201, c.scope, c.ref, "")["total"], c.rows)
		}
		start(400, "source", "csv", "")
		start(400, "source", "<b>", "")
		start(400, "role", "nothing", "")
		start(400, "team", "x", "")
		start(400, "team", string(store.NewID[store.Group]()), "")
		start(400, "planet", "", "")
		start(400, "all", "", `, "repeat_months": 5`)
		for _, bad := range []string{`{}`, `{"name": "", "scope": "all", "reviewers": ["root"], "due_at": "` + due + `"}`, `{"name": "a\u202eb", "scope": "all", "reviewers": ["root"], "due_at": "` + due + `"}`,
			`{"name": "` + strings.Repeat("x", 10000) + `", "scope": "all", "reviewers": ["root"], "due_at": "` + due + `"}`,
			`{"name": "x", "scope": "all", "reviewers": ["ann"], "due_at": "` + due + `"}`, `{"name": "x", "scope": "all", "reviewers": [], "due_at": "` + due + `"}`,
			`{"name": "x", "scope": "all", "reviewers": ["root"], "due_at": "2001-01-01T00:00:00Z"}`, `{"name": "x", "scope": "all", "reviewers": ["root"], "due_at": "soon"}`} {
			d.json(400, "root", "POST", "/api/v1/reviews", bad)
		}
		one, two := start(201, "all", "", `, "once": "form"`), start(201, "all", "", `, "once": "form"`)
		d.is("twice", one["id"], two["id"])
		d.json(403, "ann", "POST", "/api/v1/reviews", `{}`)
		d.json(200, "ann", "GET", "/api/v1/reviews", "")
		d.json(403, "carl", "GET", "/api/v1/reviews", "")
		for range 13 {
			start(201, "admins", "", "")
		}
		d.json(429, "root", "POST", "/api/v1/reviews", `{"name": "x", "scope": "all", "reviewers": ["root"], "due_at": "`+due+`"}`)
	})
}

func TestPagesOfAReview(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		for i := range 60 {
			d.person(fmt.Sprintf("<b>p%02d", i), access.Viewer)
		}
		if text := d.ask(200, "root", "GET", "/console/acme/reviews", ""); !strings.Contains(text, "No review yet") {
			t.Error("the empty list")
		}
		text := d.ask(200, "root", "GET", "/console/acme/reviews/new", "")
		if !strings.Contains(text, `name="reviewer" value="`+string(d.ids["bob"])+`"`) {
			t.Error("bob is not offered as a reviewer")
		}
		form := url.Values{"name": {"<i>Spring"}, "scope": {"all"}, "due": {clock.Now().Add(72 * time.Hour).Format(time.DateOnly)}, "repeat": {"0"}, "once": {"1"}}
		text = d.ask(400, "root", "POST", "/console/acme/reviews", form.Encode())
		if !strings.Contains(text, "Choose 1 to 20 admins") || !strings.Contains(text, "&lt;i&gt;Spring") {
			t.Errorf("nothing typed is lost: %s", text)
		}
		form.Set("reviewer", string(d.ids["root"]))
		at := d.ask(303, "root", "POST", "/console/acme/reviews", form.Encode())
		d.is("a double click", d.ask(303, "root", "POST", "/console/acme/reviews", form.Encode()), at)
		text = d.ask(200, "root", "GET", at, "")
		d.is("rows", strings.Count(text, `type="checkbox" name="row"`), 50)
		d.is("the next", strings.Count(d.ask(200, "root", "GET", at+"?after=50", ""), `type="checkbox" name="row"`), 12)
		d.is("the ones before", strings.Count(d.ask(200, "root", "GET", at+"?before=51", ""), `type="checkbox" name="row"`), 50)
		if text := d.ask(200, "bob", "GET", at, ""); strings.Contains(text, `name="row"`) || !strings.Contains(text, "none of the reviewers") {
			t.Error("who does not review is offered to decide")
		}
		d.is("back to the page", d.ask(303, "root", "POST", at+"/decide?decision=open&after=10", "do=confirm&row=11&row=12"), at+"?decision=open&after=10")
		text = d.ask(409, "root", "POST", at+"/decide", "do=confirm&row=11&row=13")
		if !strings.Contains(text, "One row was decided.") || !strings.Contains(text, "root decided this meanwhile") {
			t.Error("what was done and what not is not told")
		}
		if text = d.ask(400, "root", "POST", at+"/decide", "do=remove&note=why"); !strings.Contains(text, "Tick what you mean first") || !strings.Contains(text, `value="why"`) {
			t.Error("nothing ticked")
		}
		for _, bad := range []string{"?decision=x", "?after=-1", "?team=x", "?person=%00", "?role=" + strings.Repeat("x", 101)} {
			if r := httptest.NewRecorder(); true {
				q := httptest.NewRequest("GET", "http://127.0.0.1:8080"+at+bad, nil)
				q.Header.Set("X-Who", "root")
				d.mux.ServeHTTP(r, q)
				if r.Code != 400 && r.Code != 404 {
					t.Errorf("%s: %d", bad, r.Code)
				}
			}
		}
		if text := d.ask(200, "root", "GET", at+"/finish", ""); !strings.Contains(text, "59 rows are open") {
			t.Errorf("before the end: %s", text)
		}
		d.ask(303, "root", "POST", at+"/finish", "")
		d.ask(409, "root", "POST", at+"/finish", "")
		if text := d.ask(200, "root", "GET", at, ""); strings.Contains(text, `name="row"`) || !strings.Contains(text, "Not decided") {
			t.Error("a finished review can be changed")
		}
	})
}

// Reviewers are told at the start, before the end and after it, each once, however many servers there are.
func TestReviewersAreTold(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		at := d.start(`, "repeat_months": 3`)
		second := d.another()
		tend := func() []string {
			d.mails = nil
			var wg sync.WaitGroup
			for _, s := range []*review.Service{d.s, second} {
				wg.Go(func() {
					for _, err := range []error{s.Remind(context.Background()), s.Repeat(context.Background())} {
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			return d.mails
		}
		d.is("at the start", tend(), "[bob: Please review: Spring]") // root has started it
		d.is("again", tend(), "[]")
		clock.Pass(10 * 24 * time.Hour)
		d.is("too early", tend(), "[]")
		clock.Pass(26 * time.Hour)
		d.is("before the end", len(tend()), 2)
		clock.Pass(72 * time.Hour)
		d.is("after it", strings.Contains(fmt.Sprint(tend()), "bob: Overdue: Spring"), true)
		d.is("and no more", tend(), "[]")
		clock.Pass(90 * 24 * time.Hour)
		told := len(tend())
		list := d.json(200, "root", "GET", "/api/v1/reviews", "")["reviews"].([]any)
		d.is("repeated", len(list), 2)
		if m := list[0].(map[string]any); m["started_by"] != "Muster" || m["repeat_months"] != 3.0 {
			t.Errorf("the new one: %v", m)
		}
		d.is("it is told", told+len(tend()), 2)
		d.json(200, "root", "POST", at+"/finish", "")

		// The first has started again, so the second is the one to stop, also once it is over.
		newest := "/api/v1/reviews/" + list[0].(map[string]any)["id"].(string)
		page := "/console/acme/reviews/" + newest[len("/api/v1/reviews/"):]
		d.json(409, "root", "POST", at+"/stop-repeating", "")
		d.json(200, "root", "POST", newest+"/finish", "")
		d.is("when it starts again", d.json(200, "root", "GET", newest, "")["repeat_at"] != nil, true)
		d.is("the page", strings.Contains(d.ask(200, "root", "GET", page, ""), "Do not repeat it"), true)
		d.person("ann", access.Viewer)
		d.ask(403, "ann", "POST", page+"/stop-repeating", "")
		d.ask(303, "root", "POST", page+"/stop-repeating", "")
		d.is("it does not", d.json(200, "root", "GET", newest, "")["repeat_at"], any(nil))
		d.is("the page afterwards", strings.Contains(d.ask(200, "root", "GET", page, ""), "Starts again"), false)
		d.is("a double click", strings.Contains(d.ask(409, "root", "POST", page+"/stop-repeating", ""), "does not start again"), true)
		clock.Pass(200 * 24 * time.Hour)
		tend()
		d.is("no more reviews", len(d.json(200, "root", "GET", "/api/v1/reviews", "")["reviews"].([]any)), 2)
	})
}

// Who is removed for good is in no review by name, and the rows stay.
func TestForgottenPeople(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("ann", access.Viewer)
		at := d.start("")
		d.decide("bob", at, "confirm", d.row(at, "ann role Viewer"))
		for _, name := range []string{"ann", "bob"} {
			d.write(func(tx *store.Tx) error { return review.Forget(tx, d.ids[name]) })
		}
		file := d.ask(200, "root", "GET", at+"/export/review.csv", "")
		if strings.Contains(file, "ann") || strings.Contains(file, "bob") || strings.Count(file, "Removed person") != 3 {
			t.Errorf("%s", file)
		}
	})
}
