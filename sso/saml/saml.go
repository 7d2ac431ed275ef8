/*
Package saml is the SAML 2.0 side of a service provider, without a database and
without HTTP: what a provider's answer proves, the requests that we send, both
sides' metadata.

It is a pipeline of its own over goxmldsig, because crewjam/saml reads the
unverified tree, panics on short responses and skips half of the profile's
checks; its types serve metadata and requests. Each step reads only what the one
before let through:

	base64 -> token scan (scan.go) -> shape -> signature form -> response signature (verify.go)
	  -> decryption (decrypt.go) -> the same scan of the plaintext -> assertion signature
	  -> facts read from verified bytes (read.go) -> table of checks (checks.go) -> answer.Profile

The caller keeps what must be remembered: pending requests and used answers.
*/
package saml

import (
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// Party is everything that CheckResponse knows about both sides. No I/O.
type Party struct {
	EntityID     string            // ours; must be among the audiences
	ACS          string            // ours; the Recipient and Destination, compared exactly
	IDPEntityID  string            // the Issuer
	Certificates [][]byte          // DER; every one of them may sign
	DecryptKeys  []*rsa.PrivateKey // active encryption keys, newest first

	AllowSHA1Until      time.Time     // zero: SHA-1 is refused
	Skew                time.Duration // clock difference allowed both ways
	WantResponseSigned  bool
	WantAssertionSigned bool
	WantEncrypted       bool
	StrictCertificates  bool // refuse certificates outside of their dates
	AllowUnsolicited    bool // sign-ins that the identity provider starts
	Attributes          AttributeMap
}

// Form is what the browser posted, raw.
type Form struct {
	SAMLResponse string // base64
}

// Expect is what this browser's pending request says.
type Expect struct {
	RequestID string // ID of our AuthnRequest; empty when none is pending
	Now       time.Time

	// What the request asked for, and its answer must show.
	AskedAt  time.Time
	Fresh    bool // ForceAuthn
	Contexts Contexts
}

// Result is what the caller needs beside the profile.
type Result struct {
	ResponseID   string
	AssertionID  string    // key of the replay record
	NotOnOrAfter time.Time // keep the replay record until then; skew is included
	InResponseTo string    // empty: unsolicited
	Issuer       string
	SignedBy     string // "response", "assertion", "both"
	Certificate  string // SHA-256 of the certificate that verified, hex
	Encrypted    bool   // the assertion, as a whole
}

// CheckResponse examines a SAML response and returns the person it vouches for.
// The error is fault.Invalid with a sentence that is safe to show; the trace
// says which check failed and is for administrators only. Replay is the
// caller's: result.AssertionID must be new until result.NotOnOrAfter.
func CheckResponse(p Party, form Form, expect Expect) (answer.Profile, Result, answer.Trace, error) {
	e := examination{party: p, expect: expect}
	profile, err := e.run(form)
	if err != nil {
		return answer.Profile{}, Result{}, e.trace, e.refused(err)
	}
	return profile, e.result, e.trace, nil
}

// examination is one run of the pipeline.
type examination struct {
	party  Party
	expect Expect
	trace  answer.Trace
	result Result
}

// refused is err with what the person may read.
func (e *examination) refused(err error) error {
	if c, _ := e.trace.Failed(); c.Name == "status" {
		return fault.Invalid.Wrap(err, "The identity provider did not sign you in.")
	}
	return fault.Invalid.Wrap(err, "The answer of the identity provider could not be verified.")
}

// pass records a step that has no value to compare: err is why it failed.
func (e *examination) pass(name, expected string, err error, hint string) error {
	c := answer.Check{Name: name, Expected: expected, Got: "yes", OK: err == nil}
	if err != nil {
		c.Got, c.Hint = err.Error(), hint
	}
	e.trace.Add(c)
	return err
}

func (e *examination) run(form Form) (answer.Profile, error) {
	doc, err := e.read(form)
	if err != nil {
		return answer.Profile{}, err
	}
	response, assertion, err := e.verified(doc)
	if err != nil {
		return answer.Profile{}, err
	}
	f := facts{party: e.party, expect: e.expect}
	f.response, err = readResponse(response.el)
	if err == nil {
		f.assertion, err = readAssertion(assertion.el)
	}
	if err := e.pass("assertion", "one of each part, times and texts readable", err, ""); err != nil {
		return answer.Profile{}, err
	}
	if err := e.openNameID(&f.assertion); err != nil {
		return answer.Profile{}, err
	}
	if err := e.openAttributes(&f.assertion); err != nil {
		return answer.Profile{}, err
	}
	f.response.Signed = response.cert != ""
	f.profile = e.party.Attributes.profile(f.assertion)
	for _, check := range checks {
		expected, got, ok := check.look(&f)
		c := answer.Check{Name: check.name, Expected: expected, Got: got, OK: ok}
		if !ok {
			c.Hint = check.hint
		}
		e.trace.Add(c)
	}
	if c, failed := e.trace.Failed(); failed {
		return answer.Profile{}, fmt.Errorf("%s: want %s, got %s", c.Name, c.Expected, c.Got)
	}
	e.conclude(&f)
	return f.profile, nil
}

// conclude fills the result once every check has passed.
func (e *examination) conclude(f *facts) {
	e.result.ResponseID = f.response.ID
	e.result.AssertionID = f.assertion.ID
	e.result.InResponseTo = f.response.InResponseTo
	e.result.Issuer = f.assertion.Issuer
	for _, c := range f.assertion.Confirmations {
		if f.misfit(c) == "" && c.NotOnOrAfter.After(e.result.NotOnOrAfter) {
			e.result.NotOnOrAfter = c.NotOnOrAfter
		}
	}
	e.result.NotOnOrAfter = e.result.NotOnOrAfter.Add(e.party.Skew)
}
