package store_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// commands runs each of fns as a command of SQLite. The first one runs until all others wait.
func commands(db *store.DB, admin access.Actor, fns ...func(*store.Tx) error) []error {
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	errs[0] = db.Write(ctx, admin, func(tx *store.Tx) error {
		err := fns[0](tx)
		for i := 1; i < len(fns); i++ {
			wg.Go(func() { errs[i] = db.Write(ctx, admin, fns[i]) })
			for db.Waiting() < i {
				runtime.Gosched()
			}
		}
		return err
	})
	wg.Wait()
	return errs
}

func namesThere(t *testing.T, db *store.DB, admin access.Actor) (names []string) {
	t.Helper()
	if err := db.Read(ctx, admin, func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{})
		for _, p := range page.People {
			names = append(names, p.UserName)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestWhoeverComesWhileACommandRunsSharesItsCommit(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	_, admin := storetest.Org(t, db, "acme")
	refused := errors.New("refused")
	create := func(name string, end error) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			if _, err := newUserIn(tx, name); err != nil {
				return err
			}
			return end
		}
	}
	var before []string
	errs := commands(db, admin, create("a", nil), create("b", refused), create("A", nil), func(tx *store.Tx) error { panic("boom") },
		func(tx *store.Tx) error { before = namesThere(t, db, admin); return create("c", nil)(tx) })
	if errs[0] != nil || !errors.Is(errs[1], refused) || errs[2] == nil || errs[3] == nil || errs[4] != nil {
		t.Errorf("errors: %v", errs)
	}
	if len(before) != 0 {
		t.Errorf("while the last one ran, others saw %v already: that is another commit", before)
	}
	if got := fmt.Sprint(namesThere(t, db, admin)); got != "[a c]" {
		t.Errorf("there are %s, want a and c", got)
	}
}

// The first has no savepoint.
func TestTheFirstOfACommitUndoesItselfAlone(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	_, admin := storetest.Org(t, db, "acme")
	refused := errors.New("refused")
	errs := commands(db, admin, func(tx *store.Tx) error { newUserIn(tx, "a"); return refused },
		func(tx *store.Tx) error { _, err := newUserIn(tx, "b"); return err }, func(tx *store.Tx) error { _, err := newUserIn(tx, "A"); return err })
	if !errors.Is(errs[0], refused) || errs[1] != nil || errs[2] != nil {
		t.Errorf("errors: %v", errs)
	}
	if got := fmt.Sprint(namesThere(t, db, admin)); got != "[A b]" {
		t.Errorf("there are %s, want A and b", got)
	}
}

// What cannot be committed has not happened, whoever of the commit it was: a transaction that
// SQLite has undone by itself takes all of them with it.
func TestACommitThatFailsFailsForAll(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	_, admin := storetest.Org(t, db, "acme")
	errs := commands(db, admin, func(tx *store.Tx) error { _, err := newUserIn(tx, "a"); return err },
		func(tx *store.Tx) error {
			_, err := tx.Exec("ROLLBACK")
			return err
		}, func(tx *store.Tx) error { _, err := newUserIn(tx, "b"); return err })
	if errs[0] == nil || errs[1] == nil {
		t.Errorf("errors: %v", errs)
	}
	if got := fmt.Sprint(namesThere(t, db, admin)); errs[2] != nil || got != "[b]" {
		t.Errorf("there are %s, want b, which came after it: %v", got, errs[2])
	}
	errs = commands(db, admin, func(tx *store.Tx) error {
		_, err := tx.Exec("ROLLBACK")
		return err
	}, func(tx *store.Tx) error { _, err := newUserIn(tx, "c"); return err }, func(tx *store.Tx) error { _, err := newUserIn(tx, "d"); return err })
	if got := fmt.Sprint(namesThere(t, db, admin)); errs[0] == nil || errs[1] == nil || errs[2] != nil || got != "[b d]" {
		t.Errorf("there are %s, want b and d: %v", got, errs)
	}
}
