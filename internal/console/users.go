package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const pageSize = 50

// listQuery is a view of the list; it stands in the URL, so it can be shared.
type listQuery struct {
	Search, Status, Source, Role, Sort string
	Page                               int // from 1
}

var (
	statusOptions = []web.Option{{Value: "invited", Label: "Invited"}, {Value: "active", Label: "Active"}, {Value: "deactivated", Label: "Deactivated"}, {Value: "deleted", Label: "Deleted"}}
	sourceOptions = []web.Option{{Value: "scim", Label: "SCIM"}, {Value: "jit", Label: "JIT (first sign-in)"}, {Value: "invite", Label: "Invite"}, {Value: "csv", Label: "CSV"}, {Value: "api", Label: "API"}}
)

// readListQuery refuses what the list does not know: a view must not silently
// show something else than it says. Faults: Invalid.
func readListQuery(r *http.Request) (listQuery, error) {
	q := r.URL.Query()
	l := listQuery{Search: typed(q.Get("q")), Status: q.Get("status"), Source: q.Get("source"), Role: q.Get("role"), Sort: q.Get("sort"), Page: 1}
	for _, f := range []struct {
		name, value string
		known       []web.Option
	}{{"status", l.Status, statusOptions}, {"source", l.Source, sourceOptions}} {
		ok := f.value == ""
		for _, o := range f.known {
			ok = ok || o.Value == f.value
		}
		if !ok {
			return l, fault.Invalid.On(f.name, "There is no %s %.40q. Choose one in the list.", f.name, f.value)
		}
	}
	if p := q.Get("page"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 1_000_000 {
			return l, fault.Invalid.On("page", "There is no page %.20q.", p)
		}
		l.Page = n
	}
	return l, nil
}

func (l listQuery) filtered() bool { return l.Search+l.Status+l.Source+l.Role != "" }

func (l listQuery) query() store.PeopleQuery {
	q := store.PeopleQuery{Search: l.Search, Role: l.Role, Sort: l.Sort, Offset: (l.Page - 1) * pageSize, Limit: pageSize}
	if l.Status != "" {
		q.Status = []store.Status{store.Status(l.Status)}
	}
	if l.Source != "" {
		q.Source = []store.Source{store.Source(l.Source)}
	}
	return q
}

// link is the same view with another sort or page.
func (l listQuery) link(sort string, page int) string {
	v := url.Values{}
	for name, value := range map[string]string{"q": l.Search, "status": l.Status, "source": l.Source, "role": l.Role, "sort": sort} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	return "?" + v.Encode()
}

// column is a heading that sorts.
type column struct{ Label, Link, Sorted string }

func (l listQuery) column(label, sort string) column {
	c := column{Label: label, Link: l.link(sort, 1), Sorted: "none"}
	current := l.Sort
	if current == "" {
		current = "name"
	}
	switch current {
	case sort:
		c.Sorted, c.Link = "ascending", l.link("-"+sort, 1)
	case "-" + sort:
		c.Sorted = "descending"
	}
	return c
}

// userRow is a line of the list.
type userRow struct {
	ID                    store.UserID
	Name, Initials, Email string
	Status                badge
	Roles                 []string
	Teams                 []string
	MoreTeams             int
	Source, Directory     string
	SignInAt, CreatedAt   store.Time
	SignInWith            string
	Picture               string // its version; empty: there is none
}

// usersPage is Manage users.
type usersPage struct {
	Org                           web.Org
	Form                          web.Form
	Sort                          string
	Statuses, Sources, Roles      []web.Option
	NameCol, SignInCol, CreateCol column
	Rows                          []userRow
	Count                         web.Said
	Filtered, Nobody              bool
	Previous, Next                string
	Page, Pages                   string
	MayInvite, MayImport          bool
	MayConfigure                  bool
}

func (c *Console) users(w http.ResponseWriter, r *http.Request) error {
	l, err := readListQuery(r)
	if err != nil {
		return err
	}
	actor := web.Actor(r)
	p := usersPage{Org: web.OrgOf(r), Sort: l.Sort, Filtered: l.filtered(), Statuses: choices("Any status", statusOptions...), Sources: choices("Any source", sourceOptions...),
		NameCol: l.column("Name", "name"), SignInCol: l.column("Last sign-in", "signin"), CreateCol: l.column("Created", "created"),
		MayInvite: actor.May(access.InviteUsers), MayImport: actor.May(access.CreateUsers), MayConfigure: actor.May(access.Configure)}
	for name, value := range map[string]string{"q": l.Search, "status": l.Status, "source": l.Source, "role": l.Role} {
		p.Form.Set(name, value)
	}
	err = c.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) error { return c.fillUsers(tx, &p, l) })
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "users", p)
}

// fillUsers runs the same few queries however many people there are.
func (c *Console) fillUsers(tx *store.Tx, p *usersPage, l listQuery) error {
	roles, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	if l.Role != "" && !slices.ContainsFunc(roles, func(r store.OrgRole) bool { return r.ID == l.Role }) {
		return fault.Invalid.On("role", "There is no role %.40q. Choose one in the list.", l.Role)
	}
	p.Roles = choices("Any role", roleLabels(roles).options()...)
	page, err := tx.People(l.query())
	if err != nil {
		return err
	}
	all := page.Total
	if l.filtered() {
		everybody, err := tx.People(store.PeopleQuery{Limit: 1})
		if err != nil {
			return err
		}
		all = everybody.Total
	}
	p.Nobody = all == 0 && page.Total == 0
	p.Count = web.SayN(page.Total, "1 person", "%d people")
	if l.filtered() {
		p.Count = web.Say("%s of %s", web.Number(page.Total), web.Number(all))
	}
	last := max(1, (page.Total+pageSize-1)/pageSize)
	p.Page, p.Pages = web.Number(l.Page), web.Number(last)
	if l.Page > 1 {
		p.Previous = l.link(l.Sort, min(l.Page-1, last))
	}
	if l.Page < last {
		p.Next = l.link(l.Sort, l.Page+1)
	}
	p.Rows, err = c.rows(tx, page.People, roles)
	return err
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
		rows[i] = userRow{ID: u.ID, Name: fullName(u.User), Initials: initials(fullName(u.User)), Email: u.Email, Status: statusBadge(u.User, invitations[u.ID]),
			Roles: roles.ofGrants(u.Grants), Source: sourceNames[u.Source], Directory: directories[u.DirectoryID],
			SignInAt: u.LastSignInAt, SignInWith: methodName(u.LastSignInMethod), CreatedAt: u.CreatedAt}
		rows[i].Picture = pictures[u.ID]
		if rows[i].Email == "" && u.UserName != rows[i].Name {
			rows[i].Email = u.UserName
		}
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
