package factor

import (
	"encoding/json"

	"github.com/muster-id/muster/store"
)

// View is what somebody has, for the person and for admins. No secret is in it.
type View struct {
	Passkeys []Passkey
	AppSince store.Time // 0: no app
	AppUsed  store.Time
	Codes    int // recovery codes left
	Rule     Rule
}

// Any tells whether there is a second factor that works.
func (v View) Any() bool {
	for _, k := range v.Passkeys {
		if k.CopiedAt == 0 {
			return true
		}
	}
	return v.AppSince != 0
}

// Nothing tells whether there is nothing that could be taken away.
func (v View) Nothing() bool { return len(v.Passkeys) == 0 && v.AppSince == 0 && v.Codes == 0 }

// Few tells whether it is time for new recovery codes.
func (v View) Few() bool { return v.Any() && v.Codes <= FewCodes }

// View reads everything of one person.
func (s *Store) View(tx *store.Tx, user store.UserID) (v View, err error) {
	if v.Passkeys, err = s.Passkeys(tx, user); err != nil {
		return v, err
	}
	if v.AppSince, v.AppUsed, err = s.AppSince(tx, user); err != nil {
		return v, err
	}
	has, err := s.Of(tx, user)
	if err != nil {
		return v, err
	}
	v.Codes = has.Codes
	v.Rule, err = s.opt.Rule(tx, user)
	return v, err
}

// Without counts the active people (admins alone, when that is set) who have no second
// factor, and names some of them. Those in except are not meant.
func (s *Store) Without(tx *store.Tx, admins bool, except map[store.UserID]bool) (n int, names []string, err error) {
	list := make([]store.UserID, 0, len(except))
	for id := range except {
		list = append(list, id)
	}
	not, err := json.Marshal(list)
	if err != nil {
		return 0, nil, err
	}
	var rows []struct {
		Name  string `db:"name"`
		Total int    `db:"total"`
	}
	query := without
	args := []any{tx.Org(), string(not)}
	if admins {
		query = withoutAdmins
		args = append(args, tx.Org())
	}
	if err := tx.Select(&rows, query+" ORDER BY u.id LIMIT 20", args...); err != nil {
		return 0, nil, err
	}
	for _, r := range rows {
		n, names = r.Total, append(names, r.Name)
	}
	return n, names, nil
}

const (
	without = `SELECT CASE WHEN u.display_name <> '' THEN u.display_name ELSE u.user_name END AS name, count(*) OVER () AS total FROM users u
		WHERE u.org_id = ? AND u.status = 'active' AND u.deleted_at = 0 AND NOT (u.id {{in_ids}})
		AND NOT EXISTS (SELECT 1 FROM passkeys k WHERE k.org_id = u.org_id AND k.user_id = u.id AND k.copied_at = 0)
		AND NOT EXISTS (SELECT 1 FROM authenticators a WHERE a.org_id = u.org_id AND a.user_id = u.id)`
	withoutAdmins = without + ` AND EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = ? AND r.user_id = u.id AND r.role = 'admin')`
)

// Lacking are the people who have no second factor, whatever their state.
func Lacking(tx *store.Tx) []store.PeopleSet {
	return []store.PeopleSet{
		{IDs: "SELECT DISTINCT k.user_id AS id FROM passkeys k WHERE k.org_id = ? AND k.copied_at = 0", Args: []any{tx.Org()}, Not: true},
		{IDs: "SELECT a.user_id AS id FROM authenticators a WHERE a.org_id = ?", Args: []any{tx.Org()}, Not: true},
	}
}
