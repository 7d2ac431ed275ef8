package life_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

type column struct {
	Name string `db:"name"`
	Type string `db:"type"`
}

func columns(t *testing.T, db *store.DB, table string) (list []column) {
	t.Helper()
	query := "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ? AND is_nullable = 'NO'"
	if db.Dialect() == "sqlite" {
		query = `SELECT name, type FROM pragma_table_info(?) WHERE "notnull" = 1 OR name = 'user_id'`
	}
	if err := db.LookupAll(context.Background(), &list, query, table); err != nil {
		t.Fatal(err)
	}
	return list
}

// fillRow puts a row into a table, whatever it has, with value in the column that is about
// the person.
func fillRow(t *testing.T, db *store.DB, table, org, about, said string) {
	t.Helper()
	var names, values []string
	seen := false
	for _, c := range append(columns(t, db, table), column{about, "uuid"}) {
		if c.Name == about && seen {
			continue
		}
		value := "'x'"
		switch kind := strings.ToLower(c.Type); {
		case c.Name == about:
			value, seen = "'"+said+"'", true
		case c.Name == "org_id":
			value = "'" + org + "'"
		case c.Name == "name" || c.Name == "email":
			value = "'Gone Person'"
		case kind == "uuid", strings.HasSuffix(c.Name, "_id") && kind == "text", c.Name == "id":
			value = "'" + string(store.NewID[int]()) + "'"
		case kind == "bigint" || kind == "integer":
			value = "1"
		case kind == "boolean":
			value = "false"
		case kind == "jsonb":
			value = "'{}'"
		case kind == "bytea" || kind == "blob":
			value = map[bool]string{true: `x'01'`, false: `'\x01'`}[db.Dialect() == "sqlite"]
		}
		names, values = append(names, c.Name), append(values, value)
	}
	if _, err := db.Sweep(context.Background(), fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(names, ", "), strings.Join(values, ", "))); err != nil {
		t.Fatalf("%s: %v", table, err)
	}
}

func dashed(db *store.DB, id store.UserID) string {
	s := string(id)
	if db.Dialect() == "sqlite" {
		return s
	}
	return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
}

// notPeople are columns that look as if they held people and do not, or do not for long.
var notPeople = map[string]string{
	"api_keys name": "", "connections name": "", "directories name": "", "directory_clients name": "", "directory_tokens name": "", "groups name": "",
	"import_feeds name": "", "import_runs name": "", "import_seen name": "", "org_settings name": "", "org_roles name": "", "orgs name": "", "seats name": "", "sso_rekeys subject": "",
	"users name":       "the row itself goes",
	"users manager_id": "taken out of the person's attributes, of which it is a copy, before the manager goes",
	"jobs starter":     "an id; jobs go thirty days after their end, as deleted people do",
	"job_results name": "the same", "job_results target": "the same",
	"mails recipient": "letters go after thirty days", "mails subject": "the same", "mails text": "the same", "mails html": "the same",
	"scim_log target_id": "the log has an age of its own", "scim_log target_name": "the same", "scim_log target_key": "the same",
	"sso_tests actor_id": "tests go after seven days", "sso_tests actor_name": "the same", "sso_tests actor_kind": "no name",
	"setup_links email":       "of whoever sets a connection up, who has no account",
	"signin_attempts subject": "a hash, and of no organization",
	"external_records name":   "the application's to delete", "external_records address": "the same",
	"invitation_links email": "goes with the invitation, by the package that has both",
	"review_rows person":     "the package takes the names out by the person's id", "review_rows email": "the same", "review_rows person_id": "an id: what was reviewed is kept",
	"review_rows manager_id": "the same", "review_rows decided_by_id": "the same", "reviews started_by_id": "the same", "reviews finished_by_id": "the same",
	"reviews name": "", "reviews scope_name": "",
	"doctor_runs run_by": "who runs the server, which is of no organization", "checklist_items ended_by_id": "an id, beside a name that goes", "checklist_items assignee_id": "the package takes it back",
	"operator_entries actor_id": "an id, of somebody who runs the server, and a time",
	"role_mappings display":     "",
}

var personal = regexp.MustCompile(`^(name|email|address|recipient|subject|text|html|starter|person)$|_by$|_name$|_by_id$|^(lead|manager|successor|assignee|actor|target|member|owner|person)_`)

// of are columns that are about somebody else than the row's user_id.
var of = regexp.MustCompile(`_by$|_by_id$|^(lead|manager|successor|assignee)_`)

// A column that somebody adds to any table is either empty of people after the purge, or
// said here to hold none.
func TestNoColumnKeepsPurgedPeople(t *testing.T) {
	each(t, func(p *place) {
		u := p.userOf(p.admin, "gone.person", store.Active)
		type place struct{ table, column, said string }
		var asked []place
		for table := range storetest.Dump(p.t, p.db) {
			all := everyColumn(p.t, p.db, table)
			has := map[string]bool{}
			for _, c := range all {
				has[c.Name] = true
			}
			for _, c := range all {
				_, out := notPeople[table+" "+c.Name]
				ours := has["user_id"] && !of.MatchString(c.Name) // those rows go as a whole
				if table == "users" || table == "activity" || ours || out || !personal.MatchString(c.Name) {
					continue
				}
				said, kind := u.DisplayName, strings.ToLower(c.Type)
				if kind != "uuid" && kind != "text" {
					continue
				}
				if kind == "uuid" || kind == "text" && strings.HasSuffix(c.Name, "_id") {
					said = string(u.ID)
				}
				if !has["org_id"] {
					p.t.Errorf("%s.%s: say who empties it, or why it holds no people", table, c.Name)
					continue
				}
				asked = append(asked, place{table, c.Name, said})
			}
		}
		slices.SortFunc(asked, func(a, b place) int { return strings.Compare(a.table+a.column, b.table+b.column) })
		for _, a := range asked {
			if a.table == "jobs" && a.column == "undone_by" || a.table == "subgroups" || a.table == "extra_values" { // ids of jobs, of groups, and of whoever has the value, which are emptied by that
				continue
			}
			fillRow(p.t, p.db, a.table, p.admin.Org, a.column, a.said)
		}
		if len(asked) < 15 {
			p.t.Fatalf("only %d columns: %v", len(asked), asked)
		}
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(u.ID, ""); return err })
		p.clock.Pass(31 * 24 * time.Hour)
		if err := p.life.Purge(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		for table, rows := range storetest.Dump(p.t, p.db, "activity") {
			if strings.Contains(rows, u.DisplayName) || strings.Contains(rows, dashed(p.db, u.ID)) {
				p.t.Errorf("%s has the person still: %s", table, rows)
			}
		}
	})
}

func everyColumn(t *testing.T, db *store.DB, table string) (all []column) {
	t.Helper()
	query := "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ?"
	if db.Dialect() == "sqlite" {
		query = "SELECT name, type FROM pragma_table_info(?)"
	}
	if err := db.LookupAll(context.Background(), &all, query, table); err != nil {
		t.Fatal(err)
	}
	return all
}

// Who is called the same as somebody removed, or was made anew under the old name, loses
// nothing by it.
func TestNamesakesKeepTheirs(t *testing.T) {
	each(t, func(p *place) {
		old := p.user("bob")
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(old.ID, ""); return err })
		anew := p.user("bob")
		by := access.Actor{Kind: access.Person, Org: p.admin.Org, ID: string(anew.ID), Name: anew.DisplayName, Roles: []string{access.Admin}}
		friend := p.user("friend")
		p.write(by, func(tx *store.Tx) error { return tx.Grant(friend.ID, access.Viewer, store.Manual) })
		p.clock.Pass(31 * 24 * time.Hour)
		if err := p.life.Purge(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		p.write(p.admin, func(tx *store.Tx) error {
			roles, err := tx.RolesOf([]store.UserID{friend.ID})
			if err != nil || len(roles[friend.ID]) != 1 || roles[friend.ID][0].By != "BOB" {
				p.t.Errorf("given by %+v, %v", roles, err)
			}
			acts, err := tx.Activities(store.ActivityQuery{Target: string(anew.ID)})
			if len(acts) != 1 || !strings.Contains(fmt.Sprint(acts[0].Detail), "bob@example.com") || acts[0].TargetName != "BOB" {
				p.t.Errorf("the record of the new person: %+v", acts)
			}
			return err
		})
	})
}

// What was planned by somebody who is removed says so no more, in the log and in the list.
func TestWhoPlannedIsRemovedToo(t *testing.T) {
	each(t, func(p *place) {
		planner := p.userOf(p.admin, "gone.planner", store.Active, access.Admin)
		u := p.user("target")
		by := access.Actor{Kind: access.Person, Org: p.admin.Org, ID: string(planner.ID), Name: planner.DisplayName, Roles: []string{access.Admin}}
		p.write(by, func(tx *store.Tx) error {
			_, err := p.life.Plan(tx, life.In{User: u.ID, Action: life.Deactivate, At: p.in(time.Hour)})
			return err
		})
		p.clock.Pass(2 * time.Hour)
		p.run()
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(planner.ID, ""); return err })
		p.clock.Pass(31 * 24 * time.Hour)
		if err := p.life.Purge(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		for table, rows := range storetest.Dump(p.t, p.db) {
			if strings.Contains(rows, planner.DisplayName) {
				p.t.Errorf("%s: %s", table, rows)
			}
		}
		if done := p.list(life.Done); len(done) != 1 || done[0].By != "Removed person" {
			p.t.Errorf("done %+v", done)
		}
	})
}

// Whoever was removed stands nowhere any more, in no table of any package, but as an id
// in the activity log.
func TestPurgedPeopleStandNowhere(t *testing.T) {
	each(t, func(p *place) {
		u := p.userOf(p.admin, "gone.person", store.Active, access.Viewer)
		other := p.user("other")
		self := access.Actor{Kind: access.Person, Org: p.admin.Org, ID: string(u.ID), Name: u.DisplayName, Roles: []string{access.Admin}, IP: "192.0.2.77"}
		p.write(self, func(tx *store.Tx) error { _, err := tx.Deactivate(other.ID, "spoke to GONE.PERSON"); return err })
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.Reactivate(other.ID, ""); return err })
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.Leave(other.ID, store.Leaving{Successor: u.ID}); return err })
		p.write(p.admin, func(tx *store.Tx) error {
			return tx.Record(store.Activity{Action: "user.signin.refused", TargetKind: "connection", TargetID: "x", Detail: map[string]any{"email": u.Email, "trace": []any{map[string]any{"got": u.Email}}}})
		})
		filled := 0
		for table, rows := range storetest.Dump(p.t, p.db) {
			has := map[string]bool{}
			for _, c := range everyColumn(p.t, p.db, table) {
				has[c.Name] = true
			}
			if has["user_id"] && has["org_id"] && strings.Contains(rows, dashed(p.db, u.ID)) { // roster, which the database fills itself
				filled++
			} else if has["user_id"] && has["org_id"] {
				fillRow(p.t, p.db, table, p.admin.Org, "user_id", string(u.ID))
				filled++
			} else if has["user_id"] {
				p.t.Errorf("the table %s has people and no organization: say who removes its rows", table)
			}
		}
		if filled < 15 {
			p.t.Fatalf("only %d tables have people", filled)
		}
		operator := p.admin // the rows have made an operator of the person
		operator.Operator = true
		p.write(operator, func(tx *store.Tx) error { _, err := tx.DeleteUser(u.ID, ""); return err })
		purge := func() {
			if err := p.life.Purge(context.Background()); err != nil {
				p.t.Fatal(err)
			}
		}
		p.clock.Pass(30*24*time.Hour - time.Minute)
		purge()
		if p.status(u.ID) != store.Deleted {
			p.t.Fatal("removed too early")
		}
		p.clock.Pass(2 * time.Minute)
		purge()
		purge() // nothing is left to do
		err := p.db.Read(context.Background(), p.admin, func(tx *store.Tx) error { _, err := tx.AnyUser(u.ID); return err })
		if !fault.Is(err, fault.NotFound) {
			p.t.Errorf("the person is there: %v", err)
		}
		for table, rows := range storetest.Dump(p.t, p.db) {
			for _, line := range strings.Split(rows, "\n") {
				low := strings.ToLower(line)
				if strings.Contains(low, "gone.person@") || strings.Contains(line, "GONE.PERSON") && !strings.Contains(line, "spoke to") || strings.Contains(low, "gone person") || strings.Contains(low, "192.0.2.77") {
					p.t.Errorf("%s names the person: %s", table, line)
				}
				if table != "activity" && (strings.Contains(low, dashed(p.db, u.ID)) || strings.Contains(low, string(u.ID))) {
					p.t.Errorf("%s has the person's id: %s", table, line)
				}
			}
		}
		var acts []store.Activity
		p.write(p.admin, func(tx *store.Tx) (err error) {
			acts, err = tx.Activities(store.ActivityQuery{Target: string(u.ID)})
			return err
		})
		if len(acts) != 3 || acts[0].Action != "user.purge" || acts[1].Action != "user.delete" || acts[1].TargetName != "Removed person" || len(acts[1].Changes()) != 1 {
			p.t.Errorf("what happened must stay: %+v", acts)
		}
	})
}

// Whose manager was removed for good has none any more, also where a directory said so;
// nothing else of theirs changes, and it is on record.
func TestNobodyKeepsAPurgedManager(t *testing.T) {
	each(t, func(p *place) {
		boss, other := p.userOf(p.admin, "gone.boss", store.Active, access.Viewer), p.user("other")
		okta := access.Actor{Kind: access.Directory, Org: p.admin.Org, Name: "Okta"}
		p.write(p.admin, func(tx *store.Tx) error {
			d, err := tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			okta.ID = string(d.ID)
			return err
		})
		made := map[string]store.UserID{}
		for name, actor := range map[string]access.Actor{"own": p.admin, "managed": okta, "tombstone": p.admin, "others": p.admin} {
			p.write(actor, func(tx *store.Tx) error {
				of := boss.ID
				if name == "others" {
					of = other.ID
				}
				doc := store.Profile{UserName: name, GivenName: "A", Department: "Sales", ManagerID: string(of)}.Doc()
				doc[store.EnterpriseURN].(map[string]any)["manager"].(map[string]any)["displayName"] = "Gone Boss"
				u, err := tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromAPI})
				made[name] = u.ID
				return err
			})
		}
		p.write(p.admin, func(tx *store.Tx) error {
			for _, id := range []store.UserID{boss.ID, made["tombstone"]} {
				if _, err := tx.DeleteUser(id, ""); err != nil {
					return err
				}
			}
			return nil
		})
		read := func(name string) (u store.User, acts []store.Activity) {
			p.write(p.admin, func(tx *store.Tx) (err error) {
				if u, err = tx.AnyUser(made[name]); err == nil {
					acts, err = tx.Activities(store.ActivityQuery{Target: string(u.ID)})
				}
				return err
			})
			return u, acts
		}
		was, _ := read("others")
		p.clock.Pass(29 * 24 * time.Hour)
		if err := p.life.Purge(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		if u, _ := read("own"); u.ManagerID != boss.ID {
			p.t.Error("the manager is gone before the time")
		}
		p.clock.Pass(2 * 24 * time.Hour)
		if err := p.life.Purge(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		for _, name := range []string{"own", "managed"} {
			u, acts := read(name)
			if text := string(u.Doc); u.ManagerID != "" || strings.Contains(text, string(boss.ID)) || strings.Contains(text, "Gone Boss") || u.Profile().Department != "Sales" {
				p.t.Errorf("%s: %s, %s", name, u.ManagerID, text)
			}
			if len(acts) != 2 || acts[0].Action != "user.update" || strings.Contains(string(acts[0].Detail["why"].(string)), "Boss") {
				p.t.Errorf("%s: %d acts, %+v", name, len(acts), acts[0])
			}
		}
		if u, _ := read("others"); u.Version != was.Version || u.ManagerID != other.ID {
			p.t.Errorf("somebody else's report was changed: %d, %s", u.Version, u.ManagerID)
		}
	})
}
