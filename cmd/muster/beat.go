package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/store"
)

// beat is what is known of one background loop of this process.
type beat struct {
	mu      sync.Mutex // guards all below
	started time.Time
	round   time.Time // when it last came round
	failed  time.Time // zero: never
	err     string
}

type beatKey struct{}

// beating is the context of a loop. A loop asks Done each time before it waits, and so tells
// that it has come round.
type beating struct {
	context.Context
	b *beat
}

func (c beating) Done() <-chan struct{} {
	c.b.mu.Lock()
	c.b.round = time.Now()
	c.b.mu.Unlock()
	return c.Context.Done()
}

func (c beating) Value(key any) any {
	if key == (beatKey{}) {
		return c.b
	}
	return c.Context.Value(key)
}

func (b *beat) fail(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.err = time.Now(), what
}

// beats are those of all loops, by name.
type beats struct {
	mu sync.Mutex // guards of
	of map[string]*beat
}

func (s *beats) begin(ctx context.Context, name string) beating {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*beat{}
	}
	b := &beat{started: time.Now()}
	s.of[name] = b
	return beating{ctx, b}
}

// loops are they as the operator's page has them.
func (s *beats) loops() []operate.Loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []operate.Loop{}
	for name, b := range s.of {
		b.mu.Lock()
		list = append(list, operate.Loop{Name: name, Started: store.TimeOf(b.started), Round: store.TimeOf(b.round), Failed: store.TimeOf(b.failed), Error: b.err})
		b.mu.Unlock()
	}
	return list
}

// loopErrors notes with a loop what it logs as an error.
type loopErrors struct{ slog.Handler }

func (h loopErrors) Handle(ctx context.Context, r slog.Record) error {
	if b, ok := ctx.Value(beatKey{}).(*beat); ok && r.Level >= slog.LevelError {
		what := r.Message
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "error" {
				what += ": " + a.Value.String()
			}
			return true
		})
		b.fail(what)
	}
	return h.Handler.Handle(ctx, r)
}

func (h loopErrors) WithAttrs(attrs []slog.Attr) slog.Handler {
	return loopErrors{h.Handler.WithAttrs(attrs)}
}

func (h loopErrors) WithGroup(name string) slog.Handler { return loopErrors{h.Handler.WithGroup(name)} }
