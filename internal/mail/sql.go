package mail

import (
	"context"

	"github.com/muster-id/muster/store"
)

type mailRow struct {
	Org       store.OrgID `db:"org_id"`
	ID        ID          `db:"id"`
	To        string      `db:"recipient"`
	Subject   string      `db:"subject"`
	Text      string      `db:"text"`
	HTML      string      `db:"html"`
	State     string      `db:"state"`
	Tries     int         `db:"tries"`
	NextAt    store.Time  `db:"next_at"`
	CreatedAt store.Time  `db:"created_at"`
	SentAt    store.Time  `db:"sent_at"`
	Error     string      `db:"error"`
}

const mailColumns = "SELECT org_id, id, recipient, subject, text, html, state, tries, next_at, created_at, sent_at, error FROM mails"

func insert(tx *store.Tx, r mailRow) error {
	_, err := tx.Exec("INSERT INTO mails (org_id, id, recipient, subject, text, html, state, next_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.Org, r.ID, r.To, r.Subject, r.Text, r.HTML, r.State, r.NextAt, r.CreatedAt)
	return err
}

// due are the messages of every organization whose time has come, oldest first.
func (o *Outbox) due(ctx context.Context) (rows []mailRow, err error) {
	return rows, o.opts.DB.LookupAll(ctx, &rows, mailColumns+" WHERE state = 'queued' AND next_at <= ? ORDER BY next_at LIMIT 50", store.TimeOf(o.opts.DB.Now()))
}

// claim moves the time on, so that no other server takes the message; next_at is
// the guard against one that has it already.
func claim(tx *store.Tx, r mailRow, until store.Time) (bool, error) {
	n, err := tx.Exec("UPDATE mails SET next_at = ? WHERE org_id = ? AND id = ? AND state = 'queued' AND next_at = ?", until, tx.Org(), r.ID, r.NextAt)
	return n == 1, err
}

func markSent(tx *store.Tx, id ID) error {
	_, err := tx.Exec("UPDATE mails SET state = 'sent', text = '', html = '', error = '', tries = tries + 1, sent_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), id)
	return err
}

func markTried(tx *store.Tx, id ID, next store.Time, why string) error {
	_, err := tx.Exec("UPDATE mails SET tries = tries + 1, next_at = ?, error = ? WHERE org_id = ? AND id = ?", next, why, tx.Org(), id)
	return err
}

func markFailed(tx *store.Tx, id ID, why string) error {
	_, err := tx.Exec("UPDATE mails SET state = 'failed', tries = tries + 1, error = ? WHERE org_id = ? AND id = ?", why, tx.Org(), id)
	return err
}

// kept are the messages of the built-in mailbox, newest first.
func (o *Outbox) kept(ctx context.Context) (rows []mailRow, err error) {
	return rows, o.opts.DB.LookupAll(ctx, &rows, mailColumns+" WHERE state = 'kept' ORDER BY id DESC LIMIT 200")
}

func (o *Outbox) keptOne(ctx context.Context, id ID) (row mailRow, err error) {
	return row, o.opts.DB.Lookup(ctx, &row, mailColumns+" WHERE state = 'kept' AND id = ?", id)
}
