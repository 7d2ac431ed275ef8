package sso

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// authnRequest is one question to an identity provider: who is this browser?
type authnRequest struct {
	ID           string // "_" and random; the answer names it in InResponseTo
	SSOURL       string
	Binding      string // bindingRedirect or bindingPOST
	RelayState   string // at most 80 bytes (saml-bindings-2.0 §3.4.3)
	NameIDFormat string // empty: as the vendor's preset says
	ForceAuthn   bool
	Now          time.Time
	SignKey      *rsa.PrivateKey // nil: not signed
	SignCert     []byte          // DER, for the POST binding's KeyInfo
}

// outgoing is how the request leaves: the browser is redirected to URL, or, when
// Form is set, posts the fields to it.
type outgoing struct {
	URL  string
	Form url.Values
}

// newAuthnRequest writes the request. crewjam's own Redirect is not used: it
// leaves RelayState unescaped and signs the provider's query along.
func newAuthnRequest(p samlParty, r authnRequest) (outgoing, error) {
	el := r.element(p)
	if r.Binding == bindingPOST {
		return r.post(el)
	}
	return r.redirect(el)
}

func (r authnRequest) element(p samlParty) *etree.Element {
	request := saml.AuthnRequest{
		ID:                          r.ID,
		Version:                     "2.0",
		IssueInstant:                r.Now.UTC(),
		Destination:                 r.SSOURL,
		Issuer:                      &saml.Issuer{Value: p.EntityID},
		AssertionConsumerServiceURL: p.ACS,
		ProtocolBinding:             bindingPOST,
	}
	format := r.NameIDFormat
	if format == "" {
		format = p.Attributes.NameIDFormat
	}
	if format != "" {
		yes := true
		request.NameIDPolicy = &saml.NameIDPolicy{Format: &format, AllowCreate: &yes}
	}
	if r.ForceAuthn {
		request.ForceAuthn = &r.ForceAuthn
	}
	return request.Element()
}

// redirect is the HTTP-Redirect binding: deflate, base64, and the signature over
// exactly the escaped octets that are sent (saml-bindings-2.0 §3.4.4.1).
func (r authnRequest) redirect(el *etree.Element) (outgoing, error) {
	doc, err := write(el)
	if err != nil {
		return outgoing{}, err
	}
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return outgoing{}, fmt.Errorf("deflate the request: %w", err)
	}
	if _, err := w.Write(doc); err != nil {
		return outgoing{}, fmt.Errorf("deflate the request: %w", err)
	}
	if err := w.Close(); err != nil {
		return outgoing{}, fmt.Errorf("deflate the request: %w", err)
	}
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes()))
	if r.RelayState != "" {
		query += "&RelayState=" + url.QueryEscape(r.RelayState)
	}
	if r.SignKey != nil {
		query += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
		sum := sha256.Sum256([]byte(query))
		signature, err := rsa.SignPKCS1v15(rand.Reader, r.SignKey, crypto.SHA256, sum[:])
		if err != nil {
			return outgoing{}, fmt.Errorf("sign the request: %w", err)
		}
		query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	// A query of the provider's own (Google's ?idpid=) stays in front, unsigned.
	separator := "?"
	if strings.Contains(r.SSOURL, "?") {
		separator = "&"
	}
	return outgoing{URL: strings.TrimRight(r.SSOURL, "?&") + separator + query}, nil
}

// post is the HTTP-POST binding: base64 alone, the signature inside the XML.
func (r authnRequest) post(el *etree.Element) (outgoing, error) {
	if r.SignKey != nil {
		context, err := dsig.NewSigningContext(r.SignKey, [][]byte{r.SignCert})
		if err != nil {
			return outgoing{}, fmt.Errorf("sign the request: %w", err)
		}
		context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
		signature, err := context.ConstructSignature(el.Copy(), true)
		if err != nil {
			return outgoing{}, fmt.Errorf("sign the request: %w", err)
		}
		el.InsertChildAt(1, signature) // after the Issuer, as the schema wants
	}
	doc, err := write(el)
	if err != nil {
		return outgoing{}, err
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(doc)}}
	if r.RelayState != "" {
		form.Set("RelayState", r.RelayState)
	}
	return outgoing{URL: r.SSOURL, Form: form}, nil
}

func write(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(el)
	b, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return b, nil
}
