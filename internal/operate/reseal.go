package operate

import (
	"context"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Sealed counts what the server's secret key seals, by kind. Faults: Denied.
func (d *Door) Sealed(ctx context.Context, actor access.Actor) ([]store.SealedCount, error) {
	return d.reseal(ctx, actor, false)
}

// walks is how often Reseal walks through everything at most.
const walks = 5

// Reseal seals with the newest secret key what older ones have sealed, and tells what it
// found. It walks until there is nothing left: while it walks, a value may be stored behind it
// or come to lie there, by a server that starts with other settings or by a command. What is
// stored meanwhile stays. Stopped in the middle, the rest is done by the next one. Faults:
// Denied, Conflict (a server runs that does not seal with that key, or there is no end to it).
func (d *Door) Reseal(ctx context.Context, actor access.Actor) ([]store.SealedCount, error) {
	if err := mayReseal(actor); err != nil {
		return nil, err
	}
	older := map[string]int{}
	for range walks {
		if err := d.allSealWithTheKey(ctx); err != nil {
			return nil, err
		}
		list, err := d.reseal(ctx, actor, true)
		if err != nil {
			return nil, err
		}
		left := 0
		for i := range list {
			n := &list[i]
			left += n.Older
			older[n.What] += n.Older
			n.Newer, n.Older = max(0, n.Newer-older[n.What]), older[n.What]
		}
		if left == 0 {
			return list, d.resealed(ctx, actor, older)
		}
	}
	return nil, fault.Conflict.Say("Something still seals with an older key, such as a command with other settings. End it, and run this again.")
}

func (d *Door) resealed(ctx context.Context, actor access.Actor, kinds map[string]int) error {
	detail := map[string]any{"key": d.opt.Key.Prints()[0]}
	for what, n := range kinds {
		detail[what] = n
	}
	return d.opt.DB.Write(ctx, actor.In(string(store.NoOrg)), func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "secretkey.reseal", TargetKind: "server", Detail: detail})
	})
}

func (d *Door) reseal(ctx context.Context, actor access.Actor, change bool) ([]store.SealedCount, error) {
	if err := mayReseal(actor); err != nil {
		return nil, err
	}
	list := []store.SealedCount{}
	for _, s := range d.opt.Sealed {
		n, err := d.opt.DB.Reseal(ctx, d.opt.Key, s, change)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func mayReseal(actor access.Actor) error {
	if !actor.May(access.Operate) {
		return fault.Denied.Say("Only an operator of this server can do this.")
	}
	return nil
}

// allSealWithTheKey refuses while a server runs that does not open what the newest key seals,
// as people could not sign in there any more, and while one seals with another, as what it
// stores behind the walk would stay under that one.
func (d *Door) allSealWithTheKey(ctx context.Context) error {
	servers, err := Apart(ctx, d.opt.DB, d.opt.Key)
	if err != nil || len(servers) == 0 {
		return err
	}
	s := servers[0]
	if !strings.Contains(s.Prints, d.opt.Key.Prints()[0]) {
		return fault.Conflict.Say("The server %s does not know the new key. Restart every server with that key as MUSTER_SECRET_KEY_OLD, then with both settings swapped; one that is gone is forgotten after three minutes.", s.Host)
	}
	return fault.Conflict.Say("The server %s knows the new key, but still seals with another. Restart it with MUSTER_SECRET_KEY and MUSTER_SECRET_KEY_OLD as they are here; one that is gone is forgotten after three minutes.", s.Host)
}

// ServerApart is a server that runs and seals with another key.
type ServerApart struct {
	Host   string `db:"host"`
	Prints string `db:"prints"` // of the secret keys that it knows; empty: of a version that did not tell
}

// Apart are the servers that run and do not seal with the newest of key.
func Apart(ctx context.Context, db *store.DB, key secret.Key) (list []ServerApart, err error) {
	err = db.LookupAll(ctx, &list, "SELECT s.host, COALESCE(k.prints, '') AS prints FROM servers s LEFT JOIN server_keys k ON k.server_id = s.id WHERE s.seen_at >= ? ORDER BY s.id",
		store.TimeOf(db.Now().Add(-silent)))
	return slices.DeleteFunc(list, func(s ServerApart) bool { return strings.HasPrefix(s.Prints, key.Prints()[0]) }), err
}
