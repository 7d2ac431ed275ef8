package policy

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/store"
)

// requires tells whether somebody must have a second factor.
func (p Policy) requires(admin bool) bool {
	return p.Second == SecondAll || p.Second == SecondAdmins && admin
}

// admitWithout decides about a sign-in with nothing beside the password: it will do for
// whoever has nothing else and need not. Others are asked for it, or for making one.
func (d *Door) admitWithout(tx *store.Tx, p Policy, who person) error {
	if d.opt.Factors == nil || p.Second == SecondOff {
		return nil
	}
	rule := "a second factor is required"
	if !p.requires(who.Admin) {
		has, err := d.opt.Factors.Of(tx, who.ID)
		if err != nil || !has.Any() {
			return err
		}
		rule = "the person has a second factor"
	}
	return refuse(session.UseSecond, rule, "Your password alone does not open this account.")
}

// FactorRule is factor.Options.Rule.
func (d *Door) FactorRule(tx *store.Tx, user store.UserID) (factor.Rule, error) {
	p, err := load(tx)
	if err != nil {
		return factor.Rule{}, err
	}
	who, err := personIn(tx, user)
	if fault.Is(err, fault.NotFound) {
		return factor.Rule{}, nil
	}
	return factor.Rule{Off: p.Second == SecondOff, Required: p.requires(who.Admin), Emergency: who.Named}, err
}

// asks works out who must have a second factor by a change and has none.
func (d *Door) asks(tx *store.Tx, e *Effect) error {
	for _, admin := range []bool{true, false} {
		e.Asked = e.Asked || e.After.requires(admin) && !e.Before.requires(admin)
	}
	if !e.Asked || d.opt.Factors == nil {
		return nil
	}
	named, err := namedIn(tx)
	if err != nil {
		return err
	}
	e.Without, e.Names, err = d.opt.Factors.Without(tx, e.After.Second == SecondAdmins, named)
	return err
}

// FactorsOf is what somebody has, for an admin. Faults: Denied, NotFound.
func (d *Door) FactorsOf(ctx context.Context, actor access.Actor, user store.UserID) (v factor.View, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.ViewUsers); err != nil {
			return err
		}
		if _, err := tx.User(user); err != nil {
			return err
		}
		v, err = d.opt.Factors.View(tx, user)
		return err
	})
	return v, err
}

// ResetFactors takes somebody's passkeys, authenticator app and recovery codes away and
// ends the person's sessions, which may be on what was lost. Faults: Denied, NotFound,
// Invalid on "why", Conflict (there is nothing).
func (d *Door) ResetFactors(ctx context.Context, actor access.Actor, user store.UserID, why string) error {
	why = factor.Clean(why, 300)
	if why == "" {
		return fault.Invalid.On("why", "Say why: the person reads it, and it stays in the activity log.")
	}
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if actor.Kind == access.Person && actor.ID == string(user) {
			return fault.Denied.Say("These are your own. Change them on the page of your account.")
		}
		who, err := d.mayName(tx, user)
		if err != nil {
			return err
		}
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		if err := tx.MayTouch(u); err != nil {
			return err
		}
		if err := d.opt.Factors.Reset(tx, who.ID, why); err != nil {
			return err
		}
		return d.opt.Sessions.EndAllOf(tx, who.ID)
	})
}
