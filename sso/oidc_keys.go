package sso

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/store"
)

// A new client key is published at once and signs after keyOverlap, by when every
// provider has read the key set again; the old one stays published for as long
// after its last signature.
const keyOverlap = 24 * time.Hour

// clientKeyRow is one of our keys towards an OpenID provider.
type clientKeyRow struct {
	ID          store.ID[clientKeyRow] `db:"id"`
	Certificate []byte                 `db:"certificate"`
	Sealed      []byte                 `db:"sealed_key"`
	ActiveFrom  store.Time             `db:"active_from"`
	RetireAt    store.Time             `db:"retire_at"`
	CreatedAt   store.Time             `db:"created_at"`
}

func (k clientKeyRow) sealedAs(c ConnectionID) string {
	return "connection/" + string(c) + "/oidc-key/" + string(k.ID)
}

// ClientKey is one of our keys, as an administrator sees it.
type ClientKey struct {
	ID          string     `json:"id"` // kid
	State       string     `json:"state"`
	ActiveFrom  store.Time `json:"-"`
	From        string     `json:"active_from"`
	Certificate string     `json:"certificate"` // PEM
}

// newClientKey makes a key for an OpenID Connect connection, ready to be stored;
// nil for any other.
func (d *Door) newClientKey(c Connection) (*clientKeyRow, error) {
	if c.Protocol != protocolOIDC {
		return nil, nil
	}
	row := &clientKeyRow{ID: store.NewID[clientKeyRow]()}
	key, err := oidc.NewClientKey(string(row.ID), "Muster "+string(c.ID), d.opts.DB.Now())
	if err != nil {
		return nil, err
	}
	row.Certificate = key.Certificate
	row.Sealed, err = d.opts.Key.Seal(row.sealedAs(c.ID), x509.MarshalPKCS1PrivateKey(key.Key))
	return row, err
}

func insertClientKey(tx *store.Tx, id ConnectionID, k clientKeyRow) error {
	_, err := tx.Exec("INSERT INTO oidc_keys (org_id, connection_id, id, certificate, sealed_key, active_from, retire_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), id, k.ID, k.Certificate, k.Sealed, k.ActiveFrom, k.RetireAt, tx.Now())
	return err
}

// clientKeysIn are the published keys of a connection, the one that signs first;
// one that will sign later comes after it.
func clientKeysIn(tx *store.Tx, id ConnectionID) (list []clientKeyRow, err error) {
	return list, tx.Select(&list, `SELECT id, certificate, sealed_key, active_from, retire_at, created_at FROM oidc_keys
		WHERE org_id = ? AND connection_id = ? AND (retire_at = 0 OR retire_at > ?)
		ORDER BY CASE WHEN active_from <= ? THEN 0 ELSE 1 END, active_from DESC, id DESC LIMIT 20`, tx.Org(), id, tx.Now(), tx.Now())
}

// RollClientKey gives a connection a new key towards its provider. It signs after
// a day, or at once: then sign-ins fail until the provider has read the key set
// again, and a key that waits never signs. Faults: Denied, NotFound, Invalid (not
// OpenID Connect), Conflict (a new key waits already).
func (d *Door) RollClientKey(ctx context.Context, actor access.Actor, id ConnectionID, atOnce bool) ([]ClientKey, error) {
	row, err := d.newClientKey(Connection{ID: id, Protocol: protocolOIDC})
	if err != nil {
		return nil, err
	}
	var list []clientKeyRow
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := lockedConnection(tx, id)
		if err != nil {
			return err
		}
		if c.Protocol != protocolOIDC {
			return fault.Invalid.On("connection", "%s is a SAML connection; it has no key for client authentication.", c.Name)
		}
		before, err := clientKeysIn(tx, id)
		if err != nil {
			return err
		}
		row.ActiveFrom = tx.Now()
		if len(before) > 0 && !atOnce {
			row.ActiveFrom = tx.Now().Add(keyOverlap)
		}
		for _, k := range before {
			if k.ActiveFrom > tx.Now() && !atOnce {
				return fault.Conflict.Say("A new key is published already and signs from %s on.", k.ActiveFrom.RFC3339())
			}
		}
		if _, err := tx.Exec("UPDATE oidc_keys SET retire_at = ? WHERE org_id = ? AND connection_id = ? AND active_from > ?", tx.Now(), tx.Org(), id, tx.Now()); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE oidc_keys SET retire_at = ? WHERE org_id = ? AND connection_id = ? AND retire_at = 0", row.ActiveFrom.Add(keyOverlap), tx.Org(), id); err != nil {
			return err
		}
		if err := insertClientKey(tx, id, *row); err != nil {
			return err
		}
		if list, err = clientKeysIn(tx, id); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "connection.key.create", TargetKind: "connection", TargetID: string(id), TargetName: c.Name,
			Detail: map[string]any{"after": map[string]any{"key": row.ID, "active_from": row.ActiveFrom.RFC3339()}}})
	})
	if err != nil {
		return nil, err
	}
	return d.keysShown(list), nil
}

// ClientKeys are the published keys of a connection. Faults: Denied, NotFound.
func (d *Door) ClientKeys(ctx context.Context, actor access.Actor, id ConnectionID) ([]ClientKey, error) {
	var list []clientKeyRow
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if _, err := connectionIn(tx, id); err != nil {
			return err
		}
		var err error
		list, err = clientKeysIn(tx, id)
		return err
	})
	return d.keysShown(list), err
}

func (d *Door) keysShown(list []clientKeyRow) []ClientKey {
	now := store.TimeOf(d.opts.DB.Now())
	out := make([]ClientKey, len(list))
	for i, k := range list {
		state := "old"
		switch {
		case k.ActiveFrom > now:
			state = "next"
		case i == 0:
			state = "active"
		}
		out[i] = ClientKey{ID: string(k.ID), State: state, ActiveFrom: k.ActiveFrom, From: k.ActiveFrom.RFC3339(),
			Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate}))}
	}
	return out
}

// openClientKey unseals a key.
func (d *Door) openClientKey(c Connection, row clientKeyRow) (oidc.ClientKey, error) {
	plain, err := d.opts.Key.Open(row.sealedAs(c.ID), row.Sealed)
	if err != nil {
		return oidc.ClientKey{}, err
	}
	key, err := x509.ParsePKCS1PrivateKey(plain)
	return oidc.ClientKey{ID: string(row.ID), Key: key, Certificate: row.Certificate}, err
}

// signingKey is the key that signs for the client now; nil when it has none.
func (d *Door) signingKey(ctx context.Context, actor access.Actor, c Connection) (*oidc.ClientKey, error) {
	var list []clientKeyRow
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		list, err = clientKeysIn(tx, c.ID)
		return err
	})
	if err != nil || len(list) == 0 || list[0].ActiveFrom > store.TimeOf(d.opts.DB.Now()) {
		return nil, err
	}
	key, err := d.openClientKey(c, list[0])
	return &key, err
}

// oidcJWKS publishes the public halves for the provider.
func (d *Door) oidcJWKS(w http.ResponseWriter, r *http.Request, c Connection) error {
	var list []clientKeyRow
	err := d.opts.DB.Read(r.Context(), actorOf(c, web.Actor(r)), func(tx *store.Tx) (err error) {
		list, err = clientKeysIn(tx, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	certs := make([][]byte, len(list))
	ids := make([]string, len(list))
	for i, k := range list {
		ids[i], certs[i] = string(k.ID), k.Certificate
	}
	doc, err := oidc.PublicKeys(ids, certs)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=600")
	_, err = w.Write(doc)
	return err
}

func (d *Door) apiClientKeys(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	list, err := d.ClientKeys(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"keys": list})
}

func (d *Door) apiRollClientKey(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	var in struct {
		Now bool `json:"now"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	list, err := d.RollClientKey(r.Context(), web.Actor(r), id, in.Now)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, map[string]any{"keys": list})
}
