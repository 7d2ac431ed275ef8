package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Query chooses a page of users or groups, in the order of their creation, which
// stays the same while others are added, unless they are sorted: see SortedUsers.
type Query struct {
	Where  Cond
	After  Place // behind this row; not with an Offset
	Offset int
	Limit  int           // 0: count only
	Count  bool          // tell how many there are in all
	Brief  bool          // of a user only what a directory shows: id, status, document, version and times
	Budget time.Duration // how long a condition may search; searchBudget when 0
	Groups bool          // with each user's Groups; needs Brief
	Rows   int           // how many rows a directory may have searched without an index; 0: any number
}

// searchBudget bounds a search through documents. 100,000 users take 40 ms on
// PostgreSQL and half a second on SQLite.
const searchBudget = 5 * time.Second

// listChunk is how many rows are read at a time. No connection is in use while the
// caller handles them, so it may run other queries.
const listChunk = 200

// EachUser hands the users of a page to each, and tells how many match in all (0
// unless q.Count). A directory sees the people it manages and those nobody
// manages. Faults: Denied, TooMany (the search is longer than its budgets).
func (tx *Tx) EachUser(q Query, each func(User) error) (total int, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return 0, err
	}
	l := tx.userList(q)
	chunk, row := make([]User, 0, q.likely()), l.userRow()
	return l.run(func() { chunk = chunk[:0] }, func(rows *sqlx.Rows) (string, error) {
		u, err := row.scan(rows)
		chunk = append(chunk, u)
		return string(u.ID), err
	}, func() error {
		if err := l.groups(chunk, row); err != nil {
			return err
		}
		for _, u := range chunk {
			if err := each(u); err != nil {
				return err
			}
		}
		return nil
	})
}

// likely is room for a chunk; a filter mostly finds one row or none.
func (q Query) likely() int {
	if q.Where.write != nil {
		return 1
	}
	return max(0, min(listChunk, q.Limit))
}

func (tx *Tx) userList(q Query) listing {
	seen, more := tx.visible()
	l := listing{tx: tx, q: q, columns: "SELECT " + UserFields, table: " FROM users", where: " WHERE org_id = ?" + seen, id: "id", args: append([]any{tx.Org()}, more...)}
	if q.Brief {
		l.columns, l.first = tx.shownColumns(l.grouped())
	}
	if tx.actor.Kind == access.Directory {
		l.count = countUsers
	}
	return l
}

// grouped tells that the rows have the users' groups: when there are but a few.
func (l listing) grouped() bool { return l.q.Groups && l.q.Where.few }

func (l listing) userRow() *userRow { return newUserRow(l.q.Brief, l.grouped()) }

// groups completes a chunk of users.
func (l listing) groups(chunk []User, row *userRow) error {
	if !l.q.Groups {
		return nil
	}
	return l.tx.addGroups(chunk, row)
}

// groupRow is groupColumns without the members' epoch, which costs a query for
// each page instead of a sum over all groups.
const groupRow = `SELECT g.id, g.directory_id, g.name, COALESCE(g.external_id, '') AS external_id, g.doc, g.version, g.created_at, g.updated_at, ` + hasGroups

// EachGroup is EachUser for groups. A directory sees its own.
func (tx *Tx) EachGroup(q Query, each func(Group) error) (total int, err error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return 0, err
	}
	chunk := make([]Group, 0, q.likely())
	return tx.groupList(q).run(func() { chunk = chunk[:0] }, func(rows *sqlx.Rows) (string, error) {
		var g Group
		err := rows.StructScan(&g)
		chunk = append(chunk, g)
		return string(g.ID), err
	}, func() error {
		if err := tx.addEpochs(chunk); err != nil {
			return err
		}
		for _, g := range chunk {
			if err := each(g); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx *Tx) groupList(q Query) listing {
	l := listing{tx: tx, q: q, columns: groupRow, table: " FROM groups g", where: " WHERE g.org_id = ?", id: "g.id", args: []any{tx.Org()}}
	if tx.actor.Kind == access.Directory {
		l.where, l.args, l.count = l.where+" AND g.directory_id = ?", append(l.args, tx.actor.ID), countGroups
	}
	return l
}

// addEpochs completes groups that were read by groupRow.
func (tx *Tx) addEpochs(groups []Group) error {
	if len(groups) == 0 {
		return nil
	}
	ids := make([]GroupID, len(groups))
	at := make(map[GroupID]*Group, len(groups))
	for i := range groups {
		ids[i], at[groups[i].ID] = groups[i].ID, &groups[i]
	}
	var rows []struct {
		ID        GroupID `db:"group_id"`
		N         int64   `db:"n"`
		ChangedAt Time    `db:"changed_at"`
	}
	err := tx.Select(&rows, `SELECT group_id, CAST(SUM(n) AS {{int}}) AS n, MAX(changed_at) AS changed_at FROM group_epochs
		WHERE org_id = ? AND group_id IN ({{ids}}) GROUP BY group_id`, tx.Org(), jsonList(ids))
	for _, r := range rows {
		g := at[r.ID]
		g.Epoch, g.UpdatedAt = r.N, max(g.UpdatedAt, r.ChangedAt)
	}
	return err
}

// MembersOf hands the people in several groups to each, in the order of groups
// and then of people, with one query for a few thousand of them. No connection is
// in use while each runs. Names come only when asked for: see Members.
func (tx *Tx) MembersOf(groups []GroupID, names bool, each func(GroupID, Member) error) error {
	query := "SELECT m.group_id, m.user_id FROM members m"
	if names {
		query = "SELECT m.group_id, m.user_id, u.display_name, m.since FROM members m JOIN users u ON u.org_id = m.org_id AND u.id = m.user_id"
	}
	query += ` WHERE m.org_id = ? AND m.group_id IN ({{ids}})
		AND (m.group_id, m.user_id) > ({{as_id}}, {{as_id}}) ORDER BY m.group_id, m.user_id LIMIT ?`
	return tx.membersOf(query, groups, KindUser, names, each)
}

func (tx *Tx) membersOf(query string, groups []GroupID, kind Kind, names bool, each func(GroupID, Member) error) error {
	type row struct {
		Group GroupID
		Member
	}
	last := row{Group: noID, Member: Member{ID: noID}}
	page := make([]row, 0, 64)
	r := row{Member: Member{Kind: kind}} // one for all rows, and one list of where to scan to
	dest := []any{&r.Group, &r.ID, &r.Name, &r.Since}
	if !names {
		dest = dest[:2]
	}
	for {
		page = page[:0]
		err := tx.query(query, []any{tx.Org(), jsonList(groups), last.Group, last.ID, membersPage}, func(rows *sqlx.Rows) error {
			err := rows.Scan(dest...)
			page = append(page, r)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := each(r.Group, r.Member); err != nil {
				return err
			}
		}
		if len(page) < membersPage {
			return nil
		}
		last = page[len(page)-1]
	}
}

// noID sorts before every id.
const noID = "00000000000000000000000000000000"

// listing is one run of EachUser or EachGroup.
type listing struct {
	tx      *Tx
	q       Query
	columns string // SELECT ...
	first   []any  // arguments of columns
	table   string // FROM ...
	where   string // what the actor may see
	args    []any  // of where
	id      string
	count   string // the counter that holds the number of all rows, for directories
}

// run reads chunk after chunk: clear, then scan for each row (it returns the id),
// then flush.
func (l listing) run(clear func(), scan func(*sqlx.Rows) (string, error), flush func() error) (int, error) {
	if err := l.affordable(l.q.Where.scan); err != nil {
		return 0, err
	}
	where := l.sentence()
	read, after := 0, l.q.After.ID
	for read < l.q.Limit {
		want := min(listChunk, l.q.Limit-read)
		clear()
		n := 0
		sql, args := l.page(where, after, want)
		err := l.search(sql, args, func(rows *sqlx.Rows) (err error) {
			n++
			after, err = scan(rows)
			return err
		})
		if err != nil {
			return 0, err
		}
		if err := flush(); err != nil {
			return 0, err
		}
		if read += n; n < want {
			break
		}
	}
	return l.total(where, read)
}

// affordable refuses a search without index before it begins: how many rows it
// would look at is known from the counters.
func (l listing) affordable(scan bool) error {
	if !scan || l.q.Rows == 0 || l.count == "" || l.q.Limit == 0 && !l.q.Count {
		return nil
	}
	n, err := l.tx.counted(l.count)
	if err == nil && n > l.q.Rows {
		if l.count == countGroups {
			return fault.TooMany.Say("The directory has %d groups, and without an index at most %d are looked through. %s", n, l.q.Rows, indexedWays)
		}
		return fault.TooMany.Say("The directory has %d users, and without an index at most %d are looked through. %s", n, l.q.Rows, indexedWays)
	}
	return err
}

const indexedWays fault.Word = "Filter by userName, externalId, id, emails.value or a group's displayName or members, alone or joined by and; sort by id, userName, externalId or a group's displayName."

// total is how many rows match in all, when that is asked for, after read of them
// were read. It is known when the last page was read.
func (l listing) total(where *sentence, read int) (int, error) {
	switch {
	case !l.q.Count:
		return 0, nil
	case read < l.q.Limit && (read > 0 || l.q.Offset == 0) && l.q.After == Place{}:
		return l.q.Offset + read, nil
	}
	if l.count != "" && l.q.Where.write == nil {
		return l.tx.counted(l.count)
	}
	total := 0
	err := l.search("SELECT COUNT(*)"+l.table+where.sql.String(), where.args, func(rows *sqlx.Rows) error { return rows.Scan(&total) })
	return total, err
}

func (l listing) sentence() *sentence {
	s := &sentence{tx: l.tx}
	s.add(l.where, l.args...)
	if l.q.Where.write != nil {
		s.add(" AND ")
		s.cond(l.q.Where)
	}
	return s
}

// page is the query for one chunk: from the offset, then behind the last row. The
// offset is found by walking ids alone (5 times faster than over whole rows).
func (l listing) page(where *sentence, after string, limit int) (string, []any) {
	query, args := l.columns+l.table+where.sql.String(), slices.Concat(l.first, where.args)
	switch {
	case after != "":
		query, args = query+" AND "+l.id+" > "+l.hidden("{{hidden_id}}"), append(args, after)
	case l.q.Offset > 0:
		query += " AND " + l.id + " >= (SELECT " + l.id + l.table + where.sql.String() + " ORDER BY " + l.id + " LIMIT 1 OFFSET ?)"
		args = append(append(args, where.args...), l.q.Offset)
	}
	order := l.id
	if l.q.Where.few && l.tx.db.d != &postgres {
		// The plus keeps SQLite, which has no statistics, from walking the whole
		// organization in the order of its ids to spare itself sorting a handful.
		order = "+" + l.id
	}
	return query + " ORDER BY " + order + " LIMIT " + l.hidden("{{hidden_int}}"), append(args, limit)
}

// hidden keeps a place or a limit from PostgreSQL's planner in lists without a
// condition. Their plan is the same for all values, a walk of an index, but each
// value makes another estimate, so the planner would begin anew with each page,
// which takes as long as reading it (113 of 225 µs). A condition's plan hangs on its
// values, so there the planner may see them.
func (l listing) hidden(word string) string {
	if l.q.Where.write == nil {
		return word
	}
	return "?"
}

// search runs one statement, within the budget if it has a condition that may look
// at many rows. A statement that searches documents is not kept prepared: clients
// choose its shape, and it costs more than that.
func (l listing) search(query string, args []any, scan func(*sqlx.Rows) error) error {
	if where := l.q.Where; !where.scan && (where.write == nil || where.few) {
		return l.tx.query(query, args, scan)
	}
	budget := l.q.Budget
	if budget == 0 {
		budget = searchBudget
	}
	ctx, cancel := context.WithTimeout(l.tx.ctx, budget)
	defer cancel()
	tx := *l.tx
	tx.ctx = ctx
	var err error
	if l.q.Where.scan {
		err = tx.within(budget+time.Second, func(tx *Tx) error { return tx.rows(query, args, scan) })
	} else {
		err = tx.query(query, args, scan)
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && l.tx.ctx.Err() == nil {
		return fault.TooMany.Wrap(err, "The search took longer than %v. %s", budget, indexedWays)
	}
	return err
}

// within has PostgreSQL itself end a statement of fn that takes longer. A cancellation that
// comes before the statement has begun is lost, because the driver sends it once; without a
// limit of its own the search would go on to its end, and its caller with it.
func (tx *Tx) within(limit time.Duration, fn func(tx *Tx) error) error {
	if tx.db.write != nil || tx.pg != nil { // a transaction is its caller's
		return fn(tx)
	}
	pg, err := tx.db.sql.BeginTxx(tx.ctx, nil)
	if err != nil {
		return classify(err)
	}
	defer pg.Rollback() // nothing was changed
	if _, err := pg.ExecContext(tx.ctx, "SET LOCAL statement_timeout = "+strconv.FormatInt(limit.Milliseconds(), 10)); err != nil {
		return classify(err)
	}
	limited := *tx
	limited.pg = pg
	return fn(&limited)
}

// rows is query for a statement that is not kept prepared.
func (tx *Tx) rows(query string, args []any, scan func(*sqlx.Rows) error) error {
	rows, err := tx.raw().QueryxContext(tx.ctx, tx.db.d.text(query), args...)
	if err != nil {
		return fmt.Errorf("%s: %w", firstLine(query), classify(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return classify(rows.Err())
}
