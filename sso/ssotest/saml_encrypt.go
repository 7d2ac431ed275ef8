package ssotest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"

	"github.com/beevik/etree"
)

const (
	xenc   = "http://www.w3.org/2001/04/xmlenc#"
	xenc11 = "http://www.w3.org/2009/xmlenc11#"
)

// seal turns an element into one of this name that holds it encrypted. What it says
// in prefixes from around it stays so.
func (e *Encryption) seal(el *etree.Element, name string) *etree.Element {
	content := e.Content
	if content == "" {
		content = xenc11 + "aes128-gcm"
	}
	plain := Serialize(el)
	if e.Plain != nil {
		plain = e.Plain(plain)
	}
	key := make([]byte, keyBytes(content))
	rand.Read(key)
	ciphertext := encryptContent(content, key, plain)
	if e.Cipher != nil {
		ciphertext = e.Cipher(ciphertext)
	}

	out := etree.NewElement("saml:" + name)
	out.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	data := out.CreateElement("xenc:EncryptedData")
	data.CreateAttr("xmlns:xenc", xenc)
	data.CreateAttr("Type", xenc+"Element")
	data.CreateElement("xenc:EncryptionMethod").CreateAttr("Algorithm", content)
	info := data.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
	wrapped := e.wrap(key)
	if e.Beside {
		info.CreateElement("ds:RetrievalMethod").CreateAttr("URI", "#"+wrapped.SelectAttrValue("Id", ""))
		out.AddChild(wrapped)
	} else {
		info.AddChild(wrapped)
	}
	data.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(base64.StdEncoding.EncodeToString(ciphertext))
	return out
}

// wrap is the EncryptedKey.
func (e *Encryption) wrap(key []byte) *etree.Element {
	algorithm := e.Key
	if algorithm == "" {
		algorithm = xenc + "rsa-oaep-mgf1p"
	}
	out := etree.NewElement("xenc:EncryptedKey")
	out.CreateAttr("xmlns:xenc", xenc)
	out.CreateAttr("Id", "_k"+randomHex(8))
	method := out.CreateElement("xenc:EncryptionMethod")
	method.CreateAttr("Algorithm", algorithm)
	if e.Digest != "" {
		digest := method.CreateElement("ds:DigestMethod")
		digest.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
		digest.CreateAttr("Algorithm", e.Digest)
	}
	if e.Mask != "" {
		mask := method.CreateElement("xenc11:MGF")
		mask.CreateAttr("xmlns:xenc11", xenc11)
		mask.CreateAttr("Algorithm", e.Mask)
	}
	var wrapped []byte
	var err error
	if strings.HasSuffix(algorithm, "rsa-1_5") {
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, e.To, key) //lint:ignore SA1019 an attack to be refused
	} else {
		wrapped, err = rsa.EncryptOAEPWithOptions(rand.Reader, e.To, key, &rsa.OAEPOptions{Hash: hashOf(e.Digest), MGFHash: hashOf(e.Mask)})
	}
	if err != nil {
		panic(err)
	}
	out.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(base64.StdEncoding.EncodeToString(wrapped))
	return out
}

func encryptContent(algorithm string, key, plain []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	if strings.HasSuffix(algorithm, "-gcm") {
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			panic(err)
		}
		nonce := make([]byte, gcm.NonceSize())
		rand.Read(nonce)
		return gcm.Seal(nonce, nonce, plain, nil)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	padded := append(append([]byte{}, plain...), make([]byte, pad)...)
	padded[len(padded)-1] = byte(pad)
	out := make([]byte, aes.BlockSize+len(padded))
	rand.Read(out[:aes.BlockSize])
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], padded)
	return out
}

func keyBytes(algorithm string) int {
	switch {
	case strings.Contains(algorithm, "256"):
		return 32
	case strings.Contains(algorithm, "192"):
		return 24
	default:
		return 16
	}
}

func hashOf(algorithm string) crypto.Hash {
	switch {
	case strings.HasSuffix(algorithm, "sha256"):
		return crypto.SHA256
	case strings.HasSuffix(algorithm, "sha384"):
		return crypto.SHA384
	case strings.HasSuffix(algorithm, "sha512"):
		return crypto.SHA512
	default:
		return crypto.SHA1
	}
}
