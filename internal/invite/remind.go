package invite

import (
	"context"
	"errors"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
)

// Run sends reminders until ctx is done, and sweeps away old lists of addresses.
func (d *Door) Run(ctx context.Context) error {
	store.Every(ctx, d.opt.Log, time.Minute, nil, "tend invitations", func(ctx context.Context) error { return errors.Join(d.Remind(ctx), d.Sweep(ctx)) })
	return nil
}

// due is a reminder whose time has come.
type due struct {
	Org  store.OrgID  `db:"org_id"`
	ID   ID           `db:"id"`
	User store.UserID `db:"user_id"`
	At   store.Time   `db:"remind_at"`
}

// Remind sends every reminder that is due, of all organizations. Several servers may
// do so at once: each reminder goes out once.
func (d *Door) Remind(ctx context.Context) error {
	for {
		var list []due
		err := d.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id, user_id, remind_at FROM invitations WHERE state = 'pending' AND remind_at > 0 AND remind_at <= ? ORDER BY remind_at LIMIT 50",
			store.TimeOf(d.opt.DB.Now()))
		if err != nil || len(list) == 0 {
			return err
		}
		for _, r := range list {
			if err := d.remind(ctx, r); err != nil {
				return err
			}
		}
	}
}

// remind sends one reminder, unless another server, a new link or the organization's
// choice was faster. The link that was sent before goes on working.
func (d *Door) remind(ctx context.Context, r due) error {
	org, err := d.opt.DB.OrgByID(ctx, r.Org)
	if err != nil {
		return err
	}
	return d.opt.DB.Write(ctx, access.Muster(string(r.Org)), func(tx *store.Tx) error {
		n, err := tx.Exec("UPDATE invitations SET remind_at = 0 WHERE org_id = ? AND id = ? AND state = 'pending' AND remind_at = ?", tx.Org(), r.ID, r.At)
		if err != nil || n == 0 {
			return err
		}
		rules, err := d.Rules(tx)
		if err != nil || !rules.Remind {
			return err
		}
		i, err := newestOf(tx, r.User)
		if err != nil {
			return err
		}
		u, err := tx.AnyUser(r.User)
		now := tx.Now()
		if err != nil || i.ID != r.ID || i.at(now) != Pending || u.Status != store.Invited || store.Fold(i.Email) != store.Fold(u.Email) {
			return err
		}
		l, err := d.link(tx, i, true)
		if err != nil {
			return err
		}
		to, err := mail.ReaderOf(tx, u.ID)
		if err != nil {
			return err
		}
		m := reminder(to, org, u.Profile(), i, l.URL, now)
		m.ID = l.mail
		if err := d.opt.Queue(tx, m); err != nil {
			return err
		}
		return d.record(tx, u, i.ID, "remind", map[string]any{"email": u.Email})
	})
}

// Bounced marks the invitation whose newest mail came back; words are the mail
// server's. It is mail.Options.Failed.
func (d *Door) Bounced(tx *store.Tx, id mail.ID, words string) error {
	var found struct {
		ID   ID           `db:"id"`
		User store.UserID `db:"user_id"`
	}
	err := tx.Get(&found, `UPDATE invitations SET bounced_at = ?, bounce = ?, remind_at = 0 WHERE org_id = ? AND state = 'pending' AND (id, sent) IN
		(SELECT l.invitation_id, l.generation FROM invitation_links l WHERE l.org_id = ? AND l.mail_id = ?) RETURNING id, user_id`,
		tx.Now(), clip(words, 1000), tx.Org(), tx.Org(), id)
	if fault.Is(err, fault.NotFound) { // another letter, or a newer one was sent
		return nil
	}
	if err != nil {
		return err
	}
	u, err := tx.AnyUser(found.User)
	if err != nil {
		return err
	}
	return d.record(tx, u, found.ID, "bounce", map[string]any{"why": clip(words, 1000)})
}

// batchesFor is how long the result of a list of addresses can be looked at.
const batchesFor = 30 * 24 * time.Hour

// Sweep removes old lists of addresses.
func (d *Door) Sweep(ctx context.Context) error {
	before := store.TimeOf(d.opt.DB.Now().Add(-batchesFor))
	_, err := d.opt.DB.Sweep(ctx, "DELETE FROM invitation_batch_rows WHERE (org_id, batch_id) IN (SELECT b.org_id, b.id FROM invitation_batches b WHERE b.created_at < ?)", before)
	if err != nil {
		return err
	}
	_, err = d.opt.DB.Sweep(ctx, "DELETE FROM invitation_batches WHERE created_at < ?", before)
	return err
}
