package invite

import (
	"context"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// opened notes the first time that somebody, or a mail scanner, looked at a link that
// works. It changes nothing about the invitation.
func (d *Door) opened(ctx context.Context, from access.Actor, token string, o offer) error {
	if o.OpenedAt != 0 || o.refusal() != nil {
		return nil
	}
	actor := access.Actor{Org: string(o.Org), IP: from.IP, Request: from.Request}
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		first, err := firstOpened(tx, secret.Hash(token))
		if err != nil || !first {
			return err
		}
		return d.record(tx, o.user, o.ID, "open", map[string]any{"email": o.SentTo})
	})
}

// askPause is how long nothing happens after somebody has asked for a new link.
const askPause = 15 * time.Minute

// Ask is what the holder of a link does whose time is over: admins are told, or a new
// link is sent at once to the same address, as the organization chose. It tells
// nothing: whoever asks learns only that the wish was heard, whatever the link is.
// Faults: TooMany (from one network address).
func (d *Door) Ask(ctx context.Context, from access.Actor, token string) error {
	o, err := d.open(ctx, token)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	known := err == nil
	may, err := d.opt.Passwords.MayAsk(ctx, "invitation "+string(o.ID), from.IP)
	if err != nil || !may || !known || !o.mayAsk() {
		return err
	}
	actor := access.Muster(string(o.Org))
	actor.IP, actor.Request = from.IP, from.Request
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := lock(tx, o.UserID); err != nil {
			return err
		}
		i, err := newestOf(tx, o.UserID)
		if err != nil {
			return err
		}
		u, err := tx.AnyUser(o.UserID)
		if err != nil {
			return err
		}
		now := tx.Now()
		if i.ID != o.ID || !i.over(now) || u.Status != store.Invited || i.AskedAt > now.Add(-askPause) || moved(o.found, u) {
			return nil // somebody was faster
		}
		return d.asked(tx, o.org, u, i)
	})
}

// mayAsk tells whether the page offers to ask for a new link.
func (o offer) mayAsk() bool { return o.state == Expired && o.Current && !moved(o.found, o.user) }

func (d *Door) asked(tx *store.Tx, org store.Org, u store.User, i Invitation) error {
	rules, err := d.Rules(tx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE invitations SET asked_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), i.ID); err != nil {
		return err
	}
	if err := d.record(tx, u, i.ID, "ask", map[string]any{"email": u.Email}); err != nil {
		return err
	}
	if rules.Renew == AtOnce {
		_, err := d.send(tx, org, u, "renew")
		return err
	}
	if d.opt.Tell == nil {
		return nil
	}
	return d.opt.Tell(tx, web.Notice{Subject: web.Say("%s asks for a new invitation to %s", u.Profile().FullName(), org.Name),
		Lines:  []web.Said{web.Say("%s (%s) opened an invitation whose time is over, and asks for a new one.", u.Profile().FullName(), u.Email)},
		Button: web.Say("Look at the invitation"), Path: "/users/" + string(u.ID)})
}
