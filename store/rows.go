package store

import (
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// briefUser is userColumns for Brief: half of a page's cost is in the columns.
const briefUser = `SELECT id, status, doc, version, created_at, updated_at FROM users`

// userRow reads the users of a list. Brief rows are scanned by hand, into bytes that
// the next row takes again: 12 allocations a row, where a struct takes 30.
type userRow struct {
	brief            bool
	id, status, doc  sql.RawBytes
	version          int64
	created, updated int64
	dest             []any
}

func (q Query) userRow() *userRow {
	r := &userRow{brief: q.Brief}
	r.dest = append(make([]any, 0, 7), &r.id, &r.status, &r.doc, &r.version, &r.created, &r.updated)
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
	return User{ID: UserID(plainID(r.id)), Status: statusOf(r.status), Doc: JSON(append([]byte(nil), r.doc...)), Version: r.version,
		CreatedAt: Time(r.created), UpdatedAt: Time(r.updated)}, nil
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
