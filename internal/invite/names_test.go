package invite_test

import (
	"testing"

	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whoever is invited gets a user name by the organization's format.
func TestInvitedPeopleGetUserNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.must(func(tx *store.Tx) error { return tx.SetNameFormat(store.NameFirstLast, -1) })
		for _, want := range []string{"soeren.oe", "soeren.oe2"} {
			made, err := s.door.Invite(ctx, s.admin, invite.In{Email: want + "@example.com", GivenName: "Søren", FamilyName: "Ø"})
			if err != nil {
				t.Fatal(err)
			}
			if u := s.user(made.UserID); u.UserName != want {
				t.Errorf("user name %q, want %q", u.UserName, want)
			}
		}
	})
}
