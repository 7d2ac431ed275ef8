package sso

import (
	"testing"

	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whoever comes for the first time gets a user name by the organization's format, where
// it has chosen one, and the address otherwise.
func TestFirstSignInsGetUserNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolOIDC, accountsJIT)
		come := func(subject, want string) {
			t.Helper()
			u, err := p.come(answer.Profile{Subject: subject, Email: subject + "@example.com", UserName: "upn-" + subject, GivenName: "Åsa", FamilyName: "Lind"})
			if err != nil || u.UserName != want || u.Email != subject+"@example.com" {
				t.Errorf("%s: %q %q, %v, want %q", subject, u.UserName, u.Email, err, want)
			}
		}
		come("one", "one@example.com")
		p.write(func(tx *store.Tx) error { return tx.SetNameFormat(store.NameFLast, -1) })
		come("two", "alind")
		come("three", "alind2")
	})
}
