/*
Package store is the directory core: organizations, users, groups, roles and the
activity log, their rules, their SQL, and the database they live in.

Every door (SCIM, sign-in, invitations, console) changes people through the same
methods of Tx, so a rule is written once:

	err := db.Write(ctx, actor, func(tx *store.Tx) error {
		_, err := tx.Deactivate(id, "left the company")
		return err
	})

A Tx is bound to one organization and one actor. Scope, permission and the
activity row therefore come with each change, in the same transaction.

How a write reaches the disk. On PostgreSQL, Write is a transaction; Command is
for the hot paths, where reading and one changing call are enough: the change and
its activity row are a single statement (3.5 times the rate of a transaction at
one client, 2 times at many), guarded by the row's version and run again when it
lost; the usual ones of a directory that come at the same time share one (convoy.go). On SQLite both go to the one writer, which puts up to 64 commands, those that
wait and those that come meanwhile, into one durable commit with a savepoint each (2.7 times the rate of a commit
each, with synchronous=FULL).

Users and groups are a canonical JSON document plus the columns that are searched
and sorted by, all derived from the document in one place (hot.go). Memberships
are rows: changing one never reads or writes the others.

What an organization adds to users and groups is its own schemas: definitions with a
revision (schema.go), values in the documents, and rows for those values that are
indexed or unique (extra.go; extra_build.go says how they come and go while others
write).

It owns the tables orgs, users, user_values, org_roles, user_roles, role_mappings, seats, groups,
group_epochs, members, teams, roster, subgroups, counts, directories, org_schemas, extra_values, value_walks,
activity and signins. It relies on nothing above it.
*/
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Options say which database and how to use it.
type Options struct {
	URL      string           // sqlite:PATH or postgres://...
	Now      func() time.Time // the clock; time.Now when nil
	Log      *slog.Logger     // slog.Default when nil
	MaxConns int              // PostgreSQL connections; 4 per core, at least 16, when 0
	NoSync   bool             // SQLite does not wait for the disk: for tests only
	Seen     func(sql string) // is told each statement before it runs: for tests that count

	Catalog access.Catalog // the applications' permissions; access.DefaultCatalog when nil
	// RoleUses tell what gives or holds a role beside people and directories, in words; as
	// long as something does, the role stays.
	RoleUses []func(tx *Tx, role string) ([]string, error)
}

// DB is an open database. Safe for concurrent use.
type DB struct {
	d       *dialect
	sql     *sqlx.DB // PostgreSQL: everything. SQLite: the readers
	write   *writer  // SQLite only
	now     func() time.Time
	seen    func(sql string)
	log     *slog.Logger
	stmts   statements
	schemas definitionsCache
	slots   slots
	lanes   lanes // PostgreSQL only
	convoys convoys
	refused sync.Map // organizations with refused sign-ins since the last sweep
	counted counted

	catalog  access.Catalog
	roleUses []func(tx *Tx, role string) ([]string, error)
}

// Open connects. Faults: Invalid (the URL), Unavailable (no answer).
func Open(ctx context.Context, opt Options) (*DB, error) {
	db := &DB{now: opt.Now, log: opt.Log, seen: opt.Seen, catalog: opt.Catalog, roleUses: opt.RoleUses, counted: fewFound}
	if db.catalog == nil {
		db.catalog = access.DefaultCatalog()
	}
	if db.now == nil {
		db.now = time.Now
	}
	if db.log == nil {
		db.log = slog.Default()
	}
	var err error
	switch {
	case strings.HasPrefix(opt.URL, "sqlite:"):
		err = db.openSQLite(ctx, strings.TrimPrefix(opt.URL, "sqlite:"), opt.NoSync)
	case strings.HasPrefix(opt.URL, "postgres://"), strings.HasPrefix(opt.URL, "postgresql://"):
		err = db.openPostgres(ctx, opt.URL, opt.MaxConns)
	default:
		err = fault.Invalid.On("database_url", "A database is named as sqlite:PATH or postgres://USER@HOST/NAME.")
	}
	if err != nil {
		return nil, err
	}
	db.stmts.db = db
	return db, nil
}

func (db *DB) openPostgres(ctx context.Context, address string, conns int) error {
	db.d = &postgres
	u, err := url.Parse(address)
	if err != nil {
		return fault.Invalid.On("database_url", "The database URL cannot be read. Write it as postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=require.")
	}
	q := u.Query()
	if q.Get("connect_timeout") == "" {
		q.Set("connect_timeout", "10")
		u.RawQuery = q.Encode()
	}
	connect, err := pq.NewConnector(u.String())
	if err != nil {
		return fault.Invalid.On("database_url", "The database URL cannot be used: check user, host and options.")
	}
	if conns == 0 {
		conns = max(16, 4*runtime.NumCPU())
	}
	pool := sqlx.NewDb(sql.OpenDB(connector{connect}), "postgres")
	// Equal values: else connections are dropped when idle and statements prepared again.
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxLifetime(45 * time.Minute)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return fault.Unavailable.Wrap(err, "The database at %s cannot be reached. Check that it runs and that the address, user and password are right.", u.Redacted())
	}
	db.sql, db.lanes = pool, make(lanes, conns)
	return nil
}

func (db *DB) openSQLite(ctx context.Context, path string, noSync bool) error {
	db.d = &sqliteDialect
	if path == "" || strings.ContainsRune(path, 0) {
		return fault.Invalid.On("database_url", "%q is not a file for the database. Write sqlite:PATH.", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Unavailable.Wrap(err, "The folder of the database file %s cannot be made. Choose another data folder.", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // else SQLite makes it readable to others
	if err != nil {
		return fault.Unavailable.Wrap(err, "The database file %s cannot be opened for writing.", path)
	}
	f.Close()
	sync := "FULL"
	if noSync {
		sync = "OFF"
	}
	// SQLite reads the name as a URI.
	dsn := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(" + sync +
		")&_pragma=foreign_keys(1)"
	// What the writer does not keep is read from the system's cache of the file: neither creations nor
	// imports took longer with a quarter of the pages, of which each takes 6 KiB. Lists read whole
	// indexes time and again, and migrations whole tables.
	const few, many = "&_pragma=cache_size(-16384)", "&_pragma=cache_size(-65536)"
	// Under a savepoint SQLite copies each page before it changes it: to memory, because 16 of them
	// are fewer than a new person takes, and from then on each copy was two writes to a file.
	// When pages go from the log into the file says wal.go.
	writing, err := sqlx.Open("sqlite", dsn+few+"&_pragma=temp_store(2)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	writing.SetMaxOpenConns(1)
	conn, err := connectSQLite(ctx, writing)
	if err != nil {
		writing.Close()
		return fault.Unavailable.Wrap(err, "The database file %s cannot be opened. Is it an SQLite database?", path)
	}
	reading, err := sqlx.Open("sqlite", dsn+many+"&_pragma=query_only(1)")
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), conn.Close(), writing.Close())
	}
	reading.SetMaxOpenConns(4)
	reading.SetMaxIdleConns(4)
	checking, err := sqlx.Open("sqlite", dsn)
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), conn.Close(), writing.Close(), reading.Close())
	}
	checking.SetMaxOpenConns(1)
	db.sql = reading
	db.write = newWriter(db, dsn+many, writing, conn, newWAL(checking, db.log))
	return nil
}

// connectSQLite waits for others that make the same new file: while one of them turns
// it to WAL, SQLite refuses the rest at once, whatever the busy_timeout.
func connectSQLite(ctx context.Context, pool *sqlx.DB) (*sqlx.Conn, error) {
	begun := time.Now()
	for try := 0; ; try++ {
		conn, err := pool.Connx(ctx)
		if err == nil || !busy(err) || time.Since(begun) > 10*time.Second {
			return conn, err
		}
		pause := time.NewTimer(time.Duration(try) * 5 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		}
	}
}

// Now is the time by the database's clock func.
func (db *DB) Now() time.Time { return db.now() }

// Dialect is "sqlite" or "postgres", for logs and for the doctor.
func (db *DB) Dialect() string { return db.d.name }

// Lanes is how many commands a bulk of them may run at once to its own profit and
// without shutting others out: half of a batch, or twice the connections, of which they
// take few because they share statements (convoy.go).
func (db *DB) Lanes() int {
	if db.write != nil {
		return batchLimit / 2
	}
	return max(1, db.sql.Stats().MaxOpenConnections*2)
}

// Close waits for running writes, then closes.
func (db *DB) Close() error {
	var err error
	if db.write != nil {
		err = db.write.close()
	}
	db.stmts.close()
	return errors.Join(err, db.sql.Close())
}

// Ready tells whether the database answers and has every migration.
func (db *DB) Ready(ctx context.Context) error {
	var one int
	if err := db.sql.GetContext(ctx, &one, "SELECT 1"); err != nil {
		return fault.Unavailable.Wrap(err, "The database does not answer.")
	}
	return db.migrated(ctx)
}

// statements keeps prepared statements by their text. It is bounded, because
// clients choose the shape of filters; what does not fit runs unprepared.
type statements struct {
	db *DB
	mu sync.Mutex // guards m
	m  map[string]*statement
}

// statement is prepared by the first who asks; the others wait for that.
type statement struct {
	query string
	once  sync.Once
	st    atomic.Pointer[sqlx.Stmt] // nil until it is prepared
	err   error
}

const maxStatements = 400

// cached gives what is prepared already.
func (s *statements) cached(query string) *sqlx.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[query]; e != nil {
		return e.st.Load()
	}
	return nil
}

// text is a query as a string: the one that is there, when it was run before.
func (s *statements) text(query []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[string(query)]; e != nil {
		return e.query
	}
	return string(query)
}

// get prepares on the pool; nil means to run the query unprepared. Never while a
// transaction holds a connection: with all connections held, everybody would wait
// for one more. Nor is anything closed here: closing waits for connections too.
func (s *statements) get(ctx context.Context, query string) (*sqlx.Stmt, error) {
	s.mu.Lock()
	e := s.m[query]
	if e == nil && len(s.m) >= maxStatements {
		s.mu.Unlock()
		return nil, nil
	}
	if e == nil {
		if s.m == nil {
			s.m = map[string]*statement{}
		}
		e = &statement{query: query}
		s.m[query] = e
	}
	s.mu.Unlock()
	e.once.Do(func() {
		var st *sqlx.Stmt
		// One caller's cancellation is not the others'.
		if st, e.err = s.db.sql.PreparexContext(context.WithoutCancel(ctx), s.db.d.text(query)); e.err == nil {
			e.st.Store(st)
			return
		}
		s.mu.Lock()
		delete(s.m, query)
		s.mu.Unlock()
	})
	return e.st.Load(), e.err
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.m {
		if st := e.st.Load(); st != nil {
			st.Close()
		}
	}
	s.m = nil
}

// noRow turns "no row" into NotFound and classifies the rest.
func noRow(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.NotFound.Wrap(err, "There is no such thing.")
	}
	return classify(err)
}
