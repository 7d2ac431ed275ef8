// Package storetest gives each test a fresh, migrated database of its own, on
// SQLite and on PostgreSQL.
//
//	storetest.Each(t, func(t *testing.T, db *store.DB) { ... })
//
// PostgreSQL comes from MUSTER_TEST_PG_DSN (a server on which databases may be
// made and dropped), else from the server programs on this machine, run in a
// temporary folder until the test process ends. Without either the test fails and
// says what to install: a suite that passes on one database alone proves nothing.
package storetest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// Each runs f on both databases, in parallel.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, Postgres(t)) })
}

// Seen are the statements that a database ran.
type Seen struct {
	mu   sync.Mutex // guards list
	list []string
}

// Take gives the statements since the last call.
func (s *Seen) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// EachSeen is Each with the statements that run.
func EachSeen(t *testing.T, f func(t *testing.T, db *store.DB, seen *Seen)) {
	t.Helper()
	for name, make := range map[string]func(testing.TB) string{"sqlite": SQLiteURL, "postgres": PostgresURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen Seen
			f(t, openWith(t, store.Options{URL: make(t), Now: time.Now, Seen: func(sql string) {
				seen.mu.Lock()
				defer seen.mu.Unlock()
				seen.list = append(seen.list, sql)
			}}), &seen)
		})
	}
}

// SQLite is a new database in a file.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return open(t, SQLiteURL(t), time.Now)
}

// Postgres is a new database on a server.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return open(t, PostgresURL(t), time.Now)
}

// EachAt is Each with a clock that the test sets.
func EachAt(t *testing.T, f func(t *testing.T, db *store.DB, clock *Clock)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); c := NewClock(); f(t, open(t, SQLiteURL(t), c.Now), c) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); c := NewClock(); f(t, open(t, PostgresURL(t), c.Now), c) })
}

func open(t testing.TB, url string, now func() time.Time) *store.DB {
	t.Helper()
	return openWith(t, store.Options{URL: url, Now: now})
}

func openWith(t testing.TB, opt store.Options) *store.DB {
	t.Helper()
	opt.MaxConns, opt.NoSync, opt.Log = 8, true, slog.New(slog.DiscardHandler)
	db, err := store.Open(context.Background(), opt)
	if err != nil {
		t.Fatalf("open a test database: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// sqliteTemplate is a migrated file, made once per process.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "muster-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	db, err := store.Open(context.Background(), store.Options{URL: "sqlite:" + path, NoSync: true})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(context.Background()); err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil { // also folds the log into the file
		return nil, err
	}
	return os.ReadFile(path)
})

// SQLiteURL names a new migrated database file.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	template, err := sqliteTemplate()
	if err != nil {
		t.Fatalf("make the SQLite template: %v", err)
	}
	path := filepath.Join(t.TempDir(), "muster.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// Org makes an organization and returns its id and an actor who is its admin
// (Muster itself, bound to the organization).
func Org(t testing.TB, db *store.DB, slug string) (store.OrgID, access.Actor) {
	t.Helper()
	var org store.Org
	err := db.Write(context.Background(), access.Muster(""), func(tx *store.Tx) (err error) {
		org, err = tx.CreateOrg(slug, slug+" Inc")
		return err
	})
	if err != nil {
		t.Fatalf("make the organization %s: %v", slug, err)
	}
	return org.ID, access.Muster(string(org.ID))
}

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

// NewClock starts at the present second.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Second)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Pass moves the clock on.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
