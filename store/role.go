package store

import (
	"cmp"
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
	By    string `db:"given_by" json:"by,omitempty"` // who gave it by hand, as they were called then
	Reason
}

// DefaultRole is what a person has without any grant.
const DefaultRole = access.Agent

const insertRole = `INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, reason_detail, since, given_by)
	{{row}}{{as_id}}, {{as_id}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_int}}, {{as_text}}{{end_row}}`

// giver is who gives something by hand, as the reason will say it.
func (tx *Tx) giver(why Reason) string {
	if why.Kind != Manual.Kind {
		return ""
	}
	return clip(tx.actor.Name, 200)
}

// Grant gives a role for a reason; a second time changes nothing. Needs Write for a role
// of the organization's own. Faults: NotFound, Denied, Invalid.
func (tx *Tx) Grant(id UserID, role string, why Reason) error {
	if err := tx.Require(access.EditUsers); err != nil {
		return err
	}
	if err := tx.mayGive([]string{role}); err != nil {
		return err
	}
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	if err := tx.mayTouch(u); err != nil {
		return err
	}
	if why.Kind == Manual.Kind {
		if err := tx.dropDefault(u, role); err != nil {
			return err
		}
	}
	if err := tx.relicense(u, []string{role}, nil); err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, reason_detail, since, given_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (org_id, user_id, role, reason_kind, reason_ref) DO NOTHING`, tx.Org(), id, role, why.Kind, why.Ref, why.Detail, tx.Now(), tx.giver(why))
	if err != nil || n == 0 {
		return err
	}
	return tx.Record(roleActivity("user.role.grant", id, u.DisplayName, role, why))
}

// dropDefault takes what was given by default, as somebody decides now.
func (tx *Tx) dropDefault(u User, but string) error {
	var had []Grant
	if err := tx.Select(&had, `SELECT role, reason_kind, reason_ref, reason_detail, since, given_by FROM user_roles
		WHERE org_id = ? AND user_id = ? AND reason_kind = ? AND role <> ?`, tx.Org(), u.ID, FromDefault, but); err != nil {
		return err
	}
	for _, g := range had {
		if _, err := tx.Exec("DELETE FROM user_roles WHERE org_id = ? AND user_id = ? AND role = ? AND reason_kind = ?", tx.Org(), u.ID, g.Role, FromDefault); err != nil {
			return err
		}
		if err := tx.Record(roleActivity("user.role.revoke", u.ID, u.DisplayName, g.Role, g.Reason)); err != nil {
			return err
		}
	}
	return nil
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
	if err := tx.mayTouch(u); err != nil {
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
	err := tx.Select(&rows, `SELECT user_id, role, reason_kind, reason_ref, reason_detail, since, given_by FROM user_roles
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

// RoleNames is the union of the roles in grants: the built-in ones first, then by name.
func RoleNames(grants []Grant) []string {
	names := []string{}
	for _, g := range grants {
		names = append(names, g.Role)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	return slices.Compact(names)
}

func rank(role string) int {
	if at := slices.Index(access.BuiltIn(), role); at >= 0 {
		return at
	}
	return len(access.BuiltIn())
}
