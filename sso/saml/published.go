package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"math/big"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/answer"
)

// spEntity is our metadata document. It is not crewjam's EntityDescriptor,
// which always writes validUntil: providers that cache would drop us. Ours has
// no end.
type spEntity struct {
	XMLName  xml.Name                  `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	ID       string                    `xml:"ID,attr"`
	EntityID string                    `xml:"entityID,attr"`
	Roles    []crewjam.SPSSODescriptor `xml:"SPSSODescriptor"`
}

// SP is what one of our connections publishes of itself. Certificates are DER;
// during a rollover there are two of a kind, the one in use first.
type SP struct {
	EntityID, ACS, SLO  string
	Signing, Encryption [][]byte

	SignKey  *rsa.PrivateKey // of the metadata; belongs to SignCert
	SignCert []byte
}

// Document writes the metadata, signed. The same data give the same bytes, so a
// provider that reads it again sees whether something changed.
//
// AuthnRequestsSigned is left out: to say it would make providers refuse the
// unsigned requests of a connection that does not sign.
func (sp SP) Document() ([]byte, error) {
	yes := true
	role := crewjam.SPSSODescriptor{
		WantAssertionsSigned:      &yes,
		AssertionConsumerServices: []crewjam.IndexedEndpoint{{Binding: BindingPOST, Location: sp.ACS, Index: 0, IsDefault: &yes}},
	}
	role.ProtocolSupportEnumeration = nsProtocol
	role.SingleLogoutServices = []crewjam.Endpoint{{Binding: BindingRedirect, Location: sp.SLO}, {Binding: BindingPOST, Location: sp.SLO}}
	role.NameIDFormats = []crewjam.NameIDFormat{crewjam.PersistentNameIDFormat, crewjam.UnspecifiedNameIDFormat, crewjam.EmailAddressNameIDFormat}
	sum := sha256.New()
	for _, der := range sp.Signing {
		sum.Write(der)
		role.KeyDescriptors = append(role.KeyDescriptors, keyDescriptor("signing", der))
	}
	for _, der := range sp.Encryption {
		sum.Write(der)
		d := keyDescriptor("encryption", der)
		for _, algorithm := range []string{nsEncryption11 + "aes256-gcm", nsEncryption11 + "aes128-gcm", nsEncryption + "rsa-oaep-mgf1p"} {
			d.EncryptionMethods = append(d.EncryptionMethods, crewjam.EncryptionMethod{Algorithm: algorithm})
		}
		role.KeyDescriptors = append(role.KeyDescriptors, d)
	}
	b, err := xml.Marshal(spEntity{ID: "_" + hex.EncodeToString(sum.Sum(nil)[:20]), EntityID: sp.EntityID, Roles: []crewjam.SPSSODescriptor{role}})
	if err != nil {
		return nil, fmt.Errorf("write metadata of %s: %w", sp.EntityID, err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(b); err != nil {
		return nil, fmt.Errorf("write metadata of %s: %w", sp.EntityID, err)
	}
	doc.Indent(2) // before signing: it changes the text
	root := doc.Root()
	if err := envelop(root, sp.SignKey, sp.SignCert, 0); err != nil {
		return nil, err
	}
	if b, err = write(root); err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), b...), nil
}

func keyDescriptor(use string, der []byte) crewjam.KeyDescriptor {
	return crewjam.KeyDescriptor{Use: use, KeyInfo: crewjam.KeyInfo{X509Data: crewjam.X509Data{
		X509Certificates: []crewjam.X509Certificate{{Data: base64.StdEncoding.EncodeToString(der)}},
	}}}
}

// keyBits makes the RSA keys of new connections last as long as their
// certificates.
const keyBits = 3072

// NewKey makes a key for one of our connections and a certificate to publish
// it: self-signed, ten years, as providers look at the key and not at the name.
func NewKey(name string, now time.Time) (*rsa.PrivateKey, []byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key for %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("make a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: answer.Clip(name, 60)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for %s: %w", name, err)
	}
	return key, der, nil
}
