package invite_test

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whom a directory made active, or somebody deactivated or deleted, waits for no
// invitation: list, filters, counts, the API and the person's page say the same.
func TestAnInvitationIsNotNeededAnyMore(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		active, off, gone := s.invite("active@example.com"), s.invite("off@example.com"), s.invite("gone@example.com")
		clock.Pass(8 * 24 * time.Hour)
		late, pending := s.state(active.UserID), s.invite("pending@example.com")
		if late.State != invite.Expired {
			t.Fatalf("before: %s, want expired", late.State)
		}
		if err := s.door.Ask(ctx, access.Actor{IP: "192.0.2.1"}, token(active.Link)); err != nil {
			t.Fatal(err)
		}
		s.must(func(tx *store.Tx) error {
			if _, err := tx.Deactivate(off.UserID, ""); err != nil {
				return err
			}
			_, err := tx.DeleteUser(gone.UserID, "")
			return err
		})
		s.adopt(active.UserID, store.UserChange{})
		if u := s.user(active.UserID); u.Status != store.Active {
			t.Fatalf("the directory left %s", u.Status)
		}
		in := func(q invite.Query) (emails string) {
			t.Helper()
			if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
				list, err := s.door.List(tx, q)
				for _, i := range list {
					emails += i.Email[:strings.IndexByte(i.Email, '@')] + ":" + string(i.State) + " "
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return emails
		}
		if got, want := in(invite.Query{}), "pending:pending gone:unneeded off:unneeded active:unneeded "; got != want {
			t.Errorf("the list: %s, want %s", got, want)
		}
		if got, want := in(invite.Query{State: invite.Unneeded}), "gone:unneeded off:unneeded active:unneeded "; got != want {
			t.Errorf("the filter: %s, want %s", got, want)
		}
		for _, q := range []invite.Query{{State: invite.Expired}, {State: invite.Bounced}, {State: invite.Saved}, {Asked: true}} {
			if got := in(q); got != "" {
				t.Errorf("%+v: %s, want nobody", q, got)
			}
		}
		s.countsAgree()
		if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
			is, err := tx.WhoIs(invite.PeopleIn(tx, invite.Expired), []store.UserID{active.UserID, off.UserID, pending.UserID})
			if is[active.UserID] || is[off.UserID] {
				t.Errorf("filtered as expired: %v", is)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, made := range []invite.Made{active, off} {
			at := "/invitations/" + string(made.InvitationID)
			if got := s.api("viewer", "GET", at, "", 200); got["state"] != "unneeded" {
				t.Errorf("the API: %v", got["state"])
			}
			for _, act := range []string{"/resend", "/link", "/cancel"} {
				s.api("admin", "POST", at+act, "{}", 409)
			}
		}
		if got := s.api("viewer", "GET", "/invitations?state=unneeded", "", 200)["invitations"].([]any); len(got) != 3 {
			t.Errorf("the API's list has %d, want 3", len(got))
		}
		err := s.write(s.admin, func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, active.UserID); return err })
		wantFault(t, "sending again", err, fault.Conflict)
		if !strings.Contains(fault.Public(err), "not needed any more") {
			t.Errorf("sending again: %s", fault.Public(err))
		}
		page := s.want(s.do("viewer", "GET", "/console/acme/invitations?state=unneeded", nil), 200)
		if n := strings.Count(page, ">Not needed any more<"); n != 4 || strings.Contains(page, ">Wants a new link</span>") { // the chip and three rows
			t.Errorf("%d times not needed any more on the page, want 4:\n%s", n, page)
		}
	})
}

// countsAgree compares the counts with the filters, state by state.
func (s *site) countsAgree() {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) error {
		of, err := s.door.Counts(tx)
		if err != nil {
			return err
		}
		for _, state := range invite.States() {
			list, err := s.door.List(tx, invite.Query{State: state})
			if err != nil {
				return err
			}
			if of[state] != len(list) {
				s.t.Errorf("%s counted %d, listed %d", state, of[state], len(list))
			}
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
}
