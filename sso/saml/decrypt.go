package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	_ "crypto/sha1" // the default digest of OAEP in XML Encryption, no weakness there
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/sso/answer"
)

const (
	nsEncryption   = "http://www.w3.org/2001/04/xmlenc#"
	nsEncryption11 = "http://www.w3.org/2009/xmlenc11#"

	// maxUnwraps bounds the private key operations that one unverified message
	// can ask for.
	maxUnwraps = 8
	// maxSealed bounds those that all encrypted attributes of an assertion may take, and
	// so their number.
	maxSealed = 10
)

// contentCipher is an algorithm of XML Encryption for the assertion itself.
type contentCipher struct {
	keyBytes int
	cbc      bool
}

// contentCiphers leaves out 3DES.
var contentCiphers = map[string]contentCipher{
	nsEncryption11 + "aes128-gcm": {16, false},
	nsEncryption11 + "aes192-gcm": {24, false},
	nsEncryption11 + "aes256-gcm": {32, false},
	nsEncryption + "aes128-cbc":   {16, true},
	nsEncryption + "aes192-cbc":   {24, true},
	nsEncryption + "aes256-cbc":   {32, true},
}

// Key transport is OAEP only: RSA 1.5 would make us a decryption oracle
// (Bleichenbacher).
var (
	oaepDigests = map[string]crypto.Hash{
		"":                                       crypto.SHA1,
		"http://www.w3.org/2000/09/xmldsig#sha1": crypto.SHA1,
		"http://www.w3.org/2001/04/xmlenc#sha256":       crypto.SHA256,
		"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384,
		"http://www.w3.org/2001/04/xmlenc#sha512":       crypto.SHA512,
	}
	oaepMasks = map[string]crypto.Hash{
		"":                            crypto.SHA1,
		nsEncryption11 + "mgf1sha1":   crypto.SHA1,
		nsEncryption11 + "mgf1sha256": crypto.SHA256,
		nsEncryption11 + "mgf1sha384": crypto.SHA384,
		nsEncryption11 + "mgf1sha512": crypto.SHA512,
	}
)

// errDecrypt is the one answer to every failure that depends on our keys or on
// the plaintext, so that nobody learns from differences.
var errDecrypt = errors.New("none of our keys opens it")

// decryptElement opens an EncryptedAssertion or EncryptedID and returns the plaintext.
// signed says that a verified signature covers the ciphertext: without one CBC
// is refused, because whoever may alter a CBC ciphertext can read it by asking.
func decryptElement(el *etree.Element, keys []*rsa.PrivateKey, signed bool) ([]byte, error) {
	left := maxUnwraps
	return decryptWithin(&left, el, keys, signed)
}

// decryptWithin is decryptElement with what is left of private key operations.
func decryptWithin(left *int, el *etree.Element, keys []*rsa.PrivateKey, signed bool) ([]byte, error) {
	data, err := one(el, nsEncryption, "EncryptedData")
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("<%s> has no <EncryptedData>", el.Tag)
	}
	algorithm := algorithmOf(data)
	content, ok := contentCiphers[algorithm]
	switch {
	case !ok:
		return nil, fmt.Errorf("<%s> is encrypted with %q; AES-GCM is needed", el.Tag, answer.Clip(algorithm, 120))
	case content.cbc && !signed:
		return nil, fmt.Errorf("<%s> is encrypted with AES-CBC and the response around it is not signed; AES-GCM or a signed response is needed", el.Tag)
	case len(keys) == 0:
		return nil, errDecrypt
	}
	wrapped, err := encryptedKeys(el, data)
	if err != nil {
		return nil, err
	}
	ciphertext, err := cipherValue(data)
	if err != nil {
		return nil, err
	}
	for _, w := range wrapped {
		for _, key := range keys {
			if *left--; *left < 0 {
				return nil, errDecrypt
			}
			if plain, err := open(content, key, w, ciphertext); err == nil {
				return plain, nil
			}
		}
	}
	return nil, errDecrypt
}

// What was decrypted is not what belongs there. They do not say more: the text could
// hold plaintext.
var (
	errPlainID        = errors.New("the decrypted text is not one well-formed NameID")
	errPlainAttribute = errors.New("the decrypted text is not one well-formed Attribute")
)

// openID opens an EncryptedID and gives the NameID in it.
func openID(el *etree.Element, keys []*rsa.PrivateKey) (*etree.Element, error) {
	left := maxUnwraps
	return openSigned(&left, el, keys, "NameID", errPlainID)
}

// openSigned opens what is encrypted inside an assertion and gives the one element in it.
// It must stand in what a signature covers, so that nobody but the provider can have
// chosen the ciphertext.
func openSigned(left *int, el *etree.Element, keys []*rsa.PrivateKey, name string, other error) (*etree.Element, error) {
	plain, err := decryptWithin(left, el, keys, true)
	if err != nil {
		return nil, err
	}
	scope := scopeOf(el)
	doc, err := scanXML(plain, scope, false)
	if err != nil {
		return nil, other
	}
	inherit(doc.root, scope)
	if !isElement(doc.root, nsAssertion, name) {
		return nil, other
	}
	return doc.root, nil
}

// wrappedKey is an EncryptedKey whose algorithms are acceptable.
type wrappedKey struct {
	value  []byte
	digest crypto.Hash
	mask   crypto.Hash
	label  []byte
}

// encryptedKeys collects the content key's copies: inside KeyInfo, or beside
// the EncryptedData (saml-core-2.0 §2.3.4).
func encryptedKeys(assertion, data *etree.Element) ([]wrappedKey, error) {
	var out []wrappedKey
	places := []*etree.Element{assertion}
	info, err := one(data, nsSignature, "KeyInfo")
	if err != nil {
		return nil, err
	}
	if info != nil {
		places = append(places, info)
	}
	for _, place := range places {
		for _, el := range place.ChildElements() {
			if !isElement(el, nsEncryption, "EncryptedKey") {
				continue
			}
			w, err := readKey(el)
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("<%s> brings no <EncryptedKey>", assertion.Tag)
	}
	return out, nil
}

func readKey(el *etree.Element) (w wrappedKey, err error) {
	algorithm := algorithmOf(el)
	method, _ := one(el, nsEncryption, "EncryptionMethod")
	var digest, mask, label string
	switch algorithm {
	case nsEncryption + "rsa-oaep-mgf1p", nsEncryption11 + "rsa-oaep":
		for _, child := range method.ChildElements() {
			switch {
			case isElement(child, nsSignature, "DigestMethod"):
				digest = attr(child, "Algorithm")
			case isElement(child, nsEncryption11, "MGF"):
				mask = attr(child, "Algorithm")
			case isElement(child, nsEncryption, "OAEPparams"):
				label = child.Text()
			}
		}
	default:
		return w, fmt.Errorf("the key is wrapped with %q; RSA-OAEP is needed", answer.Clip(algorithm, 120))
	}
	if algorithm == nsEncryption+"rsa-oaep-mgf1p" {
		mask = "" // its name fixes MGF1 with SHA-1
	}
	var known bool
	if w.digest, known = oaepDigests[digest]; !known {
		return w, fmt.Errorf("the OAEP digest is %q; SHA-1 or SHA-2 is needed", answer.Clip(digest, 120))
	}
	if w.mask, known = oaepMasks[mask]; !known {
		return w, fmt.Errorf("the OAEP mask function is %q; MGF1 with SHA-1 or SHA-2 is needed", answer.Clip(mask, 120))
	}
	if w.label, err = decodeBase64(label); err != nil {
		return w, fmt.Errorf("OAEPparams is not base64")
	}
	w.value, err = cipherValue(el)
	return w, err
}

// open unwraps the content key and decrypts. Its errors never leave this file.
func open(content contentCipher, key *rsa.PrivateKey, w wrappedKey, ciphertext []byte) ([]byte, error) {
	secret, err := key.Decrypt(nil, w.value, &rsa.OAEPOptions{Hash: w.digest, MGFHash: w.mask, Label: w.label})
	if err != nil {
		return nil, err
	}
	if len(secret) != content.keyBytes {
		return nil, errDecrypt
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	if content.cbc {
		return openCBC(block, ciphertext)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) < gcm.NonceSize() {
		return nil, errDecrypt
	}
	return gcm.Open(nil, ciphertext[:gcm.NonceSize()], ciphertext[gcm.NonceSize():], nil)
}

// openCBC takes the IV from the front and the padding from the end; only the
// last padding byte means something (xmlenc-core §5.2).
func openCBC(block cipher.Block, ciphertext []byte) ([]byte, error) {
	n := block.BlockSize()
	if len(ciphertext) < 2*n || len(ciphertext)%n != 0 {
		return nil, errDecrypt
	}
	plain := make([]byte, len(ciphertext)-n)
	cipher.NewCBCDecrypter(block, ciphertext[:n]).CryptBlocks(plain, ciphertext[n:])
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > n {
		return nil, errDecrypt
	}
	return plain[:len(plain)-pad], nil
}

// algorithmOf is the EncryptionMethod of an EncryptedData or EncryptedKey.
func algorithmOf(el *etree.Element) string {
	method, err := one(el, nsEncryption, "EncryptionMethod")
	if err != nil || method == nil {
		return ""
	}
	return attr(method, "Algorithm")
}

// cipherValue is the base64 inside CipherData; CipherReference is never followed.
func cipherValue(el *etree.Element) ([]byte, error) {
	data, err := one(el, nsEncryption, "CipherData")
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("<%s> has no <CipherData>", el.Tag)
	}
	value, err := one(data, nsEncryption, "CipherValue")
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fmt.Errorf("<CipherData> has no <CipherValue>")
	}
	b, err := decodeBase64(value.Text())
	if err != nil {
		return nil, fmt.Errorf("<CipherValue> is not base64")
	}
	return b, nil
}

// decodeBase64 reads base64 as XML writes it, with white space anywhere.
func decodeBase64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
