package review

import (
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Rows are found by an index whatever they are filtered by, in their order, and never sorted.
func TestQueriesHaveTheirIndexes(t *testing.T) {
	t.Parallel()
	id, user, group := store.NewID[Review](), store.NewID[store.User](), store.NewID[store.Group]()
	storetest.WantPlans(t, func(tx *store.Tx) []storetest.Planned {
		rows := func(f Filter) (string, []any) {
			where, args := f.where(tx, id)
			return rowColumns + " WHERE org_id = ? AND review_id = ?" + where + " AND n > ? ORDER BY n LIMIT ?", append(args, 10, 50)
		}
		org := tx.Org()
		list := []storetest.Planned{
			storetest.By("reviews_work", "SELECT org_id, id, work_at AS at FROM reviews WHERE work_at > 0 AND work_at <= ? ORDER BY work_at LIMIT 20", 1),
			storetest.By("(org_id=? AND review_id=?)", "SELECT part, people FROM review_parts WHERE org_id = ? AND review_id = ? ORDER BY part LIMIT 1", org, id),
			storetest.By("reviews_remind", "SELECT org_id, id, remind_at AS at FROM reviews WHERE remind_at > 0 AND remind_at <= ? ORDER BY remind_at LIMIT 100", 1),
			storetest.By("reviews_repeat", "SELECT org_id, id, repeat_at AS at FROM reviews WHERE repeat_at > 0 AND repeat_at <= ? ORDER BY repeat_at LIMIT 20", 1),
			storetest.By("review_rows_decision", "SELECT decision, COUNT(*) AS n FROM review_rows WHERE org_id = ? AND review_id = ? GROUP BY decision", org, id),
			storetest.By("review_rows_person", "UPDATE review_rows SET person = ?, email = '' WHERE org_id = ? AND person_id = {{as_id}}", "x", org, user),
			storetest.By("review_rows_decider", "UPDATE review_rows SET decided_by = ? WHERE org_id = ? AND decided_by_id = ? AND decided_by_id <> ''", "x", org, user),
			storetest.By("review_rows_team", "SELECT group_id, team FROM review_rows WHERE org_id = ? AND review_id = ? AND group_id > {{as_id}} ORDER BY group_id LIMIT 1", org, id, group),
		}
		for index, f := range map[string]Filter{"(org_id=? AND review_id=? AND n>?)": {}, "review_rows_decision": {Decision: NoDecision}, "review_rows_role": {Role: "admin"}, "review_rows_team": {Team: group},
			"review_rows_person": {Person: user}, "review_rows_manager": {Manager: user}, "review_rows_idle": {Idle: true}} {
			text, args := rows(f)
			list = append(list, storetest.By(index, text, args...))
		}
		return list
	}, "TEMP B-TREE", "SCAN")
	storetest.WantPlans(t, func(tx *store.Tx) []storetest.Planned {
		query, args := writing(tx, Review{ID: id}, []store.UserID{user})
		return []storetest.Planned{storetest.By("members_user (org_id=? AND user_id=?)", query, args...)}
	}, "SEARCH m USING PRIMARY KEY (org_id=?)", "SEARCH r USING PRIMARY KEY (org_id=?)", "SCAN m", "SCAN r", "SCAN u", "SCAN d")
}
