package store

import (
	"maps"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// What sign-ins give: roles and memberships of local groups, each with its reason.
// A role's reason stands in user_roles. A membership is one row whatever made it, so
// its reasons have a table of their own; by hand is one of them (team.go), and a sign-in
// takes its own alone.

// FromSignIn is the kind of reason of what a sign-in gave; the reason's Ref is the
// connection, its Detail the attribute and the value that gave it.
const FromSignIn = "sso"

// Membership is one person's membership of one group, and why it is there.
type Membership struct {
	GroupID GroupID `db:"group_id" json:"group"`
	Since   Time    `db:"since" json:"since"`           // of the reason
	By      string  `db:"given_by" json:"by,omitempty"` // who did it by hand, as they were called then
	Reason
}

const membershipColumns = `SELECT r.user_id, r.group_id, r.since, r.given_by, r.reason_kind, r.reason_ref, r.reason_detail FROM member_reasons r
	JOIN members m ON m.org_id = r.org_id AND m.group_id = r.group_id AND m.user_id = r.user_id AND m.since = r.member_since`

// MembershipsOf are the reasons of a person's memberships of local groups. One that was
// made by hand before reasons were kept has none. Faults: Denied.
func (tx *Tx) MembershipsOf(id UserID) ([]Membership, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	var rows []struct {
		User UserID `db:"user_id"`
		Membership
	}
	err := tx.Select(&rows, membershipColumns+" WHERE r.org_id = ? AND r.user_id = ? ORDER BY r.group_id, r.since", tx.Org(), id)
	list := make([]Membership, len(rows))
	for i, r := range rows {
		list[i] = r.Membership
	}
	return list, err
}

// KeptMembership is one of a directory's group, whose members only the directory says.
type KeptMembership struct {
	GroupID     GroupID     `db:"group_id"`
	DirectoryID DirectoryID `db:"directory_id"`
	Since       Time        `db:"since"`
}

const keptMemberships = `SELECT m.group_id, g.directory_id, m.since FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id
	WHERE m.org_id = ? AND m.user_id = ? AND g.directory_id IS NOT NULL ORDER BY m.group_id`

// KeptMembershipsOf are those of a person in groups of directories. Faults: Denied.
func (tx *Tx) KeptMembershipsOf(id UserID) (list []KeptMembership, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	return list, tx.Select(&list, keptMemberships, tx.Org(), id)
}

// Join puts a person into a local group for a reason. It tells whether that is new:
// whoever is a member already by hand stays so, without a reason. Needs Write.
// Faults: Denied, NotFound.
func (tx *Tx) Join(id UserID, group GroupID, why Reason) (bool, error) {
	added, err := tx.AddMembers(group, []UserID{id})
	if err != nil {
		return false, err
	}
	var since Time
	err = tx.Get(&since, "SELECT since FROM members WHERE org_id = ? AND group_id = ? AND user_id = ?", tx.Org(), group, id)
	if fault.Is(err, fault.NotFound) {
		return false, fault.NotFound.Say("There is no such team.")
	}
	if err != nil {
		return false, err
	}
	if !added {
		var n int
		if err := tx.Get(&n, `SELECT COUNT(*) FROM member_reasons WHERE org_id = ? AND user_id = ? AND group_id = ? AND member_since = ?`, tx.Org(), id, group, since); err != nil || n == 0 {
			return false, err
		}
	}
	_, err = tx.Exec(`INSERT INTO member_reasons (org_id, user_id, group_id, reason_kind, reason_ref, reason_detail, member_since, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (org_id, user_id, group_id, reason_kind, reason_ref) DO UPDATE SET reason_detail = excluded.reason_detail,
			member_since = excluded.member_since, since = excluded.since`,
		tx.Org(), id, group, why.Kind, why.Ref, why.Detail, since, tx.Now())
	return added, err
}

// Part takes away a reason, and the membership with its last one. It tells whether
// the person has left the group. Needs Write. Faults: Denied.
func (tx *Tx) Part(id UserID, group GroupID, why Reason) (bool, error) {
	have, err := tx.MembershipsOf(id)
	if err != nil {
		return false, err
	}
	// A reason of an earlier membership says nothing of the one that somebody made since.
	meant, others := false, false
	for _, m := range have {
		same := m.Kind == why.Kind && m.Ref == why.Ref
		meant, others = meant || m.GroupID == group && same, others || m.GroupID == group && !same
	}
	if _, err := tx.Exec("DELETE FROM member_reasons WHERE org_id = ? AND user_id = ? AND group_id = ? AND reason_kind = ? AND reason_ref = ?",
		tx.Org(), id, group, why.Kind, why.Ref); err != nil || !meant || others {
		return false, err
	}
	return tx.RemoveMembers(group, []UserID{id})
}

// GivenRoles are the roles that a person has through a connection, each with the
// value that gave it.
func (tx *Tx) GivenRoles(id UserID, connection string) (map[string]string, error) {
	return tx.grantedFor(id, FromSignIn, connection)
}

// GiveRoles makes want, by role, all that a person has through a connection. The last
// active admin keeps the role and kept says so: a sign-in must not fail for it, and
// somebody must be able to mend the mapping. Needs Write. Faults: Denied, Invalid.
func (tx *Tx) GiveRoles(u User, connection string, want map[string]string) (kept bool, err error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return false, err
	}
	g := grantChange{kind: FromSignIn, ref: connection, want: want}
	if g.have, err = tx.grantedFor(u.ID, FromSignIn, connection); err != nil || maps.Equal(g.have, want) {
		return false, err
	}
	if _, err := tx.holdRoles(slices.Collect(maps.Keys(want))); err != nil {
		return false, err
	}
	detail, had := g.have[access.Admin]
	if _, stays := want[access.Admin]; had && !stays && u.Status == Active {
		if err := tx.lockAdmins(); err != nil {
			return false, err
		}
		if kept, err = tx.onlyAdminBy(u.ID, Reason{FromSignIn, connection, detail}); err != nil {
			return false, err
		}
		if kept {
			g.want = maps.Clone(want)
			if g.want == nil {
				g.want = map[string]string{}
			}
			g.want[access.Admin] = detail
		}
	}
	return kept, tx.setGrants(u, g)
}

// onlyAdminBy tells whether the organization would be without an active admin if a
// person had not the role for this reason.
func (tx *Tx) onlyAdminBy(id UserID, why Reason) (bool, error) {
	var others int
	err := tx.Get(&others, `SELECT COUNT(*) FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND r.role = ? AND u.status = 'active' AND NOT (r.user_id = ? AND r.reason_kind = ? AND r.reason_ref = ?)`,
		tx.Org(), access.Admin, id, why.Kind, why.Ref)
	return others == 0, err
}

// Given is a role or a membership that somebody has through a connection.
type Given struct {
	UserID  UserID  `db:"user_id"`
	Role    string  `db:"role"`     // empty for a membership
	GroupID GroupID `db:"group_id"` // empty for a role
	Detail  string  `db:"reason_detail"`
}

// EachGiven are all roles and memberships that a connection gave, for a change of its
// mapping. Faults: Denied.
func (tx *Tx) EachGiven(connection string) ([]Given, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	var roles, teams []Given
	if err := tx.Select(&roles, `SELECT user_id, role, reason_detail FROM user_roles WHERE org_id = ? AND reason_kind = ? AND reason_ref = ? ORDER BY user_id, role`,
		tx.Org(), FromSignIn, connection); err != nil {
		return nil, err
	}
	err := tx.Select(&teams, `SELECT user_id, group_id, reason_detail FROM member_reasons WHERE org_id = ? AND reason_kind = ? AND reason_ref = ? ORDER BY user_id, group_id`,
		tx.Org(), FromSignIn, connection)
	return append(roles, teams...), err
}

// Gone are the deleted people of this address or name, the newest first. A sign-in
// that would make an account asks for them. Faults: Denied.
func (tx *Tx) Gone(email, userName string) ([]User, error) {
	if err := tx.Require(access.CreateUsers); err != nil {
		return nil, err
	}
	list := []User{}
	if email != "" {
		if err := tx.Select(&list, userColumns+" WHERE org_id = ? AND email_key = ? AND deleted_at > 0 ORDER BY deleted_at DESC LIMIT 20", tx.Org(), Fold(email)); err != nil {
			return nil, err
		}
	}
	var named []User
	err := tx.Select(&named, userColumns+" WHERE org_id = ? AND user_name_key = ? AND deleted_at > 0 ORDER BY deleted_at DESC LIMIT 20", tx.Org(), Fold(userName))
	return append(list, named...), err
}
