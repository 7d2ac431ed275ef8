package sso

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// Linking by asking the address. Where a provider's word on an address is not enough
// to link an account, its mailbox is asked by a one-time link. The link works in the
// browser that signed in alone: who only reads the mail, or is talked into opening a
// link of somebody else, links nothing.

const (
	confirmFor  = time.Hour
	confirmMost = 3 // mails to one account in a day
)

// Letter is a mail to one person.
type Letter struct {
	Reader                web.Reader // in which language it is read
	To, Greeting, Subject string
	Lines                 []string
	Button, URL           string
	Small                 []string
}

// askAddress makes may a refusal that asks the account's address, when the account
// could be linked after that.
func (v *visit) askAddress(may *refusal, found []store.User) error {
	if may.final || v.c.Config.NoLinkByMail {
		return may
	}
	u, err := v.theOne(found)
	if _, refused := errors.AsType[*refusal](err); refused {
		return may // why not is nothing for who has not proved the address
	}
	if err != nil {
		return err
	}
	if u.Email != "" && store.Fold(u.Email) == store.Fold(v.a.Email) {
		may.confirm = u
	}
	return may
}

// askToConfirm queues the mail and gives the browser its half of the link.
func (d *Door) askToConfirm(w http.ResponseWriter, r *http.Request, actor access.Actor, c Connection, a answer.Profile, u store.User) error {
	if d.opts.Mail == nil {
		return nil
	}
	token, browser, sent := string(c.OrgID)+secret.NewToken(), secret.NewToken(), false
	err := d.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		sent = false
		var n int
		if err := tx.Get(&n, "SELECT COUNT(*) FROM sso_confirmations WHERE org_id = ? AND user_id = ? AND created_at > ?", tx.Org(), u.ID, tx.Now().Add(-24*time.Hour)); err != nil || n >= confirmMost {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO sso_confirmations (org_id, token_hash, connection_id, subject_kind, subject, user_id, email, browser, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, tx.Org(), secret.Hash(token), c.ID, a.SubjectKind, a.Subject, u.ID, u.Email, secret.Hash(browser), tx.Now(), tx.Now().Add(confirmFor)); err != nil {
			return err
		}
		sent = true
		if err := tx.Record(store.Activity{Action: "user.identity.ask", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
			Detail: map[string]any{"connection": c.ID, "subject": answer.Clip(a.Subject, answer.GotLimit), "email": u.Email}}); err != nil {
			return err
		}
		theirs, err := tx.LocaleOf(u.ID)
		if err != nil {
			return err
		}
		to := web.ReaderOf(theirs.Language, theirs.TimeZone)
		return d.opts.Mail(tx, Letter{Reader: to, To: u.Email, Greeting: to.T("Hello %s,", u.Profile().FullName()), Subject: to.T("Link your sign-in"),
			Lines:  []string{to.T("Somebody has signed in over %s with your address %s. If that was you, link that sign-in to your account: open this link in the browser in which you signed in.", c.Name, u.Email)},
			Button: to.T("Link the sign-in"), URL: d.opts.PublicURL + "/sso/confirm/" + token,
			Small: []string{to.T("The link works once, for an hour."), to.T("If you did not sign in just now, ignore this mail: nothing is linked without it. Tell your administrator.")}})
	})
	if err == nil && sent {
		http.SetCookie(w, d.confirmCookie(token, browser))
	}
	return err
}

func (d *Door) confirmCookie(token, value string) *http.Cookie {
	name := "mlink_" + secret.Hash(token)[:12]
	if d.secure {
		name = "__Host-" + name
	}
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(confirmFor / time.Second), Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// confirmation is what a link leads to.
type confirmation struct {
	Connection ConnectionID `db:"connection_id"`
	Kind       string       `db:"subject_kind"`
	Subject    string       `db:"subject"`
	User       store.UserID `db:"user_id"`
	Email      string       `db:"email"`
	Browser    string       `db:"browser"`

	org  store.OrgID
	conn Connection
}

var (
	errNoConfirmation = fault.NotFound.Say("There is no such link, or it has been used or is older than an hour. Sign in again to get a new one.")
	errOtherBrowser   = fault.Invalid.Say("Open this link in the browser in which you signed in: copy it there. Nothing is linked from another one.")
)

// confirmationOf finds what a link leads to, for the browser that asks. Faults:
// NotFound, Invalid (another browser).
func (d *Door) confirmationOf(r *http.Request, token string) (f confirmation, err error) {
	if len(token) != 32+43 {
		return f, errNoConfirmation
	}
	if f.org, err = store.ParseID[store.Org](token[:32]); err != nil {
		return f, errNoConfirmation
	}
	err = d.opts.DB.Read(r.Context(), access.Muster(string(f.org)), func(tx *store.Tx) error {
		if err := tx.Get(&f, `SELECT connection_id, subject_kind, subject, user_id, email, browser FROM sso_confirmations
			WHERE org_id = ? AND token_hash = ? AND expires_at > ?`, tx.Org(), secret.Hash(token), tx.Now()); err != nil {
			return err
		}
		f.conn, err = connectionIn(tx, f.Connection)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return f, errNoConfirmation
	}
	if err != nil {
		return f, err
	}
	cookie, err := r.Cookie(d.confirmCookie(token, "").Name)
	if err != nil || subtle.ConstantTimeCompare([]byte(secret.Hash(cookie.Value)), []byte(f.Browser)) != 1 {
		return f, errOtherBrowser
	}
	return f, usable(f.conn)
}

// confirmPage asks before anything is linked: mail programs open links by themselves.
type confirmPage struct{ Connection, Email string }

func (d *Door) showConfirmation(w http.ResponseWriter, r *http.Request) error {
	f, err := d.confirmationOf(r, r.PathValue("token"))
	if err != nil {
		return plainly(err)
	}
	return pages.Write(w, r, http.StatusOK, "confirm", confirmPage{Connection: f.conn.Name, Email: f.Email})
}

func (d *Door) confirm(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	f, err := d.confirmationOf(r, token)
	if err != nil {
		return plainly(err)
	}
	if err := d.linkConfirmed(r.Context(), actorOf(f.conn, web.Actor(r)), f, token); err != nil {
		return plainly(err)
	}
	http.SetCookie(w, d.confirmCookie(token, ""))
	http.Redirect(w, r, "/sso/"+f.conn.Protocol+"/"+string(f.conn.ID)+"/login", http.StatusSeeOther)
	return nil
}

// plainly is an error of this page, without what is for the admin.
func plainly(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return fault.Denied.Say("%s", r.sentence)
	}
	return err
}

// linkConfirmed binds the subject to the account, once, if that may still be.
func (d *Door) linkConfirmed(ctx context.Context, actor access.Actor, f confirmation, token string) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		n, err := tx.Exec("DELETE FROM sso_confirmations WHERE org_id = ? AND token_hash = ? AND expires_at > ?", tx.Org(), secret.Hash(token), tx.Now())
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoConfirmation
		}
		if err := lockFirst(tx, f.Connection); err != nil {
			return err
		}
		c, err := connectionIn(tx, f.Connection)
		if err != nil {
			return err
		}
		if err := usable(c); err != nil {
			return err
		}
		u, err := tx.AnyUser(f.User)
		if err != nil {
			return err
		}
		v := visit{d: d, tx: tx, c: c, a: answer.Profile{Subject: f.Subject, SubjectKind: f.Kind, Email: f.Email}}
		if store.Fold(u.Email) != store.Fold(f.Email) {
			return errNoConfirmation
		}
		if may, err := v.mayLink(); err != nil || may != nil && may.final { // the domain has got a connection of its own meanwhile
			return orErr(err, may)
		}
		if _, err := v.theOne([]store.User{u}); err != nil {
			return err
		}
		const how = howConfirmed
		if err := bind(tx, identity{Connection: c.ID, Kind: f.Kind, Subject: f.Subject, User: u.ID, How: how}); err != nil {
			return err
		}
		return recordLink(tx, "user.identity.link", u, c, f.Subject, how)
	})
}

func orErr(err error, r *refusal) error {
	if err != nil {
		return err
	}
	return r
}

func recordLink(tx *store.Tx, action string, u store.User, c Connection, subject, why string) error {
	return tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
		Detail: map[string]any{"connection": c.ID, "name": c.Name, "subject": answer.Clip(subject, answer.GotLimit), "why": why}})
}
