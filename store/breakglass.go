package store

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// SetBreakGlass puts a person out of every directory's sight, or back into it, and
// records it as action. Needs Write. Faults: NotFound, Denied, Conflict (a directory
// manages the person, or has the person in a group).
func (tx *Tx) SetBreakGlass(id UserID, hidden bool, action string) (User, error) {
	if err := tx.Require(access.Configure); err != nil {
		return User{}, err
	}
	u, err := tx.User(id)
	if err != nil {
		return u, err
	}
	if hidden {
		if err := tx.unseen(u); err != nil {
			return u, err
		}
	}
	next := u
	next.BreakGlass, next.Version, next.UpdatedAt = hidden, u.Version+1, tx.Now()
	var counts []step
	switch {
	case hidden && !u.BreakGlass:
		counts = []step{tx.countStep(countUsers, u.DirectoryID, -1)}
	case !hidden && u.BreakGlass:
		counts = []step{tx.countStep(countUsers, u.DirectoryID, 1)}
	}
	n, err := tx.change(step{"UPDATE users SET break_glass = ?, version = version + 1, updated_at = ? WHERE org_id = ? AND id = ? AND version = ?",
		[]any{hidden, next.UpdatedAt, tx.Org(), id, u.Version}}, counts,
		Activity{Action: action, TargetKind: "user", TargetID: string(id), TargetName: u.DisplayName,
			Detail: map[string]any{"before": map[string]any{"break_glass": u.BreakGlass}, "after": map[string]any{"break_glass": hidden}}})
	if err != nil {
		return u, err
	}
	if n == 0 {
		return u, errStale
	}
	return next, nil
}

// unseen refuses to hide somebody whom a directory knows.
func (tx *Tx) unseen(u User) error {
	if u.DirectoryID != "" {
		return fault.Conflict.On("user", "%s is managed by a directory, which a break-glass account must not depend on. Choose or invite somebody whom no directory manages.", u.DisplayName)
	}
	var name string
	err := tx.Get(&name, `SELECT g.name FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id
		WHERE m.org_id = ? AND m.user_id = ? AND g.directory_id IS NOT NULL ORDER BY g.id LIMIT 1`, tx.Org(), u.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.Conflict.On("user", "%s is in the group %s of a directory. Take the person out of it there first: no directory may know a break-glass account.", u.DisplayName, name)
}
