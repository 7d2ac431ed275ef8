package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const throng = 250

// throngOf is an organization in which everything finds more people than are counted: all
// from one source, in one team and without a role but the last, who are deactivated and
// viewers.
func throngOf(t *testing.T, db *store.DB, n int) (org access.Actor, team store.GroupID) {
	t.Helper()
	_, org = storetest.Org(t, db, "acme")
	team = store.NewID[store.Group]()
	dir := newDirectory(t, db, org, "Okta")
	fill(t, db, org, dir, n)
	err := db.Write(ctx, org, func(tx *store.Tx) error {
		const last = "user00024%"
		for _, s := range []struct {
			sql  string
			args []any
		}{
			{`INSERT INTO groups (org_id, id, name, name_key, unique_name, doc, version, created_at, updated_at) VALUES (?, ?, 'All', 'all', TRUE, {{as_json}}, 1, 1, 1)`, []any{tx.Org(), team, "{}"}},
			{"INSERT INTO members (org_id, group_id, user_id, since) SELECT org_id, {{as_id}}, id, 1 FROM users WHERE org_id = ?", []any{team, tx.Org()}},
			{"UPDATE users SET status = 'deactivated', signed_in_at = 5 WHERE org_id = ? AND user_name LIKE ?", []any{tx.Org(), last}},
			{"INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, since) SELECT org_id, id, 'viewer', 'manual', '', 1 FROM users WHERE org_id = ? AND user_name LIKE ?", []any{tx.Org(), last}},
			{"ANALYZE", nil},
		} {
			if _, err := tx.Exec(s.sql, s.args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return org, team
}

func members(of store.GroupID) store.PeopleSet {
	return store.PeopleSet{IDs: "SELECT m.user_id AS id FROM members m WHERE m.group_id = ?", Args: []any{of}}
}

func viewers(not bool) store.PeopleSet {
	return store.PeopleSet{IDs: "SELECT g.user_id AS id FROM user_roles g WHERE g.role = 'viewer'", Not: not}
}

// names of the people from, up to but not including until, by their numbers.
func numbered(from, until int) (list []string) {
	for i := from; i < until; i++ {
		list = append(list, fmt.Sprintf("user%06d@example.com", i))
	}
	return list
}

// Where very many match, each of them is met once, in order, forward and back, although
// only the first are counted; and a few behind very many others are found.
func TestPagesOfVeryMany(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		db.CountPeopleUpTo(200)
		org, team := throngOf(t, db, throng)
		err := db.Write(ctx, org, func(tx *store.Tx) error {
			return tx.SetLicenses([]store.License{{ID: "light", Name: "Light", Roles: []string{access.Viewer}, Limit: store.NoLimit},
				{ID: "full", Name: "Full", Roles: []string{access.Admin}, Fallback: true, Limit: store.NoLimit}})
		})
		if err != nil {
			t.Fatal(err)
		}
		few, most, all := numbered(throng-10, throng), numbered(0, throng-10), numbered(0, throng)
		backwards := slices.Clone(most)
		slices.Reverse(backwards)
		deactivated, active := []store.Status{store.Deactivated}, []store.Status{store.Active}
		for name, c := range map[string]struct {
			q     store.PeopleQuery
			total int
			least bool
			want  []string
		}{
			"source":                   {store.PeopleQuery{Source: []store.Source{store.FromSCIM}}, 200, true, all},
			"state, by sign-in":        {store.PeopleQuery{Status: active, Sort: "signin"}, 200, true, most},
			"the others, by address":   {store.PeopleQuery{Status: deactivated, Sort: "email"}, 10, false, few},
			"team":                     {store.PeopleQuery{Team: team}, 200, true, all},
			"team, by state":           {store.PeopleQuery{Team: team, Sort: "status"}, 200, true, all},
			"team and the last":        {store.PeopleQuery{Team: team, Status: deactivated}, 10, false, few},
			"team, active, by sign-in": {store.PeopleQuery{Team: team, Status: active, Sort: "-signin"}, 59, true, backwards},
			"team, last, by sign-in":   {store.PeopleQuery{Team: team, Status: deactivated, Sort: "signin"}, 10, false, few},
			"license, team, sign-in":   {store.PeopleQuery{Team: team, License: "full", Sort: "signin"}, 59, true, most},
			"default role":             {store.PeopleQuery{Role: store.DefaultRole}, 190, true, most},
			"default role, the last":   {store.PeopleQuery{Role: store.DefaultRole, Status: deactivated}, 0, false, nil},
			"word":                     {store.PeopleQuery{Search: "user"}, 200, true, all},
			"word and team":            {store.PeopleQuery{Search: "user", Team: team, Status: active}, 59, true, most},
			"word and the last":        {store.PeopleQuery{Search: "user", Status: deactivated}, 10, false, few},
			"word, last role":          {store.PeopleQuery{Search: "user", Role: access.Viewer}, 10, false, few},
			"word, team, default":      {store.PeopleQuery{Search: "user", Team: team, Role: store.DefaultRole, Never: true}, 59, true, most},
			"set":                      {store.PeopleQuery{Sets: []store.PeopleSet{members(team)}}, 200, true, all},
			"not in a set":             {store.PeopleQuery{Sets: []store.PeopleSet{viewers(true)}}, 190, true, most},
			"in one, not in another":   {store.PeopleQuery{Sets: []store.PeopleSet{viewers(false), members(team)}}, 10, false, few},
			"license":                  {store.PeopleQuery{License: "full"}, 190, true, most},
			"license of the last":      {store.PeopleQuery{License: "light"}, 0, false, nil}, // deactivated: no seat
			"a word of all, of few":    {store.PeopleQuery{Search: "user user00024"}, 10, false, few},
			"a word of all, of some":   {store.PeopleQuery{Search: "user user0001", Sort: "email"}, 19, true, numbered(100, 200)},
			"the same, backwards":      {store.PeopleQuery{Search: "user user0001", Status: active, Sort: "signin"}, 19, true, numbered(100, 200)},
			"some, but a set":          {store.PeopleQuery{Search: "user0002", Sets: []store.PeopleSet{viewers(true)}}, 40, false, numbered(200, 240)},
			"one state, last first":    {store.PeopleQuery{Team: team, Status: active, Sort: "-name"}, 59, true, backwards},
			"two words that all have":  {store.PeopleQuery{Search: "user use"}, 59, true, all},
		} {
			t.Run(name, func(t *testing.T) {
				q := c.q
				q.Limit = 40
				list, page := walkPages(t, db, org, q)
				if page.Total != c.total || page.AtLeast != c.least {
					t.Errorf("%d, at least %v; want %d, %v", page.Total, page.AtLeast, c.total, c.least)
				}
				var got []string
				for _, p := range list {
					got = append(got, p.UserName)
				}
				if q.Sort == "status" { // two runs
					slices.Sort(got)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%d people, want %d", len(got), len(c.want))
				}
				var each int
				err := db.Read(ctx, org, func(tx *store.Tx) error {
					return tx.EachOfPeople(c.q, func(ids []store.UserID) error { each += len(ids); return nil })
				})
				if err != nil || each != len(c.want) {
					t.Errorf("each of them: %d, %v; want %d", each, err, len(c.want))
				}
			})
		}
	})
}

// How many there are does not hang on the order in which they are shown.
func TestTheNumberOfVeryManyIsTheSameInEveryOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		db.CountPeopleUpTo(200)
		org, team := throngOf(t, db, throng)
		if err := db.Write(ctx, org, func(tx *store.Tx) error {
			return tx.SetLicenses([]store.License{{ID: "light", Name: "Light", Roles: []string{access.Viewer}, Limit: store.NoLimit}, {ID: "full", Name: "Full", Fallback: true, Limit: store.NoLimit}})
		}); err != nil {
			t.Fatal(err)
		}
		active := []store.Status{store.Active}
		for name, q := range map[string]store.PeopleQuery{
			"everybody":                   {},
			"state":                       {Status: active},
			"team":                        {Team: team},
			"team and state":              {Team: team, Status: active},
			"team, role and never":        {Team: team, Role: store.DefaultRole, Never: true},
			"team and license":            {Team: team, License: "full"},
			"default role":                {Role: store.DefaultRole},
			"not in a set":                {Sets: []store.PeopleSet{viewers(true)}},
			"word and state":              {Search: "user", Status: active},
			"word and team":               {Search: "user", Team: team},
			"word of all and of some":     {Search: "user user0001"},
			"set, team, role and license": {Sets: []store.PeopleSet{viewers(true)}, Team: team, Role: store.DefaultRole, License: "full"},
		} {
			told := map[string][]string{}
			for _, sort := range []string{"name", "-name", "email", "created", "signin", "-signin", "status", "source"} {
				q.Sort = sort
				if err := db.Read(ctx, org, func(tx *store.Tx) error {
					page, err := tx.People(q)
					number := fmt.Sprint(page.Total, page.AtLeast)
					told[number] = append(told[number], sort)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			if len(told) > 1 {
				t.Errorf("%s: %v", name, told)
			}
		}
	})
}

// A page of very many walks along an index, whatever else is asked for, and no page counts
// its way to its place.
func TestHowAPageOfVeryManyIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, team := throngOf(t, db, 10_500)
		for name, c := range map[string]struct {
			q     store.PeopleQuery
			index string // PostgreSQL's name, and SQLite's
		}{
			"state":         {store.PeopleQuery{Status: []store.Status{store.Active}}, "roster_sort|roster_sort"},
			"state, down":   {store.PeopleQuery{Status: []store.Status{store.Active}, Sort: "-name"}, "roster_sort|roster_sort"},
			"created":       {store.PeopleQuery{Source: []store.Source{store.FromSCIM}, Sort: "-created"}, "roster_pkey|PRIMARY KEY"},
			"team":          {store.PeopleQuery{Team: team}, "roster_sort|roster_sort"},
			"members":       {store.PeopleQuery{Team: team}, "members_|SEARCH m"},
			"default role":  {store.PeopleQuery{Role: store.DefaultRole}, "roster_sort|roster_sort"},
			"two words":     {store.PeopleQuery{Search: "user use"}, "roster_sort|roster_sort"},
			"last sign-in":  {store.PeopleQuery{Team: team, Sort: "-signin"}, "roster_signed_in|roster_signed_in"},
			"status, up":    {store.PeopleQuery{Team: team, Sort: "status"}, "roster_status|roster_status"},
			"deep":          {store.PeopleQuery{Team: team, After: store.Standing{Text: "user000100", ID: store.UserID(team)}}, "roster_sort|roster_sort"},
			"all, by email": {store.PeopleQuery{Sort: "email"}, "users_email|users_email"},
		} {
			err := db.Read(ctx, org, func(tx *store.Tx) error {
				plan, err := tx.PlanPeople(c.q)
				onPostgres, onSQLite, _ := strings.Cut(c.index, "|")
				if err == nil && !strings.Contains(plan, onPostgres) && !strings.Contains(plan, onSQLite) {
					t.Errorf("%s: the plan does not use %s:\n%s", name, c.index, plan)
				}
				for _, all := range []string{"Seq Scan on roster", "Seq Scan on users", "SCAN u", "Seq Scan on members"} {
					if strings.Contains(plan, all) {
						t.Errorf("%s: %s:\n%s", name, all, plan)
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The filter by license finds exactly those whom LicenseOf gives it.
func TestPeopleOfALicense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, org := storetest.Org(t, db, "acme")
		err := db.Write(ctx, org, func(tx *store.Tx) error {
			for i, roles := range [][]string{nil, {access.Viewer}, {access.Admin}, {access.Viewer, access.Admin}, {access.Agent}, {access.Agent, access.Viewer}, {access.Agent, access.Admin}} {
				for _, status := range []store.Status{store.Active, store.Invited} {
					if _, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: fmt.Sprint(status, i)}.Doc(), Roles: roles, Status: status, Source: store.FromAPI, Reason: store.Manual}); err != nil {
						return err
					}
				}
			}
			u, err := tx.UserByName("active1")
			if err == nil {
				_, err = tx.Deactivate(u.ID, "")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, licenses := range [][]store.License{
			{{ID: "a", Roles: []string{access.Viewer}}, {ID: "b", Roles: []string{access.Admin}, Fallback: true}, {ID: "c", Roles: []string{access.Agent}}},
			{{ID: "a", Fallback: true}, {ID: "b", Roles: []string{access.Viewer, access.Admin}}},
			{{ID: "a", Roles: []string{access.Agent, access.Admin}}, {ID: "b", Roles: []string{access.Viewer}}},
		} {
			for i := range licenses {
				licenses[i].Name, licenses[i].Limit = licenses[i].ID, store.NoLimit
			}
			if err := db.Write(ctx, org, func(tx *store.Tx) error { return tx.SetLicenses(licenses) }); err != nil {
				t.Fatal(err)
			}
			err := db.Read(ctx, org, func(tx *store.Tx) error {
				have, err := tx.Licenses()
				if err != nil {
					return err
				}
				everybody, err := tx.People(store.PeopleQuery{})
				if err != nil {
					return err
				}
				for _, l := range have {
					var want []string
					for _, p := range everybody.People {
						if of, ok := store.LicenseOf(have, p.Status, store.RoleNames(p.Grants)); ok && of.ID == l.ID {
							want = append(want, p.UserName)
						}
					}
					page, err := tx.People(store.PeopleQuery{License: l.ID})
					if err != nil {
						return err
					}
					var got []string
					for _, p := range page.People {
						got = append(got, p.UserName)
					}
					if !slices.Equal(got, want) || page.Total != len(want) {
						t.Errorf("%v: license %s finds %q and counts %d, want %q", licenses, l.ID, got, page.Total, want)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
