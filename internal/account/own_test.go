package account_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/store"
)

const ownURN = "urn:muster:params:scim:schemas:extension:acme:2.0:User"

// defines gives the organization attributes.
func (s *site) defines(acme access.Actor, list ...store.Attribute) {
	s.t.Helper()
	s.change(acme, func(tx *store.Tx) error {
		for _, a := range list {
			if _, err := tx.PutAttribute(store.UserResource, "", a, false); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *site) change(actor access.Actor, do func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(context.Background(), actor, do); err != nil {
		s.t.Fatal(err)
	}
}

// ownOf is what a person has of them.
func (s *site) ownOf(acme access.Actor, id store.UserID) map[string]any {
	s.t.Helper()
	var u store.User
	s.change(acme, func(tx *store.Tx) (err error) { u, err = tx.User(id); return err })
	doc, err := u.Attributes()
	if err != nil {
		s.t.Fatal(err)
	}
	own, _ := doc[ownURN].(map[string]any)
	return own
}

// Whoever lacks what the organization requires of its people fills it in before going on.
func TestRequiredAttributesAreFilledInFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy"})
		badge, floor := store.Attribute{Name: "badge", Required: true, Self: true, Mutability: "immutable"}, store.Attribute{Name: "floor", Type: "integer", Required: true, Self: true}
		s.defines(acme, badge, floor, store.Attribute{Name: "salary", Required: true}, store.Attribute{Name: "desk", Self: true})
		const at = "/account/complete"
		b := s.signedIn("ivy@acme.example")
		b.want(b.get("/account"), 303, at+"?next=%2Faccount")
		b.want(b.get("/account/sessions?x=1"), 303, at+"?next=%2Faccount%2Fsessions%3Fx%3D1")
		if me := b.get("/api/v1/me"); me.status != 200 {
			t.Errorf("a program is held up: %d", me.status)
		}
		b.want(b.post("/account/preferences", "theme", "dark"), 303, "/account/preferences") // what was sent goes through
		page := b.get(at + "?next=%2Faccount%2Fsessions")
		if page.status != 200 || !strings.Contains(page.body, `value="/account/sessions"`) || strings.Contains(page.body, "salary") || strings.Contains(page.body, "desk") || strings.Contains(page.body, "/console/") {
			t.Errorf("the page: %d %s", page.status, page.body)
		}
		key := func(name string) string { return ownURN + ":" + name }
		if got := b.post(at, key("badge"), "B<1>", key("floor"), "second"); got.status != 400 || !strings.Contains(got.body, `value="B&lt;1&gt;"`) || !strings.Contains(got.body, "want a whole number") {
			t.Errorf("a wrong number: %d %s", got.status, got.body)
		}
		if got := b.post(at, key("badge"), "B1", key("floor"), " "); got.status != 400 || !strings.Contains(got.body, "floor is required") || s.ownOf(acme, ivy) != nil {
			t.Errorf("half of it: %d %v", got.status, s.ownOf(acme, ivy))
		}
		b.want(b.post(at, key("badge"), "B1", key("floor"), "2", key("salary"), "1000000", "next", "https://evil.example/"), 303, "/account")
		if own := s.ownOf(acme, ivy); len(own) != 2 || own["badge"] != "B1" {
			t.Errorf("stored %v", own)
		}
		if list := s.activities(acme, "user.update"); len(list) != 1 || list[0].ActorID != string(ivy) {
			t.Errorf("recorded %+v", list)
		}
		// What others fill plays no part for whoever lacks nothing.
		before := s.lookups.Load()
		b.want(b.get("/account/preferences"), 200, "")
		if n := s.lookups.Load() - before; n != 0 {
			t.Errorf("looked up %d times what others fill", n)
		}
		b.want(b.get(at+"?next=%2Faccount%2Fsessions"), 303, "/account/sessions") // nothing is missing any more
		// It is the person's to change, but for what is set once.
		page = b.get("/account/profile")
		if !strings.Contains(page.body, `name="`+key("floor")+`" value="2"`) || strings.Contains(page.body, key("badge")) || strings.Contains(page.body, "salary") {
			t.Errorf("the profile: %s", page.body)
		}
		b.want(b.post("/account/profile", "given_name", "Iva", key("floor"), "3", key("desk"), "7", key("badge"), "B2", key("salary"), "9"), 303, "/account/profile")
		if own := s.ownOf(acme, ivy); len(own) != 3 || own["badge"] != "B1" || own["desk"] != "7" {
			t.Errorf("stored %v", own)
		}
		if got := b.post("/account/profile", key("floor"), "", key("desk"), "kept"); got.status != 400 || !strings.Contains(got.body, `value="kept"`) {
			t.Errorf("a required one is emptied: %d %s", got.status, got.body)
		}
	})
}

// Nobody is held up for what they cannot write, and never out of the organization.
func TestRequiredAttributesLockNobodyOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		member := func(name string) store.UserID {
			return s.addMember(acme, store.Profile{UserName: name + "@acme.example", Email: name + "@acme.example", GivenName: name})
		}
		member("ivy")
		glass, olga, scott := member("glass"), member("olga"), member("scott")
		s.addUser(acme, "boss@acme.example", good)
		browsers := map[string]*browser{}
		for _, name := range []string{"ivy", "glass", "olga", "scott", "boss"} {
			browsers[name] = s.signedIn(name + "@acme.example")
		}
		required := store.Attribute{Name: "badge", Required: true, Self: true}
		s.defines(acme, required)
		s.change(acme, func(tx *store.Tx) error {
			if _, err := tx.SetBreakGlass(glass, true, "breakglass.add"); err != nil {
				return err
			}
			return s.sessions.MakeOperator(tx, olga)
		})
		okta := access.Actor{Kind: access.Directory, Org: acme.Org, Name: "Okta"}
		s.change(acme, func(tx *store.Tx) error {
			d, err := tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			okta.ID = string(d.ID)
			return err
		})
		s.change(okta, func(tx *store.Tx) error {
			u, err := tx.User(scott)
			if err == nil {
				_, err = tx.UpdateUser(u, store.UserChange{})
			}
			return err
		})
		status := func(who, path string) int { t.Helper(); return browsers[who].get(path).status }
		for who, want := range map[string]int{"ivy": 303, "boss": 303, "glass": 200, "olga": 200, "scott": 200} {
			if got := status(who, "/account"); got != want {
				t.Errorf("%s: %d, want %d", who, got, want)
			}
		}
		// Who can change what is asked, gets there.
		if got := status("boss", "/console/acme/settings/passwords"); got != 200 {
			t.Errorf("an admin's console: %d", got)
		}
		if page := browsers["boss"].get("/account/complete"); !strings.Contains(page.body, "/console/acme/attributes") {
			t.Errorf("an admin is not told: %s", page.body)
		}
		// What sign-ins fill, or an admin keeps.
		for _, by := range []account.Filled{{Attr: ownURN + ":badge", Connection: "Okta"}, {Attr: "badge", Locked: true}} {
			s.filled = []account.Filled{by}
			if got := status("ivy", "/account"); got != 200 {
				t.Errorf("%+v: %d", by, got)
			}
		}
		s.filled = nil
		if got := status("ivy", "/account"); got != 303 {
			t.Errorf("ivy goes on: %d", got)
		}
		// The directory's word is final, also in a post that was on its way.
		got := browsers["scott"].post("/account/complete", ownURN+":badge", "mine")
		if got.status != 303 || s.ownOf(acme, scott) != nil {
			t.Errorf("a managed person writes: %d %v", got.status, s.ownOf(acme, scott))
		}
		// What is not asked any more holds nobody up.
		required.Required = false
		s.defines(acme, required)
		if got := status("ivy", "/account"); got != 200 {
			t.Errorf("nothing is asked: %d", got)
		}
		for _, bad := range []store.Attribute{{Name: "many", Self: true, MultiValued: true}, {Name: "hidden", Self: true, Mutability: "writeOnly"}, {Name: "fixed", Self: true, Mutability: "readOnly"}} {
			err := s.db.Write(context.Background(), acme, func(tx *store.Tx) error {
				_, err := tx.PutAttribute(store.UserResource, "", bad, true)
				return err
			})
			if err == nil || !slices.Contains([]string{"many", "hidden", "fixed"}, strings.Fields(err.Error())[1]) {
				t.Errorf("%s: %v", bad.Name, err)
			}
		}
	})
}
