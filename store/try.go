package store

import (
	"errors"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Try runs fn, which is undone alone when it fails: the rest of the transaction stays.
// It is for one of many that are done together. What was posted (Post) is sent on the
// side of the border where it was posted. Needs Write.
func (tx *Tx) Try(fn func() error) error {
	if tx.mode != modeWrite {
		return errors.New("Try needs Write")
	}
	if err := tx.sendPosted(); err != nil {
		return err
	}
	if err := tx.control("SAVEPOINT item"); err != nil {
		return err
	}
	after := len(tx.after)
	failed := fn()
	if failed == nil {
		failed = tx.sendPosted()
	}
	if failed != nil {
		tx.after, tx.posted = tx.after[:after], nil
		if err := tx.control("ROLLBACK TO SAVEPOINT item"); err != nil {
			return errors.Join(failed, err)
		}
	}
	return errors.Join(failed, tx.control("RELEASE SAVEPOINT item"))
}

func (tx *Tx) control(statement string) error {
	if tx.w != nil {
		return tx.w.control(tx.ctx, statement)
	}
	_, err := tx.pg.ExecContext(tx.ctx, statement)
	return classify(err)
}

// As runs fn as another actor: what somebody ordered is done later by the server, with
// the rights that the orderer has by then. Faults: Denied (only Muster itself may).
func (tx *Tx) As(actor access.Actor, fn func() error) error {
	if tx.actor.Kind != access.System {
		return fault.Denied.Say("Nobody acts for somebody else.")
	}
	was := tx.actor
	tx.actor = actor
	defer func() { tx.actor = was }()
	return fn()
}
