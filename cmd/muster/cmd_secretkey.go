package main

import (
	"context"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/store"
)

type secretKeyCmd struct {
	Status secretKeyStatusCmd `cmd:"" help:"Tell which keys are known, and what is still sealed with an older one."`
	Reseal secretKeyResealCmd `cmd:"" help:"Seal with the newest key what older ones have sealed. Servers may be running; it can be stopped and run again."`
}

type secretKeyStatusCmd struct{}

func (secretKeyStatusCmd) Run(a *app) error {
	return a.sealed((*operate.Door).Sealed, "sealed with an older key")
}

type secretKeyResealCmd struct{}

func (secretKeyResealCmd) Run(a *app) error {
	return a.sealed((*operate.Door).Reseal, "sealed anew")
}

func (a *app) sealed(do func(d *operate.Door, ctx context.Context, actor access.Actor) ([]store.SealedCount, error), what string) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	list, err := do(h.operate, a.ctx, shell(""))
	if err != nil {
		return err
	}
	prints := h.key.Prints()
	lines := []string{"The key that seals: " + prints[0]}
	for _, p := range prints[1:] {
		lines = append(lines, "An older key:       "+p)
	}
	for _, n := range list {
		line := fmt.Sprintf("%-36s %6d, %d %s", n.What, n.Newer+n.Older+n.Lost, n.Older, what)
		if n.Lost > 0 {
			line += fmt.Sprintf(", %d cannot be opened with any of the keys", n.Lost)
		}
		lines = append(lines, line)
	}
	return a.answer(map[string]any{"key": prints[0], "older_keys": append([]string{}, prints[1:]...), "sealed": list}, lines...)
}
