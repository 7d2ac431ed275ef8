package scim

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/heap"
	"github.com/muster-id/muster/store"
)

// BenchmarkSQLite is BenchmarkDoor's creation on SQLite, each commit waiting for the
// disk. The loop is a write queue over the tables of rawWrites: one writer puts up to 64
// waiting creations into a commit, a savepoint around each, and answers after it. It
// writes to a file of its own, because a database has one writer.
func BenchmarkSQLite(b *testing.B) {
	x := openSQLiteBench(b)
	b.Run("create", func(b *testing.B) {
		queue := newRawQueue(b)
		x.versus(b, func(int) { x.send(201, "POST", "/Users", newcomer(fmt.Sprintf("new%d@example.com", created.Add(1)))) },
			func(int) { x.check(queue.create(fmt.Sprintf("raw%d@example.com", created.Add(1)))) })
	})
}

func openSQLiteBench(b *testing.B) *bench {
	b.Helper()
	heap.Roomy()
	url := "sqlite:" + b.TempDir() + "/bench.db"
	db, err := store.Open(context.Background(), store.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Migrate(context.Background()); err != nil {
		b.Fatal(err)
	}
	x := &bench{door: openDoor(b, db, NewDirectory{})}
	ctx, stop := context.WithCancel(context.Background())
	var logging sync.WaitGroup
	logging.Go(func() { x.log.Run(ctx) })
	b.Cleanup(func() { stop(); logging.Wait() })
	return x
}

// rawQueue is the least that a program does which shares commits on SQLite.
type rawQueue struct {
	jobs chan *rawJob
}

type rawJob struct {
	name string
	err  chan error
}

// rawTablesSQLite are rawTables for SQLite: ids and documents are text, times numbers.
var rawTablesSQLite = []string{
	`CREATE TABLE users (org_id INTEGER, id TEXT, user_name TEXT NOT NULL, user_name_lc TEXT NOT NULL, external_id TEXT, email_lc TEXT,
		active INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, doc TEXT NOT NULL, UNIQUE (org_id, id))`,
	"CREATE UNIQUE INDEX users_name ON users (org_id, user_name_lc)",
	"CREATE INDEX users_external ON users (org_id, external_id) WHERE external_id IS NOT NULL",
	"CREATE INDEX users_email ON users (org_id, email_lc)",
	"CREATE TABLE audit_events (org_id INTEGER, id TEXT, at INTEGER NOT NULL, actor TEXT, action TEXT, target TEXT, detail TEXT, PRIMARY KEY (org_id, id))",
	"CREATE TABLE outbox (org_id INTEGER, id TEXT, at INTEGER NOT NULL, topic TEXT, payload TEXT, PRIMARY KEY (org_id, id))",
}

func newRawQueue(b *testing.B) *rawQueue {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+b.TempDir()+"/raw.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-65536)")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, statement := range rawTablesSQLite {
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			b.Fatal(err)
		}
	}
	q := &rawQueue{jobs: make(chan *rawJob, 64)}
	var running sync.WaitGroup
	running.Go(func() { q.run(b, conn) })
	b.Cleanup(func() { close(q.jobs); running.Wait(); conn.Close(); db.Close() })
	return q
}

func (q *rawQueue) create(name string) error {
	j := &rawJob{name, make(chan error, 1)}
	q.jobs <- j
	return <-j.err
}

func (q *rawQueue) run(b *testing.B, conn *sql.Conn) {
	ctx := context.Background()
	prepare := func(query string) *sql.Stmt {
		st, err := conn.PrepareContext(ctx, query)
		if err != nil {
			b.Error(err)
		}
		return st
	}
	user := prepare("INSERT INTO users (org_id, id, user_name, user_name_lc, external_id, email_lc, active, created_at, updated_at, doc) VALUES (?1, ?2, ?3, ?4, ?3, ?4, 1, ?5, ?5, ?6)")
	audit := prepare("INSERT INTO audit_events (org_id, id, at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?)")
	outbox := prepare("INSERT INTO outbox (org_id, id, at, topic, payload) VALUES (?, ?, ?, ?, ?)")
	one := func(name string) error {
		id, doc, now := string(store.NewID[store.User]()), newcomer(name), int64(store.TimeOf(time.Now()))
		if _, err := user.Exec(rawOrg, id, name, strings.ToLower(name), now, doc); err != nil {
			return err
		}
		e := newRawEvent("directory "+id+" Test", "user.create", "user", id, "New User", rawCreated(doc))
		if _, err := audit.Exec(rawOrg, e.audit, now, e.actor, e.action, e.target, e.detail); err != nil {
			return err
		}
		_, err := outbox.Exec(rawOrg, e.outbox, now, e.action, e.payload)
		return err
	}
	do := func(st *sql.Stmt) error { _, err := st.Exec(); return err }
	begin, commit, save, release := prepare("BEGIN IMMEDIATE"), prepare("COMMIT"), prepare("SAVEPOINT one"), prepare("RELEASE one")
	for first := range q.jobs {
		batch := []*rawJob{first}
		for more := true; more && len(batch) < 64; {
			select {
			case j, ok := <-q.jobs:
				if more = ok; ok {
					batch = append(batch, j)
				}
			default:
				more = false
			}
		}
		err := do(begin)
		for _, j := range batch {
			if err == nil {
				err = do(save)
			}
			if err == nil {
				err = one(j.name)
			}
			if err == nil {
				err = do(release)
			}
		}
		if err == nil {
			err = do(commit)
		}
		for _, j := range batch {
			j.err <- err
		}
	}
}
