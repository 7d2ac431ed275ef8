package console

import (
	"slices"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// fillTeams has the person's teams chosen. The form says which teams it has shown: only of
// these does a missing check take the person out.
func (p *editPage) fillTeams(tx *store.Tx) error {
	groups, err := tx.GroupsOf([]store.UserID{p.ID})
	var chosen []string
	for _, g := range store.Direct(groups[p.ID]) {
		p.inTeams, chosen = append(p.inTeams, g.ID), append(chosen, string(g.ID))
	}
	p.Form.Set("teams", chosen...)
	return err
}

// editTeams puts a person into the chosen teams, and out of those that the form has shown
// without being chosen; all others, and directories' groups, stay.
func editTeams(tx *store.Tx, id store.UserID, chosen, shown []string) error {
	var ids []store.GroupID
	for _, text := range append(slices.Clone(chosen), shown...) {
		one, err := store.ParseID[store.Group](text)
		if err != nil {
			return noTeam(text)
		}
		ids = append(ids, one)
	}
	if len(ids) == 0 { // the form had none
		return nil
	}
	local, err := tx.LocalTeams(ids)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, g := range local {
		known[string(g.ID)] = true
	}
	for _, text := range chosen {
		if !known[text] {
			return noTeam(text)
		}
	}
	groups, err := tx.GroupsOf([]store.UserID{id})
	if err != nil {
		return err
	}
	in := store.Direct(groups[id])
	for _, ref := range local {
		is := slices.ContainsFunc(in, func(g store.GroupRef) bool { return g.ID == ref.ID })
		should := slices.Contains(chosen, string(ref.ID))
		if is == should {
			continue
		}
		if is { // who is there for another reason as well stays for that, as on the team's page
			if _, err := tx.LeaveTeam(ref.ID, id); err != nil {
				return err
			}
			continue
		}
		g, err := tx.Group(ref.ID)
		if err != nil {
			return err
		}
		if _, err := tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{id}}); err != nil {
			return err
		}
	}
	return nil
}

func noTeam(text string) error {
	return fault.Invalid.On("teams", "%.40q is not a team of this organization. Load the page again and choose once more.", text)
}
