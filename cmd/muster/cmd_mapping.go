package main

import (
	"fmt"

	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

type connectionMappingCmd struct {
	List   mappingListCmd   `cmd:"" help:"List what a provider's attributes fill and give."`
	Set    mappingSetCmd    `cmd:"" help:"Add a row, or change the one with --rule."`
	Remove mappingRemoveCmd `cmd:"" help:"Remove a row; what only it gave is taken."`
}

type mappingListCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
}

func (c mappingListCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	m, err := a.opened.sso.Mapping(a.ctx, actor, one.ID)
	if err != nil {
		return err
	}
	lines := []string{}
	for _, r := range m.Rules {
		lines = append(lines, ruleLine(r))
	}
	for _, r := range m.Suggested {
		lines = append(lines, "not there yet                     "+ruleWords(r))
	}
	return a.answer(m.Info(), lines...)
}

func ruleLine(r sso.Rule) string {
	id := string(r.ID)
	if r.Preset {
		id = "preset"
	}
	return fmt.Sprintf("%-32s  %s", id, ruleWords(r))
}

func ruleWords(r sso.Rule) string {
	to := r.To
	if r.Kind == sso.RuleTeam && to == "" {
		to = "of that name"
	}
	return fmt.Sprintf("%-9s  %-18s  from %s", r.Kind, to, r.Words())
}

type mappingSetCmd struct {
	Connection string   `required:"" placeholder:"ID" help:"The connection's id."`
	Kind       string   `required:"" enum:"attribute,team,role" help:"attribute, team or role."`
	Rule       string   `placeholder:"ID" help:"The row to change; without it one is added."`
	To         string   `help:"The attribute (name.givenName, title, department, or URN:name of your own); the team's name or id; the role."`
	From       []string `sep:"none" placeholder:"NAME" help:"An attribute of the provider; again for more, of which the first that is sent counts. Teams and roles: the groups without it."`
	Fixed      string   `help:"attribute: always this value."`
	Default    string   `help:"attribute: when nothing is sent."`
	All        bool     `help:"attribute: all values and not only the first."`
	Lower      bool     `help:"attribute: small letters."`
	Trim       bool     `help:"attribute: cut spaces."`
	Match      string   `default:"is" enum:"is,prefix,any" help:"team, role: the value is, begins with --value, or is anything."`
	Value      string   `help:"team, role: the group's name or id as the provider sends it."`
	Make       bool     `help:"team: make the team when there is none."`
}

func (c mappingSetCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	r := sso.Rule{Kind: c.Kind, To: c.To, From: c.From, Fixed: c.Fixed, Default: c.Default, All: c.All, Lower: c.Lower, Trim: c.Trim, Value: c.Value, Create: c.Make}
	if c.Kind != sso.RuleAttribute {
		r.Match = c.Match
	}
	if c.Rule != "" {
		if r.ID, err = store.ParseID[sso.Rule](c.Rule); err != nil {
			return err
		}
	}
	done, err := a.opened.sso.SetRule(a.ctx, actor, one.ID, r)
	if err != nil {
		return err
	}
	return a.answer(done.Info(), ruleLine(done.Rule), takenLine(done))
}

func takenLine(done sso.Remapping) string {
	return fmt.Sprintf("Taken at once: %s, %s. What it gives comes with people's next sign-in.", counted(done.Roles, "role", "roles"), counted(done.Teams, "membership of a team", "memberships of teams"))
}

type mappingRemoveCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
	Rule       string `required:"" placeholder:"ID" help:"The row."`
}

func (c mappingRemoveCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	id, err := store.ParseID[sso.Rule](c.Rule)
	if err != nil {
		return err
	}
	done, err := a.opened.sso.RemoveRule(a.ctx, actor, one.ID, id)
	if err != nil {
		return err
	}
	return a.answer(done.Info(), "Removed.", takenLine(done))
}
