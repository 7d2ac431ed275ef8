package main

import (
	"io"

	"github.com/muster-id/muster/internal/console"
)

type activityCmd struct {
	Export activityExportCmd `cmd:"" help:"Write the activity log to a file, newest first."`
}

type activityExportCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Format string `enum:"jsonl,csv" default:"jsonl" help:"jsonl (a JSON object on each line) or csv."`
	Person string `help:"Only what is about this person: id, user name or address."`
	By     string `help:"Only what this person, or the API key with this id, did."`
	Action string `help:"Only this action, such as user.deactivate."`
	Since  string `help:"Only since then: a day (2026-11-30), a time, or how long ago (24h)."`
	Until  string `help:"Only until then; a day is included."`
	File   string `arg:"" optional:"" help:"File to write, which must not be there yet. Standard output when left out."`
}

func (c activityExportCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	filter := console.ActivityFilter{Person: c.Person, By: c.By, Action: c.Action, Since: c.Since, Until: c.Until}
	return a.writeFile(c.File, func(w io.Writer) error {
		return console.ExportActivity(a.ctx, a.opened.db, actor, filter, c.Format, func() io.Writer { return w })
	})
}
