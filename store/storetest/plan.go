package storetest

import (
	"strings"

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
