/*
Package life carries out what befalls people later: a change of state that somebody
has planned for a time, and the end of those who were deleted 30 days ago.

	Plan, Cancel, List   plan.go   changes to come, and what became of them
	RunDue               run.go    makes those that are due, each once, however many servers run
	EndOver              over.go   ends those that something else was faster than
	Purge                purge.go  removes deleted people for good

The rules are store's (lifecycle.go, seats.go) and hold when the change is made, not
only when it is planned: who is managed by a directory by then, or is the last admin, is
passed over, and the admins are told.

Each due change is claimed and made in one transaction. A server that dies leaves it
planned; of two servers one finds it done.

It owns the table planned_changes and relies on store, and on web for sentences that wait
for their reader.
*/
package life

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/muster-id/muster/store"
)

// Options of a Service.
type Options struct {
	DB  *store.DB
	Log *slog.Logger
	// Tell mails the admins that a planned change was passed over. May be nil.
	Tell func(tx *store.Tx, p Plan, name string) error
	// Forget removes what other packages keep of a person, before the person's row goes.
	Forget []func(tx *store.Tx, user store.UserID) error
}

// Service has the operations. Safe for concurrent use.
type Service struct{ opt Options }

// New fills in the defaults.
func New(opt Options) *Service {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Service{opt}
}

// every is how late a planned change may be.
const every = 20 * time.Second

// Run makes what is due until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	store.Every(ctx, s.opt.Log, every, nil, "planned changes and purge", func(ctx context.Context) error { return errors.Join(s.EndOver(ctx), s.RunDue(ctx), s.Purge(ctx)) })
	return nil
}
