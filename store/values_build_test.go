package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// walkers are two servers on one database with people who have no search words, as an
// older version left them, and one who has a word too many.
func walkers(t *testing.T, url string, clock *storetest.Clock, n int) (servers [2]*store.DB, admin access.Actor, ids []store.UserID) {
	t.Helper()
	for i := range servers {
		db, err := store.Open(ctx, store.Options{URL: url, MaxConns: 8, NoSync: true, Now: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		servers[i] = db
	}
	_, admin = storetest.Org(t, servers[0], "acme")
	err := servers[0].Write(ctx, admin, func(tx *store.Tx) error {
		for i := range n {
			u, err := tx.CreateUser(store.NewUser{Source: store.FromAPI, Doc: store.Profile{UserName: fmt.Sprintf("u%03d", i), GivenName: "Ada", FamilyName: fmt.Sprint("Lovelace", i), EmployeeNumber: fmt.Sprint(7000 + i)}.Doc()})
			if err != nil {
				return err
			}
			ids = append(ids, u.ID)
		}
		if _, err := tx.Exec("DELETE FROM user_values WHERE org_id = ? AND attr = ' word'", tx.Org()); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO user_values (org_id, attr, value_key, kind, user_id) VALUES (?, ' word', 'wrong', '', ?)", tx.Org(), ids[0])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return servers, admin, ids
}

// beginWalk is what a migration writes.
func beginWalk(t *testing.T, db *store.DB, admin access.Actor, due store.Time, after store.UserID, rounds int) {
	t.Helper()
	err := db.Write(ctx, admin, func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO value_walks (org_id, due_at, after_id, rounds) VALUES (?, ?, ?, ?)", tx.Org(), due, after, rounds)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// findable is how many people a search for their number finds, and how many walks are left.
func findable(t *testing.T, db *store.DB, admin access.Actor) (people, walks int) {
	t.Helper()
	err := db.Read(ctx, admin, func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{Search: "7"})
		people = page.Total
		return errors.Join(err, tx.Get(&walks, "SELECT COUNT(*) FROM value_walks WHERE org_id = ?", tx.Org()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return people, walks
}

func eachURL(t *testing.T, run func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); run(t, storetest.SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); run(t, storetest.PostgresURL(t)) })
}

// Who was written before there were search words gets them, from two servers that walk at
// once while both change the same people, and again for what an old server wrote meanwhile.
func TestPeopleOfAnOlderVersionGetTheirWords(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		clock := storetest.NewClock()
		servers, admin, ids := walkers(t, url, clock, 350)
		beginWalk(t, servers[0], admin, 0, store.UserID(strings.Repeat("0", 32)), 2)
		if people, walks := findable(t, servers[0], admin); people != 0 || walks != 1 {
			t.Fatalf("%d can be found before, %d walks", people, walks)
		}
		var wg sync.WaitGroup
		for i, db := range servers {
			wg.Go(func() {
				if err := db.TendValues(ctx); err != nil {
					t.Errorf("server %d: %v", i, err)
				}
			})
			wg.Go(func() {
				for at := range 60 {
					err := db.Write(ctx, admin, func(tx *store.Tx) error {
						u, err := tx.User(ids[at*5])
						if err != nil {
							return err
						}
						doc, err := u.Attributes()
						if err != nil {
							return err
						}
						p := u.Profile()
						p.EmployeeNumber = fmt.Sprint(7900+at, i)
						p.Apply(doc)
						_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
						return err
					})
					if err != nil && !fault.Is(err, fault.Unavailable) {
						t.Errorf("server %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		if people, walks := findable(t, servers[1], admin); people != len(ids) || walks != 1 {
			t.Errorf("after the first round %d of %d can be found, %d walks are left", people, len(ids), walks)
		}
		if wrong := check(t, servers[1], admin); len(wrong) > 0 {
			t.Errorf("not sound: %v", wrong)
		}
		err := servers[0].Write(ctx, admin, func(tx *store.Tx) error {
			_, err := tx.Exec("DELETE FROM user_values WHERE org_id = ? AND user_id = ?", tx.Org(), ids[7])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := servers[1].TendValues(ctx); err != nil {
				t.Fatal(err)
			}
			clock.Pass(time.Hour)
		}
		if people, walks := findable(t, servers[0], admin); people != len(ids) || walks != 0 {
			t.Errorf("after the second round %d of %d can be found, %d walks are left", people, len(ids), walks)
		}
	})
}

// A server that ended in the middle: the others leave its walk alone as long as it may
// live, and then go on behind the last of its people.
func TestAWalkGoesOnWhereAServerEnded(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		clock := storetest.NewClock()
		servers, admin, ids := walkers(t, url, clock, 250)
		beginWalk(t, servers[0], admin, store.TimeOf(clock.Now().Add(time.Minute)), ids[119], 2)
		tend := func(want, left int) {
			t.Helper()
			if err := servers[1].TendValues(ctx); err != nil {
				t.Fatal(err)
			}
			if people, walks := findable(t, servers[1], admin); people != want || walks != left {
				t.Errorf("%d can be found, %d walks; want %d and %d", people, walks, want, left)
			}
		}
		tend(0, 1)
		clock.Pass(2 * time.Minute)
		tend(130, 1)
		clock.Pass(2 * time.Hour)
		tend(250, 0)
		if wrong := check(t, servers[0], admin); len(wrong) > 0 {
			t.Errorf("not sound: %v", wrong)
		}
	})
}
