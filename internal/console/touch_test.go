package console_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// lead adds somebody who manages, and may do one thing less than an admin.
func (s *site) lead() {
	s.t.Helper()
	list := access.Managing()[:len(access.Managing())-1]
	s.write(s.muster, func(tx *store.Tx) error {
		_, err := tx.CreateRole(store.RoleChange{Name: "lead", Permissions: &list})
		return err
	})
	s.add(s.muster, "lead", store.FromAPI, store.Active, "lead")
	s.actors["lead"] = access.Actor{Kind: access.Person, Org: string(s.org), ID: string(s.people["lead"]), Name: "Lea Lead", Roles: []string{"lead"}, Granted: list}
}

// Somebody who may do all that an admin can delegate does nothing to an admin, and an admin
// nothing to a break-glass account, by whichever form.
func TestNobodyTouchesWhoMayDoMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.lead()
		s.write(s.muster, func(tx *store.Tx) error {
			for _, id := range []string{"1", "2"} {
				if _, _, err := records.Put(tx, records.In{Ref: records.Ref{Kind: "contact", ID: id}, Name: "Contact"}); err != nil {
					return err
				}
			}
			return nil
		})
		s.add(s.muster, "second", store.FromAPI, store.Active, access.Admin)
		s.add(s.muster, "glass", store.FromAPI, store.Active, access.Admin)
		s.add(s.muster, "asked", store.FromInvite, store.Invited, access.Admin)
		s.write(s.muster, func(tx *store.Tx) error {
			_, err := tx.SetBreakGlass(s.people["glass"], true, "breakglass.add")
			return err
		})
		version := func(who string) string { return strconv.FormatInt(s.user(who).Version, 10) }
		for _, c := range []struct{ who, target string }{{"lead", "second"}, {"lead", "glass"}, {"boss", "glass"}} {
			at := s.path("/users/{" + c.target + "}")
			for path, form := range map[string]url.Values{
				"/deactivate":    {},
				"/delete":        {},
				"/sessions/end":  {},
				"/records/link":  {"record": {"contact/1"}},
				"/edit":          {"role": {"viewer"}, "version": {version(c.target)}},
				"/edit?as=title": {"title": {"x"}, "role": {access.Admin}, "version": {version(c.target)}},
			} {
				s.post(c.who, at+path, 403, form)
			}
			if u := s.user(c.target); u.Status != store.Active {
				t.Fatalf("%s made %s %s", c.who, c.target, u.Status)
			}
		}
		s.post("lead", s.path("/users/{asked}/records/link"), 403, url.Values{"record": {"contact/2"}})
		s.post("boss", s.path("/users/{asked}/records/link"), 303, url.Values{"record": {"contact/2"}})
		s.post("lead", s.path("/users/{agent}/records/link"), 303, url.Values{"record": {"contact/1"}})
		s.post("lead", s.path("/users/{agent}/sessions/end"), 303, url.Values{})
		s.post("lead", s.path("/users/{agent}/edit"), 303, url.Values{"role": {"agent"}, "version": {version("agent")}})
		has(t, s.post("lead", s.path("/users/{agent}/edit"), 403, url.Values{"role": {"viewer"}, "title": {"Typed title"}, "version": {version("agent")}}), "allows more than you may do yourself", "Typed title")
		s.post("lead", s.path("/users/{viewer}/edit"), 403, url.Values{"role": {access.Admin}, "sure_admin": {"yes"}, "version": {version("viewer")}})
		s.post("lead", s.path("/users/{agent}/deactivate"), 303, url.Values{})
		s.write(s.muster, func(tx *store.Tx) error { _, err := tx.DeleteUser(s.people["second"], ""); return err })
		s.post("lead", s.path("/users/{second}/restore"), 403, url.Values{})
		s.post("boss", s.path("/users/{second}/restore"), 303, url.Values{})
		s.post("lead", s.path("/users/{second}/reactivate"), 403, url.Values{})
	})
}

// What would be refused is not offered, and the page says why; whoever may do it finds it.
func TestWhatIsRefusedIsNotOffered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.lead()
		s.add(s.muster, "second", store.FromAPI, store.Active, access.Admin)
		s.add(s.muster, "root", store.FromInvite, store.Active, access.Admin)
		s.write(s.muster, func(tx *store.Tx) error { return s.sessions.MakeOperator(tx, s.people["root"]) })
		s.write(s.muster, func(tx *store.Tx) error { return s.sessions.MakeOperator(tx, s.people["ivy"]) })
		s.write(s.muster, func(tx *store.Tx) error { return s.sessions.MakeOperator(tx, s.people["scott"]) })
		const operators, more = "that of an operator of this server. Only an operator can change it", "allows more than you may do yourself. Ask an admin."
		offered := func(who, target string) (n int) {
			doc := webtest.Page(t, s.do(who, "GET", s.path("/users/{"+target+"}"), nil).Body.String())
			for _, main := range webtest.All(doc, "main") {
				for _, a := range webtest.All(main, "a") {
					if ends := webtest.Attr(a, "href"); strings.HasPrefix(ends, s.path("/users/{"+target+"}/")) && !strings.HasSuffix(ends, "/factors") && !strings.HasSuffix(ends, "/identities") {
						n++
					}
				}
				n += len(webtest.All(main, "form"))
			}
			return n
		}
		for _, c := range []struct{ who, target, why string }{
			{"boss", "root", operators}, {"boss", "ivy", operators}, {"boss", "scott", operators}, {"lead", "root", operators}, {"lead", "second", more},
		} {
			has(t, s.page(c.who, s.path("/users/{"+c.target+"}")), c.why)
			if n := offered(c.who, c.target); n > 0 {
				t.Errorf("%s is offered %d things about %s", c.who, n, c.target)
			}
			page := s.do(c.who, "GET", s.path("/users/{"+c.target+"}/deactivate"), nil).Body.String()
			has(t, webtest.Text(webtest.Page(t, page)), c.why)
			hasNot(t, page, `action="`+s.path("/users/{"+c.target+"}/deactivate"))
			s.post(c.who, s.path("/users/{"+c.target+"}/deactivate"), 403, url.Values{})
		}
		s.post("boss", s.path("/users/{scott}/detach"), 403, url.Values{})
		for _, c := range [][2]string{{"operator", "root"}, {"operator", "ivy"}, {"operator", "scott"}, {"boss", "second"}, {"boss", "agent"}} {
			hasNot(t, s.page(c[0], s.path("/users/{"+c[1]+"}")), operators, more)
			if offered(c[0], c[1]) < 3 {
				t.Errorf("%s is offered nothing about %s", c[0], c[1])
			}
		}
		// The own account is left and signed out of; its password has a page of its own.
		s.write(s.muster, func(tx *store.Tx) error {
			_, _, err := s.sessions.Start(tx, session.In{User: s.people["boss"], Method: "password"})
			return err
		})
		own := s.do("boss", "GET", s.path("/users/{boss}"), nil).Body.String()
		has(t, own, "/sessions/end", "/deactivate")
		hasNot(t, own, s.path("/users/{boss}/password"))
		// How somebody came in can be looked at, also of whom nobody may touch and who is gone.
		for _, target := range []string{"root", "dora"} {
			has(t, s.do("viewer", "GET", s.path("/users/{"+target+"}"), nil).Body.String(), s.path("/signins?person={"+target+"}"))
		}
	})
}

// The last active admin is not offered what would be refused; with a second one, it is.
func TestTheLastAdminIsNotOfferedTheEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		const why = "This is the last active admin of the organization. Make somebody else an admin first."
		at, year := s.path("/users/{boss}"), strconv.Itoa(time.Now().Year()+1)
		edit := url.Values{"title": {"Head"}, "role": {access.Agent}}
		version := func() string { return strconv.FormatInt(s.user("boss").Version, 10) }

		page := s.do("operator", "GET", at, nil).Body.String()
		has(t, page, why, "Plan to deactivate Boss Person", `disabled aria-describedby="last-admin">Delete Boss Person<`)
		hasNot(t, page, `href="`+at+`/delete"`)
		page = s.do("operator", "GET", at+"/deactivate", nil).Body.String()
		has(t, page, why, "It can be planned", `<input type="hidden" name="when" value="later">`)
		hasNot(t, page, `value="now"`)
		has(t, page, `type="submit">Plan to deactivate Boss Person</button>`)
		page = s.do("operator", "GET", at+"/delete", nil).Body.String()
		has(t, page, why)
		hasNot(t, page, `action="`+at+`/delete"`)
		page = s.do("operator", "GET", at+"/edit", nil).Body.String()
		has(t, page, why, `value="admin" selected`)
		hasNot(t, page, `value="agent"`, "None by hand")

		has(t, s.post("operator", at+"/deactivate", 409, url.Values{"why": {"typed reason"}}), why, "typed reason")
		s.post("operator", at+"/delete", 409, url.Values{})
		has(t, s.german(at+"/edit"), "letzte aktive Admin", "Leer: Vor- und Nachname.", "Adresse oder Benutzername von jemandem hier.")
		edit.Set("version", version())
		has(t, s.post("operator", at+"/edit", 409, edit), why, `value="Head"`)
		s.post("operator", at+"/deactivate", 303, url.Values{"when": {"later"}, "at": {year + "-05-02T18:00"}, "zone": {"UTC"}})
		edit.Set("role", access.Admin)
		s.post("operator", at+"/edit", 303, edit)
		if u := s.user("boss"); u.Status != store.Active || u.Profile().Title != "Head" {
			t.Errorf("the last admin is %s, %q", u.Status, u.Profile().Title)
		}

		s.add(s.muster, "second", store.FromAPI, store.Active, access.Admin)
		page = s.do("operator", "GET", at, nil).Body.String()
		has(t, page, `href="`+at+`/deactivate"`, `href="`+at+`/delete"`)
		hasNot(t, page, why)
		has(t, s.do("operator", "GET", at+"/deactivate", nil).Body.String(), `value="now"`)
		has(t, s.do("operator", "GET", at+"/edit", nil).Body.String(), `value="agent"`)
	})
}

// While no seat is free, the pages offer nothing that takes one: it can be planned, or the
// person comes back deactivated.
func TestASeatThatIsNotThereIsNotOffered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			if _, err := tx.DeleteUser(s.people["ivy"], ""); err != nil {
				return err
			}
			return tx.SetSeats(4)
		})
		at, gone, year := s.path("/users/{dora}"), s.path("/users/{ivy}/restore"), strconv.Itoa(time.Now().Year()+1)
		const why, seats = "No seat of this organization is free", `href="/console/acme/settings/seats">See who could give one back</a>`
		page := func(path string) string { return s.do("boss", "GET", path, nil).Body.String() }

		has(t, page(at), why, seats, `href="`+at+`/reactivate">Plan to reactivate Dora Person</a>`)
		text := page(at + "/reactivate")
		has(t, text, why, seats, "It can be planned", `<input type="hidden" name="when" value="later">`, `type="submit">Plan to reactivate Dora Person</button>`)
		hasNot(t, text, `value="now"`)
		webtest.Page(t, text)
		text = page(s.path("/users/{ivy}")) // who was invited
		has(t, text, `disabled aria-describedby="no-invitation">Open the invitation again<`, why, seats)
		hasNot(t, text, `/invitation/reopen"`)
		webtest.Page(t, text)
		text = page(gone)
		has(t, text, why, seats, "The person comes back deactivated, which takes no seat.", `type="submit">Restore Ivy`)
		hasNot(t, text, `name="active"`)
		has(t, s.german(at+"/reactivate"), "Reaktivierung von Dora Person planen")

		has(t, s.post("boss", at+"/reactivate", 409, url.Values{"why": {"typed reason"}}), why, "typed reason")
		has(t, s.post("boss", gone, 409, url.Values{"user_name": {"ivy@acme.example"}, "active": {"on"}}), why)
		s.post("boss", at+"/reactivate", 303, url.Values{"when": {"later"}, "at": {year + "-05-02T18:00"}, "zone": {"UTC"}})
		s.post("boss", gone, 303, url.Values{"user_name": {"ivy@acme.example"}})

		both := url.Values{"user": {string(s.people["dora"]), string(s.people["ivy"])}, "view": {""}, "action": {"reactivate"}}
		text, job, _ := s.bulk("boss", both)
		has(t, text, "Nobody is left to do this to", "2: Would need a seat, and none is free.", "frees a seat at once", "See who could give one back")
		if job != "" {
			t.Errorf("what nobody can have is offered: %s", text)
		}
		s.write(s.muster, func(tx *store.Tx) error { return tx.SetSeats(5) })
		has(t, page(at), `href="`+at+`/reactivate">Reactivate Dora Person</a>`)
		has(t, page(at+"/reactivate"), `value="now"`, "4 of 5 seats taken")
		has(t, page(s.path("/users/{ivy}")), `/invitation/reopen"`)
		text, job, _ = s.bulk("boss", both)
		has(t, text, "Reactivate (1 person)", "1: Would need a seat, and none is free.")
		has(t, job, "Done 1", "Failed 1", why)
		s.write(s.muster, func(tx *store.Tx) error { return tx.SetSeats(store.NoLimit) })
	})
}

// Where it cannot be planned, the button is off. A license can be full where the organization is not.
func TestALicenseThatIsFullIsNotOffered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			if _, err := tx.Deactivate(s.people["scott"], ""); err != nil { // whom a directory manages
				return err
			}
			if _, err := tx.Deactivate(s.people["viewer"], ""); err != nil {
				return err
			}
			return tx.SetLicenses([]store.License{{ID: "full", Name: "Full", Roles: []string{access.Agent}, Limit: 2}, {ID: "light", Name: "Light", Fallback: true, Limit: store.NoLimit}})
		})
		at := s.path("/users/{scott}")
		page := s.do("boss", "GET", at, nil).Body.String()
		has(t, page, `disabled aria-describedby="why-not">Reactivate Scott Person<`, "No seat of the license Full is free")
		hasNot(t, page, `href="`+at+`/reactivate"`)
		page = s.do("boss", "GET", at+"/reactivate", nil).Body.String()
		has(t, page, "No seat of the license Full is free", "give somebody another role", "See who could give one back")
		hasNot(t, page, `action="`+at+`/reactivate"`)
		has(t, s.do("boss", "GET", s.path("/users/{viewer}/reactivate"), nil).Body.String(), `value="now"`)
		text, _, _ := s.bulk("boss", url.Values{"user": {string(s.people["scott"]), string(s.people["viewer"])}, "view": {""}, "action": {"reactivate"}})
		has(t, text, "Reactivate (1 person)", "1: Would need a seat, and none is free.")
	})
}

// A role of a license type that is full is promised to as many as get it.
func TestARoleOfAFullLicenseIsNotPromised(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		var some []string
		s.write(s.muster, func(tx *store.Tx) error {
			for _, name := range []string{"v1", "v2", "v3"} {
				u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name + "@acme.example", Email: name + "@acme.example"}.Doc(), Source: store.FromCSV, Status: store.Active,
					Roles: []string{access.Viewer}, Reason: store.Manual})
				if err != nil {
					return err
				}
				some = append(some, string(u.ID))
			}
			return tx.SetLicenses([]store.License{{ID: "full", Name: "Full", Roles: []string{access.Agent}, Limit: store.NoLimit}, {ID: "light", Name: "Light", Fallback: true, Limit: store.NoLimit}})
		})
		limit := func(full, light int64) {
			s.write(s.muster, func(tx *store.Tx) error {
				now, err := tx.Seats()
				if err != nil {
					return err
				}
				list := now.Licenses
				list[0].Limit, list[1].Limit = list[0].Used+full, list[1].Used+light
				return tx.SetLicenses(list)
			})
		}
		agents := func() (n int) {
			s.write(s.muster, func(tx *store.Tx) error {
				for _, id := range some {
					held, err := tx.RolesOf([]store.UserID{store.UserID(id)})
					if err != nil {
						return err
					}
					if slices.Contains(store.RoleNames(held[store.UserID(id)]), access.Agent) {
						n++
					}
				}
				return nil
			})
			return n
		}
		limit(2, 0)
		text, _, _ := s.bulk("boss", url.Values{"user": some, "view": {""}, "action": {"role.give:" + access.Agent}})
		has(t, text, "Give the role Agent (2 people)", "1: Would need a seat, and none is free.")
		if n := agents(); n != 2 {
			t.Errorf("%d of 2 got it", n)
		}
		limit(0, 1) // whoever is no agent any more needs a seat of the other type
		text, _, _ = s.bulk("boss", url.Values{"user": some, "view": {""}, "action": {"role.take:" + access.Agent}})
		has(t, text, "Take the role Agent (1 person)", "1: Would need a seat, and none is free.")
		if n := agents(); n != 1 {
			t.Errorf("%d are left, not 1", n)
		}
	})
}

// Whom only a directory's word makes the last admin is not offered to be detached from it.
func TestTheLastAdminOfADirectoryIsNotDetached(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			_, err := tx.MapRole(s.okta.ID, store.RoleMapping{Attr: store.Roles, Value: "chief", Role: access.Admin})
			return err
		})
		s.write(access.Actor{Kind: access.Directory, Org: string(s.org), ID: string(s.okta.ID), Name: "Okta Prod"}, func(tx *store.Tx) error {
			u, err := tx.User(s.people["scott"])
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			doc["roles"] = []any{map[string]any{"value": "chief"}}
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		at := s.path("/users/{scott}")
		has(t, s.do("operator", "GET", at, nil).Body.String(), `href="`+at+`/detach"`, `href="`+at+`/deactivate"`)
		s.write(s.muster, func(tx *store.Tx) error { _, err := tx.Deactivate(s.people["boss"], ""); return err })
		page := s.do("operator", "GET", at, nil).Body.String()
		has(t, page, "last active admin", `disabled aria-describedby="last-admin">Detach from Okta Prod<`, `disabled aria-describedby="last-admin">Deactivate Scott Person<`)
		hasNot(t, page, `href="`+at+`/detach"`, `href="`+at+`/deactivate"`)
		page = s.do("operator", "GET", at+"/detach", nil).Body.String()
		has(t, page, "last active admin")
		hasNot(t, page, `action="`+at+`/detach"`)
		s.post("operator", at+"/detach", 409, url.Values{})
		s.write(s.muster, func(tx *store.Tx) error { return tx.Grant(s.people["scott"], access.Admin, store.Manual) })
		has(t, s.do("operator", "GET", at, nil).Body.String(), `href="`+at+`/detach"`)
		s.post("operator", at+"/detach", 303, url.Values{})
	})
}

// The form of a person offers the roles that may be given, teams to whoever may change
// them, and keeps several roles as they are.
func TestTheFormOffersWhatMayBeGiven(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.lead()
		s.actors["editor"] = access.Actor{Kind: access.Person, Org: string(s.org), ID: string(s.people["lead"]), Name: "Ed Editor", Roles: []string{"lead"},
			Granted: []access.Permission{access.ViewUsers, access.ViewGroups, access.EditUsers}}
		at := s.path("/users/{agent}/edit")
		has(t, s.do("boss", "GET", at, nil).Body.String(), `value="admin"`, `value="lead"`, `name="teams_shown"`)
		page := s.do("lead", "GET", at, nil).Body.String()
		has(t, page, `value="lead"`, `name="teams_shown"`)
		hasNot(t, page, `value="admin"`)
		page = s.do("editor", "GET", at, nil).Body.String()
		has(t, page, `value="agent"`)
		hasNot(t, page, `value="lead"`, `name="teams`)

		s.write(s.muster, func(tx *store.Tx) error { return tx.Grant(s.people["agent"], access.Viewer, store.Manual) })
		has(t, s.do("boss", "GET", at, nil).Body.String(), `value="several" selected>Several, as now: Agent, Viewer<`)
		form := url.Values{"title": {"Clerk"}, "role": {"several"}, "version": {strconv.FormatInt(s.user("agent").Version, 10)}}
		s.post("boss", at, 303, form)
		roles := func() []string {
			var have map[store.UserID][]store.Grant
			s.write(s.muster, func(tx *store.Tx) (err error) {
				have, err = tx.RolesOf([]store.UserID{s.people["agent"]})
				return err
			})
			return store.RoleNames(have[s.people["agent"]])
		}
		if got := roles(); len(got) != 2 || s.user("agent").Profile().Title != "Clerk" {
			t.Errorf("the roles are %v", got)
		}
		form.Set("role", access.Viewer)
		form.Set("version", strconv.FormatInt(s.user("agent").Version, 10))
		s.post("boss", at, 303, form)
		if got := roles(); len(got) != 1 || got[0] != access.Viewer {
			t.Errorf("the roles are %v", got)
		}
	})
}

// A role of few rights has the pages of these rights: who may not see teams is neither shut
// out of the list nor of the form of a person, and is led nowhere that is refused.
func TestFewRightsAreEnough(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		few := func(name string, list ...access.Permission) {
			s.actors[name] = access.Actor{Kind: access.Person, Org: string(s.org), ID: string(s.people["viewer"]), Name: name, Roles: []string{name}, Granted: append(list, access.ViewUsers)}
		}
		few("sees")
		few("edits", access.EditUsers)
		few("ends", access.EndUsers)
		few("teams", access.ViewGroups, access.EditGroups)
		for _, who := range []string{"sees", "edits", "ends", "teams"} {
			page := s.do(who, "GET", "/console/acme/users", nil).Body.String()
			has(t, page, "Agent Person")
			if got := strings.Contains(page, `name="team"`); got != (who == "teams") {
				t.Errorf("%s is offered the filter of teams: %v", who, got)
			}
			if got := strings.Contains(page, `href="/console/acme/deleted"`); got != (who == "ends") {
				t.Errorf("%s is led to the deleted: %v", who, got)
			}
			page = s.do(who, "GET", s.path("/users/{agent}"), nil).Body.String()
			has(t, page, "Support")
			if got := strings.Contains(page, s.path("/teams/{Support}")); got != (who == "teams") {
				t.Errorf("%s is led to the team: %v", who, got)
			}
		}
		has(t, s.do("edits", "GET", s.path("/users/{agent}/edit"), nil).Body.String(), `name="title"`)
		s.post("edits", s.path("/users/{agent}/edit"), 303, url.Values{"title": {"Clerk"}, "role": {access.Agent}, "version": {strconv.FormatInt(s.user("agent").Version, 10)}})
		if u := s.user("agent"); u.Profile().Title != "Clerk" {
			t.Errorf("the title is %q", u.Profile().Title)
		}
	})
}

// The same for many at once: the page before says whom it leaves out, and the job leaves
// out the same.
func TestManyAreNotTouchedByWhoMayDoLess(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.lead()
		s.add(s.muster, "second", store.FromAPI, store.Active, access.Admin)
		both := url.Values{"user": {string(s.people["second"]), string(s.people["agent"])}}
		for _, action := range []string{"role.give:lead", "deactivate"} {
			both.Set("action", action)
			preview, result, _ := s.bulk("lead", both)
			has(t, preview, "done to 1 person", "1: Has a role that allows more than you may do yourself.")
			has(t, result, "Has a role that allows more than you may do yourself.", "Done 1 Skipped 1 Failed 0")
		}
		if second, agent := s.user("second"), s.user("agent"); second.Status != store.Active || agent.Status != store.Deactivated {
			t.Errorf("the admin is %s, the agent %s", second.Status, agent.Status)
		}
	})
}

// What the actor may not give or do is refused before there is a job, with the reason, and
// not offered.
func TestWhatManyMayNotBeGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.lead()
		s.actors["editor"] = access.Actor{Kind: access.Person, Org: string(s.org), ID: string(s.people["agent"]), Name: "Ed Editor", Roles: []string{"agent"},
			Granted: []access.Permission{access.ViewUsers, access.ViewGroups, access.EditUsers}}
		agent := []string{string(s.people["agent"])}
		page := s.do("lead", "GET", "/console/acme/users", nil).Body.String()
		has(t, page, `value="role.give:lead"`, `value="role.take:admin"`, `value="team.add:`+string(s.team("Support")))
		hasNot(t, page, `value="role.give:admin"`, `value="team.add:`+string(s.people["Everyone"]))
		for _, c := range []struct{ who, action, api, text string }{
			{"lead", "role.give:admin", `"role.give","role":"admin"`, "allows more than you may do yourself"},
			{"editor", "role.give:lead", `"role.give","role":"lead"`, "allows more than you may do yourself"},
			{"editor", "deactivate", `"deactivate"`, ""},
			{"editor", "reactivate", `"reactivate"`, ""},
			{"editor", "team.add:" + string(s.team("Support")), `"team.add","team":"` + string(s.team("Support")) + `"`, ""},
		} {
			has(t, s.post(c.who, "/console/acme/users/bulk", 403, url.Values{"user": agent, "action": {c.action}}), c.text)
			s.post(c.who, "/console/acme/users/bulk/start", 403, url.Values{"user": agent, "action": {c.action}, "sure_admin": {"yes"}})
			for _, preview := range []string{"", `,"preview":true`} {
				body := `{"action":` + c.api + `,"users":["` + agent[0] + `"]` + preview + `}`
				r := httptest.NewRequest("POST", "http://127.0.0.1:8080/api/v1/users/bulk", strings.NewReader(body))
				r.Header.Set("X-Who", c.who)
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				if s.mux.ServeHTTP(w, r); w.Code != 403 || !strings.Contains(w.Body.String(), c.text) {
					t.Errorf("%s: %d %s", body, w.Code, w.Body)
				}
			}
		}
		// What was ticked stays ticked.
		has(t, s.post("lead", "/console/acme/users/bulk", 403, url.Values{"user": agent, "action": {"role.give:admin"}}), `value="`+agent[0]+`" aria-label="Choose Agent Person" checked`)
		s.write(s.muster, func(tx *store.Tx) error {
			list, err := s.jobs.List(tx, "", 10)
			if len(list) > 0 {
				t.Errorf("%d jobs were made", len(list))
			}
			return err
		})
	})
}

// A planned change is cancelled by whoever could make it: others are told why not, and are
// offered nothing.
func TestPlansThatOthersCancel(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		list := access.Managing()[:len(access.Managing())-1]
		s.add(s.muster, "root", store.FromInvite, store.Active, access.Admin)
		s.add(s.muster, "second", store.FromAPI, store.Active, access.Admin)
		s.actors["lead"] = access.Actor{Kind: access.Person, Org: string(s.org), ID: string(s.people["viewer"]), Name: "Lea Lead", Roles: []string{"lead"}, Granted: list}
		service := life.New(life.Options{DB: db})
		plans := map[string]string{}
		s.write(s.muster, func(tx *store.Tx) error {
			for _, name := range []string{"root", "second", "agent"} {
				p, err := service.Plan(tx, life.In{User: s.people[name], Action: life.Deactivate, At: tx.Now().Add(time.Hour).RFC3339()})
				if err != nil {
					return err
				}
				plans[name] = string(p.ID)
			}
			return s.sessions.MakeOperator(tx, s.people["root"])
		})
		const operators, more = "that of an operator of this server. Only an operator can change it", "allows more than you may do yourself. Ask an admin."
		for _, c := range []struct {
			who     string
			cancels []string
			why     []string
		}{
			{"operator", []string{"root", "second", "agent"}, nil},
			{"boss", []string{"second", "agent"}, []string{operators}},
			{"lead", []string{"agent"}, []string{operators, more}},
			{"viewer", nil, nil},
		} {
			page := s.do(c.who, "GET", "/console/acme/planned", nil).Body.String()
			has(t, page, c.why...)
			for name, id := range plans {
				if may, offered := slices.Contains(c.cancels, name), strings.Contains(page, "/planned/"+id+"/cancel"); may != offered {
					t.Errorf("%s is offered to cancel what is planned for %s: %v", c.who, name, offered)
				}
			}
		}
		s.post("boss", "/console/acme/planned/"+plans["root"]+"/cancel", 403, url.Values{})
		s.post("lead", "/console/acme/planned/"+plans["second"]+"/cancel", 403, url.Values{})
		s.post("operator", "/console/acme/planned/"+plans["root"]+"/cancel", 303, url.Values{})
		s.post("lead", "/console/acme/planned/"+plans["agent"]+"/cancel", 303, url.Values{})
		has(t, s.post("lead", "/console/acme/planned/"+plans["agent"]+"/cancel", 409, url.Values{}), "cancelled already")
	})
}

// Whom only an operator changes is left out of what an admin does to many, and the page
// before says so.
func TestManyWithAnOperator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.add(s.muster, "root", store.FromInvite, store.Active, access.Viewer)
		s.add(s.muster, "glass", store.FromAPI, store.Active, access.Admin)
		s.write(s.muster, func(tx *store.Tx) error {
			if _, err := tx.SetBreakGlass(s.people["glass"], true, "breakglass.add"); err != nil {
				return err
			}
			return s.sessions.MakeOperator(tx, s.people["root"])
		})
		preview, result, _ := s.bulk("boss", url.Values{"user": {string(s.people["root"]), string(s.people["glass"]), string(s.people["agent"])}, "action": {"deactivate"}})
		has(t, preview, "done to 1 person", "2 will be left out", "1: This is a break-glass account", "1: This is an operator of this server")
		has(t, result, "This is an operator of this server", "Done 1 Skipped 2 Failed 0")
		if s.user("root").Status != store.Active || s.user("agent").Status != store.Deactivated {
			t.Error("the operator is out, or the agent is in")
		}
	})
}

// What a refusal names is in the reader's language, too: who manages, the way out, a state
// and a time.
func TestRefusalsInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		scott := s.user("scott")
		has(t, s.german(s.path("/users/{scott}/edit"), url.Values{"title": {"x"}, "role": {access.Agent}, "version": {strconv.FormatInt(scott.Version, 10)}}),
			"wird vom Verzeichnis Okta Prod verwaltet. Ändern Sie es dort, oder lösen Sie die Person zuerst vom Verzeichnis.")
		has(t, s.german(s.path("/users/{agent}/reactivate")), "Der Zustand von Agent Person ist jetzt „Aktiv“.")
		has(t, s.german(s.path("/users/{agent}/deactivate"), url.Values{"successor_id": {string(s.people["dora"])}}), "ist deaktiviert. Wer übernimmt, muss aktiv sein")
		year := strconv.Itoa(time.Now().Year() + 1)
		has(t, s.german(s.path("/users/{scott}/deactivate"), url.Values{"when": {"later"}, "at": {year + "-05-02T18:00"}, "zone": {"Europe/Berlin"}}), "wird vom Verzeichnis Okta Prod verwaltet, das dann das letzte Wort hat.")
		s.post("boss", s.path("/users/{agent}/deactivate"), 303, url.Values{"when": {"later"}, "at": {year + "-05-02T18:00"}, "zone": {"Europe/Berlin"}})
		has(t, s.german("/console/acme/planned"), "2. Mai "+year+", 18:00 (Europe/Berlin)")
	})
}
