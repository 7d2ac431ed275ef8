package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
)

type userInviteCmd struct {
	Org        string   `required:"" help:"Organization (short name)."`
	Email      string   `required:"" help:"Address that the invitation goes to."`
	GivenName  string   `help:"First name."`
	FamilyName string   `help:"Last name."`
	Role       string   `default:"agent" help:"admin, agent or viewer."`
	Title      string   `help:"Job title."`
	Department string   `help:"Department."`
	Phone      string   `help:"Phone number."`
	Manager    string   `help:"Manager: user name, e-mail address or id."`
	Team       []string `help:"Team to join, by name; may be given several times."`
	Employee   string   `name:"employee-number" help:"Employee number."`
	Address    string   `help:"Postal address."`
	Note       string   `help:"A note that stands in the mail."`
	Save       bool     `help:"Save without sending; muster invitation resend sends it."`
}

func (c userInviteCmd) Run(a *app) error {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return err
	}
	in := invite.In{Email: c.Email, GivenName: c.GivenName, FamilyName: c.FamilyName, Role: c.Role,
		Title: c.Title, Department: c.Department, Phone: c.Phone,
		EmployeeNumber: c.Employee, Address: c.Address, Note: c.Note, Save: c.Save}
	if err := c.resolve(a, actor, org, &in); err != nil {
		return err
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
