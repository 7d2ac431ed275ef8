package console_test

import (
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheOverview(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			for _, method := range []string{"password", "invite"} {
				if err := tx.Record(store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(s.people["agent"]), Detail: map[string]any{"method": method}}); err != nil {
					return err
				}
			}
			for action, n := range map[string]int{"user.signin": 3, "user.signin.refused": 2} {
				for range n {
					if err := tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(s.people["agent"]), Detail: map[string]any{"method": "saml"}}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		today := time.Now().UTC().Format(time.DateOnly)
		has(t, s.page("boss", "/console/acme/overview"), "Overview", "Active 4", "Deactivated 1", "Invited 1", "SCIM 1", today+" 7 , signed in 5 , refused 2", "SAML 3", "password 1", "invitation 1", "2 sign-ins were refused", "Okta Prod Waiting for the first request")
		has(t, s.german("/console/acme/overview"), "Übersicht", "Passwort 1", "Einladung 1", "Aktiv 4")
		// Whoever may not configure sees no directories.
		hasNot(t, s.page("viewer", "/console/acme/overview"), "Okta Prod")
		if w := s.do("agent", "GET", "/console/acme/overview", nil); w.Code != 403 {
			t.Errorf("an agent: %d", w.Code)
		}
	})
}
