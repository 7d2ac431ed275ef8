package store

import (
	"strconv"

	"github.com/jmoiron/sqlx"
)

// What convoys do besides SetActive: people who come, documents that change, and members.

const insertAsked = `,
	head AS (INSERT INTO users (org_id, id, directory_id, source, status, break_glass, user_name, user_name_key, external_id,
	email, email_key, display_name, sort_key, search_key, word_key, number_key, phone_key, manager_id, doc, version, created_at, updated_at)
	SELECT {{as_id}}, a.id, {{as_id}}, {{as_text}}, {{as_text}}, false, a.user_name, a.user_name_key, NULLIF(a.external_id, ''), a.email, a.email_key,
	a.display_name, a.sort_key, a.search_key, NULLIF(a.word_key, ''), NULLIF(a.number_key, ''), NULLIF(a.phone_key, ''), CAST(NULLIF(a.manager_id, '') AS uuid), CAST(a.doc AS jsonb), 1, CAST(a.at AS bigint), CAST(a.at AS bigint) FROM asked a WHERE 1 = 1` + whileUnlimited + ` RETURNING id),
	vals AS (INSERT INTO user_values (org_id, attr, value_key, kind, user_id)
	SELECT {{as_id}}, e.value ->> 'attr', e.value ->> 'value', e.value ->> 'kind', a.id FROM asked a, jsonb_array_elements(CAST(a.value_rows AS jsonb)) AS e(value) WHERE {{gate}}),
	number AS (` + bumpCount + `)`

var createAsked = askedBy("user_name", "user_name_key", "external_id", "email", "email_key", "display_name", "sort_key", "search_key", "word_key", "number_key", "phone_key", "manager_id", "doc", "value_rows") +
	insertAsked + recordAsked("a.target", "a.display_name") + "\n\tSELECT id FROM head"

// newcomer is a new person with nothing beside the row and its values.
type newcomer struct {
	u      User
	hot    hotColumns
	record []any
}

// create makes a new person, together with others.
func (tx *Tx) create(n *newcomer, act Activity, alone func() error) (err error) {
	if n.record, err = tx.activityArgs(&act); err != nil {
		return err
	}
	act.At = n.u.CreatedAt
	n.record[2] = act.At
	r := &rider{id: string(n.u.ID), ask: n}
	err = tx.together("create by "+string(n.u.Source), r, tx.createOfAll, alone)
	tx.rode(r, act)
	return err
}

// rode is the end of a change in a convoy, if it happened there.
func (tx *Tx) rode(r *rider, act Activity) {
	if r.done {
		tx.changes++
		tx.tell(act)
	}
}

// createOfAll creates the people of several requests: all of them, or nobody.
func (tx *Tx) createOfAll(list []*rider) error {
	first := list[0].ask.(*newcomer)
	args := askedArgs(list, func(ask any) ([]any, []string) {
		n := ask.(*newcomer)
		return n.record, []string{n.u.UserName, n.hot.nameKey, n.u.ExternalID, n.u.Email, n.hot.emailKey, n.u.DisplayName,
			n.hot.sortKey, n.hot.searchKey, n.hot.wordKeys.Word, n.hot.wordKeys.Number, n.hot.wordKeys.Phone, string(n.u.ManagerID), string(n.u.Doc), valueList(n.hot.values)}
	})
	args = append(args, tx.Org(), first.u.DirectoryID, first.u.Source, first.u.Status, tx.Org(), tx.Org())
	args = append(append(args, tx.countStep(countUsers, first.u.DirectoryID, len(list)).args...), recordAskedArgs(first.record)...)
	came, err := tx.rowsAsked(createAsked, args, list)
	return happened(came, err)
}

var changeAsked = askedBy("version", "search_key", "doc", "display_name") + heldUsers + `,
	head AS (UPDATE users u SET search_key = a.search_key, doc = CAST(a.doc AS jsonb), version = u.version + 1, updated_at = CAST(a.at AS bigint)
	FROM asked a WHERE u.org_id = ? AND u.id = a.id AND u.id = ANY(ARRAY(SELECT id FROM held)) AND u.version = CAST(a.version AS bigint) AND u.deleted_at = 0 RETURNING u.id)` +
	recordAsked("a.target", "a.display_name") + "\n\tSELECT id FROM head"

// rewriting is a new document from which no column follows but the search key.
type rewriting struct {
	next      User
	searchKey string
	record    []any
}

// rewriteDoc writes the document of next, together with others.
func (tx *Tx) rewriteDoc(w *rewriting, act Activity, alone func() (int64, error)) (n int64, err error) {
	if w.record, err = tx.activityArgs(&act); err != nil {
		return 0, err
	}
	act.At = w.next.UpdatedAt
	w.record[2] = act.At
	r := &rider{id: string(w.next.ID), ask: w}
	err = tx.together("rewrite", r, tx.rewriteDocs, func() (err error) {
		n, err = alone()
		return err
	})
	if r.done {
		n = 1
	}
	tx.rode(r, act)
	return n, err
}

func (tx *Tx) rewriteDocs(list []*rider) error {
	record := list[0].ask.(*rewriting).record
	args := askedArgs(list, func(ask any) ([]any, []string) {
		w := ask.(*rewriting)
		return w.record, []string{strconv.FormatInt(w.next.Version-1, 10), w.searchKey, string(w.next.Doc), w.next.DisplayName}
	})
	args = append(append(args, tx.Org(), tx.Org()), recordAskedArgs(record)...)
	came, err := tx.rowsAsked(changeAsked, args, list)
	return happened(came, err)
}

const ownGroupName = "(SELECT g.name FROM groups g WHERE g.org_id = ? AND g.id = ?)"

const bumpAsked = `,
	epoch AS (` + bumpEpoch + `)`

var joinAsked = askedBy() + `,
	head AS (INSERT INTO members (org_id, group_id, user_id, since)
	SELECT u.org_id, g.id, u.id, {{as_int}} FROM users u JOIN groups g ON g.org_id = u.org_id AND g.id = {{as_id}} AND g.directory_id = ?
	WHERE u.org_id = ? AND u.id = ANY(ARRAY(SELECT id FROM asked)) AND u.deleted_at = 0 AND u.directory_id = ?
	FOR SHARE OF u SKIP LOCKED FOR KEY SHARE OF g ON CONFLICT (org_id, group_id, user_id) DO NOTHING RETURNING user_id AS id)` +
	bumpAsked + recordAsked("{{as_text}}", ownGroupName) + "\n\tSELECT id, " + ownGroupName + " FROM head"

var partAsked = askedBy() + `,
	head AS (DELETE FROM members WHERE org_id = ? AND group_id = ? AND user_id = ANY(ARRAY(SELECT id FROM asked))
	AND EXISTS (SELECT 1 FROM (SELECT g.id FROM groups g WHERE g.org_id = ? AND g.id = ? AND g.directory_id = ? FOR KEY SHARE) AS held) RETURNING user_id AS id)` +
	bumpAsked + recordAsked("{{as_text}}", ownGroupName) + "\n\tSELECT id, " + ownGroupName + " FROM head"

// membership is one person who comes into a group or goes.
type membership struct {
	group  GroupID
	record []any
	name   string // of the group
}

// joinOfAll and partOfAll are several memberships of one group.
func (tx *Tx) joinOfAll(list []*rider) error {
	m := list[0].ask.(*membership)
	return tx.membersOfAll(joinAsked, list, tx.Now(), m.group, tx.actor.ID, tx.Org(), tx.actor.ID)
}

func (tx *Tx) partOfAll(list []*rider) error {
	m := list[0].ask.(*membership)
	return tx.membersOfAll(partAsked, list, tx.Org(), m.group, tx.Org(), m.group, tx.actor.ID)
}

func (tx *Tx) membersOfAll(query string, list []*rider, head ...any) error {
	m := list[0].ask.(*membership)
	args := append(askedArgs(list, func(ask any) ([]any, []string) { return ask.(*membership).record, nil }), head...)
	args = append(append(args, tx.epochStep(m.group).args...), recordAskedArgs(m.record)...)
	args = append(args, m.group, tx.Org(), m.group, tx.Org(), m.group)
	var name string
	came, err := tx.rowsAsked(query, args, list, &name)
	for _, r := range came {
		r.ask.(*membership).name = name
	}
	return happened(came, err)
}

// member does one membership, together with others of the group.
func (tx *Tx) member(what string, g GroupID, id UserID, run func([]*rider) error, alone func() (int64, error)) (done bool, err error) {
	m := membership{group: g}
	act := Activity{Action: "group.member." + what, TargetKind: "group", TargetID: string(g), Detail: map[string]any{"users": []UserID{id}, "count": 1}}
	if m.record, err = tx.activityArgs(&act); err != nil {
		return false, err
	}
	r := &rider{id: string(id), ask: &m}
	err = tx.together(what+" in "+string(g), r, run, func() error {
		n, err := alone()
		done = n > 0
		return err
	})
	act.TargetName = m.name
	tx.rode(r, act)
	return done || r.done, err
}

// rowsAsked runs a statement for several and finds whom it gives back, with what more it has.
func (tx *Tx) rowsAsked(query string, args []any, list []*rider, more ...any) (came []*rider, err error) {
	err = tx.byKey(query, args, func(rows *sqlx.Rows) error {
		var id UserID
		if err := rows.Scan(append([]any{&id}, more...)...); err != nil {
			return err
		}
		if r := byID(list, id); r != nil {
			came = append(came, r)
		}
		return nil
	})
	return came, err
}
