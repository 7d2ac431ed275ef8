package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// The counters are only as good as the statement that forgets them: everything that
// creates, deletes, moves or restores runs at once, and then the rows are counted.
func TestCountersAgreeWithTheRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		one, two := okta(org, newDirectory(t, db, admin, "One")), okta(org, newDirectory(t, db, admin, "Two"))
		actors := []access.Actor{admin, one, two}
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				dice := rand.New(rand.NewPCG(uint64(w), 7))
				var mine []store.UserID
				for i := range 25 {
					actor := actors[dice.IntN(len(actors))]
					err := countedStep(db, actor, admin, dice, &mine, fmt.Sprintf("w%d-%d@example.com", w, i))
					if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Denied) {
						t.Errorf("step: %v", err)
					}
				}
			})
		}
		wg.Wait()
		for _, actor := range []access.Actor{one, two} {
			if err := db.Read(ctx, actor, func(tx *store.Tx) error {
				users, groups := 0, 0
				saidUsers, err := tx.EachUser(store.Query{Limit: 10_000, Count: true}, func(store.User) error { users++; return nil })
				if err != nil {
					return err
				}
				quick, err := tx.EachUser(store.Query{Limit: 0, Count: true}, nil)
				if err != nil {
					return err
				}
				if _, err = tx.EachGroup(store.Query{Limit: 10_000}, func(store.Group) error { groups++; return nil }); err != nil {
					return err
				}
				quickGroups, err := tx.EachGroup(store.Query{Limit: 0, Count: true}, nil)
				if users != quick || users != saidUsers || groups != quickGroups || users == 0 || groups == 0 {
					t.Errorf("directory %s: %d users counted as %d, %d groups as %d", actor.ID, users, quick, groups, quickGroups)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// countedStep does one random thing that a counter must notice.
func countedStep(db *store.DB, actor, admin access.Actor, dice *rand.Rand, mine *[]store.UserID, name string) error {
	some := func() store.UserID {
		if len(*mine) == 0 {
			return store.NewID[store.User]()
		}
		return (*mine)[dice.IntN(len(*mine))]
	}
	id := some()
	switch dice.IntN(7) {
	case 0, 1, 2:
		return db.Command(ctx, actor, func(tx *store.Tx) error {
			u, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": name}, Source: store.FromAPI, BreakGlass: actor.Kind == access.System && dice.IntN(4) == 0})
			if err == nil {
				*mine = append(*mine, u.ID)
			}
			return err
		})
	case 3:
		return db.Write(ctx, actor, func(tx *store.Tx) error { _, err := tx.DeleteUser(id, ""); return err })
	case 4:
		return db.Write(ctx, admin, func(tx *store.Tx) error {
			if _, err := tx.RestoreUser(id, ""); err == nil {
				return nil
			}
			_, err := tx.Detach(id, "")
			return err
		})
	case 5: // adopts whom nobody manages
		return db.Command(ctx, actor, func(tx *store.Tx) error {
			_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "G " + name}, Members: []store.UserID{id}})
			return err
		})
	default: // adopts too
		return db.Command(ctx, actor, func(tx *store.Tx) error {
			u, err := tx.User(id)
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			doc["title"] = name
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
	}
}
