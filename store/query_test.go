package store_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// fill adds n active people with one address each, a group for each one alone and
// one group of every tenth, without the activity rows that nobody here looks at.
func fill(t testing.TB, db *store.DB, actor access.Actor, dir store.DirectoryID, n int) {
	t.Helper()
	type row struct {
		ID   string         `json:"id"`
		Name string         `json:"name"`
		Doc  map[string]any `json:"doc"`
	}
	rows := make([]row, n)
	var tenth []string
	for i := range rows {
		name := fmt.Sprintf("user%06d@example.com", i)
		rows[i] = row{string(store.NewID[store.User]()), name, map[string]any{"userName": name, "title": fmt.Sprintf("Title %d", i),
			"emails": []any{map[string]any{"value": name, "type": "work"}}}}
		if i%10 == 0 {
			tenth = append(tenth, rows[i].ID)
		}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := json.Marshal(tenth)
	if err != nil {
		t.Fatal(err)
	}
	group := store.NewID[store.Group]()
	err = db.Write(ctx, actor, func(tx *store.Tx) error {
		for _, s := range []struct {
			sql  string
			args []any
		}{
			{`INSERT INTO users (org_id, id, directory_id, source, status, break_glass, user_name, user_name_key, external_id, email, email_key, display_name, sort_key, search_key, doc, version, created_at, updated_at)
				SELECT {{as_id}}, CAST(e.value ->> 'id' AS {{id}}), {{as_id}}, 'scim', 'active', FALSE, e.value ->> 'name', e.value ->> 'name', e.value ->> 'name', e.value ->> 'name', e.value ->> 'name',
				e.value ->> 'name', e.value ->> 'name', e.value ->> 'name', e.value -> 'doc', 1, 1, 1 FROM {{each}} WHERE 1 = 1`, []any{tx.Org(), dir, string(list)}},
			{`INSERT INTO user_values (org_id, attr, value_key, kind, user_id)
				SELECT {{as_id}}, 'emails', e.value ->> 'name', 'work', CAST(e.value ->> 'id' AS {{id}}) FROM {{each}} WHERE 1 = 1`, []any{tx.Org(), string(list)}},
			{`INSERT INTO groups (org_id, id, directory_id, name, name_key, unique_name, doc, version, created_at, updated_at)
				SELECT {{as_id}}, CAST(e.value ->> 'id' AS {{id}}), {{as_id}}, e.value ->> 'name', e.value ->> 'name', TRUE, e.value -> 'doc', 1, 1, 1 FROM {{each}} WHERE 1 = 1`, []any{tx.Org(), dir, string(list)}},
			{`INSERT INTO members (org_id, group_id, user_id, since) SELECT {{as_id}}, CAST(e.value ->> 'id' AS {{id}}), CAST(e.value ->> 'id' AS {{id}}), 1 FROM {{each}} WHERE 1 = 1`,
				[]any{tx.Org(), string(list)}},
			{`INSERT INTO members (org_id, group_id, user_id, since) SELECT {{as_id}}, {{as_id}}, CAST(x.id AS {{id}}), 1 FROM (SELECT id FROM users WHERE org_id = ? AND id IN ({{ids}})) x WHERE 1 = 1`,
				[]any{tx.Org(), group, tx.Org(), string(ids)}},
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
}

func backwards(by store.Sort) store.Sort {
	by.Descending = true
	return by
}

// What directories ask for all the time goes by an index, also in an organization
// with many people beside others.
func TestListsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "other")
		dir := okta(store.OrgID(admin.Org), newDirectory(t, db, admin, "Okta"))
		fill(t, db, admin, store.DirectoryID(dir.ID), 3000)
		fill(t, db, other, "", 1000)
		if db.Dialect() == "postgres" { // SQLite has to do without statistics
			for _, table := range []string{"users", "user_values", "groups", "members"} {
				if err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE " + table); return err }); err != nil {
					t.Fatal(err)
				}
			}
		}
		id := store.NewID[store.User]()
		element := store.UserElement(store.And(store.Element("type").AnyCase().Is("work"), store.Element("value").AnyCase().Is("user000500@example.com")), "emails")
		users := []struct {
			name  string
			where store.Cond
			index string
		}{
			{"userName eq", store.UserNameKey.Text().Is("user000500@example.com"), `users_user_name|users_name_any_org`},
			{"userName sw", store.UserNameKey.Text().StartsWith("user00050"), `users_user_name|users_name_any_org`},
			{"externalId eq", store.UserExternalID.Text().Is("user000500@example.com"), `users_external_id|users_any_external_id`},
			{"id eq", store.UserIDColumn.Text().Is(string(id)), `users_pkey|sqlite_autoindex_users_1`},
			{"emails eq", store.And(store.HasValue("emails", "user000500@example.com"), element), `user_values_pkey|SEARCH v USING PRIMARY KEY \(org_id=\? AND attr=\? AND value_key=\?`},
			{"groups eq", store.InGroup(store.GroupIDColumn.Text().Is(string(id)), store.GroupIDColumn.Text().Is(string(id))), `members_pkey|members_user|SEARCH m USING`},
			{"userName eq and title", store.And(store.UserNameKey.Text().Is("x"), store.UserDoc("title").AnyCase().Is("x")), `users_user_name|users_name_any_org`},
			{"everybody", store.Cond{}, `users_pkey|sqlite_autoindex_users_1`},
		}
		groups := []struct {
			name  string
			where store.Cond
			index string
		}{
			{"displayName eq", store.GroupNameKey.Text().Is("user000500@example.com"), `groups_name|groups_by_name|groups_local_name`},
			{"externalId eq", store.GroupExternalID.Text().Is("x"), `groups_external_id|groups_name|groups_by_name`},
			{"members eq", store.HasMember(store.MemberUser.Text().Is(string(id)), store.Subgroup.Text().Is(string(id)), false), `members_user`},
			{"id eq and members eq", store.And(store.GroupIDColumn.Text().Is(string(id)), store.HasMember(store.MemberUser.Text().Is(string(id)), store.Subgroup.Text().Is(string(id)), false)), `members_pkey|members_user|SEARCH m USING PRIMARY KEY`},
		}
		deep := store.Query{After: store.Place{ID: string(id), Key: "user001500@example.com"}}
		orders := []struct {
			name  string
			by    store.Sort
			index string
		}{
			{"userName", store.UserNameKey.Sort(), `users_user_name`},
			{"userName descending", backwards(store.UserNameKey.Sort()), `users_user_name`},
			{"externalId", store.UserExternalID.Sort(), `users_any_external_id|users_external_id`},
			{"externalId descending", backwards(store.UserExternalID.Sort()), `users_any_external_id|users_external_id`},
			{"id descending", backwards(store.UserIDColumn.Sort()), `users_pkey|sqlite_autoindex_users_1`},
		}
		scan := regexp.MustCompile(`Seq Scan|\bSCAN (users|g|m|v|groups|members)\b`)
		sorts := regexp.MustCompile(`(^|\n)[ ->]*Sort  |USE TEMP B-TREE FOR ORDER BY`)
		for _, actor := range []access.Actor{admin, dir} {
			err := db.Read(ctx, actor, func(tx *store.Tx) error {
				for _, c := range users {
					plan, err := tx.PlanUsers(store.Query{Where: c.where})
					if err != nil {
						return fmt.Errorf("%s: %w", c.name, err)
					}
					if !regexp.MustCompile(c.index).MatchString(plan) || scan.MatchString(plan) {
						t.Errorf("%s by %s: want %s and no scan in\n%s", c.name, actor.Kind, c.index, plan)
					}
				}
				for _, c := range orders {
					plan, err := tx.PlanSortedUsers(deep, c.by)
					if err != nil {
						return fmt.Errorf("sorted by %s: %w", c.name, err)
					}
					if !regexp.MustCompile(c.index).MatchString(plan) || scan.MatchString(plan) || sorts.MatchString(plan) {
						t.Errorf("sorted by %s, for %s: want %s, no scan and no sort in\n%s", c.name, actor.Kind, c.index, plan)
					}
				}
				plan, err := tx.PlanSortedGroups(deep, store.GroupNameKey.Sort())
				if err != nil || !strings.Contains(plan, "groups_by_name") || sorts.MatchString(plan) {
					t.Errorf("groups sorted by displayName, for %s: %v\n%s", actor.Kind, err, plan)
				}
				for _, c := range groups {
					plan, err := tx.PlanGroups(store.Query{Where: c.where})
					if err != nil {
						return fmt.Errorf("%s: %w", c.name, err)
					}
					if !regexp.MustCompile(c.index).MatchString(plan) || scan.MatchString(plan) {
						t.Errorf("groups, %s by %s: want %s and no scan in\n%s", c.name, actor.Kind, c.index, plan)
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

// Planning a page takes PostgreSQL as long as reading it, so it must not begin anew
// for each place and size.
func TestPagesArePlannedOnce(t *testing.T) {
	t.Parallel()
	db, err := store.Open(ctx, store.Options{URL: storetest.PostgresURL(t), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	_, admin := storetest.Org(t, db, "acme")
	fill(t, db, admin, "", 3000)
	if err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE users"); return err }); err != nil {
		t.Fatal(err)
	}
	for _, by := range []store.Sort{{}, store.UserNameKey.Sort(), store.UserExternalID.Sort()} {
		q := store.Query{Brief: true}
		for i := range 20 {
			q.Limit = 50 + i
			each := func(_ store.User, at store.Place) error { q.After = at; return nil }
			err := db.Read(ctx, admin, func(tx *store.Tx) error {
				_, err := tx.SortedUsers(q, by, each)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var plans []struct {
		Statement string `db:"statement"`
		Custom    int    `db:"custom_plans"`
		Generic   int    `db:"generic_plans"`
	}
	err = db.LookupAll(ctx, &plans, "SELECT statement, custom_plans, generic_plans FROM pg_prepared_statements WHERE statement LIKE '%FROM users%ORDER BY%'")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range plans {
		if p.Custom > 5 { // PostgreSQL tries five
			t.Errorf("planned %d times, %d times not: %s", p.Custom, p.Generic, p.Statement)
		}
		n += p.Generic
	}
	if n < 3*10 {
		t.Errorf("%d pages of 60 were read by a plan that was there: %v", n, plans)
	}
}

func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		fill(t, db, admin, "", 450) // more than two chunks
		page := func(offset, limit int, where store.Cond) (names []string, total int) {
			t.Helper()
			err := db.Read(ctx, admin, func(tx *store.Tx) (err error) {
				total, err = tx.EachUser(store.Query{Where: where, Offset: offset, Limit: limit, Count: true}, func(u store.User) error {
					names = append(names, u.UserName)
					_, err := tx.MemberCount(store.NewID[store.Group]()) // a query in between is allowed
					return err
				})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return names, total
		}
		all, total := page(0, 1000, store.Cond{})
		if len(all) != 450 || total != 450 || !slices.IsSorted(all) {
			t.Fatalf("all: %d users, total %d, in the order of creation: %v", len(all), total, slices.IsSorted(all))
		}
		var crawled []string
		for offset := 0; offset < 500; offset += 70 {
			part, total := page(offset, 70, store.Cond{})
			if total != 450 {
				t.Errorf("from %d: total %d, want 450", offset, total)
			}
			crawled = append(crawled, part...)
		}
		if !slices.Equal(crawled, all) {
			t.Errorf("page by page: %d users in another order or number than all %d", len(crawled), len(all))
		}
		for _, c := range []struct{ offset, limit, found int }{{0, 0, 0}, {450, 10, 0}, {440, 10, 10}, {440, 100, 10}, {100000, 10, 0}} {
			if part, total := page(c.offset, c.limit, store.Cond{}); len(part) != c.found || total != 450 {
				t.Errorf("offset %d limit %d: %d users of %d, want %d of 450", c.offset, c.limit, len(part), total, c.found)
			}
		}
		some, total := page(20, 30, store.UserNameKey.Text().StartsWith("user0001"))
		if len(some) != 30 || total != 100 || some[0] != "user000120@example.com" {
			t.Errorf("filtered page: %d users from %v, total %d", len(some), some[:1], total)
		}
	})
}

// A directory lists the people it manages and those nobody manages; nobody sees
// another organization's.
func TestListsShowWhatTheActorMaySee(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		_, stranger := storetest.Org(t, db, "other")
		mine, theirs := okta(org, newDirectory(t, db, admin, "Mine")), okta(org, newDirectory(t, db, admin, "Theirs"))
		newUser(t, db, mine, "mine@example.com")
		gone := newUser(t, db, mine, "gone@example.com")
		foreign := newUser(t, db, theirs, "theirs@example.com")
		newUser(t, db, stranger, "stranger@example.com")
		err := db.Write(ctx, admin, func(tx *store.Tx) error {
			if _, err := tx.DeleteUser(gone.ID, ""); err != nil {
				return err
			}
			if _, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": "free@example.com"}, Source: store.FromAPI}); err != nil {
				return err
			}
			_, err := tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": "glass@example.com"}, Source: store.FromAPI, BreakGlass: true})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		newGroup(t, db, mine, "Mine")
		newGroup(t, db, theirs, "Theirs", foreign.ID)
		newGroup(t, db, admin, "Local")
		for _, c := range []struct {
			name   string
			actor  access.Actor
			users  []string
			groups []string
		}{
			{"the directory", mine, []string{"free@example.com", "mine@example.com"}, []string{"Mine"}},
			{"the other directory", theirs, []string{"free@example.com", "theirs@example.com"}, []string{"Theirs"}},
			{"the admin", admin, []string{"free@example.com", "glass@example.com", "mine@example.com", "theirs@example.com"}, []string{"Local", "Mine", "Theirs"}},
			{"the stranger", stranger, []string{"stranger@example.com"}, nil},
		} {
			for _, where := range []store.Cond{{}, store.Everything(), store.Not(store.Nothing())} {
				var users, groups []string
				var nu, ng int
				err := db.Read(ctx, c.actor, func(tx *store.Tx) (err error) {
					q := store.Query{Where: where, Limit: 10, Count: true}
					if nu, err = tx.EachUser(q, func(u store.User) error { users = append(users, u.UserName); return nil }); err != nil {
						return err
					}
					ng, err = tx.EachGroup(q, func(g store.Group) error { groups = append(groups, g.Name); return nil })
					return err
				})
				slices.Sort(users)
				slices.Sort(groups)
				if err != nil || !slices.Equal(users, c.users) || !slices.Equal(groups, c.groups) || nu != len(users) || ng != len(groups) {
					t.Errorf("%s sees %v (%d), %v (%d), %v; want %v, %v", c.name, users, nu, groups, ng, err, c.users, c.groups)
				}
			}
		}
		err = db.Read(ctx, access.Actor{Kind: access.Person, Org: string(org), Roles: []string{access.Agent}}, func(tx *store.Tx) error {
			_, err := tx.EachUser(store.Query{Limit: 10}, func(store.User) error { return nil })
			return err
		})
		if !fault.Is(err, fault.Denied) {
			t.Errorf("an agent lists people: %v, want denied", err)
		}
	})
}

// A group's list entry has the version and the time that the group alone has.
func TestListedGroupsAreAsRead(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		org, admin := storetest.Org(t, db, "acme")
		dir := okta(org, newDirectory(t, db, admin, "Okta"))
		var ids []store.UserID
		for i := range 5 {
			ids = append(ids, newUser(t, db, dir, "u"+strconv.Itoa(i)+"@example.com").ID)
		}
		var groups []store.Group
		for i := range 4 {
			groups = append(groups, newGroup(t, db, dir, "G"+strconv.Itoa(i), ids[:i]...))
		}
		clock.Pass(time.Minute)
		for _, id := range ids[2:] {
			if _, err := change(db, dir, groups[1].ID, store.GroupChange{Add: []store.UserID{id}}); err != nil {
				t.Fatal(err)
			}
		}
		err := db.Read(ctx, dir, func(tx *store.Tx) error {
			var listed []store.GroupID
			_, err := tx.EachGroup(store.Query{Limit: 10}, func(g store.Group) error {
				listed = append(listed, g.ID)
				one, err := tx.Group(g.ID)
				if err == nil && (one.ETagVersion() != g.ETagVersion() || one.UpdatedAt != g.UpdatedAt || string(one.Doc) != string(g.Doc)) {
					t.Errorf("%s is listed as %s at %s, and alone it is %s at %s", g.Name, g.ETagVersion(), g.UpdatedAt.RFC3339(), one.ETagVersion(), one.UpdatedAt.RFC3339())
				}
				return err
			})
			if err != nil {
				return err
			}
			got := map[store.GroupID]int{}
			last := store.GroupID("")
			err = tx.MembersOf(listed, true, func(g store.GroupID, m store.Member) error {
				if g < last || m.Name == "" {
					t.Errorf("member %v of %s after %s", m, g, last)
				}
				last = g
				got[g]++
				return nil
			})
			for i, g := range groups {
				want := i
				if i == 1 {
					want = 4
				}
				if got[g.ID] != want {
					t.Errorf("%s has %d members, want %d", g.Name, got[g.ID], want)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		changed := map[string]bool{}
		err = db.Read(ctx, dir, func(tx *store.Tx) error {
			_, err := tx.EachGroup(store.Query{Where: store.GroupUpdated.Between(store.TimeOf(clock.Now()), 0), Limit: 10}, func(g store.Group) error {
				changed[g.Name] = true
				return nil
			})
			return err
		})
		if err != nil || len(changed) != 1 || !changed["G1"] {
			t.Errorf("changed in the last minute: %v, %v; want G1", changed, err)
		}
	})
}

// A search that takes too long ends with a refusal, and the connection works on.
func TestSearchesHaveABudget(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		fill(t, db, admin, "", 2000)
		slow := store.UserDoc("title").AnyCase().Contains("no such title")
		for range 3 {
			err := db.Read(ctx, admin, func(tx *store.Tx) error {
				_, err := tx.EachUser(store.Query{Where: slow, Limit: 10, Budget: time.Nanosecond}, func(store.User) error { return nil })
				return err
			})
			if !fault.Is(err, fault.TooMany) {
				t.Fatalf("a search without time: %v, want too many", err)
			}
		}
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			n, err := tx.EachUser(store.Query{Where: slow, Limit: 10, Count: true}, func(store.User) error { return nil })
			if n != 0 {
				t.Errorf("found %d", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// PostgreSQL forgets a cancellation that comes between two messages, and ends the search all the same.
func TestASearchEndsWithoutBeingCancelled(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	begun := time.Now()
	err := db.Read(ctx, access.Muster(""), func(tx *store.Tx) error { return tx.SleepWithin(100 * time.Millisecond) })
	if took := time.Since(begun); !fault.Is(err, fault.Unavailable) || took > 2*time.Minute {
		t.Errorf("after %s: %v", took, err)
	}
	if err := db.Read(ctx, access.Muster(""), func(tx *store.Tx) error {
		var limit string
		err := tx.Get(&limit, "SELECT current_setting('statement_timeout')")
		if limit != "0" {
			t.Errorf("what comes next has %s", limit)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// A search that is under way is stopped, and not only before it begins. On a busy
// machine a budget can be over before the database has begun: then it gets more.
func TestARunningSearchIsStopped(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		fill(t, db, admin, "", 1)
		endless, begun := store.Endless(t, db, admin)
		search := func(q store.Query) (n int, err error) {
			err = db.Read(ctx, admin, func(tx *store.Tx) error {
				_, err := tx.EachUser(q, func(store.User) error { n++; return nil })
				return err
			})
			return n, err
		}
		if n, err := search(store.Query{Where: store.Everything(), Limit: 10}); n != 1 || err != nil { // with a connection open
			t.Fatalf("a search finds %d: %v", n, err)
		}
		for budget := time.Second; !begun(); budget *= 2 {
			if budget > time.Minute {
				t.Fatal("the search never began")
			}
			stopped := make(chan error, 1)
			go func() {
				_, err := search(store.Query{Where: endless, Limit: 10, Budget: budget})
				stopped <- err
			}()
			select {
			case err := <-stopped:
				if !fault.Is(err, fault.TooMany) {
					t.Fatalf("a search without end: %v, want too many", err)
				}
			case <-time.After(budget + time.Minute):
				t.Fatalf("the search goes on a minute after its %v", budget)
			}
		}
		if n, err := search(store.Query{Where: store.Everything(), Limit: 10}); n != 1 || err != nil {
			t.Errorf("the next search finds %d: %v", n, err)
		}
	})
}
