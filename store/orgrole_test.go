package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func permissions(list ...access.Permission) *[]access.Permission { return &list }

// makeRole makes a role named like its label.
func makeRole(t *testing.T, db *store.DB, admin access.Actor, label string, list ...access.Permission) store.OrgRole {
	t.Helper()
	var r store.OrgRole
	write(t, db, admin, func(tx *store.Tx) (err error) {
		r, err = tx.CreateRole(store.RoleChange{Label: &label, Permissions: &list})
		return err
	})
	return r
}

func rolesNow(t *testing.T, db *store.DB, actor access.Actor) (list []store.OrgRole) {
	t.Helper()
	if err := db.Read(ctx, actor, func(tx *store.Tx) (err error) { list, err = tx.OrgRoles(); return err }); err != nil {
		t.Fatal(err)
	}
	return list
}

// person is an actor with roles, as a session's look-up makes one.
func person(db *store.DB, org store.OrgID, id store.UserID, said string, roles ...string) access.Actor {
	return access.Actor{Kind: access.Person, Org: string(org), ID: string(id), Name: "Hugo", Roles: roles, Granted: db.Granted(roles, said)}
}

func TestRolesOfAnOrganization(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "rival")
		lead := makeRole(t, db, admin, "Support lead", "delete_tickets", access.ViewUsers)
		if lead.ID != "support-lead" || lead.Name != "Support lead" || !slices.Equal(lead.Permissions, []access.Permission{"delete_tickets", access.ViewUsers}) {
			t.Errorf("made %+v", lead)
		}
		names := ""
		for _, r := range rolesNow(t, db, admin) {
			names += r.ID + " "
		}
		if names != "admin agent viewer support-lead " {
			t.Errorf("roles are %q", names)
		}
		if n := len(rolesNow(t, db, other)); n != 3 {
			t.Errorf("another organization has %d roles", n)
		}
		long, marked, empty, admins := strings.Repeat("x", 101), "Lead\u202egnp", " ", "aDmin"
		same := "SUPPORT LEAD"
		for name, c := range map[string]struct {
			in    store.RoleChange
			kind  fault.Kind
			field string
		}{
			"name taken":         {store.RoleChange{Name: "Support-Lead", Label: &[]string{"Other"}[0]}, fault.Conflict, "name"},
			"label taken":        {store.RoleChange{Name: "other", Label: &same}, fault.Conflict, "label"},
			"label of Admin":     {store.RoleChange{Name: "other", Label: &admins}, fault.Conflict, "label"},
			"built-in name":      {store.RoleChange{Name: "agent"}, fault.Conflict, "name"},
			"name":               {store.RoleChange{Name: "no blanks"}, fault.Invalid, "name"},
			"reserved":           {store.RoleChange{Name: "none"}, fault.Invalid, "name"},
			"nothing":            {store.RoleChange{Label: &empty}, fault.Invalid, "name"},
			"long":               {store.RoleChange{Name: "x", Label: &long}, fault.Invalid, "label"},
			"turned":             {store.RoleChange{Name: "x", Label: &marked}, fault.Invalid, "label"},
			"unknown permission": {store.RoleChange{Name: "x", Permissions: permissions("fly")}, fault.Invalid, "permissions"},
			"not to be had":      {store.RoleChange{Name: "x", Permissions: permissions(access.Configure)}, fault.Invalid, "permissions"},
			"half":               {store.RoleChange{Name: "x", Permissions: permissions(access.EditUsers)}, fault.Invalid, "permissions"},
		} {
			err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.CreateRole(c.in); return err })
			if !fault.Is(err, c.kind) || fault.Field(err) != c.field {
				t.Errorf("%s: %v on %q, want %v on %q", name, err, fault.Field(err), c.kind, c.field)
			}
		}
		for name, actor := range map[string]access.Actor{"viewer": person(db, org, "", "", access.Viewer), "agent": person(db, org, "", "", access.Agent)} {
			if err := db.Write(ctx, actor, func(tx *store.Tx) error {
				_, err := tx.CreateRole(store.RoleChange{Name: "mine"})
				return err
			}); !fault.Is(err, fault.Denied) {
				t.Errorf("%s makes a role: %v", name, err)
			}
		}
	})
}

func TestBuiltInRolesKeepWhatTheyAllowInMuster(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		var agent store.OrgRole
		write(t, db, admin, func(tx *store.Tx) (err error) {
			agent, err = tx.UpdateRole("agent", store.RoleChange{Permissions: permissions("export_data"), Version: 1})
			return err
		})
		if !agent.BuiltIn || !agent.Changed || !slices.Equal(agent.Permissions, []access.Permission{"export_data"}) {
			t.Errorf("Agent is %+v", agent)
		}
		said := "agent=export_data,support=delete_tickets"
		if a := person(db, org, "", said, "agent"); !a.May("export_data") || a.May("manage_macros") || a.May("delete_tickets") {
			t.Errorf("an agent may %v", db.Allowed(a))
		}
		if a := person(db, org, "", "", "agent"); !a.May("manage_macros") || a.May("export_data") {
			t.Errorf("an agent of the catalog may %v", db.Allowed(a))
		}
		if a := person(db, org, "", "", access.Admin); !a.May("delete_tickets") || a.May(access.Operate) {
			t.Errorf("an admin may %v", db.Allowed(a))
		}
		for name, c := range map[string]struct {
			role string
			in   store.RoleChange
		}{
			"admin":            {"admin", store.RoleChange{Permissions: permissions()}},
			"rename":           {"agent", store.RoleChange{Label: &[]string{"Worker"}[0]}},
			"Muster's, viewer": {"viewer", store.RoleChange{Permissions: permissions(access.EndUsers, access.ViewUsers)}},
		} {
			if err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.UpdateRole(c.role, c.in); return err }); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A form that was open meanwhile.
		err := db.Write(ctx, admin, func(tx *store.Tx) error {
			_, err := tx.UpdateRole("agent", store.RoleChange{Permissions: permissions(), Version: 1})
			return err
		})
		if !fault.Is(err, fault.Conflict) || fault.Field(err) != "version" {
			t.Errorf("a change of what was changed meanwhile: %v", err)
		}
	})
}

func TestNobodyGivesMoreThanTheyHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		desk := makeRole(t, db, admin, "Desk", access.ViewUsers, access.EditUsers, access.EndUsers, access.InviteUsers, "view_all_tickets")
		more := makeRole(t, db, admin, "More", "view_all_tickets", "export_data")
		makeRole(t, db, admin, "Less", "view_all_tickets")
		ann, boss, hugo := newUser(t, db, admin, "ann@x.example"), newUser(t, db, admin, "boss@x.example"), newUser(t, db, admin, "hugo@x.example")
		write(t, db, admin, func(tx *store.Tx) error { return tx.SetRole(boss.ID, access.Admin) })
		write(t, db, admin, func(tx *store.Tx) error { return tx.SetRole(hugo.ID, desk.ID) })
		desker := person(db, org, hugo.ID, "desk=users.edit users.end users.invite users.view view_all_tickets", "desk")
		try := func(f func(*store.Tx) error) error { return db.Write(ctx, desker, f) }
		for role, want := range map[string]bool{"less": true, "desk": true, access.Agent: true, "more": false, access.Admin: false, access.Viewer: false} {
			err := try(func(tx *store.Tx) error { return tx.SetRole(ann.ID, role) })
			if (err == nil) != want || err != nil && !fault.Is(err, fault.Denied) {
				t.Errorf("give %s: %v", role, err)
			}
			err = try(func(tx *store.Tx) error {
				_, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": "new" + role}, Source: store.FromInvite, Roles: []string{role}, Reason: store.Manual})
				return err
			})
			if (err == nil) != want || err != nil && !fault.Is(err, fault.Denied) {
				t.Errorf("invite as %s: %v", role, err)
			}
		}
		doc := store.Profile{UserName: "boss@x.example", Email: "hugo@x.example"}.Doc()
		for name, f := range map[string]func(*store.Tx) error{
			"an admin's address":  func(tx *store.Tx) error { _, err := tx.UpdateUser(boss, store.UserChange{Doc: doc}); return err },
			"an admin's access":   func(tx *store.Tx) error { _, err := tx.Deactivate(boss.ID, ""); return err },
			"an admin's account":  func(tx *store.Tx) error { _, err := tx.DeleteUser(boss.ID, ""); return err },
			"an admin's role":     func(tx *store.Tx) error { return tx.Revoke(boss.ID, access.Admin, store.Manual) },
			"an admin's, instead": func(tx *store.Tx) error { return tx.SetRole(boss.ID, "less") },
		} {
			if err := try(f); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := try(func(tx *store.Tx) error { _, err := tx.Deactivate(ann.ID, ""); return err }); err != nil {
			t.Errorf("end access of somebody with less: %v", err)
		}
		if err := try(func(tx *store.Tx) error { _, err := tx.UpdateRole(more.ID, store.RoleChange{}); return err }); !fault.Is(err, fault.Denied) {
			t.Errorf("change a role: %v", err)
		}
	})
}

func TestTheEndOfARoleIsDecided(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		makeRole(t, db, m.admin, "Lead", "export_data")
		named, mapped := m.send("named", "roles:lead"), m.send("mapped", "entitlements:boss")
		m.want(named, `lead scim roles "Lead"`)
		m.remap("entitlements:boss", "lead")
		hand := newUser(t, db, m.admin, "hand")
		write(t, db, m.admin, func(tx *store.Tx) error { return tx.SetRole(hand.ID, "lead") })
		end := func(to string) (e store.RoleEnd, err error) {
			err = db.Write(ctx, m.admin, func(tx *store.Tx) error { e, err = tx.DeleteRole("lead", to, 0); return err })
			return e, err
		}
		for to, field := range map[string]string{"": "to", "lead": "to", access.Admin: "to", "nobody": "to"} {
			if _, err := end(to); !fault.Is(err, fault.Invalid) || fault.Field(err) != field {
				t.Errorf("to %q: %v", to, err)
			}
		}
		if e, err := end(access.Viewer); err != nil || e.People != 3 || e.Losing != 3 || e.Mapped != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		m.want(named, `viewer scim roles "lead"`)
		m.want(mapped, `viewer scim entitlements "boss"`)
		m.want(hand.ID, "viewer manual")
		if err := m.change(named, "roles:lead", "roles:other"); err != nil {
			t.Fatal(err)
		}
		m.want(named, `viewer scim roles "lead"`)
		if err := db.Write(ctx, m.admin, func(tx *store.Tx) error { return tx.Grant(hand.ID, "lead", store.Manual) }); !fault.Is(err, fault.Invalid) {
			t.Errorf("a role that is gone was given: %v", err)
		}

		makeRole(t, db, m.admin, "Second", "export_data")
		write(t, db, m.admin, func(tx *store.Tx) error { return tx.Grant(hand.ID, "second", store.Manual) })
		write(t, db, m.admin, func(tx *store.Tx) error {
			_, err := tx.DeleteRole("second", store.WithoutRole, 0)
			return err
		})
		m.want(hand.ID, "viewer manual")
	})
}

// A role that is given while it is deleted: afterwards nobody has it.
func TestARoleIsGivenWhileItEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		for round := range 5 {
			role := makeRole(t, db, admin, fmt.Sprintf("Role %d", round))
			var people []store.User
			for i := range 6 {
				people = append(people, newUser(t, db, admin, fmt.Sprintf("p%d-%d", round, i)))
			}
			var wg sync.WaitGroup
			for i, u := range people {
				wg.Go(func() {
					err := db.Write(ctx, admin, func(tx *store.Tx) error {
						if i == 3 {
							_, err := tx.DeleteRole(role.ID, store.WithoutRole, 0)
							return err
						}
						return tx.Grant(u.ID, role.ID, store.Manual)
					})
					if err != nil && !fault.Is(err, fault.Invalid) {
						t.Errorf("%v", err)
					}
				})
			}
			wg.Wait()
			if err := db.Read(ctx, admin, func(tx *store.Tx) error {
				counts, err := tx.RoleCounts()
				if counts[role.ID] != 0 {
					t.Errorf("%d people have a role that is gone", counts[role.ID])
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Two who change one role at once: one of them is told.
func TestTwoChangeOneRole(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		for round := range 5 {
			role := makeRole(t, db, admin, fmt.Sprintf("Role %d", round))
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for i, p := range []access.Permission{"export_data", "delete_tickets"} {
				wg.Go(func() {
					errs[i] = db.Write(ctx, admin, func(tx *store.Tx) error {
						_, err := tx.UpdateRole(role.ID, store.RoleChange{Permissions: permissions(p), Version: role.Version})
						return err
					})
				})
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("both came out alike: %v", errs)
			}
			for _, err := range errs {
				if err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			}
		}
	})
}

// What a role allows decides whether a directory may give it by its name alone.
func TestADirectoryGivesOnlyHarmlessRolesByName(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		early := m.send("early", "roles:Team lead")
		m.want(early, "")
		makeRole(t, db, m.admin, "Team lead", "export_data")
		m.want(early, `team-lead scim roles "Team lead"`)
		set := func(list ...access.Permission) {
			write(t, db, m.admin, func(tx *store.Tx) error {
				_, err := tx.UpdateRole("team-lead", store.RoleChange{Permissions: &list})
				return err
			})
		}
		set(access.ViewUsers, access.EndUsers)
		m.want(early, "")
		m.remap("roles:Team lead", "team-lead")
		m.want(early, `team-lead scim roles "Team lead"`)
		set("export_data")
		m.want(early, `team-lead scim roles "Team lead"`)
	})
}

// The organization's roles cost a directory's requests no statement.
func TestRolesCostDirectoriesNothing(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		m := newMapping(t, db)
		count := func(f func()) int { seen.Take(); f(); return len(seen.Take()) }
		first := m.send("first", "roles:viewer")
		bare, sent := count(func() { m.send("a") }), count(func() { m.send("b", "roles:viewer") })
		patched := count(func() {
			if err := m.change(first, "roles:agent"); err != nil {
				t.Fatal(err)
			}
		})
		for i := range 5 {
			makeRole(t, db, m.admin, fmt.Sprintf("Role %d", i), "export_data")
		}
		if n := count(func() { m.send("c") }); n != bare {
			t.Errorf("%d statements for a person, %d with roles of the organization", bare, n)
		}
		if n := count(func() { m.send("d", "roles:role-1") }); n != sent {
			t.Errorf("%d statements for a person with a role, %d with roles of the organization", sent, n)
		}
		if n := count(func() {
			if err := m.change(first, "roles:role-2"); err != nil {
				t.Fatal(err)
			}
		}); n != patched {
			t.Errorf("%d statements for a change of role, %d with roles of the organization", patched, n)
		}
		for _, q := range seen.Take() {
			t.Log(q)
		}
	})
}

// What the operator takes out of the catalog stays in roles, as gone, and allows nothing.
func TestAPermissionThatIsGoneFromTheCatalog(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	db, err := store.Open(ctx, store.Options{URL: url, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	org, admin := storetest.Org(t, db, "acme")
	makeRole(t, db, admin, "Lead", "export_data", "delete_tickets")
	db.Close()
	catalog, err := access.ParseCatalog(`[{"name": "delete_tickets", "label": "Delete"}]`)
	if err != nil {
		t.Fatal(err)
	}
	if db, err = store.Open(ctx, store.Options{URL: url, NoSync: true, Catalog: catalog}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lead := rolesNow(t, db, admin)[3]
	if !slices.Equal(lead.Permissions, []access.Permission{"delete_tickets"}) || !slices.Equal(lead.Gone, []access.Permission{"export_data"}) {
		t.Errorf("the role is %+v", lead)
	}
	if a := person(db, org, "", "lead=delete_tickets export_data", "lead"); a.May("export_data") || !a.May("delete_tickets") {
		t.Errorf("its people may %v", db.Allowed(a))
	}
	about := "New words"
	write(t, db, admin, func(tx *store.Tx) (err error) {
		lead, err = tx.UpdateRole("lead", store.RoleChange{Description: &about})
		return err
	})
	if len(lead.Gone) != 1 {
		t.Errorf("a change of words dropped %+v", lead)
	}
	write(t, db, admin, func(tx *store.Tx) (err error) {
		lead, err = tx.UpdateRole("lead", store.RoleChange{Permissions: permissions("delete_tickets", "export_data")})
		return err
	})
	if len(lead.Gone) != 1 {
		t.Errorf("a form that had it ticked dropped it: %+v", lead)
	}
	write(t, db, admin, func(tx *store.Tx) (err error) {
		lead, err = tx.UpdateRole("lead", store.RoleChange{Permissions: permissions("delete_tickets")})
		return err
	})
	if len(lead.Gone) != 0 {
		t.Errorf("it cannot be taken out: %+v", lead)
	}
}
