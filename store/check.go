package store

import (
	"fmt"
	"maps"

	"github.com/muster-id/muster/internal/access"
)

// checkPage is how many documents Check decodes at a time.
const checkPage = 500

// Check compares what is kept twice: counters with rows, the searched columns and
// values with the documents, and rows that belong to others with those. What it
// finds is told in sentences; a sound organization gives none. It reads everything,
// and may run beside a server.
func (tx *Tx) Check() (found []string, err error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	for _, look := range []func() ([]string, error){tx.checkCounts, tx.checkOrphans, tx.checkUsers} {
		some, err := look()
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// checkCounts is one statement for each kind, so that both sides are of one moment.
func (tx *Tx) checkCounts() (found []string, err error) {
	for kind, rows := range map[string]string{
		countUsers:  "SELECT COALESCE(u.directory_id, {{as_id}}) AS directory_id, 0 AS said, 1 AS there FROM users u WHERE u.org_id = ? AND u.deleted_at = 0 AND NOT u.break_glass",
		countGroups: "SELECT COALESCE(g.directory_id, {{as_id}}) AS directory_id, 0 AS said, 1 AS there FROM groups g WHERE g.org_id = ?",
	} {
		var wrong []struct {
			Directory DirectoryID `db:"directory_id"`
			Said      int64       `db:"said"`
			There     int64       `db:"there"`
		}
		err := tx.Select(&wrong, `SELECT x.directory_id, CAST(SUM(x.said) AS {{int}}) AS said, CAST(SUM(x.there) AS {{int}}) AS there FROM (
			SELECT c.directory_id, c.n AS said, 0 AS there FROM counts c WHERE c.org_id = ? AND c.kind = ?
			UNION ALL `+rows+`) AS x GROUP BY x.directory_id HAVING SUM(x.said) <> SUM(x.there) ORDER BY x.directory_id`, tx.Org(), kind, noID, tx.Org())
		if err != nil {
			return nil, err
		}
		for _, w := range wrong {
			found = append(found, fmt.Sprintf("%d %ss of the directory %s are counted as %d", w.There, kind, w.Directory, w.Said))
		}
	}
	return found, nil
}

// checkOrphans counts rows whose owner is gone.
func (tx *Tx) checkOrphans() (found []string, err error) {
	for _, c := range []struct{ what, query string }{
		{"memberships of people who are not there", `SELECT COUNT(*) FROM members m WHERE m.org_id = ?
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.org_id = m.org_id AND u.id = m.user_id AND u.deleted_at = 0)`},
		{"memberships in groups that are not there", `SELECT COUNT(*) FROM members m WHERE m.org_id = ?
			AND NOT EXISTS (SELECT 1 FROM groups g WHERE g.org_id = m.org_id AND g.id = m.group_id)`},
		{"groups in groups of which one is not there", `SELECT COUNT(*) FROM subgroups n WHERE n.org_id = ?
			AND (NOT EXISTS (SELECT 1 FROM groups g WHERE g.org_id = n.org_id AND g.id = n.group_id)
			OR NOT EXISTS (SELECT 1 FROM groups g WHERE g.org_id = n.org_id AND g.id = n.member_group_id))`},
		{"versions of groups that are not there", `SELECT COUNT(*) FROM group_epochs e WHERE e.org_id = ?
			AND NOT EXISTS (SELECT 1 FROM groups g WHERE g.org_id = e.org_id AND g.id = e.group_id)`},
		{"indexed values of people who are not there", `SELECT COUNT(*) FROM user_values v WHERE v.org_id = ?
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.org_id = v.org_id AND u.id = v.user_id AND u.deleted_at = 0)`},
		{"rows of the list of people who are not there", `SELECT COUNT(*) FROM roster r WHERE r.org_id = ?
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.org_id = r.org_id AND u.id = r.user_id)`},
		{"people whose row of the list is not as they are", `SELECT COUNT(*) FROM users u LEFT JOIN roster r ON r.org_id = u.org_id AND r.user_id = u.id
			WHERE u.org_id = ? AND (r.user_id IS NULL OR r.status <> u.status OR r.source <> u.source OR r.directory_id IS DISTINCT FROM u.directory_id OR r.break_glass <> u.break_glass
			OR r.sort_key <> u.sort_key OR r.email_key <> u.email_key OR r.created_at <> u.created_at OR r.signed_in_at <> u.signed_in_at)`},
		{"values of own attributes whose owner is not there", `SELECT COUNT(*) FROM extra_values v WHERE v.org_id = ?
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.org_id = v.org_id AND u.id = v.owner_id AND u.deleted_at = 0)
			AND NOT EXISTS (SELECT 1 FROM groups g WHERE g.org_id = v.org_id AND g.id = v.owner_id)`},
	} {
		n := 0
		if err := tx.Get(&n, c.query, tx.Org()); err != nil {
			return nil, err
		}
		if n > 0 {
			found = append(found, fmt.Sprintf("%d %s", n, c.what))
		}
	}
	return found, nil
}

// checkUsers derives columns and values from each document again.
func (tx *Tx) checkUsers() (found []string, err error) {
	for after := UserID(noID); ; {
		page, err := tx.usersBehind(after, checkPage)
		if err != nil {
			return nil, err
		}
		by, err := tx.foundBy(page)
		if err != nil {
			return nil, err
		}
		for _, u := range page {
			wrong, err := differs(u, by[u.ID])
			if err == nil && wrong != "" { // it may have changed between the two statements
				wrong, err = tx.checkAgain(u.ID)
			}
			if err != nil {
				return nil, err
			}
			if wrong != "" {
				found = append(found, fmt.Sprintf("user %s: %s", u.ID, wrong))
			}
		}
		if len(page) < checkPage {
			return found, nil
		}
		after = page[len(page)-1].ID
	}
}

// usersBehind are the next people by id, for whoever looks at all documents.
func (tx *Tx) usersBehind(after UserID, limit int) (list []User, err error) {
	return list, tx.Select(&list, userColumns+" WHERE org_id = ? AND id > ? AND deleted_at = 0 ORDER BY id LIMIT ?", tx.Org(), after, limit)
}

func (tx *Tx) checkAgain(id UserID) (wrong string, err error) {
	for range 5 {
		u, err := tx.anyUser(id)
		if err != nil || u.Status == Deleted {
			return "", err
		}
		by, err := tx.foundBy([]User{u})
		if err != nil {
			return "", err
		}
		if wrong, err = differs(u, by[id]); err != nil || wrong == "" {
			return "", err
		}
	}
	return wrong, nil
}

// differs says what of a user is not what the document says.
func differs(u User, by foundBy) (string, error) {
	doc, err := u.Attributes()
	if err != nil {
		return "", err
	}
	hot, err := hotOf(doc)
	if err != nil {
		return "the document is not sound: " + err.Error(), nil
	}
	switch {
	case hot.userName != u.UserName:
		return fmt.Sprintf("userName is %q in the document, %q beside it", hot.userName, u.UserName), nil
	case hot.externalID != u.ExternalID:
		return fmt.Sprintf("externalId is %q in the document, %q beside it", hot.externalID, u.ExternalID), nil
	case hot.email != u.Email || hot.displayName != u.DisplayName || hot.managerID != u.ManagerID:
		return "e-mail, displayName or manager are not those of the document", nil
	case hot.wordKeys != by.wordKeys:
		return fmt.Sprintf("found by %q, the document has %q", by.wordKeys, hot.wordKeys), nil
	case !maps.Equal(hot.values, by.values):
		return fmt.Sprintf("%d indexed values, the document has %d or others", len(by.values), len(hot.values)), nil
	}
	return "", nil
}

// foundBy is what the indexes have of somebody's document: the columns of words, and the
// rows of user_values.
type foundBy struct {
	wordKeys
	values map[userValue]bool
}

// foundBy reads that of some people.
func (tx *Tx) foundBy(users []User) (map[UserID]foundBy, error) {
	ids := make([]UserID, len(users))
	out := make(map[UserID]foundBy, len(users))
	for i, u := range users {
		ids[i], out[u.ID] = u.ID, foundBy{values: map[userValue]bool{}}
	}
	var keys []struct {
		User UserID `db:"id"`
		wordKeys
	}
	err := tx.Select(&keys, `SELECT id, COALESCE(word_key, '') AS word_key, COALESCE(number_key, '') AS number_key, COALESCE(phone_key, '') AS phone_key
		FROM users WHERE org_id = ? AND id IN ({{ids}})`, tx.Org(), jsonList(ids))
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		out[k.User] = foundBy{k.wordKeys, out[k.User].values}
	}
	var rows []struct {
		User  UserID `db:"user_id"`
		Attr  string `db:"attr"`
		Value string `db:"value_key"`
		Kind  string `db:"kind"`
	}
	err = tx.Select(&rows, "SELECT user_id, attr, value_key, kind FROM user_values WHERE org_id = ? AND user_id IN ({{ids}})", tx.Org(), jsonList(ids))
	for _, r := range rows {
		out[r.User].values[userValue{r.Attr, r.Value, r.Kind}] = true
	}
	return out, err
}
