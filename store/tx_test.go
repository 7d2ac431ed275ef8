package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Commands share a commit on SQLite and lose alone on both databases.
func TestAFailedCommandUndoesItselfAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		broken := errors.New("broken")
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				err := db.Write(ctx, admin, func(tx *store.Tx) error {
					if _, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": fmt.Sprintf("u%d", i)}, Source: store.FromAPI}); err != nil {
						return err
					}
					if i%2 == 1 {
						return broken
					}
					return nil
				})
				if (i%2 == 1) != errors.Is(err, broken) {
					t.Errorf("command %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		var page store.PeoplePage
		if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { page, err = tx.People(store.PeopleQuery{}); return err }); err != nil {
			t.Fatal(err)
		}
		if page.Total != 20 {
			t.Errorf("%d people, want the 20 whose command succeeded", page.Total)
		}
	})
}

func TestAPanicInACommandHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	_, admin := storetest.Org(t, db, "acme")
	err := db.Write(ctx, admin, func(tx *store.Tx) error {
		newUserIn(tx, "lost@example.com")
		panic("boom")
	})
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatalf("got %v", err)
	}
	newUser(t, db, admin, "lost@example.com") // was not kept, and the writer still works
}

func newUserIn(tx *store.Tx, name string) (store.User, error) {
	return tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": name}, Source: store.FromAPI})
}

func TestACancelledCallerChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := db.Write(gone, admin, func(tx *store.Tx) error { _, err := newUserIn(tx, "a"); return err }); err == nil {
			t.Error("a cancelled write succeeded")
		}
		newUser(t, db, admin, "a")
	})
}

func TestReadChangesNothingAndCommandOneThing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		if err := db.Read(ctx, admin, func(tx *store.Tx) error { _, err := newUserIn(tx, "a"); return err }); err == nil {
			t.Error("Read created a user")
		}
		ran := false
		if err := db.Write(ctx, admin, func(tx *store.Tx) error {
			tx.AfterCommit(func() { ran = true })
			return fault.Invalid.Say("no")
		}); err == nil || ran {
			t.Errorf("after a refused write: %v, AfterCommit ran: %v", err, ran)
		}
		if err := db.Write(ctx, access.Actor{Kind: access.Person, Org: admin.Org, Roles: []string{access.Viewer}}, func(tx *store.Tx) error {
			_, err := newUserIn(tx, "b")
			return err
		}); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer created a user: %v", err)
		}
	})
}

func TestAClosedDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	_, admin := storetest.Org(t, db, "acme")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(ctx, admin, func(tx *store.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("write after close: %v", err)
	}
}

// Promise 4: a change and its activity row commit together or not at all.
func TestNothingChangesWithoutItsActivity(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": storetest.SQLiteURL(t), "postgres": storetest.PostgresURL(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(ctx, store.Options{URL: url, MaxConns: 4, NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			_, admin := storetest.Org(t, db, "acme")
			u := newUser(t, db, admin, "ann@example.com")
			g := newGroup(t, db, admin, "Crew")
			breakActivity(t, name, url)
			for what, f := range map[string]func(tx *store.Tx) error{
				"create": func(tx *store.Tx) error { _, err := newUserIn(tx, "new@example.com"); return err },
				"update": func(tx *store.Tx) error { return title(tx, u.ID, "Boss") },
				"end":    func(tx *store.Tx) error { _, err := tx.Deactivate(u.ID, ""); return err },
				"delete": func(tx *store.Tx) error { _, err := tx.DeleteUser(u.ID, ""); return err },
				"grant":  func(tx *store.Tx) error { return tx.Grant(u.ID, access.Admin, store.Manual) },
				"members": func(tx *store.Tx) error {
					_, err := tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{u.ID}})
					return err
				},
			} {
				if err := db.Write(ctx, admin, f); err == nil {
					t.Errorf("%s succeeded without a record", what)
				}
			}
			err = db.Read(ctx, admin, func(tx *store.Tx) error {
				page, err := tx.People(store.PeopleQuery{})
				if err != nil {
					return err
				}
				if p := page.People[0]; page.Total != 1 || p.Version != 1 || p.Status != store.Active || len(p.Groups) != 0 || p.Grants[0].Role != store.DefaultRole {
					t.Errorf("changed without a record: %+v", page)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func title(tx *store.Tx, id store.UserID, title string) error {
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	doc, err := u.Attributes()
	if err != nil {
		return err
	}
	doc["title"] = title
	_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
	return err
}

// breakActivity makes the database refuse every activity row.
func breakActivity(t *testing.T, driver, url string) {
	t.Helper()
	db, err := sql.Open(driver, strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	statement := "ALTER TABLE activity ADD CONSTRAINT broken CHECK (false) NOT VALID"
	if driver == "sqlite" {
		statement = "CREATE TRIGGER broken BEFORE INSERT ON activity BEGIN SELECT RAISE(ABORT, 'broken'); END"
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
