package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// While the first page of members is handed out the second one is being read, and no third.
func TestMembersAreReadOnePageAhead(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL, "postgres": storetest.PostgresURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages atomic.Int64
			var handed chan struct{} // is closed when somebody of the first page has been handed out
			db, err := store.Open(ctx, store.Options{URL: url(t), NoSync: true, Seen: func(sql string) {
				if strings.Contains(sql, "FROM members m") && pages.Add(1) == 2 {
					select {
					case <-handed:
					case <-time.After(10 * time.Second):
						t.Error("the first page waits for the second one")
					}
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			org, team := throngOf(t, db, 10_500)
			var want []store.UserID
			if err := db.Read(ctx, org, func(tx *store.Tx) error {
				return tx.Select(&want, "SELECT user_id FROM members WHERE org_id = ? AND group_id = ? ORDER BY user_id", tx.Org(), team)
			}); err != nil || len(want) != 10_500 {
				t.Fatal(len(want), err)
			}
			full := errors.New("full")
			read := func(ctx context.Context, names bool, each func(store.Member) error) error {
				handed = make(chan struct{})
				pages.Store(0)
				return db.Read(ctx, org, func(tx *store.Tx) error { return tx.Members(team, names, each) })
			}
			for _, names := range []bool{false, true} {
				var got []store.UserID
				err := read(ctx, names, func(m store.Member) error {
					if got = append(got, m.ID); len(got) == 1 {
						close(handed)
					}
					if n := pages.Load(); len(got) <= 5000 && n > 2 {
						t.Fatalf("%d pages were read for %d members", n, len(got))
					}
					return nil
				})
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("names %v: %d of %d members, %v", names, len(got), len(want), err)
				}
				if err := read(ctx, names, func(store.Member) error { close(handed); return full }); !errors.Is(err, full) {
					t.Errorf("names %v: who stops is told %v", names, err)
				}
			}
			ctx, cancel := context.WithCancel(ctx)
			n := 0
			if err := read(ctx, false, func(store.Member) error {
				if n++; n == 1 {
					cancel()
					close(handed)
				}
				return nil
			}); err == nil || n == len(want) {
				t.Errorf("a client that left was handed %d members, %v", n, err)
			}
		})
	}
}
