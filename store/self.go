package store

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Self is who acts, as a person of this organization. It needs no permission: everybody
// may see themselves. Faults: Denied (no person acts), NotFound (deleted).
func (tx *Tx) Self() (User, error) {
	if tx.actor.Kind != access.Person {
		return User{}, fault.Denied.Say("Only people have a profile of their own.")
	}
	u, err := tx.anyUser(UserID(tx.actor.ID))
	if err == nil && u.Status == Deleted {
		err = fault.NotFound.Say("There is no such user.")
	}
	return u, err
}

// UpdateSelf changes what people may change about themselves: names, title and the
// address with the user name, which is the account's to confirm first. It needs no
// permission, but a directory's word is final. Needs Write. Faults: as UpdateUser.
func (tx *Tx) UpdateSelf(change func(*Profile) error, why string) (before, after User, err error) {
	if before, err = tx.Self(); err != nil {
		return before, before, err
	}
	doc, err := before.Attributes()
	if err != nil {
		return before, before, err
	}
	now := profileOf(doc)
	next := now
	if err := change(&next); err != nil {
		return before, before, err
	}
	own := now
	own.GivenName, own.FamilyName, own.DisplayName, own.Title = next.GivenName, next.FamilyName, next.DisplayName, next.Title
	own.Email, own.UserName = next.Email, next.UserName
	own.Apply(doc)
	after, err = tx.UpdateUser(before, UserChange{Doc: doc, Why: why, self: true})
	return before, after, err
}

// FillSelf changes what people fill in of the organization's own attributes; what else
// change does to the document is lost. It needs no permission, but a directory's word is
// final. Needs Write. Faults: as UpdateUser.
func (tx *Tx) FillSelf(change func(Doc) error, why string) (User, error) {
	u, err := tx.Self()
	if err != nil {
		return u, err
	}
	doc, err := u.Attributes()
	if err != nil {
		return u, err
	}
	typed, err := u.Attributes()
	if err != nil {
		return u, err
	}
	if err := change(typed); err != nil {
		return u, err
	}
	defs, err := tx.Definitions()
	if err != nil {
		return u, err
	}
	for _, s := range defs.Of(UserResource) {
		in, _ := doc[s.URN].(map[string]any)
		to, _ := typed[s.URN].(map[string]any)
		for _, a := range s.Attributes {
			if !a.Self || to[a.Name] == nil && in[a.Name] == nil {
				continue
			}
			if in == nil {
				in = map[string]any{}
				doc[s.URN] = in
			}
			if in[a.Name] = to[a.Name]; in[a.Name] == nil {
				delete(in, a.Name)
			}
		}
		if in != nil && len(in) == 0 {
			delete(doc, s.URN)
		}
	}
	return tx.UpdateUser(u, UserChange{Doc: doc, Why: why, self: true})
}
