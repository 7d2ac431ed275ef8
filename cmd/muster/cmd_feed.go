package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
)

type feedCmd struct {
	List   feedListCmd   `cmd:"" help:"List the places from which employee files are fetched."`
	Create feedCreateCmd `cmd:"" help:"Fetch employee files on a schedule."`
	Edit   feedEditCmd   `cmd:"" help:"Change a feed, pause or resume it."`
	Pin    feedPinCmd    `cmd:"" help:"Confirm the key that the host of a feed shows."`
	Run    feedRunCmd    `cmd:"" help:"Look at a feed now."`
	Delete feedDeleteCmd `cmd:"" help:"Delete a feed; what it brought stays."`
}

type feedListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c feedListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	list, err := a.opened.imports.Feeds(a.ctx, actor)
	if err != nil {
		return err
	}
	views, lines := []importer.FeedView{}, []string{}
	for _, f := range list {
		views, lines = append(views, a.opened.imports.ViewOfFeed(f)), append(lines, feedLine(f))
	}
	return a.answer(views, lines...)
}

func feedLine(f importer.Feed) string {
	state := "active"
	switch {
	case f.Paused:
		state = "paused"
	case !f.Active:
		state = "waiting for the key"
	case f.Bad:
		state = "failing"
	}
	return fmt.Sprintf("%s  %-6s  %-20s  %s  %s", f.ID, f.Kind, state, f.Name, f.Last)
}

// answerFeed prints a feed, or why there is none.
func (a *app) answerFeed(f importer.Feed, err error) error {
	if err != nil {
		return err
	}
	v := a.opened.imports.ViewOfFeed(f)
	lines := []string{feedLine(f)}
	if v.Shown != v.Pinned {
		lines = append(lines, "The host shows the key "+v.Shown, "Compare it with the one that its administrator tells you, then: muster feed pin ... --fingerprint '"+v.Shown+"'")
	}
	return a.answer(v, lines...)
}

// feedFields are what can be set of a feed; what is left out stays.
type feedFields struct {
	Path         *string  `help:"Folder: below the organization's own on this server, or on the SFTP host."`
	Pattern      *string  `help:"Names of the files, such as *.csv."`
	Host         *string  `help:"SFTP host and port."`
	User         *string  `help:"SFTP user."`
	PasswordFile string   `help:"File with the SFTP password." type:"path"`
	KeyFile      string   `help:"File with the SFTP private key, without a passphrase." type:"path"`
	Every        *int     `help:"Minutes between two looks."`
	Done         *bool    `help:"Put .done behind the name of a file that was taken." negatable:""`
	Key          *string  `help:"By what a line finds its person: email, user_name or employee_number."`
	New          *string  `help:"New people are: invite, save or active."`
	Missing      *string  `help:"People who are not in the file: keep, list or deactivate."`
	MaxGone      *int     `help:"Percent of the people that may be deactivated without an admin."`
	MaxChanged   *int     `help:"Percent of the people that may be new or changed without an admin."`
	MailTo       []string `help:"Address of somebody who gets the report, instead of all admins; several times for more, all for all admins."`
}

func put[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

// apply puts what was given into in.
func (c feedFields) apply(a *app, actor access.Actor, in *importer.NewFeed) (err error) {
	s := &in.Settings
	put(&s.Path, c.Path)
	put(&s.Pattern, c.Pattern)
	put(&s.Host, c.Host)
	put(&s.User, c.User)
	put(&s.Every, c.Every)
	put(&s.Rename, c.Done)
	put(&s.Key, c.Key)
	put(&s.New, c.New)
	put(&s.Missing, c.Missing)
	put(&s.MaxGone, c.MaxGone)
	put(&s.MaxChanged, c.MaxChanged)
	if in.Password, err = fromFile(c.PasswordFile); err != nil {
		return err
	}
	if in.Key, err = fromFile(c.KeyFile); err != nil {
		return err
	}
	in.Password = strings.TrimRight(in.Password, "\r\n")
	if len(c.MailTo) == 0 {
		return nil
	}
	s.MailTo = nil
	if len(c.MailTo) == 1 && c.MailTo[0] == "all" {
		return nil
	}
	s.MailTo, err = a.opened.imports.PeopleAt(a.ctx, actor, c.MailTo)
	return err
}

func fromFile(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return "", fault.Invalid.Wrap(err, "The file %s cannot be read.", name)
	}
	return string(raw), nil
}

type feedCreateCmd struct {
	Org  string `required:"" help:"Organization (short name)."`
	Name string `required:"" help:"What it is called."`
	Kind string `help:"folder or sftp." default:"folder"`
	feedFields
}

func (c feedCreateCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	in := importer.NewFeed{Kind: c.Kind, Name: c.Name, Settings: importer.FeedSettings{New: importer.NewInvite}}
	if err := c.apply(a, actor, &in); err != nil {
		return err
	}
	return a.answerFeed(a.opened.imports.CreateFeed(a.ctx, actor, in))
}

// oneFeed names the feed that a command is about.
type oneFeed struct {
	Org  string `required:"" help:"Organization (short name)."`
	Feed string `arg:"" name:"name-or-id" help:"Name of the feed, or id."`
}

func (c oneFeed) find(a *app) (access.Actor, importer.Feed, error) {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return actor, importer.Feed{}, err
	}
	list, err := a.opened.imports.Feeds(a.ctx, actor)
	if err != nil {
		return actor, importer.Feed{}, err
	}
	var named []importer.Feed
	for _, f := range list {
		if string(f.ID) == c.Feed {
			return actor, f, nil
		}
		if store.Fold(f.Name) == store.Fold(c.Feed) {
			named = append(named, f)
		}
	}
	switch len(named) {
	case 0:
		return actor, importer.Feed{}, fault.NotFound.Say("There is no feed %q. `muster feed list --org %s` shows which there are.", c.Feed, c.Org)
	case 1:
		return actor, named[0], nil
	}
	return actor, importer.Feed{}, fault.Conflict.Say("%d feeds are called %q. Name one by its id: `muster feed list --org %s` shows it.", len(named), c.Feed, c.Org)
}

type feedEditCmd struct {
	oneFeed
	Name   string `help:"Another name."`
	Pause  bool   `help:"Fetch nothing until it is resumed." xor:"pause"`
	Resume bool   `help:"Go on." xor:"pause"`
	feedFields
}

func (c feedEditCmd) Run(a *app) error {
	actor, f, err := c.find(a)
	if err != nil {
		return err
	}
	door := a.opened.imports
	in := importer.NewFeed{Kind: f.Kind, Name: f.Name, Settings: f.Settings}
	if c.Name != "" {
		in.Name = c.Name
	}
	if err := c.apply(a, actor, &in); err != nil {
		return err
	}
	if f, err = door.UpdateFeed(a.ctx, actor, f.ID, in); err != nil {
		return err
	}
	if c.Pause || c.Resume {
		if err := door.Pause(a.ctx, actor, f.ID, c.Pause); err != nil {
			return err
		}
	}
	return a.answerFeed(door.Feed(a.ctx, actor, f.ID))
}

type feedPinCmd struct {
	oneFeed
	Fingerprint string `required:"" help:"Of the key, as the host's administrator tells it: ssh-ed25519 SHA256:..."`
}

func (c feedPinCmd) Run(a *app) error {
	actor, f, err := c.find(a)
	if err != nil {
		return err
	}
	if f, err = a.opened.imports.AskKey(a.ctx, actor, f.ID); err != nil {
		return err
	}
	if err := a.opened.imports.Pin(a.ctx, actor, f.ID, c.Fingerprint); err != nil {
		return err
	}
	return a.answerFeed(a.opened.imports.Feed(a.ctx, actor, f.ID))
}

type feedRunCmd struct {
	oneFeed
}

// Run looks at the feed, and works off what it begins.
func (c feedRunCmd) Run(a *app) error {
	actor, f, err := c.find(a)
	if err != nil {
		return err
	}
	if f, err = a.opened.imports.LookNow(a.ctx, actor, f.ID); err != nil {
		return err
	}
	if err := a.opened.jobs.Work(a.ctx); err != nil {
		return err
	}
	if err := a.opened.imports.Tell(a.ctx); err != nil {
		return err
	}
	if err := a.answerFeed(f, nil); err != nil {
		return err
	}
	if f.Bad {
		return fmt.Errorf("%s", f.Last)
	}
	return nil
}

type feedDeleteCmd struct {
	oneFeed
}

func (c feedDeleteCmd) Run(a *app) error {
	actor, f, err := c.find(a)
	if err != nil {
		return err
	}
	if err := a.opened.imports.DeleteFeed(a.ctx, actor, f.ID); err != nil {
		return err
	}
	return a.answer(map[string]any{"deleted": f.ID}, "The feed "+f.Name+" is gone. What it brought stays.")
}
