package store

import (
	"slices"

	"github.com/muster-id/muster/internal/access"
)

// LocalTeams are those of some groups that no directory has, by name. Faults: Denied.
func (tx *Tx) LocalTeams(ids []GroupID) ([]GroupRef, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	list := []GroupRef{}
	return list, tx.Select(&list, "SELECT id, name FROM groups WHERE org_id = ? AND directory_id IS NULL AND id {{in_ids}} ORDER BY name_key, id", tx.Org(), jsonList(ids))
}

// GroupChoice chooses groups that a form offers, by name.
type GroupChoice struct {
	Search string    // words, each of which is in the name; everything when empty
	Local  bool      // those of no directory
	Limit  int       // how many of them
	Not    []GroupID // without these
	Also   []GroupID // these as well, behind the others
}

// OfferedGroup is one of them.
type OfferedGroup struct {
	GroupRef
	DirectoryID DirectoryID `db:"directory_id"`
}

// OfferGroups are groups for a choice, and whether more of them fit. Faults: Denied.
func (tx *Tx) OfferGroups(q GroupChoice) (list []OfferedGroup, more bool, err error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, false, err
	}
	where, args := groupsNamed(q.Search)
	if q.Local {
		where += " AND g.directory_id IS NULL"
	}
	if len(q.Not) > 0 {
		where, args = where+" AND NOT (g.id {{in_ids}})", append(args, jsonList(q.Not))
	}
	if err := tx.Select(&list, offeredColumns+where+" ORDER BY g.name_key, g.id LIMIT ?", slices.Concat([]any{tx.Org()}, args, []any{q.Limit + 1})...); err != nil {
		return nil, false, err
	}
	if more = len(list) > q.Limit; more {
		list = list[:q.Limit]
	}
	also := slices.DeleteFunc(slices.Clone(q.Also), func(id GroupID) bool {
		return slices.ContainsFunc(list, func(g OfferedGroup) bool { return g.ID == id })
	})
	if len(also) == 0 {
		return list, more, nil
	}
	others, err := tx.GroupsByID(also)
	return append(list, others...), more, err
}

const offeredColumns = "SELECT g.id, g.name, g.directory_id FROM groups g WHERE g.org_id = ?"

// GroupsByID are those of some groups that are there, by name. Faults: Denied.
func (tx *Tx) GroupsByID(ids []GroupID) (list []OfferedGroup, err error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return list, tx.Select(&list, offeredColumns+" AND g.id {{in_ids}} ORDER BY g.name_key, g.id", tx.Org(), jsonList(ids))
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
