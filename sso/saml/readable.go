package saml

import (
	"crypto/rsa"
	"fmt"

	"github.com/beevik/etree"
)

// Readable is a posted response for an administrator's eyes: indented, and without
// what signs or encrypts, so that nobody can send it again. With keys, an encrypted
// assertion is opened first; give them only after CheckResponse has found the
// signature and InResponseTo in order, else this would decrypt for anybody who has
// somebody else's response.
func Readable(form Form, keys []*rsa.PrivateKey) (string, error) {
	b, err := decodeForm(form.SAMLResponse)
	if err != nil {
		return "", err
	}
	doc, err := scanXML(b, nil, false)
	if err != nil {
		return "", err
	}
	for _, el := range doc.assertions {
		parent := el.Parent()
		if parent == nil || len(keys) == 0 || !isElement(el, nsAssertion, "EncryptedAssertion") {
			continue
		}
		plain, err := decryptElement(el, keys, true)
		if err != nil {
			continue // it is shown as it came
		}
		inner, err := scanXML(plain, scopeOf(el), false)
		if err != nil {
			continue
		}
		at := el.Index()
		parent.RemoveChildAt(at)
		parent.InsertChildAt(at, inner.root)
	}
	hide(doc.root)
	out := etree.NewDocument()
	out.SetRoot(doc.root)
	out.Indent(2)
	return out.WriteToString()
}

// hidden are the elements whose text is a signature, a key or a ciphertext.
var hidden = map[string]bool{"SignatureValue": true, "X509Certificate": true, "CipherValue": true, "Modulus": true}

func hide(el *etree.Element) {
	if hidden[el.Tag] {
		el.SetText(fmt.Sprintf("(%d characters left out)", len(el.Text())))
		return
	}
	for _, child := range el.ChildElements() {
		hide(child)
	}
}
