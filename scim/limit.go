package scim

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Who sends too much gets 429 and is told when to come back. A directory that runs
// a full synchronisation must not take the server from the others, and whoever
// guesses tokens must not be able to make the database work: both are refused
// before anything is looked up.
//
// The counts are each replica's own and are forgotten when it stops: with three
// replicas a directory gets up to three times its rate. Nothing that is promised
// hangs on them.

const (
	minRate = 25 // a second: what directories may rely on
	maxRate = 100_000

	guessRate  = 5   // a second, from one address
	guessBurst = 200 // at once: the first requests of all directories of an address after a start
	// limitKeys bounds each map. Beyond it some entry is forgotten, which errs
	// towards letting a request through.
	limitKeys = 10_000
)

// limits counts requests per directory, and per address those of tokens that have
// not opened anything yet.
type limits struct {
	now     func() time.Time
	perDoor int // requests a second of a directory that has no rate of its own; 0: any number

	mu          sync.Mutex // guards what follows
	directories map[store.DirectoryID]*rate.Limiter
	addresses   map[netip.Prefix]*rate.Limiter
	opened      map[string]store.DirectoryID // by hash: tokens that opened a door last time
}

func newLimits(now func() time.Time, perDoor int) *limits {
	return &limits{now: now, perDoor: perDoor, directories: map[store.DirectoryID]*rate.Limiter{},
		addresses: map[netip.Prefix]*rate.Limiter{}, opened: map[string]store.DirectoryID{}}
}

// entry is a request that was let in to be looked at.
type entry struct {
	hash  string
	at    time.Time
	owner store.DirectoryID // of a token that opened a door last time
	guess *rate.Reservation // nil for a token that opened a door last time
}

// enter takes a request with this token, or refuses it with tooMany. A token that
// opened a door last time counts for its directory; any other for its address, so
// that a stranger behind the same address cannot shut a directory out.
func (l *limits) enter(hash string, from netip.Addr) (entry, error) {
	e := entry{hash: hash, at: l.now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.opened[hash]; ok {
		e.owner = id
		if b := l.directories[id]; b != nil {
			_, err := take(b, e.at, "The directory sends more than %v requests a second. Wait as long as Retry-After says, then send it again.", b.Limit())
			return e, err
		}
		return e, nil
	}
	key := network(from)
	b := l.addresses[key]
	if b == nil {
		b = rate.NewLimiter(guessRate, guessBurst)
		put(l.addresses, key, b)
	}
	var err error
	e.guess, err = take(b, e.at, "Too many requests with a wrong token came from %s. Wait as long as Retry-After says, then send it again.", from)
	return e, err
}

// good says that the token opens the directory's door, which may have perSecond (0:
// the server's rate). The address is not charged for it.
func (l *limits) good(e entry, id store.DirectoryID, perSecond int) error {
	if perSecond == 0 {
		perSecond = l.perDoor
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	put(l.opened, e.hash, id)
	b := l.directories[id]
	switch {
	case perSecond == 0:
		delete(l.directories, id)
	case b == nil:
		b = rate.NewLimiter(rate.Limit(perSecond), 2*perSecond)
		put(l.directories, id, b)
	case b.Limit() != rate.Limit(perSecond):
		b.SetLimitAt(e.at, rate.Limit(perSecond))
		b.SetBurstAt(e.at, 2*perSecond)
	}
	if e.guess == nil {
		return nil // charged when it came in
	}
	e.guess.CancelAt(e.at)
	if perSecond == 0 {
		return nil
	}
	_, err := take(b, e.at, "The directory sends more than %v requests a second. Wait as long as Retry-After says, then send it again.", b.Limit())
	return err
}

// bad says that the token opened nothing.
func (l *limits) bad(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.opened, e.hash)
}

// tooMany is a refusal that knows when the next request is welcome.
type tooMany struct {
	error
	after time.Duration
}

func (t tooMany) Unwrap() error { return t.error }

// retryAfter writes the header of a tooMany. Whole seconds, rounded up: RFC 9110 §10.2.3.
func retryAfter(w http.ResponseWriter, t tooMany) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(t.after.Seconds())))))
}

func take(b *rate.Limiter, now time.Time, format string, args ...any) (*rate.Reservation, error) {
	r := b.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, tooMany{fault.TooMany.Say(format, args...), wait}
	}
	return r, nil
}

// put adds to a bounded map.
func put[K comparable, V any](m map[K]V, key K, value V) {
	if _, ok := m[key]; !ok && len(m) >= limitKeys {
		for some := range m {
			delete(m, some)
			break
		}
	}
	m[key] = value
}

// network is whom an address counts for: an IPv6 customer has a whole /64.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // an unknown address is the zero prefix
	return p
}
