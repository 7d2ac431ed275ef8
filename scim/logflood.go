package scim

import (
	"fmt"
	"net/http"
	"time"

	"github.com/muster-id/muster/store"
)

// Anybody who knows a base URL can be refused there, and a directory over its rate
// is refused often: some rows a minute tell enough, and one more says how many
// requests have none.

const (
	strangersPerMinute = 20
	limitedPerMinute   = 1
	maxFloods          = 10_000
)

// floodKey is one kind of refusal at one directory.
type floodKey struct {
	directory store.DirectoryID
	limited   bool // over the rate; otherwise without a good token
}

// flood counts the refusals of one minute.
type flood struct {
	of   logOf // empty until the directory is known to be there
	rows int
	more int // that have no row
	last store.Time
}

// admit tells whether a refusal may have a row of its own; otherwise it is counted.
// of may be empty: known says it later.
func (l *Log) admit(key floodKey, of logOf) bool {
	now := store.TimeOf(l.db.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if now > l.minute.Add(time.Minute) || len(l.floods) >= maxFloods {
		l.settle(now)
	}
	f := l.floods[key]
	if f == nil {
		f = &flood{of: of}
		l.floods[key] = f
	}
	most := strangersPerMinute
	if key.limited {
		most = limitedPerMinute
	}
	if f.rows < most {
		f.rows++
		return true
	}
	f.more++
	f.last = now
	l.dropped.Add(1)
	return false
}

// known says that the directory of a flood is there.
func (l *Log) known(key floodKey, of logOf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.floods[key]; f != nil {
		f.of = of
	}
}

// tally makes the rows of floods whose minute is over, or of all.
func (l *Log) tally(all bool) {
	now := store.TimeOf(l.db.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if all || now > l.minute.Add(time.Minute) {
		l.settle(now)
	}
}

// settle begins a new minute; the rows of the old one go into the queue. mu is held.
func (l *Log) settle(now store.Time) {
	for key, f := range l.floods {
		if f.more == 0 || f.of.directory == "" || len(l.changes)+len(l.reads) >= l.limit {
			continue
		}
		row := logRow{Org: f.of.org, Directory: f.of.directory, At: f.last, ID: store.NewID[logRow](), Repeats: f.more, Activities: []store.ActivityID{},
			Status: http.StatusUnauthorized, Refusal: refusedToken, Reason: f.said(key.limited)}
		if key.limited {
			row.Status, row.Refusal = http.StatusTooManyRequests, refusedLimit
		}
		l.touched[f.of] = true
		l.changes = append(l.changes, row)
	}
	clear(l.floods)
	l.minute = now
}

// said is why they were refused.
func (f *flood) said(limited bool) string {
	switch {
	case limited && f.more == 1:
		return "One more request was over the rate within this minute."
	case limited:
		return fmt.Sprintf("%d more requests were over the rate within this minute.", f.more)
	case f.more == 1:
		return "One more request without a good token came within this minute."
	}
	return fmt.Sprintf("%d more requests without a good token came within this minute.", f.more)
}
