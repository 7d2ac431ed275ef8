package invite

import (
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// send makes a link for an invited person, in the invitation that is open or in a
// new one, and queues the mail. Links from before stop working.
func (d *Door) send(tx *store.Tx, org store.Org, u store.User, action string) (Made, error) {
	return d.issue(tx, org, u, Invitation{}, strings.TrimPrefix(action, "invitation."), true)
}

// issue is send for a new invitation with an id or a note of its own, and without the
// mail when the link is handed over otherwise.
func (d *Door) issue(tx *store.Tx, org store.Org, u store.User, row Invitation, what string, mailed bool) (Made, error) {
	rules, err := d.Rules(tx)
	if err != nil {
		return Made{}, err
	}
	now := tx.Now()
	by := inviter(tx.Actor())
	if row.ID == "" {
		row.ID = store.NewID[Invitation]()
	}
	row.UserID, row.Email, row.InvitedBy, row.Sent, row.SentAt = u.ID, u.Email, by, 1, now
	row.ExpiresAt = now.Add(rules.expiry())
	row, err = upsert(tx, row, rules.remindAt(now, row.ExpiresAt))
	if err != nil {
		return Made{}, err
	}
	l, err := d.link(tx, row, mailed)
	if err != nil {
		return Made{}, err
	}
	if mailed {
		to, err := mail.ReaderOf(tx, u.ID)
		if err != nil {
			return Made{}, err
		}
		byProvider, err := d.byProvider(tx, u.ID)
		if err != nil {
			return Made{}, err
		}
		m := letter(to, org, u.Profile(), row, rules, byProvider, l.URL, now)
		m.ID = l.mail
		if err := d.opt.Queue(tx, m); err != nil {
			return Made{}, err
		}
	}
	made := Made{UserID: u.ID, InvitationID: row.ID, Email: u.Email, ExpiresAt: row.ExpiresAt, Link: l.URL}
	return made, d.record(tx, u, row.ID, what, map[string]any{"email": u.Email, "expires_at": row.ExpiresAt.RFC3339(), "mailed": mailed})
}

// madeLink is a link that works from now on; mail is the id of the mail with it.
type madeLink struct {
	URL  string
	mail mail.ID
}

// link adds a link to an invitation, beside those of the same generation.
func (d *Door) link(tx *store.Tx, row Invitation, mailed bool) (l madeLink, err error) {
	token := string(tx.Org()) + secret.NewToken()
	if mailed {
		l.mail = store.NewID[mail.Message]()
	}
	l.URL = strings.TrimSuffix(d.opt.PublicURL, "/") + "/invite/" + token
	return l, insertLink(tx, row, secret.Hash(token), inviter(tx.Actor()), l.mail)
}

// inviter is how the invited person knows who acted; the server itself and the
// command line are nobody they know.
func inviter(a access.Actor) string {
	if a.Kind == access.Person {
		return a.Name
	}
	return ""
}

// record notes what happened to an invitation, for its history and the activity log.
func (d *Door) record(tx *store.Tx, u store.User, id ID, what string, detail map[string]any) error {
	detail["invitation"] = id
	text, _ := detail["email"].(string)
	if why, ok := detail["why"].(string); ok {
		text = why
	}
	if err := insertEvent(tx, u.ID, id, what, tx.Actor().Name, text); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "invitation." + what, TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName, Detail: detail})
}

// Resend sends a new link to a person who has not accepted; older links stop
// working. Needs Write. Faults: NotFound, Denied, Conflict (has accepted, or may not).
func (d *Door) Resend(tx *store.Tx, org store.Org, user store.UserID) (Made, error) {
	u, err := waiting(tx, user)
	if err != nil {
		return Made{}, err
	}
	return d.send(tx, org, u, "resend")
}

// Still refuses when an invitation was sent again since sent was read: of two admins
// who press the same button, or one who presses it twice, one sends. Needs Write.
// Faults: Conflict.
func (d *Door) Still(tx *store.Tx, user store.UserID, sent int) error {
	if err := lock(tx, user); err != nil {
		return err
	}
	i, err := newestOf(tx, user)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && i.Sent == sent || err != nil && sent == 0 {
		return nil
	}
	return fault.Conflict.Say("This invitation has just been sent already, by you or by another admin. Nothing was sent twice.")
}

// Copy makes one more link to hand over, and sends nothing. It works beside the link
// that was sent; of an invitation that was saved, or whose time is over, it is the
// first of a new time. Needs Write. Faults: as of Resend.
func (d *Door) Copy(tx *store.Tx, org store.Org, user store.UserID) (Made, error) {
	u, err := waiting(tx, user)
	if err != nil {
		return Made{}, err
	}
	i, err := newestOf(tx, user)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Made{}, err
	}
	if err != nil || i.State != Pending || i.Sent == 0 || i.over(tx.Now()) || store.Fold(i.Email) != store.Fold(u.Email) {
		return d.issue(tx, org, u, Invitation{}, "link", false)
	}
	l, err := d.link(tx, i, false)
	if err != nil {
		return Made{}, err
	}
	return Made{UserID: user, InvitationID: i.ID, Email: i.Email, ExpiresAt: i.ExpiresAt, Link: l.URL}, d.record(tx, u, i.ID, "link", map[string]any{"email": i.Email})
}

// Correct sends the invitation of a person who has not accepted to another address.
// The links to the old one stop working and tell nothing more; nothing is sent there.
// A user name that was the old address becomes the new one. Needs Write. Faults: as of
// Resend, Invalid and Conflict on "email", Denied (managed by a directory).
func (d *Door) Correct(tx *store.Tx, org store.Org, user store.UserID, address string) (Made, error) {
	address, err := cleanAddress(address)
	if err != nil {
		return Made{}, err
	}
	u, err := waiting(tx, user)
	if err != nil {
		return Made{}, err
	}
	old := u.Email
	if store.Fold(old) == store.Fold(address) {
		return Made{}, fault.Invalid.On("email", "The invitation goes to %s already. Write the right address, or send it again as it is.", old)
	}
	if err := free(tx, address); err != nil {
		return Made{}, err
	}
	doc, err := u.Attributes()
	if err != nil {
		return Made{}, err
	}
	p := u.Profile()
	if store.Fold(p.UserName) == store.Fold(old) {
		p.UserName = address
	}
	p.Email = address
	p.Apply(doc)
	if u, err = tx.UpdateUser(u, store.UserChange{Doc: doc, Why: "address of the invitation corrected"}); err != nil {
		return Made{}, takenName(err)
	}
	return d.send(tx, org, u, "correct")
}

// waiting is a person who may still accept an invitation, and cannot do so before
// the caller is done.
func waiting(tx *store.Tx, user store.UserID) (store.User, error) {
	if err := tx.Require(access.InviteUsers); err != nil {
		return store.User{}, err
	}
	if err := lock(tx, user); err != nil {
		return store.User{}, err
	}
	return invitedOne(tx, user)
}

// invitedOne is a person who is invited, and whom the actor may touch.
func invitedOne(tx *store.Tx, user store.UserID) (store.User, error) {
	u, err := tx.User(user)
	if err != nil {
		return u, err
	}
	switch u.Status {
	case store.Active:
		return u, fault.Conflict.Say("%s is active, so there is no open invitation: it is not needed any more.", u.Profile().FullName())
	case store.Deactivated:
		return u, fault.Conflict.Say("%s is deactivated, so there is no open invitation. Open it again, or reactivate the person.", u.Profile().FullName())
	}
	return u, tx.MayTouch(u)
}

// Cancel withdraws the invitation of a person who never accepted, and deletes the
// person: the address can be invited again, and the invitation opened again. Needs
// Write. Faults: NotFound, Denied, Conflict (has accepted).
func (d *Door) Cancel(tx *store.Tx, user store.UserID) error {
	u, err := waiting(tx, user)
	if err != nil {
		return err
	}
	teams, err := teamsOf(tx, user)
	if err != nil {
		return err
	}
	id, err := cancel(tx, u, teams)
	if err != nil {
		return err
	}
	if err := d.record(tx, u, id, "cancel", map[string]any{"email": u.Email}); err != nil {
		return err
	}
	gone, err := tx.DeleteUser(user, "invitation cancelled")
	if err == nil && gone.Version != u.Version+1 { // a directory or a sign-in was faster
		return fault.Conflict.Say("%s has just changed. Load the page again.", u.Profile().FullName())
	}
	return err
}

// teamsOf are the teams that a person gets back when a cancelled invitation is opened
// again. Roles stay with whoever is deleted.
func teamsOf(tx *store.Tx, user store.UserID) (ids []store.GroupID, err error) {
	groups, err := tx.GroupsOf([]store.UserID{user})
	for _, g := range store.Direct(groups[user]) {
		ids = append(ids, g.ID)
	}
	return ids, err
}

// Reopen takes back that an invitation was cancelled: the person is invited again with
// the roles and teams from before, by a new link. It also invites whoever was
// deactivated before accepting. Needs Write. Faults: NotFound, Denied, Conflict (the
// address or the name is taken, or the person has an account), Expired (cancelled more
// than 30 days ago).
func (d *Door) Reopen(tx *store.Tx, org store.Org, user store.UserID) (Made, error) {
	u, i, err := reinvite(tx, user)
	if err != nil {
		return Made{}, err
	}
	return d.issue(tx, org, u, Invitation{Note: i.Note}, "reopen", true)
}

// PutBack is Reopen for whoever takes back what was done to many: who had been sent
// nothing hears nothing. Needs Write. Faults: as of Reopen.
func (d *Door) PutBack(tx *store.Tx, org store.Org, user store.UserID) error {
	u, i, err := reinvite(tx, user)
	switch {
	case err != nil:
	case i.Sent > 0:
		_, err = d.issue(tx, org, u, Invitation{Note: i.Note}, "reopen", true)
	case i.State != Pending: // else it waits as it did
		_, err = d.saved(tx, u, Invitation{ID: store.NewID[Invitation](), Note: i.Note})
	}
	return err
}

// reinvite makes somebody an invited person again, and gives the invitation from before.
func reinvite(tx *store.Tx, user store.UserID) (u store.User, i Invitation, err error) {
	if err := tx.Require(access.InviteUsers); err != nil {
		return u, i, err
	}
	if err := lock(tx, user); err != nil {
		return u, i, err
	}
	if i, err = newestOf(tx, user); err != nil {
		return u, i, on(err, fault.NotFound, fault.NotFound.Say("There is no invitation of this person."))
	}
	was, err := tx.AnyUser(user)
	if err != nil {
		return u, i, err
	}
	switch {
	case was.Status == store.Invited:
		return u, i, fault.Conflict.Say("%s has an open invitation already.", was.Profile().FullName())
	case i.State == Accepted || was.Status == store.Active:
		return u, i, fault.Conflict.Say("%s has an account, so there is no invitation to open again.", was.Profile().FullName())
	}
	if was.Status == store.Deleted {
		if err := free(tx, was.Email); err != nil {
			return u, i, err
		}
	}
	u, err = tx.ReinviteUser(user, "invitation opened again")
	if err != nil {
		return u, i, takenName(err)
	}
	if was.Status == store.Deleted {
		teams, err := keptBy(tx, i.ID)
		if err != nil {
			return u, i, err
		}
		for _, id := range teams { // those that are still there
			if err := join(tx, u.ID, []store.GroupID{id}); err != nil && !fault.Is(err, fault.Invalid) {
				return u, i, err
			}
		}
	}
	return u, i, nil
}

// Of tells the newest invitation of each of these people, in one query; who has
// none is not in the map.
func (d *Door) Of(tx *store.Tx, users []store.UserID) (map[store.UserID]Invitation, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	rows, err := newest(tx, users)
	if err != nil {
		return nil, err
	}
	of := make(map[store.UserID]Invitation, len(rows))
	for _, row := range rows { // the newest comes last
		row.State = row.at(tx.Now())
		of[row.UserID] = row
	}
	return of, nil
}
