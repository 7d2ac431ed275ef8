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

// asMembers are groups as the ids of members.
func asMembers(groups ...store.Group) []store.UserID {
	ids := make([]store.UserID, len(groups))
	for i, g := range groups {
		ids[i] = store.UserID(g.ID)
	}
	return ids
}

// groupsIn are the names of the groups in a group.
func groupsIn(t *testing.T, db *store.DB, actor access.Actor, id store.GroupID) []string {
	t.Helper()
	names := []string{}
	err := db.Read(ctx, actor, func(tx *store.Tx) error {
		return tx.Subgroups([]store.GroupID{id}, func(of store.GroupID, m store.Member) error {
			if of != id || m.Kind != store.KindGroup || m.Since == 0 {
				t.Errorf("%s has the member %+v", of, m)
			}
			names = append(names, m.Name)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// belongs tells somebody's groups as "name" and "name<through".
func belongs(t *testing.T, db *store.DB, actor access.Actor, id store.UserID) string {
	t.Helper()
	var of map[store.UserID][]store.GroupRef
	if err := db.Read(ctx, actor, func(tx *store.Tx) (err error) { of, err = tx.GroupsOf([]store.UserID{id}); return err }); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range of[id] {
		if g.Through != "" {
			g.Name += "<" + g.Through
		}
		names = append(names, g.Name)
	}
	return strings.Join(names, " ")
}

func mustChange(t *testing.T, db *store.DB, actor access.Actor, id store.GroupID, ch store.GroupChange) store.Group {
	t.Helper()
	g, err := change(db, actor, id, ch)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGroupsInGroups(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		ann, ben := newUser(t, db, dir, "ann@example.com"), newUser(t, db, dir, "ben@example.com")
		web := newGroup(t, db, dir, "Web", ann.ID)
		eng := newGroup(t, db, dir, "Eng", append(asMembers(web), ben.ID)...)
		all := newGroup(t, db, dir, "All")
		if !eng.HasGroups || all.HasGroups {
			t.Errorf("Eng has groups: %v, All: %v", eng.HasGroups, all.HasGroups)
		}
		before := all.ETagVersion()
		all = mustChange(t, db, dir, all.ID, store.GroupChange{Add: asMembers(eng, web)})
		if all.ETagVersion() == before {
			t.Error("a group in it did not change the group's version")
		}
		if again := mustChange(t, db, dir, all.ID, store.GroupChange{Add: asMembers(eng)}); again.ETagVersion() != all.ETagVersion() {
			t.Error("adding a group again changed the version")
		}
		if got := belongs(t, db, dir, ann.ID); got != "Web All<Web Eng<Web" {
			t.Errorf("Ann is in %q", got)
		}
		if got := belongs(t, db, dir, ben.ID); got != "Eng All<Eng" {
			t.Errorf("Ben is in %q", got)
		}
		var now store.User
		if err := db.Read(ctx, dir, func(tx *store.Tx) (err error) { now, err = tx.User(ann.ID); return err }); err != nil || now.Version != ann.Version {
			t.Errorf("the person's version went from %d to %d, %v", ann.Version, now.Version, err)
		}
		// Replacing, and only one kind of member.
		only := append(asMembers(web), ann.ID)
		mustChange(t, db, dir, all.ID, store.GroupChange{Replace: &only})
		if got := groupsIn(t, db, dir, all.ID); !slices.Equal(got, []string{"Web"}) || !membersOf(t, db, dir, all.ID)[ann.ID] {
			t.Errorf("after a replacement All has the groups %v", got)
		}
		if got := belongs(t, db, dir, ann.ID); got != "All Web Eng<Web" {
			t.Errorf("Ann is in %q", got)
		}
		mustChange(t, db, dir, all.ID, store.GroupChange{Replace: &[]store.UserID{}, Of: store.KindGroup, Add: []store.UserID{ben.ID}})
		if got, people := groupsIn(t, db, dir, all.ID), membersOf(t, db, dir, all.ID); len(got) != 0 || len(people) != 2 {
			t.Errorf("without its groups All has %v and %v", got, people)
		}
		mustChange(t, db, dir, all.ID, store.GroupChange{Add: asMembers(web)})
		mustChange(t, db, dir, all.ID, store.GroupChange{Replace: &[]store.UserID{}, Of: store.KindUser})
		if got, people := groupsIn(t, db, dir, all.ID), membersOf(t, db, dir, all.ID); len(got) != 1 || len(people) != 0 {
			t.Errorf("without its people All has %v and %v", got, people)
		}
		// Leaving, people and groups together, also by the short way.
		mustChange(t, db, dir, all.ID, store.GroupChange{Add: []store.UserID{ann.ID, ben.ID}})
		err := db.Command(ctx, dir, func(tx *store.Tx) error {
			done, err := tx.RemoveMembers(all.ID, append(asMembers(web), ann.ID))
			if done {
				t.Error("several members left a group with groups by the short way, which does not know groups")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		mustChange(t, db, dir, all.ID, store.GroupChange{Remove: append(asMembers(web), ann.ID)})
		if got, people := groupsIn(t, db, dir, all.ID), membersOf(t, db, dir, all.ID); len(got) != 0 || !maps.Equal(people, map[store.UserID]bool{ben.ID: true}) {
			t.Errorf("All has %v and %v, want Ben alone", got, people)
		}
		// A deleted group is in no group, and has none.
		version := mustChange(t, db, dir, all.ID, store.GroupChange{Add: asMembers(eng)}).ETagVersion()
		write(t, db, dir, func(tx *store.Tx) error { return tx.DeleteGroup(eng.ID) })
		if got := groupsIn(t, db, dir, all.ID); len(got) != 0 {
			t.Errorf("All has the groups %v", got)
		}
		if err := db.Read(ctx, dir, func(tx *store.Tx) (err error) { all, err = tx.Group(all.ID); return err }); err != nil || all.ETagVersion() == version {
			t.Errorf("the version stayed %s when a group in it was deleted, %v", version, err)
		}
		if got := belongs(t, db, dir, ann.ID); got != "Web" {
			t.Errorf("Ann is in %q", got)
		}
	})
}

func TestWhatCannotBeNested(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		other := okta(org, newDirectory(t, db, admin, "Entra"))
		_, stranger := storetest.Org(t, db, "globex")
		a, b, c := newGroup(t, db, dir, "A"), newGroup(t, db, dir, "B"), newGroup(t, db, dir, "C")
		team, foreign, far := newGroup(t, db, admin, "Team"), newGroup(t, db, other, "Other"), newGroup(t, db, stranger, "Far")
		person := newUser(t, db, dir, "ann@example.com")
		mustChange(t, db, dir, a.ID, store.GroupChange{Add: asMembers(b)})
		mustChange(t, db, dir, b.ID, store.GroupChange{Add: asMembers(c)})
		replace := asMembers(a)
		said := func(id store.UserID, kind store.Kind) map[store.UserID]store.Kind {
			return map[store.UserID]store.Kind{id: kind}
		}
		for name, tc := range map[string]struct {
			actor access.Actor
			in    store.Group
			ch    store.GroupChange
			names []string
		}{
			"itself":                      {dir, a, store.GroupChange{Add: asMembers(a)}, []string{`"A"`, "itself"}},
			"a circle of two":             {dir, b, store.GroupChange{Add: asMembers(a)}, []string{`"A" contains the group "B"`}},
			"a circle of three":           {dir, c, store.GroupChange{Add: append(asMembers(a), person.ID)}, []string{`"A" contains the group "C"`}},
			"a circle by replacing":       {dir, c, store.GroupChange{Replace: &replace}, []string{`"A"`, `"C"`}},
			"a team in a directory's":     {dir, a, store.GroupChange{Add: asMembers(team)}, []string{string(team.ID)}},
			"another directory's":         {dir, a, store.GroupChange{Add: asMembers(foreign)}, []string{string(foreign.ID)}},
			"another organization's":      {admin, team, store.GroupChange{Add: asMembers(far)}, []string{string(far.ID)}},
			"unknown":                     {dir, a, store.GroupChange{Add: append(asMembers(c), store.NewID[store.User]())}, []string{"no users or groups"}},
			"a group said to be a person": {dir, a, store.GroupChange{Add: asMembers(c), Said: said(asMembers(c)[0], store.KindUser)}, []string{"is a Group, and not a User"}},
			"a person said to be a group": {dir, a, store.GroupChange{Add: []store.UserID{person.ID}, Said: said(person.ID, store.KindGroup)}, []string{"is a User, and not a Group"}},
		} {
			_, err := change(db, tc.actor, tc.in.ID, tc.ch)
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != "members" {
				t.Errorf("%s: %v, want Invalid on members", name, err)
				continue
			}
			for _, part := range tc.names {
				if !strings.Contains(fault.Public(err), part) {
					t.Errorf("%s: %q does not say %q", name, fault.Public(err), part)
				}
			}
		}
		for _, g := range []struct {
			store.Group
			want string
		}{{a, "B"}, {b, "C"}, {c, ""}} {
			if got := strings.Join(groupsIn(t, db, dir, g.ID), " "); got != g.want || len(membersOf(t, db, dir, g.ID)) != 0 {
				t.Errorf("%s has %q after refusals, want %q", g.Name, got, g.want)
			}
		}
		if _, err := change(db, admin, a.ID, store.GroupChange{Add: asMembers(team)}); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin put a team into a directory's group: %v", err)
		}
		// A team may hold a directory's groups: the directory sees nothing of it.
		mustChange(t, db, dir, c.ID, store.GroupChange{Add: []store.UserID{person.ID}})
		mustChange(t, db, admin, team.ID, store.GroupChange{Add: asMembers(b)})
		if got := belongs(t, db, admin, person.ID); got != "C A<C B<C Team<C" {
			t.Errorf("the person is in %q", got)
		}
		if got := belongs(t, db, dir, person.ID); got != "C A<C B<C" {
			t.Errorf("the directory sees the person in %q", got)
		}
	})
}

func TestGroupsNestTenDeep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		var g []store.Group
		for i := range 11 {
			g = append(g, newGroup(t, db, admin, fmt.Sprintf("G%02d", i)))
		}
		for _, i := range []int{8, 0, 4, 6, 2, 7, 1, 5, 3} { // ten of them, in no order
			mustChange(t, db, admin, g[i].ID, store.GroupChange{Add: asMembers(g[i+1])})
		}
		for name, pair := range map[string][2]int{"below": {9, 10}, "above": {10, 0}} {
			_, err := change(db, admin, g[pair[0]].ID, store.GroupChange{Add: asMembers(g[pair[1]])})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Public(err), "11 groups") {
				t.Errorf("an eleventh group %s: %v", name, err)
			}
		}
		mustChange(t, db, admin, g[8].ID, store.GroupChange{Add: asMembers(g[10])})
		person := newUser(t, db, admin, "ann@example.com")
		mustChange(t, db, admin, g[9].ID, store.GroupChange{Add: []store.UserID{person.ID}})
		if got := belongs(t, db, admin, person.ID); !strings.HasPrefix(got, "G09 G00<G09 ") || len(strings.Fields(got)) != 10 {
			t.Errorf("the person is in %q", got)
		}
	})
}

// Of requests that close a circle together, one is refused, whatever they are.
func TestCirclesAreRefusedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		for round := range 12 {
			n := 2 + round%3
			var g []store.Group
			for i := range n {
				g = append(g, newGroup(t, db, admin, fmt.Sprintf("G%d.%d", round, i)))
			}
			refused := make([]bool, n)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					ids := asMembers(g[(i+1)%n])
					ch := store.GroupChange{Add: ids}
					if (round+i)%2 == 1 {
						ch = store.GroupChange{Replace: &ids}
					}
					_, err := change(db, admin, g[i].ID, ch)
					if refused[i] = fault.Is(err, fault.Invalid); err != nil && !refused[i] {
						t.Errorf("round %d: %v", round, err)
					}
				})
			}
			wg.Wait()
			total := 0
			for i := range n {
				if total += len(groupsIn(t, db, admin, g[i].ID)); refused[i] && len(groupsIn(t, db, admin, g[i].ID)) != 0 {
					t.Errorf("round %d: a refused group is in %s", round, g[i].Name)
				}
			}
			if total != n-1 {
				t.Errorf("round %d: %d of %d groups are nested, want all but one; refused %v", round, total, n, refused)
			}
		}
	})
}

// A group that is put into another while it is deleted is there and in it, or
// neither; people come and go meanwhile.
func TestNestingWhileOthersWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		top := newGroup(t, db, admin, "Top")
		var people []store.UserID
		for i := range 8 {
			people = append(people, newUser(t, db, admin, fmt.Sprintf("p%d@example.com", i)).ID)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			g := newGroup(t, db, admin, fmt.Sprintf("G%d", i))
			wg.Go(func() {
				if _, err := change(db, admin, top.ID, store.GroupChange{Add: asMembers(g)}); err != nil && !fault.Is(err, fault.Invalid) {
					t.Errorf("nest: %v", err)
				}
			})
			wg.Go(func() {
				if err := db.Write(ctx, admin, func(tx *store.Tx) error { return tx.DeleteGroup(g.ID) }); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			wg.Go(func() {
				if _, err := change(db, admin, top.ID, store.GroupChange{Add: people[i : i+1]}); err != nil {
					t.Errorf("add: %v", err)
				}
			})
		}
		wg.Wait()
		if got := groupsIn(t, db, admin, top.ID); len(got) != 0 || len(membersOf(t, db, admin, top.ID)) != len(people) {
			t.Errorf("Top has the deleted groups %v, and %d people", got, len(membersOf(t, db, admin, top.ID)))
		}
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			var left int
			err := tx.Get(&left, "SELECT COUNT(*) FROM subgroups WHERE org_id = ?", tx.Org())
			if left != 0 {
				t.Errorf("%d rows of nesting are left of deleted groups", left)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Filters on groups know indirect membership, and filters on members groups.
func TestFiltersKnowNesting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		ann, ben := newUser(t, db, dir, "ann@example.com"), newUser(t, db, dir, "ben@example.com")
		web := newGroup(t, db, dir, "Web", ann.ID)
		eng := newGroup(t, db, dir, "Eng", append(asMembers(web), ben.ID)...)
		newGroup(t, db, dir, "All", append(asMembers(eng), ann.ID)...)
		name := func(s string) store.Cond { return store.GroupNameKey.Text().Is(store.Fold(s)) }
		err := db.Read(ctx, dir, func(tx *store.Tx) error {
			for _, tc := range []struct {
				where store.Cond
				want  string
			}{
				{store.InGroup(name("Eng"), name("Eng")), "ann@example.com ben@example.com"},
				{store.InGroup(name("Eng"), store.Nothing()), "ben@example.com"},
				{store.InGroup(store.Nothing(), name("Eng")), "ann@example.com"},
				{store.InGroup(store.Nothing(), name("All")), "ben@example.com"}, // Ann is a member herself
				{store.InGroup(name("All"), name("All")), "ann@example.com ben@example.com"},
				{store.InGroup(store.Nothing(), name("Web")), ""},
			} {
				var names []string
				_, err := tx.EachUser(store.Query{Where: tc.where, Limit: 10}, func(u store.User) error { names = append(names, u.UserName); return nil })
				if got := strings.Join(names, " "); err != nil || got != tc.want {
					t.Errorf("users %q, %v; want %q", got, err, tc.want)
				}
			}
			for _, tc := range []struct {
				where store.Cond
				want  string
			}{
				{store.HasMember(store.Nothing(), store.Subgroup.Text().Is(string(web.ID)), false), "Eng"},
				{store.HasMember(store.MemberUser.Text().Is(string(ann.ID)), store.Subgroup.Text().Is(string(ann.ID)), false), "Web All"},
				{store.HasMember(store.Nothing(), store.SubgroupDisplay.Text().AnyCase().Is("eng"), true), "All"},
			} {
				var names []string
				_, err := tx.EachGroup(store.Query{Where: tc.where, Limit: 10}, func(g store.Group) error { names = append(names, g.Name); return nil })
				if got := strings.Join(names, " "); err != nil || got != tc.want {
					t.Errorf("groups %q, %v; want %q", got, err, tc.want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Whether anything is nested costs one look into an index for a whole page of people.
func TestNestingIsLookedUpOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		fill(t, db, admin, "", 1000)
		if db.Dialect() == "postgres" {
			for _, table := range []string{"users", "groups", "members"} {
				write(t, db, admin, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE " + table); return err })
			}
		}
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			plan, err := tx.PlanGroupsOf([]store.UserID{store.NewID[store.User](), store.NewID[store.User]()})
			once, each := "InitPlan", "SubPlan"
			if db.Dialect() == "sqlite" {
				once, each = "SCALAR SUBQUERY", "CORRELATED"
			}
			if !strings.Contains(plan, once) || strings.Contains(plan, each) || !strings.Contains(plan, "subgroups") && !strings.Contains(plan, "SEARCH n USING") {
				t.Errorf("want one %s over subgroups and no %s in\n%s", once, each, plan)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Thousands of groups in a group come page by page, each once and in order.
func TestManyGroupsInOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		top, other := newGroup(t, db, admin, "Top"), newGroup(t, db, admin, "Other")
		fill(t, db, admin, "", 5200)
		write(t, db, admin, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO subgroups (org_id, group_id, member_group_id, since)
				SELECT g.org_id, {{as_id}}, g.id, 1 FROM groups g WHERE g.org_id = ? AND g.id NOT IN (?, ?)`, top.ID, tx.Org(), top.ID, other.ID)
			return err
		})
		mustChange(t, db, admin, other.ID, store.GroupChange{Add: asMembers(top)})
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			n, last := 0, store.UserID("")
			err := tx.Subgroups([]store.GroupID{other.ID, top.ID}, func(of store.GroupID, m store.Member) error {
				if of == other.ID && m.ID != store.UserID(top.ID) || of == top.ID && m.ID <= last {
					t.Errorf("%s in %s after %s", m.ID, of, last)
				}
				if of == top.ID {
					n, last = n+1, m.ID
				}
				return nil
			})
			if n != 5200 {
				t.Errorf("%d groups in Top", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		mustChange(t, db, admin, top.ID, store.GroupChange{Replace: &[]store.UserID{}})
		if got := groupsIn(t, db, admin, top.ID); len(got) != 0 {
			t.Errorf("%d groups are left", len(got))
		}
	})
}
