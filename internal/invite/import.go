package invite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Action is what a line does.
type Action string

// The actions.
const (
	Create    Action = "create"
	Update    Action = "update"
	Unchanged Action = "unchanged"
	Failed    Action = "error"
)

// Problem is why a line was not imported.
type Problem struct {
	Column string `json:"column"`
	Value  string `json:"value"`
	Why    string `json:"why"`
	Remedy string `json:"remedy"`
}

// Outcome is what one line does, or did.
type Outcome struct {
	Line    int          `json:"line"`
	Action  Action       `json:"action"`
	Email   string       `json:"email"`
	Name    string       `json:"name"`
	UserID  store.UserID `json:"user_id,omitempty"`
	Changes []string     `json:"changes,omitempty"` // columns
	Problem *Problem     `json:"problem,omitempty"`
}

// Report is the result of an import, or of looking what it would do.
type Report struct {
	Created   int       `json:"created"`
	Updated   int       `json:"updated"`
	Unchanged int       `json:"unchanged"`
	Failed    int       `json:"failed"`
	Rows      []Outcome `json:"rows"`
}

// Good is the number of lines that change something.
func (r Report) Good() int { return r.Created + r.Updated }

// ImportOptions say how a sheet is imported.
type ImportOptions struct {
	Invite bool // new people are invited and get a mail; else they are active at once
	DryRun bool // change nothing
}

// workers evaluate lines side by side: on SQLite those that wait share a commit.
const workers = 8

// giveUpAfter stops an import when the server itself fails again and again.
const giveUpAfter = 10

// importer runs one sheet.
type importer struct {
	d     *Door
	actor access.Actor
	org   store.Org
	opt   ImportOptions
	sheet Sheet
	at    map[string]int // row by folded address and user name
	boss  []int          // the row of the manager, -1: none of this file
	out   []Outcome
	roles []store.OrgRole
	broke atomic.Int64
}

// Import brings in the people of a sheet. Each line is a transaction of its own,
// so a bad one harms nobody, and a second upload of the same file changes nothing.
// Lines whose manager is a line too come after it. An empty cell keeps what is
// there. Faults: Denied; everything about a line is in its Outcome.
func (d *Door) Import(ctx context.Context, actor access.Actor, sheet Sheet, opt ImportOptions) (Report, error) {
	org, err := d.opt.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return Report{}, err
	}
	var roles []store.OrgRole
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if roles, err = tx.OrgRoles(); err != nil {
			return err
		}
		for _, p := range []access.Permission{access.CreateUsers, access.EditUsers, access.EditGroups} {
			if err := tx.Require(p); err != nil {
				return err
			}
		}
		if opt.Invite {
			return tx.Require(access.InviteUsers)
		}
		return nil
	})
	if err != nil {
		return Report{}, err
	}
	im := &importer{d: d, actor: actor, org: org, opt: opt, sheet: sheet, roles: roles, out: make([]Outcome, len(sheet.Rows))}
	im.index()
	for _, wave := range im.waves() {
		if err := im.each(ctx, wave); err != nil {
			return Report{}, err
		}
	}
	return im.report(), nil
}

func (im *importer) report() Report {
	r := Report{Rows: im.out}
	for _, o := range im.out {
		switch o.Action {
		case Create:
			r.Created++
		case Update:
			r.Updated++
		case Unchanged:
			r.Unchanged++
		default:
			r.Failed++
		}
	}
	return r
}

// fail notes why a row cannot be imported.
func (im *importer) fail(i int, p Problem) {
	im.out[i].Action, im.out[i].Changes, im.out[i].Problem = Failed, nil, &p
}

// index fills in who is who, and refuses lines that cannot be used whatever the
// database says: malformed ones and second lines for a person.
func (im *importer) index() {
	im.at = make(map[string]int, len(im.sheet.Rows))
	im.boss = make([]int, len(im.sheet.Rows))
	for i, row := range im.sheet.Rows {
		o := &im.out[i]
		*o = Outcome{Line: row.Line, Email: row.Cells[colEmail], Name: nameOf(row.Cells)}
		if row.Problem != nil {
			im.fail(i, *row.Problem)
			continue
		}
		if p := row.clean(im.roles); p != nil {
			im.fail(i, *p)
			continue
		}
		o.Email = row.Cells[colEmail]
		keys := []string{store.Fold(row.Cells[colEmail])}
		if name := row.Cells[colUserName]; name != "" {
			keys = append(keys, store.Fold(name))
		}
		for _, key := range keys {
			if first, twice := im.at[key]; twice && first != i {
				im.fail(i, Problem{Column: colEmail, Value: o.Email, Why: fmt.Sprintf("Line %d is about the same person.", im.sheet.Rows[first].Line), Remedy: "Keep one of the two lines."})
				break
			}
			im.at[key] = i
		}
	}
	for i, row := range im.sheet.Rows {
		im.boss[i] = -1
		if j, ok := im.at[store.Fold(row.Cells[colManager])]; ok && row.Cells[colManager] != "" {
			im.boss[i] = j
		}
	}
}

func nameOf(cells map[string]string) string {
	if n := cells[colName]; n != "" {
		return n
	}
	first, last := cells[colGivenName], cells[colFamilyName]
	if first == "" || last == "" {
		return first + last
	}
	return first + " " + last
}

// waves puts the rows into an order in which managers come before their people.
// Rows whose managers lead in a circle are refused.
func (im *importer) waves() [][]int {
	const onPath = -1
	depth := make([]int, len(im.boss)) // 0: not known yet
	var waves [][]int
	for i := range im.boss {
		var path []int // from i upwards, as far as nobody was before
		top := i
		for top >= 0 && depth[top] == 0 {
			depth[top] = onPath
			path = append(path, top)
			top = im.boss[top]
		}
		above := 0
		switch {
		case top >= 0 && depth[top] == onPath && len(path) > 0:
			im.refuseCircle(top)
		case top >= 0:
			above = depth[top]
		}
		for _, j := range slices.Backward(path) {
			above++
			depth[j] = above
		}
	}
	for i, d := range depth {
		if im.out[i].Problem != nil {
			continue
		}
		for len(waves) < d {
			waves = append(waves, nil)
		}
		waves[d-1] = append(waves[d-1], i)
	}
	return waves
}

func (im *importer) refuseCircle(start int) {
	for j := start; ; {
		if im.out[j].Problem == nil {
			im.fail(j, Problem{Column: colManager, Value: im.sheet.Rows[j].Cells[colManager], Why: "The managers lead in a circle back to this person.", Remedy: "Leave the manager empty for whoever is at the top."})
		}
		if j = im.boss[j]; j == start {
			return
		}
	}
}

// each runs rows side by side and waits for all of them.
func (im *importer) each(ctx context.Context, rows []int) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(workers, len(rows)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(rows) {
					return
				}
				im.row(ctx, rows[n])
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// row evaluates one row and, unless this is a dry run, does it in the same transaction.
func (im *importer) row(ctx context.Context, i int) {
	if im.broke.Load() >= giveUpAfter {
		im.fail(i, serverProblem)
		return
	}
	var done Outcome
	run := func(tx *store.Tx) error {
		p, err := im.plan(tx, i)
		if err != nil {
			return err
		}
		done = p.outcome(im.out[i])
		if im.opt.DryRun || done.Action == Unchanged {
			return nil
		}
		done.UserID, err = im.do(tx, p)
		return err
	}
	var err error
	if im.opt.DryRun {
		err = im.d.opt.DB.Read(ctx, im.actor, run)
	} else {
		err = im.d.opt.DB.Write(ctx, im.actor, run)
	}
	if err == nil {
		im.out[i] = done
		return
	}
	switch fault.Of(err) {
	case fault.Internal:
		im.d.opt.Log.ErrorContext(ctx, "import a line", "org", im.actor.Org, "line", im.out[i].Line, "error", err)
		im.broke.Add(1)
		im.fail(i, serverProblem)
	case fault.Unavailable:
		im.broke.Add(1)
		im.fail(i, serverProblem)
	default:
		im.fail(i, im.problemOf(i, err))
	}
}

var serverProblem = Problem{Why: "The server could not store this line just now.", Remedy: "Upload the same file again: lines that are done stay as they are."}

// problemOf says a refusal of store in the words of the file.
func (im *importer) problemOf(i int, err error) Problem {
	if r, ok := errors.AsType[refused](err); ok {
		return Problem{Column: r.column, Value: clip(im.sheet.Rows[i].Cells[r.column], 80), Why: r.why, Remedy: r.remedy}
	}
	column := map[string]string{"userName": colUserName, "directory": colEmail, "status": colEmail, "members": colTeams}[fault.Field(err)]
	if column == "" {
		column = fault.Field(err)
	}
	return Problem{Column: column, Value: clip(im.sheet.Rows[i].Cells[column], 80), Why: fault.Public(err), Remedy: "Correct the line and upload the file again."}
}
