package account

import (
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// AdmitPassword refuses a session to a password that is only good for setting another
// one. It belongs to session.Options.Admit: so no door can forget it.
func AdmitPassword(p *password.Store, tx *store.Tx, in session.In) error {
	if in.Method != "password" {
		return nil
	}
	why, err := p.MustChange(tx, in.User)
	if err != nil || !why.Needed() {
		return err
	}
	return fault.Denied.Wrap(&session.NotAllowed{Use: session.UseNewPassword, Rule: "password must be changed"}, "Set a new password first.")
}

// needsNewPassword tells whether a sign-in was stopped by AdmitPassword.
func needsNewPassword(err error) bool {
	not, ok := errors.AsType[*session.NotAllowed](err)
	return ok && not.Use == session.UseNewPassword
}

// newPasswordPage asks for the person's own password after one that is good for nothing else.
type newPasswordPage struct {
	Form         web.Form
	Token        string
	Why          password.Change
	Rules        []password.Rule
	Org, Address string
}

func (a *Account) askNewPassword(w http.ResponseWriter, r *http.Request, who chosen, next string) error {
	token, err := a.keep(r, []chosen{who}, next)
	if err != nil {
		return err
	}
	return a.showNewPassword(w, r, http.StatusOK, who, newPasswordPage{Token: token})
}

func (a *Account) showNewPassword(w http.ResponseWriter, r *http.Request, status int, who chosen, p newPasswordPage) error {
	u, err := a.userOf(r, who.Org, who.User)
	if err != nil {
		return err
	}
	org, err := a.opts.DB.OrgByID(r.Context(), who.Org)
	if err != nil {
		return err
	}
	p.Org, p.Address = org.Name, u.UserName
	err = a.opts.DB.Read(r.Context(), access.Muster(string(who.Org)), func(tx *store.Tx) (err error) {
		if p.Why, err = a.opts.Passwords.MustChange(tx, who.User); err != nil {
			return err
		}
		rules, _, err := a.opts.Passwords.Rules(tx)
		p.Rules = rules.InWords()
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "newpassword", p)
}

// newPassword sets the person's own password and goes on with the sign-in. What the
// first password has proved is used up with it: of two posts at a time one finds it gone.
func (a *Account) newPassword(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p := newPasswordPage{Form: f, Token: f.Get("choice")}
	who, next, err := a.kept(r, p.Token)
	if err != nil {
		return err
	}
	u, err := a.userOf(r, who.Org, who.User)
	if err != nil {
		return err
	}
	hash, err := a.ownPassword(r, who, u, f.Get("password"))
	if err == nil {
		who.SetAt, err = a.replacePassword(r, who, u, p.Token, hash)
	}
	if err != nil && !fault.Is(err, fault.Expired) && p.Form.Take(err) {
		return a.showNewPassword(w, r, web.Status(err), who, p)
	}
	if err != nil {
		return err
	}
	return a.enter(w, r, who, next)
}

// ownPassword checks a password that is to come in the place of another, and hashes it.
func (a *Account) ownPassword(r *http.Request, who chosen, u store.User, text string) (password.Hashed, error) {
	org, err := a.opts.DB.OrgByID(r.Context(), who.Org)
	if err != nil {
		return "", err
	}
	if err := a.opts.Passwords.Check(r.Context(), who.Org, who.User, text, wordsOf(u, org)...); err != nil {
		return "", err
	}
	same, err := a.opts.Passwords.Is(r.Context(), who.Org, who.User, text)
	if err != nil {
		return "", err
	}
	if same {
		return "", fault.Invalid.On("password", "That is the password you have now. Choose another one.")
	}
	return a.opts.Passwords.Hash(r.Context(), text)
}

// replacePassword sets a password in the place of the one that was checked.
func (a *Account) replacePassword(r *http.Request, who chosen, u store.User, token string, hash password.Hashed) (at store.Time, err error) {
	actor := person(r, who.Org, who.User, u.DisplayName)
	actor.Roles = []string{access.Viewer} // to look at the own row
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		now, err := tx.User(who.User)
		if err != nil {
			return err
		}
		same, err := a.opts.Passwords.Unchanged(tx, who.User, who.SetAt)
		if err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM signin_choices WHERE token_hash = ? AND expires_at > ?", secret.Hash(token), tx.Now())
		if err != nil {
			return err
		}
		if n == 0 || !same || now.Status != store.Active {
			return tookTooLong()
		}
		if err := a.opts.Passwords.Set(tx, who.User, hash); err != nil {
			return err
		}
		if err := EndResets(tx, []store.UserID{who.User}); err != nil {
			return err
		}
		at, err = a.opts.Passwords.SetAt(tx, who.User)
		return err
	})
	return at, err
}
