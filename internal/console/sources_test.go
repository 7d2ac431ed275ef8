package console_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What sign-ins fill is named in German; an attribute of the organization's own as it is.
func TestWhatSignInsFillInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := "/users/" + string(s.people["ivy"])
		german := func(path string) string {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+s.path(path), nil)
			r.Header.Set("X-Who", "boss")
			r.Header.Set("Accept-Language", "de")
			w := httptest.NewRecorder()
			s.mux.ServeHTTP(w, r)
			return webtest.Text(webtest.Page(t, w.Body.String()))
		}
		has(t, german(at+"/edit"), "Anmeldungen füllen aus: Titel, Seat. Ohne diesen Haken füllt die nächste sie wieder aus.")
		has(t, german(at), "Titel: Okta SAML, aus t", "Seat: ")
	})
}
