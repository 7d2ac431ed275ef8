package store

import (
	"github.com/muster-id/muster/internal/access"
)

// RoleValue is a value that may give a role: because it has been mapped, or because
// people of the directory have it.
type RoleValue struct {
	RoleMapping      // Role is what the value gives now; as one of the people has it where it is not mapped
	Mapped      bool // somebody here said so; else Role is what holds without it
	Users       int  // of the directory that have it
}

// maxSent is how many values that nobody mapped RoleValues tells; the commonest.
const maxSent = 200

const selectSent = `SELECT v.attr, v.value_key, COUNT(DISTINCT v.user_id) AS users, MIN(CAST(v.user_id AS text)) AS example
	FROM user_values v JOIN users u ON u.org_id = v.org_id AND u.id = v.user_id
	LEFT JOIN role_mappings m ON m.org_id = v.org_id AND m.directory_id = u.directory_id AND m.attr = v.attr AND m.value_key = v.value_key
	WHERE v.org_id = ? AND v.attr IN ('roles', 'entitlements') AND u.directory_id = ? AND u.deleted_at = 0
	GROUP BY v.attr, v.value_key ORDER BY COUNT(m.attr) = 0, 3 DESC, 1, 2 LIMIT ?`

// RoleValues lists what has been mapped for a directory, and then what it has sent
// beside that, the commonest first. Faults: Denied, NotFound.
func (tx *Tx) RoleValues(id DirectoryID) ([]RoleValue, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	mapped, err := tx.RoleMappings(id)
	if err != nil {
		return nil, err
	}
	roles, err := tx.OrgRoles()
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Attr    string `db:"attr"`
		Key     string `db:"value_key"`
		Users   int    `db:"users"`
		Example UserID `db:"example"`
	}
	if err := tx.Select(&rows, selectSent, tx.Org(), id, len(mapped)+maxSent); err != nil {
		return nil, err
	}
	at := map[sentKey]int{}
	list := make([]RoleValue, 0, len(mapped)+len(rows))
	for _, m := range mapped {
		at[sentKey{m.Attr, Fold(m.Value)}] = len(list)
		list = append(list, RoleValue{RoleMapping: m, Mapped: true})
	}
	var examples []UserID
	for _, r := range rows {
		examples = append(examples, r.Example)
	}
	docs, err := tx.docsOf(examples)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if i, ok := at[sentKey{r.Attr, r.Key}]; ok {
			list[i].Users = r.Users
			continue
		}
		v := RoleValue{RoleMapping: RoleMapping{Attr: r.Attr, Value: r.Key, Role: DefaultRoleOf(roles, r.Attr, r.Key)}, Users: r.Users}
		for _, e := range elements(docs[r.Example], r.Attr) {
			if Fold(text(e, "value")) == r.Key {
				v.Value, v.Display, v.Kind = text(e, "value"), text(e, "display"), text(e, "type")
				break
			}
		}
		list = append(list, v)
	}
	return list, nil
}

func (tx *Tx) docsOf(ids []UserID) (map[UserID]Doc, error) {
	var users []User
	if err := tx.Select(&users, userColumns+" WHERE org_id = ? AND id {{in_ids}}", tx.Org(), jsonList(ids)); err != nil {
		return nil, err
	}
	docs := make(map[UserID]Doc, len(users))
	for _, u := range users {
		var err error
		if docs[u.ID], err = u.Attributes(); err != nil {
			return nil, err
		}
	}
	return docs, nil
}
