package main

import (
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/store"
)

type policyCmd struct {
	Show policyShowCmd `cmd:"" help:"How people of an organization sign in."`
	Set  policySetCmd  `cmd:"" help:"Change it. What is not named stays."`
}

type policyShowCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c policyShowCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var v policy.View
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		v, err = a.opened.policy.View(tx)
		return err
	})
	if err != nil {
		return err
	}
	lines := ruleLines(v.Rules)
	for _, g := range v.BreakGlass {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("Break-glass     %s, %s left. %s", g.Name, counted(g.Codes, "code", "codes"), g.Wrong)))
	}
	for _, m := range v.Missing {
		lines = append(lines, "Missing         "+m)
	}
	return a.answer(v, lines...)
}

func ruleLines(r policy.Rules) []string {
	orServer := func(s string) string {
		if s == "" {
			return "as the server is set"
		}
		return s
	}
	lines := []string{"Passwords       " + map[bool]string{true: "yes", false: "no"}[r.Password], "Single sign-on  " + string(r.SSO)}
	for domain, rule := range r.Domains {
		lines = append(lines, "                "+string(rule)+" for "+domain)
	}
	return append(lines, "Idle            "+orServer(r.Idle), "Absolute        "+orServer(r.Absolute), "Fresh           "+orServer(r.Fresh), "Second factor   "+string(r.Second))
}

type policySetCmd struct {
	Org      string            `required:"" help:"Organization (short name)."`
	Password string            `enum:",yes,no" default:"" help:"May passwords be used? yes or no."`
	SSO      string            `name:"sso" enum:",off,optional,required" default:"" help:"Single sign-on: off, optional or required."`
	Domain   map[string]string `placeholder:"DOMAIN=RULE" help:"A rule for the people of a mail domain; DOMAIN= takes it away."`
	Idle     *string           `placeholder:"TIME" help:"A session ends without a request for this long (12h); empty: the server's setting."`
	Absolute *string           `placeholder:"TIME" help:"A session ends at the latest after this long (168h); empty: the server's setting."`
	Fresh    *string           `placeholder:"TIME" help:"What matters asks for a sign-in within this time (15m)."`
	Second   *string           `name:"second-factor" enum:"off,optional,admins,all" help:"Second factor beside a password: off, optional, admins (required for them) or all (required)."`
	Preview  bool              `help:"Tell what would happen, and do nothing."`
}

func (c policySetCmd) Run(a *app) error {
	in := policy.Patch{Idle: c.Idle, Absolute: c.Absolute, Fresh: c.Fresh, Domains: map[string]policy.SSO{}}
	if c.Password != "" {
		yes := c.Password == "yes"
		in.Password = &yes
	}
	if c.SSO != "" {
		rule := policy.SSO(c.SSO)
		in.SSO = &rule
	}
	if c.Second != nil {
		rule := policy.Second(*c.Second)
		in.Second = &rule
	}
	for domain, rule := range c.Domain {
		in.Domains[domain] = policy.SSO(rule)
	}
	ch, err := in.Change()
	if err != nil {
		return err
	}
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	do := a.opened.policy.Set
	if c.Preview {
		do = a.opened.policy.Preview
	}
	e, err := do(a.ctx, actor, ch)
	if err != nil {
		return err
	}
	lines := ruleLines(e.Outcome(!c.Preview).Policy)
	if e.Stricter {
		lines = append(lines, fmt.Sprintf("Ends            %s of %s, links for a new password of %d", counted(e.Sessions, "session", "sessions"), counted(e.People, "person", "people"), e.Resets))
	}
	if e.Asked {
		lines = append(lines, fmt.Sprintf("Without one     %s, to make a second factor at the next sign-in", counted(e.Without, "person", "people")))
	}
	for _, name := range e.LockedOut {
		lines = append(lines, "Locked out      "+name+": made with the set-up link, and no break-glass account")
	}
	for _, m := range e.Missing {
		lines = append(lines, "Missing         "+m.String())
	}
	return a.answer(e.Outcome(!c.Preview), lines...)
}

type breakglassCmd struct {
	Add    breakglassAddCmd    `cmd:"" help:"Name an admin as a break-glass account; prints its recovery codes, once."`
	Remove breakglassRemoveCmd `cmd:"" help:"Take an account off the list."`
	Codes  breakglassCodesCmd  `cmd:"" help:"Replace an account's recovery codes; prints them, once."`
}

// glass is one person of an organization.
type glass struct {
	Org  string `required:"" help:"Organization (short name)."`
	User string `arg:"" help:"User name, address or id."`
}

func (c glass) find(a *app) (actor access.Actor, u store.User, err error) {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return actor, u, err
	}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		id, err := target{Org: c.Org, User: c.User}.find(tx, org)
		if err != nil {
			return err
		}
		u, err = tx.AnyUser(id)
		return err
	})
	return actor, u, err
}

func (c glass) codes(a *app, u store.User, codes []string) error {
	return a.answer(map[string]any{"user_id": u.ID, "codes": codes}, append([]string{"Recovery codes of " + u.DisplayName + ", shown this once; each works once:"}, codes...)...)
}

type breakglassAddCmd struct{ glass }

func (c breakglassAddCmd) Run(a *app) error {
	actor, u, err := c.find(a)
	if err != nil {
		return err
	}
	codes, err := a.opened.policy.AddAccount(a.ctx, actor, u.ID)
	if err != nil {
		return err
	}
	return c.codes(a, u, codes)
}

type breakglassCodesCmd struct{ glass }

func (c breakglassCodesCmd) Run(a *app) error {
	actor, u, err := c.find(a)
	if err != nil {
		return err
	}
	codes, err := a.opened.policy.RenewCodes(a.ctx, actor, u.ID)
	if err != nil {
		return err
	}
	return c.codes(a, u, codes)
}

type breakglassRemoveCmd struct{ glass }

func (c breakglassRemoveCmd) Run(a *app) error {
	actor, u, err := c.find(a)
	if err == nil {
		err = a.opened.policy.RemoveAccount(a.ctx, actor, u.ID)
	}
	if err != nil {
		return err
	}
	return a.answer(map[string]any{"user_id": u.ID, "removed": true}, u.DisplayName+" is no break-glass account any more.")
}
