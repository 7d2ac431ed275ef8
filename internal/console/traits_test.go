package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What other packages know of people filters the list, marks them in it, is exported and
// chooses people for a job; what nobody told is not offered.
func TestTraitsInTheList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			return tx.SetLicenses([]store.License{{ID: "full", Name: "Full license", Fallback: true, Limit: store.NoLimit}})
		})
		get := func(query string) string {
			t.Helper()
			w := s.do("boss", "GET", "/console/acme/users?"+query, nil)
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", query, w.Code, w.Body)
			}
			return webtest.Text(webtest.Page(t, w.Body.String()))
		}
		all := get("columns=status,license,factor")
		for _, want := range []string{"Locked", "Full license", "Yes", "No second factor"} {
			if !strings.Contains(all, want) {
				t.Errorf("the list lacks %q: %s", want, all)
			}
		}
		if n := strings.Count(all, "Locked"); n != 2 { // the filter, and Ivy's badge
			t.Errorf("Locked stands there %d times: %s", n, all)
		}
		if strings.Contains(all, "Change planned") || strings.Contains(all, "Linked to a record") {
			t.Errorf("what nobody tells is offered: %s", all)
		}
		if locked := get("trait=locked"); !strings.Contains(locked, "Ivy Person") || strings.Contains(locked, "Ben Person") || !strings.Contains(locked, "Only: Locked") {
			t.Errorf("locked: %s", locked)
		}
		if both := get("trait=locked&trait=nofactor"); !strings.Contains(both, "Nobody matches") {
			t.Errorf("both at once: %s", both)
		}
		if w := s.do("boss", "GET", "/console/acme/users/export.csv?trait=locked&columns=license,factor", nil); !strings.Contains(w.Body.String(), "Ivy Person,Full license,yes") || strings.Count(w.Body.String(), "\n") != 2 {
			t.Errorf("export: %d %s", w.Code, w.Body)
		}
		for _, wrong := range []string{"trait=planned", "trait=x", "invitation=expired", "license=none"} {
			if w := s.do("boss", "GET", "/console/acme/users?"+wrong, nil); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s", wrong, w.Code, w.Body)
			}
		}
	})
}
