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

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Outgoing is how a message leaves: the browser is redirected to URL, or, when
// Form is set, posts the fields to it.
type Outgoing struct {
	URL  string
	Form url.Values
}

// sending is what a message needs on its way.
type sending struct {
	Param      string // "SAMLRequest" or "SAMLResponse"
	To         string
	Binding    string          // BindingRedirect or BindingPOST
	RelayState string          // at most 80 bytes (saml-bindings-2.0 §3.4.3)
	Key        *rsa.PrivateKey // nil: not signed
	Cert       []byte          // DER, for the POST binding's KeyInfo
}

// send signs a message and writes it for its binding.
func send(el *etree.Element, s sending) (Outgoing, error) {
	if s.Binding == BindingPOST {
		return s.post(el)
	}
	return s.redirect(el)
}

// redirect is the HTTP-Redirect binding: deflate, base64, and the signature over
// exactly the escaped octets that are sent (saml-bindings-2.0 §3.4.4.1).
func (s sending) redirect(el *etree.Element) (Outgoing, error) {
	doc, err := write(el)
	if err != nil {
		return Outgoing{}, err
	}
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return Outgoing{}, fmt.Errorf("deflate the message: %w", err)
	}
	if _, err := w.Write(doc); err != nil {
		return Outgoing{}, fmt.Errorf("deflate the message: %w", err)
	}
	if err := w.Close(); err != nil {
		return Outgoing{}, fmt.Errorf("deflate the message: %w", err)
	}
	query := s.Param + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes()))
	if s.RelayState != "" {
		query += "&RelayState=" + url.QueryEscape(s.RelayState)
	}
	if s.Key != nil {
		query += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
		sum := sha256.Sum256([]byte(query))
		signature, err := rsa.SignPKCS1v15(rand.Reader, s.Key, crypto.SHA256, sum[:])
		if err != nil {
			return Outgoing{}, fmt.Errorf("sign the message: %w", err)
		}
		query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	// A query of the provider's own (Google's ?idpid=) stays in front, unsigned.
	separator := "?"
	if strings.Contains(s.To, "?") {
		separator = "&"
	}
	return Outgoing{URL: strings.TrimRight(s.To, "?&") + separator + query}, nil
}

// post is the HTTP-POST binding: base64 alone, the signature inside the XML.
func (s sending) post(el *etree.Element) (Outgoing, error) {
	if s.Key != nil {
		if err := envelop(el, s.Key, s.Cert, 1); err != nil { // after the Issuer, as the schema wants
			return Outgoing{}, err
		}
	}
	doc, err := write(el)
	if err != nil {
		return Outgoing{}, err
	}
	form := url.Values{s.Param: {base64.StdEncoding.EncodeToString(doc)}}
	if s.RelayState != "" {
		form.Set("RelayState", s.RelayState)
	}
	return Outgoing{URL: s.To, Form: form}, nil
}

// envelop signs el, which has an ID, and puts the signature at a place among its
// children.
func envelop(el *etree.Element, key *rsa.PrivateKey, cert []byte, place int) error {
	context, err := dsig.NewSigningContext(key, [][]byte{cert})
	if err != nil {
		return fmt.Errorf("sign <%s>: %w", el.Tag, err)
	}
	context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := context.ConstructSignature(el.Copy(), true)
	if err != nil {
		return fmt.Errorf("sign <%s>: %w", el.Tag, err)
	}
	el.InsertChildAt(place, signature)
	return nil
}

func write(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(el)
	b, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write <%s>: %w", el.Tag, err)
	}
	return b, nil
}
