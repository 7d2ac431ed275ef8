package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whoever sends a group's document together with its members has both at the end, or
// neither, also when the document says what was there already.
func TestDocumentAndMembersGoTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		people := []store.UserID{newUser(t, db, dir, "ann@example.com").ID, newUser(t, db, dir, "ben@example.com").ID}
		id := newGroup(t, db, dir, "Sales").ID
		for round := range 40 {
			var writers sync.WaitGroup
			for w := range 6 {
				writers.Go(func() {
					n := 1 + (w+round)%2
					only := people[:n]
					err := db.Write(ctx, dir, func(tx *store.Tx) error {
						g, err := tx.Group(id)
						if err == nil {
							_, err = tx.UpdateGroup(g, store.GroupChange{Doc: store.Doc{"displayName": "Sales", "externalId": fmt.Sprint(n)}, Replace: &only})
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			writers.Wait()
			var said string
			if err := db.Read(ctx, dir, func(tx *store.Tx) error { g, err := tx.Group(id); said = g.ExternalID; return err }); err != nil {
				t.Fatal(err)
			}
			if n := len(membersOf(t, db, dir, id)); fmt.Sprint(n) != said {
				t.Fatalf("round %d: the document is of %s members, there are %d", round, said, n)
			}
		}
	})
}

// Of two who swap members at once, one is the last: it has put one in and taken the other out.
func TestSwapsOfMembersDoNotMix(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		people := []store.UserID{newUser(t, db, dir, "ann@example.com").ID, newUser(t, db, dir, "ben@example.com").ID}
		id := newGroup(t, db, dir, "Sales", people[0]).ID
		for round := range 60 {
			var writers sync.WaitGroup
			for w := range 6 {
				writers.Go(func() {
					if _, err := change(db, dir, id, store.GroupChange{Remove: people[w%2 : w%2+1], Add: people[1-w%2 : 2-w%2]}); err != nil {
						t.Error(err)
					}
				})
			}
			writers.Wait()
			if have := membersOf(t, db, dir, id); len(have) != 1 {
				t.Fatalf("round %d: %d members, want the one whom the last put in", round, len(have))
			}
		}
	})
}

// What is changed together with a person belongs to the same change, also when the
// document says what was there already. A role stands for the other half here.
func TestAPersonAndWhatGoesWithItStayTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		id := newUser(t, db, admin, "ann@example.com").ID
		for round := range 40 {
			var writers sync.WaitGroup
			for w := range 6 {
				writers.Go(func() {
					role := []string{access.Agent, access.Viewer}[(w+round)%2]
					err := db.Write(ctx, admin, func(tx *store.Tx) error {
						u, err := tx.User(id)
						if err != nil {
							return err
						}
						if u, err = tx.UpdateUser(u, store.UserChange{Doc: store.Doc{"userName": "ann@example.com", "title": role}}); err != nil {
							return err
						}
						if err := tx.KeepUser(u); err != nil {
							return err
						}
						return tx.SetRole(id, role)
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			writers.Wait()
			var have []store.Grant
			if err := db.Read(ctx, admin, func(tx *store.Tx) error { of, err := tx.RolesOf([]store.UserID{id}); have = of[id]; return err }); err != nil {
				t.Fatal(err)
			}
			if said := readUser(t, db, admin, id).Profile().Title; len(have) != 1 || have[0].Role != said {
				t.Fatalf("round %d: the document says %s, the roles are %v", round, said, have)
			}
		}
	})
}

// Of several who choose somebody's role at once, one is the last; nobody is told that a
// role is missing which he did not know of.
func TestOneRoleIsLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		id := newUser(t, db, admin, "ann@example.com").ID
		for round := range 30 {
			var writers sync.WaitGroup
			for w := range 6 {
				writers.Go(func() {
					role := []string{access.Agent, access.Viewer}[(w+round)%2]
					if err := db.Write(ctx, admin, func(tx *store.Tx) error { return tx.SetRole(id, role) }); err != nil {
						t.Errorf("to %s: %v", role, err)
					}
				})
			}
			writers.Wait()
			var have []store.Grant
			if err := db.Read(ctx, admin, func(tx *store.Tx) error { of, err := tx.RolesOf([]store.UserID{id}); have = of[id]; return err }); err != nil {
				t.Fatal(err)
			}
			if len(have) != 1 {
				t.Fatalf("round %d: the roles are %v", round, have)
			}
		}
	})
}

// On PostgreSQL somebody can change a person between the reading and the holding;
// SQLite's writer is alone.
func TestKeepingAPersonWhoHasChangedStartsAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		id := newUser(t, db, admin, "ann@example.com").ID
		tries := 0
		var kept store.User
		write(t, db, admin, func(tx *store.Tx) (err error) {
			if kept, err = tx.User(id); err != nil {
				return err
			}
			if tries++; tries == 1 && db.Dialect() == "postgres" {
				write(t, db, admin, func(other *store.Tx) error {
					_, err := other.UpdateUser(kept, store.UserChange{Doc: store.Doc{"userName": "ann@example.com", "title": "Boss"}})
					return err
				})
			}
			return tx.KeepUser(kept)
		})
		if now := readUser(t, db, admin, id); now.Version != kept.Version || db.Dialect() == "postgres" && tries != 2 {
			t.Errorf("version %d was kept after %d tries, there is %d", kept.Version, tries, now.Version)
		}
	})
}
