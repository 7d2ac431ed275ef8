package store_test

import (
	"fmt"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// mixture is an organization of people who differ in everything that a list goes by, some
// of them deleted, in an order that is not that of their names.
func mixture(t *testing.T, db *store.DB) (org access.Actor, team store.GroupID) {
	t.Helper()
	_, org = storetest.Org(t, db, "acme")
	family, given := []string{"Zimt", "Maier", "Abel"}, []string{"Ann", "Zoe", "Max", "Zita"}
	err := db.Write(ctx, org, func(tx *store.Tx) error {
		all, err := tx.CreateTeam(store.TeamChange{Name: new("All")})
		if err != nil {
			return err
		}
		team = all.ID
		for i := range 200 {
			n := i * 7 % 200
			name, gone := family[n%len(family)], n%10 == 6
			if n >= 160 {
				name, gone = "Gone", n%7 > 0
			}
			u, err := tx.CreateUser(store.NewUser{Source: store.FromAPI, Reason: store.Manual, Status: []store.Status{store.Active, store.Active, store.Invited, store.Active}[n%4], Roles: [][]string{nil, nil, {access.Viewer}}[n%3],
				Doc: store.Profile{UserName: fmt.Sprintf("%c%03d", "uuuz"[n%4], n), Email: fmt.Sprintf("p%03d@example.com", n), GivenName: given[n%len(given)], FamilyName: fmt.Sprintf("%s%02d", name, n/3)}.Doc()})
			if err != nil {
				return err
			}
			if n%5 != 4 {
				if _, err := tx.AddMembers(team, []store.UserID{u.ID}); err != nil {
					return err
				}
			}
			if n%3 == 0 {
				if _, err := tx.Exec("UPDATE users SET signed_in_at = ?, signed_in_with = 'saml' WHERE org_id = ? AND id = ?", 1000+n%11, tx.Org(), u.ID); err != nil {
					return err
				}
			}
			switch {
			case gone:
				_, err = tx.DeleteUser(u.ID, "")
			case n%10 == 1:
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
	return org, team
}

// Whichever way a page is found, by sorting all or along the order, the same people stand
// on it, in the same order; a number that is told as exact is, and another is too small.
func TestEachWayFindsTheSamePeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, team := mixture(t, db)
		for _, sort := range []string{"signin", "-signin", "status", "-status"} { // somebody wrote the address by hand
			if err := db.Read(ctx, org, func(tx *store.Tx) error {
				_, err := tx.People(store.PeopleQuery{Sort: sort, After: store.Standing{Text: "zzz", Number: -5, ID: store.UserID(team)}})
				return err
			}); err != nil {
				t.Error(err)
			}
		}
		queries := map[string]store.PeopleQuery{
			"everybody": {}, "active": {Status: []store.Status{store.Active}}, "not active": {Status: []store.Status{store.Invited, store.Deactivated}},
			"also deleted": {Status: []store.Status{store.Active, store.Deleted}}, "deleted": {Status: []store.Status{store.Deleted}},
			"team": {Team: team}, "team, invited": {Team: team, Status: []store.Status{store.Invited}}, "viewers": {Role: access.Viewer}, "default role": {Role: store.DefaultRole},
			"never": {Never: true}, "signed in": {SignedIn: store.Span{From: 1}}, "some time ago": {SignedIn: store.Span{From: 1, Until: 1006}, Team: team}, "lately": {SignedIn: store.Span{From: 1008}}, "not lately": {SignedIn: store.Span{Until: 1006}},
			"family name": {Search: "zimt"}, "family and given name": {Search: "z"}, "address": {Search: "p0"}, "of all": {Search: "p"}, "of all, of a name": {Search: "p zimt"}, "of all, of some": {Search: "p z"}, "two names": {Search: "zita zimt"}, "mostly deleted": {Search: "gone"},
			"family name, team": {Search: "zimt", Team: team}, "some, default role": {Search: "z", Role: store.DefaultRole}, "some, active": {Search: "z", Status: []store.Status{store.Active}}, "deleted, by word": {Search: "z", Status: []store.Status{store.Deleted}},
			"nobody": {Search: "nobody"}, "three": {Search: "p u zimt"},
		}
		for name, q := range queries {
			for _, sort := range []string{"name", "-name", "-created", "signin", "-signin", "status", "-status"} {
				q.Sort = sort
				db.CountPeopleUpTo(10_000)
				sorted := q // all are of this source: a filter on a column, so that they are read and sorted
				sorted.Source, sorted.Limit = []store.Source{store.FromAPI}, 500
				all, exact := walkPages(t, db, org, sorted)
				want := namesOf(all)
				if len(all) != exact.Total || exact.AtLeast {
					t.Fatalf("%s by %s: %d people, %d are told, at least %v", name, sort, len(all), exact.Total, exact.AtLeast)
				}
				for few, limit := range map[int]int{20: 19, 60: 4, 150: 7} { // the page is more than is looked through first, and less
					if few == 150 && q.Search == "" { // so that a word finds some by one name and some by another
						continue
					}
					db.CountPeopleUpTo(few)
					q.Limit = limit
					list, page := walkPages(t, db, org, q)
					if got := namesOf(list); got != want {
						t.Errorf("%s by %s, %d counted: %d people\n%s\nwant %d\n%s", name, sort, few, len(list), got, len(all), want)
					}
					if page.AtLeast && page.Total >= len(all) || !page.AtLeast && page.Total != len(all) {
						t.Errorf("%s by %s, %d counted: %d are told, at least %v; there are %d", name, sort, few, page.Total, page.AtLeast, len(all))
					}
				}
			}
		}
	})
}
