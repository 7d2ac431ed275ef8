package saml

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
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// AuthnRequest is one question to an identity provider: who is this browser?
type AuthnRequest struct {
	ID           string // "_" and random; the answer names it in InResponseTo
	SSOURL       string
	Binding      string // BindingRedirect or BindingPOST
	RelayState   string // at most 80 bytes (saml-bindings-2.0 §3.4.3)
	NameIDFormat string // empty: no NameIDPolicy
	ForceAuthn   bool
	Now          time.Time
	SignKey      *rsa.PrivateKey // nil: not signed
	SignCert     []byte          // DER, for the POST binding's KeyInfo
}

// Outgoing is how the request leaves: the browser is redirected to URL, or, when
// Form is set, posts the fields to it.
type Outgoing struct {
	URL  string
	Form url.Values
}

// NewAuthnRequest writes the request. crewjam's own Redirect is not used: it
// leaves RelayState unescaped and signs the provider's query along.
func NewAuthnRequest(p Party, r AuthnRequest) (Outgoing, error) {
	el := r.element(p)
	if r.Binding == BindingPOST {
		return r.post(el)
	}
	return r.redirect(el)
}

func (r AuthnRequest) element(p Party) *etree.Element {
	request := crewjam.AuthnRequest{
		ID:                          r.ID,
		Version:                     "2.0",
		IssueInstant:                r.Now.UTC(),
		Destination:                 r.SSOURL,
		Issuer:                      &crewjam.Issuer{Value: p.EntityID},
		AssertionConsumerServiceURL: p.ACS,
		ProtocolBinding:             BindingPOST,
	}
	if r.NameIDFormat != "" {
		yes := true
		request.NameIDPolicy = &crewjam.NameIDPolicy{Format: &r.NameIDFormat, AllowCreate: &yes}
	}
	if r.ForceAuthn {
		request.ForceAuthn = &r.ForceAuthn
	}
	return request.Element()
}

// redirect is the HTTP-Redirect binding: deflate, base64, and the signature over
// exactly the escaped octets that are sent (saml-bindings-2.0 §3.4.4.1).
func (r AuthnRequest) redirect(el *etree.Element) (Outgoing, error) {
	doc, err := write(el)
	if err != nil {
		return Outgoing{}, err
	}
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return Outgoing{}, fmt.Errorf("deflate the request: %w", err)
	}
	if _, err := w.Write(doc); err != nil {
		return Outgoing{}, fmt.Errorf("deflate the request: %w", err)
	}
	if err := w.Close(); err != nil {
		return Outgoing{}, fmt.Errorf("deflate the request: %w", err)
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
			return Outgoing{}, fmt.Errorf("sign the request: %w", err)
		}
		query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	// A query of the provider's own (Google's ?idpid=) stays in front, unsigned.
	separator := "?"
	if strings.Contains(r.SSOURL, "?") {
		separator = "&"
	}
	return Outgoing{URL: strings.TrimRight(r.SSOURL, "?&") + separator + query}, nil
}

// post is the HTTP-POST binding: base64 alone, the signature inside the XML.
func (r AuthnRequest) post(el *etree.Element) (Outgoing, error) {
	if r.SignKey != nil {
		context, err := dsig.NewSigningContext(r.SignKey, [][]byte{r.SignCert})
		if err != nil {
			return Outgoing{}, fmt.Errorf("sign the request: %w", err)
		}
		context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
		signature, err := context.ConstructSignature(el.Copy(), true)
		if err != nil {
			return Outgoing{}, fmt.Errorf("sign the request: %w", err)
		}
		el.InsertChildAt(1, signature) // after the Issuer, as the schema wants
	}
	doc, err := write(el)
	if err != nil {
		return Outgoing{}, err
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(doc)}}
	if r.RelayState != "" {
		form.Set("RelayState", r.RelayState)
	}
	return Outgoing{URL: r.SSOURL, Form: form}, nil
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
