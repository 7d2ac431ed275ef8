package records

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Link says that a user is the one of a record; a second time changes nothing. Needs
// Write. Faults: Denied, NotFound (user, record), Conflict on "record" (the user has
// another one of the kind, or the record somebody else).
func Link(tx *store.Tx, user store.UserID, ref Ref) error {
	u, err := touch(tx, user)
	if err != nil {
		return err
	}
	r, err := find(tx, ref, tx.ForUpdate())
	if err != nil {
		return err
	}
	if r.UserID == user {
		return nil
	}
	if r.UserID != "" {
		return fault.Conflict.On("record", "%s (%s) is linked to %s already. Unlink it there first.", r.Name, ref, r.UserName)
	}
	if err := dropStale(tx, ref); err != nil {
		return err
	}
	won, err := insertLink(tx, Linked{UserID: user, Ref: ref, Name: r.Name, By: tx.Actor().Name, Since: tx.Now()})
	if err != nil {
		return err
	}
	if !won {
		return fault.Conflict.On("record", "%s is linked to another %s already. Unlink that one first.", u.DisplayName, ref.Kind)
	}
	return tx.Record(store.Activity{Action: "user.record.link", TargetKind: "user", TargetID: string(user), TargetName: u.DisplayName,
		Detail: map[string]any{"record": ref.String(), "name": r.Name}})
}

// Unlink ends a user's link of a kind. Needs Write. Faults: Denied, NotFound.
func Unlink(tx *store.Tx, user store.UserID, kind string) error {
	u, err := touch(tx, user)
	if err != nil {
		return err
	}
	l, err := takeLink(tx, user, kind)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFound.On("kind", "%s is linked to no %.40s.", u.DisplayName, kind)
	}
	if err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "user.record.unlink", TargetKind: "user", TargetID: string(user), TargetName: u.DisplayName,
		Detail: map[string]any{"record": l.Ref.String(), "name": l.Name}})
}

// touch finds a user whom the actor may link: whoever may invite may do so to those who
// are invited.
func touch(tx *store.Tx, user store.UserID) (store.User, error) {
	u, err := tx.User(user)
	if err != nil {
		return u, err
	}
	if u.Status != store.Invited || tx.Require(access.InviteUsers) != nil {
		if err := tx.Require(access.EditUsers); err != nil {
			return u, err
		}
	}
	return u, tx.MayTouch(u)
}

// Of tells the links of several people, in one query. Faults: Denied, unless the actor is the one person.
func Of(tx *store.Tx, users []store.UserID) (map[store.UserID][]Linked, error) {
	self := len(users) == 1 && tx.Actor().Kind == access.Person && tx.Actor().ID == string(users[0])
	if !self {
		if err := tx.Require(access.ViewUsers); err != nil {
			return nil, err
		}
	}
	rows, err := linksOf(tx, users)
	of := make(map[store.UserID][]Linked, len(users))
	for _, l := range rows {
		of[l.UserID] = append(of[l.UserID], l)
	}
	return of, err
}
