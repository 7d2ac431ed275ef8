package store

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Roles that come from a directory. A user's document keeps the roles and
// entitlements that the directory sent (RFC 7643 §4.1.2); the directory's mapping
// says which role a value gives. What it gives is a grant of the kind FromDirectory:
// at each commit, a person has exactly those that the document and the mapping of
// the directory that manages the person give.
//
// A value that equals a role's id or name gives that role without being mapped, but
// never Admin: else whoever may assign roles at the directory could make themselves
// the admin of this organization, who reads its log, makes its tokens and decides
// who else signs in. An admin here has to say once which value means that.
//
// The mapping is a table of this package and not of the SCIM door, because people
// are adopted, detached and deleted here, by doors that know nothing of SCIM.
//
// A change of a person's values holds the directory's row shared until its commit,
// a change of the mapping alone: so each sees all that the other did, or comes
// after it. Other changes of people take no lock and no statement more.

// FromDirectory is the kind of reason of a role that a directory gave; the reason's
// Ref is the directory, its Detail the value.
const FromDirectory = "scim"

// Attributes whose values may give a role.
const (
	Roles        = "roles"
	Entitlements = "entitlements"
)

var sentAttrs = []string{Entitlements, Roles} // in order

// maxMappings bounds what each change of a directory's people may read.
const maxMappings = 1000

// RoleMapping says what a value of a directory gives.
type RoleMapping struct {
	Attr      string `db:"attr"`    // Roles or Entitlements
	Value     string `db:"value"`   // compared without regard to case
	Display   string `db:"display"` // for people; may be empty
	Kind      string `db:"kind"`    // the value's type; may be empty
	Role      string `db:"role"`    // empty: the value gives no role
	CreatedAt Time   `db:"created_at"`
}

// Remapped tells how many roles a change of a mapping gave and took.
type Remapped struct{ Granted, Revoked int }

// sentKey is a value in the form in which it is compared.
type sentKey struct{ attr, key string }

func (k sentKey) compare(o sentKey) int {
	return cmp.Or(cmp.Compare(k.attr, o.attr), cmp.Compare(k.key, o.key))
}

// roleRule is what a value gives.
type roleRule struct{ role, detail string }

// RoleMappings lists what has been mapped for a directory, by attribute and value.
// For whoever configures the organization, and the directory itself. Faults: Denied,
// NotFound.
func (tx *Tx) RoleMappings(id DirectoryID) ([]RoleMapping, error) {
	if tx.actor.Kind != access.Directory || tx.actor.ID != string(id) {
		if err := tx.Require(access.Configure); err != nil {
			return nil, err
		}
	}
	if _, err := tx.Directory(id); err != nil {
		return nil, err
	}
	return tx.roleMappings(id)
}

func (tx *Tx) roleMappings(id DirectoryID) ([]RoleMapping, error) {
	list := []RoleMapping{}
	return list, tx.Select(&list, `SELECT attr, value, display, kind, role, created_at FROM role_mappings
		WHERE org_id = ? AND directory_id = ? ORDER BY attr, value_key`, tx.Org(), id)
}

// DefaultRoleOf is the role that a value gives without being mapped, or "". roles are
// those of the organization.
func DefaultRoleOf(roles []OrgRole, attr, value string) string {
	if attr != Roles {
		return ""
	}
	for _, r := range roles {
		if r.givesUnmapped() && (Fold(value) == Fold(r.ID) || Fold(value) == Fold(r.Name)) {
			return r.ID
		}
	}
	return ""
}

// rulesRow is a mapping, or a role of the organization's own: no attribute then.
type rulesRow struct {
	RoleMapping
	Permissions string `db:"permissions"`
}

// The organization's roles come with the mapping, so that a change of a person asks once.
const selectRules = `SELECT attr, value, display, kind, role, created_at, '' AS permissions FROM role_mappings WHERE org_id = ? AND directory_id = ?
	UNION ALL SELECT '', name, label, '', name, created_at, permissions FROM org_roles WHERE org_id = ?`

// roleRules are the mapping of a directory with what holds without it.
func (tx *Tx) roleRules(id DirectoryID) (map[sentKey]roleRule, error) {
	var rows []rulesRow
	err := tx.Select(&rows, selectRules, tx.Org(), id, tx.Org())
	rules := map[sentKey]roleRule{}
	add := func(attr, value, role string) {
		rules[sentKey{attr, Fold(value)}] = roleRule{role, fmt.Sprintf("%s %q", attr, value)}
	}
	var own []roleRow
	for _, r := range rows {
		if r.Attr == "" {
			own = append(own, roleRow{Name: r.Value, Label: r.Display, Permissions: r.Permissions})
		}
	}
	for _, r := range tx.db.withRows(own) {
		if r.givesUnmapped() {
			add(Roles, r.ID, r.ID)
			add(Roles, r.Name, r.ID)
		}
	}
	for _, r := range rows {
		if r.Attr != "" {
			add(r.Attr, r.Value, r.Role)
		}
	}
	return rules, err
}

// given are the roles that values give, each with the first value that does.
func given(rules map[sentKey]roleRule, sent map[sentKey]bool) map[string]string {
	want := map[string]string{}
	for _, k := range slices.SortedFunc(maps.Keys(sent), sentKey.compare) {
		if r := rules[k]; r.role != "" {
			if _, ok := want[r.role]; !ok {
				want[r.role] = r.detail
			}
		}
	}
	return want
}

// sentOf are the values of a document that may be mapped. What no key can hold is
// kept in the document and gives nothing.
func sentOf(doc Doc) map[sentKey]bool {
	sent := map[sentKey]bool{}
	for _, attr := range sentAttrs {
		for _, e := range elements(doc, attr) {
			if key := Fold(text(e, "value")); key != "" && len(key) <= maxKey {
				sent[sentKey{attr, key}] = true
			}
		}
	}
	return sent
}

// sends tells whether a document has any such values, for less than sentOf costs.
func sends(doc Doc) bool { return doc[Roles] != nil || doc[Entitlements] != nil }

// grantChange is what becomes of the roles that a person has for one reason: role and
// detail before and after.
type grantChange struct {
	kind, ref string // of the reason: a directory, or a connection
	have      map[string]string
	want      map[string]string
}

// newGrants are the roles that a new person gets from a directory.
func (tx *Tx) newGrants(u User, doc Doc) (grantChange, error) {
	if u.DirectoryID == "" || !sends(doc) {
		return grantChange{}, nil
	}
	want, err := tx.wanted(u.DirectoryID, sentOf(doc))
	return grantChange{FromDirectory, string(u.DirectoryID), nil, want}, err
}

// planGrants are the roles that change with a person: when the values did, or the
// directory that manages the person.
func (tx *Tx) planGrants(u, next User, plan userPlan) (grantChange, error) {
	g := grantChange{kind: FromDirectory, ref: string(next.DirectoryID)}
	adopted := next.DirectoryID != u.DirectoryID
	if next.DirectoryID == "" || !adopted && !sends(plan.old) && !sends(plan.doc) {
		return g, nil
	}
	doc := plan.doc
	if doc == nil {
		var err error
		if doc, err = u.Attributes(); err != nil {
			return g, err
		}
	}
	sent := sentOf(doc)
	if adopted && len(sent) == 0 || !adopted && maps.Equal(sent, sentOf(plan.old)) {
		return g, nil
	}
	var err error
	if g.want, err = tx.wanted(next.DirectoryID, sent); err != nil {
		return g, err
	}
	g.have, err = tx.grantedBy(u.ID, next.DirectoryID)
	return g, err
}

// wanted are the roles that values give, held so until the commit.
func (tx *Tx) wanted(id DirectoryID, sent map[sentKey]bool) (map[string]string, error) {
	if err := tx.holdMapping(id); err != nil {
		return nil, err
	}
	rules, err := tx.roleRules(id)
	return given(rules, sent), err
}

func (tx *Tx) holdMapping(id DirectoryID) error {
	if tx.mode == modeCommand {
		return errTransaction
	}
	var held DirectoryID
	return tx.Get(&held, "SELECT id FROM directories WHERE org_id = ? AND id = ?{{share}}", tx.Org(), id)
}

// grantedBy are the roles that a person has from a directory.
func (tx *Tx) grantedBy(id UserID, by DirectoryID) (map[string]string, error) {
	return tx.grantedFor(id, FromDirectory, string(by))
}

func (tx *Tx) grantedFor(id UserID, kind, ref string) (map[string]string, error) {
	var rows []Grant
	err := tx.Select(&rows, "SELECT role, reason_kind, reason_ref, reason_detail, since FROM user_roles WHERE org_id = ? AND user_id = ? AND reason_kind = ? AND reason_ref = ?",
		tx.Org(), id, kind, ref)
	have := map[string]string{}
	for _, r := range rows {
		have[r.Role] = r.Detail
	}
	return have, err
}

// setGrants writes the change, with a row of activity for each role that comes or goes.
func (tx *Tx) setGrants(u User, g grantChange) error {
	if err := tx.relicenseGrants(u, g); err != nil {
		return err
	}
	for _, role := range slices.Sorted(maps.Keys(g.have)) {
		if _, stays := g.want[role]; stays {
			continue
		}
		why := Reason{g.kind, g.ref, g.have[role]}
		if _, err := tx.Exec("DELETE FROM user_roles WHERE org_id = ? AND user_id = ? AND role = ? AND reason_kind = ? AND reason_ref = ?",
			tx.Org(), u.ID, role, why.Kind, why.Ref); err != nil {
			return err
		}
		if err := tx.Record(roleActivity("user.role.revoke", u.ID, u.DisplayName, role, why)); err != nil {
			return err
		}
	}
	for _, role := range slices.Sorted(maps.Keys(g.want)) {
		was, had := g.have[role]
		if had && was == g.want[role] {
			continue
		}
		why := Reason{g.kind, g.ref, g.want[role]}
		if _, err := tx.Exec(`INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, reason_detail, since) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (org_id, user_id, role, reason_kind, reason_ref) DO UPDATE SET reason_detail = excluded.reason_detail`,
			tx.Org(), u.ID, role, why.Kind, why.Ref, why.Detail, tx.Now()); err != nil {
			return err
		}
		if had { // the role stays, for another value
			continue
		}
		if err := tx.Record(roleActivity("user.role.grant", u.ID, u.DisplayName, role, why)); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) relicenseGrants(u User, g grantChange) error {
	var come, gone []string
	for role := range g.have {
		if _, stays := g.want[role]; !stays {
			gone = append(gone, role)
		}
	}
	for role := range g.want {
		if _, had := g.have[role]; !had {
			come = append(come, role)
		}
	}
	if len(come)+len(gone) == 0 {
		return nil
	}
	return tx.relicense(u, come, gone)
}

func roleActivity(action string, id UserID, name, role string, why Reason) Activity {
	return Activity{Action: action, TargetKind: "user", TargetID: string(id), TargetName: name, Detail: map[string]any{"role": role, "reason": why}}
}

// dropGrants takes the roles that u's directory gave, as the person leaves it.
// Faults: Conflict (the last admin).
func (tx *Tx) dropGrants(u User) error {
	if u.DirectoryID == "" || !bytes.Contains(u.Doc, []byte(`"`+Roles+`"`)) && !bytes.Contains(u.Doc, []byte(`"`+Entitlements+`"`)) {
		return nil
	}
	if err := tx.lockAdmins(); err != nil {
		return err
	}
	if err := tx.holdMapping(u.DirectoryID); err != nil {
		return err
	}
	have, err := tx.grantedBy(u.ID, u.DirectoryID)
	if err != nil {
		return err
	}
	if err := tx.setGrants(u, grantChange{kind: FromDirectory, ref: string(u.DirectoryID), have: have}); err != nil {
		return err
	}
	if _, admin := have[access.Admin]; admin && u.Status == Active {
		return tx.someAdmin()
	}
	return nil
}

// lockAdmins keeps others from taking admins away until the commit. A directory's
// word is final: it takes no part in this.
func (tx *Tx) lockAdmins() error {
	if tx.actor.Kind == access.Directory {
		return nil
	}
	var org OrgID
	return tx.Get(&org, "SELECT id FROM orgs WHERE id = ?"+tx.ForUpdate(), tx.Org())
}

// someAdmin refuses what has left the organization without an active admin. Faults: Conflict.
func (tx *Tx) someAdmin() error {
	if tx.actor.Kind == access.Directory {
		return nil
	}
	var n int
	err := tx.Get(&n, `SELECT COUNT(*) FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND r.role = ? AND u.status = 'active'`, tx.Org(), access.Admin)
	if err == nil && n == 0 {
		return fault.Conflict.On("role", "This would leave the organization without an active admin. Make somebody an admin by hand first.")
	}
	return err
}

// MapRole says from now on which role a value of a directory gives, and gives it to
// and takes it from the people whom that concerns. Needs Write. Faults: Denied,
// NotFound, Invalid on "attribute", "value", "display", "kind" or "role", Conflict
// (no admin would be left).
func (tx *Tx) MapRole(id DirectoryID, m RoleMapping) (Remapped, error) {
	if err := tx.checkMapping(&m); err != nil {
		return Remapped{}, err
	}
	return tx.remap(id, m, func(d Directory, before *RoleMapping) error {
		var n int
		if err := tx.Get(&n, "SELECT COUNT(*) FROM role_mappings WHERE org_id = ? AND directory_id = ?", tx.Org(), id); err != nil {
			return err
		}
		if before == nil && n >= maxMappings {
			return fault.Invalid.On("value", "%s has %d mappings already, which is as many as are possible.", d.Name, n)
		}
		_, err := tx.Exec(`INSERT INTO role_mappings (org_id, directory_id, attr, value_key, value, display, kind, role, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (org_id, directory_id, attr, value_key) DO UPDATE SET value = excluded.value, display = excluded.display, kind = excluded.kind, role = excluded.role`,
			tx.Org(), id, m.Attr, Fold(m.Value), m.Value, m.Display, m.Kind, m.Role, tx.Now())
		return err
	})
}

// UnmapRole forgets what was mapped for a value. Needs Write. Faults: Denied,
// NotFound, Conflict (no admin would be left).
func (tx *Tx) UnmapRole(id DirectoryID, attr, value string) (Remapped, error) {
	return tx.remap(id, RoleMapping{Attr: attr, Value: value}, func(d Directory, before *RoleMapping) error {
		if before == nil {
			return fault.NotFound.On("value", "%s has no mapping of %.64q in %.64q.", d.Name, value, attr)
		}
		_, err := tx.Exec("DELETE FROM role_mappings WHERE org_id = ? AND directory_id = ? AND attr = ? AND value_key = ?", tx.Org(), id, attr, Fold(value))
		return err
	})
}

func (tx *Tx) checkMapping(m *RoleMapping) error {
	m.Value, m.Display, m.Kind = strings.TrimSpace(m.Value), strings.TrimSpace(m.Display), strings.TrimSpace(m.Kind)
	if !slices.Contains(sentAttrs, m.Attr) {
		return fault.Invalid.On("attribute", "The attribute is %s or %s, not %.64q.", Roles, Entitlements, m.Attr)
	}
	if m.Value == "" {
		return fault.Invalid.On("value", "Say which value of %s is meant, as the directory sends it.", m.Attr)
	}
	for _, f := range []struct {
		name, text string
		limit      int
	}{{"value", m.Value, 250}, {"display", m.Display, 200}, {"kind", m.Kind, 100}} {
		if err := checkText(f.name, f.text, f.limit); err != nil {
			return err
		}
		if strings.ContainsFunc(f.text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fault.Invalid.On(f.name, "%s holds a line break or another control character.", f.name)
		}
	}
	if m.Role == "" {
		return nil
	}
	return tx.HoldRole(m.Role)
}

// remap makes one change of a directory's mapping, alone, and brings everybody's
// roles in line with it.
func (tx *Tx) remap(id DirectoryID, m RoleMapping, write func(d Directory, before *RoleMapping) error) (Remapped, error) {
	if err := tx.Require(access.Configure); err != nil {
		return Remapped{}, err
	}
	if err := tx.lockAdmins(); err != nil {
		return Remapped{}, err
	}
	var d Directory
	if err := tx.Get(&d, directoryColumns+" WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id); err != nil {
		return Remapped{}, err
	}
	before, err := tx.mapped(id, m)
	if err != nil {
		return Remapped{}, err
	}
	if err := write(d, before); err != nil {
		return Remapped{}, err
	}
	after, err := tx.mapped(id, m)
	if err != nil {
		return Remapped{}, err
	}
	done, err := tx.regrant(id)
	if err != nil {
		return done, err
	}
	act := Activity{Action: "directory.role.map", TargetKind: "directory", TargetID: string(id), TargetName: d.Name, Detail: map[string]any{
		"before": before.detail(), "after": after.detail(), "granted": done.Granted, "revoked": done.Revoked}}
	if after == nil {
		act.Action = "directory.role.unmap"
	}
	return done, tx.Record(act)
}

// mapped is the mapping of a value, nil when there is none.
func (tx *Tx) mapped(id DirectoryID, m RoleMapping) (*RoleMapping, error) {
	var found RoleMapping
	err := tx.Get(&found, `SELECT attr, value, display, kind, role, created_at FROM role_mappings
		WHERE org_id = ? AND directory_id = ? AND attr = ? AND value_key = ?`, tx.Org(), id, m.Attr, Fold(strings.TrimSpace(m.Value)))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return &found, err
}

func (m *RoleMapping) detail() map[string]any {
	if m == nil {
		return nil
	}
	return map[string]any{"attribute": m.Attr, "value": m.Value, "display": m.Display, "kind": m.Kind, "role": m.Role}
}
