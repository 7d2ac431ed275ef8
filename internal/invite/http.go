package invite

import (
	"embed"
	"errors"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes.
func (d *Door) Mount(m *web.Mux) {
	m.Public("GET /invite/{token}", d.show)
	m.Public("POST /invite/{token}", d.accept)
	m.Console(access.InviteUsers, "GET /console/{org}/invite", d.form)
	m.Console(access.InviteUsers, "POST /console/{org}/invite", d.create)
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/resend", d.resend)
	m.Console(access.InviteUsers, "POST /console/{org}/users/{user}/invitation/cancel", d.withdraw)
	m.Console(access.CreateUsers, "GET /console/{org}/import", d.importForm)
	m.Console(access.CreateUsers, "POST /console/{org}/import", d.upload)
	m.Console(access.CreateUsers, "GET /console/{org}/import/template.csv", d.sample)
	m.Console(access.CreateUsers, "GET /console/{org}/import/{import}", d.preview)
	m.ConsoleFresh(access.CreateUsers, "POST /console/{org}/import/{import}", d.confirm)
}

// acceptPage is what the invited person sees.
type acceptPage struct {
	Form           web.Form
	Org, Email     string
	Who            string // who invites
	Name           string
	Until, Away    string
	Token          string
	Title, Refusal string // the link does not work
	SignIn         string // where to go when there is an account already
	Rules          []password.Rule
	ByProvider     bool // the organization wants single sign-on
	Ways           []Way
}

func (d *Door) acceptPage(o offer, token string) acceptPage {
	p := acceptPage{Org: o.org.Name, Email: o.Email, Who: o.InvitedBy, Name: o.user.Profile().GivenName, Token: token,
		Until: moment(o.ExpiresAt), Away: away(store.TimeOf(d.opt.DB.Now()), o.ExpiresAt), ByProvider: o.byProvider, Ways: o.ways, Rules: o.rules.InWords()}
	if p.Who == "" {
		p.Who = "An administrator of " + o.org.Name
	}
	if err := o.refusal(); err != nil {
		p.Refusal = web.Sentence(err)
		p.Title = map[State]string{Accepted: "This invitation has been used", Cancelled: "This invitation was withdrawn", Expired: "This invitation has expired"}[o.state]
		switch {
		case o.state == Accepted:
			p.SignIn = "/o/" + o.org.Slug + "/login"
		case !o.Current:
			p.Title = "There is a newer invitation"
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
	return d.answer(w, r, d.acceptPage(o, token), o.refusal())
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
		d.opt.Sessions.SetCookie(w, welcome.Session)
		web.Flash(w, "Welcome to "+welcome.Org.Name+". Your account is ready.")
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	o, missing := d.open(r.Context(), token)
	if missing != nil {
		return missing
	}
	p := d.acceptPage(o, token)
	if o.refusal() != nil {
		return d.answer(w, r, p, o.refusal())
	}
	if _, refused := errors.AsType[*session.NotAllowed](err); refused || f.Take(err) {
		p.Form = f
		return pages.Write(w, r, web.Status(err), "accept", p)
	}
	return err
}

// invitePage is the console's form.
type invitePage struct {
	Form  web.Form
	Org   web.Org
	Roles []web.Option
	Teams []web.Option
	Valid string // for how long
}

// roleOptions explain the built-in roles.
func roleOptions() []web.Option {
	about := map[string]string{
		access.Admin:  "Admin: manages people and settings",
		access.Agent:  "Agent: uses the applications",
		access.Viewer: "Viewer: sees people and activity",
	}
	var list []web.Option
	for _, role := range access.RoleNames() {
		label := about[role]
		if label == "" {
			label = role
		}
		list = append(list, web.Option{Value: role, Label: label})
	}
	return list
}

func (d *Door) page(r *http.Request, f web.Form) (invitePage, error) {
	now := store.TimeOf(d.opt.DB.Now())
	p := invitePage{Form: f, Org: web.OrgOf(r), Roles: roleOptions(), Valid: strings.TrimPrefix(away(now, now.Add(d.opt.TTL)), "in ")}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		groups, err := tx.Groups()
		for _, g := range groups {
			if g.DirectoryID == "" {
				p.Teams = append(p.Teams, web.Option{Value: string(g.ID), Label: g.Name})
			}
		}
		return err
	})
	return p, err
}

func (d *Door) form(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	f.Set("role", store.DefaultRole)
	f.Set("email", r.URL.Query().Get("email"))
	p, err := d.page(r, f)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "invite", p)
}

func (d *Door) create(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Get("role") == access.Admin {
		if asked, err := web.Fresh(w, r); asked || err != nil {
			return err
		}
	}
	made, err := d.fromForm(r, f)
	if err == nil {
		return d.sent(w, r, made, "Invitation sent")
	}
	if !f.Take(err) {
		return err
	}
	p, pageErr := d.page(r, f)
	if pageErr != nil {
		return pageErr
	}
	return pages.Write(w, r, web.Status(err), "invite", p)
}

func (d *Door) fromForm(r *http.Request, f web.Form) (made Made, err error) {
	in := In{Email: f.Get("email"), GivenName: f.Get("given_name"), FamilyName: f.Get("family_name"), Role: f.Get("role"),
		Title: f.Get("title"), Department: f.Get("department"), Phone: f.Get("phone")}
	for _, text := range f.All("teams") {
		id, err := store.ParseID[store.Group](text)
		if err != nil {
			return made, on(err, fault.NotFound, fault.Invalid, "teams", "%.40q is not a team.", text)
		}
		in.Teams = append(in.Teams, id)
	}
	org, err := d.opt.DB.OrgByID(r.Context(), store.OrgID(web.OrgOf(r).ID))
	if err != nil {
		return made, err
	}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if name := f.Get("manager"); name != "" {
			if in.ManagerID, err = findManager(tx, name); err != nil {
				return err
			}
		}
		made, err = d.Create(tx, org, in)
		return err
	})
	return made, err
}

// findManager takes a user name, or an address that one person has.
func findManager(tx *store.Tx, name string) (store.UserID, error) {
	if err := plainText("manager", "The manager", name); err != nil {
		return "", err
	}
	u, err := tx.UserByName(name)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return u.ID, err
	}
	list, err := tx.UsersByEmail(name)
	if err != nil {
		return "", err
	}
	switch len(list) {
	case 0:
		return "", fault.Invalid.On("manager", "There is nobody %.100q here. Write the manager's address or user name, or leave it empty.", name)
	case 1:
		return list[0].ID, nil
	}
	return "", fault.Invalid.On("manager", "%d people have the address %.100q. Write the manager's user name instead.", len(list), name)
}

// sentPage shows a link this once.
type sentPage struct {
	Org         web.Org
	Title       string
	Made        Made
	Until, Away string
}

func (d *Door) sent(w http.ResponseWriter, r *http.Request, made Made, title string) error {
	return pages.Write(w, r, http.StatusOK, "sent", sentPage{Org: web.OrgOf(r), Title: title, Made: made,
		Until: moment(made.ExpiresAt), Away: away(store.TimeOf(d.opt.DB.Now()), made.ExpiresAt)})
}

func (d *Door) resend(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	org, err := d.opt.DB.OrgByID(r.Context(), store.OrgID(web.OrgOf(r).ID))
	if err != nil {
		return err
	}
	var made Made
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		made, err = d.Resend(tx, org, id)
		return err
	})
	if err != nil {
		return d.back(w, r, err)
	}
	return d.sent(w, r, made, "Invitation sent again")
}

func (d *Door) withdraw(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return d.Cancel(tx, id) })
	if err != nil {
		return d.back(w, r, err)
	}
	web.Flash(w, "The invitation was cancelled. The address can be invited again.")
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/users", http.StatusSeeOther)
	return nil
}

// back tells on the person's page what changed meanwhile.
func (d *Door) back(w http.ResponseWriter, r *http.Request, err error) error {
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	web.Flash(w, web.Sentence(err))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/users/"+r.PathValue("user"), http.StatusSeeOther)
	return nil
}
