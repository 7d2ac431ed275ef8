package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheOrganizationsLanguage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		const at = "/console/acme/settings/language"
		has(t, s.page("boss", at), "Europe/Berlin", "Deutsch")
		s.post("boss", at, http.StatusSeeOther, url.Values{"version": {"0"}, "language": {"de"}, "time_zone": {"Europe/Berlin"}})
		stored := func() (l store.Locale) {
			t.Helper()
			if err := db.Read(t.Context(), s.muster, func(tx *store.Tx) (err error) {
				l, err = tx.OrgLocale()
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return l
		}
		if got := stored(); got != (store.Locale{Language: "de", TimeZone: "Europe/Berlin"}) {
			t.Errorf("stored %+v", got)
		}
		for _, c := range []struct {
			status int
			form   url.Values
			why    string
		}{
			{http.StatusBadRequest, url.Values{"version": {"1"}, "language": {"ja"}}, `"ja" is not a language.`},
			{http.StatusBadRequest, url.Values{"version": {"1"}, "language": {"<b>"}}, `"<b>" is not a language.`},
			{http.StatusBadRequest, url.Values{"version": {"1"}, "time_zone": {"Moon/Base"}}, `"Moon/Base" is not a time zone.`},
			{http.StatusConflict, url.Values{"version": {"0"}, "language": {"en"}}, "Somebody else changed these settings meanwhile."},
		} {
			w := s.do("boss", "POST", at, c.form)
			if w.Code != c.status {
				t.Errorf("%v: status %d, want %d", c.form, w.Code, c.status)
			}
			has(t, webtest.Text(webtest.Page(t, w.Body.String())), c.why)
		}
		if w := s.do("viewer", "POST", at, url.Values{"version": {"1"}, "language": {"en"}}); w.Code != http.StatusForbidden {
			t.Errorf("a viewer changed it: %d", w.Code)
		}
		if got := stored(); got.Language != "de" {
			t.Errorf("after refusals: %+v", got)
		}
		has(t, s.do("boss", "GET", "/api/v1/settings/language", nil).Body.String(), `{"language":"de","time_zone":"Europe/Berlin","version":1}`)
	})
}
