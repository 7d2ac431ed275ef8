package saml

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

const nsMetadata = "urn:oasis:names:tc:SAML:2.0:metadata"

// Metadata is what a connection needs to know of its identity provider.
type Metadata struct {
	EntityID                string
	SSO                     map[string]string // single sign-on URL by binding; redirect and POST only
	SLO                     map[string]Endpoint
	Certificates            [][]byte // DER, usable for signing, each once
	WantAuthnRequestsSigned bool
	NameIDFormats           []string
	ValidUntil              time.Time // zero: not limited
	CacheDuration           time.Duration
	Warnings                []error // faults, for the administrator
}

// Endpoint is where messages go, and where answers go when that is elsewhere.
type Endpoint struct{ Location, ResponseLocation string }

// Logout is the single logout URL by binding.
func (m Metadata) Logout() map[string]string {
	out := map[string]string{}
	for binding, at := range m.SLO {
		out[binding] = at.Location
	}
	return out
}

// The bindings that a request can take.
const (
	BindingRedirect = crewjam.HTTPRedirectBinding
	BindingPOST     = crewjam.HTTPPostBinding
)

// ParseMetadata reads metadata that an administrator gave us; whose it is was
// decided by where it came from, so a signature on it is not looked at. The
// fault is Invalid on "metadata".
func ParseMetadata(b []byte) (Metadata, error) {
	doc, err := scanXML(b, nil, true)
	if err != nil {
		return Metadata{}, fault.Invalid.On("metadata", "This is not readable as SAML metadata: %s. Export the metadata (XML) of this application at the identity provider.", err)
	}
	entity, role, err := identityProvider(doc.root)
	if err != nil {
		return Metadata{}, err
	}
	m := Metadata{
		EntityID:                attr(entity, "entityID"),
		SSO:                     map[string]string{},
		SLO:                     map[string]Endpoint{},
		WantAuthnRequestsSigned: slices.Contains([]string{"true", "1"}, attr(role, "WantAuthnRequestsSigned")),
	}
	if m.EntityID == "" || len(m.EntityID) > 1024 {
		return m, fault.Invalid.On("metadata", "The metadata has no entityID of 1 to 1024 characters.")
	}
	for _, el := range []*etree.Element{entity, role} {
		until, err := timeOf(el, "validUntil")
		if err != nil {
			return m, fault.Invalid.On("metadata", "The metadata has a broken date: %s.", err)
		}
		if !until.IsZero() && (m.ValidUntil.IsZero() || until.Before(m.ValidUntil)) {
			m.ValidUntil = until
		}
		if cache := duration(attr(el, "cacheDuration")); cache > 0 && (m.CacheDuration == 0 || cache < m.CacheDuration) {
			m.CacheDuration = cache
		}
	}
	for _, child := range role.ChildElements() {
		switch {
		case isElement(child, nsMetadata, "SingleSignOnService"):
			m.addSSO(attr(child, "Binding"), attr(child, "Location"))
		case isElement(child, nsMetadata, "SingleLogoutService"):
			m.addSLO(attr(child, "Binding"), attr(child, "Location"), attr(child, "ResponseLocation"))
		case isElement(child, nsMetadata, "NameIDFormat"):
			m.NameIDFormats = append(m.NameIDFormats, strings.TrimSpace(child.Text()))
		case isElement(child, nsMetadata, "KeyDescriptor") && attr(child, "use") != "encryption":
			m.addKeys(child)
		}
	}
	if len(m.SSO) == 0 {
		return m, m.warned(fault.Invalid.On("metadata", "The metadata of %s has no single sign-on URL for the redirect or POST binding.", answer.Clip(m.EntityID, 200)))
	}
	if len(m.Certificates) == 0 {
		return m, m.warned(fault.Invalid.On("metadata", "The metadata of %s has no certificate to sign with.", answer.Clip(m.EntityID, 200)))
	}
	return m, nil
}

// identityProvider finds the one identity provider in the document.
func identityProvider(root *etree.Element) (entity, role *etree.Element, err error) {
	type found struct{ entity, role *etree.Element }
	var all []found
	entities := 0
	var walk func(el *etree.Element)
	walk = func(el *etree.Element) {
		switch {
		case isElement(el, nsMetadata, "EntitiesDescriptor"):
			for _, child := range el.ChildElements() {
				walk(child)
			}
		case isElement(el, nsMetadata, "EntityDescriptor"):
			entities++
			for _, child := range el.ChildElements() {
				if isIDPRole(child) {
					all = append(all, found{el, child})
					return
				}
			}
		}
	}
	walk(root)
	switch len(all) {
	case 1:
		return all[0].entity, all[0].role, nil
	case 0:
		if entities > 0 {
			return nil, nil, fault.Invalid.On("metadata", "The metadata is of a service provider, not of a SAML 2.0 identity provider. Export the identity provider's own.")
		}
		return nil, nil, fault.Invalid.On("metadata", "The document is XML but not SAML metadata: its root is <%s>, not <EntityDescriptor>.", answer.Clip(root.Tag, 80))
	}
	var names []string
	for _, f := range all[:min(len(all), 10)] {
		names = append(names, answer.Clip(attr(f.entity, "entityID"), 200))
	}
	return nil, nil, fault.Invalid.On("metadata", "The metadata lists %d identity providers (%s). Choose one and give the <EntityDescriptor> of that one only.", len(all), strings.Join(names, ", "))
}

// addSSO keeps the first usable URL per binding. The browser is sent there, so
// only web addresses will do (GHSA-267v-3v32-g6q5).
func (m *Metadata) addSSO(binding, location string) {
	if binding != BindingRedirect && binding != BindingPOST || m.SSO[binding] != "" {
		return
	}
	if !webAddress(location) {
		m.Warnings = append(m.Warnings, fault.Invalid.Say("The single sign-on URL %q is not a web address and was left out.", answer.Clip(location, 200)))
		return
	}
	m.SSO[binding] = location
}

// addSLO is the same for single logout, which not every provider has.
func (m *Metadata) addSLO(binding, location, response string) {
	if binding != BindingRedirect && binding != BindingPOST || m.SLO[binding].Location != "" {
		return
	}
	if !webAddress(location) || response != "" && !webAddress(response) {
		m.Warnings = append(m.Warnings, fault.Invalid.Say("The single logout URL %q is not a web address and was left out.", answer.Clip(location+" "+response, 200)))
		return
	}
	m.SLO[binding] = Endpoint{location, response}
}

func webAddress(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.Fragment == "" && u.User == nil && len(location) <= 2000
}

// addKeys takes the first certificate of each X509Data: what follows it is its
// chain, and a CA of the chain must not sign assertions.
func (m *Metadata) addKeys(descriptor *etree.Element) {
	for _, info := range descriptor.ChildElements() {
		for _, data := range info.ChildElements() {
			cert, _ := firstOf(data, "X509Certificate")
			if cert == nil {
				continue
			}
			der, err := decodeBase64(cert.Text())
			if err == nil {
				_, err = ParseCertificates([][]byte{der})
			}
			switch {
			case err != nil:
				m.Warnings = append(m.Warnings, fault.Invalid.Say("A certificate was left out: %s.", err))
			case len(m.Certificates) == MaxCertificates:
				m.Warnings = append(m.Warnings, fault.Invalid.Say("Only the first %d certificates were taken.", MaxCertificates))
			case !slices.ContainsFunc(m.Certificates, func(c []byte) bool { return string(c) == string(der) }):
				m.Certificates = append(m.Certificates, der)
			}
		}
	}
}

// warned is a refusal with the warnings, which may say why.
func (m *Metadata) warned(err error) error {
	return errors.Join(append([]error{err}, m.Warnings...)...)
}

// firstOf is the first XML Signature child of this name.
func firstOf(el *etree.Element, local string) (*etree.Element, bool) {
	for _, child := range el.ChildElements() {
		if isElement(child, nsSignature, local) {
			return child, true
		}
	}
	return nil, false
}
