package invite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/pick"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountMany(m *web.Mux) {
	m.Console(access.InviteUsers, "GET /console/{org}/invite/many", d.manyForm)
	m.Console(access.InviteUsers, "POST /console/{org}/invite/many", d.manyCheck)
	m.Console(access.InviteUsers, "GET /console/{org}/invite/many/{list}", d.manyShow)
	m.Console(access.InviteUsers, "POST /console/{org}/invite/many/{list}", d.manyConfirm)
	m.API(access.InviteUsers, "POST /api/v1/invitation-lists", d.apiManyCheck)                  // Check a list of addresses before inviting them. Nobody is invited yet; up to 5,000 addresses
	m.API(access.InviteUsers, "GET /api/v1/invitation-lists/{list}", d.apiManyShow)             // Get a list of addresses to invite
	m.API(access.InviteUsers, "POST /api/v1/invitation-lists/{list}/confirm", d.apiManyConfirm) // Invite those who wait on a list. More than 50 are a job and answer 202
}

// manyBody is enough for the longest list.
const manyBody = 4 << 20

type manyPage struct {
	Form  web.Form
	Org   web.Org
	Roles []web.Option
	Teams web.Finder
	Own   [][]web.Field // the organization's own attributes that all can have
}

func (d *Door) showMany(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := manyPage{Form: f, Org: web.OrgOf(r)}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Roles, err = roleOptions(tx); err != nil {
			return err
		}
		if p.Teams, err = pick.Teams(tx, f, web.T(r, "Teams of all of them")); err != nil {
			return err
		}
		defs, err := tx.Definitions()
		if err != nil {
			return err
		}
		same := slices.DeleteFunc(extra.ForOthers(extra.Of(defs)), func(x extra.Field) bool { return x.Uniqueness == "server" })
		p.Own = extra.Rows(f, same, true)
		return nil
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
		var l ManyList
		var lines []string
		err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			if l, err = headOf(tx, id, ""); err != nil {
				return noList(err)
			}
			lines, err = notInvited(tx, id)
			return err
		})
		if err != nil {
			return err
		}
		f.Set("addresses", strings.Join(lines, "\n"))
		f.Set("role", l.Roles...)
		f.Set("note", l.Note)
		for name, text := range l.Own {
			f.Set(name, text)
		}
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
	if pick.Finding(f) {
		return d.showMany(w, r, http.StatusOK, f)
	}
	in := ManyIn{Addresses: f.Get("addresses"), Roles: f.All("role"), Own: ownIn(f), Note: f.Get("note"), Save: f.Get("save") != ""}
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
	Org   web.Org
	List  ManyList
	Rows  []manyShown
	Query RowQuery
	At    string // this page
}

// manyShown is a row as people see it.
type manyShown struct {
	ManyRow
	Badge web.Option // class and word
	Words string     // why
}

// badges are a class of the style sheet and a word for each verdict and, once it was
// tried, for what became of it.
func badges(r *http.Request) (map[Verdict]web.Option, map[RowState]web.Option) {
	return map[Verdict]web.Option{
			VerdictFine: {Value: "good", Label: web.T(r, "Can be invited")}, VerdictSSO: {Value: "good", Label: web.T(r, "Can be invited")}, VerdictBad: {Value: "bad", Label: web.T(r, "No address")},
			VerdictDuplicate: {Value: "grey", Label: web.T(r, "Twice in the list")}, VerdictPending: {Value: "info", Label: web.T(r, "Invited already")}, VerdictExists: {Value: "info", Label: web.T(r, "Here already")},
			VerdictManaged: {Value: "info", Label: web.T(r, "Here, by a directory")}, VerdictSeats: {Value: "warn", Label: web.T(r, "No seat")},
		}, map[RowState]web.Option{
			RowDone: {Value: "good", Label: web.T(r, "Invited")}, RowFailed: {Value: "bad", Label: web.T(r, "Not invited")}, RowUndone: {Value: "grey", Label: web.T(r, "Taken back")},
		}
}

// rowsShown are rows in the reader's language.
func rowsShown(r *http.Request, rows []ManyRow) []manyShown {
	found, became := badges(r)
	say := func(sentence string, args ...any) string { return web.T(r, sentence, args...) }
	list := make([]manyShown, len(rows))
	for i, row := range rows {
		list[i] = manyShown{row, found[row.Verdict], row.Why.In(say)}
		if b, ok := became[row.State]; ok {
			list[i].Badge = b
		}
		if one := readOne(row.Typed); row.Verdict == VerdictBad && one.Wrong != nil {
			list[i].Words = web.SentenceIn(r, one.Wrong)
		}
	}
	return list
}

// readRowQuery takes the page of a list out of the address. Faults: Invalid.
func readRowQuery(r *http.Request) (q RowQuery, err error) {
	v := r.URL.Query()
	q.Left = v.Get("show") == "left"
	for name, into := range map[string]*int{"after": &q.After, "limit": &q.Limit} {
		if text := v.Get(name); text != "" {
			if *into, err = strconv.Atoi(text); err != nil || *into < 1 || *into > maxMany || name == "limit" && *into > maxRows {
				return q, fault.Invalid.On(name, "%s is %.20q; it can be 1 to %d.", name, text, map[string]int{"after": maxMany, "limit": maxRows}[name])
			}
		}
	}
	return q, nil
}

func (d *Door) manyShow(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[ManyList](r.PathValue("list"))
	if err != nil {
		return err
	}
	q, err := readRowQuery(r)
	if err != nil {
		return err
	}
	q.Limit = 200
	l, err := d.Many(r.Context(), web.Actor(r), id, q)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "list", manyResult{Org: web.OrgOf(r), List: l, Rows: rowsShown(r, l.Rows), Query: q, At: manyPath(r, id)})
}

func manyPath(r *http.Request, id ListID) string {
	return "/console/" + web.OrgOf(r).Slug + "/invite/many/" + string(id)
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
	l, err := d.ConfirmMany(r.Context(), web.Actor(r), id)
	if fault.Is(err, fault.TooMany) { // jobs of the organization
		web.Flash(w, web.SentenceIn(r, err))
	} else if err != nil {
		return err
	}
	to := manyPath(r, id)
	if l.Running {
		to = "/console/" + web.OrgOf(r).Slug + "/jobs/" + string(l.Job)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// beforeAdmins asks for a fresh sign-in, and whether it is meant, when a list makes admins.
func (d *Door) beforeAdmins(w http.ResponseWriter, r *http.Request, id ListID) (asked bool, err error) {
	var l ManyList
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) { l, err = headOf(tx, id, ""); return noList(err) })
	if err != nil || !slices.Contains(l.Roles, access.Admin) {
		return false, err
	}
	return web.SureAdmin(w, r, web.T(r, "everybody in this list"))
}

// ManyView is a list as programs see it.
type ManyView struct {
	ID      ListID    `json:"id"`
	Waiting int       `json:"waiting"`
	Invited int       `json:"invited"`
	Left    int       `json:"left"`
	Undone  int       `json:"undone"`
	Job     jobs.ID   `json:"job,omitempty"`
	Running bool      `json:"running"`
	Rows    []RowView `json:"rows"`
	Next    int       `json:"next,omitempty"` // ?after=
}

// RowView is an address of a list as programs see it.
type RowView struct {
	Line       int          `json:"line"`
	Typed      string       `json:"typed"`
	GivenName  string       `json:"given_name"`
	FamilyName string       `json:"family_name"`
	Email      string       `json:"email"`
	Verdict    Verdict      `json:"verdict"`
	Why        string       `json:"why"`
	State      RowState     `json:"state"`
	UserID     store.UserID `json:"user_id,omitempty"`
}

// View of a list.
func (l ManyList) View() ManyView {
	v := ManyView{l.ID, l.Good(), l.Done(), l.Bad(), l.Undone(), l.Job, l.Running, make([]RowView, len(l.Rows)), l.Next}
	for i, r := range l.Rows {
		v.Rows[i] = RowView{r.Line, r.Typed, r.GivenName, r.FamilyName, r.Email, r.Verdict, r.Why.In(fmt.Sprintf), r.State, r.UserID}
	}
	return v
}

func (d *Door) apiManyCheck(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, manyBody)
	var in struct {
		Addresses string          `json:"addresses"`
		Roles     []string        `json:"roles"`
		Teams     []store.GroupID `json:"teams"`
		Note      string          `json:"note"`
		Send      *bool           `json:"send"`

		Attributes map[string]json.RawMessage `json:"attributes"`
	}
	if err := web.ReadJSON(r, &in, "addresses"); err != nil {
		return err
	}
	own, err := extra.Texts(in.Attributes)
	if err != nil {
		return err
	}
	var l ManyList
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		l, err = d.CheckMany(tx, ManyIn{Addresses: in.Addresses, Roles: in.Roles, Teams: in.Teams, Own: own, Note: in.Note, Save: in.Send != nil && !*in.Send})
		return err
	})
	if err != nil {
		return err
	}
	if l, err = d.Many(r.Context(), web.Actor(r), l.ID, RowQuery{}); err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, l.View())
}

// apiListID is the list that the path names.
func apiListID(r *http.Request) (ListID, error) {
	id, err := store.ParseID[ManyList](r.PathValue("list"))
	return id, noList(err)
}

func (d *Door) apiManyShow(w http.ResponseWriter, r *http.Request) error {
	id, err := apiListID(r)
	if err != nil {
		return err
	}
	q, err := readRowQuery(r)
	if err != nil {
		return err
	}
	l, err := d.Many(r.Context(), web.Actor(r), id, q)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, l.View())
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
	status := http.StatusOK
	if l.Running {
		status = http.StatusAccepted
	}
	return web.JSON(w, status, l.View())
}
