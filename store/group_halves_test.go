package store_test

import (
	"fmt"
	"sync"
	"testing"

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
