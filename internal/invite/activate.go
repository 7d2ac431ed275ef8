package invite

import (
	"context"
	"errors"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/store"
)

// Activate makes somebody's account without a mail: active at once, with a first
// password that the admin hands over and the person must change at the first sign-in.
// An empty one is made up. Faults: Denied; Invalid on "first_password" and as of
// Create; Conflict on "email"; Unavailable (too many passwords at once).
func (d *Door) Activate(ctx context.Context, actor access.Actor, in In, first string) (made Made, err error) {
	org, err := d.opt.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return made, err
	}
	if err := in.check(); err != nil {
		return made, err
	}
	in.Teams, in.Roles = slices.Clone(in.Teams), slices.Clone(in.Roles)
	if first == "" {
		rules, err := d.opt.Passwords.RulesOf(ctx, org.ID)
		if err != nil {
			return made, err
		}
		first = password.Temporary(rules)
	} else if err := d.opt.Passwords.Check(ctx, org.ID, "", first, in.GivenName, in.FamilyName, in.Email, org.Name, org.Slug); err != nil {
		return made, aboutFirst(err)
	}
	hashed, err := d.opt.Passwords.Hash(ctx, first)
	if err != nil {
		return made, err
	}
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		for _, p := range []access.Permission{access.InviteUsers, access.CreateUsers} {
			if err := tx.Require(p); err != nil {
				return err
			}
		}
		u, err := in.person(tx, store.Active)
		if err != nil {
			return err
		}
		if d.opt.MayUsePassword != nil {
			may, err := d.opt.MayUsePassword(tx, u.ID)
			if err != nil {
				return err
			}
			if !may {
				return fault.Invalid.On("email", "People with the address %s sign in with single sign-on, not with a password. Invite the person instead: the link leads there.", in.Email)
			}
		}
		made = Made{UserID: u.ID, Email: u.Email, Password: first}
		return d.opt.Passwords.SetTemporary(tx, u, hashed)
	})
	return made, err
}

// aboutFirst gives what is wrong with a password the name that its field has here.
func aboutFirst(err error) error {
	var list []error
	for _, e := range fault.All(err) {
		list = append(list, e.Kind.Over("first_password", e))
	}
	if len(list) == 0 {
		return err
	}
	return errors.Join(list...)
}
