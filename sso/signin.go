package sso

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// signIn finds the account of a verified arrival, or makes it, or says why not.
// It is the one place where a person from a provider becomes a user of ours, for
// both protocols, in this order:
//
//  1. the identity: (connection, immutable subject) was bound before
//  2. accounts=scim: once, a user whom a directory of this organization manages
//  3. once, an existing user with the same e-mail, in a domain the organization
//     has proved; an invited one becomes active
//  4. accounts=jit: a new user
//  5. nobody
//
// All of it stays inside the connection's organization. Nothing here reactivates,
// creates again what was deleted, or writes to what a directory manages. A refusal
// comes as a *refusal and has changed nothing.
func signIn(tx *store.Tx, c Connection, a arrival) (store.User, error) {
	if len(a.Subject) == 0 || len(a.Subject) > 1000 || len(a.SubjectKind) > 500 || !cleanText(a.Subject) || !cleanText(a.SubjectKind) {
		return store.User{}, refuse(http.StatusForbidden, "subject", "The identity provider sent no usable identifier for you.",
			"Send an identifier of 1 to 1000 characters that never changes.")
	}
	u, err := known(tx, c, a)
	if err != nil {
		return u, err
	}
	if u.Status == store.Invited {
		if u, err = tx.ActivateUser(u.ID, "signed in over "+c.Name); err != nil {
			return u, err
		}
	}
	if u, err = refresh(tx, u, a); err != nil {
		return u, err
	}
	return u, tx.SignedIn(u.ID, c.Protocol)
}

// known gives the user that this arrival is, bound.
func known(tx *store.Tx, c Connection, a arrival) (store.User, error) {
	old, err := identityOf(tx, c.ID, a.SubjectKind, a.Subject)
	if fault.Is(err, fault.NotFound) {
		if err := lockFirst(tx, c.ID); err != nil {
			return store.User{}, err
		}
		old, err = identityOf(tx, c.ID, a.SubjectKind, a.Subject)
	}
	switch {
	case err == nil:
		u, err := tx.AnyUser(old)
		if err != nil {
			return u, fmt.Errorf("identity of %s: %w", c.ID, err)
		}
		if u.Status != store.Deleted {
			if err := alive(u); err != nil {
				return u, err
			}
			return u, seen(tx, c.ID, a.SubjectKind, a.Subject)
		}
	case !fault.Is(err, fault.NotFound):
		return store.User{}, err
	}
	u, err := match(tx, c, a)
	if err != nil {
		return u, err
	}
	switch {
	case u.ID == "" && old != "":
		return u, errEnded // deleted: a sign-in does not create again
	case u.ID == "" && c.Accounts == accountsJIT:
		if u, err = create(tx, c, a); err != nil {
			return u, err
		}
	case u.ID == "":
		return u, errNotProvisioned(c)
	}
	if old != "" {
		return u, rebind(tx, c.ID, a.SubjectKind, a.Subject, old, u.ID)
	}
	return u, bind(tx, c.ID, a.SubjectKind, a.Subject, u.ID)
}

// match looks for an account to bind, once. The zero user: there is none.
func match(tx *store.Tx, c Connection, a arrival) (store.User, error) {
	if c.Accounts == accountsSCIM {
		return matchManaged(tx, c, a)
	}
	return matchEmail(tx, c, a)
}

// matchManaged finds a user whom a directory manages: by externalId, else by the
// name under which directories send people, else by e-mail.
func matchManaged(tx *store.Tx, c Connection, a arrival) (store.User, error) {
	var found []store.User
	for _, key := range a.keys {
		_, err := tx.EachUser(store.Query{Where: store.UserExternalID.Text().Is(key), Limit: 10}, func(u store.User) error {
			found = append(found, managed([]store.User{u})...)
			return nil
		})
		if err != nil {
			return store.User{}, err
		}
	}
	if len(found) == 0 {
		for _, name := range a.names(c.Protocol) {
			u, err := tx.UserByName(name)
			if err == nil {
				found = append(found, managed([]store.User{u})...)
			} else if !fault.Is(err, fault.NotFound) {
				return store.User{}, err
			}
		}
	}
	if len(found) == 0 && a.Email != "" && a.email != saidNo {
		may, err := mayLink(tx, c, a)
		if err != nil {
			return store.User{}, err
		}
		if may == nil {
			list, err := tx.UsersByEmail(a.Email)
			if err != nil {
				return store.User{}, err
			}
			found = managed(list)
		}
	}
	return theOne(tx, c, found)
}

// matchEmail finds an existing account by e-mail, and refuses when there is one
// that may not be taken over: a second account for the address would be wrong too.
func matchEmail(tx *store.Tx, c Connection, a arrival) (store.User, error) {
	if a.Email == "" {
		return store.User{}, nil
	}
	found, err := tx.UsersByEmail(a.Email)
	if err != nil {
		return store.User{}, err
	}
	if len(found) == 0 { // somebody without e-mail may have the address as user name
		switch u, err := tx.UserByName(a.Email); {
		case err == nil:
			found = append(found, u)
		case !fault.Is(err, fault.NotFound):
			return store.User{}, err
		}
	}
	if len(found) == 0 {
		return store.User{}, nil
	}
	may, err := mayLink(tx, c, a)
	if err != nil {
		return store.User{}, err
	}
	if may != nil {
		return store.User{}, may
	}
	return theOne(tx, c, found)
}

// theOne picks the account out of what was found; only a single one that nobody
// is bound to on this connection will do.
func theOne(tx *store.Tx, c Connection, found []store.User) (store.User, error) {
	var u store.User
	for _, f := range found {
		if u.ID != "" && u.ID != f.ID {
			return store.User{}, refuse(http.StatusForbidden, "account", "Several accounts here fit you, so none was chosen. Ask your administrator to sort them out.",
				"Give one of the accounts another e-mail address or external ID: "+u.UserName+", "+f.UserName+".")
		}
		u = f
	}
	if u.ID == "" {
		return u, nil
	}
	if u.BreakGlass {
		return store.User{}, refuse(http.StatusForbidden, "break-glass", "Your account signs in with its password only.",
			"Break-glass accounts are never bound to an identity provider.")
	}
	if err := alive(u); err != nil {
		return store.User{}, err
	}
	taken, err := bound(tx, c.ID, u.ID)
	if err != nil {
		return store.User{}, err
	}
	if taken {
		return store.User{}, refuse(http.StatusForbidden, "identity", "Your account is bound to another identity at your identity provider. Ask your administrator.",
			"The account "+u.UserName+" is bound to another subject on this connection. If the person was created anew at the identity provider, remove the old identity.")
	}
	return u, nil
}

// mayLink tells why an account may not be bound by this e-mail address, nil when
// it may (promise 7: only in a domain that the organization has proved).
func mayLink(tx *store.Tx, c Connection, a arrival) (*refusal, error) {
	name := domainOf(a.Email)
	v, err := domainIn(tx, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	const sorry = "There is an account with your e-mail address here that this sign-in cannot be linked to. Ask your administrator."
	switch {
	case !v.Verified():
		return refuse(http.StatusForbidden, "domain", sorry,
			fmt.Sprintf("Verify the domain %q for this organization (domains), then the account can be linked on the next sign-in.", name)), nil
	case !v.Speaks(c.ID):
		return refuse(http.StatusForbidden, "domain", sorry, fmt.Sprintf("The domain %q is assigned to another connection.", name)), nil
	case a.email == saidNo:
		return refuse(http.StatusForbidden, "email_verified", sorry, "The identity provider says that the address is not verified. Verify it there."), nil
	case a.email == unsaid && c.Protocol == protocolOIDC && !v.assigned(c.ID):
		return refuse(http.StatusForbidden, "email_verified", sorry,
			fmt.Sprintf("The identity provider does not say whether the address is verified. Send email_verified, or assign the domain %q to this connection.", name)), nil
	}
	return nil, nil
}

// create makes the account of somebody who signs in for the first time.
func create(tx *store.Tx, c Connection, a arrival) (store.User, error) {
	domains, limited, err := limitedTo(tx)
	if err != nil {
		return store.User{}, err
	}
	if name := domainOf(a.Email); limited && !oneOf(name, domains...) {
		return store.User{}, refuse(http.StatusForbidden, "domain", "Your e-mail address is not in a domain of this organization. Ask your administrator for an invitation.",
			fmt.Sprintf("The address is in %q. Accounts are created for verified domains only (%s); verify this one, or invite the person.", name, strings.Join(domains, ", ")))
	}
	p := store.Profile{UserName: orElse(a.Email, orElse(a.UserName, a.Subject)), Email: a.Email,
		GivenName: a.GivenName, FamilyName: a.FamilyName, DisplayName: a.DisplayName}
	switch _, err := tx.UserByName(p.UserName); {
	case err == nil:
		return store.User{}, refuse(http.StatusForbidden, "account", "There is an account with your user name here that this sign-in cannot be linked to. Ask your administrator.",
			fmt.Sprintf("The user name %q is taken by a user with another e-mail address.", p.UserName))
	case !fault.Is(err, fault.NotFound):
		return store.User{}, err
	}
	u, err := tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromJIT, Status: store.Active})
	if fault.Is(err, fault.Invalid) {
		return u, refuse(http.StatusForbidden, "profile", "The identity provider sent details about you that cannot be stored.", fault.Public(err))
	}
	return u, err
}

// refresh takes over names from the provider for a user whom no directory manages.
func refresh(tx *store.Tx, u store.User, a arrival) (store.User, error) {
	if u.DirectoryID != "" {
		return u, nil
	}
	p := u.Profile()
	doc, err := u.Attributes()
	if err != nil {
		return u, err
	}
	p.GivenName, p.FamilyName = orElse(a.GivenName, p.GivenName), orElse(a.FamilyName, p.FamilyName)
	p.DisplayName = orElse(a.DisplayName, p.DisplayName)
	p.Apply(doc)
	next, err := tx.UpdateUser(u, store.UserChange{Doc: doc, Why: "as the identity provider says"})
	if fault.Is(err, fault.Invalid) {
		return u, nil // a name that cannot be stored must not keep anybody out
	}
	return next, err
}

// names are what a directory may have sent as userName.
func (a arrival) names(protocol string) []string {
	list := []string{a.UserName, a.Subject}
	// Some OIDC providers let people set the address themselves and do not say
	// whether it was verified; in SAML the organization's own provider vouches.
	if a.email == saidYes || a.email == unsaid && protocol == protocolSAML {
		list = append(list, a.Email)
	}
	var out []string
	for _, n := range list {
		if n != "" && !oneOf(n, out...) {
			out = append(out, n)
		}
	}
	return out
}

// managed keeps those whom a directory manages.
func managed(list []store.User) []store.User {
	var out []store.User
	for _, u := range list {
		if u.DirectoryID != "" {
			out = append(out, u)
		}
	}
	return out
}

// errEnded is for people who were here and are not any more.
var errEnded = refuse(http.StatusForbidden, "status", "Your account has been deactivated. Ask your administrator.",
	"Reactivate or restore the account first; a sign-in never does.")

func alive(u store.User) error {
	if u.Status != store.Active && u.Status != store.Invited {
		return errEnded
	}
	return nil
}

func errNotProvisioned(c Connection) *refusal {
	hint := "Invite or create the person, or let the connection create accounts (jit)."
	if c.Accounts == accountsSCIM {
		hint = "Assign the person to the application at the directory and let it provision them; this connection takes people of the directory only."
	}
	r := refuse(http.StatusForbidden, "not provisioned", "You have no account here yet. Your administrator has been told that you asked.", hint)
	r.request = true
	return r
}

// actorOf is the connection acting for whoever is signing in.
func actorOf(c Connection, caller access.Actor) access.Actor {
	return access.Actor{Kind: access.Connection, Org: string(c.OrgID), ID: string(c.ID), Name: c.Name, IP: caller.IP, Request: caller.Request}
}
