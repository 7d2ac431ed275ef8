package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/store"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make a key for the REST API. It is printed once."`
	List   keyListCmd   `cmd:"" help:"List the keys of an organization, or the operator's."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key at once."`
}

// owner says whose keys: an organization's, or the operator's.
type owner struct {
	Org      string `help:"Organization (short name)."`
	Operator bool   `help:"The operator's: for the whole server."`
}

func (o owner) actor(a *app) (access.Actor, *system, error) {
	if (o.Org == "") == !o.Operator {
		return access.Actor{}, nil, usage{errors.New("say whose key: --org NAME, or --operator")}
	}
	h, err := a.open()
	if err != nil || o.Operator {
		return shell(""), h, err
	}
	actor, _, err := a.in(o.Org)
	return actor, h, err
}

type keyCreateCmd struct {
	owner
	Role string        `help:"admin, agent or viewer; what the key may do."`
	Name string        `help:"What the key is for, shown in lists and in the activity log."`
	For  time.Duration `help:"How long it works, for example 2160h; without it until it is revoked."`
}

func (c keyCreateCmd) Run(a *app) error {
	actor, h, err := c.actor(a)
	if err != nil {
		return err
	}
	in := api.NewKey{Name: c.Name, Role: c.Role, Operator: c.Operator}
	if c.For != 0 {
		in.Expires = h.db.Now().Add(c.For)
	}
	k, text, err := h.api.Create(a.ctx, actor, in)
	if err != nil {
		return err
	}
	return a.answer(map[string]string{"id": string(k.ID), "key": text}, "The key, shown this once: "+text)
}

type keyListCmd struct{ owner }

func (c keyListCmd) Run(a *app) error {
	actor, h, err := c.actor(a)
	if err != nil {
		return err
	}
	keys, err := h.api.Keys(a.ctx, actor)
	if err != nil {
		return err
	}
	type row struct {
		ID        api.KeyID `json:"id"`
		Name      string    `json:"name"`
		Role      string    `json:"role,omitempty"`
		Operator  bool      `json:"operator"`
		CreatedAt string    `json:"created_at"`
		CreatedBy string    `json:"created_by"`
		LastUsed  string    `json:"last_used_at,omitempty"`
		Ends      string    `json:"expires_at,omitempty"`
	}
	rows, lines := []row{}, []string{}
	for _, k := range keys {
		r := row{ID: k.ID, Name: k.Name, Role: k.Role, Operator: k.Operator, CreatedAt: k.CreatedAt.RFC3339(), CreatedBy: k.CreatedBy}
		if k.LastUsedAt != 0 {
			r.LastUsed = k.LastUsedAt.RFC3339()
		}
		if k.ExpiresAt != 0 {
			r.Ends = k.ExpiresAt.RFC3339()
		}
		rows = append(rows, r)
		lines = append(lines, fmt.Sprintf("%s %-10s %s", k.ID, k.Role, k.Name))
	}
	return a.answer(rows, lines...)
}

type keyRevokeCmd struct {
	owner
	Key string `arg:"" help:"Id of the key."`
}

func (c keyRevokeCmd) Run(a *app) error {
	actor, h, err := c.actor(a)
	if err != nil {
		return err
	}
	id, err := store.ParseID[api.Key](c.Key)
	if err != nil {
		return err
	}
	if err := h.api.Revoke(a.ctx, actor, id); err != nil {
		return err
	}
	return a.answer(map[string]string{"id": string(id), "status": "revoked"}, "The key has ended.")
}
