package review

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/pick"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes.
func (s *Service) Mount(m *web.Mux) {
	const at = "/console/{org}/reviews"
	m.Console(access.ViewUsers, "GET "+at, s.index)
	m.Console(access.EditUsers, "GET "+at+"/new", s.newForm)
	m.Console(access.EditUsers, "POST "+at, s.start)
	m.Console(access.ViewUsers, "GET "+at+"/{review}", s.show)
	m.Console(access.EditUsers, "POST "+at+"/{review}/decide", s.decide)
	m.Console(access.EditUsers, "POST "+at+"/{review}/change", s.change)
	m.Console(access.EditUsers, "GET "+at+"/{review}/finish", s.askFinish)
	m.Console(access.EditUsers, "POST "+at+"/{review}/finish", s.finish)
	m.Console(access.EditUsers, "POST "+at+"/{review}/cancel", s.cancel)
	m.Console(access.EditUsers, "POST "+at+"/{review}/stop-repeating", s.stopRepeating)
	m.Console(access.ViewUsers, "GET "+at+"/{review}/export/{file}", s.export)
	m.Member("GET /account/reviews", s.managed)
	m.Member("GET /account/reviews/{review}", s.managedOne)
	m.Member("POST /account/reviews/{review}/decide", s.managedDecide)
	s.mountAPI(m)
}

const pageSize = 50

func idIn(r *http.Request) (ID, error) {
	id, err := store.ParseID[Review](r.PathValue("review"))
	if err != nil {
		return "", fault.NotFound.Wrap(err, "There is no such review here.")
	}
	return id, nil
}

// listed is a review of a list.
type listed struct {
	Review
	Scope string
	Left  int
	Late  bool
}

type indexPage struct {
	Org          web.Org
	Rows         []listed
	Older, First string
	MayStart     bool
}

func (s *Service) index(w http.ResponseWriter, r *http.Request) error {
	p := indexPage{Org: web.OrgOf(r), MayStart: web.Actor(r).May(access.EditUsers)}
	var before ID
	if text := r.URL.Query().Get("before"); text != "" {
		id, err := store.ParseID[Review](text)
		if err != nil {
			return err
		}
		before, p.First = id, "/console/"+p.Org.Slug+"/reviews"
	}
	say := sayIn(r)
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := s.List(tx, before, pageSize+1)
		if err != nil {
			return err
		}
		if len(list) > pageSize {
			list = list[:pageSize]
			p.Older = "?before=" + string(list[pageSize-1].ID)
		}
		left, err := openRows(tx, list)
		for _, one := range list {
			p.Rows = append(p.Rows, listed{Review: one, Scope: one.scopeWords(say), Left: left[one.ID], Late: one.State == Open && one.DueAt < tx.Now()})
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "reviews", p)
}

// newPage asks what is reviewed, by whom and until when.
type newPage struct {
	Org       web.Org
	Form      web.Form
	Scopes    []optGroup
	Chosen    string
	Reviewers []web.Option
	Repeats   []web.Option
	Teams     pick.Found
}

type optGroup struct {
	Label   string
	Options []web.Option
}

func (s *Service) newForm(w http.ResponseWriter, r *http.Request) error {
	return s.showNew(w, r, http.StatusOK, web.Form{})
}

func (s *Service) showNew(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := newPage{Org: web.OrgOf(r), Form: f, Repeats: []web.Option{{Value: "0", Label: "No"}, {Value: "3", Label: "Every 3 months"}, {Value: "6", Label: "Every 6 months"}, {Value: "12", Label: "Every 12 months"}}}
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Teams, err = pick.One(tx, f, teamIn(f)...); err != nil {
			return err
		}
		if p.Scopes, err = scopeOptions(r, tx, p.Teams); err != nil {
			return err
		}
		p.Reviewers, err = reviewerOptions(tx)
		if f.Values == nil {
			p.Form.Set("due", tx.Now().Add(14*24*time.Hour).Time().In(zoneOf(r)).Format(time.DateOnly))
			p.Form.Set("reviewer", web.Actor(r).ID)
			p.Form.Set("once", string(store.NewID[Review]()))
		}
		return err
	})
	if err != nil {
		return err
	}
	p.Chosen = p.Form.Get("scope")
	return pages.Write(w, r, status, "new", p)
}

// teamIn is the team that is chosen, if one is.
func teamIn(f web.Form) (list []store.GroupID) {
	if text, ok := strings.CutPrefix(f.Get("scope"), InTeam+":"); ok {
		if id, err := store.ParseID[store.Group](text); err == nil {
			list = append(list, id)
		}
	}
	return list
}

// scopeOptions are what can be reviewed.
func scopeOptions(r *http.Request, tx *store.Tx, teams pick.Found) (groups []optGroup, err error) {
	roles, err := tx.OrgRoles()
	if err != nil {
		return nil, err
	}
	all := optGroup{Label: web.T(r, "Everybody"), Options: []web.Option{{Value: Everybody, Label: web.T(r, "Everybody")}, {Value: Admins, Label: web.T(r, "People with the role Admin")}}}
	byRole, byTeam, bySource := optGroup{Label: web.T(r, "One role")}, optGroup{Label: web.T(r, "One team")}, optGroup{Label: web.T(r, "By how they came")}
	for _, o := range roles {
		byRole.Options = append(byRole.Options, web.Option{Value: HasRole + ":" + o.ID, Label: web.T(r, o.Name)})
	}
	for _, t := range teams.Teams {
		byTeam.Options = append(byTeam.Options, web.Option{Value: InTeam + ":" + string(t.ID), Label: t.Name})
	}
	for _, from := range store.Sources() {
		bySource.Options = append(bySource.Options, web.Option{Value: CameBy + ":" + string(from), Label: web.T(r, sources[string(from)])})
	}
	groups = []optGroup{all, byRole, byTeam, bySource}
	if len(byTeam.Options) == 0 {
		groups = []optGroup{all, byRole, bySource}
	}
	return groups, nil
}

func reviewerOptions(tx *store.Tx) (list []web.Option, err error) {
	admins, err := tx.Admins()
	for _, u := range admins {
		o := web.Option{Value: string(u.ID), Label: u.DisplayName, Help: u.Email}
		if o.Label == "" {
			o.Label, o.Help = u.UserName, ""
		}
		list = append(list, o)
	}
	return list, err
}

// dueIn is the end of a day on the reader's clock.
func dueIn(r *http.Request, text string) (store.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fault.Invalid.On("due", "%.20q is not a day. Write it like 2026-01-31.", text)
	}
	return store.TimeOf(time.Date(day.Year(), day.Month(), day.Day(), 23, 59, 59, 0, zoneOf(r))), nil
}

func zoneOf(r *http.Request) *time.Location {
	if zone := web.ReaderIn(r).Zone; zone != nil {
		return zone
	}
	return time.UTC
}

func reviewersIn(f web.Form) (list []store.UserID) {
	for _, text := range f.All("reviewer") {
		id, err := store.ParseID[store.User](text)
		if err != nil {
			id = store.UserID(strings.Repeat("0", 32)) // which is nobody's, and refused as such
		}
		list = append(list, id)
	}
	return list
}

func (s *Service) start(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if pick.Finding(f) {
		return s.showNew(w, r, http.StatusOK, f)
	}
	scope, ref, _ := strings.Cut(f.Get("scope"), ":")
	in := In{Name: f.Get("name"), Scope: scope, Ref: ref, Reviewers: reviewersIn(f), Managers: f.Get("managers") != "", Once: f.Get("once")}
	if in.Months, err = strconv.Atoi(f.Get("repeat")); err != nil {
		in.Months = -1
	}
	var made Review
	if in.Due, err = dueIn(r, f.Get("due")); err == nil {
		err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			made, err = s.Start(tx, in)
			return err
		})
	}
	if f.Take(err) {
		return s.showNew(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/reviews/"+string(made.ID), http.StatusSeeOther)
	return nil
}

// viewIn is what of the rows the address asks for.
func viewIn(r *http.Request) (f Filter, after, before int, err error) {
	v := r.URL.Query()
	f.Decision, f.Role, f.Idle = v.Get("decision"), v.Get("role"), v.Get("idle") == "true"
	if _, ok := decisions[f.Decision]; !ok && f.Decision != NoDecision {
		return f, 0, 0, fault.Invalid.On("decision", "There is no decision %.40q. It is open, confirmed, removed, source or gone.", f.Decision)
	}
	if len(f.Role) > 100 {
		return f, 0, 0, fault.Invalid.On("role", "There is no role %.40q (any more). Choose another one.", f.Role)
	}
	if text := v.Get("team"); text != "" {
		if f.Team, err = store.ParseID[store.Group](text); err != nil {
			return f, 0, 0, err
		}
	}
	if text := v.Get("person"); text != "" {
		if f.Person, err = store.ParseID[store.User](text); err != nil {
			return f, 0, 0, err
		}
	}
	for name, into := range map[string]*int{"after": &after, "before": &before} {
		if text := v.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return f, 0, 0, fault.Invalid.On(name, "%.20q is no number of a row.", text)
			}
			*into = n
		}
	}
	return f, after, before, nil
}

// link is the address of these rows.
func (f Filter) link(move string, n int) string {
	v := url.Values{}
	for name, value := range map[string]string{"decision": f.Decision, "role": f.Role, "team": string(f.Team), "person": string(f.Person)} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if f.Idle {
		v.Set("idle", "true")
	}
	if move != "" {
		v.Set(move, strconv.Itoa(n))
	}
	return "?" + v.Encode()
}
