// Package mail sends what people must read outside Muster: invitations, password
// links.
//
// Queue writes a message into the caller's transaction, so it exists exactly when
// the change does that it tells about. Run takes due messages, claims each with a
// lease, hands it to the SMTP server, and empties its text: links in it are
// secrets. Temporary failures are tried again for a day. What is given up keeps its text
// for three days, in which an operator can have it sent again (queue.go).
//
// A message is sent at least once. When the process dies between the server's
// "250 OK" and our mark, it is sent again after the lease; SMTP knows no way to
// exclude that. The Message-ID stays the same, so mailboxes can tell.
//
// What another server gives up on later comes back by ReadBounce and CameBack.
//
// Without an SMTP server messages are kept, and on a loopback listener the built-in
// mailbox at /dev/mailbox shows them. The package owns the table mails.
package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// ID names a message.
type ID = store.ID[Message]

// Message is one letter to one person.
type Message struct {
	ID      ID     // a new one when empty; set where a bounce must be told apart
	To      string // a bare address
	Subject string
	Text    string
	HTML    string
}

// Options of an Outbox.
type Options struct {
	DB        *store.DB
	URL       string // smtp://USER:PASSWORD@HOST:PORT, smtps://...; empty: keep messages
	From      string // "Muster <muster@example.com>"
	PublicURL string
	Loopback  bool // we listen on loopback only: the built-in mailbox may exist
	Log       *slog.Logger
	// Failed hears of a message that nobody will get, in the transaction that gives it
	// up; words are the server's. May be nil.
	Failed func(tx *store.Tx, id ID, words string) error
}

// Outbox queues and sends. Safe for concurrent use, also by several servers.
type Outbox struct {
	opts  Options
	from  *netmail.Address
	host  string // of Message-IDs
	relay *relay // nil without a server
	wake  chan struct{}
	pause time.Duration // between looks for messages that another server queued
}

// New checks the settings. Faults: Invalid on "mail_url" or "mail_from".
func New(opts Options) (*Outbox, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	o := &Outbox{opts: opts, host: "localhost", wake: make(chan struct{}, 1), pause: 5 * time.Second}
	if u, err := url.Parse(opts.PublicURL); err == nil && u.Hostname() != "" {
		o.host = u.Hostname()
	}
	if opts.From == "" {
		opts.From = "Muster <muster@" + o.host + ">"
	}
	var err error
	if o.from, err = netmail.ParseAddress(opts.From); err != nil {
		return nil, fault.Invalid.On("mail_from", "%q is not a sender's address. Write it like Muster <muster@example.com>.", opts.From)
	}
	if opts.URL != "" {
		if o.relay, err = newRelay(opts.URL); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Kept tells that messages do not leave this machine.
func (o *Outbox) Kept() bool { return o.relay == nil }

// Queue adds a message to the caller's transaction. Faults: Invalid on "email".
func (o *Outbox) Queue(tx *store.Tx, m Message) error {
	if err := CheckAddress(m.To); err != nil {
		return err
	}
	state := "queued"
	if o.Kept() {
		state = "kept"
	}
	subject := oneLine(m.Subject) // no line breaks in a header
	if m.ID == "" {
		m.ID = store.NewID[Message]()
	}
	if err := insert(tx, mailRow{Org: tx.Org(), ID: m.ID, To: m.To, Subject: subject, Text: m.Text, HTML: m.HTML, State: state, NextAt: tx.Now(), CreatedAt: tx.Now()}); err != nil {
		return err
	}
	tx.AfterCommit(o.nudge)
	return nil
}

// CheckAddress tells why nothing can be sent to an address. Faults: Invalid on "email".
func CheckAddress(address string) error {
	a, err := netmail.ParseAddress(address)
	if err != nil || a.Address != address || len(address) > 320 || strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return fault.Invalid.On("email", "%.100q is not an e-mail address. Write it like ada@example.com.", address)
	}
	return nil
}

func (o *Outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// How sending goes on.
const (
	lease   = 5 * time.Minute // after that, a claimed message is tried by anybody
	senders = 4
	giveUp  = 24 * time.Hour
	keepFor = 30 * 24 * time.Hour
)

// Run sends until ctx is done, and then waits for what is on its way.
func (o *Outbox) Run(ctx context.Context) error {
	tick, sweep := time.NewTicker(o.pause), time.NewTicker(time.Hour)
	defer tick.Stop()
	defer sweep.Stop()
	for {
		if o.relay != nil {
			if err := o.SendDue(ctx); err != nil && ctx.Err() == nil {
				o.opts.Log.ErrorContext(ctx, "send mail", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		case <-tick.C:
		case <-sweep.C:
			if err := o.Sweep(ctx); err != nil && ctx.Err() == nil {
				o.opts.Log.ErrorContext(ctx, "sweep mail", "error", err)
			}
		}
	}
}

// SendDue tries every message that is due once.
func (o *Outbox) SendDue(ctx context.Context) error {
	for {
		due, err := o.due(ctx)
		if err != nil || len(due) == 0 {
			return err
		}
		var wg sync.WaitGroup
		slots := make(chan struct{}, senders)
		errs := make([]error, len(due))
		for i, row := range due {
			slots <- struct{}{}
			wg.Go(func() {
				errs[i] = o.deliver(ctx, row)
				<-slots
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
}

// deliver claims a message, sends it and marks it. What the server says goes into
// the row; the error is about our own database.
func (o *Outbox) deliver(ctx context.Context, row mailRow) error {
	actor := access.Muster(string(row.Org))
	var claimed bool
	err := o.opts.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		claimed, err = claim(tx, row, tx.Now().Add(lease))
		return err
	})
	if err != nil || !claimed {
		return err
	}
	sent := o.relay.send(ctx, o.letter(row))
	ctx = context.WithoutCancel(ctx) // the server has it: mark it although we stop
	return o.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if sent == nil {
			return markSent(tx, row.ID)
		}
		at, final := row.after(tx.Now(), sent)
		o.opts.Log.WarnContext(ctx, "mail not sent", "org", row.Org, "mail", row.ID, "try", row.Tries+1, "final", final, "error", sent)
		if !final {
			return markTried(tx, row.ID, at, fmt.Sprint(sent))
		}
		if err := markFailed(tx, row.ID, fmt.Sprint(sent)); err != nil {
			return err
		}
		if o.opts.Failed != nil {
			if err := o.opts.Failed(tx, row.ID, inWords(sent)); err != nil {
				return err
			}
		}
		return tx.Record(store.Activity{Action: "mail.fail", TargetKind: "mail", TargetID: string(row.ID), TargetName: row.To,
			Detail: map[string]any{"subject": row.Subject, "why": fmt.Sprint(sent)}})
	})
}

// inWords is what the mail server said, without what the library adds about the message.
func inWords(err error) string {
	said, _, _ := strings.Cut(fmt.Sprint(err), ", affected ")
	return said
}

// after is when to try again: 1, 2, 4 ... 60 minutes later, for a day.
func (r mailRow) after(now store.Time, err error) (at store.Time, final bool) {
	wait := min(time.Minute<<min(r.Tries, 10), time.Hour)
	at = now.Add(wait)
	return at, permanent(err) || at > r.CreatedAt.Add(giveUp)
}

// Sweep removes old messages.
func (o *Outbox) Sweep(ctx context.Context) error {
	_, err1 := o.opts.DB.Sweep(ctx, "DELETE FROM mails WHERE created_at < ?", store.TimeOf(o.opts.DB.Now().Add(-keepFor)))
	_, err2 := o.opts.DB.Sweep(ctx, "UPDATE mails SET text = '', html = '' WHERE state = 'failed' AND text <> '' AND next_at < ?", store.TimeOf(o.opts.DB.Now().Add(-keepFailed)))
	return errors.Join(err1, err2)
}
