package main

import (
	"cmp"
	"fmt"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type directoryRoleCmd struct {
	List  directoryRoleListCmd  `cmd:"" help:"List which roles a directory's values give, and how many people have each."`
	Map   directoryRoleMapCmd   `cmd:"" help:"Say which role a value gives; people get and lose it at once."`
	Unmap directoryRoleUnmapCmd `cmd:"" help:"Forget what was said about a value."`
}

type directoryRoleListCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
}

// roleValueJSON is a value that may give a role.
type roleValueJSON struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Display   string `json:"display"`
	Kind      string `json:"kind"`
	Role      string `json:"role"`   // empty: none
	Mapped    bool   `json:"mapped"` // else the role is what holds without a mapping
	Users     int    `json:"users"`
}

func (c directoryRoleListCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	rows, lines := []roleValueJSON{}, []string{}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		list, err := tx.RoleValues(d.ID)
		for _, v := range list {
			rows = append(rows, roleValueJSON{v.Attr, v.Value, v.Display, v.Kind, v.Role, v.Mapped, v.Users})
			how := "not mapped"
			if v.Mapped {
				how = "mapped"
			}
			lines = append(lines, fmt.Sprintf("%-12s  %-32q  %-8s  %-10s  %s", v.Attr, v.Value, cmp.Or(v.Role, "no role"), how, counted(v.Users, "person", "people")))
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		lines = []string{d.Name + " has no mapping and has sent no roles or entitlements."}
	}
	return a.answer(rows, lines...)
}

type directoryRoleMapCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	Attribute string `required:"" enum:"roles,entitlements" help:"The user's attribute: roles or entitlements."`
	Value     string `required:"" help:"The value as the directory sends it; case does not matter."`
	Role      string `required:"" help:"The role that it gives: admin, agent, viewer; none for no role."`
	Display   string `help:"Its name in the directory's /Entitlements."`
	Kind      string `help:"Its type in the directory's /Entitlements, such as License."`
}

// remappedJSON is what a change of the mapping did.
type remappedJSON struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Role      string `json:"role"`
	Granted   int    `json:"granted"`
	Revoked   int    `json:"revoked"`
}

func (c directoryRoleMapCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	role := c.Role
	switch role {
	case "none":
		role = ""
	case "":
		return fault.Invalid.On("role", "Say which role the value gives, or none.")
	}
	var done store.Remapped
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		done, err = tx.MapRole(d.ID, store.RoleMapping{Attr: c.Attribute, Value: c.Value, Display: c.Display, Kind: c.Kind, Role: role})
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(remappedJSON{c.Attribute, c.Value, role, done.Granted, done.Revoked}, remapped(done))
}

func remapped(done store.Remapped) string {
	return fmt.Sprintf("Done: %s given, %d taken.", counted(done.Granted, "role", "roles"), done.Revoked)
}

type directoryRoleUnmapCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	Attribute string `required:"" enum:"roles,entitlements" help:"The user's attribute: roles or entitlements."`
	Value     string `required:"" help:"The value as it was mapped; case does not matter."`
}

func (c directoryRoleUnmapCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	var done store.Remapped
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		done, err = tx.UnmapRole(d.ID, c.Attribute, c.Value)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(remappedJSON{Attribute: c.Attribute, Value: c.Value, Granted: done.Granted, Revoked: done.Revoked}, remapped(done))
}
