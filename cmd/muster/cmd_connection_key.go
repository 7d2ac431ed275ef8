package main

import (
	"github.com/muster-id/muster/sso"
)

type connectionClientKeyCmd struct {
	List connectionClientKeyListCmd `cmd:"" help:"List this server's keys towards an OpenID provider."`
	Roll connectionClientKeyRollCmd `cmd:"" help:"Make a new key. It is published at once and signs after a day."`
}

type connectionClientKeyListCmd connectionShowCmd

func (c connectionClientKeyListCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	list, err := a.opened.sso.ClientKeys(a.ctx, actor, one.ID)
	if err != nil {
		return err
	}
	return a.answer(list, clientKeyTexts(list)...)
}

type connectionClientKeyRollCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
	Now        bool   `help:"The new key signs at once. Sign-ins fail until the provider has read the key set again."`
}

func (c connectionClientKeyRollCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	list, err := a.opened.sso.RollClientKey(a.ctx, actor, one.ID, c.Now)
	if err != nil {
		return err
	}
	return a.answer(list, clientKeyTexts(list)...)
}

func clientKeyTexts(list []sso.ClientKey) []string {
	texts := make([]string, len(list))
	for i, k := range list {
		texts[i] = k.ID + "  " + k.State + "  signs from " + k.From
	}
	return texts
}
