package review

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

const (
	atOnce  = 200             // people who are written down in one transaction
	clearAt = 1000            // rows that are taken away in one
	lookFor = 5 * time.Second // what another server has started, and left
	later   = time.Minute     // until a step that failed is tried again
	tooMany = "rows"          // why Muster cancelled a review: it would have too many of them
	nobody  = "nobody"        // or none
)

// Prepare goes on with every review that is to be written down or cleared away, of all
// organizations, one step of each in turn, until there is none. Each step is a transaction that
// locks its review and reads how far it has come, so several servers may do so at once, and
// what one of them left in the middle another one ends.
func (s *Service) Prepare(ctx context.Context) error {
	var failed []error
	for ctx.Err() == nil {
		var list []dueOne
		if err := s.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id, work_at AS at FROM reviews WHERE work_at > 0 AND work_at <= ? ORDER BY work_at LIMIT 20", store.TimeOf(s.opt.DB.Now())); err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, d := range list {
			if err := s.step(ctx, d); err != nil && ctx.Err() == nil {
				failed = append(failed, fmt.Errorf("review %s: %w", d.ID, err))
				if err := s.putOff(ctx, d); err != nil { // nothing can be written: not now
					return errors.Join(append(failed, err)...)
				}
			}
		}
	}
	return errors.Join(failed...)
}

// putOff lets the others go on.
func (s *Service) putOff(ctx context.Context, d dueOne) error {
	return s.opt.DB.Write(ctx, access.Muster(string(d.Org)), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE reviews SET work_at = ? WHERE org_id = ? AND id = ? AND work_at > 0", tx.Now().Add(later), tx.Org(), d.ID)
		return err
	})
}

// step does the next thing for a review that is prepared or was cancelled.
func (s *Service) step(ctx context.Context, d dueOne) error {
	muster := access.Muster(string(d.Org))
	var r Review
	var people []store.UserID
	err := s.opt.DB.Read(ctx, muster, func(tx *store.Tx) (err error) { // who is meant is read while others may write
		if r, err = find(tx, d.ID, ""); err == nil && r.State == Preparing && r.People == 0 {
			people, err = everyone(tx, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	listing := r.State == Preparing && r.People == 0
	return s.opt.DB.Write(ctx, muster, func(tx *store.Tx) error {
		r, err := find(tx, d.ID, tx.ForUpdate())
		switch {
		case err != nil || r.WorkAt == 0 || r.State == Preparing && (r.People == 0) != listing:
			return err // another server was faster, or somebody cancelled it
		case r.State == Cancelled:
			return clearAway(tx, r)
		case listing && len(people) == 0:
			return cancel(tx, r, nobody)
		case listing:
			return s.list(tx, r, people)
		}
		return s.next(tx, r)
	})
}

// list keeps who is to be written down.
func (s *Service) list(tx *store.Tx, r Review, people []store.UserID) error {
	part := 0
	for chunk := range slices.Chunk(people, s.atOnce) {
		if _, err := tx.Exec("INSERT INTO review_parts (org_id, review_id, part, people) VALUES (?, ?, ?, {{as_json}})", tx.Org(), r.ID, part, jsonOf(chunk)); err != nil {
			return err
		}
		part++
	}
	r.People = len(people)
	return setProgress(tx, r)
}

// next writes some people down, and opens the review after the last of them.
func (s *Service) next(tx *store.Tx, r Review) error {
	var part struct {
		Part   int        `db:"part"`
		People store.JSON `db:"people"`
	}
	if err := tx.Get(&part, "SELECT part, people FROM review_parts WHERE org_id = ? AND review_id = ? ORDER BY part LIMIT 1", tx.Org(), r.ID); err != nil {
		return err
	}
	var people []store.UserID
	if err := json.Unmarshal(part.People, &people); err != nil {
		return fmt.Errorf("part %d: %w", part.Part, err)
	}
	n, err := write(tx, r, people)
	if err != nil {
		return err
	}
	r.Total, r.Prepared, r.PreparedAt = r.Total+n, r.Prepared+len(people), tx.Now()
	if r.Total > s.most {
		return cancel(tx, r, tooMany)
	}
	if _, err := tx.Exec("DELETE FROM review_parts WHERE org_id = ? AND review_id = ? AND part = ?", tx.Org(), r.ID, part.Part); err != nil {
		return err
	}
	switch {
	case r.Prepared < r.People:
		return setProgress(tx, r)
	case r.Total == 0: // all have left meanwhile
		return cancel(tx, r, nobody)
	}
	r.State, r.WorkAt, r.RemindAt = Open, 0, tx.Now()
	if err := setProgress(tx, r); err != nil {
		return err
	}
	return note(tx, r, "review.ready", map[string]any{"people": r.People, "rows": r.Total})
}

// Cancel ends a review that is still prepared; nothing in it is kept, and it is not repeated.
// Needs Write. Faults: Denied, NotFound, Conflict (it is prepared, or over).
func (s *Service) Cancel(tx *store.Tx, id ID) (Review, error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return Review{}, err
	}
	r, err := find(tx, id, tx.ForUpdate())
	switch {
	case err != nil:
		return r, err
	case r.State == Open:
		return r, fault.Conflict.Say("This review is prepared by now. Finish it instead.")
	case r.State != Preparing:
		return r, over(r)
	}
	if err := cancel(tx, r, ""); err != nil {
		return r, err
	}
	tx.AfterCommit(s.nudge)
	return find(tx, id, "")
}

func cancel(tx *store.Tx, r Review, why string) error {
	by := tx.Actor()
	r.State, r.FinishedBy, r.FinishedAt, r.EndedWhy, r.WorkAt = Cancelled, by.Name, tx.Now(), why, tx.Now()
	if err := setProgress(tx, r); err != nil {
		return err
	}
	if err := setFinished(tx, r, by.ID); err != nil {
		return err
	}
	if why == "" {
		if err := setRepeat(tx, r.ID, 0); err != nil {
			return err
		}
	}
	detail := map[string]any{}
	if why != "" {
		detail["why"] = r.ended(english)
	}
	return note(tx, r, "review.cancel", detail)
}

// clearAway takes away some rows of a review that was cancelled, the last first, and with the first
// of them all that was left to do.
func clearAway(tx *store.Tx, r Review) error {
	r.Total = max(r.Total-clearAt, 0)
	if _, err := tx.Exec("DELETE FROM review_rows WHERE org_id = ? AND review_id = ? AND n > ?", tx.Org(), r.ID, r.Total); err != nil {
		return err
	}
	if r.Total == 0 {
		r.WorkAt = 0
		if _, err := tx.Exec("DELETE FROM review_parts WHERE org_id = ? AND review_id = ?", tx.Org(), r.ID); err != nil {
			return err
		}
	}
	return setProgress(tx, r)
}

func setProgress(tx *store.Tx, r Review) error {
	_, err := tx.Exec("UPDATE reviews SET state = ?, people = ?, prepared = ?, prepared_at = ?, total = ?, work_at = ?, remind_at = ? WHERE org_id = ? AND id = ?",
		r.State, r.People, r.Prepared, r.PreparedAt, r.Total, r.WorkAt, r.RemindAt, tx.Org(), r.ID)
	return err
}

// nudge has this server begin at once.
func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
