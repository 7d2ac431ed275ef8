package mail

import (
	"context"
	"net/url"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What an operator sees of the queue, and does with it. The texts of messages, which hold
// links with secrets, are not part of it.

// Entry is a message that waits, or was given up.
type Entry struct {
	Org       store.OrgID `db:"org_id"`
	ID        ID          `db:"id"`
	To        string      `db:"recipient"`
	Subject   string      `db:"subject"`
	State     string      `db:"state"` // queued or failed
	Tries     int         `db:"tries"`
	NextAt    store.Time  `db:"next_at"`
	CreatedAt store.Time  `db:"created_at"`
	Error     string      `db:"error"`
	Text      bool        `db:"has_text"` // it can be sent again
}

const selectEntries = "SELECT org_id, id, recipient, subject, state, tries, next_at, created_at, error, text <> '' AS has_text FROM mails"

// keepFailed is how long a message that was given up can be sent again.
const keepFailed = 3 * 24 * time.Hour

// Load is how full the queue is.
type Load struct {
	Waiting  int `db:"waiting"`  // not tried yet
	Retrying int `db:"retrying"` // tried, and to be tried again
	Failed   int `db:"failed"`   // given up in the last 30 days
}

// Load counts. Faults: Denied.
func (o *Outbox) Load(ctx context.Context, actor access.Actor) (l Load, err error) {
	if err := operates(actor); err != nil {
		return l, err
	}
	return l, o.opts.DB.Lookup(ctx, &l, `SELECT (SELECT count(*) FROM mails WHERE state = 'queued' AND tries = 0) AS waiting,
		(SELECT count(*) FROM mails WHERE state = 'queued' AND tries > 0) AS retrying, (SELECT count(*) FROM mails WHERE state = 'failed') AS failed`)
}

func operates(actor access.Actor) error {
	if !actor.May(access.Operate) {
		return fault.Denied.Say("Only an operator of this server can look at the queue of mail.")
	}
	return nil
}

// Entries are those that wait or, with failed, were given up, newest first, before that one.
// more tells whether there are older ones. Faults: Denied.
func (o *Outbox) Entries(ctx context.Context, actor access.Actor, failed bool, before ID, limit int) (list []Entry, more bool, err error) {
	if err := operates(actor); err != nil {
		return nil, false, err
	}
	query, args := selectEntries+" WHERE state = 'queued'", []any{}
	if failed {
		query = selectEntries + " WHERE state = 'failed'"
	}
	if before != "" {
		query, args = query+" AND id < ?", append(args, before)
	}
	if err := o.opts.DB.LookupAll(ctx, &list, query+" ORDER BY id DESC LIMIT ?", append(args, limit+1)...); err != nil {
		return nil, false, err
	}
	more = len(list) > limit
	return list[:min(len(list), limit)], more, nil
}

// Again has a message sent now: one that waits for its next try, or was given up lately.
// Faults: Denied, NotFound, Expired (its text is gone).
func (o *Outbox) Again(ctx context.Context, actor access.Actor, id ID) error {
	return o.change(ctx, actor, id, "mail.retry", func(tx *store.Tx, e Entry) error {
		if !e.Text {
			return fault.Expired.Say("The text of this message is not kept any more. Send it anew where it came from.")
		}
		_, err := tx.Exec("UPDATE mails SET state = 'queued', tries = CASE WHEN state = 'failed' THEN 0 ELSE tries END, created_at = CASE WHEN state = 'failed' THEN ? ELSE created_at END, next_at = ? WHERE org_id = ? AND id = ?",
			tx.Now(), tx.Now(), tx.Org(), e.ID)
		tx.AfterCommit(o.nudge)
		return err
	})
}

// Drop takes a message out of the queue; nobody gets it. Faults: Denied, NotFound.
func (o *Outbox) Drop(ctx context.Context, actor access.Actor, id ID) error {
	return o.change(ctx, actor, id, "mail.drop", func(tx *store.Tx, e Entry) error {
		_, err := tx.Exec("DELETE FROM mails WHERE org_id = ? AND id = ?", tx.Org(), e.ID)
		return err
	})
}

func (o *Outbox) change(ctx context.Context, actor access.Actor, id ID, action string, do func(tx *store.Tx, e Entry) error) error {
	if err := operates(actor); err != nil {
		return err
	}
	var e Entry
	err := o.opts.DB.Lookup(ctx, &e, selectEntries+" WHERE id = ? AND state IN ('queued', 'failed')", id)
	if fault.Is(err, fault.NotFound) {
		return notQueued()
	}
	if err != nil {
		return err
	}
	return o.opts.DB.Write(ctx, actor.In(string(e.Org)), func(tx *store.Tx) error {
		err := tx.Get(&e, selectEntries+" WHERE org_id = ? AND id = ? AND state IN ('queued', 'failed')"+tx.ForUpdate(), tx.Org(), id)
		if fault.Is(err, fault.NotFound) { // sent meanwhile
			return notQueued()
		}
		if err != nil {
			return err
		}
		if err := do(tx, e); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: action, TargetKind: "mail", TargetID: string(id), TargetName: e.To, Detail: map[string]any{"subject": e.Subject}})
	})
}

func notQueued() error {
	return fault.NotFound.Say("This message is not in the queue any more: it was sent, or somebody took it out.")
}

// maxAtOnce bounds what one press of a button does.
const maxAtOnce = 1000

// EachFailed does Again or Drop with what was given up, the newest first, at most a thousand,
// and tells with how many. What cannot be sent again is left. Faults: Denied.
func (o *Outbox) EachFailed(ctx context.Context, actor access.Actor, do func(context.Context, access.Actor, ID) error) (n int, err error) {
	list, _, err := o.Entries(ctx, actor, true, "", maxAtOnce)
	for _, e := range list {
		err := do(ctx, actor, e.ID)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Expired) {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

// Test sends a message to the operator's own address. Faults: Denied, Invalid.
func (o *Outbox) Test(tx *store.Tx, to web.Reader, address string) error {
	if err := tx.Require(access.Operate); err != nil {
		return err
	}
	l := Letter{Subject: to.T("A test from Muster"), Lines: []string{to.T("This server can send mail: it was sent from %s by %s.", o.from.Address, o.host)}, Reader: to}
	if err := o.Queue(tx, l.To(address)); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "mail.test", TargetKind: "mail", TargetName: address})
}

// Settings are what is set, without secrets.
type Settings struct {
	From   string
	Server string // scheme, host and port; empty: mail is kept
	User   bool   // it signs in there
}

// Settings tells them.
func (o *Outbox) Settings() Settings {
	s := Settings{From: o.from.String()}
	if u, err := url.Parse(o.opts.URL); err == nil && u.Host != "" {
		s.Server, s.User = u.Scheme+"://"+u.Host, u.User != nil
	}
	return s
}
