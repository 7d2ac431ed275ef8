package store

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

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
	case u.DirectoryID != "":
		return u, tx.managed(u, fault.Word("Assign the person there."))
	case u.EndedBy == access.Directory:
		return u, fault.Denied.On("directory", "A directory ended the access of %s. It can only be given back there.", u.DisplayName)
	case u.LastSignInAt != 0:
		return u, fault.Conflict.Say("%s has signed in before. Restore or reactivate the person instead.", u.DisplayName)
	case u.Status == Deleted:
		if u, err = tx.RestoreUser(id, why); err != nil {
			return u, err
		}
	case u.Status == Invited:
		return u, fault.Conflict.Say("%s has an open invitation already.", u.DisplayName)
	case u.Status != Deactivated:
		return u, fault.Conflict.Say("%s has an account, so there is no invitation to open again.", u.DisplayName)
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

// StartUser makes an invited person active by hand, without the invitation. Who does so
// gives a first way in, and may do all that the person may. Whom a directory manages is
// active already. Needs Write. Faults: NotFound, Denied, Conflict (not invited).
func (tx *Tx) StartUser(id UserID, why string) (User, error) {
	for _, p := range []access.Permission{access.InviteUsers, access.CreateUsers} {
		if err := tx.Require(p); err != nil {
			return User{}, err
		}
	}
	u, err := tx.User(id)
	if err != nil {
		return u, err
	}
	switch {
	case tx.mayTouch(u) != nil:
		return u, tx.mayTouch(u)
	case u.Status == Active:
		return u, fault.Conflict.Say("%s is active, so there is no open invitation.", u.DisplayName)
	case u.Status != Invited:
		return u, fault.Conflict.Say("%s is deactivated, so there is no open invitation.", u.DisplayName)
	}
	return tx.start(u, why)
}
