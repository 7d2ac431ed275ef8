// Package api is the REST door: its keys, with which programs ask, and the routes that
// belong to no other door (schemas.go).
//
// A key belongs to an organization and holds one role there, or to the server's
// operator. It comes as "Authorization: Bearer KEY" on paths under /api alone, is
// shown once, and stored as its hash. The actor that it makes is checked by the same
// table as people are (package access).
//
// It owns the table api_keys and relies on store.
package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// KeyID names a key.
type KeyID = store.ID[Key]

// Key is what is known of a key; the key itself is not kept.
type Key struct {
	ID         KeyID       `db:"id"`
	OrgID      store.OrgID `db:"org_id"`
	Name       string      `db:"name"`
	Role       string      `db:"role"` // empty for an operator's
	Operator   bool        `db:"operator"`
	CreatedAt  store.Time  `db:"created_at"`
	LastUsedAt store.Time  `db:"last_used_at"` // to the minute
	CreatedBy  string      `db:"created_by"`   // in words
	ExpiresAt  store.Time  `db:"expires_at"`   // 0: it ends when it is revoked
	Own        string      `db:"own"`          // what the organization says of the role, see store.DB.Granted
	Suspended  bool        `db:"suspended"`    // its organization is
}

// server stands for the organization of an operator's key.
const server = "00000000000000000000000000000000"

// Options is what the door must be told.
type Options struct {
	DB   *store.DB
	Log  *slog.Logger
	Life *life.Service // changes of state that are planned
}

// Door has the operations on keys.
type Door struct{ opt Options }

// New makes the door.
func New(opt Options) *Door {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Door{opt}
}

// NewKey is what Create needs: a role of the actor's organization, or Operator.
type NewKey struct {
	Name     string
	Role     string
	Operator bool
	Expires  time.Time // zero: when it is revoked
}

// Create makes a key and gives its text, which is shown this once. Faults: Denied,
// Invalid on "role", "name", "expires".
func (d *Door) Create(ctx context.Context, actor access.Actor, in NewKey) (Key, string, error) {
	k := Key{ID: store.NewID[Key](), Name: strings.TrimSpace(in.Name), Role: in.Role, Operator: in.Operator, CreatedBy: actor.Name, ExpiresAt: store.TimeOf(in.Expires)}
	text := secret.NewToken()
	if in.Operator {
		actor = actor.In(server)
		k.Role = ""
	}
	err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		switch {
		case in.Operator && !actor.May(access.Operate):
			return fault.Denied.Say("Only an operator of this server can make an operator's key.")
		case in.Operator && in.Role != "":
			return fault.Invalid.On("role", "An operator's key has no role: leave %q out.", in.Role)
		}
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if err := fault.Line("name", k.Name, 200); err != nil {
			return err
		}
		if k.ExpiresAt != 0 && k.ExpiresAt <= tx.Now() {
			return fault.Invalid.On("expires", "The key would have ended already. Choose a day to come.")
		}
		if !in.Operator {
			if err := tx.HoldRole(in.Role); err != nil {
				return err
			}
		}
		k.OrgID, k.CreatedAt = tx.Org(), tx.Now()
		if _, err := tx.Exec("INSERT INTO api_keys (org_id, id, key_hash, name, role, operator, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			tx.Org(), k.ID, secret.Hash(text), k.Name, k.Role, k.Operator, k.CreatedAt, k.CreatedBy, k.ExpiresAt); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "key.create", TargetKind: "key", TargetID: string(k.ID), TargetName: k.Name,
			Detail: map[string]any{"after": map[string]any{"role": k.Role, "operator": k.Operator}}})
	})
	return k, text, err
}

// Keys lists the keys of the actor's organization; an operator's without one.
func (d *Door) Keys(ctx context.Context, actor access.Actor) ([]Key, error) {
	list := []Key{}
	actor = inServer(actor)
	return list, d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		return tx.Select(&list, selectKeys+" WHERE org_id = ? ORDER BY id LIMIT 500", tx.Org())
	})
}

const selectKeys = "SELECT id, org_id, name, role, operator, created_at, last_used_at, created_by, expires_at FROM api_keys"

// AllKeys are those of every organization and of operators, whose organization is
// store.NoOrg, by organization, behind that one; for operators. Faults: Denied.
func (d *Door) AllKeys(ctx context.Context, actor access.Actor, after Key, limit int) (list []Key, more bool, err error) {
	if !actor.May(access.Operate) {
		return nil, false, fault.Denied.Say("Only an operator of this server can look at all keys.")
	}
	if after.OrgID == "" {
		after = Key{OrgID: server, ID: server}
	}
	err = d.opt.DB.LookupAll(ctx, &list, selectKeys+" WHERE (org_id, id) > (?, ?) ORDER BY org_id, id LIMIT ?", after.OrgID, after.ID, limit+1)
	more = len(list) > limit
	return list[:min(len(list), limit)], more, err
}

// Revoke ends a key at once. Faults: Denied, NotFound.
func (d *Door) Revoke(ctx context.Context, actor access.Actor, id KeyID) error {
	return d.opt.DB.Write(ctx, inServer(actor), func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM api_keys WHERE org_id = ? AND id = ?", tx.Org(), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound.On("key", "There is no key %.64q here.", id)
		}
		return tx.Record(store.Activity{Action: "key.revoke", TargetKind: "key", TargetID: string(id)})
	})
}

// Holding are the keys that hold a role, in words: the role stays as long as they do.
func Holding(tx *store.Tx, role string) ([]string, error) {
	var names []string
	err := tx.Select(&names, "SELECT name FROM api_keys WHERE org_id = ? AND role = ? ORDER BY id LIMIT 20", tx.Org(), role)
	for i, n := range names {
		names[i] = "the API key " + cmp.Or(n, "without a name")
	}
	return names, err
}

func inServer(actor access.Actor) access.Actor {
	if actor.Org == "" {
		return actor.In(server)
	}
	return actor
}

// Sent tells whether a request comes with a key, on a path where keys count.
func Sent(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get("Authorization") != ""
}

// keyWithRole is a key with what the organization says of its role.
const keyWithRole = `SELECT k.id, k.org_id, k.name, k.role, k.operator, k.created_at, k.last_used_at, k.expires_at,
	EXISTS (SELECT 1 FROM orgs s WHERE s.id = k.org_id AND s.suspended_at > 0) AS suspended,
	COALESCE((SELECT o.name || '=' || o.permissions FROM org_roles o WHERE o.org_id = k.org_id AND o.name = k.role), '') AS own FROM api_keys k`

// Authenticate finds who asks by the key that was sent. Faults: SignIn, Denied (suspended).
func (d *Door) Authenticate(r *http.Request) (access.Actor, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if text = strings.TrimSpace(text); !strings.EqualFold(scheme, "Bearer") || text == "" {
		return access.Actor{}, fault.SignIn.Say("Send the key as Authorization: Bearer KEY.")
	}
	hash := secret.Hash(text)
	var k Key
	err := d.opt.DB.Lookup(r.Context(), &k, keyWithRole+" WHERE k.key_hash = ?", hash)
	if fault.Is(err, fault.NotFound) {
		return access.Actor{}, fault.SignIn.Say("The key is not valid (any more). Make a new one with: muster key create.")
	}
	if err != nil {
		return access.Actor{}, err
	}
	if k.ExpiresAt != 0 && k.ExpiresAt <= store.TimeOf(d.opt.DB.Now()) {
		return access.Actor{}, fault.SignIn.Say("The key ended on %s. Make a new one with: muster key create.", k.ExpiresAt.RFC3339())
	}
	if k.Suspended {
		return access.Actor{}, store.OrgSuspended()
	}
	actor, err := d.actor(k, nil)
	if err != nil {
		return actor, err
	}
	actor.IP, actor.Request = web.ClientIP(r).String(), web.RequestID(r.Context())
	if store.TimeOf(d.opt.DB.Now()) > k.LastUsedAt.Add(time.Minute) {
		d.used(r.Context(), k)
	}
	return actor, nil
}

// ActorOf is who a key of the transaction's organization is: for what was ordered with it
// and is done later. Faults: Denied (it was revoked).
func (d *Door) ActorOf(tx *store.Tx, id KeyID) (access.Actor, error) {
	var k Key
	err := tx.Get(&k, keyWithRole+" WHERE k.org_id = ? AND k.id = ?", tx.Org(), id)
	return d.actor(k, err)
}

// OperatorOf is ActorOf for an operator's key.
func (d *Door) OperatorOf(ctx context.Context, id KeyID) (a access.Actor, err error) {
	err = d.opt.DB.Read(ctx, access.Muster(server), func(tx *store.Tx) error {
		a, err = d.ActorOf(tx, id)
		return err
	})
	return a, err
}

func (d *Door) actor(k Key, err error) (access.Actor, error) {
	if fault.Is(err, fault.NotFound) {
		return access.Actor{}, fault.Denied.Wrap(err, "The key is not valid any more.")
	}
	a := access.Actor{Kind: access.Key, Org: string(k.OrgID), ID: string(k.ID), Name: k.Name, Operator: k.Operator}
	if a.Name == "" { // so that every record says who it was
		a.Name = access.UnnamedKey
	}
	if k.Operator {
		a.Org = ""
	} else {
		a.Roles = []string{k.Role}
		a.Granted = d.opt.DB.Granted(a.Roles, k.Own)
	}
	return a, err
}

// used notes that the key works; a failure is no reason to refuse the request.
func (d *Door) used(ctx context.Context, k Key) {
	err := d.opt.DB.Write(ctx, access.Muster(string(k.OrgID)), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE api_keys SET last_used_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), k.ID)
		return err
	})
	if err != nil {
		d.opt.Log.WarnContext(ctx, "note key use", "key", k.ID, "error", err)
	}
}
