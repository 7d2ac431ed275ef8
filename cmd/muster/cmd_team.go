package main

import (
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type teamCmd struct {
	List   teamListCmd   `cmd:"" help:"List teams and directories' groups."`
	Create teamCreateCmd `cmd:"" help:"Make a team."`
	Update teamUpdateCmd `cmd:"" help:"Change a team's name, description or lead."`
	Delete teamDeleteCmd `cmd:"" help:"Delete a team; its people stay."`
	Add    teamAddCmd    `cmd:"" help:"Put people or teams into a team."`
	Remove teamRemoveCmd `cmd:"" help:"Take a person or a team out of a team."`
}

type teamListCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Search string `help:"Only those with these words in the name."`
}

func (c teamListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	rows, lines := []api.TeamJSON{}, []string{}
	q := store.TeamQuery{Search: c.Search, Limit: 200}
	for more := true; more; {
		err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			var list []store.Team
			list, more, err = tx.Teams(q)
			for _, t := range list {
				q.After = t.ID
				rows = append(rows, api.TeamOf(t))
				lines = append(lines, fmt.Sprintf("%s  %-30s %6d people  %s", t.ID, t.Name, t.People, t.Description))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return a.answer(rows, lines...)
}

// oneTeam names the team that a command is about.
type oneTeam struct {
	Org  string `required:"" help:"Organization (short name)."`
	Team string `arg:"" name:"name-or-id" help:"Name of the team, or id."`
}

func (c oneTeam) find(tx *store.Tx) (store.GroupID, error) {
	if id, err := store.ParseID[store.Group](c.Team); err == nil {
		return id, nil
	}
	g, err := tx.GroupByName(c.Team)
	if fault.Is(err, fault.NotFound) {
		return "", fault.NotFound.Say("There is no team %q. `muster team list --org %s` shows which there are.", c.Team, c.Org)
	}
	return g.ID, err
}

// write runs one change of the team.
func (c oneTeam) write(a *app, change func(tx *store.Tx, id store.GroupID) error) error {
	return a.writeIn(c.Org, func(tx *store.Tx) error {
		id, err := c.find(tx)
		if err != nil {
			return err
		}
		return change(tx, id)
	})
}

// writeIn runs one change of an organization.
func (a *app) writeIn(org string, fn func(*store.Tx) error) error {
	actor, _, err := a.in(org)
	if err != nil {
		return err
	}
	return a.opened.db.Write(a.ctx, actor, fn)
}

// teamFields are what a team is made of; what is left out stays.
type teamFields struct {
	Description *string `help:"What the team is for."`
	Lead        *string `help:"Who answers for it: user name, address or id; empty for nobody."`
}

func (f teamFields) change(tx *store.Tx) (store.TeamChange, error) {
	ch := store.TeamChange{Description: f.Description}
	if f.Lead != nil {
		lead := store.UserID("")
		if *f.Lead != "" {
			list, err := tx.NamedUsers("lead", []string{*f.Lead})
			if err != nil {
				return ch, err
			}
			lead = list[0]
		}
		ch.Lead = &lead
	}
	return ch, nil
}

type teamCreateCmd struct {
	Org  string `required:"" help:"Organization (short name)."`
	Name string `arg:"" help:"Name of the team."`
	teamFields
}

func (c teamCreateCmd) Run(a *app) error {
	var t store.Team
	err := a.writeIn(c.Org, func(tx *store.Tx) error {
		ch, err := c.change(tx)
		if err != nil {
			return err
		}
		ch.Name = &c.Name
		t, err = tx.CreateTeam(ch)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(api.TeamOf(t), fmt.Sprintf("%s has the id %s.", t.Name, t.ID))
}

type teamUpdateCmd struct {
	oneTeam
	Name *string `help:"New name."`
	teamFields
}

func (c teamUpdateCmd) Run(a *app) error {
	var t store.Team
	err := c.write(a, func(tx *store.Tx, id store.GroupID) error {
		ch, err := c.change(tx)
		if err != nil {
			return err
		}
		ch.Name = c.Name
		t, err = tx.UpdateTeam(id, ch)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(api.TeamOf(t), "Saved.")
}

type teamDeleteCmd struct {
	oneTeam
	DryRun bool `help:"Only tell what it would do."`
}

func (c teamDeleteCmd) Run(a *app) error {
	var e api.TeamEndJSON
	err := c.write(a, func(tx *store.Tx, id store.GroupID) (err error) {
		e, err = api.EndTeam(tx, id, c.DryRun)
		return err
	})
	if err != nil {
		return err
	}
	line := fmt.Sprintf("What is in it stays: %s, %s.", counted(e.People, "person", "people"), counted(e.Inside, "group", "groups"))
	if len(e.In) > 0 {
		line += " Its people belong no more to: " + strings.Join(e.In, ", ")
	}
	return a.answer(e, line)
}

type teamAddCmd struct {
	oneTeam
	User []string `help:"Who: user name, address or id; can be given again."`
	Sub  []string `placeholder:"ID" help:"A team or group, by id; can be given again."`
}

func (c teamAddCmd) Run(a *app) error {
	var t store.Team
	err := c.write(a, func(tx *store.Tx, id store.GroupID) (err error) {
		t, err = api.AddToTeam(tx, id, c.User, c.Sub)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(api.TeamOf(t), fmt.Sprintf("%s has %s.", t.Name, counted(t.People, "person", "people")))
}

type teamRemoveCmd struct {
	oneTeam
	Member string `required:"" help:"Who: user name, address or id; a team by its id."`
}

func (c teamRemoveCmd) Run(a *app) error {
	out := struct {
		Removed bool             `json:"removed"`
		Stays   []api.ReasonJSON `json:"stays"`
	}{Stays: []api.ReasonJSON{}}
	lines := []string{}
	err := c.write(a, func(tx *store.Tx, id store.GroupID) error {
		kept, err := api.TakeFromTeam(tx, id, c.Member)
		out.Removed, out.Stays, lines = len(kept) == 0, []api.ReasonJSON{}, nil
		for _, m := range kept {
			out.Stays = append(out.Stays, api.ReasonOf(m))
			lines = append(lines, "Still in the team because of "+m.Kind+" "+m.Detail)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(out, append(lines, "Done.")...)
}
