package store

import (
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// RestoreFor is how long a deleted person can be restored.
const RestoreFor = 30 * 24 * time.Hour

// Deactivate ends a person's access; everything that asks for the status sees it
// from the commit on. Faults: NotFound, Denied, Conflict (the last admin). Needs
// Write unless a directory acts.
func (tx *Tx) Deactivate(id UserID, why string) (User, error) {
	return tx.setStatus(id, UserChange{Status: new(Deactivated), Why: why})
}

// Leave is Deactivate with a reason and the person who takes over. Needs Write. Faults:
// also Invalid on "reason" and "successor".
func (tx *Tx) Leave(id UserID, l Leaving) (User, error) {
	l, err := tx.CheckLeaving(id, l)
	if err != nil {
		return User{}, err
	}
	return tx.setStatus(id, UserChange{Status: new(Deactivated), Leave: l})
}

// Reactivate gives access back. Faults: NotFound, Denied (a directory ended it),
// Conflict (never accepted, or on "seats"), Invalid on "why".
func (tx *Tx) Reactivate(id UserID, why string) (User, error) {
	why, err := whyOf(why)
	if err != nil {
		return User{}, err
	}
	return tx.setStatus(id, UserChange{Status: new(Active), Why: why})
}

func (tx *Tx) setStatus(id UserID, ch UserChange) (User, error) {
	u, err := tx.User(id)
	if err != nil {
		return u, err
	}
	return tx.UpdateUser(u, ch)
}

// ActivateUser turns an invited person into an active one: on accepting the
// invitation (the actor is that person) or on a first sign-in. An active person
// stays so. Faults: NotFound, Denied (deactivated, or not the actor's to do).
func (tx *Tx) ActivateUser(id UserID, why string) (User, error) {
	self := tx.actor.Kind == access.Person && tx.actor.ID == string(id)
	if !self && !tx.actor.May(access.SignInUsers) {
		return User{}, fault.Denied.Say("Only the invited person can accept the invitation.")
	}
	u, err := tx.anyUser(id)
	if err != nil || u.Status == Active {
		return u, err
	}
	if u.Status != Invited {
		return u, fault.Denied.Say("This account is not active. Ask an admin of your organization.")
	}
	return tx.start(u, why)
}

// start makes an invited person active.
func (tx *Tx) start(u User, why string) (User, error) {
	next := u
	next.Status, next.Version, next.UpdatedAt = Active, u.Version+1, tx.Now()
	return tx.moved(u, next, step{updateUserStatus, []any{u.DirectoryID, next.Status, next.Status, next.UpdatedAt, "", next.UpdatedAt, tx.Org(), u.ID, u.Version}}, nil, "user.activate", Leaving{Why: why})
}

// DeleteUser takes a person out of sight: gone from every list and group, the
// name free, the row kept as a tombstone. Needs Write. Faults: NotFound, Denied,
// Conflict (the last admin).
func (tx *Tx) DeleteUser(id UserID, why string) (User, error) {
	return tx.DeleteWith(id, Leaving{Why: why})
}

// DeleteWith is DeleteUser with a reason and the person who takes over. Needs Write.
// Faults: also Invalid on "reason" and "successor".
func (tx *Tx) DeleteWith(id UserID, l Leaving) (User, error) {
	if err := tx.Require(access.EndUsers); err != nil {
		return User{}, err
	}
	l, err := tx.CheckLeaving(id, l)
	if err != nil {
		return User{}, err
	}
	u, err := tx.User(id)
	if err != nil {
		return u, err
	}
	if err := tx.mayTouch(u); err != nil {
		return u, err
	}
	if u.Status == Active {
		if err := tx.keepAdmin(id); err != nil {
			return u, err
		}
	}
	ended := u
	ended.Status = Deleted // the seat is free, whatever roles go
	if err := tx.dropGrants(ended); err != nil {
		return u, err
	}
	next := u
	next.Status, next.EndedBy, next.Version, next.UpdatedAt, next.DeletedAt = Deleted, tx.actor.Kind, u.Version+1, tx.Now(), tx.Now()
	_, err = tx.moved(u, next, step{`UPDATE users SET status = 'deleted', ended_by = ?, version = version + 1, updated_at = ?, deleted_at = ?
		WHERE org_id = ? AND id = ? AND version = ? AND deleted_at = 0`,
		[]any{next.EndedBy, next.UpdatedAt, next.DeletedAt, tx.Org(), id, u.Version}}, []step{tx.countStep(countUsers, u.DirectoryID, -1)}, "user.delete", l)
	if err != nil {
		return u, err
	}
	// In statements of their own: the row is locked now, so whoever was adding the
	// person to a group has finished, and these see it.
	if _, err = tx.Exec(`INSERT INTO group_epochs (org_id, group_id, slot, n, changed_at)
		SELECT org_id, group_id, 0, 1, {{as_int}} FROM members WHERE org_id = ? AND user_id = ?
		ON CONFLICT (org_id, group_id, slot) DO UPDATE SET n = group_epochs.n + 1, changed_at = excluded.changed_at`, next.UpdatedAt, tx.Org(), id); err != nil {
		return u, err
	}
	if _, err = tx.Exec("DELETE FROM members WHERE org_id = ? AND user_id = ?", tx.Org(), id); err != nil {
		return u, err
	}
	if _, err = tx.Exec("DELETE FROM user_values WHERE org_id = ? AND user_id = ?", tx.Org(), id); err != nil {
		return u, err
	}
	_, err = tx.Exec(deleteExtrasOf, tx.Org(), id)
	return next, err
}

// Detach frees a person from the directory, so that the attributes can be
// edited here; the directory's next write would manage the person again. The roles
// that it gave go. Needs Write. Faults: NotFound, Denied, Conflict (nobody manages
// the person, or the last admin), Invalid on "why".
func (tx *Tx) Detach(id UserID, why string) (User, error) {
	if err := tx.Require(access.Configure); err != nil {
		return User{}, err
	}
	why, err := whyOf(why)
	if err != nil {
		return User{}, err
	}
	u, err := tx.User(id)
	if err != nil {
		return u, err
	}
	if err := tx.mayTouch(u); err != nil {
		return u, err
	}
	if u.DirectoryID == "" {
		return u, fault.Conflict.On("directory", "%s is not managed by a directory.", u.DisplayName)
	}
	if err := tx.dropGrants(u); err != nil {
		return u, err
	}
	next := u
	next.DirectoryID, next.Version, next.UpdatedAt = "", u.Version+1, tx.Now()
	return tx.moved(u, next, step{updateUserStatus, []any{next.DirectoryID, u.Status, u.Status, next.UpdatedAt, u.EndedBy, next.UpdatedAt, tx.Org(), id, u.Version}},
		tx.moveSteps(u.DirectoryID, ""), "user.detach", Leaving{Why: why})
}

// moved writes a change of state with its activity row.
func (tx *Tx) moved(u, next User, head step, counts []step, action string, why Leaving) (User, error) {
	before, after := map[string]any{"status": u.Status}, map[string]any{"status": next.Status}
	if u.UserName != next.UserName {
		before["userName"], after["userName"] = u.UserName, next.UserName
	}
	if u.DirectoryID != next.DirectoryID {
		before["directory"], after["directory"] = u.DirectoryID, next.DirectoryID
	}
	act := Activity{Action: action, TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName, Detail: map[string]any{"before": before, "after": after}}
	why.tell(act.Detail)
	if u.BreakGlass {
		counts = nil
	}
	n, err := tx.change(head, counts, act)
	if err != nil {
		return u, taken(err, next.UserName, u.ExternalID)
	}
	if n == 0 {
		return u, errStale
	}
	return next, nil
}

// Turns are when somebody's access was ended and given back for the last time, by whatever
// door. 0: never.
type Turns struct{ Ended, Deleted, Back Time }

// LastTurns tells them of some people, as the activity log has it; who is deleted is ended,
// too. Faults: Denied.
func (tx *Tx) LastTurns(ids []UserID) (map[UserID]Turns, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	var rows []struct {
		ID      UserID `db:"target_id"`
		Ended   Time   `db:"ended"`
		Deleted Time   `db:"deleted"`
		Back    Time   `db:"back"`
	}
	err := tx.Select(&rows, `SELECT target_id, MAX(CASE WHEN action IN ('user.deactivate', 'user.delete') THEN at ELSE 0 END) AS ended, MAX(CASE WHEN action = 'user.delete' THEN at ELSE 0 END) AS deleted,
		MAX(CASE WHEN action IN ('user.reactivate', 'user.reinvite') THEN at ELSE 0 END) AS back FROM activity
		WHERE org_id = ? AND target_id {{in_texts}} AND action IN ('user.deactivate', 'user.delete', 'user.reactivate', 'user.reinvite') GROUP BY target_id`, tx.Org(), jsonList(ids))
	last := make(map[UserID]Turns, len(rows))
	for _, r := range rows {
		last[r.ID] = Turns{r.Ended, r.Deleted, r.Back}
	}
	return last, err
}

// anyUser finds a person in every state, also deleted.
func (tx *Tx) anyUser(id UserID) (User, error) {
	var u User
	err := tx.Get(&u, userColumns+" WHERE org_id = ? AND id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return u, fault.NotFound.Wrap(err, "There is no such user.")
	}
	return u, err
}

// AnyUser finds a person in every state, deleted ones too, for the console and
// for sign-ins that must say what became of an account. Faults: NotFound, Denied.
func (tx *Tx) AnyUser(id UserID) (User, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return User{}, err
	}
	if tx.actor.Kind == access.Directory {
		return tx.User(id)
	}
	return tx.anyUser(id)
}
