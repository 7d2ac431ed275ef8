package sso

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/internal/fault"
)

// The SAML side is our own pipeline over goxmldsig, because crewjam/saml reads
// the unverified tree, panics on short responses and skips half of the profile's
// checks; its types serve metadata and requests. Each step reads only what the
// one before let through:
//
//	base64 -> token scan -> shape -> signature form -> response signature
//	  -> decryption -> the same scan of the plaintext -> assertion signature
//	  -> facts read from verified bytes -> table of checks -> Profile

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
// says which check failed and is for administrators only. Replay is the
// caller's: result.AssertionID must be new until result.NotOnOrAfter.
func checkResponse(p samlParty, form samlForm, expect samlExpect) (Profile, samlResult, Trace, error) {
	e := examination{party: p, expect: expect}
	profile, err := e.run(form)
	if err != nil {
		return Profile{}, samlResult{}, e.trace, fault.Invalid.Wrap(err, "%s", e.sentence())
	}
	return profile, e.result, e.trace, nil
}

// examination is one run of the pipeline.
type examination struct {
	party  samlParty
	expect samlExpect
	trace  Trace
	result samlResult
}

// sentence is what the person may read.
func (e *examination) sentence() string {
	if c, _ := e.trace.Failed(); c.Name == "status" {
		return "The identity provider did not sign you in."
	}
	return "The answer of the identity provider could not be verified."
}

// pass records a step that has no value to compare: err is why it failed.
func (e *examination) pass(name, expected string, err error, hint string) error {
	c := Check{Name: name, Expected: expected, Got: "yes", OK: err == nil}
	if err != nil {
		c.Got, c.Hint = err.Error(), hint
	}
	e.trace.add(c)
	return err
}

func (e *examination) run(form samlForm) (Profile, error) {
	doc, err := e.read(form)
	if err != nil {
		return Profile{}, err
	}
	response, assertion, err := e.verified(doc)
	if err != nil {
		return Profile{}, err
	}
	f := samlFacts{party: e.party, expect: e.expect}
	f.response, err = readResponse(response.el)
	if err == nil {
		f.assertion, err = readAssertion(assertion.el)
	}
	if err := e.pass("assertion", "one of each part, times and texts readable", err, ""); err != nil {
		return Profile{}, err
	}
	f.response.Signed = response.cert != ""
	f.profile = e.party.Attributes.profile(f.assertion)
	for _, check := range samlChecks {
		expected, got, ok := check.look(&f)
		c := Check{Name: check.name, Expected: expected, Got: got, OK: ok}
		if !ok {
			c.Hint = check.hint
		}
		e.trace.add(c)
	}
	if c, failed := e.trace.Failed(); failed {
		return Profile{}, fmt.Errorf("%s: want %s, got %s", c.Name, c.Expected, c.Got)
	}
	e.conclude(&f)
	return f.profile, nil
}

// read decodes and scans, and refuses documents of another shape than a
// response with one assertion.
func (e *examination) read(form samlForm) (*scanned, error) {
	b, err := decodeForm(form.SAMLResponse)
	if err := e.pass("encoding", fmt.Sprintf("base64 of at most %d bytes", maxSAMLBytes), err, ""); err != nil {
		return nil, err
	}
	doc, err := scanXML(b, nil, false)
	if err := e.pass("xml", "one UTF-8 document within the limits", err, ""); err != nil {
		return nil, err
	}
	if !isElement(doc.root, nsProtocol, "Response") {
		err = fmt.Errorf("the root is <%s>", clip(doc.root.FullTag(), 80))
	}
	if err := e.pass("response", "a SAML 2.0 Response", err, ""); err != nil {
		return nil, err
	}
	// A refusal comes without an assertion and mostly unsigned; it is no secret.
	if r, err := readResponse(doc.root); err == nil {
		if expected, got, ok := checkStatus(&samlFacts{response: r}); !ok {
			e.trace.add(Check{Name: "status", Expected: expected, Got: got, Hint: samlChecks[0].hint})
			return nil, fmt.Errorf("status: %s", got)
		}
	}
	err = e.pass("shape", "one assertion in its place, signatures only in theirs", checkShape(doc), "")
	return doc, err
}

// decodeForm reads the posted value. Line breaks are the only thing beside the
// alphabet that is let pass.
func decodeForm(s string) ([]byte, error) {
	if len(s) > base64.StdEncoding.EncodedLen(maxSAMLBytes)*78/76+4 {
		return nil, fmt.Errorf("%d characters", len(s))
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err == nil && len(b) == 0 {
		err = errors.New("SAMLResponse is empty")
	}
	return b, err
}

// checkShape stops signature wrapping before anything is verified: there is no
// second assertion that could be read, and no place where one could hide.
func checkShape(doc *scanned) error {
	if len(doc.assertions) != 1 {
		return fmt.Errorf("%d assertions", len(doc.assertions))
	}
	assertion := doc.assertions[0]
	if assertion != doc.root && assertion.Parent() != doc.root {
		return fmt.Errorf("the assertion is not a child of the response")
	}
	for _, el := range []*etree.Element{doc.root, assertion} {
		if id := attr(el, "ID"); el.Tag != "EncryptedAssertion" && (id == "" || len(id) > maxSAMLID) {
			return fmt.Errorf("<%s> has no usable ID", el.Tag)
		}
	}
	seen := map[*etree.Element]bool{}
	for _, sig := range doc.signatures {
		parent := sig.Parent()
		if parent == nil || parent != doc.root && parent != assertion || parent.Tag == "EncryptedAssertion" {
			return fmt.Errorf("a signature stands outside the response's and the assertion's place for it")
		}
		if seen[parent] {
			return fmt.Errorf("<%s> has two signatures", parent.Tag)
		}
		seen[parent] = true
	}
	return nil
}

// verified returns the response and the assertion as far as signatures cover
// them. The response may be unsigned; the assertion is always covered.
func (e *examination) verified(doc *scanned) (response, assertion verified, err error) {
	certs, err := parseCertificates(e.party.Certificates)
	if err := e.pass("certificates", "a usable signing certificate of the identity provider", err, "Import the identity provider's metadata again."); err != nil {
		return response, assertion, err
	}
	response = verified{el: doc.root}
	source := doc.assertions[0]
	if sig := doc.signatureOf(doc.root); sig != nil {
		if response, err = e.checkSignature("response.signature", sig, certs); err != nil {
			return response, assertion, err
		}
		// From here on only what the signature covered exists.
		if source, err = sameAssertion(response.el, source); err != nil {
			return response, assertion, e.pass("response.signature", "the assertion inside", err, "")
		}
	}
	if isElement(source, nsAssertion, "EncryptedAssertion") {
		if doc, err = e.decrypt(doc, source, response.cert != ""); err != nil {
			return response, assertion, err
		}
		source, e.result.Encrypted = doc.root, true
	}
	assertion, err = e.assertion(source, response.cert, certs)
	return response, assertion, err
}

// sameAssertion finds the assertion in the verified copy of the response.
func sameAssertion(response, source *etree.Element) (*etree.Element, error) {
	el, err := one(response, nsAssertion, source.Tag)
	if err == nil && el == nil {
		err = errors.New("no assertion is covered by the signature")
	}
	return el, err
}

// assertion verifies the assertion's own signature if it has one, and makes
// sure that some signature covers it.
func (e *examination) assertion(source *etree.Element, responseCert string, certs []*x509.Certificate) (verified, error) {
	out := verified{el: source, cert: responseCert}
	sig, err := one(source, nsSignature, "Signature")
	if err != nil {
		return out, e.pass("assertion.signature", "one signature", err, "")
	}
	switch {
	case sig != nil:
		if out, err = e.checkSignature("assertion.signature", sig, certs); err != nil {
			return out, err
		}
		e.result.SignedBy = "assertion"
		if responseCert != "" {
			e.result.SignedBy = "both"
		}
	case responseCert != "":
		e.result.SignedBy = "response"
	}
	e.result.Certificate = out.cert
	expected := "a signature over the response or over the assertion"
	if e.party.WantResponseSigned {
		expected = "a signature over the response"
		if responseCert == "" {
			err = errors.New("the response is not signed")
		}
	} else if out.cert == "" {
		err = errors.New("nothing is signed")
	}
	return out, e.pass("signed", expected, err, "Let the identity provider sign with RSA-SHA256.")
}

// checkSignature holds one signature against form and keys, in that order: the
// form bounds what verifying costs.
func (e *examination) checkSignature(name string, sig *etree.Element, certs []*x509.Certificate) (verified, error) {
	sha1 := e.expect.Now.Before(e.party.AllowSHA1Until)
	if err := e.pass(name+".form", "one reference to its own element, exclusive canonicalization, SHA-256 or better",
		checkSignatureForm(sig, sha1), "Let the identity provider sign with RSA-SHA256 and digest SHA-256."); err != nil {
		return verified{}, err
	}
	out, err := verify(sig, certs)
	if err != nil {
		if claimed := claimedCertificate(sig); claimed != "" {
			err = fmt.Errorf("%w; it claims the certificate with SHA-256 %s", err, claimed)
		}
	}
	return out, e.pass(name, "made with a certificate of the identity provider, content unchanged", err,
		"The identity provider may have a new signing certificate: import its metadata again.")
}

// decrypt opens the assertion and treats the plaintext like any outside input.
func (e *examination) decrypt(outer *scanned, source *etree.Element, signed bool) (*scanned, error) {
	plain, err := decryptAssertion(source, e.party.DecryptKeys, signed)
	if err := e.pass("decryption", "AES-GCM with a key wrapped for us by RSA-OAEP", err,
		"Give the identity provider our current metadata, and choose AES-GCM and RSA-OAEP there."); err != nil {
		return nil, err
	}
	scope := scopeOf(source)
	inner, err := scanXML(plain, scope, false)
	if err == nil {
		inherit(inner.root, scope)
		err = checkPlaintext(outer, inner)
	}
	// The text of the error could hold plaintext; one sentence must do.
	if err != nil {
		err = errors.New("the decrypted text is not one well-formed assertion")
	}
	return inner, e.pass("decryption.content", "one well-formed assertion", err, "")
}

func checkPlaintext(outer, inner *scanned) error {
	if !isElement(inner.root, nsAssertion, "Assertion") {
		return errors.New("not an assertion")
	}
	for id := range inner.ids {
		if outer.ids[id] {
			return errors.New("an ID stands inside and outside")
		}
	}
	return checkShape(inner)
}

// conclude fills the result once every check has passed.
func (e *examination) conclude(f *samlFacts) {
	e.result.ResponseID = f.response.ID
	e.result.AssertionID = f.assertion.ID
	e.result.InResponseTo = strings.TrimSpace(f.response.InResponseTo)
	e.result.Issuer = f.assertion.Issuer
	for _, c := range f.assertion.Confirmations {
		if f.misfit(c) == "" && c.NotOnOrAfter.After(e.result.NotOnOrAfter) {
			e.result.NotOnOrAfter = c.NotOnOrAfter
		}
	}
	e.result.NotOnOrAfter = e.result.NotOnOrAfter.Add(e.party.Skew)
}
