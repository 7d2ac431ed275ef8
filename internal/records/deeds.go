package records

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Deed is something that a person did in an application: a ticket handled, a reply sent.
// It is not of Muster's own record of changes, which nobody writes to from outside.
type Deed struct {
	ID    store.ID[Deed] `db:"id"`
	User  store.UserID   `db:"user_id"`
	At    store.Time     `db:"at"`
	App   string         `db:"app"` // the name of the key by which it was told
	Ref   string         `db:"ref"` // the application's own name of it
	Kind  string         `db:"kind"`
	Title string         `db:"title"`
	URL   string         `db:"url"`
	N     int64          `db:"n"` // how many: 1 usually
}

// Told is a deed as an application tells it.
type Told struct {
	Ref, Kind, Title, URL string
	User                  string // id or user name
	At                    time.Time
	N                     int64 // 1 when 0
}

const (
	// MaxTold is how many deeds are taken at once, and MaxBody what they may be long
	// together: all of them with all that each may hold.
	MaxTold = 500
	MaxBody = 2 << 20
	// DeedAge is how long deeds are kept.
	DeedAge = 400 * 24 * time.Hour

	maxCount = 1_000_000
	ahead    = 5 * time.Minute // what clocks may differ
)

var deedForm = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,59}$`)

func (t *Told) check(now time.Time) error {
	if !deedForm.MatchString(t.Kind) {
		return fault.Invalid.On("kind", "%.60q is no kind of activity. Use lower-case letters, digits, dots and hyphens, such as ticket.handled.", t.Kind)
	}
	if err := needed("ref", t.Ref, 200); err != nil {
		return err
	}
	if err := needed("title", t.Title, 300); err != nil {
		return err
	}
	if t.URL != "" {
		u, err := url.Parse(t.URL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || len(t.URL) > 1000 {
			return fault.Invalid.On("url", "%.80q cannot be a link. Send an address like https://helpdesk.example/tickets/4711, or none.", t.URL)
		}
	}
	if t.N == 0 {
		t.N = 1
	}
	if t.N < 1 || t.N > maxCount {
		return fault.Invalid.On("count", "count is %d; it can be 1 to %d.", t.N, maxCount)
	}
	if t.At.IsZero() {
		t.At = now
	}
	if t.At.After(now.Add(ahead)) || t.At.Before(now.Add(-DeedAge)) {
		return fault.Invalid.On("at", "%s is in the future, or longer ago than the %d days for which this is kept.", t.At.UTC().Format(time.RFC3339), int(DeedAge.Hours()/24))
	}
	return nil
}

// Tell takes what an application tells, all of it or nothing, and says how many of them
// are new: what it has told before changes nothing. Needs Write.
// Faults: Denied, Invalid on the field with the number of the entry.
func Tell(tx *store.Tx, list []Told) (added int, err error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return 0, err
	}
	if len(list) == 0 || len(list) > MaxTold {
		return 0, fault.Invalid.On("entries", "There are %d entries; send 1 to %d at once.", len(list), MaxTold)
	}
	who := map[string]store.UserID{}
	for i := range list {
		t := &list[i]
		err := t.check(tx.Now().Time())
		if err == nil && who[t.User] == "" {
			who[t.User], err = whose(tx, t.User)
		}
		if fault.Is(err, fault.Invalid) {
			return 0, fault.Invalid.WrapOn(err, fault.Field(err), "Entry %d: %s", i+1, fault.Public(err))
		}
		if err != nil {
			return 0, err
		}
	}
	by := tx.Actor()
	// Who tells the same at the same moment in another order waits, and does not block.
	slices.SortStableFunc(list, func(a, b Told) int { return cmp.Compare(a.Ref, b.Ref) })
	for _, t := range list {
		n, err := tx.Exec(`INSERT INTO deeds (org_id, user_id, at, id, app_id, app, ref, kind, title, url, n, received_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, app_id, ref) DO NOTHING`,
			tx.Org(), who[t.User], store.TimeOf(t.At), store.NewID[Deed](), by.ID, by.Name, t.Ref, t.Kind, t.Title, t.URL, t.N, tx.Now())
		if err != nil {
			return 0, err
		}
		added += int(n)
	}
	return added, nil
}

// whose finds a person by id or user name. Faults: Invalid on "user".
func whose(tx *store.Tx, name string) (store.UserID, error) {
	if err := needed("user", name, 300); err != nil {
		return "", err
	}
	var u store.User
	id, err := store.ParseID[store.User](name)
	if err == nil {
		u, err = tx.User(id)
	} else {
		u, err = tx.UserByName(name)
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.Invalid.On("user", "There is nobody here with the id or user name %.80q.", name)
	}
	return u.ID, err
}

// DeedCursor is the last one of the page before.
type DeedCursor struct {
	At store.Time
	ID store.ID[Deed]
}

// DeedsOf are a person's, newest first. Others' need the right to see people.
// Faults: Denied.
func DeedsOf(tx *store.Tx, user store.UserID, before DeedCursor, limit int) (list []Deed, err error) {
	if by := tx.Actor(); by.Kind != access.Person || by.ID != string(user) {
		if err := tx.Require(access.ViewUsers); err != nil {
			return nil, err
		}
	}
	query, args := "SELECT id, user_id, at, app, ref, kind, title, url, n FROM deeds WHERE org_id = ? AND user_id = ?", []any{tx.Org(), user}
	if before.ID != "" {
		query, args = query+" AND (at, id) < (?, ?)", append(args, before.At, before.ID)
	}
	list = []Deed{}
	return list, tx.Select(&list, query+" ORDER BY at DESC, id DESC LIMIT ?", append(args, min(max(limit, 1), 200))...)
}

// Sum is how much of one kind a person did.
type Sum struct {
	Kind string `db:"kind"`
	N    int64  `db:"n"`
}

// SumsOf adds up a person's deeds of the last days, the most frequent first. Faults: Denied.
func SumsOf(tx *store.Tx, user store.UserID, days int) (list []Sum, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	since := tx.Now().Add(-time.Duration(days) * 24 * time.Hour)
	return list, tx.Select(&list, "SELECT kind, SUM(n) AS n FROM deeds WHERE org_id = ? AND user_id = ? AND at >= ? GROUP BY kind ORDER BY 2 DESC, 1 LIMIT 20", tx.Org(), user, since)
}

// Run removes old deeds until ctx is done.
func Run(ctx context.Context, db *store.DB, log *slog.Logger) error {
	store.Every(ctx, log, time.Hour, nil, "sweep deeds", func(ctx context.Context) error { return Sweep(ctx, db) })
	return nil
}

// Sweep removes what came longer than DeedAge ago.
func Sweep(ctx context.Context, db *store.DB) error {
	_, err := db.Sweep(ctx, "DELETE FROM deeds WHERE received_at < ?", store.TimeOf(db.Now().Add(-DeedAge)))
	return err
}
