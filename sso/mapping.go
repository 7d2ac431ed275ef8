package sso

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// The mapping of a connection: what the attributes of an answer give. It is a table
// without expressions, of three kinds of rows. Names of a person are read without
// any row, by the vendor's preset; a row for the same attribute takes its place.

// RuleID names a row.
type RuleID = store.ID[Rule]

// The kinds of rows.
const (
	RuleAttribute = "attribute"
	RuleTeam      = "team"
	RuleRole      = "role"
)

// The ways in which a team's or role's row looks at a value.
const (
	MatchIs     = "is"
	MatchPrefix = "prefix"
	MatchAny    = "any"
)

// Rule is one row.
type Rule struct {
	ID   RuleID   `json:"id,omitempty"`
	Kind string   `json:"kind"`
	From []string `json:"from,omitempty"` // attributes of the answer; the first that came counts. Teams and roles: the groups when empty
	To   string   `json:"to,omitempty"`   // the attribute; the team's name or id, the group's own name when empty; the role

	// attribute
	Fixed   string `json:"fixed,omitempty"` // this, whatever the answer says
	Default string `json:"default,omitempty"`
	All     bool   `json:"all,omitempty"` // all values and not only the first
	Lower   bool   `json:"lower,omitempty"`
	Trim    bool   `json:"trim,omitempty"`

	// team, role
	Match  string `json:"match,omitempty"`
	Value  string `json:"value,omitempty"`  // compared without regard to case
	Create bool   `json:"create,omitempty"` // team: make it when there is none

	Preset bool `json:"preset,omitempty"` // of the vendor, not a row
}

// Words say a row in a sentence.
func (r Rule) Words() string { return r.Said().String() }

// Said is Words for a page.
func (r Rule) Said() web.Said {
	from := web.Say("groups")
	for i, name := range r.From {
		if from = web.Say("%s or %s", from, name); i == 0 {
			from = web.Say("%s", name)
		}
	}
	if r.Kind == RuleAttribute {
		switch {
		case r.Fixed != "":
			return web.Say("always %q", r.Fixed)
		case r.All:
			return web.Say("all values of %s", from)
		}
		return from
	}
	switch r.Match {
	case MatchPrefix:
		return web.Say("%s beginning with %q", from, r.Value)
	case MatchAny:
		return web.Say("any of %s", from)
	}
	return web.Say("%s %q", from, r.Value)
}

const (
	maxRules = 200 // of a connection
	maxNames = 20  // attributes of one row
)

// presetRules are what holds without any row: the person's names and addresses as
// the vendor sends them.
func presetRules(c Connection) []Rule {
	m := saml.AttributeMap{GivenName: []string{"given_name"}, FamilyName: []string{"family_name"}, DisplayName: []string{"name"},
		Email: []string{"email"}, UserName: []string{"preferred_username"}}
	if c.Protocol == protocolSAML {
		m = saml.AttributesFor(c.Vendor)
	}
	list := []Rule{{From: m.UserName, To: "userName"}, {From: m.Email, To: "emails"}, {From: m.GivenName, To: "name.givenName"},
		{From: m.FamilyName, To: "name.familyName"}, {From: m.DisplayName, To: "displayName"}}
	for i := range list {
		list[i].Kind, list[i].Preset = RuleAttribute, true
	}
	return list
}

// Suggested are rows for what else the vendor sends, once its admin lets it: they
// are added when somebody asks for them.
func Suggested(c Connection) []Rule {
	row := func(to string, from ...string) Rule {
		return Rule{Kind: RuleAttribute, From: from, To: to, Trim: true}
	}
	if c.Protocol == protocolOIDC {
		list := []Rule{row("phoneNumbers", "phone_number"), row("locale", "locale"), row("timezone", "zoneinfo"), row("nickName", "nickname"), row("profileUrl", "profile")}
		if c.Vendor == "entra" {
			list = append(list, row("title", "jobTitle", "extn.jobTitle"), row("department", "department", "extn.department"), row("preferredLanguage", "xms_pl"))
		}
		return list
	}
	const x, w = saml.ClaimsXMLSOAP, saml.ClaimsWindows
	switch c.Vendor {
	case "entra", "adfs":
		return []Rule{row("title", x+"title", "jobtitle", w+"title"), row("department", x+"department", "department", w+"department"),
			row("phoneNumbers", x+"otherphone", x+"mobilephone", "telephonenumber"), row("employeeNumber", x+"employeeid", "employeeid"),
			row("preferredLanguage", x+"preferredlanguage", "preferredlanguage"), row("organization", x+"companyname", "companyname")}
	case "shibboleth", "keycloak":
		return []Rule{row("title", "urn:oid:2.5.4.12", "title"), row("department", "urn:oid:2.5.4.11", "ou", "department"), row("phoneNumbers", "urn:oid:2.5.4.20", "telephoneNumber"),
			row("preferredLanguage", "urn:oid:2.16.840.1.113730.3.1.39", "preferredLanguage"), row("employeeNumber", "urn:oid:2.16.840.1.113730.3.1.3", "employeeNumber")}
	case "auth0":
		return []Rule{row("nickName", "http://schemas.auth0.com/nickname"), row("locale", "http://schemas.auth0.com/locale"), row("phoneNumbers", "http://schemas.auth0.com/phone_number")}
	case "okta":
		return []Rule{row("title", "title"), row("department", "department"), row("phoneNumbers", "mobilePhone", "primaryPhone"), row("locale", "locale"),
			row("preferredLanguage", "preferredLanguage"), row("timezone", "timezone"), row("employeeNumber", "employeeNumber"), row("costCenter", "costCenter")}
	case "google":
		return []Rule{row("title", "jobTitle", "title"), row("department", "department"), row("phoneNumbers", "phone", "phoneNumber"), row("employeeNumber", "employeeId")}
	case "onelogin":
		return []Rule{row("title", "title", "User.Title"), row("department", "department", "User.Department"), row("phoneNumbers", "phone", "PhoneNumber")}
	case "jumpcloud":
		return []Rule{row("title", "jobTitle"), row("department", "department"), row("employeeNumber", "employeeIdentifier"), row("costCenter", "costCenter")}
	}
	return []Rule{row("title", "title", "jobTitle"), row("department", "department"), row("phoneNumbers", "phone", "telephoneNumber", "mobile"),
		row("locale", "locale"), row("preferredLanguage", "preferredLanguage")}
}

// check cleans a row and refuses what cannot work.
func (r *Rule) check(targets []Target, roles []store.OrgRole) error {
	r.To, r.Value = strings.TrimSpace(r.To), strings.TrimSpace(r.Value)
	from := r.From[:0:0]
	for _, name := range r.From {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(from, name) {
			from = append(from, name)
		}
	}
	if r.From = from; len(from) > maxNames {
		return fault.Invalid.On("from", "A row reads at most %d attributes.", maxNames)
	}
	for field, texts := range map[string][]string{"from": r.From, "to": {r.To}, "fixed": {r.Fixed}, "default": {r.Default}, "value": {r.Value}} {
		for _, text := range texts {
			if len(text) > 500 || !cleanText(text) {
				return fault.Invalid.On(field, "%q is longer than 500 bytes or holds a control character.", answer.Clip(text, 60))
			}
		}
	}
	switch r.Kind {
	case RuleAttribute:
		return r.checkAttribute(targets)
	case RuleTeam, RuleRole:
		return r.checkGiving(roles)
	}
	return fault.Invalid.On("kind", "A row is of the kind %s, %s or %s, not %q.", RuleAttribute, RuleTeam, RuleRole, answer.Clip(r.Kind, 40))
}

func (r *Rule) checkAttribute(targets []Target) error {
	t, ok := targetNamed(targets, r.To)
	if !ok {
		return fault.Invalid.On("to", "There is no attribute %q that a sign-in can fill. The page of the mapping lists them.", answer.Clip(r.To, 100))
	}
	r.To = t.Name
	switch {
	case r.Match+r.Value != "" || r.Create:
		return fault.Invalid.On("match", "Only rows for teams and roles look at a value.")
	case r.Fixed != "" && (len(r.From) > 0 || r.Default != "" || r.All):
		return fault.Invalid.On("fixed", "A fixed value stands alone: leave the attributes, the default and all values out.")
	case r.Fixed == "" && len(r.From) == 0:
		return fault.Invalid.On("from", "Say which attribute of the answer is read, or give a fixed value.")
	case t.First && (r.Fixed != "" || r.Default != "" || r.All):
		return fault.Invalid.On("to", "%s is one person's own: it is one value of the answer, never a fixed one or a default.", t.Label)
	}
	for _, v := range []string{r.Fixed, r.Default} {
		if v == "" {
			continue
		}
		if _, err := t.typed(v); err != nil {
			return fault.Invalid.On("to", "%s cannot be that: %v.", t.Label, err)
		}
	}
	return nil
}

func (r *Rule) checkGiving(roles []store.OrgRole) error {
	r.Match = orElse(r.Match, MatchIs)
	switch {
	case r.Fixed+r.Default != "" || r.All || r.Lower || r.Trim:
		return fault.Invalid.On("kind", "A row for teams or roles has no fixed value, default or change of letters.")
	case !oneOf(r.Match, MatchIs, MatchPrefix, MatchAny):
		return fault.Invalid.On("match", "A value is looked at with %s, %s or %s, not %q.", MatchIs, MatchPrefix, MatchAny, answer.Clip(r.Match, 40))
	case r.Match != MatchAny && r.Value == "":
		return fault.Invalid.On("value", "Say which group or value is meant, as the provider sends it.")
	case r.Match == MatchAny && r.Value != "":
		return fault.Invalid.On("value", "Any value is meant: leave the value out, or choose another way to look at it.")
	}
	if r.Kind == RuleTeam {
		if r.Create && isTeamID(r.To) {
			return fault.Invalid.On("create", "A team that is named by its id is there already, so none is made.")
		}
		return nil
	}
	if r.Create {
		return fault.Invalid.On("create", "Roles are not made by sign-ins.")
	}
	if !slices.ContainsFunc(roles, func(o store.OrgRole) bool { return o.ID == r.To }) {
		return fault.Invalid.On("to", "There is no role %q.", answer.Clip(r.To, 40))
	}
	if r.To == access.Admin && r.Match != MatchIs {
		return fault.Invalid.On("match", "Admin is given for one named group or value only: choose %q and write it down.", MatchIs)
	}
	return nil
}

func isTeamID(s string) bool {
	_, err := store.ParseID[store.Group](s)
	return err == nil
}

// matches tells whether a row of a team or role is about a value.
func (r Rule) matches(value string) bool {
	v, want := store.Fold(value), store.Fold(r.Value)
	switch r.Match {
	case MatchPrefix:
		return strings.HasPrefix(v, want) && len(v) > len(want)
	case MatchAny:
		return v != ""
	}
	return v == want
}

// teamFor is the id or name of the team that a value means.
func (r Rule) teamFor(value string) string {
	switch {
	case r.To != "":
		return r.To
	case r.Match == MatchPrefix && len(value) > len(r.Value):
		return strings.TrimSpace(strings.ToValidUTF8(value[len(r.Value):], ""))
	}
	return strings.TrimSpace(value)
}

// groupList is how the reason of what the group list gave begins.
const groupList = "groups"

// detailOf is what stands in the reason of a role or membership, and cutDetail takes
// it apart again.
func detailOf(source, value string) string {
	return fmt.Sprintf("%s %q", source, answer.Clip(value, 200))
}

func cutDetail(detail string) (source, value string) {
	at := strings.Index(detail, ` "`)
	if at < 0 {
		return detail, ""
	}
	value, err := strconv.Unquote(detail[at+1:])
	if err != nil {
		return detail[:at], ""
	}
	return detail[:at], value
}

// reads tells whether a row looks at a source of that name.
func (r Rule) reads(source string) bool {
	if len(r.From) == 0 {
		return source == groupList
	}
	return slices.Contains(r.From, source)
}

// groupNames are the attributes in which providers send the groups unless told otherwise.
var groupNames = saml.AttributesFor("custom").Groups
