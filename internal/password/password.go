// Package password keeps passwords: each organization's rules which ones are good enough
// (rules.go), argon2id hashes, checking them at sign-in, and the lock-out of guessers.
//
// Hashing is slow on purpose, so it never happens inside a transaction: Hash
// first, then Set in the caller's. Its number at one time is bounded, and so is the
// queue before it: whoever comes beyond is turned away instead of taking memory.
//
// Verify counts an attempt before it looks at the password, in the database: so
// parallel guesses count too, and a restart or a second server forgets nothing.
// An unknown address costs the same work and gets the same answer as a wrong
// password, with a reference by which an administrator finds the reason (refused.go).
// The package owns the tables credentials, password_history and signin_attempts; it reads users and orgs
// to find whose password an address may be.
package password

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Hashed is a password as argon2id in PHC form.
type Hashed string

// Params is the cost of a hash. They are explicit: the library's own default
// depends on the machine.
type Params = argon2id.Params

// Cost is the default: OWASP's floor, about 40 ms.
var Cost = Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Options of a Store.
type Options struct {
	DB     *store.DB
	Params Params        // default Cost
	Slots  int           // hashes at one time; default one per processor
	Queue  int           // who may wait for a slot; default 32 per slot
	Wait   time.Duration // how long; default 10 seconds
	// MayRecord tells whether one more refused sign-in from this address may be written
	// down, so that a flood fills no table. May be nil: each is.
	MayRecord func(ip string) bool
	Log       *slog.Logger
}

// Store checks and keeps passwords. Safe for concurrent use.
type Store struct {
	opts    Options
	slots   chan struct{}
	waiting atomic.Int64
	dummy   func() (string, error) // the hash that unknown addresses are checked against
}

// New fills in the defaults.
func New(opts Options) *Store {
	if opts.Params == (Params{}) {
		opts.Params = Cost
	}
	if opts.Slots == 0 {
		opts.Slots = runtime.GOMAXPROCS(0)
	}
	if opts.Queue == 0 {
		opts.Queue = 32 * opts.Slots
	}
	if opts.Wait == 0 {
		opts.Wait = 10 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	s := &Store{opts: opts, slots: make(chan struct{}, opts.Slots)}
	s.dummy = sync.OnceValues(func() (string, error) { return argon2id.CreateHash("nobody's password", &opts.Params) })
	return s
}

// Slots is how many hashes run at one time. Each keeps a processor busy: a server that has
// other work gives the Go scheduler so many more than the machine has (see serve), and
// the operating system shares them. Else whoever reads a row waits until a hash is interrupted.
func (s *Store) Slots() int { return s.opts.Slots }

// Hash prepares a password for Set. It does not check the rules. Call it outside
// any transaction. Faults: Unavailable (too many at once).
func (s *Store) Hash(ctx context.Context, password string) (Hashed, error) {
	var h string
	err := s.slot(ctx, func() (err error) {
		h, err = argon2id.CreateHash(normal(password), &s.opts.Params)
		return err
	})
	return Hashed(h), err
}

// compare tells whether password is behind hash, and whether hash is cheaper than it should be.
func (s *Store) compare(ctx context.Context, password, hash string) (match, weak bool, err error) {
	err = s.slot(ctx, func() error {
		ok, p, err := argon2id.CheckHash(normal(password), hash)
		if err != nil {
			return err
		}
		want := s.opts.Params
		match, weak = ok, p.Memory < want.Memory || p.Iterations < want.Iterations || p.KeyLength < want.KeyLength
		return nil
	})
	return match, weak, err
}

// slot runs work when it is its turn.
func (s *Store) slot(ctx context.Context, work func() error) error {
	select {
	case s.slots <- struct{}{}:
	default:
		if s.waiting.Add(1) > int64(s.opts.Queue) {
			s.waiting.Add(-1)
			return fault.Unavailable.Say("Many people are signing in right now. Try again in a few seconds.")
		}
		defer s.waiting.Add(-1)
		patience := time.NewTimer(s.opts.Wait)
		defer patience.Stop()
		select {
		case s.slots <- struct{}{}:
		case <-patience.C:
			return fault.Unavailable.Say("Many people are signing in right now. Try again in a few seconds.")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.slots }()
	return work()
}

// normal makes one password of what different keyboards send for the same
// characters (NIST SP 800-63B §5.1.1.2).
func normal(password string) string { return norm.NFKC.String(password) }

// Set keeps a person's password. Who may is the caller's question: it holds an
// invitation, a reset link or the old password.
func (s *Store) Set(tx *store.Tx, user store.UserID, h Hashed) error {
	if err := s.put(tx, user, h, false, 0); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "password.set", TargetKind: "user", TargetID: string(user)})
}

func (s *Store) put(tx *store.Tx, user store.UserID, h Hashed, mustChange bool, until store.Time) error {
	if err := s.remember(tx, user); err != nil {
		return err
	}
	_, err := tx.Exec(upsertCredential, tx.Org(), user, string(h), tx.Now(), tx.Now(), mustChange, until)
	return err
}

// Is tells whether password is the person's already. Call it outside any
// transaction. Faults: Unavailable (too many at once).
func (s *Store) Is(ctx context.Context, org store.OrgID, user store.UserID, password string) (bool, error) {
	var hash string
	err := s.opts.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		return tx.Get(&hash, "SELECT hash FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	})
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	match, _, err := s.compare(ctx, password, hash)
	return match, err
}

// Unchanged tells whether the password that Verify looked at is still the person's.
func (s *Store) Unchanged(tx *store.Tx, user store.UserID, setAt store.Time) (bool, error) {
	var n int
	err := tx.Get(&n, "SELECT count(*) FROM credentials WHERE org_id = ? AND user_id = ? AND updated_at = ?", tx.Org(), user, setAt)
	return n > 0, err
}

// SetAt is since when a person has the password; see Unchanged. Faults: NotFound.
func (s *Store) SetAt(tx *store.Tx, user store.UserID) (at store.Time, err error) {
	return at, tx.Get(&at, "SELECT updated_at FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), user)
}

// Has tells whether a person has a password.
func (s *Store) Has(tx *store.Tx, user store.UserID) (bool, error) {
	var n int
	err := tx.Get(&n, "SELECT count(*) FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	return n > 0, err
}
