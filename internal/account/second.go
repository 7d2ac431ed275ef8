package account

import (
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// The second step of a sign-in: the password was right (or a link that stands for one),
// and the person has a second factor, or must have one. What was proved waits in the
// database, its token in a cookie of this browser. Whoever has a factor is asked for it
// (/login/second); whoever has none and must have one makes it first (/login/enroll).

// step is a sign-in that waits for its second factor.
type step struct {
	factor.SignIn
	token string
	user  store.User
	org   store.Org
	has   factor.Set
	rule  factor.Rule
}

// waits begins the second step within the transaction that checked the first.
func (a *Account) waits(tx *store.Tx, user store.UserID, method, next string) (string, error) {
	at, err := a.opts.Passwords.SetAt(tx, user)
	if err != nil {
		return "", err
	}
	return a.opts.Factors.Begin(tx, factor.SignIn{User: user, Method: method, SetAt: at, Next: web.Local(next)})
}

// askSecond leads to the second step.
func (a *Account) askSecond(w http.ResponseWriter, r *http.Request, token string) error {
	a.opts.Factors.SetCookie(w, token)
	return see(w, r, "/login/second")
}

// step is the sign-in of this browser that waits. Faults: Expired.
func (a *Account) step(r *http.Request, more func(tx *store.Tx, s *step) error) (s step, err error) {
	s.token = a.opts.Factors.Cookie(r)
	org, err := factor.PendingOrg(s.token)
	if err != nil {
		return s, err
	}
	if s.org, err = a.opts.DB.OrgByID(r.Context(), org); fault.Is(err, fault.NotFound) {
		err = fault.Expired.Wrap(err, "This took too long, or was used already. Sign in again.")
	}
	if err != nil {
		return s, err
	}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(org)), func(tx *store.Tx) (err error) {
		if s.SignIn, err = a.opts.Factors.Pending(tx, s.token); err != nil {
			return err
		}
		if s.user, err = tx.User(s.User); err != nil {
			return err
		}
		if s.has, err = a.opts.Factors.Of(tx, s.User); err != nil {
			return err
		}
		if s.rule, err = a.opts.Factors.RuleOf(tx, s.User); err != nil {
			return err
		}
		return more(tx, &s)
	})
	if fault.Is(err, fault.NotFound) { // deleted meanwhile
		err = fault.Denied.Say("This account is not active. Ask an administrator of your organization.")
	}
	return s, err
}

// secondPage asks for the second factor.
type secondPage struct {
	Form      web.Form
	Org, Name string
	Passkey   factor.Ceremony
	Has       factor.Set
	Reference string // of a refusal
}

// startAgain is the answer to a second step that is no longer there.
func (a *Account) startAgain(w http.ResponseWriter, r *http.Request, err error) error {
	if !fault.Is(err, fault.Expired) {
		return err
	}
	a.opts.Factors.ClearCookie(w)
	web.Flash(w, web.SentenceIn(r, err))
	return see(w, r, "/login")
}

func (a *Account) showSecond(w http.ResponseWriter, r *http.Request) error {
	return a.second(w, r, http.StatusOK, web.Form{}, "")
}

func (a *Account) second(w http.ResponseWriter, r *http.Request, status int, f web.Form, reference string) error {
	p := secondPage{Form: f, Reference: reference}
	s, err := a.step(r, func(tx *store.Tx, s *step) (err error) {
		p.Passkey, err = a.opts.Factors.BeginProof(tx, factor.ToFinish, s.token, s.User)
		return err
	})
	switch {
	case err != nil:
		return a.startAgain(w, r, err)
	case !s.has.Any() && s.rule.Required:
		return see(w, r, "/login/enroll")
	case !s.has.Any(): // taken away by an admin meanwhile
		return a.startAgain(w, r, fault.Expired.Say("Your second factors were removed meanwhile. Sign in again."))
	}
	p.Org, p.Name, p.Has = s.org.Name, s.user.UserName, s.has
	return writeScripted(w, r, status, "second", p)
}

// writeScripted writes a page that has our one script, which asks the browser for
// passkeys and copies codes. The page says what to do without it.
func writeScripted(w http.ResponseWriter, r *http.Request, status int, name string, p any) error {
	web.Policy(w, "script-src", "'self'")
	return pages.Write(w, r, status, name, p)
}

// proved is what the second step has shown. noted is a refusal that must be kept, because
// something was written down with it.
type proved struct {
	kind  factor.Kind
	amr   string
	noted error
}

// finish starts the session of a sign-in that waited, if its password is still the one
// that was right. prove looks at the second factor in the same transaction.
func (a *Account) finish(r *http.Request, s step, prove func(tx *store.Tx) (proved, error)) (opened string, err error) {
	actor := person(r, s.Org, s.User, s.user.DisplayName)
	var p proved
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		in, err := a.opts.Factors.Finish(tx, s.token)
		if err != nil {
			return err
		}
		same, err := a.opts.Passwords.Unchanged(tx, in.User, in.SetAt)
		if err != nil {
			return err
		}
		if !same {
			return fault.Expired.Say("The password was changed meanwhile. Sign in with the new one.")
		}
		if p, err = prove(tx); err != nil || p.noted != nil {
			return err
		}
		if err := a.opts.Passwords.Passed(tx, in.User, actor.IP); err != nil {
			return err
		}
		opened, err = a.signInWith(tx, actor.Name, session.In{User: in.User, Method: in.Method, AMR: p.amr, SecondFactor: string(p.kind)})
		return err
	})
	if err == nil {
		err = p.noted
	}
	return opened, err
}

// withCode takes a code of the authenticator app, or a recovery code.
func (a *Account) withCode(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	s, err := a.step(r, nothingMore)
	if err != nil {
		return a.startAgain(w, r, err)
	}
	left, kind := 0, factor.None
	opened := ""
	if err = a.opts.Passwords.MayTry(r.Context(), s.Org, s.User, person(r, "", "", "").IP); err == nil {
		opened, err = a.finish(r, s, func(tx *store.Tx) (p proved, err error) {
			kind, left, err = a.opts.Factors.UseCode(tx, s.User, f.Get("code"))
			return proved{kind: kind, amr: "pwd otp mfa"}, err
		})
	}
	if err != nil {
		return a.refusedSecond(w, r, s, f, err)
	}
	if kind == factor.RecoveryCode && left <= factor.FewCodes {
		web.Flash(w, web.N(r, left, "You have one recovery code left. Make new ones on the page of your account.", "You have %d recovery codes left. Make new ones on the page of your account."))
	}
	return a.entered(w, r, s, opened)
}

func nothingMore(*store.Tx, *step) error { return nil }

// entered gives the browser its session.
func (a *Account) entered(w http.ResponseWriter, r *http.Request, s step, opened string) error {
	a.opts.Factors.ClearCookie(w)
	return a.admit(w, r, opened, s.Next)
}

// refusedSecond shows the second step again, with a reference when it was a refusal.
func (a *Account) refusedSecond(w http.ResponseWriter, r *http.Request, s step, f web.Form, err error) error {
	if needsNewPassword(err) {
		a.opts.Factors.ClearCookie(w)
		return a.askNewPassword(w, r, chosen{s.Org, s.User, s.SetAt}, s.Next)
	}
	if ok, failed := a.notAllowed(w, r, s.user, s.Org, s.Method, s.Next, err); ok {
		return failed
	}
	if fault.Is(err, fault.Expired) && fault.Field(err) != "ticket" {
		return a.startAgain(w, r, err)
	}
	reference := ""
	if why := refusalOf(err); why != nil {
		reference = secret.NewReference()
		actor := person(r, s.Org, s.User, s.user.DisplayName)
		if err := a.recordRefusal(r, actor, s.user, s.Method, reference, *why); err != nil {
			return err
		}
	}
	if !f.Take(err) {
		return err
	}
	return a.second(w, r, web.Status(err), f, reference)
}

// refusalOf is why a second factor was refused; nil: it was something else.
func refusalOf(err error) *factor.Refusal {
	if why, ok := errors.AsType[*factor.Refusal](err); ok {
		return why
	}
	if errors.Is(err, factor.WrongCode) {
		return &factor.Refusal{Check: "second factor", Why: "wrong code", Expected: "a code that the person's authenticator app shows now, or an unused recovery code", Got: "another text"}
	}
	return nil
}

// recordRefusal writes a refused factor down where an administrator looks for it.
func (a *Account) recordRefusal(r *http.Request, actor access.Actor, u store.User, method, reference string, why factor.Refusal) error {
	hint := "The password was right. If this was not the person, have them set a new password."
	if method == "passkey" {
		hint = "The person can remove the passkey on the page of the account and make a new one, or sign in another way."
	}
	detail := map[string]any{"reference": reference, "method": method, "check": why.Check, "expected": why.Expected, "got": why.Got, "why": why.Why, "hint": hint}
	if why.Name != "" {
		detail["passkey"] = why.Name
	}
	return a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		act := store.Activity{Action: "user.signin.refused", Detail: detail}
		if u.ID != "" {
			act.TargetKind, act.TargetID, act.TargetName = "user", string(u.ID), u.DisplayName
		}
		return tx.Record(act)
	})
}

// withSecondPasskey takes a passkey as second factor.
func (a *Account) withSecondPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	s, err := a.step(r, nothingMore)
	if err != nil {
		return a.startAgain(w, r, err)
	}
	opened := ""
	if err = a.opts.Passwords.MayTry(r.Context(), s.Org, s.User, person(r, "", "", "").IP); err == nil {
		opened, err = a.provePasskey(r, s, f)
	}
	if err != nil {
		return a.refusedSecond(w, r, s, web.Form{}, err)
	}
	return a.entered(w, r, s, opened)
}

// provePasskey finishes with a passkey.
func (a *Account) provePasskey(r *http.Request, s step, f web.Form) (opened string, err error) {
	given, err := a.opts.Factors.ReadProof(r.Context(), factor.ToFinish, s.token, f.Get("ticket"), f.Get("answer"))
	if err != nil {
		return "", err
	}
	return a.finish(r, s, func(tx *store.Tx) (proved, error) { return a.usePasskey(tx, s.User, given, "pwd ") })
}

// usePasskey is factor.UsePasskey as finish wants it.
func (a *Account) usePasskey(tx *store.Tx, user store.UserID, given factor.Proof, before string) (proved, error) {
	k, copied, err := a.opts.Factors.UsePasskey(tx, user, given)
	if copied {
		return proved{noted: err}, nil
	}
	return proved{kind: k.Kind(), amr: before + k.AMR() + " mfa"}, err
}
