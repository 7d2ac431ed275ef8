package saml

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/muster-id/muster/sso/answer"
)

const (
	algEnveloped = string(dsig.EnvelopedSignatureAltorithmId)
	algExcC14N   = string(dsig.CanonicalXML10ExclusiveAlgorithmId)
	algSHA1      = "http://www.w3.org/2000/09/xmldsig#sha1"

	minRSABits      = 2048
	MaxCertificates = 10
)

// strongAlgorithms are accepted always, weakAlgorithms only while a connection
// allows SHA-1.
var (
	strongAlgorithms = map[string]bool{
		dsig.RSASHA256SignatureMethod: true, dsig.RSASHA384SignatureMethod: true, dsig.RSASHA512SignatureMethod: true,
		dsig.ECDSASHA256SignatureMethod: true, dsig.ECDSASHA384SignatureMethod: true, dsig.ECDSASHA512SignatureMethod: true,
		"http://www.w3.org/2001/04/xmlenc#sha256": true, "http://www.w3.org/2001/04/xmldsig-more#sha384": true, "http://www.w3.org/2001/04/xmlenc#sha512": true,
	}
	weakAlgorithms = map[string]bool{dsig.RSASHA1SignatureMethod: true, dsig.ECDSASHA1SignatureMethod: true, algSHA1: true}
)

// verified is an element parsed again from the bytes that a signature covers.
// Only verify makes one, so what takes a verified reads nothing unsigned.
type verified struct {
	el   *etree.Element
	cert string // SHA-256 of the certificate, hex
}

// signatureOf is the Signature that is a child of el, nil when there is none.
func (s *scanned) signatureOf(el *etree.Element) *etree.Element {
	for _, sig := range s.signatures {
		if sig.Parent() == el {
			return sig
		}
	}
	return nil
}

// checkSignatureForm holds a signature against the one form that SAML allows
// (saml-core-2.0 §5.4): a single reference to its own parent, enveloped,
// exclusive canonicalization, algorithms from the lists. Nothing is verified yet.
func checkSignatureForm(sig *etree.Element, sha1 bool) error {
	parts, err := childrenOf(sig, nsSignature, "SignedInfo", "SignatureValue", "KeyInfo?")
	if err != nil {
		return err
	}
	info, err := childrenOf(parts[0], nsSignature, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return err
	}
	reference, err := childrenOf(info[2], nsSignature, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return err
	}
	transforms, err := childrenOf(reference[0], nsSignature, "Transform", "Transform")
	if err != nil {
		return err
	}
	id := attr(sig.Parent(), "ID")
	switch uri := attr(info[2], "URI"); {
	case id == "" || len(id) > maxSAMLID:
		return fmt.Errorf("the signed element has no usable ID")
	case uri != "#"+id:
		return fmt.Errorf("the signature refers to %q, not to the element %q it stands in", answer.Clip(uri, 80), id)
	}
	for _, m := range []struct {
		el   *etree.Element
		want string
	}{{info[0], algExcC14N}, {transforms[0], algEnveloped}, {transforms[1], algExcC14N}} {
		if got := attr(m.el, "Algorithm"); got != m.want {
			return fmt.Errorf("%s is %q, not %q", m.el.Tag, answer.Clip(got, 120), m.want)
		}
	}
	if len(info[0].ChildElements()) > 0 || len(transforms[0].ChildElements()) > 0 {
		return fmt.Errorf("parameters are allowed on the last transform only")
	}
	if _, err := childrenOf(transforms[1], algExcC14N, "InclusiveNamespaces?"); err != nil {
		return err
	}
	for _, m := range []*etree.Element{info[1], reference[1]} {
		got := attr(m, "Algorithm")
		switch {
		case strongAlgorithms[got]:
		case weakAlgorithms[got] && sha1:
		default:
			return fmt.Errorf("%s is %q; SHA-256 or better is needed", m.Tag, answer.Clip(got, 120))
		}
	}
	return nil
}

// verify checks the signature sig that stands in its parent against each of the
// connection's certificates. Neither KeyInfo nor the certificates' dates count:
// which keys to trust was decided when the connection was set up, and
// identity providers sign for years with expired self-signed certificates.
func verify(sig *etree.Element, certs []*x509.Certificate) (verified, error) {
	el := detach(sig.Parent())
	own := el.Child[sig.Index()].(*etree.Element)
	// First place, so that goxmldsig finds this signature and not one deeper.
	// The enveloped transform takes it out of what is digested wherever it stands.
	el.InsertChildAt(0, own)
	var value *etree.Element
	for _, child := range own.ChildElements() {
		switch child.Tag {
		case "KeyInfo":
			own.RemoveChild(child)
		case "SignatureValue":
			value = child
		}
	}
	signature, err := decodeBase64(value.Text())
	if err != nil {
		return verified{}, fmt.Errorf("the SignatureValue is not base64")
	}
	var last error
	for _, cert := range certs {
		value.SetText(base64.StdEncoding.EncodeToString(forGo(signature, cert)))
		context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
		context.Clock = dsig.NewFakeClockAt(cert.NotBefore)
		out, err := context.Validate(el)
		if err == nil {
			return verified{out, Fingerprint(cert.Raw)}, nil
		}
		last = err
	}
	return verified{}, fmt.Errorf("%d certificates tried: %w", len(certs), last)
}

// forGo turns an ECDSA signature from the two plain numbers of XML Signature
// (RFC 4051 §3.4.1) into the ASN.1 that Go, and goxmldsig with it, expects.
func forGo(signature []byte, cert *x509.Certificate) []byte {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return signature
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return signature
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	out, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		return signature
	}
	return out
}

// ParseCertificates reads the stored certificates and leaves out those whose
// key is too weak to trust.
func ParseCertificates(ders [][]byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	var last error
	for _, der := range ders[:min(len(ders), MaxCertificates)] {
		cert, err := x509.ParseCertificate(der)
		if err == nil {
			err = checkKey(cert)
		}
		if err != nil {
			last = err
			continue
		}
		out = append(out, cert)
	}
	if len(out) == 0 && last == nil {
		last = fmt.Errorf("the connection has no signing certificate")
	}
	if len(out) == 0 {
		return nil, last
	}
	return out, nil
}

// checkKey refuses keys that can't be trusted to sign.
func checkKey(cert *x509.Certificate) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return fmt.Errorf("the RSA key has %d bits; at least %d are needed", key.N.BitLen(), minRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		return nil
	default:
		return fmt.Errorf("the key is %s; RSA or ECDSA is needed", cert.PublicKeyAlgorithm)
	}
}

// Fingerprint is the SHA-256 of a certificate, hex.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// claimedCertificate is the Fingerprint of the certificate that a signature
// says it was made with: nothing to trust, but it tells an administrator that
// the identity provider signs with a key we do not have.
func claimedCertificate(sig *etree.Element) string {
	for _, info := range sig.ChildElements() {
		if info.Tag != "KeyInfo" {
			continue
		}
		for _, data := range info.ChildElements() {
			for _, cert := range data.ChildElements() {
				if cert.Tag != "X509Certificate" {
					continue
				}
				der, err := decodeBase64(cert.Text())
				if err == nil {
					return Fingerprint(der)
				}
			}
		}
	}
	return ""
}
