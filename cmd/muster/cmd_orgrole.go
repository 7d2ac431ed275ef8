package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/store"
)

type roleCmd struct {
	List        roleListCmd        `cmd:"" help:"List an organization's roles, what each allows and how many have it."`
	Create      roleCreateCmd      `cmd:"" help:"Make a role."`
	Update      roleUpdateCmd      `cmd:"" help:"Change what a role is called or allows."`
	Delete      roleDeleteCmd      `cmd:"" help:"Delete a role; its people get another one, or none."`
	Give        roleGiveCmd        `cmd:"" help:"Give somebody a role, beside those that the person has."`
	Take        roleTakeCmd        `cmd:"" help:"Take a role that was given by hand."`
	Permissions rolePermissionsCmd `cmd:"" help:"List the permissions that a role can have."`
}

type roleListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c roleListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	rows, lines := []api.RoleJSON{}, []string{}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		counts, err := tx.RoleCounts()
		for _, r := range roles {
			rows = append(rows, api.JSONOf(r, counts[r.ID]))
			lines = append(lines, fmt.Sprintf("%-24s %-24s %6d  %s", r.ID, r.Name, counts[r.ID], namesOf(r.Permissions)))
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(rows, lines...)
}

func namesOf(list []access.Permission) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = string(p)
	}
	return strings.Join(names, ",")
}

// roleFields are what a role is made of; what is left out stays.
type roleFields struct {
	Label       *string  `help:"What people read, such as \"Support lead\"."`
	Description *string  `help:"What the role is for."`
	Allow       []string `help:"All permissions that it has, with commas between; none for nothing." placeholder:"PERMISSIONS" sep:","`
}

func (f roleFields) change() store.RoleChange {
	ch := store.RoleChange{Label: f.Label, Description: f.Description}
	if f.Allow != nil {
		list := []access.Permission{}
		for _, p := range f.Allow {
			if p = strings.TrimSpace(p); p != "none" {
				list = append(list, access.Permission(p))
			}
		}
		ch.Permissions = &list
	}
	return ch
}

type roleCreateCmd struct {
	Org  string `required:"" help:"Organization (short name)."`
	Name string `arg:"" help:"Short name: lower-case letters, digits, hyphens."`
	roleFields
	Copy string `placeholder:"ROLE" help:"Begin with what this role allows."`
}

func (c roleCreateCmd) Run(a *app) error {
	if c.Copy != "" && c.Allow != nil {
		return usage{errors.New("a copy has the permissions of the other role: leave --allow out, or --copy")}
	}
	ch := c.change()
	ch.Name = c.Name
	return a.changeRole(c.Org, func(tx *store.Tx) (store.OrgRole, error) {
		if c.Copy != "" {
			return tx.CopyRole(c.Copy, ch)
		}
		return tx.CreateRole(ch)
	})
}

type roleUpdateCmd struct {
	Org  string `required:"" help:"Organization (short name)."`
	Name string `arg:"" help:"Short name of the role."`
	roleFields
}

func (c roleUpdateCmd) Run(a *app) error {
	return a.changeRole(c.Org, func(tx *store.Tx) (store.OrgRole, error) { return tx.UpdateRole(c.Name, c.change()) })
}

func (a *app) changeRole(org string, change func(*store.Tx) (store.OrgRole, error)) error {
	actor, _, err := a.in(org)
	if err != nil {
		return err
	}
	var out api.RoleJSON
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		r, err := change(tx)
		if err != nil {
			return err
		}
		counts, err := tx.RoleCounts()
		out = api.JSONOf(r, counts[r.ID])
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(out, fmt.Sprintf("The role %s (%s) allows: %s", out.Label, out.Name, namesOf(out.Permissions)))
}

type roleDeleteCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Name   string `arg:"" help:"Short name of the role."`
	To     string `placeholder:"ROLE" help:"What its people have instead; none for nothing."`
	DryRun bool   `help:"Only tell what it would do."`
}

func (c roleDeleteCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var e store.RoleEnd
	if c.DryRun {
		err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			e, err = tx.PreviewRoleEnd(c.Name, c.To)
			return err
		})
	} else {
		err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
			e, err = tx.DeleteRole(c.Name, c.To, 0)
			return err
		})
	}
	if err != nil {
		return err
	}
	lines := []string{fmt.Sprintf("%s is in use by %s, %d of them without another role, and by %s.", e.Role.ID, counted(e.People, "person", "people"), e.Losing, counted(e.Mapped, "value of a directory", "values of directories"))}
	for _, u := range e.Uses {
		lines = append(lines, "Change first: "+u)
	}
	return a.answer(api.EndOf(e, !c.DryRun), lines...)
}

type rolePermissionsCmd struct{}

func (rolePermissionsCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	rows, lines := api.Permissions(h.db.Catalog()), []string{}
	for _, p := range rows {
		lines = append(lines, fmt.Sprintf("%-20s %-12s %-24s %s", p.Name, p.Group, p.Label, p.Description))
	}
	return a.answer(rows, lines...)
}
