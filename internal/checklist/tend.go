package checklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const (
	every   = 20 * time.Second
	overlap = 2 * time.Minute // longer than a transaction takes from its rows to its commit
	batch   = 200             // events, or people, of one transaction
	maxTold = 500             // overdue tasks told at once
)

// Run gives and tends tasks until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	store.Every(ctx, s.opt.Log, every, nil, "tend checklists", s.Tend)
	return nil
}

// Tend does what is due, of all organizations that have a list.
func (s *Service) Tend(ctx context.Context) error {
	var orgs []store.OrgID
	if err := s.opt.DB.LookupAll(ctx, &orgs, "SELECT DISTINCT org_id FROM checklist_templates"); err != nil {
		return err
	}
	var failed []error
	for _, org := range orgs {
		for _, do := range []func(context.Context, access.Actor) error{s.give, s.notice} {
			if err := do(ctx, access.Muster(string(org))); err != nil {
				failed = append(failed, fmt.Errorf("checklists of %s: %w", org, err))
			}
		}
	}
	return errors.Join(append(failed, s.Remind(ctx))...)
}

// event is a row of activity that says who comes or goes.
type event struct {
	ID     store.ActivityID `db:"id"`
	At     store.Time       `db:"at"`
	Action string           `db:"action"`
	User   store.UserID     `db:"target_id"`
	Detail []byte           `db:"detail"`

	said struct {
		Source    string `json:"source"`
		Status    string `json:"status"`
		Action    string `json:"action"` // of a plan
		At        string `json:"at"`
		Successor string `json:"successor"`
		Before    struct {
			Status string `json:"status"`
		} `json:"before"`
	}
}

const comeAndGo = `('user.create', 'user.deactivate', 'user.delete', 'user.plan', 'user.plan.cancel', 'user.plan.skip', 'user.reactivate', 'user.restore')`

// idAround is smaller than every id that is made at t or later.
func idAround(t store.Time) store.ActivityID {
	return store.ActivityID(fmt.Sprintf("%012x", max(int64(t)/1000, 0)) + strings.Repeat("0", 20))
}

// give looks through the activity since last time and gives lists to whom they are due.
func (s *Service) give(ctx context.Context, muster access.Actor) error {
	var last store.ActivityID
	for {
		n, next := 0, last // fn may run again, and begins where the last commit ended
		err := s.opt.DB.Write(ctx, muster, func(tx *store.Tx) error {
			n = 0
			looked, templates, err := held(tx)
			if err != nil || len(templates) == 0 {
				return err
			}
			from := last
			if from == "" {
				from = idAround(looked.Add(-overlap))
			}
			var list []event
			if err := tx.Select(&list, "SELECT id, at, action, target_id, detail FROM activity WHERE org_id = ? AND id > {{as_id}} AND action IN "+comeAndGo+" ORDER BY id LIMIT ?", tx.Org(), from, batch); err != nil {
				return err
			}
			for _, e := range list {
				if err := json.Unmarshal(e.Detail, &e.said); err != nil {
					return fmt.Errorf("activity %s: %w", e.ID, err)
				}
				if err := s.one(tx, e, templates); err != nil {
					return err
				}
			}
			if n = len(list); n == batch {
				next = list[n-1].ID
				return nil
			}
			_, err = tx.Exec("UPDATE checklist_templates SET looked_at = ? WHERE org_id = ?", tx.Now(), tx.Org())
			return err
		})
		if err != nil || n < batch {
			return err
		}
		last = next
	}
}

// held locks the lists of the organization; looked is since when there may be news.
func held(tx *store.Tx) (looked store.Time, of map[string]Template, err error) {
	var rows []struct {
		List   string     `db:"list"`
		Looked store.Time `db:"looked_at"`
	}
	if err := tx.Select(&rows, "SELECT list, looked_at FROM checklist_templates WHERE org_id = ? ORDER BY list"+tx.ForUpdate(), tx.Org()); err != nil {
		return 0, nil, err
	}
	of = map[string]Template{}
	for _, r := range rows {
		t, err := template(tx, r.List, "")
		if err != nil {
			return 0, nil, err
		}
		if len(t.Tasks) > 0 {
			of[r.List] = t
			if looked == 0 || r.Looked < looked {
				looked = r.Looked
			}
		}
	}
	return looked, of, nil
}

// one does what an event asks for, unless that was done.
func (s *Service) one(tx *store.Tx, e event, of map[string]Template) error {
	switch e.Action {
	case "user.create":
		t := of[Joiner]
		if !slices.Contains(t.Sources, e.said.Source) || e.said.Status != string(store.Active) && e.said.Status != string(store.Invited) {
			return nil
		}
		return s.start(tx, e, t, e.At)
	case "user.plan":
		at, err := time.Parse(time.RFC3339, e.said.At)
		if err != nil || e.said.Action != "deactivate" {
			return nil
		}
		return s.start(tx, e, of[Leaver], store.TimeOf(at))
	case "user.deactivate", "user.delete":
		if err := dropOpen(tx, e.User, Joiner); err != nil || e.said.Before.Status == string(store.Invited) {
			return err
		}
		return s.start(tx, e, of[Leaver], e.At)
	case "user.plan.cancel", "user.plan.skip":
		if e.said.Action != "deactivate" {
			return nil
		}
	}
	return s.drop(tx, e)
}

// start gives a list to somebody who does not have it.
func (s *Service) start(tx *store.Tx, e event, t Template, base store.Time) error {
	if len(t.Tasks) == 0 || e.At < t.since {
		return nil
	}
	run, err := runOf(tx, e.User, t.List)
	if err != nil || run.Event >= e.ID {
		return err
	}
	u, err := tx.AnyUser(e.User)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := setRun(tx, e, t.List, true); err != nil {
		return err
	}
	if !run.Active {
		if err := giveTasks(tx, e, t, u, base); err != nil {
			return err
		}
	}
	if t.List == Leaver && e.said.Successor != "" {
		return tickAuto(tx, u, HandedOver)
	}
	return nil
}

func giveTasks(tx *store.Tx, e event, t Template, u store.User, base store.Time) error {
	for _, task := range t.Tasks {
		who := task.Person
		if task.Who == ByManager {
			who = u.ManagerID
		}
		due := dueOn(base, task.Days)
		if due < tx.Now() { // somebody goes at once: what was to be done before is due now
			due = dueOn(tx.Now(), 0)
		}
		if _, err := tx.Exec(`INSERT INTO checklist_items (org_id, id, user_id, list, title, note, assignee_id, auto, started_at, due_at, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			tx.Org(), store.NewID[Item](), u.ID, t.List, task.Title, task.Note, who, task.Auto, e.At, due, false); err != nil {
			return err
		}
	}
	return tx.Record(store.Activity{Action: "checklist.start", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName, Detail: map[string]any{"list": t.List, "tasks": len(t.Tasks)}})
}

// drop ends what is open of somebody's leaving, who stays or comes back.
func (s *Service) drop(tx *store.Tx, e event) error {
	run, err := runOf(tx, e.User, Leaver)
	if err != nil || !run.Active || run.Event >= e.ID {
		return err
	}
	if err := setRun(tx, e, Leaver, false); err != nil {
		return err
	}
	return dropOpen(tx, e.User, Leaver)
}

func dropOpen(tx *store.Tx, user store.UserID, list string) error {
	_, err := tx.Exec("UPDATE checklist_items SET state = 'dropped', ended_by = ?, ended_at = ? WHERE org_id = ? AND user_id = {{as_id}} AND list = ? AND state = 'open'", tx.Actor().Name, tx.Now(), tx.Org(), user, list)
	return err
}

type run struct {
	Event  store.ActivityID `db:"event"`
	Active bool             `db:"active"`
}

func runOf(tx *store.Tx, user store.UserID, list string) (r run, err error) {
	err = tx.Get(&r, "SELECT event, active FROM checklist_runs WHERE org_id = ? AND user_id = {{as_id}} AND list = ?", tx.Org(), user, list)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return r, err
}

func setRun(tx *store.Tx, e event, list string, active bool) error {
	_, err := tx.Exec(`INSERT INTO checklist_runs (org_id, user_id, list, event, active) VALUES (?, {{as_id}}, ?, ?, ?)
		ON CONFLICT (org_id, user_id, list) DO UPDATE SET event = excluded.event, active = excluded.active`, tx.Org(), e.User, list, e.ID, active)
	return err
}

// notice ticks off what Muster knows.
func (s *Service) notice(ctx context.Context, muster access.Actor) error {
	known := map[string]string{
		SignedIn:    "EXISTS (SELECT 1 FROM users u WHERE u.org_id = i.org_id AND u.id = i.user_id AND u.signed_in_at > 0)",
		AccessEnded: "EXISTS (SELECT 1 FROM users u WHERE u.org_id = i.org_id AND u.id = i.user_id AND u.status IN ('deactivated', 'deleted'))",
	}
	for auto, is := range known {
		var list []store.UserID
		if err := s.opt.DB.Read(ctx, muster, func(tx *store.Tx) error {
			return tx.Select(&list, "SELECT DISTINCT i.user_id FROM checklist_items i WHERE i.org_id = ? AND i.state = 'open' AND i.auto <> '' AND i.auto = ? AND "+is+" LIMIT ?", tx.Org(), auto, batch)
		}); err != nil {
			return err
		}
		if err := s.tickAll(ctx, muster, list, auto); err != nil {
			return err
		}
	}
	if s.opt.SecondFactor == nil {
		return nil
	}
	var list, have []store.UserID
	if err := s.opt.DB.Read(ctx, muster, func(tx *store.Tx) error {
		err := tx.Select(&list, `SELECT DISTINCT i.user_id FROM checklist_items i JOIN users u ON u.org_id = i.org_id AND u.id = i.user_id
			WHERE i.org_id = ? AND i.state = 'open' AND i.auto <> '' AND i.auto = ? AND u.signed_in_at > 0 LIMIT ?`, tx.Org(), SecondFactor, batch)
		for _, user := range list {
			has, err := s.opt.SecondFactor(tx, user)
			if err != nil {
				return err
			}
			if has {
				have = append(have, user)
			}
		}
		return err
	}); err != nil {
		return err
	}
	return s.tickAll(ctx, muster, have, SecondFactor)
}

func (s *Service) tickAll(ctx context.Context, muster access.Actor, list []store.UserID, auto string) error {
	if len(list) == 0 {
		return nil
	}
	return s.opt.DB.Write(ctx, muster, func(tx *store.Tx) error {
		for _, user := range list {
			u, err := tx.AnyUser(user)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := tickAuto(tx, u, auto); err != nil {
				return err
			}
		}
		return nil
	})
}

// tickAuto ticks off what Muster knows of one person.
func tickAuto(tx *store.Tx, u store.User, auto string) error {
	var done []string
	if err := tx.Select(&done, `UPDATE checklist_items SET state = 'done', ended_by = ?, ended_at = ? WHERE org_id = ? AND user_id = ? AND state = 'open' AND auto <> '' AND auto = ? RETURNING title`,
		tx.Actor().Name, tx.Now(), tx.Org(), u.ID, auto); err != nil {
		return err
	}
	for _, title := range done {
		if err := tx.Record(store.Activity{Action: "checklist.done", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName, Detail: map[string]any{"task": title, "auto": auto}}); err != nil {
			return err
		}
	}
	return nil
}

// Remind tells who is late, one letter for all of theirs. Several servers may do so at
// once: each task is told once.
func (s *Service) Remind(ctx context.Context) error {
	var orgs []store.OrgID
	if err := s.opt.DB.LookupAll(ctx, &orgs, "SELECT DISTINCT org_id FROM checklist_items WHERE state = 'open' AND NOT told AND due_at < ? LIMIT 100", store.TimeOf(s.opt.DB.Now())); err != nil {
		return err
	}
	var failed []error
	for _, id := range orgs {
		org, err := s.opt.DB.OrgByID(ctx, id)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		failed = append(failed, s.opt.DB.Write(ctx, access.Muster(string(id)), func(tx *store.Tx) error { return s.tell(tx, org.Slug) }))
	}
	return errors.Join(failed...)
}

func (s *Service) tell(tx *store.Tx, slug string) error {
	var late []struct {
		Assignee store.UserID `db:"assignee_id"`
		ID       ItemID       `db:"id"`
	}
	if err := tx.Select(&late, `UPDATE checklist_items SET told = (1 = 1) WHERE org_id = ? AND state = 'open' AND NOT told AND id IN (SELECT i.id FROM checklist_items i
		WHERE i.org_id = ? AND i.state = 'open' AND NOT i.told AND i.due_at < ? ORDER BY i.due_at LIMIT ?) RETURNING assignee_id, id`, tx.Org(), tx.Org(), tx.Now(), maxTold); err != nil || s.opt.Mail == nil {
		return err
	}
	of := map[store.UserID]int{}
	for _, i := range late {
		of[i.Assignee]++
	}
	for user, n := range of {
		to, path := []store.UserID{user}, "/account/checklists"
		if user == "" {
			path = "/console/" + slug + "/checklists?show=overdue"
			to = nil
			admins, err := tx.Admins()
			if err != nil {
				return err
			}
			for _, u := range admins {
				to = append(to, u.ID)
			}
		}
		for _, id := range to {
			if err := s.opt.Mail(tx, id, web.Notice{Path: path, Button: web.Say("Open the tasks"), Subject: web.SayN(n, "One task is overdue", "%d tasks are overdue"),
				Lines: []web.Said{web.Say("Somebody who joins or leaves is waiting for it. Tick off what is done.")}}); err != nil {
				return err
			}
		}
	}
	return nil
}
