package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// batchLimit is how many commands share one commit.
const batchLimit = 64

// writer is the only connection that changes an SQLite database.
type writer struct {
	db    *DB
	dsn   string
	pool  *sqlx.DB
	conn  *sqlx.Conn
	wal   *wal
	jobs  chan *job
	done  chan struct{}         // closed when the loop has ended
	stmts map[string]*sqlx.Stmt // used by the loop alone
	mu    sync.RWMutex          // guards closed
	over  bool
}

type job struct {
	ctx    context.Context
	actor  access.Actor
	fn     func(*Tx) error
	after  []func()
	err    error
	answer chan struct{}
}

func newWriter(db *DB, dsn string, pool *sqlx.DB, conn *sqlx.Conn, log *wal) *writer {
	w := &writer{db: db, dsn: dsn, pool: pool, conn: conn, wal: log, jobs: make(chan *job, batchLimit), done: make(chan struct{}), stmts: map[string]*sqlx.Stmt{}}
	go w.loop()
	return w
}

// run hands fn to the loop and waits for its commit.
func (w *writer) run(ctx context.Context, actor access.Actor, fn func(*Tx) error) error {
	j := &job{ctx: ctx, actor: actor, fn: fn, answer: make(chan struct{})}
	w.mu.RLock()
	if w.over {
		w.mu.RUnlock()
		return fault.Unavailable.Say("The server is stopping. Try again in a moment.")
	}
	w.jobs <- j
	w.mu.RUnlock()
	<-j.answer
	if j.err == nil {
		for _, f := range j.after {
			f()
		}
	}
	return j.err
}

func (w *writer) loop() {
	defer close(w.done)
	for first := range w.jobs {
		begun := time.Now()
		for _, j := range w.commit(first) {
			close(j.answer)
		}
		w.tend(context.Background(), time.Since(begun))
	}
}

// commit runs first, and those who wait or come while it and they run, as one transaction. A
// command that fails undoes itself alone; when the commit fails, none of them happened.
func (w *writer) commit(first *job) (batch []*job) {
	ctx := context.Background()
	batch = []*job{first}
	if err := w.control(ctx, "BEGIN IMMEDIATE"); err != nil {
		fail(batch, err)
		return batch
	}
	// The first needs no savepoint, under which SQLite copies each page before it changes it:
	// when it fails, there is nothing else to keep.
	if w.do(first); first.err != nil {
		w.control(ctx, "ROLLBACK")
		return batch
	}
	for len(batch) < batchLimit {
		j := w.next()
		if j == nil {
			break
		}
		batch = append(batch, j)
		err := errLost
		if len(batch) > 2 || !w.lost(ctx) {
			err = w.one(ctx, j)
		}
		if err != nil {
			w.control(ctx, "ROLLBACK")
			fail(batch, err)
			return batch
		}
	}
	if err := w.control(ctx, "COMMIT"); err != nil {
		w.control(ctx, "ROLLBACK")
		fail(batch, err)
	}
	return batch
}

// errLost says that SQLite undid the transaction by itself, as it does when the disk is full.
var errLost = errors.New("the database undid the transaction")

// lost tells whether it did under the first command. Of the others their savepoints tell.
func (w *writer) lost(ctx context.Context) bool { return w.control(ctx, "BEGIN") == nil }

// next is who waits already; nil: nobody.
func (w *writer) next() *job {
	select {
	case j := <-w.jobs: // nil when they are closed
		return j
	default:
		return nil
	}
}

// control runs a statement about the transaction, prepared: to parse one anew costs
// more than to run it, and each command needs two.
func (w *writer) control(ctx context.Context, query string) error {
	st, err := w.prepare(ctx, query)
	switch {
	case err != nil:
		return err
	case st == nil:
		_, err = w.conn.ExecContext(ctx, query)
	default:
		_, err = st.ExecContext(ctx)
	}
	return err
}

func fail(batch []*job, err error) {
	for _, j := range batch {
		if j.err == nil {
			j.err = classify(err)
		}
	}
}

// one runs a command inside its savepoint. Its error return means that the
// savepoint itself did not hold, and the whole batch must go.
func (w *writer) one(ctx context.Context, j *job) error {
	if err := w.control(ctx, "SAVEPOINT command"); err != nil {
		return err
	}
	if w.do(j); j.err != nil {
		if err := w.control(ctx, "ROLLBACK TO command"); err != nil {
			return err
		}
	}
	return w.control(ctx, "RELEASE command")
}

// do runs a command, unless nobody waits for it any more.
func (w *writer) do(j *job) {
	if j.err = j.ctx.Err(); j.err != nil {
		return
	}
	// Without the caller's cancellation: an interrupt would roll back the others' work too.
	tx := w.db.newTx(context.WithoutCancel(j.ctx), j.actor, modeWrite)
	tx.w = w
	j.err = guarded(j.fn, tx)
	j.after = tx.after
}

// guarded runs fn and turns a panic into an error: the writer serves everybody.
func guarded(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(tx)
}

// second is another writing connection, for migrations at the start.
func (w *writer) second() (*sqlx.DB, error) {
	pool, err := sqlx.Open("sqlite", w.dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return pool, nil
}

func (w *writer) prepare(ctx context.Context, query string) (*sqlx.Stmt, error) {
	if st := w.stmts[query]; st != nil {
		return st, nil
	}
	if len(w.stmts) >= maxStatements {
		return nil, nil
	}
	st, err := w.conn.PreparexContext(ctx, w.db.d.text(query))
	if err == nil {
		w.stmts[query] = st
	}
	return st, err
}

func (w *writer) close() error {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return nil
	}
	w.over = true
	close(w.jobs)
	w.mu.Unlock()
	<-w.done
	for _, st := range w.stmts {
		st.Close()
	}
	return errors.Join(w.wal.close(), w.conn.Close(), w.pool.Close())
}
