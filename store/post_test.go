package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestPostedStatements(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		_, admin := storetest.Org(t, db, "acme")
		put := func(tx *store.Tx, name string, check func(int64) error) error {
			return tx.Post("INSERT INTO org_settings (org_id, name, value, version, updated_at) VALUES (?, ?, {{as_json}}, 1, 0) ON CONFLICT (org_id, name) DO NOTHING",
				[]any{tx.Org(), name, "{}"}, check)
		}
		there := func(names ...string) {
			t.Helper()
			err := db.Read(t.Context(), admin, func(tx *store.Tx) error {
				var got []string
				err := tx.Select(&got, "SELECT name FROM org_settings WHERE org_id = ? ORDER BY name", tx.Org())
				if strings.Join(got, " ") != strings.Join(names, " ") {
					t.Errorf("there is %q, want %q", got, names)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}

		var counts []int64
		count := func(n int64) error { counts = append(counts, n); return nil }
		seen.Take()
		err := db.Write(t.Context(), admin, func(tx *store.Tx) error {
			counts = nil
			return errors.Join(put(tx, "a", count), put(tx, "b", nil), put(tx, "c", count))
		})
		if err != nil || len(counts) != 2 || counts[0] != 1 || counts[1] != 1 {
			t.Errorf("three new rows: %v, counts %v", err, counts)
		}
		if n := len(seen.Take()); db.Dialect() == "postgres" && n != 1 {
			t.Errorf("%d statements for three posted ones, want 1", n)
		}
		there("a", "b", "c")

		// One that is refused takes all of the transaction with it.
		refused := errors.New("it is there already")
		err = db.Write(t.Context(), admin, func(tx *store.Tx) error {
			return errors.Join(put(tx, "d", nil), put(tx, "a", func(n int64) error {
				if n == 0 {
					return refused
				}
				return nil
			}))
		})
		if !errors.Is(err, refused) {
			t.Errorf("a row that is there: %v", err)
		}
		there("a", "b", "c")

		// What is executed afterwards finds what was posted before.
		err = db.Write(t.Context(), admin, func(tx *store.Tx) error {
			if err := put(tx, "e", nil); err != nil {
				return err
			}
			n, err := tx.Exec("DELETE FROM org_settings WHERE org_id = ? AND name IN ('a', 'e')", tx.Org())
			if n != 2 {
				t.Errorf("%d rows deleted, want 2", n)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		there("b", "c")

		// More than go at once.
		err = db.Write(t.Context(), admin, func(tx *store.Tx) error {
			for i := range 30 {
				if err := put(tx, "x"+string(rune('a'+i)), nil); err != nil {
					return err
				}
			}
			_, err := tx.Exec("DELETE FROM org_settings WHERE org_id = ? AND name LIKE 'x%'", tx.Org())
			return err
		})
		if err != nil {
			t.Error(err)
		}
		there("b", "c")
	})
}
