package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
)

type userInviteCmd struct {
	Org        string   `required:"" help:"Organization (short name)."`
	Email      string   `required:"" xor:"whom" help:"Address that the invitation goes to."`
	File       string   `required:"" xor:"whom" help:"Many at once: a file of addresses, each like Ada Lovelace <ada@example.com>, with line breaks, commas or semicolons between; up to 5,000."`
	GivenName  string   `help:"First name."`
	FamilyName string   `help:"Last name."`
	Role       string   `help:"admin, agent, viewer, or a role of the organization; its default when left out."`
	Title      string   `help:"Job title."`
	Department string   `help:"Department."`
	Phone      string   `help:"Phone number."`
	Manager    string   `help:"Manager: user name, e-mail address or id."`
	Team       []string `help:"Team to join, by name; may be given several times."`
	Employee   string   `name:"employee-number" help:"Employee number."`
	Address    string   `help:"Postal address."`
	Note       string   `help:"A note that stands in the mail."`
	Save       bool     `help:"Save without sending; muster invitation resend sends it."`

	Attribute map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"One of the organization's own attributes; may be given several times."`

	Activate     bool   `help:"Send nothing: the account works at once, with a first password that must be changed."`
	PasswordFile string `help:"File with that password; without it one is made, and printed this once."`
}

func (c userInviteCmd) Run(a *app) error {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return err
	}
	in := invite.In{Email: c.Email, GivenName: c.GivenName, FamilyName: c.FamilyName, Role: c.Role,
		Title: c.Title, Department: c.Department, Phone: c.Phone,
		EmployeeNumber: c.Employee, Address: c.Address, Own: c.Attribute, Note: c.Note, Save: c.Save}
	if err := c.resolve(a, actor, org, &in); err != nil {
		return err
	}
	switch {
	case c.File != "":
		return c.many(a, actor, in)
	case c.Activate:
		return c.start(a, actor, in)
	case c.PasswordFile != "":
		return fault.Invalid.On("password-file", "Who is invited chooses the password. Add --activate to make an account without an invitation.")
	}
	made, err := a.opened.invites.Invite(a.ctx, actor, in)
	if err != nil {
		return err
	}
	if c.Save {
		return a.answer(made.View(), made.Email+" is saved, and nothing was sent.")
	}
	return a.answer(made.View(),
		fmt.Sprintf("%s is invited until %s. A running server sends the mail; this is its link:", made.Email, made.ExpiresAt.RFC3339()),
		"  "+made.Link)
}

// resolve turns names into ids.
func (c userInviteCmd) resolve(a *app, actor access.Actor, org store.Org, in *invite.In) error {
	if c.Manager == "" && len(c.Team) == 0 {
		return nil
	}
	return a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		if c.Manager != "" {
			if in.ManagerID, err = (target{Org: c.Org, User: c.Manager}).find(tx, org); err != nil {
				return err
			}
		}
		in.Teams = nil
		for _, name := range c.Team {
			g, err := tx.GroupByName(name)
			if fault.Is(err, fault.NotFound) {
				return fault.NotFound.On("team", "There is no team %q in %s.", name, org.Slug)
			}
			if err != nil {
				return err
			}
			in.Teams = append(in.Teams, g.ID)
		}
		return nil
	})
}

// many invites everybody in a file. It fails when somebody could not be invited who is
// not here already, after the whole report.
func (c userInviteCmd) many(a *app, actor access.Actor, in invite.In) error {
	if c.GivenName+c.FamilyName+c.Title+c.Department+c.Phone+c.Manager+c.Employee+c.Address != "" || c.Activate {
		return fault.Invalid.On("file", "Of the people in a file only role, teams, own attributes and note can be said here. For more, use muster user import with a CSV file.")
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fault.Invalid.Wrap(err, "The file %s cannot be read.", c.File)
	}
	list := invite.ManyIn{Addresses: string(text), Teams: in.Teams, Own: c.Attribute, Note: c.Note, Save: c.Save}
	if c.Role != "" {
		list.Roles = []string{c.Role}
	}
	var l invite.ManyList
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		l, err = a.opened.invites.CheckMany(tx, list)
		return err
	})
	if err == nil {
		l, err = a.opened.invites.ConfirmMany(a.ctx, actor, l.ID)
	}
	if err == nil && l.Running {
		err = a.finish(actor, l.Job)
	}
	if err != nil {
		return err
	}
	return c.report(a, actor, l.ID)
}

// report answers with every row of a list.
func (c userInviteCmd) report(a *app, actor access.Actor, id invite.ListID) error {
	var out invite.ManyView
	var lines []string
	bad := 0
	for q := (invite.RowQuery{}); ; q.After = out.Next {
		l, err := a.opened.invites.Many(a.ctx, actor, id, q)
		if err != nil {
			return err
		}
		page := l.View()
		for _, r := range page.Rows {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%-8s %-34s %s", r.State, cmp.Or(r.Email, r.Typed), r.Why)))
			if r.State == invite.RowFailed || r.Verdict == invite.VerdictBad || r.Verdict == invite.VerdictSeats {
				bad++
			}
		}
		page.Rows = append(out.Rows, page.Rows...)
		if out = page; out.Next == 0 {
			break
		}
	}
	if err := a.answer(out, append(lines, fmt.Sprintf("%d invited, %d left out.", out.Invited, out.Left))...); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d addresses could not be invited; correct them and give the file again, nobody is invited twice", bad, len(out.Rows))
	}
	return nil
}
