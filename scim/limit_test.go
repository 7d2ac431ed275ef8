package scim

import (
	"context"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestRateLimitOfADirectory(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{Quirks: store.JSON(`{"requestsPerSecond":25}`)})
		other := d.another(NewDirectory{Name: "Other"})
		rate := func(n int) error {
			return db.Write(context.Background(), d.admin, func(tx *store.Tx) error { return SetRate(tx, d.directory.ID, n) })
		}
		pass := func(n int) {
			t.Helper()
			for i := range n {
				if got := d.do("GET", "/ServiceProviderConfig", ""); got.code != 200 {
					t.Fatalf("request %d of %d: %d %s", i+1, n, got.code, got.raw)
				}
			}
			got := d.refused(429, "", "more than", "GET", "/ServiceProviderConfig", "")
			if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 2 {
				t.Fatalf("Retry-After is %q", got.header.Get("Retry-After"))
			}
		}
		pass(50) // twice the rate at once
		other.must(200, "GET", "/Users", "")
		d.refused(429, "", "more than", "POST", "/Users", userBody("late"))
		for range 3 {
			clock.Pass(time.Second)
			pass(25)
		}
		if got := other.must(200, "GET", `/Users?filter=userName+eq+"late"`, ""); got.json["totalResults"] != 0.0 {
			t.Errorf("a refused request did something: %s", got.raw)
		}

		for _, bad := range []int{-1, 1, 24, maxRate + 1} {
			if err := rate(bad); !fault.Is(err, fault.Invalid) {
				t.Errorf("SetRate(%d) = %v, want Invalid", bad, err)
			}
		}
		if err := rate(40); err != nil {
			t.Fatal(err)
		}
		clock.Pass(settingsFor + 10*time.Second)
		d.must(200, "GET", "/ServiceProviderConfig", "") // learns the rate
		clock.Pass(10 * time.Second)
		pass(80)
		if err := rate(0); err != nil {
			t.Fatal(err)
		}
		clock.Pass(10 * time.Second)
		for range 200 {
			d.must(200, "GET", "/ServiceProviderConfig", "")
		}
	})
}

// Guesses end in 429, and what is refused so asks the database nothing. A directory
// behind the same address goes on, also with its other token.
func TestGuessesAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		d.must(200, "GET", "/Users", "")
		guess := func(from string, n int) (codes map[int]int) {
			codes = map[int]int{}
			for i := range n {
				r := httptest.NewRequest("GET", BaseURL(testURL, d.directory.ID)+"/Users", nil)
				r.RemoteAddr = from
				r.Header.Set("Authorization", "Bearer guess"+itoa(i))
				got := d.serve(r)
				codes[got.code]++
				if got.code == 429 && got.header.Get("Retry-After") != "1" {
					t.Fatalf("Retry-After is %q", got.header.Get("Retry-After"))
				}
			}
			return codes
		}
		const here = "192.0.2.1:1234" // as httptest's own requests
		if got := guess(here, guessBurst+100); got[401] != guessBurst || got[429] != 100 {
			t.Errorf("100 guesses too many: %v", got)
		}
		d.must(200, "GET", "/Users", "")
		if got := guess("[2001:db8::1]:1", guessBurst); got[401] != guessBurst {
			t.Errorf("from elsewhere: %v", got)
		}
		if got := guess("[2001:db8::2]:1", 1); got[429] != 1 {
			t.Errorf("from the same network: %v", got)
		}
		clock.Pass(time.Second)
		if got := guess(here, 20); got[401] != guessRate {
			t.Errorf("20 guesses a second later: %v", got)
		}
		clock.Pass(time.Minute)
		for range guessBurst + 20 { // good tokens are given back to the address
			second := *d
			var err error
			if err = db.Write(context.Background(), d.admin, func(tx *store.Tx) error { second.token, _, err = Rotate(tx, d.directory.ID, time.Hour); return err }); err != nil {
				t.Fatal(err)
			}
			second.must(200, "GET", "/ServiceProviderConfig", "")
		}
		if got := guess(here, guessBurst+1); got[401] != guessBurst {
			t.Errorf("after many good tokens: %v", got)
		}
	})
}

func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	l := newLimits(clock.Now, 0)
	r := httptest.NewRequest("GET", "/", nil)
	from := web.ClientIP(r)
	var in atomic.Int32
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			if e, err := l.enter(itoa(i), from); err == nil {
				in.Add(1)
				l.bad(e)
			}
		})
	}
	all.Wait()
	if in.Load() != guessBurst {
		t.Errorf("%d of 500 guesses at once were looked up, want %d", in.Load(), guessBurst)
	}
	for i := range 2 * limitKeys {
		put(l.opened, itoa(i), store.DirectoryID(itoa(i)))
	}
	if len(l.opened) != limitKeys {
		t.Errorf("the map holds %d, want %d", len(l.opened), limitKeys)
	}
}
