package factor_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestAPasskeySignsIn(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := newDevice()
		codes, err := s.register(s.ada, d, "  Work\u202e laptop\x07 ")
		if err != nil || len(codes) != 10 {
			t.Fatalf("register: %v, %d codes", err, len(codes))
		}
		c := s.ask()
		if strings.Contains(c.Options, "allowCredentials") {
			t.Errorf("a sign-in page names passkeys of somebody: %s", c.Options)
		}
		k, copied, err := s.use(factor.ToSignIn, c.Ticket, d.prove(t, c))
		if err != nil || copied || k.Name != "Work laptop" || k.AMR() != "hwk" {
			t.Fatalf("sign in: %+v, %v, %v", k, copied, err)
		}
		var list []factor.Passkey
		s.read(func(tx *store.Tx) (err error) {
			list, err = s.s.Passkeys(tx, s.ada)
			return err
		})
		if len(list) != 1 || list[0].UsedAt == 0 || list[0].CreatedAt == 0 || list[0].Synced || list[0].BackedUp {
			t.Errorf("list %+v", list)
		}
		if codes, err = s.register(s.ada, newDevice(), ""); err != nil || codes != nil {
			t.Errorf("a second one makes %d codes more: %v", len(codes), err)
		}
		if err := s.as(s.ada, func(tx *store.Tx) error { return s.s.Rename(tx, k.ID, "Old one") }); err != nil {
			t.Error(err)
		}
		if err := s.as(s.ada, func(tx *store.Tx) error { return s.s.RemovePasskey(tx, k.ID) }); err != nil {
			t.Error(err)
		}
		refusedFor(t, s.signIn(d), "not registered, or was removed")
		want := []string{"user.passkey.add", "user.passkey.add", "user.passkey.rename", "user.passkey.remove"}
		if got := s.recorded("user.passkey"); !slices.Equal(got, want) {
			t.Errorf("recorded %v, want %v", got, want)
		}
		if len(s.letters) != 3 || s.letters[0].To != "ada@acme.example" || !strings.Contains(strings.Join(s.letters[2].Lines, " "), "“Old one”") || !strings.Contains(strings.Join(s.letters[0].Lines, " "), "192.0.2.1") {
			t.Errorf("letters %+v", s.letters)
		}
	})
}

// A key that is synced is told apart, and so is where it is kept now.
func TestASyncedPasskey(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := newDevice()
		d.auth.Options.BackupEligible = true
		if _, err := s.register(s.ada, d, "Cloud"); err != nil {
			t.Fatal(err)
		}
		d.auth.Options.BackupState = true
		c := s.ask()
		k, _, err := s.use(factor.ToSignIn, c.Ticket, d.prove(t, c))
		if err != nil || k.AMR() != "swk" {
			t.Fatalf("%+v, %v", k, err)
		}
		s.read(func(tx *store.Tx) error {
			list, err := s.s.Passkeys(tx, s.ada)
			if err == nil && !list[0].BackedUp {
				t.Error("the backup is not seen")
			}
			return err
		})
		// What cannot become of one key pair: one that may not be copied after all.
		d.auth.Options.BackupEligible, d.auth.Options.BackupState = false, false
		refusedFor(t, s.signIn(d), "Backup Eligible")
	})
}

func TestAReplayedAssertionIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		c := s.ask()
		answer := d.prove(t, c)
		if _, _, err := s.use(factor.ToSignIn, c.Ticket, answer); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.use(factor.ToSignIn, c.Ticket, answer); !fault.Is(err, fault.Expired) {
			t.Errorf("the same answer again: %v", err)
		}
		other := s.ask()
		_, _, err := s.use(factor.ToSignIn, other.Ticket, answer)
		refusedFor(t, err, "challenge")
		// Many at once: one wins, on whichever server.
		c = s.ask()
		answer = d.prove(t, c)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 6 {
			wg.Go(func() {
				again := s.store(origin, s.key) // another server
				if _, err := again.ReadProof(t.Context(), factor.ToSignIn, browser, c.Ticket, answer); err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d of six read the same answer", won)
		}
	})
}

func TestAnotherOriginIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		for _, evil := range []string{"https://evil.example", "http://id.acme.example", "https://id.acme.example:444", "https://id.acme.example.evil.example", "https://acme.example", "null"} {
			d.rp.Origin = evil
			if err := s.signIn(d); err == nil {
				t.Errorf("a page of %s signs in", evil)
			} else {
				refusedFor(t, err, "passkey")
			}
			c := s.begin(s.ada)
			fresh := newDevice()
			fresh.rp.Origin = evil
			if _, err := s.s.CheckPasskey(t.Context(), browser, s.org, s.ada, c.Ticket, fresh.make(t, c)); !fault.Is(err, fault.Invalid) {
				t.Errorf("a page of %s registers: %v", evil, err)
			}
		}
		d.rp.Origin = origin
		d.rp.ID = "evil.example"
		refusedFor(t, s.signIn(d), "passkey")
		d.rp.ID = "id.acme.example"
		if err := s.signIn(d); err != nil {
			t.Errorf("our own page: %v", err)
		}
	})
}

func TestAChallengeOfAnotherBrowserIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		ctx := t.Context()
		try := func(name string, srv *factor.Store, p factor.Purpose, bind, ticket, answer string) {
			t.Helper()
			if _, err := srv.ReadProof(ctx, p, bind, ticket, answer); !fault.Is(err, fault.Expired) {
				t.Errorf("%s: %v", name, err)
			}
		}
		c := s.ask()
		answer := d.prove(t, c)
		try("another browser", s.s, factor.ToSignIn, "another browser", c.Ticket, answer)
		try("no cookie", s.s, factor.ToSignIn, "", c.Ticket, answer)
		try("another purpose", s.s, factor.ToStepUp, browser, c.Ticket, answer)
		try("another server's key", s.store(origin, secret.NewKey()), factor.ToSignIn, browser, c.Ticket, answer)
		for _, bad := range []string{"", "x", "***", c.Ticket[:len(c.Ticket)-2], strings.Repeat("A", 10_000)} {
			try(fmt.Sprintf("ticket %.10q", bad), s.s, factor.ToSignIn, browser, bad, answer)
		}
		s.clock.Pass(61 * time.Minute)
		try("too late", s.s, factor.ToSignIn, browser, c.Ticket, answer)
		r := s.begin(s.ada)
		made := newDevice().make(t, r)
		if _, err := s.s.CheckPasskey(ctx, "another browser", s.org, s.ada, r.Ticket, made); !fault.Is(err, fault.Expired) {
			t.Errorf("registered in another browser: %v", err)
		}
		bob := s.user(storetestActor(s), "bob@acme.example")
		if _, err := s.s.CheckPasskey(ctx, browser, s.org, bob, r.Ticket, made); !fault.Is(err, fault.Expired) {
			t.Errorf("registered for somebody else: %v", err)
		}
		s.clock.Pass(11 * time.Minute)
		if _, err := s.s.CheckPasskey(ctx, browser, s.org, s.ada, r.Ticket, made); !fault.Is(err, fault.Expired) {
			t.Errorf("registered too late: %v", err)
		}
	})
}

// The user handle is not signed: whatever it says, a key works where it was registered.
func TestAPasskeyOfAnotherOrganizationIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		globex, actor := storetest.Org(t, s.db, "globex")
		eve := s.user(actor, "eve@globex.example")
		bob := s.user(storetestActor(s), "bob@acme.example")
		handle := func(org store.OrgID, user store.UserID) string {
			b, err := hex.DecodeString(string(org) + string(user))
			if err != nil {
				t.Fatal(err)
			}
			return base64.RawURLEncoding.EncodeToString(b)
		}
		for name, whose := range map[string][2]string{"a person elsewhere": {string(globex), string(eve)}, "the same person elsewhere": {string(globex), string(s.ada)}, "a colleague": {string(s.org), string(bob)}} {
			c := s.ask()
			answer := changed(t, d.prove(t, c), func(r map[string]any) { r["userHandle"] = handle(store.OrgID(whose[0]), store.UserID(whose[1])) })
			proof, err := s.s.ReadProof(t.Context(), factor.ToSignIn, browser, c.Ticket, answer)
			if err != nil || string(proof.Org) != whose[0] {
				t.Fatalf("%s: %+v, %v", name, proof, err)
			}
			actor := storetestActor(s)
			actor.Org = whose[0]
			err = s.db.Write(t.Context(), actor, func(tx *store.Tx) error {
				_, _, err := s.s.UsePasskey(tx, store.UserID(whose[1]), proof)
				return err
			})
			refusedFor(t, err, "passkey")
		}
		// As a second factor of a colleague, where the handle is not needed.
		var c factor.Ceremony
		s.register(bob, newDevice(), "Bob's")
		s.read(func(tx *store.Tx) (err error) {
			c, err = s.s.BeginProof(tx, factor.ToFinish, browser, bob)
			return err
		})
		answer := changed(t, d.prove(t, c), func(r map[string]any) { delete(r, "userHandle") })
		proof, err := s.s.ReadProof(t.Context(), factor.ToFinish, browser, c.Ticket, answer)
		if err != nil {
			t.Fatal(err)
		}
		err = s.as(bob, func(tx *store.Tx) error {
			_, _, err := s.s.UsePasskey(tx, bob, proof)
			return err
		})
		refusedFor(t, err, "not registered")
		// Nobody registers the key of somebody else.
		if _, err := s.register(bob, d, "stolen"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a colleague registers the same key: %v", err)
		}
		// Answers without a handle name nobody.
		c = s.ask()
		for _, h := range []string{"", "AAAA", strings.Repeat("A", 200)} {
			answer := changed(t, d.prove(t, c), func(r map[string]any) { r["userHandle"] = h })
			if _, err := s.s.ReadProof(t.Context(), factor.ToSignIn, browser, c.Ticket, answer); err == nil {
				t.Errorf("handle %.10q is read", h)
			}
		}
	})
}

// A counter that goes back is the sign of a copy: the passkey is stopped, for both.
func TestACopiedPasskeyIsStopped(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		d.key.Counter = 10
		if err := s.signIn(d); err != nil {
			t.Fatal(err)
		}
		thief := *d
		thief.key.Counter = 4
		c := s.ask()
		_, copied, err := s.use(factor.ToSignIn, c.Ticket, thief.prove(t, c))
		if !copied {
			t.Error("the copy is not seen")
		}
		refusedFor(t, err, "counter")
		refusedFor(t, s.signIn(d), "stopped")
		if has := s.has(s.ada); has.Passkeys != 0 || has.Any() {
			t.Errorf("a stopped passkey counts: %+v", has)
		}
		if got := s.recorded("user.passkey.stop"); len(got) != 1 || !strings.Contains(s.letters[len(s.letters)-1].Subject, "stopped") {
			t.Errorf("recorded %v, letters %+v", got, s.letters)
		}
	})
}

// A passkey alone signs in only when the device has asked for a PIN or a finger.
func TestUserVerification(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		d.auth.Options.UserNotVerified = true
		refusedFor(t, s.signIn(d), "passkey")
		for p, works := range map[factor.Purpose]bool{factor.ToStepUp: false, factor.ToFinish: true} {
			var c factor.Ceremony
			s.read(func(tx *store.Tx) (err error) {
				c, err = s.s.BeginProof(tx, p, browser, s.ada)
				return err
			})
			if _, _, err := s.use(p, c.Ticket, d.prove(t, c)); (err == nil) != works {
				t.Errorf("%s: %v", p, err)
			}
		}
		d.auth.Options.UserNotPresent = true
		var c factor.Ceremony
		s.read(func(tx *store.Tx) (err error) {
			c, err = s.s.BeginProof(tx, factor.ToFinish, browser, s.ada)
			return err
		})
		_, _, err := s.use(factor.ToFinish, c.Ticket, d.prove(t, c))
		refusedFor(t, err, "passkey")
		careless := newDevice()
		careless.auth.Options.UserNotVerified = true
		if _, err := s.register(s.ada, careless, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("registered without: %v", err)
		}
	})
}

func TestPasskeysAreLimited(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for range 20 {
			s.mustRegister(s.ada)
		}
		err := s.db.Read(t.Context(), storetestActor(s), func(tx *store.Tx) error {
			_, err := s.s.BeginPasskey(tx, browser, s.ada, "acme")
			return err
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("the 21st: %v", err)
		}
		for name, answer := range map[string]string{"nothing": "", "no JSON": "<script>", "a list": "[]", "deep": strings.Repeat("[", 5000), "large": `{"id":"` + strings.Repeat("A", 1<<20) + `"}`} {
			c := s.ask()
			if _, err := s.s.ReadProof(t.Context(), factor.ToSignIn, browser, c.Ticket, answer); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A number is no name that a passkey could be for.
		for _, url := range []string{"http://127.0.0.1:8080", "http://[::1]:8080"} {
			if why := s.store(url, s.key).NoPasskeys(); !strings.Contains(why.String(), "number") {
				t.Errorf("%s: %q", url, why)
			}
		}
		if why := s.store("http://localhost:8080", s.key).NoPasskeys(); !why.IsZero() {
			t.Errorf("localhost: %q", why)
		}
	})
}

// A security key without a PIN is registered for standing beside a password, and for
// nothing else: whoever finds it must not get in with it.
func TestASecurityKeyStandsBesideThePassword(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := newDevice()
		d.auth.Options.UserNotVerified = true
		if _, err := s.register(s.ada, d, "Key"); !fault.Is(err, fault.Invalid) {
			t.Fatalf("a passkey without a PIN: %v", err)
		}
		var c factor.Ceremony
		begin := func(do func(tx *store.Tx) (factor.Ceremony, error)) {
			t.Helper()
			s.read(func(tx *store.Tx) (err error) { c, err = do(tx); return err })
		}
		proof := func(p factor.Purpose) {
			t.Helper()
			begin(func(tx *store.Tx) (factor.Ceremony, error) { return s.s.BeginProof(tx, p, browser, s.ada) })
		}
		begin(func(tx *store.Tx) (factor.Ceremony, error) { return s.s.BeginKey(tx, browser, s.ada, "acme") })
		if !strings.Contains(c.Options, `"userVerification":"discouraged"`) || !strings.Contains(c.Options, `"cross-platform"`) || strings.Contains(c.Options, `"requireResidentKey":true`) {
			t.Errorf("options %s", c.Options)
		}
		made, err := s.s.CheckPasskey(t.Context(), browser, s.org, s.ada, c.Ticket, d.make(t, c))
		if err != nil || made.Kind() != factor.SecurityKey {
			t.Fatal(err)
		}
		add := func() error {
			return s.as(s.ada, func(tx *store.Tx) error { _, err := s.s.AddPasskey(tx, made, ""); return err })
		}
		s.rule.Off = true
		if err := add(); !fault.Is(err, fault.Denied) {
			t.Errorf("where no second factor is asked for: %v", err)
		}
		s.rule.Off = false
		if err := add(); err != nil {
			t.Fatal(err)
		}
		if has := s.has(s.ada); !has.Any() || has.Codes != 10 {
			t.Errorf("has %+v", has)
		}
		for _, unverified := range []bool{true, false} { // also with a PIN: it was not asked for when the key was added
			d.auth.Options.UserNotVerified = unverified
			refusedFor(t, s.signIn(d), "passkey")
		}
		refusedFor(t, s.signIn(d), "beside a password only")
		if proof(factor.ToStepUp); c.Options != "" {
			t.Errorf("it is asked to stand for everything: %s", c.Options)
		}
		d.auth.Options.UserNotVerified = true
		for _, p := range []factor.Purpose{factor.ToFinish, factor.ToStandBy} {
			if proof(p); !strings.Contains(c.Options, `"userVerification":"discouraged"`) {
				t.Errorf("%s: %s", p, c.Options)
			}
			if k, _, err := s.use(p, c.Ticket, d.prove(t, c)); err != nil || k.Kind() != factor.SecurityKey {
				t.Errorf("%s: %v", p, err)
			}
		}
		s.mustRegister(s.ada)
		if proof(factor.ToFinish); !strings.Contains(c.Options, `"userVerification":"preferred"`) {
			t.Errorf("beside a passkey: %s", c.Options)
		}
		proof(factor.ToStepUp)
		d.auth.Options.UserNotVerified = false
		_, _, err = s.use(factor.ToStepUp, c.Ticket, d.prove(t, c))
		refusedFor(t, err, "beside a password only")
	})
}
