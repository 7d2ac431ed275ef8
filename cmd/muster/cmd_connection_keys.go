package main

import (
	"fmt"

	"github.com/muster-id/muster/sso"
)

type connectionKeysCmd struct {
	List   connectionKeysListCmd   `cmd:"" help:"List the keys that the connection's metadata publishes."`
	Rotate connectionKeysRotateCmd `cmd:"" help:"Publish new keys. They take over after 14 days, or with --now at once."`
}

type connectionKeysListCmd connectionShowCmd

func (c connectionKeysListCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	list, err := a.opened.sso.Keys(a.ctx, actor, one.ID)
	if err != nil {
		return err
	}
	return a.answer(list, keyTexts(list)...)
}

type connectionKeysRotateCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
	Now        bool   `help:"The new keys take over at once, also keys that wait already. Sign-ins can fail until the provider has our new metadata."`
}

func (c connectionKeysRotateCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	list, err := a.opened.sso.RotateKeys(a.ctx, actor, one.ID, c.Now)
	if err != nil {
		return err
	}
	return a.answer(list, keyTexts(list)...)
}

func keyTexts(list []sso.SPKey) []string {
	texts := make([]string, len(list))
	for i, k := range list {
		texts[i] = fmt.Sprintf("%-7s  %-6s  from %s  SHA-256 %s", k.Use, k.State, k.From, k.Fingerprint)
	}
	return texts
}
