package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"
)

// A commit of SQLite puts pages at the end of a log (the WAL); a checkpoint writes them where
// they belong in the file. By itself, SQLite has whoever commits do that, a tenth of an
// import. Here another connection does it while the writer goes on. What is put there
// meanwhile is left over, and the log begins anew when nothing is: now and then the writer
// does this rest, which is little.
// Source: https://www.sqlite.org/wal.html#checkpointing
type wal struct {
	pool  *sqlx.DB
	log   *slog.Logger
	limit walLimits
	pass  chan bool     // asks for a checkpoint
	ended chan struct{} // closed when there are no more

	worked time.Duration // by the writer, since pages were counted
	tried  int           // pages of the log when the writer did what it could of the rest
}

// walLimits are numbers of pages, of 4 KiB.
type walLimits struct {
	pass int // of the log that are not in the file
	anew int // of the log
	// Pages are counted when the writer has worked for so long: that takes longer than a
	// small commit may, and no thousand pages come in between.
	look time.Duration
}

// The index of the log finds 4,096 pages at one look.
var usualWAL = walLimits{pass: 4_000, anew: 16_000, look: 50 * time.Millisecond}

func newWAL(pool *sqlx.DB, log *slog.Logger) *wal {
	l := &wal{pool: pool, log: log, limit: usualWAL, pass: make(chan bool, 1), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for range l.pass {
			var done walPages
			if err := pool.Get(&done, checkpoint); err != nil {
				log.Error("checkpoint", "error", err) // the next one does it
			}
		}
	}()
	return l
}

// walPages is how many pages the log has, and how many of these are in the file.
type walPages struct {
	Busy int `db:"busy"`
	All  int `db:"log"`
	Done int `db:"checkpointed"`
}

const (
	checkpoint = "PRAGMA wal_checkpoint(PASSIVE)" // waits for nobody, and nobody for it
	countPages = "PRAGMA wal_checkpoint(NOOP)"
)

// tend keeps the log short, between the writer's transactions, of which the last took a while.
func (w *writer) tend(ctx context.Context, took time.Duration) {
	l := w.wal
	if l.worked += took; l.worked < l.limit.look {
		return
	}
	l.worked = 0
	now, err := w.pages(ctx, countPages)
	if err != nil {
		l.log.Error("pages of the log", "error", err)
		return
	}
	if now.All < l.tried {
		l.tried = 0 // it began anew
	}
	if now.All-now.Done >= l.limit.pass {
		select {
		case l.pass <- true:
		default:
		}
	}
	if now.All >= l.tried+l.limit.anew {
		done, err := w.pages(ctx, checkpoint)
		if err != nil {
			l.log.Error("checkpoint", "error", err)
		}
		if done.Busy == 0 { // else the other connection is at it
			l.tried = now.All // again when the log has grown as much: somebody may read what is old for long
		}
	}
}

func (w *writer) pages(ctx context.Context, query string) (p walPages, err error) {
	st, err := w.prepare(ctx, query)
	if err != nil || st == nil {
		return p, err
	}
	return p, st.GetContext(ctx, &p)
}

func (l *wal) close() error {
	close(l.pass)
	<-l.ended
	return l.pool.Close()
}
