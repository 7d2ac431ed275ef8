// Package answer is what both protocols make of an identity provider's answer:
// the person it vouches for, and the checks that were made on the way.
package answer

import "time"

// Profile is what both protocols hand to the sign-in: one person, as the identity
// provider describes them. Nothing in it is checked against our own people yet.
type Profile struct {
	// Subject is the immutable key at the provider. Two kinds may hold equal
	// values (a user may choose a name that is another one's id), so an
	// identity is keyed by connection, SubjectKind and Subject together.
	Subject     string
	SubjectKind string // "nameid", "attribute:NAME", or an OIDC claim ("sub", "oid+tid")

	Keys []string // values that a directory may have stored as externalId

	Email       string // as sent; the caller folds it
	EmailSaid   Word   // what the provider says about the address being this person's
	GivenName   string
	FamilyName  string
	DisplayName string
	UserName    string

	Groups      []string
	GroupsKnown bool // false: no list was sent or it was cut; remove nobody from anything

	Attributes map[string][]string // all of them, by name as sent

	NameIDFormat        string    // SAML only
	NameID              NameID    // SAML only, whole
	SessionIndex        string    // SAML SessionIndex or OIDC sid
	SessionNotOnOrAfter time.Time // zero: the provider sets no end
	AuthnInstant        time.Time
	ACR                 string   // the class of the sign-in: SAML AuthnContextClassRef or OIDC acr
	AMR                 []string // OIDC only: how the person proved who they are (RFC 8176)
}

// Word is what a provider says about a yes-or-no matter.
type Word int

// The words. SAML has none: the organization's proof of a domain decides.
const (
	Unsaid Word = iota
	SaidYes
	SaidNo
)

// NameID is a SAML name identifier as the provider sent it. A logout request must
// repeat all of it (saml-core-2.0 §3.7.1).
type NameID struct {
	Value           string `json:"value"`
	Format          string `json:"format,omitempty"`
	NameQualifier   string `json:"name_qualifier,omitempty"`
	SPNameQualifier string `json:"sp_name_qualifier,omitempty"`
	SPProvidedID    string `json:"sp_provided_id,omitempty"`
}
