package store_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A team that was deleted is no default any more, and in nobody's way.
func TestADefaultTeamThatIsGone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		all, desk := makeTeam(t, db, m.admin, "All"), makeTeam(t, db, m.admin, "Desk")
		write(t, db, m.admin, func(tx *store.Tx) error {
			return tx.SetDefaults(store.Defaults{Default: store.Default{Teams: []store.GroupID{all.ID, desk.ID}}, For: map[string]store.Default{"csv": {Role: access.Viewer, Teams: []store.GroupID{desk.ID}}}}, 0)
		})
		write(t, db, m.admin, func(tx *store.Tx) error { return tx.DeleteGroup(desk.ID) })
		write(t, db, m.admin, func(tx *store.Tx) error {
			d, version, err := tx.Defaults()
			if err != nil {
				return err
			}
			if len(d.Teams) != 1 || d.Teams[0] != all.ID || len(d.For["csv"].Teams) != 0 || d.For["csv"].Role != access.Viewer {
				t.Errorf("the defaults are %+v", d)
			}
			d.Role = access.Viewer
			return tx.SetDefaults(d, version)
		})
	})
}

func TestDefaultsOfNewPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := newMapping(t, db)
		makeRole(t, db, m.admin, "Lead", "export_data")
		all, desk := makeTeam(t, db, m.admin, "All"), makeTeam(t, db, m.admin, "Desk")
		set := func(d store.Defaults) error {
			return db.Write(ctx, m.admin, func(tx *store.Tx) error {
				_, version, err := tx.Defaults()
				if err != nil {
					return err
				}
				return tx.SetDefaults(d, version)
			})
		}
		if err := set(store.Defaults{Default: store.Default{Role: access.Viewer, Teams: []store.GroupID{all.ID}}, For: map[string]store.Default{
			"csv": {Role: "lead"}, "scim": {Role: access.Viewer}, string(m.dir): {Role: "lead", Teams: []store.GroupID{desk.ID}}}}); err != nil {
			t.Fatal(err)
		}
		held := func(id store.UserID) string {
			t.Helper()
			var out []string
			if err := db.Read(ctx, m.admin, func(tx *store.Tx) error {
				roles, err := tx.RolesOf([]store.UserID{id})
				for _, g := range roles[id] {
					out = append(out, g.Role+" "+g.Kind+" "+g.Ref)
				}
				if err != nil {
					return err
				}
				list, err := tx.MembershipsOf(id)
				for _, r := range list {
					out = append(out, map[store.GroupID]string{all.ID: "All", desk.ID: "Desk"}[r.GroupID]+" "+r.Kind+" "+r.Ref)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return strings.Join(out, ", ")
		}
		made := func(from store.Source, roles ...string) store.UserID {
			t.Helper()
			var u store.User
			write(t, db, m.admin, func(tx *store.Tx) (err error) {
				u, err = tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": string(store.NewID[store.User]())}, Source: from, Roles: roles, Reason: store.Manual})
				return err
			})
			return u.ID
		}
		together := func(from store.Source, roles ...string) store.UserID {
			t.Helper()
			var list []store.User
			write(t, db, m.admin, func(tx *store.Tx) (err error) {
				list, err = tx.CreateUsers([]store.NewUser{{Doc: store.Doc{"userName": string(store.NewID[store.User]())}, Source: from},
					{Doc: store.Doc{"userName": string(store.NewID[store.User]())}, Source: from, Roles: roles, Reason: store.Manual}})
				return err
			})
			return list[1].ID
		}
		ann := made(store.FromAPI)
		for name, c := range map[string]struct{ got, want string }{
			"everybody":      {held(ann), "viewer default all, All default all"},
			"a source":       {held(made(store.FromCSV)), "lead default csv"},
			"a role is said": {held(made(store.FromInvite, access.Agent)), "agent manual , All default all"},
			"many":           {held(together(store.FromAPI)), "viewer default all, All default all"},
			"many of a file": {held(together(store.FromCSV)), "lead default csv"},
			"many with one":  {held(together(store.FromInvite, access.Agent)), "agent manual , All default all"},
			"a directory":    {held(m.send("dora")), "lead default " + string(m.dir) + ", Desk default " + string(m.dir)},
			"it sends roles": {held(m.send("rita", "roles:agent")), "agent scim " + string(m.dir) + ", Desk default " + string(m.dir)},
		} {
			if c.got != c.want {
				t.Errorf("%s: %q, want %q", name, c.got, c.want)
			}
		}
		write(t, db, m.admin, func(tx *store.Tx) error { return tx.SetRole(ann, "lead") })
		if got := held(ann); got != "lead manual , All default all" {
			t.Errorf("a role by hand leaves %q", got)
		}
		for name, d := range map[string]store.Defaults{"admin": {Default: store.Default{Role: access.Admin}}, "no role": {Default: store.Default{Role: "nobody"}},
			"no team": {Default: store.Default{Teams: []store.GroupID{store.NewID[store.Group]()}}}, "no source": {For: map[string]store.Default{"moon": {}}}} {
			if err := set(d); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := db.Write(ctx, m.admin, func(tx *store.Tx) error { _, err := tx.DeleteRole("lead", store.WithoutRole, 0); return err }); !fault.Is(err, fault.Conflict) {
			t.Errorf("a default role was deleted: %v", err)
		}
		write(t, db, m.admin, func(tx *store.Tx) error { return tx.DeleteGroup(all.ID) })
		if got := held(made(store.FromAPI)); got != "viewer default all" {
			t.Errorf("with a team that is gone: %q", got)
		}
		if got := held(together(store.FromAPI)); got != "viewer default all" {
			t.Errorf("many with a team that is gone: %q", got)
		}
	})
}
