package operate_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Nothing is sealed anew while a server runs that seals with another key: what it stores
// behind the walk would stay under that one, though nothing was left.
func TestAllServersSealWithTheNewKeyFirst(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		old, fresh := secret.NewKey(), secret.NewKey()
		door := func(key secret.Key) *operate.Door {
			return operate.New(operate.Options{DB: db, Key: key, Log: slog.New(slog.DiscardHandler), Loops: func() []operate.Loop { return nil }})
		}
		beat := func(host string, key secret.Key) {
			t.Helper()
			if err := door(key).Beat(t.Context(), operate.Server{ID: store.NewID[operate.Server](), Host: host}); err != nil {
				t.Fatal(err)
			}
		}
		both := fresh.Over(old)
		operator := access.Muster("")
		reseal := func(want string) {
			t.Helper()
			_, err := door(both).Reseal(t.Context(), operator)
			if want == "" && err != nil || want != "" && (!fault.Is(err, fault.Conflict) || !strings.Contains(fault.Public(err), want)) {
				t.Errorf("sealed anew: %v, want %q", err, want)
			}
		}
		apart := func(want int) {
			t.Helper()
			if list, err := operate.Apart(t.Context(), db, both); err != nil || len(list) != want {
				t.Errorf("seal with another key: %v, %v; want %d", list, err, want)
			}
		}
		beat("swapped", both)
		reseal("")
		apart(0)

		beat("unswapped", old.Over(fresh))
		reseal("The server unswapped knows the new key, but still seals with another")
		apart(1)
		clock.Pass(5 * time.Minute) // it is gone
		reseal("")
		apart(0)

		// However many were started since.
		beat("alone", old)
		for i := range 120 {
			beat(fmt.Sprint("started ", i), fresh)
		}
		reseal("The server alone does not know the new key")
		apart(1)
		if _, err := door(both).Reseal(t.Context(), access.Actor{}); !fault.Is(err, fault.Denied) {
			t.Errorf("anybody seals anew: %v", err)
		}
	})
}
