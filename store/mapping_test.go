package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// mapping is an organization with a directory that sends roles.
type mapping struct {
	t     *testing.T
	db    *store.DB
	org   store.OrgID
	admin access.Actor
	dir   store.DirectoryID
}

func newMapping(t *testing.T, db *store.DB) mapping {
	org, admin := storetest.Org(t, db, "acme")
	return mapping{t, db, org, admin, newDirectory(t, db, admin, "Okta")}
}

// sentDoc is a document with values as "roles:agent" or "entitlements:license".
func sentDoc(name string, values ...string) store.Doc {
	doc := store.Doc{"userName": name}
	for _, v := range values {
		attr, value, _ := strings.Cut(v, ":")
		list, _ := doc[attr].([]any)
		doc[attr] = append(list, map[string]any{"value": value})
	}
	return doc
}

func (m mapping) send(name string, values ...string) store.UserID {
	m.t.Helper()
	var u store.User
	if err := m.db.Command(ctx, okta(m.org, m.dir), func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: sentDoc(name, values...), Source: store.FromSCIM})
		return err
	}); err != nil {
		m.t.Fatalf("create %s: %v", name, err)
	}
	return u.ID
}

func (m mapping) change(id store.UserID, values ...string) error {
	return m.db.Command(ctx, okta(m.org, m.dir), func(tx *store.Tx) error {
		u, err := tx.User(id)
		if err == nil {
			_, err = tx.UpdateUser(u, store.UserChange{Doc: sentDoc(u.UserName, values...)})
		}
		return err
	})
}

func (m mapping) remap(value, role string) (done store.Remapped) {
	m.t.Helper()
	attr, value, _ := strings.Cut(value, ":")
	write(m.t, m.db, m.admin, func(tx *store.Tx) (err error) {
		done, err = tx.MapRole(m.dir, store.RoleMapping{Attr: attr, Value: value, Role: role})
		return err
	})
	return done
}

func (m mapping) unmap(value string) error {
	attr, value, _ := strings.Cut(value, ":")
	return m.db.Write(ctx, m.admin, func(tx *store.Tx) error { _, err := tx.UnmapRole(m.dir, attr, value); return err })
}

// roles are a person's roles as "role kind detail", the default one left out.
func (m mapping) roles(id store.UserID) string {
	m.t.Helper()
	var lines []string
	if err := m.db.Read(ctx, m.admin, func(tx *store.Tx) error {
		of, err := tx.RolesOf([]store.UserID{id})
		for _, g := range of[id] {
			if g.Kind == store.FromDirectory && g.Ref != string(m.dir) {
				m.t.Errorf("a role of another directory: %+v", g)
			}
			if g.Kind != "default" {
				lines = append(lines, strings.TrimSpace(g.Role+" "+g.Kind+" "+g.Detail))
			}
		}
		return err
	}); err != nil {
		m.t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func (m mapping) want(id store.UserID, want string) {
	m.t.Helper()
	if got := m.roles(id); got != want {
		m.t.Errorf("roles are %q, want %q", got, want)
	}
}

func TestADirectoryGivesRolesByItsMapping(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		ann := m.send("ann", "roles:Viewer", "roles:something else", "entitlements:agent")
		m.want(ann, `viewer scim roles "Viewer"`)
		bob := m.send("bob", "roles:ADMIN")
		m.want(bob, "") // nobody becomes an admin by a name alone

		if done := m.remap("roles:Admin", "admin"); done != (store.Remapped{Granted: 1}) {
			t.Errorf("mapping gave %+v", done)
		}
		m.want(bob, `admin scim roles "Admin"`)
		m.remap("entitlements:agent", "agent")
		m.want(ann, `agent scim entitlements "agent", viewer scim roles "Viewer"`)
		m.remap("roles:viewer", "") // the default can be switched off
		m.want(ann, `agent scim entitlements "agent"`)
		if err := m.unmap("roles:VIEWER"); err != nil {
			t.Fatal(err)
		}
		m.want(ann, `agent scim entitlements "agent", viewer scim roles "Viewer"`)

		if err := m.change(ann, "roles:admin", "entitlements:agent"); err != nil {
			t.Fatal(err)
		}
		m.want(ann, `admin scim roles "Admin", agent scim entitlements "agent"`)
		if err := m.change(ann); err != nil {
			t.Fatal(err)
		}
		m.want(ann, "")

		var log []string
		if err := db.Read(ctx, m.admin, func(tx *store.Tx) error {
			list, err := tx.Activities(store.ActivityQuery{Target: string(ann)})
			for _, a := range list {
				why, _ := a.Detail["reason"].(map[string]any)
				log = append(log, strings.TrimSpace(fmt.Sprint(a.Action, " ", a.ActorKind, " ", a.Detail["role"], " ", why["detail"])))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(log)
		want := []string{"user.create directory <nil> <nil>", `user.role.grant directory viewer roles "Viewer"`, `user.role.grant system agent entitlements "agent"`,
			`user.role.revoke system viewer roles "Viewer"`, `user.role.grant system viewer roles "Viewer"`,
			"user.update directory <nil> <nil>", `user.role.revoke directory viewer roles "Viewer"`, `user.role.grant directory admin roles "Admin"`,
			"user.update directory <nil> <nil>", `user.role.revoke directory admin roles "Admin"`, `user.role.revoke directory agent entitlements "agent"`}
		if !slices.Equal(log, want) {
			t.Errorf("activity\n got %s\nwant %s", strings.Join(log, "\n     "), strings.Join(want, "\n     "))
		}
	})
}

// A role stays, since when it is there, as long as one of the values gives it.
func TestARoleOfTwoValues(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		m.remap("entitlements:desk", "viewer")
		ann := m.send("ann", "roles:viewer", "entitlements:Desk")
		m.want(ann, `viewer scim entitlements "desk"`)
		since := m.since(ann)
		if err := m.change(ann, "roles:viewer"); err != nil {
			t.Fatal(err)
		}
		m.want(ann, `viewer scim roles "Viewer"`)
		if err := m.change(ann, "roles:viewer", "entitlements:desk"); err != nil {
			t.Fatal(err)
		}
		if err := m.unmap("entitlements:desk"); err != nil {
			t.Fatal(err)
		}
		m.want(ann, `viewer scim roles "Viewer"`)
		if now := m.since(ann); now != since {
			t.Errorf("the role is there since %d, want %d", now, since)
		}
	})
}

func (m mapping) since(id store.UserID) (at store.Time) {
	m.t.Helper()
	if err := m.db.Read(ctx, m.admin, func(tx *store.Tx) error {
		of, err := tx.RolesOf([]store.UserID{id})
		at = of[id][0].Since
		return err
	}); err != nil {
		m.t.Fatal(err)
	}
	return at
}

// Whoever leaves a directory leaves its roles there, and no other ones.
func TestRolesGoWithTheDirectory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		ann, bob := m.send("ann", "roles:viewer"), m.send("bob", "roles:viewer")
		write(t, db, m.admin, func(tx *store.Tx) error {
			if err := tx.Grant(ann, access.Viewer, store.Manual); err != nil {
				return err
			}
			return tx.Grant(ann, access.Agent, store.Reason{Kind: "sso", Ref: "x"})
		})
		m.want(ann, `agent sso, viewer manual, viewer scim roles "Viewer"`)
		write(t, db, m.admin, func(tx *store.Tx) error { _, err := tx.Detach(ann, ""); return err })
		m.want(ann, "agent sso, viewer manual")

		// The next directory has a mapping of its own.
		first := m.dir
		m.dir = newDirectory(t, db, m.admin, "Entra")
		m.remap("roles:viewer", "admin")
		if err := db.Command(ctx, okta(m.org, m.dir), func(tx *store.Tx) error {
			u, err := tx.User(ann)
			if err == nil {
				_, err = tx.UpdateUser(u, store.UserChange{Doc: sentDoc("ann", "roles:viewer")})
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		m.want(ann, `admin scim roles "viewer", agent sso, viewer manual`)
		m.dir = first
		m.want(bob, `viewer scim roles "Viewer"`)

		if err := db.Write(ctx, okta(m.org, first), func(tx *store.Tx) error { _, err := tx.DeleteUser(bob, ""); return err }); err != nil {
			t.Fatal(err)
		}
		write(t, db, m.admin, func(tx *store.Tx) error { _, err := tx.RestoreUser(bob, ""); return err })
		m.want(bob, "")
		m.remap("roles:viewer", "agent") // nobody of this directory has it any more
		m.want(bob, "")
	})
}

// Being put into a group of the directory is adoption as well.
func TestAdoptionByAGroupGivesTheRoles(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		ann := m.send("ann", "roles:viewer")
		write(t, db, m.admin, func(tx *store.Tx) error { _, err := tx.Detach(ann, ""); return err })
		m.want(ann, "")
		write(t, db, okta(m.org, m.dir), func(tx *store.Tx) error {
			_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "All"}, Members: []store.UserID{ann}})
			return err
		})
		m.want(ann, `viewer scim roles "Viewer"`)
	})
}

// People cannot take the last admin away by a mapping; the directory can.
func TestAMappingLeavesAnAdmin(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		ann := m.send("ann", "roles:boss")
		m.remap("roles:boss", "admin")
		if err := m.unmap("roles:boss"); !fault.Is(err, fault.Conflict) {
			t.Errorf("unmapping the only admin: %v", err)
		}
		err := db.Write(ctx, m.admin, func(tx *store.Tx) error { _, err := tx.Detach(ann, ""); return err })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("detaching the only admin: %v", err)
		}
		m.want(ann, `admin scim roles "boss"`)
		if err := m.change(ann); err != nil {
			t.Fatal(err)
		}
		m.want(ann, "")
	})
}

func TestMappingsAreChecked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		_, stranger := storetest.Org(t, db, "other")
		for _, c := range []struct {
			m     store.RoleMapping
			field string
		}{
			{store.RoleMapping{Attr: "emails", Value: "x"}, "attribute"},
			{store.RoleMapping{Attr: "roles", Value: " "}, "value"},
			{store.RoleMapping{Attr: "roles", Value: strings.Repeat("x", 251)}, "value"},
			{store.RoleMapping{Attr: "roles", Value: "a\nb"}, "value"},
			{store.RoleMapping{Attr: "roles", Value: "x", Role: "king"}, "role"},
		} {
			err := db.Write(ctx, m.admin, func(tx *store.Tx) error { _, err := tx.MapRole(m.dir, c.m); return err })
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
				t.Errorf("%+v: %v, want a fault of %s", c.m, err, c.field)
			}
		}
		one := store.RoleMapping{Attr: "roles", Value: "x", Role: "agent"}
		if err := db.Write(ctx, stranger, func(tx *store.Tx) error { _, err := tx.MapRole(m.dir, one); return err }); !fault.Is(err, fault.NotFound) {
			t.Errorf("from another organization: %v", err)
		}
		if err := db.Write(ctx, okta(m.org, m.dir), func(tx *store.Tx) error { _, err := tx.MapRole(m.dir, one); return err }); !fault.Is(err, fault.Denied) {
			t.Errorf("by the directory itself: %v", err)
		}
		if err := m.unmap("roles:x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("unmapping what is not there: %v", err)
		}
	})
}

// Whatever runs at once: in the end each person has what the document and the
// mapping give.
func TestMappingAndPeopleChangeAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		var people []store.UserID
		for i := range 4 {
			people = append(people, m.send(fmt.Sprint("p", i), "roles:v0"))
		}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 12 {
					if err := m.change(people[(w+i)%len(people)], fmt.Sprintf("roles:v%d", (w+i)%3)); err != nil {
						t.Errorf("writer %d: %v", w, err)
					}
				}
			})
		}
		wg.Go(func() {
			for i := range 12 {
				m.remap(fmt.Sprintf("roles:v%d", i%3), []string{"agent", "viewer", "admin"}[i%2])
			}
		})
		wg.Wait()
		m.consistent(people)
	})
}

// consistent compares everybody's roles with document and mapping, told one by one.
func (m mapping) consistent(people []store.UserID) {
	m.t.Helper()
	if err := m.db.Read(ctx, m.admin, func(tx *store.Tx) error {
		list, err := tx.RoleMappings(m.dir)
		if err != nil {
			return err
		}
		gives := map[string]string{}
		for _, r := range list {
			gives[r.Value] = r.Role
		}
		of, err := tx.RolesOf(people)
		if err != nil {
			return err
		}
		for _, id := range people {
			u, err := tx.User(id)
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			want := map[string]bool{}
			for _, e := range doc["roles"].([]any) {
				if role := gives[e.(map[string]any)["value"].(string)]; role != "" {
					want[role] = true
				}
			}
			got := map[string]bool{}
			for _, g := range of[id] {
				if g.Kind == store.FromDirectory {
					got[g.Role] = true
				}
			}
			if !maps.Equal(got, want) {
				m.t.Errorf("%s sent %v: has %v, want %v", u.UserName, doc["roles"], got, want)
			}
		}
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
}

// A change without roles stays one statement, which Command runs once.
func TestChangesWithoutRolesStayCommands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		with, without := m.send("with", "roles:viewer"), m.send("without")
		runs := func(id store.UserID, doc store.Doc) (n int) {
			if err := db.Command(ctx, okta(m.org, m.dir), func(tx *store.Tx) error {
				n++
				u, err := tx.User(id)
				if err == nil {
					_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		titled := sentDoc("with", "roles:Viewer")
		titled["title"] = "Head"
		if n := runs(with, titled); n != 1 {
			t.Errorf("a change beside the roles ran %d times", n)
		}
		if n := runs(without, store.Doc{"userName": "without", "title": "Head"}); n != 1 {
			t.Errorf("a change of somebody without roles ran %d times", n)
		}
		m.want(with, `viewer scim roles "Viewer"`)
	})
}

// More people than one batch has.
func TestAMappingOfManyPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		const n = 1203
		var last store.UserID
		write(t, db, okta(m.org, m.dir), func(tx *store.Tx) error {
			for i := range n {
				u, err := tx.CreateUser(store.NewUser{Doc: sentDoc(fmt.Sprint("p", i), "entitlements:License A"), Source: store.FromSCIM})
				if err != nil {
					return err
				}
				last = u.ID
			}
			return nil
		})
		if done := m.remap("entitlements:license a", "viewer"); done != (store.Remapped{Granted: n}) {
			t.Errorf("mapping: %+v", done)
		}
		m.want(last, `viewer scim entitlements "license a"`)
		if done := m.remap("entitlements:LICENSE A", "viewer"); done != (store.Remapped{}) {
			t.Errorf("the same in another spelling: %+v", done)
		}
		m.want(last, `viewer scim entitlements "LICENSE A"`)
		if done := m.remap("entitlements:license a", "agent"); done != (store.Remapped{Granted: n, Revoked: n}) {
			t.Errorf("another role: %+v", done)
		}
		if err := m.change(last, "entitlements:License A", "roles:Viewer", "roles:Boss"); err != nil {
			t.Fatal(err)
		}
		var values []store.RoleValue
		if err := db.Read(ctx, m.admin, func(tx *store.Tx) (err error) { values, err = tx.RoleValues(m.dir); return err }); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, v := range values {
			lines = append(lines, fmt.Sprint(v.Attr, " ", v.Value, " ", v.Role, " ", v.Mapped, " ", v.Users))
		}
		if got := strings.Join(lines, ", "); got != fmt.Sprintf("entitlements license a agent true %d, roles Boss  false 1, roles Viewer viewer false 1", n) {
			t.Errorf("values: %s", got)
		}
		if err := m.change(last, "entitlements:License A"); err != nil {
			t.Fatal(err)
		}
		m.want(last, `agent scim entitlements "license a"`)
	})
}

// A mapping waits for whoever has read the one before, and then sees what they wrote.
func TestAMappingWaitsForChangesOfValues(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t) // on SQLite a writer is alone
	m := newMapping(t, db)
	ann := m.send("ann")
	mapped := make(chan struct{})
	begun := false
	write(t, db, okta(m.org, m.dir), func(tx *store.Tx) error {
		u, err := tx.User(ann)
		if err == nil {
			_, err = tx.UpdateUser(u, store.UserChange{Doc: sentDoc("ann", "roles:desk")})
		}
		if err != nil || begun {
			return err
		}
		begun = true
		go func() {
			defer close(mapped)
			m.remap("roles:desk", "viewer")
		}()
		for waits := 0; waits == 0; {
			select {
			case <-mapped:
				return nil
			default:
			}
			if err := db.Lookup(ctx, &waits, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"); err != nil {
				return err
			}
		}
		return nil
	})
	<-mapped
	m.want(ann, `viewer scim roles "desk"`)
}
