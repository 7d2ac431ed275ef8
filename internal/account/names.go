package account

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// nameExamples are people whose names show what a format does with letters.
var nameExamples = []store.Profile{
	{GivenName: "Ada", FamilyName: "Lovelace", Email: "ada@example.com"}, {GivenName: "Anna-Maria", FamilyName: "Müller", Email: "a.mueller@example.com"},
	{GivenName: "Søren", FamilyName: "Ødegård", Email: "soeren@example.com"}, {GivenName: "小龙", FamilyName: "李", Email: "li.xiaolong@example.com"},
}

// nameRow is one format with what it makes of the examples.
type nameRow struct {
	Option web.Option
	Makes  []string
}

type namesPage struct {
	Org    web.Org
	Form   web.Form
	People []string
	Rows   []nameRow
}

var nameLabels = map[store.NameFormat]string{
	store.NameEmail: "The e-mail address", store.NameFirstLast: "First name, dot, last name", store.NameFLast: "First letter and last name",
	store.NameFirstL: "First name and first letter of the last name", store.NameFirst: "First name",
}

func (a *Account) showNames(w http.ResponseWriter, r *http.Request) error {
	return a.writeNames(w, r, http.StatusOK, web.Form{})
}

func (a *Account) writeNames(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := namesPage{Org: web.OrgOf(r), Form: f}
	var now store.NameFormat
	var version int64
	err := a.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		now, version, err = tx.NameFormat()
		return err
	})
	if err != nil {
		return err
	}
	if f.Values == nil {
		p.Form.Set("format", string(now))
	}
	p.Form.Default("version", strconv.FormatInt(version, 10))
	for _, who := range nameExamples {
		p.People = append(p.People, who.FullName())
	}
	for _, format := range store.NameFormats() {
		row := nameRow{Option: web.Option{Value: string(format), Label: nameLabels[format], Chosen: p.Form.Get("format") == string(format)}}
		for _, who := range nameExamples {
			row.Makes = append(row.Makes, format.UserName(who))
		}
		p.Rows = append(p.Rows, row)
	}
	return pages.Write(w, r, status, "names", p)
}

func (a *Account) changeNames(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = a.opts.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		return tx.SetNameFormat(store.NameFormat(f.Get("format")), f.Version())
	})
	if err != nil && f.Take(err) {
		return a.writeNames(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. The format holds for people who come from now on."))
	return see(w, r, "/console/"+web.OrgOf(r).Slug+"/settings/names")
}

// namesView is what programs see, and send; version is 0 for whatever is there.
type namesView struct {
	Format  store.NameFormat `json:"format"`
	Version int64            `json:"version"`
}

func (a *Account) apiNames(w http.ResponseWriter, r *http.Request) error {
	var v namesView
	err := a.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		v.Format, v.Version, err = tx.NameFormat()
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}

func (a *Account) apiSetNames(w http.ResponseWriter, r *http.Request) error {
	var in, v namesView
	if err := web.ReadJSON(r, &in, "format"); err != nil {
		return err
	}
	if in.Version == 0 {
		in.Version = -1
	}
	err := a.opts.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if err := tx.SetNameFormat(in.Format, in.Version); err != nil {
			return err
		}
		v.Format, v.Version, err = tx.NameFormat()
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}
