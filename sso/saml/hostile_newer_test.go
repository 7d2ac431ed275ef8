package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode/utf16"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
)

// newerCases are variants published after the eight classic wrappings: smuggled
// digests (CVE-2024-45409), two parsers that read one document in two ways
// (CVE-2025-25291, CVE-2025-25292), digests of nothing by failing canonicalization,
// and ids in other namespaces ("The Fragile Lock", 2025).
func newerCases() []hostileCase {
	const signature = "./Assertion/Signature"
	evil := func(response *etree.Element) {
		response.FindElement("./Assertion/Subject/NameID").SetText(ssotest.Evil)
	}
	return []hostileCase{
		{name: "digest of nothing, namespace that canonicalizers fail on", stop: "xml", login: after(func(response *etree.Element) {
			assertion := response.SelectElement("Assertion")
			assertion.CreateAttr("xmlns:void", "1") // relative: libxml2 gives up and digests nothing
			nothing := sha256.Sum256(nil)
			response.FindElement(signature + "/SignedInfo/Reference/DigestValue").SetText(base64.StdEncoding.EncodeToString(nothing[:]))
			resign(response.FindElement(signature))
			evil(response)
		})},
		{name: "relative namespace that is not used", stop: "xml", login: after(func(response *etree.Element) {
			response.CreateAttr("xmlns:void", "1")
		})},
		{name: "the true digest smuggled into the response", stop: "assertion.signature", login: after(func(response *etree.Element) {
			digest := response.FindElement(signature + "/SignedInfo/Reference/DigestValue").Copy()
			evil(response)
			digest.CreateAttr("xmlns:ds", nsSignature)
			response.CreateElement("samlp:Extensions").AddChild(digest)
		})},
		{name: "a second DigestValue before the true one", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			evil(response)
			reference := response.FindElement(signature + "/SignedInfo/Reference")
			forged := reference.SelectElement("DigestValue").Copy()
			sum := sha256.Sum256(canonical(response.SelectElement("Assertion"), response.FindElement(signature), nil))
			forged.SetText(base64.StdEncoding.EncodeToString(sum[:]))
			reference.InsertChildAt(reference.SelectElement("DigestValue").Index(), forged)
		})},
		{name: "a digest with an element inside", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement(signature + "/SignedInfo/Reference/DigestValue").CreateElement("ds:X")
			resign(response.FindElement(signature))
		})},
		{name: "a signature value with an element inside", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement(signature + "/SignatureValue").CreateElement("ds:X")
		})},
		{name: "SignedInfo of another namespace in front", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			sig := response.FindElement(signature)
			forged := sig.SelectElement("SignedInfo").Copy()
			forged.Space = ""
			forged.CreateAttr("xmlns", "urn:other")
			sig.InsertChildAt(0, forged)
		})},
		{name: "Signature of another namespace", stop: "signed", login: after(func(response *etree.Element) {
			response.FindElement(signature).CreateAttr("xmlns:ds", "urn:other")
		})},
		{name: "an ID in another namespace", stop: "assertion.signature", login: after(func(response *etree.Element) {
			assertion := response.SelectElement("Assertion")
			assertion.CreateAttr("xmlns:x", "urn:x")
			assertion.CreateAttr("x:ID", "_other")
		})},
		{name: "xml:id beside ID", stop: "assertion.signature", login: after(func(response *etree.Element) {
			response.SelectElement("Assertion").CreateAttr("xml:id", "_other")
		})},
		{name: "xml:id of the signed one elsewhere", stop: "xml", login: after(func(response *etree.Element) {
			id := response.SelectElement("Assertion").SelectAttrValue("ID", "")
			response.CreateElement("samlp:Extensions").CreateAttr("xml:id", id)
		})},
		{name: "the assertion's signature moved to the response", stop: "response.signature.form", login: after(func(response *etree.Element) {
			sig := response.FindElement(signature)
			response.InsertChildAt(1, sig)
		})},
		{name: "default namespace bound anew around the assertion", stop: "shape", login: after(func(response *etree.Element) {
			assertion := response.SelectElement("Assertion")
			wrapper := response.CreateElement("Advice")
			wrapper.CreateAttr("xmlns", nsAssertion)
			wrapper.AddChild(assertion)
		})},
		{name: "flood of inclusive prefixes", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			list := response.FindElement(signature + "/SignedInfo/Reference/Transforms/Transform[2]").CreateElement("ec:InclusiveNamespaces")
			list.CreateAttr("xmlns:ec", algExcC14N)
			list.CreateAttr("PrefixList", strings.Repeat("p ", maxSAMLNamespaces+1))
		})},
		{name: "ECDSA said, RSA signed", stop: "assertion.signature", login: after(func(response *etree.Element) {
			response.FindElement(signature+"/SignedInfo/SignatureMethod").CreateAttr("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")
			resign(response.FindElement(signature))
		})},
		{name: "HMAC with our copy of the certificate as key", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement(signature+"/SignedInfo/SignatureMethod").CreateAttr("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
		})},
		{name: "RSA-PSS without parameters", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement(signature+"/SignedInfo/SignatureMethod").CreateAttr("Algorithm", "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1")
		})},
		{name: "XPath transform", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement(signature+"/SignedInfo/Reference/Transforms/Transform[1]").CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
		})},
		{name: "deflated", stop: "xml", login: bytesEdit(func(b []byte) []byte {
			var out bytes.Buffer
			w, err := flate.NewWriter(&out, flate.BestCompression)
			if err == nil {
				_, err = w.Write(b)
			}
			if err != nil || w.Close() != nil {
				panic("flate")
			}
			return out.Bytes()
		})},
		{name: "UTF-16", stop: "xml", login: bytesEdit(func(b []byte) []byte {
			out := []byte{0xFF, 0xFE}
			for _, u := range utf16.Encode([]rune(string(b))) {
				out = append(out, byte(u), byte(u>>8))
			}
			return out
		})},
		{name: "audience in capitals", stop: "conditions.audience", login: func(l *ssotest.Login) { l.Audience = strings.ToUpper(testEntity) }},
		{name: "audience with a slash more", stop: "conditions.audience", login: func(l *ssotest.Login) { l.Audience = testEntity + "/" }},
		{name: "recipient that only begins like ours", stop: "subject.confirmation", login: assertionEdit(func(a *crewjam.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient = testACS + ".evil.example"
		})},
		{name: "issuer with a space more", stop: "assertion.signature", login: after(func(response *etree.Element) {
			issuer := response.FindElement("./Assertion/Issuer")
			issuer.SetText(" " + issuer.Text())
		})},
	}
}

func sealedAttributes(sign ssotest.Sign, e ssotest.Encryption) func(*ssotest.Login) {
	return func(l *ssotest.Login) {
		if e.To == nil {
			e.To = &spKey.Key.PublicKey
		}
		l.Sign, l.EncryptAttributes = sign, &e
	}
}

// sealedAttributeCases are encrypted attributes that must not be read as something else,
// nor be passed over.
func sealedAttributeCases() []hostileCase {
	const stop = "decryption.attribute"
	plain := func(text string) func(*ssotest.Login) {
		return sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{Plain: func([]byte) []byte { return []byte(text) }})
	}
	const open = `<saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Name="groups"><saml:AttributeValue>`
	const end = `</saml:AttributeValue></saml:Attribute>`
	return []hostileCase{
		{name: "encrypted attributes for somebody else", stop: stop, login: sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{To: &ssotest.OtherSigner().Key.PublicKey})},
		{name: "encrypted attributes with RSA 1.5", stop: stop, login: sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{Key: enc + "rsa-1_5"})},
		{name: "encrypted attributes with 3DES", stop: stop, login: sealedAttributes(ssotest.SignResponse, ssotest.Encryption{Content: enc + "tripledes-cbc"})},
		{name: "encrypted attributes cut short", stop: stop, login: sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{Cipher: func(b []byte) []byte { return b[:5] }})},
		{name: "encrypted attributes changed after they were signed", stop: "assertion.signature", login: func(l *ssotest.Login) {
			sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Signed = func(response *etree.Element) {
				value := response.FindElement(".//EncryptedAttribute/EncryptedData/CipherData/CipherValue")
				value.SetText("AAAA" + value.Text()[4:])
			}
		}},
		{name: "encrypted attributes in an assertion that nobody signed", stop: "signed", login: sealedAttributes(ssotest.SignNothing, ssotest.Encryption{})},
		{name: "an encrypted attribute that is a NameID", stop: stop, login: plain(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">admin</saml:NameID>`)},
		{name: "an encrypted attribute that is two", stop: stop, login: plain(open + "a" + end + open + "b" + end)},
		{name: "an encrypted attribute in another namespace", stop: stop, login: plain(`<Attribute Name="groups"><AttributeValue>admins</AttributeValue></Attribute>`)},
		{name: "an encrypted attribute with a comment", stop: stop, login: plain(open + "admins<!-- -->.evil" + end)},
		{name: "an encrypted attribute with an entity", stop: stop, login: plain(`<!DOCTYPE x [<!ENTITY e "admins">]>` + open + "&e;" + end)},
		{name: "an encrypted attribute of nothing", stop: stop, login: plain("")},
		{name: "eleven encrypted attributes", stop: stop, login: func(l *ssotest.Login) {
			sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{})(l)
			for _, name := range many(maxSealed) {
				l.Attributes[name] = []string{"x"}
			}
		}},
	}
}

// resign signs what a SignedInfo says by now: a provider that was made to sign it.
func resign(sig *etree.Element) {
	sum := sha256.Sum256(canonical(sig.SelectElement("SignedInfo"), nil, nil))
	value, err := rsa.SignPKCS1v15(rand.Reader, ssotest.NewIDP().Signer.Key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	sig.SelectElement("SignatureValue").SetText(base64.StdEncoding.EncodeToString(value))
}
