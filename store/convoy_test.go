package store_test

import (
	"context"
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

// atOnce runs n commands such that those that can share statements do so, and gives their outcomes.
func atOnce(db *store.DB, n int, command func(i int) error) []error {
	giveBack := db.TakeLanes()
	errs, ended := make([]error, n), make(chan bool)
	for i := range n {
		go func() {
			errs[i] = command(i)
			ended <- true
		}()
		db.AwaitRiders(i + 1) // one after the other: the first few lead
	}
	giveBack()
	for range n {
		<-ended
	}
	return errs
}

// as is a directory's request number i.
func as(dir access.Actor, i int) access.Actor {
	dir.Request, dir.IP = fmt.Sprintf("request-%d", i), "192.0.2.1"
	return dir
}

// toldOf are the requests that the record about somebody names, by action.
func toldOf(t *testing.T, db *store.DB, admin access.Actor, target string) (told []string) {
	t.Helper()
	if err := db.Read(ctx, admin, func(tx *store.Tx) error {
		list, err := tx.Activities(store.ActivityQuery{Target: target, Limit: 200})
		for _, a := range list {
			told = append(told, fmt.Sprintf("%s %v %s %v", a.Action, a.Detail["request"], a.TargetName, a.Detail["users"]))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	return told
}

func shared(db *store.DB, seen *storetest.Seen) (statements int) {
	for _, s := range seen.Take() {
		if strings.HasPrefix(s, "WITH asked") {
			statements++
		}
	}
	return statements
}

func wantShared(t *testing.T, db *store.DB, seen *storetest.Seen, what string) {
	t.Helper()
	if n := shared(db, seen); (n > 0) != (db.Dialect() == "postgres") {
		t.Errorf("%s: %d statements were shared", what, n)
	}
}

const atATime = 12

// Commands that share a statement leave what each alone would leave: the rows, the counts and
// a row of the record for each, with its own request.
func TestCommandsThatShareAStatement(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		var group store.Group
		write(t, db, dir, func(tx *store.Tx) (err error) {
			group, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "All"}})
			return err
		})
		users := make([]store.User, atATime)
		do := func(what string, command func(tx *store.Tx, i int) error) {
			t.Helper()
			seen.Take()
			for i, err := range atOnce(db, atATime, func(i int) error {
				return db.Command(ctx, as(dir, i), func(tx *store.Tx) error { return command(tx, i) })
			}) {
				if err != nil {
					t.Fatalf("%s %d: %v", what, i, err)
				}
			}
			wantShared(t, db, seen, what)
		}
		do("create", func(tx *store.Tx, i int) (err error) {
			name := fmt.Sprintf("Person%d@example.com", i)
			users[i], err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name, GivenName: "Ann", FamilyName: "Bell"}.Doc(), Source: store.FromSCIM})
			return err
		})
		alone := newUser(t, db, dir, "alone@example.com")
		for i, u := range users {
			got := readUser(t, db, dir, u.ID)
			if got.CreatedAt != u.CreatedAt || got.UserName != fmt.Sprintf("Person%d@example.com", i) || got.Version != 1 || got.DirectoryID != alone.DirectoryID || got.Status != store.Active || got.ExternalID != "" || got.ManagerID != "" {
				t.Errorf("created %+v, given %+v", got, u)
			}
		}
		do("off", func(tx *store.Tx, i int) error {
			u, done, err := tx.SetActive(users[i].ID, false, true)
			if done && (u.ID != users[i].ID || u.Status != store.Deactivated || u.Version != 2) {
				t.Errorf("deactivated %+v", u)
			}
			if err == nil && !done {
				err = deactivate(tx, users[i].ID)
			}
			return err
		})
		do("rewrite", func(tx *store.Tx, i int) error {
			u, err := tx.User(users[i].ID)
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			doc["title"] = fmt.Sprint("Title ", i)
			users[i], err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		for i, u := range users {
			got := readUser(t, db, dir, u.ID)
			if doc, err := got.Attributes(); err != nil || doc["title"] != fmt.Sprint("Title ", i) || got.Version != 3 || got.UpdatedAt != u.UpdatedAt || got.Status != store.Deactivated {
				t.Errorf("rewritten %+v, given %+v, %v", got, u, err)
			}
		}
		member := func(what string, change func(*store.Tx, store.GroupID, []store.UserID) (bool, error)) {
			t.Helper()
			do(what, func(tx *store.Tx, i int) error {
				done, err := change(tx, group.ID, []store.UserID{users[i].ID})
				if err == nil && !done {
					t.Errorf("%s %d: not done", what, i)
				}
				return err
			})
		}
		member("add", (*store.Tx).AddMembers)
		member("remove", (*store.Tx).RemoveMembers)
		for i, u := range users {
			want := []string{fmt.Sprintf("user.create request-%d Ann Bell <nil>", i), fmt.Sprintf("user.deactivate request-%d Ann Bell <nil>", i), fmt.Sprintf("user.update request-%d Ann Bell <nil>", i)}
			if got := toldOf(t, db, admin, string(u.ID)); !slices.Equal(got, want) {
				t.Errorf("the record of %d: %q", i, got)
			}
			for _, action := range []string{"add", "remove"} {
				want := fmt.Sprintf("group.member.%s request-%d All [%s]", action, i, u.ID)
				if got := toldOf(t, db, admin, string(group.ID)); !slices.Contains(got, want) {
					t.Errorf("the record of the group lacks %q: %q", want, got)
				}
			}
		}
		if err := db.Read(ctx, admin, func(tx *store.Tx) error {
			wrong, err := tx.Check()
			if len(wrong) > 0 {
				t.Errorf("what is kept twice does not agree: %v", wrong)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// riders are as many people as come at a time, whom a directory has made.
func riders(t *testing.T) (db *store.DB, admin, dir access.Actor, users []store.User) {
	t.Helper()
	db = storetest.Postgres(t)
	org, admin := storetest.Org(t, db, "acme")
	dir = okta(org, newDirectory(t, db, admin, "One"))
	for i := range atATime {
		users = append(users, newUser(t, db, dir, fmt.Sprint("user", i)))
	}
	return db, admin, dir, users
}

// One who is refused does not have the others refused, and gets the reason.
func TestOneOfManyIsRefused(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		create := func(name func(i int) string) (made int, refused []error) {
			for _, err := range atOnce(db, atATime, func(i int) error {
				return db.Command(ctx, as(dir, i), func(tx *store.Tx) error {
					_, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": name(i)}, Source: store.FromSCIM})
					return err
				})
			}) {
				if err != nil {
					refused = append(refused, err)
				} else {
					made++
				}
			}
			return made, refused
		}
		made, refused := create(func(i int) string { return fmt.Sprint("user", min(i, atATime-2)) })
		if made != atATime-1 || len(refused) != 1 || fault.Field(refused[0]) != "userName" || !fault.Is(refused[0], fault.Conflict) {
			t.Errorf("%d were made, refused: %v", made, refused)
		}
		wantShared(t, db, seen, "create")
		limit(t, db, admin, atATime-1+3)
		made, refused = create(func(i int) string { return fmt.Sprint("more", i) })
		if made != 3 || len(refused) != atATime-3 || fault.Field(refused[0]) != "seats" {
			t.Errorf("with %d seats left %d were made, refused: %v", 3, made, refused)
		}
	})
}

// Whom somebody else holds is waited for by those alone who want that person.
func TestNobodyIsHeldUpByAStrangersLock(t *testing.T) {
	t.Parallel()
	db, admin, dir, users := riders(t)
	ended, begun := make(chan int, atATime), time.Now()
	write(t, db, admin, func(tx *store.Tx) error {
		if err := tx.KeepUser(readUser(t, db, dir, users[3].ID)); err != nil { // holds the row
			return err
		}
		go atOnce(db, atATime, func(i int) error {
			err := db.Command(ctx, as(dir, i), func(tx *store.Tx) error { _, _, err := tx.SetActive(users[i].ID, false, false); return err })
			if err != nil {
				t.Error(err)
			}
			ended <- i
			return err
		})
		for range atATime - 1 {
			if i := <-ended; i == 3 {
				t.Error("a person was changed whom somebody held")
			}
		}
		if took := time.Since(begun); took > 30*time.Second { // half of what a lock is waited for
			t.Errorf("the others ended after %s", took)
		}
		return nil
	})
	if i := <-ended; i != 3 || readUser(t, db, dir, users[3].ID).Status != store.Deactivated {
		t.Errorf("%d came last", i)
	}
}

// Who leads and waits for a lock is not waited for.
func TestALeaderWhoWaits(t *testing.T) {
	t.Parallel()
	db, admin, dir, users := riders(t)
	deactivates := func(ctx context.Context, i int) error {
		return db.Command(ctx, as(dir, i), func(tx *store.Tx) error { _, _, err := tx.SetActive(users[i].ID, false, false); return err })
	}
	first := make(chan error, 1)
	write(t, db, admin, func(tx *store.Tx) error {
		if err := tx.KeepUser(readUser(t, db, dir, users[0].ID)); err != nil { // holds the row
			return err
		}
		go func() { first <- deactivates(ctx, 0) }()
		db.AwaitLockWait(t)
		patient, stop := context.WithTimeout(ctx, 20*time.Second)
		defer stop()
		for _, err := range atOnceNow(len(users)-1, func(i int) error { return deactivates(patient, i+1) }) {
			if err != nil {
				t.Errorf("behind somebody who waits for a lock: %v", err)
			}
		}
		return nil
	})
	if err := <-first; err != nil || readUser(t, db, dir, users[0].ID).Status != store.Deactivated {
		t.Errorf("who waited for the lock: %v", err)
	}
}

// atOnceNow runs command n times at once, with no statement held back.
func atOnceNow(n int, command func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = command(i) })
	}
	all.Wait()
	return errs
}

// Who leaves while others' statements run has not begun.
func TestWhoLeavesAConvoy(t *testing.T) {
	t.Parallel()
	db, _, dir, users := riders(t)
	leaving, leave := context.WithCancel(ctx)
	giveBack := db.TakeLanes()
	ended := make(chan error, atATime)
	for i := range atATime {
		go func() {
			ended <- db.Command(leaving, as(dir, i), func(tx *store.Tx) error { _, _, err := tx.SetActive(users[i].ID, false, false); return err })
		}()
	}
	db.AwaitRiders(atATime)
	leave()
	for range atATime {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("who waits and leaves: %v", err)
		}
	}
	giveBack()
	for _, u := range users {
		if got := readUser(t, db, dir, u.ID); got.Status != store.Active {
			t.Errorf("%s was deactivated all the same", got.UserName)
		}
	}
}

// deactivate is the long way.
func deactivate(tx *store.Tx, id store.UserID) error {
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	off := store.Deactivated
	_, err = tx.UpdateUser(u, store.UserChange{Status: &off})
	return err
}

// Changes to one person do not share a statement, and none is lost.
func TestChangesToOnePersonAreNotLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		u := newUser(t, db, dir, "a@example.com")
		for _, err := range atOnce(db, atATime, func(i int) error {
			return db.Command(ctx, as(dir, i), func(tx *store.Tx) error {
				u, err := tx.User(u.ID)
				if err != nil {
					return err
				}
				doc, err := u.Attributes()
				if err != nil {
					return err
				}
				n, _ := doc["nickName"].(string)
				doc["nickName"] = n + "x"
				_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
				return err
			})
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		got := readUser(t, db, dir, u.ID)
		if doc, _ := got.Attributes(); doc["nickName"] != strings.Repeat("x", atATime) || got.Version != atATime+1 {
			t.Errorf("after %d changes there is %v in version %d", atATime, doc["nickName"], got.Version)
		}
		first := []store.User{newUser(t, db, dir, "b"), newUser(t, db, dir, "c"), newUser(t, db, dir, "d")}
		for _, err := range atOnce(db, atATime, func(i int) error {
			return db.Command(ctx, as(dir, i), func(tx *store.Tx) error {
				id := u.ID
				if i < len(first) { // whose statements the others wait for
					id = first[i].ID
				}
				_, done, err := tx.SetActive(id, false, false)
				if err != nil || done || db.Dialect() != "sqlite" {
					return err
				}
				return deactivate(tx, id)
			})
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if told := toldOf(t, db, admin, string(u.ID)); len(told) != 1+atATime+1 {
			t.Errorf("the record has %d rows: %q", len(told), told)
		}
	})
}
