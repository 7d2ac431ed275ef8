/*
Package pick lets people choose teams in a form, among any number of them and without
JavaScript: all are there where they are few, else those that are chosen already and those
that were looked for by their names. A form with it has a button do=find, which shows the
form again with what was typed; whatever was chosen stays, as every team that is chosen is
shown. Which teams it has shown stands in the form as teams_shown.

It owns no table; teams are store's.
*/
package pick

import (
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Few is how many are shown all at once, and found at most.
const Few = 20

// Finding tells whether the form was sent to look for teams.
func Finding(f web.Form) bool { return f.Get("do") == "find" }

// Found are teams and directories' groups to choose one of, in a list of the form's own.
type Found struct {
	Teams      []store.OfferedGroup
	Find       web.Field
	Many       bool // there are more: they are looked for
	None, More bool // nothing was found, or more than is shown
}

// One is such a choice: some, or those that were looked for, and always those that are chosen.
// Who may not see teams is offered none.
func One(tx *store.Tx, f web.Form, chosen ...store.GroupID) (Found, error) {
	if !tx.Actor().May(access.ViewGroups) {
		return Found{}, nil
	}
	search := web.Typed(f.Get("find_team"))
	list, more, err := tx.OfferGroups(store.GroupChoice{Search: search, Limit: Few})
	if err != nil {
		return Found{}, err
	}
	found := Found{Many: more || search != "", None: search != "" && len(list) == 0, More: search != "" && more, Find: find(f)}
	others, err := tx.GroupsByID(slices.DeleteFunc(slices.Clone(chosen), func(id store.GroupID) bool {
		return slices.ContainsFunc(list, func(g store.OfferedGroup) bool { return g.ID == id })
	}))
	found.Teams = append(list, others...)
	return found, err
}

func find(f web.Form) web.Field {
	return f.Input("find_team", "Find other teams", "type=search", "autocomplete=off", "maxlength=200", "help=By words of the name. What is found can be chosen above.")
}

// Teams is the choice of the field "teams", whose values in the form are chosen; also are
// those that are shown without being chosen. Who may not see teams is offered none.
func Teams(tx *store.Tx, f web.Form, label string, also ...store.GroupID) (web.Finder, error) {
	if !tx.Actor().May(access.ViewGroups) {
		return web.Finder{}, nil
	}
	search := web.Typed(f.Get("find_team"))
	show := slices.Clone(also)
	for _, text := range f.All("teams") {
		if id, err := store.ParseID[store.Group](text); err == nil {
			show = append(show, id)
		}
	}
	found, more, err := tx.OfferGroups(store.GroupChoice{Search: search, Local: true, Limit: Few})
	if err != nil {
		return web.Finder{}, err
	}
	p := web.Finder{Many: more || search != "", None: search != "" && len(found) == 0, More: search != "" && more}
	if !p.Many || search != "" {
		for _, g := range found {
			show = append(show, g.ID)
		}
	}
	list, err := tx.LocalTeams(show)
	var options []web.Option
	for _, g := range list {
		options = append(options, web.Option{Value: string(g.ID), Label: g.Name})
	}
	p.Checks = f.Checks("teams", label, options)
	p.Find = find(f)
	return p, err
}
