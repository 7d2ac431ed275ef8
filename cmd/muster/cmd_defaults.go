package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/store"
)

type orgDefaultsCmd struct {
	Show orgDefaultsShowCmd `cmd:"" help:"Show them."`
	Set  orgDefaultsSetCmd  `cmd:"" help:"Choose them; what is left out stays."`
}

type orgDefaultsShowCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c orgDefaultsShowCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var d api.Defaults
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		d, err = api.DefaultsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerDefaults(d)
}

func (a *app) answerDefaults(d api.Defaults) error {
	line := func(who string, one store.Default) string {
		role := one.Role
		if role == "" {
			role = store.DefaultRole
		}
		teams := make([]string, len(one.Teams))
		for i, t := range one.Teams {
			teams[i] = string(t)
		}
		return strings.TrimSpace(fmt.Sprintf("%-34s %-20s %s", who, role, strings.Join(teams, ", ")))
	}
	lines := []string{line("everybody", d.Default)}
	for _, key := range slices.Sorted(maps.Keys(d.For)) {
		lines = append(lines, line(key, d.For[key]))
	}
	return a.answer(d, lines...)
}

type orgDefaultsSetCmd struct {
	Org   string   `required:"" help:"Organization (short name)."`
	For   string   `help:"For whom: invite, csv, jit, scim or api, or the id of a directory or connection; everybody without it." placeholder:"SOURCE-OR-ID"`
	Role  *string  `help:"The role; none for the usual one." placeholder:"ROLE"`
	Team  []string `help:"All teams: name or id; can be given again; none for no team." placeholder:"NAME-OR-ID" sep:"none"`
	Clear bool     `help:"With --for: what holds for everybody holds there, too."`
}

func (c orgDefaultsSetCmd) Run(a *app) error {
	switch {
	case c.Clear && (c.For == "" || c.Role != nil || c.Team != nil):
		return usage{errors.New("--clear goes with --for alone")}
	case !c.Clear && c.Role == nil && c.Team == nil:
		return usage{errors.New("say --role, --team or --clear")}
	}
	var d api.Defaults
	err := a.writeIn(c.Org, func(tx *store.Tx) error {
		now, err := api.DefaultsOf(tx)
		if err != nil {
			return err
		}
		one := now.Default
		if c.For != "" {
			one = now.For[c.For]
		}
		if err := c.apply(tx, &one); err != nil {
			return err
		}
		ch := api.DefaultsChange{Role: &one.Role, Teams: &one.Teams}
		if c.For != "" {
			ch = api.DefaultsChange{For: map[string]*store.Default{c.For: &one}}
		}
		if c.Clear {
			ch.For[c.For] = nil
		}
		d, err = api.ChangeDefaults(tx, ch)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerDefaults(d)
}

func (c orgDefaultsSetCmd) apply(tx *store.Tx, one *store.Default) error {
	if c.Role != nil {
		if one.Role = *c.Role; one.Role == "none" {
			one.Role = ""
		}
	}
	if c.Team == nil {
		return nil
	}
	one.Teams = []store.GroupID{}
	for _, name := range c.Team {
		if name == "none" {
			continue
		}
		id, err := oneTeam{Org: c.Org, Team: name}.find(tx)
		if err != nil {
			return err
		}
		one.Teams = append(one.Teams, id)
	}
	return nil
}

// oneRole is a role of one person.
type oneRole struct {
	Org  string `required:"" help:"Organization (short name)."`
	Role string `arg:"" help:"Short name of the role."`
	User string `arg:"" name:"name-or-id" help:"User name, e-mail address or id."`
}

type roleGiveCmd struct{ oneRole }

func (c roleGiveCmd) Run(a *app) error { return c.change(a, api.GiveRole) }

type roleTakeCmd struct{ oneRole }

func (c roleTakeCmd) Run(a *app) error { return c.change(a, api.TakeRole) }

// change gives or takes the role, and shows what the person has then.
func (c oneRole) change(a *app, change func(*store.Tx, store.UserID, string) error) error {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var out api.UserRoles
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		id, err := target{Org: c.Org, User: c.User}.find(tx, org)
		if err == nil {
			err = change(tx, id, c.Role)
		}
		if err == nil {
			out, err = api.RolesOf(tx, id)
		}
		return err
	})
	if err != nil {
		return err
	}
	lines := []string{}
	for _, g := range out.Roles {
		lines = append(lines, fmt.Sprintf("%-24s %-8s %s", g.Role, g.Kind, g.Since))
	}
	return a.answer(out, lines...)
}
