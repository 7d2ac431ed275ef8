package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

type requestCmd struct {
	List    requestListCmd    `cmd:"" help:"List who signed in at a provider and has no account."`
	Approve requestApproveCmd `cmd:"" help:"Make an account for a request, or say whose it is."`
	Decline requestDeclineCmd `cmd:"" help:"Decline a request."`
}

type requestListCmd struct {
	Org   string `required:"" help:"Organization (short name)."`
	State string `enum:"open,approved,declined,all" default:"open" help:"open, approved, declined or all."`
}

func (c requestListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	state := c.State
	if state == "all" {
		state = ""
	}
	list, err := a.opened.sso.AccessRequests(a.ctx, actor, state)
	if err != nil {
		return err
	}
	infos, lines := make([]sso.RequestInfo, len(list)), make([]string, len(list))
	for i, q := range list {
		infos[i] = q.Info()
		lines[i] = fmt.Sprintf("%s  %-8s  %s %s", q.ID, q.State, q.Name(), q.Email)
	}
	return a.answer(infos, lines...)
}

type requestApproveCmd struct {
	Org     string `required:"" help:"Organization (short name)."`
	Request string `required:"" placeholder:"ID" help:"The request."`
	Role    string `help:"Role of a new account; the default role without it."`
	User    string `placeholder:"NAME_OR_ID" help:"Whose request it is; without it an account is made."`
}

func (c requestApproveCmd) Run(a *app) error {
	return a.onRequest(c.Org, c.Request, func(actor access.Actor, id store.ID[sso.AccessRequest]) (sso.AccessRequest, error) {
		return a.opened.sso.Approve(a.ctx, actor, id, sso.Approval{User: c.User, Role: c.Role})
	})
}

type requestDeclineCmd struct {
	Org     string `required:"" help:"Organization (short name)."`
	Request string `required:"" placeholder:"ID" help:"The request."`
}

func (c requestDeclineCmd) Run(a *app) error {
	return a.onRequest(c.Org, c.Request, func(actor access.Actor, id store.ID[sso.AccessRequest]) (sso.AccessRequest, error) {
		return a.opened.sso.Decline(a.ctx, actor, id)
	})
}

func (a *app) onRequest(org, typed string, do func(access.Actor, store.ID[sso.AccessRequest]) (sso.AccessRequest, error)) error {
	actor, _, err := a.in(org)
	if err != nil {
		return err
	}
	id, err := store.ParseID[sso.AccessRequest](typed)
	if err != nil {
		return err
	}
	q, err := do(actor, id)
	if err != nil {
		return err
	}
	return a.answer(q.Info(), q.Name()+": "+q.State)
}
