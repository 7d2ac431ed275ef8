package scim

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/muster-id/muster/store"
)

// Each request gets a row as it was when the request came, or later: what ends a
// token ends it for all requests that come then, also while others look.
func TestSharedLooksAreNeverOlderThanTheirRequest(t *testing.T) {
	t.Parallel()
	var l lookups
	var state, looks atomic.Int64
	load := func(context.Context, string) (tokenRow, error) {
		looks.Add(1)
		return tokenRow{ExpiresAt: store.Time(state.Load())}, nil
	}
	const clients, each = 16, 2000
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range each {
				came := state.Add(1)
				row, err := l.find(t.Context(), "hash", load)
				if err != nil || int64(row.ExpiresAt) < came {
					t.Errorf("the row is of %d (%v), the request came at %d", row.ExpiresAt, err, came)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := looks.Load(); n > clients*each {
		t.Errorf("%d looks for %d requests", n, clients*each)
	}
	if len(l.running) != 0 {
		t.Errorf("%d looks are still noted", len(l.running))
	}
}

// Those who come while a look runs have one more between them, each token its own;
// who leaves does not wait, and whoever leaves does not end the others' look.
func TestWaitingRequestsShareOneLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lookups
		var looks atomic.Int64
		block := make(chan struct{})
		load := func(ctx context.Context, hash string) (tokenRow, error) {
			looks.Add(1)
			<-block
			return tokenRow{Allow: hash}, ctx.Err()
		}
		find := func(ctx context.Context, hash string, want error) {
			if row, err := l.find(ctx, hash, load); !errors.Is(err, want) || err == nil && row.Allow != hash {
				t.Errorf("%s got %q, %v; want %v", hash, row.Allow, err, want)
			}
		}
		first, leave := context.WithCancel(t.Context())
		go find(first, "a", nil)
		synctest.Wait()
		for range 10 {
			go find(t.Context(), "a", nil)
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		go find(gone, "a", context.Canceled)
		go find(t.Context(), "b", nil)
		synctest.Wait()
		leave()
		cancel()
		synctest.Wait()
		if n := looks.Load(); n != 2 {
			t.Errorf("%d looks run, want one for each token", n)
		}
		close(block)
		synctest.Wait()
		if n := looks.Load(); n != 3 {
			t.Errorf("%d looks, want one more for those who waited", n)
		}
	})
}

// A look that fails fails for those who shared it; the next one looks again.
func TestAFailedLookIsNotKept(t *testing.T) {
	t.Parallel()
	var l lookups
	broken := errors.New("no answer")
	if _, err := l.find(t.Context(), "a", func(context.Context, string) (tokenRow, error) { return tokenRow{}, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() { recover() }()
		l.find(t.Context(), "a", func(context.Context, string) (tokenRow, error) { panic("driver") })
	}()
	if row, err := l.find(t.Context(), "a", func(context.Context, string) (tokenRow, error) { return tokenRow{Allow: "x"}, nil }); err != nil || row.Allow != "x" {
		t.Errorf("got %v, %v", row, err)
	}
}
