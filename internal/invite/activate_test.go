package invite_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whoever waits for an invitation, in whatever state it is, can begin with a first
// password; what was sent leads nowhere then.
func TestSomebodyInvitedIsActivatedWithoutMail(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		sent := s.invite("sent@example.com")
		bounced := s.invite("bounced@example.com")
		s.must(func(tx *store.Tx) error { return s.door.Bounced(tx, (<-s.mails).ID, "550") })
		saved, err := s.door.Invite(ctx, s.admin, invite.In{Email: "saved@example.com", Save: true})
		if err != nil {
			t.Fatal(err)
		}
		expired := s.invite("expired@example.com")
		clock.Pass(8 * 24 * time.Hour)
		for _, who := range []invite.Made{sent, bounced, saved, expired} {
			made, err := s.door.Start(ctx, s.admin, who.UserID, "")
			if err != nil || len(made.Password) < 8 {
				t.Fatalf("%s: %+v, %v", who.Email, made, err)
			}
			if u := s.user(who.UserID); u.Status != store.Active || s.state(u.ID).State != invite.Accepted || !strings.HasSuffix(strings.Join(s.history(u.ID), " "), " start") {
				t.Errorf("%s is %s, the invitation %s: %v", u.Email, u.Status, s.state(u.ID).State, s.history(u.ID))
			}
			if who.Link != "" {
				wantFault(t, "the link of "+who.Email, s.accept(who.Link), fault.Expired)
			}
			if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
				must, err := s.passwords.MustChange(tx, who.UserID)
				if !must.Temporary {
					t.Errorf("%s need not change the password", who.Email)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			_, err = s.door.Start(ctx, s.admin, who.UserID, "")
			wantFault(t, "twice", err, fault.Conflict)
		}
	})
}

// Who signs in elsewhere, is managed by a directory, or may do more than the admin is
// refused, with the reason; and so is a password against the rules.
func TestWhoIsNotActivatedWithoutMail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		_, err := s.door.Start(ctx, s.admin, made.UserID, "short")
		if wantFault(t, "a short password", err, fault.Invalid); fault.Field(err) != "first_password" {
			t.Errorf("the field is %s", fault.Field(err))
		}
		_, err = s.door.Start(ctx, s.admin, made.UserID, "Ada Lovelace ada@example.com")
		wantFault(t, "the own name", err, fault.Invalid)
		recruiter := access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: string(store.NewID[store.User]()), Name: "Rita", Roles: []string{"recruiter"},
			Granted: []access.Permission{access.ViewUsers, access.InviteUsers}}
		_, err = s.door.Start(ctx, recruiter, made.UserID, "")
		wantFault(t, "who may invite alone", err, fault.Denied)
		recruiter.Granted = append(recruiter.Granted, access.CreateUsers)
		chief, err := s.door.Invite(ctx, s.admin, invite.In{Email: "chief@example.com", Role: access.Admin})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.door.Start(ctx, recruiter, chief.UserID, "")
		wantFault(t, "somebody who may do more", err, fault.Denied)
		agent, err := s.door.Invite(ctx, s.admin, invite.In{Email: "agent@example.com", Role: access.Agent})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.door.Start(ctx, recruiter, agent.UserID, ""); err != nil {
			t.Errorf("somebody who may do less: %v", err)
		}

		s.elsewhere = true
		eve := s.invite("eve@example.com")
		_, err = s.door.Start(ctx, s.admin, eve.UserID, "")
		if wantFault(t, "single sign-on", err, fault.Invalid); !strings.Contains(fault.Public(err), "single sign-on") || s.user(eve.UserID).Status != store.Invited {
			t.Errorf("single sign-on: %v", err)
		}
		s.elsewhere = false
		s.adopt(eve.UserID, store.UserChange{Doc: store.Profile{UserName: "eve@example.com", Email: "eve@example.com", Title: "Boss"}.Doc()})
		_, err = s.door.Start(ctx, s.admin, eve.UserID, "")
		wantFault(t, "who is managed, and active by that", err, fault.Conflict)
	})
}

// A break-glass account that is still invited is an operator's to hand out.
func TestAnInvitedBreakGlassAccountIsNotHandedOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("glass@example.com")
		if err := s.write(access.Muster(string(s.org.ID)), func(tx *store.Tx) error {
			_, err := tx.SetBreakGlass(made.UserID, true, "policy.breakglass.add")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for name, do := range map[string]func(*store.Tx) error{
			"send again":  func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, made.UserID); return err },
			"take a link": func(tx *store.Tx) error { _, err := s.door.Copy(tx, s.org, made.UserID); return err },
			"correct": func(tx *store.Tx) error {
				_, err := s.door.Correct(tx, s.org, made.UserID, "bea@example.com")
				return err
			},
			"cancel": func(tx *store.Tx) error { return s.door.Cancel(tx, made.UserID) },
		} {
			wantFault(t, name, s.write(s.admin, do), fault.Denied)
		}
		_, err := s.door.Start(ctx, s.admin, made.UserID, "")
		wantFault(t, "activate", err, fault.Denied)
	})
}

// Of an admin who activates and the person who accepts, one wins.
func TestActivatingMeetsAccepting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for round := range 8 {
			made := s.invite("r" + string(rune('a'+round)) + "@example.com")
			var accepted, started error
			var wg sync.WaitGroup
			wg.Go(func() { accepted = s.accept(made.Link) })
			wg.Go(func() { _, started = s.door.Start(ctx, s.admin, made.UserID, "") })
			wg.Wait()
			if (accepted == nil) == (started == nil) {
				t.Errorf("round %d: accepted %v, activated %v", round, accepted, started)
			}
		}
	})
}

func TestActivatingInTheConsoleAndByTheAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		made := s.invite("ada@example.com")
		at := "/console/acme/users/" + string(made.UserID) + "/invitation/activate"
		body := s.want(s.do("admin", "GET", at, nil), http.StatusOK)
		if !strings.Contains(body, "Your password needs") {
			t.Error("the rules are not shown")
		}
		s.want(s.do("viewer", "GET", at, nil), http.StatusForbidden)
		s.want(s.do("stranger", "POST", at, url.Values{}), http.StatusNotFound)
		if body := s.want(s.do("admin", "POST", at, url.Values{"first_password": {"short"}}), http.StatusBadRequest); !strings.Contains(body, "Activate Ada Lovelace without e-mail") {
			t.Errorf("refused: %s", body)
		}
		if body := s.want(s.do("admin", "POST", at, url.Values{"first_password": {good}}), http.StatusOK); !strings.Contains(body, "can sign in now") {
			t.Errorf("activated: %s", body)
		}
		for _, method := range []string{"GET", "POST"} { // the back button
			if w := s.do("admin", method, at, url.Values{}); w.Code != http.StatusSeeOther {
				t.Errorf("%s again: %d", method, w.Code)
			}
		}

		eve := s.api("admin", "POST", "/invitations", `{"email":"eve@example.com"}`, 201)
		path := "/invitations/" + eve["invitation_id"].(string) + "/activate"
		s.api("viewer", "POST", path, `{}`, 403)
		s.api("stranger", "POST", path, `{}`, 404)
		s.api("admin", "POST", path, `{"first_password":"short"}`, 400)
		if got := s.api("admin", "POST", path, `{}`, 200); len(got["first_password"].(string)) < 8 || got["user_id"] != eve["user_id"] {
			t.Errorf("by the API: %v", got)
		}
		s.api("admin", "POST", path, `{}`, 409)
		if got := s.api("admin", "POST", "/invitations", `{"email":"tom@example.com","activate":true,"first_password":"`+good+`"}`, 201); got["first_password"] != nil || got["link"] != "" {
			t.Errorf("somebody new: %v", got)
		}
		s.api("admin", "POST", "/invitations", `{"email":"tim@example.com","first_password":"`+good+`"}`, 400)
	})
}
