package invite_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whoever got the mail at a mistyped address must not become the person after an
// admin has corrected it.
func TestALinkToAnOldAddressIsDead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("wrong@acme.example")
		s.must(func(tx *store.Tx) error {
			u, err := tx.User(made.UserID)
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			p := u.Profile()
			p.Email = "right@acme.example"
			p.Apply(doc)
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		if err := s.accept(made.Link); !fault.Is(err, fault.Expired) || !strings.Contains(fault.Public(err), "address") {
			t.Errorf("the link to the old address: %v", err)
		}
		if u := s.user(made.UserID); u.Status != store.Invited {
			t.Errorf("the person is %s", u.Status)
		}
		var again string
		s.must(func(tx *store.Tx) error {
			made, err := s.door.Resend(tx, s.org, made.UserID)
			again = made.Link
			return err
		})
		if err := s.accept(again); err != nil {
			t.Errorf("the link to the new address: %v", err)
		}
	})
}
