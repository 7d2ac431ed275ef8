package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// The catalog has the permissions of the applications. Muster keeps them in roles and
// tells the applications who holds them; what each allows is the application's to say.

// AppPermission is one of them.
type AppPermission struct {
	Name        Permission `json:"name"`
	Group       string     `json:"group"` // under which heading it stands
	Label       string     `json:"label"`
	Description string     `json:"description"`
	Roles       []string   `json:"roles"` // of Agent and Viewer, who has it until an organization says otherwise
}

// Catalog is all of them, in the order in which a form shows them.
type Catalog []AppPermission

// DefaultCatalog is what holds until the operator's configuration says otherwise.
func DefaultCatalog() Catalog {
	return Catalog{
		{Name: "view_all_tickets", Group: "Tickets", Label: "View all tickets", Description: "Sees every ticket, not only the own ones and those of the own teams.", Roles: []string{Agent, Viewer}},
		{Name: "delete_tickets", Group: "Tickets", Label: "Delete tickets", Description: "Deletes tickets for good."},
		{Name: "manage_macros", Group: "Tickets", Label: "Manage macros", Description: "Makes and changes the prepared answers that everybody uses.", Roles: []string{Agent}},
		{Name: "export_data", Group: "Data", Label: "Export data", Description: "Takes lists and reports out as files."},
		{Name: "view_analytics", Group: "Data", Label: "View analytics", Description: "Sees figures and charts.", Roles: []string{Viewer}},
	}
}

const (
	maxCatalog = 200
	maxLabel   = 100
	maxAbout   = 400
)

var permissionForm = regexp.MustCompile(`^[a-z][a-z0-9_.:-]{0,62}$`)

// ParseCatalog reads a catalog from a JSON list and checks it.
func ParseCatalog(text string) (Catalog, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	c := Catalog{}
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("is not a list of permissions with name, group, label, description and roles (%s)", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something behind the list")
	}
	if len(c) > maxCatalog {
		return nil, fmt.Errorf("has %d permissions; at most %d are possible", len(c), maxCatalog)
	}
	for i := range c {
		if err := c.check(i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c Catalog) check(i int) error {
	p := &c[i]
	if !permissionForm.MatchString(string(p.Name)) {
		return fmt.Errorf("has a permission named %.80q; a name has 1 to 63 lower-case letters, digits and _ . : - and begins with a letter", string(p.Name))
	}
	if ours(p.Name) {
		return fmt.Errorf("has the permission %s, which is Muster's own; give it another name", p.Name)
	}
	if slices.ContainsFunc(c[:i], func(o AppPermission) bool { return o.Name == p.Name }) {
		return fmt.Errorf("has the permission %s twice", p.Name)
	}
	if p.Label == "" {
		p.Label = string(p.Name)
	}
	for _, t := range []struct {
		name, text string
		limit      int
	}{{"label", p.Label, maxLabel}, {"group", p.Group, maxLabel}, {"description", p.Description, maxAbout}} {
		if len(t.text) > t.limit || strings.ContainsFunc(t.text, unicode.IsControl) {
			return fmt.Errorf("has for %s a %s of over %d bytes or with a control character", p.Name, t.name, t.limit)
		}
	}
	for _, r := range p.Roles {
		if r != Agent && r != Viewer {
			return fmt.Errorf("gives %s to the role %.40q; roles can be %s and %s: Admin has everything, and the others are each organization's", p.Name, r, Agent, Viewer)
		}
	}
	return nil
}

// Has tells whether an application asks for p.
func (c Catalog) Has(p Permission) bool {
	return slices.ContainsFunc(c, func(o AppPermission) bool { return o.Name == p })
}

// Of are the permissions that a built-in role has by the catalog alone.
func (c Catalog) Of(role string) []Permission {
	list := []Permission{}
	for _, p := range c {
		if role == Admin || slices.Contains(p.Roles, role) {
			list = append(list, p.Name)
		}
	}
	return list
}

// Own is one of Muster's permissions that a role of an organization may hold.
type Own struct {
	Name               Permission
	Label, Description string
	Needs              Permission // without which it is of no use; may be empty
}

// OwnPermissions are those that an admin may delegate. What decides who else gets in
// (org.configure) is not among them.
func OwnPermissions() []Own {
	return []Own{
		{Name: ViewUsers, Label: "See people", Description: "The list of people and each person's page."},
		{Name: InviteUsers, Label: "Invite people", Description: "Invites, sends again and cancels invitations.", Needs: ViewUsers},
		{Name: EditUsers, Label: "Change people", Description: "Attributes, teams, and roles that allow no more than the own ones.", Needs: ViewUsers},
		{Name: EndUsers, Label: "End access", Description: "Deactivates, reactivates, deletes and restores people.", Needs: ViewUsers},
		{Name: ViewGroups, Label: "See teams", Description: "Teams, groups and who is in them."},
		{Name: EditGroups, Label: "Change teams", Description: "Makes, changes and deletes teams and puts people in.", Needs: ViewGroups},
		{Name: ViewActivity, Label: "See activity", Description: "The activity log and the log of sign-ins."},
	}
}

// Managing are those and what an admin alone has: what reaches other people.
func Managing() []Permission {
	list := []Permission{}
	for _, o := range OwnPermissions() {
		list = append(list, o.Name)
	}
	return append(list, Configure)
}

// Delegable tells whether a role of an organization may hold p.
func Delegable(p Permission) bool {
	return slices.ContainsFunc(OwnPermissions(), func(o Own) bool { return o.Name == p })
}

// Of are Muster's own permissions that the matrix gives to a role.
func Of(role string) []Permission { return slices.Clone(matrix["role:"+role]) }

// ours tells Muster's permissions from those of applications.
func ours(p Permission) bool {
	switch p {
	case ViewUsers, InviteUsers, EditUsers, EndUsers, CreateUsers, ViewGroups, EditGroups, ViewActivity, Configure, SetUp, SignInUsers, Operate:
		return true
	}
	return false
}
