package invite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// rowPlan is what one line would do, by what the database says now.
type rowPlan struct {
	user    *store.User // nil: a new person
	profile store.Profile
	role    string // to give; empty: keep
	teams   []store.Group
	changes []string
}

func (p rowPlan) outcome(o Outcome) Outcome {
	o.Action, o.Changes = Create, nil
	if p.user != nil {
		o.UserID, o.Action, o.Changes = p.user.ID, Update, p.changes
		if len(p.changes) == 0 {
			o.Action = Unchanged
		}
	}
	if o.Name == "" {
		o.Name = p.profile.FullName()
	}
	return o
}

// refused is a problem on its way up, inside a fault.
type refused struct{ column, why, remedy string }

// Error has both sentences.
func (r refused) Error() string { return r.why + " " + r.remedy }

func (r refused) err() error {
	return &fault.Error{Kind: fault.Invalid, Field: r.column, Public: r.Error(), Err: r}
}

// clean checks the cells of a row by themselves and puts them into their usual form.
func (row *Row) clean(roles []store.OrgRole) *Problem {
	problem := func(column, why, remedy string) *Problem {
		return &Problem{Column: column, Value: clip(row.Cells[column], 80), Why: why, Remedy: remedy}
	}
	address, err := cleanAddress(row.Cells[colEmail])
	if err != nil {
		return problem(colEmail, fault.Public(err), "Correct the address.")
	}
	row.Cells[colEmail] = address
	for column, value := range row.Cells {
		if column == colTeams {
			continue
		}
		limit := maxText
		if column == colManager || column == colUserName || column == colEmail {
			limit = 254
		}
		if len(value) > limit {
			return problem(column, fmt.Sprintf("The value is %d bytes long; at most %d are possible.", len(value), limit), "Shorten it.")
		}
		if err := plainText(column, "The value", clip(value, maxText)); err != nil {
			return problem(column, "The value holds a control character or broken text.", "Type it again, on one line.")
		}
	}
	if role, ok := row.Cells[colRole]; ok {
		i := slices.IndexFunc(roles, func(r store.OrgRole) bool { return r.ID == store.Fold(role) || store.Fold(r.Name) == store.Fold(role) })
		if i < 0 {
			return problem(colRole, "There is no such role.", "Write one of "+roleList(roles)+", or leave the cell empty.")
		}
		row.Cells[colRole] = roles[i].ID
	}
	return nil
}

func roleList(roles []store.OrgRole) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.ID
	}
	return strings.Join(names, ", ")
}

// plan compares a row with what is stored. It changes nothing. Faults: Invalid and
// Conflict on a column, Denied on "directory".
func (im *importer) plan(tx *store.Tx, i int) (rowPlan, error) {
	cells := im.sheet.Rows[i].Cells
	var p rowPlan
	u, err := match(tx, cells)
	if err != nil {
		return p, err
	}
	if p.user = u; u != nil {
		p.profile = u.Profile()
	} else {
		p.profile = store.Profile{UserName: cells[colEmail]}
	}
	if err := im.planProfile(tx, i, &p); err != nil {
		return p, err
	}
	if len(p.changes) > 0 && u != nil && u.DirectoryID != "" {
		d, err := tx.Directory(u.DirectoryID)
		if err != nil {
			return p, err
		}
		return p, refused{p.changes[0], fmt.Sprintf("This person is managed by the directory %s.", d.Name), "Change it there, or take these columns out of the file: " + strings.Join(p.changes, ", ") + "."}.err()
	}
	return p, im.planRights(tx, cells, &p)
}

// match finds the person of a row: by address, else by user name.
func match(tx *store.Tx, cells map[string]string) (*store.User, error) {
	byEmail, err := tx.UsersByEmail(cells[colEmail])
	if err != nil {
		return nil, err
	}
	name := cells[colUserName]
	if name == "" {
		name = cells[colEmail]
	}
	byName, err := tx.UserByName(name)
	found := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	is := func(u store.User) bool { return found && u.ID == byName.ID }
	switch {
	case len(byEmail) == 0 && !found:
		return nil, nil
	case len(byEmail) == 0 || slices.ContainsFunc(byEmail, is):
		return &byName, nil
	case found:
		return nil, refused{colUserName, fmt.Sprintf("The user name %q and the address belong to two different people.", name), "Correct one of them."}.err()
	case len(byEmail) == 1:
		return &byEmail[0], nil
	}
	return nil, refused{colEmail, fmt.Sprintf("%d people have this address.", len(byEmail)), "Add a column user_name that says which one is meant."}.err()
}

// planProfile puts the filled cells over what is stored.
func (im *importer) planProfile(tx *store.Tx, i int, p *rowPlan) error {
	cells := im.sheet.Rows[i].Cells
	set := func(column string, to *string) {
		if v, ok := cells[column]; ok && v != *to {
			*to = v
			p.changes = append(p.changes, column)
		}
	}
	if !strings.EqualFold(cells[colEmail], p.profile.Email) { // case alone is no change
		set(colEmail, &p.profile.Email)
	}
	set(colUserName, &p.profile.UserName)
	set(colGivenName, &p.profile.GivenName)
	set(colFamilyName, &p.profile.FamilyName)
	set(colName, &p.profile.DisplayName)
	set(colTitle, &p.profile.Title)
	set(colDepartment, &p.profile.Department)
	set(colNumber, &p.profile.EmployeeNumber)
	set(colPhone, &p.profile.Phone)
	name := cells[colManager]
	if name == "" {
		return nil
	}
	boss, err := findManager(tx, name)
	j := im.boss[i]
	switch {
	case err != nil && j >= 0 && im.out[j].Problem != nil:
		return refused{colManager, fmt.Sprintf("The manager is in line %d, which cannot be imported.", im.sheet.Rows[j].Line), "Correct that line first."}.err()
	case err != nil && j >= 0 && im.opt.DryRun: // will be there by then
		p.changes = append(p.changes, colManager)
		return nil
	case err != nil:
		return err
	}
	if string(boss) != p.profile.ManagerID {
		p.profile.ManagerID = string(boss)
		p.changes = append(p.changes, colManager)
	}
	return nil
}

// planRights is about role and teams: those are given here, whoever manages the person.
func (im *importer) planRights(tx *store.Tx, cells map[string]string, p *rowPlan) error {
	var roles []string
	in := map[store.GroupID]bool{}
	if p.user != nil {
		grants, err := tx.RolesOf([]store.UserID{p.user.ID})
		if err != nil {
			return err
		}
		for _, g := range grants[p.user.ID] {
			if g.Reason == store.Manual || g.Kind == "default" {
				roles = append(roles, g.Role)
			}
		}
		groups, err := tx.GroupsOf([]store.UserID{p.user.ID})
		if err != nil {
			return err
		}
		for _, g := range store.Direct(groups[p.user.ID]) {
			in[g.ID] = true
		}
	}
	if role := cells[colRole]; role != "" && (len(roles) != 1 || roles[0] != role) {
		p.role = role
		p.changes = append(p.changes, colRole)
	}
	for _, name := range strings.Split(cells[colTeams], "|") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := plainText(colTeams, "The team", name); err != nil {
			return err
		}
		g, err := tx.GroupByName(name)
		if fault.Is(err, fault.NotFound) {
			return refused{colTeams, fmt.Sprintf("There is no team %q.", name), "Make the team first, or correct its name; several are separated by |."}.err()
		}
		if err != nil {
			return err
		}
		if !in[g.ID] {
			in[g.ID] = true
			p.teams = append(p.teams, g)
		}
	}
	if len(p.teams) > 0 {
		p.changes = append(p.changes, colTeams)
	}
	return nil
}

// do carries a plan out.
func (im *importer) do(tx *store.Tx, p rowPlan) (store.UserID, error) {
	if p.user == nil {
		return im.create(tx, p)
	}
	doc, err := p.user.Attributes()
	if err != nil {
		return "", err
	}
	if !onlyRights(p.changes) {
		p.profile.Apply(doc)
		if _, err := tx.UpdateUser(*p.user, store.UserChange{Doc: doc, Why: "CSV import"}); err != nil {
			return "", err
		}
	}
	if p.role != "" {
		if err := tx.SetRole(p.user.ID, p.role); err != nil {
			return "", err
		}
	}
	return p.user.ID, addTo(tx, p.user.ID, p.teams)
}

func (im *importer) create(tx *store.Tx, p rowPlan) (store.UserID, error) {
	role, status := p.role, store.Active
	if role == "" {
		role = store.DefaultRole
	}
	if im.opt.Invite {
		status = store.Invited
	}
	u, err := tx.CreateUser(store.NewUser{Doc: p.profile.Doc(), Source: store.FromCSV, Status: status, Roles: []string{role}, Reason: store.Manual})
	if err != nil {
		return "", err
	}
	if err := addTo(tx, u.ID, p.teams); err != nil || !im.opt.Invite {
		return u.ID, err
	}
	_, err = im.d.send(tx, im.org, u, "invitation.create")
	return u.ID, err
}

func onlyRights(changes []string) bool {
	return !slices.ContainsFunc(changes, func(c string) bool { return c != colRole && c != colTeams })
}

func addTo(tx *store.Tx, id store.UserID, teams []store.Group) error {
	for _, g := range teams {
		if _, err := tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{id}}); err != nil {
			return err
		}
	}
	return nil
}
