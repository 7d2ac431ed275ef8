package factor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// The seeds of many people are sealed with a new key: the walk breaks off in the middle, two
// servers go on at once, and what somebody changed meanwhile is not written over.
func TestSeedsUnderANewKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		old, fresh := secret.NewKey(), secret.NewKey()
		both, kind := fresh.Over(old), factor.Sealed()[0]
		for i := range 3 {
			org, _ := storetest.Org(t, db, fmt.Sprint("org", i))
			if err := db.Write(t.Context(), access.Muster(string(org)), func(tx *store.Tx) error {
				for range 150 {
					user := store.NewID[store.User]()
					sealed, err := old.Seal(kind.Place(store.SealedValue{Org: org, ID: store.ID[store.SealedValue](user)}), []byte("seed of "+user))
					if err != nil {
						return err
					}
					if _, err := tx.Exec("INSERT INTO authenticators (org_id, user_id, seed, last_step, created_at, used_at) VALUES (?, ?, ?, 0, 0, 0)", tx.Org(), user, sealed); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		walk := func(key secret.Key, change bool) store.SealedCount {
			n, err := db.Reseal(t.Context(), key, kind, change)
			if err != nil {
				t.Error(err)
			}
			return n
		}
		if n := walk(both, false); n.Older != 450 || n.Newer+n.Lost != 0 {
			t.Fatalf("before: %+v", n)
		}
		if n := walk(fresh, true); n.Lost != 450 {
			t.Errorf("without the old key: %+v", n)
		}

		// It breaks off in the second page.
		broken, put := kind, 0
		broken.Put = func(tx *store.Tx, v store.SealedValue, text []byte) error {
			if put++; put > 250 {
				return errors.New("the power is gone")
			}
			return kind.Put(tx, v, text)
		}
		if _, err := db.Reseal(t.Context(), both, broken, true); err == nil {
			t.Error("a walk that broke off says that it is done")
		}
		if n := walk(both, false); n.Newer < 150 || n.Older < 150 || n.Lost != 0 {
			t.Errorf("after the crash: %+v", n)
		}

		// Somebody sets up another app between reading and writing, on a server that has the old key.
		changed, mine := kind, store.SealedValue{}
		var other []byte
		changed.Put = func(tx *store.Tx, v store.SealedValue, text []byte) error {
			if mine.ID == "" {
				mine = v
				var err error
				if other, err = old.Seal(kind.Place(v), []byte("another")); err != nil {
					return err
				}
			}
			if v.ID == mine.ID { // also when the transaction runs again
				if _, err := tx.Exec("UPDATE authenticators SET seed = ? WHERE org_id = ? AND user_id = ?", other, tx.Org(), v.ID); err != nil {
					return err
				}
			}
			return kind.Put(tx, v, text)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := db.Reseal(context.Background(), both, changed, true); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { walk(both, true) })
		wg.Wait()
		walk(both, true)
		if n := walk(fresh, false); n.Newer != 450 || n.Older+n.Lost != 0 {
			t.Errorf("with the new key alone: %+v", n)
		}
		seen, another := 0, 0
		list, err := kind.Page(t.Context(), db, store.SealedValue{Org: "00000000000000000000000000000000", ID: "00000000000000000000000000000000"}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			plain, err := fresh.Open(kind.Place(v), v.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			if string(plain) == "another" {
				another++
			} else if string(plain) != "seed of "+string(v.ID) {
				t.Errorf("%s has %q", v.ID, plain)
			}
			seen++
		}
		if seen != 450 || another > 1 || mine.ID != "" && another != 1 {
			t.Errorf("%d seeds, %d changed meanwhile", seen, another)
		}
	})
}
