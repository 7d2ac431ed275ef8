package factor

import (
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each query finds its rows by an index, however many people there are.
func TestQueriesHaveTheirIndexes(t *testing.T) {
	t.Parallel()
	user := store.NewID[store.User]()
	storetest.WantPlans(t, func(tx *store.Tx) []storetest.Planned {
		return []storetest.Planned{
			storetest.By("passkeys_user", passkeyColumns+" WHERE org_id = ? AND user_id = ? ORDER BY id DESC LIMIT 100", tx.Org(), user),
			storetest.By("passkeys_credential", passkeyColumns+" WHERE org_id = ? AND credential_hash = ? AND user_id = ?", tx.Org(), "hash", user),
			storetest.By("passkeys_user", set, tx.Org(), user, tx.Org(), user, tx.Org(), user),
			storetest.By("passkeys_user", without+" ORDER BY u.id LIMIT 20", tx.Org(), "[]"),
			storetest.By("pending_signins_expiry", "DELETE FROM pending_signins WHERE expires_at <= ?", 1),
			storetest.By("used_challenges_expiry", "DELETE FROM used_challenges WHERE expires_at <= ?", 1),
		}
	}, "SCAN passkeys", "SCAN k", "SCAN a;", "SCAN recovery_codes")
}
