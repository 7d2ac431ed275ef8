package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/store"
)

type orgCmd struct {
	Create  orgCreateCmd  `cmd:"" help:"Make an organization."`
	List    orgListCmd    `cmd:"" help:"List the organizations, with their size and what is wrong."`
	Show    orgShowCmd    `cmd:"" help:"Show one organization."`
	Rename  orgRenameCmd  `cmd:"" help:"Give an organization another name; the short name stays."`
	Suspend orgSuspendCmd `cmd:"" help:"Let nobody of an organization in until it is resumed. Nothing is lost."`
	Resume  orgResumeCmd  `cmd:"" help:"Take a suspension back."`
	Seats   orgSeatsCmd   `cmd:"" help:"Show how many people an organization may have, or say it."`

	Defaults orgDefaultsCmd `cmd:"" help:"Role and teams of new people for whom nobody says any."`
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
	org, err := h.operate.Create(a.ctx, shell(""), c.Slug, c.Name, operate.Newcomer{})
	if err != nil {
		return err
	}
	return a.answer(orgRow{org.ID, org.Slug, org.Name}, fmt.Sprintf("%s (%s) has the id %s.", org.Name, org.Slug, org.ID))
}

type orgListCmd struct {
	Search    string `help:"Only those with this in the name or the short name."`
	Suspended bool   `help:"Only those that are suspended."`
}

func (c orgListCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	rows, lines := []operate.OrgJSON{}, []string{}
	q := store.OrgQuery{Search: c.Search, Suspended: c.Suspended, Limit: 200}
	for more := true; more; {
		var list []operate.Overview
		if list, more, err = h.operate.Orgs(a.ctx, shell(""), q); err != nil {
			return err
		}
		for _, o := range list {
			rows = append(rows, o.JSON())
			lines = append(lines, orgLine(o))
			q.After = o.ID
		}
	}
	return a.answer(rows, lines...)
}

func orgLine(o operate.Overview) string {
	wrong := ""
	if o.SuspendedAt != 0 {
		wrong = "  suspended"
	}
	if f := o.Worst(); f != nil {
		wrong += "  " + f.Severity + ": " + f.Text.String()
	}
	return fmt.Sprintf("%-20s %-34s %-30s%s", o.Slug, o.ID, o.Name, wrong)
}

type orgShowCmd struct {
	Org string `arg:"" help:"Organization (short name)."`
}

func (c orgShowCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	return a.showOrg(h, c.Org)
}

// showOrg answers with an organization as it is now.
func (a *app) showOrg(h *system, slug string) error {
	o, err := h.operate.Org(a.ctx, shell(""), slug)
	if err != nil {
		return err
	}
	lines := []string{orgLine(o), fmt.Sprintf("people: %d, directories: %d, active connections: %d of %d, open requests: %d",
		o.Size.People, len(o.Facts.Directories), o.Active(), len(o.Facts.Connections), o.Facts.Waiting)}
	for _, f := range o.Findings {
		lines = append(lines, fmt.Sprintf("%-4s  %s  %s", f.Severity, f.Text, f.Path))
	}
	return a.answer(o.JSON(), lines...)
}

type orgRenameCmd struct {
	Org  string `arg:"" help:"Organization (short name)."`
	Name string `required:"" help:"Full name, as people read it."`
}

func (c orgRenameCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	if _, err := h.operate.Rename(a.ctx, shell(""), c.Org, c.Name); err != nil {
		return err
	}
	return a.showOrg(h, c.Org)
}

type orgSuspendCmd struct {
	Org string `arg:"" help:"Organization (short name)."`
	Why string `required:"" help:"Why; stands in the organization's activity."`
}

func (c orgSuspendCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	if _, err := h.operate.Suspend(a.ctx, shell(""), c.Org, c.Why); err != nil {
		return err
	}
	return a.showOrg(h, c.Org)
}

type orgResumeCmd struct {
	Org string `arg:"" help:"Organization (short name)."`
}

func (c orgResumeCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	if _, err := h.operate.Resume(a.ctx, shell(""), c.Org); err != nil {
		return err
	}
	return a.showOrg(h, c.Org)
}
