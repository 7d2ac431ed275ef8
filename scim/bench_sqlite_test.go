package scim

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkSQLite is BenchmarkDoor's creation on SQLite, each commit waiting for the
// disk. The loop is a write queue over the same tables: one writer puts up to 64
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

func newRawQueue(b *testing.B) *rawQueue {
	b.Helper()
	path := strings.TrimPrefix(storetest.SQLiteURL(b), "sqlite:")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-65536)")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
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
	user := prepare(`INSERT INTO users (org_id, id, directory_id, source, status, break_glass, user_name, user_name_key, external_id, email, email_key,
		display_name, sort_key, search_key, doc, version, created_at, updated_at) VALUES (?1, ?2, ?3, 'scim', 'active', 0, ?4, ?4, ?4, ?4, ?4, ?4, ?4, ?4, ?5, 1, 0, 0)`)
	value := prepare(`INSERT INTO user_values (org_id, attr, value_key, kind, user_id) VALUES (?, 'emails', ?, 'work', ?)`)
	activity := prepare(`INSERT INTO activity (org_id, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, detail)
		VALUES (?, ?, 0, 'directory', '', '', 'user.create', 'user', ?, ?, ?)`)
	org, dir := string(store.NewID[store.Org]()), string(store.NewID[store.Directory]())
	one := func(name string) error {
		id, doc := string(store.NewID[store.User]()), newcomer(name)
		if _, err := user.Exec(org, id, dir, name, doc); err != nil {
			return err
		}
		if _, err := value.Exec(org, name, id); err != nil {
			return err
		}
		_, err := activity.Exec(org, string(store.NewID[store.Activity]()), id, name, doc)
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
