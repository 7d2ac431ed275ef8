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
		if err := wordless(tx); err != nil {
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

// wordless takes away all words by which people are found.
func wordless(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM user_values WHERE org_id = ? AND attr = ' word'", tx.Org())
	if err == nil {
		_, err = tx.Exec("UPDATE users SET word_key = NULL, number_key = NULL, phone_key = NULL WHERE org_id = ?", tx.Org())
	}
	return err
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
			_, err := tx.Exec("UPDATE users SET number_key = NULL WHERE org_id = ? AND id = ?", tx.Org(), ids[7])
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

// A version before has left each word as a row. Whoever has these is found as well, and they
// become columns; what a server of that version writes meanwhile, too.
func TestRowsOfWordsBecomeColumns(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, admin := storetest.Org(t, db, "acme")
		var grace, ada store.User
		rows := func(tx *store.Tx, u store.User, words ...string) error {
			for _, w := range words {
				if _, err := tx.Exec("INSERT INTO user_values (org_id, attr, value_key, kind, user_id) VALUES (?, ' word', ?, '', ?)", tx.Org(), w, u.ID); err != nil {
					return err
				}
			}
			return nil
		}
		write(t, db, admin, func(tx *store.Tx) (err error) {
			p := store.Profile{UserName: "u1", Email: "u1@example.com", GivenName: "Grace Brewster", FamilyName: "Hopper", EmployeeNumber: "E-17", Phone: "+49 30 123456"}
			if grace, err = tx.CreateUser(store.NewUser{Source: store.FromAPI, Doc: p.Doc()}); err != nil {
				return err
			}
			p = store.Profile{UserName: "u2", GivenName: "Ada", FamilyName: "Lovelace"}
			if ada, err = tx.CreateUser(store.NewUser{Source: store.FromAPI, Doc: p.Doc()}); err != nil {
				return err
			}
			if err = wordless(tx); err != nil {
				return err
			}
			return errors.Join(rows(tx, grace, "grace", "brewster", "e-17", "☎6543210394"), rows(tx, ada, "ada"))
		})
		finds := func(when string, name string, searches ...string) {
			t.Helper()
			for _, s := range searches {
				err := db.Read(ctx, admin, func(tx *store.Tx) error {
					page, err := tx.People(store.PeopleQuery{Search: s})
					if len(page.People) != 1 || page.People[0].UserName != name {
						t.Errorf("%s: %q finds %+v", when, s, page.People)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			found := 0
			if err := db.Read(ctx, admin, func(tx *store.Tx) error {
				_, err := tx.EachUser(store.Query{Where: store.HasValue("phoneNumbers", "+49 30 123456"), Limit: 10}, func(store.User) error { found++; return nil })
				return err
			}); err != nil || found != 1 {
				t.Errorf("%s: %d have the number: %v", when, found, err)
			}
		}
		left := func(when string, want int) {
			t.Helper()
			var n int
			if err := db.Read(ctx, admin, func(tx *store.Tx) error {
				return tx.Get(&n, "SELECT COUNT(*) FROM user_values WHERE org_id = ?", tx.Org())
			}); err != nil || n != want {
				t.Errorf("%s: %d rows, want %d: %v", when, n, want, err)
			}
		}
		of := []string{"gra", "brewster", "E-1", "030 123456", "3456", "grace hopper", "grace brew e-17"}
		finds("before", "u1", of...)
		beginWalk(t, db, admin, 0, store.UserID(strings.Repeat("0", 32)), 2)
		if err := db.TendValues(ctx); err != nil {
			t.Fatal(err)
		}
		finds("after", "u1", of...)
		left("after", 1)                               // the second of the given names
		write(t, db, admin, func(tx *store.Tx) error { // as a server that knows no columns renames her
			_, err := tx.Exec("UPDATE users SET word_key = 'augusta' WHERE org_id = ? AND id = ?", tx.Org(), ada.ID)
			return errors.Join(err, rows(tx, ada, "ada"))
		})
		clock.Pass(2 * time.Hour)
		if err := db.TendValues(ctx); err != nil {
			t.Fatal(err)
		}
		left("in the end", 1)
		finds("in the end", "u2", "ada")
		if wrong := check(t, db, admin); len(wrong) > 0 {
			t.Errorf("not sound: %v", wrong)
		}
	})
}
