package factor

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each query finds its rows by an index, however many people there are.
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
			{"passkeys_user", passkeyColumns + " WHERE org_id = ? AND user_id = ? ORDER BY id DESC LIMIT 100", []any{org, user}},
			{"passkeys_credential", passkeyColumns + " WHERE org_id = ? AND credential_hash = ? AND user_id = ?", []any{org, "hash", user}},
			{"passkeys_user", set, []any{org, user, org, user, org, user}},
			{"passkeys_user", without + " ORDER BY u.id LIMIT 20", []any{org, "[]"}},
			{"pending_signins_expiry", "DELETE FROM pending_signins WHERE expires_at <= ?", []any{1}},
			{"used_challenges_expiry", "DELETE FROM used_challenges WHERE expires_at <= ?", []any{1}},
		} {
			text, err := storetest.Plan(tx, c.query, c.args...)
			if err != nil {
				return err
			}
			if !strings.Contains(text, c.index) || strings.Contains(text, "SCAN passkeys") || strings.Contains(text, "SCAN k") || strings.Contains(text, "SCAN a;") || strings.Contains(text, "SCAN recovery_codes") {
				t.Errorf("%.60s: %s, want %s", c.query, text, c.index)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
