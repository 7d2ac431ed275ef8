package store

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// MayReach refuses to hand out what lets somebody in as u to an actor who may do less
// than u. Faults: Denied.
func (tx *Tx) MayReach(u User) error { return tx.mayReach(u) }

// ReinviteUser makes somebody an invited person again who never signed in: after the
// invitation was cancelled (deleted, and restorable), or after being deactivated before
// accepting it. Needs Write. Faults: NotFound, Denied (a directory manages the person,
// or ended the access), Expired, Conflict on userName, on
// seats, or for whoever has signed in.
func (tx *Tx) ReinviteUser(id UserID, why string) (User, error) {
	if err := tx.Require(access.InviteUsers); err != nil {
		return User{}, err
	}
	u, err := tx.AnyUser(id)
	if err != nil {
		return u, err
	}
	switch {
	case tx.mayTouch(u) != nil:
		return u, tx.mayTouch(u)
	case tx.mayReach(u) != nil:
		return u, tx.mayReach(u)
	case u.DirectoryID != "":
		return u, tx.managed(u, "Assign the person there.")
	case u.EndedBy == access.Directory:
		return u, fault.Denied.On("directory", "A directory ended the access of %s. It can only be given back there.", u.DisplayName)
	case u.LastSignInAt != 0:
		return u, fault.Conflict.Say("%s has signed in before. Restore or reactivate the person instead.", u.DisplayName)
	case u.Status == Deleted:
		if u, err = tx.RestoreUser(id, why); err != nil {
			return u, err
		}
	case u.Status != Deactivated:
		return u, fault.Conflict.Say("%s is %s, so there is no invitation to open again.", u.DisplayName, u.Status)
	}
	next := u
	next.Status, next.EndedBy, next.Version, next.UpdatedAt = Invited, "", u.Version+1, tx.Now()
	act := Activity{Action: "user.reinvite", TargetKind: "user", TargetID: string(id), TargetName: u.DisplayName,
		Detail: map[string]any{"before": map[string]any{"status": u.Status}, "after": map[string]any{"status": next.Status}, "why": why}}
	n, err := tx.updated(u, next, seatHead{updateUserStatusGated, updateUserStatus,
		[]any{u.DirectoryID, next.Status, next.Status, next.UpdatedAt, next.EndedBy, next.UpdatedAt, tx.Org(), id, u.Version}}, nil, act)
	if err == nil && n == 0 {
		err = errStale
	}
	return next, err
}
