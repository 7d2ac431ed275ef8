package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"strings"
	"testing"

	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
)

func published() SP {
	return SP{EntityID: testEntity, ACS: testACS, SLO: testSLO, SignKey: spKey.Key, SignCert: spKey.Cert.Raw,
		Signing: [][]byte{spKey.Cert.Raw, ssotest.OtherSigner().Cert.Raw}, Encryption: [][]byte{spKey.Cert.Raw, ssotest.OtherSigner().Cert.Raw}}
}

// Our metadata as foreign eyes see it: the signature by xmlsec1, the content by
// crewjam's reader. SimpleSAMLphp's reads it in the tests of package sso.
func TestOurMetadata(t *testing.T) {
	t.Parallel()
	b, err := published().Document()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("validUntil")) || bytes.Contains(b, []byte("cacheDuration")) {
		t.Errorf("the metadata ends some day:\n%s", b)
	}
	again, err := published().Document()
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("the same data give other bytes: %v\n%s\n%s", err, b, again)
	}
	xmlsec1(t, base64.StdEncoding.EncodeToString(b), nsMetadata+":EntityDescriptor", spKey)
	var m crewjam.EntityDescriptor
	if err := xml.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	role := m.SPSSODescriptors[0]
	if m.EntityID != testEntity || len(role.AssertionConsumerServices) != 1 || role.AssertionConsumerServices[0].Location != testACS || role.AssertionConsumerServices[0].Binding != BindingPOST {
		t.Errorf("ACS: %+v", role.AssertionConsumerServices)
	}
	if slo := role.SingleLogoutServices; len(slo) != 2 || slo[0] != (crewjam.Endpoint{Binding: BindingRedirect, Location: testSLO}) || slo[1] != (crewjam.Endpoint{Binding: BindingPOST, Location: testSLO}) {
		t.Errorf("SLO: %+v", slo)
	}
	var uses []string
	for _, d := range role.KeyDescriptors {
		uses = append(uses, d.Use)
		if len(d.KeyInfo.X509Data.X509Certificates) != 1 {
			t.Errorf("%s: %d certificates in one descriptor", d.Use, len(d.KeyInfo.X509Data.X509Certificates))
		}
		if d.Use == "encryption" && (len(d.EncryptionMethods) == 0 || !strings.HasSuffix(d.EncryptionMethods[0].Algorithm, "aes256-gcm")) {
			t.Errorf("encryption methods %+v", d.EncryptionMethods)
		}
	}
	if got := strings.Join(uses, " "); got != "signing signing encryption encryption" {
		t.Errorf("keys %s", got)
	}
}

func TestNewSPKey(t *testing.T) {
	t.Parallel()
	key, der, err := NewKey("muster.example", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if key.N.BitLen() < 3072 || !key.PublicKey.Equal(cert.PublicKey) || cert.NotAfter.Before(now.AddDate(9, 0, 0)) {
		t.Errorf("%d bits, until %v", key.N.BitLen(), cert.NotAfter)
	}
}
