package store

import (
	"github.com/muster-id/muster/internal/access"
)

// Each page of a list tells how many there are in all. Counting costs fifty times
// the page at 100,000 users, so the statements that create, delete and move people
// and groups keep the numbers, spread over rows so that they do not wait for one
// another (slots.go). Break-glass accounts, which directories never see, are not counted.

const (
	countUsers  = "user"
	countGroups = "group"
)

const bumpCount = `INSERT INTO counts (org_id, directory_id, kind, slot, n)
	{{row}}{{as_id}}, {{as_id}}, {{as_text}}, {{as_int}}, {{as_int}}{{end_row}}
	ON CONFLICT (org_id, directory_id, kind, slot) DO UPDATE SET n = counts.n + excluded.n`

// countStep adds by to the number of those whom the directory manages, or nobody.
func (tx *Tx) countStep(kind string, of DirectoryID, by int) step {
	if of == "" {
		of = noID
	}
	return step{bumpCount, []any{tx.Org(), of, kind, tx.slot(), by}}
}

// moveSteps are the counts of a person who goes from one manager to another.
// Nobody's count comes first, always: two who lock both must do so in one order.
func (tx *Tx) moveSteps(from, to DirectoryID) []step {
	if from == to {
		return nil
	}
	if from == "" {
		return []step{tx.countStep(countUsers, from, -1), tx.countStep(countUsers, to, 1)}
	}
	return []step{tx.countStep(countUsers, to, 1), tx.countStep(countUsers, from, -1)}
}

// counted is the number of users or groups that the directory acting sees.
func (tx *Tx) counted(kind string) (n int, err error) {
	nobodys := noID // of the users; local groups are out of its sight
	if kind == countGroups {
		nobodys = tx.actor.ID
	}
	return n, tx.Get(&n, "SELECT CAST(COALESCE(SUM(n), 0) AS {{int}}) FROM counts WHERE org_id = ? AND kind = ? AND directory_id IN (?, ?)",
		tx.Org(), kind, tx.actor.ID, nobodys)
}

// adopt makes the directory the manager of the people it puts into a group and whom
// nobody manages yet. It tells whether there were any.
func (tx *Tx) adopt(ids []UserID) (bool, error) {
	if tx.actor.Kind != access.Directory {
		return false, nil
	}
	var free []User
	err := tx.Select(&free, userColumns+" WHERE org_id = ? AND id {{in_ids}} AND directory_id IS NULL AND deleted_at = 0 AND NOT break_glass ORDER BY id",
		tx.Org(), jsonList(ids))
	if err != nil || len(free) == 0 {
		return false, err
	}
	if tx.mode == modeCommand {
		return false, errTransaction
	}
	for _, u := range free {
		if _, err := tx.UpdateUser(u, UserChange{Why: "put into a group by its directory"}); err != nil {
			return false, err
		}
	}
	return true, nil
}
