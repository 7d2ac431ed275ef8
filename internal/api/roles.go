package api

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountRoles(m *web.Mux) {
	m.API(access.ViewUsers, "GET /api/v1/permissions", d.permissions)                                          // List the permissions that a role may hold
	m.API(access.ViewUsers, "GET /api/v1/roles", d.roles)                                                      // List the roles
	m.APIFresh(access.Configure, "POST /api/v1/roles", d.createRole)                                           // Create a role, or copy one
	m.API(access.ViewUsers, "GET /api/v1/roles/{role}", d.role)                                                // Get a role
	m.APIFresh(access.Configure, "PATCH /api/v1/roles/{role}", d.updateRole)                                   // Change a role. What is left out stays
	m.APIFresh(access.Configure, "DELETE /api/v1/roles/{role}", d.deleteRole)                                  // Delete a role, or preview that. 400 as long as people have it and to is missing, 409 as long as something gives it
	m.API(access.ViewUsers, "GET /api/v1/users/{user}/roles", d.onesRoles(d.reading, nil))                     // List a person's roles, once for each reason
	m.APIFresh(access.EditUsers, "PUT /api/v1/users/{user}/roles/{role}", d.onesRoles(d.writing, GiveRole))    // Give a person a role by hand. 403 for a role that allows more than the own one
	m.APIFresh(access.EditUsers, "DELETE /api/v1/users/{user}/roles/{role}", d.onesRoles(d.writing, TakeRole)) // Take a role that was given by hand. 409 for the last admin
}

// PermissionJSON is a permission as programs see it.
type PermissionJSON struct {
	Name        access.Permission `json:"name"`
	Group       string            `json:"group"`
	Label       string            `json:"label"`
	Description string            `json:"description"`
	Own         bool              `json:"own"` // Muster's, not an application's
}

// Permissions are those that a role can have: the catalog's, then Muster's own.
func Permissions(c access.Catalog) []PermissionJSON {
	list := []PermissionJSON{}
	for _, p := range c {
		list = append(list, PermissionJSON{p.Name, p.Group, p.Label, p.Description, false})
	}
	for _, o := range access.OwnPermissions() {
		list = append(list, PermissionJSON{o.Name, "Muster", o.Label, o.Description, true})
	}
	return list
}

func (d *Door) permissions(w http.ResponseWriter, r *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]any{"permissions": Permissions(d.opt.DB.Catalog())})
}

// RoleJSON is a role as programs see it.
type RoleJSON struct {
	Name        string              `json:"name"`
	Label       string              `json:"label"`
	Description string              `json:"description"`
	Permissions []access.Permission `json:"permissions"`
	Gone        []access.Permission `json:"gone"` // in the role, and in the catalog no more
	BuiltIn     bool                `json:"built_in"`
	Users       int                 `json:"users"`
	Version     int64               `json:"version"`
	UpdatedAt   string              `json:"updated_at,omitempty"`
}

// JSONOf is a role with the number of its holders.
func JSONOf(r store.OrgRole, users int) RoleJSON {
	out := RoleJSON{Name: r.ID, Label: r.Name, Description: r.Description, Permissions: append([]access.Permission{}, r.Permissions...), Gone: append([]access.Permission{}, r.Gone...),
		BuiltIn: r.BuiltIn, Users: users, Version: r.Version}
	if r.UpdatedAt != 0 {
		out.UpdatedAt = r.UpdatedAt.RFC3339()
	}
	return out
}

func (d *Door) roles(w http.ResponseWriter, r *http.Request) error {
	list := []RoleJSON{}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		counts, err := tx.RoleCounts()
		for _, role := range roles {
			list = append(list, JSONOf(role, counts[role.ID]))
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"roles": list})
}

// answerRole answers with the role that do gives, and with who holds it.
func (d *Door) answerRole(w http.ResponseWriter, status int, run func(func(*store.Tx) error) error, do func(tx *store.Tx) (store.OrgRole, error)) error {
	var out RoleJSON
	err := run(func(tx *store.Tx) error {
		role, err := do(tx)
		if err != nil {
			return err
		}
		counts, err := tx.RoleCounts()
		out = JSONOf(role, counts[role.ID])
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, status, out)
}

func (d *Door) reading(r *http.Request) func(func(*store.Tx) error) error {
	return func(fn func(*store.Tx) error) error { return d.opt.DB.Read(r.Context(), web.Actor(r), fn) }
}

func (d *Door) writing(r *http.Request) func(func(*store.Tx) error) error {
	return func(fn func(*store.Tx) error) error { return d.opt.DB.Write(r.Context(), web.Actor(r), fn) }
}

func (d *Door) role(w http.ResponseWriter, r *http.Request) error {
	return d.answerRole(w, http.StatusOK, d.reading(r), func(tx *store.Tx) (store.OrgRole, error) { return tx.OrgRole(r.PathValue("role")) })
}

// newRole is the body of a POST, and of a PATCH without copy_of and name.
type newRole struct {
	Name        string               `json:"name"`
	Label       *string              `json:"label"`
	Description *string              `json:"description"`
	Permissions *[]access.Permission `json:"permissions"`
	CopyOf      string               `json:"copy_of"` // a role whose permissions it begins with
	Version     int64                `json:"version"`
}

func (in newRole) change() store.RoleChange {
	return store.RoleChange{Name: in.Name, Label: in.Label, Description: in.Description, Permissions: in.Permissions, Version: in.Version}
}

func (d *Door) createRole(w http.ResponseWriter, r *http.Request) error {
	var in newRole
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	return d.answerRole(w, http.StatusCreated, d.writing(r), func(tx *store.Tx) (store.OrgRole, error) {
		if in.CopyOf == "" {
			return tx.CreateRole(in.change())
		}
		if in.Permissions != nil {
			return store.OrgRole{}, fault.Invalid.On("copy_of", "A copy has the permissions of the other role: leave permissions out, or copy_of.")
		}
		return tx.CopyRole(in.CopyOf, in.change())
	})
}

func (d *Door) updateRole(w http.ResponseWriter, r *http.Request) error {
	var in newRole
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if in.Name != "" && in.Name != r.PathValue("role") || in.CopyOf != "" {
		return fault.Invalid.On("name", "A role keeps its name: directories, files and applications know it by that. Change the label, or make a copy.")
	}
	return d.answerRole(w, http.StatusOK, d.writing(r), func(tx *store.Tx) (store.OrgRole, error) { return tx.UpdateRole(r.PathValue("role"), in.change()) })
}

// RoleEndJSON is what the end of a role did, or would do.
type RoleEndJSON struct {
	Role    string   `json:"role"`
	To      string   `json:"to"`     // the role that its holders have instead; empty: none
	People  int      `json:"people"` // who held it
	Losing  int      `json:"losing"` // of them, who have the default role alone then
	Mapped  int      `json:"mapped"` // values of directories that gave it
	Uses    []string `json:"uses"`   // what must be changed before it can be deleted
	Deleted bool     `json:"deleted"`
}

// EndOf is the end of a role for programs.
func EndOf(e store.RoleEnd, deleted bool) RoleEndJSON {
	return RoleEndJSON{Role: e.Role.ID, To: e.To.ID, People: e.People, Losing: e.Losing, Mapped: e.Mapped, Uses: append([]string{}, e.Uses...), Deleted: deleted}
}

func (d *Door) deleteRole(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	preview := q.Get("preview") == "true"
	var e store.RoleEnd
	var err error
	if preview {
		err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			e, err = tx.PreviewRoleEnd(r.PathValue("role"), q.Get("to"))
			return err
		})
	} else {
		err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			e, err = tx.DeleteRole(r.PathValue("role"), q.Get("to"), 0)
			return err
		})
	}
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, EndOf(e, !preview))
}

// UserRoles are the roles of one person, with the reasons.
type UserRoles struct {
	User  store.UserID `json:"user_id"`
	Roles []GrantJSON  `json:"roles"`
}

// GrantJSON is a role that somebody has, for one reason.
type GrantJSON struct {
	Role string `json:"role"`
	ReasonJSON
}

// RolesOf are somebody's roles as programs see them. Faults: Denied, NotFound.
func RolesOf(tx *store.Tx, id store.UserID) (UserRoles, error) {
	out := UserRoles{id, []GrantJSON{}}
	if _, err := tx.User(id); err != nil {
		return out, err
	}
	roles, err := tx.RolesOf([]store.UserID{id})
	for _, g := range roles[id] {
		one := GrantJSON{g.Role, ReasonJSON{Kind: g.Kind, Ref: g.Ref, By: g.By, Detail: g.Detail}}
		if g.Since != 0 {
			one.Since = g.Since.RFC3339()
		}
		out.Roles = append(out.Roles, one)
	}
	return out, err
}

// GiveRole gives a role by hand, beside those that are there.
func GiveRole(tx *store.Tx, id store.UserID, role string) error {
	return tx.Grant(id, role, store.Manual)
}

// TakeRole takes a role that was given by hand.
func TakeRole(tx *store.Tx, id store.UserID, role string) error {
	return tx.Revoke(id, role, store.Manual)
}

// onesRoles answers with the roles of a person, after a change of one of them.
func (d *Door) onesRoles(run func(*http.Request) func(func(*store.Tx) error) error, change func(*store.Tx, store.UserID, string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := userIn(r)
		if err != nil {
			return err
		}
		var out UserRoles
		err = run(r)(func(tx *store.Tx) error {
			if change != nil {
				if err := change(tx, id, r.PathValue("role")); err != nil {
					return err
				}
			}
			out, err = RolesOf(tx, id)
			return err
		})
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, out)
	}
}
