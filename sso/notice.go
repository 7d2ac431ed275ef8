package sso

import (
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// tell mails a notice to the admins of the transaction's organization, with the
// change that it is about.
func (d *Door) tell(tx *store.Tx, n web.Notice) error {
	if d.opts.Tell == nil {
		return nil
	}
	return d.opts.Tell(tx, n)
}
