package review

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What reviewers were told last.
const (
	started = "started"
	soon    = "soon"
	overdue = "overdue"
)

// early is how long before the end reviewers are told once more.
const early = 3 * 24 * time.Hour

// maxTold bounds the managers who are told.
const maxTold = 500

// Run prepares reviews, tells reviewers and starts what is repeated, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var preparing sync.WaitGroup
	preparing.Go(func() { store.Every(ctx, s.opt.Log, lookFor, s.wake, "prepare reviews", s.Prepare) })
	defer preparing.Wait()
	store.Every(ctx, s.opt.Log, time.Minute, nil, "tend reviews", func(ctx context.Context) error { return errors.Join(s.Remind(ctx), s.Repeat(ctx)) })
	return nil
}

// soonBefore is when reviewers are told next, after the first time.
func soonBefore(due, now store.Time) store.Time {
	if at := due.Add(-early); at > now {
		return at
	}
	return due
}

// dueOne is a review of which somebody must be told, or that is to be repeated.
type dueOne struct {
	Org store.OrgID `db:"org_id"`
	ID  ID          `db:"id"`
	At  store.Time  `db:"at"`
}

// Remind sends every mail that is due, of all organizations. Several servers may do so at
// once: each goes out once.
func (s *Service) Remind(ctx context.Context) error {
	var list []dueOne
	if err := s.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id, remind_at AS at FROM reviews WHERE remind_at > 0 AND remind_at <= ? ORDER BY remind_at LIMIT 100", store.TimeOf(s.opt.DB.Now())); err != nil {
		return err
	}
	var failed []error
	for _, d := range list {
		failed = append(failed, s.remind(ctx, d))
	}
	return errors.Join(failed...)
}

func (s *Service) remind(ctx context.Context, d dueOne) error {
	org, err := s.opt.DB.OrgByID(ctx, d.Org)
	if err != nil {
		return err
	}
	return s.opt.DB.Write(ctx, access.Muster(string(d.Org)), func(tx *store.Tx) error {
		r, err := find(tx, d.ID, tx.ForUpdate())
		if err != nil || r.RemindAt != d.At || r.State != Open {
			return err // another server was faster
		}
		switch {
		case r.Reminded == "":
			r.Reminded, r.RemindAt = started, soonBefore(r.DueAt, tx.Now())
		case tx.Now() < r.DueAt:
			r.Reminded, r.RemindAt = soon, r.DueAt
		default:
			r.Reminded, r.RemindAt = overdue, 0
		}
		if err := setDue(tx, r); err != nil || s.opt.Mail == nil {
			return err
		}
		counts, err := countRows(tx, r.ID)
		if err != nil || counts[Undecided] == 0 {
			return err
		}
		return s.tell(tx, r, "/console/"+org.Slug+"/reviews/"+string(r.ID))
	})
}

func (s *Service) tell(tx *store.Tx, r Review, path string) error {
	list, err := reviewersOf(tx, r.ID)
	if err != nil {
		return err
	}
	told := map[store.UserID]bool{}
	if r.Reminded == started && r.PreparedAt == 0 {
		told[store.UserID(r.StarterID)] = true // knows
	}
	for _, one := range list {
		if !told[one.ID] {
			told[one.ID] = true
			if err := s.opt.Mail(tx, one.ID, letter(r, path)); err != nil {
				return err
			}
		}
	}
	if !r.Managers {
		return nil
	}
	managers, err := openManagers(tx, r.ID)
	if err != nil {
		return err
	}
	for _, id := range managers {
		if !told[id] {
			if err := s.opt.Mail(tx, id, letter(r, "/account/reviews/"+string(r.ID))); err != nil {
				return err
			}
		}
	}
	return nil
}

func openManagers(tx *store.Tx, id ID) (list []store.UserID, err error) {
	return list, tx.Select(&list, "SELECT DISTINCT manager_id FROM review_rows WHERE org_id = ? AND review_id = ? AND decision = '' AND manager_id IS NOT NULL LIMIT ?", tx.Org(), id, maxTold)
}

func letter(r Review, path string) web.Notice {
	l := web.Notice{Path: path, Button: web.Say("Open the review"), Subject: web.Say("Please review: %s", r.Name),
		Lines: []web.Said{web.Say("You are asked to review who has which roles and teams: %s. It is to be done by %s.", r.Name, r.DueAt),
			web.Say("For each of them, say whether the person still needs it.")}}
	switch r.Reminded {
	case soon:
		l.Subject, l.Lines[0] = web.Say("Soon due: %s", r.Name), web.Say("The review %s is to be done by %s, and there are rows that nobody has decided yet.", r.Name, r.DueAt)
	case overdue:
		l.Subject, l.Lines[0] = web.Say("Overdue: %s", r.Name), web.Say("The review %s was to be done by %s, and there are rows that nobody has decided yet.", r.Name, r.DueAt)
	}
	return l
}

// Repeat starts the reviews whose time has come again.
func (s *Service) Repeat(ctx context.Context) error {
	var list []dueOne
	if err := s.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id, repeat_at AS at FROM reviews WHERE repeat_at > 0 AND repeat_at <= ? ORDER BY repeat_at LIMIT 20", store.TimeOf(s.opt.DB.Now())); err != nil {
		return err
	}
	var failed []error
	for _, d := range list {
		failed = append(failed, s.again(ctx, d))
	}
	return errors.Join(failed...)
}

// again starts a review like an older one. What cannot be started, because the team is
// gone, say, is not tried again; the old one says so in the log.
func (s *Service) again(ctx context.Context, d dueOne) error {
	actor := access.Muster(string(d.Org))
	err := s.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		r, err := claimRepeat(tx, d)
		if err != nil || r.ID == "" {
			return err
		}
		in := In{Name: r.Name, Scope: r.Scope, Ref: r.ScopeRef, Managers: r.Managers, Due: tx.Now().Add(r.DueAt.Time().Sub(r.StartedAt.Time())), Months: r.Months}
		if in.Reviewers, err = stillAdmins(tx, r.ID); err != nil {
			return err
		}
		_, err = s.Start(tx, in)
		return err
	})
	switch fault.Of(err) {
	case fault.Invalid, fault.TooMany:
		why := fault.Public(err)
		return s.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
			r, err := claimRepeat(tx, d)
			if err != nil || r.ID == "" {
				return err
			}
			return note(tx, r, "review.repeat.fail", map[string]any{"why": why})
		})
	}
	return err
}

// claimRepeat takes a review that is to be repeated, unless another server has.
func claimRepeat(tx *store.Tx, d dueOne) (Review, error) {
	n, err := tx.Exec("UPDATE reviews SET repeat_at = 0 WHERE org_id = ? AND id = ? AND repeat_at = ?", tx.Org(), d.ID, d.At)
	if err != nil || n == 0 {
		return Review{}, err
	}
	return find(tx, d.ID, "")
}

// stillAdmins are the reviewers of last time who are admins; the first of all admins when
// none is.
func stillAdmins(tx *store.Tx, id ID) ([]store.UserID, error) {
	was, err := reviewersOf(tx, id)
	if err != nil {
		return nil, err
	}
	admins, err := tx.Admins()
	if err != nil {
		return nil, err
	}
	is, list := map[store.UserID]bool{}, []store.UserID{}
	for _, u := range admins {
		is[u.ID] = true
	}
	for _, r := range was {
		if is[r.ID] {
			list = append(list, r.ID)
		}
	}
	if len(list) == 0 && len(admins) > 0 {
		list = append(list, admins[0].ID)
	}
	return list, nil
}
