package store

import (
	"database/sql"
	"strings"

	"github.com/jmoiron/sqlx"
)

// PlanUsers is how the database would go about a page of EachUser.
func (tx *Tx) PlanUsers(q Query) (string, error) { return tx.userList(q).plan() }

// PlanGroups is PlanUsers for EachGroup.
func (tx *Tx) PlanGroups(q Query) (string, error) { return tx.groupList(q).plan() }

// PlanSortedUsers is PlanUsers for a page of SortedUsers behind a place.
func (tx *Tx) PlanSortedUsers(q Query, by Sort) (string, error) {
	return tx.userList(q).planSorted(by)
}

// PlanSortedGroups is PlanSortedUsers for SortedGroups.
func (tx *Tx) PlanSortedGroups(q Query, by Sort) (string, error) {
	return tx.groupList(q).planSorted(by)
}

// PlanGroupsOf is how the database would go about GroupsOf.
func (tx *Tx) PlanGroupsOf(ids []UserID) (string, error) {
	return listing{tx: tx}.explain(tx.directGroups(ids))
}

func (l listing) planSorted(by Sort) (string, error) {
	w := walk{l: l, by: by, where: l.sentence(), at: l.q.After}
	if l.id == "id" { // users, whose rows are read in the order of an index
		w.scan = func(*sqlx.Rows, *sql.NullString) (string, error) { return "", nil }
	}
	w.start()
	return l.explain(w.statement(100))
}

func (l listing) plan() (string, error) { return l.explain(l.page(l.sentence(), "", 100)) }

func (l listing) explain(query string, args []any) (string, error) {
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
