package review

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// reviewed are the people who can be reviewed: who is active or invited.
const reviewed = "u.org_id = ? AND u.deleted_at = 0 AND u.status IN ('invited', 'active')"

// written is what a row says of a person.
const written = `people AS MATERIALIZED (SELECT u.id, u.display_name, u.user_name, u.email, u.status, u.sort_key, u.manager_id, u.signed_in_at,
		COALESCE((SELECT MAX(d.at) FROM deeds d WHERE d.org_id = u.org_id AND d.user_id = u.id), 0) AS deed_at
	FROM users u WHERE ` + reviewed + ` AND u.id {{in_ids}})`

// held is what they have: roles; the role of those without any; memberships. It begins with the
// people (CROSS JOIN tells SQLite so, and i that the index by people has all it needs): else all
// memberships of the organization are read each time.
const held = `held AS (
	SELECT r.user_id, r.role, CAST(NULL AS {{id}}) AS group_id, '' AS team, '' AS team_key, r.reason_kind, r.reason_ref, r.reason_detail, r.given_by, r.since,
		r.reason_kind IN ('scim', 'sso') AS at_source
	FROM people p CROSS JOIN user_roles r WHERE r.org_id = ? AND r.user_id = p.id
	UNION ALL SELECT p.id, {{as_text}}, NULL, '', '', 'default', '', '', '', 0, 1 = 0 FROM people p
	WHERE NOT EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = ? AND r.user_id = p.id)
	UNION ALL SELECT m.user_id, '', g.id, g.name, g.name_key, COALESCE(w.reason_kind, CASE WHEN g.directory_id IS NULL THEN 'manual' ELSE 'group' END),
		COALESCE(w.reason_ref, REPLACE(CAST(g.directory_id AS TEXT), '-', ''), ''), COALESCE(w.reason_detail, ''), COALESCE(w.given_by, ''), COALESCE(w.since, m.since),
		g.directory_id IS NOT NULL OR COALESCE(w.reason_kind, '') IN ('scim', 'sso')
	FROM people p CROSS JOIN members i CROSS JOIN members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id
	LEFT JOIN member_reasons w ON w.org_id = m.org_id AND w.user_id = m.user_id AND w.group_id = m.group_id AND w.member_since = m.since
	WHERE i.org_id = ? AND i.user_id = p.id AND m.org_id = i.org_id AND m.group_id = i.group_id AND m.user_id = i.user_id)`

const writeRows = `WITH ` + written + ", " + held + ` INSERT INTO review_rows (org_id, review_id, n, person_id, person, email, status, manager_id, role, group_id, team,
		reason_kind, reason_ref, reason_detail, given_by, at_source, since, signed_in_at, deed_at, idle)
	SELECT {{as_id}}, {{as_id}}, {{as_int}} + ROW_NUMBER() OVER (ORDER BY p.sort_key, p.id, h.team_key, h.role, h.reason_kind, h.reason_ref), p.id,
		CASE WHEN p.display_name = '' THEN p.user_name ELSE p.display_name END, p.email, p.status, p.manager_id, h.role, h.group_id, h.team,
		h.reason_kind, h.reason_ref, h.reason_detail, h.given_by, h.at_source, h.since, p.signed_in_at, p.deed_at, p.signed_in_at < {{as_int}}
	FROM people p JOIN held h ON h.user_id = p.id`

// within narrows reviewed to a scope.
func within(r Review, org store.OrgID) (string, []any) {
	role := r.ScopeRef
	switch r.Scope {
	case Admins:
		role = access.Admin
		fallthrough
	case HasRole:
		if role == store.DefaultRole { // also of those who have no other
			return ` AND (u.id IN (SELECT r.user_id FROM user_roles r WHERE r.org_id = ? AND r.role = ?)
				OR NOT EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = ? AND r.user_id = u.id))`, []any{org, role, org}
		}
		return " AND u.id IN (SELECT r.user_id FROM user_roles r WHERE r.org_id = ? AND r.role = ?)", []any{org, role}
	case InTeam:
		return " AND u.id IN (SELECT m.user_id FROM members m WHERE m.org_id = ? AND m.group_id = {{as_id}})", []any{org, r.ScopeRef}
	case CameBy:
		return " AND u.source = ?", []any{r.ScopeRef}
	}
	return "", nil
}

// some are people of the scope, in no order, at most as many.
func some(tx *store.Tx, r Review, limit int) (list []store.UserID, err error) {
	where, args := within(r, tx.Org())
	return list, tx.Select(&list, "SELECT u.id FROM users u WHERE "+reviewed+where+" LIMIT ?", append(append([]any{tx.Org()}, args...), limit)...)
}

// everyone are all people of the scope by name, as of one moment: it is one statement.
func everyone(tx *store.Tx, r Review) (list []store.UserID, err error) {
	where, args := within(r, tx.Org())
	return list, tx.Select(&list, "SELECT u.id FROM users u WHERE "+reviewed+where+" ORDER BY u.sort_key, u.id", append([]any{tx.Org()}, args...)...)
}

// write writes down what these people have, behind the rows that are there, and says how
// many rows that is. What one of them has is as of one moment: it is one statement.
func write(tx *store.Tx, r Review, people []store.UserID) (int, error) {
	query, args := writing(tx, r, people)
	n, err := tx.Exec(query, args...)
	return int(n), err
}

func writing(tx *store.Tx, r Review, people []store.UserID) (query string, args []any) {
	return writeRows, []any{tx.Org(), jsonOf(people), tx.Org(), store.DefaultRole, tx.Org(), tx.Org(), tx.Org(), r.ID, r.Total, r.StartedAt.Add(-idleAfter)}
}
