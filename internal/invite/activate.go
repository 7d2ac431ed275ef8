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
func (d *Door) Activate(ctx context.Context, actor access.Actor, in In, first string) (Made, error) {
	if err := in.check(); err != nil {
		return Made{}, err
	}
	hashed, err := d.hashFirst(ctx, store.OrgID(actor.Org), "", &first, in.GivenName, in.FamilyName, in.Email)
	if err != nil {
		return Made{}, err
	}
	in.Teams, in.Roles = slices.Clone(in.Teams), slices.Clone(in.Roles)
	return d.begin(ctx, actor, first, hashed, func(tx *store.Tx) (store.User, error) { return in.person(tx, store.Active) })
}

// Start is Activate for somebody who waits for the invitation, or has it: the account is
// active, and the links that were sent lead nowhere any more. Faults: NotFound; Denied;
// Conflict (not invited, or a directory has made the person active); Invalid on
// "first_password", and on "email" (single sign-on); Unavailable.
func (d *Door) Start(ctx context.Context, actor access.Actor, user store.UserID, first string) (Made, error) {
	var u store.User
	err := d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) { u, err = d.mayStart(tx, user); return err })
	if err != nil {
		return Made{}, err
	}
	p := u.Profile()
	hashed, err := d.hashFirst(ctx, store.OrgID(actor.Org), user, &first, p.GivenName, p.FamilyName, p.FullName(), u.Email, u.UserName)
	if err != nil {
		return Made{}, err
	}
	return d.begin(ctx, actor, first, hashed, func(tx *store.Tx) (u store.User, err error) {
		if _, err = waiting(tx, user); err != nil {
			return u, err
		}
		if u, err = tx.StartUser(user, "activated without e-mail"); err != nil {
			return u, err
		}
		id, err := settle(tx, user)
		if fault.Is(err, fault.NotFound) { // made by hand, without an invitation
			return u, nil
		}
		if err != nil {
			return u, err
		}
		return u, d.record(tx, u, id, "start", map[string]any{"email": u.Email})
	})
}

// startRights are what it takes to make an account without an invitation.
var startRights = []access.Permission{access.InviteUsers, access.CreateUsers}

// mayStart refuses before anybody types a password.
func (d *Door) mayStart(tx *store.Tx, user store.UserID) (store.User, error) {
	for _, p := range startRights {
		if err := tx.Require(p); err != nil {
			return store.User{}, err
		}
	}
	u, err := invitedOne(tx, user)
	if err != nil {
		return u, err
	}
	return u, d.usesPassword(tx, u)
}

// hashFirst checks a first password, or makes one up.
func (d *Door) hashFirst(ctx context.Context, id store.OrgID, user store.UserID, first *string, words ...string) (password.Hashed, error) {
	org, err := d.opt.DB.OrgByID(ctx, id)
	if err != nil {
		return "", err
	}
	if *first == "" {
		rules, err := d.opt.Passwords.RulesOf(ctx, id)
		if err != nil {
			return "", err
		}
		*first = password.Temporary(rules)
	} else if err := d.opt.Passwords.Check(ctx, id, user, *first, append(words, org.Name, org.Slug)...); err != nil {
		return "", aboutFirst(err)
	}
	return d.opt.Passwords.Hash(ctx, *first)
}

// begin sets the first password of somebody whom activate makes active.
func (d *Door) begin(ctx context.Context, actor access.Actor, first string, hashed password.Hashed, activate func(*store.Tx) (store.User, error)) (made Made, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		for _, p := range startRights {
			if err := tx.Require(p); err != nil {
				return err
			}
		}
		u, err := activate(tx)
		if err != nil {
			return err
		}
		if err := d.usesPassword(tx, u); err != nil {
			return err
		}
		made = Made{UserID: u.ID, Email: u.Email, Password: first}
		return d.opt.Passwords.SetTemporary(tx, u, hashed)
	})
	return made, err
}

// usesPassword refuses for whoever signs in with single sign-on alone.
func (d *Door) usesPassword(tx *store.Tx, u store.User) error {
	byProvider, err := d.byProvider(tx, u.ID)
	if byProvider {
		err = fault.Invalid.On("email", "People with the address %s sign in with single sign-on, not with a password. Invite the person instead: the link leads there.", u.Email)
	}
	return err
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
