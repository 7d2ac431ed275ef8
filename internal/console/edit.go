package console

import (
	"net/http"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/pick"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// editPage is the form for one person.
type editPage struct {
	Org       web.Org
	Form      web.Form
	ID        store.UserID
	Name      string
	Directory string // who manages the attributes; empty: nobody
	Rows      [][]web.Field
	Extras    [][]web.Field // the organization's own attributes
	own       []extra.Field
	Other     []string
	Filled    web.Said // attributes that sign-ins fill
	Roles     []web.Option
	LastAdmin string // why the role stays
	MayTeams  bool
	Teams     web.Finder
	inTeams   []store.GroupID
}

// profileFields are the attributes of the form, by field name.
func profileFields(p *store.Profile) []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"given_name", &p.GivenName}, {"family_name", &p.FamilyName}, {"display_name", &p.DisplayName}, {"email", &p.Email}, {"user_name", &p.UserName},
		{"title", &p.Title}, {"department", &p.Department}, {"employee_number", &p.EmployeeNumber}, {"phone", &p.Phone}, {"address", &p.Address},
	}
}

func (c *Console) editForm(w http.ResponseWriter, r *http.Request) error {
	return c.showEdit(w, r, http.StatusOK, nil)
}

// showEdit shows what is stored, or what was typed when posted is there.
func (c *Console) showEdit(w http.ResponseWriter, r *http.Request, status int, posted *web.Form) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	p := editPage{Org: web.OrgOf(r), ID: id, MayTeams: web.Actor(r).May(access.ViewGroups) && web.Actor(r).May(access.EditGroups)}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if err := c.fillEdit(r, tx, &p); err != nil {
			return err
		}
		if posted != nil {
			p.take(*posted)
		}
		p.Teams, err = pick.Teams(tx, p.Form, "Teams", p.inTeams...)
		return err
	})
	if err != nil {
		return err
	}
	p.Rows, p.Extras = attributeRows(p.Form), extra.Rows(p.Form, p.own, false)
	return pages.Write(w, r, status, "edit", p)
}

// take puts what was typed in the place of what is stored. A form without a version was
// sent when the person was not as it shows any more: then it says what is stored.
func (p *editPage) take(posted web.Form) {
	p.Form.Errors = posted.Errors
	if _, seen := posted.Values["version"]; !seen && posted.Values != nil {
		for _, name := range p.attributes() {
			typed, sent := posted.Values[name]
			switch now := p.Form.Get(name); {
			case !sent || strings.ReplaceAll(typed[0], "\r\n", "\n") == now:
			case now == "":
				p.Form.FailWith(name, fault.Conflict.Say("It is empty now."))
			default:
				p.Form.FailWith(name, fault.Conflict.Say("It is %q now.", now))
			}
		}
	}
	if posted.Values != nil {
		p.Form.Set("teams") // none is ticked unless it was sent
	}
	for name, values := range posted.Values {
		p.Form.Set(name, values...)
	}
}

// attributes are the names of the fields of the document.
func (p *editPage) attributes() (names []string) {
	for _, f := range profileFields(&store.Profile{}) {
		names = append(names, f.name)
	}
	for _, x := range p.own {
		names = append(names, x.Key())
	}
	return append(names, "manager")
}

// attributeRows are the fields of the document, two side by side.
func attributeRows(f web.Form) [][]web.Field {
	plain := func(name, label string, attrs ...string) web.Field {
		return f.Input(name, label, append([]string{"autocomplete=off", "maxlength=254"}, attrs...)...)
	}
	return [][]web.Field{
		{plain("given_name", "First name"), plain("family_name", "Last name")},
		{plain("display_name", "Shown as", "help=Empty: first and last name."), plain("user_name", "User name", "required", "help=Unique here. What directories match by.")},
		{plain("email", "E-mail address", "type=email"), plain("phone", "Phone", "type=tel")},
		{plain("title", "Title"), plain("department", "Department")},
		{plain("manager", "Manager", "help=Address or user name of somebody here."), plain("employee_number", "Employee number", "help=As in your own records.")},
		{plain("address", "Postal address", "type=textarea", "rows=3", "maxlength=500")},
	}
}

func (c *Console) fillEdit(r *http.Request, tx *store.Tx, p *editPage) error {
	u, err := present(tx, p.ID)
	if err != nil {
		return err
	}
	p.Name = fullName(u)
	if u.DirectoryID != "" {
		d, err := tx.Directory(u.DirectoryID)
		if err != nil {
			return err
		}
		p.Directory = d.Name
	}
	profile := u.Profile()
	for _, f := range profileFields(&profile) {
		p.Form.Set(f.name, *f.value)
	}
	d, err := tx.Definitions()
	if err != nil {
		return err
	}
	doc, err := u.Attributes()
	if err != nil {
		return err
	}
	p.own = extra.Of(d)
	if c.opt.AttributeSources != nil {
		list, err := c.opt.AttributeSources(tx, u)
		if err != nil {
			return err
		}
		for _, s := range list {
			if !s.Locked {
				if !p.Filled.IsZero() {
					s.Label = web.Say("%s, %s", p.Filled, s.Label)
				}
				p.Filled = s.Label
			}
		}
	}
	extra.Fill(&p.Form, p.own, doc)
	p.Form.Set("version", strconv.FormatInt(u.Version, 10))
	if u.ManagerID != "" {
		m, err := tx.User(u.ManagerID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		p.Form.Set("manager", m.UserName)
	}
	if err := p.fillRoles(r, tx, u); err != nil {
		return err
	}
	return p.fillTeams(tx)
}

// fillRoles offers the roles that whoever asks may give, and the one that the person has.
func (p *editPage) fillRoles(r *http.Request, tx *store.Tx, u store.User) error {
	all, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	roles, err := tx.RolesOf([]store.UserID{p.ID})
	if err != nil {
		return err
	}
	var held []string
	for _, g := range roles[p.ID] {
		if g.Reason == store.Manual {
			held = append(held, g.Role)
			p.Form.Set("role", g.Role)
		} else if g.Kind != "default" {
			p.Other = append(p.Other, roleLabels(all).of(g.Role))
		}
	}
	if slices.Contains(held, access.Admin) {
		if p.LastAdmin, err = lastAdmin(r, tx, u); err != nil {
			return err
		}
	}
	if len(held) > 1 {
		p.Roles = []web.Option{{Value: severalRoles, Label: web.T(r, "Several, as now: %s", strings.Join(roleLabels(all).named(held), ", "))}}
		p.Form.Set("role", severalRoles)
	}
	if p.LastAdmin == "" {
		p.Roles = append(p.Roles, web.Option{Value: "", Label: web.T(r, "None by hand")})
	}
	for _, role := range all {
		if p.LastAdmin != "" && role.ID != access.Admin {
			continue
		}
		if slices.Contains(held, role.ID) || tx.Exceeds(role) == nil {
			p.Roles = append(p.Roles, web.Option{Value: role.ID, Label: role.Name})
		}
	}
	return nil
}

// beforeAdmin asks for a fresh sign-in, and whether it is meant, when somebody is to
// become an admin.
func (c *Console) beforeAdmin(w http.ResponseWriter, r *http.Request, id store.UserID, role string) (asked bool, err error) {
	if role != access.Admin {
		return false, nil
	}
	var have []store.Grant
	var names map[store.UserID]string
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		roles, err := tx.RolesOf([]store.UserID{id})
		if err != nil {
			return err
		}
		have = roles[id]
		names, err = tx.Named([]store.UserID{id})
		return err
	})
	if err != nil || slices.Contains(store.RoleNames(have), access.Admin) {
		return false, err
	}
	return web.SureAdmin(w, r, names[id])
}

func (c *Console) edit(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Get("do") == "find" && f.Get("find_team") != "" {
		return c.showEdit(w, r, http.StatusOK, &f)
	}
	if asked, err := c.beforeAdmin(w, r, id, f.Get("role")); asked || err != nil {
		return err
	}
	var u store.User
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if u, err = present(tx, id); err != nil {
			return err
		}
		if f.Get("version") != strconv.FormatInt(u.Version, 10) {
			return fault.Conflict.On("version", "%s was changed meanwhile. What is different now stands at each field.", fullName(u))
		}
		if u, err = editProfile(tx, u, f); err != nil {
			return err
		}
		if f.Get("keep") != "" && c.opt.LockEdited != nil {
			if err := c.opt.LockEdited(tx, u); err != nil {
				return err
			}
		}
		if err := editRole(tx, id, f.Get("role")); err != nil {
			return err
		}
		return editTeams(tx, id, f.All("teams"), f.All("teams_shown"))
	})
	if f.Take(err) || refusedHere(err, &f) {
		for i := range f.Errors {
			if f.Errors[i].Field == "userName" {
				f.Errors[i].Field = "user_name"
			}
		}
		return c.showEdit(w, r, web.Status(err), &f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, "Saved.")
	http.Redirect(w, r, base(r)+"/users/"+string(id), http.StatusSeeOther)
	return nil
}

// editProfile writes the fields that were sent. The form of a managed person has
// none; a request that sends them anyway is refused by store.
func editProfile(tx *store.Tx, u store.User, f web.Form) (store.User, error) {
	p, sent := u.Profile(), false
	for _, field := range profileFields(&p) {
		if _, ok := f.Values[field.name]; !ok {
			continue
		}
		sent = true
		value := f.Get(field.name)
		if field.name == "address" { // of several lines
			value = strings.ReplaceAll(value, "\r\n", "\n")
		}
		if value == *field.value {
			continue // also what would not pass: nobody has touched it
		}
		if err := checkText(field.name, value); err != nil {
			return u, err
		}
		*field.value = value
	}
	if _, ok := f.Values["manager"]; ok {
		sent = true
		p.ManagerID = ""
		if name := f.Get("manager"); name != "" {
			m, err := findPerson(tx, "manager", name)
			if err != nil {
				return u, err
			}
			if m.ID == u.ID {
				return u, fault.Invalid.On("manager", "Nobody can be their own manager. Leave it empty.")
			}
			p.ManagerID = string(m.ID)
		}
	}
	d, err := tx.Definitions()
	if err != nil {
		return u, err
	}
	doc, err := u.Attributes()
	if err != nil {
		return u, err
	}
	own, err := extra.Take(f, extra.Of(d), doc)
	if err != nil || !sent && !own {
		return u, err
	}
	if p.Email != u.Email && p.Email != "" {
		if err := freeAddress(tx, u.ID, p.Email); err != nil {
			return u, err
		}
	}
	if strings.TrimSpace(p.UserName) == "" {
		return u, fault.Invalid.On("user_name", "A person needs a user name; the address is a good one.")
	}
	if sent {
		p.Apply(doc)
	}
	return tx.UpdateUser(u, store.UserChange{Doc: doc})
}

func checkText(field, value string) error {
	most := 254
	if field == "address" {
		most, value = 2000, strings.ReplaceAll(value, "\n", " ")
	}
	if len(value) > most {
		return fault.Invalid.On(field, "That is %d bytes long; at most %d are possible.", len(value), most)
	}
	if strings.ContainsFunc(value, fault.Unseen) {
		return fault.Invalid.On(field, "That holds a control character or broken text. Type it again.")
	}
	return fault.Blank(field, value)
}

// freeAddress refuses what is no address and what somebody else here has.
func freeAddress(tx *store.Tx, id store.UserID, address string) error {
	if a, err := netmail.ParseAddress(address); err != nil || a.Address != address {
		return fault.Invalid.On("email", "%.100q is not an e-mail address. Write it like ada@example.com.", address)
	}
	same, err := tx.UsersByEmail(address)
	if err != nil {
		return err
	}
	for _, other := range same {
		if other.ID != id {
			return fault.Conflict.On("email", "%s has that address already.", fullName(other))
		}
	}
	return nil
}

// severalRoles leaves those given by hand as they are: the form chooses one, and a person
// can have got several, one by one.
const severalRoles = "several"

// editRole makes role the only one given by hand; empty takes what was given.
func editRole(tx *store.Tx, id store.UserID, role string) error {
	if role == severalRoles {
		return nil
	}
	roles, err := tx.RolesOf([]store.UserID{id})
	if err != nil {
		return err
	}
	var have []string
	for _, g := range roles[id] {
		if g.Reason == store.Manual {
			have = append(have, g.Role)
		}
	}
	if role != "" {
		if len(have) == 1 && have[0] == role {
			return nil
		}
		return tx.SetRole(id, role)
	}
	for _, r := range have {
		if err := tx.Revoke(id, r, store.Manual); err != nil {
			return err
		}
	}
	return nil
}
