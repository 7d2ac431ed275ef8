package invite

import (
	"embed"
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed all:templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes.
func (d *Door) Mount(m *web.Mux) {
	m.Public("GET /invite/{token}", d.show)
	m.Public("POST /invite/{token}", d.accept)
	m.Public("POST /invite/{token}/again", d.askAgain)
	m.Console(access.InviteUsers, "GET /console/{org}/invite", d.form)
	m.Console(access.InviteUsers, "POST /console/{org}/invite", d.create)
	m.Console(access.InviteUsers, "GET /console/{org}/invite/preview", d.previewFrame)
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/resend", d.act(again))
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/link", d.act(copied))
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/correct", d.act(corrected))
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/reopen", d.act(reopened))
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/cancel", d.withdraw)
	m.Console(access.ViewUsers, "GET /console/{org}/invitations", d.listPage)
	m.Console(access.Configure, "GET /console/{org}/settings/invitations", d.settingsPage)
	m.Console(access.Configure, "POST /console/{org}/settings/invitations", d.saveSettings)
	d.mountMany(m)
	d.mountActivate(m)
	d.mountAPI(m)
}

// acceptPage is what the invited person sees.
type acceptPage struct {
	Form           web.Form
	Org, Email     string
	Who            string // who invites
	Name           string
	Until          store.Time
	Away           web.Said
	Token          string
	Title, Refusal string // the link does not work
	SignIn         string // where to go when there is an account already
	Rules          []password.Rule
	ByProvider     bool // the organization wants single sign-on
	Ways           []Way
	MayAsk         bool // for a new link
}

// closed says why a link does not lead in.
var closed = map[State]string{Accepted: "This invitation has been used", Cancelled: "This invitation was withdrawn", Expired: "This invitation has expired"}

func (d *Door) acceptPage(r *http.Request, o offer, token string) acceptPage {
	p := acceptPage{Org: o.org.Name, Email: o.SentTo, Who: o.InvitedBy, Name: o.user.Profile().GivenName, Token: token,
		Until: o.ExpiresAt, Away: away(store.TimeOf(d.opt.DB.Now()), o.ExpiresAt), ByProvider: o.byProvider, Ways: o.ways, MayAsk: o.mayAsk(), Rules: o.rules.InWords()}
	if p.Who == "" {
		p.Who = web.T(r, "An administrator of %s", o.org.Name)
	}
	if err := o.refusal(); err != nil {
		p.Refusal = web.SentenceIn(r, err)
		p.Title = web.T(r, closed[o.state])
		switch {
		case o.state == Accepted:
			p.SignIn = "/o/" + o.org.Slug + "/login"
		case o.state == Expired && !o.Current:
			p.Title = web.T(r, "There is a newer invitation")
		}
	}
	return p
}

func (d *Door) show(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	o, err := d.open(r.Context(), token)
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		if err := d.opened(r.Context(), web.Actor(r), token, o); err != nil { // no reason to keep somebody out
			d.opt.Log.ErrorContext(r.Context(), "note that an invitation was opened", "request_id", web.RequestID(r.Context()), "error", err)
		}
	}
	return d.answer(w, r, d.acceptPage(r, o, token), o.refusal())
}

// askAgain hears the wish for a new link. Every link gets the same answer.
func (d *Door) askAgain(w http.ResponseWriter, r *http.Request) error {
	if err := d.Ask(r.Context(), web.Actor(r), r.PathValue("token")); err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "asked", nil)
}

// answer shows the offer: the form, or why the link does not work.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, p acceptPage, refusal error) error {
	if refusal != nil {
		return pages.Write(w, r, web.Status(refusal), "closed", p)
	}
	return pages.Write(w, r, http.StatusOK, "accept", p)
}

func (d *Door) accept(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	token := r.PathValue("token")
	welcome, err := d.Accept(r.Context(), web.Actor(r), token, f.Get("password"))
	if err == nil {
		// Whoever was signed in here before is not any more.
		if err := d.opt.Sessions.Forget(r); err != nil {
			return err
		}
		if welcome.Second != "" {
			d.opt.Factors.SetCookie(w, welcome.Second)
			http.Redirect(w, r, "/login/second", http.StatusSeeOther)
			return nil
		}
		d.opt.Sessions.SetCookie(w, welcome.Session)
		web.Flash(w, web.T(r, "Welcome to %s. Your account is ready.", welcome.Org.Name))
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	o, missing := d.open(r.Context(), token)
	if missing != nil {
		return missing
	}
	p := d.acceptPage(r, o, token)
	if o.refusal() != nil {
		return d.answer(w, r, p, o.refusal())
	}
	if _, refused := errors.AsType[*session.NotAllowed](err); refused || f.Take(err) {
		p.Form = f
		return pages.Write(w, r, web.Status(err), "accept", p)
	}
	return err
}
