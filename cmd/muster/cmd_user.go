package main

import (
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type userCmd struct {
	Invite     userInviteCmd     `cmd:"" help:"Invite somebody by e-mail, or many."`
	Activate   userActivateCmd   `cmd:"" help:"Activate somebody who is invited without e-mail, with a first password."`
	Import     userImportCmd     `cmd:"" help:"Bring people in from a CSV file."`
	Export     userExportCmd     `cmd:"" help:"Write people to a CSV file or as JSON lines."`
	List       userListCmd       `cmd:"" help:"List people."`
	Deactivate userDeactivateCmd `cmd:"" help:"End a person's access."`
	Reactivate userReactivateCmd `cmd:"" help:"Give access back."`
	Delete     userDeleteCmd     `cmd:"" help:"Delete a person; can be restored for 30 days."`
	Restore    userRestoreCmd    `cmd:"" help:"Restore a deleted person, deactivated."`
	Detach     userDetachCmd     `cmd:"" help:"Free a person from the directory, so that the attributes can be edited here."`
	Deleted    userDeletedCmd    `cmd:"" help:"List who was deleted and can be restored."`
	Planned    userPlannedCmd    `cmd:"" help:"List changes that are planned, or what became of them."`
	Cancel     userCancelCmd     `cmd:"" name:"cancel-planned" help:"Cancel a planned change."`
	Factors    userFactorsCmd    `cmd:"" help:"What a person has beside a password: passkeys, authenticator app, recovery codes."`
	Reset      userResetCmd      `cmd:"" name:"reset-factors" help:"Take them away, for somebody who has lost them."`
	Identity   userIdentityCmd   `cmd:"" help:"Accounts at identity providers with which people sign in."`
}

type userListCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Status string `enum:",invited,active,deactivated,deleted" default:"" help:"Only people in this state."`
	Search string `help:"Only people with these words in name, address, user name or employee number."`
}

type userRow struct {
	ID       store.UserID `json:"id"`
	UserName string       `json:"user_name"`
	Email    string       `json:"email"`
	Name     string       `json:"name"`
	Status   store.Status `json:"status"`
	Source   store.Source `json:"source"`
	Roles    []string     `json:"roles"`
}

func (c userListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	query := store.PeopleQuery{Search: c.Search, Sort: "created", Limit: 500}
	if c.Status != "" {
		query.Status = []store.Status{store.Status(c.Status)}
	}
	rows, lines := []userRow{}, []string{}
	for {
		var page store.PeoplePage
		err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			page, err = tx.People(query)
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range page.People {
			row := userRow{p.ID, p.UserName, p.Email, p.DisplayName, p.Status, p.Source, store.RoleNames(p.Grants)}
			rows = append(rows, row)
			lines = append(lines, fmt.Sprintf("%-30s %-24s %-12s %-7s %s", row.UserName, row.Name, row.Status, row.Source, strings.Join(row.Roles, ",")))
		}
		if !page.Next {
			return a.answer(rows, lines...)
		}
		if query.After, err = store.StandingOf(page.People[len(page.People)-1].User, query.Sort); err != nil {
			return err
		}
	}
}

// target is the person that a command is about.
type target struct {
	Org  string `required:"" help:"Organization (short name)."`
	User string `arg:"" name:"name-or-id" help:"User name, e-mail address or id."`
	Why  string `help:"Reason, for the activity log."`
}

// find takes an id, a user name, or an address that one person has. Deleted
// people are found by id, or by the name they had when nobody has it now.
func (c target) find(tx *store.Tx, org store.Org) (store.UserID, error) {
	if id, err := store.ParseID[store.User](c.User); err == nil {
		u, err := tx.AnyUser(id)
		return u.ID, err
	}
	u, err := tx.UserByName(c.User)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return u.ID, err
	}
	byEmail, err := tx.UsersByEmail(c.User)
	if err != nil {
		return "", err
	}
	if len(byEmail) > 1 {
		return "", fault.Conflict.Say("%d people have the address %s. Name the one you mean by user name or id.", len(byEmail), c.User)
	}
	if len(byEmail) == 1 {
		return byEmail[0].ID, nil
	}
	gone, err := tx.People(store.PeopleQuery{Status: []store.Status{store.Deleted}, Search: c.User, Sort: "-created", Limit: 50})
	if err != nil {
		return "", err
	}
	for _, p := range gone.People {
		if store.Fold(p.UserName) == store.Fold(c.User) {
			return p.ID, nil
		}
	}
	return "", fault.NotFound.Say("There is nobody %q in %s. `muster user list --org %s` shows who there is.", c.User, org.Slug, org.Slug)
}
