package store

import (
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Defaults are the role and the teams of new people for whom nobody says any: for
// everybody, by how they come, and by the directory or the connection that brings them,
// whose own word wins. They are read with the organization's schemas, so that a new person
// costs no statement more.

// DefaultsSetting is the group of settings.
const DefaultsSetting = "defaults"

// FromDefault is the kind of reason of what was given by default; the reason's Ref is the
// source, directory or connection whose default it was, or "all".
const FromDefault = "default"

// Default is what one kind of new people gets.
type Default struct {
	Role  string    `json:"role"`  // empty: DefaultRole, without being given
	Teams []GroupID `json:"teams"` // local groups
}

// Defaults of an organization.
type Defaults struct {
	Default
	For map[string]Default `json:"for"` // by source, directory or connection
}

// sourceOrder are the ways in which people come.
var sourceOrder = []Source{FromInvite, FromCSV, FromJIT, FromSCIM, FromAPI}

// Sources are the ways in which people come, in the order of forms.
func Sources() []Source { return slices.Clone(sourceOrder) }

// of is what holds for a source, and for whom it was chosen.
func (d Defaults) of(from Source, by string) (Default, string) {
	for _, key := range []string{by, string(from)} {
		if one, ok := d.For[key]; ok && key != "" {
			return one, key
		}
	}
	return d.Default, "all"
}

// DefaultFor is what new people get who come this way by the actor, as it was chosen at
// most two seconds ago. The role is never empty.
func (tx *Tx) DefaultFor(from Source) (Default, error) {
	one, _, err := tx.defaultFor(from)
	if one.Role == "" {
		one.Role = DefaultRole
	}
	return one, err
}

func (tx *Tx) defaultFor(from Source) (Default, string, error) {
	if _, err := tx.Definitions(); err != nil {
		return Default{}, "", err
	}
	by := ""
	if tx.actor.Kind == access.Directory || tx.actor.Kind == access.Connection {
		by = tx.actor.ID
	}
	one, key := tx.db.schemas.get(tx.Org()).defaults.of(from, by)
	return one, key, nil
}

// withDefaults fills in the role of a new person, and tells which teams come with it. What a
// directory sends in roles decides for itself.
func (tx *Tx) withDefaults(in *NewUser) (teams []GroupID, why Reason, err error) {
	if in.BreakGlass {
		return nil, why, nil
	}
	one, key, err := tx.defaultFor(in.Source)
	if err != nil {
		return nil, why, err
	}
	why = Reason{Kind: FromDefault, Ref: key}
	if one.Role != "" && len(in.Roles) == 0 && (tx.actor.Kind != access.Directory || !sends(in.Doc)) {
		if _, err := tx.holdRoles([]string{one.Role}); err == nil {
			in.Roles, in.Reason = []string{one.Role}, why
		} else if !fault.Is(err, fault.Invalid) { // else the role has ended since
			return nil, why, err
		}
	}
	if len(one.Teams) > 0 {
		err = tx.whole()
	}
	return one.Teams, why, err
}

// joinDefaults puts new people into teams, as Muster: whoever made them need not be
// allowed to. A team that is gone is passed over.
func (tx *Tx) joinDefaults(users []UserID, teams []GroupID, why Reason) error {
	if len(users) == 0 || len(teams) == 0 {
		return nil
	}
	who := tx.actor
	defer func() { tx.actor = who }()
	tx.actor = access.Muster(who.Org)
	tx.actor.IP, tx.actor.Request = who.IP, who.Request
	for _, team := range teams {
		if _, err := tx.AddMembers(team, users); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if _, err := tx.Exec(insertJoined, why.Kind, why.Ref, why.Detail, tx.Now(), tx.Org(), team, jsonList(users)); err != nil {
			return err
		}
	}
	return nil
}

const insertJoined = `INSERT INTO member_reasons (org_id, user_id, group_id, reason_kind, reason_ref, reason_detail, member_since, since)
	SELECT org_id, user_id, group_id, {{as_text}}, {{as_text}}, {{as_text}}, since, {{as_int}} FROM members WHERE org_id = ? AND group_id = ? AND user_id {{in_ids}}`

// Defaults are what the organization chose, of teams those that are still there, and the
// version for SetDefaults. Faults: Denied.
func (tx *Tx) Defaults() (d Defaults, version int64, err error) {
	if err := tx.Require(access.Configure); err != nil {
		return d, 0, err
	}
	version, err = tx.OrgSetting(DefaultsSetting, &d)
	if d.For == nil {
		d.For = map[string]Default{}
	}
	if err != nil {
		return d, version, err
	}
	return d, version, tx.dropGone(&d)
}

// dropGone leaves out teams that were deleted since: nobody comes into them, and who changes
// something else need not know of them.
func (tx *Tx) dropGone(d *Defaults) error {
	ids := slices.Clone(d.Teams)
	for _, one := range d.For {
		ids = append(ids, one.Teams...)
	}
	if len(ids) == 0 {
		return nil
	}
	there, err := tx.LocalTeams(ids)
	if err != nil {
		return err
	}
	gone := func(id GroupID) bool {
		return !slices.ContainsFunc(there, func(g GroupRef) bool { return g.ID == id })
	}
	d.Teams = slices.DeleteFunc(d.Teams, gone)
	for key, one := range d.For {
		one.Teams = slices.DeleteFunc(one.Teams, gone)
		d.For[key] = one
	}
	return nil
}

// SetDefaults stores them. Needs Write. Faults: Denied, Invalid on "role", "teams" or
// "for", Conflict (changed since version).
func (tx *Tx) SetDefaults(d Defaults, version int64) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	local, err := tx.TeamNames()
	if err != nil {
		return err
	}
	known := map[GroupID]bool{}
	for _, t := range local {
		known[t.ID] = true
	}
	all := []Default{d.Default}
	for key, one := range d.For {
		if !slices.Contains(sourceOrder, Source(key)) && !isID(key) {
			return fault.Invalid.On("for", "%.40q is neither a source (invite, csv, jit, scim, api) nor the id of a directory or connection.", key)
		}
		all = append(all, one)
	}
	if len(all) > 200 {
		return fault.Invalid.On("for", "These are %d defaults; at most 200 are possible.", len(all))
	}
	for _, one := range all {
		if one.Role == access.Admin {
			return fault.Invalid.On("role", "Nobody becomes an admin by default. Choose another role.")
		}
		if one.Role != "" {
			if err := tx.HoldRole(one.Role); err != nil {
				return err
			}
		}
		if len(one.Teams) > 20 {
			return fault.Invalid.On("teams", "These are %d teams; at most 20 can be a default.", len(one.Teams))
		}
		for _, t := range one.Teams {
			if !known[t] {
				return fault.Invalid.On("teams", "%.40q is not a team of this organization.", string(t))
			}
		}
	}
	tx.AfterCommit(func() { tx.db.schemas.forget(tx.Org()) })
	return tx.SetOrgSetting(DefaultsSetting, d, version)
}

// defaultsWith are the defaults that give a role, in words.
func (tx *Tx) defaultsWith(role string) ([]string, error) {
	var d Defaults
	if _, err := tx.OrgSetting(DefaultsSetting, &d); err != nil {
		return nil, err
	}
	used := d.Role == role
	for _, one := range d.For {
		used = used || one.Role == role
	}
	if !used {
		return nil, nil
	}
	return []string{"the default role of new people (settings)"}, nil
}

// TeamsNamed reads team names with | between. Faults: Invalid on field.
func (tx *Tx) TeamsNamed(field, text string) ([]GroupID, error) {
	teams, err := tx.TeamNames()
	list := []GroupID{}
	for name := range strings.SplitSeq(text, "|") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		t, ok := teams[Fold(name)]
		if !ok {
			return nil, fault.Invalid.On(field, "There is no team %.100q. Several are separated by |.", name)
		}
		list = append(list, t.ID)
	}
	return list, err
}
