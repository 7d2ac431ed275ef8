package invite

import (
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountMany(m *web.Mux) {
	m.Console(access.InviteUsers, "GET /console/{org}/invite/many", d.manyForm)
	m.Console(access.InviteUsers, "POST /console/{org}/invite/many", d.manyCheck)
	m.Console(access.InviteUsers, "GET /console/{org}/invite/many/{list}", d.manyShow)
	m.Console(access.InviteUsers, "POST /console/{org}/invite/many/{list}", d.manyConfirm)
	m.API(access.InviteUsers, "POST /api/v1/invitation-lists", d.apiManyCheck)
	m.API(access.InviteUsers, "GET /api/v1/invitation-lists/{list}", d.apiManyShow)
	m.API(access.InviteUsers, "POST /api/v1/invitation-lists/{list}/confirm", d.apiManyConfirm)
}

// manyBody is enough for the longest list.
const manyBody = 512 << 10

type manyPage struct {
	Form         web.Form
	Org          web.Org
	Roles, Teams []web.Option
}

func (d *Door) showMany(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := manyPage{Form: f, Org: web.OrgOf(r)}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Roles, err = roleOptions(tx); err != nil {
			return err
		}
		p.Teams, err = teamOptions(tx)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "many", p)
}

// manyForm is empty, or filled with a list that was checked before, to be corrected.
func (d *Door) manyForm(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	usual, err := d.usualRole(r)
	if err != nil {
		return err
	}
	f.Set("role", usual)
	if text := r.URL.Query().Get("from"); text != "" {
		id, err := store.ParseID[ManyList](text)
		if err != nil {
			return err
		}
		l, err := d.Many(r.Context(), web.Actor(r), id)
		if err != nil {
			return err
		}
		var lines []string
		for _, row := range l.Rows {
			if row.State != RowDone {
				lines = append(lines, row.Typed)
			}
		}
		f.Set("addresses", strings.Join(lines, "\n"))
		f.Set("role", l.Roles...)
		f.Set("note", l.Note)
		var teams []string
		for _, t := range l.Teams {
			teams = append(teams, string(t))
		}
		f.Set("teams", teams...)
	}
	return d.showMany(w, r, http.StatusOK, f)
}

func (d *Door) manyCheck(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, manyBody)
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := ManyIn{Addresses: f.Get("addresses"), Roles: f.All("role"), Note: f.Get("note"), Save: f.Get("save") != ""}
	for _, text := range f.All("teams") {
		id, err := store.ParseID[store.Group](text)
		if err != nil {
			f.Fail("teams", web.T(r, "One of the teams does not exist any more. Load the page again and choose once more."))
			return d.showMany(w, r, http.StatusBadRequest, f)
		}
		in.Teams = append(in.Teams, id)
	}
	var l ManyList
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) { l, err = d.CheckMany(tx, in); return err })
	if f.Take(err) {
		return d.showMany(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/invite/many/"+string(l.ID), http.StatusSeeOther)
	return nil
}

type manyResult struct {
	Org      web.Org
	List     ManyList
	Verdicts map[Verdict]web.Option // class and word
	Begun    bool
}

// verdicts are a class of the style sheet and a word for each.
func verdicts(r *http.Request) map[Verdict]web.Option {
	return map[Verdict]web.Option{
		VerdictFine: {Value: "good", Label: web.T(r, "Can be invited")}, VerdictSSO: {Value: "good", Label: web.T(r, "Can be invited")}, VerdictBad: {Value: "bad", Label: web.T(r, "No address")},
		VerdictDuplicate: {Value: "grey", Label: web.T(r, "Twice in the list")}, VerdictPending: {Value: "info", Label: web.T(r, "Invited already")}, VerdictExists: {Value: "info", Label: web.T(r, "Here already")},
		VerdictManaged: {Value: "info", Label: web.T(r, "Here, by a directory")}, VerdictSeats: {Value: "warn", Label: web.T(r, "No seat")},
	}
}

func (d *Door) manyShow(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[ManyList](r.PathValue("list"))
	if err != nil {
		return err
	}
	l, err := d.Many(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	p := manyResult{Org: web.OrgOf(r), List: l, Verdicts: verdicts(r), Begun: l.Done() > 0 || l.count(RowFailed) > 0}
	return pages.Write(w, r, http.StatusOK, "list", p)
}

// manyConfirm invites; the result is behind the redirect, and survives a reload.
func (d *Door) manyConfirm(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[ManyList](r.PathValue("list"))
	if err != nil {
		return err
	}
	if asked, err := d.beforeAdmins(w, r, id); asked || err != nil {
		return err
	}
	if _, err := d.ConfirmMany(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/invite/many/"+string(id), http.StatusSeeOther)
	return nil
}

// beforeAdmins asks for a fresh sign-in, and whether it is meant, when a list makes admins.
func (d *Door) beforeAdmins(w http.ResponseWriter, r *http.Request, id ListID) (asked bool, err error) {
	l, err := d.Many(r.Context(), web.Actor(r), id)
	if err != nil || !slices.Contains(l.Roles, access.Admin) {
		return false, err
	}
	return web.SureAdmin(w, r, web.T(r, "everybody in this list"))
}

// manyView is a list as programs see it.
type manyView struct {
	ID      ListID    `json:"id"`
	Waiting int       `json:"waiting"`
	Invited int       `json:"invited"`
	Left    int       `json:"left"`
	Rows    []ManyRow `json:"rows"`
}

func (l ManyList) view() manyView { return manyView{l.ID, l.Good(), l.Done(), l.Bad(), l.Rows} }

func (d *Door) apiManyCheck(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, manyBody)
	var in struct {
		Addresses string          `json:"addresses"`
		Roles     []string        `json:"roles"`
		Teams     []store.GroupID `json:"teams"`
		Note      string          `json:"note"`
		Send      *bool           `json:"send"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	var l ManyList
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		l, err = d.CheckMany(tx, ManyIn{Addresses: in.Addresses, Roles: in.Roles, Teams: in.Teams, Note: in.Note, Save: in.Send != nil && !*in.Send})
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, l.view())
}

// apiList is the list that the path names.
func apiListID(r *http.Request) (ListID, error) {
	id, err := store.ParseID[ManyList](r.PathValue("list"))
	return id, on(err, fault.NotFound, fault.NotFound, "", "There is no such list of addresses any more.")
}

func (d *Door) apiManyShow(w http.ResponseWriter, r *http.Request) error {
	id, err := apiListID(r)
	if err != nil {
		return err
	}
	l, err := d.Many(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, l.view())
}

func (d *Door) apiManyConfirm(w http.ResponseWriter, r *http.Request) error {
	id, err := apiListID(r)
	if err != nil {
		return err
	}
	if asked, err := d.beforeAdmins(w, r, id); asked || err != nil {
		return err
	}
	l, err := d.ConfirmMany(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, l.view())
}
