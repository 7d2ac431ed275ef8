package store

import (
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// HoldRole refuses a role that is not there; one that is stays so until the commit.
// Faults: Invalid on "role".
func (tx *Tx) HoldRole(name string) error {
	_, err := tx.holdRoles([]string{name})
	return err
}

// holdRoles are those of some roles that the organization made, held until the commit.
// For built-in ones alone it asks nothing.
func (tx *Tx) holdRoles(names []string) ([]OrgRole, error) {
	var own []string
	for _, n := range names {
		if !slices.Contains(access.BuiltIn(), n) {
			own = append(own, n)
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	if tx.mode == modeCommand {
		return nil, errTransaction
	}
	var rows []roleRow
	if err := tx.Select(&rows, roleColumns+" WHERE org_id = ? AND name IN (SELECT value FROM {{each_text}}){{share}}", tx.Org(), jsonList(own)); err != nil {
		return nil, err
	}
	list := []OrgRole{}
	for _, row := range rows {
		list = append(list, tx.db.role(row))
	}
	for _, n := range own {
		if !slices.ContainsFunc(list, func(r OrgRole) bool { return r.ID == n }) {
			return list, tx.noRole(n)
		}
	}
	return list, nil
}

func (tx *Tx) noRole(name string) error {
	all, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	names := []string{}
	for _, r := range all {
		names = append(names, r.ID)
	}
	return fault.Invalid.On("role", "There is no role %.64q. Choose one of %s.", name, strings.Join(names, ", "))
}

// mayGive refuses roles that are not there, and those that allow more than the actor
// may. What everybody gets anyway is nobody's to withhold.
func (tx *Tx) mayGive(roles []string) error {
	own, err := tx.holdRoles(roles)
	if err != nil || !tx.limited() {
		return err
	}
	for _, name := range roles {
		if name == DefaultRole {
			continue
		}
		var r OrgRole
		if i := slices.IndexFunc(own, func(o OrgRole) bool { return o.ID == name }); i >= 0 {
			r = own[i]
		} else if r, err = tx.OrgRole(name); err != nil {
			return err
		}
		if err := tx.Exceeds(r); err != nil {
			return err
		}
	}
	return nil
}

// Exceeds refuses a role that the actor may not give, as it allows more than the actor
// may. Faults: Denied on "role".
func (tx *Tx) Exceeds(r OrgRole) error {
	if !tx.limited() || r.ID == DefaultRole {
		return nil
	}
	for _, p := range r.Permissions {
		if !tx.actor.May(p) {
			return fault.Denied.On("role", "The role %s allows more than you may do yourself (%s), so you cannot give it. Ask an admin.", r.Name, p)
		}
	}
	return nil
}

// limited tells of actors who may not do everything in the organization: people and
// keys whose roles leave something out.
func (tx *Tx) limited() bool {
	return (tx.actor.Kind == access.Person || tx.actor.Kind == access.Key) && !tx.actor.May(access.Configure)
}

// mayReach keeps whoever has some permissions away from those who have more: who may
// write somebody else's address could sign in as them. Faults: Denied.
func (tx *Tx) mayReach(u User) error {
	if !tx.limited() || tx.actor.Kind == access.Person && tx.actor.ID == string(u.ID) {
		return nil
	}
	grants, err := tx.RolesOf([]UserID{u.ID})
	if err != nil {
		return err
	}
	all, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	return tx.outranked(u, RoleNames(grants[u.ID]), all)
}

// outranked refuses when one of the roles of a person allows what the actor may not.
func (tx *Tx) outranked(u User, names []string, all []OrgRole) error {
	for _, r := range all {
		if !slices.Contains(names, r.ID) {
			continue
		}
		for _, p := range r.Permissions {
			if (access.Delegable(p) || p == access.Configure) && !tx.actor.May(p) {
				return fault.Denied.On("role", "%s has the role %s, which allows more than you may do yourself. Ask an admin.", u.DisplayName, r.Name)
			}
		}
	}
	return nil
}

// MayTouchAs is MayTouch for one of many, whose roles are known. Faults: Denied.
func (tx *Tx) MayTouchAs(u User, grants []Grant, all []OrgRole) error {
	if err := tx.keptApart(u); err != nil {
		return err
	}
	if !tx.limited() || tx.actor.Kind == access.Person && tx.actor.ID == string(u.ID) {
		return nil
	}
	return tx.outranked(u, RoleNames(grants), all)
}

// Harmless tells whether the role allows to change nothing in Muster, so that no person
// needs to look who gets it.
func (r OrgRole) Harmless() bool { return r.givesUnmapped() }

// givesUnmapped tells whether a directory's value that is the role's name gives it
// without being mapped: not where it allows to change anything in Muster.
func (r OrgRole) givesUnmapped() bool {
	for _, p := range r.Permissions {
		if access.Delegable(p) && !slices.Contains(access.Of(access.Viewer), p) {
			return false
		}
	}
	return r.ID != access.Admin
}
