package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
)

type userImportCmd struct {
	Org       string `required:"" help:"Organization (short name)."`
	File      string `arg:"" help:"CSV file; its first line names the columns (email, given_name, family_name, role ...)."`
	DryRun    bool   `help:"Say what would happen, and change nothing."`
	Invite    bool   `help:"Send new people an invitation; else they are active at once." xor:"new"`
	Save      bool   `help:"Keep new people as invited without sending anything." xor:"new"`
	Key       string `help:"By what a line finds its person: email, user_name or employee_number."`
	Missing   string `help:"People who are not in the file: keep, list or deactivate." default:"keep"`
	MaxGone   int    `help:"Percent of the people that may be deactivated." default:"10"`
	Encoding  string `help:"UTF-8, UTF-16 or Windows-1252; recognized when left out."`
	Delimiter string `help:"comma, semicolon, tab or pipe; recognized when left out."`
}

// imported is what the command answers.
type imported struct {
	Created     int                `json:"created"`
	Updated     int                `json:"updated"`
	Unchanged   int                `json:"unchanged"`
	Failed      int                `json:"failed"`
	Deactivated int                `json:"deactivated"`
	Notices     []string           `json:"notices"`
	JobID       jobs.ID            `json:"job_id,omitempty"`
	Rows        []importer.RowView `json:"rows"`
}

// Run imports every good line. It fails when a line failed, after the whole report.
func (c userImportCmd) Run(a *app) error {
	file, err := os.Open(c.File)
	if err != nil {
		return fault.Invalid.Wrap(err, "The file %s cannot be read.", c.File)
	}
	defer file.Close()
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	door := a.opened.imports
	run, err := door.Upload(a.ctx, actor, filepath.Base(c.File), file)
	if err != nil {
		return err
	}
	out := imported{Notices: run.Noticed(), Rows: []importer.RowView{}}
	err = c.do(a, actor, run, &out)
	if c.DryRun || out.JobID == "" {
		if forgot := door.Forget(a.ctx, actor, run.ID); err == nil {
			err = forgot
		}
	}
	if err != nil {
		return err
	}
	did := "%d created, %d updated, %d unchanged, %d failed."
	if c.DryRun {
		did = "Nothing was changed. Without --dry-run: " + did
	}
	if err := a.answer(out, append(out.lines(), fmt.Sprintf(did, out.Created, out.Updated, out.Unchanged, out.Failed))...); err != nil {
		return err
	}
	if out.Failed > 0 {
		return fmt.Errorf("%d of %d lines could not be imported; correct them and import the file again, what is done stays as it is", out.Failed, len(out.Rows))
	}
	return nil
}

func (c userImportCmd) do(a *app, actor access.Actor, run importer.Run, out *imported) error {
	door := a.opened.imports
	var err error
	if c.Encoding != "" || c.Delimiter != "" {
		if run, err = door.Reread(a.ctx, actor, run.ID, importer.Form{Encoding: c.Encoding, Delimiter: c.Delimiter}); err != nil {
			return err
		}
	}
	set := run.Settings
	set.Key, set.Missing, set.MaxGone, set.New = c.Key, c.Missing, c.MaxGone, importer.NewActive
	if c.Invite {
		set.New = importer.NewInvite
	}
	if c.Save {
		set.New = importer.NewSave
	}
	if run, err = door.Read(a.ctx, actor, run.ID, set); err != nil {
		return err
	}
	refused := map[store.UserID]string{}
	if !c.DryRun && run.Good() > 0 {
		if refused, err = c.start(a, actor, run, out); err != nil {
			return err
		}
	}
	return out.read(a, actor, run, refused)
}

// start imports the good lines and waits for it.
func (c userImportCmd) start(a *app, actor access.Actor, run importer.Run, out *imported) (map[store.UserID]string, error) {
	job, err := a.opened.imports.Start(a.ctx, actor, run.ID, 0)
	if err != nil {
		return nil, err
	}
	out.JobID = job.ID
	if err := a.finish(actor, job.ID); err != nil {
		return nil, err
	}
	return a.opened.imports.RefusedByJob(a.ctx, actor, run.ID)
}

// finish waits for a job, whoever does it: a server beside us may be faster.
func (a *app) finish(actor access.Actor, id jobs.ID) error {
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		if err := a.opened.jobs.Work(a.ctx); err != nil {
			return err
		}
		var job jobs.Job
		err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
			job, err = a.opened.jobs.Get(tx, id)
			return err
		})
		if err != nil || job.EndedAt != 0 {
			return err
		}
		select {
		case <-look.C:
		case <-a.ctx.Done():
			return a.ctx.Err()
		}
	}
}

// read puts every line into the answer.
func (out *imported) read(a *app, actor access.Actor, run importer.Run, refused map[store.UserID]string) error {
	for q := (importer.RowQuery{Limit: 1000}); ; {
		rows, err := a.opened.imports.Rows(a.ctx, actor, run.ID, q)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			v := importer.ViewOf(row)
			if why := refused[row.User]; why != "" && row.User != "" {
				v.Action, v.Problem = importer.Failed, &importer.ProblemView{Value: row.Email, Why: why, Remedy: "Correct the line and import the file again."}
			}
			switch v.Action {
			case importer.Create:
				out.Created++
			case importer.Update:
				out.Updated++
			case importer.Unchanged:
				out.Unchanged++
			case importer.Deactivate:
				out.Deactivated++
			case importer.Missing:
			default:
				out.Failed++
			}
			out.Rows, q.After = append(out.Rows, v), row.N
		}
	}
}

func (out *imported) lines() []string {
	lines := append([]string{}, out.Notices...)
	for _, row := range out.Rows {
		line := fmt.Sprintf("line %-5d %-10s %s", row.Line, row.Action, row.Email)
		if p := row.Problem; p != nil {
			line += fmt.Sprintf(": %s %q: %s %s", p.Column, p.Value, p.Why, p.Remedy)
		}
		lines = append(lines, line)
	}
	return lines
}
