package account

import (
	"html/template"
	"net/http"

	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// enrollPage makes somebody's first second factor before the session starts, because the
// organization requires one.
type enrollPage struct {
	Form    web.Form
	Org     string
	App     appView
	Passkey factor.Ceremony
	Key     factor.Ceremony // a security key without a PIN
	NoKeys  web.Said        // why there can be no passkeys
}

// appView is an app that is being set up, as a template may show it.
type appView struct {
	Secret, Ticket string
	URL, Picture   template.URL
}

// viewOf marks what we made ourselves as fit for a link and a picture.
func viewOf(app factor.App) appView {
	return appView{Secret: app.Secret, Ticket: app.Ticket, URL: template.URL(app.URL), Picture: template.URL(app.Picture)}
}

// codesPage shows recovery codes, this once.
type codesPage struct {
	Codes []string
	Text  template.URL // the same as a file
	Next  string
	First string // what was just added, in words; empty: nothing
}

func (a *Account) showCodes(w http.ResponseWriter, r *http.Request, codes []string, next, first string) error {
	text := "data:text/plain;charset=utf-8,Recovery%20codes%20of%20" + template.URLQueryEscaper(a.opts.PublicURL) + "%0A"
	for _, c := range codes {
		text += c + "%0A"
	}
	return writeScripted(w, r, http.StatusOK, "recovery_new", codesPage{Codes: codes, Text: template.URL(text), Next: web.Local(next), First: first})
}

// enrolling is the sign-in of this browser that waits for a first factor. Faults: Expired.
func (a *Account) enrolling(r *http.Request, more func(tx *store.Tx, s *step) error) (step, error) {
	s, err := a.step(r, more)
	if err == nil && (s.has.Any() || !s.rule.Required) {
		err = errHasOne
	}
	return s, err
}

// errHasOne keeps whoever has only the password from adding a factor beside those that
// are there.
var errHasOne = fault.Conflict.Say("This account has a second factor.")

func (a *Account) showEnroll(w http.ResponseWriter, r *http.Request) error {
	return a.enroll(w, r, http.StatusOK, web.Form{})
}

func (a *Account) enroll(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := enrollPage{Form: f, NoKeys: a.opts.Factors.NoPasskeys()}
	s, err := a.enrolling(r, func(tx *store.Tx, s *step) (err error) {
		if p.NoKeys.IsZero() {
			p.Passkey, err = a.opts.Factors.BeginPasskey(tx, s.token, s.User, s.org.Name)
		}
		if err == nil && p.NoKeys.IsZero() {
			p.Key, err = a.opts.Factors.BeginKey(tx, s.token, s.User, s.org.Name)
		}
		return err
	})
	if fault.Is(err, fault.Conflict) {
		return see(w, r, "/login/second")
	}
	if err != nil {
		return a.startAgain(w, r, err)
	}
	app, err := a.opts.Factors.ResumeApp(s.token, f.Get("ticket"), s.User, s.org.Name, s.user.UserName)
	if fault.Is(err, fault.Expired) {
		app, err = a.opts.Factors.BeginApp(s.token, s.User, s.org.Name, s.user.UserName)
	}
	if err != nil {
		return err
	}
	p.Org, p.App = s.org.Name, viewOf(app)
	return writeScripted(w, r, status, "enroll", p)
}

// enrollApp makes the app that shows this code the person's, and signs in.
func (a *Account) enrollApp(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return a.enrollWith(w, r, f, func(s step) (func(tx *store.Tx) (codes []string, p proved, err error), error) {
		app, err := a.opts.Factors.ResumeApp(s.token, f.Get("ticket"), s.User, s.org.Name, s.user.UserName)
		if err != nil {
			return nil, err
		}
		err = a.opts.Passwords.MayTry(r.Context(), s.Org, s.User, person(r, "", "", "").IP)
		return func(tx *store.Tx) (codes []string, p proved, err error) {
			codes, err = a.opts.Factors.AddApp(tx, app, f.Get("code"))
			return codes, proved{kind: factor.AppCode, amr: "pwd otp mfa"}, err
		}, err
	})
}

// enrollPasskey makes the passkey or security key that the browser has just made the person's, and signs in.
func (a *Account) enrollPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return a.enrollWith(w, r, f, func(s step) (func(tx *store.Tx) (codes []string, p proved, err error), error) {
		made, err := a.opts.Factors.CheckPasskey(r.Context(), s.token, s.Org, s.User, f.Get("ticket"), f.Get("answer"))
		return func(tx *store.Tx) (codes []string, p proved, err error) {
			codes, err = a.opts.Factors.AddPasskey(tx, made, f.Get("name"))
			return codes, proved{kind: made.Kind(), amr: "pwd " + made.AMR() + " mfa"}, err
		}, err
	})
}

// enrollWith adds the first factor and starts the session, in one transaction.
func (a *Account) enrollWith(w http.ResponseWriter, r *http.Request, f web.Form,
	read func(s step) (func(tx *store.Tx) ([]string, proved, error), error)) error {
	s, err := a.enrolling(r, nothingMore)
	if fault.Is(err, fault.Conflict) {
		return see(w, r, "/login/second")
	}
	if err != nil {
		return a.startAgain(w, r, err)
	}
	var codes []string
	var made factor.Kind
	opened := ""
	add, err := read(s)
	if err == nil {
		opened, err = a.finish(r, s, func(tx *store.Tx) (p proved, err error) {
			has, err := a.opts.Factors.Of(tx, s.User)
			if err == nil && has.Any() {
				err = errHasOne
			}
			if err == nil {
				codes, p, err = add(tx)
			}
			made = p.kind
			return p, err
		})
	}
	switch {
	case fault.Is(err, fault.Expired) && fault.Field(err) == "": // not of the ticket alone
		return a.startAgain(w, r, err)
	case needsNewPassword(err):
		return a.askNewPassword(w, r, chosen{s.Org, s.User, s.SetAt}, s.Next)
	case f.Take(err):
		return a.enroll(w, r, web.Status(err), f)
	case err != nil:
		return err
	}
	a.opts.Factors.ClearCookie(w)
	if err := a.opts.Sessions.Forget(r); err != nil {
		return err
	}
	a.opts.Sessions.SetCookie(w, opened)
	return a.showCodes(w, r, codes, s.Next, setUp(r, made))
}
