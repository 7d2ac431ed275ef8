package store

import (
	"cmp"
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
// Counting a day reads each of its sign-ins, so what was counted is kept; that is why
// this needs Write. Faults: Denied.
func (tx *Tx) SignInDays(days int) ([]SignInCount, error) {
	if err := tx.Require(access.ViewActivity); err != nil {
		return nil, err
	}
	end := TimeOf(tx.Now().Time().Truncate(aDay)).Add(aDay)
	begin := end.Add(-time.Duration(days) * aDay)
	var list []SignInCount
	if err := tx.Select(&list, "SELECT day, method, result, n FROM signin_days WHERE org_id = ? AND day >= ? ORDER BY day, method, result", tx.Org(), begin); err != nil {
		return nil, err
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
		found, err := tx.countSignIns(day)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
		if day.Add(aDay+countAfter) > tx.Now() {
			continue
		}
		for _, c := range append(found, SignInCount{Day: day}) {
			if err := tx.Post("INSERT INTO signin_days (org_id, day, method, result, n) VALUES (?, ?, ?, ?, ?) ON CONFLICT (org_id, day, method, result) DO NOTHING",
				[]any{tx.Org(), c.Day, c.Method, c.Result, c.N}, nil); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(list, func(a, b SignInCount) int { return cmp.Compare(a.Day, b.Day) })
	return list, nil
}

const signInsOfDay = `SELECT CASE WHEN method = '' THEN 'other' ELSE method END AS method, result, SUM(1 + repeats) AS n FROM signins
	WHERE org_id = ? AND at >= ? AND at < ? GROUP BY 1, 2 ORDER BY 1, 2`

func (tx *Tx) countSignIns(day Time) ([]SignInCount, error) {
	var list []SignInCount
	err := tx.Select(&list, signInsOfDay, tx.Org(), day, day.Add(aDay))
	for i := range list {
		list[i].Day = day
	}
	return list, err
}
