package operate_test

import (
	"context"
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

// What comes to lie behind the walk is found by the next one; what never ends is not said to
// be done.
func TestItIsDoneWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, _ := storetest.Org(t, db, "acme")
		old, fresh := secret.NewKey(), secret.NewKey()
		both, sealed, again := fresh.Over(old), map[store.ID[store.SealedValue]][]byte{}, 2
		seal := func(id store.ID[store.SealedValue]) {
			text, err := old.Seal(string(id), []byte("s3cret"))
			if err != nil {
				t.Fatal(err)
			}
			sealed[id] = text
		}
		kind := store.Sealed{What: "secrets", Place: func(v store.SealedValue) string { return string(v.ID) },
			Page: func(context.Context, *store.DB, store.SealedValue, int) (list []store.SealedValue, err error) {
				for id, text := range sealed {
					list = append(list, store.SealedValue{Org: org, ID: id, Sealed: text})
				}
				return list, nil
			},
			Put: func(_ *store.Tx, v store.SealedValue, text []byte) error {
				sealed[v.ID] = text
				if again > 0 {
					again--
					seal(v.ID + "0") // behind the walk
				}
				return nil
			}}
		seal("a")
		door := operate.New(operate.Options{DB: db, Key: both, Sealed: []store.Sealed{kind}})
		list, err := door.Reseal(t.Context(), access.Muster(""))
		if want := (store.SealedCount{What: "secrets", Older: 3}); err != nil || len(list) != 1 || list[0] != want {
			t.Errorf("%+v, %v; want %+v", list, err, want)
		}
		for id, text := range sealed {
			if _, err := fresh.Open(string(id), text); err != nil {
				t.Errorf("said to be done: %v", err)
			}
		}
		list, err = door.Reseal(t.Context(), access.Muster(""))
		if want := (store.SealedCount{What: "secrets", Newer: 3}); err != nil || len(list) != 1 || list[0] != want {
			t.Errorf("once more: %+v, %v; want %+v", list, err, want)
		}
		seal("b")
		again = 1000
		if list, err := door.Reseal(t.Context(), access.Muster("")); !fault.Is(err, fault.Conflict) {
			t.Errorf("said to be done, though something seals with the old key: %+v, %v", list, err)
		}
	})
}
