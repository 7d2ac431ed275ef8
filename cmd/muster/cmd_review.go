package main

import (
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/review"
	"github.com/muster-id/muster/store"
)

type reviewCmd struct {
	List   reviewListCmd   `cmd:"" help:"List reviews, the newest first."`
	Show   reviewShowCmd   `cmd:"" help:"Show one: its state, and how many rows are decided how."`
	Start  reviewStartCmd  `cmd:"" help:"Start one, and wait until what people have is written down."`
	Cancel reviewCancelCmd `cmd:"" help:"Cancel one that is still prepared."`
	Finish reviewFinishCmd `cmd:"" help:"Finish one; what is open stays as not decided."`

	StopRepeating reviewStopRepeatingCmd `cmd:"" help:"Have one not start again."`
}

type reviewListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c reviewListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	out, lines := []review.View{}, []string{}
	const page = 200
	for before, n := review.ID(""), page; n == page; {
		err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
			list, err := a.opened.reviews.List(tx, before, page)
			n = len(list)
			for _, r := range list {
				before = r.ID
				out = append(out, review.ViewOf(r))
				lines = append(lines, reviewLine(review.ViewOf(r)))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return a.answer(out, lines...)
}

func reviewLine(v review.View) string {
	line := fmt.Sprintf("%s  %-9s  %-30s", v.ID, v.State, v.Name)
	switch {
	case v.State == review.Preparing:
		line += fmt.Sprintf("  %d of %s written down", v.Prepared, counted(v.People, "person", "people"))
	case v.Why != "":
		line += "  " + v.Why
	case v.State != review.Cancelled:
		line += fmt.Sprintf("  %s, due %s", counted(v.Total, "row", "rows"), v.DueAt)
	}
	return line
}

// oneReview names the review that a command is about.
type oneReview struct {
	Org string `required:"" help:"Organization (short name)."`
	ID  string `arg:"" help:"Id of the review."`
}

// do changes the review, and prints what it is then.
func (c oneReview) do(a *app, change func(*store.Tx, review.ID) error) error {
	actor, id, err := c.find(a)
	if err != nil {
		return err
	}
	if err := a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error { return change(tx, id) }); err != nil {
		return err
	}
	return c.print(a, actor, id)
}

func (c oneReview) find(a *app) (access.Actor, review.ID, error) {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return actor, "", err
	}
	id, err := store.ParseID[review.Review](c.ID)
	if err != nil {
		err = fault.NotFound.Wrap(err, "There is no review %q. See: muster review list --org %s", c.ID, c.Org)
	}
	return actor, id, err
}

func (c oneReview) print(a *app, actor access.Actor, id review.ID) error {
	var v review.View
	if err := a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		v, err = a.opened.reviews.View(tx, id)
		return err
	}); err != nil {
		return err
	}
	lines := []string{reviewLine(v)}
	for _, decision := range []string{"open", "confirmed", "removed", "source", "gone"} {
		lines = append(lines, fmt.Sprintf("  %-9s %d", decision, v.Rows[decision]))
	}
	return a.answer(v, lines...)
}

type reviewShowCmd struct{ oneReview }

func (c reviewShowCmd) Run(a *app) error {
	actor, id, err := c.find(a)
	if err != nil {
		return err
	}
	return c.print(a, actor, id)
}

type reviewCancelCmd struct{ oneReview }

func (c reviewCancelCmd) Run(a *app) error {
	return c.do(a, func(tx *store.Tx, id review.ID) error {
		_, err := a.opened.reviews.Cancel(tx, id)
		return err
	})
}

type reviewFinishCmd struct{ oneReview }

func (c reviewFinishCmd) Run(a *app) error {
	return c.do(a, func(tx *store.Tx, id review.ID) error {
		_, err := a.opened.reviews.Finish(tx, id)
		return err
	})
}

type reviewStopRepeatingCmd struct{ oneReview }

func (c reviewStopRepeatingCmd) Run(a *app) error {
	return c.do(a, func(tx *store.Tx, id review.ID) error {
		_, err := a.opened.reviews.StopRepeating(tx, id)
		return err
	})
}

type reviewStartCmd struct {
	Org      string   `required:"" help:"Organization (short name)."`
	Name     string   `required:"" help:"What it is called, such as \"Spring review\"."`
	Scope    string   `default:"all" enum:"all,admins,role,team,source" help:"Whose access: all, admins, role, team or source."`
	Of       string   `help:"The role, the team (name or id) or the source." placeholder:"ROLE-TEAM-OR-SOURCE"`
	Reviewer []string `required:"" help:"An admin who reviews: user name, e-mail address or id; may be given more than once." placeholder:"NAME-OR-ID"`
	Managers bool     `help:"Each person's manager decides, too."`
	Due      string   `help:"Last day in UTC, such as 2026-01-31; else in two weeks." placeholder:"DAY"`
	Repeat   int      `help:"Start it again every 3, 6 or 12 months." placeholder:"MONTHS"`
}

func (c reviewStartCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	day := a.opened.db.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 14)
	if c.Due != "" {
		if day, err = time.Parse(time.DateOnly, c.Due); err != nil {
			return fault.Invalid.On("due", "%.20q is not a day. Write it like 2026-01-31.", c.Due)
		}
	}
	in := review.In{Name: c.Name, Scope: c.Scope, Ref: c.Of, Managers: c.Managers, Due: store.TimeOf(day.Add(24*time.Hour - time.Second)), Months: c.Repeat}
	var made review.Review
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		if in.Reviewers, err = tx.NamedUsers("reviewers", c.Reviewer); err != nil {
			return err
		}
		if c.Scope == review.InTeam {
			team, err := oneTeam{Org: c.Org, Team: c.Of}.find(tx)
			if err != nil {
				return err
			}
			in.Ref = string(team)
		}
		made, err = a.opened.reviews.Start(tx, in)
		return err
	})
	if err != nil {
		return err
	}
	if err := a.opened.reviews.Prepare(a.ctx); err != nil { // as a server would; of another review perhaps
		a.log.ErrorContext(a.ctx, "prepare reviews", "error", err)
	}
	return reviewShowCmd{oneReview{Org: c.Org, ID: string(made.ID)}}.Run(a)
}
