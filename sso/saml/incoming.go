package saml

import (
	"bytes"
	"compress/flate"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/muster-id/muster/sso/answer"
)

// Incoming is a request or response other than a sign-in as the browser brought
// it, by either binding.
type Incoming struct {
	Query    string // HTTP-Redirect: the raw query, as sent
	Redirect bool
	Value    string // HTTP-POST: the form field
}

// Carried tells what a redirect's query carries: "SAMLRequest" or "SAMLResponse",
// empty when neither or both, and its RelayState.
func Carried(query string) (param, relayState string) {
	for _, name := range []string{"SAMLRequest", "SAMLResponse"} {
		if value, n := rawParam(query, name); n == 1 && value != "" {
			if param != "" {
				return "", ""
			}
			param = name
		}
	}
	if raw, n := rawParam(query, "RelayState"); n == 1 {
		relayState, _ = url.QueryUnescape(raw)
	}
	return param, relayState
}

// rawParam is the escaped value of a query's parameter, and how often it stands
// there. Names are compared as they stand: nobody has a reason to escape them.
func rawParam(query, name string) (value string, n int) {
	for part := range strings.SplitSeq(query, "&") {
		key, v, _ := strings.Cut(part, "=")
		if key == name {
			value, n = v, n+1
		}
	}
	return value, n
}

// redirected is a message by HTTP-Redirect, taken apart (saml-bindings-2.0 §3.4.4.1).
type redirected struct {
	message   []byte
	signed    []string // octets that the signature may cover, as sent
	algorithm string
	signature []byte
}

// parseRedirect keeps the octets of the query as they came: providers escape in
// different ways (AD FS in lower case), and the signature covers their way.
func parseRedirect(query, param string) (redirected, error) {
	var out redirected
	raw := map[string]string{}
	for _, name := range []string{param, "RelayState", "SigAlg", "Signature", "SAMLEncoding"} {
		value, n := rawParam(query, name)
		if n > 1 {
			return out, fmt.Errorf("%s stands twice", name)
		}
		if n == 1 {
			raw[name] = value
		}
	}
	plain := map[string]string{}
	for name, value := range raw {
		text, err := url.QueryUnescape(value)
		if err != nil {
			return out, fmt.Errorf("%s is not escaped well", name)
		}
		plain[name] = text
	}
	if e := plain["SAMLEncoding"]; e != "" && e != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
		return out, fmt.Errorf("the encoding is %q, not DEFLATE", answer.Clip(e, 120))
	}
	deflated, err := decodeForm(plain[param])
	if err != nil {
		return out, fmt.Errorf("%s: %w", param, err)
	}
	// A few bytes can unpack to gigabytes.
	out.message, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(deflated)), maxSAMLBytes+1))
	if err != nil {
		return out, fmt.Errorf("%s is not deflated well", param)
	}
	if len(out.message) > maxSAMLBytes {
		return out, fmt.Errorf("%s unpacks to more than %d bytes", param, maxSAMLBytes)
	}
	first, last := param+"="+raw[param], "&SigAlg="+raw["SigAlg"]
	relay, sent := raw["RelayState"]
	if sent {
		out.signed = append(out.signed, first+"&RelayState="+relay+last)
	}
	if relay == "" { // an empty one is not signed, but some send it
		out.signed = append(out.signed, first+last)
	}
	out.algorithm = plain["SigAlg"]
	if out.signature, err = decodeBase64(plain["Signature"]); err != nil {
		return out, errors.New("the Signature is not base64")
	}
	return out, nil
}

// checkQueryForm refuses what is not signed, or signed too weakly, before any key
// is tried.
func checkQueryForm(m redirected, sha1 bool) error {
	if len(m.signature) == 0 || m.algorithm == "" {
		return errors.New("the message is not signed")
	}
	if a, known := signatureMethods[m.algorithm]; !known || a.weak && !sha1 {
		return fmt.Errorf("SigAlg is %q; RSA or ECDSA with SHA-256 or better is needed", answer.Clip(m.algorithm, 120))
	}
	return nil
}

// verifyQuery checks the signature of a redirect and says whose certificate it is.
func verifyQuery(m redirected, certs []*x509.Certificate) (cert string, err error) {
	info := signedInfo{method: m.algorithm, signature: signatureMethods[m.algorithm]}
	for _, signed := range m.signed {
		if signer := signerOf(info, []byte(signed), m.signature, certs); signer != nil {
			return Fingerprint(signer.Raw), nil
		}
	}
	return "", noneSigned(len(certs))
}

// message takes an incoming message to the element that its signature covers. An
// unsigned one does not get through: whoever could send it could sign people out,
// or tell them that they are signed out.
func (e *examination) message(in Incoming, param, root string) (verified, error) {
	certs, err := ParseCertificates(e.party.Certificates)
	if err := e.pass("certificates", "a usable signing certificate of the identity provider", err, hintImport); err != nil {
		return verified{}, err
	}
	sha1 := e.expect.Now.Before(e.party.AllowSHA1Until)
	var raw []byte
	var query redirected
	if in.Redirect {
		query, err = parseRedirect(in.Query, param)
		raw = query.message
	} else {
		raw, err = decodeForm(in.Value)
	}
	if err := e.pass("encoding", fmt.Sprintf("at most %d bytes, encoded as the binding wants", maxSAMLBytes), err, ""); err != nil {
		return verified{}, err
	}
	doc, err := scanXML(raw, nil, false)
	if err := e.pass("xml", "one UTF-8 document within the limits", err, ""); err != nil {
		return verified{}, err
	}
	if err := e.pass("message", fmt.Sprintf("a SAML 2.0 %s", root), checkMessage(doc, root), ""); err != nil {
		return verified{}, err
	}
	if !in.Redirect {
		sig := doc.signatureOf(doc.root)
		if sig == nil {
			err = errors.New("the message is not signed")
		}
		if err := e.pass("signed", "a signature over the message", err, hintSignLogout); err != nil {
			return verified{}, err
		}
		return e.checkSignature("signature", sig, certs)
	}
	if err := e.pass("signed", "a query signed with SHA-256 or better", checkQueryForm(query, sha1), hintSignLogout); err != nil {
		return verified{}, err
	}
	cert, err := verifyQuery(query, certs)
	if err := e.pass("signature", "made with a certificate of the identity provider, query unchanged", err, hintImport); err != nil {
		return verified{}, err
	}
	return verified{doc.root, cert}, nil
}

const (
	hintImport     = "The identity provider may have a new signing certificate: import its metadata again."
	hintSignLogout = "Let the identity provider sign its logout messages with RSA-SHA256."
)

// checkMessage stops signature wrapping: one signature at most, in its place, and
// no assertion anywhere.
func checkMessage(doc *scanned, root string) error {
	switch {
	case !isElement(doc.root, nsProtocol, root):
		return fmt.Errorf("the root is <%s>", answer.Clip(doc.root.FullTag(), 80))
	case len(doc.assertions) > 0:
		return errors.New("there is an assertion inside")
	case len(doc.signatures) > 1:
		return fmt.Errorf("there are %d signatures", len(doc.signatures))
	case len(doc.signatures) == 1 && doc.signatures[0].Parent() != doc.root:
		return errors.New("the signature stands outside its place")
	}
	if id := attr(doc.root, "ID"); id == "" || len(id) > maxSAMLID {
		return errors.New("the message has no usable ID")
	}
	return nil
}
