package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
)

// Dump is all that a database holds, by table: one text for each row, sorted. What
// is left out is named.
func Dump(t testing.TB, db *store.DB, but ...string) map[string]string {
	t.Helper()
	ctx := context.Background()
	var names []string
	tables := "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
	if db.Dialect() == "sqlite" {
		tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
	}
	if err := db.LookupAll(ctx, &names, tables); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		var rows []string
		if err := db.LookupAll(ctx, &rows, "SELECT line FROM ("+rowsOf(t, db, name)+") AS x ORDER BY 1"); err != nil {
			t.Fatalf("dump %s: %v", name, err)
		}
		out[name] = strings.Join(rows, "\n")
	}
	for _, name := range but {
		if _, ok := out[name]; !ok {
			t.Fatalf("there is no table %s to leave out", name)
		}
		delete(out, name)
	}
	return out
}

// rowsOf selects each row of a table as one text.
func rowsOf(t testing.TB, db *store.DB, table string) string {
	t.Helper()
	if db.Dialect() != "sqlite" {
		return "SELECT CAST(x AS text) AS line FROM " + table + " AS x"
	}
	var columns []string
	if err := db.LookupAll(context.Background(), &columns, fmt.Sprintf("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('%s')", table)); err != nil {
		t.Fatal(err)
	}
	return "SELECT " + strings.Join(columns, " || ',' || ") + " AS line FROM " + table
}
