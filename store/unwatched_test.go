package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A write that has begun ends, though its caller leaves; one that waits for its turn
// does not begin any more.
func TestWhoLeavesBeforeAStatementBegins(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	org, admin := storetest.Org(t, db, "acme")
	dir := okta(org, newDirectory(t, db, admin, "One"))
	u := newUser(t, db, dir, "a@example.com")
	off := func(ctx context.Context) error {
		return db.Command(ctx, dir, func(tx *store.Tx) error { _, _, err := tx.SetActive(u.ID, false, false); return err })
	}

	busy := db.TakeLanes()
	leaving, leave := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- off(leaving) }()
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("who waits and leaves: %v", err)
	}
	busy()
	if got := readUser(t, db, dir, u.ID); got.Status != store.Active {
		t.Errorf("it happened all the same: %s", got.Status)
	}

	leaving, leave = context.WithCancel(ctx)
	write(t, db, admin, func(tx *store.Tx) error {
		if err := tx.KeepUser(readUser(t, db, dir, u.ID)); err != nil { // holds the row
			return err
		}
		go func() { ended <- off(leaving) }()
		db.AwaitLockWait(t)
		leave()
		return nil
	})
	if err := <-ended; err != nil {
		t.Errorf("who leaves during the statement: %v", err)
	}
	if got := readUser(t, db, dir, u.ID); got.Status != store.Deactivated {
		t.Errorf("it did not end: %s", got.Status)
	}
}

func TestLocksAreNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	var limit string
	if err := db.Read(ctx, access.Muster(""), func(tx *store.Tx) error { return tx.Get(&limit, "SELECT current_setting('lock_timeout')") }); err != nil || limit != "1min" {
		t.Errorf("lock_timeout is %q, %v", limit, err)
	}
}
