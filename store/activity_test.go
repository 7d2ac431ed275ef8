package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each question to the record is answered from an index.
func TestTheRecordIsAskedByIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		for i := range 40 {
			by := admin
			if i%4 == 0 {
				by = access.Actor{Kind: access.Person, Org: admin.Org, ID: string(store.NewID[store.User]()), Roles: []string{access.Admin}}
			}
			write(t, db, by, func(tx *store.Tx) error {
				for j := range 50 {
					if err := tx.Record(store.Activity{Action: "test.step", TargetKind: "thing", TargetID: fmt.Sprint(i, j)}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if db.Dialect() == "postgres" {
			write(t, db, admin, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE activity"); return err })
		}
		now := store.TimeOf(db.Now())
		for name, c := range map[string]struct {
			q     store.ActivityQuery
			index string // as PostgreSQL and SQLite name it
		}{
			"a person's deeds": {store.ActivityQuery{Actor: string(store.NewID[store.User]())}, "activity_anywhere"},
			"a target":         {store.ActivityQuery{Target: "x"}, "activity_target"},
			"a day":            {store.ActivityQuery{From: now.Add(2 * time.Hour), To: now.Add(3 * time.Hour)}, "activity_pkey sqlite_autoindex_activity_1"},
			"a page":           {store.ActivityQuery{Before: store.NewID[store.Activity]()}, "activity_pkey sqlite_autoindex_activity_1"},
		} {
			err := db.Read(t.Context(), admin, func(tx *store.Tx) error {
				plan, err := tx.PlanActivities(c.q)
				used := false
				for _, index := range strings.Fields(c.index) {
					used = used || strings.Contains(plan, index)
				}
				if !used || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "TEMP B-TREE") {
					t.Errorf("%s: want %s in\n%s", name, c.index, plan)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
