package store

import (
	"fmt"
	"strconv"

	"github.com/jmoiron/sqlx"
)

// posted is a statement that waits for the end of its transaction.
type posted struct {
	step
	check func(rows int64) error // may be nil
}

// maxPosted bounds the statements that are sent as one.
const maxPosted = 12

// Post is Exec for a statement whose effect nothing later in this transaction reads,
// and that changes no row that another one posted beside it changes. check, which may
// be nil, is told how many rows it changed and can refuse them. On PostgreSQL what was
// posted is sent as one statement, before the next Exec or the commit: that saves the
// eight writes of a sign-in seven ways to the server and back. Elsewhere it runs at once.
func (tx *Tx) Post(query string, args []any, check func(rows int64) error) error {
	if tx.pg == nil {
		n, err := tx.Exec(query, args...)
		if err == nil && check != nil {
			err = check(n)
		}
		return err
	}
	if err := tx.changing(query); err != nil {
		return err
	}
	tx.posted = append(tx.posted, posted{step{query, args}, check})
	if len(tx.posted) == maxPosted {
		return tx.sendPosted()
	}
	return nil
}

// sendPosted runs what was posted so far.
func (tx *Tx) sendPosted() error {
	list := tx.posted
	tx.posted = nil
	switch len(list) {
	case 0:
		return nil
	case 1:
		return tx.sendOne(list[0])
	}
	var args []any
	counts, into := make([]int64, len(list)), []any{}
	text := []byte("WITH ")
	tail := []byte(" SELECT ")
	for i, p := range list {
		name := "p" + strconv.Itoa(i)
		if i > 0 {
			text = append(text, ", "...)
		}
		text = append(append(append(text, name...), " AS ("...), p.sql...)
		if p.check != nil {
			text = append(text, " RETURNING 1"...)
			if len(into) > 0 {
				tail = append(tail, ", "...)
			}
			tail = append(append(append(tail, "(SELECT count(*) FROM "...), name...), ')')
			into = append(into, &counts[i])
		}
		text = append(text, ')')
		args = append(args, p.args...)
	}
	if len(into) == 0 {
		tail = append(tail, '1')
		into = append(into, &counts[0])
	}
	query := tx.db.stmts.text(append(text, tail...))
	if err := tx.query(query, args, func(rows *sqlx.Rows) error { return rows.Scan(into...) }); err != nil {
		return err
	}
	for i, p := range list {
		if p.check == nil {
			continue
		}
		if err := p.check(counts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) sendOne(p posted) error {
	r, err := tx.exec(p.sql, p.args)
	if err != nil {
		return fmt.Errorf("%s: %w", firstLine(p.sql), classify(err))
	}
	n, err := r.RowsAffected()
	if err == nil && p.check != nil {
		err = p.check(n)
	}
	return err
}
