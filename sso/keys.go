package sso

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// Our own keys towards a SAML provider, one that signs and one that it encrypts for,
// are exchanged in three steps: the next ones are published, keyNotice later they
// take over, and the old ones stay published, and open what was encrypted for them,
// for keyRetire more. Which step it is the clock says, so all servers agree.
const (
	keyNotice = 14 * 24 * time.Hour
	keyRetire = 30 * 24 * time.Hour
	// keyRenew is when, before a certificate's end, the exchange begins by itself.
	keyRenew = 90 * 24 * time.Hour
)

// newKeys makes our own keys towards a SAML provider: one to sign requests, one
// that it may encrypt for. Two, so that a message made for one is nothing to the other.
func (d *Door) newKeys(c Connection) ([]keyRow, error) {
	if c.Protocol != protocolSAML {
		return nil, nil
	}
	rows := []keyRow{{UseFor: useSign}, {UseFor: useEncrypt}}
	errs := make([]error, len(rows))
	var wg sync.WaitGroup
	for i := range rows {
		wg.Go(func() {
			k := &rows[i]
			k.ID, k.State = store.NewID[keyRow](), keyActive
			key, der, err := saml.NewKey(d.URLs(c).EntityID, d.opts.DB.Now())
			if err == nil {
				k.Certificate = der
				k.Sealed, err = d.opts.Key.Seal(k.sealedAs(c.ID), x509.MarshalPKCS1PrivateKey(key))
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return rows, errors.Join(errs...)
}

// SPKey is one of our own keys towards a SAML provider, as an administrator sees it.
type SPKey struct {
	ID          string `json:"id"`
	Use         string `json:"use"`   // "sign" or "encrypt"
	State       string `json:"state"` // "next", "active", "old"
	From        string `json:"active_from"`
	Until       string `json:"published_until,omitempty"` // of an old one
	NotAfter    string `json:"not_after"`                 // of the certificate
	Fingerprint string `json:"sha256"`
	Certificate string `json:"certificate"` // PEM
}

// stateAt is the key's step. list are the connection's keys as keysIn orders them.
func (k keyRow) stateAt(now store.Time, list []keyRow) string {
	if k.ActiveFrom > now {
		return keyNext
	}
	for _, other := range list { // the newest that has begun is active
		if other.UseFor == k.UseFor && other.ActiveFrom <= now {
			if other.ID == k.ID {
				return keyActive
			}
			break
		}
	}
	return keyOld
}

// Keys are the published keys of a SAML connection. Faults: Denied, NotFound.
func (d *Door) Keys(ctx context.Context, actor access.Actor, id ConnectionID) (list []SPKey, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if _, err := connectionIn(tx, id); err != nil {
			return err
		}
		list, err = keysShown(tx, id)
		return err
	})
	return list, err
}

func keysShown(tx *store.Tx, id ConnectionID) ([]SPKey, error) {
	rows, err := keysIn(tx, id)
	if err != nil {
		return nil, err
	}
	list := []SPKey{}
	for _, k := range rows {
		cert, err := x509.ParseCertificate(k.Certificate)
		if err != nil {
			return nil, err
		}
		out := SPKey{ID: string(k.ID), Use: k.UseFor, State: k.stateAt(tx.Now(), rows), From: max(k.ActiveFrom, k.CreatedAt).RFC3339(), NotAfter: store.TimeOf(cert.NotAfter).RFC3339(),
			Fingerprint: saml.Fingerprint(k.Certificate), Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate}))}
		if k.RetireAt != 0 && out.State == keyOld {
			out.Until = k.RetireAt.RFC3339()
		}
		list = append(list, out)
	}
	return list, nil
}

// RotateKeys publishes new keys for a SAML connection, which take over after
// keyNotice, or at once: then sign-ins can fail until the provider has read our
// metadata again. Keys that wait already take over when atOnce is said. Faults:
// Denied, NotFound, Invalid (not SAML), Conflict (keys wait already).
func (d *Door) RotateKeys(ctx context.Context, actor access.Actor, id ConnectionID, atOnce bool) (list []SPKey, err error) {
	return d.rotate(ctx, actor, id, atOnce, "")
}

func (d *Door) rotate(ctx context.Context, actor access.Actor, id ConnectionID, atOnce bool, why string) (list []SPKey, err error) {
	fresh, err := d.newKeys(Connection{ID: id, Protocol: protocolSAML}) // slow, so outside the transaction
	if err != nil {
		return nil, err
	}
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := lockedConnection(tx, id)
		if err != nil {
			return err
		}
		if c.Protocol != protocolSAML {
			return fault.Invalid.On("connection", "%s is an OpenID Connect connection; its keys are client keys.", c.Name)
		}
		rows, err := keysIn(tx, id)
		if err != nil {
			return err
		}
		from := tx.Now()
		if !atOnce {
			from = from.Add(keyNotice)
		}
		waiting := false
		for _, k := range rows {
			if k.ActiveFrom > tx.Now() {
				waiting = true
				if !atOnce {
					return fault.Conflict.Say("New keys of %s are published already and take over at %s.", c.Name, k.ActiveFrom.RFC3339())
				}
			}
		}
		if waiting {
			_, err = tx.Exec("UPDATE sp_keys SET active_from = ? WHERE org_id = ? AND connection_id = ? AND active_from > ?", from, tx.Org(), id, from)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE sp_keys SET retire_at = ? WHERE org_id = ? AND connection_id = ? AND active_from < ? AND (retire_at = 0 OR retire_at > ?)",
			from.Add(keyRetire), tx.Org(), id, from, from.Add(keyRetire)); err != nil {
			return err
		}
		for _, k := range fresh {
			if waiting {
				break
			}
			k.State, k.ActiveFrom = keyNext, from
			if err := insertKey(tx, id, k); err != nil {
				return err
			}
		}
		if list, err = keysShown(tx, id); err != nil {
			return err
		}
		return recordKeys(tx, c, "publish", from, why)
	})
	return list, err
}

// recordKeys notes a step of an exchange of keys.
func recordKeys(tx *store.Tx, c Connection, step string, at store.Time, why string) error {
	detail := map[string]any{"step": step, "at": at.RFC3339()}
	if why != "" {
		detail["why"] = why
	}
	return tx.Record(store.Activity{Action: "connection.keys." + step, TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name, Detail: detail})
}

// keysStep notes which keys have taken over, and removes those whose time is over.
// Of two servers, one does it.
func (d *Door) keysStep(tx *store.Tx, c Connection) error {
	n, err := tx.Exec("UPDATE sp_keys SET state = ? WHERE org_id = ? AND connection_id = ? AND state = ? AND active_from <= ?", keyActive, tx.Org(), c.ID, keyNext, tx.Now())
	if err != nil {
		return err
	}
	if n > 0 {
		if _, err := tx.Exec("UPDATE sp_keys SET state = ? WHERE org_id = ? AND connection_id = ? AND state = ? AND retire_at > 0", keyOld, tx.Org(), c.ID, keyActive); err != nil {
			return err
		}
		if err := recordKeys(tx, c, "active", tx.Now(), ""); err != nil {
			return err
		}
	}
	n, err = tx.Exec("DELETE FROM sp_keys WHERE org_id = ? AND connection_id = ? AND retire_at > 0 AND retire_at <= ?", tx.Org(), c.ID, tx.Now())
	if err != nil || n == 0 {
		return err
	}
	return recordKeys(tx, c, "retire", tx.Now(), "")
}

// renewKeys begins an exchange when the certificate of an active key ends soon.
func (d *Door) renewKeys(ctx context.Context, actor access.Actor, c Connection) error {
	var rows []keyRow
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		rows, err = keysIn(tx, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	limit, due := d.opts.DB.Now().Add(keyRenew), false
	for _, k := range rows {
		cert, err := x509.ParseCertificate(k.Certificate)
		if err != nil {
			return err
		}
		due = due || cert.NotAfter.Before(limit) && k.RetireAt == 0
	}
	if !due {
		return nil
	}
	_, err = d.rotate(ctx, actor, c.ID, false, "a certificate ends soon")
	if fault.Is(err, fault.Conflict) { // begun already, perhaps by another server
		return nil
	}
	if err != nil {
		return err
	}
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		return d.tell(tx, web.Notice{Subject: web.Say("New keys for %s", c.Name), Button: web.Say("Look at the keys"), Path: "/connections/" + string(c.ID) + "/upkeep", Lines: []web.Said{
			web.Say("The certificate that this server uses towards the identity provider %s ends soon. New keys are published in the metadata of the connection and take over in 14 days.", c.Name),
			web.Say("If the identity provider reads our metadata by itself, there is nothing to do. Else give it the new metadata, or the new certificate, before that day.")}})
	})
}

func (d *Door) apiKeys(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	list, err := d.Keys(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"keys": list})
}

func (d *Door) apiRotateKeys(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Now bool `json:"now"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	list, err := d.RotateKeys(r.Context(), web.Actor(r), id, in.Now)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"keys": list})
}
