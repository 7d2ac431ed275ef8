package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Run works off jobs until ctx is done, and sweeps old ones.
func (s *Service) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { store.Every(ctx, s.opt.Log, s.pause, s.wake, "work on jobs", s.Work) })
	}
	store.Every(ctx, s.opt.Log, time.Hour, nil, "sweep jobs", s.Sweep)
	running.Wait()
	return nil
}

// Work goes on until no job is waiting.
func (s *Service) Work(ctx context.Context) error {
	for ctx.Err() == nil {
		if worked, err := s.turn(ctx); err != nil || !worked {
			return err
		}
	}
	return ctx.Err()
}

// held is a job that a worker has taken.
type held struct {
	org    store.OrgID
	id     ID
	kind   Kind
	worker string
	parts  parts
	singly bool   // the next items could not be done together
	ahead  *ahead // of items that come later; nil: nothing
	next   *ahead // of the items after these
}

// turn gives one job a slice of time. It tells false when none is waiting.
func (s *Service) turn(ctx context.Context) (worked bool, err error) {
	list, err := s.allOpen(ctx)
	if err != nil {
		return false, err
	}
	now := store.TimeOf(s.opt.DB.Now())
	next, ok := s.pick(list, now)
	if !ok {
		return false, nil
	}
	h := &held{org: next.Org, id: next.ID, kind: s.kinds[next.Kind], worker: string(store.NewID[held]())}
	defer h.stop()
	taken := false
	err = s.opt.DB.Write(ctx, access.Muster(string(h.org)), func(tx *store.Tx) (err error) {
		taken, err = claim(tx, h.id, h.worker, tx.Now().Add(lease))
		return err
	})
	if err != nil || !taken {
		return err == nil, err // another worker was faster: look again
	}
	begun := s.opt.DB.Now()
	for {
		over, err := s.batch(ctx, h)
		if err != nil {
			return true, s.stumbled(ctx, h, err)
		}
		if over {
			return true, nil
		}
		if ctx.Err() == nil && s.opt.DB.Now().Sub(begun) < slice {
			continue
		}
		if mine, err := s.another(ctx, h); err != nil || !mine {
			return true, errors.Join(err, s.let(ctx, h, 0, 0))
		}
		begun = s.opt.DB.Now()
	}
}

// another tells whether the worker may go on with another slice of its job, as nobody waits
// for one: what was worked out ahead is not lost.
func (s *Service) another(ctx context.Context, h *held) (mine bool, err error) {
	if ctx.Err() != nil {
		return false, nil
	}
	list, err := s.allOpen(ctx)
	if err != nil {
		return false, err
	}
	if _, waits := s.pick(list, store.TimeOf(s.opt.DB.Now())); waits {
		return false, nil
	}
	err = s.opt.DB.Write(ctx, access.Muster(string(h.org)), func(tx *store.Tx) (err error) {
		mine, err = goOn(tx, h.id, h.worker)
		return err
	})
	return mine, err
}

// pick chooses, among the organizations with a job that nobody works on, the one that
// was served longest ago, and of its jobs the same.
func (s *Service) pick(list []open, now store.Time) (open, bool) {
	served := map[store.OrgID]store.Time{}
	var free []open
	for _, o := range list {
		served[o.Org] = max(served[o.Org], o.ServedAt)
		if _, known := s.kinds[o.Kind]; known && o.LeaseUntil <= now {
			free = append(free, o)
		}
	}
	if len(free) == 0 {
		return open{}, false
	}
	return slices.MinFunc(free, func(a, b open) int {
		return cmp.Or(cmp.Compare(served[a.Org], served[b.Org]), cmp.Compare(a.ServedAt, b.ServedAt), cmp.Compare(a.ID, b.ID))
	}), true
}

// let gives a job back, for whoever comes after a while.
func (s *Service) let(ctx context.Context, h *held, wait time.Duration, tries int) error {
	return s.opt.DB.Write(context.WithoutCancel(ctx), access.Muster(string(h.org)), func(tx *store.Tx) error {
		return release(tx, h.id, h.worker, tx.Now().Add(wait), tries)
	})
}

// stumbled is after a transaction that failed as a whole: the job is tried again later,
// and given up in the end.
func (s *Service) stumbled(ctx context.Context, h *held, why error) error {
	if ctx.Err() != nil {
		return s.let(ctx, h, 0, 0)
	}
	s.opt.Log.ErrorContext(ctx, "job stumbled", "org", h.org, "job", h.id, "kind", h.kind.Name, "error", why)
	return s.opt.DB.Write(ctx, access.Muster(string(h.org)), func(tx *store.Tx) error {
		j, err := lockJob(tx, h.id)
		if err != nil || j.worker != h.worker {
			return err
		}
		if j.tries+1 < maxTries {
			return release(tx, h.id, h.worker, tx.Now().Add(time.Second<<j.tries), j.tries+1)
		}
		return s.end(tx, j, Failed, Because("The server could not go on with this. It is in the server's log with the job's id. What was done stays done."))
	})
}

// batch does the next items of a job in one transaction, which may have begun early. It
// tells true when there is no more to do for this worker.
func (s *Service) batch(ctx context.Context, h *held) (over bool, err error) {
	if a := h.ahead; a.end(true) {
		return a.over, nil
	}
	written := make(chan struct{})
	defer close(written)
	var operator access.Actor
	var refused error
	asked := false
	for {
		asking := false
		err = s.opt.DB.Write(ctx, access.Muster(string(h.org)), func(tx *store.Tx) error {
			over, asking = true, false
			j, err := lockJob(tx, h.id)
			if err != nil || j.State != Running || j.worker != h.worker { // cancelled, or another worker's by now
				return err
			}
			actor := operator
			if j.Starter.Operator && !asked { // of another organization: that is asked outside this transaction
				asking = true
				return nil
			}
			if !j.Starter.Operator {
				actor, refused = s.actor(tx, j)
			}
			if refused == nil && !actor.May(h.kind.Need) {
				refused = fault.Denied.Say("")
			}
			if gone(refused) {
				return s.end(tx, j, Failed, Because("%s may not do this any more, so it was stopped. What was done stays done.", j.Starter.Name))
			}
			if refused != nil {
				return refused
			}
			over, err = s.some(tx, h, j, actor, written)
			return err
		})
		if errors.Is(err, errSingly) {
			h.singly = true
			continue
		}
		if err == nil && !asking {
			h.singly = false
		}
		if err != nil || !asking {
			return over, err
		}
		var who Starter
		if who, err = s.starterOf(ctx, h); err != nil {
			return false, err
		}
		asked = true
		operator, refused = s.operator(ctx, h.org, who)
	}
}

func (s *Service) operator(ctx context.Context, org store.OrgID, who Starter) (access.Actor, error) {
	a, err := s.opt.Operator(ctx, who)
	if err == nil {
		a = a.In(string(org))
		a.IP, a.Request = who.IP, who.Request
	}
	return a, err
}

// ActorOf is who somebody is by now, with the rights of this moment, for what a door does
// later outside of jobs. Faults: Denied, NotFound, SignIn (not any more).
func (s *Service) ActorOf(ctx context.Context, org store.OrgID, who Starter) (a access.Actor, err error) {
	if who.Operator {
		return s.operator(ctx, org, who)
	}
	err = s.opt.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) (err error) {
		a, err = s.actor(tx, Job{Starter: who})
		return err
	})
	return a, err
}

// gone tells that somebody is not there any more, or may not.
func gone(err error) bool {
	return fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.SignIn)
}

func (s *Service) starterOf(ctx context.Context, h *held) (who Starter, err error) {
	err = s.opt.DB.Read(ctx, access.Muster(string(h.org)), func(tx *store.Tx) error {
		j, err := jobByID(tx, h.id)
		who = j.Starter
		return err
	})
	return who, err
}

// actor is who started the job, with the rights of this moment.
func (s *Service) actor(tx *store.Tx, j Job) (access.Actor, error) {
	if j.Starter.Kind == access.System {
		return tx.Actor(), nil
	}
	a, err := s.opt.Actor(tx, j.Starter)
	a.Org, a.IP, a.Request = string(tx.Org()), j.Starter.IP, j.Starter.Request
	return a, err
}

// some does as many items as share a transaction, and ends the job with the last. What comes
// after them begins early when written is closed.
func (s *Service) some(tx *store.Tx, h *held, j Job, actor access.Actor, written <-chan struct{}) (over bool, err error) {
	items, made := h.take(j, actor)
	if len(items) == 0 {
		if items, err = s.next(tx, h, j); err != nil {
			return false, err
		}
	}
	if len(items) == 0 {
		return true, s.end(tx, j, Finished, Reason{})
	}
	j.Ahead = made
	if j.Undoes == "" && h.kind.Ahead != nil && j.position+len(items) < j.Total {
		s.begin(tx.Context(), h, j, j.position+len(items), actor, written)
	}
	var list []Result
	err = tx.As(actor, func() (err error) {
		list, err = s.do(tx, h, j, items)
		return err
	})
	if err != nil {
		return false, err
	}
	if len(list) != len(items) {
		return false, fmt.Errorf("job %s of kind %s: %d results for %d items", j.ID, j.Kind, len(list), len(items))
	}
	rows := make([]resultRow, len(list))
	for i, r := range list {
		if rows[i], err = j.take(items[i], r); err != nil {
			return false, err
		}
	}
	if err := insertResults(tx, j.ID, rows); err != nil {
		return false, err
	}
	if err := advance(tx, j, tx.Now().Add(lease)); err != nil || j.Done < j.Total {
		return false, err
	}
	return true, s.end(tx, j, Finished, Reason{})
}

// next are the items after those that are done.
func (s *Service) next(tx *store.Tx, h *held, j Job) ([]Item, error) {
	if j.Undoes != "" {
		return undoItems(tx, j.Undoes, j.position, h.kind.Size)
	}
	return h.parts.from(tx, j.ID, j.position, h.kind.Size)
}

// take counts a result.
func (j *Job) take(item Item, r Result) (resultRow, error) {
	j.Done++
	j.position++
	row := resultRow{N: j.Done, State: string(r.State), Did: r.Did, Target: cmp.Or(r.Target, item.Target), Name: cmp.Or(r.Name, item.Name)}
	if j.Undoes != "" {
		j.position = item.N
	}
	switch r.State {
	case SkippedItem:
		j.Counts.Skipped++
	case FailedItem:
		j.Counts.Failed++
	default:
		row.State = string(DoneItem)
		j.Counts.Done++
	}
	if r.Did != "" {
		if j.Counts.Did == nil {
			j.Counts.Did = map[string]int{}
		}
		j.Counts.Did[r.Did]++
	}
	why, err := json.Marshal(r.Why)
	if err != nil {
		return row, err
	}
	row.Why = string(why)
	if r.Undo != nil && row.State == string(DoneItem) {
		undo, err := json.Marshal(r.Undo)
		if err != nil {
			return row, err
		}
		row.Undo = string(undo)
		j.Undoable++
	}
	return row, nil
}

// errSingly undoes a transaction whose items are then done each by itself. There is no
// savepoint around all of them: on SQLite it costs an eighth of an import.
var errSingly = errors.New("these items cannot be done together")

func (s *Service) do(tx *store.Tx, h *held, j Job, items []Item) ([]Result, error) {
	one, many := h.kind.One, h.kind.Many
	if j.Undoes != "" {
		one, many = h.kind.UndoOne, h.kind.UndoMany
	}
	if many != nil && (one == nil || !h.singly) {
		list, err := many(tx, j, items)
		if err != nil && one != nil && !again(tx, err) {
			err = errors.Join(errSingly, err)
		}
		return list, err
	}
	list := make([]Result, len(items))
	for i, item := range items {
		err := tx.Try(func() (err error) {
			list[i], err = one(tx, j, item)
			return err
		})
		if err == nil {
			continue
		}
		name := list[i].Name
		if list[i], err = s.refused(tx, j, item, err); err != nil {
			return nil, err
		}
		list[i].Name = name
	}
	return list, nil
}

// again tells of what may go well another time: the whole transaction is run again.
func again(tx *store.Tx, err error) bool {
	kind := fault.Of(err)
	return tx.Context().Err() != nil || kind == fault.Unavailable || kind == fault.Conflict && fault.Field(err) == "version"
}

// refused makes a result of a fault.
func (s *Service) refused(tx *store.Tx, j Job, item Item, err error) (Result, error) {
	switch kind := fault.Of(err); {
	case again(tx, err):
		return Result{}, err
	case kind == fault.Internal:
		s.opt.Log.ErrorContext(tx.Context(), "item of a job", "org", tx.Org(), "job", j.ID, "kind", j.Kind, "target", item.Target, "error", err)
		return Result{State: FailedItem, Why: Because("Something went wrong on the server. It is in the server's log with the job's id.")}, nil
	}
	return Result{State: FailedItem, Why: Why(err)}, nil
}

// end closes a job and records how it went.
func (s *Service) end(tx *store.Tx, j Job, state State, why Reason) error {
	ended, err := endJob(tx, j.ID, state, why)
	if err != nil || !ended {
		return err
	}
	detail := map[string]any{"done": j.Counts.Done, "skipped": j.Counts.Skipped, "failed": j.Counts.Failed}
	if why.Format != "" {
		detail["why"] = why.In(fmt.Sprintf)
	}
	return s.record(tx, "job.end", j, detail)
}

// Sweep removes jobs that were over thirty days ago, some rows a transaction.
func (s *Service) Sweep(ctx context.Context) error {
	list, err := s.old(ctx)
	if err != nil {
		return err
	}
	for _, o := range list {
		for gone := false; !gone; {
			err := s.opt.DB.Write(ctx, access.Muster(string(o.Org)), func(tx *store.Tx) (err error) {
				gone, err = forget(tx, o.ID)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
