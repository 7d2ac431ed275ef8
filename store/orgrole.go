package store

import (
	"regexp"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Roles of an organization. Admin, Agent and Viewer are there always: Admin has every
// permission and cannot be changed, of the other two an organization chooses what
// they allow in the applications. Its own roles bundle permissions of the applications
// and those of Muster's that an admin may delegate (access.OwnPermissions).
//
// A role is known by its name to directories, files and applications, so the name
// stays as long as the role does; the label is for people. Nobody gives or makes a
// role that allows more than they hold themselves.
//
// Whoever gives a role holds its row shared until the commit, whoever ends it alone:
// so nobody is left with a role that is gone. Changes of roles lock the organization
// first, then its directories, then the role.

// OrgRole is a role that people of an organization can have.
type OrgRole struct {
	ID          string // the name
	Name        string // the label
	Description string
	Permissions []access.Permission // of the applications, and Muster's own
	Gone        []access.Permission // are in the role and in no catalog any more; they allow nothing
	BuiltIn     bool
	Changed     bool // of a built-in role: the organization has chosen its permissions
	Version     int64
	CreatedAt   Time
	UpdatedAt   Time
}

// maxRoles bounds what forms show and sessions read.
const maxRoles = 100

type roleRow struct {
	Name        string `db:"name"`
	Label       string `db:"label"`
	Description string `db:"description"`
	Permissions string `db:"permissions"`
	Version     int64  `db:"version"`
	CreatedAt   Time   `db:"created_at"`
	UpdatedAt   Time   `db:"updated_at"`
}

const roleColumns = "SELECT name, label, description, permissions, version, created_at, updated_at FROM org_roles"

// Catalog has the permissions of the applications, as the operator configured them.
func (db *DB) Catalog() access.Catalog { return db.catalog }

// Catalog is DB.Catalog.
func (tx *Tx) Catalog() access.Catalog { return tx.db.catalog }

var builtInAbout = map[string]string{
	access.Admin:  "Manages people, directories, sign-in and settings.",
	access.Agent:  "Works with the applications; has no pages in the console.",
	access.Viewer: "Sees people and activity in the console, and changes nothing.",
}

// builtIn are the roles that are there always, as they are until an organization changes them.
func (db *DB) builtIn() []OrgRole {
	names := map[string]string{access.Admin: "Admin", access.Agent: "Agent", access.Viewer: "Viewer"}
	list := []OrgRole{}
	for _, id := range access.BuiltIn() {
		r := OrgRole{Name: names[id], Description: builtInAbout[id]}
		r.ID, r.BuiltIn, r.Version, r.Permissions = id, true, 1, append(access.Of(id), db.catalog.Of(id)...)
		list = append(list, r)
	}
	return list
}

// role is a row as a role.
func (db *DB) role(row roleRow) OrgRole {
	r := OrgRole{ID: row.Name, Name: row.Label, Description: row.Description, Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt}
	r.Permissions, r.Gone = []access.Permission{}, nil
	for _, name := range strings.Fields(row.Permissions) {
		if p := access.Permission(name); access.Delegable(p) || db.catalog.Has(p) {
			r.Permissions = append(r.Permissions, p)
		} else {
			r.Gone = append(r.Gone, p)
		}
	}
	return r
}

// withRows are the built-in roles and the organization's own, by label.
func (db *DB) withRows(rows []roleRow) []OrgRole {
	list := db.builtIn()
	for _, row := range rows {
		r := db.role(row)
		at := slices.IndexFunc(list, func(o OrgRole) bool { return o.ID == r.ID })
		if at < 0 {
			list = append(list, r)
			continue
		}
		b := &list[at]
		b.Permissions, b.Gone, b.Changed = append(access.Of(r.ID), r.Permissions...), r.Gone, true
		b.Version, b.CreatedAt, b.UpdatedAt = r.Version, r.CreatedAt, r.UpdatedAt
	}
	return list
}

// OrgRoles are the roles of this organization, in the order in which a form offers
// them: the built-in ones first.
func (tx *Tx) OrgRoles() ([]OrgRole, error) {
	var rows []roleRow
	if err := tx.Select(&rows, roleColumns+" WHERE org_id = ? ORDER BY label_key", tx.Org()); err != nil {
		return nil, err
	}
	return tx.db.withRows(rows), nil
}

// OrgRole finds a role by its name. Faults: NotFound.
func (tx *Tx) OrgRole(name string) (OrgRole, error) {
	list, err := tx.OrgRoles()
	if err != nil {
		return OrgRole{}, err
	}
	for _, r := range list {
		if r.ID == Fold(strings.TrimSpace(name)) {
			return r, nil
		}
	}
	return OrgRole{}, fault.NotFound.On("role", "There is no role %.64q here.", name)
}

// RoleCounts tell how many people have each role, in two queries.
func (tx *Tx) RoleCounts() (map[string]int, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	var rows []struct {
		Role string `db:"role"`
		N    int    `db:"n"`
	}
	err := tx.Select(&rows, `SELECT r.role, COUNT(DISTINCT r.user_id) AS n FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND u.deleted_at = 0 GROUP BY r.role`, tx.Org())
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.Role] = r.N
	}
	if err != nil {
		return nil, err
	}
	var none int
	err = tx.Get(&none, `SELECT COUNT(*) FROM users u WHERE u.org_id = ? AND u.deleted_at = 0
		AND NOT EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = u.org_id AND r.user_id = u.id)`, tx.Org())
	counts[DefaultRole] += none
	return counts, err
}

// Granted are the permissions that roles give beside the matrix. said is what the
// look-up of a session or key has found of their rows: name=permissions, with blanks
// between permissions and commas between roles.
func (db *DB) Granted(roles []string, said string) []access.Permission {
	var rows []roleRow
	for part := range strings.SplitSeq(said, ",") {
		if name, permissions, ok := strings.Cut(part, "="); ok {
			rows = append(rows, roleRow{Name: name, Permissions: permissions})
		}
	}
	return grantedBy(db.withRows(rows), roles)
}

func grantedBy(all []OrgRole, roles []string) []access.Permission {
	list := []access.Permission{}
	for _, r := range all {
		if slices.Contains(roles, r.ID) {
			list = append(list, r.Permissions...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Allowed are the permissions that an actor has: those of the applications, and those
// of Muster's that a role can hold.
func (db *DB) Allowed(a access.Actor) []string {
	list := []string{}
	for _, p := range access.Managing() {
		if a.May(p) {
			list = append(list, string(p))
		}
	}
	for _, p := range db.catalog {
		if a.May(p.Name) {
			list = append(list, string(p.Name))
		}
	}
	return list
}

// PermissionsOf are the permissions that people have by their grants, for what programs
// are told of them; roles are those of the organization.
func (db *DB) PermissionsOf(grants []Grant, roles []OrgRole) []string {
	names := RoleNames(grants)
	return db.Allowed(access.Actor{Kind: access.Person, Roles: names, Granted: grantedBy(roles, names)})
}

// RoleChange is what a role becomes. Nil fields keep what is there.
type RoleChange struct {
	Name        string // of a new role; made of the label when empty
	Label       *string
	Description *string
	Permissions *[]access.Permission
	Version     int64 // as it was read; 0: whatever it is now
}

var roleForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?$`)

// CreateRole makes a role. Needs Write. Faults: Denied, Invalid on "name", "label",
// "description", "permissions", Conflict on "name" or "label".
func (tx *Tx) CreateRole(in RoleChange) (OrgRole, error) {
	r := OrgRole{ID: strings.ToLower(strings.TrimSpace(in.Name)), Version: 1, CreatedAt: tx.Now(), UpdatedAt: tx.Now(), Permissions: []access.Permission{}}
	in.apply(&r)
	if r.ID == "" {
		r.ID = nameFor(r.Name)
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if err := tx.lockRoles(); err != nil {
		return r, err
	}
	all, err := tx.OrgRoles()
	if err != nil {
		return r, err
	}
	if len(all)-len(access.BuiltIn()) >= maxRoles {
		return r, fault.Invalid.On("name", "There are %d roles already, which is as many as are possible.", maxRoles)
	}
	if !roleForm.MatchString(r.ID) || r.ID == WithoutRole || r.ID == "new" { // words with a meaning of their own in addresses and forms
		return r, fault.Invalid.On("name", "%.64q cannot be the name of a role. Use 1 to 40 lower-case letters, digits and hyphens, such as support-lead.", r.ID)
	}
	if err := tx.checkRoleTexts(&r, nil, all); err != nil {
		return r, err
	}
	if _, err := tx.Exec(`INSERT INTO org_roles (org_id, name, label, label_key, description, permissions, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)`,
		tx.Org(), r.ID, r.Name, Fold(r.Name), r.Description, r.stored(), r.CreatedAt, r.UpdatedAt); err != nil {
		return r, err
	}
	if err := tx.Record(roleEvent("role.create", r, nil, r.detail())); err != nil {
		return r, err
	}
	return r, tx.regrantAll()
}

// CopyRole makes a role with the permissions of another one; of Admin's and Viewer's, those
// that a role can have. Needs Write. Faults: as CreateRole, and NotFound.
func (tx *Tx) CopyRole(of string, in RoleChange) (OrgRole, error) {
	from, err := tx.OrgRole(of)
	if err != nil {
		return from, err
	}
	kept := slices.DeleteFunc(slices.Clone(from.Permissions), func(p access.Permission) bool { return !tx.db.catalog.Has(p) && !access.Delegable(p) })
	in.Permissions = &kept
	if in.Description == nil {
		in.Description = &from.Description
	}
	return tx.CreateRole(in)
}

// nameFor makes a name of a label: Support lead, support-lead.
func nameFor(label string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c == ' ', c == '-', c == '_':
			return '-'
		}
		return -1
	}, Fold(strings.TrimSpace(label)))
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return strings.Trim(name[:min(len(name), 40)], "-")
}

func (in RoleChange) apply(r *OrgRole) {
	if in.Label != nil {
		r.Name = strings.TrimSpace(*in.Label)
	}
	if in.Description != nil {
		r.Description = strings.TrimSpace(*in.Description)
	}
	if in.Permissions != nil {
		r.Permissions = distinct(*in.Permissions)
	}
}

// stored is how a role's permissions are kept; what is gone from the catalog stays.
func (r OrgRole) stored() string {
	list := []string{}
	for _, p := range append(slices.Clone(r.Permissions), r.Gone...) {
		if !r.BuiltIn || !access.Delegable(p) && p != access.CreateUsers && p != access.Configure {
			list = append(list, string(p))
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

func (r OrgRole) detail() map[string]any {
	return map[string]any{"label": r.Name, "description": r.Description, "permissions": strings.Fields(r.stored())}
}

func roleEvent(action string, r OrgRole, before, after map[string]any) Activity {
	return Activity{Action: action, TargetKind: "role", TargetID: r.ID, TargetName: r.Name, Detail: map[string]any{"before": before, "after": after}}
}

// lockRoles lets one transaction at a time change the roles of an organization.
func (tx *Tx) lockRoles() error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	if err := tx.whole(); err != nil {
		return err
	}
	var org OrgID
	if err := tx.Get(&org, "SELECT id FROM orgs WHERE id = ?"+tx.ForUpdate(), tx.Org()); err != nil {
		return err
	}
	var held []DirectoryID // what their values give may change with the roles
	return tx.Select(&held, "SELECT id FROM directories WHERE org_id = ? ORDER BY id"+tx.ForUpdate(), tx.Org())
}

// regrantAll brings what directories give in line with the roles that there are now.
func (tx *Tx) regrantAll() error {
	list, err := tx.Directories()
	for _, d := range list {
		if err == nil {
			_, err = tx.regrant(d.ID)
		}
	}
	return err
}

// UpdateRole changes a role. It acts on running sessions with their next request. Needs
// Write. Faults: Denied, NotFound, Invalid and Conflict as CreateRole; Conflict when it
// was changed since Version.
func (tx *Tx) UpdateRole(name string, ch RoleChange) (OrgRole, error) {
	if err := tx.lockRoles(); err != nil {
		return OrgRole{}, err
	}
	was, err := tx.OrgRole(name)
	if err != nil {
		return was, err
	}
	all, err := tx.OrgRoles()
	if err != nil {
		return was, err
	}
	if ch.Version != 0 && ch.Version != was.Version {
		return was, fault.Conflict.On("version", "Somebody else changed %s meanwhile. Look at it again, then make your change.", was.Name)
	}
	if was.ID == access.Admin {
		return was, fault.Invalid.On("role", "Admin has every permission and cannot be changed, so that nobody is locked out. Copy it and change the copy.")
	}
	if was.BuiltIn && (ch.Label != nil && strings.TrimSpace(*ch.Label) != was.Name || ch.Description != nil && strings.TrimSpace(*ch.Description) != was.Description) {
		return was, fault.Invalid.On("label", "Of %s only the permissions can be changed.", was.Name)
	}
	r := was
	if ch.Permissions != nil {
		r.Gone = nil
	}
	ch.apply(&r)
	if err := tx.checkRoleTexts(&r, &was, all); err != nil {
		return was, err
	}
	if r.Name == was.Name && r.Description == was.Description && r.stored() == was.stored() {
		return was, nil
	}
	r.Version, r.UpdatedAt = was.Version+1, tx.Now()
	if _, err := tx.Exec(`INSERT INTO org_roles (org_id, name, label, label_key, description, permissions, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (org_id, name) DO UPDATE SET label = excluded.label, label_key = excluded.label_key, description = excluded.description,
			permissions = excluded.permissions, version = excluded.version, updated_at = excluded.updated_at`,
		tx.Org(), r.ID, r.Name, Fold(r.Name), r.Description, r.stored(), r.Version, tx.Now(), r.UpdatedAt); err != nil {
		return was, err
	}
	if err := tx.Record(roleEvent("role.update", r, was.detail(), r.detail())); err != nil {
		return was, err
	}
	if r.Name != was.Name || r.givesUnmapped() != was.givesUnmapped() {
		if err := tx.regrantAll(); err != nil {
			return was, err
		}
	}
	return tx.OrgRole(r.ID)
}
