package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/store"
)

type operatorCmd struct {
	List   operatorListCmd   `cmd:"" help:"List who runs this server."`
	Add    operatorAddCmd    `cmd:"" help:"Let somebody run this server, too: of an invited person from the acceptance on."`
	Remove operatorRemoveCmd `cmd:"" help:"Take the right from somebody, who keeps the account."`
}

type operatorListCmd struct{}

func (operatorListCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	list, err := h.operate.Operators(a.ctx, shell(""))
	if err != nil {
		return err
	}
	rows, lines := []operate.OperatorJSON{}, []string{}
	for _, o := range list {
		rows = append(rows, o.JSON())
		lines = append(lines, fmt.Sprintf("%-12s %-12s %s <%s>", o.Slug, o.Status, o.Name, o.Email))
	}
	return a.answer(rows, lines...)
}

type operatorAddCmd struct {
	Org        string `required:"" help:"Organization of the person (short name)."`
	Person     string `arg:"" help:"Address or user name there."`
	Invite     bool   `help:"Invite the address when nobody there has it."`
	GivenName  string `help:"First name of whoever is invited."`
	FamilyName string `help:"Last name."`
}

func (c operatorAddCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	u, err := h.operate.AddOperator(a.ctx, shell(""), operate.NewOperator{Org: c.Org, Person: c.Person, Invite: c.Invite, GivenName: c.GivenName, FamilyName: c.FamilyName})
	if err != nil {
		return err
	}
	said := fmt.Sprintf("%s runs this server, too.", u.DisplayName)
	if u.Status == store.Invited {
		said = fmt.Sprintf("%s has an invitation, and runs this server as soon as it is accepted.", u.Email)
	}
	return a.answer(map[string]any{"org": c.Org, "user_id": u.ID, "name": u.DisplayName, "email": u.Email, "status": u.Status}, said)
}

type operatorRemoveCmd struct {
	Person string `arg:"" help:"Address or id of the operator."`
}

func (c operatorRemoveCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	list, err := h.operate.Operators(a.ctx, shell(""))
	if err != nil {
		return err
	}
	var found []store.UserID
	for _, o := range list {
		if string(o.User) == c.Person || store.Fold(o.Email) == store.Fold(c.Person) {
			found = append(found, o.User)
		}
	}
	if len(found) != 1 {
		return fault.NotFound.On("person", "%.100q is no operator, or several are. List them with their ids: muster operator list --json", c.Person)
	}
	if err := h.operate.RemoveOperator(a.ctx, shell(""), found[0]); err != nil {
		return err
	}
	return a.answer(map[string]any{"user_id": found[0], "status": "removed"}, "The right to run this server is taken away. The account stays.")
}
