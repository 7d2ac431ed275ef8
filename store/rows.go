package store

import (
	"database/sql"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// briefUser is userColumns for Brief: half of a page's cost is in the columns.
const briefUser = `SELECT id, status, doc, version, created_at, updated_at`

// directGroups are two more columns for Query.Groups: whether there are groups in
// groups at all, and the groups of the user. For one user that spares a statement; a
// page asks once for all. They are put in order here (groupList): an aggregate with an
// order of its own sorts, and that took 20 µs of PostgreSQL for one group.
const directGroups = `, EXISTS (SELECT 1 FROM subgroups n WHERE n.org_id = ?), (SELECT {{group_list}}
	FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id WHERE m.org_id = ? AND m.user_id = users.id`

// groupsOfDirectory are directGroups for a directory, which sees its own.
const groupsOfDirectory = directGroups + " AND g.directory_id = ?)"

// shownColumns are what a directory is shown of users, with their arguments.
func (tx *Tx) shownColumns(groups bool) (string, []any) {
	if !groups {
		return briefUser, nil
	}
	return tx.andGroups(briefUser)
}

// andGroups adds directGroups.
func (tx *Tx) andGroups(columns string) (string, []any) {
	if tx.actor.Kind == access.Directory {
		return columns + groupsOfDirectory, []any{tx.Org(), tx.Org(), tx.actor.ID}
	}
	return columns + directGroups + ")", []any{tx.Org(), tx.Org()}
}

// userRow reads the users of a list. Brief rows are scanned by hand, into bytes that
// the next row takes again.
type userRow struct {
	brief, grouped   bool
	id, status, doc  sql.RawBytes
	version          int64
	created, updated int64
	nested           bool
	groups           sql.RawBytes
	dest             []any
}

func newUserRow(brief, grouped bool) *userRow {
	r := &userRow{brief: brief, grouped: grouped}
	r.dest = append(make([]any, 0, 9), &r.id, &r.status, &r.doc, &r.version, &r.created, &r.updated)
	if grouped {
		r.dest = append(r.dest, &r.nested, &r.groups)
	}
	return r
}

// scan reads the row, and key if there is one more column.
func (r *userRow) scan(rows *sqlx.Rows, key ...*sql.NullString) (u User, err error) {
	if !r.brief {
		if len(key) == 0 {
			err = rows.StructScan(&u)
			return u, err
		}
		keyed := struct {
			*User
			Key *sql.NullString `db:"sorted_by"`
		}{&u, key[0]}
		err = rows.StructScan(&keyed)
		return u, err
	}
	dest := r.dest
	if len(key) > 0 {
		dest = append(dest, key[0])
	}
	if err = rows.Scan(dest...); err != nil {
		return u, err
	}
	u = User{ID: UserID(plainID(r.id)), Status: statusOf(r.status), Doc: JSON(append([]byte(nil), r.doc...)), Version: r.version,
		CreatedAt: Time(r.created), UpdatedAt: Time(r.updated)}
	if r.grouped {
		u.Groups, err = groupList(r.groups)
	}
	return u, err
}

// groupList reads the column that {{group_list}} makes; no groups are NULL or []. They
// are ordered as by name_key and id.
func groupList(raw []byte) ([]GroupRef, error) {
	if len(raw) <= len("[]") {
		return nil, nil
	}
	r := reader{s: string(raw)}
	groups := make([]above, 0, 4)
	for r.take('['); r.take('['); r.take(',') {
		id, ok := r.text()
		if !ok || !r.take(',') {
			break
		}
		name, ok := r.text()
		if !ok || !r.take(']') {
			break
		}
		groups = append(groups, above{GroupRef: GroupRef{ID: GroupID(plainID([]byte(id))), Name: name}, Key: Fold(name)})
	}
	if !r.take(']') || !r.end() {
		return nil, fmt.Errorf("groups of a user: %.100q is not a list of pairs", raw)
	}
	slices.SortFunc(groups, above.compare)
	return refs(groups), nil
}

// addGroups completes users that Query.Groups is about: with their groups, or with
// the indirect ones when row has the direct ones.
func (tx *Tx) addGroups(users []User, row *userRow) error {
	if len(users) == 0 || row.grouped && !row.nested {
		return nil
	}
	of := make(map[UserID][]GroupRef, len(users))
	var err error
	if row.grouped {
		for _, u := range users {
			of[u.ID] = u.Groups
		}
		err = tx.addIndirect(of)
	} else {
		ids := make([]UserID, len(users))
		for i, u := range users {
			ids[i] = u.ID
		}
		of, err = tx.GroupsOf(ids)
	}
	for i, u := range users {
		users[i].Groups = of[u.ID]
	}
	return err
}

// ShownUser is User for showing the person to a directory: what Query.Brief reads,
// and Groups when asked for, in one statement.
func (tx *Tx) ShownUser(id UserID, groups bool) (User, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return User{}, err
	}
	columns, args := tx.shownColumns(groups)
	seen, more := tx.visible()
	row := newUserRow(true, groups)
	var found []User
	err := tx.byKey(columns+" FROM users WHERE org_id = ? AND id = ?"+seen, append(append(args, tx.Org(), id), more...), func(rows *sqlx.Rows) error {
		u, err := row.scan(rows)
		found = append(found, u)
		return err
	})
	if err != nil {
		return User{}, err
	}
	if len(found) == 0 {
		return User{}, fault.NotFound.Say("There is no such user.")
	}
	if groups {
		err = tx.addGroups(found, row)
	}
	return found[0], err
}

// fields is where the columns of UserFields go.
func (u *User) fields() []any {
	return []any{&u.ID, &u.DirectoryID, &u.Source, &u.Status, &u.EndedBy, &u.BreakGlass, &u.UserName, &u.ExternalID, &u.Email,
		&u.DisplayName, &u.ManagerID, &u.Doc, &u.Version, &u.CreatedAt, &u.UpdatedAt, &u.LastSignInAt, &u.LastSignInMethod, &u.DeletedAt}
}

// UserWithGroups is User and Groups in one statement, for a change whose answer shows
// the person.
func (tx *Tx) UserWithGroups(id UserID) (User, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return User{}, err
	}
	columns, args := tx.andGroups("SELECT " + UserFields)
	seen, more := tx.visible()
	args = append(args, tx.Org())
	var u User
	one := groupedUser{}
	r := &rider{id: string(id), ask: &one}
	err := tx.together("read with groups", r, func(list []*rider) error {
		ids := make([]string, len(list))
		for i, r := range list {
			ids[i] = r.id
		}
		var came []*rider
		found, err := tx.groupedRows(columns+" FROM users WHERE org_id = ? AND id = ANY(CAST(? AS uuid[]))"+seen, append(append(slices.Clip(args), pq.Array(ids)), more...))
		for _, one := range found {
			if r := byID(list, one.u.ID); r != nil {
				*r.ask.(*groupedUser) = one
				came = append(came, r)
			}
		}
		return happened(came, err)
	}, func() (err error) {
		u, err = tx.grouped(columns+" FROM users WHERE org_id = ? AND id = ?"+seen, append(append(slices.Clip(args), id), more...))
		return err
	})
	if r.done {
		return tx.withIndirect(one)
	}
	return u, err
}

// groupedUser is a row of UserFields and directGroups.
type groupedUser struct {
	u      User
	nested bool
}

func (tx *Tx) groupedRows(query string, args []any) (found []groupedUser, err error) {
	row := userRow{grouped: true}
	err = tx.byKey(query, args, func(rows *sqlx.Rows) (err error) {
		var u User
		if err = rows.Scan(append(u.fields(), &row.nested, &row.groups)...); err == nil {
			u.Groups, err = groupList(row.groups)
		}
		found = append(found, groupedUser{u, row.nested})
		return err
	})
	return found, err
}

func (tx *Tx) withIndirect(one groupedUser) (User, error) {
	found := []User{one.u}
	err := tx.addGroups(found, &userRow{grouped: true, nested: one.nested})
	return found[0], err
}

// grouped reads one row of UserFields and directGroups. Faults: NotFound.
func (tx *Tx) grouped(query string, args []any) (User, error) {
	found, err := tx.groupedRows(query, args)
	if err != nil {
		return User{}, err
	}
	if len(found) == 0 {
		return User{}, fault.NotFound.Say("There is no such user.")
	}
	return tx.withIndirect(found[0])
}

// statusOf spares a string for each row.
func statusOf(b []byte) Status {
	for _, s := range []Status{Active, Deactivated, Invited, Deleted} {
		if string(b) == string(s) {
			return s
		}
	}
	return Status(b)
}
