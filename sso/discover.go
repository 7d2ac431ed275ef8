package sso

import (
	"context"
	"net/url"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Choice is a connection that a sign-in page offers.
type Choice struct {
	ID       ConnectionID `db:"id"`
	Org      store.OrgID  `db:"org_id"`
	Name     string       `db:"name"`
	Protocol string       `db:"protocol"`
}

// Path is where a sign-in over the connection starts. email, when known, is passed
// on so that the provider need not ask again.
func (c Choice) Path(next, email string) string {
	q := url.Values{"next": {web.Local(next)}}
	if email != "" {
		q.Set("login_hint", email)
	}
	return "/sso/" + c.Protocol + "/" + string(c.ID) + "/login?" + q.Encode()
}

// Discover gives the open connections for an e-mail address, by its verified
// domain; none when nobody has proved it. It says nothing about whether the
// address has an account: any address of a domain gets the same answer.
func (d *Door) Discover(ctx context.Context, email string) ([]Choice, error) {
	var list []Choice
	name := domainOf(email)
	if name == "" {
		return nil, nil
	}
	return list, d.opts.DB.LookupAll(ctx, &list, choicesFor, name)
}

// ChoicesOf gives the open connections of an organization, for its sign-in page.
func (d *Door) ChoicesOf(ctx context.Context, org store.OrgID) ([]Choice, error) {
	var list []Choice
	return list, d.opts.DB.LookupAll(ctx, &list, choicesOf, org)
}
