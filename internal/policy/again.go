package policy

import (
	"errors"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// factorsBack adds what the person has beside a password, where the policy asks for it.
func (d *Door) factorsBack(tx *store.Tx, p *stepUpPage, s session.Session) error {
	if d.opt.Factors == nil {
		return nil
	}
	rule, err := d.FactorRule(tx, s.UserID)
	if err != nil || rule.Emergency {
		return err
	}
	has, err := d.opt.Factors.Of(tx, s.UserID)
	if err != nil || !has.Any() {
		return err
	}
	if may, err := d.MethodsOf(tx, s.UserID); err != nil || !may.Password {
		return err // as for a sign-in: single sign-on is required
	}
	if p.Passkey, err = d.opt.Factors.BeginProof(tx, factor.ToStepUp, string(s.ID), s.UserID); err != nil || rule.Off {
		return err
	}
	codes := has.App || has.Codes > 0
	if !p.Password {
		p.CodeAlone = codes && s.Connection == ""
		return nil
	}
	p.Code, p.Password = codes, codes
	if p.Passkey.Options == "" {
		p.Beside, err = d.opt.Factors.BeginProof(tx, factor.ToStandBy, string(s.ID), s.UserID)
	}
	return err
}

// proof is one way of proving it once more, within a transaction: how, in the words of
// RFC 8176. noted is a refusal with which something was written down that stays.
type proof func(tx *store.Tx) (method, amr string, noted, err error)

// proveAgain takes what the page that asks has sent.
func (d *Door) proveAgain(r *http.Request, actor access.Actor, s session.Session, f web.Form, ways stepUpPage) error {
	field, method := againText, "password"
	var err error
	switch {
	case f.Get(againAnswer) != "":
		field, method = "", "passkey"
		err = d.withPasskey(r, actor, s, f, ways)
	case ways.Code, ways.CodeAlone:
		field = againCode
		err = d.withCode(r, actor, s, f, ways)
	default:
		err = d.opt.Passwords.Confirm(r.Context(), s.Org, s.UserID, f.Get(againText), actor.IP)
		if err == nil {
			return d.proved(r, actor, s, func(*store.Tx) (string, string, error, error) { return "password", "pwd", nil, nil })
		}
	}
	why, wrong := errors.AsType[*factor.Refusal](err)
	switch {
	case fault.Field(err) == "password":
		field, why = againText, &factor.Refusal{Check: "fresh sign-in", Why: "wrong password, asked for once more", Expected: "the person's password", Got: "another text"}
	case errors.Is(err, factor.WrongCode):
		why = &factor.Refusal{Check: "fresh sign-in", Why: "wrong code, asked for once more", Expected: "a code of the person's app, or a recovery code", Got: "another text"}
	case !wrong:
		return err
	}
	return d.refusedAgain(r, actor, s, field, method, *why, err)
}

// withCode takes the password and a code together: one attempt, counted once, so that a
// right password does not give more tries at the code. Without a password, the code alone.
func (d *Door) withCode(r *http.Request, actor access.Actor, s session.Session, f web.Form, ways stepUpPage) error {
	how, amr := "password, ", "pwd otp mfa"
	err := d.opt.Passwords.MayTry(r.Context(), s.Org, s.UserID, actor.IP)
	if ways.CodeAlone {
		how, amr = "", "otp"
	} else if err == nil {
		err = d.isPassword(r, s, f)
	}
	if err != nil {
		return err
	}
	return d.proved(r, actor, s, func(tx *store.Tx) (string, string, error, error) {
		kind, _, err := d.opt.Factors.UseCode(tx, s.UserID, f.Get(againCode))
		if err == nil {
			err = d.opt.Passwords.Passed(tx, s.UserID, actor.IP)
		}
		return how + string(kind), amr, nil, err
	})
}

// isPassword looks at the password of an attempt that was counted. Faults: Invalid on "password".
func (d *Door) isPassword(r *http.Request, s session.Session, f web.Form) error {
	is, err := d.opt.Passwords.Is(r.Context(), s.Org, s.UserID, f.Get(againText))
	if err == nil && !is {
		err = fault.Invalid.On("password", "That is not your password.")
	}
	return err
}

// withPasskey takes a passkey, or the password and a security key together.
func (d *Door) withPasskey(r *http.Request, actor access.Actor, s session.Session, f web.Form, ways stepUpPage) error {
	err := d.opt.Passwords.MayTry(r.Context(), s.Org, s.UserID, actor.IP)
	purpose, how, amr := factor.ToStepUp, "", ""
	if ways.Beside.Options != "" {
		purpose, how, amr = factor.ToStandBy, "password, ", "pwd "
		if err == nil {
			err = d.isPassword(r, s, f)
		}
	}
	if err != nil {
		return err
	}
	given, err := d.opt.Factors.ReadProof(r.Context(), purpose, string(s.ID), f.Get(againTicket), f.Get(againAnswer))
	if err != nil {
		return &fault.Error{Kind: fault.Of(err), Public: fault.Public(err), Err: err} // there is no field to go to
	}
	return d.proved(r, actor, s, func(tx *store.Tx) (string, string, error, error) {
		if may, err := d.MethodsOf(tx, s.UserID); err != nil || !may.Password {
			return "", "", nil, errors.Join(err, fault.Denied.Say("Your organization signs in with single sign-on, not with a password or a passkey here."))
		}
		k, copied, err := d.opt.Factors.UsePasskey(tx, s.UserID, given)
		if copied {
			return "", "", err, nil
		}
		if err == nil {
			err = d.opt.Passwords.Passed(tx, s.UserID, actor.IP)
		}
		return how + string(k.Kind()), amr + k.AMR() + " mfa", nil, err
	})
}

// proved notes that the session's person has proved it once more.
func (d *Door) proved(r *http.Request, actor access.Actor, s session.Session, prove proof) error {
	actor = actor.In(string(s.Org))
	var noted error
	err := d.opt.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		method, amr, kept, err := prove(tx)
		noted = kept
		if err != nil || kept != nil {
			return err
		}
		live, err := d.opt.Sessions.Proved(tx, s.ID, s.UserID, tx.Now().Time())
		if err != nil {
			return err
		}
		if !live {
			return fault.SignIn.Say("Your session has ended. Please sign in.")
		}
		if err := d.opt.Sessions.SetAMR(tx, s.ID, together(s.AMR, amr)); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "user.stepup", TargetKind: "user", TargetID: actor.ID, TargetName: actor.Name, Detail: map[string]any{"method": method, "amr": amr}})
	})
	if err == nil {
		err = noted
	}
	return err
}

// together are the words of both, each once.
func together(had, more string) string {
	words := strings.Fields(had)
	for word := range strings.FieldsSeq(more) {
		if !strings.Contains(" "+had+" ", " "+word+" ") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// refusedAgain records a refusal, and says what may be shown of it at the field.
func (d *Door) refusedAgain(r *http.Request, actor access.Actor, s session.Session, field, method string, no factor.Refusal, why error) error {
	err := d.opt.DB.Write(r.Context(), actor.In(string(s.Org)), func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "user.signin.refused", TargetKind: "user", TargetID: actor.ID, TargetName: actor.Name,
			Detail: map[string]any{"method": method, "check": no.Check, "expected": no.Expected, "got": no.Got, "why": no.Why,
				"hint": "If this was not the person, end their sessions."}})
	})
	if err != nil {
		return err
	}
	return fault.Invalid.On(field, "%s", fault.Public(why))
}
