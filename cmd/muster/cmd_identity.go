package main

import (
	"context"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

type userIdentityCmd struct {
	List    identityListCmd    `cmd:"" help:"List with which accounts of identity providers a person signs in."`
	Link    identityLinkCmd    `cmd:"" help:"Say that an identifier of a connection is this person."`
	Unlink  identityUnlinkCmd  `cmd:"" help:"Put an identity aside: nobody signs in by it."`
	Restore identityRestoreCmd `cmd:"" help:"Use an identity again that was put aside."`
}

// identityChange is one of the door's changes of a person's identities.
type identityChange = func(*sso.Door, context.Context, access.Actor, store.UserID, sso.IdentityKey) error

type identityListCmd struct {
	Org  string `required:"" help:"Organization (short name)."`
	User string `arg:"" name:"NAME_OR_ID" help:"The person."`
}

func (c identityListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	u, err := a.opened.sso.UserNamed(a.ctx, actor, c.User)
	if err != nil {
		return err
	}
	_, list, err := a.opened.sso.IdentitiesOf(a.ctx, actor, u.ID)
	if err != nil {
		return err
	}
	infos, lines := make([]sso.IdentityInfo, len(list)), make([]string, len(list))
	for i, one := range list {
		infos[i] = one.Info()
		lines[i] = fmt.Sprintf("%-8s %-20s %s %s (%s)", one.State, one.Connection, one.Kind, one.Subject, one.How)
	}
	return a.answer(infos, lines...)
}

type identityLinkCmd struct {
	Org        string `required:"" help:"Organization (short name)."`
	User       string `arg:"" name:"NAME_OR_ID" help:"The person."`
	Connection string `required:"" placeholder:"ID" help:"The connection."`
	Subject    string `required:"" help:"The identifier, exactly as the provider sends it."`
	Kind       string `help:"What it is: nameid, sub, attribute:NAME; what the connection knows people by without it."`
}

func (c identityLinkCmd) Run(a *app) error { return c.do(a, (*sso.Door).LinkIdentity) }

type identityUnlinkCmd identityLinkCmd

func (c identityUnlinkCmd) Run(a *app) error {
	return identityLinkCmd(c).do(a, (*sso.Door).UnlinkIdentity)
}

type identityRestoreCmd identityLinkCmd

func (c identityRestoreCmd) Run(a *app) error {
	return identityLinkCmd(c).do(a, (*sso.Door).RestoreIdentity)
}

func (c identityLinkCmd) do(a *app, change identityChange) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	u, err := a.opened.sso.UserNamed(a.ctx, actor, c.User)
	if err != nil {
		return err
	}
	if err := change(a.opened.sso, a.ctx, actor, u.ID, sso.IdentityKey{Connection: one.ID, Kind: c.Kind, Subject: c.Subject}); err != nil {
		return err
	}
	return identityListCmd{Org: c.Org, User: string(u.ID)}.Run(a)
}

type connectionMoveCmd struct {
	From   string `xor:"do" placeholder:"ID" help:"The connection over which people sign in now."`
	To     string `placeholder:"ID" help:"The one over which they shall sign in."`
	DryRun bool   `help:"Say what would become of each person, and change nothing."`
	Undo   string `xor:"do" placeholder:"MOVE" help:"Put back who was moved by this move."`
}

func (c connectionMoveCmd) Run(a *app) error {
	if c.Undo != "" {
		return c.undo(a)
	}
	if c.From == "" || c.To == "" {
		return usage{fmt.Errorf("--from and --to are needed, or --undo")}
	}
	actor, from, err := a.connection(c.From)
	if err != nil {
		return err
	}
	to, err := store.ParseID[sso.Connection](c.To)
	if err != nil {
		return err
	}
	do := a.opened.sso.StartMove
	if c.DryRun {
		do = a.opened.sso.PlanMove
	}
	m, err := do(a.ctx, actor, from.ID, to)
	if err != nil {
		return err
	}
	lines := []string{}
	if m.ID != "" {
		lines = append(lines, "Move "+string(m.ID)+". Undo it with: muster connection move --undo "+string(m.ID)+" --to "+string(to))
	}
	for _, l := range m.Lines {
		lines = append(lines, fmt.Sprintf("%-9s  %-24s  %s", l.Outcome, l.Name, l.How))
	}
	return a.answer(m.Info(), lines...)
}

func (c connectionMoveCmd) undo(a *app) error {
	if c.To == "" {
		return usage{fmt.Errorf("--undo needs --to, the connection of the move")}
	}
	actor, _, err := a.connection(c.To)
	if err != nil {
		return err
	}
	id, err := store.ParseID[sso.Move](c.Undo)
	if err != nil {
		return err
	}
	m, err := a.opened.sso.UndoMove(a.ctx, actor, id)
	if err != nil {
		return err
	}
	return a.answer(m.Info(), "Undone.")
}
