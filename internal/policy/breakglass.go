package policy

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const (
	wanted   = 2 // break-glass accounts, before single sign-on can be required
	fewCodes = 3 // from here on the person is told to make new ones
)

// Account is one break-glass account.
type Account struct {
	ID         store.UserID
	Name       string
	Email      string
	Codes      int // left
	CreatedAt  store.Time
	SignedInAt store.Time
	Wrong      string // why it cannot be used; empty: it can
}

// Accounts are the organization's break-glass accounts. Faults: Denied.
func (d *Door) Accounts(tx *store.Tx) ([]Account, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	var rows []accountRow
	if err := tx.Select(&rows, selectAccounts, tx.Org()); err != nil {
		return nil, err
	}
	list := make([]Account, len(rows))
	for i, r := range rows {
		a := Account{ID: r.ID, Name: r.Name, Email: r.Email, Codes: r.Codes, CreatedAt: r.CreatedAt, SignedInAt: r.SignedInAt}
		has, err := d.opt.Passwords.Has(tx, r.ID)
		switch {
		case err != nil:
			return nil, err
		case r.Status != store.Active:
			a.Wrong = "It is not active."
		case !r.Admin:
			a.Wrong = "It is not an admin's any more."
		case !has:
			a.Wrong = "It has no password. Set one with “Forgot your password?” on the sign-in page."
		case r.Codes == 0:
			a.Wrong = "It has no recovery code left. Make new ones."
		}
		list[i] = a
	}
	return list, nil
}

func usable(list []Account) (n int) {
	for _, a := range list {
		if a.Wrong == "" {
			n++
		}
	}
	return n
}

// AddAccount names an admin as a break-glass account and gives its recovery codes,
// which are shown this once. Faults: Denied, NotFound, Conflict on "user".
func (d *Door) AddAccount(ctx context.Context, actor access.Actor, user store.UserID) (list []string, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		who, err := d.holdPerson(tx, user)
		switch {
		case err != nil:
			return err
		case who.Named:
			return fault.Conflict.On("user", "%s is a break-glass account already.", who.Name)
		case who.Status != store.Active:
			return fault.Conflict.On("user", "%s is not active, so the account could not be used in an emergency.", who.Name)
		case !who.Admin:
			return fault.Conflict.On("user", "%s is not an admin, so the account could not help in an emergency. Make the person an admin first.", who.Name)
		}
		if _, err := tx.Exec("INSERT INTO break_glass (org_id, user_id, hidden, created_at) VALUES (?, ?, ?, ?)", tx.Org(), user, who.BreakGlass, tx.Now()); err != nil {
			return err
		}
		if _, err := tx.SetBreakGlass(user, true, "breakglass.add"); err != nil {
			return err
		}
		if list, err = newCodes(tx, user); err != nil {
			return err
		}
		return d.tell(tx, aboutAccount(tx, web.Say("%s was made a break-glass account", who.Name), "It gets in with its password and a recovery code when single sign-on fails."))
	})
	return list, err
}

// aboutAccount tells all admins what somebody did with a break-glass account.
func aboutAccount(tx *store.Tx, what web.Said, more fault.Word) web.Notice {
	return web.Notice{Subject: what, Button: web.Say("Look at the accounts"), Path: "/security",
		Lines: []web.Said{web.Say("%s, by %s. %s", what, web.Who(tx.Actor().Name), more), web.Say("If you did not expect this, find out why.")}}
}

// RemoveAccount takes an account off the list; it is then like any other, and a
// directory may see it. Faults: Denied, NotFound, Conflict on "user" (the last one
// that works, while single sign-on is required).
func (d *Door) RemoveAccount(ctx context.Context, actor access.Actor, user store.UserID) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		p, err := hold(tx, tx.ForUpdate())
		if err != nil {
			return err
		}
		who, err := d.mayName(tx, user)
		if err != nil {
			return err
		}
		if !who.Named {
			return notNamed(who)
		}
		list, err := d.Accounts(tx)
		if err != nil {
			return err
		}
		others := 0
		for _, a := range list {
			if a.ID != user && a.Wrong == "" {
				others++
			}
		}
		if p.Enforced() && others == 0 {
			return fault.Conflict.On("user", "%s is the last break-glass account that works, and single sign-on is required. Name another one first, or stop requiring single sign-on.", who.Name)
		}
		if err := d.unname(tx, who); err != nil {
			return err
		}
		return d.tell(tx, aboutAccount(tx, web.Say("%s was taken off the break-glass accounts", who.Name), "Its sessions have ended."))
	})
}

func (d *Door) unname(tx *store.Tx, who person) error {
	var hidden bool
	if err := tx.Get(&hidden, "DELETE FROM break_glass WHERE org_id = ? AND user_id = ? RETURNING hidden", tx.Org(), who.ID); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM break_glass_codes WHERE org_id = ? AND user_id = ?", tx.Org(), who.ID); err != nil {
		return err
	}
	// It may have been let in by its code where its password alone would not do.
	if err := d.opt.Sessions.EndAllOf(tx, who.ID); err != nil {
		return err
	}
	_, err := tx.SetBreakGlass(who.ID, hidden, "breakglass.remove")
	return err
}

// RenewCodes replaces the recovery codes of an account. Faults: Denied, NotFound.
func (d *Door) RenewCodes(ctx context.Context, actor access.Actor, user store.UserID) (list []string, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		who, err := d.holdPerson(tx, user)
		if err != nil {
			return err
		}
		if !who.Named {
			return notNamed(who)
		}
		if list, err = newCodes(tx, user); err != nil {
			return err
		}
		if err := tx.Record(store.Activity{Action: "breakglass.codes", TargetKind: "user", TargetID: string(user), TargetName: who.Name}); err != nil {
			return err
		}
		return d.tell(tx, aboutAccount(tx, web.Say("%s got new recovery codes", who.Name), "The older ones have ended."))
	})
	return list, err
}

func notNamed(who person) error {
	return fault.NotFound.On("user", "%s is not a break-glass account.", who.Name)
}

// holdPerson reads somebody under the lock of the policy.
func (d *Door) holdPerson(tx *store.Tx, user store.UserID) (person, error) {
	if _, err := hold(tx, tx.ForUpdate()); err != nil {
		return person{}, err
	}
	return d.mayName(tx, user)
}

// mayName reads somebody whom the actor may name. The account of an operator reaches
// beyond the organization, so it is an operator's or its own to deal with.
func (d *Door) mayName(tx *store.Tx, user store.UserID) (person, error) {
	if err := tx.Require(access.Configure); err != nil {
		return person{}, err
	}
	who, err := personIn(tx, user)
	if fault.Is(err, fault.NotFound) {
		return who, fault.NotFound.Wrap(err, "There is no such person.")
	}
	if err != nil {
		return who, err
	}
	by := tx.Actor()
	if who.Operator && !by.Operator && by.Kind != access.System && by.ID != string(user) {
		return who, fault.Denied.Say("%s runs this server. Only an operator can make it a break-glass account or change its codes.", who.Name)
	}
	return who, nil
}

// newCodes replaces the codes of an account by new ones.
func newCodes(tx *store.Tx, user store.UserID) ([]string, error) {
	if _, err := tx.Exec("DELETE FROM break_glass_codes WHERE org_id = ? AND user_id = ?", tx.Org(), user); err != nil {
		return nil, err
	}
	list := secret.NewRecoveryCodes()
	for _, code := range list {
		if _, err := tx.Exec("INSERT INTO break_glass_codes (org_id, user_id, code_hash, created_at) VALUES (?, ?, ?, ?)",
			tx.Org(), user, codeHash(tx.Org(), user, code), tx.Now()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func codeHash(org store.OrgID, user store.UserID, code string) string {
	return secret.RecoveryHash(string(org)+string(user), code)
}

// UseCode uses a recovery code up, once however many try, and raises the alarm. tx
// must be the one that starts the session. ok is false when the code is not one of
// the account's. left is how many it has after this.
func (d *Door) UseCode(tx *store.Tx, user store.UserID, code string) (left int, ok bool, err error) {
	if len(code) > 100 {
		return 0, false, nil
	}
	n, err := tx.Exec("DELETE FROM break_glass_codes WHERE org_id = ? AND user_id = ? AND code_hash = ?", tx.Org(), user, codeHash(tx.Org(), user, code))
	if err != nil || n == 0 {
		return 0, false, err
	}
	if err := tx.Get(&left, "SELECT count(*) FROM break_glass_codes WHERE org_id = ? AND user_id = ?", tx.Org(), user); err != nil {
		return 0, false, err
	}
	return left, true, d.alarm(tx, user, left)
}

// FewCodes is the sentence for somebody who has few codes left, or empty.
func FewCodes(left int) web.Said {
	switch {
	case left == 0:
		return web.Say("That was your last recovery code. Make new ones under Security now: without one you cannot sign in again.")
	case left <= fewCodes:
		return web.SayN(left, "You have one recovery code left. Make new ones under Security.", "You have %d recovery codes left. Make new ones under Security.")
	}
	return web.Said{}
}

// Named tells whether somebody is a break-glass account, which needs a code.
func (d *Door) Named(tx *store.Tx, user store.UserID) (bool, error) {
	var n int
	err := tx.Get(&n, "SELECT count(*) FROM break_glass WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	return n > 0, err
}
