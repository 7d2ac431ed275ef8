package saml

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/sso/answer"
)

// read decodes and scans, and refuses documents of another shape than a
// response with one assertion.
func (e *examination) read(form Form) (*scanned, error) {
	b, err := decodeForm(form.SAMLResponse)
	if err := e.pass("encoding", fmt.Sprintf("base64 of at most %d bytes", maxSAMLBytes), err, ""); err != nil {
		return nil, err
	}
	doc, err := scanXML(b, nil, false)
	if err := e.pass("xml", "one UTF-8 document within the limits", err, ""); err != nil {
		return nil, err
	}
	if !isElement(doc.root, nsProtocol, "Response") {
		err = fmt.Errorf("the root is <%s>", answer.Clip(doc.root.FullTag(), 80))
	}
	if err := e.pass("response", "a SAML 2.0 Response", err, ""); err != nil {
		return nil, err
	}
	// A refusal comes without an assertion and mostly unsigned; it is no secret.
	if r, err := readResponse(doc.root); err == nil {
		if expected, got, ok := checkStatus(&facts{response: r}); !ok {
			e.trace.Add(answer.Check{Name: "status", Expected: expected, Got: got, Hint: checks[0].hint})
			return nil, fmt.Errorf("status: %s", got)
		}
	}
	err = e.pass("shape", "one assertion in its place, signatures only in theirs", checkShape(doc), "")
	return doc, err
}

// InResponseTo is the request that a response says it answers, empty for none. It is
// read before anything is verified: good to tell an answer that went astray from one
// that nobody asked for, and for nothing else.
func InResponseTo(form Form) (string, error) {
	b, err := decodeForm(form.SAMLResponse)
	if err != nil {
		return "", err
	}
	doc, err := scanXML(b, nil, false)
	if err != nil {
		return "", err
	}
	return attr(doc.root, "InResponseTo"), nil
}

// decodeForm reads the posted value. Line breaks are the only thing beside the
// alphabet that is let pass.
func decodeForm(s string) ([]byte, error) {
	if len(s) > base64.StdEncoding.EncodedLen(maxSAMLBytes)*78/76+4 {
		return nil, fmt.Errorf("%d characters", len(s))
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if at, broken := errors.AsType[base64.CorruptInputError](err); broken {
		err = fmt.Errorf("it is no base64 at byte %d", int64(at))
	}
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
	certs, err := e.certificates()
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
	} else if e.party.WantEncrypted {
		return response, assertion, e.pass("encrypted", "an encrypted assertion", errors.New("the assertion is not encrypted"),
			"Let the identity provider encrypt assertions with the certificate in our metadata, or change the setting want_encrypted here.")
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
	return out, e.signedAsWanted(responseCert != "", sig != nil)
}

func (e *examination) signedAsWanted(response, assertion bool) error {
	expected, ok := "a signature over the response or over the assertion", response || assertion
	switch p := e.party; {
	case p.WantResponseSigned && p.WantAssertionSigned:
		expected, ok = "a signature over the response and one over the assertion", response && assertion
	case p.WantResponseSigned:
		expected, ok = "a signature over the response", response
	case p.WantAssertionSigned:
		expected, ok = "a signature over the assertion", assertion
	}
	var err error
	if !ok {
		err = map[string]error{"": errors.New("nothing is signed"), "response": errors.New("the response is signed, the assertion is not"),
			"assertion": errors.New("the assertion is signed, the response is not")}[e.result.SignedBy]
	}
	return e.pass("signed", expected, err, "Let the identity provider sign so with RSA-SHA256, or change the setting want_signed here.")
}

// certificates are those that may sign. Their dates count only where that is asked
// for: identity providers sign for years with expired self-signed certificates.
func (e *examination) certificates() ([]*x509.Certificate, error) {
	list, err := ParseCertificates(e.party.Certificates)
	if err != nil || !e.party.StrictCertificates {
		return list, err
	}
	var last *x509.Certificate
	valid := slices.DeleteFunc(list, func(c *x509.Certificate) bool {
		last = c
		return e.expect.Now.Add(e.party.Skew).Before(c.NotBefore) || e.expect.Now.Add(-e.party.Skew).After(c.NotAfter)
	})
	if len(valid) == 0 {
		return nil, fmt.Errorf("no certificate is within its dates (the last one holds from %s until %s), and this connection minds them", stamp(last.NotBefore), stamp(last.NotAfter))
	}
	return valid, nil
}

// checkSignature holds one signature against form and keys, in that order: the
// form bounds what verifying costs.
func (e *examination) checkSignature(name string, sig *etree.Element, certs []*x509.Certificate) (verified, error) {
	sha1 := e.expect.Now.Before(e.party.AllowSHA1Until)
	_, _, err := readSignature(sig, sha1)
	if err := e.pass(name+".form", "one reference to its own element, exclusive canonicalization, SHA-256 or better", err,
		"Let the identity provider sign with RSA-SHA256 and digest SHA-256."); err != nil {
		return verified{}, err
	}
	out, err := verify(sig, certs, sha1)
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
	plain, err := decryptElement(source, e.party.DecryptKeys, signed)
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

// openNameID decrypts the subject's EncryptedID.
func (e *examination) openNameID(a *assertionFacts) error {
	if a.encryptedID == nil {
		return nil
	}
	el, err := openID(a.encryptedID, e.party.DecryptKeys)
	if err == nil && a.setNameID(el) != nil {
		err = errPlainID
	}
	return e.pass("decryption.name_id", "a NameID, encrypted by AES with a key wrapped for us by RSA-OAEP", err,
		"Give the identity provider our current metadata, and choose AES-GCM and RSA-OAEP there.")
}

// openAttributes decrypts each EncryptedAttribute. One that is not for us refuses the
// sign-in: without it a list of groups would look complete.
func (e *examination) openAttributes(a *assertionFacts) (err error) {
	if len(a.encryptedAttributes) == 0 {
		return nil
	}
	if n := len(a.encryptedAttributes); n > maxSealed {
		err = fmt.Errorf("there are %d of them, at most %d are opened", n, maxSealed)
	}
	left := maxSealed
	for i := 0; err == nil && i < len(a.encryptedAttributes); i++ {
		var el *etree.Element
		if el, err = openSigned(&left, a.encryptedAttributes[i], e.party.DecryptKeys, "Attribute", errPlainAttribute); err == nil {
			a.Attributes = append(a.Attributes, readAttribute(el))
		}
	}
	return e.pass("decryption.attribute", "attributes, each encrypted by AES with a key wrapped for us by RSA-OAEP", err,
		"Give the identity provider our current metadata, and choose AES-GCM and RSA-OAEP there; or let it encrypt the whole assertion.")
}
