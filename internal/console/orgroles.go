package console

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// mountRoles has the pages of roles and defaults.
func (c *Console) mountRoles(m *web.Mux) {
	m.Console(access.Configure, "GET /console/{org}/settings/defaults", c.defaults)
	m.Console(access.Configure, "POST /console/{org}/settings/defaults", c.setDefaults)
	m.Console(access.ViewUsers, "GET /console/{org}/roles", c.orgRoles)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/roles", c.createOrgRole)
	m.Console(access.Configure, "GET /console/{org}/roles/new", c.newOrgRole)
	m.Console(access.ViewUsers, "GET /console/{org}/roles/{role}", c.orgRole)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/roles/{role}", c.updateOrgRole)
	m.Console(access.Configure, "GET /console/{org}/roles/{role}/delete", c.endOrgRole)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/roles/{role}/delete", c.deleteOrgRole)
}

// orgRoleRow is a line of the list of roles.
type orgRoleRow struct {
	store.OrgRole
	Users  int
	Allows []string // labels
}

type orgRolesPage struct {
	Org          web.Org
	Rows         []orgRoleRow
	MayConfigure bool
}

func (c *Console) orgRoles(w http.ResponseWriter, r *http.Request) error {
	p := orgRolesPage{Org: web.OrgOf(r), MayConfigure: web.Actor(r).May(access.Configure)}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		counts, err := tx.RoleCounts()
		for _, role := range roles {
			row := orgRoleRow{OrgRole: role, Users: counts[role.ID]}
			for _, g := range permissionGroups(r, tx.Catalog(), role) {
				for _, o := range g.Options {
					if o.Chosen {
						row.Allows = append(row.Allows, o.Label)
					}
				}
			}
			p.Rows = append(p.Rows, row)
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "orgroles", p)
}

// permissionGroup is a heading of the form with its boxes.
type permissionGroup struct {
	Name    string
	Fixed   bool // shown, and not to be changed
	Options []web.Option
}

// permissionGroups are all permissions that a role can have, those of the role chosen.
func permissionGroups(r *http.Request, catalog access.Catalog, role store.OrgRole) []permissionGroup {
	var list []permissionGroup
	add := func(group string, o web.Option, fixed bool) {
		i := slices.IndexFunc(list, func(g permissionGroup) bool { return g.Name == group })
		if i < 0 {
			i = len(list)
			list = append(list, permissionGroup{Name: group, Fixed: fixed})
		}
		o.Chosen = slices.Contains(role.Permissions, access.Permission(o.Value))
		list[i].Options = append(list[i].Options, o)
	}
	for _, p := range catalog {
		group := p.Group
		if group == "" {
			group = web.T(r, "Applications")
		}
		add(group, web.Option{Value: string(p.Name), Label: p.Label, Help: p.Description}, role.ID == access.Admin)
	}
	for _, o := range ownOptions(r) {
		add(web.T(r, "In Muster"), o, role.BuiltIn)
	}
	for _, p := range role.Gone {
		add(web.T(r, "No longer in the catalog"), web.Option{Value: string(p), Label: string(p), Help: web.T(r, "It allows nothing. Untick it to take it out for good.")}, false)
		last := &list[len(list)-1]
		last.Options[len(last.Options)-1].Chosen = true
	}
	return list
}

// permissionLabels are what permissions are called.
func permissionLabels(r *http.Request, catalog access.Catalog, names []string) (list []string) {
	labels := map[string]string{string(access.Configure): web.T(r, "Configure Muster")}
	for _, o := range ownOptions(r) {
		labels[o.Value] = o.Label
	}
	for _, p := range catalog {
		labels[string(p.Name)] = p.Label
	}
	for _, n := range names {
		list = append(list, labels[n])
	}
	return list
}

// ownOptions are Muster's own permissions in words.
func ownOptions(r *http.Request) []web.Option {
	words := map[access.Permission][2]string{
		access.ViewUsers:    {web.T(r, "See people"), web.T(r, "The list of people and each person's page.")},
		access.InviteUsers:  {web.T(r, "Invite people"), web.T(r, "Invites, sends again and cancels invitations.")},
		access.EditUsers:    {web.T(r, "Change people"), web.T(r, "Attributes, teams, and roles that allow no more than the own ones.")},
		access.EndUsers:     {web.T(r, "End access"), web.T(r, "Deactivates, reactivates, deletes and restores people.")},
		access.ViewGroups:   {web.T(r, "See teams"), web.T(r, "Teams, groups and who is in them.")},
		access.EditGroups:   {web.T(r, "Change teams"), web.T(r, "Makes, changes and deletes teams and puts people in.")},
		access.ViewActivity: {web.T(r, "See activity"), web.T(r, "The activity log and the log of sign-ins.")},
	}
	var list []web.Option
	for _, o := range access.OwnPermissions() {
		list = append(list, web.Option{Value: string(o.Name), Label: words[o.Name][0], Help: words[o.Name][1]})
	}
	return list
}

// orgRolePage is one role, or a new one.
type orgRolePage struct {
	Org          web.Org
	Form         web.Form
	Role         store.OrgRole
	New          bool
	Users        int
	Groups       []permissionGroup
	MayConfigure bool
}

func (c *Console) newOrgRole(w http.ResponseWriter, r *http.Request) error {
	return c.showNewRole(w, r, http.StatusOK, web.Form{})
}

// showNewRole is an empty form, or a copy of another role.
func (c *Console) showNewRole(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := orgRolePage{Org: web.OrgOf(r), Form: f, New: true, MayConfigure: true}
	var from store.OrgRole
	if of := r.URL.Query().Get("copy"); of != "" && f.Values == nil {
		err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			from, err = tx.OrgRole(of)
			return err
		})
		if err != nil {
			return err
		}
		p.Form.Set("description", from.Description)
		p.Form.Set("label", web.T(r, "Copy of %s", from.Name))
	}
	from.BuiltIn, from.ID, from.Gone = false, "", nil
	if f.Values != nil {
		from.Permissions = chosenPermissions(f)
	}
	p.Groups = permissionGroups(r, c.opt.DB.Catalog(), from)
	return pages.Write(w, r, status, "orgrole", p)
}

func chosenPermissions(f web.Form) []access.Permission {
	list := []access.Permission{}
	for _, v := range f.All("permissions") {
		list = append(list, access.Permission(v))
	}
	return list
}

// roleChange reads the form of a role.
func roleChange(f web.Form) store.RoleChange {
	permissions := chosenPermissions(f)
	ch := store.RoleChange{Name: f.Get("name"), Permissions: &permissions}
	if _, sent := f.Values["label"]; sent {
		label, about := f.Get("label"), f.Get("description")
		ch.Label, ch.Description = &label, &about
	}
	return ch
}

func (c *Console) createOrgRole(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var role store.OrgRole
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		role, err = tx.CreateRole(roleChange(f))
		return err
	})
	if f.Take(err) {
		return c.showNewRole(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "The role %s is there. Give it to people on their pages, by invitation or by a directory.", role.Name))
	http.Redirect(w, r, base(r)+"/roles/"+role.ID, http.StatusSeeOther)
	return nil
}

func (c *Console) orgRole(w http.ResponseWriter, r *http.Request) error {
	return c.showOrgRole(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showOrgRole(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := orgRolePage{Org: web.OrgOf(r), Form: f, MayConfigure: web.Actor(r).May(access.Configure)}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Role, err = tx.OrgRole(r.PathValue("role")); err != nil {
			return err
		}
		counts, err := tx.RoleCounts()
		p.Users = counts[p.Role.ID]
		return err
	})
	if err != nil {
		return err
	}
	shown := p.Role
	if f.Values != nil {
		shown.Permissions = chosenPermissions(f)
		if shown.BuiltIn {
			shown.Permissions = append(shown.Permissions, access.Of(shown.ID)...)
		}
	} else {
		p.Form.Set("label", p.Role.Name)
		p.Form.Set("description", p.Role.Description)
	}
	p.Form.Default("version", strconv.FormatInt(p.Role.Version, 10))
	p.Groups = permissionGroups(r, c.opt.DB.Catalog(), shown)
	return pages.Write(w, r, status, "orgrole", p)
}

func (c *Console) updateOrgRole(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	ch := roleChange(f)
	if ch.Version, err = strconv.ParseInt(f.Get("version"), 10, 64); err != nil {
		return fault.Invalid.On("version", "The form is not complete. Open the role again.")
	}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		_, err := tx.UpdateRole(r.PathValue("role"), ch)
		return err
	})
	if f.Take(err) || shownHere(err, &f) {
		return c.showOrgRole(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. It holds from now on, also for people who are signed in."))
	http.Redirect(w, r, base(r)+"/roles/"+r.PathValue("role"), http.StatusSeeOther)
	return nil
}

// shownHere shows a refusal on the page of what was typed.
func shownHere(err error, f *web.Form) bool {
	if fault.Is(err, fault.Denied) && fault.Field(err) != "" {
		f.FailWith("", err)
		return true
	}
	return false
}

// orgRoleEndPage asks what becomes of those who hold a role.
type orgRoleEndPage struct {
	Org     web.Org
	Form    web.Form
	End     store.RoleEnd
	Choices []web.Option
	Decided bool // they have another role, or none
}

func (c *Console) endOrgRole(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	f.Set("to", r.URL.Query().Get("to"))
	return c.showRoleEnd(w, r, http.StatusOK, f)
}

func (c *Console) showRoleEnd(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := orgRoleEndPage{Org: web.OrgOf(r), Form: f, Decided: f.Get("to") != ""}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		to := f.Get("to")
		if f.Errors != nil {
			to = ""
		}
		if p.End, err = tx.PreviewRoleEnd(r.PathValue("role"), to); err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		p.Choices = []web.Option{{Label: web.T(r, "Choose")}}
		for _, role := range roles {
			if role.ID != p.End.Role.ID && role.ID != access.Admin {
				p.Choices = append(p.Choices, web.Option{Value: role.ID, Label: role.Name})
			}
		}
		p.Choices = append(p.Choices, web.Option{Value: store.WithoutRole, Label: web.T(r, "None: they keep their other roles, or the default one")})
		return err
	})
	if err != nil {
		return err
	}
	p.Form.Set("version", strconv.FormatInt(p.End.Role.Version, 10)) // the page tells what is now
	return pages.Write(w, r, status, "orgroleend", p)
}

func (c *Console) deleteOrgRole(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil {
		return fault.Invalid.On("version", "The form is not complete. Open the role again.")
	}
	var e store.RoleEnd
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		e, err = tx.DeleteRole(r.PathValue("role"), f.Get("to"), version)
		return err
	})
	if f.Take(err) || shownHere(err, &f) {
		return c.showRoleEnd(w, r, web.Status(err), f)
	}
	done := web.T(r, "The role %s is deleted.", e.Role.Name)
	if fault.Is(err, fault.NotFound) { // the second click, or another admin
		done, err = web.T(r, "The role was deleted already."), nil
	}
	if err != nil {
		return err
	}
	if e.People > 0 && e.To.ID != "" {
		done = web.T(r, "The role %s is deleted. Who had it (%d) has %s now.", e.Role.Name, e.People, e.To.Name)
	}
	web.Flash(w, done)
	http.Redirect(w, r, base(r)+"/roles", http.StatusSeeOther)
	return nil
}
