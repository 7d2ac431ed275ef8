package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheActivityPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.post("boss", s.path("/users/{agent}/deactivate"), 303, url.Values{"why": {"left <b>us</b>"}})
		text := s.page("viewer", "/console/acme/activity")
		has(t, text, "boss deactivated Agent Person : “left <b>us</b>”", "from 192.0.2.1", "status", "active → deactivated", "made the group", "connected the directory Okta Prod")
		has(t, s.page("viewer", "/console/acme/activity?action=user.deactivate"), "Agent Person", "Clear")
		hasNot(t, s.page("viewer", "/console/acme/activity?action=user.deactivate"), "added")
		for _, person := range []string{"agent@acme.example", string(s.people["agent"])} {
			text := s.page("viewer", "/console/acme/activity?person="+person)
			has(t, text, "Activity of Agent Person", "deactivated")
			hasNot(t, text, "Scott")
		}
		has(t, s.page("viewer", "/console/acme/activity?action=nothing.like.it"), "Nothing of this kind has happened")
		w := s.do("viewer", "GET", "/console/acme/activity?person=nobody", nil)
		if w.Code != http.StatusBadRequest {
			t.Errorf("an unknown person: %d", w.Code)
		}
		has(t, webtest.Text(webtest.Page(t, w.Body.String())), "There is nobody with the address or user name")
		if w := s.do("viewer", "GET", "/console/acme/activity?cursor=x", nil); w.Code != http.StatusBadRequest {
			t.Errorf("an odd cursor: %d", w.Code)
		}
	})
}

func TestActivityGoesBackPageByPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			for i := range 130 {
				if err := tx.Record(store.Activity{Action: "test.step", TargetKind: "thing", TargetID: "x", TargetName: fmt.Sprintf("step-%03d.", i)}); err != nil {
					return err
				}
			}
			return nil
		})
		seen := map[string]bool{}
		next := "?action=test.step"
		for pages := 0; next != ""; pages++ {
			if pages == 5 {
				t.Fatal("it never ends")
			}
			doc := webtest.Page(t, s.do("boss", "GET", "/console/acme/activity"+next, nil).Body.String())
			text := webtest.Text(doc)
			for i := range 130 {
				if name := fmt.Sprintf("step-%03d.", i); strings.Contains(text, name) {
					if seen[name] {
						t.Errorf("%s twice", name)
					}
					seen[name] = true
				}
			}
			next = ""
			for _, a := range webtest.All(doc, "a") {
				if webtest.Attr(a, "rel") == "next" {
					next = webtest.Attr(a, "href")
				}
			}
		}
		if len(seen) != 130 {
			t.Errorf("%d of 130 rows seen", len(seen))
		}
	})
}

func TestTeams(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		has(t, s.page("viewer", "/console/acme/teams"), "Support", "Everyone", "Okta Prod")
		hasNot(t, s.page("viewer", "/console/acme/teams"), "New team")
		s.post("boss", "/console/acme/teams", 303, url.Values{"name": {"Sales"}})
		has(t, s.post("boss", "/console/acme/teams", 409, url.Values{"name": {"SALES"}}), `href="#f-name"`)

		at := s.path("/teams/{Support}")
		has(t, s.page("boss", at), "2 members", "Agent Person", "Remove", "Delete Support")
		s.post("boss", at+"/add", 303, url.Values{"who": {"dora@acme.example"}})
		s.post("boss", at+"/add", 303, url.Values{"who": {"dora@acme.example"}})
		has(t, s.post("boss", at+"/add", 400, url.Values{"who": {"nobody"}}), `href="#f-who"`)
		has(t, s.page("boss", at), "3 members")
		s.post("boss", at+"/remove", 303, url.Values{"user": {string(s.people["dora"])}})
		has(t, s.page("viewer", at), "2 members")
		s.post("boss", at+"/rename", 303, url.Values{"name": {"Help"}})
		has(t, s.page("viewer", at), "Help")
		has(t, s.post("boss", at+"/rename", 409, url.Values{"name": {"sales"}}), "displayName")
		s.post("boss", at+"/delete", 303, nil)
		if w := s.do("boss", "GET", at, nil); w.Code != http.StatusNotFound {
			t.Errorf("a deleted team: %d", w.Code)
		}
		managed := s.path("/teams/{Everyone}")
		text := s.page("boss", managed)
		has(t, text, "managed by the directory Okta Prod")
		hasNot(t, text, "Rename", "Remove")
		for _, change := range []string{"/rename", "/add", "/remove", "/delete"} {
			s.post("boss", managed+change, 403, url.Values{"name": {"x"}, "who": {"dora@acme.example"}, "user": {string(s.people["scott"])}})
		}
		has(t, s.page("viewer", managed), "1 member", "Scott Person")
	})
}

// A team may hold teams and directories' groups: their people belong to it.
func TestTeamsInTeams(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.post("boss", "/console/acme/teams", 303, url.Values{"name": {"Company"}})
		s.write(s.muster, func(tx *store.Tx) error {
			g, err := tx.GroupByName("Company")
			s.people["Company"] = store.UserID(g.ID)
			return err
		})
		support, everyone, company := s.path("/teams/{Support}"), s.path("/teams/{Everyone}"), s.path("/teams/{Company}")
		id := func(at string) url.Values { return url.Values{"group": {at[strings.LastIndexByte(at, '/')+1:]}} }
		has(t, s.page("boss", company), "Add a team or group", "Everyone (Okta Prod)")
		hasNot(t, s.page("viewer", company), "Add a team or group")
		s.post("boss", company+"/nest", 303, id(support))
		s.post("boss", company+"/nest", 303, id(everyone))
		has(t, s.page("viewer", company), "0 members", "Teams and groups in Company", "Support", "Everyone", "Okta Prod")
		has(t, s.page("boss", company), "Take out Support")
		has(t, s.page("viewer", support), "In Company")
		hasNot(t, s.page("viewer", support), "Company (")
		has(t, s.page("viewer", s.path("/users/{agent}")), "Company through Support")
		has(t, s.page("viewer", "/console/acme/activity"), "boss added members to Company")
		for name, f := range map[string]url.Values{"nothing": {}, "no group": {"group": {strings.Repeat("0", 32)}}, "itself": id(company), "a circle": id(company)} {
			at := company
			if name == "a circle" {
				at = support
			}
			has(t, s.post("boss", at+"/nest", 400, f), `href="#f-group"`)
		}
		s.post("boss", everyone+"/nest", 403, id(support))
		s.post("viewer", company+"/nest", 403, id(support))
		s.post("boss", company+"/unnest", 303, id(support))
		s.post("boss", company+"/unnest", 303, id(support))
		hasNot(t, s.page("viewer", s.path("/users/{agent}")), "Company")
		hasNot(t, s.page("viewer", company), "Support")
		// Editing somebody's teams is about those that the person is a member of.
		s.post("boss", company+"/nest", 303, id(support))
		at := s.path("/users/{agent}/edit")
		body := s.do("boss", "GET", at, nil).Body.String()
		if n := strings.Count(body, " checked"); n != 1 {
			t.Errorf("%d teams are ticked, want Support alone", n)
		}
	})
}

func TestDirectories(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		text := s.page("boss", "/console/acme/directories")
		has(t, text, "Okta Prod", "Waiting for the first request", "/scim/v2/"+string(s.okta.ID))
		body := s.post("boss", "/console/acme/directories", 200, url.Values{"name": {"Entra"}, "vendor": {"entra"}, "mode": {"strict"}})
		has(t, body, "the-token", "Entra is ready")
		text = s.page("boss", "/console/acme/directories")
		has(t, text, "Entra ID", "strict")
		hasNot(t, text, "the-token")
		has(t, s.post("boss", "/console/acme/directories", 400, url.Values{"name": {" "}, "vendor": {"okta"}}), `href="#f-name"`)
	})
}

func TestTwoThousandPeople(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		var wg sync.WaitGroup
		for part := range 8 {
			wg.Go(func() {
				for i := range 250 {
					name := fmt.Sprintf("p%d.%d@many.example", part, i)
					err := db.Command(ctx, s.muster, func(tx *store.Tx) error {
						_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name, GivenName: "Many", FamilyName: fmt.Sprintf("People %d", i)}.Doc(), Source: store.FromCSV, Roles: []string{access.Agent}, Reason: store.Manual})
						return err
					})
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
				}
			})
		}
		wg.Wait()
		has(t, s.page("viewer", "/console/acme/users"), "2 006 people", "Next")
		has(t, s.page("viewer", "/console/acme/users?q=many+p3&source=csv"), "250 of 2 006", "Next")
		// The links lead through all pages and back.
		for _, view := range []string{"?sort=-created", "?q=many+p3&source=csv&sort=email", "?status=active"} {
			pages, sizes := []string{view}, 0
			for link, rel := view, "next"; ; {
				w := s.do("viewer", "GET", "/console/acme/users"+link, nil)
				if w.Body.Len() > 100<<10 {
					t.Errorf("%s has %d bytes", link, w.Body.Len())
				}
				doc := webtest.Page(t, w.Body.String())
				if rel == "next" {
					sizes += len(webtest.All(doc, "tr")) - 1
				}
				next := ""
				for _, a := range webtest.All(doc, "a") {
					if webtest.Attr(a, "rel") == rel {
						next = webtest.Attr(a, "href")
					}
				}
				switch {
				case next != "":
					link = next
					pages = append(pages, next)
					continue
				case rel == "next":
					rel = "prev"
					continue
				}
				break
			}
			want := map[string]int{"?sort=-created": 2006, "?q=many+p3&source=csv&sort=email": 250, "?status=active": 2004}[view]
			if count := (want + 49) / 50; sizes != want || len(pages) != 2*count-1 {
				t.Errorf("%s: %d people on %d pages, want %d on %d", view, sizes, len(pages), want, 2*count-1)
			}
		}
	})
}
