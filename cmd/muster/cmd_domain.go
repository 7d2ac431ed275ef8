package main

import (
	"fmt"
	"strings"

	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

type domainCmd struct {
	Add    domainAddCmd    `cmd:"" help:"Claim a mail domain."`
	List   domainListCmd   `cmd:"" help:"The domains of an organization, and how they stand."`
	Check  domainCheckCmd  `cmd:"" help:"Ask the DNS now, and say what it answered."`
	Verify domainVerifyCmd `cmd:"" help:"The same, and fail when the record is not there."`
	Assign domainAssignCmd `cmd:"" help:"Say which connections speak for a domain."`
	Remove domainRemoveCmd `cmd:"" help:"Give a domain up."`
}

func (a *app) domain(d sso.Domain) error {
	lines := []string{d.Domain + " is verified."}
	if !d.Verified() {
		lines = []string{
			"Publish this DNS record, then run: muster domain verify",
			"  Name   " + d.TXTName(),
			"  Type   TXT",
			"  Value  " + d.TXTValue(),
		}
	}
	if d.Answer != "" {
		lines = append(lines, d.Answer)
	}
	return a.answer(d.Entry(), lines...)
}

type domainAddCmd struct {
	Org        string `required:"" help:"Organization (short name)."`
	Domain     string `arg:"" help:"The mail domain, for example example.com."`
	Verified   bool   `help:"Take it as proved without looking at the DNS."`
	Connection string `placeholder:"ID" help:"The connection that speaks for it; without one, all of the organization do."`
}

func (c domainAddCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	in := sso.NewDomain{Domain: c.Domain, Verified: c.Verified}
	if c.Connection != "" {
		if in.Connection, err = store.ParseID[sso.Connection](c.Connection); err != nil {
			return err
		}
	}
	d, err := a.opened.sso.AddDomain(a.ctx, actor, in)
	if err != nil {
		return err
	}
	return a.domain(d)
}

type domainListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c domainListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	list, err := a.opened.sso.Domains(a.ctx, actor)
	if err != nil {
		return err
	}
	out, lines := []sso.DomainEntry{}, []string{}
	for _, d := range list {
		out = append(out, d.Entry())
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%-10s %-30s %s", d.State(), d.Domain, d.Answer)))
	}
	return a.answer(out, lines...)
}

type domainCheckCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Domain string `arg:"" help:"The mail domain."`
}

func (c domainCheckCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	d, err := a.opened.sso.CheckDomain(a.ctx, actor, c.Domain)
	if err != nil {
		return err
	}
	return a.domain(d)
}

type domainVerifyCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Domain string `arg:"" help:"The mail domain."`
}

func (c domainVerifyCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	d, err := a.opened.sso.VerifyDomain(a.ctx, actor, c.Domain)
	if err != nil {
		return err
	}
	return a.domain(d)
}

type domainAssignCmd struct {
	Org         string   `required:"" help:"Organization (short name)."`
	Domain      string   `arg:"" help:"The mail domain."`
	Connections []string `arg:"" optional:"" help:"Ids of connections; none: all of the organization."`
}

func (c domainAssignCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var to []sso.ConnectionID
	for _, text := range c.Connections {
		id, err := store.ParseID[sso.Connection](text)
		if err != nil {
			return err
		}
		to = append(to, id)
	}
	d, err := a.opened.sso.AssignDomain(a.ctx, actor, c.Domain, "", to)
	if err != nil {
		return err
	}
	return a.domain(d)
}

type domainRemoveCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Domain string `arg:"" help:"The mail domain."`
}

func (c domainRemoveCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	d, err := a.opened.sso.RemoveDomain(a.ctx, actor, c.Domain)
	if err != nil {
		return err
	}
	return a.answer(map[string]string{"domain": d.Domain, "status": "removed"}, d.Domain+" is removed.")
}
