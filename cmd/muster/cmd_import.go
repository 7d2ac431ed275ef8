package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/invite"
)

type userImportCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	File   string `arg:"" help:"CSV file; its first line names the columns (email, given_name, family_name, role ...)."`
	DryRun bool   `help:"Say what would happen, and change nothing."`
	Invite bool   `help:"Send new people an invitation; else they are active at once."`
}

// maxCSV is that of the console's upload.
const maxCSV = 10 << 20

// Run imports every good line. It fails when a line failed, after the whole report.
func (c userImportCmd) Run(a *app) error {
	data, err := readFile(c.File, maxCSV)
	if err != nil {
		return err
	}
	sheet, err := invite.ReadCSV(data)
	if err != nil {
		return err
	}
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	r, err := a.opened.invites.Import(a.ctx, actor, sheet, invite.ImportOptions{DryRun: c.DryRun, Invite: c.Invite})
	if err != nil {
		return err
	}
	if r.Rows == nil {
		r.Rows = []invite.Outcome{}
	}
	lines := []string{}
	for _, row := range r.Rows {
		line := fmt.Sprintf("line %-5d %-10s %s", row.Line, row.Action, row.Email)
		if p := row.Problem; p != nil {
			line += fmt.Sprintf(": %s %q: %s %s", p.Column, p.Value, p.Why, p.Remedy)
		}
		lines = append(lines, line)
	}
	did := "%d created, %d updated, %d unchanged, %d failed."
	if c.DryRun {
		did = "Nothing was changed. Without --dry-run: " + did
	}
	if err := a.answer(r, append(lines, fmt.Sprintf(did, r.Created, r.Updated, r.Unchanged, r.Failed))...); err != nil {
		return err
	}
	if r.Failed > 0 {
		return fmt.Errorf("%d of %d lines could not be imported; correct them and import the file again, what is done stays as it is", r.Failed, len(r.Rows))
	}
	return nil
}
