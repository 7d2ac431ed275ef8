package saml

import (
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/internal/fault"
)

func isIDPRole(el *etree.Element) bool {
	return isElement(el, nsMetadata, "IDPSSODescriptor") && slices.Contains(strings.Fields(attr(el, "protocolSupportEnumeration")), nsProtocol)
}

// ByHand are the values of an identity provider that offers no metadata.
type ByHand struct {
	EntityID     string
	SSORedirect  string // one of the two is needed
	SSOPost      string
	SLO          string // may be empty; by redirect
	Certificates string // PEM, or bare base64
}

// Metadata writes the values as metadata, so that they are read like everybody's.
// Faults: Invalid on "entity_id", "sso_redirect", "certificates".
func (h ByHand) Metadata() ([]byte, error) {
	certificates, err := h.certificates()
	switch {
	case h.EntityID == "":
		return nil, fault.Invalid.On("entity_id", "Enter the entity ID (issuer) of the identity provider.")
	case h.SSORedirect+h.SSOPost == "":
		return nil, fault.Invalid.On("sso_redirect", "Enter the sign-on URL of the identity provider.")
	case err != nil:
		return nil, err
	}
	entity := etree.NewElement("EntityDescriptor")
	entity.CreateAttr("xmlns", nsMetadata)
	entity.CreateAttr("entityID", h.EntityID)
	role := entity.CreateElement("IDPSSODescriptor")
	role.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, der := range certificates {
		info := role.CreateElement("KeyDescriptor").CreateElement("KeyInfo")
		info.CreateAttr("xmlns", nsSignature)
		info.CreateElement("X509Data").CreateElement("X509Certificate").SetText(base64.StdEncoding.EncodeToString(der))
	}
	service := func(name, binding, location string) {
		if location != "" {
			el := role.CreateElement(name)
			el.CreateAttr("Binding", binding)
			el.CreateAttr("Location", location)
		}
	}
	service("SingleLogoutService", BindingRedirect, h.SLO)
	service("SingleSignOnService", BindingRedirect, h.SSORedirect)
	service("SingleSignOnService", BindingPOST, h.SSOPost)
	return write(entity)
}

// certificates reads what people paste: PEM blocks, or the base64 between their lines.
func (h ByHand) certificates() (list [][]byte, err error) {
	rest := []byte(strings.TrimSpace(h.Certificates))
	for {
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			list = append(list, block.Bytes)
		}
		rest = more
	}
	if len(list) == 0 && len(rest) > 0 {
		der, err := decodeBase64(string(rest))
		if err != nil {
			return nil, fault.Invalid.On("certificates", "The certificate is neither PEM (-----BEGIN CERTIFICATE-----) nor base64.")
		}
		list = [][]byte{der}
	}
	if len(list) == 0 {
		return nil, fault.Invalid.On("certificates", "Paste the certificate with which the identity provider signs.")
	}
	if _, err := ParseCertificates(list); err != nil {
		return nil, fault.Invalid.On("certificates", "The certificate cannot be used: %s.", err)
	}
	return list, nil
}
