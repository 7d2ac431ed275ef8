package sso

import (
	"context"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// IdentityKey names one identity.
type IdentityKey struct {
	Connection ConnectionID
	Kind       string // what the connection knows people by when empty
	Subject    string
}

// usualKind is what a connection knows people by, as far as it is known without an answer.
func (c Connection) usualKind() string {
	switch {
	case c.Config.Subject != "":
		return c.Config.Subject
	case c.Protocol == protocolOIDC && c.Vendor == "entra":
		return "oid+tid"
	case c.Protocol == protocolOIDC:
		return "sub"
	}
	if names := saml.AttributesFor(c.Vendor).Subject; len(names) > 0 {
		return "attribute:" + strings.Join(names[0], "+")
	}
	return saml.SubjectNameID
}

// LinkIdentity says that a subject of a connection is a person: an admin's word, which
// needs no proof. Faults: Denied, NotFound, Invalid on "subject", Conflict (the subject
// or the person is bound already, or may not be).
func (d *Door) LinkIdentity(ctx context.Context, actor access.Actor, user store.UserID, k IdentityKey) error {
	return d.onIdentity(ctx, actor, user, k, func(tx *store.Tx, u store.User, c Connection, k IdentityKey) error {
		if err := checkSubject(k.Subject, k.Kind); err != nil {
			return fault.Invalid.On("subject", "The identifier has 1 to 1000 characters, none of them a control character.")
		}
		switch _, err := identityOf(tx, c.ID, k.Kind, k.Subject); {
		case err == nil:
			return fault.Conflict.On("subject", "That identifier of %s is bound already. Unlink it there first.", c.Name)
		case !fault.Is(err, fault.NotFound):
			return err
		}
		v := visit{d: d, tx: tx, c: c}
		if _, err := v.theOne([]store.User{u}); err != nil {
			return inWords("subject", err)
		}
		how := fmt.Sprintf(howLinked, orElse(actor.Name, "an admin"))
		if err := bind(tx, identity{Connection: c.ID, Kind: k.Kind, Subject: k.Subject, User: u.ID, How: how}); err != nil {
			return err
		}
		return recordLink(tx, "user.identity.link", u, c, k.Subject, how)
	})
}

// UnlinkIdentity puts an identity aside: nobody signs in by it any more, and the
// sessions that came over it end. RestoreIdentity undoes it. Faults: Denied, NotFound.
func (d *Door) UnlinkIdentity(ctx context.Context, actor access.Actor, user store.UserID, k IdentityKey) error {
	return d.onIdentity(ctx, actor, user, k, func(tx *store.Tx, u store.User, c Connection, k IdentityKey) error {
		n, err := tx.Exec(`UPDATE identities SET state = 'retired', state_by = ? WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ?
			AND user_id = ? AND state <> 'retired'`, unlinked, tx.Org(), c.ID, k.Kind, k.Subject, u.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound.On("subject", "%s has no such identity at %s.", u.DisplayName, c.Name)
		}
		refs, err := refsOfSubject(tx, c.ID, k.Kind, k.Subject)
		if err != nil {
			return err
		}
		if err := d.endRefs(tx, c, refs, "the sign-in was unlinked"); err != nil {
			return err
		}
		return recordLink(tx, "user.identity.unlink", u, c, k.Subject, "")
	})
}

// RestoreIdentity undoes UnlinkIdentity and whatever else put an identity aside.
// Faults: Denied, NotFound, Conflict (the person has another one there by now).
func (d *Door) RestoreIdentity(ctx context.Context, actor access.Actor, user store.UserID, k IdentityKey) error {
	return d.onIdentity(ctx, actor, user, k, func(tx *store.Tx, u store.User, c Connection, k IdentityKey) error {
		v := visit{d: d, tx: tx, c: c}
		if _, err := v.theOne([]store.User{u}); err != nil {
			return inWords("subject", err)
		}
		n, err := tx.Exec(`UPDATE identities SET state = 'live', state_by = '' WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ?
			AND user_id = ? AND state = 'retired'`, tx.Org(), c.ID, k.Kind, k.Subject, u.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound.On("subject", "%s has no such identity at %s that was put aside.", u.DisplayName, c.Name)
		}
		return recordLink(tx, "user.identity.restore", u, c, k.Subject, "")
	})
}

func (d *Door) onIdentity(ctx context.Context, actor access.Actor, user store.UserID, k IdentityKey, do func(*store.Tx, store.User, Connection, IdentityKey) error) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		if err := tx.MayTouch(u); err != nil {
			return err
		}
		c, err := connectionIn(tx, k.Connection)
		if err != nil {
			return err
		}
		if err := lockFirst(tx, c.ID); err != nil {
			return err
		}
		k := k
		k.Kind = orElse(strings.TrimSpace(k.Kind), c.usualKind())
		k.Subject = strings.TrimSpace(k.Subject)
		return do(tx, u, c, k)
	})
}

// IdentityInfo is an identity in JSON.
type IdentityInfo struct {
	Connection  ConnectionID `json:"connection"`
	Name        string       `json:"connection_name"`
	SubjectKind string       `json:"subject_kind"`
	Subject     string       `json:"subject"`
	State       string       `json:"state"` // live, next (of a running re-key), retired
	How         string       `json:"how"`
	FirstSeen   string       `json:"first_seen_at"`
	LastSeen    string       `json:"last_seen_at"`
}

// Info of an identity.
func (i Identity) Info() IdentityInfo {
	return IdentityInfo{i.ConnectionID, i.Connection, i.Kind, i.Subject, i.State, i.How, i.FirstSeen.RFC3339(), i.LastSeen.RFC3339()}
}

// IdentitiesOf is Identities in a transaction of its own.
func (d *Door) IdentitiesOf(ctx context.Context, actor access.Actor, user store.UserID) (u store.User, list []Identity, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if u, err = tx.AnyUser(user); err != nil {
			return err
		}
		list, err = Identities(tx, user)
		return err
	})
	return u, list, err
}

// UserNamed finds a person by user name or id, for the command line. Faults: NotFound.
func (d *Door) UserNamed(ctx context.Context, actor access.Actor, typed string) (u store.User, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if u, err = userNamed(tx, typed); fault.Is(err, fault.NotFound) {
			err = fault.NotFound.On("user", "There is nobody with the user name or id %q.", answer.Clip(typed, 100))
		}
		return err
	})
	return u, err
}
