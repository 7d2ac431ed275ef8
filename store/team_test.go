package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func makeTeam(t *testing.T, db *store.DB, actor access.Actor, name string, people ...store.UserID) (team store.Team) {
	t.Helper()
	write(t, db, actor, func(tx *store.Tx) (err error) {
		if team, err = tx.CreateTeam(store.TeamChange{Name: &name}); err != nil || len(people) == 0 {
			return err
		}
		_, err = tx.UpdateGroup(team.Group, store.GroupChange{Add: people})
		return err
	})
	return team
}

// peopleOf are a team's people as "name why".
func peopleOf(t *testing.T, db *store.DB, actor access.Actor, id store.GroupID, q store.MemberQuery) string {
	t.Helper()
	var lines []string
	if err := db.Read(ctx, actor, func(tx *store.Tx) error {
		list, _, err := tx.TeamPeople(id, q)
		for _, m := range list {
			var why []string
			for _, r := range m.Reasons {
				why = append(why, strings.TrimSpace(r.Kind+" "+r.By+r.Detail))
			}
			for _, g := range m.Through {
				why = append(why, "through "+g.Name)
			}
			lines = append(lines, strings.TrimSpace(strings.Split(m.Email, "@")[0]+" "+strings.Join(why, "+")))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, ", ")
}

func TestTeamsSayWhyPeopleAreThere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		ann := access.Actor{Kind: access.Person, Org: string(org), ID: string(store.NewID[store.User]()), Name: "Ann", Roles: []string{access.Admin}}
		idp := access.Actor{Kind: access.Connection, Org: string(org), ID: string(store.NewID[struct{}]()), Name: "Okta"}
		a, b, c := newUser(t, db, admin, "a@x.example"), newUser(t, db, admin, "b@x.example"), newUser(t, db, admin, "c@x.example")
		inner := makeTeam(t, db, ann, "Inner", c.ID)
		team := makeTeam(t, db, ann, "Team", a.ID)
		why := store.Reason{Kind: store.FromSignIn, Ref: idp.ID, Detail: `department "IT"`}
		for _, u := range []store.User{a, b} {
			write(t, db, idp, func(tx *store.Tx) error { _, err := tx.Join(u.ID, team.ID, why); return err })
		}
		write(t, db, ann, func(tx *store.Tx) error {
			_, err := tx.UpdateGroup(team.Group, store.GroupChange{Add: []store.UserID{store.UserID(inner.ID)}})
			return err
		})
		want := func(q store.MemberQuery, want string) {
			t.Helper()
			if got := peopleOf(t, db, admin, team.ID, q); got != want {
				t.Errorf("people %q, want %q", got, want)
			}
		}
		want(store.MemberQuery{}, `a manual Ann+sso department "IT", b sso department "IT"`)
		want(store.MemberQuery{Indirect: true}, `a manual Ann+sso department "IT", b sso department "IT", c through Inner`)
		want(store.MemberQuery{Indirect: true, After: a.ID, Limit: 1}, `b sso department "IT"`)
		want(store.MemberQuery{Search: "B@x"}, `b sso department "IT"`)

		// What was done by hand is undone by hand, and the other reason stays.
		leave := func(u store.User) (kept []store.Membership) {
			t.Helper()
			write(t, db, ann, func(tx *store.Tx) (err error) { kept, err = tx.LeaveTeam(team.ID, u.ID); return err })
			return kept
		}
		if kept := leave(a); len(kept) != 1 || kept[0].Kind != store.FromSignIn {
			t.Errorf("stays for %+v", kept)
		}
		want(store.MemberQuery{}, `a sso department "IT", b sso department "IT"`)
		if kept := leave(a); len(kept) != 0 {
			t.Errorf("stays for %+v", kept)
		}
		want(store.MemberQuery{}, `b sso department "IT"`)
		leave(a) // twice is once

		// A sign-in takes its own reason alone.
		write(t, db, ann, func(tx *store.Tx) error {
			_, err := tx.UpdateGroup(team.Group, store.GroupChange{Add: []store.UserID{b.ID}})
			return err
		})
		want(store.MemberQuery{}, `b sso department "IT"+manual Ann`)
		write(t, db, idp, func(tx *store.Tx) error { _, err := tx.Part(b.ID, team.ID, why); return err })
		want(store.MemberQuery{}, `b manual Ann`)
	})
}

func TestTeamsHaveDescriptionAndLead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "rival")
		lead, stranger := newUser(t, db, admin, "lead@x.example"), newUser(t, db, other, "stranger@x.example")
		team := makeTeam(t, db, admin, "Team")
		about, name, turned := "Helps <everybody>", "Team 2", "x\u202ey"
		change := func(ch store.TeamChange) (err error) {
			return db.Write(ctx, admin, func(tx *store.Tx) error { team, err = tx.UpdateTeam(team.ID, ch); return err })
		}
		was := team.Tag()
		if err := change(store.TeamChange{Name: &name, Description: &about, Lead: &lead.ID, Tag: was}); err != nil {
			t.Fatal(err)
		}
		if team.Name != name || team.Description != about || team.LeadID != lead.ID || team.Lead == "" || team.Tag() == was {
			t.Errorf("the team is %+v", team)
		}
		now := team
		for wrong, ch := range map[string]store.TeamChange{"version": {Name: &name, Tag: was}, "lead": {Lead: &stranger.ID}, "description": {Description: &turned}, "displayName": {Name: &turned}} {
			if err := change(ch); fault.Field(err) != wrong {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		none := " "
		nameless := store.TeamChange{Name: &none}
		made := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.CreateTeam(nameless); return err })
		for _, err := range []error{made, change(nameless)} {
			if fault.Field(err) != "displayName" || fault.Public(err) != "The team needs a name." {
				t.Errorf("without a name: %v", err)
			}
		}
		team = now
		d := newDirectory(t, db, admin, "Okta")
		var theirs store.Group
		write(t, db, okta(org, d), func(tx *store.Tx) (err error) {
			theirs, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Theirs"}})
			return err
		})
		if err := db.Write(ctx, admin, func(tx *store.Tx) error {
			_, err := tx.UpdateTeam(theirs.ID, store.TeamChange{Description: &about})
			return err
		}); !fault.Is(err, fault.Denied) {
			t.Errorf("a directory's group was changed: %v", err)
		}
		write(t, db, admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(lead.ID, ""); return err })
		if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { team, err = tx.Team(team.ID); return err }); err != nil || team.LeadID != "" {
			t.Errorf("a lead who is gone: %+v, %v", team, err)
		}
		write(t, db, admin, func(tx *store.Tx) error { return tx.DeleteGroup(team.ID) })
		again := makeTeam(t, db, admin, name)
		if again.Description != "" {
			t.Errorf("a new team has %q", again.Description)
		}
	})
}

func TestTeamsArePaged(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		_, admin := storetest.Org(t, db, "acme")
		var people []store.UserID
		for i := range 12 {
			makeTeam(t, db, admin, fmt.Sprintf("Team %02d", i))
			people = append(people, newUser(t, db, admin, fmt.Sprintf("p%02d@x.example", i)).ID)
		}
		big := makeTeam(t, db, admin, "Big", people...)
		var names []string
		after := store.GroupID("")
		if err := db.Read(ctx, admin, func(tx *store.Tx) error {
			for {
				list, more, err := tx.Teams(store.TeamQuery{Search: "team", After: after, Limit: 5})
				for _, team := range list {
					names, after = append(names, team.Name), team.ID
				}
				if err != nil || !more {
					return err
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if len(names) != 12 || names[0] != "Team 00" || names[11] != "Team 11" {
			t.Errorf("pages have %v", names)
		}
		var last store.UserID
		n, pages := 0, 0
		if err := db.Read(ctx, admin, func(tx *store.Tx) error {
			for {
				seen.Take()
				list, more, err := tx.TeamPeople(big.ID, store.MemberQuery{After: last, Limit: 5})
				if got := len(seen.Take()); got != 2 {
					t.Errorf("a page takes %d statements", got)
				}
				n, pages = n+len(list), pages+1
				if err != nil || !more {
					return err
				}
				last = list[len(list)-1].ID
			}
		}); err != nil || n != 12 || pages != 3 {
			t.Errorf("%d people on %d pages, %v", n, pages, err)
		}
	})
}

// Two who change one team at once, and one who deletes it: each is done or told.
func TestTwoChangeOneTeam(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		for round := range 5 {
			team := makeTeam(t, db, admin, fmt.Sprintf("Team %d", round))
			errs := make([]error, 2)
			var wg sync.WaitGroup
			for i, about := range []string{"one", "two"} {
				wg.Go(func() {
					errs[i] = db.Write(ctx, admin, func(tx *store.Tx) error {
						_, err := tx.UpdateTeam(team.ID, store.TeamChange{Description: &about, Tag: team.Tag()})
						return err
					})
				})
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("both came out alike: %v", errs)
			}
		}
	})
}
