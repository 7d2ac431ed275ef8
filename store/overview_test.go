package store_test

import (
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A day that is over is counted once and stays as it was counted, also when its rows
// are gone; today is counted each time.
func TestSignInsByDay(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "other")
		clock.Pass(24*time.Hour - clock.Now().Sub(clock.Now().Truncate(24*time.Hour)) + 12*time.Hour) // noon
		sign := func(by access.Actor, action, method string, n int) {
			t.Helper()
			write(t, db, by, func(tx *store.Tx) error {
				for range n {
					if err := tx.Record(store.Activity{Action: action, TargetKind: "user", Detail: map[string]any{"method": method}}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		count := func() map[string]int64 {
			t.Helper()
			of := map[string]int64{}
			list, err := db.SignInDays(t.Context(), admin, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				of[c.Day.Time().Format(time.DateOnly)+" "+c.Method+" "+c.Result] += c.N
			}
			return of
		}
		first := clock.Now().Format(time.DateOnly)
		sign(admin, "user.signin", "password", 3)
		sign(admin, "user.signin.refused", "saml", 2)
		sign(other, "user.signin", "password", 50)
		want := map[string]int64{first + " password in": 3, first + " saml refused": 2}
		same := func(what string) {
			t.Helper()
			got := count()
			if len(got) != len(want) {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
			for k, n := range want {
				if got[k] != n {
					t.Errorf("%s: %s is %d, want %d", what, k, got[k], n)
				}
			}
		}
		same("on the day")
		sign(admin, "user.signin", "password", 1)
		want[first+" password in"] = 4
		same("later on the day")
		clock.Pass(24 * time.Hour)
		sign(admin, "user.signin", "oidc", 1)
		want[clock.Now().Format(time.DateOnly)+" oidc in"] = 1
		same("on the next day")
		if _, err := db.Sweep(t.Context(), "DELETE FROM signins WHERE at < ?", store.TimeOf(clock.Now().Truncate(24*time.Hour))); err != nil {
			t.Fatal(err)
		}
		same("with the first day's rows gone")
		clock.Pass(7 * 24 * time.Hour)
		want = map[string]int64{}
		same("a week later")

		agent := access.Actor{Kind: access.Person, Org: admin.Org, ID: "x", Roles: []string{access.Agent}}
		if _, err := db.SignInDays(t.Context(), agent, 7); !fault.Is(err, fault.Denied) {
			t.Errorf("an agent: %v", err)
		}
	})
}
