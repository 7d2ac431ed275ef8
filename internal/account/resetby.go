package account

import (
	"context"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// An administrator helps somebody who cannot sign in: with a link by mail, which nobody
// but the person reads, or with a temporary password to tell, where there is no mailbox.

// sentResetTTL is how long a link works that the person has not asked for.
const sentResetTTL = 24 * time.Hour

// Temporary is a password to hand over. It can be shown this once.
type Temporary struct {
	Password string     `json:"password"`
	Until    store.Time `json:"-"`
	UntilAt  string     `json:"until"`
}

// mayReset reads somebody whose password the actor may reset: not that of somebody who
// may do more, nor a break-glass account's; and an operator's, whose account reaches
// beyond the organization, is an operator's to reset. Faults: Denied, NotFound, Conflict (not active, no passwords here).
func (a *Account) mayReset(tx *store.Tx, user store.UserID) (store.User, error) {
	if err := tx.Require(access.EndUsers); err != nil {
		return store.User{}, err
	}
	u, err := tx.User(user)
	if err != nil {
		return u, err
	}
	operator, err := a.opts.Sessions.IsOperator(tx, user)
	if err != nil {
		return u, err
	}
	by := tx.Actor()
	switch {
	case by.Kind == access.Person && by.ID == string(user):
		return u, fault.Denied.Say("This is your own password. Change it on your account's page.")
	case operator && !by.Operator && by.Kind != access.System:
		return u, fault.Denied.Say("%s runs this server. Only an operator can reset this password.", u.DisplayName)
	case tx.MayTouch(u) != nil:
		return u, tx.MayTouch(u)
	case u.Status != store.Active:
		return u, fault.Conflict.Say("%s is not active, so a password would be of no use.", u.DisplayName)
	}
	usable, _, err := a.may(tx, user)
	if err == nil && !usable {
		err = fault.Conflict.Say("%s signs in with single sign-on: passwords are not used. How people sign in is chosen under Security.", u.DisplayName)
	}
	return u, err
}

// SetTemporary gives somebody a temporary password, a made one when text is empty. Their
// sessions end, and they are told by mail. Faults: those of mayReset; Invalid on
// "password", Unavailable.
func (a *Account) SetTemporary(ctx context.Context, actor access.Actor, user store.UserID, text string) (Temporary, error) {
	var u store.User
	err := a.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		u, err = a.mayReset(tx, user)
		return err
	})
	if err != nil {
		return Temporary{}, err
	}
	org, err := a.opts.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return Temporary{}, err
	}
	if text == "" {
		rules, err := a.opts.Passwords.RulesOf(ctx, org.ID)
		if err != nil {
			return Temporary{}, err
		}
		text = password.Temporary(rules)
	} else if err := a.opts.Passwords.Check(ctx, org.ID, user, text, wordsOf(u, org)...); err != nil {
		return Temporary{}, err
	}
	hash, err := a.opts.Passwords.Hash(ctx, text)
	if err != nil {
		return Temporary{}, err
	}
	out := Temporary{Password: text}
	err = a.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if u, err = a.mayReset(tx, user); err != nil {
			return err
		}
		out.Until = tx.Now().Add(password.TemporaryFor)
		out.UntilAt = out.Until.RFC3339()
		if err := a.opts.Passwords.SetTemporary(tx, u, hash); err != nil {
			return err
		}
		if err := a.opts.Passwords.Unlock(tx, user, u.Email, u.UserName); err != nil {
			return err
		}
		if err := EndResets(tx, []store.UserID{user}); err != nil {
			return err
		}
		if err := a.opts.Sessions.EndAllOf(tx, user); err != nil {
			return err
		}
		return a.tellAbout(tx, org, u, web.Say("Your password at %s was reset", org.Name),
			web.Say("%s has set a temporary password for your account at %s and will tell it to you. Your sessions have ended.", actor.Name, org.Name),
			web.Say("At the next sign-in you set a password of your own, which nobody else knows."))
	})
	return out, err
}

// wordsOf are what an attacker would try first.
func wordsOf(u store.User, org store.Org) []string {
	p := u.Profile()
	return []string{u.UserName, u.Email, u.DisplayName, p.GivenName, p.FamilyName, org.Name, org.Slug}
}

// tellAbout mails a person what has happened to the account.
func (a *Account) tellAbout(tx *store.Tx, org store.Org, u store.User, subject web.Said, lines ...web.Said) error {
	if mail.CheckAddress(u.Email) != nil {
		return nil
	}
	to, err := mail.ReaderOf(tx, u.ID)
	if err != nil {
		return err
	}
	l := mail.Letter{Reader: to, Subject: to.Say(subject), Greeting: greeting(to, u.DisplayName),
		Button: to.T("Go to your account"), Link: a.url("/o/" + org.Slug + "/login?next=/account"),
		Small: []string{to.T("If you did not expect this, tell an administrator of %s at once.", org.Name)}}
	for _, line := range lines {
		l.Lines = append(l.Lines, to.Say(line))
	}
	return a.opts.Mail.Queue(tx, l.To(u.Email))
}

// SendReset mails somebody a link for a new password. Until it is used nothing changes.
// Faults: those of mayReset; Conflict (no address).
func (a *Account) SendReset(ctx context.Context, actor access.Actor, user store.UserID) (address string, err error) {
	org, err := a.opts.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return "", err
	}
	err = a.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		u, err := a.mayReset(tx, user)
		if err != nil {
			return err
		}
		if mail.CheckAddress(u.Email) != nil {
			return fault.Conflict.Say("%s has no e-mail address. Set a temporary password instead.", u.DisplayName)
		}
		address = u.Email
		return a.queueReset(tx, password.Known{User: u.ID, Name: u.DisplayName, Email: u.Email, Slug: org.Slug, OrgName: org.Name}, sentResetTTL,
			web.Say("%s sends you this link, with which you set a new password for your account at %s.", actor.Name, org.Name))
	})
	return address, err
}

// resetByPage is the administrator's form, or the password that was set.
type resetByPage struct {
	Org   web.Org
	Form  web.Form
	User  store.UserID
	Name  string
	Email string
	Rules []password.Rule
	Days  int // how long a temporary password works
	Done  Temporary
}

func (a *Account) showResetBy(w http.ResponseWriter, r *http.Request) error {
	return a.writeResetBy(w, r, http.StatusOK, resetByPage{})
}

func (a *Account) writeResetBy(w http.ResponseWriter, r *http.Request, status int, p resetByPage) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	p.Org, p.User, p.Days = web.OrgOf(r), id, int(password.TemporaryFor/(24*time.Hour))
	err = a.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		u, err := a.mayReset(tx, id)
		if err != nil {
			return err
		}
		p.Name, p.Email = u.DisplayName, u.Email
		rules, _, err := a.opts.Passwords.Rules(tx)
		p.Rules = rules.InWords()
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "resetby", p)
}

func (a *Account) resetBy(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Get("how") == "link" {
		address, err := a.SendReset(r.Context(), web.Actor(r), id)
		if err != nil && f.Take(err) {
			return a.writeResetBy(w, r, web.Status(err), resetByPage{Form: f})
		}
		if err != nil {
			return err
		}
		web.Flash(w, web.T(r, "The link is on its way to %s. It works for 24 hours.", address))
		return see(w, r, "/console/"+web.OrgOf(r).Slug+"/users/"+string(id))
	}
	done, err := a.SetTemporary(r.Context(), web.Actor(r), id, f.Get("password"))
	if err != nil && f.Take(err) {
		return a.writeResetBy(w, r, web.Status(err), resetByPage{Form: f})
	}
	if err != nil {
		return err
	}
	return a.writeResetBy(w, r, http.StatusOK, resetByPage{Done: done})
}

// resetRequest is what a program asks for: a link by mail, or a temporary password, a
// made one when none is given.
type resetRequest struct {
	Link      bool   `json:"link"`
	Temporary bool   `json:"temporary"`
	Password  string `json:"password"`
}

func (a *Account) apiReset(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	var in resetRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	switch {
	case in.Link == in.Temporary:
		return fault.Invalid.On("link", "Send either link: true or temporary: true.")
	case in.Link:
		address, err := a.SendReset(r.Context(), web.Actor(r), id)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusAccepted, map[string]string{"sent_to": address})
	}
	done, err := a.SetTemporary(r.Context(), web.Actor(r), id, in.Password)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, done)
}
