package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const pageSize = 50

// peopleView is a view of the list. It stands in the URL, so it can be shared, and the
// same view chooses people for a job.
type peopleView struct {
	Search, Role, Team, SignedIn, Created, Sort string
	Status, Source, Directory                   []string
	Columns                                     []string // nil: as the reader has chosen
	After, Before                               string
}

// nobodys stands for the directory of those whom none manages.
const nobodys = "none"

var (
	statusOptions = []web.Option{{Value: "invited", Label: "Invited"}, {Value: "active", Label: "Active"}, {Value: "deactivated", Label: "Deactivated"}, {Value: "deleted", Label: "Deleted"}}
	sourceOptions = []web.Option{{Value: "scim", Label: "SCIM"}, {Value: "jit", Label: "JIT (first sign-in)"}, {Value: "invite", Label: "Invite"}, {Value: "csv", Label: "CSV"}, {Value: "api", Label: "API"}}
	signInOptions = []web.Option{{Value: "1d", Label: "In the last day"}, {Value: "7d", Label: "In the last 7 days"}, {Value: "30d", Label: "In the last 30 days"}, {Value: "90d", Label: "In the last 90 days"},
		{Value: "not30d", Label: "Not for 30 days"}, {Value: "not90d", Label: "Not for 90 days"}, {Value: "never", Label: "Never"}}
	createdOptions = []web.Option{{Value: "1d", Label: "In the last day"}, {Value: "7d", Label: "In the last 7 days"}, {Value: "30d", Label: "In the last 30 days"}, {Value: "90d", Label: "In the last 90 days"}, {Value: "not365d", Label: "More than a year ago"}}
	columnOptions  = []web.Option{{Value: "email", Label: "E-mail"}, {Value: "status", Label: "Status"}, {Value: "role", Label: "Role"}, {Value: "teams", Label: "Teams"}, {Value: "source", Label: "Source"},
		{Value: "directory", Label: "Directory"}, {Value: "signin", Label: "Last sign-in"}, {Value: "created", Label: "Created"}, {Value: "username", Label: "User name"}, {Value: "department", Label: "Department"}, {Value: "title", Label: "Title"}}
	firstColumns = []string{"email", "status", "role", "teams", "source", "signin", "created"}
)

var spans = map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "365d": 365 * 24 * time.Hour}

// readView reads a view; what a list does not know is refused: it must not silently show
// something else than it says. Faults: Invalid.
func readView(q url.Values) (peopleView, error) {
	v := peopleView{Search: typed(q.Get("q")), Role: typed(q.Get("role")), Team: q.Get("team"), SignedIn: q.Get("signin"), Created: q.Get("created"), Sort: typed(q.Get("sort")),
		Status: some(q["status"]), Source: some(q["source"]), Directory: some(q["directory"]), After: q.Get("after"), Before: q.Get("before")}
	if q.Has("columns") {
		v.Columns = some(strings.Split(q.Get("columns"), ","))
		if v.Columns == nil {
			v.Columns = []string{}
		}
	}
	for _, f := range []struct {
		name   string
		values []string
		known  []web.Option
	}{{"status", v.Status, statusOptions}, {"source", v.Source, sourceOptions}, {"signin", some([]string{v.SignedIn}), signInOptions}, {"created", some([]string{v.Created}), createdOptions}, {"columns", v.Columns, columnOptions}} {
		for _, value := range f.values {
			if !slices.ContainsFunc(f.known, func(o web.Option) bool { return o.Value == value }) {
				return v, fault.Invalid.On(f.name, "There is no %s %.40q. Choose one in the list.", f.name, value)
			}
		}
	}
	for _, id := range append(some([]string{v.Team}), v.Directory...) {
		if _, err := store.ParseID[store.Group](id); err != nil && id != nobodys {
			return v, err
		}
	}
	err := store.CheckPeopleSort(v.Sort)
	if err == nil {
		_, err = v.query(0)
	}
	return v, err
}

// some drops what is empty, and the second of two that are equal.
func some(values []string) (list []string) {
	for _, v := range values {
		if v = typed(v); v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// filtered tells whether the view leaves anybody out.
func (v peopleView) filtered() bool {
	return v.Search+v.Role+v.Team+v.SignedIn+v.Created != "" || len(v.Status)+len(v.Source)+len(v.Directory) > 0
}

// query is the view as store wants it. Faults: Invalid (a place that is none).
func (v peopleView) query(now store.Time) (store.PeopleQuery, error) {
	q := store.PeopleQuery{Search: v.Search, Role: v.Role, Team: store.GroupID(v.Team), Sort: v.Sort, Limit: pageSize, Never: v.SignedIn == "never"}
	for _, s := range v.Status {
		q.Status = append(q.Status, store.Status(s))
	}
	for _, s := range v.Source {
		q.Source = append(q.Source, store.Source(s))
	}
	for _, d := range v.Directory {
		q.Directory = append(q.Directory, store.DirectoryID(strings.TrimPrefix(d, nobodys)))
	}
	q.SignedIn, q.Created = spanOf(v.SignedIn, now), spanOf(v.Created, now)
	if q.SignedIn.Until != 0 {
		q.SignedIn.From = 1 // whoever never signed in is asked for by a word of its own
	}
	for text, into := range map[string]*store.Standing{v.After: &q.After, v.Before: &q.Before} {
		if text == "" {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err == nil {
			_, err = store.ParseID[store.User](string(into.ID))
		}
		if err != nil || strings.ContainsRune(into.Text, 0) {
			return q, fault.Invalid.On("after", "The address names no place in the list. Open the first page and go on from there.")
		}
	}
	return q, nil
}

func spanOf(word string, now store.Time) (s store.Span) {
	if long, not := strings.CutPrefix(word, "not"); not && spans[long] > 0 {
		s.Until = now.Add(-spans[long])
	} else if spans[word] > 0 {
		s.From = now.Add(-spans[word])
	}
	return s
}

// values is the view in a URL, without the place.
func (v peopleView) values() url.Values {
	q := url.Values{}
	for name, list := range map[string][]string{"q": {v.Search}, "status": v.Status, "source": v.Source, "directory": v.Directory, "role": {v.Role}, "team": {v.Team},
		"signin": {v.SignedIn}, "created": {v.Created}, "sort": {v.Sort}} {
		if list = some(list); len(list) > 0 {
			q[name] = list
		}
	}
	if v.Columns != nil {
		q.Set("columns", strings.Join(v.Columns, ","))
	}
	return q
}

// link is the view with one thing set, or taken out.
func (v peopleView) link(name string, values ...string) string {
	q := v.values()
	q.Del(name)
	for _, value := range some(values) {
		q.Add(name, value)
	}
	return "?" + q.Encode()
}

// place is where a person stands, for a URL.
func (v peopleView) place(u store.User) (string, error) {
	at, err := store.StandingOf(u, v.Sort)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(raw), err
}

// column is a heading that sorts.
type column struct{ Key, Label, Link, Sorted string }

var sortable = []string{"name", "email", "status", "source", "signin", "created"}

func (v peopleView) column(key, label string) column {
	c := column{Key: key, Label: label}
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
	Name                                        column
	Columns                                     []column
	Choice                                      []web.Option // of columns
	Chips                                       []chip
	Rows                                        []userRow
	Found, All                                  string
	Filtered, Nobody                            bool
	Previous, Next, First, Export               string
	Actions                                     []actionGroup
	MayInvite, MayImport, MayConfigure, MayBulk bool
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
		MayInvite: actor.May(access.InviteUsers), MayImport: actor.May(access.CreateUsers), MayConfigure: actor.May(access.Configure)}
	for name, values := range map[string][]string{"q": {v.Search}, "status": v.Status, "source": v.Source, "directory": v.Directory, "role": {v.Role}, "team": {v.Team}, "signin": {v.SignedIn}, "created": {v.Created}} {
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
		p.Actions = c.actionsFor(tx, r, p.Teams, p.Roles)
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
	q, err := v.query(tx.Now())
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
	p.Found, p.All = web.Number(page.Total), web.Number(all)
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
	p.Rows, err = c.rows(tx, page.People, roles)
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
	if v.Role != "" && !slices.ContainsFunc(p.Roles, func(o web.Option) bool { return o.Value == v.Role }) {
		return fault.Invalid.On("role", "There is no role %.40q. Choose one in the list.", v.Role)
	}
	teams, err := tx.FirstGroups(offeredTeams, store.GroupID(v.Team))
	if err != nil {
		return err
	}
	for _, g := range teams {
		p.Teams = append(p.Teams, web.Option{Value: string(g.ID), Label: g.Name})
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
	on(web.T(r, "Search"), "q", []string{v.Search}, nil)
	on(web.T(r, "Status"), "status", v.Status, p.Statuses)
	on(web.T(r, "Role"), "role", []string{v.Role}, p.Roles)
	on(web.T(r, "Team"), "team", []string{v.Team}, p.Teams)
	on(web.T(r, "Source"), "source", v.Source, p.Sources)
	on(web.T(r, "Directory"), "directory", v.Directory, p.Directories)
	on(web.T(r, "Last sign-in"), "signin", []string{v.SignedIn}, p.SignIns)
	on(web.T(r, "Created"), "created", []string{v.Created}, p.Createds)
	p.Roles, p.Teams = choices(web.T(r, "Any"), p.Roles...), choices(web.T(r, "Any"), p.Teams...)
	return nil
}

func (c *Console) rows(tx *store.Tx, people []store.Person, roles roleLabels) ([]userRow, error) {
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
			Roles: roles.ofGrants(u.Grants), Source: sourceNames[u.Source], Directory: directories[u.DirectoryID], Department: profile.Department, Title: profile.Title,
			SignInAt: u.LastSignInAt, SignInWith: methodName(u.LastSignInMethod), CreatedAt: u.CreatedAt}
		for _, g := range u.Groups[:min(len(u.Groups), 3)] {
			rows[i].Teams = append(rows[i].Teams, g.Name)
		}
		rows[i].MoreTeams = len(u.Groups) - len(rows[i].Teams)
	}
	return rows, nil
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
