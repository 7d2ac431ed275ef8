package saml

import (
	"strings"

	"github.com/muster-id/muster/sso/answer"
)

// AttributeMap says under which names an assertion carries a profile. Lists
// are tried in order and the first name with a value wins.
type AttributeMap struct {
	// Subject lists alternatives for the immutable key; several names in one
	// alternative are joined. When none is there the NameID is used, and instead
	// of a transient one an attribute of lastingSubjects.
	Subject     [][]string `json:"subject,omitempty"`
	UserName    []string   `json:"user_name,omitempty"`
	Email       []string   `json:"email,omitempty"`
	GivenName   []string   `json:"given_name,omitempty"`
	FamilyName  []string   `json:"family_name,omitempty"`
	DisplayName []string   `json:"display_name,omitempty"`
	Groups      []string   `json:"groups,omitempty"`

	// NameIDFormat is what our requests ask for unless the connection says
	// otherwise; empty asks for none.
	NameIDFormat string `json:"name_id_format,omitempty"`
}

// lastingSubjects are the attributes that may stand in for a transient NameID:
// the two made for it (saml-subject-id-attr-v1.0), and eduPersonPrincipalName.
var lastingSubjects = []string{
	"urn:oasis:names:tc:SAML:attribute:subject-id",
	"urn:oasis:names:tc:SAML:attribute:pairwise-id",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
}

// Claim name prefixes of Microsoft's products.
const (
	ClaimsXMLSOAP  = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	ClaimsIdentity = "http://schemas.microsoft.com/identity/claims/"
	ClaimsWindows  = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"

	// groupsLink is what Entra ID sends instead of more than 150 groups:
	// https://learn.microsoft.com/entra/identity-platform/saml-claims-customization
	groupsLink = "http://schemas.microsoft.com/claims/groups.link"
)

// generic are the names that identity providers use without being told.
func generic() AttributeMap {
	return AttributeMap{
		UserName:    []string{"userName", "username", "login", "uid", ClaimsXMLSOAP + "upn", ClaimsXMLSOAP + "name", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "urn:oid:0.9.2342.19200300.100.1.1"},
		Email:       []string{"email", "mail", "emailAddress", "Email", ClaimsXMLSOAP + "emailaddress", "urn:oid:0.9.2342.19200300.100.1.3", "urn:oid:1.2.840.113549.1.9.1"},
		GivenName:   []string{"firstName", "givenName", "given_name", "FirstName", ClaimsXMLSOAP + "givenname", "urn:oid:2.5.4.42"},
		FamilyName:  []string{"lastName", "sn", "surname", "family_name", "LastName", ClaimsXMLSOAP + "surname", "urn:oid:2.5.4.4"},
		DisplayName: []string{"displayName", "name", "cn", ClaimsIdentity + "displayname", "urn:oid:2.16.840.1.113730.3.1.241"},
		Groups:      []string{"groups", "memberOf", "Group", ClaimsWindows + "groups", "http://schemas.xmlsoap.org/claims/Group", "member", "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"},
	}
}

// AttributesFor is the preset of a vendor: the generic names, and the immutable
// key where the vendor sends one. Unknown vendors get the generic names and are
// known by NameID.
func AttributesFor(vendor string) AttributeMap {
	m := generic()
	switch vendor {
	case "okta", "entra", "google", "onelogin", "jumpcloud", "adfs", "auth0", "ping":
		// Their administrator sets the format; asked for another one they refuse
		// (AD FS: InvalidNameIDPolicy) or change the key.
	default:
		// Not asked, the others send a transient NameID mostly.
		m.NameIDFormat = FormatPersistent
	}
	switch vendor {
	case "okta":
		m.Subject = [][]string{{"userId"}}
	case "entra":
		// The NameID is the UPN, which changes with a marriage.
		m.Subject = [][]string{{ClaimsIdentity + "tenantid", ClaimsIdentity + "objectidentifier"}}
		m.UserName = append([]string{ClaimsXMLSOAP + "name"}, m.UserName...)
	case "onelogin":
		m.Subject = [][]string{{"id"}}
	case "jumpcloud":
		m.Subject = [][]string{{"_id"}}
	case "shibboleth":
		for _, name := range lastingSubjects {
			m.Subject = append(m.Subject, []string{name})
		}
	case "adfs":
		m.Subject = [][]string{{ClaimsXMLSOAP + "objectguid"}}
	}
	return m
}

const (
	FormatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	FormatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	FormatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	FormatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

	SubjectNameID = "nameid"
)

// subject finds the immutable key and what kind of key it is.
func (m AttributeMap) subject(a assertionFacts, values map[string][]string) (key, kind string) {
	for _, names := range m.Subject {
		var parts []string
		for _, name := range names {
			if v := first(values, []string{name}); v != "" {
				parts = append(parts, v)
			}
		}
		if len(parts) > 0 && len(parts) == len(names) {
			return strings.Join(parts, "/"), "attribute:" + strings.Join(names, "+")
		}
	}
	if a.NameID == "" || a.NameIDFormat == FormatTransient {
		for _, name := range lastingSubjects {
			if v := first(values, []string{name}); v != "" {
				return v, "attribute:" + name
			}
		}
	}
	return a.NameID, SubjectNameID
}

// profile reads the person out of a verified assertion.
func (m AttributeMap) profile(a assertionFacts) answer.Profile {
	values := map[string][]string{}
	for _, at := range a.Attributes {
		// An attribute without a value is a known empty list, so keep the key.
		values[at.Name] = append(values[at.Name], at.Values...)
	}
	p := answer.Profile{
		Email:        first(values, m.Email),
		GivenName:    first(values, m.GivenName),
		FamilyName:   first(values, m.FamilyName),
		DisplayName:  first(values, m.DisplayName),
		UserName:     first(values, m.UserName),
		Attributes:   values,
		NameIDFormat: a.NameIDFormat,
		NameID:       a.WholeNameID,
	}
	p.Subject, p.SubjectKind = m.subject(a, values)
	if p.Email == "" && a.NameIDFormat == FormatEmail {
		p.Email = a.NameID
	}
	if p.UserName == "" {
		p.UserName = p.Email
	}
	if _, cut := values[groupsLink]; !cut {
		for _, name := range m.Groups {
			if list, sent := values[name]; sent {
				p.Groups, p.GroupsKnown = list, true
				break
			}
		}
	}
	if len(a.AuthnStatements) > 0 {
		s := a.AuthnStatements[0]
		p.AuthnInstant, p.SessionIndex, p.SessionNotOnOrAfter, p.ACR = s.AuthnInstant, s.SessionIndex, s.SessionNotOnOrAfter, s.Class
	}
	return p
}

// first is the first value under the first of the names that has one.
func first(values map[string][]string, names []string) string {
	for _, name := range names {
		for _, v := range values[name] {
			if v != "" {
				return v
			}
		}
	}
	return ""
}
