package console

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// rolesPage is what the values that a directory sends give here.
type rolesPage struct {
	Org         web.Org
	Directory   store.Directory
	Path        string
	Form        web.Form
	Mapped      []roleRow
	Others      []roleRow // sent, and mapped by nobody
	Attributes  []web.Option
	Roles       []web.Option
	CatalogueOf string // base URL of /Entitlements
}

// roleRow is one value.
type roleRow struct {
	store.RoleValue
	Gives  string
	People web.Said
}

// noRole is how the form says that a value gives none; an empty choice is none made.
const noRole = "none"

var attributeOptions = []web.Option{{Value: store.Roles, Label: "roles"}, {Value: store.Entitlements, Label: "entitlements"}}

// roleChoices begins with none chosen: a role is not given by leaving a form as it is.
func roleChoices(roles roleLabels) []web.Option {
	list := append([]web.Option{{Value: "", Label: "Choose"}}, roles.options()...)
	return append(list, web.Option{Value: noRole, Label: "No role"})
}

func (c *Console) roles(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	f.Set("attribute", r.URL.Query().Get("attribute"))
	f.Set("value", r.URL.Query().Get("value"))
	return c.showRoles(w, r, http.StatusOK, f)
}

func (c *Console) showRoles(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := pathID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	p := rolesPage{Org: web.OrgOf(r), Path: base(r) + "/directories/" + string(id), Form: f, Attributes: attributeOptions, CatalogueOf: c.url(id)}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Directory, err = tx.Directory(id); err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		p.Roles = roleChoices(roles)
		list, err := tx.RoleValues(id)
		for _, v := range list {
			row := roleRow{RoleValue: v, Gives: "no role", People: web.SayN(v.Users, "1 person", "%d people")}
			if v.Role != "" {
				row.Gives = roleLabels(roles).of(v.Role)
			}
			if v.Mapped {
				p.Mapped = append(p.Mapped, row)
			} else {
				p.Others = append(p.Others, row)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "roles", p)
}

func (c *Console) mapRole(w http.ResponseWriter, r *http.Request) error {
	if f, err := web.ReadForm(r); err == nil && f.Get("role") == access.Admin {
		if asked, err := web.SureAdmin(w, r, web.T(r, "everybody whom the directory sends with %s", f.Get("value"))); asked || err != nil {
			return err
		}
	}
	return c.remap(w, r, func(tx *store.Tx, id store.DirectoryID, f web.Form) (store.Remapped, error) {
		m := store.RoleMapping{Attr: f.Get("attribute"), Value: f.Get("value"), Display: f.Get("display"), Kind: f.Get("kind"), Role: f.Get("role")}
		switch m.Role {
		case "":
			return store.Remapped{}, fault.Invalid.On("role", "Choose which role the value gives, or No role.")
		case noRole:
			m.Role = ""
		}
		return tx.MapRole(id, m)
	})
}

func (c *Console) unmapRole(w http.ResponseWriter, r *http.Request) error {
	return c.remap(w, r, func(tx *store.Tx, id store.DirectoryID, f web.Form) (store.Remapped, error) {
		return tx.UnmapRole(id, f.Get("attribute"), f.Get("value"))
	})
}

func (c *Console) remap(w http.ResponseWriter, r *http.Request, change func(*store.Tx, store.DirectoryID, web.Form) (store.Remapped, error)) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var done store.Remapped
	err = c.inDirectory(r, func(tx *store.Tx, id store.DirectoryID) (err error) {
		done, err = change(tx, id, f)
		return err
	})
	if f.Take(err) {
		return c.showRoles(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. %s %s", web.SayN(done.Granted, "1 role was given.", "%d roles were given."), web.SayN(done.Revoked, "1 role was taken.", "%d roles were taken.")))
	http.Redirect(w, r, base(r)+"/directories/"+r.PathValue("directory")+"/roles", http.StatusSeeOther)
	return nil
}
