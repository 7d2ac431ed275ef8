package importer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// clean checks the cells of a line by themselves and puts them into their usual form.
func (d *Door) clean(cells []string, columns []*Field, roles []store.OrgRole) (map[string]string, *Problem) {
	out := make(map[string]string, len(columns))
	for i, f := range columns {
		if f == nil || cells[i] == "" {
			continue
		}
		value := unguarded(cells[i])
		wrong := func(p *Problem) (map[string]string, *Problem) {
			p.Column, p.Value = f.Name, clip(strings.ToValidUTF8(value, "�"), 80)
			return out, p
		}
		if !utf8.ValidString(value) {
			return wrong(&Problem{Why: web.Say("The value holds bytes that do not belong to the file's encoding."), Remedy: web.Say("Choose another encoding, or save the file as “CSV UTF-8”.")})
		}
		switch f.Name {
		case fieldEmail:
			address, err := d.opt.Address(value)
			if err != nil {
				return wrong(&Problem{Why: web.SaidBy(err), Remedy: web.Say("Correct the address.")})
			}
			value = address
		case fieldRole:
			role, ok := roleNamed(value, roles)
			if !ok {
				return wrong(&Problem{Why: web.Say("There is no such role."), Remedy: web.Say("Write one of %s, or leave the cell empty.", strings.Join(roleNames(roles), ", "))})
			}
			value = role
		case fieldUserName, fieldManager:
			if p := tooLong(value, 254); p != nil {
				return wrong(p)
			}
			if p := unclean(value); p != nil {
				return wrong(p)
			}
		case fieldCountry:
			if len(value) == 2 {
				value = strings.ToUpper(value)
			}
		}
		if f.urn != "" {
			v, p := cleanAttribute(f.attr, value)
			if p != nil {
				return wrong(p)
			}
			value = v
		}
		out[f.Name] = value
	}
	return out, nil
}

func roleNamed(value string, roles []store.OrgRole) (string, bool) {
	for _, r := range roles {
		if store.Fold(value) == store.Fold(r.ID) || store.Fold(value) == store.Fold(r.Name) {
			return r.ID, true
		}
	}
	return "", false
}

func roleNames(roles []store.OrgRole) (list []string) {
	for _, r := range roles {
		list = append(list, r.ID)
	}
	return list
}

func nameOf(cells map[string]string) string {
	if n := cells[fieldName]; n != "" {
		return n
	}
	return strings.TrimSpace(cells[fieldGivenName] + " " + cells[fieldFamilyName])
}

// world is what the database says about the people of some lines.
type world struct {
	users    map[store.UserID]*store.User
	byEmail  map[string][]store.UserID
	byName   map[string]store.UserID
	byNumber map[string][]store.UserID
	roles    map[store.UserID][]store.Grant
	groups   map[store.UserID][]store.GroupRef
	teams    map[string]store.GroupRef // by folded name
	managers map[store.DirectoryID]string
	names    store.NameFormat // of people whose line says no user name
	ranks    []store.OrgRole
	defs     *store.Definitions
	required []extra.Field // own attributes that everybody must have

	unattended bool // nobody has looked: a feed brought the file
}

// taken is how look asks whether those whom lines are to create are there after all.
type taken int

const (
	notAsked  taken = iota
	byAddress       // and by a user name that the line does not say: of two the index would refuse one
	byAll
)

// look asks for everything that the lines need, in a few queries however many there
// are; managers are those whom the lines name.
func look(tx *store.Tx, key string, rows []*Row, numbers map[string][]store.UserID, ask taken, managers bool) (*world, error) {
	w := &world{users: map[store.UserID]*store.User{}, byEmail: map[string][]store.UserID{}, byName: map[string]store.UserID{}, byNumber: numbers,
		managers: map[store.DirectoryID]string{}}
	var err error
	if w.names, _, err = tx.NameFormat(); err != nil {
		return nil, err
	}
	if w.ranks, err = tx.OrgRoles(); err != nil {
		return nil, err
	}
	if w.defs, err = tx.Definitions(); err != nil {
		return nil, err
	}
	w.required = extra.Due(w.defs)
	var ids []store.UserID
	var emails, names []string
	some := func(list *[]string, value string) {
		if value != "" {
			*list = append(*list, value)
		}
	}
	named := map[string]bool{"": true}
	teams := false
	for _, r := range rows {
		if r.User != "" && r.Action != Create { // else nobody has this id yet
			ids = append(ids, r.User)
		}
		if ask != notAsked || r.Action != Create {
			some(&emails, r.Cells[fieldEmail])
		}
		if ask == byAll || r.Action != Create || ask == byAddress && r.Cells[fieldUserName] == "" {
			some(&names, nameIn(key, r.Cells))
		}
		ids = append(ids, numbers[r.Cells[fieldNumber]]...)
		if name := r.Cells[fieldManager]; managers && !named[name] {
			named[name] = true
			emails, names, ids = append(emails, name), append(names, name), append(ids, numbers[name]...)
		}
		teams = teams || r.Cells[fieldTeams] != ""
	}
	if err := w.add(tx, ids, emails, names); err != nil {
		return nil, err
	}
	var bosses []store.UserID
	for _, u := range w.users {
		if u.ManagerID != "" && w.users[u.ManagerID] == nil {
			bosses = append(bosses, u.ManagerID)
		}
	}
	slices.Sort(bosses)
	if err := w.add(tx, slices.Compact(bosses), nil, nil); err != nil {
		return nil, err
	}
	if matched := w.matched(key, rows); len(matched) > 0 {
		if w.roles, err = tx.RolesOf(matched); err != nil {
			return nil, err
		}
		if w.groups, err = tx.GroupsOf(matched); err != nil {
			return nil, err
		}
	}
	if teams {
		w.teams, err = tx.TeamNames()
	}
	return w, err
}

// matched are the people whom lines are about.
func (w *world) matched(key string, rows []*Row) (ids []store.UserID) {
	for _, r := range rows {
		if u, _ := w.match(key, r.Cells); u != nil {
			ids = append(ids, u.ID)
		} else if w.users[r.User] != nil {
			ids = append(ids, r.User)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// nameIn is the user name by which a line finds its person.
func nameIn(key string, cells map[string]string) string {
	if name := cells[fieldUserName]; name != "" || key != fieldEmail {
		return name
	}
	return cells[fieldEmail]
}

func (w *world) add(tx *store.Tx, ids []store.UserID, emails, names []string) error {
	if len(ids)+len(emails)+len(names) == 0 {
		return nil
	}
	users, err := tx.UsersBy(ids, emails, names)
	for _, u := range users {
		if w.users[u.ID] == nil {
			w.users[u.ID] = &u
			w.byEmail[store.Fold(u.Email)] = append(w.byEmail[store.Fold(u.Email)], u.ID)
			w.byName[store.Fold(u.UserName)] = u.ID
		}
	}
	return err
}

// plan is what one line would do, by what the database says now.
type plan struct {
	user    *store.User // nil: a new person
	doc     store.Doc   // the whole new document; nil: as it is
	role    string      // to give; empty: keep
	teams   []store.GroupRef
	changes []Change
	named   string // the user name that a new person gets, unless somebody has it
}

// columns names what changes in the document.
func (p plan) inDocument() (list []string) {
	for _, c := range p.changes {
		if c.Column != fieldRole && c.Column != fieldTeams {
			list = append(list, c.Column)
		}
	}
	return list
}

// refusal is why a line does nothing.
type refusal struct {
	Problem
	action Action
}

func refused(column, value string, why, remedy web.Said) *refusal {
	return &refusal{Problem{Column: column, Value: clip(value, 80), Why: why, Remedy: remedy}, Failed}
}

// match finds the person of a line.
func (w *world) match(key string, cells map[string]string) (*store.User, *refusal) {
	email, name := cells[fieldEmail], nameIn(key, cells)
	if key == fieldNumber {
		switch of := w.byNumber[cells[fieldNumber]]; len(of) {
		case 0:
		case 1:
			return w.users[of[0]], nil
		default:
			return nil, refused(fieldNumber, cells[fieldNumber], web.Say("%d people have this employee number.", len(of)), web.Say("Choose another key, or correct the people first."))
		}
	}
	byName := w.byName[store.Fold(name)]
	if key == fieldUserName && byName != "" {
		return w.users[byName], nil
	}
	var byEmail []store.UserID
	if email != "" {
		byEmail = w.byEmail[store.Fold(email)]
	}
	if key != fieldEmail { // nobody has the key: a new person, whose name and address must be free
		if byName != "" {
			return nil, refused(fieldUserName, name, web.Say("Somebody else has this user name: %s.", w.users[byName].DisplayName), web.Say("Correct the user name, or choose it as the key."))
		}
		if len(byEmail) > 0 {
			return nil, refused(fieldEmail, email, web.Say("Somebody else has this address: %s.", w.users[byEmail[0]].DisplayName), web.Say("Correct the address, or choose it as the key."))
		}
		return nil, nil
	}
	switch {
	case len(byEmail) == 0 && byName == "":
		return nil, nil
	case byName != "" && (len(byEmail) == 0 || slices.Contains(byEmail, byName)):
		return w.users[byName], nil
	case byName != "":
		return nil, refused(fieldUserName, name, web.Say("The user name %q and the address belong to two different people.", clip(name, 80)), web.Say("Correct one of them."))
	case len(byEmail) == 1:
		return w.users[byEmail[0]], nil
	}
	return nil, refused(fieldEmail, email, web.Say("%d people have this address.", len(byEmail)), web.Say("Add a column user_name that says which one is meant."))
}

// managerNamed finds somebody's manager: by user name, address or employee number.
func (w *world) managerNamed(value string) (*store.User, *refusal) {
	if id := w.byName[store.Fold(value)]; id != "" {
		return w.users[id], nil
	}
	of := w.byEmail[store.Fold(value)]
	if len(of) == 0 {
		of = w.byNumber[value]
	}
	switch len(of) {
	case 0:
		return nil, refused(fieldManager, value, web.Say("The manager is neither a person here nor in the file."), web.Say("Write the manager's address, user name or employee number, or leave the cell empty."))
	case 1:
		return w.users[of[0]], nil
	}
	return nil, refused(fieldManager, value, web.Say("%d people are meant by this manager.", len(of)), web.Say("Write the manager's user name."))
}

// boss is a manager as far as it is known when a line is looked at.
type boss struct {
	user    *store.User  // is there
	id      store.UserID // else: will be there
	refusal *refusal
}

// decide compares a line with the person whom it is about. It changes nothing.
func (w *world) decide(tx *store.Tx, fields []*Field, cells map[string]string, u *store.User, manager *boss) (plan, *refusal, error) {
	p := plan{user: u}
	at := person{doc: store.Doc{}}
	if u != nil {
		doc, err := u.Attributes()
		if err != nil {
			return p, nil, err
		}
		at = person{doc: doc, profile: u.Profile()}
	} else if at.profile.UserName = cells[fieldUserName]; at.profile.UserName == "" && w.names == store.NameEmail {
		at.profile.UserName = cells[fieldEmail]
	}
	if u == nil && at.profile.UserName == "" && cells[fieldEmail] == "" {
		return p, refused(fieldUserName, "", web.Say("A new person needs a user name or an e-mail address."), web.Say("Fill one of them.")), nil
	}
	for _, f := range fields {
		if f == nil || cells[f.Name] == "" || f.Name == fieldRole || f.Name == fieldTeams || f.Name == fieldManager {
			continue
		}
		to, from := cells[f.Name], at.get(*f)
		if to == strings.TrimSpace(strings.ReplaceAll(from, "\r\n", "\n")) || f.Name == fieldEmail && strings.EqualFold(to, from) { // case alone is no change
			continue
		}
		lines := to
		if f.Name == fieldAddress {
			lines = strings.ReplaceAll(to, "\n", " ")
		}
		for _, wrong := range []*Problem{tooLong(to, limitOf(f)), unclean(lines)} {
			if wrong != nil {
				return p, refused(f.Name, to, wrong.Why, wrong.Remedy), nil
			}
		}
		if from != "" && f.attr.Mutability == "immutable" {
			return p, refused(f.Name, f.shown(to), web.Say("This value cannot be changed once it is set, and this person has another."), web.Say("Leave the cell empty.")), nil
		}
		at.set(*f, to)
		if f.secret() {
			to = f.shown(to)
		}
		p.changes = append(p.changes, Change{f.Name, f.shown(from), to})
	}
	if r := w.decideManager(cells[fieldManager], &at, &p, manager); r != nil {
		return p, r, nil
	}
	if touched := p.inDocument(); len(touched) > 0 && u != nil && u.DirectoryID != "" {
		name, err := w.directory(tx, u.DirectoryID)
		r := refused(touched[0], cells[touched[0]], web.Say("This person is managed by the directory %s.", name), web.Say("Change it there, or take these columns out of the file: %s.", strings.Join(touched, ", ")))
		r.action = Managed
		return p, r, err
	}
	if u == nil || len(p.changes) > 0 {
		p.doc = at.document()
	}
	if u == nil && at.profile.UserName == "" {
		p.named = w.names.UserName(at.profile)
	}
	if u == nil || len(p.inDocument()) > 0 {
		if missing := extra.Missing(w.required, p.doc); len(missing) > 0 {
			x := missing[0]
			return p, refused(x.Key(), "", web.Say("%s is required of everybody in this organization, and the line gives no value.", x.Name), lacking(x, fields)), nil
		}
	}
	return p, w.decideRights(tx, cells, &p), nil
}

// lacking says what to do about a required attribute without a value.
func lacking(x extra.Field, fields []*Field) web.Said {
	switch {
	case x.Type == "complex" || x.Type == "binary":
		return web.Say("A file cannot give it: ask an admin to make it optional, or add the person through the directory.")
	case slices.ContainsFunc(fields, func(c *Field) bool { return c != nil && c.Name == x.Key() }):
		return web.Say("Fill this cell.")
	}
	return web.Say("Add a column %s, and choose it as the field %s.", x.Key(), x.Name)
}

func limitOf(f *Field) int {
	switch {
	case f.Name == fieldEmail || f.Name == fieldUserName:
		return 254
	case f.urn != "" || f.Name == fieldAddress:
		return 4000
	}
	return maxText
}

func (w *world) decideManager(cell string, at *person, p *plan, manager *boss) *refusal {
	if cell == "" {
		return nil
	}
	if manager.refusal != nil {
		return manager.refusal
	}
	id, to := manager.id, cell
	if manager.user != nil {
		id, to = manager.user.ID, manager.user.UserName
	}
	if string(id) == at.profile.ManagerID && id != "" {
		return nil
	}
	if p.user != nil && id == p.user.ID {
		return refused(fieldManager, cell, web.Say("This person would be their own manager."), web.Say("Leave the cell empty, or write somebody else."))
	}
	from := at.profile.ManagerID
	if u := w.users[store.UserID(from)]; u != nil {
		from = u.UserName
	}
	at.profile.ManagerID = string(id)
	p.changes = append(p.changes, Change{fieldManager, from, to})
	return nil
}

// decideRights is about role and teams: those are given here, whoever manages the person.
func (w *world) decideRights(tx *store.Tx, cells map[string]string, p *plan) *refusal {
	var roles []string
	in := map[store.GroupID]bool{}
	if p.user != nil {
		for _, g := range w.roles[p.user.ID] {
			if g.Reason == store.Manual || g.Kind == "default" {
				roles = append(roles, g.Role)
			}
		}
		for _, g := range store.Direct(w.groups[p.user.ID]) {
			in[g.ID] = true
		}
	}
	if role := cells[fieldRole]; role != "" && (len(roles) != 1 || roles[0] != role) {
		if i := slices.IndexFunc(w.ranks, func(r store.OrgRole) bool { return r.ID == role }); i >= 0 {
			if w.unattended && !w.ranks[i].Harmless() {
				return refused(fieldRole, role, web.Say("A file that is fetched by itself gives nobody a role that allows to change others."), web.Say("Give the role by hand, or read the file again as an admin."))
			}
			if err := tx.Exceeds(w.ranks[i]); err != nil {
				return refused(fieldRole, role, web.SaidBy(err), web.Say("Leave the cell empty, or ask an admin to import the file."))
			}
		}
		p.role = role
		p.changes = append(p.changes, Change{fieldRole, strings.Join(roles, ", "), role})
	}
	var come []string
	for name := range strings.FieldsFuncSeq(cells[fieldTeams], func(c rune) bool { return c == '|' || c == '\n' }) {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		g, ok := w.teams[store.Fold(name)]
		if !ok {
			return refused(fieldTeams, name, web.Say("There is no team %q.", clip(name, 80)), web.Say("Make the team first, or correct its name; several are separated by |."))
		}
		if !in[g.ID] {
			in[g.ID] = true
			p.teams, come = append(p.teams, g), append(come, g.Name)
		}
	}
	if len(come) > 0 {
		p.changes = append(p.changes, Change{fieldTeams, "", strings.Join(come, "|")})
	}
	if p.user != nil && len(p.changes) > 0 {
		if w.unattended && w.above(*p.user, w.roles[p.user.ID]) {
			return refused(p.changes[0].Column, cells[p.changes[0].Column], web.Say("A file that is fetched by itself changes nobody who may change others: whoever writes the file could sign in as them."), web.Say("Change the person by hand, or read the file again as an admin."))
		}
		if err := tx.MayTouchAs(*p.user, w.roles[p.user.ID], w.ranks); err != nil {
			return refused(p.changes[0].Column, cells[p.changes[0].Column], web.SaidBy(err), web.Say("Take the line out of the file, or ask an admin to import it."))
		}
	}
	return nil
}

// above tells of people whom no file may change that nobody has looked at.
func (w *world) above(u store.User, grants []store.Grant) bool {
	names := store.RoleNames(grants)
	return u.BreakGlass || slices.ContainsFunc(w.ranks, func(r store.OrgRole) bool { return slices.Contains(names, r.ID) && !r.Harmless() })
}

func (w *world) directory(tx *store.Tx, id store.DirectoryID) (string, error) {
	if name, ok := w.managers[id]; ok {
		return name, nil
	}
	dir, err := tx.Directory(id)
	if err == nil {
		w.managers[id] = dir.Name
	}
	return dir.Name, err
}

// unguarded takes away the mark that keeps a spreadsheet from running a value.
func unguarded(cell string) string {
	if rest, marked := strings.CutPrefix(cell, "'"); marked && guarded(rest) == cell {
		return strings.TrimSpace(rest)
	}
	return cell
}

// guarded is a value as a spreadsheet shows it and does not run it. unguarded gives the
// value back, also one that begins with such a mark itself.
func guarded(value string) string {
	if web.SafeCell(value) != value || strings.HasPrefix(value, "'") && guarded(value[1:]) == value {
		return "'" + value
	}
	return value
}
