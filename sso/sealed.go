package sso

import (
	"bytes"
	"context"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/store"
)

// Sealed are the values of this package that the server's key seals and that live longer
// than a few minutes.
func Sealed() []store.Sealed {
	return []store.Sealed{
		{What: "client secrets of connections", Page: sealedSecrets, Place: func(v store.SealedValue) string { return Connection{ID: ConnectionID(v.ID)}.secretPlace() },
			Put: putSecret},
		{What: "keys of SAML connections", Page: sealedKeys, Place: func(v store.SealedValue) string {
			return keyRow{ID: store.ID[keyRow](v.ID)}.sealedAs(ConnectionID(v.Of))
		}, Put: func(tx *store.Tx, v store.SealedValue, fresh []byte) error {
			_, err := tx.Exec("UPDATE sp_keys SET sealed_key = ? WHERE org_id = ? AND connection_id = ? AND id = ? AND sealed_key = ?", fresh, tx.Org(), v.Of, v.ID, v.Sealed)
			return err
		}},
		{What: "keys of OpenID Connect connections", Page: sealedClientKeys, Place: func(v store.SealedValue) string {
			return clientKeyRow{ID: store.ID[clientKeyRow](v.ID)}.sealedAs(ConnectionID(v.Of))
		}, Put: func(tx *store.Tx, v store.SealedValue, fresh []byte) error {
			_, err := tx.Exec("UPDATE oidc_keys SET sealed_key = ? WHERE org_id = ? AND connection_id = ? AND id = ? AND sealed_key = ?", fresh, tx.Org(), v.Of, v.ID, v.Sealed)
			return err
		}},
		{What: "ID tokens of sessions", Page: sealedTokens, Place: func(v store.SealedValue) string { return idTokenPlace(session.ID(v.ID)) },
			Put: func(tx *store.Tx, v store.SealedValue, fresh []byte) error {
				_, err := tx.Exec("UPDATE sso_sessions SET id_token = ? WHERE org_id = ? AND session_id = ? AND id_token = ?", fresh, tx.Org(), v.ID, v.Sealed)
				return err
			}},
		{What: "reports of tests", Page: sealedReports, Place: func(v store.SealedValue) string { return reportPlace(TestID(v.ID)) },
			Put: func(tx *store.Tx, v store.SealedValue, fresh []byte) error {
				_, err := tx.Exec("UPDATE sso_tests SET report = ? WHERE org_id = ? AND id = ? AND report = ?", fresh, tx.Org(), v.ID, v.Sealed)
				return err
			}},
	}
}

// putSecret has the tests that speak for the connection go on doing so: the hash of what
// was tested is also one of the sealed secret.
func putSecret(tx *store.Tx, v store.SealedValue, fresh []byte) error {
	c, err := lockedConnection(tx, ConnectionID(v.ID))
	if fault.Is(err, fault.NotFound) || err == nil && !bytes.Equal(c.secret, v.Sealed) {
		return nil
	}
	if err != nil {
		return err
	}
	was, err := c.tested()
	if err != nil {
		return err
	}
	c.secret = fresh
	is, err := c.tested()
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE connections SET client_secret = ? WHERE org_id = ? AND id = ?", fresh, tx.Org(), c.ID); err != nil {
		return err
	}
	return retest(tx, c.ID, was, is)
}

func sealedSecrets(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, org_id AS of_id, id, client_secret AS sealed FROM connections WHERE (org_id, id) > (?, ?) AND client_secret IS NOT NULL ORDER BY org_id, id LIMIT ?",
		after.Org, after.ID, limit)
}

func sealedKeys(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, connection_id AS of_id, id, sealed_key AS sealed FROM sp_keys WHERE (org_id, connection_id, id) > (?, ?, ?) ORDER BY org_id, connection_id, id LIMIT ?",
		after.Org, after.Of, after.ID, limit)
}

func sealedClientKeys(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, connection_id AS of_id, id, sealed_key AS sealed FROM oidc_keys WHERE (org_id, connection_id, id) > (?, ?, ?) ORDER BY org_id, connection_id, id LIMIT ?",
		after.Org, after.Of, after.ID, limit)
}

func sealedTokens(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, org_id AS of_id, session_id AS id, id_token AS sealed FROM sso_sessions WHERE (org_id, session_id) > (?, ?) AND id_token IS NOT NULL ORDER BY org_id, session_id LIMIT ?",
		after.Org, after.ID, limit)
}

func sealedReports(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, org_id AS of_id, id, report AS sealed FROM sso_tests WHERE (org_id, id) > (?, ?) AND report IS NOT NULL ORDER BY org_id, id LIMIT ?",
		after.Org, after.ID, limit)
}
