package storetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// Plan is how the database would go about a query: its steps, each with "; " behind it.
func Plan(tx *store.Tx, query string, args ...any) (string, error) {
	var text strings.Builder
	if tx.ForUpdate() != "" { // PostgreSQL
		var steps []string
		err := tx.Select(&steps, "EXPLAIN "+query, args...)
		for _, step := range steps {
			text.WriteString(step + "; ")
		}
		return text.String(), err
	}
	var steps []struct {
		ID      int    `db:"id"`
		Parent  int    `db:"parent"`
		NotUsed int    `db:"notused"`
		Detail  string `db:"detail"`
	}
	err := tx.Select(&steps, "EXPLAIN QUERY PLAN "+query, args...)
	for _, step := range steps {
		text.WriteString(step.Detail + "; ")
	}
	return text.String(), err
}

// Planned is a query and the index that it is to go by.
type Planned struct {
	index, query string
	args         []any
}

// By makes one.
func By(index, query string, args ...any) Planned { return Planned{index, query, args} }

// WantPlans fails the test for queries in a new organization that do not go by their index
// in SQLite, or that have one of the steps never in their plan.
func WantPlans(t *testing.T, list func(tx *store.Tx) []Planned, never ...string) {
	t.Helper()
	db := SQLite(t)
	org, _ := Org(t, db, "acme")
	err := db.Read(t.Context(), access.Muster(string(org)), func(tx *store.Tx) error {
		for _, q := range list(tx) {
			plan, err := Plan(tx, q.query, q.args...)
			if err != nil {
				return err
			}
			if !strings.Contains(plan, q.index) || slices.ContainsFunc(never, func(step string) bool { return strings.Contains(plan, step) }) {
				t.Errorf("%.80s: %s, want %s and none of %q", q.query, plan, q.index, never)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
