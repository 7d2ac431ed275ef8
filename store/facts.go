package store

import "github.com/muster-id/muster/internal/access"

// PersonFacts is what decides whether a person is touched when many are: less than a
// User, and without the document.
type PersonFacts struct {
	ID          UserID      `db:"id"`
	DisplayName string      `db:"display_name"`
	UserName    string      `db:"user_name"`
	Status      Status      `db:"status"`
	EndedBy     access.Kind `db:"ended_by"`
	DirectoryID DirectoryID `db:"directory_id"`
	BreakGlass  bool        `db:"break_glass"`
	Version     int64       `db:"version"`
	RoleSince   Time        `db:"role_since"`   // of the role that was asked about, given by hand; 0: it was not
	MemberSince Time        `db:"member_since"` // of the group that was asked about; 0: no member
}

// FactsOf reads facts of those among ids who are there, in order of their ids. role and
// group may be empty. Faults: Denied.
func (tx *Tx) FactsOf(ids []UserID, role string, group GroupID) ([]PersonFacts, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	if group == "" {
		group = GroupID(noID)
	}
	seen, more := tx.visible()
	list := []PersonFacts{}
	return list, tx.Select(&list, `SELECT id, display_name, user_name, status, ended_by, directory_id, break_glass, version,
		COALESCE((SELECT g.since FROM user_roles g WHERE g.org_id = ? AND g.user_id = users.id AND g.role = ? AND g.reason_kind = ? AND g.reason_ref = ''), 0) AS role_since,
		COALESCE((SELECT m.since FROM members m WHERE m.org_id = ? AND m.group_id = ? AND m.user_id = users.id), 0) AS member_since
		FROM users WHERE org_id = ? AND id {{in_ids}}`+seen+" ORDER BY id",
		append([]any{tx.Org(), role, Manual.Kind, tx.Org(), group, tx.Org(), jsonList(ids)}, more...)...)
}
