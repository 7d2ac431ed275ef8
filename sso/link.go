package sso

import (
	"context"
	"net/mail"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// A set-up link lets the administrator of a customer's identity provider set up one
// connection without an account. It is the organization's id and a secret of 256
// random bits; only a hash is stored. Opening it uses nothing up: mail scanners open
// links. Whoever has it acts as access.Contact, which may do nothing anywhere but
// what maySetUp lets pass for the link's own connection, as long as the link holds.

// LinkID names a set-up link.
type LinkID = store.ID[SetupLink]

// SetupLink is one of them, without its secret.
type SetupLink struct {
	ID           LinkID       `db:"id"`
	ConnectionID ConnectionID `db:"connection_id"` // empty: it makes a new one
	Email        string       `db:"email"`         // where it was sent; may be empty
	MayActivate  bool         `db:"may_activate"`
	CreatedBy    string       `db:"created_by"`
	CreatedAt    store.Time   `db:"created_at"`
	ExpiresAt    store.Time   `db:"expires_at"`
	RevokedAt    store.Time   `db:"revoked_at"`
	OpenedAt     store.Time   `db:"opened_at"`
	DoneAt       store.Time   `db:"done_at"`
}

// contactName is how whoever has a link stands in the activity log.
const contactName = "IT contact via link"

const (
	linkFor    = 7 * 24 * time.Hour
	linkForMax = 90 * 24 * time.Hour
)

// State is where a link stands, in a word.
func (l SetupLink) State(now store.Time) string {
	switch {
	case l.RevokedAt != 0:
		return "revoked"
	case l.ExpiresAt <= now:
		return "expired"
	case l.DoneAt != 0:
		return "finished"
	case l.OpenedAt != 0:
		return "opened"
	}
	return "sent"
}

// holds tells why a link does not work. Fault: Expired.
func (l SetupLink) holds(now store.Time) error {
	switch l.State(now) {
	case "revoked":
		return fault.Expired.Say("This link was withdrawn. Ask whoever sent it for a new one.")
	case "expired":
		return fault.Expired.Say("This link has expired. Ask whoever sent it for a new one.")
	}
	return nil
}

// NewSetupLink is what CreateSetupLink needs.
type NewSetupLink struct {
	Connection  ConnectionID  // empty: the link makes a new connection
	Email       string        // whom it is mailed to; may be empty
	For         time.Duration // 7 days when 0, at most 90
	MayActivate bool          // also put the connection into use
}

// CreateSetupLink makes a link. Its URL can be shown this once. Faults: Denied,
// NotFound, Invalid on "email" and "for", Unavailable (there is no mail).
func (d *Door) CreateSetupLink(ctx context.Context, actor access.Actor, in NewSetupLink) (l SetupLink, url string, err error) {
	if in.For == 0 {
		in.For = linkFor
	}
	if in.For < time.Minute || in.For > linkForMax {
		return l, "", fault.Invalid.On("for", "A link works for a minute at least and 90 days at most.")
	}
	if in.Email != "" {
		if at, err := mail.ParseAddress(in.Email); err != nil || at.Address != in.Email || len(in.Email) > 254 {
			return l, "", fault.Invalid.On("email", "%q is not an e-mail address.", answer.Clip(in.Email, 80))
		}
		if d.opts.Mail == nil {
			return l, "", fault.Unavailable.Say("No mail can be sent from here. Make the link without an address and pass it on yourself.")
		}
	}
	token := actor.Org + secret.NewToken()
	url = d.opts.PublicURL + "/connect/" + token
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		target := store.Activity{Action: "connection.link.create", TargetKind: "connection", TargetID: string(in.Connection), TargetName: "a new connection"}
		if in.Connection != "" {
			c, err := connectionIn(tx, in.Connection)
			if err != nil {
				return err
			}
			target.TargetName = c.Name
		}
		l = SetupLink{ID: store.NewID[SetupLink](), ConnectionID: in.Connection, Email: in.Email, MayActivate: in.MayActivate, CreatedBy: orElse(actor.Name, string(actor.Kind)),
			CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(in.For)}
		if err := insertLink(tx, l, secret.Hash(token)); err != nil {
			return err
		}
		if in.Email != "" {
			theirs, err := tx.OrgLocale()
			if err != nil {
				return err
			}
			if err := d.opts.Mail(tx, linkLetter(web.ReaderOf(theirs.Language, theirs.TimeZone), l, url)); err != nil {
				return err
			}
		}
		target.Detail = map[string]any{"link": l.ID, "email": l.Email, "expires_at": l.ExpiresAt.RFC3339(), "may_activate": l.MayActivate}
		return tx.Record(target)
	})
	return l, url, err
}

func linkLetter(to web.Reader, l SetupLink, url string) Letter {
	return Letter{Reader: to, To: l.Email, Subject: to.T("Connect your identity provider"), Greeting: to.T("Hello,"),
		Lines: []string{to.T("%s asks you to connect your organization's identity provider, so that people sign in there.", l.CreatedBy),
			to.T("The page leads you through it, step by step. You need no account.")},
		Button: to.T("Set it up"), URL: url, Small: []string{to.T("The link works until %s. Whoever has it can do the set-up: pass it on to nobody else.", l.ExpiresAt)}}
}

// SetupLinks are the organization's links, newest first. Faults: Denied.
func (d *Door) SetupLinks(ctx context.Context, actor access.Actor) (list []SetupLink, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		list, err = linksIn(tx)
		return err
	})
	return list, err
}

// RevokeSetupLink ends a link; one that has ended stays so. Faults: Denied, NotFound.
func (d *Door) RevokeSetupLink(ctx context.Context, actor access.Actor, id LinkID) (l SetupLink, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if l, err = linkIn(tx, id); err != nil || l.RevokedAt != 0 {
			return err
		}
		l.RevokedAt = tx.Now()
		if err := markLink(tx, l); err != nil {
			return err
		}
		return tx.Record(l.activity("connection.link.revoke"))
	})
	return l, err
}

func (l SetupLink) activity(action string) store.Activity {
	return store.Activity{Action: action, TargetKind: "connection", TargetID: string(l.ConnectionID), TargetName: orElse(l.Email, "a new connection"), Detail: map[string]any{"link": l.ID}}
}

// openLink finds a link by its token and notes that it was opened. Faults: NotFound,
// Expired.
func (d *Door) openLink(ctx context.Context, caller access.Actor, token string) (l SetupLink, actor access.Actor, err error) {
	none := fault.NotFound.Say("There is no such link. Copy the whole link from the newest mail, or ask for a new one.")
	if len(token) != 32+43 {
		return l, actor, none
	}
	org, err := store.ParseID[store.Org](token[:32])
	if err != nil {
		return l, actor, none
	}
	actor = access.Actor{Kind: access.Contact, Org: string(org), Name: contactName, IP: caller.IP, Request: caller.Request}
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if l, err = linkByToken(tx, secret.Hash(token)); err == nil {
			err = l.holds(tx.Now())
		}
		return err
	})
	if fault.Is(err, fault.NotFound) {
		err = none
	}
	actor.ID = string(l.ID)
	if err != nil || l.OpenedAt != 0 {
		return l, actor, err
	}
	return l, actor, d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if first, err := markOpened(tx, l.ID); err != nil || !first {
			return err
		}
		return tx.Record(l.activity("connection.link.open"))
	})
}

// maySetUp lets those pass who may configure the organization, and the contact of a
// link of this very connection. Faults: Denied, Expired.
func maySetUp(tx *store.Tx, c Connection) error {
	if tx.Actor().Kind != access.Contact {
		return tx.Require(access.Configure)
	}
	l, err := linkOf(tx)
	switch {
	case err != nil:
		return err
	case l.ConnectionID != c.ID:
		return fault.Denied.Say("This link is for another connection.")
	case c.Status == statusActive && !l.MayActivate:
		return fault.Denied.Say("%s is in use, and this link may not change what people sign in with. Ask whoever sent it.", c.Name)
	}
	return nil
}

// mayPutIntoUse is maySetUp for opening and closing a connection.
func mayPutIntoUse(tx *store.Tx, c Connection) error {
	if err := maySetUp(tx, c); err != nil || tx.Actor().Kind != access.Contact {
		return err
	}
	l, err := linkOf(tx)
	if err == nil && !l.MayActivate {
		err = fault.Denied.Say("This link may not put %s into use. Whoever sent it does that.", c.Name)
	}
	return err
}

// mayCreate is maySetUp for a connection that is not there yet.
func mayCreate(tx *store.Tx) error {
	if tx.Actor().Kind != access.Contact {
		return tx.Require(access.Configure)
	}
	l, err := linkOf(tx)
	if err == nil && l.ConnectionID != "" {
		err = fault.Conflict.Say("The identity provider was chosen already. Open the link again.")
	}
	return err
}

// linkOf is the link that the actor came by.
func linkOf(tx *store.Tx) (l SetupLink, err error) {
	if err := tx.Require(access.SetUp); err != nil {
		return l, err
	}
	if l, err = linkIn(tx, LinkID(tx.Actor().ID)); err == nil {
		err = l.holds(tx.Now())
	}
	return l, err
}

// claim gives a link the connection that it made.
func claim(tx *store.Tx, c ConnectionID) error {
	if tx.Actor().Kind != access.Contact {
		return nil
	}
	n, err := tx.Exec("UPDATE setup_links SET connection_id = ? WHERE org_id = ? AND id = ? AND connection_id IS NULL", c, tx.Org(), tx.Actor().ID)
	if err == nil && n == 0 {
		err = fault.Conflict.Say("The identity provider was chosen already. Open the link again.")
	}
	return err
}

// finishLink says that the contact is done, and tells the admins.
func (d *Door) finishLink(ctx context.Context, actor access.Actor, c Connection) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		l, err := linkOf(tx)
		if err != nil || l.DoneAt != 0 {
			return err
		}
		l.DoneAt = tx.Now()
		if err := markLink(tx, l); err != nil {
			return err
		}
		passed, err := d.TestPassed(tx, c.ID)
		if err != nil {
			return err
		}
		tested := web.Say("No test sign-in has passed.")
		if passed != 0 {
			tested = web.Say("A test sign-in passed %s.", passed)
		}
		if err := d.tell(tx, web.Notice{Subject: web.Say("%s is set up", c.Name), Lines: []web.Said{web.Say("The IT contact says that the connection %s is set up. %s", c.Name, tested), web.Say("It is %s.", web.Say(connectionStates[c.Status]))},
			Button: web.Say("Look at it"), Path: "/connections/" + string(c.ID)}); err != nil {
			return err
		}
		done := l.activity("connection.link.done")
		done.TargetName = c.Name
		return tx.Record(done)
	})
}
