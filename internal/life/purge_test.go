package life_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
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

// fillRow puts a row of this person into a table, whatever it has.
func fillRow(t *testing.T, db *store.DB, table, org, user string) {
	t.Helper()
	var names, values []string
	seen := false
	for _, c := range append(columns(t, db, table), column{"user_id", "uuid"}) {
		if c.Name == "user_id" && seen {
			continue
		}
		value := "'x'"
		switch kind := strings.ToLower(c.Type); {
		case c.Name == "org_id":
			value = "'" + org + "'"
		case c.Name == "user_id":
			value, seen = "'"+user+"'", true
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
			var all []column
			query := "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ?"
			if p.db.Dialect() == "sqlite" {
				query = "SELECT name, type FROM pragma_table_info(?)"
			}
			if err := p.db.LookupAll(context.Background(), &all, query, table); err != nil {
				p.t.Fatal(err)
			}
			for _, c := range all {
				has[c.Name] = true
			}
			if has["user_id"] && has["org_id"] && strings.Contains(rows, dashed(p.db, u.ID)) { // roster, which the database fills itself
				filled++
			} else if has["user_id"] && has["org_id"] {
				fillRow(p.t, p.db, table, p.admin.Org, string(u.ID))
				filled++
			} else if has["user_id"] {
				p.t.Errorf("the table %s has people and no organization: say who removes its rows", table)
			}
		}
		if filled < 15 {
			p.t.Fatalf("only %d tables have people", filled)
		}
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.DeleteUser(u.ID, ""); return err })
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
