package invite

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountActivate(m *web.Mux) {
	m.Console(access.CreateUsers, "GET /console/{org}/users/{user}/invitation/activate", d.startPage)
	m.Console(access.CreateUsers, "POST /console/{org}/users/{user}/invitation/activate", d.start)
	m.API(access.CreateUsers, "POST /api/v1/invitations/{invitation}/activate", d.apiStart) // Activate an invited person without a mail. The first password is answered once and must be changed
}

// startView asks for the first password of somebody who is invited.
type startView struct {
	Org   web.Org
	Form  web.Form
	Name  string
	Email string
	Rules []password.Rule
	Path  string // of the person
}

func (d *Door) startPage(w http.ResponseWriter, r *http.Request) error {
	return d.showStart(w, r, http.StatusOK, web.Form{})
}

func (d *Door) showStart(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	p := startView{Org: web.OrgOf(r), Form: f, Path: "/console/" + web.OrgOf(r).Slug + "/users/" + string(id)}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		u, err := d.mayStart(tx, id)
		if err != nil {
			return err
		}
		p.Name, p.Email = u.Profile().FullName(), u.Email
		rules, _, err := d.opt.Passwords.Rules(tx)
		p.Rules = rules.InWords()
		return err
	})
	if err != nil {
		return d.back(w, r, err, web.Form{})
	}
	return pages.Write(w, r, status, "activate", p)
}

func (d *Door) start(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if asked, err := web.Fresh(w, r); asked || err != nil {
		return err
	}
	made, err := d.Start(r.Context(), web.Actor(r), id, f.Get("first_password"))
	if fault.Field(err) == "first_password" && f.Take(err) {
		return d.showStart(w, r, web.Status(err), f)
	}
	if err != nil {
		return d.back(w, r, err, web.Form{})
	}
	return d.shown(w, r, made, "activate")
}

func (d *Door) apiStart(w http.ResponseWriter, r *http.Request) error {
	id, err := apiID(r)
	if err != nil {
		return err
	}
	var in struct {
		FirstPassword string `json:"first_password"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if asked, err := web.Fresh(w, r); asked || err != nil {
		return err
	}
	var i Invitation
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) { i, err = d.Find(tx, id); return err })
	if err != nil {
		return err
	}
	made, err := d.Start(r.Context(), web.Actor(r), i.UserID, in.FirstPassword)
	if err != nil {
		return err
	}
	made.InvitationID = i.ID
	return web.JSON(w, http.StatusOK, made.started(in.FirstPassword))
}

// StartedView is an account that was activated by hand, as programs see it.
type StartedView struct {
	MadeView
	FirstPassword string `json:"first_password,omitempty"` // that was made up, this once
}

// started leaves out a password that the caller knows.
func (m Made) started(given string) StartedView {
	if given != "" {
		m.Password = ""
	}
	return StartedView{m.View(), m.Password}
}
