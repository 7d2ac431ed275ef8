package scim

import (
	"context"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store/storetest"
)

// A read that panics leaves nobody waiting.
func TestAReadOfKeysThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	h := &handler{db: d.db, keys: keyReader{asks: map[string]*keyAsk{}}}
	h.opt.Fetch = func(context.Context, fault.Word, string) ([]byte, error) { panic("fetch") }
	client := Client{ID: "c", JWKSURL: "https://keys.example.com"}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		h.readKeys(t.Context(), d.admin, client)
	}()
	if keys, err := h.readKeys(t.Context(), d.admin, client); err == nil {
		t.Errorf("the next one has the keys %q", keys)
	}
}
