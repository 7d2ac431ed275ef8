package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/muster-id/muster/internal/access"
)

// PeopleCount is how many people are in a state and came in one way.
type PeopleCount struct {
	Status Status `db:"status"`
	Source Source `db:"source"`
	N      int64  `db:"n"`
}

// PeopleCounts counts everybody but the deleted. It reads the whole table of the
// organization: an index on the state would make each change of it dearer, which
// directories make all day (measured: 40 ms at 100,000 people). Faults: Denied.
func (tx *Tx) PeopleCounts() (list []PeopleCount, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	return list, tx.Select(&list, peopleCounts, tx.Org())
}

const peopleCounts = "SELECT status, source, COUNT(*) AS n FROM users WHERE org_id = ? AND deleted_at = 0 GROUP BY status, source ORDER BY status, source"

// SignInCount is how many sign-ins a day (UTC) had by one method.
type SignInCount struct {
	Day    Time   `db:"day"` // its begin
	Method string `db:"method"`
	Result string `db:"result"` // SignedIn, SignInFailed
	N      int64  `db:"n"`
}

const aDay = 24 * time.Hour

// countAfter is how long after its end a day is counted for good: then whatever was
// being written at midnight is there.
const countAfter = 10 * time.Minute

// SignInDays are the sign-ins of the last days, oldest first, today so far included.
// Counting a day reads each of its sign-ins, so a day that is over is counted once and
// kept. Only that is a write: nobody who writes waits for the counting. Faults: Denied.
func (db *DB) SignInDays(ctx context.Context, actor access.Actor, days int) (list []SignInCount, err error) {
	var over []SignInCount
	err = db.Read(ctx, actor, func(tx *Tx) error {
		list, over, err = tx.signInDays(days)
		return err
	})
	if err != nil || len(over) == 0 {
		return list, err
	}
	return list, db.Write(ctx, actor, func(tx *Tx) error {
		for _, c := range over {
			if err := tx.Post("INSERT INTO signin_days (org_id, day, method, result, n) VALUES (?, ?, ?, ?, ?) ON CONFLICT (org_id, day, method, result) DO NOTHING",
				[]any{tx.Org(), c.Day, c.Method, c.Result, c.N}, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// signInDays gives what is to be kept of them besides; a row without a method says that
// its day was counted.
func (tx *Tx) signInDays(days int) (list, over []SignInCount, err error) {
	if err := tx.Require(access.ViewActivity); err != nil {
		return nil, nil, err
	}
	end := TimeOf(tx.Now().Time().Truncate(aDay)).Add(aDay)
	begin := end.Add(-time.Duration(days) * aDay)
	if err := tx.Select(&list, "SELECT day, method, result, n FROM signin_days WHERE org_id = ? AND day >= ? ORDER BY day, method, result", tx.Org(), begin); err != nil {
		return nil, nil, err
	}
	counted := map[Time]bool{}
	for _, c := range list {
		counted[c.Day] = counted[c.Day] || c.Method == ""
	}
	list = slices.DeleteFunc(list, func(c SignInCount) bool { return c.Method == "" })
	for day := begin; day < end; day = day.Add(aDay) {
		if counted[day] {
			continue
		}
		var found []SignInCount
		if err := tx.Select(&found, signInsOfDay, day, tx.Org(), day, day.Add(aDay)); err != nil {
			return nil, nil, err
		}
		list = append(list, found...)
		if day.Add(aDay+countAfter) <= tx.Now() {
			over = append(append(over, found...), SignInCount{Day: day})
		}
	}
	slices.SortStableFunc(list, func(a, b SignInCount) int { return cmp.Compare(a.Day, b.Day) })
	return list, over, nil
}

const signInsOfDay = `SELECT {{as_int}} AS day, CASE WHEN method = '' THEN 'other' ELSE method END AS method, result, SUM(1 + repeats) AS n FROM signins
	WHERE org_id = ? AND at >= ? AND at < ? GROUP BY 2, 3 ORDER BY 2, 3`
