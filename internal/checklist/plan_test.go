package checklist

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Tasks are found by an index, in their order, and the activity is read from where it was left.
func TestQueriesHaveTheirIndexes(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	org, _ := storetest.Org(t, db, "acme")
	user := store.NewID[store.User]()
	err := db.Read(context.Background(), access.Muster(string(org)), func(tx *store.Tx) error {
		for _, c := range []struct {
			index, query string
			args         []any
		}{
			{"checklist_items_open", itemColumns + " WHERE i.org_id = ? AND i.state = 'open' AND (i.due_at, i.id) > (?, {{as_id}}) ORDER BY i.due_at, i.id LIMIT ?", []any{org, 1, user, 50}},
			{"checklist_items_done", itemColumns + " WHERE i.org_id = ? AND i.state = 'done' ORDER BY i.due_at, i.id LIMIT ?", []any{org, 50}},
			{"checklist_items_user", itemColumns + " WHERE i.org_id = ? AND i.user_id = {{as_id}} ORDER BY i.due_at, i.id LIMIT 200", []any{org, user}},
			{"checklist_items_assignee", itemColumns + " WHERE i.org_id = ? AND i.state = 'open' AND i.assignee_id = {{as_id}} ORDER BY i.due_at, i.id LIMIT ?", []any{org, user, 50}},
			{"checklist_items_auto", "SELECT DISTINCT i.user_id FROM checklist_items i WHERE i.org_id = ? AND i.state = 'open' AND i.auto <> '' AND i.auto = ? LIMIT ?", []any{org, SignedIn, 5}},
			{"sqlite_autoindex_activity_1 (org_id=? AND id>?)", "SELECT id, at, action, target_id, detail FROM activity WHERE org_id = ? AND id > {{as_id}} AND action IN " + comeAndGo + " ORDER BY id LIMIT ?", []any{org, user, 200}},
			{"checklist_items_late", "SELECT i.id FROM checklist_items i WHERE i.state = 'open' AND NOT i.told AND i.due_at < ? ORDER BY i.due_at LIMIT ?", []any{1, 50}},
		} {
			plan, err := storetest.Plan(tx, c.query, c.args...)
			if err != nil {
				return err
			}
			if !strings.Contains(plan, c.index) || strings.Contains(plan, "ORDER BY") || strings.Contains(plan, "SCAN") {
				t.Errorf("%.80s: %s, want %s", c.query, plan, c.index)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
