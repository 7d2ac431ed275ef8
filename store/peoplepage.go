package store

import (
	"fmt"
	"slices"
	"strings"
)

// place is where the page begins, and in which direction it is read.
func (l *peopleList) place() (at Standing, down bool) {
	if l.q.Before.ID != "" {
		return l.q.Before, !l.down
	}
	return l.q.After, l.down
}

// besideID is the column of the order, to be selected beside the id.
func (l *peopleList) besideID() string {
	if l.sort.column == "user_id" {
		return ""
	}
	return ", r." + l.sort.column
}

// order is the column and the direction in which a page is read, and the condition on
// what comes behind its place, for rows that are called so.
func (l *peopleList) order(row string) (by, behind string, args []any) {
	return l.orderBy(row, l.sort.column)
}

func (l *peopleList) orderBy(row, column string) (by, behind string, args []any) {
	column, id := row+"."+column, row+".user_id"
	place, down := l.place()
	way := ""
	if down {
		way = " DESC"
	}
	if by = " ORDER BY " + column + way + ", " + id + way; column == id {
		by = " ORDER BY " + id + way
	}
	if place.ID != "" {
		behind, args = place.beyond(column, id, down, l.sort.number)
	}
	return by, behind, args
}

// walked tells that an index has the order, and nothing names people itself.
func (l *peopleList) walked() bool { return l.few == nil && len(l.sort.runs) > 0 }

// ahead are the runs of the order from the place on, which is in the first of them.
func (l *peopleList) ahead() []run {
	at, down := l.place()
	runs := slices.Clone(l.sort.runs)
	if down {
		slices.Reverse(runs)
	}
	if at.ID != "" && len(runs) > 1 {
		runs = runs[slices.IndexFunc(runs, func(r run) bool { return r.place(at) }):]
	}
	return runs
}

// along selects columns of the next people in a run, some of them at most. Only in the
// first run is anybody before the place.
func (l *peopleList) along(r run, first bool, columns string, most int) (query string, args []any) {
	by, behind, more := l.orderBy("r", r.column)
	query, args = "SELECT "+columns+" FROM roster r WHERE r.org_id = ?"+r.has, []any{l.tx.Org()}
	for _, c := range l.here {
		if c.span == "r."+r.column { // who is asked for stands together
			query, args = query+" AND "+c.text, append(args, c.args...)
		}
	}
	if first {
		query, args = query+behind, append(args, more...)
	}
	return fmt.Sprintf("%s%s LIMIT %d", query, by, most), args
}

// next gives the page out of the next people along the order, or a part of it: out of far
// fewer first, which will do where most match.
func (l *peopleList) next(limit int) (ids []UserID, err error) {
	near := l.tx.db.counted.near()
	if at := 4 * limit; l.walked() && at < near {
		if ids, err = l.nearby(at, limit); err != nil || len(ids) == limit {
			return ids, err
		}
	}
	return l.nearby(near, limit)
}

// nearby is next out of so many.
func (l *peopleList) nearby(near, limit int) (ids []UserID, err error) {
	if !l.walked() {
		return l.ids(l.sorted(near, limit))
	}
	runs := l.ahead()
	for i, r := range runs {
		if r.leaves != nil && r.leaves(l.q) {
			continue
		}
		found, err := l.ids(l.nextOf(r, i == 0, near, limit))
		if ids = append(ids, found...); err != nil || len(ids) >= limit || i == len(runs)-1 {
			return ids[:min(len(ids), limit)], err
		}
		var looked int
		query, args := l.along(r, i == 0, "1", near)
		if err := l.tx.Get(&looked, "SELECT COUNT(*) FROM ("+query+") AS n", args...); err != nil || looked == near {
			return ids, err // somebody further on in this run goes before those in the next
		}
	}
	return ids, nil
}

// nextOf selects those of a page out of the next people in a run.
func (l *peopleList) nextOf(r run, first bool, near, limit int) (string, []any) {
	from, args := l.along(r, first, "r.*", near)
	from = "FROM (" + from + ") AS r WHERE 1 = 1"
	for _, c := range l.here {
		from, args = from+" AND "+c.text, append(args, c.args...)
	}
	from, args = l.strictly(from, args)
	by, _, _ := l.orderBy("r", r.column)
	return fmt.Sprintf("SELECT r.user_id %s%s LIMIT %d", from, by, limit), args
}

// sorted is nextOf in an order that no index has: everybody is looked at in any case, and
// sorted, by rows as narrow as can be.
func (l *peopleList) sorted(near, limit int) (string, []any) {
	by, behind, more := l.order("r")
	from, args := l.easily()
	from, args = fmt.Sprintf("FROM (SELECT r.user_id%s %s%s%s LIMIT %d) AS r WHERE 1 = 1", l.besideID(), from, behind, by, near), append(args, more...)
	from, args = l.strictly(from, args)
	return fmt.Sprintf("SELECT r.user_id %s%s LIMIT %d", from, by, limit), args
}

// whole gives the page out of everybody.
func (l *peopleList) whole(limit int) (ids []UserID, err error) {
	if l.all && l.sort.column == "email_key" {
		return l.ids(l.byAddress(limit))
	}
	if !l.walked() {
		return l.ids(l.out(run{column: l.sort.column}, true, limit))
	}
	for i, r := range l.ahead() {
		if r.leaves != nil && r.leaves(l.q) {
			continue
		}
		found, err := l.ids(l.out(r, i == 0, limit))
		if ids = append(ids, found...); err != nil || len(ids) >= limit {
			return ids[:min(len(ids), limit)], err
		}
	}
	return ids, nil
}

// out selects those of a page out of everybody in a run.
func (l *peopleList) out(r run, first bool, limit int) (string, []any) {
	from, args := l.easily()
	from, args = l.strictly(from+r.has, args)
	by, behind, more := l.orderBy("r", r.column)
	if first {
		from, args = from+behind, append(args, more...)
	}
	return ofAll(fmt.Sprintf("SELECT r.user_id %s%s LIMIT %d", from, by, limit)), args
}

// ofAll is a query that may look at everybody.
func ofAll(query string) string { return strings.ReplaceAll(query, lookedUp, "") }

// byAddress selects a page of all, in the order of an index of users.
func (l *peopleList) byAddress(limit int) (string, []any) {
	by, behind, args := l.order("u")
	return fmt.Sprintf("SELECT u.user_id FROM (SELECT u.org_id, u.id AS user_id, u.email_key FROM users u WHERE u.deleted_at = 0) AS u WHERE u.org_id = ?%s%s LIMIT %d",
		behind, by, limit), append([]any{l.tx.Org()}, args...)
}

// beyond is the condition on what comes behind a place.
func (p Standing) beyond(by, id string, down, number bool) (string, []any) {
	sign := " > "
	if down {
		sign = " < "
	}
	if by == id {
		return " AND " + id + sign + "?", []any{p.ID}
	}
	var value any = p.Text
	if number {
		value = p.Number
	}
	return " AND (" + by + ", " + id + ")" + sign + "(?, ?)", []any{value, p.ID}
}
