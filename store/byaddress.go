package store

import "github.com/muster-id/muster/internal/access"

// The two halves use an index each; one condition with OR would use none on SQLite.
const peopleByAddress = userColumns + ` WHERE org_id = ? AND deleted_at = 0 AND email_key IN (SELECT value FROM {{each_text}})
	UNION SELECT ` + UserFields + ` FROM users WHERE org_id = ? AND deleted_at = 0 AND user_name_key IN (SELECT value FROM {{each_text}})`

// PeopleByAddress are those who have one of these as address or user name, in one query.
func (tx *Tx) PeopleByAddress(addresses []string) ([]User, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	keys := make([]string, len(addresses))
	for i, a := range addresses {
		keys[i] = Fold(a)
	}
	list := []User{}
	return list, tx.Select(&list, peopleByAddress, tx.Org(), jsonList(keys), tx.Org(), jsonList(keys))
}
