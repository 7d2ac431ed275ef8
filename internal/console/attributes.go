package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What an organization adds to its users and groups: the list, one attribute more, and
// the page of each. Complex ones are shown; they are defined by schema documents, on the
// command line or by the API.

// attributeRow is a line of the list.
type attributeRow struct {
	store.Attribute
	Path  string // of its page
	Kind  string // type and multiplicity
	Rules []string
	Gone  bool // its values are being removed
}

// attributeTable is one schema.
type attributeTable struct {
	store.Schema
	Rows []attributeRow
}

type attributesPage struct {
	Org       web.Org
	Form      web.Form
	Tables    []attributeTable
	Resources []web.Option
	Types     []web.Option
}

var resourceOptions = []web.Option{{Value: store.UserResource, Label: "Users"}, {Value: store.GroupResource, Label: "Groups"}}

var typeOptions = []web.Option{
	{Value: "string", Label: "Text"}, {Value: "integer", Label: "Whole number"}, {Value: "decimal", Label: "Number"}, {Value: "boolean", Label: "Yes or no"},
	{Value: "dateTime", Label: "Time"}, {Value: "reference", Label: "Link"}, {Value: "binary", Label: "Binary"},
}

// kindOf is the type in words, also of what only documents can define.
func kindOf(a store.Attribute) string {
	name := a.Type
	for _, o := range typeOptions {
		if o.Value == a.Type {
			name = o.Label
		}
	}
	if a.Type == "complex" {
		var parts []string
		for _, s := range a.Subs {
			parts = append(parts, s.Name)
		}
		name = "Parts: " + strings.Join(parts, ", ")
	}
	if a.MultiValued {
		name += ", several"
	}
	return name
}

func rulesOf(a store.Attribute) (list []string) {
	for _, r := range []struct {
		is   bool
		text string
	}{
		{a.Required, "required"}, {a.Self, "filled in by people themselves"}, {a.Uniqueness == "server", "unique"}, {a.CaseExact && a.Type == "string", "exact case"},
		{a.Mutability == "readOnly", "only changed here"}, {a.Mutability == "immutable", "set once"}, {a.Secret(), "never shown"},
		{a.Returned == "request", "shown on request"}, {a.State == store.Building, "index is being built"}, {a.State == store.Ready, "indexed"},
		{a.State == store.Closing || a.State == store.Purging, "index is being removed"},
	} {
		if r.is {
			list = append(list, r.text)
		}
	}
	return list
}

func attributePath(r *http.Request, urn, name string) string {
	return base(r) + "/attributes/" + url.PathEscape(urn) + "/" + url.PathEscape(name)
}

func (c *Console) attributes(w http.ResponseWriter, r *http.Request) error {
	return c.showAttributes(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showAttributes(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := attributesPage{Org: web.OrgOf(r), Form: f, Resources: resourceOptions, Types: typeOptions}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := tx.DefinedSchemas()
		for _, s := range list {
			t := attributeTable{Schema: s}
			for _, a := range s.Attributes {
				t.Rows = append(t.Rows, attributeRow{a, attributePath(r, s.URN, a.Name), kindOf(a), rulesOf(a), a.State == store.Removing})
			}
			p.Tables = append(p.Tables, t)
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "attributes", p)
}

func (c *Console) addAttribute(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	a := store.Attribute{Name: f.Get("name"), Type: f.Get("type"), Description: f.Get("description"), MultiValued: f.Get("multiValued") != "", Required: f.Get("required") != "",
		CaseExact: f.Get("caseExact") != "", Self: f.Get("self") != "", Indexed: f.Get("indexed") != "", Canonical: commas(f.Get("canonicalValues"))}
	if f.Get("uniqueness") != "" {
		a.Uniqueness = "server"
	}
	var done store.SchemaChange
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		resource := f.Get("resourceType")
		if resource != store.GroupResource {
			resource = store.UserResource
		}
		done, err = tx.PutAttribute(resource, strings.TrimSpace(f.Get("id")), a, true)
		return err
	})
	if f.Take(err) {
		return c.showAttributes(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, strings.Join(append([]string{web.T(r, "%s is there.", strings.TrimSpace(a.Name))}, done.Warnings...), " "))
	http.Redirect(w, r, attributePath(r, done.Schema.URN, strings.TrimSpace(a.Name)), http.StatusSeeOther)
	return nil
}

// commas cuts a list at its commas.
func commas(text string) (list []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

type attributePage struct {
	Org     web.Org
	Form    web.Form
	Schema  store.Schema
	Row     attributeRow
	MayText bool // canonical values
	MayFind bool // index
	MaySelf bool // be filled in by people themselves
}

func (c *Console) attribute(w http.ResponseWriter, r *http.Request) error {
	return c.showAttribute(w, r, http.StatusOK, nil)
}

// defined is the attribute of the URL.
func defined(tx *store.Tx, r *http.Request) (store.Schema, store.Attribute, error) {
	s, err := tx.DefinedSchema(r.PathValue("urn"))
	if err != nil {
		return s, store.Attribute{}, err
	}
	a, ok := s.Find(r.PathValue("name"))
	if !ok {
		return s, a, fault.NotFound.Say("There is no such attribute. It may have been deleted.")
	}
	return s, a, nil
}

func (c *Console) showAttribute(w http.ResponseWriter, r *http.Request, status int, posted *web.Form) error {
	p := attributePage{Org: web.OrgOf(r)}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		s, a, err := defined(tx, r)
		p.Schema, p.Row = s, attributeRow{a, attributePath(r, s.URN, a.Name), kindOf(a), rulesOf(a), a.State == store.Removing}
		return err
	})
	if err != nil {
		return err
	}
	a := p.Row.Attribute
	p.MayText = a.Type == "string"
	p.MaySelf = p.Schema.Resource == store.UserResource && !a.MultiValued && a.Type != "binary" && a.Type != "complex" && !a.Secret() && a.Mutability != "readOnly"
	p.MayFind = a.Type != "boolean" && a.Type != "binary" && a.Type != "complex" && !a.Secret() && a.Uniqueness != "server"
	if posted != nil {
		p.Form = *posted
	}
	if _, sent := p.Form.Values["description"]; !sent { // nor by the form that deletes
		p.Form.Set("description", a.Description)
		p.Form.Set("canonicalValues", strings.Join(a.Canonical, ", "))
		for name, on := range map[string]bool{"indexed": a.Indexed, "required": a.Required, "self": a.Self} {
			if on {
				p.Form.Set(name, "on")
			}
		}
	}
	p.Form.Default("version", a.Tag())
	return pages.Write(w, r, status, "attribute", p)
}

func (c *Console) editAttribute(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var done store.SchemaChange
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		done, err = tx.ChangeAttribute(r.PathValue("urn"), r.PathValue("name"), f.Get("version"), func(a *store.Attribute) {
			a.Description, a.Required, a.Self, a.Canonical = f.Get("description"), f.Get("required") != "", f.Get("self") != "", commas(f.Get("canonicalValues"))
			if a.Uniqueness != "server" {
				a.Indexed = f.Get("indexed") != ""
			}
		})
		return err
	})
	if f.Take(err) {
		return c.showAttribute(w, r, web.Status(err), &f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, strings.Join(append([]string{web.T(r, "Saved.")}, done.Warnings...), " "))
	http.Redirect(w, r, attributePath(r, r.PathValue("urn"), r.PathValue("name")), http.StatusSeeOther)
	return nil
}

func (c *Console) deleteAttribute(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		s, a, err := defined(tx, r)
		if err != nil {
			return err
		}
		_, err = tx.DeleteAttribute(s.Resource, s.URN, a.Name, f.Get("confirm") != "")
		return err
	})
	if f.Take(err) {
		return c.showAttribute(w, r, web.Status(err), &f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "%s is deleted.", r.PathValue("name")))
	http.Redirect(w, r, base(r)+"/attributes", http.StatusSeeOther)
	return nil
}
