package store

import "github.com/muster-id/muster/internal/access"

// LocalTeams are those of some groups that no directory has, by name. Faults: Denied.
func (tx *Tx) LocalTeams(ids []GroupID) ([]GroupRef, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	list := []GroupRef{}
	return list, tx.Select(&list, "SELECT id, name FROM groups WHERE org_id = ? AND directory_id IS NULL AND id {{in_ids}} ORDER BY name_key, id", tx.Org(), jsonList(ids))
}

// maxTeams is far above what organizations have.
const maxTeams = 10000

// TeamNames are the local groups by their folded name. Faults: Denied.
func (tx *Tx) TeamNames() (map[string]GroupRef, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	var rows []struct {
		GroupRef
		Key string `db:"name_key"`
	}
	err := tx.Select(&rows, "SELECT id, name, name_key FROM groups WHERE org_id = ? AND directory_id IS NULL ORDER BY id LIMIT ?", tx.Org(), maxTeams)
	teams := make(map[string]GroupRef, len(rows))
	for _, r := range rows {
		teams[r.Key] = r.GroupRef
	}
	return teams, err
}
