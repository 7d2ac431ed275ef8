package store

import (
	"strings"

	"github.com/jmoiron/sqlx"
)

// PlanUsers is how the database would go about a page of EachUser.
func (tx *Tx) PlanUsers(q Query) (string, error) { return tx.userList(q).plan() }

// PlanGroups is PlanUsers for EachGroup.
func (tx *Tx) PlanGroups(q Query) (string, error) { return tx.groupList(q).plan() }

func (l listing) plan() (string, error) {
	query, args := l.page(l.sentence(), "", 100)
	explain := "EXPLAIN QUERY PLAN "
	if l.tx.db.d == &postgres {
		explain = "EXPLAIN "
	}
	var out strings.Builder
	err := l.tx.rows(explain+query, args, true, func(rows *sqlx.Rows) error {
		columns, err := rows.SliceScan()
		if err == nil {
			last := columns[len(columns)-1]
			if b, ok := last.([]byte); ok {
				last = string(b)
			}
			out.WriteString(last.(string) + "\n")
		}
		return err
	})
	return out.String(), err
}
