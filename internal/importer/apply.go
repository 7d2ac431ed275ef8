package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// batch is how many rows share a transaction: more cost less, fewer let others in. Each
// transaction of SQLite writes most pages of the indexes again.
const batch = 1500

// jobKind is the name of our job.
const jobKind = "import"

// jobInput is what the job knows of the import.
type jobInput struct {
	Run  ID     `json:"run"`
	Name string `json:"name"`
}

// words are what became of a person.
var words = map[string]string{"created": "Created", "updated": "Updated", "unchanged": "Unchanged", "deactivated": "Deactivated", "removed": "Deleted", "reverted": "Taken back", "reactivated": "Reactivated"}

// howMany says of how many people an import became what.
func howMany(did map[string]int) (list []web.Said) {
	for _, x := range []struct {
		n    int
		said web.Said
	}{
		{did["created"], web.Say("created: %d", did["created"])}, {did["updated"], web.Say("updated: %d", did["updated"])},
		{did["deactivated"], web.Say("deactivated: %d", did["deactivated"])}, {did["unchanged"], web.Say("unchanged: %d", did["unchanged"])},
	} {
		if x.n > 0 {
			list = append(list, x.said)
		}
	}
	return list
}

// kind is our job.
func (d *Door) kind() jobs.Kind {
	return jobs.Kind{
		Name: jobKind, Need: access.CreateUsers, Size: batch, One: d.applyOne, Many: d.apply, Ahead: d.ahead, Early: d.early, UndoOne: d.undo,
		Title: func(to web.Reader, j jobs.Job) string {
			var in jobInput
			if json.Unmarshal(j.Input, &in) != nil {
				return jobKind
			}
			return to.T("Import %s", in.Name)
		},
		Words: words,
		Link:  func(target string) string { return "/users/" + target },
	}
}

// Start begins the job that does the good rows of an import. gone is the share of the
// people, in percent, that the caller confirms to be deactivated. A second time gives
// the same job. Faults: NotFound, Denied, Conflict (not read yet), Invalid on "rows"
// (none is good), "gone" (more would be deactivated).
func (d *Door) Start(ctx context.Context, actor access.Actor, id ID, gone int) (job jobs.Job, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		run, err := findRun(tx, id)
		if err != nil {
			return err
		}
		if run.State == Started {
			job, err = d.opt.Jobs.Get(tx, run.Job)
			return err
		}
		job, err = d.start(tx, run, gone)
		return err
	})
	return job, err
}

func (d *Door) start(tx *store.Tx, run Run, gone int) (job jobs.Job, err error) {
	if err := mayImport(tx, run.Settings); err != nil {
		return job, err
	}
	switch share := run.gone(); {
	case run.State != Ready:
		return job, fault.Conflict.Say("The file has not been read to its end yet. Look at its lines first.")
	case run.Good() == 0:
		return job, fault.Invalid.On("rows", "No line of this file changes anything. There is nothing to import.")
	case share > run.Settings.MaxGone && share > gone:
		return job, fault.Invalid.On("gone", "This would deactivate %d of %s, which is %d %%; %d %% are allowed without more words. Is it the whole file? If so, confirm with the number of people.",
			run.Counts[Deactivate], run.people(), share, run.Settings.MaxGone)
	}
	rows, err := goodRows(tx, run.ID)
	if err != nil {
		return job, err
	}
	job, err = d.opt.Jobs.Start(tx, jobs.In{Kind: jobKind, Input: jobInput{run.ID, run.Name}, Once: "import " + string(run.ID), Items: func(yield func(jobs.Item) bool) {
		for _, r := range rows {
			if !yield(jobs.Item{Target: string(r.User), Name: r.Name, Data: json.RawMessage(strconv.Itoa(r.N))}) {
				return
			}
		}
	}})
	if err != nil {
		return job, err
	}
	if ours, err := startRun(tx, run.ID, job.ID); err != nil || !ours {
		if err == nil {
			err = fault.Conflict.Say("This import has just been started by somebody else. Load the page again.")
		}
		return job, err
	}
	return job, nil
}

// apply does a batch of rows, or nothing of it.
func (d *Door) apply(tx *store.Tx, j jobs.Job, items []jobs.Item) ([]jobs.Result, error) {
	dr, err := d.drawn(tx, j, items)
	if fault.Is(err, fault.NotFound) {
		return slices.Repeat([]jobs.Result{{State: jobs.FailedItem, Why: jobs.Because("The file is not here any more.")}}, len(items)), nil
	}
	if err != nil {
		return nil, err
	}
	a := &applying{d: d, tx: tx, draft: dr, entered: j.Early != nil}
	return a.all()
}

// applyOne is apply for a row that stands in a batch with one that cannot be done.
func (d *Door) applyOne(tx *store.Tx, j jobs.Job, item jobs.Item) (jobs.Result, error) {
	list, err := d.apply(tx, j, []jobs.Item{item})
	if err != nil {
		return jobs.Result{}, err
	}
	return list[0], nil
}

// applying is a batch on its way.
type applying struct {
	*draft
	d       *Door
	tx      *store.Tx
	entered bool // the new people are in already
}

// all does rows, or nothing of them.
func (a *applying) all() ([]jobs.Result, error) {
	for i, r := range a.rows {
		var err error
		switch p := a.plans[i]; {
		case r.Action == Deactivate:
			a.results[i], err = a.deactivate(r)
		case p.user != nil:
			a.results[i], err = a.update(r, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return a.results, a.create()
}

func quoted(s string) string { return fmt.Sprintf("%.80q", s) }

// create makes the new people of a batch together.
func (a *applying) create() error {
	if len(a.fresh) == 0 {
		return nil
	}
	made, err := a.enter()
	if err != nil {
		return err
	}
	joined := map[store.GroupID][]store.UserID{}
	for n, i := range a.fresh {
		for _, g := range a.plans[i].teams {
			joined[g.ID] = append(joined[g.ID], made[n].ID)
		}
		a.results[i] = jobs.Result{Did: "created", Target: string(made[n].ID), Name: made[n].DisplayName, Undo: undoing{Made: made[n].Version}}
	}
	if err := a.invite(made); err != nil {
		return err
	}
	return a.join(joined)
}

func (a *applying) enter() ([]store.User, error) {
	if !a.entered {
		if err := a.people.Enter(a.tx); err != nil {
			return nil, err
		}
	}
	return a.people.Settle()
}

func (a *applying) invite(made []store.User) error {
	if a.run.Settings.New == NewActive {
		return nil
	}
	org, err := a.d.opt.DB.OrgByID(a.tx.Context(), a.tx.Org())
	for _, u := range made {
		if err == nil {
			err = a.d.opt.Invite(a.tx, org, u, a.run.Settings.New == NewInvite)
		}
	}
	return err
}

func (a *applying) join(joined map[store.GroupID][]store.UserID) error {
	ids := make([]store.GroupID, 0, len(joined))
	for id := range joined {
		ids = append(ids, id)
	}
	slices.Sort(ids) // everybody locks in one order
	for _, id := range ids {
		g, err := a.tx.Group(id)
		if err != nil {
			return err
		}
		if _, err := a.tx.UpdateGroup(g, store.GroupChange{Add: joined[id]}); err != nil {
			return err
		}
	}
	return nil
}

// update changes a person who is there.
func (a *applying) update(r *Row, p plan) (jobs.Result, error) {
	undo := undoing{Was: map[string]string{}, Is: map[string]string{}}
	for _, c := range p.changes {
		undo.Was[c.Column], undo.Is[c.Column] = c.From, c.To
	}
	if len(p.inDocument()) > 0 {
		old, err := p.user.Attributes()
		if err != nil {
			return jobs.Result{}, err
		}
		was := person{doc: old, profile: p.user.Profile()}
		is := person{doc: p.doc}
		next, err := a.tx.UpdateUser(*p.user, store.UserChange{Doc: p.doc, Why: "imported from " + a.run.Name})
		if err != nil {
			return jobs.Result{}, err
		}
		is.profile = next.Profile()
		for _, f := range a.fields { // as the document has them, which for a manager is an id
			if _, changed := undo.Was[f.Name]; changed && f.Name != fieldRole && f.Name != fieldTeams {
				undo.Was[f.Name], undo.Is[f.Name] = was.get(*f), is.get(*f)
			}
		}
	}
	if p.role != "" {
		if err := a.tx.SetRole(p.user.ID, p.role); err != nil {
			return jobs.Result{}, err
		}
	}
	joined := map[store.GroupID][]store.UserID{}
	for _, g := range p.teams {
		joined[g.ID] = []store.UserID{p.user.ID}
		undo.Teams = append(undo.Teams, g.ID)
	}
	if err := a.join(joined); err != nil {
		return jobs.Result{}, err
	}
	return jobs.Result{Did: "updated", Name: r.Name, Why: jobs.Because("%s", strings.Join(r.columns(), ", ")), Undo: undo}, nil
}

// deactivate ends the access of somebody who is not in the file.
func (a *applying) deactivate(r *Row) (jobs.Result, error) {
	u, err := a.tx.User(r.User)
	switch {
	case fault.Is(err, fault.NotFound):
		return jobs.Skip(jobs.Because("This person was deleted after the preview.")), nil
	case err != nil:
		return jobs.Result{}, err
	case u.Status != store.Active || u.DirectoryID != "" || u.BreakGlass:
		return jobs.Skip(jobs.Because("This person was changed after the preview.")), nil
	}
	next, err := a.tx.Deactivate(u.ID, "not in the file "+a.run.Name)
	if err != nil {
		return jobs.Result{}, err
	}
	return jobs.Result{Did: "deactivated", Undo: undoing{Ended: next.Version}}, nil
}
