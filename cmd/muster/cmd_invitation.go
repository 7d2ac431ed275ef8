package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
)

type invitationCmd struct {
	List     invitationListCmd     `cmd:"" help:"List invitations, newest first."`
	Resend   invitationResendCmd   `cmd:"" help:"Send a new link; older ones stop working."`
	Link     invitationLinkCmd     `cmd:"" help:"Make a link to hand over, and send nothing."`
	Correct  invitationCorrectCmd  `cmd:"" help:"Send the invitation to the right address; the old link stops working."`
	Cancel   invitationCancelCmd   `cmd:"" help:"Withdraw an invitation; the address can be invited again."`
	Reopen   invitationReopenCmd   `cmd:"" help:"Invite again whose invitation was cancelled."`
	Preview  invitationPreviewCmd  `cmd:"" help:"Print the mail that an invitation would send, and send nothing."`
	Settings invitationSettingsCmd `cmd:"" help:"Show or change what the organization chose."`
}

type invitationListCmd struct {
	Org   string `required:"" help:"Organization (short name)."`
	State string `enum:",pending,saved,bounced,expired,accepted,cancelled,unneeded" default:"" help:"Only those in this state."`
	Asked bool   `help:"Only those whose person asked for a new link."`
}

func (c invitationListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	rows, lines := []invite.View{}, []string{}
	query := invite.Query{State: invite.State(c.State), Asked: c.Asked, Limit: 500}
	for {
		var page []invite.View
		err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
			list, err := a.opened.invites.List(tx, query)
			if err != nil {
				return err
			}
			page, err = invite.Views(tx, list)
			return err
		})
		if err != nil {
			return err
		}
		for _, v := range page {
			lines = append(lines, fmt.Sprintf("%s  %-10s %-34s until %s", v.ID, v.State, v.Email, v.ExpiresAt))
		}
		rows = append(rows, page...)
		if len(page) < query.Limit {
			return a.answer(rows, lines...)
		}
		query.After = page[len(page)-1].ID
	}
}

// guest is whose invitation a command is about.
type guest struct {
	Org  string `required:"" help:"Organization (short name)."`
	Whom string `arg:"" name:"name-or-id" help:"Id of the invitation, or the person's user name, e-mail address or id."`
}

// run does something to the invitation.
func (c guest) run(a *app, do func(tx *store.Tx, org store.Org, user store.UserID) (invite.Made, error), line string) error {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var made invite.Made
	var state invite.Invitation
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		user, err := c.find(a, tx, org)
		if err != nil {
			return err
		}
		if made, err = do(tx, org, user); err != nil {
			return err
		}
		of, err := a.opened.invites.Of(tx, []store.UserID{user})
		state = of[user]
		return err
	})
	if err != nil {
		return err
	}
	lines := []string{fmt.Sprintf(line, state.Email)}
	if made.Link != "" {
		lines = append(lines, "  "+made.Link)
	}
	return a.answer(struct {
		invite.MadeView
		State invite.State `json:"state"`
	}{invite.Made{UserID: state.UserID, InvitationID: state.ID, Email: state.Email, ExpiresAt: state.ExpiresAt, Link: made.Link}.View(), state.State}, lines...)
}

func (c guest) find(a *app, tx *store.Tx, org store.Org) (store.UserID, error) {
	if id, err := store.ParseID[invite.Invitation](c.Whom); err == nil {
		i, err := a.opened.invites.Find(tx, id)
		if !fault.Is(err, fault.NotFound) {
			return i.UserID, err
		}
		if u, err := tx.AnyUser(store.UserID(c.Whom)); !fault.Is(err, fault.NotFound) {
			return u.ID, err
		}
	}
	return target{Org: c.Org, User: c.Whom}.find(tx, org)
}

type invitationResendCmd struct{ guest }

func (c invitationResendCmd) Run(a *app) error {
	return c.run(a, func(tx *store.Tx, org store.Org, user store.UserID) (invite.Made, error) {
		return a.opened.invites.Resend(tx, org, user)
	}, "Sent again to %s. A running server sends the mail; this is its link:")
}

type invitationLinkCmd struct{ guest }

func (c invitationLinkCmd) Run(a *app) error {
	return c.run(a, func(tx *store.Tx, org store.Org, user store.UserID) (invite.Made, error) {
		return a.opened.invites.Copy(tx, org, user)
	}, "A link for %s, to hand over:")
}

type invitationReopenCmd struct{ guest }

func (c invitationReopenCmd) Run(a *app) error {
	return c.run(a, func(tx *store.Tx, org store.Org, user store.UserID) (invite.Made, error) {
		return a.opened.invites.Reopen(tx, org, user)
	}, "Opened again for %s. A running server sends the mail; this is its link:")
}

type invitationCancelCmd struct{ guest }

func (c invitationCancelCmd) Run(a *app) error {
	return c.run(a, func(tx *store.Tx, _ store.Org, user store.UserID) (invite.Made, error) {
		return invite.Made{}, a.opened.invites.Cancel(tx, user)
	}, "The invitation of %s is cancelled.")
}

type invitationCorrectCmd struct {
	guest
	Email string `required:"" help:"The right address."`
}

func (c invitationCorrectCmd) Run(a *app) error {
	return c.run(a, func(tx *store.Tx, org store.Org, user store.UserID) (invite.Made, error) {
		return a.opened.invites.Correct(tx, org, user, c.Email)
	}, "Sent to %s. A running server sends the mail; this is its link:")
}

type invitationSettingsCmd struct {
	Org         string  `required:"" help:"Organization (short name)."`
	ExpiryHours *int    `help:"How long a link works, in hours: 1 to 2160."`
	RemindHours *int    `help:"How long before the end a reminder goes out, in hours; 0: none does."`
	Welcome     *string `help:"A paragraph in each mail."`
	Renew       *string `help:"When a new link is asked for: admins (they send it) or at_once."`
}

func (c invitationSettingsCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	s, err := a.opened.invites.ChangeRules(a.ctx, actor, c.change())
	if err != nil {
		return err
	}
	remind := "none"
	if s.Remind {
		remind = counted(s.RemindHours, "hour", "hours") + " before the end"
	}
	return a.answer(s, "Links work    "+counted(s.ExpiryHours, "hour", "hours"), "Reminder      "+remind, "Welcome       "+s.Welcome, "New links     "+string(s.Renew))
}

func (c invitationSettingsCmd) change() invite.RulesChange {
	ch := invite.RulesChange{ExpiryHours: c.ExpiryHours, Welcome: c.Welcome, Renew: (*invite.Renew)(c.Renew)}
	if c.RemindHours != nil {
		on := *c.RemindHours > 0
		ch.Remind = &on
		if on {
			ch.RemindHours = c.RemindHours
		}
	}
	return ch
}

type invitationPreviewCmd struct {
	Org       string `required:"" help:"Organization (short name)."`
	Email     string `required:"" help:"Address that it would go to."`
	GivenName string `help:"First name."`
	Note      string `help:"A note that stands in the mail."`
	HTML      bool   `name:"html" help:"As HTML instead of text."`
}

func (c invitationPreviewCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	m, err := a.opened.invites.Draft(a.ctx, actor, invite.In{Email: c.Email, GivenName: c.GivenName, Note: c.Note})
	if err != nil {
		return err
	}
	view := invite.MailView{To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML}
	if c.HTML {
		return a.answer(view, m.HTML)
	}
	return a.answer(view, "To: "+m.To, "Subject: "+m.Subject, "", m.Text)
}
