package console

import (
	"slices"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// teamPick is the choice of a person's teams: all teams where there are few, else those
// of the person and those that were looked for. The form says which it has shown: only of
// these does a missing check take the person out.
type teamPick struct {
	Options []web.Option
	Many    bool // there are more: they are looked for
	Search  string
	None    bool // nothing was found
	More    bool // more were found than are shown

	typed         bool // what follows was sent
	chosen, shown []string
}

// fewTeams are shown all at once.
const fewTeams = 20

// pickTeams fills the choice in.
func (p *editPage) pickTeams(tx *store.Tx) error {
	groups, err := tx.GroupsOf([]store.UserID{p.ID})
	if err != nil {
		return err
	}
	t := &p.Teams
	show := []store.GroupID{}
	for _, g := range store.Direct(groups[p.ID]) {
		show = append(show, g.ID)
		if !t.typed {
			t.chosen = append(t.chosen, string(g.ID))
		}
	}
	for _, text := range append(t.shown, t.chosen...) { // what was found before stays on the page
		if id, err := store.ParseID[store.Group](text); err == nil && slices.Contains(t.chosen, text) {
			show = append(show, id)
		}
	}
	found, more, err := tx.Teams(store.TeamQuery{Local: true, Search: t.Search, Limit: fewTeams})
	if err != nil {
		return err
	}
	if t.Many = more || t.Search != ""; !t.Many || t.Search != "" {
		t.None, t.More = t.Search != "" && len(found) == 0, more
		for _, one := range found {
			show = append(show, one.ID)
		}
	}
	list, err := tx.LocalTeams(show)
	for _, g := range list {
		t.Options = append(t.Options, web.Option{Value: string(g.ID), Label: g.Name})
	}
	p.Form.Set("teams", t.chosen...)
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
