package importer_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// The preview says which lines find no seat of their license type, as the import would.
func TestThePreviewKnowsLicenses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		if err := db.Write(ctx, s.admin, func(tx *store.Tx) error {
			return tx.SetLicenses([]store.License{
				{ID: "full", Name: "Full", Roles: []string{access.Admin, access.Agent}, Limit: 2}, // the admin has one
				{ID: "light", Name: "Light", Roles: []string{access.Viewer}, Limit: 1},
			})
		}); err != nil {
			t.Fatal(err)
		}
		run := s.read("email,first,role\nann@example.com,Ann,agent\nbob@example.com,Bob,viewer\ncid@example.com,Cid,agent\ndan@example.com,Dan,viewer\neve@example.com,Eve,\n", nil)
		const want = "2:create 3:create 4:seats() 5:seats() 6:seats()"
		if got := s.sum(run); got != want {
			t.Errorf("preview: %s, want %s", got, want)
		}
		why := func(i int) string { return s.rows(run)[i].Problem.Why.String() }
		if got := why(2) + why(3); !strings.Contains(got, "license Full is free") || !strings.Contains(got, "license Light is free, with the lines above; its limit is 1") {
			t.Errorf("why: %s", got)
		}
		if got := did(s.start(run)); got != "2 done, 0 skipped, 0 failed map[created:2]" {
			t.Errorf("import: %s", got)
		}
	})
}

// Who is here already and gets a role of another license type needs a seat of that, and frees
// one for the lines below.
func TestThePreviewKnowsWhoMovesToAnotherLicense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.end(s.start(s.read("email,first,role\nann@example.com,Ann,agent\nbob@example.com,Bob,viewer\ncid@example.com,Cid,viewer\n", nil)))
		limit := func(full, light int64) {
			s.must(func(tx *store.Tx) error {
				return tx.SetLicenses([]store.License{
					{ID: "full", Name: "Full", Roles: []string{access.Admin, access.Agent}, Limit: full}, // the admin and Ann
					{ID: "light", Name: "Light", Roles: []string{access.Viewer}, Limit: light},
				})
			})
		}
		limit(2, 2)
		run := s.read("email,role\nbob@example.com,agent\nann@example.com,viewer\n", nil)
		if got := s.sum(run); got != "2:seats() 3:seats()" {
			t.Errorf("both full: %s", got)
		}
		if why := s.rows(run)[0].Problem.Why.String(); !strings.Contains(why, "license Full is free, with the lines above; its limit is 2") {
			t.Errorf("why: %s", why)
		}
		limit(2, 3)
		run = s.read("email,role\nbob@example.com,agent\nann@example.com,viewer\ncid@example.com,agent\n", nil)
		if got := s.sum(run); got != "2:seats() 3:update 4:update" {
			t.Errorf("a seat becomes free: %s", got)
		}
		if got := did(s.start(run)); got != "2 done, 0 skipped, 0 failed map[updated:2]" {
			t.Errorf("import: %s", got)
		}
	})
}
