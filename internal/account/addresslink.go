package account

import (
	"context"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// The links of a change of address. Opening one changes nothing, its button does. None of
// them needs a session: whoever reads the mailbox may follow it.

// linked is a change that a link leads to.
type linked struct {
	addressChange
	org  store.Org
	user store.User
}

func badChange() error {
	return fault.Expired.Say("This link is no longer valid: it was used, is too old, or the change was stopped. If you still want to change your address, begin anew on your account's page.")
}

// followed finds the change of a link; column says which of the two links it is. Faults: Expired.
func (a *Account) followed(ctx context.Context, text, condition string) (l linked, err error) {
	prefix, _, _ := strings.Cut(text, ".")
	id, err := store.ParseID[store.Org](prefix)
	if err != nil {
		return l, badChange()
	}
	err = a.opts.DB.Read(ctx, access.Muster(string(id)), func(tx *store.Tx) error {
		if l.addressChange, err = changeOf(tx, text, condition); err != nil {
			return err
		}
		if l.user, err = tx.User(l.User); err != nil {
			return err
		}
		l.org, err = a.opts.DB.OrgByID(ctx, id)
		return err
	})
	if fault.Is(err, fault.NotFound) || err == nil && l.user.Status != store.Active {
		return l, badChange()
	}
	return l, err
}

const (
	toConfirm = " AND confirm_hash = ? AND state = 'asked' AND until > ?"
	toStop    = " AND stop_hash = ? AND state IN ('asked', 'done') AND undo_until > ?"
)

func changeOf(tx *store.Tx, text, condition string) (c addressChange, err error) {
	if condition == toConfirm {
		return c, tx.Get(&c, changeColumns+toConfirm+tx.ForUpdate(), tx.Org(), secret.Hash(text), tx.Now())
	}
	return c, tx.Get(&c, changeColumns+toStop+tx.ForUpdate(), tx.Org(), secret.Hash(text), tx.Now())
}

type linkPage struct {
	Form     web.Form
	Path     string
	Org      string
	Old, New string
	Done     bool // the change has happened: this undoes it
}

func (l linked) page(path string, f web.Form) linkPage {
	return linkPage{Form: f, Path: path, Org: l.org.Name, Old: l.OldEmail, New: l.NewEmail, Done: l.State == changeDone}
}

func (a *Account) showConfirm(w http.ResponseWriter, r *http.Request) error {
	l, err := a.followed(r.Context(), r.PathValue("token"), toConfirm)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "confirm", l.page(r.URL.Path, web.Form{}))
}

func (a *Account) showStop(w http.ResponseWriter, r *http.Request) error {
	l, err := a.followed(r.Context(), r.PathValue("token"), toStop)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "stop", l.page(r.URL.Path, web.Form{}))
}

// confirmAddress changes the address, once: of two posts at a time one finds it done.
func (a *Account) confirmAddress(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	text := r.PathValue("token")
	l, err := a.followed(r.Context(), text, toConfirm)
	if err == nil {
		err = a.mayHave(r.Context(), l.org.ID, l.NewEmail)
	}
	if err == nil {
		actor := person(r, l.org.ID, l.user.ID, l.user.DisplayName)
		actor.Roles = []string{access.Viewer} // whether the address is still free is asked with it
		err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error { return a.move(tx, l, text) })
	}
	if err != nil && !fault.Is(err, fault.Expired) && f.Take(err) {
		return pages.Write(w, r, web.Status(err), "confirm", l.page(r.URL.Path, f))
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Your address is %s now. Sign in with it from now on.", l.NewEmail))
	return see(w, r, "/account")
}

// move gives a person the new address, and the user name with it where both were the same.
func (a *Account) move(tx *store.Tx, l linked, text string) error {
	c, err := changeOf(tx, text, toConfirm)
	if fault.Is(err, fault.NotFound) {
		return badChange()
	}
	if err != nil {
		return err
	}
	u, err := tx.Self()
	if err != nil {
		return err
	}
	err = a.mine(tx, u)
	switch {
	case err != nil && !fault.Is(err, fault.Conflict):
		return err
	case err != nil || u.Status != store.Active || store.Fold(u.Email) != store.Fold(c.OldEmail):
		return badChange() // somebody else has changed it meanwhile
	}
	if err := newAddress(tx, u, c.NewEmail); err != nil {
		return err
	}
	if _, _, err := tx.UpdateSelf(func(p *store.Profile) error {
		if store.Fold(p.UserName) == store.Fold(p.Email) {
			p.UserName = c.NewEmail
		}
		p.Email = c.NewEmail
		return nil
	}, "the new address was confirmed"); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE address_changes SET state = ?, done_at = ?, undo_until = ? WHERE org_id = ? AND id = ?",
		changeDone, tx.Now(), tx.Now().Add(undoFor), tx.Org(), c.ID); err != nil {
		return err
	}
	if err := EndResets(tx, []store.UserID{u.ID}); err != nil { // links in the old mailbox
		return err
	}
	// The link in the old mailbox stays good: its text is in the first mail alone.
	to, err := mail.ReaderOf(tx, u.ID)
	if err != nil {
		return err
	}
	gone := mail.Letter{Reader: to, Subject: to.T("The address of your account at %s has changed", l.org.Name), Greeting: greeting(to, u.DisplayName),
		Lines: []string{to.T("The address of your account at %s is %s now. This mailbox gets no further mails about it.", l.org.Name, c.NewEmail),
			to.T("If it was not you: the mail about it that came here before has a link that undoes the change, until %s.", tx.Now().Add(undoFor))}}
	if mail.CheckAddress(c.OldEmail) == nil {
		if err := a.opts.Mail.Queue(tx, gone.To(c.OldEmail)); err != nil {
			return err
		}
	}
	return tx.Record(store.Activity{Action: "user.address.confirm", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
		Detail: map[string]any{"before": map[string]any{"email": c.OldEmail}, "after": map[string]any{"email": c.NewEmail}}})
}

// stopAddress stops a change that waits, or undoes one: then all sessions end, second
// factors added since it was asked for are gone, and a link for a new password goes to the old
// address, as somebody else has known the old one.
func (a *Account) stopAddress(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	text := r.PathValue("token")
	l, err := a.followed(r.Context(), text, toStop)
	if err != nil {
		return err
	}
	actor := person(r, l.org.ID, l.user.ID, l.user.DisplayName)
	actor.Roles = []string{access.Viewer}
	undone := false
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		c, err := changeOf(tx, text, toStop)
		if fault.Is(err, fault.NotFound) {
			return badChange()
		}
		if err != nil {
			return err
		}
		if undone = c.State == changeDone; undone {
			return a.undo(tx, l.org, c)
		}
		if _, err := tx.Exec("UPDATE address_changes SET state = ? WHERE org_id = ? AND id = ?", changeStopped, tx.Org(), c.ID); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "user.address.stop", TargetKind: "user", TargetID: string(c.User), TargetName: l.user.DisplayName,
			Detail: map[string]any{"why": "stopped from the old address"}})
	})
	if err != nil && !fault.Is(err, fault.Expired) && f.Take(err) {
		return pages.Write(w, r, web.Status(err), "stop", l.page(r.URL.Path, f))
	}
	if err != nil {
		return err
	}
	if undone {
		a.opts.Sessions.ClearCookie(w)
		web.Flash(w, web.T(r, "Your address is %s again, and all sessions have ended. We have mailed you a link for a new password.", l.OldEmail))
		return see(w, r, "/login")
	}
	web.Flash(w, web.T(r, "The change is stopped: your address stays as it is. If somebody else has asked for it, change your password now."))
	return see(w, r, "/account/password")
}

// undo gives the old address back, also when it was changed once more in this way.
func (a *Account) undo(tx *store.Tx, org store.Org, c addressChange) error {
	u, err := tx.Self()
	if err != nil {
		return err
	}
	since, err := changesSince(tx, c)
	if err != nil {
		return err
	}
	last := c.NewEmail
	if len(since) > 0 {
		last = since[len(since)-1].NewEmail
	}
	if u.DirectoryID != "" || store.Fold(u.Email) != store.Fold(last) {
		return fault.Conflict.Say("An administrator or a directory has set another address meanwhile. Ask an administrator of %s.", org.Name)
	}
	if err := newAddress(tx, u, c.OldEmail); err != nil {
		return err
	}
	if _, _, err := tx.UpdateSelf(func(p *store.Profile) error {
		p.Email, p.UserName = c.OldEmail, c.OldName
		return nil
	}, "undone from the old address"); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE address_changes SET state = ? WHERE org_id = ? AND user_id = ? AND id >= ? AND state IN ('asked', 'done')",
		changeUndone, tx.Org(), u.ID, c.ID); err != nil {
		return err
	}
	if err := a.opts.Sessions.EndAllOf(tx, u.ID); err != nil {
		return err
	}
	if err := a.opts.Factors.RemoveSince(tx, u.ID, c.AskedAt); err != nil { // mails about these went elsewhere
		return err
	}
	if err := EndResets(tx, []store.UserID{u.ID}); err != nil {
		return err
	}
	if err := tx.Record(store.Activity{Action: "user.address.undo", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
		Detail: map[string]any{"before": map[string]any{"email": u.Email}, "after": map[string]any{"email": c.OldEmail}}}); err != nil {
		return err
	}
	return a.queueReset(tx, password.Known{User: u.ID, Name: u.DisplayName, Email: c.OldEmail, Slug: org.Slug, OrgName: org.Name}, sentResetTTL,
		web.Say("You have undone the change of your address at %s. Somebody else may know your password: set a new one.", org.Name))
}

// changesSince are the later changes of the same person that were done, oldest first.
func changesSince(tx *store.Tx, c addressChange) (list []addressChange, err error) {
	return list, tx.Select(&list, changeColumns+" AND user_id = ? AND id > ? AND state = 'done' ORDER BY id LIMIT 100", tx.Org(), c.User, c.ID)
}
