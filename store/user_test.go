package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var ctx = context.Background()

func okta(org store.OrgID, id store.DirectoryID) access.Actor {
	return access.Actor{Kind: access.Directory, Org: string(org), ID: string(id), Name: "Okta"}
}

func newDirectory(t *testing.T, db *store.DB, admin access.Actor, name string) store.DirectoryID {
	t.Helper()
	var d store.Directory
	write(t, db, admin, func(tx *store.Tx) (err error) {
		d, err = tx.CreateDirectory(store.Directory{Name: name, Vendor: "okta", Mode: "compat"})
		return err
	})
	return d.ID
}

func write(t *testing.T, db *store.DB, actor access.Actor, f func(*store.Tx) error) {
	t.Helper()
	if err := db.Write(ctx, actor, f); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func newUser(t *testing.T, db *store.DB, actor access.Actor, name string) store.User {
	t.Helper()
	var u store.User
	err := db.Command(ctx, actor, func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name, GivenName: "Ann", FamilyName: "Bell"}.Doc(), Source: store.FromAPI})
		return err
	})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return u
}

func TestAUserReadsBackAsWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := newDirectory(t, db, admin, "Okta")
		doc := store.Doc{"userName": "Änn@Example.com", "externalId": "00u1", "name": map[string]any{"givenName": "Änn", "familyName": "Bell"},
			"emails": []any{map[string]any{"value": "ann@example.com", "type": "work", "primary": true}, map[string]any{"value": "a@home.example", "type": "home"}},
			"x":      map[string]any{"n": json.Number("12345678901234567890")}}
		var made store.User
		if err := db.Command(ctx, okta(org, dir), func(tx *store.Tx) (err error) {
			made, err = tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromSCIM})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var got store.User
		if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { got, err = tx.UserByName("ÄNN@example.COM"); return err }); err != nil {
			t.Fatal(err)
		}
		if got.ID != made.ID || got.DirectoryID != dir || got.Status != store.Active || got.Email != "ann@example.com" || got.DisplayName != "Änn Bell" || got.Version != 1 {
			t.Errorf("got %+v", got)
		}
		attrs, err := got.Attributes()
		if err != nil {
			t.Fatal(err)
		}
		if n := attrs["x"].(map[string]any)["n"]; n != json.Number("12345678901234567890") {
			t.Errorf("the number came back as %v", n)
		}
		var log []store.Activity
		if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) {
			log, err = tx.Activities(store.ActivityQuery{Target: string(made.ID)})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(log) != 1 || log[0].Action != "user.create" || log[0].ActorID != string(dir) {
			t.Errorf("activity %+v", log)
		}
	})
}

func TestNamesAreTakenOnceAndFreedByDeletion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "other")
		first := newUser(t, db, admin, "ann@example.com")
		newUser(t, db, other, "ann@example.com") // another organization does not matter
		again := func() error {
			return db.Command(ctx, admin, func(tx *store.Tx) error {
				_, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": "ANN@example.com"}, Source: store.FromAPI})
				return err
			})
		}
		if err := again(); !fault.Is(err, fault.Conflict) || fault.Field(err) != "userName" {
			t.Fatalf("second create: %v", err)
		}
		write(t, db, admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(first.ID, "left"); return err })
		if err := again(); err != nil {
			t.Fatalf("create after deletion: %v", err)
		}
		err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.RestoreUser(first.ID, ""); return err })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("restore while the name is taken: %v", err)
		}
	})
}

func TestManyChangesAtOnceAllCount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		u := newUser(t, db, admin, "ann@example.com")
		const n = 16
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				err := db.Command(ctx, admin, func(tx *store.Tx) error {
					u, err := tx.User(u.ID)
					if err != nil {
						return err
					}
					doc, err := u.Attributes()
					if err != nil {
						return err
					}
					doc[fmt.Sprintf("attr%d", i)] = "set"
					_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
					return err
				})
				if err != nil {
					t.Errorf("change %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		var got store.User
		if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { got, err = tx.User(u.ID); return err }); err != nil {
			t.Fatal(err)
		}
		doc, _ := got.Attributes()
		for i := range n {
			if doc[fmt.Sprintf("attr%d", i)] != "set" {
				t.Errorf("change %d is lost", i)
			}
		}
		if got.Version != n+1 {
			t.Errorf("version %d, want %d", got.Version, n+1)
		}
	})
}

func TestTheSameUserIsCreatedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		var wg sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			wg.Go(func() {
				results[i] = db.Command(ctx, admin, func(tx *store.Tx) error {
					_, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": "same@example.com"}, Source: store.FromJIT})
					return err
				})
			})
		}
		wg.Wait()
		made := 0
		for _, err := range results {
			if err == nil {
				made++
			} else if !fault.Is(err, fault.Conflict) {
				t.Errorf("loser got %v", err)
			}
		}
		if made != 1 {
			t.Errorf("created %d times", made)
		}
	})
}

func TestTwoAdminsCannotDemoteEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		a, b := newUser(t, db, admin, "a@example.com"), newUser(t, db, admin, "b@example.com")
		for _, u := range []store.User{a, b} {
			write(t, db, admin, func(tx *store.Tx) error { return tx.Grant(u.ID, access.Admin, store.Manual) })
		}
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range []store.UserID{a.ID, b.ID} {
			wg.Go(func() {
				errs[i] = db.Write(ctx, admin, func(tx *store.Tx) error {
					if i == 0 {
						return tx.Revoke(id, access.Admin, store.Manual)
					}
					_, err := tx.Deactivate(id, "")
					return err
				})
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("revoke: %v; deactivate: %v; exactly one must be refused", errs[0], errs[1])
		}
	})
}

func TestDirectoriesSeeTheirOwnAndTheUnmanaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		one, two := newDirectory(t, db, admin, "One"), newDirectory(t, db, admin, "Two")
		managed := newUser(t, db, okta(org, one), "managed@example.com")
		local := newUser(t, db, admin, "local@example.com")
		if err := db.Read(ctx, okta(org, two), func(tx *store.Tx) error { _, err := tx.User(managed.ID); return err }); !fault.Is(err, fault.NotFound) {
			t.Errorf("another directory's user: %v", err)
		}
		title := func(actor access.Actor, id store.UserID) error {
			return db.Command(ctx, actor, func(tx *store.Tx) error {
				u, err := tx.User(id)
				if err != nil {
					return err
				}
				doc, _ := u.Attributes()
				doc["title"] = "Boss of " + actor.Name
				_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
				return err
			})
		}
		if err := title(okta(org, one), local.ID); err != nil {
			t.Fatalf("adopt: %v", err)
		}
		if err := title(okta(org, two), local.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("adopted user seen by another directory: %v", err)
		}
		if err := title(admin, managed.ID); !fault.Is(err, fault.Denied) {
			t.Errorf("edit of a managed user: %v", err)
		}
		write(t, db, okta(org, one), func(tx *store.Tx) error { _, err := tx.Deactivate(managed.ID, ""); return err })
		err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.Reactivate(managed.ID, ""); return err })
		if !fault.Is(err, fault.Denied) {
			t.Errorf("reactivated over the directory's word: %v", err)
		}
	})
}

// Who could give the operator's account another address, could set its password
// by mail and would own the server.
func TestAdminsCannotTakeTheOperatorsAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, muster := storetest.Org(t, db, "acme")
		var root store.User
		write(t, db, muster, func(tx *store.Tx) (err error) {
			root, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "root@example.com", Email: "root@example.com"}.Doc(), Source: store.FromInvite,
				Roles: []string{access.Admin}, Reason: store.Manual, BreakGlass: true})
			return err
		})
		other := newUser(t, db, muster, "other@example.com")
		write(t, db, muster, func(tx *store.Tx) error { return tx.Grant(other.ID, access.Admin, store.Manual) })
		admin := access.Actor{Kind: access.Person, Org: string(org), ID: string(other.ID), Name: "Other", Roles: []string{access.Admin}}
		operator := access.Actor{Kind: access.Person, Org: string(org), ID: string(root.ID), Name: "Root", Operator: true}
		steps := []struct {
			name string
			do   func(tx *store.Tx) error
		}{
			{"address", func(tx *store.Tx) error {
				u, err := tx.User(root.ID)
				if err != nil {
					return err
				}
				p := u.Profile()
				p.Email = "new@example.com"
				_, err = tx.UpdateUser(u, store.UserChange{Doc: p.Doc()})
				return err
			}},
			{"deactivate", func(tx *store.Tx) error { _, err := tx.Deactivate(root.ID, ""); return err }},
			{"reactivate", func(tx *store.Tx) error { _, err := tx.Reactivate(root.ID, ""); return err }},
			{"delete", func(tx *store.Tx) error { _, err := tx.DeleteUser(root.ID, ""); return err }},
			{"restore", func(tx *store.Tx) error { _, err := tx.RestoreUser(root.ID, ""); return err }},
		}
		for _, step := range steps {
			if err := db.Write(ctx, admin, step.do); !fault.Is(err, fault.Denied) {
				t.Errorf("%s by an admin: %v", step.name, err)
			}
			if err := db.Write(ctx, operator, step.do); err != nil {
				t.Errorf("%s by the operator: %v", step.name, err)
			}
		}
	})
}
