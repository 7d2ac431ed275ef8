package checklist

import (
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Tasks are found by an index, in their order, and the activity is read from where it was left.
func TestQueriesHaveTheirIndexes(t *testing.T) {
	t.Parallel()
	user := store.NewID[store.User]()
	storetest.WantPlans(t, func(tx *store.Tx) []storetest.Planned {
		return []storetest.Planned{
			storetest.By("checklist_items_open", itemColumns+" WHERE i.org_id = ? AND i.state = 'open' AND (i.due_at, i.id) > (?, {{as_id}}) ORDER BY i.due_at, i.id LIMIT ?", tx.Org(), 1, user, 50),
			storetest.By("checklist_items_done", itemColumns+" WHERE i.org_id = ? AND i.state = 'done' ORDER BY i.due_at, i.id LIMIT ?", tx.Org(), 50),
			storetest.By("checklist_items_user", itemColumns+" WHERE i.org_id = ? AND i.user_id = {{as_id}} ORDER BY i.due_at, i.id LIMIT 200", tx.Org(), user),
			storetest.By("checklist_items_assignee", itemColumns+" WHERE i.org_id = ? AND i.state = 'open' AND i.assignee_id = {{as_id}} ORDER BY i.due_at, i.id LIMIT ?", tx.Org(), user, 50),
			storetest.By("checklist_items_auto", "SELECT DISTINCT i.user_id FROM checklist_items i WHERE i.org_id = ? AND i.state = 'open' AND i.auto <> '' AND i.auto = ? LIMIT ?", tx.Org(), SignedIn, 5),
			storetest.By("sqlite_autoindex_activity_1 (org_id=? AND id>?)", "SELECT id, at, action, target_id, detail FROM activity WHERE org_id = ? AND id > {{as_id}} AND action IN "+comeAndGo+" ORDER BY id LIMIT ?", tx.Org(), user, 200),
			storetest.By("checklist_items_late", "SELECT i.id FROM checklist_items i WHERE i.state = 'open' AND NOT i.told AND i.due_at < ? ORDER BY i.due_at LIMIT ?", 1, 50),
		}
	}, "ORDER BY", "SCAN")
}
