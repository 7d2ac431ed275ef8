package console

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// badge is a word with a colour.
type badge struct{ Class, Text string }

func statusBadge(u store.User, i Invitation) badge {
	switch u.Status {
	case store.Invited:
		switch i.State {
		case "expired":
			return badge{"expired", "Invite expired"}
		case "bounced":
			return badge{"bad", "Invite bounced"}
		case "saved":
			return badge{"grey", "Not invited yet"}
		}
		return badge{"invited", "Invited"}
	case store.Active:
		return badge{"active", "Active"}
	case store.Deactivated:
		return badge{"deactivated", "Deactivated"}
	}
	return badge{"deleted", "Deleted"}
}

// invitationStates are what the states of an invitation are called.
var invitationStates = map[string]string{"pending": "Pending", "saved": "Saved", "bounced": "Bounced", "expired": "Expired", "accepted": "Accepted", "cancelled": "Cancelled", "unneeded": "Not needed any more"}

// Label is the state in words.
func (i Invitation) Label() string { return invitationStates[i.State] }

var sourceNames = map[store.Source]string{store.FromSCIM: "SCIM", store.FromJIT: "JIT", store.FromInvite: "Invite", store.FromCSV: "CSV", store.FromAPI: "API"}

var methodNames = map[string]string{"password": "password", "passkey": "passkey", "saml": "SAML", "oidc": "OIDC", "invite": "invitation", "setup": "set-up link"}

func methodName(m string) string {
	if n, ok := methodNames[m]; ok {
		return n
	}
	return m
}

// roleLabels are what the organization's roles are called.
type roleLabels []store.OrgRole

func (l roleLabels) of(role string) string {
	for _, r := range l {
		if r.ID == role {
			return r.Name
		}
	}
	return role
}

func (l roleLabels) named(roles []string) []string {
	list := make([]string, len(roles))
	for i, role := range roles {
		list[i] = l.of(role)
	}
	return list
}

func (l roleLabels) ofGrants(grants []store.Grant) []string {
	var list []string
	for _, role := range store.RoleNames(grants) {
		list = append(list, l.of(role))
	}
	return list
}

func (l roleLabels) options() []web.Option {
	var list []web.Option
	for _, r := range l {
		list = append(list, web.Option{Value: r.ID, Label: r.Name})
	}
	return list
}

// fullName never comes out empty.
func fullName(u store.User) string {
	for _, n := range []string{u.DisplayName, u.UserName} {
		if fault.Shows(n) {
			return n
		}
	}
	return string(u.ID)
}

// initials are two letters for a name: of the first and the last word.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '\'' })
	first := func(w string) string {
		r, _ := utf8.DecodeRuneInString(w)
		return string(unicode.ToUpper(r))
	}
	switch len(words) {
	case 0:
		return "?"
	case 1:
		return first(words[0])
	}
	return first(words[0]) + first(words[len(words)-1])
}

// choices are options with an "any" in front.
func choices(all string, options ...web.Option) []web.Option {
	return append([]web.Option{{Value: "", Label: all}}, options...)
}

// pathID reads an id in the path.
func pathID[noun any](value string) (store.ID[noun], error) { return store.ParseID[noun](value) }

// findPerson takes what somebody typed for a person: a user name, or an address
// that one person has. Faults: Invalid on field.
func findPerson(tx *store.Tx, field, name string) (store.User, error) {
	name = web.Typed(name)
	if name == "" {
		return store.User{}, fault.Invalid.On(field, "Write an address or a user name.")
	}
	u, err := tx.UserByName(name)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return u, err
	}
	list, err := tx.UsersByEmail(name)
	if err != nil {
		return u, err
	}
	switch len(list) {
	case 0:
		return u, fault.Invalid.On(field, "There is nobody with the address or user name %q here. Search for the person in the list of people.", name)
	case 1:
		return list[0], nil
	}
	return u, fault.Invalid.On(field, "%d people have the address %q. Write the user name instead.", len(list), name)
}

// directoryNames tells the directories of this organization by id.
func directoryNames(tx *store.Tx) (map[store.DirectoryID]string, error) {
	list, err := tx.Directories()
	names := make(map[store.DirectoryID]string, len(list))
	for _, d := range list {
		names[d.ID] = d.Name
	}
	return names, err
}
