package main

import (
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

type connectionInviteCmd struct {
	Org         string        `required:"" help:"Organization (short name)."`
	Connection  string        `placeholder:"ID" help:"The connection to set up; without it a new one."`
	Email       string        `help:"Whom to mail the link to; it is printed as well."`
	For         time.Duration `default:"168h" help:"How long it works, at most 90 days."`
	MayActivate bool          `help:"The contact may also put the connection into use."`
	List        bool          `help:"List the links instead." xor:"what"`
	Revoke      string        `placeholder:"LINK" help:"Withdraw this link instead." xor:"what"`
}

func (c connectionInviteCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	door := a.opened.sso
	switch {
	case c.List:
		list, err := door.SetupLinks(a.ctx, actor)
		if err != nil {
			return err
		}
		infos, texts := make([]sso.LinkInfo, len(list)), make([]string, len(list))
		for i, l := range list {
			infos[i] = door.LinkInfo(l, "")
			texts[i] = fmt.Sprintf("%s  %-8s until %s  %s", l.ID, infos[i].State, infos[i].ExpiresAt, l.Email)
		}
		return a.answer(infos, texts...)
	case c.Revoke != "":
		id, err := store.ParseID[sso.SetupLink](c.Revoke)
		if err != nil {
			return fault.NotFound.Say("There is no link %q. See them with: muster connection invite --org %s --list", c.Revoke, c.Org)
		}
		l, err := door.RevokeSetupLink(a.ctx, actor, id)
		if err != nil {
			return err
		}
		return a.answer(door.LinkInfo(l, ""), "The link does not work any more.")
	}
	in := sso.NewSetupLink{Email: c.Email, For: c.For, MayActivate: c.MayActivate}
	if c.Connection != "" {
		if in.Connection, err = store.ParseID[sso.Connection](c.Connection); err != nil {
			return fault.NotFound.Say("There is no connection %q.", c.Connection)
		}
	}
	l, url, err := door.CreateSetupLink(a.ctx, actor, in)
	if err != nil {
		return err
	}
	return a.answer(door.LinkInfo(l, url), "Give this link to whoever runs the identity provider. It is shown this once:", "  "+url)
}
