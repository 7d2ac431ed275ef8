package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Of many that are done together, one that fails takes nothing of the others with it and
// leaves nothing of its own: neither rows nor activity nor what was to be told.
func TestOneOfManyFails(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		broken := errors.New("broken")
		var told []string
		err := db.Write(t.Context(), admin, func(tx *store.Tx) error {
			told = nil
			for _, name := range []string{"a", "b-fails-late", "c", "d-fails-at-once", "e-refused", "f"} {
				err := tx.Try(func() error {
					if strings.Contains(name, "at-once") {
						// What an earlier item posted must not go with this one.
						_, err := tx.Exec("INSERT INTO org_settings (org_id, name, value, version, updated_at) VALUES (?, ?, {{as_json}}, 1, 0)", tx.Org(), name, "{}")
						return errors.Join(err, broken)
					}
					tx.AfterCommit(func() { told = append(told, name) })
					if err := tx.Record(store.Activity{Action: "test.step", TargetKind: "thing", TargetID: name}); err != nil {
						return err
					}
					if strings.Contains(name, "refused") {
						return tx.Post("DELETE FROM org_settings WHERE org_id = ? AND name = ?", []any{tx.Org(), name}, func(rows int64) error {
							if rows == 0 {
								return broken
							}
							return nil
						})
					}
					if strings.Contains(name, "late") {
						return broken
					}
					return nil
				})
				if fails := strings.ContainsRune(name, '-'); errors.Is(err, broken) != fails || !fails && err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(told, " "); got != "a c f" {
			t.Errorf("told after the commit: %s", got)
		}
		err = db.Read(t.Context(), admin, func(tx *store.Tx) error {
			acts, err := tx.Activities(store.ActivityQuery{Action: "test.step"})
			var names []string
			for _, a := range acts {
				names = append(names, a.TargetID)
			}
			if got := strings.Join(names, " "); got != "f c a" {
				t.Errorf("recorded: %s, want f c a", got)
			}
			var n int
			if err := tx.Get(&n, "SELECT COUNT(*) FROM org_settings WHERE org_id = ?", tx.Org()); err != nil || n != 0 {
				t.Errorf("%d rows of what failed, %v", n, err)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
