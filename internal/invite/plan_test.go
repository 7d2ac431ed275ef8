package invite

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each query finds its rows by an index, however many invitations there are.
func TestQueriesHaveTheirIndexes(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	id, _ := storetest.Org(t, db, "acme")
	user, inv := store.NewID[store.User](), store.NewID[Invitation]()
	err := db.Read(context.Background(), access.Muster(string(id)), func(tx *store.Tx) error {
		for _, c := range []struct {
			index, query string
			args         []any
		}{
			{"invitations_user", newestInvitations, []any{tx.Org(), `["x"]`}},
			{"invitations_state", "SELECT " + invitationFields + " FROM invitations i WHERE i.org_id = ?" + must(inState(Expired)) + " AND i.id < ? ORDER BY i.id DESC LIMIT ?", []any{tx.Org(), "pending", tx.Now(), inv, 50}},
			{"sqlite_autoindex_invitation_batch_rows_1", selectRows + " AND line > ? ORDER BY line LIMIT ?", []any{tx.Org(), inv, 5, 50}},
			{"sqlite_autoindex_invitations_1", "SELECT " + invitationFields + " FROM invitations i WHERE i.org_id = ? AND i.id < ? ORDER BY i.id DESC LIMIT ?", []any{tx.Org(), inv, 50}},
			{"invitations_remind", "SELECT org_id, id, user_id, remind_at FROM invitations WHERE state = 'pending' AND remind_at > 0 AND remind_at <= ? ORDER BY remind_at LIMIT 50", []any{tx.Now()}},
			{"sqlite_autoindex_invitation_links_1", selectByLink, []any{tx.Org(), "hash"}},
			{"sqlite_autoindex_invitation_events_1", "SELECT at, what, by_name, detail FROM invitation_events WHERE org_id = ? AND user_id = ? ORDER BY id DESC LIMIT 100", []any{tx.Org(), user}},
			{"invitation_links_mail", "SELECT l.invitation_id, l.generation FROM invitation_links l WHERE l.org_id = ? AND l.mail_id = ?", []any{tx.Org(), inv}},
		} {
			text, err := storetest.Plan(tx, c.query, c.args...)
			if err != nil {
				return err
			}
			if !strings.Contains(text, c.index) || strings.Contains(text, "SCAN i") || strings.Contains(text, "B-TREE") {
				t.Errorf("%.60s: %s, want %s", c.query, text, c.index)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func must(where string, _ int) string { return where }
