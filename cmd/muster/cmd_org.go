package main

import (
	"fmt"

	"github.com/muster-id/muster/store"
)

type orgCmd struct {
	Create orgCreateCmd `cmd:"" help:"Make an organization."`
	List   orgListCmd   `cmd:"" help:"List the organizations."`
	Seats  orgSeatsCmd  `cmd:"" help:"Show how many people an organization may have, or say it."`
}

type orgRow struct {
	ID   store.OrgID `json:"id"`
	Slug string      `json:"slug"`
	Name string      `json:"name"`
}

type orgCreateCmd struct {
	Slug string `required:"" help:"Short name in addresses: lower-case letters, digits, hyphens."`
	Name string `required:"" help:"Full name, as people read it."`
}

func (c orgCreateCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	var org store.Org
	err = h.db.Write(a.ctx, shell(""), func(tx *store.Tx) (err error) {
		org, err = tx.CreateOrg(c.Slug, c.Name)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(orgRow{org.ID, org.Slug, org.Name}, fmt.Sprintf("%s (%s) has the id %s.", org.Name, org.Slug, org.ID))
}

type orgListCmd struct{}

func (orgListCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	orgs, err := h.db.Orgs(a.ctx)
	if err != nil {
		return err
	}
	rows, lines := []orgRow{}, []string{}
	for _, o := range orgs {
		rows = append(rows, orgRow{o.ID, o.Slug, o.Name})
		lines = append(lines, fmt.Sprintf("%-20s %-34s %s", o.Slug, o.ID, o.Name))
	}
	return a.answer(rows, lines...)
}
