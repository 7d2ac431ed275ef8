package ssotest

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// Federation is a document of n identity providers in nested lists, and one more
// entity in their midst, given as a document of its own.
func Federation(n int, entity []byte) []byte {
	if i := bytes.Index(entity, []byte("<EntityDescriptor")); i > 0 {
		entity = entity[i:]
	}
	cert := base64.StdEncoding.EncodeToString(idpSigner().Cert.Raw)
	var out bytes.Buffer
	out.WriteString(`<?xml version="1.0"?><md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><md:EntitiesDescriptor>`)
	for i := range n {
		if i == n/2 {
			out.WriteString("</md:EntitiesDescriptor>")
			out.Write(entity)
			out.WriteString("<md:EntitiesDescriptor>")
		}
		fmt.Fprintf(&out, `<md:EntityDescriptor entityID="https://idp%d.example"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`+
			`<md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`+
			`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp%d.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>`, i, cert, i)
	}
	out.WriteString(`</md:EntitiesDescriptor></md:EntitiesDescriptor>`)
	return out.Bytes()
}
