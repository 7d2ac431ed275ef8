package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // while a connection allows it
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 too
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

const (
	algEnveloped = string(dsig.EnvelopedSignatureAltorithmId)
	algExcC14N   = string(dsig.CanonicalXML10ExclusiveAlgorithmId)

	minRSABits      = 2048
	MaxCertificates = 10
)

// algorithm is a signature or digest method; weak ones are accepted only while a
// connection allows SHA-1.
type algorithm struct {
	hash crypto.Hash
	weak bool
}

var (
	signatureMethods = map[string]algorithm{
		dsig.RSASHA256SignatureMethod: {hash: crypto.SHA256}, dsig.RSASHA384SignatureMethod: {hash: crypto.SHA384}, dsig.RSASHA512SignatureMethod: {hash: crypto.SHA512},
		dsig.ECDSASHA256SignatureMethod: {hash: crypto.SHA256}, dsig.ECDSASHA384SignatureMethod: {hash: crypto.SHA384}, dsig.ECDSASHA512SignatureMethod: {hash: crypto.SHA512},
		dsig.RSASHA1SignatureMethod: {crypto.SHA1, true}, dsig.ECDSASHA1SignatureMethod: {crypto.SHA1, true},
	}
	digestMethods = map[string]algorithm{
		"http://www.w3.org/2001/04/xmlenc#sha256": {hash: crypto.SHA256}, "http://www.w3.org/2001/04/xmldsig-more#sha384": {hash: crypto.SHA384},
		"http://www.w3.org/2001/04/xmlenc#sha512": {hash: crypto.SHA512}, nsSignature + "sha1": {crypto.SHA1, true},
	}
)

// verified is an element parsed from bytes that a signature covers. Only verify
// makes one, and message for a signed query, so what takes a verified reads
// nothing unsigned.
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

// signedInfo is what a SignedInfo says, in the one form that SAML allows.
type signedInfo struct {
	el        *etree.Element
	id        string // of the element that it refers to
	method    string // URI of the signature method
	signature algorithm
	digest    algorithm
	value     []byte   // DigestValue
	inclusive []string // prefixes of the transform's InclusiveNamespaces
}

// readSignature holds a signature against that form (saml-core-2.0 §5.4): a single
// reference to its own parent, enveloped, exclusive canonicalization, algorithms
// from the lists. Nothing is verified yet.
func readSignature(sig *etree.Element, sha1 bool) (signedInfo, []byte, error) {
	parts, err := childrenOf(sig, nsSignature, "SignedInfo", "SignatureValue", "KeyInfo?")
	if err != nil {
		return signedInfo{}, nil, err
	}
	info, err := readSignedInfo(parts[0], sha1)
	if err != nil {
		return info, nil, err
	}
	switch id := attr(sig.Parent(), "ID"); {
	case id == "" || len(id) > maxSAMLID:
		return info, nil, fmt.Errorf("the signed element has no usable ID")
	case info.id != id:
		return info, nil, fmt.Errorf("the signature refers to %q, not to the element %q it stands in", answer.Clip(info.id, 80), id)
	}
	signature, err := binary(parts[1])
	return info, signature, err
}

func readSignedInfo(el *etree.Element, sha1 bool) (signedInfo, error) {
	s := signedInfo{el: el}
	info, err := childrenOf(el, nsSignature, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return s, err
	}
	reference, err := childrenOf(info[2], nsSignature, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return s, err
	}
	transforms, err := childrenOf(reference[0], nsSignature, "Transform", "Transform")
	if err != nil {
		return s, err
	}
	uri := attr(info[2], "URI")
	if !strings.HasPrefix(uri, "#") {
		return s, fmt.Errorf("the signature refers to %q, not to the element it stands in", answer.Clip(uri, 80))
	}
	s.id = uri[1:]
	for _, m := range []struct {
		el   *etree.Element
		want string
	}{{info[0], algExcC14N}, {transforms[0], algEnveloped}, {transforms[1], algExcC14N}} {
		if got := attr(m.el, "Algorithm"); got != m.want {
			return s, fmt.Errorf("%s is %q, not %q", m.el.Tag, answer.Clip(got, 120), m.want)
		}
	}
	if hasElements(info[0]) || hasElements(transforms[0]) {
		return s, fmt.Errorf("parameters are allowed on the last transform only")
	}
	parameters, err := childrenOf(transforms[1], algExcC14N, "InclusiveNamespaces?")
	if err != nil {
		return s, err
	}
	if parameters[0] != nil {
		for _, prefix := range strings.Fields(attr(parameters[0], "PrefixList")) {
			if prefix == "#default" {
				prefix = ""
			}
			s.inclusive = append(s.inclusive, prefix)
		}
		if len(s.inclusive) > maxSAMLNamespaces {
			return s, fmt.Errorf("InclusiveNamespaces lists more than %d prefixes", maxSAMLNamespaces)
		}
	}
	s.method = attr(info[1], "Algorithm")
	if s.signature, err = chosen(info[1], signatureMethods, sha1); err != nil {
		return s, err
	}
	if s.digest, err = chosen(reference[1], digestMethods, sha1); err != nil {
		return s, err
	}
	s.value, err = binary(reference[2])
	return s, err
}

// binary is the base64 text of an element that holds nothing else.
func binary(el *etree.Element) ([]byte, error) {
	text, err := textOf(el)
	if err != nil {
		return nil, err
	}
	b, err := decodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("<%s> is not base64", el.Tag)
	}
	return b, nil
}

// chosen is the algorithm that an element names, if it is on the list.
func chosen(el *etree.Element, list map[string]algorithm, sha1 bool) (algorithm, error) {
	name := attr(el, "Algorithm")
	a, known := list[name]
	if !known || a.weak && !sha1 {
		return a, fmt.Errorf("%s is %q; SHA-256 or better is needed", el.Tag, answer.Clip(name, 120))
	}
	return a, nil
}

// verify checks the signature sig that stands in its parent against each of the
// connection's certificates. Neither KeyInfo nor the certificates' dates count:
// which keys to trust was decided when the connection was set up, and
// identity providers sign for years with expired self-signed certificates.
//
// Of what came in, only canonical bytes count: those of SignedInfo are held
// against the signature, then the digest is read from them and held against the
// bytes of the element; and both are parsed again.
func verify(sig *etree.Element, certs []*x509.Certificate, sha1 bool) (verified, error) {
	claimed, signature, err := readSignature(sig, sha1)
	if err != nil {
		return verified{}, err
	}
	signed := canonical(claimed.el, nil, nil)
	signer := signerOf(claimed, signed, signature, certs)
	if signer == nil {
		return verified{}, noneSigned(len(certs))
	}
	doc, err := scanXML(signed, nil, false)
	if err != nil {
		return verified{}, fmt.Errorf("the signed text cannot be read again: %w", err)
	}
	info, err := readSignedInfo(doc.root, sha1)
	if err != nil {
		return verified{}, err
	}
	content := canonical(sig.Parent(), sig, info.inclusive)
	if sum := digestOf(info.digest, content); !bytes.Equal(sum, info.value) {
		return verified{}, fmt.Errorf("the content was changed after it was signed: its digest is %s, signed was %s",
			base64.StdEncoding.EncodeToString(sum), answer.Clip(base64.StdEncoding.EncodeToString(info.value), 100))
	}
	if doc, err = scanXML(content, nil, false); err != nil {
		return verified{}, fmt.Errorf("the signed text cannot be read again: %w", err)
	}
	if attr(doc.root, "ID") != info.id {
		return verified{}, fmt.Errorf("the signature refers to %q, not to the element it stands in", answer.Clip(info.id, 80))
	}
	return verified{doc.root, Fingerprint(signer.Raw)}, nil
}

// signerOf is the certificate whose key made the signature, nil when none did.
func signerOf(info signedInfo, signed, signature []byte, certs []*x509.Certificate) *x509.Certificate {
	sum := digestOf(info.signature, signed)
	for _, cert := range certs {
		switch key := cert.PublicKey.(type) {
		case *rsa.PublicKey:
			if strings.Contains(info.method, "#rsa-") && rsa.VerifyPKCS1v15(key, info.signature.hash, sum, signature) == nil {
				return cert
			}
		case *ecdsa.PublicKey:
			// Two plain numbers side by side (RFC 4051 §3.4.1), not Go's ASN.1.
			size := (key.Curve.Params().BitSize + 7) / 8
			if !strings.Contains(info.method, "#ecdsa-") || len(signature) != 2*size {
				continue
			}
			r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
			if ecdsa.Verify(key, sum, r, s) {
				return cert
			}
		}
	}
	return nil
}

func digestOf(a algorithm, b []byte) []byte {
	h := a.hash.New()
	h.Write(b)
	return h.Sum(nil)
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
			return fault.Invalid.Say("the RSA key has %d bits; at least %d are needed", key.N.BitLen(), minRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		return nil
	default:
		return fault.Invalid.Say("the key is %s; RSA or ECDSA is needed", cert.PublicKeyAlgorithm)
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

// noneSigned refuses a signature that no known certificate fits.
func noneSigned(certs int) error {
	if certs == 1 {
		return fmt.Errorf("the known certificate did not make this signature")
	}
	return fmt.Errorf("%d certificates tried: none of them made this signature", certs)
}
