package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var operator = access.Actor{Kind: access.Person, ID: "op", Operator: true}

// guesses are the steps of somebody who guesses, into the lock-out.
var guesses = []string{"/login", "/login", "/login?next=/account", "/o/acme/login", "/login", "/login", "/o/acme/login"}

// guess tries passwords for an address, from a network of its own.
func (b *inside) guess(n int, address string) []answered {
	b.t.Helper()
	out := make([]answered, len(guesses))
	for i, path := range guesses {
		out[i] = b.askFrom(fmt.Sprintf("198.51.100.%d", n), path, url.Values{"email": {address}, "password": {fmt.Sprint("not the password ", i)}})
	}
	return out
}

// explained is what the reference of an answer leads to.
func (b *inside) explained(a answered) (sso.SignInEntry, store.OrgID) {
	b.t.Helper()
	e, org, err := b.sso.FindSignIn(b.t.Context(), operator, a.reference)
	if err != nil {
		b.t.Errorf("reference %q: %v", a.reference, err)
	}
	return e, org
}

// After a wrong password everybody is told the same after the same work, and the
// reference says the rest to those who may know it.
func TestEnumerationByPasswords(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		b := newInside(t, db, seen)
		acme := store.OrgID(b.admin.Org)
		known := b.user(b.admin, newcomer("known@none.example"), goodPassword)
		b.user(b.admin, newcomer("without@none.example"), "")
		invited, glass := newcomer("invited@none.example"), newcomer("glass@none.example")
		invited.Status, invited.Source, glass.BreakGlass = store.Invited, store.FromInvite, true
		b.user(b.admin, invited, "")
		b.user(b.admin, glass, goodPassword)
		gone := b.user(b.admin, newcomer("gone@none.example"), goodPassword)
		deleted := b.user(b.admin, newcomer("deleted@none.example"), goodPassword)
		err := db.Write(t.Context(), b.admin, func(tx *store.Tx) error {
			if _, err := tx.Deactivate(gone.ID, "left"); err != nil {
				return err
			}
			_, err := tx.DeleteUser(deleted.ID, "left")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.guess(1, "warm@up.example")
		first := b.guess(2, "someone@unknown.example")
		for i, a := range first {
			webtest.Page(t, a.body)
			status, check, org := http.StatusBadRequest, "unknown address", store.NoOrg
			if i > 4 {
				status, check = http.StatusTooManyRequests, "locked"
			}
			if strings.HasPrefix(guesses[i], "/o/") {
				org = acme
			}
			if e, at := b.explained(a); a.status != status || e.Check != check || e.Remedy == "" || e.Method != "password" || e.UserID != "" || at != org {
				t.Errorf("step %d: status %d, %+v in %s; want %d, %q in %s", i, a.status, e, at, status, check, org)
			}
			if len(a.statements) == 0 {
				t.Errorf("step %d: no statement was seen: the test counts nothing", i)
			}
		}
		for n, c := range []struct{ address, check string }{
			{"known@none.example", "password"}, {"KNOWN2@none.example", "unknown address"}, {"without@none.example", "no password"}, {"invited@none.example", "no password"},
			{"glass@none.example", "password"}, {"gone@none.example", "account status"}, {"deleted@none.example", "unknown address"}, {"' OR 1=1 --", "unknown address"},
		} {
			for i, a := range b.guess(10+n, c.address) {
				if how := first[i].differs(a); how != "" {
					t.Errorf("%s, step %d, differs from somebody unknown by %s", c.address, i, how)
				}
				check := c.check
				if i > 4 {
					check = "locked"
				}
				e, org := b.explained(a)
				someone := c.check != "unknown address"
				if e.Check != check || e.Reason == "" || e.Remedy == "" || (e.UserID != "") != someone || someone && org != acme {
					t.Errorf("%s, step %d: %+v in %s, want %q", c.address, i, e, org, check)
				}
			}
		}
		// The organization's admin finds it too, and the words typed are nowhere.
		err = db.Read(t.Context(), b.admin, func(tx *store.Tx) error {
			page, err := b.sso.SignIns(tx, sso.SignInFilter{Person: string(known.ID)})
			if err != nil {
				return err
			}
			if len(page.SignIns) != len(guesses) || page.SignIns[0].Reference == "" || strings.Contains(fmt.Sprint(page), "not the password") {
				t.Errorf("of %s there is %+v", known.UserName, page)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A flood of wrong passwords is counted, and does not fill the table; while it lasts
// nobody can be told apart either.
func TestEnumerationInAFlood(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		b := newInside(t, db, seen)
		b.user(b.admin, newcomer("known@none.example"), goodPassword)
		people := []string{"known@none.example", "unknown@none.example"}
		for n, address := range people {
			b.guess(n+1, address) // both are locked now: no hash, so a flood is cheap
		}
		const from = 400
		var without, last [2]answered
		rows, missing := 0, 0
		for i := range from {
			for n, address := range people {
				last[n] = b.askFrom("203.0.113.1", "/login", url.Values{"email": {address}, "password": {"x"}})
				if last[n].reference == "" {
					t.Fatalf("no reference: %s", last[n].body)
				}
				if _, _, err := b.sso.FindSignIn(t.Context(), operator, last[n].reference); err == nil {
					rows++
				} else {
					missing++
					without[n] = last[n]
				}
			}
			if missing > 20 && i > 100 {
				break
			}
		}
		if rows < 90 || rows > 150 || missing < 20 {
			t.Errorf("one network made %d rows and %d refusals without", rows, missing)
		}
		if how := without[0].differs(without[1]); how != "" {
			t.Errorf("in a flood they differ by %s", how)
		}
		if err := b.sso.TellLeftOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		var list sso.SignInPage
		err := db.Read(t.Context(), operator.In(string(store.NoOrg)), func(tx *store.Tx) (err error) {
			list, err = b.sso.SignIns(tx, sso.SignInFilter{Check: "flood"})
			return err
		})
		if err != nil || !slices.ContainsFunc(list.SignIns, func(e sso.SignInEntry) bool { return e.Repeats == missing }) {
			t.Errorf("%d were left out, the row says %+v, %v", missing, list.SignIns, err)
		}
	})
}
