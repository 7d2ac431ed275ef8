package invite_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var ctx = context.Background()

const good = "seven purple otters juggling"

// stage is one organization with an admin and the door under test.
type stage struct {
	t         *testing.T
	db        *store.DB
	door      *invite.Door
	org       store.Org
	admin     access.Actor
	mails     chan mail.Message
	full      bool                                // the mail queue refuses
	queue     func(*store.Tx, mail.Message) error // a real outbox instead of mails
	onlySSO   map[string]bool
	elsewhere bool // everybody signs in with single sign-on
	told      chan web.Notice
	passwords *password.Store
	jobs      *jobs.Service
}

func newStage(t *testing.T, db *store.DB) *stage {
	t.Helper()
	id, _ := storetest.Org(t, db, "acme")
	s := &stage{t: t, db: db, mails: make(chan mail.Message, 1000), told: make(chan web.Notice, 100)}
	var err error
	if s.org, err = db.OrgByID(ctx, id); err != nil {
		t.Fatal(err)
	}
	s.passwords = password.New(password.Options{DB: db, Params: password.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}})
	s.jobs = jobs.New(jobs.Options{DB: db, Log: slog.New(slog.DiscardHandler), Actor: func(_ *store.Tx, who jobs.Starter) (access.Actor, error) {
		return access.Actor{Kind: who.Kind, ID: who.ID, Name: who.Name, Roles: []string{access.Admin}}, nil
	}})
	s.door = invite.New(invite.Options{
		DB: db, Jobs: s.jobs, PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler),
		Sessions:       session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080"}),
		Passwords:      s.passwords,
		MayUsePassword: func(*store.Tx, store.UserID) (bool, error) { return !s.elsewhere, nil },
		Connections: func(context.Context, store.OrgID, string) ([]invite.Way, error) {
			return []invite.Way{{Name: "Okta", URL: "/sso/saml/1/login"}}, nil
		},
		OnlySSO: func(*store.Tx, []string) (map[string]bool, error) { return s.onlySSO, nil },
		Tell: func(tx *store.Tx, n web.Notice) error {
			tx.AfterCommit(func() { s.told <- n })
			return nil
		},
		Queue: func(tx *store.Tx, m mail.Message) error {
			if s.full {
				return errors.New("the queue is full")
			}
			if s.queue != nil {
				return s.queue(tx, m)
			}
			tx.AfterCommit(func() { s.mails <- m })
			return nil
		},
	})
	s.admin = s.person("boss@acme.example", access.Admin)
	return s
}

// person is an active one with a role, as an actor.
func (s *stage) person(address string, roles ...string) access.Actor {
	s.t.Helper()
	var u store.User
	err := s.db.Write(ctx, access.Muster(string(s.org.ID)), func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: address, Email: address, GivenName: "Bea", FamilyName: "Boss"}.Doc(),
			Source: store.FromAPI, Roles: roles, Reason: store.Manual})
		return err
	})
	if err != nil {
		s.t.Fatalf("make %s: %v", address, err)
	}
	return access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: string(u.ID), Name: "Bea Boss", Roles: roles}
}

func (s *stage) write(actor access.Actor, f func(tx *store.Tx) error) error {
	return s.db.Write(ctx, actor, f)
}

func (s *stage) must(f func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.write(s.admin, f); err != nil {
		s.t.Fatal(err)
	}
}

// adopt has a directory take somebody over with a change.
func (s *stage) adopt(id store.UserID, c store.UserChange) {
	s.t.Helper()
	okta := access.Actor{Kind: access.Directory, Org: string(s.org.ID), Name: "Okta"}
	s.must(func(tx *store.Tx) error {
		d, err := tx.CreateDirectory(store.Directory{Name: okta.Name, Vendor: "okta", Mode: "compat"})
		okta.ID = string(d.ID)
		return err
	})
	if err := s.write(okta, func(tx *store.Tx) error {
		u, err := tx.User(id)
		if err == nil {
			_, err = tx.UpdateUser(u, c)
		}
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) invite(address string) invite.Made {
	s.t.Helper()
	made, err := s.door.Invite(ctx, s.admin, invite.In{Email: address, GivenName: "Ada", FamilyName: "Lovelace", Role: access.Viewer})
	if err != nil {
		s.t.Fatalf("invite %s: %v", address, err)
	}
	return made
}

// user reads a person in any state.
func (s *stage) user(id store.UserID) (u store.User) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) (err error) { u, err = tx.AnyUser(id); return err }); err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *stage) state(id store.UserID) invite.Invitation {
	s.t.Helper()
	var of map[store.UserID]invite.Invitation
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) (err error) {
		of, err = s.door.Of(tx, []store.UserID{id})
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return of[id]
}

func (s *stage) actions(id store.UserID) (list []string) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) error {
		acts, err := tx.Activities(store.ActivityQuery{Target: string(id)})
		for _, a := range acts {
			list = append([]string{a.Action}, list...)
		}
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return list
}

func token(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

func (s *stage) accept(link string) error {
	_, err := s.door.Accept(ctx, access.Actor{IP: "192.0.2.7", Request: "r1"}, token(link), good)
	return err
}

func wantFault(t *testing.T, what string, err error, k fault.Kind) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Errorf("%s: got %v (%s), want %s", what, err, fault.Of(err), k)
	}
}

func TestAnInvitationLeadsIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		var team store.Group
		s.must(func(tx *store.Tx) (err error) {
			team, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}})
			return err
		})
		made, err := s.door.Invite(ctx, s.admin, invite.In{Email: " Ada@Example.COM ", GivenName: "Ada", FamilyName: "Lovelace", Role: access.Viewer,
			Title: "Analyst", Department: "Engines", Phone: "+44 1", ManagerID: store.UserID(s.admin.ID), Teams: []store.GroupID{team.ID}})
		if err != nil {
			t.Fatal(err)
		}
		u := s.user(made.UserID)
		p := u.Profile()
		if u.Status != store.Invited || u.Source != store.FromInvite || u.UserName != "Ada@example.com" || p.Title != "Analyst" || p.Department != "Engines" || u.ManagerID != store.UserID(s.admin.ID) {
			t.Errorf("invited: %+v %+v", u, p)
		}
		m := <-s.mails
		if m.To != "Ada@example.com" || !strings.Contains(m.Text, made.Link) || !strings.Contains(m.Text, "Bea Boss") || !strings.Contains(m.Text, "acme Inc") {
			t.Errorf("mail: %+v", m)
		}
		if i := s.state(u.ID); i.State != invite.Pending || i.Sent != 1 || i.ExpiresAt != made.ExpiresAt {
			t.Errorf("invitation: %+v", i)
		}

		wantFault(t, "a weak password", func() error {
			_, err := s.door.Accept(ctx, access.Actor{}, token(made.Link), "lovelace1234")
			return err
		}(), fault.Invalid)
		w, err := s.door.Accept(ctx, access.Actor{IP: "192.0.2.7"}, token(made.Link), good)
		if err != nil || w.Session == "" || w.User.ID != u.ID {
			t.Fatalf("accept: %+v, %v", w, err)
		}
		if u = s.user(u.ID); u.Status != store.Active || u.LastSignInMethod != "invite" {
			t.Errorf("accepted: %+v", u)
		}
		if i := s.state(u.ID); i.State != invite.Accepted || i.EndedAt == 0 {
			t.Errorf("invitation: %+v", i)
		}
		want := "user.create invitation.create user.activate password.set invitation.accept user.signin"
		if got := strings.Join(s.actions(u.ID), " "); got != want {
			t.Errorf("activity: %s, want %s", got, want)
		}
		wantFault(t, "the link a second time", s.accept(made.Link), fault.Expired)
		if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) error {
			roles, err := tx.RolesOf([]store.UserID{u.ID})
			if got := store.RoleNames(roles[u.ID]); len(got) != 1 || got[0] != access.Viewer {
				t.Errorf("roles: %v", got)
			}
			groups, err2 := tx.GroupsOf([]store.UserID{u.ID})
			if len(groups[u.ID]) != 1 || groups[u.ID][0].Name != "Support" {
				t.Errorf("teams: %v", groups)
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnAddressCanBeUsedOrSaysWhyNot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for address, want := range map[string]string{
			"ada@bücher.example": "ada@xn--bcher-kva.example", "O'Neil+x@Example.com": "O'Neil+x@example.com", "a.b@sub.example.org": "a.b@sub.example.org",
		} {
			if made := s.invite(address); made.Email != want {
				t.Errorf("%s became %s, want %s", address, made.Email, want)
			}
		}
		for _, address := range []string{"", "ada", "@example.com", "ada@", "ada@example", "jürgen@example.com", "Ada <ada@example.com>", "a b@example.com",
			"ada@exa mple.com", "a@b@example.com", "ada@example.com\r\nBcc: x@y.example", "\"a b\"@example.com", "a\x00@example.com", strings.Repeat("a", 65) + "@example.com"} {
			_, err := s.door.Invite(ctx, s.admin, invite.In{Email: address})
			wantFault(t, address, err, fault.Invalid)
			if fault.Field(err) != "email" {
				t.Errorf("%q: the fault is on %q", address, fault.Field(err))
			}
		}
		_, err := s.door.Invite(ctx, s.admin, invite.In{Email: "BOSS@acme.example"})
		wantFault(t, "an address that is taken", err, fault.Conflict)
		if !strings.HasPrefix(fault.Public(err), "That address already has an account here") {
			t.Errorf("sentence: %s", fault.Public(err))
		}
		for field, in := range map[string]invite.In{
			"role":        {Email: "x@example.com", Role: "emperor"},
			"manager":     {Email: "x@example.com", ManagerID: store.NewID[store.User]()},
			"teams":       {Email: "x@example.com", Teams: []store.GroupID{store.NewID[store.Group]()}},
			"given_name":  {Email: "x@example.com", GivenName: "A\r\nB"},
			"family_name": {Email: "x@example.com", FamilyName: "\u200b\u3164"},
			"note":        {Email: "x@example.com", Note: "\u200b\n\u3164"},
			"address":     {Email: "x@example.com", Address: "\u2800"},
		} {
			_, err := s.door.Invite(ctx, s.admin, in)
			wantFault(t, field, err, fault.Invalid)
			if fault.Field(err) != field {
				t.Errorf("the fault is on %q, want %q", fault.Field(err), field)
			}
		}
		if made := s.invite("x@example.com"); made.UserID == "" {
			t.Error("refused invitations left something behind")
		}
	})
}

func TestWithoutMailThereIsNoInvitation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.full = true
		if _, err := s.door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com"}); err == nil {
			t.Fatal("an invitation without its mail")
		}
		if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
			page, err := tx.People(store.PeopleQuery{})
			if page.Total != 1 {
				t.Errorf("%d people, want the admin alone", page.Total)
			}
			acts, err2 := tx.Activities(store.ActivityQuery{Action: "invitation.create"})
			if len(acts) > 0 {
				t.Errorf("activity of what did not happen: %+v", acts)
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestResendKillsTheOldLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		first := s.invite("ada@example.com")
		var second invite.Made
		s.must(func(tx *store.Tx) (err error) { second, err = s.door.Resend(tx, s.org, first.UserID); return err })
		if second.InvitationID != first.InvitationID || second.Link == first.Link {
			t.Errorf("resent: %+v after %+v", second, first)
		}
		err := s.accept(first.Link)
		wantFault(t, "the old link", err, fault.Expired)
		if !strings.Contains(fault.Public(err), "newer") {
			t.Errorf("sentence: %s", fault.Public(err))
		}
		if i := s.state(first.UserID); i.Sent != 2 {
			t.Errorf("invitation: %+v", i)
		}
		if err := s.accept(second.Link); err != nil {
			t.Fatalf("the new link: %v", err)
		}
		err = s.write(s.admin, func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, first.UserID); return err })
		wantFault(t, "resend after accepting", err, fault.Conflict)
		wantFault(t, "cancel after accepting", s.write(s.admin, func(tx *store.Tx) error { return s.door.Cancel(tx, first.UserID) }), fault.Conflict)
		wantFault(t, "the old link, once the new one was used", s.accept(first.Link), fault.Expired)
	})
}

func TestACancelledInvitationFreesTheAddress(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		first := s.invite("ada@example.com")
		s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, first.UserID) })
		if u := s.user(first.UserID); u.Status != store.Deleted {
			t.Errorf("the person is %s", u.Status)
		}
		if i := s.state(first.UserID); i.State != invite.Cancelled {
			t.Errorf("invitation: %+v", i)
		}
		wantFault(t, "the link", s.accept(first.Link), fault.Expired)
		again := s.invite("ada@example.com")
		if again.UserID == first.UserID {
			t.Error("the new invitation has the old person")
		}
		if err := s.accept(again.Link); err != nil {
			t.Fatal(err)
		}
	})
}

func TestALinkExpires(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		clock.Pass(7*24*time.Hour - time.Second)
		if i := s.state(made.UserID); i.State != invite.Pending {
			t.Errorf("invitation: %+v", i)
		}
		clock.Pass(time.Second)
		if i := s.state(made.UserID); i.State != invite.Expired {
			t.Errorf("invitation: %+v", i)
		}
		wantFault(t, "an old link", s.accept(made.Link), fault.Expired)
		s.must(func(tx *store.Tx) (err error) { made, err = s.door.Resend(tx, s.org, made.UserID); return err })
		if err := s.accept(made.Link); err != nil {
			t.Fatalf("after sending it again: %v", err)
		}
	})
}

// Out means out, whatever door did it; and who is in already needs no link.
func TestTheLinkFollowsThePerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for name, change := range map[string]func(tx *store.Tx, id store.UserID) error{
			"deactivated": func(tx *store.Tx, id store.UserID) error { _, err := tx.Deactivate(id, ""); return err },
			"deleted":     func(tx *store.Tx, id store.UserID) error { _, err := tx.DeleteUser(id, ""); return err },
		} {
			made := s.invite(name + "@example.com")
			s.must(func(tx *store.Tx) error { return change(tx, made.UserID) })
			err := s.accept(made.Link)
			wantFault(t, name, err, fault.Expired)
			if !strings.Contains(fault.Public(err), "withdrawn") {
				t.Errorf("%s: %s", name, fault.Public(err))
			}
		}
		made := s.invite("adopted@example.com")
		s.adopt(made.UserID, store.UserChange{})
		err := s.accept(made.Link)
		wantFault(t, "adopted by a directory", err, fault.Expired)
		if !strings.Contains(fault.Public(err), "Sign in") {
			t.Errorf("adopted: %s", fault.Public(err))
		}
	})
}

func TestUnknownLinksLeadNowhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		good := token(made.Link)
		other, _ := storetest.Org(t, db, "other")
		for _, bad := range []string{"", "x", good[1:], good + "x", string(other) + good[32:], good[:74] + "~", url.PathEscape(good[:32]) + strings.Repeat("é", 21) + "x"} {
			_, err := s.door.Accept(ctx, access.Actor{}, bad, good)
			wantFault(t, bad, err, fault.NotFound)
		}
	})
}

func TestOnlyWhoMayInvites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("ada@example.com")
		for _, role := range []string{access.Viewer, access.Agent} {
			who := s.person(role+"@acme.example", role)
			_, err := s.door.Invite(ctx, who, invite.In{Email: "b@example.com"})
			wantFault(t, role+" invites", err, fault.Denied)
			wantFault(t, role+" resends", s.write(who, func(tx *store.Tx) error { _, err := s.door.Resend(tx, s.org, made.UserID); return err }), fault.Denied)
			wantFault(t, role+" cancels", s.write(who, func(tx *store.Tx) error { return s.door.Cancel(tx, made.UserID) }), fault.Denied)
		}
		other, _ := storetest.Org(t, db, "other")
		foreign := access.Actor{Kind: access.Person, Org: string(other), ID: s.admin.ID, Roles: []string{access.Admin}}
		wantFault(t, "another organization's admin", s.write(foreign, func(tx *store.Tx) error { return s.door.Cancel(tx, made.UserID) }), fault.NotFound)
	})
}

func TestOfTwoAcceptsOneWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for range 8 {
			made := s.invite(string(store.NewID[int]()) + "@example.com")
			errs := make([]error, 4)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() { errs[i] = s.accept(made.Link) })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else {
					wantFault(t, "a loser", err, fault.Expired)
				}
			}
			if won != 1 {
				t.Errorf("%d accepts won, want 1: %v", won, errs)
			}
		}
	})
}

// Whichever was first, the end is one that some order explains.
func TestAcceptAgainstResendCancelAndDeactivate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for _, c := range []struct {
			name  string
			rival func(tx *store.Tx, made invite.Made) error
			lost  store.Status // when the rival was first
		}{
			{"resend", func(tx *store.Tx, made invite.Made) error {
				_, err := s.door.Resend(tx, s.org, made.UserID)
				return err
			}, store.Invited},
			{"cancel", func(tx *store.Tx, made invite.Made) error { return s.door.Cancel(tx, made.UserID) }, store.Deleted},
			{"deactivate", func(tx *store.Tx, made invite.Made) error { _, err := tx.Deactivate(made.UserID, ""); return err }, store.Deactivated},
		} {
			for range 8 {
				made := s.invite(string(store.NewID[int]()) + "@example.com")
				var accepted, rival error
				var wg sync.WaitGroup
				wg.Go(func() { accepted = s.accept(made.Link) })
				wg.Go(func() { rival = s.write(s.admin, func(tx *store.Tx) error { return c.rival(tx, made) }) })
				wg.Wait()
				u, i := s.user(made.UserID), s.state(made.UserID)
				switch {
				case accepted == nil && rival != nil: // accept first
					wantFault(t, c.name+" after accept", rival, fault.Conflict)
					if u.Status != store.Active || i.State != invite.Accepted {
						t.Errorf("%s lost, but the person is %s, the invitation %s", c.name, u.Status, i.State)
					}
				case accepted != nil && rival == nil:
					wantFault(t, "accept after "+c.name, accepted, fault.Expired)
					if u.Status != c.lost || i.State == invite.Accepted {
						t.Errorf("%s won, but the person is %s, the invitation %s", c.name, u.Status, i.State)
					}
				case accepted == nil && c.name == "deactivate": // accepted, then deactivated
					if u.Status != store.Deactivated {
						t.Errorf("the person is %s", u.Status)
					}
				default:
					t.Errorf("accept: %v, %s: %v", accepted, c.name, rival)
				}
			}
		}
	})
}

// Who signs in over an identity provider instead of following the link has accepted,
// with the role and the teams of the invitation.
func TestSigningInAcceptsTheInvitation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("ada@acme.example")
		signIn := access.Actor{Kind: access.Connection, Org: string(s.org.ID), Name: "Okta"}
		accept := func() error {
			return s.write(signIn, func(tx *store.Tx) error {
				u, err := tx.ActivateUser(made.UserID, "signed in over Okta")
				if err != nil {
					return err
				}
				return s.door.SignedIn(tx, u)
			})
		}
		if err := accept(); err != nil {
			t.Fatal(err)
		}
		if err := accept(); err != nil {
			t.Errorf("a second sign-in: %v", err)
		}
		s.must(func(tx *store.Tx) error {
			of, err := s.door.Of(tx, []store.UserID{made.UserID})
			if err != nil {
				return err
			}
			if got := of[made.UserID].State; got != invite.Accepted {
				t.Errorf("the invitation is %s, want accepted", got)
			}
			roles, err := tx.RolesOf([]store.UserID{made.UserID})
			if got := store.RoleNames(roles[made.UserID]); len(got) != 1 || got[0] != access.Viewer {
				t.Errorf("roles %v, want that of the invitation", got)
			}
			acts, err2 := tx.Activities(store.ActivityQuery{Action: "invitation.accept"})
			if len(acts) != 1 {
				t.Errorf("%d rows of accepting, want 1", len(acts))
			}
			return errors.Join(err, err2)
		})
	})
}
