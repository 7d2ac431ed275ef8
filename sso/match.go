package sso

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// match looks for an account to bind, once. The zero user: there is none.
func (v *visit) match() (store.User, error) {
	if u, err := v.expected(); err != nil || u.ID != "" {
		if err != nil {
			return u, err
		}
		v.say(StepExpected, whyExpected)
		return v.theOne([]store.User{u})
	}
	if v.c.Accounts == accountsSCIM {
		return v.matchManaged()
	}
	return v.matchEmail()
}

// matchManaged finds a user whom a directory manages: by externalId, else by the
// name under which directories send people, else by e-mail.
func (v *visit) matchManaged() (store.User, error) {
	var found []store.User
	for _, key := range v.a.Keys {
		_, err := v.tx.EachUser(store.Query{Where: store.UserExternalID.Text().Is(key), Limit: 10}, func(u store.User) error {
			found = append(found, managed([]store.User{u})...)
			return nil
		})
		if err != nil {
			return store.User{}, err
		}
	}
	if len(found) > 0 {
		v.say(StepDirectory, fmt.Sprintf(whyExternal, found[0].ExternalID))
		return v.theOne(found)
	}
	for _, name := range v.names() {
		u, err := v.tx.UserByName(name)
		if err == nil {
			found = append(found, managed([]store.User{u})...)
		} else if !fault.Is(err, fault.NotFound) {
			return store.User{}, err
		}
	}
	if len(found) > 0 {
		v.say(StepDirectory, fmt.Sprintf(whyUserName, found[0].UserName))
		return v.theOne(found)
	}
	if v.a.Email == "" || v.a.EmailSaid == answer.SaidNo {
		return store.User{}, nil
	}
	may, err := v.mayLink()
	if err != nil || may != nil {
		return store.User{}, err
	}
	list, err := v.tx.UsersByEmail(v.a.Email)
	if err != nil {
		return store.User{}, err
	}
	v.say(StepDirectory, fmt.Sprintf(whyAddress, v.a.Email))
	return v.theOne(managed(list))
}

// matchEmail finds an existing account by e-mail, and refuses when there is one
// that may not be taken over: a second account for the address would be wrong too.
func (v *visit) matchEmail() (store.User, error) {
	if v.a.Email == "" {
		return store.User{}, nil
	}
	found, err := v.tx.UsersByEmail(v.a.Email)
	if err != nil {
		return store.User{}, err
	}
	if len(found) == 0 { // somebody without e-mail may have the address as user name
		switch u, err := v.tx.UserByName(v.a.Email); {
		case err == nil:
			found = append(found, u)
		case !fault.Is(err, fault.NotFound):
			return store.User{}, err
		}
	}
	if len(found) == 0 {
		return store.User{}, nil
	}
	may, err := v.mayLink()
	if err != nil {
		return store.User{}, err
	}
	if may != nil {
		return store.User{}, v.askAddress(may, found)
	}
	v.say(StepEmail, fmt.Sprintf(whyEmail, v.a.Email))
	return v.theOne(found)
}

// theOne picks the account out of what was found; only a single one that nobody
// is bound to on this connection will do.
func (v *visit) theOne(found []store.User) (store.User, error) {
	var u store.User
	for _, f := range found {
		if u.ID != "" && u.ID != f.ID {
			return store.User{}, refuse(http.StatusForbidden, "account", web.Say("Several accounts here fit you, so none was chosen. Ask your administrator to sort them out."),
				web.Say("Give one of the accounts another e-mail address or external ID: %s, %s.", u.UserName, f.UserName))
		}
		u = f
	}
	if u.ID == "" {
		return u, nil
	}
	if u.BreakGlass {
		return store.User{}, refuse(http.StatusForbidden, "break-glass", web.Say("Your account signs in with its password only."),
			web.Say("Break-glass accounts are never bound to an identity provider."))
	}
	if err := alive(u); err != nil {
		return store.User{}, err
	}
	taken, err := bound(v.tx, v.c.ID, u.ID)
	if err != nil {
		return store.User{}, err
	}
	if taken {
		return store.User{}, refuse(http.StatusForbidden, "identity", web.Say("Your account is bound to another identity at your identity provider. Ask your administrator."),
			web.Say("The account %s is bound to another subject on this connection. If the person was created anew at the identity provider, unlink the old identity on the person's page.", u.UserName))
	}
	return u, nil
}

// unlinkable is what the person is told when there is an account with the address.
// It is the same whether or not a mail can be sent: it says nothing of the account.
const unlinkable = "There is an account with your e-mail address here that this sign-in is not linked to. If it can be linked, we have sent a link to that address: open it in this browser. Else ask your administrator."

// mayLink tells why an account may not be bound by this e-mail address, nil when
// it may (promise 7: only in a domain that the organization has proved).
func (v *visit) mayLink() (*refusal, error) {
	name := domainOf(v.a.Email)
	domain, err := domainIn(v.tx, name, "")
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	no := func(check string, hint web.Said) *refusal {
		return refuse(http.StatusForbidden, check, web.Say(unlinkable), hint)
	}
	switch {
	case !domain.Speaks(v.c.ID):
		r := no("domain", web.Say("The domain %q is assigned to another connection. People of it sign in there.", name))
		r.sentence = web.Say("There is an account with your e-mail address here that this sign-in cannot be linked to. Ask your administrator.")
		r.final = true
		return r, nil
	case !domain.Verified():
		return no("domain", web.Say("Verify the domain %q for this organization (domains), then the account can be linked on the next sign-in.", name)), nil
	case v.a.EmailSaid == answer.SaidNo:
		return no("email_verified", web.Say("The identity provider says that the address is not verified. Verify it there.")), nil
	case v.a.EmailSaid == answer.Unsaid && v.c.Protocol == protocolOIDC && !domain.assigned(v.c.ID):
		return no("email_verified", web.Say("The identity provider does not say whether the address is verified. Send email_verified, or assign the domain %q to this connection.", name)), nil
	}
	return nil, nil
}

func refuseOutside(name string, domains []string) error {
	return refuse(http.StatusForbidden, "domain", web.Say("Your e-mail address is not in a domain of this organization. Ask your administrator for an invitation."),
		web.Say("The address is in %q. Accounts are created for verified domains only (%s); verify this one, or invite the person.", name, strings.Join(domains, ", ")))
}

// names are what a directory may have sent as userName.
func (v *visit) names() []string {
	list := []string{v.a.Subject}
	// At many OIDC providers people choose preferred_username themselves, and it is
	// not unique (OpenID Connect Core 1.0 §5.7). In SAML the organization's own
	// provider vouches for what its admin put into the assertion.
	if v.c.Protocol == protocolSAML || v.c.Config.UserNamesFixed {
		list = append(list, v.a.UserName)
	}
	// Some OIDC providers let people set the address themselves and do not say
	// whether it was verified.
	if v.a.EmailSaid == answer.SaidYes || v.a.EmailSaid == answer.Unsaid && v.c.Protocol == protocolSAML {
		list = append(list, v.a.Email)
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
