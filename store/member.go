package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
)

// Memberships are rows, and a change is a set operation on them: its cost depends
// on how many people it names, not on how many the group has.
//
// What runs at once on PostgreSQL: adding and removing take a shared lock on the
// group's row, so they do not wait for one another; replacing all, deleting the
// group and a change under If-Match take it exclusively (LockGroup). Adding locks
// each person's row against deletion, which waits, and then sees the new row.

// Member is one person in a group, or one group.
type Member struct {
	ID    UserID // or the id of a group
	Kind  Kind
	Name  string // this and Since: empty unless asked for
	Since Time
}

const membersPage = 5000

const pageOfMembers = " WHERE m.org_id = ? AND m.group_id = ? AND m.user_id > {{hidden_id}} ORDER BY m.user_id LIMIT {{hidden_int}}"

// Members hands every person in a group to each, in order of id, and never holds more than
// two pages of them: while each runs for one, the next one is on its way. Names cost a join
// (ten times, measured at 100,000), so they come only when asked for.
func (tx *Tx) Members(group GroupID, names bool, each func(Member) error) error {
	page := tx.memberPage(group, names, UserID(noID))
	if page.n < membersPage {
		return page.each(each)
	}
	ctx, cancel := context.WithCancel(tx.ctx)
	beside := *tx
	beside.ctx = ctx
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	for page.n == membersPage {
		came, last := make(chan memberPage, 1), page.at(page.n-1).ID
		read := func() { came <- beside.memberPage(group, names, last) }
		if tx.pg == nil && tx.w == nil {
			reading.Go(read)
		} else { // a transaction has one connection
			read()
		}
		if err := page.each(each); err != nil {
			return err
		}
		page = <-came
	}
	return page.each(each)
}

// memberPage is a part of a group's members.
type memberPage struct {
	n     int
	ids   string   // one behind the other, unless
	named []Member // names are asked for
	err   error
}

func (p memberPage) at(i int) Member {
	if p.named != nil {
		return p.named[i]
	}
	return Member{ID: UserID(p.ids[i*len(noID) : (i+1)*len(noID)]), Kind: KindUser}
}

func (p memberPage) each(do func(Member) error) error {
	if p.err != nil {
		return p.err
	}
	for i := range p.n {
		if err := do(p.at(i)); err != nil {
			return err
		}
	}
	return nil
}

// memberPage reads the members behind one of them.
func (tx *Tx) memberPage(group GroupID, names bool, after UserID) (p memberPage) {
	args := []any{tx.Org(), group, after, membersPage}
	if names {
		const query = "SELECT m.user_id, u.display_name, m.since FROM members m JOIN users u ON u.org_id = m.org_id AND u.id = m.user_id" + pageOfMembers
		m := Member{Kind: KindUser} // one for all rows, and one list of where to scan to
		dest := []any{&m.ID, &m.Name, &m.Since}
		p.err = tx.query(query, args, func(rows *sqlx.Rows) error {
			err := rows.Scan(dest...)
			p.named = append(p.named, m)
			return err
		})
		p.n = len(p.named)
		return p
	}
	// A page is one value: a row for each id cost both sides more than the ids did.
	const query = "SELECT {{joined_ids}} FROM (SELECT m.user_id AS id FROM members m" + pageOfMembers + ") AS p"
	var value sql.RawBytes
	p.err = tx.query(query, args, func(rows *sqlx.Rows) error {
		err := rows.Scan(&value)
		p.ids = tx.db.d.joinedIDs(value)
		return err
	})
	p.n = len(p.ids) / len(noID)
	return p
}

// MemberCount is the number of people in a group, without those of groups in it.
func (tx *Tx) MemberCount(id GroupID) (n int, err error) {
	return n, tx.Get(&n, "SELECT COUNT(*) FROM members WHERE org_id = ? AND group_id = ?", tx.Org(), id)
}

const insertFirstMembers = `INSERT INTO members (org_id, group_id, user_id, since)
	SELECT u.org_id, {{as_id}}, u.id, {{as_int}} FROM users u
	WHERE u.org_id = ? AND u.id {{in_ids}} AND u.deleted_at = 0 AND {{gate}}{{share}}`

const bumpEpoch = `INSERT INTO group_epochs (org_id, group_id, slot, n, changed_at)
	{{row}}{{as_id}}, {{as_id}}, {{as_int}}, 1, {{as_int}}{{end_row}}
	ON CONFLICT (org_id, group_id, slot) DO UPDATE SET n = group_epochs.n + 1, changed_at = excluded.changed_at`

func (tx *Tx) epochStep(id GroupID) step {
	return step{bumpEpoch, []any{tx.Org(), id, tx.slot(), tx.Now()}}
}

// addMembers is all or nothing: the insert happens only when every person is there
// and the actor may put them in.
func (tx *Tx) addMembers(g Group, ids []UserID, said map[UserID]Kind) (int64, error) {
	if !slices.ContainsFunc(ids, func(id UserID) bool { return said[id] == KindGroup }) {
		if n, err := tx.insertMembers(g, ids); err != nil || n > 0 {
			return n, err
		}
	}
	// Nothing was inserted: all are members already, or somebody is unknown, a group,
	// or not yet managed by the directory.
	users, groups, err := tx.sortMembers(ids, said)
	if err != nil {
		return 0, err
	}
	if len(groups) > 0 {
		return tx.addSorted(g, users, groups)
	}
	if adopted, err := tx.adopt(users); err != nil || !adopted {
		return 0, err
	}
	return tx.insertMembers(g, users)
}

// addSorted adds people, and groups that are known as such.
func (tx *Tx) addSorted(g Group, users []UserID, groups []GroupID) (changed int64, err error) {
	if len(groups) > 0 {
		if changed, err = tx.nest(g, groups); err != nil {
			return 0, err
		}
	}
	if len(users) == 0 {
		return changed, nil
	}
	n, err := tx.addMembers(g, users, nil)
	return changed + n, err
}

// AddMembers puts people into a group and reads nothing before: one statement does
// it when the group is the actor's and all of them can be members. It tells
// whether anything changed; if not, UpdateGroup knows why. Fit for Command.
func (tx *Tx) AddMembers(id GroupID, ids []UserID) (bool, error) {
	if err := tx.Require(access.EditGroups); err != nil || len(ids) == 0 {
		return false, err
	}
	alone := func() (int64, error) { return tx.insertMembers(Group{ID: id}, distinct(ids)) }
	if len(ids) == 1 && tx.inConvoy() {
		return tx.member("add", id, ids[0], tx.joinOfAll, alone)
	}
	n, err := alone()
	return n > 0, err
}

// RemoveMembers is AddMembers for the end of a membership. Several are left to
// UpdateGroup where the group has groups in it: some of them may be such.
func (tx *Tx) RemoveMembers(id GroupID, ids []UserID) (bool, error) {
	if err := tx.Require(access.EditGroups); err != nil || len(ids) == 0 {
		return false, err
	}
	alone := func() (int64, error) { return tx.removeMembers(Group{ID: id}, distinct(ids), true) }
	if len(ids) == 1 && tx.inConvoy() {
		return tx.member("remove", id, ids[0], tx.partOfAll, alone)
	}
	n, err := alone()
	return n > 0, err
}

// ownGroup is the condition on groups that the actor may change, see mayEditGroup.
func (tx *Tx) ownGroup() (string, []any) {
	if tx.actor.Kind == access.Directory {
		return " AND g.directory_id = ?", []any{tx.actor.ID}
	}
	return " AND g.directory_id IS NULL", nil
}

func (tx *Tx) insertMembers(g Group, ids []UserID) (int64, error) {
	own, more := tx.ownGroup()
	owned, manager := "", []any{}
	if tx.actor.Kind == access.Directory {
		owned, manager = " AND %s.directory_id = ?", []any{tx.actor.ID}
	}
	query := `INSERT INTO members (org_id, group_id, user_id, since)
		SELECT u.org_id, g.id, u.id, {{as_int}} FROM users u JOIN groups g ON g.org_id = u.org_id AND g.id = {{as_id}}` + own
	args := append([]any{tx.Now(), g.ID}, more...)
	if len(ids) == 1 { // the usual case: the person is there, or nothing is inserted
		query += " WHERE u.org_id = ? AND u.id = {{as_id}} AND u.deleted_at = 0" + strings.Replace(owned, "%s", "u", 1)
		args = append(append(args, tx.Org(), ids[0]), manager...)
	} else {
		list := jsonList(ids)
		query += ` WHERE u.org_id = ? AND u.id {{in_ids}} AND u.deleted_at = 0
			AND (SELECT COUNT(*) FROM users c WHERE c.org_id = ? AND c.id {{in_ids}} AND c.deleted_at = 0` + strings.Replace(owned, "%s", "c", 1) + `) = {{as_int}}`
		args = append(append(append(args, tx.Org(), list, tx.Org(), list), manager...), len(ids))
	}
	return tx.change(step{query + "{{lock_member}} ON CONFLICT (org_id, group_id, user_id) DO NOTHING", args}, []step{tx.epochStep(g.ID)},
		Activity{Action: "group.member.add", TargetKind: "group", TargetID: string(g.ID), TargetName: g.Name, Detail: map[string]any{"users": someOf(ids), "count": len(ids)}})
}

// endMembers takes people and groups out of a group.
func (tx *Tx) endMembers(g Group, ids []UserID, said map[UserID]Kind) (changed int64, err error) {
	of := func(kind Kind) []UserID {
		return slices.DeleteFunc(slices.Clone(ids), func(id UserID) bool { return said[id] != "" && said[id] != kind })
	}
	if groups := of(KindGroup); g.HasGroups && len(groups) > 0 {
		if err := tx.whole(); err != nil {
			return 0, err
		}
		if changed, err = tx.unnest(g, groups); err != nil {
			return 0, err
		}
	}
	users := of(KindUser)
	if len(users) == 0 {
		return changed, nil
	}
	n, err := tx.removeMembers(g, users, false)
	return changed + n, err
}

// removeMembers takes people out of a group; with plain only out of one without
// groups, unless it is one person.
func (tx *Tx) removeMembers(g Group, ids []UserID, plain bool) (int64, error) {
	own, more := tx.ownGroup()
	these, list := "= {{as_id}}", any(ids[0])
	if len(ids) > 1 {
		these, list = "{{in_ids}}", jsonList(ids)
	}
	head := step{`DELETE FROM members WHERE org_id = ? AND group_id = ? AND user_id ` + these + `
		AND EXISTS (SELECT 1 FROM (SELECT g.id FROM groups g WHERE g.org_id = ? AND g.id = ?` + own + `{{key_share}}) AS held)`,
		append([]any{tx.Org(), g.ID, list, tx.Org(), g.ID}, more...)}
	if plain && len(ids) > 1 {
		head.sql += " AND NOT EXISTS (SELECT 1 FROM subgroups s WHERE s.org_id = ? AND s.group_id = ?)"
		head.args = append(head.args, tx.Org(), g.ID)
	}
	return tx.change(head, []step{tx.epochStep(g.ID)},
		Activity{Action: "group.member.remove", TargetKind: "group", TargetID: string(g.ID), TargetName: g.Name, Detail: map[string]any{"users": someOf(ids), "count": len(ids)}})
}

// replaceMembers makes ids the only members, or the only ones of a kind: what is
// not among them goes, what is missing comes, the rest keeps its date.
func (tx *Tx) replaceMembers(g Group, ids []UserID, of Kind, said map[UserID]Kind) (int64, error) {
	users, groups, err := tx.sortMembers(ids, said)
	if err != nil {
		return 0, err
	}
	if len(groups) > 0 { // before the group, as nest does
		if err := tx.lockNesting(); err != nil {
			return 0, err
		}
	}
	if g, err = tx.LockGroup(g.ID); err != nil {
		return 0, err
	}
	act := Activity{Action: "group.member.replace", TargetKind: "group", TargetID: string(g.ID), TargetName: g.Name}
	var gone int64
	if of != KindGroup {
		act.Detail = map[string]any{"kept": someOf(users), "count": len(users)}
		if gone, err = tx.change(step{"DELETE FROM members WHERE org_id = ? AND group_id = ? AND user_id NOT IN ({{ids}})", []any{tx.Org(), g.ID, jsonList(users)}},
			[]step{tx.epochStep(g.ID)}, act); err != nil {
			return 0, err
		}
	}
	if of != KindUser && g.HasGroups {
		act.Detail = map[string]any{"groups": someOf(groups), "count": len(groups)}
		n, err := tx.change(step{"DELETE FROM subgroups WHERE org_id = ? AND group_id = ? AND member_group_id NOT IN ({{ids}})", []any{tx.Org(), g.ID, jsonList(groups)}},
			[]step{tx.epochStep(g.ID)}, act)
		if err != nil {
			return 0, err
		}
		gone += n
	}
	come, err := tx.addSorted(g, users, groups)
	return gone + come, err
}

// distinct drops repeats and keeps the order.
func distinct[T comparable](ids []T) []T {
	seen := make(map[T]bool, len(ids))
	out := make([]T, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// someOf keeps an activity row small when thousands are changed at once.
func someOf[T any](ids []T) []T { return ids[:min(len(ids), 200)] }
