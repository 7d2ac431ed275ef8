package operate

import (
	"context"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Sealed counts what the server's secret key seals, by kind. Faults: Denied.
func (d *Door) Sealed(ctx context.Context, actor access.Actor) ([]store.SealedCount, error) {
	return d.reseal(ctx, actor, false)
}

// Reseal seals with the newest secret key what older ones have sealed, and tells what it
// found. Values written meanwhile stay; stopped in the middle, the rest is done by the next
// one. Faults: Denied, Conflict (a server runs that could not open them).
func (d *Door) Reseal(ctx context.Context, actor access.Actor) ([]store.SealedCount, error) {
	if err := d.allKnowTheKey(ctx, actor); err != nil {
		return nil, err
	}
	list, err := d.reseal(ctx, actor, true)
	if err != nil {
		return nil, err
	}
	kinds := map[string]any{"key": d.opt.Key.Prints()[0]}
	for _, n := range list {
		kinds[n.What] = n.Older
	}
	return list, d.opt.DB.Write(ctx, actor.In(string(store.NoOrg)), func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "secretkey.reseal", TargetKind: "server", Detail: kinds})
	})
}

func (d *Door) reseal(ctx context.Context, actor access.Actor, change bool) ([]store.SealedCount, error) {
	if !actor.May(access.Operate) {
		return nil, fault.Denied.Say("Only an operator of this server can do this.")
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

// allKnowTheKey refuses while a server runs that does not open what the newest key seals:
// people could not sign in there any more.
func (d *Door) allKnowTheKey(ctx context.Context, actor access.Actor) error {
	if !actor.May(access.Operate) {
		return fault.Denied.Say("Only an operator of this server can do this.")
	}
	servers, err := d.Servers(ctx)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if !s.Silent && !strings.Contains(s.Prints, d.opt.Key.Prints()[0]) {
			return fault.Conflict.Say("The server %s does not know the new key. Give it that key, too (MUSTER_SECRET_KEY_OLD will do), and restart it; one that is gone is forgotten after three minutes.", s.Host)
		}
	}
	return nil
}
