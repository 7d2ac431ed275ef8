package saml

import (
	"crypto/rsa"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
)

// AuthnRequest is one question to an identity provider: who is this browser?
type AuthnRequest struct {
	ID           string // "_" and random; the answer names it in InResponseTo
	SSOURL       string
	Binding      string // BindingRedirect or BindingPOST
	RelayState   string // at most 80 bytes (saml-bindings-2.0 §3.4.3)
	NameIDFormat string // empty: no NameIDPolicy
	ForceAuthn   bool
	Contexts     Contexts
	Hint         Hint
	Now          time.Time
	SignKey      *rsa.PrivateKey // nil: not signed
	SignCert     []byte          // DER, for the POST binding's KeyInfo
}

// NewAuthnRequest writes the request. crewjam's own Redirect is not used: it
// leaves RelayState unescaped and signs the provider's query along.
func NewAuthnRequest(p Party, r AuthnRequest) (Outgoing, error) {
	el := r.element(p)
	return send(el, sending{Param: "SAMLRequest", To: r.Hint.onto(r.SSOURL), Binding: r.Binding, RelayState: r.RelayState, Key: r.SignKey, Cert: r.SignCert})
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
		request.NameIDPolicy = &crewjam.NameIDPolicy{Format: &r.NameIDFormat}
		if yes := true; r.NameIDFormat != FormatTransient { // saml-core-2.0 §3.4.1.1: of no use there
			request.NameIDPolicy.AllowCreate = &yes
		}
	}
	if r.ForceAuthn {
		request.ForceAuthn = &r.ForceAuthn
	}
	request.Subject = r.Hint.subject()
	el := request.Element()
	r.Contexts.into(el)
	return el
}
