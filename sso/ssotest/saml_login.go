package ssotest

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"slices"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// Login is one response: who is signed in, for whom, and what is wrong with it.
// The zero value with ACS, Audience and InResponseTo is a good response with a
// signed assertion.
type Login struct {
	ACS, Audience, InResponseTo string
	NameID, NameIDFormat        string // default "alice", persistent
	Attributes                  map[string][]string
	Now                         time.Time // default time.Now

	Sign      Sign
	Signer    Signer      // default the provider's own
	Hash      crypto.Hash // default SHA-256
	NoKeyInfo bool
	Encrypt   *Encryption // nil: plain
	EncryptID *Encryption // likewise, of the NameID
	// EncryptAttributes seals each attribute.
	EncryptAttributes *Encryption

	// The seams, in the order in which a response comes about.
	Assertion func(*saml.Assertion)                    // before it becomes XML
	Response  func(*saml.Response)                     // likewise
	Tree      func(response, assertion *etree.Element) // before it is signed; response lacks the assertion
	Signed    func(response *etree.Element)            // after signing and encrypting
	Bytes     func([]byte) []byte                      // at the very end
}

// Sign says what is signed.
type Sign int

// What to sign.
const (
	SignAssertion Sign = iota
	SignResponse
	SignBoth
	SignNothing
)

// FormatPersistent is the default NameID format.
const FormatPersistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"

// Respond makes the value of the form field SAMLResponse.
func (idp *IDP) Respond(l Login) string {
	return base64.StdEncoding.EncodeToString(idp.Document(l))
}

// Document makes the response as XML.
func (idp *IDP) Document(l Login) []byte {
	if l.Now.IsZero() {
		l.Now = time.Now()
	}
	if l.Signer.Key == nil {
		l.Signer = idp.Signer
	}
	if l.Hash == 0 {
		l.Hash = crypto.SHA256
	}
	assertion, response := idp.assertion(l), idp.response(l)
	if l.Assertion != nil {
		l.Assertion(assertion)
	}
	if l.Response != nil {
		l.Response(response)
	}
	responseEl, assertionEl := response.Element(), assertion.Element()
	if l.Tree != nil {
		l.Tree(responseEl, assertionEl)
	}
	if l.EncryptID != nil {
		subject := assertionEl.SelectElement("Subject")
		nameID := subject.SelectElement("NameID")
		subject.InsertChildAt(nameID.Index(), l.EncryptID.seal(nameID, "EncryptedID"))
		subject.RemoveChild(nameID)
	}
	if l.EncryptAttributes != nil {
		statement := assertionEl.SelectElement("AttributeStatement")
		for _, el := range statement.SelectElements("Attribute") {
			statement.InsertChildAt(el.Index(), l.EncryptAttributes.seal(el, "EncryptedAttribute"))
			statement.RemoveChild(el)
		}
	}
	if l.Sign == SignAssertion || l.Sign == SignBoth {
		l.sign(assertionEl)
	}
	if l.Encrypt != nil {
		assertionEl = l.Encrypt.seal(assertionEl, "EncryptedAssertion")
	}
	responseEl.AddChild(assertionEl)
	if l.Sign == SignResponse || l.Sign == SignBoth {
		l.sign(responseEl)
	}
	if l.Signed != nil {
		l.Signed(responseEl)
	}
	b := Serialize(responseEl)
	if l.Bytes != nil {
		b = l.Bytes(b)
	}
	return b
}

func (idp *IDP) assertion(l Login) *saml.Assertion {
	if l.NameID == "" {
		l.NameID = "alice"
	}
	if l.NameIDFormat == "" {
		l.NameIDFormat = FormatPersistent
	}
	end := l.Now.Add(5 * time.Minute)
	a := &saml.Assertion{
		ID: "_a" + randomHex(16), Version: "2.0", IssueInstant: l.Now,
		Issuer: saml.Issuer{Value: idp.EntityID},
		Subject: &saml.Subject{
			NameID: &saml.NameID{Format: l.NameIDFormat, Value: l.NameID},
			SubjectConfirmations: []saml.SubjectConfirmation{{
				Method:                  "urn:oasis:names:tc:SAML:2.0:cm:bearer",
				SubjectConfirmationData: &saml.SubjectConfirmationData{NotOnOrAfter: end, Recipient: l.ACS, InResponseTo: l.InResponseTo},
			}},
		},
		Conditions: &saml.Conditions{
			NotBefore: l.Now.Add(-time.Minute), NotOnOrAfter: end,
			AudienceRestrictions: []saml.AudienceRestriction{{Audience: saml.Audience{Value: l.Audience}}},
		},
		AuthnStatements: []saml.AuthnStatement{{
			AuthnInstant: l.Now, SessionIndex: "_s" + randomHex(8),
			AuthnContext: saml.AuthnContext{AuthnContextClassRef: &saml.AuthnContextClassRef{Value: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}},
		}},
	}
	var attributes []saml.Attribute
	for _, name := range slices.Sorted(maps.Keys(l.Attributes)) {
		at := saml.Attribute{Name: name, NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}
		for _, v := range l.Attributes[name] {
			at.Values = append(at.Values, saml.AttributeValue{Type: "xs:string", Value: v})
		}
		attributes = append(attributes, at)
	}
	if attributes != nil {
		a.AttributeStatements = []saml.AttributeStatement{{Attributes: attributes}}
	}
	return a
}

func (idp *IDP) response(l Login) *saml.Response {
	return &saml.Response{
		ID: "_r" + randomHex(16), Version: "2.0", IssueInstant: l.Now,
		Destination: l.ACS, InResponseTo: l.InResponseTo,
		Issuer: &saml.Issuer{Format: "urn:oasis:names:tc:SAML:2.0:nameid-format:entity", Value: idp.EntityID},
		Status: saml.Status{StatusCode: saml.StatusCode{Value: saml.StatusSuccess}},
	}
}

// sign puts an enveloped signature after the Issuer of el.
func (l Login) sign(el *etree.Element) {
	SignElement(el, l.Signer, l.Hash)
	if l.NoKeyInfo {
		sig := el.SelectElement("Signature")
		sig.RemoveChild(sig.SelectElement("KeyInfo"))
	}
}

// SignElement puts an enveloped signature after the Issuer of el.
func SignElement(el *etree.Element, signer Signer, hash crypto.Hash) {
	context, err := dsig.NewSigningContext(signer.Key, [][]byte{signer.Cert.Raw})
	if err != nil {
		panic(err)
	}
	context.Hash = hash
	context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	sig, err := context.ConstructSignature(el.Copy(), true)
	if err != nil {
		panic(err)
	}
	at := 0
	if issuer := el.SelectElement("Issuer"); issuer != nil {
		at = issuer.Index() + 1
	}
	el.InsertChildAt(at, sig)
}

// Serialize writes an element as a document.
func Serialize(el *etree.Element) []byte {
	doc := etree.NewDocument()
	doc.SetRoot(el.Copy())
	b, err := doc.WriteToBytes()
	if err != nil {
		panic(err)
	}
	return b
}

// Encryption wraps the assertion for a service provider. The zero algorithms
// are AES-128-GCM and OAEP with SHA-1.
type Encryption struct {
	To      *rsa.PublicKey
	Content string // algorithm URI
	Key     string // algorithm URI
	Digest  string // of OAEP, algorithm URI; left out when empty
	Mask    string // MGF algorithm URI; left out when empty
	Beside  bool   // EncryptedKey beside EncryptedData instead of inside

	Plain  func([]byte) []byte // changes the plaintext
	Cipher func([]byte) []byte // changes the ciphertext
}
