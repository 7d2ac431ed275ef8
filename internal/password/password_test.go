package password_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var cheap = password.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

const good = "correct horse battery staple"

func newStore(db *store.DB) *password.Store {
	return password.New(password.Options{DB: db, Params: cheap, Slots: 4})
}

// addUser makes a person; no password when pw is empty.
func addUser(t *testing.T, db *store.DB, s *password.Store, actor access.Actor, name, mail, pw string) store.UserID {
	t.Helper()
	var h password.Hashed
	var err error
	if pw != "" {
		if h, err = s.Hash(context.Background(), pw); err != nil {
			t.Fatal(err)
		}
	}
	var u store.User
	err = db.Write(context.Background(), actor, func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: mail}.Doc(), Source: store.FromAPI, Status: store.Active})
		if err == nil && pw != "" {
			err = s.Set(tx, u.ID, h)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	rules := password.DefaultRules()
	words := []string{"Ada Lovelace", "ada.lovelace@analytical-engines.example", "Analytical Engines"}
	for _, c := range []struct{ name, password, why string }{
		{"words", good, ""},
		{"random", "x7#Kq!zP0vLm2", ""},
		{"signs alone", "%&=+~#-_.:;,<>|", ""},
		{"other script", "четыре случайных слова", ""},
		{"longest", strings.Repeat("Zq9 vL!", 146) + "ab", ""},
		{"empty", "", "too short"},
		{"short", "x7#Kq!zP0vL", "too short"},
		{"eleven wide characters", strings.Repeat("ñ", 11), "too short"},
		{"too long", strings.Repeat("a", 1025), "too long"},
		{"common", "password1234", "common"},
		{"repeat", "aaaaaaaaaaaaaaaa", "repeats"},
		{"keys", "qwertyuiop123", "Choose another"},
		{"own name", "AdaLovelace1", "your own name"},
		{"own address", "lovelace.analytical-engines", "your own name"},
		{"organization", "analyticalengines", "your own name"},
		{"the product", "mustermustermuster", "Choose another"},
		{"nul", "correct horse\x00battery", "cannot be read"},
		{"broken UTF-8", "correct horse\xff battery", "cannot be read"},
	} {
		err := rules.Check(c.password, words...)
		if c.why == "" && err != nil || c.why != "" && (!fault.Is(err, fault.Invalid) || fault.Field(err) != "password" || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: Check(%.40q) = %v, want %q", c.name, c.password, err, c.why)
		}
	}
}

func TestVerifyFindsTheAccountsOfAnAddress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newStore(db)
		acmeID, acme := storetest.Org(t, db, "acme")
		_, globex := storetest.Org(t, db, "globex")
		ada := addUser(t, db, s, acme, "ada", "Ada@Example.com", good)
		addUser(t, db, s, globex, "ada.l", "ada@example.com", good)
		bob := addUser(t, db, s, acme, "bob", "bob@example.com", good+"1")
		addUser(t, db, s, acme, "sso", "sso@example.com", "")
		off := addUser(t, db, s, acme, "off", "off@example.com", good)
		if err := db.Write(ctx, acme, func(tx *store.Tx) error { _, err := tx.Deactivate(off, ""); return err }); err != nil {
			t.Fatal(err)
		}
		var unknown string
		for _, c := range []struct {
			name, address, password string
			org                     store.OrgID
			want                    int
		}{
			{"by address, in both", "ADA@example.COM ", good, "", 2},
			{"by address, in one", "ada@example.com", good, acmeID, 1},
			{"by user name", "Ada", good, "", 1},
			{"other composition of the same characters", "bob@example.com", good + "１", "", 1},
			{"wrong", "bob@example.com", good, "", 0},
			{"nobody", "nobody@example.com", good, "", 0},
			{"without a password", "sso@example.com", good, "", 0},
			{"deactivated", "off@example.com", good, "", 0},
			{"empty", "", "", "", 0},
			{"nul", "a\x00b", good, "", 0},
			{"endless password", "bob@example.com", strings.Repeat("a", 1<<20), "", 0},
			{"endless address", strings.Repeat("a", 1<<20), good, "", 0},
		} {
			got, err := s.Verify(ctx, password.Try{Org: c.org, Address: c.address, Password: c.password})
			if len(got) != c.want || (c.want == 0) != fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %+v, %v", c.name, got, err)
			}
			if err != nil { // the same words for every reason
				if unknown == "" {
					unknown = err.Error()
				}
				if err.Error() != unknown {
					t.Errorf("%s: %q, others %q", c.name, err, unknown)
				}
			}
		}
		got, _ := s.Verify(ctx, password.Try{Address: "ada", Password: good})
		if len(got) != 1 || got[0].User != ada || got[0].Slug != "acme" || got[0].OrgName != "acme Inc" {
			t.Errorf("account %+v", got)
		}
		var refused []store.Activity
		if err := db.Read(ctx, acme, func(tx *store.Tx) (err error) {
			refused, err = tx.Activities(store.ActivityQuery{Action: "user.signin.refused", Target: string(bob)})
			return err
		}); err != nil || len(refused) != 1 {
			t.Errorf("recorded refusals of bob: %v, %v", refused, err)
		}
	})
}

func TestLockOut(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStore(db)
		_, acme := storetest.Org(t, db, "acme")
		addUser(t, db, s, acme, "ada", "ada@example.com", good)
		try := func(address, pw, ip string) fault.Kind {
			t.Helper()
			_, err := s.Verify(context.Background(), password.Try{Address: address, Password: pw, Actor: access.Actor{IP: ip}})
			if err == nil {
				return -1
			}
			return fault.Of(err)
		}
		for _, address := range []string{"ada@example.com", "nobody@example.com"} {
			for i := range 5 {
				if got := try(address, "wrong", ""); got != fault.Invalid {
					t.Fatalf("%s, attempt %d: %v", address, i+1, got)
				}
			}
			if got := try(address, good, ""); got != fault.TooMany {
				t.Fatalf("%s: attempt 6 with the right password: %v", address, got)
			}
		}
		// Survives a restart, and the way around by user name.
		s = newStore(db)
		if got := try("ada@example.com", good, ""); got != fault.TooMany {
			t.Errorf("after a restart: %v", got)
		}
		if got := try("ada", good, ""); got == -1 {
			t.Errorf("by user name: signed in to a locked account")
		}
		clock.Pass(61 * time.Second)
		if got := try("ada@example.com", "wrong", ""); got != fault.Invalid {
			t.Errorf("after a minute: %v", got)
		}
		clock.Pass(61 * time.Second) // the second lock is twice as long
		if got := try("ada@example.com", good, ""); got != fault.TooMany {
			t.Errorf("in the second lock: %v", got)
		}
		clock.Pass(61 * time.Second)
		if got := try("ada@example.com", good, ""); got != -1 {
			t.Errorf("after the second lock: %v", got)
		}
		for i := range 4 { // the success has cleared the count
			if got := try("ada@example.com", "wrong", ""); got != fault.Invalid {
				t.Errorf("attempt %d after the success: %v", i+1, got)
			}
		}
		clock.Pass(time.Hour + time.Second)
		for range 4 {
			try("ada@example.com", "wrong", "")
		}
		if got := try("ada@example.com", good, ""); got != -1 {
			t.Errorf("old failures were not forgotten: %v", got)
		}
		for i := range 50 { // one network address, many names
			try(fmt.Sprintf("n%d@example.com", i), "wrong", "192.0.2.1")
		}
		if got := try("ada@example.com", good, "192.0.2.1"); got != fault.TooMany {
			t.Errorf("from a guessing network address: %v", got)
		}
		if got := try("ada@example.com", good, "192.0.2.2"); got != -1 {
			t.Errorf("from another network address: %v", got)
		}
		for i := range 50 { // one customer's IPv6 network has 2^64 addresses
			try(fmt.Sprintf("m%d@example.com", i), "wrong", fmt.Sprintf("2001:db8::%x", i))
		}
		if got := try("ada@example.com", good, "2001:db8::ffff:1"); got != fault.TooMany {
			t.Errorf("from a guessing IPv6 network: %v", got)
		}
		if got := try("ada@example.com", good, "2001:db8:0:1::1"); got != -1 {
			t.Errorf("from another IPv6 network: %v", got)
		}
	})
}

// Somebody with an account of the same address elsewhere must not help to guess.
func TestAnotherOrganizationsAccountClearsNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newStore(db)
		acmeID, acme := storetest.Org(t, db, "acme")
		_, evil := storetest.Org(t, db, "evil")
		addUser(t, db, s, acme, "ada", "ada@example.com", good)
		addUser(t, db, s, evil, "ada", "ada@example.com", good+" evil")
		for i := range 20 {
			if _, err := s.Verify(ctx, password.Try{Address: "ada@example.com", Password: fmt.Sprint("guess ", i)}); fault.Is(err, fault.TooMany) {
				break
			}
			s.Verify(ctx, password.Try{Address: "ada@example.com", Password: good + " evil"})
		}
		if got, err := s.Verify(ctx, password.Try{Org: acmeID, Address: "ada@example.com", Password: good}); err == nil {
			t.Errorf("20 guesses did not lock the account: %+v", got)
		}
	})
}

// An organization that gives one address to many of its people must not crowd out
// who has it elsewhere.
func TestAnotherOrganizationsAccountsCrowdNobodyOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStore(db)
		_, evil := storetest.Org(t, db, "evil")
		for i := range 12 {
			addUser(t, db, s, evil, fmt.Sprint("eve", i), "ada@example.com", good+" evil")
		}
		_, acme := storetest.Org(t, db, "acme")
		ada := addUser(t, db, s, acme, "ada", "ada@example.com", good)
		got, err := s.Verify(context.Background(), password.Try{Address: "ada@example.com", Password: good})
		if err != nil || len(got) != 1 || got[0].User != ada {
			t.Errorf("sign-in: %+v, %v", got, err)
		}
		known, err := s.Known(context.Background(), "ada@example.com")
		if err != nil || !slices.ContainsFunc(known, func(k password.Known) bool { return k.User == ada }) {
			t.Errorf("a forgotten password reaches %d others: %v", len(known), err)
		}
	})
}

func TestParallelGuessesAllCount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStore(db)
		_, acme := storetest.Org(t, db, "acme")
		addUser(t, db, s, acme, "ada", "ada@example.com", good)
		var wg sync.WaitGroup
		var mu sync.Mutex
		looked := 0
		for range 30 {
			wg.Go(func() {
				_, err := s.Verify(context.Background(), password.Try{Address: "ada@example.com", Password: "wrong"})
				mu.Lock()
				defer mu.Unlock()
				if fault.Is(err, fault.Invalid) {
					looked++
				} else if !fault.Is(err, fault.TooMany) {
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		wg.Wait()
		if looked != 5 {
			t.Errorf("%d of 30 parallel guesses were looked at, want 5", looked)
		}
	})
}

func TestHashesAreRenewedWhenTheCostRises(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newStore(db)
		_, acme := storetest.Org(t, db, "acme")
		addUser(t, db, s, acme, "ada", "ada@example.com", good)
		dearer := cheap
		dearer.Memory *= 2
		s = password.New(password.Options{DB: db, Params: dearer})
		for range 2 {
			if _, err := s.Verify(ctx, password.Try{Address: "ada@example.com", Password: good}); err != nil {
				t.Fatal(err)
			}
		}
		var hash string
		if err := db.Lookup(ctx, &hash, "SELECT hash FROM credentials"); err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=128,t=1,p=1$") {
			t.Errorf("stored hash %q, %v", hash, err)
		}
	})
}

func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	slow := password.Cost
	slow.Memory *= 2
	s := password.New(password.Options{Params: slow, Slots: 1, Queue: 2, Wait: time.Minute})
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Hash(context.Background(), good) })
	}
	wg.Wait()
	done, turned := 0, 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case fault.Is(err, fault.Unavailable):
			turned++
		default:
			t.Error(err)
		}
	}
	if done < 3 || turned == 0 || done+turned != 20 {
		t.Errorf("%d hashed, %d turned away", done, turned)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Hash(ctx, good); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a slot was free: %v", err)
	}
}

func TestTheDefaultCostIsOWASPsFloor(t *testing.T) {
	t.Parallel()
	h, err := password.New(password.Options{}).Hash(context.Background(), good)
	if err != nil || !strings.HasPrefix(string(h), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q, %v", h, err)
	}
}
