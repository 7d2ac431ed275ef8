package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// RoleEnd is what the end of a role does, or would do.
type RoleEnd struct {
	Role   OrgRole
	To     OrgRole  // what its holders have instead; zero: nothing, or nothing said yet
	People int      // who hold it
	Losing int      // of them, who would have no role but the default one
	Mapped int      // values of directories that give it; they give To from then on
	Uses   []string // what gives or holds it beside, in words: it must be changed first
}

// WithoutRole says that those who held a role have none instead.
const WithoutRole = "none"

// PreviewRoleEnd tells what DeleteRole would do; to may be empty as long as nobody has
// decided. Faults: Denied, NotFound, Invalid.
func (tx *Tx) PreviewRoleEnd(name, to string) (e RoleEnd, err error) {
	if err := tx.Require(access.Configure); err != nil {
		return e, err
	}
	if e.Role, err = tx.OrgRole(name); err != nil {
		return e, err
	}
	if e.Role.BuiltIn {
		return e, fault.Invalid.On("role", "%s is there always. A role of your own can be deleted.", e.Role.Name)
	}
	if to != "" && to != WithoutRole {
		if e.To, err = tx.OrgRole(to); err != nil {
			return e, fault.Invalid.On("to", "%s", fault.Public(err))
		}
		switch e.To.ID {
		case e.Role.ID:
			return e, fault.Invalid.On("to", "Choose another role than the one that goes.")
		case access.Admin:
			return e, fault.Invalid.On("to", "Nobody becomes an admin because another role ends. Make people admins one by one.")
		}
	}
	if err := tx.Get(&e.People, `SELECT COUNT(DISTINCT r.user_id) FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND r.role = ? AND u.deleted_at = 0`, tx.Org(), e.Role.ID); err != nil {
		return e, err
	}
	if err := tx.Get(&e.Losing, `SELECT COUNT(DISTINCT r.user_id) FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND r.role = ? AND u.deleted_at = 0
		AND NOT EXISTS (SELECT 1 FROM user_roles o WHERE o.org_id = r.org_id AND o.user_id = r.user_id AND o.role <> r.role)`, tx.Org(), e.Role.ID); err != nil {
		return e, err
	}
	if err := tx.Get(&e.Mapped, "SELECT COUNT(*) FROM role_mappings WHERE org_id = ? AND role = ?", tx.Org(), e.Role.ID); err != nil {
		return e, err
	}
	if e.Uses, err = tx.defaultsWith(e.Role.ID); err != nil {
		return e, err
	}
	for _, uses := range tx.db.roleUses {
		list, err := uses(tx, e.Role.ID)
		if err != nil {
			return e, err
		}
		e.Uses = append(e.Uses, list...)
	}
	return e, nil
}

// DeleteRole ends a role. Its holders have the role to instead, or go without with
// WithoutRole; so do the values of directories that gave it. Version is as it was read, 0
// for whatever it is now. Needs Write. Faults: Denied, NotFound, Invalid on "role" or
// "to", Conflict (something else gives it, or it was changed meanwhile).
func (tx *Tx) DeleteRole(name, to string, version int64) (RoleEnd, error) {
	if err := tx.lockRoles(); err != nil {
		return RoleEnd{}, err
	}
	var held []string // whoever is giving it now ends first, and is then seen
	if err := tx.Select(&held, "SELECT name FROM org_roles WHERE org_id = ? AND name = ?"+tx.ForUpdate(), tx.Org(), Fold(strings.TrimSpace(name))); err != nil {
		return RoleEnd{}, err
	}
	e, err := tx.PreviewRoleEnd(name, to)
	switch {
	case err != nil:
		return e, err
	case version != 0 && version != e.Role.Version:
		return e, fault.Conflict.On("role", "%s was changed by somebody else meanwhile. This is how it is now.", e.Role.Name)
	case to == "" && e.People+e.Mapped > 0:
		return e, fault.Invalid.On("to", "The role %s is in use by %s and %s. Say which role they have instead, or %q for none.", e.Role.Name,
			fault.Count(e.People, "%d person", "%d people"), fault.Count(e.Mapped, "%d value of a directory", "%d values of directories"), WithoutRole)
	case len(e.Uses) > 0:
		return e, fault.Conflict.On("role", "%s cannot be deleted yet. Change first: %s.", e.Role.Name, strings.Join(e.Uses, "; "))
	}
	if e.To.ID != "" {
		if err := tx.mayGive([]string{e.To.ID}); err != nil {
			return e, err
		}
		if err := tx.mapNamed(e); err != nil {
			return e, err
		}
	}
	if _, err := tx.Exec("UPDATE role_mappings SET role = ? WHERE org_id = ? AND role = ?", e.To.ID, tx.Org(), e.Role.ID); err != nil {
		return e, err
	}
	if err := tx.replaceRole(e); err != nil {
		return e, err
	}
	if _, err := tx.Exec("DELETE FROM org_roles WHERE org_id = ? AND name = ?", tx.Org(), e.Role.ID); err != nil {
		return e, err
	}
	if err := tx.regrantAll(); err != nil {
		return e, err
	}
	if err := tx.recheckSeats(); err != nil {
		return e, err
	}
	act := roleEvent("role.delete", e.Role, e.Role.detail(), nil)
	act.Detail["to"], act.Detail["people"] = e.To.ID, e.People
	return e, tx.Record(act)
}

// mapNamed writes down for directories which gave the role by its name alone that the
// name gives the other one.
func (tx *Tx) mapNamed(e RoleEnd) error {
	var from []DirectoryID
	if err := tx.Select(&from, "SELECT DISTINCT reason_ref FROM user_roles WHERE org_id = ? AND role = ? AND reason_kind = ? ORDER BY reason_ref", tx.Org(), e.Role.ID, FromDirectory); err != nil {
		return err
	}
	for _, id := range from {
		for _, value := range distinct([]string{e.Role.ID, e.Role.Name}) {
			if _, err := tx.Exec(`INSERT INTO role_mappings (org_id, directory_id, attr, value_key, value, display, kind, role, created_at) VALUES (?, ?, ?, ?, ?, '', '', ?, ?)
				ON CONFLICT (org_id, directory_id, attr, value_key) DO NOTHING`, tx.Org(), id, Roles, Fold(value), value, e.To.ID, tx.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// heldRole is a role that somebody has, with its reason.
type heldRole struct {
	User     UserID     `db:"user_id" json:"user"`
	Name     string     `db:"display_name" json:"name"`
	Kind     string     `db:"reason_kind" json:"kind"`
	Ref      string     `db:"reason_ref" json:"ref"`
	Detail   string     `db:"reason_detail" json:"detail"`
	By       string     `db:"given_by" json:"by"`
	Activity ActivityID `json:"activity"`
	Record   string     `json:"record"`
}

// replaceRole takes the role from everybody and gives the other one for the same
// reasons. What directories gave is brought in line afterwards, by their mapping.
func (tx *Tx) replaceRole(e RoleEnd) error {
	var list []heldRole
	if err := tx.Select(&list, `SELECT r.user_id, u.display_name, r.reason_kind, r.reason_ref, r.reason_detail, r.given_by
		FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND r.role = ? AND r.reason_kind <> ? ORDER BY r.user_id`, tx.Org(), e.Role.ID, FromDirectory); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM user_roles WHERE org_id = ? AND role = ? AND reason_kind <> ?", tx.Org(), e.Role.ID, FromDirectory); err != nil {
		return err
	}
	for batch := range slices.Chunk(list, regrantBatch) {
		if err := tx.recordHeld(batch, "user.role.revoke", e.Role.ID); err != nil {
			return err
		}
		if e.To.ID == "" {
			continue
		}
		raw, err := json.Marshal(batch)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, reason_detail, since, given_by)
			SELECT {{as_id}}, CAST(e.value ->> 'user' AS {{id}}), {{as_text}}, e.value ->> 'kind', e.value ->> 'ref', e.value ->> 'detail', {{as_int}}, e.value ->> 'by' FROM {{each}} WHERE 1 = 1
			ON CONFLICT (org_id, user_id, role, reason_kind, reason_ref) DO NOTHING`, tx.Org(), e.To.ID, tx.Now(), string(raw)); err != nil {
			return err
		}
		if err := tx.recordHeld(batch, "user.role.grant", e.To.ID); err != nil {
			return err
		}
	}
	return nil
}

// recordHeld writes one row of activity for each.
func (tx *Tx) recordHeld(batch []heldRole, action, role string) error {
	var act []any
	for i := range batch {
		h := &batch[i]
		a := roleActivity(action, h.User, h.Name, role, Reason{h.Kind, h.Ref, h.Detail})
		var err error
		if act, err = tx.activityArgs(&a); err != nil {
			return err
		}
		h.Activity, h.Record = a.ID, act[len(act)-1].(string)
	}
	if len(batch) == 0 {
		return nil
	}
	raw, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("people of the role %s: %w", role, err)
	}
	_, err = tx.Exec(insertActivities, act[0], act[2], act[3], act[4], act[5], action, string(raw))
	return err
}
