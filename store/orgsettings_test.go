package store_test

import (
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

type lunch struct {
	Dish  string `json:"dish"`
	Seats int    `json:"seats"`
}

func TestSettingsOfAnOrganization(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, system := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "other")
		write := func(by access.Actor, value lunch, version int64) error {
			return db.Write(t.Context(), by, func(tx *store.Tx) error { return tx.SetOrgSetting("lunch", value, version) })
		}
		read := func(by access.Actor) (got lunch, version int64) {
			t.Helper()
			got = lunch{Dish: "soup", Seats: 4}
			if err := db.Read(t.Context(), by, func(tx *store.Tx) (err error) {
				version, err = tx.OrgSetting("lunch", &got)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return got, version
		}
		if got, v := read(system); got != (lunch{"soup", 4}) || v != 0 {
			t.Errorf("nothing chosen: got %+v, version %d", got, v)
		}
		if err := write(system, lunch{"rice", 4}, 0); err != nil {
			t.Fatal(err)
		}
		if got, v := read(system); got != (lunch{"rice", 4}) || v != 1 {
			t.Errorf("after the first choice: got %+v, version %d", got, v)
		}
		if got, _ := read(other); got != (lunch{"soup", 4}) {
			t.Errorf("another organization sees %+v", got)
		}
		if err := write(system, lunch{"rice", 4}, 1); err != nil {
			t.Fatal(err)
		}
		if _, v := read(system); v != 1 {
			t.Errorf("the same again made version %d", v)
		}
		viewer := access.Actor{Kind: access.Person, Org: system.Org, ID: "x", Roles: []string{access.Viewer}}
		if err := write(viewer, lunch{"cake", 1}, 1); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer's change: %v, want Denied", err)
		}
		// Many admins with the same page open: one of them changes it.
		var wg sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			wg.Go(func() { errs[i] = write(system, lunch{"fish", 10 + i}, 1) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !fault.Is(err, fault.Conflict):
				t.Errorf("got %v, want a conflict", err)
			}
		}
		if _, v := read(system); won != 1 || v != 2 {
			t.Errorf("%d of 6 changes went through, version %d; want 1 and 2", won, v)
		}
	})
}
