package main

import (
	"io"
	"os"

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
	out := a.out
	var file *os.File
	if c.File != "" {
		if file, err = os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
		defer file.Close()
		out = file
	}
	filter := console.ActivityFilter{Person: c.Person, By: c.By, Action: c.Action, Since: c.Since, Until: c.Until}
	if err := console.ExportActivity(a.ctx, a.opened.db, actor, filter, c.Format, func() io.Writer { return out }); err != nil {
		return err
	}
	if file == nil {
		return nil
	}
	return file.Close()
}
