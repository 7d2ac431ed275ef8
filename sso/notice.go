package sso

import (
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Notice is what the admins of an organization must learn although none of them
// is looking at the console.
type Notice struct {
	Subject web.Said
	Lines   []web.Said // a paragraph each
	Button  web.Said   // what the link does; empty: no link
	Path    string     // in the organization's console: "/domains"
}

// tell mails a notice to the admins of the transaction's organization, with the
// change that it is about.
func (d *Door) tell(tx *store.Tx, n Notice) error {
	if d.opts.Tell == nil {
		return nil
	}
	return d.opts.Tell(tx, n)
}
