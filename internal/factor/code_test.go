package factor_test

import (
	"encoding/base64"
	"errors"
	"image/png"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// storetestActor is Muster in the organization.
func storetestActor(s *site) access.Actor { return access.Muster(string(s.org)) }

// What the page shows is what every app reads, and the library of others agrees.
func TestAnAppIsSetUp(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		a, err := s.s.BeginApp(browser, s.ada, "Acme: Inc\u202e", strings.Repeat("long.", 50)+"@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		key, err := otp.NewKeyFromURL(a.URL)
		if err != nil || key.Type() != "totp" || key.Issuer() != "Acme Inc" || key.Digits() != otp.DigitsSix || key.Period() != 30 || strings.ReplaceAll(a.Secret, " ", "") != key.Secret() {
			t.Errorf("%s: issuer %q, secret %q, %v", a.URL, key.Issuer(), a.Secret, err)
		}
		data, ok := strings.CutPrefix(a.Picture, "data:image/png;base64,")
		if _, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data))); !ok || err != nil {
			t.Errorf("the picture: %v", err)
		}
		again, err := s.s.ResumeApp(browser, a.Ticket, s.ada, "Acme", "ada")
		if err != nil || again.Secret != a.Secret {
			t.Errorf("shown once more: %q, %v", again.Secret, err)
		}
		for name, bind := range map[string]string{"another browser": "x", "none": ""} {
			if _, err := s.s.ResumeApp(bind, a.Ticket, s.ada, "Acme", "ada"); !fault.Is(err, fault.Expired) {
				t.Errorf("%s: %v", name, err)
			}
		}
		wrong := s.as(s.ada, func(tx *store.Tx) error {
			_, err := s.s.AddApp(tx, a, "000000")
			return err
		})
		if fault.Field(wrong) != "code" || s.has(s.ada).App {
			t.Errorf("a wrong code: %v, %+v", wrong, s.has(s.ada))
		}
		code := s.code(key.Secret(), 0)
		if ok, err := totp.ValidateCustom(code, key.Secret(), s.clock.Now(), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix}); !ok || err != nil {
			t.Fatalf("%s is not valid: %v", code, err)
		}
		var codes []string
		err = s.as(s.ada, func(tx *store.Tx) (err error) {
			codes, err = s.s.AddApp(tx, a, code[:3]+" "+code[3:])
			return err
		})
		if err != nil || len(codes) != 10 || !s.has(s.ada).App {
			t.Errorf("set up: %v, %d codes", err, len(codes))
		}
		if got := s.recorded("user.authenticator"); !slices.Equal(got, []string{"user.authenticator.add"}) || len(s.letters) != 1 {
			t.Errorf("recorded %v, letters %+v", got, s.letters)
		}
	})
}

func TestACodeWorksOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		seed, _ := s.app(s.ada)
		if _, _, err := s.useCode(s.ada, s.code(seed, 0)); !errors.Is(err, factor.WrongCode) {
			t.Errorf("the code of the set-up once more: %v", err)
		}
		s.clock.Pass(30 * time.Second)
		code := s.code(seed, 0)
		if kind, _, err := s.useCode(s.ada, code); err != nil || kind != factor.AppCode {
			t.Fatalf("%s: %v", kind, err)
		}
		if _, _, err := s.useCode(s.ada, code); !errors.Is(err, factor.WrongCode) {
			t.Errorf("replayed: %v", err)
		}
		s.clock.Pass(2 * time.Minute)
		for steps, works := range map[int]bool{-3: false, -2: false, 2: false, 3: false} {
			if _, _, err := s.useCode(s.ada, s.code(seed, steps)); (err == nil) != works {
				t.Errorf("%d steps off: %v", steps, err)
			}
		}
		if _, _, err := s.useCode(s.ada, s.code(seed, -1)); err != nil {
			t.Errorf("a clock that is slow: %v", err)
		}
		if _, _, err := s.useCode(s.ada, s.code(seed, 1)); err != nil {
			t.Errorf("a clock that is fast: %v", err)
		}
		if _, _, err := s.useCode(s.ada, s.code(seed, 0)); !errors.Is(err, factor.WrongCode) {
			t.Errorf("a step before the last one used: %v", err)
		}
		for _, bad := range []string{"", "12345", "1234567", "abcdef", "١٢٣٤٥٦", strings.Repeat("9", 10_000), "' OR 1=1"} {
			if _, _, err := s.useCode(s.ada, bad); !errors.Is(err, factor.WrongCode) {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
		bob := s.user(storetestActor(s), "bob@acme.example")
		s.clock.Pass(time.Minute)
		if _, _, err := s.useCode(bob, s.code(seed, 0)); !errors.Is(err, factor.WrongCode) {
			t.Errorf("somebody else: %v", err)
		}
	})
}

func TestOneCodeForManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		seed, recovery := s.app(s.ada)
		s.clock.Pass(time.Minute)
		for name, code := range map[string]string{"app": s.code(seed, 0), "recovery code": recovery[0]} {
			var wg sync.WaitGroup
			won := make(chan bool, 8)
			for range 8 {
				wg.Go(func() {
					_, _, err := s.useCode(s.ada, code)
					if err != nil && !errors.Is(err, factor.WrongCode) {
						t.Error(err)
					}
					won <- err == nil
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
				t.Errorf("%s: %d of eight got in with one code", name, n)
			}
		}
	})
}

func TestRecoveryCodes(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		var none []string
		if err := s.as(s.ada, func(tx *store.Tx) (err error) { none, err = s.s.NewCodes(tx); return err }); !fault.Is(err, fault.Conflict) {
			t.Errorf("without a second factor: %v, %v", none, err)
		}
		_, old := s.app(s.ada)
		typed := strings.ToLower(strings.ReplaceAll(old[0], "-", " "))
		if kind, left, err := s.useCode(s.ada, typed); err != nil || kind != factor.RecoveryCode || left != 9 {
			t.Errorf("%q: %s, %d left, %v", typed, kind, left, err)
		}
		if _, _, err := s.useCode(s.ada, old[0]); !errors.Is(err, factor.WrongCode) {
			t.Errorf("used twice: %v", err)
		}
		var fresh []string
		if err := s.as(s.ada, func(tx *store.Tx) (err error) { fresh, err = s.s.NewCodes(tx); return err }); err != nil || len(fresh) != 10 {
			t.Fatalf("new ones: %v", err)
		}
		if _, _, err := s.useCode(s.ada, old[1]); !errors.Is(err, factor.WrongCode) {
			t.Errorf("an old one: %v", err)
		}
		if _, left, err := s.useCode(s.ada, fresh[3]); err != nil || left != 9 {
			t.Errorf("a new one: %d left, %v", left, err)
		}
		bob := s.user(storetestActor(s), "bob@acme.example")
		if _, _, err := s.useCode(bob, fresh[4]); !errors.Is(err, factor.WrongCode) {
			t.Errorf("somebody else: %v", err)
		}
		if got := s.recorded("user.recovery"); !slices.Equal(got, []string{"user.recovery.use", "user.recovery.make", "user.recovery.use"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

// What the policy says holds here, too.
func TestRules(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		d := s.mustRegister(s.ada)
		s.app(s.ada)
		s.rule = factor.Rule{Required: true}
		var k factor.Passkey
		s.read(func(tx *store.Tx) error {
			list, err := s.s.Passkeys(tx, s.ada)
			k = list[0]
			return err
		})
		if err := s.as(s.ada, s.s.RemoveApp); err != nil {
			t.Errorf("one of two: %v", err)
		}
		remove := func() error { return s.as(s.ada, func(tx *store.Tx) error { return s.s.RemovePasskey(tx, k.ID) }) }
		if err := remove(); !fault.Is(err, fault.Conflict) || s.has(s.ada).Codes == 0 {
			t.Errorf("the last one, where one is required: %v, %+v", err, s.has(s.ada))
		}
		if err := s.signIn(d); err != nil {
			t.Error(err)
		}
		s.rule = factor.Rule{}
		if err := remove(); err != nil || s.has(s.ada) != (factor.Set{}) {
			t.Errorf("the last one: %v, %+v", err, s.has(s.ada))
		}
		for name, rule := range map[string]factor.Rule{"off": {Off: true}, "break-glass": {Emergency: true}} {
			s.rule = rule
			a, err := s.s.BeginApp(browser, s.ada, "acme", "ada")
			if err != nil {
				t.Fatal(err)
			}
			err = s.as(s.ada, func(tx *store.Tx) error {
				_, err := s.s.AddApp(tx, a, s.code(strings.ReplaceAll(a.Secret, " ", ""), 0))
				return err
			})
			if !fault.Is(err, fault.Denied) {
				t.Errorf("%s: an app: %v", name, err)
			}
		}
		s.rule = factor.Rule{Emergency: true}
		if _, err := s.register(s.ada, newDevice(), ""); !fault.Is(err, fault.Denied) {
			t.Errorf("a passkey of a break-glass account: %v", err)
		}
		// Nobody changes what is another's, and no program has any.
		s.rule = factor.Rule{}
		s.mustRegister(s.ada)
		s.read(func(tx *store.Tx) error {
			list, err := s.s.Passkeys(tx, s.ada)
			k = list[0]
			return err
		})
		bob := s.user(storetestActor(s), "bob@acme.example")
		if err := s.as(bob, func(tx *store.Tx) error { return s.s.RemovePasskey(tx, k.ID) }); !fault.Is(err, fault.NotFound) {
			t.Errorf("bob removes ada's: %v", err)
		}
		if err := s.as(bob, func(tx *store.Tx) error { return s.s.Rename(tx, k.ID, "mine") }); !fault.Is(err, fault.NotFound) {
			t.Errorf("bob renames ada's: %v", err)
		}
		if err := s.db.Write(t.Context(), storetestActor(s), s.s.RemoveApp); !fault.Is(err, fault.Denied) {
			t.Errorf("a program: %v", err)
		}
		s.read(func(tx *store.Tx) error {
			n, names, err := s.s.Without(tx, false, nil)
			if n != 1 || len(names) != 1 {
				t.Errorf("%d have none: %v", n, names)
			}
			if n, _, err := s.s.Without(tx, true, nil); n != 0 || err != nil {
				t.Errorf("%d admins have none: %v", n, err)
			}
			if n, _, err := s.s.Without(tx, false, map[store.UserID]bool{bob: true}); n != 0 || err != nil {
				t.Errorf("%d have none beside bob: %v", n, err)
			}
			return err
		})
		admin := storetestActor(s)
		admin.Name = "Boss"
		if err := s.db.Write(t.Context(), admin, func(tx *store.Tx) error { return s.s.Reset(tx, s.ada, "telephone lost") }); err != nil || s.has(s.ada) != (factor.Set{}) {
			t.Errorf("reset: %v", err)
		}
		last := s.letters[len(s.letters)-1]
		if !strings.Contains(strings.Join(last.Lines, " "), "Boss removed") || !strings.Contains(strings.Join(last.Lines, " "), "telephone lost") {
			t.Errorf("letter %+v", last)
		}
	})
}

// A seed is sealed, for the row that it stands in.
func TestASeedIsSealed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		seed, codes := s.app(s.ada)
		var rows []struct {
			Seed []byte `db:"seed"`
		}
		if err := s.db.LookupAll(t.Context(), &rows, "SELECT seed FROM authenticators"); err != nil || len(rows) != 1 || strings.Contains(string(rows[0].Seed), seed) {
			t.Errorf("%v, %v", rows, err)
		}
		var hashes []string
		if err := s.db.LookupAll(t.Context(), &hashes, "SELECT code_hash FROM recovery_codes"); err != nil || len(hashes) != 10 || slices.Contains(hashes, codes[0]) {
			t.Errorf("%v, %v", hashes, err)
		}
		bob := s.user(storetestActor(s), "bob@acme.example")
		err := s.db.Write(t.Context(), storetestActor(s), func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE authenticators SET user_id = ? WHERE org_id = ?", bob, tx.Org())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Pass(time.Minute)
		if _, _, err := s.useCode(bob, s.code(seed, 0)); err == nil {
			t.Error("a seed opens in another row")
		}
	})
}
