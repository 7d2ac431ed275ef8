package operate

import (
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const orgsPath = "/console/-/organizations"

type orgsPage struct {
	Form        web.Form
	Rows        []Overview
	Search      string
	State       string
	Chips       []chip
	First, Next string
}

// chip is a filter that is a link.
type chip struct {
	Label, Link string
	Current     bool
}

// orgQuery reads the address of a page or of the API. Faults: Invalid on "state", "cursor".
func orgQuery(q url.Values) (out store.OrgQuery, err error) {
	out.Search = q.Get("q")
	switch q.Get("state") {
	case "", "all":
	case "suspended":
		out.Suspended = true
	default:
		return out, fault.Invalid.On("state", "state is %.40q. It can be suspended, or nothing.", q.Get("state"))
	}
	if after := q.Get("cursor"); after != "" {
		if out.After, err = store.ParseID[store.Org](after); err != nil {
			return out, fault.Invalid.On("cursor", "%.64q is no cursor of this list. Leave it out to begin anew.", after)
		}
	}
	return out, nil
}

func orgsLink(q url.Values, set ...string) string {
	v := url.Values{}
	for _, name := range []string{"q", "state"} {
		if q.Get(name) != "" {
			v.Set(name, q.Get(name))
		}
	}
	for i := 0; i < len(set); i += 2 {
		v.Set(set[i], set[i+1])
		if set[i+1] == "" {
			v.Del(set[i])
		}
	}
	if len(v) == 0 {
		return orgsPath
	}
	return orgsPath + "?" + v.Encode()
}

func (d *Door) organizations(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	p := orgsPage{Search: values.Get("q"), State: values.Get("state")}
	p.Form.Set("q", p.Search)
	p.Chips = []chip{{"All", orgsLink(values, "state", ""), p.State == ""}, {"Suspended", orgsLink(values, "state", "suspended"), p.State == "suspended"}}
	q, err := orgQuery(values)
	more := false
	if err == nil {
		p.Rows, more, err = d.Orgs(r.Context(), web.Actor(r), q)
	}
	if p.Form.Take(err) {
		return pages.Write(w, r, web.Status(err), "orgs", p)
	}
	if err != nil {
		return err
	}
	if q.After != "" {
		p.First = orgsLink(values)
	}
	if more {
		p.Next = orgsLink(values, "cursor", string(p.Rows[len(p.Rows)-1].ID))
	}
	return pages.Write(w, r, http.StatusOK, "orgs", p)
}

type newOrgPage struct{ Form web.Form }

func (d *Door) newOrg(w http.ResponseWriter, r *http.Request) error {
	return pages.Write(w, r, http.StatusOK, "neworg", newOrgPage{})
}

func (d *Door) createOrg(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	admin := Newcomer{Email: f.Get("email"), GivenName: f.Get("given_name"), FamilyName: f.Get("family_name")}
	org, err := d.Create(r.Context(), web.Actor(r), f.Get("slug"), f.Get("name"), admin)
	if f.Take(err) {
		return pages.Write(w, r, web.Status(err), "neworg", newOrgPage{Form: f})
	}
	if err != nil {
		return err
	}
	said := web.T(r, "%s is there. Bring its people in.", org.Name)
	if admin.Email != "" {
		said = web.T(r, "%s is there, and %s is invited.", org.Name, admin.Email)
	}
	web.Flash(w, said)
	http.Redirect(w, r, orgsPath+"/"+org.Slug, http.StatusSeeOther)
	return nil
}

type orgPage struct {
	Form web.Form
	Org  Overview
	Path string
}

func (d *Door) organization(w http.ResponseWriter, r *http.Request) error {
	return d.showOrg(w, r, http.StatusOK, web.Form{})
}

func (d *Door) showOrg(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	o, err := d.Org(r.Context(), web.Actor(r), r.PathValue("slug"))
	if err != nil {
		return err
	}
	if f.Get("name") == "" {
		f.Set("name", o.Name)
	}
	return pages.Write(w, r, status, "org", orgPage{Form: f, Org: o, Path: orgsPath + "/" + o.Slug})
}

// change does something to one organization and shows it again.
func (d *Door) change(w http.ResponseWriter, r *http.Request, do func(f web.Form) (store.Org, error), done func(name string) string) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	org, err := do(f)
	if f.Take(err) {
		return d.showOrg(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done(org.Name))
	http.Redirect(w, r, orgsPath+"/"+org.Slug, http.StatusSeeOther)
	return nil
}

func (d *Door) renameOrg(w http.ResponseWriter, r *http.Request) error {
	return d.change(w, r, func(f web.Form) (store.Org, error) {
		return d.Rename(r.Context(), web.Actor(r), r.PathValue("slug"), f.Get("name"))
	}, func(name string) string { return web.T(r, "The organization is called %s now.", name) })
}

func (d *Door) suspendOrg(w http.ResponseWriter, r *http.Request) error {
	return d.change(w, r, func(f web.Form) (store.Org, error) {
		return d.Suspend(r.Context(), web.Actor(r), r.PathValue("slug"), f.Get("why"))
	}, func(name string) string {
		return web.T(r, "%s is suspended: everybody is signed out, and nobody gets in.", name)
	})
}

func (d *Door) resumeOrg(w http.ResponseWriter, r *http.Request) error {
	return d.change(w, r, func(web.Form) (store.Org, error) {
		return d.Resume(r.Context(), web.Actor(r), r.PathValue("slug"))
	}, func(name string) string { return web.T(r, "%s is open again. People sign in anew.", name) })
}
