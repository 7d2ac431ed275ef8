package invite

import (
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/pick"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// invitePage is the console's form.
type invitePage struct {
	Form     web.Form
	Org      web.Org
	Roles    []web.Option
	Teams    web.Finder
	Own      [][]web.Field // the organization's own attributes
	Known    []web.Option  // managers to choose from while typing
	Fitting  []web.Option  // managers of whom one has to be chosen
	Valid    web.Said      // for how long
	ID       ID            // of the invitation that the form makes, once
	Preview  *mail.Message
	Frame    string // where the HTML of the preview is
	MayStart bool   // may make an account without an invitation
}

// roleOptions explain the roles of the organization.
func roleOptions(tx *store.Tx) (list []web.Option, err error) {
	roles, err := tx.OrgRoles()
	for _, role := range roles {
		list = append(list, web.Option{Value: role.ID, Label: role.Name, Help: role.Description})
	}
	return list, err
}

func (d *Door) page(r *http.Request, f web.Form) (invitePage, error) {
	p := invitePage{Form: f, Org: web.OrgOf(r), ID: ID(f.Get("id")), MayStart: web.Actor(r).May(access.CreateUsers)}
	if p.ID == "" {
		p.ID = store.NewID[Invitation]()
	}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		rules, err := d.Rules(tx)
		if err != nil {
			return err
		}
		p.Valid = rules.lasts()
		if p.Roles, err = roleOptions(tx); err != nil {
			return err
		}
		if p.Teams, err = pick.Teams(tx, f, "Teams"); err != nil {
			return err
		}
		defs, err := tx.Definitions()
		if err != nil {
			return err
		}
		p.Own = extra.Rows(f, extra.ForOthers(extra.Of(defs)), true)
		q := store.PeopleQuery{Search: f.Get("manager"), Status: []store.Status{store.Active}, Limit: fitting}
		if q.Search == "" {
			q.Role = access.Admin
		}
		people, err := tx.People(q)
		for _, u := range people.People {
			p.Known = append(p.Known, web.Option{Value: u.UserName, Label: u.Profile().FullName()})
		}
		return err
	})
	return p, err
}

// usualRole is what new people have for whom nobody chooses.
func (d *Door) usualRole(r *http.Request) (role string, err error) {
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		usual, err := tx.DefaultFor(store.FromInvite)
		role = usual.Role
		return err
	})
	return role, err
}

func (d *Door) form(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	usual, err := d.usualRole(r)
	if err != nil {
		return err
	}
	f.Set("role", usual)
	f.Set("email", r.URL.Query().Get("email"))
	if err := d.fromRecord(r, &f); err != nil {
		return err
	}
	p, err := d.page(r, f)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "invite", p)
}

// before asks for a fresh sign-in for accounts without an invitation, and for admins whether
// they are meant, too.
func before(w http.ResponseWriter, r *http.Request, in In, do string) (asked bool, err error) {
	switch {
	case slices.Contains(in.Roles, access.Admin):
		return web.SureAdmin(w, r, in.Email)
	case do == "activate":
		return web.Fresh(w, r)
	}
	return false, nil
}

// create does what the pressed button says.
func (d *Door) create(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if pick.Finding(f) {
		return d.formAgain(w, r, f, In{}, nil, nil)
	}
	in, fits, err := d.read(r, f)
	do := f.Get("do")
	if err == nil && do != "preview" && do != "search" {
		if asked, err := before(w, r, in, do); asked || err != nil {
			return err
		}
		var made Made
		if made, err = d.submit(r, in, f); err == nil {
			return d.shown(w, r, made, do)
		}
		if d.twice(r, in, err) {
			web.Flash(w, web.T(r, "This form was sent twice. %s is invited once.", in.Email))
			http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/invitations", http.StatusSeeOther)
			return nil
		}
	}
	if err != nil && !f.Take(err) {
		return err
	}
	return d.formAgain(w, r, f, in, fits, err)
}

// formAgain shows what was typed, with what is wrong, whom to choose, or the mail.
func (d *Door) formAgain(w http.ResponseWriter, r *http.Request, f web.Form, in In, fits []web.Option, was error) error {
	p, err := d.page(r, f)
	if err != nil {
		return err
	}
	p.Fitting = fits
	status := http.StatusOK
	if was != nil {
		status = web.Status(was)
	} else if f.Get("do") == "preview" {
		if err := d.showMail(r, &p, in); err != nil {
			return err
		}
		web.Policy(w, "frame-src", "'self'")
	}
	return pages.Write(w, r, status, "invite", p)
}

// read is the form as the operation wants it; fits are managers of whom one has to be
// chosen first.
func (d *Door) read(r *http.Request, f web.Form) (in In, fits []web.Option, err error) {
	in = In{Email: f.Get("email"), GivenName: f.Get("given_name"), FamilyName: f.Get("family_name"), Roles: f.All("role"), Title: f.Get("title"), Department: f.Get("department"),
		Phone: f.Get("phone"), EmployeeNumber: f.Get("employee_number"), Address: f.Get("address"), Own: ownIn(f), Note: f.Get("note"), Record: f.Get("record"), Save: f.Get("do") == "save"}
	if text := f.Get("id"); text != "" {
		if in.ID, err = store.ParseID[Invitation](text); err != nil {
			return in, nil, fault.Invalid.On("", "The form is not complete. Load the page again.")
		}
	}
	for _, text := range f.All("teams") {
		id, err := store.ParseID[store.Group](text)
		if err != nil {
			return in, nil, on(err, fault.NotFound, fault.Invalid.On("teams", "%.40q is not a team.", text))
		}
		in.Teams = append(in.Teams, id)
	}
	if f.Get("manager") == "" {
		return in, nil, in.check()
	}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		in.ManagerID, fits, err = chooseManager(tx, f.Get("manager"), f.Get("manager_id"))
		return err
	})
	if err != nil {
		return in, fits, err
	}
	// Who was meant stands in the field from now on.
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		u, err := tx.User(in.ManagerID)
		f.Set("manager", u.UserName)
		return err
	})
	if err != nil || f.Get("do") == "search" {
		return in, nil, err
	}
	return in, nil, in.check()
}

// ownIn are the values of own attributes in a form.
func ownIn(f web.Form) map[string]string {
	own := map[string]string{}
	for name := range f.Values {
		if strings.HasPrefix(name, "urn:") {
			own[name] = f.Get(name)
		}
	}
	return own
}

// fitting is how many managers are offered.
const fitting = 20

// chooseManager takes an id that was chosen, a user name, an address, or words that fit
// one person. When they fit several, those are given beside the fault.
func chooseManager(tx *store.Tx, typed, chosen string) (id store.UserID, fits []web.Option, err error) {
	if chosen != "" {
		if id, err = store.ParseID[store.User](chosen); err == nil {
			_, err = tx.User(id)
		}
		return id, nil, on(err, fault.NotFound, fault.Invalid.On("manager", "The chosen manager is not here any more. Search again."))
	}
	id, exact := findManager(tx, typed)
	if !fault.Is(exact, fault.Invalid) || plainText("manager", fault.Word("The manager"), typed) != nil {
		return id, nil, exact
	}
	page, err := tx.People(store.PeopleQuery{Search: typed, Status: []store.Status{store.Active, store.Invited}, Limit: fitting})
	switch {
	case err != nil:
		return "", nil, err
	case page.Total == 0:
		return "", nil, exact
	case page.Total == 1:
		return page.People[0].ID, nil, nil
	}
	for _, u := range page.People {
		p := u.Profile()
		fits = append(fits, web.Option{Value: string(u.ID), Label: p.FullName(), Help: strings.Trim(p.Title+" · "+u.UserName, " ·")})
	}
	return "", fits, fault.Invalid.On("manager", "%d people fit %.100q. Choose one of them below, or write more.", page.Total, typed)
}

// findManager takes a user name, or an address that one person has.
func findManager(tx *store.Tx, name string) (store.UserID, error) {
	if err := plainText("manager", fault.Word("The manager"), name); err != nil {
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
		return "", fault.Invalid.On("manager", "There is nobody %.100q here. Write the manager's name, address or user name, or leave it empty.", name)
	case 1:
		return list[0].ID, nil
	}
	return "", fault.Invalid.On("manager", "%d people have the address %.100q. Write the manager's user name instead.", len(list), name)
}

// submit does it in one transaction.
func (d *Door) submit(r *http.Request, in In, f web.Form) (made Made, err error) {
	if f.Get("do") == "activate" {
		return d.Activate(r.Context(), web.Actor(r), in, f.Get("first_password"))
	}
	return d.Invite(r.Context(), web.Actor(r), in)
}

// twice tells that a refusal is about the invitation that the same form has just made.
func (d *Door) twice(r *http.Request, in In, refused error) bool {
	if !fault.Is(refused, fault.Conflict) || in.ID == "" {
		return false
	}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		i, err := d.Find(tx, in.ID)
		if err == nil && store.Fold(i.Email) != store.Fold(in.Email) {
			err = fault.NotFound.Say("It is somebody else's.")
		}
		return err
	})
	return err == nil
}

// shownPage shows a link or a password, this once.
type shownPage struct {
	Org    web.Org
	Title  string
	Made   Made
	Until  store.Time
	Away   web.Said
	SignIn string
}

func (d *Door) shown(w http.ResponseWriter, r *http.Request, made Made, do string) error {
	p := shownPage{Org: web.OrgOf(r), Title: titles(r)[do], Made: made, SignIn: strings.TrimSuffix(d.opt.PublicURL, "/") + "/o/" + web.OrgOf(r).Slug + "/login"}
	if made.ExpiresAt != 0 {
		p.Until, p.Away = made.ExpiresAt, away(store.TimeOf(d.opt.DB.Now()), made.ExpiresAt)
	}
	page := "sent"
	switch {
	case made.Password != "":
		page = "started"
	case made.Link == "":
		page = "saved"
	case do == "link":
		page = "link"
	}
	return pages.Write(w, r, http.StatusOK, page, p)
}

// titles are the headings of what was done.
func titles(r *http.Request) map[string]string {
	return map[string]string{
		"": web.T(r, "Invitation sent"), "send": web.T(r, "Invitation sent"), "save": web.T(r, "Saved, nothing sent"), "activate": web.T(r, "The account is ready"),
		"resend": web.T(r, "Invitation sent again"), "link": web.T(r, "A link to hand over"), "correct": web.T(r, "Invitation sent to the right address"),
		"reopen": web.T(r, "Invitation opened again"),
	}
}
