package password_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func setRules(t *testing.T, db *store.DB, s *password.Store, actor access.Actor, r password.Rules) {
	t.Helper()
	if err := db.Write(context.Background(), actor, func(tx *store.Tx) error { return s.SetRules(tx, r, -1) }); err != nil {
		t.Fatal(err)
	}
}

// Each rule that fails is named, and those that hold are not.
func TestEachRuleThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	every := password.Rules{MinLength: 14, Strength: 4, Upper: true, Lower: true, Digit: true, Special: true}
	names := []string{"at least 14", "upper-case", "lower-case", "needs a digit", "special", "Choose another"}
	for _, c := range []struct {
		password string
		broken   string // places in names
	}{
		{"Violet 4 tractor moon!", ""},
		{"violet 4 tractor moon!", "1"},
		{"VIOLET 4 TRACTOR MOON!", "2"},
		{"Violet four tractor moon!", "3"},
		{"Violet4tractormoonQ7", "4"},
		{"violettractormoonqk", "134"},
		{"Vi4!", "0"},
		{"", "01234"},
		{"Password1234!!", "5"},
		{"ÄÖÜäöü٣١ — größer", ""}, // letters and digits of other scripts count
		{"aaaaaaaaaaaaaaaa", "1345"},
	} {
		err := every.Check(c.password, "Ada", "acme")
		text := fault.Public(err)
		for i, name := range names {
			want := strings.ContainsRune(c.broken, rune('0'+i))
			if strings.Contains(text, name) != want {
				t.Errorf("%q: %q; names rule %d (%s): want %v", c.password, text, i, name, want)
			}
		}
		if (err == nil) != (c.broken == "") || err != nil && (!fault.Is(err, fault.Invalid) || fault.Field(err) != "password") {
			t.Errorf("%q: %v", c.password, err)
		}
	}
	// A common one is refused also where little strength is asked for.
	weak := password.Rules{MinLength: 8, Strength: 2}
	if err := weak.Check("trustno1trustno1"); err == nil {
		t.Error("a repeated common password is good enough")
	}
	if err := weak.Check("passw0rd"); err == nil {
		t.Error("a common password is good enough")
	}
}

func TestRulesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStore(db)
		_, acme := storetest.Org(t, db, "acme")
		good := password.DefaultRules()
		for field, change := range map[string]func(*password.Rules){
			"min_length":  func(r *password.Rules) { r.MinLength = 7 },
			"strength":    func(r *password.Rules) { r.Strength = 5 },
			"history":     func(r *password.Rules) { r.History = 11 },
			"expire_days": func(r *password.Rules) { r.ExpireDays = 29 },
		} {
			r := good
			change(&r)
			err := db.Write(context.Background(), acme, func(tx *store.Tx) error { return s.SetRules(tx, r, -1) })
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != field {
				t.Errorf("%+v: %v, want a refusal of %s", r, err, field)
			}
		}
		viewer := acme
		viewer.Kind, viewer.Roles = access.Person, []string{access.Viewer}
		if err := db.Write(context.Background(), viewer, func(tx *store.Tx) error { return s.SetRules(tx, good, -1) }); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer sets rules: %v", err)
		}
	})
}

// The last passwords are refused, those before them are not, and nothing more is kept.
func TestEarlierPasswords(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		s := newStore(db)
		org, acme := storetest.Org(t, db, "acme")
		r := password.DefaultRules()
		r.History = 3
		setRules(t, db, s, acme, r)
		list := []string{"violet tractor on the moon", "seven herons eat gravel", "my umbrella sings at noon", "cold soup for the captain"}
		ada := addUser(t, db, s, acme, "ada", "ada@example.com", list[0])
		set := func(text string) {
			t.Helper()
			clock.Pass(time.Second)
			h, err := s.Hash(ctx, text)
			if err == nil {
				err = db.Write(ctx, acme, func(tx *store.Tx) error { return s.Set(tx, ada, h) })
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		expect := func(text string, refused bool) {
			t.Helper()
			err := s.Check(ctx, org, ada, text)
			if refused != (err != nil) || refused && !strings.Contains(fault.Public(err), "one of your last") {
				t.Errorf("%s: %v, refused: want %v", text, err, refused)
			}
		}
		set(list[1])
		set(list[2])
		for _, text := range list[:3] {
			expect(text, true)
		}
		set(list[3])
		expect(list[0], false)
		for _, text := range list[1:] {
			expect(text, true)
		}
		// Somebody else's are their own.
		bob := addUser(t, db, s, acme, "bob", "bob@example.com", "")
		if err := s.Check(ctx, org, bob, list[3]); err != nil {
			t.Errorf("another person's password is known: %v", err)
		}
		r.History = 0
		setRules(t, db, s, acme, r)
		expect(list[3], false)
		set(list[0])
		var kept int
		if err := db.Lookup(ctx, &kept, "SELECT count(*) FROM password_history"); err != nil || kept != 0 {
			t.Errorf("%d old passwords are kept although no rule wants them: %v", kept, err)
		}
	})
}

func TestAPasswordThatIsTooOld(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStore(db)
		_, acme := storetest.Org(t, db, "acme")
		ada := addUser(t, db, s, acme, "ada", "ada@example.com", good)
		must := func() (c password.Change) {
			t.Helper()
			err := db.Read(context.Background(), acme, func(tx *store.Tx) (err error) {
				c, err = s.MustChange(tx, ada)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		clock.Pass(5 * 365 * 24 * time.Hour)
		if must().Needed() {
			t.Error("a password ends although no rule says so")
		}
		r := password.DefaultRules()
		r.ExpireDays = 90
		setRules(t, db, s, acme, r)
		if c := must(); c.Days != 90 || c.Temporary {
			t.Errorf("five years later, with a rule of 90 days: %+v", c)
		}
		h, err := s.Hash(context.Background(), good)
		if err == nil {
			err = db.Write(context.Background(), acme, func(tx *store.Tx) error { return s.Set(tx, ada, h) })
		}
		if err != nil {
			t.Fatal(err)
		}
		clock.Pass(90*24*time.Hour - time.Second)
		if must().Needed() {
			t.Error("a day too early")
		}
		clock.Pass(time.Second)
		if !must().Needed() {
			t.Error("after 90 days nothing is asked for")
		}
	})
}
