package sso

import (
	"context"

	"github.com/muster-id/muster/store"
)

// OwnKeys is what an operator sees of our own keys towards all identity providers.
type OwnKeys struct {
	N      int        `db:"n"`
	Oldest store.Time `db:"oldest"` // when the oldest of them was made; 0: there is none
	Next   store.Time `db:"next"`   // when the next of them comes into use; 0: none is published ahead
}

// ServersKeys are those of SAML connections (signing and decrypting) and those of OpenID
// Connect connections with private_key_jwt.
func ServersKeys(ctx context.Context, db *store.DB) (saml, oidc OwnKeys, err error) {
	now := store.TimeOf(db.Now())
	if err := db.Lookup(ctx, &saml, `SELECT count(*) AS n, COALESCE(MIN(created_at), 0) AS oldest,
		COALESCE(MIN(CASE WHEN active_from > ? THEN active_from END), 0) AS next FROM sp_keys WHERE retire_at = 0`, now); err != nil {
		return saml, oidc, err
	}
	return saml, oidc, db.Lookup(ctx, &oidc, `SELECT count(*) AS n, COALESCE(MIN(created_at), 0) AS oldest,
		COALESCE(MIN(CASE WHEN active_from > ? THEN active_from END), 0) AS next FROM oidc_keys WHERE retire_at = 0`, now)
}
