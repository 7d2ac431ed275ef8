package store

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Groups in groups. A group's own members are the people and the groups that were
// put into it; a person belongs to a group also through a group in it (GroupsOf).
// A directory nests its own groups, and a local group may hold any group of the
// organization; a directory's group never holds a local one.
//
// Groups never contain one another in a circle. Whoever nests locks the
// organization's row first, so two requests that would close a circle together
// are checked one after the other. Changes of people take no part in that.

// Kind is what a member is.
type Kind string

// The kinds, in the words of SCIM.
const (
	KindUser  Kind = "User"
	KindGroup Kind = "Group"
)

// ErrNesting is behind the faults of groups that would contain one another, or stand
// too deep one inside the other.
var ErrNesting = errors.New("groups cannot be nested like this")

func noNesting(format string, args ...any) error {
	return fault.Invalid.WrapOn(ErrNesting, "members", format, args...)
}

// maxNested is how many groups may stand one inside the other. Okta and Entra ID
// know no limit of their own; real trees have three or four levels.
const maxNested = 10

// sortMembers tells users from groups. Ids are looked up among the users, and only
// what is missing there among the groups. said is what the caller takes some of
// them for. Faults: Invalid on members, naming ids that are unknown or something
// else than was said.
func (tx *Tx) sortMembers(ids []UserID, said map[UserID]Kind) (users []UserID, groups []GroupID, err error) {
	known, err := tx.knownMembers(ids)
	if err != nil {
		return nil, nil, err
	}
	var unknown []string
	for _, id := range ids {
		kind, ok := known[id]
		switch {
		case !ok && len(unknown) < 5:
			unknown = append(unknown, string(id))
		case ok && said[id] != "" && said[id] != kind:
			return nil, nil, fault.Invalid.On("members", `%s is a %s, and not a %s as its type says. Correct the type, or leave it out.`, id, kind, said[id])
		case kind == KindUser:
			users = append(users, id)
		case kind == KindGroup:
			groups = append(groups, GroupID(id))
		}
	}
	if len(unknown) > 0 {
		return nil, nil, fault.Invalid.On("members", "There are no users or groups with these ids: %s. Create them first, or leave them out.", strings.Join(unknown, ", "))
	}
	return users, groups, nil
}

// KnownMembers are those ids that the actor could put into a group.
func (tx *Tx) KnownMembers(ids []UserID) ([]UserID, error) {
	known, err := tx.knownMembers(ids)
	return slices.DeleteFunc(slices.Clone(ids), func(id UserID) bool { return known[id] == "" }), err
}

func (tx *Tx) knownMembers(ids []UserID) (map[UserID]Kind, error) {
	known := make(map[UserID]Kind, len(ids))
	if len(ids) == 0 {
		return known, nil
	}
	seen, more := tx.visible()
	if err := tx.noteKind(known, KindUser, "SELECT id FROM users WHERE org_id = ? AND id {{in_ids}}"+seen, append([]any{tx.Org(), jsonList(ids)}, more...)); err != nil {
		return nil, err
	}
	var rest []UserID
	for _, id := range ids {
		if known[id] == "" {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return known, nil
	}
	query, args := "SELECT g.id FROM groups g WHERE g.org_id = ? AND g.id {{in_ids}}", []any{tx.Org(), jsonList(rest)}
	if tx.actor.Kind == access.Directory {
		query, args = query+" AND g.directory_id = ?", append(args, tx.actor.ID)
	}
	return known, tx.noteKind(known, KindGroup, query, args)
}

func (tx *Tx) noteKind(known map[UserID]Kind, kind Kind, query string, args []any) error {
	var found []UserID
	if err := tx.Select(&found, query, args...); err != nil {
		return err
	}
	for _, id := range found {
		known[id] = kind
	}
	return nil
}

// whole starts over in a transaction: a change of nested groups is several statements.
func (tx *Tx) whole() error {
	if tx.mode == modeCommand {
		return errTransaction
	}
	return nil
}

// lockNesting lets one transaction at a time change what is nested in an organization.
func (tx *Tx) lockNesting() error {
	if err := tx.whole(); err != nil || tx.pg == nil {
		return err
	}
	var org OrgID
	return tx.Get(&org, "SELECT id FROM orgs WHERE id = ?"+tx.ForUpdate(), tx.Org())
}

// nest puts groups into a group, all or nothing. Faults: Invalid on members (a
// circle, too many levels).
func (tx *Tx) nest(g Group, ids []GroupID) (int64, error) {
	if err := tx.lockNesting(); err != nil {
		return 0, err
	}
	// The rows stay until the commit: DeleteGroup locks them before it looks for what is nested.
	var there []GroupRef
	if err := tx.Select(&there, "SELECT g.id, g.name FROM groups g WHERE g.org_id = ? AND g.id {{in_ids}} ORDER BY g.id{{key_share}}",
		tx.Org(), jsonList(append([]GroupID{g.ID}, ids...))); err != nil {
		return 0, err
	}
	names := make(map[GroupID]string, len(there))
	for _, r := range there {
		names[r.ID] = r.Name
	}
	for _, id := range append([]GroupID{g.ID}, ids...) {
		if names[id] == "" { // deleted since it was read
			return 0, errStale
		}
	}
	if err := tx.checkNesting(g.ID, ids, names); err != nil {
		return 0, err
	}
	return tx.change(step{`INSERT INTO subgroups (org_id, group_id, member_group_id, since)
		SELECT g.org_id, {{as_id}}, g.id, {{as_int}} FROM groups g WHERE g.org_id = ? AND g.id {{in_ids}}
		ON CONFLICT (org_id, group_id, member_group_id) DO NOTHING`, []any{g.ID, tx.Now(), tx.Org(), jsonList(ids)}}, []step{tx.epochStep(g.ID)},
		Activity{Action: "group.member.add", TargetKind: "group", TargetID: string(g.ID), TargetName: names[g.ID], Detail: map[string]any{"groups": someOf(ids), "count": len(ids)}})
}

// checkNesting refuses circles and too many levels.
func (tx *Tx) checkNesting(id GroupID, members []GroupID, names map[GroupID]string) error {
	above, err := tx.levels(`WITH RECURSIVE up(id, depth) AS (
			SELECT s.group_id, 1 FROM subgroups s WHERE s.org_id = ? AND s.member_group_id = ?
			UNION
			SELECT s.group_id, up.depth + 1 FROM up JOIN subgroups s ON s.org_id = ? AND s.member_group_id = up.id)
		SELECT id, id AS top, MAX(depth) AS depth FROM up GROUP BY id`, tx.Org(), id, tx.Org())
	if err != nil {
		return err
	}
	height := 1 // of the levels down to this group
	for _, l := range above {
		height = max(height, l.Depth+1)
	}
	for _, m := range members {
		if m == id {
			return noNesting("The group %q cannot be a member of itself.", names[id])
		}
		if slices.ContainsFunc(above, func(l level) bool { return l.ID == m }) {
			return noNesting("The group %q contains the group %q already, so it cannot become a member of it: groups do not contain one another.", names[m], names[id])
		}
	}
	below, err := tx.levels(`WITH RECURSIVE down(top, id, depth) AS (
			SELECT g.id, g.id, 1 FROM groups g WHERE g.org_id = ? AND g.id {{in_ids}}
			UNION
			SELECT down.top, s.member_group_id, down.depth + 1 FROM down JOIN subgroups s ON s.org_id = ? AND s.group_id = down.id)
		SELECT top AS id, top, MAX(depth) AS depth FROM down GROUP BY top`, tx.Org(), jsonList(members), tx.Org())
	for _, l := range below {
		if height+l.Depth > maxNested {
			return noNesting("With the group %q in the group %q, %d groups would stand one inside the other; at most %d are possible.", names[l.Top], names[id], height+l.Depth, maxNested)
		}
	}
	return err
}

// level is how far a group is from where a walk began.
type level struct {
	ID    GroupID `db:"id"`
	Top   GroupID `db:"top"`
	Depth int     `db:"depth"`
}

func (tx *Tx) levels(query string, args ...any) (list []level, err error) {
	return list, tx.Select(&list, query, args...)
}

// unnest takes groups out of a group.
func (tx *Tx) unnest(g Group, ids []UserID) (int64, error) {
	return tx.change(step{"DELETE FROM subgroups WHERE org_id = ? AND group_id = ? AND member_group_id {{in_ids}}", []any{tx.Org(), g.ID, jsonList(ids)}},
		[]step{tx.epochStep(g.ID)},
		Activity{Action: "group.member.remove", TargetKind: "group", TargetID: string(g.ID), TargetName: g.Name, Detail: map[string]any{"groups": someOf(ids), "count": len(ids)}})
}

// dissolve ends all nesting of a group that is being deleted; the groups that it
// was in have a member less.
func (tx *Tx) dissolve(id GroupID) error {
	if _, err := tx.Exec(`INSERT INTO group_epochs (org_id, group_id, slot, n, changed_at)
		SELECT g.org_id, g.id, 0, 1, {{as_int}} FROM subgroups s JOIN groups g ON g.org_id = s.org_id AND g.id = s.group_id
		WHERE s.org_id = ? AND s.member_group_id = ?{{key_share_group}}
		ON CONFLICT (org_id, group_id, slot) DO UPDATE SET n = group_epochs.n + 1, changed_at = excluded.changed_at`, tx.Now(), tx.Org(), id); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM subgroups WHERE org_id = ? AND (group_id = ? OR member_group_id = ?)", tx.Org(), id, id)
	return err
}

// Subgroups hands the groups in several groups to each, in the order of groups and
// then of members; see MembersOf.
func (tx *Tx) Subgroups(of []GroupID, each func(GroupID, Member) error) error {
	return tx.membersOf(`SELECT s.group_id, s.member_group_id, g.name, s.since
		FROM subgroups s JOIN groups g ON g.org_id = s.org_id AND g.id = s.member_group_id
		WHERE s.org_id = ? AND s.group_id IN ({{ids}})
		AND (s.group_id, s.member_group_id) > ({{as_id}}, {{as_id}}) ORDER BY s.group_id, s.member_group_id LIMIT ?`, of, KindGroup, true, each)
}

// NamedGroups tells groups' names by id, for lists that refer to them.
func (tx *Tx) NamedGroups(ids []GroupID) (map[GroupID]string, error) {
	var rows []GroupRef
	err := tx.Select(&rows, "SELECT g.id, g.name FROM groups g WHERE g.org_id = ? AND g.id {{in_ids}}", tx.Org(), jsonList(ids))
	names := make(map[GroupID]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, err
}

// GroupRef names a group in somebody's list.
type GroupRef struct {
	ID      GroupID `db:"id"`
	Name    string  `db:"name"`
	Through string  `db:"-"` // the name of a group in it by which the person belongs to it; empty: a member itself
}

// Direct are the groups of a list that the person is a member of itself.
func Direct(list []GroupRef) []GroupRef {
	return slices.DeleteFunc(slices.Clone(list), func(g GroupRef) bool { return g.Through != "" })
}

// above is a group on the way up from somebody's groups.
type above struct {
	From GroupID `db:"member_group_id"`
	GroupRef
	Key string `db:"name_key"`
}

// compare orders by name.
func (a above) compare(b above) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(string(a.ID), string(b.ID)))
}

// addIndirect completes lists of direct groups by those that hold one of them.
func (tx *Tx) addIndirect(of map[UserID][]GroupRef) error {
	var start []GroupID
	for _, list := range of {
		for _, g := range list {
			start = append(start, g.ID)
		}
	}
	up, err := tx.walkUp(distinct(start))
	if err != nil || len(up) == 0 {
		return err
	}
	for user, list := range of {
		of[user] = append(list, indirect(list, up)...)
	}
	return nil
}

// GroupsAbove are the groups that hold a group, and those that hold one of these.
func (tx *Tx) GroupsAbove(id GroupID) ([]GroupRef, error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, err
	}
	up, err := tx.walkUp([]GroupID{id})
	list := refs(up[id])
	return append(list, indirect(list, up)...), err
}

// walkUp goes up from groups and tells of each that it meets which groups hold
// it, by name. It begins at the groups and not at people: one query for any number.
func (tx *Tx) walkUp(start []GroupID) (map[GroupID][]above, error) {
	query := `WITH RECURSIVE up(member_group_id, id) AS (
			SELECT s.member_group_id, s.group_id FROM subgroups s WHERE s.org_id = ? AND s.member_group_id {{in_ids}}
			UNION
			SELECT s.member_group_id, s.group_id FROM up JOIN subgroups s ON s.org_id = ? AND s.member_group_id = up.id)
		SELECT up.member_group_id, g.id, g.name, g.name_key FROM up JOIN groups g ON g.org_id = ? AND g.id = up.id`
	args := []any{tx.Org(), jsonList(start), tx.Org(), tx.Org()}
	if tx.actor.Kind == access.Directory {
		query, args = query+" WHERE g.directory_id = ?", append(args, tx.actor.ID)
	}
	up := map[GroupID][]above{}
	var row above
	return up, tx.query(query+" ORDER BY g.name_key, g.id", args, func(rows *sqlx.Rows) error {
		err := rows.StructScan(&row)
		up[row.From] = append(up[row.From], row)
		return err
	})
}

// indirect are the groups that hold those of list, directly or through others, by name.
func indirect(list []GroupRef, holders map[GroupID][]above) []GroupRef {
	seen := make(map[GroupID]bool, len(list))
	for _, g := range list {
		seen[g.ID] = true
	}
	var found []above
	for _, g := range list {
		next := []GroupID{g.ID}
		for len(next) > 0 {
			for _, a := range holders[next[0]] {
				if !seen[a.ID] {
					seen[a.ID] = true
					a.Through = g.Name
					found = append(found, a)
					next = append(next, a.ID)
				}
			}
			next = next[1:]
		}
	}
	slices.SortFunc(found, above.compare)
	return refs(found)
}

func refs(list []above) []GroupRef {
	out := make([]GroupRef, len(list))
	for i, a := range list {
		out[i] = a.GroupRef
	}
	return out
}
