package checklist_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/checklist"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

type desk struct {
	t       *testing.T
	db      *store.DB
	clock   *storetest.Clock
	s       *checklist.Service
	mux     *web.Mux
	org     store.OrgID
	ids     map[string]store.UserID
	who     map[string]access.Actor
	mu      sync.Mutex
	mails   []string
	factors map[store.UserID]bool
}

func newDesk(t *testing.T, db *store.DB, clock *storetest.Clock) *desk {
	t.Helper()
	org, _ := storetest.Org(t, db, "acme")
	d := &desk{t: t, db: db, clock: clock, org: org, ids: map[string]store.UserID{}, who: map[string]access.Actor{}, factors: map[store.UserID]bool{}}
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
	d.person("root", access.Admin, store.FromAPI)
	d.person("boss", "", store.FromAPI)
	return d
}

func (d *desk) another() *checklist.Service {
	return checklist.New(checklist.Options{DB: d.db, Log: slog.New(slog.DiscardHandler),
		SecondFactor: func(_ *store.Tx, user store.UserID) (bool, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.factors[user], nil
		},
		Mail: func(_ *store.Tx, user store.UserID, l web.Notice) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			for name, id := range d.ids {
				if id == user {
					d.mails = append(d.mails, name+": "+l.Subject.String()+" "+l.Path)
				}
			}
			return nil
		}})
}

func (d *desk) write(fn func(*store.Tx) error) {
	d.t.Helper()
	if err := d.db.Write(context.Background(), access.Muster(string(d.org)), fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) person(name, role string, from store.Source) {
	d.t.Helper()
	d.write(func(tx *store.Tx) error {
		doc := store.Profile{UserName: name, DisplayName: name, Email: name + "@acme.example"}.Doc()
		if boss := d.ids["boss"]; boss != "" {
			doc["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = map[string]any{"manager": map[string]any{"value": string(boss)}}
		}
		u, err := tx.CreateUser(store.NewUser{Doc: doc, Status: store.Active, Source: from, Reason: store.Manual})
		if err != nil {
			return err
		}
		if d.ids[name] = u.ID; role != "" {
			return tx.Grant(u.ID, role, store.Manual)
		}
		return nil
	})
	d.who[name] = access.Actor{Kind: access.Person, Org: string(d.org), ID: string(d.ids[name]), Name: name, Roles: []string{role}}
}

func (d *desk) ask(want int, who, method, path, body string) string {
	d.t.Helper()
	return webtest.Ask(d.t, openapitest.Checked(d.t, d.mux), want, who, method, path, body)
}

func (d *desk) json(want int, who, method, path, body string) map[string]any {
	d.t.Helper()
	return webtest.AskJSON(d.t, openapitest.Checked(d.t, d.mux), want, who, method, path, body)
}

func (d *desk) tend(services ...*checklist.Service) {
	d.t.Helper()
	if len(services) == 0 {
		services = []*checklist.Service{d.s}
	}
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() {
			if err := s.Tend(context.Background()); err != nil {
				d.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// tasks are "ann: Laptop open boss+3d" of somebody, or of everybody with open ones.
func (d *desk) tasks(query string) string {
	d.t.Helper()
	path := "/api/v1/checklists" + query
	if id := d.ids[query]; id != "" {
		path = "/api/v1/users/" + string(id) + "/checklists"
	}
	var list []string
	for _, r := range d.json(200, "root", "GET", path, "")["tasks"].([]any) {
		m := r.(map[string]any)
		due, err := time.Parse(time.RFC3339, m["due_at"].(string))
		if err != nil {
			d.t.Fatal(err)
		}
		who := "admins"
		for name, id := range d.ids {
			if string(id) == m["assignee_id"] {
				who = name
			}
		}
		days := int(due.Sub(d.clock.Now().Truncate(24*time.Hour)).Hours()) / 24
		list = append(list, fmt.Sprintf("%s: %s %s %s%+dd", m["name"], m["title"], m["state"], who, days))
	}
	return strings.Join(list, "; ")
}

func (d *desk) id(name, title string) string {
	d.t.Helper()
	for _, r := range d.json(200, "root", "GET", "/api/v1/users/"+string(d.ids[name])+"/checklists", "")["tasks"].([]any) {
		if m := r.(map[string]any); m["title"] == title {
			return m["id"].(string)
		}
	}
	d.t.Fatalf("%s has no task %s", name, title)
	return ""
}

func (d *desk) is(what string, got, want any) {
	d.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

const joiners = `{"tasks": [{"title": "Laptop", "note": "with a bag", "who": "manager", "days": 3}, {"title": "Signed in", "who": "admins", "days": 7, "auto": "signed_in"}, {"title": "Factor", "who": "admins", "days": 8, "auto": "second_factor"}]}`
const leavers = `{"tasks": [{"title": "Key back", "who": "admins", "days": -1}, {"title": "Out", "who": "admins", "days": 0, "auto": "access_ended"}, {"title": "Work", "who": "admins", "days": 5, "auto": "handed_over"}]}`

func TestTasksOfWhoComesAndGoes(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("early", "", store.FromInvite)
		d.tend()
		clock.Pass(time.Second)
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/joiner", joiners)
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/leaver", leavers)
		d.tend()
		d.is("who was there", d.tasks("early"), "")
		clock.Pass(time.Second)
		d.person("ann", "", store.FromInvite)
		d.person("robot", "", store.FromSCIM) // directories are not chosen
		second := d.another()
		d.tend(d.s, second)
		d.tend()
		d.is("a joiner", d.tasks("ann"), "ann: Laptop open boss+3d; ann: Signed in open admins+7d; ann: Factor open admins+8d")
		d.is("of a directory", d.tasks("robot"), "")
		d.write(func(tx *store.Tx) error { return tx.SignedIn(d.ids["ann"], "password") })
		d.mu.Lock()
		d.factors[d.ids["ann"]] = true
		d.mu.Unlock()
		d.tend(d.s, second)
		d.is("what Muster knows", d.tasks("ann"), "ann: Laptop open boss+3d; ann: Signed in done admins+7d; ann: Factor done admins+8d")

		clock.Pass(time.Second)
		leave := func() {
			d.write(func(tx *store.Tx) error {
				_, err := tx.Leave(d.ids["ann"], store.Leaving{Successor: d.ids["early"]})
				return err
			})
		}
		leave()
		d.tend(d.s, second)
		d.tend()
		want := "ann: Key back open admins+0d; ann: Out done admins+0d; ann: Laptop dropped boss+3d; ann: Work done admins+5d; ann: Signed in done admins+7d; ann: Factor done admins+8d"
		d.is("a leaver", d.tasks("ann"), want)
		clock.Pass(time.Second)
		d.write(func(tx *store.Tx) error { _, err := tx.Reactivate(d.ids["ann"], ""); return err })
		d.tend()
		d.is("who came back", d.tasks("ann"), strings.Replace(want, "Key back open", "Key back dropped", 1))
		d.tend()
		d.is("open", d.tasks(""), "")
		clock.Pass(time.Second)
		leave()
		d.tend()
		d.is("who goes again", d.tasks(""), "ann: Key back open admins+0d")
		var n int
		d.write(func(tx *store.Tx) error {
			return tx.Get(&n, "SELECT COUNT(*) FROM activity WHERE org_id = ? AND action = 'checklist.start'", tx.Org())
		})
		d.is("given", n, 3)
	})
}

// A leaving that is planned brings the tasks before it, and its end only the end of access.
func TestTasksOfAPlannedLeaving(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("ann", "", store.FromInvite)
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/leaver", leavers)
		plan := func(action string) {
			clock.Pass(time.Second)
			d.write(func(tx *store.Tx) error {
				return tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(d.ids["ann"]), TargetName: "ann",
					Detail: map[string]any{"action": "deactivate", "at": clock.Now().Add(10 * 24 * time.Hour).Format(time.RFC3339)}})
			})
			d.tend()
		}
		plan("user.plan")
		d.is("planned", d.tasks("ann"), "ann: Key back open admins+9d; ann: Out open admins+10d; ann: Work open admins+15d")
		plan("user.plan.cancel")
		d.is("cancelled", d.tasks(""), "")
		plan("user.plan")
		clock.Pass(10 * 24 * time.Hour)
		d.write(func(tx *store.Tx) error { _, err := tx.Deactivate(d.ids["ann"], ""); return err })
		d.tend()
		d.is("done", d.tasks(""), "ann: Key back open admins+0d; ann: Work open admins+5d")
	})
}

func TestWhoTicks(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		d.person("viewer", access.Viewer, store.FromAPI)
		clock.Pass(time.Second)
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/joiner", joiners)
		clock.Pass(time.Second)
		d.person("<b>ann", "", store.FromInvite)
		d.tend()
		laptop, other := d.id("<b>ann", "Laptop"), d.id("<b>ann", "Factor")
		if page := d.ask(200, "boss", "GET", "/account/checklists", ""); !strings.Contains(page, "Laptop") || strings.Contains(page, "Factor") {
			t.Errorf("the manager's own: %s", page)
		}
		d.ask(404, "boss", "POST", "/account/checklists/"+other+"/done", "")
		d.ask(404, "<b>ann", "POST", "/account/checklists/"+laptop+"/done", "")
		d.ask(403, "viewer", "POST", "/console/acme/checklists/tasks/"+laptop+"/done", "")
		d.ask(403, "boss", "GET", "/console/acme/checklists", "")
		d.ask(303, "boss", "POST", "/account/checklists/"+laptop+"/done", "")
		if page := d.ask(409, "root", "POST", "/console/acme/checklists/tasks/"+laptop+"/done", ""); !strings.Contains(page, "Laptop was done by boss already") {
			t.Errorf("a second tick: %s", page)
		}
		d.is("mine", d.tasks("?assignee="+string(d.ids["boss"])), "")
		d.is("done", d.tasks("?state=done"), "<b>ann: Laptop done boss+3d")
		d.is("back to the person", d.ask(303, "root", "POST", "/console/acme/checklists/tasks/"+laptop+"/open?from=person", ""), "/console/acme/users/"+string(d.ids["<b>ann"]))
		d.json(409, "root", "DELETE", "/api/v1/checklists/tasks/"+laptop+"/done", "")
		other2, _ := storetest.Org(t, db, "other")
		d.who["eve"] = access.Actor{Kind: access.Person, Org: string(other2), ID: string(store.NewID[store.User]()), Name: "Eve", Roles: []string{access.Admin}}
		d.json(404, "eve", "PUT", "/api/v1/checklists/tasks/"+laptop+"/done", "")

		var wg sync.WaitGroup
		var mu sync.Mutex
		var ok, told int
		for _, who := range []string{"root", "boss"} {
			wg.Go(func() {
				err := db.Write(context.Background(), d.who[who], func(tx *store.Tx) error { _, err := d.s.Tick(tx, checklist.ItemID(laptop)); return err })
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					ok++
				} else if fault.Is(err, fault.Conflict) {
					told++
				}
			})
		}
		wg.Wait()
		d.is("two at once", []int{ok, told}, "[1 1]")
		for _, show := range []string{"", "?show=overdue", "?show=mine", "?show=done"} {
			d.ask(200, "root", "GET", "/console/acme/checklists"+show, "")
		}
		d.ask(400, "root", "GET", "/console/acme/checklists?show=x", "")
		d.ask(400, "root", "GET", "/console/acme/checklists?after=x", "")
		first := d.json(200, "root", "GET", "/api/v1/checklists?limit=1", "")
		if rest := d.tasks("?after=" + url.QueryEscape(first["next"].(string))); rest != "<b>ann: Factor open admins+8d" {
			t.Errorf("behind the first: %s", rest)
		}
	})
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		const at = "/console/acme/checklists/joiner"
		form := func(more ...string) string {
			v := url.Values{"version": {"0"}, "title": {"<i>Laptop"}, "who": {"person"}, "person": {"boss@acme.example"}, "days": {"-2"}, "auto": {""}}
			for i := 0; i < len(more); i += 2 {
				v.Set(more[i], more[i+1])
			}
			return v.Encode()
		}
		for _, bad := range [][]string{{"title", ""}, {"title", strings.Repeat("x", 10000)}, {"title", "a\u202e"}, {"title", "\u200b\u3164"}, {"note", "\u00ad\u200b"}, {"days", "x"}, {"days", "400"}, {"who", "king"}, {"person", "nobody"}, {"auto", "handed_over"}} {
			if page := d.ask(400, "root", "POST", at+"/add", form(bad...)); bad[0] == "days" && !strings.Contains(page, "&lt;i&gt;Laptop") {
				t.Errorf("what was typed is lost: %s", page)
			}
		}
		d.ask(303, "root", "POST", at+"/add", form())
		d.ask(409, "root", "POST", at+"/add", form()) // the form of an admin who was slower
		page := d.ask(200, "root", "GET", at, "")
		if !strings.Contains(page, "2 days before") || !strings.Contains(page, "boss") {
			t.Errorf("%s", page)
		}
		d.ask(303, "root", "POST", at+"/sources", "version=1&source=scim")
		d.ask(400, "root", "POST", at+"/sources", "version=2&source=moon")
		got := d.json(200, "root", "GET", "/api/v1/checklists/templates/joiner", "")
		d.is("the list", fmt.Sprint(got["sources"], got["version"], len(got["tasks"].([]any))), "[scim] 2 1")
		d.ask(303, "root", "POST", at+"/remove", "version=2&task=1")
		d.ask(400, "root", "POST", at+"/remove", "version=3&task=1")
		d.ask(404, "root", "GET", "/console/acme/checklists/moon", "")
		d.json(404, "root", "PUT", "/api/v1/checklists/templates/moon", joiners)
		d.json(409, "root", "PUT", "/api/v1/checklists/templates/joiner", strings.Replace(joiners, "{", `{"version": 7, `, 1))
		d.json(400, "root", "PUT", "/api/v1/checklists/templates/joiner", strings.Replace(joiners, "Laptop", "\u2800", 1))
		d.json(400, "root", "PUT", "/api/v1/checklists/templates/joiner", strings.Replace(joiners, "with a bag", "\u200b", 1))
		d.json(403, "boss", "GET", "/api/v1/checklists/templates/joiner", "")
		clock.Pass(time.Second)
		d.person("ann", "", store.FromSCIM)
		d.tend()
		d.is("an empty list", d.tasks("ann"), "")
	})
}

// Tasks of a list are changed and moved; what was given already stays as it is, and what
// somebody else did meanwhile is neither lost nor taken for another task.
func TestTasksOfATemplateAreChangedAndMoved(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		const at = "/console/acme/checklists/joiner"
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/joiner", joiners)
		clock.Pass(time.Second)
		d.person("ann", "", store.FromInvite)
		d.tend()
		given := d.tasks("ann")
		if page := d.ask(200, "root", "GET", at+"/tasks/1/change", ""); !strings.Contains(page, `value="Laptop"`) || !strings.Contains(page, `value="with a bag"`) || !strings.Contains(page, `name="version" value="1"`) {
			t.Errorf("the task in a form: %s", page)
		}
		save := func(want int, n string, fields ...string) string {
			v := url.Values{"version": {"1"}, "was": {"Laptop"}, "title": {"Laptop and bag"}, "note": {""}, "who": {"person"}, "person": {"boss"}, "days": {"2"}, "auto": {"signed_in"}}
			for i := 0; i < len(fields); i += 2 {
				v.Set(fields[i], fields[i+1])
			}
			return d.ask(want, "root", "POST", at+"/tasks/"+n+"/change", v.Encode())
		}
		for _, bad := range [][]string{{"title", ""}, {"days", "x"}, {"who", "king"}, {"person", "nobody"}, {"auto", "handed_over"}} {
			page := save(400, "1", bad...)
			if !strings.Contains(page, "/checklists/joiner/tasks/1") || bad[0] != "title" && !strings.Contains(page, "Laptop and bag") {
				t.Errorf("%s: what was typed is lost: %s", bad, page)
			}
		}
		d.is("saved", save(303, "1"), at)
		list := func() string {
			var said []string
			for _, task := range d.json(200, "root", "GET", "/api/v1/checklists/templates/joiner", "")["tasks"].([]any) {
				m := task.(map[string]any)
				said = append(said, fmt.Sprint(m["title"], " ", m["who"], " ", m["days"]))
			}
			return strings.Join(said, "; ")
		}
		d.is("changed", list(), "Laptop and bag person 2; Signed in admins 7; Factor admins 8")
		d.is("what is given", d.tasks("ann"), given)

		d.ask(303, "root", "POST", at+"/move", "version=2&task=3&to=up")
		d.is("moved up", list(), "Laptop and bag person 2; Factor admins 8; Signed in admins 7")
		d.ask(303, "root", "POST", at+"/move", "version=3&task=1&to=down")
		d.is("moved down", list(), "Factor admins 8; Laptop and bag person 2; Signed in admins 7")
		d.ask(303, "root", "POST", at+"/move", "version=4&task=1&to=up")
		d.is("up from the first", list(), "Factor admins 8; Laptop and bag person 2; Signed in admins 7")
		d.ask(409, "root", "POST", at+"/move", "version=2&task=1&to=down")

		if page := save(409, "1", "was", "Laptop and bag", "version", "2", "title", "Mine"); !strings.Contains(page, `value="Mine"`) || !strings.Contains(page, `name="version" value="5"`) {
			t.Errorf("a slower admin: %s", page)
		}
		d.is("sent again, from its new place", save(303, "1", "was", "Laptop and bag", "version", "5", "title", "Mine"), at)
		d.is("the right task", list(), "Factor admins 8; Mine person 2; Signed in admins 7")
		if page := save(409, "2", "version", "6"); !strings.Contains(page, "was removed or renamed meanwhile") {
			t.Errorf("a task that is gone: %s", page)
		}
		d.ask(404, "root", "GET", at+"/tasks/9/change", "")
		d.ask(404, "root", "GET", at+"/tasks/x/change", "")
		d.ask(403, "boss", "GET", at+"/tasks/1/change", "")
		d.ask(403, "boss", "POST", at+"/move", "version=6&task=1&to=down")
	})
}

// Who is late gets one letter for all of theirs, once, however many servers there are.
func TestWhoIsLateIsTold(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		clock.Pass(time.Second)
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/joiner", `{"tasks": [{"title": "A", "who": "manager", "days": 1}, {"title": "B", "who": "manager", "days": 1}, {"title": "C", "who": "admins", "days": 1}]}`)
		clock.Pass(time.Second)
		d.person("ann", "", store.FromInvite)
		d.person("carl", "", store.FromInvite)
		second := d.another()
		d.tend(d.s, second)
		d.is("nothing is late", len(d.mails), 0)
		clock.Pass(50 * time.Hour)
		d.tend(d.s, second)
		d.tend()
		got := strings.Join(d.mails, "; ")
		if len(d.mails) != 2 || !strings.Contains(got, "boss: 4 tasks are overdue /account/checklists") || !strings.Contains(got, "root: 2 tasks are overdue /console/acme/checklists?show=overdue") {
			t.Errorf("%s", got)
		}
		d.is("overdue", strings.Count(d.tasks("?overdue=true"), "open"), 6)
	})
}

// More people than one transaction takes get their tasks, each once.
func TestManyJoinAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		clock.Pass(time.Second)
		d.json(200, "root", "PUT", "/api/v1/checklists/templates/joiner", `{"tasks": [{"title": "A", "who": "manager", "days": 1}]}`)
		clock.Pass(time.Second)
		d.write(func(tx *store.Tx) error {
			for i := range 450 {
				if _, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: fmt.Sprint("p", i)}.Doc(), Status: store.Active, Source: store.FromCSV}); err != nil {
					return err
				}
			}
			return nil
		})
		second := d.another()
		d.tend(d.s, second)
		d.tend()
		var n int
		d.write(func(tx *store.Tx) error {
			return tx.Get(&n, "SELECT COUNT(*) FROM checklist_items WHERE org_id = ?", tx.Org())
		})
		d.is("tasks", n, 450)
	})
}
