package invite

import (
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each query finds its rows by an index, however many invitations there are.
func TestQueriesHaveTheirIndexes(t *testing.T) {
	t.Parallel()
	user, inv := store.NewID[store.User](), store.NewID[Invitation]()
	storetest.WantPlans(t, func(tx *store.Tx) []storetest.Planned {
		return []storetest.Planned{
			storetest.By("invitations_user", newestInvitations, tx.Org(), `["x"]`),
			storetest.By("invitations_state", "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ?"+must(inState(Expired))+" AND i.id < ? ORDER BY i.id DESC LIMIT ?", tx.Org(), "pending", tx.Now(), inv, 50),
			storetest.By("invitations_bounced", "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ?"+must(inState(Bounced))+" AND i.id < ? ORDER BY i.id DESC LIMIT ?", tx.Org(), "pending", inv, 50),
			storetest.By("invitations_asked", "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ?"+asked+" AND i.id < ? ORDER BY i.id DESC LIMIT ?", tx.Org(), inv, 50),
			storetest.By("sqlite_autoindex_invitation_batch_rows_1", selectRows+" AND line > ? ORDER BY line LIMIT ?", tx.Org(), inv, 5, 50),
			storetest.By("sqlite_autoindex_invitations_1", "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ? AND i.id < ? ORDER BY i.id DESC LIMIT ?", tx.Org(), inv, 50),
			storetest.By("invitations_remind", "SELECT org_id, id, user_id, remind_at FROM invitations WHERE state = 'pending' AND remind_at > 0 AND remind_at <= ? ORDER BY remind_at LIMIT 50", tx.Now()),
			storetest.By("sqlite_autoindex_invitation_links_1", selectByLink, tx.Org(), "hash"),
			storetest.By("sqlite_autoindex_invitation_events_1", "SELECT at, what, by_name, detail FROM invitation_events WHERE org_id = ? AND user_id = ? ORDER BY id DESC LIMIT 100", tx.Org(), user),
			storetest.By("invitation_links_mail", "SELECT l.invitation_id, l.generation FROM invitation_links l WHERE l.org_id = ? AND l.mail_id = ?", tx.Org(), inv),
		}
	}, "SCAN i", "B-TREE")
}

func must(where string, _ int) string { return where }
