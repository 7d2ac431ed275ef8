package console_test

import (
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What sign-ins fill is named in German; an attribute of the organization's own as it is.
func TestWhatSignInsFillInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/users/{ivy}")
		has(t, s.german(at+"/edit"), "Anmeldungen füllen aus: Titel, Seat. Ohne diesen Haken füllt die nächste sie wieder aus.")
		has(t, s.german(at), "Titel: Okta SAML, aus t", "Seat: ")
	})
}
