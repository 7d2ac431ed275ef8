package sso

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// visit is one sign-in while its account is looked for.
type visit struct {
	d   *Door
	tx  *store.Tx
	c   Connection
	a   answer.Profile
	m   mapped
	out Outcome

	known          *knownAccount  // whose subject it is, read at the beginning; nil: nobody's
	move           store.ID[Move] // by which the person was expected here
	nextKind, next string         // the new key while the connection is re-keyed; empty: none came
}

// signIn finds the account of a verified arrival, or makes it, or says why not.
// It is the one place where a person from a provider becomes a user of ours, for
// both protocols and for previews, in this order:
//
//  1. the identity: (connection, immutable subject) was bound before
//  2. accounts=scim: once, a user whom a directory of this organization manages
//  3. once, an existing user with the same e-mail, in a domain the organization
//     has proved; an invited one becomes active. Without that proof the address
//     itself is asked, by a mail with a one-time link (confirm.go)
//  4. accounts=jit: a new user
//  5. nobody; the admin sees a request
//
// All of it stays inside the connection's organization. Nothing here reactivates,
// creates again what was deleted, or writes to what a directory manages. A refusal
// comes as a *refusal and has changed nothing.
func (d *Door) signIn(tx *store.Tx, c Connection, a answer.Profile) (Outcome, error) {
	v := visit{d: d, tx: tx, c: c, a: a}
	err := v.run()
	return v.out, err
}

func (v *visit) run() error {
	if err := v.takeSubject(); err != nil {
		return err
	}
	if err := v.readAccount(); err != nil {
		return err
	}
	if err := v.readMapping(); err != nil {
		return err
	}
	if err := v.find(); err != nil {
		return err
	}
	u := v.out.User
	if u.Status == store.Invited {
		if err := v.accept(); err != nil {
			return err
		}
	}
	if err := v.refresh(); err != nil {
		return err
	}
	if err := v.give(); err != nil {
		return err
	}
	return v.tx.SignedIn(u.ID, v.c.Protocol)
}

func checkSubject(subject, kind string) error {
	if len(subject) == 0 || len(subject) > 1000 || len(kind) > 500 || !cleanText(subject) || !cleanText(kind) {
		return refuse(http.StatusForbidden, "subject", web.Say("The identity provider sent no usable identifier for you."),
			web.Say("Send an identifier of 1 to 1000 characters that never changes."))
	}
	return nil
}

// find gives the user that this arrival is, bound.
func (v *visit) find() error {
	old, err := v.bound()
	if err != nil {
		return err
	}
	if err := v.boundNext(); err != nil || v.out.User.ID != "" {
		return err
	}
	if err := v.putAside(); err != nil {
		return err
	}
	u, err := v.match()
	if err != nil {
		return err
	}
	switch {
	case u.ID == "" && old != "":
		return errDeleted // a sign-in does not create again
	case u.ID == "" && v.c.Accounts == accountsJIT:
		if u, err = v.create(); err != nil {
			return err
		}
		v.out.Created = true
		v.say(StepCreated, whyCreated)
	case u.ID == "":
		return errNotProvisioned(v.c)
	}
	v.out.User, v.out.Linked = u, true
	if old != "" {
		return rebind(v.tx, v.c.ID, v.a.SubjectKind, v.a.Subject, old, u.ID)
	}
	if err := bind(v.tx, identity{Connection: v.c.ID, Kind: v.a.SubjectKind, Subject: v.a.Subject, User: u.ID, By: string(v.move), How: v.out.Why, Keys: lastingKeys(v.a)}); err != nil {
		return err
	}
	if err := v.moved(u); err != nil || v.next == "" {
		return err
	}
	return v.bindNext()
}

// bound looks for the identity. When its user was deleted it gives the id of that
// user, so that the subject can follow the person to an account made anew.
func (v *visit) bound() (old store.UserID, err error) {
	if v.known == nil {
		if err := lockFirst(v.tx, v.c.ID); err != nil {
			return "", err
		}
		// A re-key may have begun or ended meanwhile: then other keys count.
		now, gone := connectionIn(v.tx, v.c.ID)
		if gone != nil {
			return "", gone
		}
		if now.Config.Subject != v.c.Config.Subject || now.Config.Rekey != v.c.Config.Rekey {
			return "", errFaster
		}
		if err := v.readAccount(); err != nil {
			return "", err
		}
	}
	if v.known == nil {
		return "", nil
	}
	u := v.known.User
	if u.Status == store.Deleted {
		return u.ID, nil
	}
	if err := alive(u); err != nil {
		return "", err
	}
	v.out.User = u
	v.say(StepIdentity, whyIdentity)
	return "", seen(v.tx, v.c.ID, v.a.SubjectKind, v.a.Subject, lastingKeys(v.a))
}

func (v *visit) say(step Step, why string) { v.out.Step, v.out.Why = step, why }

// accept makes an invited person active and ends the invitation: its role and teams
// are the person's already.
func (v *visit) accept() (err error) {
	if v.out.User, err = v.tx.ActivateUser(v.out.User.ID, "signed in over "+v.c.Name); err != nil {
		return err
	}
	v.out.Activated = true
	if v.d.opts.AcceptInvitation == nil {
		return nil
	}
	return v.d.opts.AcceptInvitation(v.tx, v.out.User)
}

// create makes the account of somebody who signs in for the first time.
func (v *visit) create() (store.User, error) {
	domains, limited, err := limitedTo(v.tx)
	if err != nil {
		return store.User{}, err
	}
	a := v.a
	if name := domainOf(a.Email); limited && !oneOf(name, domains...) {
		return store.User{}, refuseOutside(name, domains)
	}
	name, err := v.newName()
	if err != nil {
		return store.User{}, err
	}
	p := store.Profile{UserName: name, Email: a.Email}
	switch _, err := v.tx.UserByName(p.UserName); {
	case err == nil:
		return store.User{}, refuse(http.StatusForbidden, "account", web.Say("There is an account with your user name here that this sign-in cannot be linked to. Ask your administrator."),
			web.Say("The user name %q is taken by a user with another e-mail address.", p.UserName))
	case !fault.Is(err, fault.NotFound):
		return store.User{}, err
	}
	if err := v.wasHere(p); err != nil {
		return store.User{}, err
	}
	doc := p.Doc()
	v.fill(doc)
	u, err := v.tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromJIT, Status: store.Active})
	for fault.Is(err, fault.Conflict) && v.leaveTaken(doc, err) {
		u, err = v.tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromJIT, Status: store.Active})
	}
	if fault.Is(err, fault.Conflict) && fault.Field(err) == "seats" {
		return u, refuse(http.StatusForbidden, "seats", web.Say("Your organization has no free seat for an account of yours. Ask your administrator."), web.SaidBy(err))
	}
	if fault.Is(err, fault.Invalid) {
		return u, refuse(http.StatusForbidden, "profile", web.Say("The identity provider sent details about you that cannot be stored."), web.SaidBy(err))
	}
	return u, err
}

// newName is the user name of a new account: what a row of the mapping says, else what
// the organization's format makes, which is the address where nothing was chosen.
func (v *visit) newName() (string, error) {
	for _, r := range v.m.rules {
		if r.Kind == RuleAttribute && r.To == "userName" && !r.Preset {
			return orElse(v.a.UserName, orElse(v.a.Email, v.a.Subject)), nil
		}
	}
	p := store.Profile{Email: v.a.Email, GivenName: v.a.GivenName, FamilyName: v.a.FamilyName, DisplayName: v.a.DisplayName}
	return v.tx.UserNameOr(p, orElse(v.a.Email, orElse(v.a.UserName, v.a.Subject)))
}

// wasHere refuses to make anew whom somebody has deleted: for good when a directory
// did, whose word is final; else as long as an admin can restore the person.
func (v *visit) wasHere(p store.Profile) error {
	gone, err := v.tx.Gone(p.Email, p.UserName)
	if err != nil {
		return err
	}
	for _, u := range gone {
		used := u.LastSignInAt > 0 && v.tx.Now() <= u.DeletedAt.Add(store.RestoreFor) // who never came had an invitation that was cancelled
		if u.DirectoryID != "" || used {
			return errDeleted
		}
	}
	return nil
}

// errEnded and errDeleted are for people who were here and are not any more.
var (
	errEnded = refuse(http.StatusForbidden, "status", web.Say("Your account has been deactivated. Ask your administrator."),
		web.Say("Reactivate the account first; a sign-in never does."))
	errDeleted = refuse(http.StatusForbidden, "status", web.Say("Your account here has been deleted. Ask your administrator."),
		web.Say("Restore the account, or let the directory provision or somebody invite the person anew; a sign-in never creates again who was deleted."))
)

func alive(u store.User) error {
	switch u.Status {
	case store.Active, store.Invited:
		return nil
	case store.Deleted:
		return errDeleted
	}
	return errEnded
}

func errNotProvisioned(c Connection) *refusal {
	hint := web.Say("Approve the request, invite or create the person, or let the connection create accounts (jit).")
	if c.Accounts == accountsSCIM {
		hint = web.Say("Assign the person to the application at the directory and let it provision them; this connection takes people of the directory only.")
	}
	r := refuse(http.StatusForbidden, "not provisioned", web.Say("You have no account here yet. Your administrator has been told that you asked."), hint)
	r.request = true
	return r
}

// actorOf is the connection acting for whoever is signing in.
func actorOf(c Connection, caller access.Actor) access.Actor {
	return access.Actor{Kind: access.Connection, Org: string(c.OrgID), ID: string(c.ID), Name: c.Name, IP: caller.IP, Request: caller.Request, Agent: caller.Agent}
}
