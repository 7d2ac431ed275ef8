package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// crowd makes people of every sort, and a team.
func crowd(t *testing.T, db *store.DB, clock *storetest.Clock, org access.Actor, n int) (team store.GroupID, dir store.Directory) {
	t.Helper()
	write := func(actor access.Actor, fn func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Write(context.Background(), actor, fn); err != nil {
			t.Fatal(err)
		}
	}
	write(org, func(tx *store.Tx) (err error) {
		dir, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
		return err
	})
	okta := access.Actor{Kind: access.Directory, Org: org.Org, ID: string(dir.ID), Name: "Okta"}
	var members []store.UserID
	for i := range n {
		actor, in := org, store.NewUser{Source: []store.Source{store.FromInvite, store.FromCSV, store.FromAPI}[i%3], Reason: store.Manual,
			Doc: store.Profile{UserName: fmt.Sprintf("user%02d@example.com", i), Email: fmt.Sprintf("mail%02d@example.com", n-i), GivenName: fmt.Sprintf("Given%d", i%7), FamilyName: fmt.Sprintf("Family%d", i%5)}.Doc()}
		if i%4 == 0 {
			actor, in.Source = okta, store.FromSCIM
		} else if i%5 == 0 {
			in.Roles = []string{access.Viewer}
		}
		if in.Source == store.FromInvite {
			in.Status = store.Invited
		}
		write(actor, func(tx *store.Tx) error {
			u, err := tx.CreateUser(in)
			if err == nil && in.Source != store.FromInvite && i%3 == 1 {
				err = tx.SignedIn(u.ID, "password")
			}
			if i%6 == 0 {
				members = append(members, u.ID)
			}
			return err
		})
		clock.Pass(time.Second)
	}
	write(org, func(tx *store.Tx) error {
		g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}, Members: members})
		team = g.ID
		return err
	})
	return team, dir
}

// walkPeople reads all pages forward and then back again, and the number of all is exact.
func walkPeople(t *testing.T, db *store.DB, org access.Actor, q store.PeopleQuery) []store.Person {
	t.Helper()
	q.Limit = 3
	list, first := walkPages(t, db, org, q)
	if first.Total != len(list) || first.AtLeast {
		t.Errorf("%+v: total %d, at least %v, %d were listed", q, first.Total, first.AtLeast, len(list))
	}
	return list
}

// walkPages reads all pages forward and then back again. Each tells the same number of all.
func walkPages(t *testing.T, db *store.DB, org access.Actor, q store.PeopleQuery) (list []store.Person, first store.PeoplePage) {
	t.Helper()
	read := func() (page store.PeoplePage) {
		if err := db.Read(context.Background(), org, func(tx *store.Tx) (err error) { page, err = tx.People(q); return err }); err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		return page
	}
	at := func(p store.Person) store.Standing {
		s, err := store.StandingOf(p.User, q.Sort)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	page := read()
	if page.Previous {
		t.Errorf("%+v: something before the first page", q)
	}
	first = page
	for {
		if page.Total != first.Total || page.AtLeast != first.AtLeast {
			t.Errorf("%+v: %d, at least %v; %d, %v on the first page", q, page.Total, page.AtLeast, first.Total, first.AtLeast)
		}
		list = append(list, page.People...)
		if !page.Next {
			break
		}
		q.After = at(page.People[len(page.People)-1])
		page = read()
	}
	var back []store.Person
	for back = page.People; page.Previous; back = append(slices.Clone(page.People), back...) {
		q.After, q.Before = store.Standing{}, at(page.People[0])
		page = read()
	}
	if got, want := namesOf(back), namesOf(list); got != want {
		t.Errorf("%+v:\nforward %s\nback    %s", q, want, got)
	}
	return list, first
}

func namesOf(list []store.Person) string {
	var names []string
	for _, p := range list {
		names = append(names, strings.TrimSuffix(p.UserName, "@example.com"))
	}
	return strings.Join(names, " ")
}

// Each filter, and each order, agrees with the same choice made among all people.
func TestPeopleAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, org := storetest.Org(t, db, "acme")
		_, stranger := storetest.Org(t, db, "other")
		begun := store.TimeOf(clock.Now())
		team, dir := crowd(t, db, clock, org, 40)
		crowd(t, db, clock, stranger, 5)
		err := db.Write(context.Background(), org, func(tx *store.Tx) error {
			for i := range 40 {
				if i%8 != 2 {
					continue
				}
				u, err := tx.UserByName(fmt.Sprintf("user%02d@example.com", i))
				if err == nil && i == 2 {
					_, err = tx.DeleteUser(u.ID, "")
				} else if err == nil && u.Status == store.Active {
					_, err = tx.Deactivate(u.ID, "")
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all := walkPeople(t, db, org, store.PeopleQuery{})
		if len(all) != 39 {
			t.Fatalf("%d people", len(all))
		}
		has := func(role string) func(store.Person) bool {
			return func(p store.Person) bool { return slices.Contains(store.RoleNames(p.Grants), role) }
		}
		cut := begun.Add(20 * time.Second)
		for name, c := range map[string]struct {
			q    store.PeopleQuery
			want func(store.Person) bool
		}{
			"status":         {store.PeopleQuery{Status: []store.Status{store.Invited, store.Deactivated}}, func(p store.Person) bool { return p.Status != store.Active }},
			"source":         {store.PeopleQuery{Source: []store.Source{store.FromCSV}}, func(p store.Person) bool { return p.Source == store.FromCSV }},
			"directory":      {store.PeopleQuery{Directory: []store.DirectoryID{dir.ID}}, func(p store.Person) bool { return p.DirectoryID == dir.ID }},
			"nobody's":       {store.PeopleQuery{Directory: []store.DirectoryID{""}}, func(p store.Person) bool { return p.DirectoryID == "" }},
			"both":           {store.PeopleQuery{Directory: []store.DirectoryID{"", dir.ID}}, func(store.Person) bool { return true }},
			"viewers":        {store.PeopleQuery{Role: access.Viewer}, has(access.Viewer)},
			"agents":         {store.PeopleQuery{Role: access.Agent}, has(access.Agent)},
			"admins":         {store.PeopleQuery{Role: access.Admin}, has(access.Admin)},
			"team":           {store.PeopleQuery{Team: team}, func(p store.Person) bool { return len(p.Groups) > 0 }},
			"never":          {store.PeopleQuery{Never: true}, func(p store.Person) bool { return p.LastSignInAt == 0 }},
			"signed in":      {store.PeopleQuery{SignedIn: store.Span{From: cut}}, func(p store.Person) bool { return p.LastSignInAt >= cut }},
			"created before": {store.PeopleQuery{Created: store.Span{Until: cut}}, func(p store.Person) bool { return p.CreatedAt < cut }},
			"all at once": {store.PeopleQuery{Team: team, Status: []store.Status{store.Active}, Source: []store.Source{store.FromSCIM}, Search: "user given"},
				func(p store.Person) bool {
					return len(p.Groups) > 0 && p.Status == store.Active && p.Source == store.FromSCIM
				}},
			"chosen": {store.PeopleQuery{IDs: []store.UserID{all[3].ID, all[5].ID, store.NewID[store.User]()}}, func(p store.Person) bool { return p.ID == all[3].ID || p.ID == all[5].ID }},
			"none":   {store.PeopleQuery{IDs: []store.UserID{}}, func(store.Person) bool { return false }},
		} {
			want := namesOf(slices.DeleteFunc(slices.Clone(all), func(p store.Person) bool { return !c.want(p) }))
			if got := namesOf(walkPeople(t, db, org, c.q)); got != want {
				t.Errorf("%s:\n got %s\nwant %s", name, got, want)
			}
			var ids []store.UserID
			err := db.Read(context.Background(), org, func(tx *store.Tx) error {
				return tx.EachOfPeople(c.q, func(some []store.UserID) error { ids = append(ids, some...); return nil })
			})
			if err != nil || len(ids) != len(strings.Fields(want)) {
				t.Errorf("%s: EachOfPeople gave %d, %v", name, len(ids), err)
			}
		}
		for sort, less := range map[string]func(a, b store.Person) int{
			"email":   func(a, b store.Person) int { return strings.Compare(a.Email, b.Email) },
			"created": func(a, b store.Person) int { return int(a.CreatedAt - b.CreatedAt) },
			"signin":  func(a, b store.Person) int { return int(a.LastSignInAt - b.LastSignInAt) },
			"status":  func(a, b store.Person) int { return strings.Compare(string(a.Status), string(b.Status)) },
			"source":  func(a, b store.Person) int { return strings.Compare(string(a.Source), string(b.Source)) },
		} {
			for _, q := range []store.PeopleQuery{{Sort: sort}, {Sort: sort, Search: "mail"}, {Sort: sort, Status: []store.Status{store.Active}}} {
				up := walkPeople(t, db, org, q)
				if !slices.IsSortedFunc(up, less) {
					t.Errorf("%+v is not in order: %s", q, namesOf(up))
				}
				q.Sort = "-" + sort
				down := walkPeople(t, db, org, q)
				slices.Reverse(down)
				if namesOf(up) != namesOf(down) {
					t.Errorf("%+v is not the other way round", q)
				}
			}
		}
		gone := walkPeople(t, db, org, store.PeopleQuery{Status: []store.Status{store.Deleted}, Search: "user02"})
		if namesOf(gone) != "user02" {
			t.Errorf("deleted: %s", namesOf(gone))
		}
		if wrong := check(t, db, org); len(wrong) > 0 {
			t.Errorf("not sound: %v", wrong)
		}
	})
}

func check(t *testing.T, db *store.DB, org access.Actor) (found []string) {
	t.Helper()
	if err := db.Read(context.Background(), org, func(tx *store.Tx) (err error) { found, err = tx.Check(); return err }); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatASearchFinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, org := storetest.Org(t, db, "acme")
		add := func(p store.Profile, externalID string) {
			t.Helper()
			doc := p.Doc()
			if externalID != "" {
				doc["externalId"] = externalID
			}
			err := db.Write(context.Background(), org, func(tx *store.Tx) error {
				_, err := tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromAPI})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		add(store.Profile{UserName: "ada.lovelace@example.com", Email: "ada.lovelace@example.com", GivenName: "Ada", FamilyName: "Lovelace"}, "00uAbC")
		add(store.Profile{UserName: "x17", Email: "chef@example.org", GivenName: "Jean-Luc", FamilyName: "O'Brien Picard", EmployeeNumber: "NCC-1701", Phone: "+49 (30) 123-4567"}, "")
		add(store.Profile{UserName: "straße", Email: "m@example.org", GivenName: "Müge", FamilyName: "Öz", DisplayName: "Müge (Support) Öz"}, "4711")
		add(store.Profile{UserName: "percent", DisplayName: "100% _sure\\ \U0010ffff"}, "")
		for search, want := range map[string]string{
			"ada": "ada.lovelace@example.com", "ADA LOVE": "ada.lovelace@example.com", "love": "ada.lovelace@example.com", "lovelace, ada": "ada.lovelace@example.com",
			"ada.lovelace@ex": "ada.lovelace@example.com", "00uabc": "ada.lovelace@example.com", "00uA": "ada.lovelace@example.com", "Lovelace <ada.lovelace@example.com>": "ada.lovelace@example.com",
			"jean": "x17", "luc": "x17", "jean-luc": "x17", "o'brien": "x17", "brien": "x17", "picard": "x17", "ncc-17": "x17", "x1 chef": "x17",
			"müge": "straße", "MÜGE": "straße", "öz": "straße", "STRASSE": "straße", "support": "straße", "4711": "straße",
			"ovelace": "", "ada picard": "", "%": "", "_": "", "100%": "percent", "sure": "percent", `\`: "", "'; DROP TABLE users": "", "\U0010ffff": "percent",
			"+49 30 1234567": "x17", "030/1234567": "x17", "0049301234567": "x17", "(030) 123 4567": "x17", "4567": "x17", "567": "", "+49 30": "", "4567 chef": "x17", "4567 ada": "",
		} {
			var names []string
			for _, p := range walkPeople(t, db, org, store.PeopleQuery{Search: search}) {
				names = append(names, p.UserName)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%q finds %q, want %q", search, got, want)
			}
		}
		// What changes is found by its new words alone.
		err := db.Write(context.Background(), org, func(tx *store.Tx) error {
			u, err := tx.UserByName("x17")
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			p := u.Profile()
			p.GivenName, p.FamilyName, p.EmployeeNumber = "Wil", "Crusher", ""
			p.Apply(doc)
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for search, want := range map[string]int{"picard": 0, "ncc": 0, "wil": 1, "crush": 1} {
			if got := len(walkPeople(t, db, org, store.PeopleQuery{Search: search})); got != want {
				t.Errorf("after the change %q finds %d, want %d", search, got, want)
			}
		}
		// So is whoever is deleted, among those alone.
		err = db.Write(context.Background(), org, func(tx *store.Tx) error {
			u, err := tx.UserByName("x17")
			if err == nil {
				_, err = tx.DeleteUser(u.ID, "")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, search := range []string{"wil", "chef", "crusher wil", "1234567"} {
			for _, q := range []store.PeopleQuery{{Status: []store.Status{store.Deleted}}, {Status: []store.Status{store.Deleted}, Source: []store.Source{store.FromAPI}, Sort: "-created"}} {
				q.Search = search
				if got := namesOf(walkPeople(t, db, org, q)); got != "x17" {
					t.Errorf("among the deleted %+v finds %q", q, got)
				}
			}
			if got := namesOf(walkPeople(t, db, org, store.PeopleQuery{Search: search})); got != "" {
				t.Errorf("among the others %q finds %q", search, got)
			}
		}
		if wrong := check(t, db, org); len(wrong) > 0 {
			t.Errorf("not sound: %v", wrong)
		}
	})
}

// A search that finds very many says so, and shows the first of them; narrowed, it
// counts exactly. The plans use the indexes.
func TestASearchThatFindsVeryMany(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, org := storetest.Org(t, db, "acme")
		var dir store.Directory
		err := db.Write(context.Background(), org, func(tx *store.Tx) (err error) {
			dir, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, db, org, dir.ID, 10_500)
		if err := db.Write(context.Background(), org, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE"); return err }); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			q     store.PeopleQuery
			total int
			least bool
			first string
		}{
			{store.PeopleQuery{Search: "user"}, 10_000, true, "user000000@example.com"},
			{store.PeopleQuery{Search: "user", Sort: "-name"}, 10_000, true, "user010499@example.com"},
			{store.PeopleQuery{Search: "user", Sort: "-signin"}, 10_000, true, "user010499@example.com"},
			{store.PeopleQuery{Search: "user use us"}, 2_900, true, "user000000@example.com"},
			{store.PeopleQuery{Search: "user", Status: []store.Status{store.Invited, store.Deactivated}}, 0, false, ""},
			{store.PeopleQuery{Search: "user user0104"}, 100, false, "user010400@example.com"},
		} {
			var page store.PeoplePage
			if err := db.Read(context.Background(), org, func(tx *store.Tx) (err error) { page, err = tx.People(c.q); return err }); err != nil {
				t.Fatalf("%+v: %v", c.q, err)
			}
			first := ""
			if len(page.People) > 0 {
				first = page.People[0].UserName
			}
			if page.Total != c.total || page.AtLeast != c.least || first != c.first {
				t.Errorf("%+v: %d, at least %v, %s; want %d, %v, %s", c.q, page.Total, page.AtLeast, first, c.total, c.least, c.first)
			}
		}
		err = db.Read(context.Background(), org, func(tx *store.Tx) error {
			for what, plan := range map[string]func() (string, error){
				"roster_sort users_any_external_id users_word users_number": func() (string, error) { return tx.PlanFound("user0104") },
				"roster_sort": func() (string, error) { return tx.PlanPeople(store.PeopleQuery{}) },
				"": func() (string, error) {
					return tx.PlanPeople(store.PeopleQuery{Sort: "-created", Source: []store.Source{store.FromSCIM}})
				},
			} {
				text, err := plan()
				if err != nil {
					return err
				}
				for _, index := range strings.Fields(what) {
					if !strings.Contains(text, index) {
						t.Errorf("the plan does not use %s:\n%s", index, text)
					}
				}
				if strings.Contains(text, "Seq Scan on users") || strings.Contains(text, "SCAN u") || strings.Contains(text, "SCAN v") || strings.Contains(text, "Seq Scan on user_values") {
					t.Errorf("everybody is read:\n%s", text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
