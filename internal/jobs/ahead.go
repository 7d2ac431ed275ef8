package jobs

import (
	"context"
	"errors"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// ahead is what is done for items while those before them are written. First, Kind.Ahead
// works out what they need. Then Kind.Early writes what comes first of them, in a transaction
// that goes on with the rest when it is these items' turn: two transactions of a job run at
// once, and commit one after the other. Whatever does not hold is done anew in their turn.
// While the first part is written, the items after these are worked out.
//
// A transaction that waits for its turn may be waited for: by somebody for whom, in a circle
// that the database cannot see, the one before it waits. So it waits for a while only.
type ahead struct {
	from  int // the position of the first item
	actor access.Actor
	drawn chan struct{} // closed when they are worked out
	turn  chan bool     // true: what is before has been written; false: there is no turn
	ended chan struct{} // closed when nothing is under way any more
	next  *ahead        // the items after these, worked out while these are written

	parts parts
	items []Item
	made  any

	written, over bool // by the transaction that began early
}

// patience is how long a transaction waits for its turn.
const patience = 2 * time.Second

// errAnew ends a transaction that began early: its items are done in another one.
var errAnew = errors.New("to be done anew")

// begin does what can be done for the items from a position on, unless it has begun: the
// transaction that calls it may run again. written is closed when that one is in nobody's way.
func (s *Service) begin(ctx context.Context, h *held, j Job, from int, actor access.Actor, written <-chan struct{}) {
	if h.ahead != nil {
		return
	}
	a, vain := h.next, (*ahead)(nil)
	if h.next = nil; a == nil || a.from != from || !reflect.DeepEqual(a.actor, actor) {
		a, vain = s.draw(ctx, h, j, from, actor, h.parts), a
	}
	h.ahead = a
	j.position, j.Ahead, j.Early = from, nil, nil
	go func() {
		defer close(a.ended)
		defer s.survive(ctx, h)
		<-a.drawn
		vain.wait()
		if h.kind.Early == nil || a.made == nil || s.opt.DB.Dialect() == "sqlite" { // where a writer is alone
			return
		}
		if after := from + len(a.items); after < j.Total {
			a.next = s.draw(ctx, h, j, after, actor, a.parts)
		}
		select {
		case <-written:
		case <-ctx.Done():
			return
		}
		s.writeEarly(ctx, h, j, a)
	}()
}

// draw works out what the items from a position on need.
func (s *Service) draw(ctx context.Context, h *held, j Job, from int, actor access.Actor, parts parts) *ahead {
	a := &ahead{from: from, actor: actor, drawn: make(chan struct{}), turn: make(chan bool, 1), ended: make(chan struct{}), parts: parts}
	j.position, j.Ahead, j.Early = from, nil, nil
	go func() {
		defer close(a.drawn)
		defer s.survive(ctx, h)
		s.workOut(ctx, h, j, a)
	}()
	return a
}

// survive is deferred: a panic is not the server's end, the items are done without what is made ahead.
func (s *Service) survive(ctx context.Context, h *held) {
	if why := recover(); why != nil {
		s.opt.Log.ErrorContext(ctx, "what comes next in a job", "org", h.org, "job", h.id, "kind", h.kind.Name, "panic", why, "stack", string(debug.Stack()))
	}
}

// workOut reads the items and has Kind.Ahead make something of them. Into an error, Many
// runs again, and tells.
func (s *Service) workOut(ctx context.Context, h *held, j Job, a *ahead) {
	_ = s.opt.DB.Read(ctx, a.actor, func(tx *store.Tx) error {
		items, err := a.parts.from(tx, j.ID, a.from, h.kind.Size)
		if err != nil || len(items) == 0 {
			return err
		}
		a.items = items
		made, err := h.kind.Ahead(tx, j, items)
		if err == nil {
			a.made = made
		}
		return err
	})
}

// writeEarly is the transaction of the items, if all is as it was thought to be.
func (s *Service) writeEarly(ctx context.Context, h *held, j Job, a *ahead) {
	var operator access.Actor
	if j.Starter.Operator {
		var err error
		if operator, err = s.operator(ctx, h.org, j.Starter); err != nil {
			return
		}
	}
	first, over := true, false
	err := s.opt.DB.Write(ctx, access.Muster(string(h.org)), func(tx *store.Tx) error {
		if !first { // it lost against another writer
			return errAnew
		}
		first = false
		var early any
		err := tx.As(a.actor, func() (err error) {
			j.Ahead = a.made
			early, err = h.kind.Early(tx, j, a.items)
			return err
		})
		if err != nil || early == nil || !a.waits(ctx) {
			return errors.Join(errAnew, err)
		}
		now, err := lockJob(tx, h.id)
		if err != nil || now.State != Running || now.worker != h.worker || now.position != a.from {
			return errors.Join(errAnew, err)
		}
		actor := operator
		if !now.Starter.Operator {
			if actor, err = s.actor(tx, now); err != nil {
				return err
			}
		}
		if !actor.May(h.kind.Need) || !reflect.DeepEqual(actor, a.actor) {
			return errAnew
		}
		now.Early = early
		over, err = s.some(tx, h, now, actor, itself)
		return err
	})
	a.written, a.over = err == nil, over
}

// itself says of a transaction that began early that it is in nobody's way.
var itself = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// waits tells whether it is these items' turn at last.
func (a *ahead) waits(ctx context.Context) bool {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case now := <-a.turn:
		return now
	case <-enough.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// end is the turn of what was begun, or the end of it. It tells whether the items are written.
func (a *ahead) end(turn bool) (written bool) {
	if a == nil {
		return false
	}
	select {
	case a.turn <- turn:
	default: // it had one, and was not ready
	}
	<-a.ended
	return a.written
}

// wait ends when nothing is worked out any more.
func (a *ahead) wait() {
	if a != nil {
		<-a.drawn
	}
}

// stop ends whatever was begun.
func (h *held) stop() {
	if h.ahead.end(false); h.ahead != nil {
		h.ahead.next.wait()
	}
	h.next.wait()
}

// take hands out the items at the job's position and what was made of them for this actor,
// once: a transaction that runs again does so because something changed. What is further on
// is left for later.
func (h *held) take(j Job, actor access.Actor) ([]Item, any) {
	a := h.ahead
	if a == nil || a.from > j.position {
		return nil, nil
	}
	h.ahead, h.next = nil, a.next
	if a.from < j.position {
		return nil, nil
	}
	h.parts = a.parts
	if !reflect.DeepEqual(a.actor, actor) {
		return a.items, nil
	}
	return a.items, a.made
}

// parts are rows of job_parts, of which the last that was read is kept; they never change.
type parts struct {
	at    int // the number of the row
	items []Item
}

// from are the items behind a position, at most size.
func (p *parts) from(tx *store.Tx, id ID, position, size int) (list []Item, err error) {
	for at := position; len(list) < size; at = position + len(list) {
		if part := at / chunk; part != p.at || p.items == nil {
			items, err := itemsOf(tx, id, part)
			if err != nil {
				return nil, err
			}
			p.at, p.items = part, items
		}
		rest := p.items[min(at%chunk, len(p.items)):]
		if len(rest) == 0 {
			break
		}
		list = append(list, rest[:min(len(rest), size-len(list))]...)
	}
	return list, nil
}
