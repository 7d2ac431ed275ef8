package account

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// The pages on which people keep their own passkeys, authenticator app and recovery
// codes. What adds or takes away asks for a fresh sign-in, with what the person has.

// factorsPage is any of them.
type factorsPage struct {
	Areas   []area
	Form    web.Form
	Org     string
	View    factor.View
	NoKeys  web.Said // why there can be no passkeys on this server
	Passkey factor.Ceremony
	Key     bool // it is to be a security key, beside the password
	App     appView
}

// keeper is who asks, for these pages.
type keeper struct {
	actor   access.Actor
	session session.Session
	org     store.Org
	user    store.User
}

// read loads the page and what else it needs, as Muster: everybody may see themselves.
func (a *Account) own(r *http.Request, p *factorsPage, more func(tx *store.Tx, o keeper) error) (o keeper, err error) {
	if o.actor, o.session, err = a.opts.Sessions.Actor(r); err != nil {
		return o, err
	}
	if o.org, err = a.opts.DB.OrgByID(r.Context(), o.session.Org); err != nil {
		return o, err
	}
	p.Areas, p.Org, p.NoKeys = around(r), o.org.Name, a.opts.Factors.NoPasskeys()
	err = a.opts.DB.Read(r.Context(), access.Muster(string(o.session.Org)), func(tx *store.Tx) (err error) {
		if o.user, err = tx.User(o.session.UserID); err != nil {
			return err
		}
		if p.View, err = a.opts.Factors.View(tx, o.session.UserID); err != nil {
			return err
		}
		return more(tx, o)
	})
	return o, err
}

func noMore(*store.Tx, keeper) error { return nil }

// factors shows one of the three.
func (a *Account) factors(name string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return a.showFactors(w, r, name, http.StatusOK, web.Form{})
	}
}

func (a *Account) showFactors(w http.ResponseWriter, r *http.Request, name string, status int, f web.Form) error {
	p := factorsPage{Form: f}
	if _, err := a.own(r, &p, noMore); err != nil {
		return err
	}
	return pages.Write(w, r, status, name, p)
}

// changeOwn runs one change of the person's own and goes back to the page.
func (a *Account) changeOwn(w http.ResponseWriter, r *http.Request, name, done string, f web.Form, do func(tx *store.Tx) error) error {
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	err = a.opts.DB.Write(r.Context(), actor, do)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		f.FailWith("", err)
		return a.showFactors(w, r, name, web.Status(err), f)
	}
	if f.Take(err) {
		return a.showFactors(w, r, name, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done)
	return see(w, r, "/account/"+name)
}

// fresh is a handler that a person reaches with a sign-in that is not old.
func fresh(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if asked, err := web.Fresh(w, r); asked || err != nil {
			return err
		}
		return h(w, r)
	}
}

// beginPasskey is the page on which the browser makes a passkey.
func (a *Account) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p := factorsPage{Form: f, Key: f.Get("kind") == "key"}
	_, err = a.own(r, &p, func(tx *store.Tx, o keeper) (err error) {
		if p.View.Rule.Emergency {
			return nil
		}
		if p.Key {
			return a.beginKey(tx, o, &p)
		}
		p.Passkey, err = a.opts.Factors.BeginPasskey(tx, string(o.session.ID), o.user.ID, o.org.Name)
		return err
	})
	if f.Take(err) {
		return a.showFactors(w, r, "passkeys", web.Status(err), f)
	}
	if err != nil {
		return err
	}
	return writeScripted(w, r, http.StatusOK, "passkey_new", p)
}

// beginKey is for a security key without a PIN, which a password must stand beside.
func (a *Account) beginKey(tx *store.Tx, o keeper, p *factorsPage) error {
	has, err := a.opts.Passwords.Has(tx, o.user.ID)
	if err == nil && !has {
		err = fault.Conflict.Say("A security key without a PIN stands beside a password, and your account has none. Make a passkey instead.")
	}
	if err == nil {
		p.Passkey, err = a.opts.Factors.BeginKey(tx, string(o.session.ID), o.user.ID, o.org.Name)
	}
	return err
}

// addPasskey takes what the browser has made.
func (a *Account) addPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, s, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	made, err := a.opts.Factors.CheckPasskey(r.Context(), string(s.ID), s.Org, s.UserID, f.Get("ticket"), f.Get("answer"))
	var codes []string
	if err == nil {
		codes, err = a.added(r, func(tx *store.Tx) ([]string, error) { return a.opts.Factors.AddPasskey(tx, made, f.Get("name")) })
	}
	if err != nil {
		if !f.Take(err) {
			return err
		}
		for i := range f.Errors {
			f.Errors[i].Field = "" // the page it is shown on begins anew
		}
		return a.showFactors(w, r, "passkeys", web.Status(err), f)
	}
	done := setUp(r, made.Kind())
	if len(codes) > 0 {
		return a.showCodes(w, r, codes, "/account/passkeys", done)
	}
	web.Flash(w, done)
	return see(w, r, "/account/passkeys")
}

// setUp says what was made.
func setUp(r *http.Request, made factor.Kind) string {
	switch made {
	case factor.AppCode:
		return web.T(r, "Your authenticator app is set up.")
	case factor.SecurityKey:
		return web.T(r, "Your security key is set up. It is asked for beside your password.")
	}
	return web.T(r, "Your passkey is set up.")
}

// added runs a change that may make recovery codes.
func (a *Account) added(r *http.Request, do func(tx *store.Tx) ([]string, error)) (codes []string, err error) {
	actor, err := a.member(r)
	if err != nil {
		return nil, err
	}
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) (err error) {
		codes, err = do(tx)
		return err
	})
	return codes, err
}

func (a *Account) renamePasskey(w http.ResponseWriter, r *http.Request) error {
	f, id, err := passkeyOf(r)
	if err != nil {
		return err
	}
	return a.changeOwn(w, r, "passkeys", web.T(r, "The passkey has its new name."), f, func(tx *store.Tx) error { return a.opts.Factors.Rename(tx, id, f.Get("name")) })
}

func (a *Account) removePasskey(w http.ResponseWriter, r *http.Request) error {
	f, id, err := passkeyOf(r)
	if err != nil {
		return err
	}
	return a.changeOwn(w, r, "passkeys", web.T(r, "The passkey was removed. It does not work here any more."), f, func(tx *store.Tx) error { return a.opts.Factors.RemovePasskey(tx, id) })
}

func passkeyOf(r *http.Request) (f web.Form, id factor.PasskeyID, err error) {
	if f, err = web.ReadForm(r); err != nil {
		return f, "", err
	}
	id, err = store.ParseID[factor.Passkey](r.PathValue("passkey"))
	return f, id, err
}

// beginApp shows the secret of a new app.
func (a *Account) beginApp(w http.ResponseWriter, r *http.Request) error {
	return a.showApp(w, r, http.StatusOK, web.Form{})
}

func (a *Account) showApp(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := factorsPage{Form: f}
	o, err := a.own(r, &p, noMore)
	if err != nil {
		return err
	}
	if p.View.Rule.Off || p.View.Rule.Emergency {
		return pages.Write(w, r, http.StatusForbidden, "authenticator", p)
	}
	bind := string(o.session.ID)
	app, err := a.opts.Factors.ResumeApp(bind, f.Get("ticket"), o.user.ID, o.org.Name, o.user.UserName)
	if fault.Is(err, fault.Expired) {
		app, err = a.opts.Factors.BeginApp(bind, o.user.ID, o.org.Name, o.user.UserName)
	}
	if err != nil {
		return err
	}
	p.App = viewOf(app)
	return pages.Write(w, r, status, "authenticator_new", p)
}

// addApp takes the code that shows that the app has the secret.
func (a *Account) addApp(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p := factorsPage{}
	o, err := a.own(r, &p, noMore)
	if err != nil {
		return err
	}
	var codes []string
	app, err := a.opts.Factors.ResumeApp(string(o.session.ID), f.Get("ticket"), o.user.ID, o.org.Name, o.user.UserName)
	if err == nil {
		err = a.opts.Passwords.MayTry(r.Context(), o.session.Org, o.user.ID, o.actor.IP)
	}
	if err == nil {
		codes, err = a.added(r, func(tx *store.Tx) ([]string, error) {
			codes, err := a.opts.Factors.AddApp(tx, app, f.Get("code"))
			if err != nil {
				return nil, err
			}
			return codes, a.opts.Passwords.Passed(tx, o.user.ID, o.actor.IP)
		})
	}
	if err != nil {
		if !f.Take(err) {
			return err
		}
		return a.showApp(w, r, web.Status(err), f)
	}
	if len(codes) > 0 {
		return a.showCodes(w, r, codes, "/account/authenticator", setUp(r, factor.AppCode))
	}
	web.Flash(w, setUp(r, factor.AppCode))
	return see(w, r, "/account/authenticator")
}

func (a *Account) removeApp(w http.ResponseWriter, r *http.Request) error {
	return a.changeOwn(w, r, "authenticator", web.T(r, "The authenticator app was removed. Its codes do not work any more."), web.Form{}, a.opts.Factors.RemoveApp)
}

// newCodes replaces the recovery codes.
func (a *Account) newCodes(w http.ResponseWriter, r *http.Request) error {
	codes, err := a.added(r, a.opts.Factors.NewCodes)
	f := web.Form{}
	if fault.Is(err, fault.Denied) {
		f.FailWith("", err)
	} else if !f.Take(err) && err != nil {
		return err
	}
	if err != nil {
		return a.showFactors(w, r, "recovery-codes", web.Status(err), f)
	}
	return a.showCodes(w, r, codes, "/account/recovery-codes", "")
}
