package console_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestHandingOverAndPlanning(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/users/{agent}/deactivate")
		has(t, s.page("boss", at), "Deactivate Agent Person", "signed out everywhere")
		form := url.Values{"reason": {"left"}, "why": {"<b>bye</b> \u202e"}, "successor": {"person"}, "do": {"find"}}
		text := s.post("boss", at, 200, form)
		has(t, text, "Viewer Person", "Boss Person", "&lt;b&gt;bye")
		hasNot(t, text, `value="`+string(s.people["agent"])+`"`, "Dora") // not the person, nobody who is out
		webtest.Page(t, text)
		form.Del("do")
		has(t, s.post("boss", at, 400, form), "Choose who takes over", `value="person"`)
		form.Set("successor_id", string(s.people["dora"]))
		has(t, s.post("boss", at, 400, form), "must be active")
		form.Set("successor_id", string(s.people["viewer"]))
		for name, bad := range map[string]url.Values{"when": {"when": {"later"}}, "past": {"when": {"later"}, "at": {"2001-01-01T10:00"}}, "zone": {"when": {"later"}, "at": {"2001-01-01T10:00"}, "zone": {"Mars"}},
			"reason": {"reason": {"fun"}}, "long": {"successor_id": {"x"}}} {
			for key, value := range form {
				if bad[key] == nil {
					bad[key] = value
				}
			}
			if text := s.post("boss", at, 400, bad); !strings.Contains(text, "&lt;b&gt;bye") {
				t.Errorf("%s: what was typed is lost", name)
			}
		}
		form.Set("when", "later")
		form.Set("at", time.Now().Add(24*time.Hour).Format("2006-01-02T15:04"))
		form.Set("zone", "Europe/Berlin")
		s.post("boss", at, 303, form)
		s.post("boss", at, 409, form) // a double click
		if u := s.user("agent"); u.Status != store.Active {
			t.Fatalf("planned for tomorrow, and %s now", u.Status)
		}
		text = s.do("boss", "GET", s.path("/users/{agent}"), nil).Body.String()
		has(t, text, "Europe/Berlin", "Cancel this")
		has(t, s.page("viewer", "/console/acme/planned"), "Agent Person", "Europe/Berlin")
		plan := text[strings.Index(text, "/planned/")+len("/planned/"):][:32]
		s.post("viewer", "/console/acme/planned/"+plan+"/cancel", 403, nil)
		s.post("stranger", "/console/acme/planned/"+plan+"/cancel", 404, nil)
		s.post("boss", "/console/acme/planned/"+plan+"/cancel", 303, nil)
		s.post("boss", "/console/acme/planned/"+plan+"/cancel", 409, nil)
		has(t, s.page("boss", "/console/acme/planned?state=cancelled"), "Agent Person")
		form.Del("when")
		s.post("boss", at, 303, form)
		has(t, s.page("boss", s.path("/users/{agent}")), "Reactivate Agent Person", "Viewer Person", "left")
	})
}

func TestADirectoryHasTheLastWordOnThePage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		dir := access.Actor{Kind: access.Directory, Org: string(s.org), ID: string(s.okta.ID), Name: "Okta Prod"}
		text := s.page("boss", s.path("/users/{scott}/deactivate"))
		has(t, text, "The directory Okta Prod manages this person")
		hasNot(t, s.do("boss", "GET", s.path("/users/{scott}/deactivate"), nil).Body.String(), `name="when"`)
		has(t, s.post("boss", s.path("/users/{scott}/deactivate"), 403, url.Values{"when": {"later"}, "at": {time.Now().Add(24 * time.Hour).Format("2006-01-02T15:04")}}), "Okta Prod")
		s.write(dir, func(tx *store.Tx) error { _, err := tx.Deactivate(s.people["scott"], ""); return err })
		has(t, s.do("boss", "GET", s.path("/users/{scott}"), nil).Body.String(), "<button type=\"button\" disabled", "has the last word")
		has(t, s.page("boss", s.path("/users/{scott}/reactivate")), "has the last word")
		has(t, s.page("boss", s.path("/users/{scott}/detach")), "The roles that Okta Prod gave are taken away")
		s.post("boss", s.path("/users/{scott}/detach"), 303, url.Values{"why": {"left Okta"}})
		s.post("boss", s.path("/users/{scott}/reactivate"), 303, nil)
	})
}

func TestDeletedPeopleComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.post("boss", s.path("/users/{dora}/delete"), 303, nil)
		s.post("boss", s.path("/users/{agent}/delete"), 303, nil)
		s.add(s.muster, "dora", store.FromAPI, store.Active) // another one under the name
		text := s.page("boss", "/console/acme/deleted")
		has(t, text, "Dora Person", "Agent Person", "taken by somebody else now")
		var gone store.UserID
		s.write(s.muster, func(tx *store.Tx) error {
			page, err := tx.DeletedPeople("", 50)
			for _, u := range page.People {
				if u.Taken {
					gone = u.ID
				}
			}
			return err
		})
		at := "/console/acme/users/" + string(gone) + "/restore"
		has(t, s.do("boss", "GET", at, nil).Body.String(), "Choose another user name", `value="dora2@acme.example"`)
		has(t, s.post("boss", at, 409, url.Values{"user_name": {"dora@acme.example"}}), `href="#f-user_name"`, "already in use")
		s.write(s.muster, func(tx *store.Tx) error { return tx.SetSeats(1) })
		has(t, s.post("boss", at, 409, url.Values{"user_name": {"dora2@acme.example"}, "active": {"on"}}), "No seat of this organization is free")
		s.write(s.muster, func(tx *store.Tx) error { return tx.SetSeats(50) })
		s.post("boss", at, 303, url.Values{"user_name": {"dora2@acme.example"}, "active": {"on"}})
		has(t, s.page("boss", "/console/acme/users/"+string(gone)), "dora2@acme.example", "Deactivate Dora Person")
		var check []string
		s.write(s.muster, func(tx *store.Tx) (err error) { check, err = tx.Check(); return err })
		if len(check) > 0 {
			t.Errorf("the store is not sound: %v", check)
		}
	})
}

// A role that was given on the command line was not given by somebody called so.
func TestGivenOnTheCommandLine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		shell := s.muster
		shell.Name = access.CommandLine
		s.write(shell, func(tx *store.Tx) error {
			return tx.Grant(s.people["viewer"], access.Agent, store.Manual)
		})
		has(t, s.page("boss", s.path("/users/{viewer}")), "Agent given on the command line, since")
		has(t, s.german(s.path("/users/{viewer}")), "Agent auf der Befehlszeile vergeben, seit")
		// So is who did something, wherever a record names who did it.
		has(t, s.page("boss", "/console/acme/activity"), "The command line gave a role to Viewer Person")
		has(t, s.german("/console/acme/activity"), "Die Befehlszeile")
		service := life.New(life.Options{DB: db})
		s.write(shell, func(tx *store.Tx) error {
			_, err := service.Plan(tx, life.In{User: s.people["agent"], Action: life.Deactivate, At: tx.Now().Add(time.Hour).RFC3339()})
			return err
		})
		has(t, s.page("boss", "/console/acme/planned"), "planned by The command line")
		has(t, s.german("/console/acme/planned"), "geplant von Die Befehlszeile")
	})
}

// Who comes from a page on which somebody is still there is told that the person is deleted.
func TestWhoWasDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/users/{agent}")
		s.post("boss", at+"/delete", 303, url.Values{})
		const refusal = "Agent Person is deleted. Nothing can be changed before the person is restored."
		for path, form := range map[string]url.Values{"/delete": {}, "/deactivate": {"why": {"x"}}, "/reactivate": {}, "/detach": {}, "/sessions/end": {}, "/edit": {"title": {"x"}, "version": {"1"}}} {
			has(t, s.post("boss", at+path, 409, form), refusal)
		}
		if w := s.do("boss", "GET", at+"/edit", nil); w.Code != 409 {
			t.Errorf("the form of somebody deleted: %d", w.Code)
		}
		has(t, s.german(at+"/delete", url.Values{}), "Agent Person ist gelöscht.")
		has(t, s.post("boss", at+"/records/link", 409, url.Values{"record": {"contact/1"}}), refusal)
	})
}

// The second of two clicks, and whoever is slower than somebody else, is told how it is now.
func TestWhatIsGoneAlready(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		for range 2 {
			s.post("boss", s.path("/teams/{Support}/delete"), 303, nil)
		}
		s.write(s.muster, func(tx *store.Tx) error {
			_, err := tx.CreateRole(store.RoleChange{Name: "spare"})
			return err
		})
		for range 2 {
			s.post("boss", "/console/acme/roles/spare/delete", 303, url.Values{"version": {"1"}})
		}
		has(t, s.post("boss", s.path("/users/{viewer}/records/link"), 409, url.Values{"record": {"contact/none"}}), "There is no record contact/none here.", "Link Viewer Person")
	})
}

// A key without a name is said in words, in the reader's language.
func TestWhoHasNoNameInTheActivity(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(access.Actor{Kind: access.Key, Org: string(s.org), ID: "k", Roles: []string{access.Admin}}, func(tx *store.Tx) error {
			_, err := tx.Deactivate(s.people["agent"], "")
			return err
		})
		has(t, s.page("boss", "/console/acme/activity"), "REST API key deactivated Agent Person")
		has(t, s.german("/console/acme/activity"), "REST-API-Schlüssel hat deaktiviert: Agent Person")
	})
}

func TestSeatsAreShownAndShared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		const at = "/console/acme/settings/seats"
		has(t, s.page("boss", at), "there is no limit", "Ask them for more")
		hasNot(t, s.do("boss", "GET", at, nil).Body.String(), `name="limit"`)
		has(t, s.post("operator", at, 400, url.Values{"limit": {"many"}}), `value="many"`, "no number of seats")
		s.post("operator", at, 303, url.Values{"limit": {"4"}})
		text := s.page("viewer", at)
		has(t, text, "5 of 4 seats taken", "1 more than the limit", "Who could give a seat back")
		webtest.Page(t, s.do("operator", "GET", at, nil).Body.String())
		licenses := url.Values{"licenses": {"1"}, "name_0": {"Full & <b>"}, "limit_0": {"1"}, "roles_0": {access.Admin}, "name_1": {"Light"}, "limit_1": {""}, "default": {"1"}}
		s.post("boss", at+"/licenses", 303, licenses)
		has(t, s.page("boss", at), "Full & <b>", "1 of 1 taken", "4 taken, no limit")
		licenses.Set("limit_0", "x")
		has(t, s.post("boss", at+"/licenses", 400, licenses), `value="x"`)
		licenses.Set("limit_0", "1")
		licenses.Add("roles_1", access.Admin)
		has(t, s.post("boss", at+"/licenses", 400, licenses), "A role counts for one license")
		has(t, s.page("boss", at), "License type 1", "License type 4")
		licenses.Set("roles_1", access.Viewer)
		licenses.Set("limit_2", "7")
		has(t, s.post("boss", at+"/licenses", 400, licenses), "Give this license type a name", `value="7"`)
		licenses.Del("limit_2")
		// Two admins: the second sees that the first was faster, and all that was typed.
		form := s.do("boss", "GET", at, nil).Body.String()
		licenses.Set("version", webtest.Version(form))
		s.post("boss", at+"/licenses", 303, licenses)
		licenses.Set("name_21", "Typed last")
		licenses.Set("roles_21", access.Agent)
		page := s.post("boss", at+"/licenses", 409, licenses)
		has(t, page, "Somebody else changed these settings meanwhile", `value="Typed last"`)
		if now := webtest.Version(page); now == licenses.Get("version") {
			t.Error("what was typed can never be sent again")
		}
		limit := url.Values{"version": {licenses.Get("version")}, "limit": {"77"}}
		page = s.post("operator", at, 409, limit)
		has(t, page, "Somebody else changed these settings meanwhile", `value="77"`)
		limit.Set("version", webtest.Version(page))
		s.post("operator", at, 303, limit)
		limit.Set("version", webtest.Version(s.do("operator", "GET", at, nil).Body.String()))
		s.write(s.muster, func(tx *store.Tx) error { // who takes a seat meanwhile changes no setting
			_, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": "late@acme.example"}, Source: store.FromAPI})
			return err
		})
		limit.Set("limit", "4")
		s.post("operator", at, 303, limit)
		has(t, s.page("boss", s.path("/users/{dora}/reactivate")), "No seat of this organization is free", "See who could give one back")
		has(t, s.post("boss", s.path("/users/{dora}/reactivate"), 409, nil), "No seat of this organization is free")
	})
}

func TestARecordIsChosenOnThePage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			for _, in := range []records.In{{Ref: records.Ref{Kind: "contact", ID: "c/1"}, Name: "Carla <b>", Address: "carla@x.example"}, {Ref: records.Ref{Kind: "agent", ID: "7"}, Name: "Agent Seven"}} {
				if _, _, err := records.Put(tx, in); err != nil {
					return err
				}
			}
			return nil
		})
		has(t, s.page("viewer", "/console/acme/records?q=carla"), "Carla <b>", "nobody")
		at := s.path("/users/{agent}/records")
		has(t, s.page("boss", at+"?kind=contact"), "Link Agent Person to a record", "Carla <b>")
		s.post("viewer", at+"/link", 403, url.Values{"record": {"contact/c/1"}})
		has(t, s.post("boss", at+"/link", 400, url.Values{"record": {"nonsense"}}), "is no record")
		s.post("boss", at+"/link", 303, url.Values{"record": {"contact/c/1"}})
		has(t, s.post("boss", s.path("/users/{viewer}/records/link"), 409, url.Values{"record": {"contact/c/1"}}), "linked to Agent Person already")
		has(t, s.page("viewer", s.path("/users/{agent}")), "Records of applications", "Carla <b>", "linked a record to")
		hasNot(t, s.page("boss", s.path("/users/{viewer}/records")), "Carla <b>") // taken
		s.write(s.muster, func(tx *store.Tx) error { return records.Delete(tx, records.Ref{Kind: "contact", ID: "c/1"}) })
		has(t, s.page("boss", s.path("/users/{agent}")), "gone", "The application has deleted the record")
		s.post("boss", at+"/unlink", 303, url.Values{"kind": {"contact"}})
		s.post("boss", at+"/unlink", 404, url.Values{"kind": {"contact"}})
	})
}
