package account_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const confirmPath, stopPath = "/account/address/confirm/", "/account/address/stop/"

func (s *site) addressOf(actor access.Actor, id store.UserID) (email, name string) {
	s.t.Helper()
	var u store.User
	if err := s.db.Read(context.Background(), actor, func(tx *store.Tx) (err error) { u, err = tx.User(id); return err }); err != nil {
		s.t.Fatal(err)
	}
	return u.Email, u.UserName
}

func TestChangingTheOwnAddress(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		s := newSite(t, db)
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy"})
		s.addMember(acme, store.Profile{UserName: "eve@acme.example", Email: "eve@acme.example"})
		s.addMember(acme, store.Profile{UserName: "named@acme.example", Email: "other@acme.example"})
		b := s.signedIn("ivy@acme.example")
		const at = "/account/address"
		s.closed = "sso.example"
		for _, c := range []struct {
			email, proof string
			status       int
			field        string
		}{
			{"nonsense", good, 400, "email"}, {"Ivy <new@acme.example>", good, 400, "email"}, {"IVY@acme.example", good, 400, "email"},
			{"eve@acme.example", good, 409, "email"}, {"NAMED@acme.example", good, 409, "email"}, {"new@sso.example", good, 409, "email"},
			{"nonsense", "", 400, "email"}, {"new@acme.example", "wrong", 403, ""}, {"new@acme.example", "", 403, ""},
		} {
			got := b.post(at, "email", c.email, "proof", c.proof)
			if got.status != c.status || c.field != "" && !strings.Contains(got.body, `href="#f-`+c.field+`"`) {
				t.Errorf("%s: %d %s", c.email, got.status, got.body)
			}
		}
		clock.Pass(2 * time.Hour) // what was asked for is forgotten
		if told := s.written(); len(told) != 0 {
			t.Fatalf("mails %q", told)
		}
		b.want(b.post(at, "email", "new@home.example", "proof", good), 303, "/account/profile")
		if told := s.written(); len(told) != 2 || !strings.HasPrefix(told[0], "ivy@acme.example\n") || !strings.HasPrefix(told[1], "new@home.example\n") || strings.Contains(told[0], confirmPath) || strings.Contains(told[1], stopPath) {
			t.Fatalf("mails %q", told)
		}
		confirm, stop := s.linkIn(confirmPath), s.linkIn(stopPath)
		if page := b.get("/account/profile"); !strings.Contains(page.body, "new@home.example waits") {
			t.Error("the profile does not say what waits")
		}
		nobody := s.browser()
		nobody.want(nobody.get(confirm), 200, "") // a mail scanner
		nobody.want(nobody.get(stop), 200, "")
		if email, _ := s.addressOf(acme, ivy); email != "ivy@acme.example" {
			t.Fatalf("looking at a link has changed the address to %s", email)
		}
		old := s.browser()
		old.want(old.post("/login", "email", "ivy@acme.example", "password", good), 303, "/account")
		nobody.want(nobody.post(confirm), 303, "/account")
		if email, name := s.addressOf(acme, ivy); email != "new@home.example" || name != "new@home.example" {
			t.Errorf("address %s, user name %s", email, name)
		}
		if got := nobody.post(confirm); got.status != 410 {
			t.Errorf("confirmed twice: %d", got.status)
		}
		if got := old.post("/login", "email", "ivy@acme.example", "password", good); got.status != 400 {
			t.Errorf("the old address still signs in: %d", got.status)
		}
		if told := s.written(); !strings.HasPrefix(told[0], "ivy@acme.example\n") || !strings.Contains(told[0], "has changed") && !strings.Contains(told[0], "is new@home.example now") {
			t.Errorf("the old address was not told: %q", told[0])
		}

		old.want(old.post("/login", "email", "new@home.example", "password", good), 303, "/account")
		// Somebody who has taken the account over moves on; the first owner undoes it all.
		s.addApp(acme, ivy)
		clock.Pass(time.Minute)
		old.want(old.post(at, "email", "thief@home.example", "proof", good), 303, "/account/profile")
		nobody.want(nobody.post(s.linkIn(confirmPath)), 303, "/account")
		clock.Pass(6 * 24 * time.Hour)
		old.want(old.post("/login", "email", "thief@home.example", "password", good), 303, "/account")
		nobody.want(nobody.get(stop), 200, "")
		nobody.want(nobody.post(stop), 303, "/login")
		if email, name := s.addressOf(acme, ivy); email != "ivy@acme.example" || name != "ivy@acme.example" {
			t.Errorf("after undoing: address %s, user name %s", email, name)
		}
		if has := s.factorsOf(acme, ivy); has.App || has.Codes != 0 {
			t.Errorf("what was added while the address was another one still opens the account: %+v", has)
		}
		old.want(old.get("/account"), 303, "/login?next=%2Faccount")
		nobody.want(nobody.post(s.linkIn("/password/reset/"), "password", "violet tractor on the moon"), 303, "/account")
		if got := nobody.post(stop); got.status != 410 {
			t.Errorf("undone twice: %d", got.status)
		}
	})
}

// addApp gives somebody an authenticator app, and recovery codes with it.
func (s *site) addApp(actor access.Actor, user store.UserID) {
	s.t.Helper()
	app, err := s.factors.BeginApp("x", user, "acme", "ivy")
	if err != nil {
		s.t.Fatal(err)
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(app.Secret, " ", ""), s.db.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.db.Write(context.Background(), access.Actor{Kind: access.Person, Org: actor.Org, ID: string(user)}, func(tx *store.Tx) error {
		_, err := s.factors.AddApp(tx, app, code)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) factorsOf(actor access.Actor, user store.UserID) (has factor.Set) {
	s.t.Helper()
	if err := s.db.Read(context.Background(), actor, func(tx *store.Tx) (err error) { has, err = s.factors.Of(tx, user); return err }); err != nil {
		s.t.Fatal(err)
	}
	return has
}

func TestStoppingAChangeOfAddress(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		s := newSite(t, db)
		ivy := s.addMember(acme, store.Profile{UserName: "ivy", Email: "ivy@acme.example", GivenName: "Ivy"})
		b, nobody := s.signedIn("ivy@acme.example"), s.browser()
		ask := func(email string) (confirm, stop string) {
			t.Helper()
			clock.Pass(2 * time.Hour)
			b = s.signedIn("ivy")
			b.want(b.post("/account/address", "email", email, "proof", good), 303, "/account/profile")
			return s.linkIn(confirmPath), s.linkIn(stopPath)
		}
		confirm, stop := ask("one@home.example")
		nobody.want(nobody.post(stop), 303, "/account/password")
		if got := nobody.post(confirm); got.status != 410 {
			t.Errorf("confirmed after it was stopped: %d", got.status)
		}
		first, _ := ask("two@home.example")
		second, _ := ask("three@home.example")
		if got := nobody.post(first); got.status != 410 {
			t.Errorf("the first of two still works: %d", got.status)
		}
		b.want(b.post("/account/address/cancel"), 303, "/account/profile")
		if got := nobody.post(second); got.status != 410 {
			t.Errorf("confirmed after it was cancelled: %d", got.status)
		}
		late, _ := ask("four@home.example")
		clock.Pass(25 * time.Hour)
		if got := nobody.post(late); got.status != 410 {
			t.Errorf("confirmed after a day: %d", got.status)
		}
		// Somebody else takes the address first.
		taken, _ := ask("five@home.example")
		s.addMember(acme, store.Profile{UserName: "other", Email: "five@home.example"})
		if got := nobody.post(taken); got.status != 409 {
			t.Errorf("two people with one address: %d", got.status)
		}
		// Two clicks at once: one of them does it.
		both, _ := ask("six@home.example")
		var wg sync.WaitGroup
		status := make([]int, 4)
		for i := range status {
			wg.Go(func() { status[i] = s.browser().post(both).status })
		}
		wg.Wait()
		done := 0
		for _, code := range status {
			if code == 303 {
				done++
			}
		}
		if email, name := s.addressOf(acme, ivy); done != 1 || email != "six@home.example" || name != "ivy" {
			t.Errorf("%v, address %s, user name %s: a name of its own stays", status, email, name)
		}
		if n := len(s.activities(acme, "user.address.confirm")); n != 1 {
			t.Errorf("%d changes recorded", n)
		}
		for _, bad := range []string{"x", "x.y", strings.Repeat("0", 32) + ".x"} {
			for _, path := range []string{confirmPath, stopPath} {
				if got := nobody.get(path + bad); got.status != 410 {
					t.Errorf("%s%s: %d", path, bad, got.status)
				}
			}
		}
	})
}
