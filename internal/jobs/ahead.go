package jobs

import (
	"context"
	"reflect"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// ahead is what Kind.Ahead makes of the items behind those that are being written. A worker
// begins it in its transaction and waits for it before the next one, so no transaction waits.
type ahead struct {
	from  int // the position of the first item
	actor access.Actor
	done  chan struct{} // closed when parts, items and made are there
	parts parts
	items []Item
	made  any
}

// begin works ahead for the items from a position on, unless that was begun before: the
// transaction may run again.
func (s *Service) begin(ctx context.Context, h *held, j Job, from int, actor access.Actor) {
	if h.ahead != nil && h.ahead.from == from {
		return
	}
	h.wait()
	a := &ahead{from: from, actor: actor, done: make(chan struct{}), parts: h.parts}
	h.ahead = a
	j.position, j.Ahead = from, nil
	go func() {
		defer close(a.done)
		defer func() { // of a panic, too, Many tells: it is not the server's end
			if recover() != nil {
				a.made = nil
			}
		}()
		err := s.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
			items, err := a.parts.from(tx, j.ID, from, h.kind.Size)
			if err == nil && len(items) > 0 {
				a.items = items
				a.made, err = h.kind.Ahead(tx, j, items)
			}
			return err
		})
		if err != nil { // Many runs into it again, and tells
			a.made = nil
		}
	}()
}

// wait is for the end of what was begun.
func (h *held) wait() {
	if h.ahead != nil {
		<-h.ahead.done
	}
}

// take hands out the items at the job's position and what was made of them for this actor,
// once: a transaction that runs again does so because something changed.
func (h *held) take(j Job, actor access.Actor) ([]Item, any) {
	a := h.ahead
	if a == nil || a.from != j.position {
		return nil, nil
	}
	h.ahead, h.parts = nil, a.parts
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
