package password_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Guesses at codes and passkeys are counted for the account, for its address over all
// organizations, and for the network, each by itself.
func TestGuessesAreCountedInThreeWays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, ctx := newStore(db), context.Background()
		var orgs []store.OrgID
		var adas []store.UserID
		for i := range 4 {
			org, actor := storetest.Org(t, db, fmt.Sprint("org", i))
			orgs = append(orgs, org)
			adas = append(adas, addUser(t, db, s, actor, "ada", "ada@example.com", ""))
			if i == 0 {
				adas = append(adas, addUser(t, db, s, actor, "bob", "bob@example.com", ""))
				orgs = append(orgs, org)
			}
		}
		passkey := func(i int) error { return s.MayTryPasskey(ctx, orgs[i], adas[i]) }
		code := func(i int) error { return s.MayTry(ctx, orgs[i], adas[i], "") }
		for name, try := range map[string]func(int) error{"codes": code, "passkeys": passkey} {
			for i := range 5 {
				if err := try(0); err != nil {
					t.Fatalf("%s: attempt %d: %v", name, i+1, err)
				}
			}
			if err := try(0); !fault.Is(err, fault.TooMany) {
				t.Errorf("%s: a sixth attempt at the account: %v", name, err)
			}
			for i := range 4 {
				if err := try(2); err != nil {
					t.Errorf("%s: attempt %d at the same address elsewhere: %v", name, i+1, err)
				}
			}
			if err := try(3); err != nil { // the tenth
				t.Errorf("%s: %v", name, err)
			}
			if err := try(4); !fault.Is(err, fault.TooMany) {
				t.Errorf("%s: an eleventh attempt at the address, in a fourth organization: %v", name, err)
			}
			if err := try(1); err != nil {
				t.Errorf("%s: another account of the organization waits too: %v", name, err)
			}
		}
		from := func(i int, ip string) error {
			return s.MayTry(ctx, orgs[1], store.NewID[store.User](), ip) // nobody, which costs the same
		}
		for i := range 50 {
			if err := from(i, "192.0.2.9"); err != nil {
				t.Fatalf("attempt %d from a network: %v", i+1, err)
			}
		}
		if err := from(50, "192.0.2.9"); !fault.Is(err, fault.TooMany) {
			t.Errorf("a 51st attempt from the network: %v", err)
		}
		if err := from(51, "192.0.2.10"); err != nil {
			t.Errorf("from another network: %v", err)
		}
	})
}

// Whoever gets in with an account of the same address elsewhere clears no count of others.
func TestASuccessElsewhereClearsNoCount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, ctx := newStore(db), context.Background()
		acmeID, acme := storetest.Org(t, db, "acme")
		evilID, evil := storetest.Org(t, db, "evil")
		ada, eve := addUser(t, db, s, acme, "ada", "ada@example.com", ""), addUser(t, db, s, evil, "ada", "ada@example.com", "")
		guesses := 0
		for range 40 {
			if err := s.MayTry(ctx, acmeID, ada, ""); err != nil {
				break
			}
			guesses++
			if err := s.MayTry(ctx, evilID, eve, ""); err == nil {
				if err := db.Write(ctx, evil, func(tx *store.Tx) error { return s.Passed(tx, eve, "") }); err != nil {
					t.Fatal(err)
				}
			}
		}
		if guesses != 5 {
			t.Errorf("%d guesses before the account waits", guesses)
		}
		if err := db.Write(ctx, acme, func(tx *store.Tx) error { return s.Passed(tx, ada, "") }); err != nil {
			t.Fatal(err)
		}
		if err := s.MayTry(ctx, acmeID, ada, ""); err != nil {
			t.Errorf("after a success of the person's own: %v", err)
		}
	})
}

// Mails about one account are bounded by whatever name it is called.
func TestMailsAreCountedForTheAccount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStore(db)
		_, acme := storetest.Org(t, db, "acme")
		ada, bob := addUser(t, db, s, acme, "ada", "ada@example.com", ""), addUser(t, db, s, acme, "bob", "bob@example.com", "")
		ask := func(user store.UserID) (may bool) {
			t.Helper()
			if err := db.Write(context.Background(), acme, func(tx *store.Tx) (err error) { may, err = s.MayMail(tx, user); return err }); err != nil {
				t.Fatal(err)
			}
			return may
		}
		got := []bool{ask(ada), ask(ada), ask(ada), ask(ada), ask(bob)}
		if want := []bool{true, true, true, false, true}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("mails %v, want %v", got, want)
		}
	})
}
