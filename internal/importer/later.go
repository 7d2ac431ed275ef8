package importer

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// soon is how many lines are looked at while somebody waits for it.
const soon = 1000

// Begin has every line looked at: at once when there are few, else later, by whichever
// server comes to it; Run.Read tells how far it is. Faults: those of Read.
func (d *Door) Begin(ctx context.Context, actor access.Actor, id ID, set Settings) (run Run, err error) {
	few := false
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if run, err = findRun(tx, id); err != nil {
			return err
		}
		if few = run.Total <= soon; few {
			return nil
		}
		if _, err := check(tx, run, &set); err != nil {
			return err
		}
		if err := claimReading(tx, id, set, "", tx.Now()-1); err != nil {
			return err
		}
		tx.AfterCommit(func() { nudge(d.wake) })
		run, err = findRun(tx, id)
		return err
	})
	if err != nil || !few {
		return run, err
	}
	return d.Read(ctx, actor, id, set)
}

// check looks whether these settings can be, and whether the actor may do what they say;
// it gives all fields.
func check(tx *store.Tx, run Run, set *Settings) ([]Field, error) {
	defs, err := tx.Definitions()
	if err != nil {
		return nil, err
	}
	all := Fields(defs)
	if err := set.check(run.Header, all); err != nil {
		return nil, err
	}
	return all, mayImport(tx, *set)
}

// Stop ends the reading of a file, which can be read again. Faults: NotFound, Denied.
func (d *Door) Stop(ctx context.Context, actor access.Actor, id ID) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.CreateUsers); err != nil {
			return err
		}
		run, err := findRun(tx, id)
		if err != nil || run.State != Reading {
			return err
		}
		return stopReading(tx, id, run.turn, web.Said{})
	})
}

// Readings reads the files that wait for it, also those whose server has stopped.
func (d *Door) Readings(ctx context.Context) error {
	list, err := d.unread(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if err := d.readLater(ctx, r.Org, r.Run); err != nil {
			return err
		}
	}
	return nil
}

// readLater reads a file for whoever wants it, with the rights of this moment.
func (d *Door) readLater(ctx context.Context, org store.OrgID, id ID) error {
	muster := access.Muster(string(org))
	var run Run
	err := d.opt.DB.Read(ctx, muster, func(tx *store.Tx) (err error) {
		run, err = findRun(tx, id)
		return err
	})
	if err != nil || run.State != Reading {
		return err
	}
	actor, err := d.opt.Jobs.ActorOf(ctx, org, run.reader)
	switch {
	case fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.SignIn):
		return d.opt.DB.Write(ctx, muster, func(tx *store.Tx) error {
			return stopReading(tx, id, run.turn, web.Say("%s, who wanted this file to be read, may not do this any more.", run.reader.Name))
		})
	case err != nil:
		return err
	}
	if run, err = d.Read(ctx, actor, id, run.Settings); err != nil {
		if fault.Of(err) == fault.Internal && ctx.Err() == nil {
			d.opt.Log.ErrorContext(ctx, "read a file of people", "org", org, "import", id, "error", err)
		}
		return nil // what is to be said of it stands with the file, or another server reads it
	}
	if run.Feed == "" {
		return nil
	}
	return d.goOn(ctx, actor, run)
}

// ended is the other end of a reading: it may go on elsewhere when this server stops,
// and else the file can be read again.
func (r *reading) ended(tx *store.Tx, err error) error {
	if r.ctx.Err() != nil {
		return leaveReading(tx, r.id, r.turn)
	}
	why := web.SaidBy(err)
	if why.IsZero() {
		why = web.Say("The server could not read this file. It is in the server's log. Try again.")
	}
	return stopReading(tx, r.id, r.turn, why)
}

// dropAfter is how long a file waits for somebody to confirm it; one that a feed brought
// is fetched only once, so it waits as long as what became of imports is kept.
const (
	dropAfter = 24 * time.Hour
	keptFor   = 30 * 24 * time.Hour
)

// Sweep drops the files that nobody has confirmed, and those whose job is not kept any
// longer, some rows a transaction.
func (d *Door) Sweep(ctx context.Context) error {
	list, err := d.old(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		for gone := false; !gone; {
			err := d.opt.DB.Write(ctx, access.Muster(string(r.Org)), func(tx *store.Tx) (err error) {
				gone, err = d.drop(tx, r.Run)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// drop removes some of an old import, and tells when there is no more of it to remove.
func (d *Door) drop(tx *store.Tx, id ID) (gone bool, err error) {
	run, err := findRun(tx, id)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if run.State == Started {
		if _, err := d.opt.Jobs.Get(tx, run.Job); !fault.Is(err, fault.NotFound) {
			return true, err // the job, and what became of each line, is still there
		}
	} else if run.State != dropped {
		if ours, err := markDropped(tx, id); err != nil || !ours {
			return true, err // somebody reads it now
		}
	}
	return forgetSome(tx, id)
}

// Run reads files that wait for it, looks at the feeds that are due, mails what became of
// their imports, and sweeps what nobody wants any more.
func (d *Door) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { store.Every(ctx, d.opt.Log, 5*time.Second, d.wake, "read files of people", d.Readings) })
	running.Go(func() {
		store.Every(ctx, d.opt.Log, 30*time.Second, d.wakeFeeds, "import feeds", func(ctx context.Context) error {
			return errors.Join(d.tend(ctx, running.Go), d.Tell(ctx))
		})
	})
	running.Go(func() { store.Every(ctx, d.opt.Log, time.Hour, nil, "sweep imports", d.Sweep) })
	running.Wait()
	return nil
}

func nudge(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func starterJSON(tx *store.Tx) (string, error) {
	raw, err := json.Marshal(jobs.StarterOf(tx.Actor()))
	return string(raw), err
}
