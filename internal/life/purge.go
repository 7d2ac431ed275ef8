package life

import (
	"context"
	"errors"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// purgeAtOnce is how many people are removed before the next round.
const purgeAtOnce = 200

// Purge removes for good who was deleted more than store.RestoreFor ago: the person's
// rows everywhere, and the name out of the activity log. Those whose manager the person
// was have none first, some at a time; then the person goes in one transaction. Of two
// servers one finds nobody to remove.
func (s *Service) Purge(ctx context.Context) error {
	people, err := s.opt.DB.Overdue(ctx, purgeAtOnce)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range people {
		actor := access.Muster(string(p.Org))
		// What names the person is searched before anything is locked.
		var traces store.Traces
		err := s.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
			traces, err = tx.Traces(p.User)
			return err
		})
		for more := true; more && err == nil; {
			err = s.opt.DB.Write(ctx, actor, func(tx *store.Tx) (err error) { more, err = tx.ForgetManager(p.User); return err })
		}
		if err == nil {
			err = s.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
				return tx.PurgeUser(p.User, traces, append(s.opt.Forget, forgetPlans)...)
			})
		}
		if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
			failed = append(failed, fmt.Errorf("purge %s: %w", p.User, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}
