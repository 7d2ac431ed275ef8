package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const pageSize = 50

// column is a heading that sorts.
type column struct {
	Key, Label, Link, Sorted string
	Is                       map[string]bool // the key, for the template: asking with eq in each cell took a third of the page's time
}

var sortable = []string{"name", "email", "status", "source", "signin", "created"}

func (v peopleView) column(key, label string) column {
	c := column{Key: key, Label: label, Is: map[string]bool{key: true}}
	if !slices.Contains(sortable, key) {
		return c
	}
	c.Link, c.Sorted = v.link("sort", key), "none"
	current := v.Sort
	if current == "" {
		current = "name"
	}
	switch current {
	case key:
		c.Sorted, c.Link = "ascending", v.link("sort", "-"+key)
	case "-" + key:
		c.Sorted = "descending"
	}
	return c
}

// chip is a filter that is on, with the way to take it out.
type chip struct{ Label, Value, Link string }

// userRow is a line of the list.
type userRow struct {
	ID                    store.UserID
	Name, Initials, Email string
	UserName              string
	Status                badge
	Roles                 []string
	Teams                 []string
	MoreTeams             int
	Source, Directory     string
	Department, Title     string
	Number, Phone         string
	Records               []string
	License               string
	NoFactor              bool
	Locked, Planned       bool
	SignInAt, CreatedAt   store.Time
	SignInWith            string
	Picture               string // its version; empty: there is none
	Chosen                bool
}

// usersPage is Manage users.
type usersPage struct {
	Org                                         web.Org
	Form                                        web.Form
	Hidden                                      []hidden // of the view, for the forms that do not show it
	View                                        string   // the same as one
	Statuses, Sources, Roles, Teams             []web.Option
	Directories, SignIns, Createds              []web.Option
	Licenses, Invitations, Traits               []web.Option
	Name                                        column
	Columns                                     []column
	Choice                                      []web.Option // of columns
	Chips                                       []chip
	Rows                                        []userRow
	Total                                       int
	Found, All                                  string // the same for people; All without the filters
	Filtered, Nobody                            bool
	Previous, Next, First, Export               string
	ManyTeams                                   bool         // more than the filter offers: they are looked for
	Own, Givable                                []web.Option // teams of no directory, and roles that the actor may give
	Actions                                     []actionGroup
	MayInvite, MayImport, MayConfigure, MayBulk bool
	MayEnd                                      bool
}

// keys are the columns that are shown.
func (p *usersPage) keys() (list []string) {
	for _, c := range p.Columns {
		list = append(list, c.Key)
	}
	return list
}

type hidden struct{ Name, Value string }

func hiddenOf(q url.Values) (list []hidden) {
	for name, values := range q {
		for _, v := range values {
			list = append(list, hidden{name, v})
		}
	}
	slices.SortFunc(list, func(a, b hidden) int { return strings.Compare(a.Name+"\x00"+a.Value, b.Name+"\x00"+b.Value) })
	return list
}

func (c *Console) users(w http.ResponseWriter, r *http.Request) error {
	v, err := readView(r.URL.Query())
	if err != nil {
		return err
	}
	return c.showUsers(w, r, http.StatusOK, v, web.Form{})
}

// showUsers shows the list; f is what was wrong with an action on it, and who was chosen.
func (c *Console) showUsers(w http.ResponseWriter, r *http.Request, status int, v peopleView, f web.Form) error {
	actor := web.Actor(r)
	p := usersPage{Org: web.OrgOf(r), Form: f, Filtered: v.filtered(), Hidden: hiddenOf(v.values()), View: v.values().Encode(), Export: "/console/" + web.OrgOf(r).Slug + "/users/export.csv?" + v.values().Encode(),
		Statuses: said(r, statusOptions), Sources: said(r, sourceOptions), SignIns: choices(web.T(r, "Any"), said(r, signInOptions)...), Createds: choices(web.T(r, "Any"), said(r, createdOptions)...),
		MayInvite: actor.May(access.InviteUsers), MayImport: actor.May(access.CreateUsers), MayConfigure: actor.May(access.Configure), MayEnd: actor.May(access.EndUsers)}
	for name, values := range map[string][]string{"q": {v.Search}, "status": v.Status, "source": v.Source, "directory": v.Directory, "role": {v.Role}, "team": {v.Team}, "signin": {v.SignedIn}, "created": {v.Created}, "license": {v.License}, "invitation": {v.Invitation}, "trait": v.Traits} {
		p.Form.Set(name, values...)
	}
	err := c.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) error {
		columns, err := columnsOf(tx, v)
		if err != nil {
			return err
		}
		p.Name = v.column("name", web.T(r, "Name"))
		for _, o := range said(r, columnOptions) {
			if slices.Contains(columns, o.Value) {
				p.Columns = append(p.Columns, v.column(o.Value, o.Label))
				p.Form.Set("column", append(p.Form.All("column"), o.Value)...)
			}
			p.Choice = append(p.Choice, o)
		}
		if err := c.fillUsers(tx, r, &p, v); err != nil {
			return err
		}
		p.Actions = c.actionsFor(tx, r, p)
		p.MayBulk = len(p.Actions) > 0
		return nil
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "users", p)
}

// said are options in the reader's language.
func said(r *http.Request, options []web.Option) []web.Option {
	list := slices.Clone(options)
	for i := range list {
		list[i].Label = web.T(r, list[i].Label)
	}
	return list
}

// fillUsers runs the same few queries however many people there are.
func (c *Console) fillUsers(tx *store.Tx, r *http.Request, p *usersPage, v peopleView) error {
	q, err := c.query(tx, v)
	if err != nil {
		return err
	}
	page, err := tx.People(q)
	if err != nil {
		return err
	}
	all := page.Total
	if p.Filtered {
		if all, err = tx.CountPeople(); err != nil {
			return err
		}
	}
	p.Nobody = all == 0 && page.Total == 0
	p.Total, p.Found, p.All = page.Total, web.Number(page.Total), web.Number(all)
	if page.AtLeast {
		p.Found = web.T(r, "more than %s", p.Found)
	}
	if page.Previous || v.After+v.Before != "" {
		p.First = v.link("after")
	}
	if n := len(page.People); n > 0 {
		first, err := v.place(page.People[0].User)
		if err != nil {
			return err
		}
		last, err := v.place(page.People[n-1].User)
		if err != nil {
			return err
		}
		if page.Previous {
			p.Previous = v.link("before", first)
		}
		if page.Next {
			p.Next = v.link("after", last)
		}
	}
	roles, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	if err := c.fillChoices(tx, r, p, v, roles); err != nil {
		return err
	}
	p.Rows, err = c.rows(tx, page.People, roles, p.keys())
	for i := range p.Rows {
		p.Rows[i].Chosen = slices.Contains(p.Form.All("user"), string(p.Rows[i].ID))
	}
	return err
}

// offeredTeams is how many teams a filter offers; the page must stay small.
const offeredTeams = 100

// fillChoices are the filters' options from the database, and the filters that are on.
func (c *Console) fillChoices(tx *store.Tx, r *http.Request, p *usersPage, v peopleView, roles roleLabels) error {
	names, err := directoryNames(tx)
	if err != nil {
		return err
	}
	for id, name := range names {
		p.Directories = append(p.Directories, web.Option{Value: string(id), Label: name})
	}
	slices.SortFunc(p.Directories, func(a, b web.Option) int { return strings.Compare(store.Fold(a.Label), store.Fold(b.Label)) })
	p.Directories = append(p.Directories, web.Option{Value: nobodys, Label: web.T(r, "None")})
	p.Roles = said(r, roles.options())
	for i, role := range roles {
		if tx.Exceeds(role) == nil {
			p.Givable = append(p.Givable, p.Roles[i])
		}
	}
	if v.Role != "" && !slices.ContainsFunc(p.Roles, func(o web.Option) bool { return o.Value == v.Role }) {
		return fault.Invalid.On("role", "There is no role %.40q. Choose one in the list.", v.Role)
	}
	if err := p.fillTeams(tx, v, web.Typed(r.URL.Query().Get("find_team"))); err != nil {
		return err
	}
	on := func(label, name string, chosen []string, options []web.Option) {
		for _, value := range some(chosen) {
			rest := slices.DeleteFunc(slices.Clone(chosen), func(x string) bool { return x == value })
			text := value
			for _, o := range options {
				if o.Value == value {
					text = o.Label
				}
			}
			p.Chips = append(p.Chips, chip{label, text, v.link(name, rest...)})
		}
	}
	licenses, err := tx.Licenses()
	if err != nil {
		return err
	}
	for _, l := range licenses {
		p.Licenses = append(p.Licenses, web.Option{Value: l.ID, Label: l.Name})
	}
	for _, o := range said(r, invitationOptions) {
		if c.opt.Traits["invitation-"+o.Value] != nil {
			p.Invitations = append(p.Invitations, o)
		}
	}
	for _, o := range said(r, traitOptions) {
		if c.opt.Traits[o.Value] != nil {
			p.Traits = append(p.Traits, o)
		}
	}
	on(web.T(r, "Search"), "q", []string{v.Search}, nil)
	on(web.T(r, "Status"), "status", v.Status, p.Statuses)
	on(web.T(r, "Role"), "role", []string{v.Role}, p.Roles)
	on(web.T(r, "Team"), "team", []string{v.Team}, p.Teams)
	on(web.T(r, "Source"), "source", v.Source, p.Sources)
	on(web.T(r, "Directory"), "directory", v.Directory, p.Directories)
	on(web.T(r, "Last sign-in"), "signin", []string{v.SignedIn}, p.SignIns)
	on(web.T(r, "Created"), "created", []string{v.Created}, p.Createds)
	on(web.T(r, "License"), "license", []string{v.License}, p.Licenses)
	on(web.T(r, "Invitation"), "invitation", []string{v.Invitation}, p.Invitations)
	on(web.T(r, "Only"), "trait", v.Traits, p.Traits)
	for _, list := range []*[]web.Option{&p.Roles, &p.Teams, &p.Licenses, &p.Invitations} {
		if len(*list) > 0 {
			*list = choices(web.T(r, "Any"), *list...)
		}
	}
	return nil
}

// fillTeams are the teams that the filter offers: the first ones, or those that were looked for.
func (p *usersPage) fillTeams(tx *store.Tx, v peopleView, search string) error {
	var also []store.GroupID
	for _, id := range some([]string{v.Team}) {
		also = append(also, store.GroupID(id))
	}
	p.Form.Set("find_team", search)
	if !tx.Actor().May(access.ViewGroups) {
		return nil
	}
	teams, more, err := tx.OfferGroups(store.GroupChoice{Search: search, Limit: offeredTeams, Also: also})
	if err != nil {
		return err
	}
	p.ManyTeams = more || search != ""
	for _, g := range teams {
		one := web.Option{Value: string(g.ID), Label: g.Name}
		p.Teams = append(p.Teams, one)
		if g.DirectoryID == "" {
			p.Own = append(p.Own, one)
		}
	}
	return nil
}

func (c *Console) rows(tx *store.Tx, people []store.Person, roles roleLabels, columns []string) ([]userRow, error) {
	var invited []store.UserID
	for _, u := range people {
		if u.Status == store.Invited {
			invited = append(invited, u.ID)
		}
	}
	invitations := map[store.UserID]Invitation{}
	var err error
	if c.opt.Invitations != nil && len(invited) > 0 {
		if invitations, err = c.opt.Invitations(tx, invited); err != nil {
			return nil, err
		}
	}
	directories, err := directoryNames(tx)
	if err != nil {
		return nil, err
	}
	ids := make([]store.UserID, len(people))
	for i, u := range people {
		ids[i] = u.ID
	}
	pictures, err := c.pictures(tx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]userRow, len(people))
	for i, u := range people {
		profile := u.Profile()
		rows[i] = userRow{ID: u.ID, Picture: pictures[u.ID], Name: fullName(u.User), Initials: initials(fullName(u.User)), Email: u.Email, UserName: u.UserName, Status: statusBadge(u.User, invitations[u.ID]),
			Roles: roles.ofGrants(u.Grants), Source: sourceNames[u.Source], Directory: directories[u.DirectoryID], Department: profile.Department, Title: profile.Title, Number: profile.EmployeeNumber, Phone: profile.Phone,
			SignInAt: u.LastSignInAt, SignInWith: methodName(u.LastSignInMethod), CreatedAt: u.CreatedAt}
		for _, g := range u.Groups[:min(len(u.Groups), 3)] {
			rows[i].Teams = append(rows[i].Teams, g.Name)
		}
		rows[i].MoreTeams = len(u.Groups) - len(rows[i].Teams)
	}
	return rows, c.more(tx, people, ids, rows, columns)
}

// more fills what other packages know of people, one question for each that is shown.
func (c *Console) more(tx *store.Tx, people []store.Person, ids []store.UserID, rows []userRow, columns []string) error {
	for trait, mark := range map[string]func(*userRow, bool){"locked": func(r *userRow, is bool) { r.Locked = is }, "planned": func(r *userRow, is bool) { r.Planned = is }} {
		is, err := c.having(tx, trait, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			mark(&rows[i], is[id])
		}
	}
	if slices.Contains(columns, "factor") {
		lack, err := c.having(tx, "nofactor", ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			rows[i].NoFactor = lack[id]
		}
	}
	if slices.Contains(columns, "record") {
		linked, err := records.Of(tx, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			for _, l := range linked[id] {
				rows[i].Records = append(rows[i].Records, l.Name)
			}
		}
	}
	if slices.Contains(columns, "license") {
		licenses, err := tx.Licenses()
		if err != nil {
			return err
		}
		for i, u := range people {
			if l, ok := store.LicenseOf(licenses, u.Status, store.RoleNames(u.Grants)); ok {
				rows[i].License = l.Name
			}
		}
	}
	return nil
}

// having are those of some people who have a trait.
func (c *Console) having(tx *store.Tx, trait string, ids []store.UserID) (map[store.UserID]bool, error) {
	if c.opt.Traits[trait] == nil || len(ids) == 0 {
		return nil, nil
	}
	var all map[store.UserID]bool
	for _, set := range c.opt.Traits[trait](tx) {
		is, err := tx.WhoIs(set, ids)
		if err != nil {
			return nil, err
		}
		for id := range is {
			is[id] = is[id] && (all == nil || all[id])
		}
		all = is
	}
	return all, nil
}

// pictures are the versions of these people's pictures.
func (c *Console) pictures(tx *store.Tx, ids []store.UserID) (map[store.UserID]string, error) {
	if c.opt.Pictures == nil {
		return nil, nil
	}
	return c.opt.Pictures(tx, ids)
}

// columnsOf are the columns that the URL asks for, else those that the reader has chosen.
func columnsOf(tx *store.Tx, v peopleView) ([]string, error) {
	if v.Columns != nil {
		return v.Columns, nil
	}
	columns := slices.Clone(firstColumns) // what is read goes into it
	actor := tx.Actor()
	if actor.Kind != access.Person {
		return columns, nil
	}
	p, err := tx.Preferences(store.UserID(actor.ID))
	if err != nil {
		return columns, err
	}
	return columns, p.Get("user_columns", &columns)
}

// keepColumns remembers the columns that somebody chose. An operator of another
// organization has no preferences here: the columns are in the address then.
func (c *Console) keepColumns(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	v, err := readView(url.Values(f.Values))
	if err != nil {
		return err
	}
	v.Columns = nil
	chosen := slices.DeleteFunc(append([]string{}, some(f.All("column"))...), func(key string) bool {
		return !slices.ContainsFunc(columnOptions, func(o web.Option) bool { return o.Value == key })
	})
	actor := web.Actor(r)
	err = c.opt.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		return tx.SetPreferences(store.UserID(actor.ID), func(p *store.Preferences) error { return p.Put("user_columns", chosen) })
	})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		v.Columns, err = chosen, nil
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, base(r)+"/users?"+v.values().Encode(), http.StatusSeeOther)
	return nil
}
