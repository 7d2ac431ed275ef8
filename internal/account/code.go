package account

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// codePage asks for a recovery code after the password was right.
type codePage struct {
	Form      web.Form
	Token     string
	Reference string // of a refused code
}

// needsCode tells whether the policy wants a recovery code beside the password.
func needsCode(err error) bool {
	not, ok := errors.AsType[*session.NotAllowed](err)
	return ok && not.Use == session.UseCode
}

// named tells whether somebody is a break-glass account.
func (a *Account) named(tx *store.Tx, user store.UserID) (bool, error) {
	if a.opts.BreakGlass.Named == nil {
		return false, nil
	}
	return a.opts.BreakGlass.Named(tx, user)
}

func (a *Account) askCode(w http.ResponseWriter, r *http.Request, who chosen, next string) error {
	token, err := a.keep(r, []chosen{who}, next)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "code", codePage{Token: token})
}

func tookTooLong() error {
	return fault.Expired.Say("This took too long, or was used already. Sign in again.")
}

// code takes the recovery code. The proof of the password stays until a code is right
// or its time is over; attempts are counted before a code is looked at.
func (a *Account) code(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	token := f.Get("choice")
	who, next, err := a.kept(r, token)
	if err == nil && a.opts.BreakGlass.UseCode == nil {
		err = tookTooLong()
	}
	if err != nil {
		return err
	}
	u, err := a.userOf(r, who.Org, who.User)
	if err != nil {
		return err
	}
	actor := person(r, who.Org, who.User, u.DisplayName)
	err = a.opts.Passwords.MayTry(r.Context(), who.Org, who.User, actor.IP)
	var opened string
	var left int
	if err == nil {
		opened, left, err = a.enterWithCode(r, actor, who, token, f.Get("code"))
	}
	reference := ""
	if errors.Is(err, errNoCode) {
		reference = secret.NewReference()
		if err := a.refusedCode(r, actor, u, reference); err != nil {
			return err
		}
	}
	if needsNewPassword(err) {
		return a.askNewPassword(w, r, who, next)
	}
	if err != nil && !fault.Is(err, fault.Expired) && f.Take(err) {
		return pages.Write(w, r, web.Status(err), "code", codePage{Form: f, Token: token, Reference: reference})
	}
	if err != nil {
		return err
	}
	if few := a.opts.BreakGlass.Few(left); !few.IsZero() {
		web.Flash(w, web.ReaderIn(r).Say(few))
	}
	return a.admit(w, r, opened, next)
}

// kept is the one account that a password was right for.
func (a *Account) kept(r *http.Request, token string) (who chosen, next string, err error) {
	var row struct {
		Accounts []byte `db:"accounts"`
		Next     string `db:"next_path"`
	}
	err = a.opts.DB.Read(r.Context(), access.Muster(""), func(tx *store.Tx) error {
		return tx.Get(&row, "SELECT accounts, next_path FROM signin_choices WHERE token_hash = ? AND expires_at > ?", secret.Hash(token), tx.Now())
	})
	if fault.Is(err, fault.NotFound) {
		return who, "", tookTooLong()
	}
	if err != nil {
		return who, "", err
	}
	var list []chosen
	if err := json.Unmarshal(row.Accounts, &list); err != nil {
		return who, "", err
	}
	if len(list) != 1 {
		return who, "", tookTooLong()
	}
	return list[0], row.Next, nil
}

var errNoCode = fault.Invalid.On("code", "That is not one of the account's unused recovery codes. Each works once.")

// enterWithCode signs in, if the password is still the one that was checked.
func (a *Account) enterWithCode(r *http.Request, actor access.Actor, who chosen, token, code string) (opened string, left int, err error) {
	actor.Roles = []string{access.Viewer} // whom the alarm goes to is looked up with it
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		same, err := a.opts.Passwords.Unchanged(tx, who.User, who.SetAt)
		if err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM signin_choices WHERE token_hash = ? AND expires_at > ?", secret.Hash(token), tx.Now())
		if err != nil {
			return err
		}
		if n == 0 || !same {
			return tookTooLong()
		}
		var ok bool
		if left, ok, err = a.opts.BreakGlass.UseCode(tx, who.User, code); err != nil {
			return err
		}
		if !ok {
			return errNoCode
		}
		if err := a.opts.Passwords.Passed(tx, who.User, actor.IP); err != nil {
			return err
		}
		opened, err = a.signInWith(tx, actor.Name, session.In{User: who.User, Method: "password", AMR: "pwd otp", SecondFactor: "recovery code", Emergency: true})
		return err
	})
	return opened, left, err
}

// refusedCode records a wrong code where an administrator looks for it.
func (a *Account) refusedCode(r *http.Request, actor access.Actor, u store.User, reference string) error {
	return a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "user.signin.refused", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
			Detail: map[string]any{"reference": reference, "method": "password", "check": "recovery code", "expected": "one of the account's unused codes", "got": "another text",
				"why": "wrong recovery code", "hint": "The password was right. If this was not the owner, set a new password and make new codes."}})
	})
}
