package store

import (
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Reason says why a role is there; a person's roles are the union over reasons.
type Reason struct {
	Kind   string `db:"reason_kind" json:"kind"`               // manual, default, group, scim, sso
	Ref    string `db:"reason_ref" json:"ref"`                 // the group, directory or connection; empty for manual
	Detail string `db:"reason_detail" json:"detail,omitempty"` // what the directory sent: roles "Helpdesk"
}

// Manual is the reason of a role that somebody gave by hand.
var Manual = Reason{Kind: "manual"}

// Grant is one role of a person with its reason.
type Grant struct {
	Role  string `db:"role" json:"role"`
	Since Time   `db:"since" json:"since"`
	Reason
}

// DefaultRole is what a person has without any grant.
const DefaultRole = access.Agent

// OrgRole is a role that people of an organization can have.
type OrgRole struct{ ID, Name, Description string }

// OrgRoles are the roles of this organization, in the order in which a form offers them.
func (tx *Tx) OrgRoles() []OrgRole {
	about := map[string]OrgRole{
		access.Admin:  {Name: "Admin", Description: "Manages people, directories, sign-in and settings."},
		access.Agent:  {Name: "Agent", Description: "Works with the applications; has no pages in the console."},
		access.Viewer: {Name: "Viewer", Description: "Sees people and activity in the console, and changes nothing."},
	}
	list := []OrgRole{}
	for _, id := range access.RoleNames() {
		r := about[id]
		r.ID = id
		list = append(list, r)
	}
	return list
}

const insertRole = `INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, since)
	SELECT {{as_id}}, {{as_id}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_int}} WHERE {{gate}}`

func checkRole(role string) error {
	if !slices.Contains(access.RoleNames(), role) {
		return fault.Invalid.On("role", "There is no role %q. Choose one of %s.", role, strings.Join(access.RoleNames(), ", "))
	}
	return nil
}

// Grant gives a role for a reason; a second time changes nothing. Faults: NotFound, Denied, Invalid.
func (tx *Tx) Grant(id UserID, role string, why Reason) error {
	if err := tx.Require(access.EditUsers); err != nil {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	if err := tx.relicense(u, []string{role}, nil); err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, since) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (org_id, user_id, role, reason_kind, reason_ref) DO NOTHING`, tx.Org(), id, role, why.Kind, why.Ref, tx.Now())
	if err != nil || n == 0 {
		return err
	}
	return tx.Record(roleActivity("user.role.grant", id, u.DisplayName, role, why))
}

// Revoke takes a role that was given for this reason. Needs Write. Faults:
// NotFound (no such grant), Denied, Conflict (the last admin).
func (tx *Tx) Revoke(id UserID, role string, why Reason) error {
	if err := tx.Require(access.EditUsers); err != nil {
		return err
	}
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	if role == access.Admin && u.Status == Active {
		if err := tx.keepAdmin(id); err != nil {
			return err
		}
	}
	if err := tx.relicense(u, nil, []string{role}); err != nil {
		return err
	}
	n, err := tx.Exec("DELETE FROM user_roles WHERE org_id = ? AND user_id = ? AND role = ? AND reason_kind = ? AND reason_ref = ?",
		tx.Org(), id, role, why.Kind, why.Ref)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.NotFound.On("role", "%s does not have the role %s for that reason.", u.DisplayName, role)
	}
	return tx.Record(roleActivity("user.role.revoke", id, u.DisplayName, role, why))
}

// SetRole makes role the only one that was given by hand. Of several who do so at once
// the last one's holds. Needs Write.
func (tx *Tx) SetRole(id UserID, role string) error {
	var held UserID // so that nobody changes the roles after they are read here
	err := tx.Get(&held, "SELECT id FROM users WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id)
	if err != nil && !fault.Is(err, fault.NotFound) { // that is Grant's to say
		return err
	}
	have, err := tx.RolesOf([]UserID{id})
	if err != nil {
		return err
	}
	if err := tx.Grant(id, role, Manual); err != nil {
		return err
	}
	for _, g := range have[id] {
		if g.Reason == Manual && g.Role != role {
			if err := tx.Revoke(id, g.Role, Manual); err != nil {
				return err
			}
		}
	}
	return nil
}

// RolesOf tells the roles of several people, each with its reason, in one query.
func (tx *Tx) RolesOf(ids []UserID) (map[UserID][]Grant, error) {
	var rows []struct {
		UserID UserID `db:"user_id"`
		Grant
	}
	err := tx.Select(&rows, `SELECT user_id, role, reason_kind, reason_ref, reason_detail, since FROM user_roles
		WHERE org_id = ? AND user_id {{in_ids}} ORDER BY user_id, role, since`, tx.Org(), jsonList(ids))
	if err != nil {
		return nil, err
	}
	roles := make(map[UserID][]Grant, len(ids))
	for _, r := range rows {
		roles[r.UserID] = append(roles[r.UserID], r.Grant)
	}
	for _, id := range ids {
		if len(roles[id]) == 0 {
			roles[id] = []Grant{{Role: DefaultRole, Reason: Reason{Kind: "default"}}}
		}
	}
	return roles, nil
}

// RoleNames is the union of the roles in grants, in the order of access.RoleNames.
func RoleNames(grants []Grant) []string {
	names := []string{}
	for _, role := range access.RoleNames() {
		if slices.ContainsFunc(grants, func(g Grant) bool { return g.Role == role }) {
			names = append(names, role)
		}
	}
	return names
}
