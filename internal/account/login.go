package account

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// loginPage is either step of signing in.
type loginPage struct {
	Form         web.Form
	Org          string // the organization's name on its own page
	Path         string // where the forms go
	Next         string
	Email        string
	Last         Way  // over which this browser's person signed in last
	AskPassword  bool // of Email
	AskBoth      bool // address and password together, for whom single sign-on does not work
	NoPassword   bool // the organization does not use them: its connections alone
	Ways         []Way
	Other        string // the link away from Last, or back to the first step
	WithPassword string // the link to AskBoth
	Reference    string // of a refused password or passkey
	Passkey      factor.Ceremony
}

// place is where the sign-in happens: anywhere, or at one organization.
func (a *Account) place(r *http.Request) (org store.Org, p loginPage, err error) {
	p = loginPage{Path: "/login", Next: r.FormValue("next")}
	if p.Next != "" {
		p.Next = web.Local(p.Next)
	}
	if slug := r.PathValue("org"); slug != "" {
		if org, err = a.opts.DB.OrgBySlug(r.Context(), slug); err != nil {
			return org, p, err
		}
		p.Org, p.Path = org.Name, "/o/"+org.Slug+"/login"
		may, err := a.opts.Password(r.Context(), org.ID)
		if err != nil {
			return org, p, err
		}
		p.NoPassword = !may
	}
	p.WithPassword, p.Other = p.link("with", "password"), p.link("other", "1")
	return org, p, nil
}

// link is this page with one more word in its address.
func (p loginPage) link(name, value string) string {
	q := url.Values{name: {value}}
	if p.Next != "" {
		q.Set("next", p.Next)
	}
	return p.Path + "?" + q.Encode()
}

func (a *Account) writeLogin(w http.ResponseWriter, r *http.Request, status int, p loginPage) error {
	// The answer to the form may lead to an identity provider.
	sources := []string{"'self'", "https:"}
	if strings.HasPrefix(a.opts.PublicURL, "http:") {
		sources = append(sources, "http:")
	}
	web.Policy(w, "form-action", sources...)
	if err := a.offerPasskey(w, r, &p); err != nil {
		return err
	}
	return pages.Write(w, r, status, "login", p)
}

func (a *Account) showLogin(w http.ResponseWriter, r *http.Request) error {
	org, p, err := a.place(r)
	if err != nil {
		return err
	}
	if actor := web.Actor(r); actor.Signed() && (org.ID == "" || actor.Org == string(org.ID)) {
		return see(w, r, web.Local(p.Next))
	}
	p.AskBoth = r.FormValue("with") == "password"
	if hint := r.FormValue("login_hint"); len(hint) <= 320 && utf8.ValidString(hint) {
		p.Form.Set("email", hint)
	}
	switch {
	case r.FormValue("other") != "":
		a.opts.Forget(w)
	case !p.AskBoth:
		var email string
		if p.Last, email, err = a.opts.Remembered(r, org.ID, web.Local(p.Next)); err != nil {
			return err
		}
		p.Email = email
	}
	if org.ID != "" && p.Last.URL == "" {
		if p.Ways, err = a.opts.Connections(r.Context(), org.ID, web.Local(p.Next)); err != nil {
			return err
		}
	}
	return a.writeLogin(w, r, http.StatusOK, p)
}

func (a *Account) login(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	org, p, err := a.place(r)
	if err != nil {
		return err
	}
	p.Form, p.Email, p.AskBoth = f, f.Get("email"), f.Get("with") == "password"
	if p.Email == "" {
		p.Form.Fail("email", "Enter your e-mail address.")
		return a.writeLogin(w, r, http.StatusBadRequest, p)
	}
	if f.Get("password") != "" {
		return a.withPassword(w, r, org, p)
	}
	if p.AskBoth {
		p.Form.Fail("password", "Enter your password.")
		return a.writeLogin(w, r, http.StatusBadRequest, p)
	}
	ways, err := a.opts.Discover(r.Context(), org.ID, p.Email, web.Local(p.Next))
	if err != nil {
		return err
	}
	if len(ways) == 0 && p.NoPassword {
		// Whoever it is: the organization has nothing else to offer.
		if ways, err = a.opts.Connections(r.Context(), org.ID, web.Local(p.Next)); err != nil {
			return err
		}
	}
	switch len(ways) {
	case 0:
		p.AskPassword = true
	case 1:
		http.Redirect(w, r, ways[0].URL, http.StatusSeeOther)
		return nil
	default:
		p.Ways = ways
	}
	return a.writeLogin(w, r, http.StatusOK, p)
}

func (a *Account) withPassword(w http.ResponseWriter, r *http.Request, org store.Org, p loginPage) error {
	try := password.Try{Org: org.ID, Address: p.Email, Password: p.Form.Get("password"), Actor: person(r, "", "", p.Email)}
	try.Actor.Kind, try.Actor.Name = "", "" // nobody yet
	found, err := a.opts.Passwords.Verify(r.Context(), try)
	if no, ok := errors.AsType[*password.Refused](err); ok {
		p.Reference = no.Reference
	}
	switch {
	case err != nil && p.Form.Take(err):
		p.AskPassword = !p.AskBoth
		return a.writeLogin(w, r, web.Status(err), p)
	case err != nil:
		return err
	case len(found) > 1:
		return a.offer(w, r, found, p.Next)
	}
	return a.enter(w, r, chosen{found[0].Org, found[0].User, found[0].SetAt}, p.Next)
}

// enter signs a person in whose password has been checked, if it is the password still.
func (a *Account) enter(w http.ResponseWriter, r *http.Request, who chosen, next string) error {
	u, err := a.userOf(r, who.Org, who.User)
	if err != nil {
		return err
	}
	var token, waits string
	err = a.opts.DB.Write(r.Context(), person(r, who.Org, who.User, u.DisplayName), func(tx *store.Tx) error {
		same, err := a.opts.Passwords.Unchanged(tx, who.User, who.SetAt)
		if err != nil {
			return err
		}
		if !same {
			return fault.Expired.Say("The password was changed meanwhile. Sign in with the new one.")
		}
		token, waits, err = a.signInOrWait(tx, who.User, u.DisplayName, "password", next)
		return err
	})
	if needsCode(err) {
		return a.askCode(w, r, who, next)
	}
	if needsNewPassword(err) {
		return a.askNewPassword(w, r, who, next)
	}
	if ok, failed := a.notAllowed(w, r, u, who.Org, "password", next, err); ok {
		return failed
	}
	if err != nil {
		return err
	}
	if waits != "" {
		return a.askSecond(w, r, waits)
	}
	return a.admit(w, r, token, next)
}

// logout ends the session here. Whether the person is also signed out where the
// session came from is told on the page that follows, and delays nothing.
func (a *Account) logout(w http.ResponseWriter, r *http.Request) error {
	next := ""
	if actor, s, err := a.opts.Sessions.Actor(r); err == nil {
		if next, err = a.opts.Leave(r.Context(), actor, s); err != nil {
			a.opts.Log.ErrorContext(r.Context(), "sign out at the identity provider", "session", s.ID, "error", err)
		}
	}
	if actor := web.Actor(r); actor.Signed() {
		err := a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
			return tx.Record(store.Activity{Action: "user.signout", TargetKind: "user", TargetID: actor.ID, TargetName: actor.Name})
		})
		if err != nil {
			return err
		}
	}
	if err := a.opts.Sessions.Forget(r); err != nil {
		return err
	}
	a.opts.Sessions.ClearCookie(w)
	if next != "" {
		return see(w, r, next)
	}
	web.Flash(w, "You are signed out.")
	return see(w, r, "/login")
}
