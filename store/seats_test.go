package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func limit(t *testing.T, db *store.DB, admin access.Actor, n int64) {
	t.Helper()
	write(t, db, admin, func(tx *store.Tx) error { return tx.SetSeats(n) })
}

func seatsOf(t *testing.T, db *store.DB, admin access.Actor) (s store.Seats) {
	t.Helper()
	if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { s, err = tx.Seats(); return err }); err != nil {
		t.Fatal(err)
	}
	return s
}

func create(db *store.DB, actor access.Actor, name string, status store.Status, roles ...string) (u store.User, err error) {
	err = db.Command(ctx, actor, func(tx *store.Tx) error {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name}.Doc(), Source: store.FromAPI, Status: status, Roles: roles, Reason: store.Manual})
		return err
	})
	return u, err
}

func noSeat(err error) bool { return fault.Is(err, fault.Conflict) && fault.Field(err) == "seats" }

func TestSeatsAreTakenAndFreed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		a := newUser(t, db, dir, "a@example.com")
		if s := seatsOf(t, db, admin); s.Limit != store.NoLimit || s.Used != 1 || s.Limited() {
			t.Errorf("without a limit: %+v", s)
		}
		limit(t, db, admin, 2)
		if _, err := create(db, admin, "b@example.com", store.Invited); err != nil {
			t.Fatal(err)
		}
		for _, status := range []store.Status{store.Invited, store.Active} {
			if _, err := create(db, admin, "c@example.com", status); !noSeat(err) {
				t.Errorf("a third one, %s: %v", status, err)
			}
		}
		if _, err := create(db, dir, "c@example.com", store.Active); !noSeat(err) {
			t.Errorf("a third one by a directory: %v", err)
		}
		c, err := create(db, dir, "c@example.com", store.Deactivated)
		if err != nil {
			t.Fatalf("a deactivated one takes no seat: %v", err)
		}
		up := func(actor access.Actor) error {
			if _, done := setActive(t, db, actor, c.ID, true); done {
				return nil
			}
			return db.Command(ctx, actor, func(tx *store.Tx) error {
				u, err := tx.User(c.ID)
				if err == nil {
					_, err = tx.UpdateUser(u, store.UserChange{Status: new(store.Active)})
				}
				return err
			})
		}
		if err := up(dir); !noSeat(err) {
			t.Errorf("activated by its directory without a seat: %v", err)
		}
		write(t, db, dir, func(tx *store.Tx) error { _, err := tx.Deactivate(a.ID, ""); return err })
		if err := up(dir); err != nil {
			t.Errorf("a seat was freed by deactivating: %v", err)
		}
		write(t, db, dir, func(tx *store.Tx) error { _, err := tx.DeleteUser(c.ID, ""); return err })
		if s := seatsOf(t, db, admin); s.Limit != 2 || s.Used != 1 {
			t.Errorf("after all that: %+v", s)
		}
		limit(t, db, admin, 0) // who is there stays
		if s := seatsOf(t, db, admin); s.Used != 1 {
			t.Errorf("a lower limit: %+v", s)
		}
		limit(t, db, admin, store.NoLimit)
		if _, err := create(db, admin, "d@example.com", store.Active); err != nil {
			t.Errorf("without a limit again: %v", err)
		}
	})
}

// Of many who want the last seats as many get one as there are, by whatever door.
func TestTheLastSeatIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		var off []store.User
		for i := range 8 {
			u, err := create(db, dir, fmt.Sprintf("off%d@example.com", i), store.Deactivated)
			if err != nil {
				t.Fatal(err)
			}
			off = append(off, u)
		}
		limit(t, db, admin, 3)
		var won atomic.Int64
		var all sync.WaitGroup
		try := func(f func() error) {
			all.Go(func() {
				err := f()
				if err == nil {
					won.Add(1)
				} else if !noSeat(err) {
					t.Error(err)
				}
			})
		}
		for i, u := range off {
			try(func() error { _, err := create(db, dir, fmt.Sprintf("new%d@example.com", i), store.Active); return err })
			try(func() error {
				_, err := create(db, admin, fmt.Sprintf("invited%d@example.com", i), store.Invited)
				return err
			})
			try(func() error {
				return db.Command(ctx, dir, func(tx *store.Tx) error {
					old, err := tx.User(u.ID)
					if err == nil {
						_, err = tx.UpdateUser(old, store.UserChange{Status: new(store.Active)})
					}
					return err
				})
			})
		}
		all.Wait()
		if s := seatsOf(t, db, admin); won.Load() != 3 || s.Used != 3 {
			t.Errorf("%d got one of 3 seats, %d are used", won.Load(), s.Used)
		}
	})
}

// Whoever saw no limit is counted when one is set.
func TestALimitThatComesWhilePeopleAreCreated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range 60 {
			all.Go(func() {
				if i > 15 {
					<-start
				}
				if _, err := create(db, dir, fmt.Sprintf("new%d@example.com", i), store.Active); err != nil && !noSeat(err) {
					t.Error(err)
				}
			})
		}
		all.Go(func() { close(start) })
		const most = 20
		var before int64
		write(t, db, admin, func(tx *store.Tx) error {
			if err := tx.SetSeats(most); err != nil {
				return err
			}
			s, err := tx.Seats()
			before = s.Used
			return err
		})
		all.Wait()
		if s := seatsOf(t, db, admin); s.Used > max(most, before) {
			t.Errorf("%d are used; the limit is %d, and %d were there when it was set", s.Used, most, before)
		}
	})
}

func TestLicensesAreDecidedByRoles(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		full := store.License{ID: "full", Name: "Full", Roles: []string{access.Admin, access.Agent}, Limit: 1}
		light := store.License{ID: "light", Name: "Light", Fallback: true, Limit: 2}
		write(t, db, admin, func(tx *store.Tx) error { return tx.SetLicenses([]store.License{full, light}) })
		a, err := create(db, admin, "a@example.com", store.Active, access.Agent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create(db, admin, "b@example.com", store.Active); !noSeat(err) || !strings.Contains(fault.Public(err), "Full") {
			t.Errorf("a second one with the default role: %v", err)
		}
		b, err := create(db, admin, "b@example.com", store.Active, access.Viewer)
		if err != nil {
			t.Fatal(err)
		}
		promote := func(id store.UserID, role string) error {
			return db.Write(ctx, admin, func(tx *store.Tx) error { return tx.SetRole(id, role) })
		}
		if err := promote(b.ID, access.Admin); !noSeat(err) {
			t.Errorf("a role of a full license: %v", err)
		}
		if err := promote(a.ID, access.Admin); err != nil {
			t.Errorf("a role of the same license: %v", err)
		}
		if err := promote(b.ID, access.Viewer); err != nil {
			t.Errorf("a role that is there already: %v", err)
		}
		s := seatsOf(t, db, admin)
		if got := []int64{s.Used, s.Licenses[0].Used, s.Licenses[1].Used}; !slices.Equal(got, []int64{2, 1, 1}) {
			t.Errorf("used: %v", got)
		}
		write(t, db, admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(b.ID, ""); return err })
		for i, want := range []bool{true, true, false} {
			if _, err := create(db, admin, fmt.Sprintf("light%d@example.com", i), store.Active, access.Viewer); (err == nil) != want {
				t.Errorf("light seat %d: %v", i, err)
			}
		}
		for name, bad := range map[string][]store.License{
			"role twice": {full, {ID: "other", Name: "Other", Roles: []string{access.Admin}, Limit: 1}}, "no role": {{ID: "x", Name: "X", Roles: []string{"boss"}}},
			"no name": {{ID: "x", Fallback: true}}, "id": {{ID: "X Y", Name: "X", Fallback: true}}, "nobody": {{ID: "x", Name: "X"}},
			"two defaults": {light, {ID: "x", Name: "X", Fallback: true}}, "number": {{ID: "x", Name: "X", Fallback: true, Limit: -7}},
		} {
			if err := db.Write(ctx, admin, func(tx *store.Tx) error { return tx.SetLicenses(bad) }); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestWhoSetsSeats(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, _ := storetest.Org(t, db, "acme")
		boss := access.Actor{Kind: access.Person, Org: string(org), Roles: []string{access.Admin}}
		viewer := access.Actor{Kind: access.Person, Org: string(org), Roles: []string{access.Viewer}}
		full := []store.License{{ID: "full", Name: "Full", Fallback: true, Limit: 1}}
		for name, c := range map[string]struct {
			actor access.Actor
			do    func(*store.Tx) error
			want  bool
		}{
			"an admin the total":        {boss, func(tx *store.Tx) error { return tx.SetSeats(5) }, false},
			"an operator the total":     {access.Actor{Kind: access.Person, Operator: true, Org: string(org)}, func(tx *store.Tx) error { return tx.SetSeats(5) }, true},
			"an admin the licenses":     {boss, func(tx *store.Tx) error { return tx.SetLicenses(full) }, true},
			"a viewer the licenses":     {viewer, func(tx *store.Tx) error { return tx.SetLicenses(full) }, false},
			"a viewer looks at them":    {viewer, func(tx *store.Tx) error { _, err := tx.Seats(); return err }, true},
			"an agent looks at them":    {access.Actor{Kind: access.Person, Org: string(org)}, func(tx *store.Tx) error { _, err := tx.Seats(); return err }, false},
			"an operator no such total": {access.Actor{Kind: access.Person, Operator: true, Org: string(org)}, func(tx *store.Tx) error { return tx.SetSeats(-5) }, false},
		} {
			if err := db.Write(ctx, c.actor, c.do); (err == nil) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Without limits a person costs the statements that it did: one on PostgreSQL.
func TestSeatsCostNothingWithoutLimits(t *testing.T) {
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "One"))
		newUser(t, db, dir, "first@example.com") // definitions are read once
		seen.Take()
		newUser(t, db, dir, "second@example.com")
		var about []string
		all := seen.Take()
		for _, sql := range all {
			if strings.Contains(sql, "seats") && !strings.Contains(sql, "INSERT INTO users") {
				about = append(about, sql)
			}
		}
		if len(about) > 0 || db.Dialect() == "postgres" && len(all) != 1 {
			t.Errorf("creating runs %d statements, these about seats: %q", len(all), about)
		}
	})
}
