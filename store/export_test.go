package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"

	"github.com/muster-id/muster/internal/access"
)

// PlanUsers is how the database would go about a page of EachUser.
func (tx *Tx) PlanUsers(q Query) (string, error) { return tx.userList(q).plan() }

// PlanGroups is PlanUsers for EachGroup.
func (tx *Tx) PlanGroups(q Query) (string, error) { return tx.groupList(q).plan() }

// PlanSortedUsers is PlanUsers for a page of SortedUsers behind a place.
func (tx *Tx) PlanSortedUsers(q Query, by Sort) (string, error) {
	return tx.userList(q).planSorted(by)
}

// PlanSortedGroups is PlanSortedUsers for SortedGroups.
func (tx *Tx) PlanSortedGroups(q Query, by Sort) (string, error) {
	return tx.groupList(q).planSorted(by)
}

// PlanGroupsOf is how the database would go about GroupsOf.
func (tx *Tx) PlanGroupsOf(ids []UserID) (string, error) {
	return listing{tx: tx}.explain(tx.directGroups(ids))
}

// PlanUsersBy is how the database would go about UsersBy with a list of values of a column.
func (tx *Tx) PlanUsersBy(column, keys string) (string, error) {
	return listing{tx: tx}.explain(tx.usersByKeys(column, keys))
}

// PlanActivities is how the database would go about Activities.
func (tx *Tx) PlanActivities(q ActivityQuery) (string, error) {
	query, args := tx.activityQuery(q)
	return listing{tx: tx}.explain(query, args)
}

func (l listing) planSorted(by Sort) (string, error) {
	w := walk{l: l, by: by, where: l.sentence(), at: l.q.After}
	if l.id == "id" { // users, whose rows are read in the order of an index
		w.scan = func(*sqlx.Rows, *sql.NullString) (string, error) { return "", nil }
	}
	w.start()
	return l.explain(w.statement(100))
}

func (l listing) plan() (string, error) { return l.explain(l.page(l.sentence(), "", 100)) }

func (l listing) explain(query string, args []any) (string, error) {
	explain := "EXPLAIN QUERY PLAN "
	if l.tx.db.d == &postgres {
		explain = "EXPLAIN "
	}
	var out strings.Builder
	err := l.tx.rows(explain+query, args, func(rows *sqlx.Rows) error {
		columns, err := rows.SliceScan()
		if err == nil {
			last := columns[len(columns)-1]
			if b, ok := last.([]byte); ok {
				last = string(b)
			}
			out.WriteString(last.(string) + "\n")
		}
		return err
	})
	return out.String(), err
}

// sqliteBegun is true once an SQLite database has come to the condition of Endless.
var sqliteBegun atomic.Bool

func init() {
	sqlite.MustRegisterScalarFunction("endless_begins", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		sqliteBegun.Store(true)
		return int64(1), nil
	})
}

// Endless is a condition that keeps the database at the first row that it looks at,
// for ever on SQLite and for three minutes on PostgreSQL, however quick the machine;
// begun tells whether the database has come to it. For one test at a time.
func Endless(t *testing.T, db *DB, actor access.Actor) (endless Cond, begun func() bool) {
	t.Helper()
	if db.d == &sqliteDialect {
		sqliteBegun.Store(false)
		return Cond{scan: true, write: func(s *sentence) {
			s.add("(WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n WHERE endless_begins() = 1) > 0")
		}}, sqliteBegun.Load
	}
	// A sequence moves on even when the statement is undone.
	err := db.Write(context.Background(), actor, func(tx *Tx) error {
		_, err := tx.Exec("CREATE SEQUENCE endless_begins")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return Cond{scan: true, write: func(s *sentence) {
			s.add("CASE WHEN nextval('endless_begins') > 0 THEN pg_sleep(180) IS NOT NULL END")
		}}, func() bool {
			var called bool
			if err := db.sql.Get(&called, "SELECT is_called FROM endless_begins"); err != nil {
				t.Fatal(err)
			}
			return called
		}
}

// TakeLanes takes every lane until what it gives is called. Nobody goes on without a convoy
// that takes long any more.
func (db *DB) TakeLanes() (giveBack func()) {
	db.convoys.mu.Lock()
	db.convoys.patient = time.Hour
	db.convoys.mu.Unlock()
	for range cap(db.lanes) {
		db.lanes <- struct{}{}
	}
	return func() {
		for range cap(db.lanes) {
			db.lanes.leave()
		}
	}
}

// AwaitRiders returns when n commands lead or wait in convoys; at once where there are none.
func (db *DB) AwaitRiders(n int) {
	for on := 0; db.d.oneStmt && on < n; {
		on = 0
		db.convoys.mu.Lock()
		for _, c := range db.convoys.of {
			on += c.aboard
		}
		db.convoys.mu.Unlock()
		runtime.Gosched()
	}
}

// SleepWithin has PostgreSQL sleep, in a search whose cancellation never comes.
func (tx *Tx) SleepWithin(limit time.Duration) error {
	return tx.within(limit, func(tx *Tx) error {
		return tx.rows("SELECT CAST(pg_sleep({{as_int}}) AS text)", []any{180}, func(*sqlx.Rows) error { return nil })
	})
}

// AwaitLockWait returns when some statement waits for another's lock.
func (db *DB) AwaitLockWait(t testing.TB) {
	for waiting := 0; waiting == 0; {
		err := db.sql.Get(&waiting, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// PlanSignIns is how the database finds sign-ins.
func (tx *Tx) PlanSignIns(q SignInQuery) (string, error) {
	query, args, err := tx.signInQuery(q)
	if err != nil {
		return "", err
	}
	return listing{tx: tx}.explain(query, args)
}

// ProfileOf is the profile in a document.
func ProfileOf(doc Doc) Profile { return profileOf(doc) }

// PlanFound is how the database finds whom a word of a search means.
func (tx *Tx) PlanFound(word string) (string, error) {
	query, args := idsOf(askedWords(word)[0].found(tx, false))
	return listing{tx: tx}.explain(query, args)
}

// PlanPeople is how the database goes about a page of People.
func (tx *Tx) PlanPeople(q PeopleQuery) (string, error) {
	l, err := tx.peopleList(q)
	if err != nil {
		return "", err
	}
	near := tx.db.counted.near()
	switch {
	case l.all && l.sort.column == "email_key":
		return listing{tx: tx}.explain(l.byAddress(51))
	case !l.walked():
		return listing{tx: tx}.explain(l.sorted(near, 51))
	}
	var all string
	for i, r := range l.ahead() {
		plan, err := listing{tx: tx}.explain(l.nextOf(r, i == 0, near, 51))
		if err != nil {
			return "", err
		}
		all += plan
	}
	return all, nil
}

// OrgPageQuery is the statement behind OrgPage.
var OrgPageQuery = orgPage

// CountPeopleUpTo makes few people many.
func (db *DB) CountPeopleUpTo(n int) { db.counted = counted(n) }

// Waiting is how many commands SQLite's writer has not begun.
func (db *DB) Waiting() int { return len(db.write.jobs) }
