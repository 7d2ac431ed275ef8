package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// desk is the API of an organization, asked as whoever.
type desk struct {
	t     *testing.T
	db    *store.DB
	mux   *web.Mux
	actor access.Actor
	org   store.OrgID
}

func openDesk(t *testing.T, db *store.DB) *desk {
	d := &desk{t: t, db: db}
	d.org, _ = storetest.Org(t, db, "acme")
	d.actor = d.as(access.Admin)
	d.mux = web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler), Authenticate: func(*http.Request) (access.Actor, error) { return d.actor, nil }})
	api.New(api.Options{DB: db, Life: life.New(life.Options{DB: db})}).Mount(d.mux)
	return d
}

func (d *desk) as(role string) access.Actor {
	return access.Actor{Kind: access.Key, Org: string(d.org), ID: string(store.NewID[int]()), Name: "Helpdesk", Roles: []string{role}}
}

func (d *desk) user(name string, roles ...string) store.UserID {
	d.t.Helper()
	var u store.User
	if err := d.db.Write(d.t.Context(), access.Muster(string(d.org)), func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name + "@acme.example", Email: name + "@acme.example", DisplayName: name}.Doc(), Source: store.FromAPI, Roles: roles, Reason: store.Manual})
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
	return u.ID
}

// ask sends a request, wants this status and gives the object that came.
func (d *desk) ask(want int, method, path, body string) map[string]any {
	d.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	openapitest.Checked(d.t, d.mux).ServeHTTP(w, r)
	if w.Code != want {
		d.t.Fatalf("%s %s: %d, want %d: %s", method, path, w.Code, want, w.Body)
	}
	out := map[string]any{}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			d.t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
	return out
}

func TestPeopleLeaveAndComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDesk(t, db)
		boss, ann, bob := d.user("boss", access.Admin), d.user("ann"), d.user("bob")
		at := "/api/v1/users/" + string(ann)
		d.ask(400, "POST", at+"/deactivate", `{"reason": "fun"}`)
		d.ask(400, "POST", at+"/deactivate", `{"successor": "bob"}`)
		d.ask(400, "POST", at+"/deactivate", `{"sucessor": "x"}`)
		d.ask(404, "POST", "/api/v1/users/nobody/deactivate", "")
		d.ask(409, "POST", "/api/v1/users/"+string(boss)+"/deactivate", "")
		if got := d.ask(200, "POST", at+"/deactivate", fmt.Sprintf(`{"reason": "left", "why": "moved", "successor": %q}`, bob)); got["status"] != "deactivated" {
			t.Errorf("%v", got)
		}
		d.ask(200, "POST", at+"/reactivate", "")
		soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		planned := d.ask(202, "POST", at+"/deactivate", fmt.Sprintf(`{"at": %q, "zone": "Europe/Berlin"}`, soon))
		plan, _ := planned["planned"].(map[string]any)
		if planned["status"] != "active" || plan["state"] != "planned" || plan["planned_by"] != "Helpdesk" {
			t.Errorf("%v", planned)
		}
		if list := d.ask(200, "GET", "/api/v1/planned", "")["planned"].([]any); len(list) != 1 {
			t.Errorf("%v", list)
		}
		d.ask(400, "GET", "/api/v1/planned?state=maybe", "")
		d.ask(400, "GET", "/api/v1/planned?after=x", "")
		d.ask(204, "DELETE", fmt.Sprint("/api/v1/planned/", plan["id"]), "")
		d.ask(409, "DELETE", fmt.Sprint("/api/v1/planned/", plan["id"]), "")
		d.ask(200, "DELETE", at+"?reason=duplicate&successor="+string(bob), "")
		gone := d.ask(200, "GET", "/api/v1/users/deleted?limit=1", "")["users"].([]any)
		if len(gone) != 1 || gone[0].(map[string]any)["user_name_taken"] != false {
			t.Errorf("%v", gone)
		}
		d.user("ann")
		d.ask(409, "POST", at+"/restore", `{}`)
		// Why is a few sentences, by whatever way somebody comes and goes.
		for _, why := range []string{strings.Repeat("x", 501), `a\u0000b`} {
			for _, deed := range []string{"/restore", "/reactivate", "/deactivate", "/detach"} {
				if got := d.ask(400, "POST", at+deed, `{"why": "`+why+`"}`); got["field"] != "why" {
					t.Errorf("%s: %v", deed, got)
				}
			}
		}
		if got := d.ask(200, "POST", at+"/restore", `{"user_name": "ann.two@acme.example", "active": true}`); got["status"] != "active" || got["user_name"] != "ann.two@acme.example" {
			t.Errorf("%v", got)
		}
		d.actor = d.as(access.Viewer)
		for _, path := range []string{at + "/deactivate", at + "/reactivate", at + "/restore", at + "/detach"} {
			d.ask(403, "POST", path, `{}`)
		}
		d.ask(403, "DELETE", at, "")
		d.ask(403, "GET", "/api/v1/users/deleted", "")
	})
}

func TestSeatsByTheAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDesk(t, db)
		d.user("boss", access.Admin)
		ann := d.user("ann")
		if got := d.ask(200, "GET", "/api/v1/seats", ""); got["limit"] != nil || got["used"] != 2.0 {
			t.Errorf("%v", got)
		}
		d.ask(403, "PATCH", "/api/v1/seats", `{"limit": 3}`)
		got := d.ask(200, "PATCH", "/api/v1/seats", `{"licenses": [{"id": "full", "name": "Full", "roles": ["admin"], "limit": 1}, {"id": "light", "name": "Light", "default": true, "limit": null}]}`)
		if list := got["licenses"].([]any); len(list) != 2 || list[0].(map[string]any)["used"] != 1.0 || list[1].(map[string]any)["limit"] != nil {
			t.Errorf("%v", got)
		}
		d.ask(400, "PATCH", "/api/v1/seats", `{"licenses": [{"id": "full"}]}`)
		d.actor = access.Actor{Kind: access.Key, Operator: true, Org: string(d.org)}
		d.ask(400, "PATCH", "/api/v1/seats", `{"limit": -3}`)
		if got := d.ask(200, "PATCH", "/api/v1/seats", `{"limit": 2}`); got["limit"] != 2.0 || len(got["licenses"].([]any)) != 2 {
			t.Errorf("%v", got)
		}
		was, licenses := d.ask(200, "GET", "/api/v1/seats", "")["version"], `[{"id": "full", "name": "Full", "default": true, "limit": null}]`
		for _, c := range []struct {
			status int
			change string
		}{{200, `"limit": 3`}, {409, `"limit": 2`}, {409, `"licenses": []`}, {409, `"limit": 2, "licenses": []`}} {
			if got := d.ask(c.status, "PATCH", "/api/v1/seats", fmt.Sprintf(`{%s, "version": %q}`, c.change, was)); c.status == 409 && got["field"] != "version" {
				t.Errorf("%s, changed since: %v", c.change, got)
			}
		}
		now := d.ask(200, "GET", "/api/v1/seats", "")["version"]
		if got := d.ask(200, "PATCH", "/api/v1/seats", fmt.Sprintf(`{"limit": 2, "licenses": %s, "version": %q}`, licenses, now)); got["limit"] != 2.0 || got["version"] == now {
			t.Errorf("both at once: %v", got)
		}
		d.ask(200, "POST", "/api/v1/users/"+string(ann)+"/deactivate", "")
		d.user("carl")
		if got := d.ask(409, "POST", "/api/v1/users/"+string(ann)+"/reactivate", ""); got["field"] != "seats" || !strings.Contains(fmt.Sprint(got["detail"]), "Deactivate somebody") {
			t.Errorf("%v", got)
		}
		d.ask(200, "PATCH", "/api/v1/seats", `{"limit": null, "licenses": []}`)
		d.ask(200, "POST", "/api/v1/users/"+string(ann)+"/reactivate", "")
	})
}
