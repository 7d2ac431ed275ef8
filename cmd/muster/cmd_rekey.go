package main

import (
	"fmt"

	"github.com/muster-id/muster/sso"
)

type connectionRekeyCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
	Subject    string `xor:"do" help:"Know people by this from now on: attribute:NAME, attribute:A+B, nameid, sub or oid+tid. Both keys are accepted until --finish."`
	DryRun     bool   `help:"With --subject: say what would become of each identity, and change nothing."`
	Finish     bool   `xor:"do" help:"The new key alone."`
	Undo       bool   `xor:"do" help:"Back to the old key, also after --finish."`
}

func (c connectionRekeyCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	d := a.opened.sso
	var k sso.Rekey
	switch {
	case c.DryRun && c.Subject == "":
		return usage{fmt.Errorf("--dry-run needs --subject")}
	case c.DryRun:
		k, err = d.PlanRekey(a.ctx, actor, one.ID, c.Subject)
	case c.Subject != "":
		k, err = d.StartRekey(a.ctx, actor, one.ID, c.Subject)
	case c.Finish:
		k, err = d.FinishRekey(a.ctx, actor, one.ID)
	case c.Undo:
		k, err = d.UndoRekey(a.ctx, actor, one.ID)
	default:
		k, err = d.RunningRekey(a.ctx, actor, one.ID)
	}
	if err != nil {
		return err
	}
	state := k.State
	if state == "" {
		state = "dry run"
	}
	lines := []string{fmt.Sprintf("%s: %s, %s", one.Name, k.Subject, state)}
	for _, l := range k.Lines {
		lines = append(lines, fmt.Sprintf("%-9s  %-24s  %s -> %s  (%s)", l.Outcome, l.Name, l.Old, l.New, l.How))
	}
	return a.answer(k.Info(), lines...)
}
