package store

import (
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// checkRoleTexts refuses what is no label, and permissions that r cannot have. was is
// the role before, nil for a new one; what is gone from the catalog may stay.
func (tx *Tx) checkRoleTexts(r, was *OrgRole, all []OrgRole) error {
	if r.Name == "" {
		return fault.Invalid.On("label", "The role needs a name that people read, such as Support lead.")
	}
	for _, f := range []struct {
		field, text string
		limit       int
	}{{"label", r.Name, 100}, {"description", r.Description, 400}} {
		if err := fault.Line(f.field, f.text, f.limit); err != nil {
			return err
		}
	}
	for _, o := range all {
		if was != nil && o.ID == was.ID {
			continue
		}
		if o.ID == r.ID {
			return fault.Conflict.On("name", "There is a role named %s already. Choose another name, or change that role.", r.ID)
		}
		if taken := Fold(r.Name); taken == Fold(o.Name) || taken == o.ID || r.ID == Fold(o.Name) {
			return fault.Conflict.On("label", "There is a role called %s already. Choose another name: they would be mixed up.", o.Name)
		}
	}
	return tx.checkPermissions(r, was)
}

func (tx *Tx) checkPermissions(r, was *OrgRole) error {
	kept, gone := []access.Permission{}, []access.Permission{}
	for _, p := range r.Permissions {
		switch {
		case tx.db.catalog.Has(p) || access.Delegable(p) && !r.BuiltIn:
			kept = append(kept, p)
		case was != nil && slices.Contains(was.Gone, p):
			gone = append(gone, p)
		case r.BuiltIn && slices.Contains(access.Of(r.ID), p):
		case access.Delegable(p):
			return fault.Invalid.On("permissions", "What %s may do in Muster itself is fixed. Make a role of your own for %s.", r.Name, p)
		default:
			return fault.Invalid.On("permissions", "There is no permission %.80q that a role can have. `muster role permissions` lists them.", string(p))
		}
	}
	for _, o := range access.OwnPermissions() {
		if slices.Contains(kept, o.Name) && o.Needs != "" && !slices.Contains(kept, o.Needs) {
			return fault.Invalid.On("permissions", "%s is of no use without %s: choose that, too.", o.Name, o.Needs)
		}
	}
	for _, p := range kept {
		if !tx.actor.May(p) && (was == nil || !slices.Contains(was.Permissions, p)) {
			return fault.Denied.On("permissions", "You do not have the permission %s yourself, so you cannot put it into a role.", p)
		}
	}
	if r.Permissions = kept; r.Gone == nil {
		r.Gone = gone
	}
	return nil
}
