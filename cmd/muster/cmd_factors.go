package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/policy"
)

type userFactorsCmd struct{ glass }

func (c userFactorsCmd) Run(a *app) error {
	actor, u, err := c.find(a)
	if err != nil {
		return err
	}
	v, err := a.opened.policy.FactorsOf(a.ctx, actor, u.ID)
	if err != nil {
		return err
	}
	shown := policy.Shown(u.ID, v)
	var lines []string
	for _, k := range shown.Passkeys {
		line := "Passkey         " + k.Name + ", since " + k.CreatedAt
		if k.Beside {
			line = "Security key    " + k.Name + ", since " + k.CreatedAt
		}
		if k.Stopped {
			line += ", stopped: its counter went back"
		}
		lines = append(lines, line)
	}
	if shown.Authenticator != "" {
		lines = append(lines, "App             since "+shown.Authenticator)
	}
	return a.answer(shown, append(lines, fmt.Sprintf("Recovery codes  %d left", shown.Codes))...)
}

type userResetCmd struct {
	glass
	Why string `required:"" help:"Reason: the person reads it, and it stays in the activity log."`
}

func (c userResetCmd) Run(a *app) error {
	actor, u, err := c.find(a)
	if err == nil {
		err = a.opened.policy.ResetFactors(a.ctx, actor, u.ID, c.Why)
	}
	if err != nil {
		return err
	}
	return a.answer(map[string]any{"user_id": u.ID, "reset": true}, u.DisplayName+" has no second factor any more, is signed out everywhere, and is told by mail.")
}
