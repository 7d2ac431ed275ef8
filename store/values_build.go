package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// When a version of the program makes other rows of user_values than the one before, or other
// columns of words, its migration puts every organization into value_walks, and a loop makes the rows of all
// people there right, in small transactions. Any server goes on where another one ended.
// It walks twice: a server of the version before may go on writing for a while.

const (
	walkBatch = 100
	walkAgain = time.Hour
)

// RunValues makes the indexed values of people right where that is asked for, until ctx ends.
func (db *DB) RunValues(ctx context.Context) error {
	Every(ctx, db.log, tendEvery, nil, "values", db.TendValues)
	return nil
}

// TendValues walks where that is due.
func (db *DB) TendValues(ctx context.Context) error {
	var due []valueWalk
	err := db.LookupAll(ctx, &due, "SELECT org_id, due_at, after_id, rounds FROM value_walks WHERE due_at <= ? ORDER BY due_at, org_id LIMIT 20", TimeOf(db.now()))
	if err != nil {
		return err
	}
	for _, w := range due {
		if err := w.run(ctx, db); err != nil {
			return fmt.Errorf("organization %s: %w", w.Org, err)
		}
	}
	return nil
}

// valueWalk is on its way through the people of an organization. It is whose the row is
// that says the same DueAt.
type valueWalk struct {
	Org    OrgID  `db:"org_id"`
	DueAt  Time   `db:"due_at"`
	After  UserID `db:"after_id"`
	Rounds int    `db:"rounds"`
}

func (w valueWalk) run(ctx context.Context, db *DB) error {
	actor := access.Muster(string(w.Org))
	next, mine := w, false
	claim := func(tx *Tx) (err error) {
		next.DueAt = tx.Now().Add(tendLease)
		mine, err = w.save(tx, next)
		return err
	}
	if err := db.Write(ctx, actor, claim); err != nil || !mine {
		return err // another server's
	}
	for tries := 0; next.Rounds == w.Rounds; tries++ {
		was := next
		var users []User
		var have map[UserID]foundBy
		err := db.Read(ctx, actor, func(tx *Tx) (err error) {
			if users, err = tx.usersBehind(was.After, walkBatch); err == nil {
				have, err = tx.foundBy(users)
			}
			return err
		})
		if err != nil {
			return err
		}
		err = db.Write(ctx, actor, func(tx *Tx) error {
			next = was
			next.DueAt = tx.Now().Add(tendLease)
			missed, err := tx.correctValues(users, have)
			switch {
			case err != nil:
				return err
			case missed: // somebody was faster: these are looked at again
			case len(users) < walkBatch:
				next.After, next.Rounds, next.DueAt = noID, was.Rounds-1, tx.Now().Add(walkAgain)
			default:
				next.After = users[len(users)-1].ID
			}
			if mine, err = was.save(tx, next); err == nil && !mine {
				err = errElsewhere
			}
			return err
		})
		if errors.Is(err, errElsewhere) {
			return nil
		}
		if err != nil {
			return err
		}
		if next.After != was.After {
			tries = 0
		}
		if tries > 1000 {
			return fault.Unavailable.Say("The same people change all the time.")
		}
	}
	return nil
}

// errElsewhere undoes what was written although another server goes on with the walk.
var errElsewhere = errors.New("another server goes on with it")

// save writes how far the walk is, unless it is not at w any more.
func (w valueWalk) save(tx *Tx, next valueWalk) (bool, error) {
	if next.Rounds == 0 {
		n, err := tx.Exec("DELETE FROM value_walks WHERE org_id = ? AND due_at = ?", tx.Org(), w.DueAt)
		return n > 0, err
	}
	n, err := tx.Exec("UPDATE value_walks SET due_at = ?, after_id = ?, rounds = ? WHERE org_id = ? AND due_at = ?", next.DueAt, next.After, next.Rounds, tx.Org(), w.DueAt)
	return n > 0, err
}

// correctValues writes the columns and rows that differ from the documents. Whoever has been changed
// since they were read is left out, and missed. Why it counts the version up says
// extra_build.go.
func (tx *Tx) correctValues(users []User, have map[UserID]foundBy) (missed bool, err error) {
	for _, u := range users {
		doc, err := u.Attributes()
		if err != nil {
			return false, err
		}
		want, err := hotOf(doc)
		by := have[u.ID]
		if err != nil || want.wordKeys == by.wordKeys && maps.Equal(want.values, by.values) { // a document that is not sound is left to Check
			continue
		}
		n, err := tx.Exec("UPDATE users SET word_key = ?, number_key = ?, phone_key = ?, version = version + 1 WHERE org_id = ? AND id = ? AND version = ?",
			orNull(want.wordKeys.Word), orNull(want.wordKeys.Number), orNull(want.wordKeys.Phone), tx.Org(), u.ID, u.Version)
		if err != nil {
			return false, err
		}
		if n == 0 {
			missed = true
			continue
		}
		if gone := minus(by.values, want.values); len(gone) > 0 {
			if _, err := tx.Exec(strings.Replace(deleteValues, "{{gate}}", "1 = 1", 1), tx.Org(), u.ID, valueList(gone)); err != nil {
				return false, err
			}
		}
		if come := minus(want.values, by.values); len(come) > 0 {
			if _, err := tx.Exec(insertValuesAgain, tx.Org(), u.ID, valueList(come)); err != nil {
				return false, err
			}
		}
	}
	return missed, nil
}
