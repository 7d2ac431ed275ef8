package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// desk is a shop behind its pages; who asks is named by a header.
type desk struct {
	*shop
	mux   *web.Mux
	asked int // for a fresh sign-in
}

func newDesk(t *testing.T, db *store.DB, clock *storetest.Clock) *desk {
	d := &desk{shop: newShop(t, db, clock)}
	viewer, stranger := d.boss, d.boss
	viewer.Roles, stranger.Org = []string{access.Viewer}, string(store.NewID[store.Org]())
	actors := map[string]access.Actor{"boss": d.boss, "viewer": viewer, "stranger": stranger}
	d.mux = web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (access.Actor, error) {
			if a, ok := actors[r.Header.Get("X-Who")]; ok {
				return a, nil
			}
			return access.Actor{}, fault.SignIn.Say("Please sign in.")
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
		Fresh: func(http.ResponseWriter, *http.Request) (bool, error) { d.asked++; return false, nil },
	})
	d.Mount(d.mux)
	return d
}

func (d *desk) ask(who, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
	r.Header.Set("X-Who", who)
	w := httptest.NewRecorder()
	openapitest.Checked(d.t, d.mux).ServeHTTP(w, r)
	return w
}

func TestThePageFollowsAJob(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		j := d.start(In{Items: func(yield func(Item) bool) {
			for i := range 60 {
				if !yield(Item{Target: fmt.Sprintf("=person%d", i), Name: fmt.Sprintf("=person%d", i)}) {
					return
				}
			}
			for _, n := range []string{"skip", "<b>boom</b>"} {
				if !yield(Item{Target: n, Name: n}) {
					return
				}
			}
		}})
		at := "/console/acme/jobs/" + string(j.ID)
		w := d.ask("boss", "GET", at)
		webtest.Page(t, w.Body.String())
		if w.Code != 200 || w.Header().Get("Refresh") != refresh || !strings.Contains(w.Body.String(), "Cancel the rest") {
			t.Errorf("a waiting job: %d, Refresh %q", w.Code, w.Header().Get("Refresh"))
		}
		if w = d.ask("boss", "GET", at+"?refresh=off"); w.Header().Get("Refresh") != "" {
			t.Error("it cannot be kept from loading itself anew")
		}
		d.work()
		w = d.ask("boss", "GET", at)
		page := webtest.Page(t, w.Body.String())
		if w.Header().Get("Refresh") != "" || strings.Contains(w.Body.String(), "Cancel the rest") || strings.Contains(w.Body.String(), "<b>boom") {
			t.Error("the page of a job that is over")
		}
		d.is("rows", len(webtest.All(webtest.All(page, "tbody")[0], "tr")), 50)
		for view, want := range map[string]int{"?after=50": 12, "?before=51": 50, "?result=failed": 1, "?result=skipped": 0, "?before=11": 10} {
			rows := 0
			for _, body := range webtest.All(webtest.Page(t, d.ask("boss", "GET", at+view).Body.String()), "tbody") {
				rows += len(webtest.All(body, "tr"))
			}
			d.is(view, rows, want)
		}
		csv := d.ask("boss", "GET", at+"/results.csv?result=done").Body.String()
		if lines := strings.Split(strings.TrimSpace(csv), "\n"); len(lines) != 62 || !strings.HasPrefix(lines[1], "1,'=person0,") || !strings.HasSuffix(lines[1], ",done,Created,") {
			t.Errorf("CSV of %d lines: %.200q", len(lines), csv)
		}
		if page := d.ask("boss", "GET", "/console/acme/jobs").Body.String(); !strings.Contains(page, "Add 62 people") {
			t.Error("the list does not have the job")
		}
		w = d.ask("boss", "POST", at+"/undo")
		if w.Code != 303 || w.Header().Get("Location") == at {
			t.Fatalf("undo: %d %s", w.Code, w.Header().Get("Location"))
		}
		if again := d.ask("boss", "POST", at+"/undo"); again.Header().Get("Location") != w.Header().Get("Location") {
			t.Errorf("undo twice: %d %q", again.Code, again.Header().Get("Location"))
		}
		d.work()
		d.is("people", len(d.people()), 0)
		if w := d.ask("boss", "POST", at+"/cancel"); w.Code != 409 || !strings.Contains(w.Body.String(), "over already") {
			t.Errorf("cancel of what is over: %d", w.Code)
		}
	})
}

func TestWhoSeesAJob(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		j := d.start(In{Items: many(1)})
		at := "/jobs/" + string(j.ID)
		for _, c := range []struct {
			who, method, path string
			want              int
		}{
			{"boss", "GET", "/console/acme" + at, 200}, {"viewer", "GET", "/console/acme" + at, 404}, {"stranger", "GET", "/console/acme" + at, 404}, {"", "GET", "/console/acme" + at, 303},
			{"viewer", "GET", "/console/acme" + at + "/results.csv", 404}, {"viewer", "POST", "/console/acme" + at + "/cancel", 404}, {"viewer", "POST", "/console/acme" + at + "/undo", 404},
			{"boss", "GET", "/api/v1" + at, 200}, {"viewer", "GET", "/api/v1" + at, 404}, {"viewer", "GET", "/api/v1" + at + "/results", 404}, {"stranger", "POST", "/api/v1" + at + "/cancel", 404},
			{"boss", "POST", "/api/v1" + at + "/undo", 409}, {"boss", "GET", "/api/v1/jobs/nonsense", 404}, {"boss", "GET", "/console/acme" + at + "?result=odd", 400}, {"boss", "GET", "/console/acme" + at + "?after=-1", 400},
		} {
			if w := d.ask(c.who, c.method, c.path); w.Code != c.want {
				t.Errorf("%s: %s %s = %d, want %d", c.who, c.method, c.path, w.Code, c.want)
			}
		}
		if page := d.ask("viewer", "GET", "/console/acme/jobs").Body.String(); !strings.Contains(page, "No job yet") {
			t.Error("who may not do it sees the job in the list")
		}
	})
}

func TestProgramsFollowAJob(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		k := d.kinds["people.add"]
		k.Fresh = func(Job) bool { return true }
		d.Register(k)
		j := d.start(In{Items: names("ada", "skip", "bob")})
		d.work()
		var v View
		read := func(w *httptest.ResponseRecorder, into any) {
			t.Helper()
			if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
		}
		read(d.ask("boss", "GET", "/api/v1/jobs/"+string(j.ID)), &v)
		d.is("job", fmt.Sprint(v.State, v.Title, v.Completed, v.Total, v.Results, v.StartedBy, v.UndoUntil != ""), fmt.Sprint(Finished, "Add 3 people", 3, 3, Counts{2, 0, 1, map[string]int{"created": 2}}, "Boss", true))
		var found struct{ Results []resultJSON }
		read(d.ask("boss", "GET", "/api/v1/jobs/"+string(j.ID)+"/results?result=failed"), &found)
		d.is("failed", len(found.Results), 1)
		d.is("why", found.Results[0].Why, "Not this one.")
		w := d.ask("boss", "POST", "/api/v1/jobs/"+string(j.ID)+"/undo")
		var undo View
		read(w, &undo)
		d.is("undo", fmt.Sprint(w.Code, undo.Undoes == j.ID, undo.Title, d.asked), fmt.Sprint(202, true, "Undo: Add 2 people", 1))
		d.work()
		var list struct{ Jobs []View }
		read(d.ask("boss", "GET", "/api/v1/jobs"), &list)
		d.is("jobs", fmt.Sprint(len(list.Jobs), list.Jobs[1].UndoneBy == undo.ID, list.Jobs[1].UndoUntil), fmt.Sprint(2, true, ""))
	})
}
