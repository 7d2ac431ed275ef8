package main

import (
	"github.com/muster-id/muster/sso"
)

type domainCmd struct {
	Add    domainAddCmd    `cmd:"" help:"Claim a mail domain."`
	Verify domainVerifyCmd `cmd:"" help:"Look for the DNS record that proves it."`
}

type domainRow struct {
	ID       sso.DomainID `json:"id"`
	Domain   string       `json:"domain"`
	TXTName  string       `json:"txt_name"`
	TXTValue string       `json:"txt_value"`
	Verified bool         `json:"verified"`
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
	return a.answer(domainRow{d.ID, d.Domain, d.TXTName(), d.TXTValue(), d.Verified()}, lines...)
}

type domainAddCmd struct {
	Org      string `required:"" help:"Organization (short name)."`
	Domain   string `arg:"" help:"The mail domain, for example example.com."`
	Verified bool   `help:"Take it as proved without looking at the DNS."`
}

func (c domainAddCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	d, err := a.opened.sso.AddDomain(a.ctx, actor, sso.NewDomain{Domain: c.Domain, Verified: c.Verified})
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
