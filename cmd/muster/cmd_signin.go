package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

type signInCmd struct {
	List signInListCmd `cmd:"" help:"The sign-ins of an organization, newest first."`
	Show signInShowCmd `cmd:"" help:"One sign-in, explained."`
}

type signInListCmd struct {
	Org        string `required:"" help:"Organization (short name)."`
	Reference  string `placeholder:"REF" help:"The reference that the person was shown."`
	Person     string `placeholder:"WHO" help:"Address, user name, id, or the subject at the identity provider."`
	Connection string `placeholder:"ID" help:"The connection's id."`
	Result     string `placeholder:"RESULT" help:"in or refused."`
	Check      string `placeholder:"NAME" help:"The check that failed, such as conditions.audience."`
	Since      string `placeholder:"TIME" help:"Not older: 24h, 2026-11-30 or 2026-11-30T18:00:00Z."`
	Until      string `placeholder:"TIME" help:"Not newer; a day is included."`
	After      string `placeholder:"ID" help:"Older than this one."`
	Limit      int    `default:"50" help:"How many, 200 at most."`
}

func (c signInListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var page sso.SignInPage
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		page, err = a.opened.sso.SignIns(tx, sso.SignInFilter{Reference: c.Reference, Person: c.Person, Connection: c.Connection, Result: c.Result, Check: c.Check,
			Since: c.Since, Until: c.Until, Cursor: c.After, Limit: c.Limit})
		return err
	})
	if err != nil {
		return err
	}
	lines := []string{}
	for _, e := range page.SignIns {
		lines = append(lines, fmt.Sprintf("%s  %-8s %-12s %s", e.Time, e.Result, e.Reference, signInWho(e)))
		if e.Reason != "" {
			lines = append(lines, "    "+e.Reason)
		}
	}
	if page.Next != "" {
		lines = append(lines, "There may be more: --after "+page.Next)
	}
	return a.answer(page.SignIns, lines...)
}

func signInWho(e sso.SignInEntry) string {
	for _, s := range []string{e.Name, e.Email, e.Subject} {
		if s != "" {
			return s
		}
	}
	return "somebody unknown"
}

type signInShowCmd struct {
	Org       string `help:"Organization (short name); without it all are looked through."`
	Reference string `arg:"" help:"The reference that the person was shown, or the id in a list."`
}

func (c signInShowCmd) Run(a *app) error {
	var out struct {
		Org string `json:"org"`
		sso.SignInEntry
	}
	if c.Org != "" {
		actor, org, err := a.in(c.Org)
		if err != nil {
			return err
		}
		out.Org = org.Slug
		err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			out.SignInEntry, err = a.opened.sso.SignIn(tx, c.Reference)
			return err
		})
		if err != nil {
			return err
		}
		return a.answer(out, signInText(out.SignInEntry)...)
	}
	h, err := a.open()
	if err != nil {
		return err
	}
	var org store.OrgID
	if out.SignInEntry, org, err = h.sso.FindSignIn(a.ctx, access.Muster(""), c.Reference); err != nil {
		return err
	}
	if org != store.NoOrg {
		o, err := h.db.OrgByID(a.ctx, org)
		if err != nil {
			return err
		}
		out.Org = o.Slug
	}
	return a.answer(out, append([]string{"Organization   " + out.Org}, signInText(out.SignInEntry)...)...)
}

// signInText is a sign-in for people.
func signInText(e sso.SignInEntry) []string {
	lines := []string{fmt.Sprintf("%s  %s  %s", e.Time, e.Result, signInWho(e))}
	for _, line := range []struct{ label, text string }{{"Reference", e.Reference}, {"Over", e.Connection}, {"Method", e.Method}, {"E-mail", e.Email}, {"Subject", e.Subject}, {"From", e.IP}, {"Device", e.Device},
		{"Why", e.Reason}, {"Check", e.Check}, {"In this case", e.Hint}, {"What to do", e.Remedy}, {"Certificate", e.Certificate}, {"Key", e.KeyID}, {"Session", e.SessionID}} {
		if line.text != "" {
			lines = append(lines, fmt.Sprintf("  %-12s %s", line.label, line.text))
		}
	}
	for _, c := range e.Checks {
		word := "holds"
		if !c.OK {
			word = "FAILS"
		}
		lines = append(lines, fmt.Sprintf("  %s %s: expected %s, received %s", word, c.Name, c.Expected, c.Got))
	}
	return lines
}
