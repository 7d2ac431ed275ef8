package sso

import (
	"crypto/rsa"
	"time"

	"github.com/muster-id/muster/internal/fault"
)

// samlParty is everything that checkResponse knows about both sides. No I/O.
type samlParty struct {
	EntityID     string            // ours; must be among the audiences
	ACS          string            // ours; the Recipient and Destination, compared exactly
	IDPEntityID  string            // the Issuer
	Certificates [][]byte          // DER; every one of them may sign
	DecryptKeys  []*rsa.PrivateKey // active encryption keys, newest first

	AllowSHA1Until     time.Time     // zero: SHA-1 is refused
	Skew               time.Duration // clock difference allowed both ways
	WantResponseSigned bool
	AllowUnsolicited   bool // sign-ins that the identity provider starts
	Attributes         attributeMap
}

// samlForm is what the browser posted, raw.
type samlForm struct {
	SAMLResponse string // base64
}

// samlExpect is what this browser's pending request says.
type samlExpect struct {
	RequestID string // ID of our AuthnRequest; empty when none is pending
	Now       time.Time
}

// samlResult is what the caller needs beside the profile.
type samlResult struct {
	ResponseID   string
	AssertionID  string    // key of the replay record
	NotOnOrAfter time.Time // keep the replay record until then; skew is included
	InResponseTo string    // empty: unsolicited
	Issuer       string
	SignedBy     string // "response", "assertion", "both"
	Certificate  string // SHA-256 of the certificate that verified, hex
	Encrypted    bool
}

// checkResponse examines a SAML response and returns the person it vouches for.
// The error is fault.Invalid with a sentence that is safe to show; the trace
// says which check failed.
func checkResponse(p samlParty, form samlForm, expect samlExpect) (Profile, samlResult, Trace, error) {
	return Profile{}, samlResult{}, nil, fault.Invalid.Say("The sign-in could not be verified.")
}
