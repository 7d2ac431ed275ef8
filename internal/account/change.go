package account

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// changePage is where a person changes the own password.
type changePage struct {
	Areas    []area
	Form     web.Form
	Rules    []password.Rule
	Has      bool // there is a password to change
	May      bool // the organization lets the person use one
	Org      string
	UserName string
	Since    store.Time
}

func (a *Account) showChange(w http.ResponseWriter, r *http.Request) error {
	f := web.Form{}
	f.Set("others", "on")
	return a.writeChange(w, r, http.StatusOK, f)
}

func (a *Account) writeChange(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	_, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	org, err := a.opts.DB.OrgByID(r.Context(), now.Org)
	if err != nil {
		return err
	}
	p := changePage{Areas: around(r), Form: f, Org: org.Name}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
		u, err := tx.User(now.UserID)
		if err != nil {
			return err
		}
		p.UserName = u.UserName
		if p.May, _, err = a.may(tx, now.UserID); err != nil {
			return err
		}
		p.Since, err = a.opts.Passwords.SetAt(tx, now.UserID)
		p.Has = err == nil
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		rules, _, err := a.opts.Passwords.Rules(tx)
		p.Rules = rules.InWords()
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "change", p)
}

func (a *Account) change(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	others := f.Get("others") != ""
	err = a.changePassword(r, f.Get("current_password"), f.Get("password"), others)
	if err != nil && f.Take(err) {
		return a.writeChange(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	if others {
		web.Flash(w, web.T(r, "Your password is changed. Your other sessions have ended."))
	} else {
		web.Flash(w, web.T(r, "Your password is changed."))
	}
	return see(w, r, "/account/password")
}

// proof has the person prove once more who they are, with the password. A wrong one is
// counted, and recorded where an administrator looks for it. Faults: Invalid on "current_password", TooMany.
func (a *Account) proof(r *http.Request, actor access.Actor, now session.Session, text string) error {
	err := a.opts.Passwords.Confirm(r.Context(), now.Org, now.UserID, text, actor.IP)
	if !fault.Is(err, fault.Invalid) {
		return err
	}
	failed := a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "user.signin.refused", TargetKind: "user", TargetID: actor.ID, TargetName: actor.Name,
			Detail: map[string]any{"method": "password", "check": "fresh sign-in", "expected": "the person's password", "got": "another text", "why": "wrong password, asked for once more",
				"hint": "If this was not the person, end their sessions."}})
	})
	if failed != nil {
		return failed
	}
	return fault.Invalid.Over("current_password", err)
}

// changePassword replaces the own password by one that the rules allow.
func (a *Account) changePassword(r *http.Request, current, next string, others bool) error {
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	_, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	who := chosen{Org: now.Org, User: now.UserID}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) (err error) {
		who.SetAt, err = a.opts.Passwords.SetAt(tx, now.UserID)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return fault.Conflict.Say("Your account has no password yet. Have a link mailed to set one.")
	}
	if err != nil {
		return err
	}
	if err := a.proof(r, actor, now, current); err != nil {
		return err
	}
	u, err := a.userOf(r, now.Org, now.UserID)
	if err != nil {
		return err
	}
	hash, err := a.ownPassword(r, who, u, next)
	if err != nil {
		return err
	}
	org, err := a.opts.DB.OrgByID(r.Context(), now.Org)
	if err != nil {
		return err
	}
	return a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		same, err := a.opts.Passwords.Unchanged(tx, who.User, who.SetAt)
		if err != nil {
			return err
		}
		usable, _, err := a.may(tx, who.User)
		switch {
		case err != nil:
			return err
		case !same:
			return fault.Conflict.Say("Your password was changed meanwhile, in another window or by an administrator.")
		case !usable:
			return fault.Conflict.Say("Your organization does not use passwords here. Sign in with single sign-on instead.")
		}
		if err := a.opts.Passwords.Set(tx, who.User, hash); err != nil {
			return err
		}
		if err := EndResets(tx, []store.UserID{who.User}); err != nil {
			return err
		}
		if others {
			if err := a.opts.Sessions.EndOthers(tx, who.User, now.ID); err != nil {
				return err
			}
		}
		if n, err := NotificationsOf(tx, who.User); err != nil || !n.Password {
			return err
		}
		return a.tellAbout(tx, org, u, web.Say("Your password at %s was changed", org.Name),
			web.Say("The password of your account at %s was changed on your account's page.", org.Name), web.Say("If this was you, there is nothing to do."))
	})
}
