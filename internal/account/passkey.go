package account

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// offerPasskey gives a sign-in page what its browser needs to offer passkeys. It is the
// same for every address, and nothing is looked for.
func (a *Account) offerPasskey(w http.ResponseWriter, r *http.Request, p *loginPage) error {
	if p.NoPassword || p.Last.URL != "" || !a.opts.Factors.NoPasskeys().IsZero() {
		return nil
	}
	var err error
	p.Passkey, err = a.opts.Factors.BeginSignIn(a.opts.Factors.Mark(w, r))
	web.Policy(w, "script-src", "'self'")
	return err
}

// withPasskey signs in whoever's passkey it is. The policy is asked as for a password, in
// the transaction that starts the session.
func (a *Account) withPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	org, p, err := a.place(r)
	if err != nil {
		return err
	}
	given, err := a.givenPasskey(r, f)
	if err == nil && org.ID != "" && given.Org != org.ID {
		err = refusedPasskey(factor.Refusal{Check: "passkey", Why: "The passkey is of another organization.", Expected: fmt.Sprintf("a passkey of %s", org.Name), Got: "another one"})
	}
	var u store.User
	opened := ""
	if err == nil {
		u, opened, err = a.enterWithPasskey(r, given)
	}
	if err == nil {
		return a.admit(w, r, opened, p.Next)
	}
	if ok, failed := a.notAllowed(w, r, u, given.Org, "passkey", p.Next, err); ok {
		return failed
	}
	if why := refusalOf(err); why != nil && a.opts.Passwords.MayRecord(person(r, "", "", "").IP) {
		at := given.Org
		if u.ID == "" { // nobody of ours: where the page is, else for the operator
			if at = org.ID; at == "" {
				at = store.NoOrg
			}
		}
		p.Reference = secret.NewReference()
		actor := person(r, at, "", "")
		actor.Kind, actor.Name = "", "" // nobody: it was not proved
		if err := a.recordRefusal(r, actor, u, "passkey", p.Reference, *why); err != nil {
			return err
		}
	}
	if !p.Form.Take(err) {
		return err
	}
	for i := range p.Form.Errors {
		p.Form.Errors[i].Field = "" // there is no field to go to
	}
	return a.writeLogin(w, r, web.Status(err), p)
}

// givenPasskey reads what the browser sent, after counting the attempt.
func (a *Account) givenPasskey(r *http.Request, f web.Form) (factor.Proof, error) {
	if err := a.opts.Passwords.MayTryFrom(r.Context(), person(r, "", "", "").IP); err != nil {
		return factor.Proof{}, err
	}
	given, err := a.opts.Factors.ReadProof(r.Context(), factor.ToSignIn, a.opts.Factors.Browser(r), f.Get("ticket"), f.Get("answer"))
	if err == nil {
		err = a.opts.Passwords.MayTryPasskey(r.Context(), given.Org, given.User)
	}
	return given, err
}

func refusedPasskey(why factor.Refusal) error {
	return &fault.Error{Kind: fault.Invalid, Public: fault.Public(factor.WrongPasskey), Err: &why}
}

// enterWithPasskey starts the session.
func (a *Account) enterWithPasskey(r *http.Request, given factor.Proof) (u store.User, opened string, err error) {
	err = a.opts.DB.Read(r.Context(), access.Muster(string(given.Org)), func(tx *store.Tx) (err error) {
		u, err = tx.User(given.User)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return u, "", refusedPasskey(factor.Refusal{Check: "passkey", Why: "The passkey is of nobody here, or was made before the account was deleted.", Expected: "a registered passkey", Got: "another one"})
	}
	if err != nil {
		return u, "", err
	}
	actor := person(r, given.Org, given.User, u.DisplayName)
	var p proved
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) (err error) {
		if p, err = a.usePasskey(tx, given.User, given, ""); err != nil || p.noted != nil {
			return err
		}
		if err := a.opts.Passwords.PassedPasskey(tx, given.User, actor.IP); err != nil {
			return err
		}
		opened, err = a.signInWith(tx, actor.Name, session.In{User: given.User, Method: "passkey", AMR: p.amr, SecondFactor: string(p.kind)})
		return err
	})
	if err == nil {
		err = p.noted
	}
	if _, policy := errors.AsType[*session.NotAllowed](err); fault.Is(err, fault.Denied) && !policy { // Start: not active
		err = refusedPasskey(factor.Refusal{Check: "account status", Why: "The account is not active.", Expected: "an active account", Got: string(u.Status)})
	}
	return u, opened, err
}
