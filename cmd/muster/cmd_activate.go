package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/store"
)

type userActivateCmd struct {
	Org          string `required:"" help:"Organization (short name)."`
	User         string `arg:"" name:"name-or-id" help:"User name, e-mail address or id of somebody who is invited."`
	PasswordFile string `help:"File with the first password; without it one is made, and printed this once."`
}

// activated is what the commands about first passwords answer.
type activated struct {
	ID       store.UserID `json:"id"`
	Status   store.Status `json:"status"`
	Email    string       `json:"email"`
	Password string       `json:"first_password,omitempty"`
}

func (c userActivateCmd) Run(a *app) error {
	actor, org, err := a.in(c.Org)
	if err != nil {
		return err
	}
	return a.activate(c.PasswordFile, func(first string) (made invite.Made, err error) {
		var user store.UserID
		err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			user, err = target{Org: c.Org, User: c.User}.find(tx, org)
			return err
		})
		if err != nil {
			return made, err
		}
		return a.opened.invites.Start(a.ctx, actor, user, first)
	})
}

// activate does so with the password in a file, or with one that is made up and printed.
func (a *app) activate(file string, do func(first string) (invite.Made, error)) error {
	first, err := readPassword(file)
	if err != nil {
		return err
	}
	made, err := do(first)
	if err != nil {
		return err
	}
	out := activated{ID: made.UserID, Status: store.Active, Email: made.Email}
	lines := []string{fmt.Sprintf("%s can sign in now. The first password must be changed at the first sign-in, and ends after %d days.", made.Email, int(password.TemporaryFor.Hours()/24))}
	if first == "" {
		out.Password = made.Password
		lines = append(lines, "  "+made.Password)
	}
	return a.answer(out, lines...)
}

// readPassword is the first line of a file; no file, no password.
func readPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fault.Invalid.Wrap(err, "The file %s cannot be read.", file)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fault.Invalid.On("password-file", "The first line of %s is empty; the password stands there.", file)
	}
	return line, nil
}

// start makes an account at once instead of inviting.
func (c userInviteCmd) start(a *app, actor access.Actor, in invite.In) error {
	if c.Save || c.Note != "" {
		return fault.Invalid.On("activate", "With --activate nothing is sent, so --save and --note have no meaning.")
	}
	return a.activate(c.PasswordFile, func(first string) (invite.Made, error) { return a.opened.invites.Activate(a.ctx, actor, in, first) })
}
