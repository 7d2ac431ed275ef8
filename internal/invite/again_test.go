package invite_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *stage) history(id store.UserID) (list []string) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) error {
		all, err := s.door.History(tx, id)
		for _, e := range slices.Backward(all) {
			list = append(list, e.What)
		}
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *stage) drain() (n int) {
	for len(s.mails) > 0 {
		<-s.mails
		n++
	}
	return n
}

func TestTheAddressOfAPendingInvitationIsCorrected(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		first := s.invite("adda@example.com")
		s.invite("taken@example.com")
		s.drain()
		correct := func(address string) (made invite.Made, err error) {
			err = s.write(s.admin, func(tx *store.Tx) error { made, err = s.door.Correct(tx, s.org, first.UserID, address); return err })
			return made, err
		}
		for address, want := range map[string]fault.Kind{"taken@example.com": fault.Conflict, "boss@acme.example": fault.Conflict, "nonsense": fault.Invalid, "ADDA@example.com": fault.Invalid} {
			if _, err := correct(address); !fault.Is(err, want) || fault.Field(err) != "email" {
				t.Errorf("%s: %v on %q", address, err, fault.Field(err))
			}
		}
		if n := s.drain(); n != 0 {
			t.Fatalf("%d mails for what was refused", n)
		}
		made, err := correct("ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if m := <-s.mails; m.To != "ada@example.com" || !strings.Contains(m.Text, made.Link) || s.drain() != 0 {
			t.Errorf("the mail: %+v", m)
		}
		if u := s.user(first.UserID); u.Email != "ada@example.com" || u.UserName != "ada@example.com" || u.Status != store.Invited {
			t.Errorf("the person: %+v", u)
		}
		// Whoever reads the old mailbox learns nothing of the new address.
		err = s.accept(first.Link)
		wantFault(t, "the old link", err, fault.Expired)
		if strings.Contains(fault.Public(err), "ada@") || strings.Contains(fault.Public(err), "newer") {
			t.Errorf("the old link says %q", fault.Public(err))
		}
		wantFault(t, "a viewer", s.write(access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: "x", Roles: []string{access.Viewer}}, func(tx *store.Tx) error {
			_, err := s.door.Correct(tx, s.org, first.UserID, "eve@example.com")
			return err
		}), fault.Denied)
		if err := s.accept(made.Link); err != nil {
			t.Fatal(err)
		}
		if _, err := correct("late@example.com"); !fault.Is(err, fault.Conflict) {
			t.Errorf("after accepting: %v", err)
		}
		if got := strings.Join(s.history(first.UserID), " "); got != "create correct accept" {
			t.Errorf("history: %s", got)
		}
	})
}

// However correcting, sending again, cancelling and accepting meet, a serial order explains the end.
func TestCorrectingMeetsAccepting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for round := range 8 {
			first := s.invite("a" + string(rune('a'+round)) + "@example.com")
			var corrected invite.Made
			var accepted, moved, cancelled error
			var wg sync.WaitGroup
			wg.Go(func() { accepted = s.accept(first.Link) })
			wg.Go(func() {
				moved = s.write(s.admin, func(tx *store.Tx) (err error) {
					corrected, err = s.door.Correct(tx, s.org, first.UserID, "b"+string(rune('a'+round))+"@example.com")
					return err
				})
			})
			if round%2 == 1 {
				wg.Go(func() {
					cancelled = s.write(s.admin, func(tx *store.Tx) error { return s.door.Cancel(tx, first.UserID) })
				})
			} else {
				cancelled = errors.New("not tried")
			}
			wg.Wait()
			u := s.user(first.UserID)
			switch {
			case accepted == nil:
				if moved == nil || cancelled == nil || u.Status != store.Active || strings.HasPrefix(u.Email, "b") {
					t.Errorf("round %d: accepted, and corrected %v, cancelled %v: %s %s", round, moved, cancelled, u.Status, u.Email)
				}
			case cancelled == nil:
				if u.Status != store.Deleted {
					t.Errorf("round %d: cancelled, but %s", round, u.Status)
				}
			case moved == nil:
				if u.Status != store.Invited || u.Email[0] != 'b' || s.accept(corrected.Link) != nil {
					t.Errorf("round %d: corrected, but %s %s", round, u.Status, u.Email)
				}
			default:
				t.Errorf("round %d: nobody won: %v, %v, %v", round, accepted, moved, cancelled)
			}
			for _, err := range []error{accepted, moved} {
				if err != nil && !fault.Is(err, fault.Expired) && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
					t.Errorf("round %d: %v", round, err)
				}
			}
		}
	})
}

func TestOneButtonPressedByManySendsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		s.drain()
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = s.write(s.admin, func(tx *store.Tx) error {
					if err := s.door.Still(tx, made.UserID, 1); err != nil {
						return err
					}
					_, err := s.door.Resend(tx, s.org, made.UserID)
					return err
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !fault.Is(err, fault.Conflict) {
				t.Errorf("got %v", err)
			}
		}
		if n := s.drain(); won != 1 || n != 1 {
			t.Errorf("%d of 6 sent, %d mails", won, n)
		}
	})
}

func TestACancelledInvitationIsOpenedAgain(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		var team store.Group
		s.must(func(tx *store.Tx) (err error) {
			team, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}})
			return err
		})
		first, err := s.door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com", Roles: []string{access.Viewer, access.Agent}, Teams: []store.GroupID{team.ID}, Note: "See you"})
		if err != nil {
			t.Fatal(err)
		}
		reopen := func(id store.UserID) (made invite.Made, err error) {
			err = s.write(s.admin, func(tx *store.Tx) error { made, err = s.door.Reopen(tx, s.org, id); return err })
			return made, err
		}
		_, err = reopen(first.UserID)
		wantFault(t, "what is open", err, fault.Conflict)
		s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, first.UserID) })
		s.drain()
		made, err := reopen(first.UserID)
		if err != nil {
			t.Fatal(err)
		}
		if m := <-s.mails; made.UserID != first.UserID || made.Link == first.Link || !strings.Contains(m.Text, "See you") {
			t.Errorf("opened again: %+v, %s", made, m.Text)
		}
		wantFault(t, "the link from before", s.accept(first.Link), fault.Expired)
		if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) error {
			roles, err := tx.RolesOf([]store.UserID{made.UserID})
			groups, err2 := tx.GroupsOf([]store.UserID{made.UserID})
			if got := store.RoleNames(roles[made.UserID]); len(got) != 2 || len(groups[made.UserID]) != 1 {
				t.Errorf("roles %v, teams %v", got, groups)
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, made.UserID) })
		if err := s.write(access.Muster(string(s.org.ID)), func(tx *store.Tx) error { return tx.SetSeats(1) }); err != nil {
			t.Fatal(err)
		}
		_, err = reopen(first.UserID)
		if !fault.Is(err, fault.Conflict) || fault.Field(err) != "seats" || s.user(first.UserID).Status != store.Deleted {
			t.Errorf("without a seat: %v, %s", err, s.user(first.UserID).Status)
		}
		if err := s.write(access.Muster(string(s.org.ID)), func(tx *store.Tx) error { return tx.SetSeats(store.NoLimit) }); err != nil {
			t.Fatal(err)
		}
		// The address was given to somebody else meanwhile, or too long ago.
		other := s.invite("ada@example.com")
		_, err = reopen(first.UserID)
		wantFault(t, "an address that is taken", err, fault.Conflict)
		s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, other.UserID) })
		clock.Pass(31 * 24 * time.Hour)
		_, err = reopen(first.UserID)
		wantFault(t, "after a month", err, fault.Expired)
		// Whoever has accepted is no matter of invitations.
		last := s.invite("eve@example.com")
		if err := s.accept(last.Link); err != nil {
			t.Fatal(err)
		}
		s.must(func(tx *store.Tx) error { _, err := tx.Deactivate(last.UserID, ""); return err })
		_, err = reopen(last.UserID)
		wantFault(t, "who has signed in", err, fault.Conflict)
	})
}

// What is taken back mails only those who had a mail before.
func TestPutBackIsAsItWas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for name, end := range map[string]func(tx *store.Tx, id store.UserID) error{
			"cancelled":   s.door.Cancel,
			"deactivated": func(tx *store.Tx, id store.UserID) error { _, err := tx.Deactivate(id, ""); return err },
		} {
			saved, err := s.door.Invite(ctx, s.admin, invite.In{Email: "saved-" + name + "@example.com", Save: true, Note: "Hello"})
			if err != nil {
				t.Fatal(err)
			}
			sent := s.invite("sent-" + name + "@example.com")
			s.drain()
			for _, id := range []store.UserID{saved.UserID, sent.UserID} {
				s.must(func(tx *store.Tx) error { return end(tx, id) })
				s.must(func(tx *store.Tx) error { return s.door.PutBack(tx, s.org, id) })
			}
			if mails := s.drain(); mails != 1 {
				t.Errorf("%s: %d mails, want one to who was sent one", name, mails)
			}
			if i := s.state(saved.UserID); i.State != invite.Saved || i.Note != "Hello" || s.user(saved.UserID).Status != store.Invited {
				t.Errorf("%s, saved: %s %+v", name, s.user(saved.UserID).Status, i)
			}
			if i := s.state(sent.UserID); i.State != invite.Pending || s.user(sent.UserID).Status != store.Invited {
				t.Errorf("%s, sent: %s %+v", name, s.user(sent.UserID).Status, i)
			}
			wantFault(t, name+": the link from before", s.accept(sent.Link), fault.Expired)
		}
	})
}

func TestSavedInvitationsAndLinksToCopy(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		saved, err := s.door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com", Save: true, Note: "Hello", Address: "1 Engine Row\r\nLondon", EmployeeNumber: "=7"})
		if err != nil || saved.Link != "" || s.drain() != 0 {
			t.Fatalf("saved: %+v, %v", saved, err)
		}
		if i := s.state(saved.UserID); i.State != invite.Saved || i.Sent != 0 {
			t.Errorf("saved: %+v", i)
		}
		if p := s.user(saved.UserID).Profile(); p.Address != "1 Engine Row\nLondon" || p.EmployeeNumber != "=7" {
			t.Errorf("profile: %+v", p)
		}
		clock.Pass(30 * 24 * time.Hour)
		if i := s.state(saved.UserID); i.State != invite.Saved {
			t.Errorf("a month later: %+v", i)
		}
		copied := func(id store.UserID) (made invite.Made) {
			s.must(func(tx *store.Tx) (err error) { made, err = s.door.Copy(tx, s.org, id); return err })
			return made
		}
		byHand := copied(saved.UserID)
		if s.drain() != 0 || s.state(saved.UserID).State != invite.Pending {
			t.Errorf("a link by hand: %+v", s.state(saved.UserID))
		}
		// A copy works beside the mail's link; the one that is used ends both.
		made := s.invite("eve@example.com")
		s.drain()
		second := copied(made.UserID)
		if second.Link == made.Link || second.ExpiresAt != made.ExpiresAt || s.state(made.UserID).Sent != 1 {
			t.Errorf("copy: %+v of %+v", second, made)
		}
		if err := s.accept(made.Link); err != nil {
			t.Fatalf("the mail's link beside a copy: %v", err)
		}
		wantFault(t, "the copy after that", s.accept(second.Link), fault.Expired)
		if err := s.accept(byHand.Link); err != nil {
			t.Fatalf("a link by hand: %v", err)
		}
		if got := strings.Join(s.history(saved.UserID), " "); got != "save link accept" {
			t.Errorf("history: %s", got)
		}
	})
}

func TestRemindersGoOutOnce(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		gone := s.invite("gone@example.com")
		bounced := s.invite("bounced@example.com")
		for range 2 {
			<-s.mails
		}
		m := <-s.mails
		s.must(func(tx *store.Tx) error { return s.door.Bounced(tx, m.ID, "550 no such mailbox") })
		s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, gone.UserID) })
		remind := func() {
			t.Helper()
			var wg sync.WaitGroup
			for range 4 { // servers
				wg.Go(func() {
					if err := s.door.Remind(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		remind()
		clock.Pass(6*24*time.Hour - time.Second)
		remind()
		if n := s.drain(); n != 0 {
			t.Fatalf("%d reminders too early", n)
		}
		clock.Pass(time.Second)
		remind()
		if len(s.mails) != 1 {
			t.Fatalf("%d reminders, want 1", len(s.mails))
		}
		m = <-s.mails
		if m.To != "ada@example.com" || !strings.Contains(m.Text, "in 24 hours") || !strings.Contains(m.Subject, "ends soon") {
			t.Errorf("the reminder: %+v", m)
		}
		if got := strings.Join(s.history(bounced.UserID), " "); got != "create bounce" || s.state(bounced.UserID).State != invite.Bounced {
			t.Errorf("bounced: %s, %+v", got, s.state(bounced.UserID))
		}
		remind()
		if n := s.drain(); n != 0 {
			t.Errorf("%d reminders more", n)
		}
		// Both links lead in until one does.
		link := m.Text[strings.Index(m.Text, "http"):]
		link = link[:strings.IndexByte(link, '\n')]
		if err := s.accept(link); err != nil {
			t.Fatalf("the reminder's link: %v", err)
		}
		wantFault(t, "the first link after that", s.accept(made.Link), fault.Expired)
	})
}

func TestANewLinkIsAskedFor(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		s.drain()
		ask := func(link string) {
			t.Helper()
			if err := s.door.Ask(ctx, access.Actor{IP: "192.0.2.9"}, token(link)); err != nil {
				t.Errorf("ask: %v", err)
			}
		}
		ask(made.Link) // it works still
		ask("/invite/nonsense")
		if s.state(made.UserID).AskedAt != 0 || len(s.told) != 0 {
			t.Errorf("asked too early: %+v", s.state(made.UserID))
		}
		clock.Pass(7 * 24 * time.Hour)
		ask(made.Link)
		ask(made.Link)
		if s.state(made.UserID).AskedAt == 0 || len(s.told) != 1 || s.drain() != 0 {
			t.Fatalf("asked: %+v, %d notices", s.state(made.UserID), len(s.told))
		}
		list := func(q invite.Query) (list []invite.Invitation) {
			t.Helper()
			if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) (err error) { list, err = s.door.List(tx, q); return err }); err != nil {
				t.Fatal(err)
			}
			return list
		}
		if got := list(invite.Query{Asked: true}); len(got) != 1 || got[0].State != invite.Expired {
			t.Errorf("who asks: %+v", got)
		}
		s.must(func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, made.UserID); return err })
		if s.drain() != 1 || len(list(invite.Query{Asked: true})) != 0 || len(list(invite.Query{State: invite.Pending})) != 1 {
			t.Errorf("granted: %+v", s.state(made.UserID))
		}
		ask(made.Link) // a newer one was sent
		s.must(func(tx *store.Tx) error {
			rules, err := s.door.Rules(tx)
			rules.Renew = invite.AtOnce
			return errors.Join(err, s.door.SetRules(tx, rules, 0))
		})
		second := s.invite("eve@example.com")
		s.drain()
		clock.Pass(8 * 24 * time.Hour)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { ask(second.Link) })
		}
		wg.Wait()
		if n := s.drain(); n != 1 || s.state(second.UserID).State != invite.Pending {
			t.Errorf("%d mails at once, %+v", n, s.state(second.UserID))
		}
		if got := strings.Join(s.history(second.UserID), " "); got != "create ask renew" {
			t.Errorf("history: %s", got)
		}
	})
}

// Of an invitation whose mail came back, too, the time ends: a copy works then, and a wish is heard.
func TestTheTimeOfAMailThatCameBackEnds(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		m := <-s.mails
		s.must(func(tx *store.Tx) error { return s.door.Bounced(tx, m.ID, "550 mailbox full") })
		copied := func() (c invite.Made) {
			s.must(func(tx *store.Tx) (err error) { c, err = s.door.Copy(tx, s.org, made.UserID); return err })
			return c
		}
		if early := copied(); early.ExpiresAt != made.ExpiresAt || s.state(made.UserID).State != invite.Bounced {
			t.Errorf("a copy in time: %+v, %+v", early, s.state(made.UserID))
		}
		clock.Pass(8 * 24 * time.Hour)
		if err := s.door.Ask(ctx, access.Actor{IP: "192.0.2.9"}, token(made.Link)); err != nil {
			t.Fatal(err)
		}
		if s.state(made.UserID).AskedAt == 0 || len(s.told) != 1 {
			t.Errorf("the wish was not heard: %+v, %d notices", s.state(made.UserID), len(s.told))
		}
		late := copied()
		if late.ExpiresAt <= store.TimeOf(db.Now()) || s.drain() != 0 {
			t.Errorf("a copy afterwards: %+v", late)
		}
		wantFault(t, "the old link", s.accept(made.Link), fault.Expired)
		if err := s.accept(late.Link); err != nil {
			t.Errorf("the copy does not lead in: %v", err)
		}
	})
}

func TestSettingsOfInvitations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		set := func(actor access.Actor, rules invite.Settings, version int64) error {
			return s.write(actor, func(tx *store.Tx) error { return s.door.SetRules(tx, rules, version) })
		}
		fine := invite.Settings{ExpiryHours: 48, Remind: true, RemindHours: 12, Welcome: "We are glad.\nReally.", Renew: invite.ByAdmins}
		for field, change := range map[string]func(*invite.Settings){
			"expiry_hours": func(s *invite.Settings) { s.ExpiryHours = 0 }, "remind_hours": func(s *invite.Settings) { s.RemindHours = 48 },
			"welcome": func(s *invite.Settings) { s.Welcome = strings.Repeat("x", 1001) }, "renew": func(s *invite.Settings) { s.Renew = "maybe" },
		} {
			bad := fine
			change(&bad)
			if err := set(s.admin, bad, 0); !fault.Is(err, fault.Invalid) || fault.Field(err) != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		wantFault(t, "a viewer", set(access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: "x", Roles: []string{access.Viewer}}, fine, 0), fault.Denied)
		if err := set(s.admin, fine, 0); err != nil {
			t.Fatal(err)
		}
		wantFault(t, "an old page", set(s.admin, invite.Settings{ExpiryHours: 72, Renew: invite.AtOnce}, 0), fault.Conflict)
		made := s.invite("ada@example.com")
		if left := made.ExpiresAt.Time().Sub(db.Now()); left < 47*time.Hour || left > 48*time.Hour {
			t.Errorf("the link works for %s", left)
		}
		if m := <-s.mails; !strings.Contains(m.Text, "We are glad.\n\nReally.") || !strings.Contains(m.Text, "in 2 days") {
			t.Errorf("the mail: %s", m.Text)
		}
	})
}

// Until an organization chooses, a link works as long as the server says, to the minute.
func TestTheServersTimeIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		door := invite.New(invite.Options{DB: db, TTL: 30 * time.Minute, Queue: func(*store.Tx, mail.Message) error { return nil }})
		made, err := door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com"})
		if left := made.ExpiresAt.Time().Sub(db.Now()); err != nil || left > 30*time.Minute || left < 29*time.Minute {
			t.Errorf("the link works for %s, %v", left, err)
		}
	})
}

// Who may invite and little else gets nobody's way in who may do more.
func TestALinkGivesNobodyMoreThanTheyMay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made, err := s.door.Invite(ctx, s.admin, invite.In{Email: "chief@example.com", Role: access.Admin})
		if err != nil {
			t.Fatal(err)
		}
		recruiter := access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: string(store.NewID[store.User]()), Name: "Rita", Roles: []string{"recruiter"},
			Granted: []access.Permission{access.ViewUsers, access.InviteUsers, access.EditUsers, access.EndUsers}}
		for name, do := range map[string]func(*store.Tx) error{
			"send again":  func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, made.UserID); return err },
			"take a link": func(tx *store.Tx) error { _, err := s.door.Copy(tx, s.org, made.UserID); return err },
			"correct": func(tx *store.Tx) error {
				_, err := s.door.Correct(tx, s.org, made.UserID, "rita@example.com")
				return err
			},
			"cancel": func(tx *store.Tx) error { return s.door.Cancel(tx, made.UserID) },
			"invite": func(tx *store.Tx) error {
				_, err := s.door.Create(tx, s.org, invite.In{Email: "rita2@example.com", Role: access.Admin})
				return err
			},
		} {
			wantFault(t, name, s.write(recruiter, do), fault.Denied)
		}
		s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, made.UserID) })
		wantFault(t, "open again", s.write(recruiter, func(tx *store.Tx) error { _, err := s.door.Reopen(tx, s.org, made.UserID); return err }), fault.Denied)
		if _, err := s.door.Invite(ctx, recruiter, invite.In{Email: "agent@example.com"}); err != nil {
			t.Errorf("an agent: %v", err)
		}
	})
}

// A link that was opened before a newer one was sent leads in before that, or not at all.
func TestSendingAgainMeetsAccepting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for round := range 12 {
			first := s.invite("r" + string(rune('a'+round)) + "@example.com")
			var accepted, resent error
			var wg sync.WaitGroup
			wg.Go(func() { accepted = s.accept(first.Link) })
			wg.Go(func() {
				for range round {
					_ = s.user(first.UserID)
				}
				resent = s.write(s.admin, func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, first.UserID); return err })
			})
			wg.Wait()
			if (accepted == nil) == (resent == nil) {
				t.Errorf("round %d: accepted %v, sent again %v", round, accepted, resent)
			}
		}
	})
}
