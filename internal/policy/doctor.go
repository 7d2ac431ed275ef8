package policy

import (
	"context"
	"encoding/json"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Findings are what would keep people out although, or because, single sign-on is
// required: sentences for whoever runs the server.
func (d *Door) Findings(tx *store.Tx) (list []web.Said, err error) {
	p, err := load(tx)
	if err != nil || !p.Enforced() {
		return nil, err
	}
	connections, err := d.opt.Connections(tx)
	if err != nil {
		return nil, err
	}
	active := 0
	for _, c := range connections {
		if !c.Active {
			continue
		}
		active++
		if c.Wrong != "" {
			list = append(list, web.Say("%s: %s", c.Name, web.Say(c.Wrong)))
		}
	}
	if active == 0 {
		list = append(list, web.Say("Single sign-on is required, and no connection is active: only break-glass accounts get in. Activate one, or run: muster policy set --sso optional --password yes"))
	}
	accounts, err := d.Accounts(tx)
	if err != nil {
		return nil, err
	}
	if n := usable(accounts); n < wanted {
		list = append(list, web.Say("Single sign-on is required, and %d of %d break-glass accounts can be used. Run: muster breakglass add", n, wanted))
	}
	for _, a := range accounts {
		if a.Wrong == "" && a.Codes <= fewCodes {
			list = append(list, web.SayN(a.Codes, "The break-glass account %[2]s has %[1]d recovery code left. Run: muster breakglass codes", "The break-glass account %[2]s has %[1]d recovery codes left. Run: muster breakglass codes", a.Name))
		}
	}
	locked, err := d.lockedOut(tx, p)
	for _, name := range locked {
		list = append(list, web.Say("%s was made with the set-up link and cannot sign in while single sign-on is required. Run: muster breakglass add", name))
	}
	return list, err
}

// EnforcedIn are those of these organizations that require single sign-on, of everybody or of a
// mail domain; of all organizations when orgs is nil.
func EnforcedIn(ctx context.Context, db *store.DB, orgs []store.OrgID) (map[store.OrgID]bool, error) {
	var rows []struct {
		Org      store.OrgID `db:"org_id"`
		Password bool        `db:"password"`
		SSO      SSO         `db:"sso"`
		Domains  []byte      `db:"domains"`
	}
	query, args := "SELECT org_id, password, sso, domains FROM policies", []any{}
	if orgs != nil {
		list, err := json.Marshal(orgs)
		if err != nil {
			return nil, err
		}
		query, args = query+" WHERE org_id {{in_ids}}", append(args, string(list))
	}
	if err := db.LookupAll(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	enforced := map[store.OrgID]bool{}
	for _, r := range rows {
		p, err := policyRow{Password: r.Password, SSO: r.SSO, Domains: r.Domains}.policy()
		if err != nil {
			return nil, err
		}
		if p.Enforced() {
			enforced[r.Org] = true
		}
	}
	return enforced, nil
}
