package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func newGroup(t *testing.T, db *store.DB, actor access.Actor, name string, members ...store.UserID) store.Group {
	t.Helper()
	var g store.Group
	if err := db.Command(ctx, actor, func(tx *store.Tx) (err error) {
		g, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}, Members: members})
		return err
	}); err != nil {
		t.Fatalf("create group %s: %v", name, err)
	}
	return g
}

func change(db *store.DB, actor access.Actor, id store.GroupID, ch store.GroupChange) (store.Group, error) {
	var g store.Group
	run := db.Write
	if ch.Single() {
		run = db.Command
	}
	err := run(ctx, actor, func(tx *store.Tx) error {
		old, err := tx.Group(id)
		if err != nil {
			return err
		}
		g, err = tx.UpdateGroup(old, ch)
		return err
	})
	return g, err
}

func membersOf(t *testing.T, db *store.DB, actor access.Actor, id store.GroupID) map[store.UserID]bool {
	t.Helper()
	got := map[store.UserID]bool{}
	if err := db.Read(ctx, actor, func(tx *store.Tx) error {
		return tx.Members(id, true, func(m store.Member) error { got[m.ID] = true; return nil })
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestNobodyIsNoChangeOfMembers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		g := newGroup(t, db, dir, "Eng", newUser(t, db, dir, "ann@example.com").ID)
		for name, f := range map[string]func(*store.Tx, store.GroupID, []store.UserID) (bool, error){"add": (*store.Tx).AddMembers, "remove": (*store.Tx).RemoveMembers} {
			if err := db.Command(ctx, dir, func(tx *store.Tx) error {
				if changed, err := f(tx, g.ID, nil); changed || err != nil {
					t.Errorf("%s nobody: changed %v, %v", name, changed, err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(membersOf(t, db, dir, g.ID)) != 1 {
			t.Error("the members changed")
		}
	})
}

func TestMembersChangeAsASet(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		var ids []store.UserID
		for i := range 4 {
			ids = append(ids, newUser(t, db, dir, fmt.Sprintf("u%d@example.com", i)).ID)
		}
		g := newGroup(t, db, dir, "Eng", ids[0])
		after, err := change(db, dir, g.ID, store.GroupChange{Add: []store.UserID{ids[0], ids[1]}})
		if err != nil || after.ETagVersion() == g.ETagVersion() {
			t.Fatalf("add: %v, version %s after %s", err, after.ETagVersion(), g.ETagVersion())
		}
		same, err := change(db, dir, g.ID, store.GroupChange{Add: []store.UserID{ids[1]}})
		if err != nil || same.ETagVersion() != after.ETagVersion() || same.UpdatedAt != after.UpdatedAt {
			t.Errorf("adding a member again: %v, %s after %s", err, same.ETagVersion(), after.ETagVersion())
		}
		if _, err := change(db, dir, g.ID, store.GroupChange{Add: []store.UserID{ids[2], store.NewID[store.User]()}}); !fault.Is(err, fault.Invalid) || fault.Field(err) != "members" {
			t.Errorf("unknown member: %v", err)
		}
		if got := membersOf(t, db, dir, g.ID); len(got) != 2 || got[ids[2]] {
			t.Errorf("after a refused change: %v", got)
		}
		replace := []store.UserID{ids[1], ids[3]}
		if _, err := change(db, dir, g.ID, store.GroupChange{Replace: &replace}); err != nil {
			t.Fatalf("replace: %v", err)
		}
		if got := membersOf(t, db, dir, g.ID); len(got) != 2 || !got[ids[1]] || !got[ids[3]] {
			t.Errorf("after replace: %v", got)
		}
		if _, err := change(db, dir, g.ID, store.GroupChange{Remove: []store.UserID{ids[1], ids[0]}}); err != nil {
			t.Fatalf("remove: %v", err)
		}
		if got := membersOf(t, db, dir, g.ID); len(got) != 1 || !got[ids[3]] {
			t.Errorf("after remove: %v", got)
		}
		write(t, db, dir, func(tx *store.Tx) error { _, err := tx.DeleteUser(ids[3], ""); return err })
		if got := membersOf(t, db, dir, g.ID); len(got) != 0 {
			t.Errorf("a deleted person is still a member: %v", got)
		}
		write(t, db, dir, func(tx *store.Tx) error { return tx.DeleteGroup(g.ID) })
		if err := db.Read(ctx, dir, func(tx *store.Tx) error { _, err := tx.Group(g.ID); return err }); !fault.Is(err, fault.NotFound) {
			t.Errorf("deleted group: %v", err)
		}
	})
}

func TestNoMemberChangeIsLost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		var stay, leave []store.UserID
		for i := range 12 {
			stay = append(stay, newUser(t, db, dir, fmt.Sprintf("s%d@example.com", i)).ID)
			leave = append(leave, newUser(t, db, dir, fmt.Sprintf("l%d@example.com", i)).ID)
		}
		g := newGroup(t, db, dir, "Eng", leave...)
		var wg sync.WaitGroup
		for i := range stay {
			wg.Go(func() {
				if _, err := change(db, dir, g.ID, store.GroupChange{Add: []store.UserID{stay[i]}}); err != nil {
					t.Errorf("add %d: %v", i, err)
				}
			})
			wg.Go(func() {
				if _, err := change(db, dir, g.ID, store.GroupChange{Remove: []store.UserID{leave[i]}}); err != nil {
					t.Errorf("remove %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		got := membersOf(t, db, dir, g.ID)
		for i := range stay {
			if !got[stay[i]] || got[leave[i]] {
				t.Errorf("pair %d: stays %v, left %v", i, got[stay[i]], !got[leave[i]])
			}
		}
	})
}

func TestReplacingAtOnceEndsInOneOfTheLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		var lists [2][]store.UserID
		for i := range 6 {
			lists[i%2] = append(lists[i%2], newUser(t, db, dir, fmt.Sprintf("u%d@example.com", i)).ID)
		}
		g := newGroup(t, db, dir, "Eng")
		for range 10 {
			var wg sync.WaitGroup
			for _, list := range lists {
				wg.Go(func() {
					if _, err := change(db, dir, g.ID, store.GroupChange{Replace: &list}); err != nil {
						t.Errorf("replace: %v", err)
					}
				})
			}
			wg.Wait()
			if got := membersOf(t, db, dir, g.ID); len(got) != 3 || got[lists[0][0]] == got[lists[1][0]] {
				t.Fatalf("two replacements mixed: %v", got)
			}
		}
	})
}

func TestMembersChangeWithoutReadingTheGroup(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		other := okta(org, newDirectory(t, db, admin, "Other"))
		a, b, stranger := newUser(t, db, dir, "a@example.com").ID, newUser(t, db, dir, "b@example.com").ID, newUser(t, db, other, "c@example.com").ID
		g := newGroup(t, db, dir, "Staff")
		add, remove := (*store.Tx).AddMembers, (*store.Tx).RemoveMembers
		for _, c := range []struct {
			name    string
			actor   access.Actor
			do      func(*store.Tx, store.GroupID, []store.UserID) (bool, error)
			ids     []store.UserID
			changed bool
			members int
		}{
			{"one", dir, add, []store.UserID{a}, true, 1},
			{"one again", dir, add, []store.UserID{a}, false, 1},
			{"another directory's person", dir, add, []store.UserID{stranger}, false, 1},
			{"all or nobody", dir, add, []store.UserID{b, stranger}, false, 1},
			{"another directory's group", other, add, []store.UserID{stranger}, false, 1},
			{"another directory's member", other, remove, []store.UserID{a}, false, 1},
			{"an admin in a directory's group", admin, add, []store.UserID{b}, false, 1},
			{"two, one of them there, one named twice", dir, add, []store.UserID{a, b, b}, true, 2},
			{"remove nobody", dir, remove, []store.UserID{stranger}, false, 2},
			{"remove one", dir, remove, []store.UserID{b}, true, 1},
			{"remove two, one of them gone", dir, remove, []store.UserID{a, b}, true, 0},
		} {
			var changed bool
			var told []string
			watched := store.Watch(ctx, func(a store.Activity) { told = append(told, a.TargetName) })
			err := db.Command(watched, c.actor, func(tx *store.Tx) (err error) {
				changed, err = c.do(tx, g.ID, c.ids)
				return err
			})
			if n := len(membersOf(t, db, dir, g.ID)); err != nil || changed != c.changed || n != c.members {
				t.Errorf("%s: changed %v, %d members, %v; want %v, %d", c.name, changed, n, err, c.changed, c.members)
			}
			if c.changed != (len(told) == 1 && told[0] == "Staff") || !c.changed && told != nil {
				t.Errorf("%s: the listener was told of %q", c.name, told)
			}
		}
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			log, err := tx.Activities(store.ActivityQuery{Target: string(g.ID)})
			if err == nil && (len(log) != 5 || log[0].Action != "group.member.remove" || log[0].TargetName != "Staff") {
				t.Errorf("the log has %+v; want the creation and 4 changes of the members of Staff", log)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A change of a group's members that has not ended yet holds up no other change of
// them, nor of the versions that count both. (SQLite has one writer at a time.)
func TestAHotGroupDoesNotHoldUpItsWriters(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	org, admin := storetest.Org(t, db, "acme")
	dir := okta(org, newDirectory(t, db, admin, "Okta"))
	var people []store.UserID
	for i := range 12 {
		people = append(people, newUser(t, db, dir, fmt.Sprintf("p%d@example.com", i)).ID)
	}
	g := newGroup(t, db, dir, "Eng", people[:4]...)
	err := db.Write(ctx, dir, func(tx *store.Tx) error {
		if _, err := tx.AddMembers(g.ID, people[4:5]); err != nil {
			return err
		}
		soon, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for i, change := range []store.GroupChange{{Add: people[5:6]}, {Remove: people[:1]}, {Add: people[6:9]}, {Remove: people[1:3]}, {Add: people[9:]}} {
			err := db.Command(soon, dir, func(tx *store.Tx) error {
				g, err := tx.Group(g.ID)
				if err == nil {
					_, err = tx.UpdateGroup(g, change)
				}
				return err
			})
			if err != nil {
				t.Errorf("change %d waits for another one: %v", i, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := membersOf(t, db, dir, g.ID); len(got) != 9 || !got[people[4]] || got[people[0]] {
		t.Errorf("members %v", got)
	}
	var after store.Group
	write(t, db, dir, func(tx *store.Tx) (err error) { after, err = tx.Group(g.ID); return err })
	if after.Epoch != g.Epoch+6 {
		t.Errorf("six changes are counted as %d", after.Epoch-g.Epoch)
	}
}
