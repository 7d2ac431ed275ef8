package console

import (
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (c *Console) mountRecords(m *web.Mux) {
	m.Console(access.ViewUsers, "GET /console/{org}/records", c.records)
	m.Console(access.EditUsers, "GET /console/{org}/users/{user}/records", c.chooseRecord)
	m.Console(access.EditUsers, "POST /console/{org}/users/{user}/records/link", c.linkRecord)
	m.Console(access.EditUsers, "POST /console/{org}/users/{user}/records/unlink", c.unlinkRecord)
}

// recordsPage lists the records of applications; for a person, those to choose from.
type recordsPage struct {
	Org       web.Org
	Form      web.Form
	User      store.UserID // empty: the list of all
	Name      string
	Linked    []records.Linked
	Rows      []records.Record
	Kinds     []web.Option
	Next      string
	MayInvite bool
}

func (c *Console) records(w http.ResponseWriter, r *http.Request) error {
	return c.showRecords(w, r, http.StatusOK, "", web.Form{})
}

func (c *Console) chooseRecord(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	return c.showRecords(w, r, http.StatusOK, id, web.Form{})
}

func (c *Console) showRecords(w http.ResponseWriter, r *http.Request, status int, user store.UserID, f web.Form) error {
	q := r.URL.Query()
	search, kind := web.Typed(q.Get("q")), web.Typed(q.Get("kind"))
	p := recordsPage{Org: web.OrgOf(r), Form: f, User: user, Kinds: choices(web.T(r, "Any kind")), MayInvite: web.Actor(r).May(access.InviteUsers)}
	p.Form.Set("q", search)
	p.Form.Set("kind", kind)
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if user != "" {
			u, err := present(tx, user)
			if err != nil {
				return err
			}
			of, err := records.Of(tx, []store.UserID{user})
			if err != nil {
				return err
			}
			p.Name, p.Linked = fullName(u), of[user]
		}
		page, err := records.List(tx, records.Query{Kind: kind, Search: search, Free: user != "", After: q.Get("after")})
		if err != nil {
			return err
		}
		p.Rows = page.Records
		if page.Next != "" {
			p.Next = "?" + url.Values{"q": {search}, "kind": {kind}, "after": {page.Next}}.Encode()
		}
		kinds, err := records.KindsIn(tx)
		for _, k := range kinds {
			p.Kinds = append(p.Kinds, web.Option{Value: k, Label: k})
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "records", p)
}

func (c *Console) linkRecord(w http.ResponseWriter, r *http.Request) error {
	return c.changeLink(w, r, "Linked.", func(tx *store.Tx, id store.UserID, f web.Form) error {
		ref, err := records.ParseRef(f.Get("record"))
		if err != nil {
			return err
		}
		return records.Link(tx, id, ref)
	})
}

func (c *Console) unlinkRecord(w http.ResponseWriter, r *http.Request) error {
	return c.changeLink(w, r, "Unlinked.", func(tx *store.Tx, id store.UserID, f web.Form) error { return records.Unlink(tx, id, f.Get("kind")) })
}

func (c *Console) changeLink(w http.ResponseWriter, r *http.Request, done string, change func(*store.Tx, store.UserID, web.Form) error) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := present(tx, id); err != nil {
			return err
		}
		return change(tx, id, f)
	})
	if fault.Is(err, fault.NotFound) && fault.Field(err) == "record" { // the application has deleted it meanwhile
		f.FailWith("", err)
		return c.showRecords(w, r, http.StatusConflict, id, f)
	}
	if f.Take(err) {
		for i := range f.Errors {
			f.Errors[i].Field = "" // about the action: there is no field to go to
		}
		return c.showRecords(w, r, web.Status(err), id, f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, done))
	http.Redirect(w, r, base(r)+"/users/"+string(id), http.StatusSeeOther)
	return nil
}
