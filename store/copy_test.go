package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const (
	putValues = "INSERT INTO user_values (org_id, attr, value_key, kind, user_id) VALUES "
	putPlaces = "(?, ?, ?, ?, ?)"
)

// Rows that are put in together are as they were handed over, whatever is in them.
func TestManyRowsAreAsTheyWere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		hostile := []string{"", "a\tb", "\t", "a\nb", "\n", "a\r\nb", "\r", `\`, `\\`, `\.`, "\n\\.\n", `\N`, `\x41`, `\101`, `a\`, `"a"`, "'a'", ",", "é", "☎12", "\u2028", "\b\f\v", "NULL", strings.Repeat("x\t", 40_000)}
		id := store.NewID[store.User]()
		var list [][]any
		for i := range max(store.Many, len(hostile)) {
			list = append(list, []any{string(admin.Org), "", hostile[i%len(hostile)], fmt.Sprint(i), id})
		}
		write(t, db, admin, func(tx *store.Tx) error { return tx.InsertMany(putValues, putPlaces, list) })
		var rows []struct {
			Value string `db:"value_key"`
			Kind  string `db:"kind"`
		}
		if err := db.LookupAll(ctx, &rows, "SELECT value_key, kind FROM user_values WHERE org_id = ? AND user_id = ?", admin.Org, id); err != nil {
			t.Fatal(err)
		}
		if len(rows) != len(list) {
			t.Errorf("%d rows of %d", len(rows), len(list))
		}
		for _, r := range rows {
			i := slices.IndexFunc(list, func(in []any) bool { return in[3] == r.Kind })
			if want := list[i][2].(string); r.Value != want {
				t.Errorf("%.40q became %.40q", want, r.Value)
			}
		}
	})
}

// Nothing is there of rows of which one cannot be, or whose caller is gone, and the database
// goes on.
func TestManyRowsOrNone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		id := store.NewID[store.User]()
		rows := func(last ...any) [][]any {
			var list [][]any
			for i := range 3000 {
				list = append(list, []any{string(admin.Org), "attr", fmt.Sprint(i), "", id})
			}
			return append(list, last)
		}
		for name, c := range map[string]struct {
			rows [][]any
			is   func(err error) bool
		}{
			"one is there twice":         {rows(string(admin.Org), "attr", "7", "", id), func(err error) bool { return fault.Is(err, fault.Conflict) }},
			"one is without its value":   {rows(string(admin.Org), "attr", nil, "", id), func(err error) bool { return err != nil }},
			"one cannot be written down": {rows(string(admin.Org), "attr", struct{ N int }{1}, "", id), func(err error) bool { return err != nil }},
		} {
			err := db.Write(ctx, admin, func(tx *store.Tx) error { return tx.InsertMany(putValues, putPlaces, c.rows) })
			if !c.is(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		none := func() {
			t.Helper()
			in, stop := context.WithTimeout(ctx, 20*time.Second)
			defer stop()
			var n int
			if err := db.Read(in, admin, func(tx *store.Tx) error {
				return tx.Get(&n, "SELECT COUNT(*) FROM user_values WHERE org_id = ?", tx.Org())
			}); err != nil || n > 0 {
				t.Errorf("%d rows are there: %v", n, err)
			}
		}
		none()
		gone, cancel := context.WithCancel(ctx)
		err := db.Write(gone, admin, func(tx *store.Tx) error {
			cancel()
			return tx.InsertMany(putValues, putPlaces, rows(string(admin.Org), "attr", "x", "", id))
		})
		if db.Dialect() == "sqlite" { // which is with others' work by then, and done with this
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("whose caller is gone: %v", err)
		}
		none()
	})
}
