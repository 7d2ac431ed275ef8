package console

import (
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// A change of somebody's state has a page of its own, which says what will happen, asks
// why and when, and is left without anything done by going back.

// mountLife adds the routes.
func (c *Console) mountLife(m *web.Mux) {
	c.mountRecords(m)
	m.Console(access.EndUsers, "GET /console/{org}/users/{user}/deactivate", c.dialog("deactivate"))
	m.Console(access.EndUsers, "GET /console/{org}/users/{user}/reactivate", c.dialog("reactivate"))
	m.Console(access.EndUsers, "GET /console/{org}/users/{user}/delete", c.dialog("delete"))
	m.Console(access.EndUsers, "GET /console/{org}/users/{user}/restore", c.dialog("restore"))
	m.Console(access.Configure, "GET /console/{org}/users/{user}/detach", c.dialog("detach"))
	m.Console(access.EndUsers, "POST /console/{org}/users/{user}/deactivate", c.act("deactivate"))
	m.Console(access.EndUsers, "POST /console/{org}/users/{user}/reactivate", c.act("reactivate"))
	m.ConsoleFresh(access.EndUsers, "POST /console/{org}/users/{user}/delete", c.act("delete"))
	m.Console(access.EndUsers, "POST /console/{org}/users/{user}/restore", c.act("restore"))
	m.Console(access.Configure, "POST /console/{org}/users/{user}/detach", c.act("detach"))
	m.Console(access.EndUsers, "GET /console/{org}/deleted", c.deletedPeople)
	if c.opt.Life != nil {
		m.Console(access.ViewUsers, "GET /console/{org}/planned", c.planned)
		m.Console(access.EndUsers, "POST /console/{org}/planned/{plan}/cancel", c.cancelPlan)
	}
	m.Console(access.ViewUsers, "GET /console/{org}/settings/seats", c.seats)
	m.Console(access.Operate, "POST /console/{org}/settings/seats", c.setSeats)
	m.Console(access.Configure, "POST /console/{org}/settings/seats/licenses", c.setLicenses)
}

// dialogPage is one of these pages.
type dialogPage struct {
	Org        web.Org
	Form       web.Form
	User       store.User
	Kind       string
	Name       string
	Blocked    string // why it cannot be done here
	NotNow     string // why it can only be planned
	Directory  string
	Reasons    []web.Option
	Candidates []web.Option // who may take over
	Searched   bool
	CanPlan    bool
	Plans      []planRow
	Till       store.Time // of a restore
	Taken      bool       // somebody has the user name now
	Seats      string     // when they are limited
	NoSeat     string     // why there is none for this person
}

func (c *Console) dialog(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return c.showDialog(w, r, http.StatusOK, kind, web.Form{})
	}
}

func (c *Console) showDialog(w http.ResponseWriter, r *http.Request, status int, kind string, f web.Form) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	p := dialogPage{Org: web.OrgOf(r), Form: f, Kind: kind, Reasons: reasonOptions(r), CanPlan: c.opt.Life != nil && (kind == "deactivate" || kind == "reactivate")}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if p.User, err = tx.AnyUser(id); err != nil {
			return err
		}
		p.Name = fullName(p.User)
		if p.User.DirectoryID != "" {
			d, err := tx.Directory(p.User.DirectoryID)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			if p.Directory = d.Name; p.Directory == "" {
				p.Directory = web.T(r, "a directory")
			}
		}
		if p.Blocked, err = beyond(r, tx, p.User); err != nil {
			return err
		}
		if p.Blocked == "" {
			p.Blocked = blocked(r, p.User, p.Directory, kind)
		}
		p.CanPlan = p.CanPlan && p.Directory == ""
		if p.Blocked == "" {
			if err := p.keepAdmin(r, tx); err != nil {
				return err
			}
			if err := p.findSeat(r, tx); err != nil {
				return err
			}
		}
		return c.fillDialog(r, tx, &p)
	})
	if err != nil {
		return err
	}
	zone := "UTC"
	if reader := web.ReaderIn(r); reader.Zone != nil {
		zone = reader.Zone.String()
	}
	p.Form.Default("zone", zone)
	return pages.Write(w, r, status, "dialog", p)
}

func (c *Console) fillDialog(r *http.Request, tx *store.Tx, p *dialogPage) error {
	switch p.Kind {
	case "restore":
		p.Till = p.User.DeletedAt.Add(store.RestoreFor)
		free, err := tx.FreeName(p.User.UserName)
		if err != nil {
			return err
		}
		p.Taken = free != p.User.UserName
		p.Form.Default("user_name", free)
	case "deactivate", "delete":
		if err := p.findSuccessors(tx); err != nil {
			return err
		}
	}
	if c.opt.Life == nil {
		return nil
	}
	plans, err := c.opt.Life.Of(tx, p.User.ID)
	p.Plans = planRows(r, plans)
	return err
}

// keepAdmin does not offer what would take the last active admin away. There may be another
// one at a time to come.
func (p *dialogPage) keepAdmin(r *http.Request, tx *store.Tx) error {
	last, err := lastAdmin(r, tx, p.User)
	switch {
	case err != nil || last == "":
	case p.Kind == "deactivate" && p.CanPlan:
		p.NotNow = last
	case p.Kind == "deactivate" || p.Kind == "delete":
		p.Blocked = last
	case p.Kind == "detach":
		var roles map[store.UserID][]store.Grant
		if roles, err = tx.RolesOf([]store.UserID{p.User.ID}); err == nil && leavesWith(roles[p.User.ID], p.User.DirectoryID) {
			p.Blocked = last
		}
	}
	return err
}

// findSeat does not offer at once what needs a seat while none is free. There may be one at
// a time to come, and who is restored can stay deactivated.
func (p *dialogPage) findSeat(r *http.Request, tx *store.Tx) (err error) {
	if p.Kind != "restore" && p.Kind != "reactivate" {
		return nil
	}
	if p.NoSeat, err = noSeat(r, tx, p.User); err != nil {
		return err
	}
	switch {
	case p.NoSeat != "" && p.Kind == "reactivate" && p.CanPlan:
		p.NotNow = p.NoSeat
	case p.NoSeat != "" && p.Kind == "reactivate":
		p.Blocked = p.NoSeat
	case p.NoSeat == "":
		limit, used, err := tx.SeatsOf()
		if err != nil {
			return err
		}
		if limit >= 0 {
			p.Seats = web.N(r, int(limit), "%[2]d of %[1]d seat taken.", "%[2]d of %[1]d seats taken.", used)
		}
	}
	return nil
}

// noSeat says why there is no seat for somebody who has none, or nothing.
func noSeat(r *http.Request, tx *store.Tx, u store.User) (string, error) {
	free, err := tx.Vacancies()
	if err != nil {
		return "", err
	}
	refused, err := free.Give(u.ID)
	if err != nil || refused[u.ID] == nil {
		return "", err
	}
	return web.SentenceIn(r, refused[u.ID]), nil
}

// lastAdmin says why the last active admin stays one, or nothing.
func lastAdmin(r *http.Request, tx *store.Tx, u store.User) (string, error) {
	err := tx.LastAdmin(u)
	if fault.Is(err, fault.Conflict) {
		return web.SentenceIn(r, err), nil
	}
	return "", err
}

// leavesWith tells whether nothing but a directory makes somebody an admin.
func leavesWith(grants []store.Grant, directory store.DirectoryID) bool {
	return !slices.ContainsFunc(grants, func(g store.Grant) bool {
		return g.Role == access.Admin && (g.Kind != store.FromDirectory || g.Ref != string(directory))
	})
}

// blocked says why a change cannot be made here, or nothing.
func blocked(r *http.Request, u store.User, directory, kind string) string {
	is := map[string]bool{"deactivate": u.Status == store.Active || u.Status == store.Invited, "reactivate": u.Status == store.Deactivated,
		"delete": u.Status != store.Deleted, "restore": u.Status == store.Deleted, "detach": u.DirectoryID != "" && u.Status != store.Deleted}
	switch {
	case !is[kind] && kind == "detach":
		return web.T(r, "%s is not managed by a directory.", fullName(u))
	case !is[kind]:
		return web.T(r, "This does not go any more: the state of %s is “%s” now.", fullName(u), fault.Word(statusBadge(u, Invitation{}).Text))
	case kind == "reactivate" && u.DirectoryID != "" && u.EndedBy == access.Directory:
		return web.T(r, "The directory %s deactivated %s and has the last word: activate the person there, or detach the person first.", directory, fullName(u))
	}
	return ""
}

// maxSuccessors is how many of those found are offered.
const maxSuccessors = 8

// findSuccessors looks for who was typed, among active people.
func (p *dialogPage) findSuccessors(tx *store.Tx) error {
	search, chosen := web.Typed(p.Form.Get("successor")), p.Form.Get("successor_id")
	if search == "" && chosen == "" {
		return nil
	}
	seen := map[store.UserID]bool{p.User.ID: true}
	add := func(u store.User) {
		if !seen[u.ID] && u.Status == store.Active && len(p.Candidates) < maxSuccessors {
			seen[u.ID] = true
			p.Candidates = append(p.Candidates, web.Option{Value: string(u.ID), Label: fullName(u), Help: u.Email, Chosen: string(u.ID) == chosen})
		}
	}
	if id, err := store.ParseID[store.User](chosen); err == nil {
		u, err := tx.User(id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			add(u)
		}
	}
	if search == "" {
		return nil
	}
	p.Searched = true
	found, err := tx.People(store.PeopleQuery{Search: search, Status: []store.Status{store.Active}, Limit: maxSuccessors + 1})
	for _, u := range found.People {
		add(u.User)
	}
	return err
}

// act makes the change that a page asked for.
func (c *Console) act(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := pathID[store.User](r.PathValue("user"))
		if err != nil {
			return err
		}
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		if f.Get("do") == "find" {
			return c.showDialog(w, r, http.StatusOK, kind, f)
		}
		done := ""
		err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			done, err = c.change(r, tx, kind, id, f)
			return err
		})
		if f.Take(err) || refusedHere(err, &f) {
			known := []string{"why", "at", "zone", "successor", "user_name"}
			for i := range f.Errors {
				if f.Errors[i].Field == "userName" {
					f.Errors[i].Field = "user_name"
				}
				if !slices.Contains(known, f.Errors[i].Field) {
					f.Errors[i].Field = "" // about the action: there is no field to go to
				}
			}
			return c.showDialog(w, r, web.Status(err), kind, f)
		}
		if err != nil {
			return err
		}
		web.Flash(w, done)
		http.Redirect(w, r, base(r)+"/users/"+string(id), http.StatusSeeOther)
		return nil
	}
}

// change makes one change, or plans it, and says what was done.
func (c *Console) change(r *http.Request, tx *store.Tx, kind string, id store.UserID, f web.Form) (string, error) {
	if kind != "restore" {
		if _, err := present(tx, id); err != nil {
			return "", err
		}
	}
	var u store.User
	leaving, err := leavingOf(tx, id, f)
	if err != nil {
		return "", err
	}
	if f.Get("when") == "later" && c.opt.Life != nil && (kind == life.Deactivate || kind == life.Reactivate) {
		p, err := c.opt.Life.Plan(tx, life.In{User: id, Action: kind, At: f.Get("at"), Zone: f.Get("zone"), Leaving: leaving})
		return web.T(r, "Planned for %s.", localTime(r, p.DueAt, p.Zone)), err
	}
	switch kind {
	case "deactivate":
		u, err = tx.Leave(id, leaving)
		return web.T(r, "%s can no longer sign in.", fullName(u)), err
	case "reactivate":
		u, err = tx.Reactivate(id, leaving.Why)
		return web.T(r, "%s can sign in again.", fullName(u)), err
	case "delete":
		u, err = tx.DeleteWith(id, leaving)
		return web.T(r, "%s is deleted, and can be restored for 30 days.", fullName(u)), err
	case "detach":
		u, err = tx.Detach(id, leaving.Why)
		return web.T(r, "%s is managed here now.", fullName(u)), err
	}
	if u, err = tx.RestoreAs(id, f.Get("user_name"), leaving.Why); err != nil || f.Get("active") == "" {
		return web.T(r, "%s is back, deactivated.", fullName(u)), err
	}
	_, err = tx.Reactivate(id, leaving.Why)
	return web.T(r, "%s is back and can sign in again.", fullName(u)), err
}

// present is a person who is not deleted: whoever comes from a page that was there before
// is told what became of them. Faults: NotFound, Conflict.
func present(tx *store.Tx, id store.UserID) (store.User, error) {
	u, err := tx.AnyUser(id)
	if err == nil && u.Status == store.Deleted {
		err = fault.Conflict.On("status", "%s is deleted. Nothing can be changed before the person is restored.", fullName(u))
	}
	return u, err
}

// leavingOf reads why, and who takes over: the one chosen among those found, or who is
// named exactly.
func leavingOf(tx *store.Tx, id store.UserID, f web.Form) (store.Leaving, error) {
	l := store.Leaving{Reason: f.Get("reason"), Why: f.Get("why")}
	if chosen := f.Get("successor_id"); chosen != "" {
		found, err := store.ParseID[store.User](chosen)
		if err != nil {
			return l, fault.Invalid.On("successor", "Whoever takes over must be an active person of this organization. Choose somebody else, or leave it empty.")
		}
		l.Successor = found
		return l, nil
	}
	name := web.Typed(f.Get("successor"))
	if name == "" {
		return l, nil
	}
	u, err := findPerson(tx, "successor", name)
	if fault.Is(err, fault.Invalid) {
		return l, fault.Invalid.On("successor", "Choose who takes over among the people found for %q, or leave it empty.", name)
	}
	l.Successor = u.ID
	return l, err
}

func reasonOptions(r *http.Request) []web.Option {
	label := map[string]string{"left": web.T(r, "Left the organization"), "contract": web.T(r, "Contract or project has ended"), "role": web.T(r, "Does other work now"),
		"leave": web.T(r, "Is away for longer"), "unused": web.T(r, "Did not use the account"), "duplicate": web.T(r, "Has two accounts"),
		"security": web.T(r, "Security: the account may be misused"), "other": web.T(r, "Something else")}
	list := []web.Option{{Value: "", Label: web.T(r, "No reason given")}}
	for _, code := range store.Reasons() {
		list = append(list, web.Option{Value: code, Label: label[code]})
	}
	return list
}

// localTime is a moment where it was planned.
func localTime(r *http.Request, t store.Time, zone string) string {
	return web.Reader{Language: web.ReaderIn(r).Language, Zone: web.ReaderOf("", zone).Zone}.Clock(t.Time()) + " (" + zone + ")"
}
