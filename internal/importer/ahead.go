package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// draft is what a batch of rows does by what the database said when it was drawn. One that
// was drawn ahead, while the rows before were written, is looked at again before it is done,
// which for new people may begin early, too.
type draft struct {
	run     Run
	fields  []*Field
	rows    []*Row
	world   *world
	plans   []plan
	results []jobs.Result    // of rows that are not done
	fresh   []int            // rows that make somebody
	people  *store.Newcomers // whom they make

	bosses   map[int]store.UserID   // of rows
	coming   map[store.UserID]bool  // whom rows before make
	managers map[store.UserID]bool  // of other batches: whether they are taken to be there
	versions map[store.UserID]int64 // of those whom look found
}

// ahead draws the batch that comes next.
func (d *Door) ahead(tx *store.Tx, j jobs.Job, items []jobs.Item) (any, error) {
	return d.draw(tx, j, items, true)
}

// early puts the people of a batch in that makes new ones alone.
func (d *Door) early(tx *store.Tx, j jobs.Job, _ []jobs.Item) (any, error) {
	dr := j.Ahead.(*draft)
	if len(dr.fresh) < len(dr.rows) {
		return nil, nil
	}
	if same, err := dr.holds(tx); err != nil || !same {
		return nil, err
	}
	return dr.people, dr.people.Enter(tx)
}

// drawn is the draft of a batch: the one that was drawn ahead, if all is as it was.
func (d *Door) drawn(tx *store.Tx, j jobs.Job, items []jobs.Item) (*draft, error) {
	dr, _ := j.Ahead.(*draft)
	if dr == nil {
		return d.draw(tx, j, items, false)
	}
	same := j.Early != nil // it was looked at before
	var err error
	if !same {
		same, err = dr.holds(tx)
	}
	if err == nil && same {
		same, err = dr.managed(tx)
	}
	switch {
	case err != nil:
		return nil, err
	case same:
		return dr, nil
	case j.Early != nil:
		return nil, errors.New("a manager did not come, or left")
	}
	return d.draw(tx, j, items, false)
}

// draw reads rows and compares them with the database; ahead of their time, managers
// from the file may still come. It changes nothing. Faults: NotFound (of the file).
func (d *Door) draw(tx *store.Tx, j jobs.Job, items []jobs.Item, ahead bool) (*draft, error) {
	dr, err := readDraft(tx, j, items)
	if err != nil {
		return nil, err
	}
	ask := byAll
	if ahead {
		ask = notAsked // holds will
	}
	if err = dr.look(tx, ask); err != nil {
		return nil, err
	}
	dr.plans, dr.results, dr.coming, dr.managers = make([]plan, len(dr.rows)), make([]jobs.Result, len(dr.rows)), map[store.UserID]bool{}, map[store.UserID]bool{}
	var people []store.NewUser
	status := store.Active
	if dr.run.Settings.New != NewActive {
		status = store.Invited
	}
	for i, r := range dr.rows {
		if r.Action == Deactivate {
			continue
		}
		p, result, err := dr.plan(tx, r, ahead)
		switch {
		case err != nil:
			return nil, err
		case result != nil:
			dr.results[i] = *result
			continue
		}
		if dr.plans[i] = p; p.user != nil {
			continue
		}
		dr.plans[i].doc, dr.plans[i].changes = nil, nil // for as long as it waits
		dr.coming[r.User], dr.fresh = true, append(dr.fresh, i)
		u := store.NewUser{ID: r.User, Doc: p.doc, Source: store.FromCSV, Status: status, Reason: store.Manual}
		if p.role != "" {
			u.Roles = []string{p.role}
		}
		people = append(people, u)
	}
	dr.people, err = tx.DrawUsers(people)
	return dr, err
}

// readDraft reads rows in the order of items, and who the managers in the file are.
func readDraft(tx *store.Tx, j jobs.Job, items []jobs.Item) (*draft, error) {
	var in jobInput
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return nil, fmt.Errorf("input of job %s: %w", j.ID, err)
	}
	numbers := make([]int, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item.Data, &numbers[i]); err != nil {
			return nil, fmt.Errorf("item %d of job %s: %w", item.N, j.ID, err)
		}
	}
	run, err := findRun(tx, in.Run)
	if err != nil {
		return nil, err
	}
	dr := &draft{run: run, rows: make([]*Row, len(items))}
	list, err := rowsByNumber(tx, run.ID, numbers)
	if err != nil {
		return nil, err
	}
	var managers []int
	at := make(map[int]*Row, len(list))
	for i := range list {
		at[list[i].N] = &list[i]
		if list[i].Boss != 0 {
			managers = append(managers, list[i].Boss)
		}
	}
	for i, n := range numbers {
		if dr.rows[i] = at[n]; dr.rows[i] == nil {
			return nil, fault.NotFound.Say("The file is not here any more.")
		}
	}
	slices.Sort(managers)
	dr.bosses, err = usersOfRows(tx, run.ID, slices.Compact(managers))
	return dr, err
}

// look asks for the people of the rows, and for the managers whom they name.
func (dr *draft) look(tx *store.Tx, ask taken) error {
	w, err := look(tx, dr.run.Settings.Key, dr.rows, nil, ask, false)
	if err != nil {
		return err
	}
	w.unattended = dr.run.unattended(tx.Actor())
	dr.world, dr.versions = w, w.versions()
	all := Fields(w.defs)
	for _, name := range dr.run.Settings.Columns {
		if i := slices.IndexFunc(all, func(f Field) bool { return f.Name == name }); i >= 0 {
			dr.fields = append(dr.fields, &all[i])
		}
	}
	var managers []store.UserID
	for _, r := range dr.rows {
		if id := dr.managerOf(r); id != "" {
			managers = append(managers, id)
		}
	}
	return w.add(tx, managers, nil, nil)
}

// holds tells whether all but the managers still is as it was when the draft was drawn. If so,
// it goes on with the people of this moment.
func (dr *draft) holds(tx *store.Tx) (bool, error) {
	now, err := look(tx, dr.run.Settings.Key, dr.rows, nil, byAddress, false)
	if err != nil || !maps.Equal(dr.versions, now.versions()) || !dr.world.same(now) {
		return false, err
	}
	for i, p := range dr.plans {
		if p.user != nil {
			dr.plans[i].user = now.users[p.user.ID]
		}
	}
	return true, nil
}

// managed tells whether the managers are where they were awaited.
func (dr *draft) managed(tx *store.Tx) (bool, error) {
	users, err := tx.UsersBy(slices.Collect(maps.Keys(dr.managers)), nil, nil)
	if err != nil {
		return false, err
	}
	now := make(map[store.UserID]bool, len(users))
	for _, u := range users {
		now[u.ID] = true
	}
	for id, there := range dr.managers {
		if there != now[id] {
			return false, nil
		}
	}
	return true, nil
}

// versions are those of the people.
func (w *world) versions() map[store.UserID]int64 {
	of := make(map[store.UserID]int64, len(w.users))
	for id, u := range w.users {
		of[id] = u.Version
	}
	return of
}

// same tells whether all but the people is the same in both worlds.
func (w *world) same(now *world) bool {
	return w.names == now.names && w.defs.Revision == now.defs.Revision && reflect.DeepEqual(w.ranks, now.ranks) &&
		reflect.DeepEqual(w.roles, now.roles) && reflect.DeepEqual(w.groups, now.groups) && reflect.DeepEqual(w.teams, now.teams)
}

func (dr *draft) managerOf(r *Row) store.UserID {
	if r.Manager != "" {
		return r.Manager
	}
	return dr.bosses[r.Boss]
}

// plan looks at a row again. A result means that it is not done, and why.
func (dr *draft) plan(tx *store.Tx, r *Row, ahead bool) (plan, *jobs.Result, error) {
	w := dr.world
	skip := func(why jobs.Reason) (plan, *jobs.Result, error) {
		result := jobs.Skip(why)
		return plan{}, &result, nil
	}
	var u *store.User
	if r.Action == Update {
		if u = w.users[r.User]; u == nil {
			return skip(jobs.Because("This person was deleted after the preview."))
		}
	} else {
		somebody, no := w.match(dr.run.Settings.Key, r.Cells)
		switch {
		case no != nil:
			return skip(jobs.Told(no.Why, no.Remedy))
		case somebody != nil:
			return skip(jobs.Because("Somebody else created %s after the preview. Upload the file again to see what is left.", somebody.DisplayName))
		}
	}
	manager := &boss{id: dr.managerOf(r)}
	manager.user = w.users[manager.id]
	there := manager.user != nil || ahead && r.Boss != 0 && manager.id != ""
	if manager.id != "" && !dr.coming[manager.id] {
		dr.managers[manager.id] = there
	}
	if !there && !dr.coming[manager.id] {
		manager.refusal = refused(fieldManager, r.Cells[fieldManager], web.Say("The manager is not here: the line was not imported, or the person was deleted after the preview."), web.Say("Correct that first, and upload the file again."))
	}
	p, no, err := w.decide(tx, dr.fields, r.Cells, u, manager)
	switch {
	case err != nil:
		return p, nil, err
	case no != nil:
		return skip(jobs.Told(no.Why, no.Remedy))
	case u == nil:
		return p, nil, nil
	case len(p.changes) == 0:
		return p, &jobs.Result{Did: "unchanged"}, nil
	}
	for _, c := range p.changes {
		i := slices.IndexFunc(r.Changes, func(was Change) bool { return was.Column == c.Column })
		if i < 0 || r.Changes[i].From != c.From {
			return skip(jobs.Because("%s was changed to %s after the preview, so nothing was overwritten. Upload the file again to see what it would do now.", c.Column, quoted(c.From)))
		}
	}
	return p, nil, nil
}
