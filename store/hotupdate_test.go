package store_test

import (
	"regexp"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// volatile are the columns that change without a name or address changing. One of
// them in an index, or in its condition, makes each such change write all indexes.
var volatile = regexp.MustCompile(`\b(status|ended_by|version|updated_at|active_from|signed_in_at|doc)\b`)

func TestNoIndexOfUsersHoldsWhatChangesOften(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		query := "SELECT COALESCE(sql, '') FROM sqlite_master WHERE type = 'index' AND tbl_name = 'users'"
		if db.Dialect() == "postgres" {
			query = "SELECT indexdef FROM pg_indexes WHERE tablename = 'users'"
		}
		var indexes []string
		if err := db.LookupAll(ctx, &indexes, query); err != nil {
			t.Fatal(err)
		}
		if len(indexes) < 8 {
			t.Errorf("only %d indexes: %q", len(indexes), indexes)
		}
		for _, text := range indexes {
			if at := volatile.FindString(text); at != "" {
				t.Errorf("%s stands in %s", at, text)
			}
		}
	})
}
