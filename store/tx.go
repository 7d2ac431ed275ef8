package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

type mode int

const (
	modeRead    mode = iota // no change
	modeWrite               // a transaction
	modeCommand             // PostgreSQL: each statement commits by itself, one change at most
)

// Tx is one organization's data as one actor may see and change it. It is good
// only inside the function that it was handed to, and by one goroutine.
type Tx struct {
	db      *DB
	ctx     context.Context
	actor   access.Actor
	mode    mode
	w       *writer    // SQLite writes
	pg      *sqlx.Tx   // PostgreSQL writes
	conn    *sqlx.Conn // of pg
	changes int
	missed  []string // run unprepared; prepared after the commit, see statements.get
	after   []func()
	posted  []posted // see Post

	operators []UserID // of the organization; nil: not read yet, see keptApart

	mySlot             int // see slots
	slotted, slotOwned bool
}

func (db *DB) newTx(ctx context.Context, actor access.Actor, m mode) *Tx {
	return &Tx{db: db, ctx: ctx, actor: actor, mode: m}
}

// Read runs fn, which must not change anything.
func (db *DB) Read(ctx context.Context, actor access.Actor, fn func(tx *Tx) error) error {
	return fn(db.newTx(ctx, actor, modeRead))
}

// Write runs fn in one transaction: all of it is kept, or nothing. fn may run
// again after losing against another writer, so it must do nothing outside tx
// (AfterCommit is for that), no network calls and no password hashing.
func (db *DB) Write(ctx context.Context, actor access.Actor, fn func(tx *Tx) error) error {
	if db.write != nil {
		return db.write.run(ctx, actor, fn)
	}
	return db.again(ctx, func() error { return db.transact(ctx, actor, fn) })
}

// Command is Write for a function that reads and then changes with one call of
// this package. It is the hot path: see the package comment.
func (db *DB) Command(ctx context.Context, actor access.Actor, fn func(tx *Tx) error) error {
	if db.write != nil {
		return db.write.run(ctx, actor, fn)
	}
	return db.again(ctx, func() error {
		tx := db.newTx(ctx, actor, modeCommand)
		defer tx.free()
		err := fn(tx)
		if errors.Is(err, errTransaction) {
			return db.transact(ctx, actor, fn)
		}
		tx.done(err)
		return err
	})
}

// errTransaction says that a rare case needs more than one statement after all.
var errTransaction = errors.New("this change needs a transaction")

// again repeats a command that lost against another writer. The bound is high
// because a hot row with many writers lets only one win each time.
func (db *DB) again(ctx context.Context, command func() error) error {
	var err error
	for try := range 40 {
		if err = command(); err == nil || !stale(err) {
			return err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(time.Millisecond) << min(try, 6))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
	return err
}

// begin begins a transaction on a connection of which copyMany can ask for the driver's. One
// that was cut while nobody used it shows that here, and another one is taken, as
// database/sql does where it chooses.
func (db *DB) begin(ctx context.Context) (*sqlx.Conn, *sqlx.Tx, error) {
	for tries := db.sql.Stats().MaxOpenConnections; ; tries-- {
		conn, err := db.sql.Connx(ctx)
		if err != nil {
			return nil, nil, err
		}
		pg, err := conn.BeginTxx(ctx, nil)
		if err == nil {
			return conn, pg, nil
		}
		conn.Close()
		if tries <= 0 || !errors.Is(err, driver.ErrBadConn) {
			return nil, nil, err
		}
	}
}

func (db *DB) transact(ctx context.Context, actor access.Actor, fn func(tx *Tx) error) (err error) {
	conn, pg, err := db.begin(ctx)
	if err != nil {
		return classify(err)
	}
	defer conn.Close()
	tx := db.newTx(ctx, actor, modeWrite)
	defer tx.free()
	tx.pg, tx.conn = pg, conn
	defer func() {
		if p := recover(); p != nil {
			pg.Rollback()
			panic(p)
		}
	}()
	if err = fn(tx); err == nil {
		err = tx.sendPosted()
	}
	if err != nil {
		pg.Rollback()
		return err
	}
	if err = classify(pg.Commit()); err != nil {
		return err
	}
	conn.Close() // what comes now may need one
	for _, query := range tx.missed {
		if _, err := db.stmts.get(ctx, query); err != nil {
			db.log.WarnContext(ctx, "prepare", "query", firstLine(query), "error", err)
		}
	}
	tx.done(nil)
	return nil
}

func (tx *Tx) done(err error) {
	if err != nil {
		return
	}
	for _, f := range tx.after {
		f()
	}
}

// Org is the organization that tx is bound to.
func (tx *Tx) Org() OrgID { return OrgID(tx.actor.Org) }

// Actor is who acts.
func (tx *Tx) Actor() access.Actor { return tx.actor }

// Now is the time of this command.
func (tx *Tx) Now() Time { return TimeOf(tx.db.now()) }

// Context is the caller's context.
func (tx *Tx) Context() context.Context { return tx.ctx }

// AfterCommit has f called once the change is safe. It is not called otherwise.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// ForUpdate ends a SELECT whose rows are about to be changed. It is empty on
// SQLite, where a writer is alone.
func (tx *Tx) ForUpdate() string {
	if tx.pg != nil {
		return " FOR UPDATE"
	}
	return ""
}

// Require refuses with Denied unless the actor holds p in an organization.
func (tx *Tx) Require(p access.Permission) error {
	if tx.actor.Org == "" {
		return fault.Denied.Say("No organization was chosen.")
	}
	if !tx.actor.May(p) {
		return fault.Denied.Say("Your role does not permit this (%s). Ask an admin of your organization.", p)
	}
	return nil
}

// changing refuses a change where there must be none, or one only.
func (tx *Tx) changing(query string) error {
	if tx.mode == modeRead {
		return errors.New("a change inside Read: " + firstLine(query))
	}
	if tx.changes++; tx.mode == modeCommand && tx.changes > 1 {
		return errors.New("a second change inside Command: " + firstLine(query))
	}
	return nil
}

// Exec runs one changing statement and tells how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if err := tx.changing(query); err != nil {
		return 0, err
	}
	if err := tx.sendPosted(); err != nil {
		return 0, err
	}
	r, err := tx.exec(query, args)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", firstLine(query), classify(err))
	}
	return r.RowsAffected()
}

func (tx *Tx) exec(query string, args []any) (sql.Result, error) {
	return tx.execIn(tx.ctx, query, args)
}

// execByKey is byKey for a change.
func (tx *Tx) execByKey(query string, args []any) (sql.Result, error) {
	if tx.pg != nil || tx.w != nil { // the transaction is watched
		return tx.exec(query, args)
	}
	ctx, err := tx.db.lanes.enter(tx.ctx)
	if err != nil {
		return nil, err
	}
	defer tx.db.lanes.leave()
	return tx.execIn(ctx, query, args)
}

func (tx *Tx) execIn(ctx context.Context, query string, args []any) (sql.Result, error) {
	st, err := tx.stmt(query)
	switch {
	case err != nil:
		return nil, err
	case st != nil:
		return st.ExecContext(ctx, args...)
	default:
		return tx.raw().ExecContext(ctx, tx.db.d.text(query), args...)
	}
}

// Get reads one row into a struct with db tags or a scalar. Faults: NotFound.
func (tx *Tx) Get(dest any, query string, args ...any) error {
	st, err := tx.stmt(query)
	switch {
	case err != nil:
	case st != nil:
		err = st.GetContext(tx.ctx, dest, args...)
	default:
		err = sqlx.GetContext(tx.ctx, tx.raw(), dest, tx.db.d.text(query), args...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", firstLine(query), noRow(err))
	}
	return nil
}

// Select reads all rows into a slice. Use it only where the number is bounded.
func (tx *Tx) Select(dest any, query string, args ...any) error {
	st, err := tx.stmt(query)
	switch {
	case err != nil:
	case st != nil:
		err = st.SelectContext(tx.ctx, dest, args...)
	default:
		err = sqlx.SelectContext(tx.ctx, tx.raw(), dest, tx.db.d.text(query), args...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", firstLine(query), classify(err))
	}
	return nil
}

// query hands each row to scan. scan must not run another query: the
// connection is in use.
func (tx *Tx) query(query string, args []any, scan func(*sqlx.Rows) error) error {
	return tx.queryIn(tx.ctx, query, args, scan)
}

// byKey is query for a statement on a few rows that it finds by their keys, see lanes.
func (tx *Tx) byKey(query string, args []any, scan func(*sqlx.Rows) error) error {
	if tx.pg != nil || tx.w != nil { // the transaction is watched
		return tx.query(query, args, scan)
	}
	ctx, err := tx.db.lanes.enter(tx.ctx)
	if err != nil {
		return err
	}
	defer tx.db.lanes.leave()
	return tx.queryIn(ctx, query, args, scan)
}

func (tx *Tx) queryIn(ctx context.Context, query string, args []any, scan func(*sqlx.Rows) error) error {
	st, err := tx.stmt(query)
	var rows *sqlx.Rows
	switch {
	case err != nil:
	case st != nil:
		rows, err = st.QueryxContext(ctx, args...)
	default:
		rows, err = tx.raw().QueryxContext(ctx, tx.db.d.text(query), args...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", firstLine(query), classify(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return classify(rows.Err())
}

// stmt is the prepared statement for query, or nil to run it unprepared.
func (tx *Tx) stmt(query string) (*sqlx.Stmt, error) {
	if tx.db.seen != nil {
		tx.db.seen(query)
	}
	switch {
	case tx.w != nil:
		return tx.w.prepare(tx.ctx, query)
	case tx.pg != nil:
		if st := tx.db.stmts.cached(query); st != nil {
			return tx.pg.StmtxContext(tx.ctx, st), nil
		}
		tx.missed = append(tx.missed, query)
		return nil, nil
	default:
		return tx.db.stmts.get(tx.ctx, query)
	}
}

type runner interface {
	sqlx.ExecerContext
	sqlx.QueryerContext
}

func (tx *Tx) raw() runner {
	switch {
	case tx.w != nil:
		return tx.w.conn
	case tx.pg != nil:
		return tx.pg
	default:
		return tx.db.sql
	}
}

// Lookup reads one row across organizations: for what must be found before an
// organization is known (a token, a session, a mail domain). Faults: NotFound.
func (db *DB) Lookup(ctx context.Context, dest any, query string, args ...any) error {
	return db.newTx(ctx, access.Actor{}, modeRead).Get(dest, query, args...)
}

// LookupRow is Lookup of a row whose columns are scanned into dest: for what is looked
// up on each request, where finding the fields of a struct costs a third of the time.
func (db *DB) LookupRow(ctx context.Context, query string, args []any, dest ...any) error {
	found := false
	err := db.newTx(ctx, access.Actor{}, modeRead).byKey(query, args, func(rows *sqlx.Rows) error {
		found = true
		return rows.Scan(dest...)
	})
	if err == nil && !found {
		err = fmt.Errorf("%s: %w", firstLine(query), noRow(sql.ErrNoRows))
	}
	return err
}

// LookupAll is Lookup for several rows.
func (db *DB) LookupAll(ctx context.Context, dest any, query string, args ...any) error {
	return db.newTx(ctx, access.Actor{}, modeRead).Select(dest, query, args...)
}

// Sweep removes or marks what has expired, across organizations.
func (db *DB) Sweep(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = db.Write(ctx, access.Muster(""), func(tx *Tx) error {
		n, err = tx.Exec(query, args...)
		return err
	})
	return n, err
}

// step is one more statement of a change. Its text ends in "... {{gate}}", or is one {{row}}, so that
// it does nothing when the head changed nothing. What is selected behind the steps
// has run the head to its end before any of them begins.
type step struct {
	sql  string
	args []any
}

// change runs a head statement, the steps that belong to it and the activity row,
// and tells how many rows the head changed; with none, nothing else happens. On
// PostgreSQL all of it is one statement (measured: 1.8 to 3.5 times the rate of a
// transaction of several), which SQLite cannot do and does not need.
func (tx *Tx) change(head step, steps []step, act Activity) (int64, error) {
	if err := tx.changing(head.sql); err != nil {
		return 0, err
	}
	if err := tx.sendPosted(); err != nil {
		return 0, err
	}
	record, err := tx.activityStep(&act)
	if err != nil {
		return 0, err
	}
	if !tx.db.d.oneStmt {
		n, err := tx.changeInSteps(head, append(steps, record))
		if n > 0 && err == nil && act.unnamed() {
			err = tx.Get(&act.TargetName, "SELECT name FROM groups WHERE org_id = ? AND id = ?", tx.Org(), act.TargetID)
		}
		if n > 0 && err == nil {
			tx.tell(act)
		}
		return n, err
	}
	done, err := tx.changeAtOnce(head, append(steps, record), act.unnamed())
	if err != nil || done.N == 0 {
		return 0, err
	}
	if act.unnamed() {
		act.TargetName = done.Name
	}
	tx.tell(act)
	return done.N, nil
}

// changed is what a change in one statement tells.
type changed struct {
	N    int64
	Name string // of a group that was not read before
}

// changeAtOnce writes the steps behind the head. The last one is the activity row,
// which knows the name. Without it the count of rows is all that comes back, for
// which no result is read: that saves a tenth of the client's time.
func (tx *Tx) changeAtOnce(head step, steps []step, askName bool) (done changed, err error) {
	query := tx.compose(head, steps, askName)
	args := append(make([]any, 0, 48), head.args...)
	for _, s := range steps {
		args = append(args, s.args...)
	}
	if askName {
		return done, tx.byKey(query, args, func(rows *sqlx.Rows) error { return rows.Scan(&done.N, &done.Name) })
	}
	r, err := tx.execByKey(query, args)
	if err != nil {
		return done, fmt.Errorf("%s: %w", firstLine(query), classify(err))
	}
	done.N, err = r.RowsAffected()
	return done, err
}

// compose is the text of changeAtOnce. It is longer than all else that a command
// makes, so one that was run before is not made again.
func (tx *Tx) compose(head step, steps []step, askName bool) string {
	box := buffers.Get().(*[]byte)
	defer buffers.Put(box)
	text := append(append(append((*box)[:0], "WITH head AS ("...), head.sql...), " RETURNING 1)"...)
	for i, s := range steps {
		text = append(strconv.AppendInt(append(text, ", s"...), int64(i), 10), " AS ("...)
		text = append(text, s.sql...)
		if askName && i == len(steps)-1 {
			text = append(text, " RETURNING target_name"...)
		}
		text = append(text, ')')
	}
	if askName {
		text = strconv.AppendInt(append(text, " SELECT count(*), COALESCE((SELECT target_name FROM s"...), int64(len(steps)-1), 10)
		text = append(text, "), '') FROM head"...)
	} else {
		text = append(text, " SELECT 1 FROM head"...)
	}
	*box = text
	return tx.db.stmts.text(text)
}

func (tx *Tx) changeInSteps(head step, steps []step) (int64, error) {
	r, err := tx.exec(head.sql, head.args)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", firstLine(head.sql), classify(err))
	}
	n, err := r.RowsAffected()
	if err != nil || n == 0 {
		return n, err
	}
	for _, s := range steps {
		if _, err := tx.exec(s.sql, s.args); err != nil {
			return 0, fmt.Errorf("%s: %w", firstLine(s.sql), classify(err))
		}
	}
	return n, nil
}

func firstLine(query string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(query), "\n")
	return line[:min(len(line), 80)]
}

// jsonList is a set of ids as the {{ids}} word wants it.
func jsonList[T ~string](list []T) string {
	if list == nil {
		return "[]"
	}
	b, _ := json.Marshal(list) // strings always marshal
	return string(b)
}
