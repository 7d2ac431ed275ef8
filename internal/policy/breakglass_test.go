package policy_test

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
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// person acts for themself, as an admin.
func (s *site) person(id store.UserID) access.Actor {
	return access.Actor{Kind: access.Person, Org: s.admin.Org, ID: string(id), Name: "Somebody", Roles: []string{access.Admin}, IP: "192.0.2.7"}
}

// glass names a new admin with a password as a break-glass account.
func (s *site) glass(address string) (store.UserID, []string) {
	s.Helper()
	id := s.user(address, access.Admin)
	s.write(func(tx *store.Tx) error { return s.passwords.Set(tx, id, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA") })
	codes, err := s.door.AddAccount(context.Background(), s.admin, id)
	if err != nil {
		s.Fatalf("name %s: %v", address, err)
	}
	return id, codes
}

func (s *site) kind(what string, err error, want fault.Kind, field string) {
	s.Helper()
	if !fault.Is(err, want) || fault.Field(err) != field {
		s.Errorf("%s: %v, want %v on %q", what, err, want, field)
	}
}

// use tries a code as a sign-in does.
func (s *site) use(user store.UserID, code string) (left int, ok bool) {
	s.Helper()
	err := s.db.Write(context.Background(), s.person(user), func(tx *store.Tx) (err error) {
		left, ok, err = s.door.UseCode(tx, user, code)
		if err == nil && ok {
			_, _, err = s.sessions.Start(tx, session.In{User: user, Method: "password", SecondFactor: "recovery code", Emergency: true})
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return left, ok
}

func TestBreakGlassAccounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		s.set(true, policy.Required, `{}`)
		glass, codes := s.glass("glass@acme.example")
		if len(codes) != 10 || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != 10 || len(strings.ReplaceAll(codes[0], "-", "")) != 16 {
			t.Errorf("codes %q", codes)
		}
		if use := s.start(session.In{User: glass, Method: "password"}); use != session.UseCode {
			t.Errorf("with the password alone: use %q", use)
		}
		if use := s.start(session.In{User: glass, Method: "saml", Connection: string(store.NewID[struct{}]())}); use != session.UseCode {
			t.Errorf("over a connection: use %q", use)
		}
		if _, ok := s.use(glass, "AAAA-AAAA-AAAA-AAAA"); ok {
			t.Error("a made-up code was good")
		}
		if left, ok := s.use(glass, " "+strings.ToLower(strings.ReplaceAll(codes[0], "-", " "))); !ok || left != 9 {
			t.Errorf("typed without hyphens: %v, %d left", ok, left)
		}
		if _, ok := s.use(glass, codes[0]); ok {
			t.Error("a code was good twice")
		}
		other, more := s.glass("other@acme.example")
		if _, ok := s.use(other, codes[1]); ok {
			t.Error("the code of another account was good")
		}
		if _, ok := s.use(other, more[1]); !ok {
			t.Error("its own was not")
		}
		renewed, err := s.door.RenewCodes(ctx, s.admin, glass)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.use(glass, codes[2]); ok {
			t.Error("an old code was good after new ones were made")
		}
		if _, ok := s.use(glass, renewed[0]); !ok {
			t.Error("a new one was not")
		}
	})
}

// Each sign-in alarms: activity, mail to all admins, a line in the console until
// another admin has acknowledged it.
func TestABreakGlassSignInAlarms(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		glass, codes := s.glass("glass@acme.example")
		admin := s.user("ada@acme.example", access.Admin)
		if len(s.told) != 1 || !strings.Contains(s.told[0].Subject.String(), "was made a break-glass account") {
			t.Errorf("told %+v", s.told)
		}
		s.use(glass, codes[0])
		if len(s.told) != 2 || !strings.Contains(s.told[1].Subject.String(), "Break-glass sign-in: glass@acme.example") || !strings.Contains(s.told[1].Lines[0].String(), "192.0.2.7") {
			t.Errorf("told %+v", s.told)
		}
		list, err := s.door.Unseen(ctx, s.person(admin))
		if err != nil || len(list) != 1 || list[0].User != glass || list[0].IP != "192.0.2.7" {
			t.Fatalf("alarms %+v, %v", list, err)
		}
		s.kind("by oneself", s.door.Acknowledge(ctx, s.person(glass), list[0].ID), fault.Denied, "")
		_, stranger := storetest.Org(t, db, "globex")
		s.kind("from another organization", s.door.Acknowledge(ctx, stranger, list[0].ID), fault.NotFound, "")
		if err := s.door.Acknowledge(ctx, s.person(admin), list[0].ID); err != nil {
			t.Fatal(err)
		}
		if list, err := s.door.Unseen(ctx, s.person(admin)); err != nil || len(list) != 0 {
			t.Errorf("after it was acknowledged: %+v, %v", list, err)
		}
		s.kind("twice", s.door.Acknowledge(ctx, s.person(admin), list[0].ID), fault.NotFound, "")
		s.write(func(tx *store.Tx) error {
			for _, action := range []string{"breakglass.signin", "breakglass.acknowledge", "breakglass.add"} {
				acts, err := tx.Activities(store.ActivityQuery{Action: action, Target: string(glass)})
				if err != nil || len(acts) != 1 {
					t.Errorf("%s: %d rows, %v", action, len(acts), err)
				}
			}
			return nil
		})
	})
}

// One code, many browsers: it opens one session.
func TestACodeIsUsedOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		glass, codes := s.glass("glass@acme.example")
		var wg sync.WaitGroup
		won := make(chan bool, 8)
		for range cap(won) {
			wg.Go(func() {
				_, ok := s.use(glass, codes[0])
				won <- ok
			})
		}
		wg.Wait()
		close(won)
		n := 0
		for ok := range won {
			if ok {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d sign-ins with one code", n)
		}
	})
}

func TestWhoCanBeABreakGlassAccount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		add := func(actor access.Actor, id store.UserID) error {
			_, err := s.door.AddAccount(ctx, actor, id)
			return err
		}
		admin := s.user("ada@acme.example", access.Admin)
		s.kind("an agent", add(s.admin, s.user("agent@acme.example", access.Agent)), fault.Conflict, "user")
		s.kind("by an agent", add(access.Actor{Kind: access.Person, Org: s.admin.Org, Roles: []string{access.Agent}}, admin), fault.Denied, "")
		_, stranger := storetest.Org(t, db, "globex")
		s.kind("from another organization", add(stranger, admin), fault.NotFound, "")
		operator := s.user("root@acme.example", access.Admin)
		s.write(func(tx *store.Tx) error { return s.sessions.MakeOperator(tx, operator) })
		s.kind("an operator, by an admin", add(s.person(admin), operator), fault.Denied, "")
		if err := add(s.person(operator), operator); err != nil {
			t.Errorf("an operator, by themself: %v", err)
		}
		var d store.Directory
		s.write(func(tx *store.Tx) (err error) {
			d, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			return err
		})
		okta := access.Actor{Kind: access.Directory, Org: s.admin.Org, ID: string(d.ID)}
		seen := func() (n int) {
			t.Helper()
			err := db.Read(ctx, okta, func(tx *store.Tx) error {
				_, err := tx.EachUser(store.Query{Limit: 50}, func(store.User) error { n++; return nil })
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := seen()
		if err := add(s.admin, admin); err != nil {
			t.Fatal(err)
		}
		if now := seen(); now != before-1 {
			t.Errorf("the directory sees %d people, want %d", now, before-1)
		}
		s.kind("twice", add(s.admin, admin), fault.Conflict, "user")
		if err := s.door.RemoveAccount(ctx, s.admin, admin); err != nil {
			t.Fatal(err)
		}
		if now := seen(); now != before {
			t.Errorf("off the list: the directory sees %d people, want %d", now, before)
		}
		s.kind("not on the list", s.door.RemoveAccount(ctx, s.admin, admin), fault.NotFound, "user")
		if err := db.Write(ctx, okta, func(tx *store.Tx) error {
			u, err := tx.User(admin)
			if err == nil {
				_, err = tx.UpdateUser(u, store.UserChange{})
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		s.kind("managed by a directory", add(s.admin, admin), fault.Conflict, "user")
		s.write(func(tx *store.Tx) error {
			wrong, err := tx.Check()
			if len(wrong) > 0 {
				t.Errorf("the counters disagree: %q", wrong)
			}
			return err
		})
	})
}

func TestRequiringSingleSignOn(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		s := newSite(t, db)
		required := policy.Required
		change := policy.Change{SSO: &required}
		missing := func(n int, words string) {
			t.Helper()
			e, err := s.door.Preview(ctx, s.admin, change)
			if err != nil || len(e.Missing) != n || n > 0 && !strings.Contains(e.Missing[0].String(), words) {
				t.Errorf("missing %q, %v; want %d with %q", e.Missing, err, n, words)
			}
			if _, err := s.door.Set(ctx, s.admin, change); n > 0 {
				s.kind("required too early", err, fault.Conflict, "sso")
			}
		}
		missing(2, "No connection is active")
		s.connections = []policy.Connection{{ID: "1", Name: "Okta", Active: true}}
		missing(2, "test sign-in")
		s.connections[0].Proved = store.TimeOf(clock.Now())
		clock.Pass(25 * time.Hour)
		missing(2, "test sign-in")
		s.connections[0].Proved = store.TimeOf(clock.Now())
		missing(1, "0 of 2")
		one, _ := s.glass("one@acme.example")
		missing(1, "1 of 2")
		two, _ := s.glass("two@acme.example")

		ada := s.user("ada@acme.example", access.Admin)
		tokens := map[string]string{}
		for name, in := range map[string]session.In{"password": {User: ada, Method: "password"}, "invite": {User: ada, Method: "invite"},
			"provider": {User: ada, Method: "saml", Connection: string(store.NewID[struct{}]())}, "glass": {User: one, Method: "password", SecondFactor: "recovery code", Emergency: true}} {
			s.write(func(tx *store.Tx) (err error) {
				tokens[name], _, err = s.sessions.Start(tx, in)
				return err
			})
		}
		s.resets = []store.UserID{ada, one}
		e, err := s.door.Preview(ctx, s.person(ada), change)
		if err != nil || e.People != 1 || e.Sessions != 2 || e.Resets != 1 || !e.You || len(e.Missing) != 0 {
			t.Errorf("preview %+v, %v", e, err)
		}
		if !s.live(tokens["password"]) {
			t.Error("the preview did something")
		}
		if _, err := s.door.Set(ctx, s.admin, change); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]bool{"password": false, "invite": false, "provider": true, "glass": true} {
			if got := s.live(tokens[name]); got != want {
				t.Errorf("the session of %s lives: %v, want %v", name, got, want)
			}
		}
		if !slices.Equal(s.ended, []store.UserID{ada}) {
			t.Errorf("links for a new password of %v ended", s.ended)
		}
		if last := s.told[len(s.told)-1]; !strings.Contains(last.Subject.String(), "required now") {
			t.Errorf("told %+v", last)
		}
		if err := s.door.RemoveAccount(ctx, s.admin, one); err != nil {
			t.Errorf("one of two: %v", err)
		}
		s.kind("the last one", s.door.RemoveAccount(ctx, s.admin, two), fault.Conflict, "user")
		if err := s.door.Relax(ctx, s.admin); err != nil {
			t.Fatal(err)
		}
		if use := s.start(session.In{User: ada, Method: "password"}); use != "" {
			t.Errorf("after it ceased: use %q", use)
		}
		if last := s.told[len(s.told)-1]; !strings.Contains(last.Subject.String(), "no longer required") {
			t.Errorf("told %+v", last)
		}
		if err := s.door.RemoveAccount(ctx, s.admin, two); err != nil {
			t.Errorf("the last one, when nothing is required: %v", err)
		}
	})
}

// Two admins take the last two accounts off the list at once: one is kept.
func TestTwoAdminsAndTheLastAccounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		one, _ := s.glass("one@acme.example")
		two, _ := s.glass("two@acme.example")
		s.set(true, policy.Required, `{}`)
		for range 15 {
			errs := make([]error, 2)
			var wg sync.WaitGroup
			both := []store.UserID{one, two}
			begin := make(chan struct{})
			for i, id := range both {
				wg.Go(func() {
					<-begin
					errs[i] = s.door.RemoveAccount(context.Background(), s.admin, id)
				})
			}
			close(begin)
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !fault.Is(errors.Join(errs...), fault.Conflict) {
				t.Fatalf("%v", errs)
			}
			for i, err := range errs {
				if err == nil {
					if _, err := s.door.AddAccount(context.Background(), s.admin, both[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}

// A sign-in with a password at the moment when single sign-on becomes required ends
// without a session, whoever is first.
func TestASignInWhileSingleSignOnBecomesRequired(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		s.connections = []policy.Connection{{ID: "1", Name: "Okta", Active: true, Proved: store.TimeOf(db.Now())}}
		s.glass("one@acme.example")
		s.glass("two@acme.example")
		ada := s.user("ada@acme.example")
		s.start(session.In{User: ada, Method: "password"}) // the row to lock is there
		var wg sync.WaitGroup
		tokens := make([]string, 12)
		for i := range tokens {
			wg.Go(func() {
				_ = db.Write(ctx, s.admin, func(tx *store.Tx) (err error) {
					tokens[i], _, err = s.sessions.Start(tx, session.In{User: ada, Method: "password"})
					return err
				})
			})
		}
		required := policy.Required
		if _, err := s.door.Set(ctx, s.admin, policy.Change{SSO: &required}); err != nil {
			t.Error(err)
		}
		wg.Wait()
		for _, token := range tokens {
			if token != "" && s.live(token) {
				t.Error("a session with a password outlived the change")
			}
		}
	})
}

// Single sign-on is not switched off where all admins depend on it.
func TestSingleSignOnOffLocksNobodyOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		ada := s.user("ada@acme.example", access.Admin)
		off := policy.Off
		_, err := s.door.Set(ctx, s.admin, policy.Change{SSO: &off})
		s.kind("no admin has a password", err, fault.Conflict, "sso")
		_, err = s.door.Set(ctx, s.admin, policy.Change{Domains: map[string]policy.SSO{"acme.example": policy.Off}})
		s.kind("for the admins' domain", err, fault.Conflict, "sso")
		s.write(func(tx *store.Tx) error { return s.passwords.Set(tx, ada, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA") })
		if _, err := s.door.Set(ctx, s.admin, policy.Change{SSO: &off}); err != nil {
			t.Error(err)
		}
	})
}

func TestChangesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		off, odd, no := policy.Off, policy.SSO("maybe"), false
		span := func(d time.Duration) *time.Duration { return &d }
		for name, c := range map[string]struct {
			change policy.Change
			field  string
		}{
			"an unknown rule":            {policy.Change{SSO: &odd}, "sso"},
			"nobody could sign in":       {policy.Change{SSO: &off, Password: &no}, "sso"},
			"nobody of a domain could":   {policy.Change{Password: &no, Domains: map[string]policy.SSO{"acme.example": policy.Off}}, "sso"},
			"a domain that is not ours":  {policy.Change{Domains: map[string]policy.SSO{"globex.example": policy.Required}}, "domains"},
			"an unknown rule for one":    {policy.Change{Domains: map[string]policy.SSO{"acme.example": "maybe"}}, "domains"},
			"idle too short":             {policy.Change{Idle: span(time.Second)}, "idle"},
			"idle too long":              {policy.Change{Idle: span(1000 * time.Hour)}, "idle"},
			"a negative span":            {policy.Change{Absolute: span(-time.Hour)}, "absolute"},
			"idle for longer than alive": {policy.Change{Idle: span(2 * time.Hour), Absolute: span(time.Hour)}, "idle"},
			"never fresh":                {policy.Change{Fresh: span(0)}, "fresh"},
		} {
			_, err := s.door.Set(ctx, s.admin, c.change)
			s.kind(name, err, fault.Invalid, c.field)
		}
		idle := time.Hour
		if _, err := s.door.Set(ctx, s.admin, policy.Change{Idle: &idle, Version: 1}); err != nil {
			t.Fatal(err)
		}
		_, err := s.door.Set(ctx, s.admin, policy.Change{Idle: span(2 * time.Hour), Version: 1})
		s.kind("by what was there before", err, fault.Conflict, "version")
		_, err = s.door.Set(ctx, access.Actor{Kind: access.Person, Org: s.admin.Org, Roles: []string{access.Viewer}}, policy.Change{Idle: &idle})
		s.kind("by a viewer", err, fault.Denied, "")
	})
}
