package store

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Group is a set of users: a directory's group, or a local one, which the console
// calls a team.
type Group struct {
	ID          GroupID     `db:"id"`
	DirectoryID DirectoryID `db:"directory_id"` // empty: local
	Name        string      `db:"name"`
	ExternalID  string      `db:"external_id"`
	Doc         JSON        `db:"doc"`
	Version     int64       `db:"version"` // of the document
	Epoch       int64       `db:"epoch"`   // of the members
	CreatedAt   Time        `db:"created_at"`
	UpdatedAt   Time        `db:"updated_at"` // document or members, whichever was later
	HasGroups   bool        `db:"has_groups"` // some of its members are groups
}

// ETagVersion changes whenever the document or the members do.
func (g Group) ETagVersion() string {
	return strconv.FormatInt(g.Version, 10) + "." + strconv.FormatInt(g.Epoch, 10)
}

// Attributes is the document, decoded; the caller may change it.
func (g Group) Attributes() (Doc, error) { return decodeDoc(g.Doc) }

// NewGroup is what CreateGroup needs.
type NewGroup struct {
	ID         GroupID         // a new one when empty; set where others must name the group before
	Doc        Doc             // displayName is required
	Members    []UserID        // users, or groups by their ids
	Said       map[UserID]Kind // what the caller takes some of the members for
	SharedName bool            // the directory may have another group of this name
}

const hasGroups = `EXISTS (SELECT 1 FROM subgroups n WHERE n.org_id = g.org_id AND n.group_id = g.id) AS has_groups`

const groupColumns = `SELECT g.id, g.directory_id, g.name, COALESCE(g.external_id, '') AS external_id, g.doc, g.version, g.created_at, ` + hasGroups + `,
	COALESCE((SELECT MAX(e.changed_at) FROM group_epochs e WHERE e.org_id = g.org_id AND e.group_id = g.id AND e.changed_at > g.updated_at), g.updated_at) AS updated_at,
	(SELECT COALESCE(CAST(SUM(e.n) AS {{int}}), 0) FROM group_epochs e WHERE e.org_id = g.org_id AND e.group_id = g.id) AS epoch FROM groups g`

// CreateGroup adds a group; a directory becomes its owner. Fit for Command: it is
// one statement, unless there are groups among the members. Faults: Denied, Invalid (also unknown members), Conflict on
// displayName or externalId.
func (tx *Tx) CreateGroup(in NewGroup) (Group, error) {
	if err := tx.Require(access.EditGroups); err != nil {
		return Group{}, err
	}
	g := Group{ID: NewID[Group](), Version: 1, CreatedAt: tx.Now(), UpdatedAt: tx.Now()}
	if in.ID != "" {
		g.ID = in.ID
	}
	if tx.actor.Kind == access.Directory {
		g.DirectoryID = DirectoryID(tx.actor.ID)
	}
	if err := g.take(in.Doc); err != nil {
		return Group{}, err
	}
	members, groups, err := tx.sortMembers(distinct(in.Members), in.Said)
	if err != nil {
		return Group{}, err
	}
	if len(groups) > 0 || tx.handmade() && len(members) > 0 {
		if err := tx.whole(); err != nil {
			return Group{}, err
		}
	}
	var steps []step
	if len(members) > 0 {
		if _, err := tx.adopt(members); err != nil {
			return Group{}, err
		}
		steps = append(steps, step{insertFirstMembers, []any{g.ID, g.CreatedAt, tx.Org(), jsonList(members)}})
	}
	steps = append(steps, tx.countStep(countGroups, g.DirectoryID, 1))
	extras, err := tx.extraSteps(GroupResource, string(g.ID), nil, in.Doc)
	if err != nil {
		return Group{}, err
	}
	shown, err := tx.masked(in.Doc)
	if err != nil {
		return Group{}, err
	}
	_, err = tx.change(step{`INSERT INTO groups (org_id, id, directory_id, name, name_key, unique_name, external_id, doc, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, {{as_json}}, 1, ?, ?)`,
		[]any{tx.Org(), g.ID, g.DirectoryID, g.Name, Fold(g.Name), !in.SharedName, orNull(g.ExternalID), string(g.Doc), g.CreatedAt, g.CreatedAt}}, append(steps, extras...),
		Activity{Action: "group.create", TargetKind: "group", TargetID: string(g.ID), TargetName: g.Name,
			Detail: map[string]any{"after": shown, "members": len(members)}})
	if err != nil {
		return Group{}, takenExtra(takenGroup(err, g))
	}
	if err := tx.byHand(g.ID, members); err != nil {
		return Group{}, err
	}
	if len(groups) == 0 {
		return g, nil
	}
	if _, err := tx.nest(g, groups); err != nil {
		return Group{}, err
	}
	return tx.Group(g.ID)
}

// take derives the columns from the document.
func (g *Group) take(doc Doc) error {
	g.Name, g.ExternalID = text(doc, "displayName"), text(doc, "externalId")
	if g.Name == "" {
		return fault.Invalid.On("displayName", "A group needs a displayName.")
	}
	if err := checkText("displayName", g.Name, maxKey); err != nil {
		return err
	}
	if err := checkText("externalId", g.ExternalID, maxKey); err != nil {
		return err
	}
	raw, err := encode(doc)
	if err != nil {
		return fmt.Errorf("group %q: %w", g.Name, err)
	}
	g.Doc = JSON(raw)
	return nil
}

func takenGroup(err error, g Group) error {
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	switch fault.Field(err) {
	case "displayName":
		return fault.Conflict.WrapOn(err, "displayName", "There is a group with the displayName %q already. Choose another name, or update that group.", g.Name)
	case "externalId":
		return fault.Conflict.WrapOn(err, "externalId", "The externalId %q already belongs to another group of this directory. Update that group instead.", g.ExternalID)
	}
	return err
}

// oneGroup is groupColumns for one group: one sum over its changes and not two.
const oneGroup = `SELECT g.directory_id, g.name, COALESCE(g.external_id, ''), g.doc, g.version, g.created_at, ` + hasGroups + `,
	CASE WHEN e.changed_at > g.updated_at THEN e.changed_at ELSE g.updated_at END, COALESCE(e.n, 0)
	FROM groups g CROSS JOIN (SELECT CAST(SUM(n) AS {{int}}) AS n, MAX(changed_at) AS changed_at FROM group_epochs WHERE org_id = ? AND group_id = ?) AS e
	WHERE g.org_id = ? AND g.id = ?`

// Group finds a group. A directory sees its own only. Faults: NotFound.
func (tx *Tx) Group(id GroupID) (Group, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return Group{}, err
	}
	query, args := oneGroup, []any{tx.Org(), id, tx.Org(), id}
	if tx.actor.Kind == access.Directory {
		query, args = oneGroup+" AND g.directory_id = ?", append(args, tx.actor.ID)
	}
	g, found := Group{ID: id}, false
	err := tx.byKey(query, args, func(rows *sqlx.Rows) error {
		found = true
		return rows.Scan(&g.DirectoryID, &g.Name, &g.ExternalID, &g.Doc, &g.Version, &g.CreatedAt, &g.HasGroups, &g.UpdatedAt, &g.Epoch)
	})
	if err == nil && !found {
		err = fault.NotFound.Say("There is no such group.")
	}
	if err != nil {
		return Group{}, err
	}
	return g, nil
}

// LockGroup is Group for a change that must know all members: it waits for running
// member changes and holds up new ones. Needs Write.
func (tx *Tx) LockGroup(id GroupID) (Group, error) {
	if tx.pg != nil {
		var locked GroupID
		err := tx.Get(&locked, "SELECT id FROM groups WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return Group{}, err
		}
	}
	return tx.Group(id)
}

// GroupByName finds a group by its name: the directory's own, or a local one for
// everybody else. Faults: NotFound.
func (tx *Tx) GroupByName(name string) (Group, error) {
	if tx.actor.Kind == access.Directory {
		return tx.group("g.name_key = ?", "", Fold(name))
	}
	return tx.group("g.name_key = ?", " AND g.directory_id IS NULL", Fold(name))
}

// group finds a group by its name.
func (tx *Tx) group(where, more string, arg any) (Group, error) {
	var g Group
	if err := tx.Require(access.ViewGroups); err != nil {
		return g, err
	}
	args := []any{tx.Org(), arg}
	if tx.actor.Kind == access.Directory {
		more, args = more+" AND g.directory_id = ?", append(args, tx.actor.ID)
	}
	err := tx.Get(&g, groupColumns+" WHERE g.org_id = ? AND "+where+more+" ORDER BY g.id LIMIT 1", args...)
	if fault.Is(err, fault.NotFound) {
		return g, fault.NotFound.Wrap(err, "There is no such group.")
	}
	return g, err
}

// Groups lists up to 500 groups by name, for the console; directories page through
// theirs with EachGroup.
func (tx *Tx) Groups() ([]Group, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	list := []Group{}
	return list, tx.Select(&list, groupColumns+" WHERE g.org_id = ? ORDER BY g.name_key, g.id LIMIT 500", tx.Org())
}

// GroupsOf tells the groups to which several people belong: those that they are
// members of, by name, and then those that hold one of these. One query, and one
// more in an organization that has groups in groups. A directory sees its own only.
func (tx *Tx) GroupsOf(ids []UserID) (map[UserID][]GroupRef, error) {
	query, args := tx.directGroups(ids)
	var rows []struct {
		UserID UserID `db:"user_id"`
		GroupRef
		Nested bool `db:"nested"`
	}
	if err := tx.Select(&rows, query, args...); err != nil {
		return nil, err
	}
	groups := make(map[UserID][]GroupRef, len(ids))
	for _, r := range rows {
		groups[r.UserID] = append(groups[r.UserID], r.GroupRef)
	}
	if len(rows) > 0 && rows[0].Nested {
		return groups, tx.addIndirect(groups)
	}
	return groups, nil
}

// directGroups is the query for the groups that people are members of, and for
// whether any groups are nested, which is looked up once and not for each row.
func (tx *Tx) directGroups(ids []UserID) (string, []any) {
	query := `SELECT m.user_id, g.id, g.name, EXISTS (SELECT 1 FROM subgroups n WHERE n.org_id = ?) AS nested
		FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id
		WHERE m.org_id = ? AND m.user_id {{in_ids}}`
	args := []any{tx.Org(), tx.Org(), jsonList(ids)}
	if tx.actor.Kind == access.Directory {
		query, args = query+" AND g.directory_id = ?", append(args, tx.actor.ID)
	}
	return query + " ORDER BY m.user_id, g.name_key, g.id", args
}

// GroupChange is what UpdateGroup does. Nil fields keep what is there.
type GroupChange struct {
	Doc     Doc             // the whole new document
	Add     []UserID        // become members, users or groups by their ids; who is one already stays
	Remove  []UserID        // stop being members; who is none is passed over
	Replace *[]UserID       // become the only members
	Of      Kind            // Replace lets members of the other kind stay; empty: of neither
	Said    map[UserID]Kind // what the caller takes some of them for
}

// Single tells whether the change is one statement, and so fit for Command, if it
// is not about groups in groups.
func (ch GroupChange) Single() bool { return ch.parts() <= 1 && ch.Replace == nil }

func (ch GroupChange) parts() int {
	parts := 0
	for _, there := range []bool{ch.Doc != nil, len(ch.Add) > 0, len(ch.Remove) > 0, ch.Replace != nil} {
		if there {
			parts++
		}
	}
	return parts
}

// UpdateGroup changes the group g, which is what the caller read in this Tx. The
// parts happen in the order Doc, Replace, Remove, Add. A change to what already is
// changes neither version nor epoch. It never reads the list of members. Needs
// Write unless Single. Faults: Denied, Invalid on members (names unknown ones),
// Conflict on displayName or externalId.
func (tx *Tx) UpdateGroup(g Group, ch GroupChange) (Group, error) {
	if err := tx.mayEditGroup(g); err != nil {
		return g, err
	}
	next := g
	if ch.Doc != nil {
		var err error
		if next, err = tx.updateGroupDoc(g, ch.Doc); err != nil {
			return g, err
		}
	}
	if ch.parts() > 1 {
		if err := tx.keepGroup(next, ch.Doc != nil); err != nil {
			return g, err
		}
	}
	var changed int64
	add, remove := distinct(ch.Add), distinct(ch.Remove)
	if tx.handmade() && (len(add) > 0 || ch.Replace != nil) {
		if err := tx.whole(); err != nil {
			return g, err
		}
	}
	if ch.Replace != nil {
		n, err := tx.replaceMembers(g, distinct(*ch.Replace), ch.Of, ch.Said)
		if err != nil {
			return g, err
		}
		changed += n
	}
	if len(remove) > 0 {
		n, err := tx.endMembers(g, remove, ch.Said)
		if err != nil {
			return g, err
		}
		changed += n
	}
	if len(add) > 0 {
		n, err := tx.addMembers(g, add, ch.Said)
		if err != nil {
			return g, err
		}
		changed += n
	}
	hand := add
	if ch.Replace != nil {
		hand = append(slices.Clone(*ch.Replace), add...)
	}
	if err := tx.byHand(g.ID, hand); err != nil {
		return g, err
	}
	if changed > 0 { // others may be changing members too, so the epoch is asked, not counted
		return tx.Group(g.ID)
	}
	return next, nil
}

// keepGroup lets nobody change the group until the commit. The parts of a change are
// statements of their own; without this the parts of two changes could mix, and no
// order of the two would explain the end. With a document, even one that changes
// nothing, the group must be as it was read.
func (tx *Tx) keepGroup(g Group, asRead bool) error {
	var version int64
	err := tx.Get(&version, "SELECT version FROM groups WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), g.ID)
	if fault.Is(err, fault.NotFound) || err == nil && asRead && version != g.Version {
		return errStale
	}
	return err
}

func (tx *Tx) mayEditGroup(g Group) error {
	if err := tx.Require(access.EditGroups); err != nil {
		return err
	}
	if g.DirectoryID != "" && (tx.actor.Kind != access.Directory || tx.actor.ID != string(g.DirectoryID)) {
		return fault.Denied.On("directory", "The group %s is managed by the directory %s. Change it there.", g.Name, tx.DirectoryName(g.DirectoryID))
	}
	return nil
}

func (tx *Tx) updateGroupDoc(g Group, doc Doc) (Group, error) {
	next := g
	if err := next.take(doc); err != nil {
		return g, err
	}
	old, err := g.Attributes()
	if err != nil {
		return g, err
	}
	if oldRaw, err := encode(old); err != nil || oldRaw == string(next.Doc) {
		return g, err
	}
	extras, err := tx.extraSteps(GroupResource, string(g.ID), old, doc)
	if err != nil {
		return g, err
	}
	before, err := tx.masked(old)
	if err != nil {
		return g, err
	}
	after, err := tx.masked(doc)
	if err != nil {
		return g, err
	}
	next.Version, next.UpdatedAt = g.Version+1, tx.Now()
	n, err := tx.change(step{`UPDATE groups SET name = ?, name_key = ?, external_id = ?, doc = {{as_json}}, version = version + 1, updated_at = ?
		WHERE org_id = ? AND id = ? AND version = ?`,
		[]any{next.Name, Fold(next.Name), orNull(next.ExternalID), string(next.Doc), next.UpdatedAt, tx.Org(), g.ID, g.Version}}, extras,
		Activity{Action: "group.update", TargetKind: "group", TargetID: string(g.ID), TargetName: next.Name,
			Detail: map[string]any{"before": before, "after": after}})
	if err != nil {
		return g, takenExtra(takenGroup(err, next))
	}
	if n == 0 {
		return g, errStale
	}
	return next, nil
}

// DeleteGroup removes a group and its memberships, those in other groups too. Needs Write. Faults: NotFound, Denied.
func (tx *Tx) DeleteGroup(id GroupID) error {
	g, err := tx.LockGroup(id)
	if err != nil {
		return err
	}
	if err := tx.mayEditGroup(g); err != nil {
		return err
	}
	for _, query := range []string{
		"DELETE FROM members WHERE org_id = ? AND group_id = ?",
		"DELETE FROM member_reasons WHERE org_id = ? AND group_id = ?",
		"DELETE FROM teams WHERE org_id = ? AND group_id = ?",
		"DELETE FROM group_epochs WHERE org_id = ? AND group_id = ?",
		deleteExtrasOf,
	} {
		if _, err := tx.Exec(query, tx.Org(), id); err != nil {
			return err
		}
	}
	if err := tx.dissolve(id); err != nil {
		return err
	}
	_, err = tx.change(step{"DELETE FROM groups WHERE org_id = ? AND id = ?", []any{tx.Org(), id}}, []step{tx.countStep(countGroups, g.DirectoryID, -1)},
		Activity{Action: "group.delete", TargetKind: "group", TargetID: string(id), TargetName: g.Name})
	return err
}
