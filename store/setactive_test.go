package store_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// last is the newest row of the record about somebody, without what is each row's own.
func last(t *testing.T, db *store.DB, admin access.Actor, id store.UserID) (a store.Activity) {
	t.Helper()
	if err := db.Read(ctx, admin, func(tx *store.Tx) error {
		list, err := tx.Activities(store.ActivityQuery{Target: string(id), Limit: 1})
		if err == nil {
			a = list[0]
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a.ID, a.At, a.TargetID = "", 0, ""
	return a
}

func setActive(t *testing.T, db *store.DB, actor access.Actor, id store.UserID, active bool) (u store.User, done bool) {
	t.Helper()
	if err := db.Command(ctx, actor, func(tx *store.Tx) (err error) {
		u, done, err = tx.SetActive(id, active, false)
		return err
	}); err != nil {
		t.Fatalf("active %v: %v", active, err)
	}
	return u, done
}

// The short way must leave what the long one leaves, in the row and in the record.
func TestSetActiveIsUpdateUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		short, long := newUser(t, db, dir, "short@example.com"), newUser(t, db, dir, "long@example.com")
		for _, to := range []store.Status{store.Deactivated, store.Active} {
			u, done := setActive(t, db, dir, short.ID, to == store.Active)
			if done != (db.Dialect() == "postgres") {
				t.Fatalf("to %s: done is %v", to, done)
			}
			if !done {
				return
			}
			var shown store.User
			if err := db.Read(ctx, dir, func(tx *store.Tx) (err error) { shown, err = tx.ShownUser(short.ID, false); return err }); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(shown, u) {
				t.Errorf("to %s: it gave %+v, stored is %+v", to, u, shown)
			}
			stored := readUser(t, db, dir, short.ID)
			write(t, db, dir, func(tx *store.Tx) (err error) {
				long, err = tx.User(long.ID)
				if err == nil {
					long, err = tx.UpdateUser(long, store.UserChange{Status: &to})
				}
				return err
			})
			if u.Status != to || stored.EndedBy != long.EndedBy || u.Version != long.Version || u.UpdatedAt <= short.UpdatedAt {
				t.Errorf("to %s: %+v, by UpdateUser %+v", to, u, long)
			}
			if a, b := last(t, db, admin, short.ID), last(t, db, admin, long.ID); !reflect.DeepEqual(a, b) {
				t.Errorf("to %s: the record has %+v, by UpdateUser %+v", to, a, b)
			}
		}
	})
}

// A change whose answer shows the person has the groups that GroupsOf would have.
func TestChangesShowTheGroups(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		u := newUser(t, db, dir, "a@example.com")
		for _, name := range []string{"Zebras", "Apes"} {
			write(t, db, dir, func(tx *store.Tx) error {
				_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}, Members: []store.UserID{u.ID}})
				return err
			})
		}
		var want []store.GroupRef
		var got store.User
		if err := db.Read(ctx, dir, func(tx *store.Tx) error {
			all, err := tx.GroupsOf([]store.UserID{u.ID})
			if err == nil {
				want = all[u.ID]
				got, err = tx.UserWithGroups(u.ID)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(want) != 2 || !reflect.DeepEqual(got.Groups, want) {
			t.Errorf("UserWithGroups has %v, GroupsOf %v", got.Groups, want)
		}
		if got.Groups = nil; !reflect.DeepEqual(got, readUser(t, db, dir, u.ID)) {
			t.Errorf("UserWithGroups has %+v, User %+v", got, readUser(t, db, dir, u.ID))
		}
		if err := db.Command(ctx, dir, func(tx *store.Tx) error {
			off, done, err := tx.SetActive(u.ID, false, true)
			if done && (!reflect.DeepEqual(off.Groups, want) || off.Status != store.Deactivated) {
				t.Errorf("SetActive has %+v, want the groups %v", off, want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSetActiveLeavesOthersAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir, other := okta(org, newDirectory(t, db, admin, "One")), okta(org, newDirectory(t, db, admin, "Two"))
		_, stranger := storetest.Org(t, db, "other")
		gone := newUser(t, db, dir, "gone@example.com")
		write(t, db, dir, func(tx *store.Tx) error { _, err := tx.DeleteUser(gone.ID, ""); return err })
		for name, id := range map[string]store.UserID{"of another directory": newUser(t, db, other, "b@example.com").ID, "of nobody": newUser(t, db, admin, "c@example.com").ID,
			"of another organization": newUser(t, db, stranger, "d@example.com").ID, "deleted": gone.ID, "active already": newUser(t, db, dir, "e@example.com").ID} {
			active := name == "active already"
			if u, done := setActive(t, db, dir, id, active); done || u.ID != "" {
				t.Errorf("somebody %s: done, %+v", name, u)
			}
		}
		if _, done := setActive(t, db, admin, newUser(t, db, dir, "f@example.com").ID, false); done {
			t.Error("an admin is no directory")
		}
	})
}

// Whoever changes the document meanwhile must not undo the deactivation, nor lose.
func TestSetActiveAndOtherChangesBothStay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		for i := range 20 {
			u := newUser(t, db, dir, fmt.Sprintf("u%d@example.com", i))
			failed := make(chan error, 2)
			go func() {
				failed <- db.Command(ctx, dir, func(tx *store.Tx) error {
					now, err := tx.User(u.ID)
					if err != nil {
						return err
					}
					doc, err := now.Attributes()
					if err == nil {
						doc["title"] = "Boss"
						_, err = tx.UpdateUser(now, store.UserChange{Doc: doc})
					}
					return err
				})
			}()
			go func() {
				failed <- db.Command(ctx, dir, func(tx *store.Tx) error {
					_, done, err := tx.SetActive(u.ID, false, true)
					if err != nil || done {
						return err
					}
					now, err := tx.User(u.ID)
					if err == nil {
						to := store.Deactivated
						_, err = tx.UpdateUser(now, store.UserChange{Status: &to})
					}
					return err
				})
			}()
			for range 2 {
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
			}
			if now := readUser(t, db, dir, u.ID); now.Status != store.Deactivated || now.Profile().Title != "Boss" || now.Version != 3 {
				t.Fatalf("%+v", now)
			}
		}
	})
}

func readUser(t *testing.T, db *store.DB, actor access.Actor, id store.UserID) (u store.User) {
	t.Helper()
	if err := db.Read(ctx, actor, func(tx *store.Tx) (err error) {
		u, err = tx.User(id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return u
}
