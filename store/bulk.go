package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
)

// What an import needs: many people found, made and listed at a time.

// The columns in which the rows mostly are alike come first, see alike.

const insertUsers = `INSERT INTO users (org_id, source, status, break_glass, version, external_id, id, user_name, user_name_key,
	email, email_key, display_name, sort_key, search_key, word_key, number_key, phone_key, manager_id, doc, created_at, updated_at) VALUES `

const insertManyValues = "INSERT INTO user_values (org_id, attr, kind, value_key, user_id) VALUES "

const insertManyRoles = "INSERT INTO user_roles (org_id, reason_kind, reason_ref, reason_detail, given_by, role, user_id, since) VALUES "

const insertManyActivities = `INSERT INTO activity (org_id, actor_kind, actor_id, actor_name, action, target_kind, id, at, target_id, target_name, detail) VALUES `

// CreateUsers is CreateUser for many, in statements of many rows each: four times the
// rate. All or none: who may not be created is found by creating them one by one. Needs
// Write; not for directories. Faults: those of CreateUser.
func (tx *Tx) CreateUsers(list []NewUser) ([]User, error) {
	n, err := tx.DrawUsers(list)
	if err == nil {
		err = n.Enter(tx)
	}
	if err != nil {
		return nil, err
	}
	return n.Settle()
}

// Newcomers are people on their way in, which takes three steps: their rows are made, those
// of the table of users are put in, then what goes with these.
type Newcomers struct {
	tx   *Tx
	list []NewUser

	by   access.Actor // who made the rows
	defs string       // revision of the definitions by which they were made

	users                     []User
	told                      []Activity
	rows, values, roles, acts [][]any
	extras                    []map[extraRow]bool

	joining map[Source]*joining
}

// DrawUsers makes the rows. It changes nothing, so it may be done before others have to wait
// for the transaction that goes on with them. The documents are not needed any more then: they
// are the larger part of what waits.
func (tx *Tx) DrawUsers(list []NewUser) (*Newcomers, error) {
	n := &Newcomers{list: slices.Clone(list)}
	if slices.ContainsFunc(list, func(in NewUser) bool { return text(in.Doc, "userName") == "" }) {
		return n, nil // they get one when they enter
	}
	return n, n.draw(tx)
}

// Enter puts in all that another transaction may wait for, and no row that others write, too.
// Without Settle, the transaction must not be kept.
func (n *Newcomers) Enter(tx *Tx) error {
	if tx.actor.Kind == access.Directory {
		return errors.New("a directory creates its users one by one")
	}
	if err := tx.Require(access.CreateUsers); err != nil {
		return err
	}
	if n.rows == nil { // else all have names
		if err := tx.nameNew(n.list); err != nil {
			return err
		}
	}
	defs, err := tx.Definitions()
	if err != nil {
		return err
	}
	if n.rows == nil || n.defs != defs.Revision || !reflect.DeepEqual(n.by, tx.actor) {
		if err := n.draw(tx); err != nil {
			return err
		}
	}
	n.tx = tx
	n.date()
	list, joining, err := tx.allDefaults(n.list)
	if err != nil {
		return err
	}
	n.joining = joining
	if err := tx.mayGive(distinct(n.giveRoles(list))); err != nil {
		return err
	}
	limited, err := tx.seatMany(list)
	if err != nil {
		return err
	}
	if err := tx.InsertMany(insertUsers, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {{as_json}}, ?, ?)", n.rows); err != nil {
		if len(n.list) == 1 {
			err = taken(err, n.users[0].UserName, n.users[0].ExternalID)
		}
		return err
	}
	if !limited { // whoever sets a limit waits for those who write people, so one that is not there now comes later
		if rows, err := tx.lockSeats(); err != nil || len(rows) > 0 {
			return errors.Join(err, errStale)
		}
	}
	return nil
}

// Settle puts the rest in, in the same transaction.
func (n *Newcomers) Settle() ([]User, error) {
	tx, counted := n.tx, 0
	for i, in := range n.list {
		tx.tell(n.told[i])
		if !in.BreakGlass {
			counted++
		}
	}
	err := errors.Join(tx.InsertMany(insertManyValues, "(?, ?, ?, ?, ?)", n.values), tx.InsertMany(insertManyRoles, "(?, ?, ?, ?, ?, ?, ?, ?)", n.roles),
		tx.InsertMany(insertManyActivities, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", n.acts), tx.countNew(counted))
	if err != nil {
		return nil, err
	}
	for i, u := range n.users {
		if err := tx.addExtraRows(string(u.ID), n.extras[i]); err != nil {
			return nil, err
		}
	}
	for _, from := range sourceOrder {
		if join := n.joining[from]; join != nil {
			if err := tx.joinDefaults(join.users, join.teams, join.why); err != nil {
				return nil, err
			}
		}
	}
	return n.users, nil
}

// draw makes the rows but for roles and times.
func (n *Newcomers) draw(tx *Tx) error {
	defs, err := tx.Definitions()
	if err != nil {
		return err
	}
	org := any(string(tx.Org()))
	n.by, n.defs, n.extras = tx.actor, defs.Revision, make([]map[extraRow]bool, len(n.list))
	drawn := n.users
	n.users, n.told, n.rows, n.acts, n.values = make([]User, len(n.list)), make([]Activity, len(n.list)), make([][]any, len(n.list)), make([][]any, len(n.list)), nil
	for i, in := range n.list {
		if in.Doc == nil {
			if in.Doc, err = drawn[i].Attributes(); err != nil {
				return err
			}
		}
		w, err := workOut(in.Doc)
		if err != nil {
			return err
		}
		u := tx.newUser(in, w.hot, w.doc)
		n.users[i] = u
		id := any(string(u.ID)) // plain texts, which stand in eight rows and are looked at by nobody on the way
		n.rows[i] = []any{org, string(u.Source), string(u.Status), u.BreakGlass, 1, orNull(u.ExternalID), id, u.UserName, w.hot.nameKey,
			u.Email, w.hot.emailKey, u.DisplayName, w.hot.sortKey, w.hot.searchKey, orNull(w.hot.wordKeys.Word), orNull(w.hot.wordKeys.Number), orNull(w.hot.wordKeys.Phone), u.ManagerID, w.doc, nil, nil}
		for v := range w.hot.values {
			n.values = append(n.values, []any{org, v.Attr, v.Kind, v.Value, id})
		}
		after := any(u.Doc) // as it was just written
		if defs.secret {
			after = defs.Masked(in.Doc)
		}
		act := Activity{Action: "user.create", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
			Detail: map[string]any{"source": u.Source, "status": u.Status, "after": after}}
		args, err := tx.activityArgs(&act)
		if err != nil {
			return err
		}
		if n.extras[i], err = defs.rowsOf(UserResource, in.Doc); err != nil {
			return err
		}
		n.list[i].Doc, n.told[i], n.acts[i] = nil, act, []any{org, args[3], args[4], args[5], args[6], args[7], nil, nil, id, args[9], args[10]}
	}
	// In the order of the index, so that neighbours are written together.
	slices.SortFunc(n.values, func(a, b []any) int {
		return cmp.Or(strings.Compare(a[1].(string), b[1].(string)), strings.Compare(a[3].(string), b[3].(string)))
	})
	return nil
}

// date is when they enter.
func (n *Newcomers) date() {
	now := n.tx.Now()
	at := any(now)
	for i := range n.users {
		n.users[i].CreatedAt, n.users[i].UpdatedAt = now, now
		n.rows[i][19], n.rows[i][20] = at, at
		n.told[i].ID, n.told[i].At = NewID[Activity](), now
		n.acts[i][6], n.acts[i][7] = string(n.told[i].ID), at
	}
}

// giveRoles makes the rows of roles, and tells which of them somebody chose.
func (n *Newcomers) giveRoles(list []NewUser) (given []string) {
	n.roles = nil
	org, at := any(string(n.tx.Org())), any(n.tx.Now())
	for i, in := range list {
		id := n.users[i].ID
		if join := n.joining[in.Source]; join != nil && !in.BreakGlass {
			join.users = append(join.users, id)
		}
		for _, role := range in.Roles {
			n.roles = append(n.roles, []any{org, in.Reason.Kind, in.Reason.Ref, in.Reason.Detail, n.tx.giver(in.Reason), role, string(id), at})
			if in.Reason.Kind != FromDefault { // what everybody gets is nobody's to withhold
				given = append(given, role)
			}
		}
	}
	return given
}

// joining are new people of one source, and the teams that come with it.
type joining struct {
	users []UserID
	teams []GroupID
	why   Reason
}

// allDefaults is withDefaults for many: it asks once for each source.
func (tx *Tx) allDefaults(list []NewUser) ([]NewUser, map[Source]*joining, error) {
	out, teams, usual := slices.Clone(list), map[Source]*joining{}, map[Source]NewUser{}
	for i := range out {
		in := &out[i]
		if in.BreakGlass {
			continue
		}
		one, asked := usual[in.Source]
		if !asked {
			one = NewUser{Source: in.Source, Reason: in.Reason}
			some, why, err := tx.withDefaults(&one)
			if err != nil {
				return nil, nil, err
			}
			usual[in.Source], teams[in.Source] = one, &joining{teams: some, why: why}
		}
		if len(in.Roles) == 0 && len(one.Roles) > 0 {
			in.Roles, in.Reason = one.Roles, one.Reason
		}
	}
	return out, teams, nil
}

// countNew adds people whom nobody manages to their number.
func (tx *Tx) countNew(n int) error {
	if n == 0 {
		return nil
	}
	count := tx.countStep(countUsers, "", n)
	_, err := tx.Exec(strings.NewReplacer("{{row}}", "VALUES (", "{{end_row}}", ")").Replace(count.sql), count.args...)
	return err
}

// seatMany takes the seats of new people before they are there, all or none, and tells
// whether there are limits. Faults: Conflict on "seats".
func (tx *Tx) seatMany(list []NewUser) (limited bool, err error) {
	rows, err := tx.lockSeats()
	if err != nil || len(rows) == 0 {
		return false, err
	}
	need := map[string]int64{}
	for _, u := range list {
		if u.Status != "" && !seated(u.Status) {
			continue
		}
		roles := u.Roles
		if len(roles) == 0 {
			roles = []string{DefaultRole}
		}
		need[""]++
		if l := licenseFor(rows, roles); l != "" {
			need[l]++
		}
	}
	over := func(r seatRow) bool { return r.Most >= 0 && r.Used+need[r.License] > r.Most && need[r.License] > 0 }
	if slices.ContainsFunc(rows, over) { // somebody may have left since
		if err := tx.countSeats(rows); err != nil {
			return true, err
		}
		if i := slices.IndexFunc(rows, over); i >= 0 {
			return true, full(rows[i])
		}
	}
	for _, r := range rows {
		if _, err := tx.Exec("UPDATE seats SET used = ? WHERE org_id = ? AND license = ?", r.Used+need[r.License], tx.Org(), r.License); err != nil {
			return true, err
		}
	}
	return true, nil
}

// InsertMany puts rows in, as many at a time as one statement takes. There are three
// lengths of statement, so that they stay prepared. PostgreSQL takes many as COPY, which
// spares it the reading of a thousand parameters. When one row cannot be, others may be
// there: the caller undoes all that it did. SQLite would copy each page before it changes
// it, to be able to undo the statement alone.
func (tx *Tx) InsertMany(head, row string, rows [][]any) error {
	return tx.insertRows(head, row, "", rows)
}

// Many rows are worth a COPY.
const Many = 64

func (tx *Tx) insertRows(head, row, end string, rows [][]any) error {
	if tx.pg != nil && len(rows) >= Many {
		return tx.copyMany(head, rows)
	}
	if tx.w != nil {
		head = orFail(head)
	}
	for len(rows) > 0 {
		n := 1
		for _, size := range []int{64, 8} {
			if len(rows) >= size {
				n = size
				break
			}
		}
		same, values := 0, row
		if n == 64 && tx.w != nil {
			same = alike(row, rows[:n])
			values = once(row, same)
		}
		args := append(make([]any, 0, n*len(rows[0])), rows[0][:same]...)
		for _, r := range rows[:n] {
			args = append(args, r[same:]...)
		}
		if _, err := tx.Exec(head+manyRows(values, n)+end, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// alike is in how many of the first columns all rows have the same text, number or nothing.
// SQLite is handed that once: of the 71 values of a row of an import, half.
func alike(row string, rows [][]any) int {
	plain, _, _ := strings.Cut(row, "{{")
	for c := range strings.Count(plain, "?,") {
		v := rows[0][c]
		switch v.(type) {
		case string, int, bool, nil:
		default:
			return c
		}
		if slices.ContainsFunc(rows[1:], func(r []any) bool { return r[c] != v }) {
			return c
		}
	}
	return 0 // rows that are one
}

// once is the text of a row whose first places are those of the first row. Places without
// a number count on from the highest.
func once(row string, same int) string {
	for i := range same {
		row = strings.Replace(row, "?,", "?"+strconv.Itoa(i+1)+",", 1)
	}
	return row
}

func orFail(head string) string { return strings.Replace(head, "INSERT", "INSERT OR FAIL", 1) }

func manyRows(row string, n int) string { return strings.Repeat(row+", ", n-1) + row }

// Rows are what a statement puts in, which there are two ways to say.
type Rows struct {
	Query string        // has an {{each}} of the list
	List  func() string // as JSON

	Head string         // ends in VALUES
	Row  string         // has a place for each argument
	End  string         // of the statement
	Args func() [][]any // of each row
}

// InsertRows puts rows in: one statement that reads a list on PostgreSQL, arguments on SQLite, for
// which they are half the work. Both are made before the writer is taken.
func (db *DB) InsertRows(ctx context.Context, actor access.Actor, r Rows) error {
	if db.write == nil {
		list := r.List()
		return db.Command(ctx, actor, func(tx *Tx) error {
			_, err := tx.Exec(r.Query, list)
			return err
		})
	}
	rows := r.Args()
	return db.Command(ctx, actor, func(tx *Tx) error { return tx.insertRows(r.Head, r.Row, r.End, rows) })
}

// Analyze has PostgreSQL count a table anew that has just grown by thousands of rows; by
// itself it does so within minutes. With columns it looks at these alone, else at the
// documents, too. Table and columns are words of the caller's.
func (tx *Tx) Analyze(table string, columns ...string) error {
	if tx.pg == nil {
		return nil
	}
	statement := "ANALYZE " + table
	if len(columns) > 0 {
		statement += " (" + strings.Join(columns, ", ") + ")"
	}
	_, err := tx.pg.ExecContext(tx.ctx, statement)
	return classify(err)
}

// UsersBy finds people by their ids, addresses and user names, all at once; names and
// addresses without regard to case.
func (tx *Tx) UsersBy(ids []UserID, emails, names []string) ([]User, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	list := []User{}
	for _, by := range []struct{ column, keys string }{{"id", jsonList(distinct(ids))}, {"email_key", jsonList(distinct(folded(emails)))}, {"user_name_key", jsonList(distinct(folded(names)))}} {
		if by.keys == "[]" {
			continue
		}
		var some []User
		byKey, args := tx.usersByKeys(by.column, by.keys)
		if err := sqlx.SelectContext(tx.ctx, tx.raw(), &some, tx.db.d.text(byKey), args...); err != nil {
			return nil, fmt.Errorf("users by %s: %w", by.column, classify(err))
		}
		list = append(list, some...)
	}
	had := make(map[UserID]bool, len(list))
	out := list[:0]
	for _, u := range list {
		if !had[u.ID] {
			had[u.ID] = true
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b User) int { return strings.Compare(string(a.ID), string(b.ID)) }) // SQL would look at everybody in that order
	return out, nil
}

// usersByKeys finds people by a list of keys. PostgreSQL takes an organization that has
// just grown by thousands for empty until it counts anew, and would read all of it for each
// list: nine tenths of an import, unless it is told to count in between. So it looks up
// each key behind OFFSET 0, where only one index can be used, by a plan that is made anew.
func (tx *Tx) usersByKeys(column, keys string) (byKey string, args []any) {
	seen, more := tx.visible()
	switch {
	case tx.db.d != &postgres:
		return userColumns + " WHERE org_id = ? AND " + column + " {{in_texts}}" + seen, append([]any{tx.Org(), keys}, more...)
	case column == "id":
		return eachUserThere + "org_id = ? AND id = CAST(e.value AS uuid) OFFSET 0) AS u WHERE org_id = ?" + seen, append([]any{keys, tx.Org(), tx.Org()}, more...)
	}
	return eachUserThere + column + " = e.value AND deleted_at = 0 OFFSET 0) AS u WHERE org_id = ?" + seen, append([]any{keys, tx.Org()}, more...)
}

const eachUserThere = "SELECT " + UserFields + " FROM {{each_text}} CROSS JOIN LATERAL (SELECT * FROM users WHERE "

func folded(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Fold(s)
	}
	return out
}

// EmployeeNumbers tells who has which of these employee numbers, compared as they
// stand. It looks at everybody once, so it is for whole files: no index is kept for it.
func (tx *Tx) EmployeeNumbers(numbers []string) (map[string][]UserID, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	var rows []struct {
		ID     UserID `db:"id"`
		Number string `db:"number"`
	}
	seen, more := tx.visible()
	const number = "(doc -> '" + EnterpriseURN + "' ->> 'employeeNumber')"
	err := tx.Select(&rows, "SELECT id, "+number+" AS number FROM users WHERE org_id = ?"+seen+" AND "+number+" IN (SELECT value FROM {{each_text}}) ORDER BY id",
		append(append([]any{tx.Org()}, more...), jsonList(numbers))...)
	of := make(map[string][]UserID, len(rows))
	for _, r := range rows {
		of[r.Number] = append(of[r.Number], r.ID)
	}
	return of, err
}

// PeopleAfter is the next people behind one by id, for whoever goes through all that
// match without holding them: the order and the page of q do not count. Roles and
// groups come with them.
func (tx *Tx) PeopleAfter(q PeopleQuery, after UserID, limit int) ([]Person, error) {
	q.Sort, q.After, q.Before = "created", Standing{ID: after}, Standing{}
	l, err := tx.peopleList(q)
	if err != nil {
		return nil, err
	}
	ids, err := l.whole(min(limit, 1000))
	if err != nil {
		return nil, err
	}
	return tx.peopleOf(ids)
}

// newUser is the row of a new person.
func (tx *Tx) newUser(in NewUser, hot hotColumns, doc string) User {
	now := tx.Now()
	u := User{ID: in.ID, Source: in.Source, Status: in.Status, BreakGlass: in.BreakGlass, UserName: hot.userName, ExternalID: hot.externalID,
		Email: hot.email, DisplayName: hot.displayName, ManagerID: hot.managerID, Doc: JSON(doc), Version: 1, CreatedAt: now, UpdatedAt: now}
	if u.ID == "" {
		u.ID = NewID[User]()
	}
	if u.Status == "" {
		u.Status = Active
	}
	if tx.actor.Kind == access.Directory {
		u.DirectoryID = DirectoryID(tx.actor.ID)
	}
	return u
}
