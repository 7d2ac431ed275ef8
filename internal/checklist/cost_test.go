package checklist_test

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/checklist"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Without lists a change of people asks nothing more, and the loop asks twice for all organizations.
func TestChecklistsCostNothingWithoutLists(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		org, _ := storetest.Org(t, db, "acme")
		s := checklist.New(checklist.Options{DB: db})
		err := db.Write(context.Background(), access.Muster(string(org)), func(tx *store.Tx) error {
			u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "ann"}.Doc(), Status: store.Active, Source: store.FromSCIM})
			if err == nil {
				_, err = tx.Deactivate(u.ID, "")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range seen.Take() {
			if strings.Contains(sql, "checklist") {
				t.Errorf("a change asked %s", sql)
			}
		}
		if err := s.Tend(context.Background()); err != nil {
			t.Fatal(err)
		}
		if list := seen.Take(); len(list) != 2 {
			t.Errorf("the loop asked %d times: %q", len(list), list)
		}
	})
}
