package invite

import (
	"context"
	"errors"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// offer is a link that was opened: what it leads to and whether it still works.
type offer struct {
	found
	org   store.Org
	user  store.User
	state State // Pending: it can be accepted

	rules password.Rules // for the password

	byProvider bool  // with single sign-on, not with a password
	ways       []Way // where it starts
}

// open finds what a link leads to. It changes nothing. Faults: NotFound.
func (d *Door) open(ctx context.Context, token string) (offer, error) {
	var o offer
	none := fault.NotFound.Say("There is no such invitation. Copy the whole link from the newest mail, or ask for a new invitation.")
	if len(token) != 32+43 {
		return o, none
	}
	org, err := store.ParseID[store.Org](token[:32])
	if err != nil {
		return o, none
	}
	err = d.opt.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) (err error) {
		if o.found, err = byLink(tx, secret.Hash(token)); err != nil {
			return err
		}
		if o.rules, _, err = d.opt.Passwords.Rules(tx); err != nil {
			return err
		}
		if o.user, err = tx.AnyUser(o.UserID); err != nil || o.user.Status == store.Deleted {
			return err
		}
		o.byProvider, err = d.byProvider(tx, o.UserID)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return o, none
	}
	if err != nil {
		return o, err
	}
	o.state = standing(o.found, o.user, store.TimeOf(d.opt.DB.Now()))
	if o.byProvider {
		if o.ways, err = d.opt.Connections(ctx, org, o.Email); err != nil {
			return o, err
		}
	}
	o.org, err = d.opt.DB.OrgByID(ctx, org)
	return o, err
}

// byProvider tells whether a person signs in with single sign-on alone.
func (d *Door) byProvider(tx *store.Tx, user store.UserID) (bool, error) {
	if d.opt.MayUsePassword == nil {
		return false, nil
	}
	may, err := d.opt.MayUsePassword(tx, user)
	return err == nil && !may, err
}

// standing joins what the row says with what the person is now.
func standing(f found, u store.User, now store.Time) State {
	switch {
	case f.elsewhere():
		return Cancelled
	case f.State == Accepted || u.Status == store.Active:
		return Accepted
	case f.State == Cancelled || u.Status != store.Invited:
		return Cancelled
	case f.ExpiresAt <= now || !f.Current || moved(f, u):
		return Expired
	}
	return Pending
}

// moved tells that the person's address has changed since the link was sent:
// whoever reads the old mailbox may be somebody else.
func moved(f found, u store.User) bool { return store.Fold(f.Email) != store.Fold(u.Email) }

// elsewhere tells that the address was corrected after the link was sent: whoever has
// it is told no more than of a withdrawn one.
func (f found) elsewhere() bool { return store.Fold(f.SentTo) != store.Fold(f.Email) }

// refusal is why an offer cannot be accepted, with the way out; nil when it can.
func (o offer) refusal() error {
	switch {
	case o.state == Accepted && o.byProvider:
		return fault.Expired.Say("This invitation has been used already. Sign in where you always do, with %s.", o.user.Email)
	case o.state == Accepted:
		return fault.Expired.Say("This invitation has been used already. Sign in with your address; if you have no password, set one with “Forgotten password”.")
	case o.state == Cancelled:
		return fault.Expired.Say("This invitation was withdrawn. If you think you should have access, ask %s.", o.host())
	case o.state == Expired && !o.Current:
		return fault.Expired.Say("A newer invitation was sent to %s after this one. Use the link in the newest mail.", o.Email)
	case o.state == Expired && moved(o.found, o.user):
		return fault.Expired.Say("The address of this invitation was changed after the mail was sent. Ask %s to send it again.", o.host())
	case o.state == Expired:
		return fault.Expired.Say("This invitation expired on %s. Ask for a new one below, or ask %s.", web.Say("%s", o.ExpiresAt), o.host())
	}
	return nil
}

// host is whom to ask.
func (o offer) host() web.Said {
	if o.InvitedBy != "" {
		return web.Say("%s at %s", o.InvitedBy, o.org.Name)
	}
	return web.Say("an administrator of %s", o.org.Name)
}

// Welcome is somebody who has just accepted.
type Welcome struct {
	Session string // the token for session.SetCookie; empty: see Second
	Second  string // the token for factor.SetCookie: a second factor is still to come
	User    store.User
	Org     store.Org
}

// Accept turns an invitation into an active account with this password and signs
// it in. from is the actor of the request, for its address and id; token is the
// last part of the link. Faults: NotFound (no such link), Expired (too old,
// replaced, withdrawn or used), Invalid on "password", Unavailable (too many at
// once). Safe to call twice at once: the second call gets Expired.
func (d *Door) Accept(ctx context.Context, from access.Actor, token, text string) (Welcome, error) {
	o, err := d.open(ctx, token)
	if err != nil {
		return Welcome{}, err
	}
	if err := o.refusal(); err != nil {
		return Welcome{}, err
	}
	p := o.user.Profile()
	if err := d.opt.Passwords.Check(ctx, o.Org, o.UserID, text, p.GivenName, p.FamilyName, p.FullName(), o.Email, o.org.Name); err != nil {
		return Welcome{}, err
	}
	hashed, err := d.opt.Passwords.Hash(ctx, text)
	if err != nil {
		return Welcome{}, err
	}
	w := Welcome{Org: o.org}
	// The person acts, and may look at the own row: that is all that Viewer is here for.
	self := access.Actor{Kind: access.Person, Org: string(o.Org), ID: string(o.UserID), Name: p.FullName(), Roles: []string{access.Viewer}, IP: from.IP, Request: from.Request, Agent: from.Agent}
	err = d.opt.DB.Write(ctx, self, func(tx *store.Tx) error {
		won, err := claim(tx, o.ID, secret.Hash(token))
		if err != nil {
			return err
		}
		now, err := tx.AnyUser(o.UserID)
		if err != nil {
			return err
		}
		if !won || now.Status != store.Invited || moved(o.found, now) {
			return errLost
		}
		w.User, err = tx.ActivateUser(o.UserID, "invitation accepted")
		if fault.Is(err, fault.Denied) { // deactivated at this very moment
			return errLost
		}
		if err != nil {
			return err
		}
		if w.User.Version != now.Version+1 || w.User.DirectoryID != now.DirectoryID {
			return errLost
		}
		if err := d.opt.Passwords.Set(tx, o.UserID, hashed); err != nil {
			return err
		}
		return d.signIn(tx, &w, o.ID, now.Email)
	})
	if errors.Is(err, errLost) { // say what happened meanwhile
		if o, err = d.open(ctx, token); err == nil {
			err = o.refusal()
		}
		if err == nil {
			err = fault.Expired.Say("This invitation has just changed. Open the link again.")
		}
	}
	if not, ok := errors.AsType[*session.NotAllowed](err); ok {
		if failed := d.recordRefused(ctx, self, o, not); failed != nil {
			return Welcome{}, failed
		}
	}
	if err != nil {
		return Welcome{}, err
	}
	return w, nil
}

// recordRefused says why a password would not do: the policy changed while the page was open.
func (d *Door) recordRefused(ctx context.Context, self access.Actor, o offer, not *session.NotAllowed) error {
	return d.opt.DB.Write(ctx, self, func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "user.signin.refused", TargetKind: "user", TargetID: string(o.UserID), TargetName: o.user.DisplayName,
			Detail: map[string]any{"method": "invite", "check": "policy", "expected": not.Use, "got": "invite", "why": not.Rule,
				"hint": "The invitation still works: it leads to single sign-on now."}})
	})
}

// errLost undoes an accept that somebody else was faster than.
var errLost = fault.Expired.Say("This invitation is no longer valid.")

// wait leaves the sign-in to its second step: the organization requires a second factor.
func (d *Door) wait(tx *store.Tx, w *Welcome) error {
	at, err := d.opt.Passwords.SetAt(tx, w.User.ID)
	if err != nil {
		return err
	}
	w.Second, err = d.opt.Factors.Begin(tx, factor.SignIn{User: w.User.ID, Method: "invite", SetAt: at, Next: "/account"})
	return err
}

func (d *Door) signIn(tx *store.Tx, w *Welcome, id ID, email string) (err error) {
	if err := d.record(tx, w.User, id, "accept", map[string]any{"email": email}); err != nil {
		return err
	}
	w.Session, _, err = d.opt.Sessions.Start(tx, session.In{User: w.User.ID, Method: "invite"})
	if session.WantsSecond(err) {
		return d.wait(tx, w)
	}
	if err != nil {
		return err
	}
	if err := tx.SignedIn(w.User.ID, "invite"); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(w.User.ID), TargetName: w.User.DisplayName,
		Detail: map[string]any{"method": "invite"}})
}

// SignedIn ends the open invitation of somebody who became active by signing in over
// an identity provider instead of following the link. Needs Write.
func (d *Door) SignedIn(tx *store.Tx, u store.User) error {
	id, err := settle(tx, u.ID)
	if fault.Is(err, fault.NotFound) { // made by hand, without an invitation
		return nil
	}
	if err != nil {
		return err
	}
	return d.record(tx, u, id, "accept", map[string]any{"why": "signed in over an identity provider"})
}
