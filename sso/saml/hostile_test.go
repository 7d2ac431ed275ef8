package saml

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
)

// hostileCase is a response that must be stopped, and the check that does it.
type hostileCase struct {
	name   string
	stop   string
	login  func(*ssotest.Login)
	party  func(*Party)
	expect func(*Expect)
	form   func(string) string
}

// after changes the finished tree.
func after(f func(response *etree.Element)) func(*ssotest.Login) {
	return func(l *ssotest.Login) { l.Signed = f }
}

func sealed(sign ssotest.Sign, e ssotest.Encryption) func(*ssotest.Login) {
	return func(l *ssotest.Login) {
		e.To = &spKey.Key.PublicKey
		l.Sign, l.Encrypt = sign, &e
	}
}

func assertionEdit(f func(*crewjam.Assertion)) func(*ssotest.Login) {
	return func(l *ssotest.Login) { l.Assertion = f }
}

func responseEdit(f func(*crewjam.Response)) func(*ssotest.Login) {
	return func(l *ssotest.Login) { l.Sign, l.Response = ssotest.SignResponse, f }
}

func bytesEdit(f func([]byte) []byte) func(*ssotest.Login) {
	return func(l *ssotest.Login) { l.Bytes = f }
}

func replace(old, new string) func(*ssotest.Login) {
	return bytesEdit(func(b []byte) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic("the response has no " + old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	})
}

func hostileCases() []hostileCase {
	var all []hostileCase
	all = append(all, wrappingCases()...)
	all = append(all, syntaxCases()...)
	all = append(all, signatureCases()...)
	all = append(all, decryptionCases()...)
	all = append(all, responseCases()...)
	all = append(all, assertionCases()...)
	return slices.Concat(all, newerCases(), sealedAttributeCases())
}

func wrappingCases() []hostileCase {
	var all []hostileCase
	for n := 1; n <= 8; n++ {
		sign := ssotest.SignAssertion
		if n <= 2 {
			sign = ssotest.SignResponse
		}
		all = append(all, hostileCase{name: fmt.Sprintf("signature wrapping %d", n), stop: "shape",
			login: func(l *ssotest.Login) { l.Sign, l.Signed = sign, ssotest.Wrapped(n) }})
		if n > 2 {
			all = append(all, hostileCase{name: fmt.Sprintf("signature wrapping %d, both signed", n), stop: "shape",
				login: func(l *ssotest.Login) { l.Sign, l.Signed = ssotest.SignBoth, ssotest.Wrapped(n) }})
		}
	}
	duplicate := func(response *etree.Element) {
		assertion := response.SelectElement("Assertion")
		response.AddChild(assertion.Copy())
	}
	return append(all,
		hostileCase{name: "the same assertion twice", stop: "xml", login: after(duplicate)},
		hostileCase{name: "two good assertions", stop: "shape", login: after(func(response *etree.Element) {
			second := response.SelectElement("Assertion").Copy()
			second.CreateAttr("ID", "_second")
			response.AddChild(second)
		})},
		hostileCase{name: "an encrypted assertion beside the signed one", stop: "shape", login: after(func(response *etree.Element) {
			response.CreateElement("saml:EncryptedAssertion").CreateAttr("xmlns:saml", nsAssertion)
		})},
		hostileCase{name: "no assertion", stop: "shape", login: after(func(response *etree.Element) {
			response.RemoveChild(response.SelectElement("Assertion"))
		})},
		hostileCase{name: "assertion in Extensions only", stop: "shape", login: after(func(response *etree.Element) {
			assertion := response.SelectElement("Assertion")
			response.CreateElement("samlp:Extensions").AddChild(assertion)
		})},
		hostileCase{name: "duplicate ID elsewhere", stop: "xml", login: after(func(response *etree.Element) {
			id := response.SelectElement("Assertion").SelectAttrValue("ID", "")
			response.CreateElement("samlp:Extensions").CreateAttr("ID", id)
		})},
		hostileCase{name: "an assertion alone", stop: "response", login: after(func(response *etree.Element) {
			become := response.SelectElement("Assertion").Copy()
			response.Space, response.Tag, response.Attr, response.Child = become.Space, become.Tag, become.Attr, become.Child
		})},
		hostileCase{name: "two signatures in one place", stop: "shape", login: after(func(response *etree.Element) {
			assertion := response.SelectElement("Assertion")
			assertion.InsertChildAt(1, assertion.SelectElement("Signature").Copy())
		})},
		hostileCase{name: "a signature inside an attribute value", stop: "shape", login: after(func(response *etree.Element) {
			sig := response.FindElement("./Assertion/Signature").Copy()
			response.FindElement(".//AttributeValue").AddChild(sig)
		})},
	)
}

func syntaxCases() []hostileCase {
	nameID := ">alice</saml:NameID>"
	return []hostileCase{
		{name: "not base64", stop: "encoding", form: func(string) string { return "<xml>" }},
		{name: "empty", stop: "encoding", form: func(string) string { return "" }},
		{name: "base64 with spaces", stop: "encoding", form: func(s string) string { return strings.Replace(s, s[:8], s[:8]+" ", 1) }},
		{name: "loose base64", stop: "encoding", form: func(string) string { return "PGE+YR==" }},
		{name: "too large", stop: "encoding", form: func(string) string { return strings.Repeat("AAAA", maxSAMLBytes) }},
		{name: "too large by a little", stop: "xml", form: func(string) string {
			return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(" "), maxSAMLBytes+1))
		}},
		{name: "no XML", stop: "xml", login: bytesEdit(func([]byte) []byte { return []byte("hello") })},
		{name: "HTML", stop: "xml", login: bytesEdit(func([]byte) []byte { return []byte("<html><br></html>") })},
		{name: "comment in the NameID", stop: "xml", login: replace(nameID, ">alice<!-- -->@example.com</saml:NameID>")},
		{name: "comment before the root", stop: "xml", login: bytesEdit(func(b []byte) []byte { return append([]byte("<!-- x -->"), b...) })},
		{name: "processing instruction in the NameID", stop: "xml", login: replace(nameID, ">alice<?x y?></saml:NameID>")},
		{name: "DOCTYPE", stop: "xml", login: bytesEdit(func(b []byte) []byte { return append([]byte("<!DOCTYPE foo>"), b...) })},
		{name: "entity bomb", stop: "xml", login: bytesEdit(func(b []byte) []byte {
			return append([]byte(`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>`), b...)
		})},
		{name: "undefined entity", stop: "xml", login: replace(nameID, ">&alice;</saml:NameID>")},
		{name: "other encoding declared", stop: "xml", login: bytesEdit(func(b []byte) []byte {
			return append([]byte(`<?xml version="1.0" encoding="UTF-16"?>`), b...)
		})},
		{name: "broken UTF-8", stop: "xml", login: replace(nameID, ">al\xffice</saml:NameID>")},
		{name: "NUL character", stop: "xml", login: replace(nameID, ">al&#0;ice</saml:NameID>")},
		{name: "text after the root", stop: "xml", login: bytesEdit(func(b []byte) []byte { return append(b, "evil"...) })},
		{name: "second root", stop: "xml", login: bytesEdit(func(b []byte) []byte { return append(b, b...) })},
		{name: "cut off", stop: "xml", login: bytesEdit(func(b []byte) []byte { return b[:len(b)/2] })},
		{name: "crossed elements", stop: "xml", login: replace("</saml:Subject>", "</saml:Conditions>")},
		{name: "undeclared prefix", stop: "xml", login: replace("<saml:Subject>", "<saml:Subject evil:a='1'>")},
		{name: "attribute twice", stop: "xml", login: replace("<saml:Subject>", "<saml:Subject a='1' a='2'>")},
		{name: "attribute twice by namespace", stop: "xml", login: replace("<saml:Subject>", `<saml:Subject xmlns:p="u:" xmlns:q="u:" p:a="1" q:a="2">`)},
		{name: "xml prefix bound anew", stop: "xml", login: replace("<saml:Subject>", `<saml:Subject xmlns:xml="u:">`)},
		{name: "name that starts with a colon", stop: "xml", login: replace("<saml:Subject>", `<saml:Subject><:a></:a>`)},
		{name: "depth bomb", stop: "xml", login: bytesEdit(func([]byte) []byte { return []byte(strings.Repeat("<a>", 60_000)) })},
		{name: "namespace depth bomb", stop: "xml", login: bytesEdit(func([]byte) []byte {
			var b strings.Builder
			for i := range 30 {
				b.WriteString("<a")
				for j := range 60 {
					fmt.Fprintf(&b, " xmlns:p%d_%d='u'", i, j)
				}
				b.WriteString(">")
			}
			return []byte(b.String())
		})},
		{name: "too many namespaces in scope", stop: "xml", login: replace("<saml:Subject>", "<a"+manyNamespaces(40)+"><b"+manyNamespaces(40)+"/></a><saml:Subject>")},
		{name: "sibling flood", stop: "xml", login: replace("<saml:Subject>", strings.Repeat("<a/>", 30_000)+"<saml:Subject>")},
		{name: "attribute flood", stop: "xml", login: replace("<saml:Subject>", "<saml:Subject "+manyAttributes(2000)+">")},
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d='1'", i)
	}
	return b.String()
}

func signatureCases() []hostileCase {
	weak := ssotest.NewSigner(1024, now.AddDate(1, 0, 0))
	other := ssotest.OtherSigner()
	set := func(path, attribute, value string) func(*ssotest.Login) {
		return after(func(response *etree.Element) { response.FindElement(path).CreateAttr(attribute, value) })
	}
	const info = "./Assertion/Signature/SignedInfo"
	return []hostileCase{
		{name: "unsigned", stop: "signed", login: func(l *ssotest.Login) { l.Sign = ssotest.SignNothing }},
		{name: "signatures taken off", stop: "signed", login: after(func(response *etree.Element) {
			assertion := response.SelectElement("Assertion")
			assertion.RemoveChild(assertion.SelectElement("Signature"))
		})},
		{name: "response unsigned where wanted", stop: "signed", party: func(p *Party) { p.WantResponseSigned = true }},
		{name: "another key, certificate brought along", stop: "assertion.signature", login: func(l *ssotest.Login) { l.Signer = other }},
		{name: "another key, our certificate in KeyInfo", stop: "assertion.signature", login: func(l *ssotest.Login) {
			l.Signer = ssotest.Signer{Key: other.Key, Cert: ssotest.NewIDP().Signer.Cert}
		}},
		{name: "another key, no KeyInfo", stop: "assertion.signature", login: func(l *ssotest.Login) { l.Signer = other; l.NoKeyInfo = true }},
		{name: "response signed by another key", stop: "response.signature", login: func(l *ssotest.Login) { l.Signer = other; l.Sign = ssotest.SignResponse }},
		{name: "good assertion in a response signed by another key", stop: "response.signature", login: after(func(response *etree.Element) {
			ssotest.SignElement(response, other, crypto.SHA256)
		})},
		{name: "no certificates", stop: "certificates", party: func(p *Party) { p.Certificates = nil }},
		{name: "RSA 1024", stop: "certificates", login: func(l *ssotest.Login) { l.Signer = weak }, party: func(p *Party) { p.Certificates = [][]byte{weak.Cert.Raw} }},
		{name: "sha1", stop: "assertion.signature.form", login: func(l *ssotest.Login) { l.Hash = crypto.SHA1 }},
		{name: "sha1 after its end", stop: "response.signature.form", login: func(l *ssotest.Login) { l.Hash, l.Sign = crypto.SHA1, ssotest.SignResponse },
			party: func(p *Party) { p.AllowSHA1Until = now.Add(-time.Second) }},
		{name: "HMAC", stop: "assertion.signature.form", login: set(info+"/SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")},
		{name: "unknown digest", stop: "assertion.signature.form", login: set(info+"/Reference/DigestMethod", "Algorithm", "urn:x")},
		{name: "inclusive canonicalization", stop: "assertion.signature.form", login: set(info+"/CanonicalizationMethod", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")},
		{name: "canonicalization with comments", stop: "assertion.signature.form", login: set(info+"/CanonicalizationMethod", "Algorithm", algExcC14N+"WithComments")},
		{name: "XSLT transform", stop: "assertion.signature.form", login: set(info+"/Reference/Transforms/Transform[2]", "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")},
		{name: "whole document referenced", stop: "assertion.signature.form", login: set(info+"/Reference", "URI", "")},
		{name: "another element referenced", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement(info+"/Reference").CreateAttr("URI", "#"+response.SelectAttrValue("ID", ""))
		})},
		{name: "two references", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			el := response.FindElement(info)
			el.AddChild(el.SelectElement("Reference").Copy())
		})},
		{name: "Object in the signature", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			response.FindElement("./Assertion/Signature").CreateElement("ds:Object")
		})},
		{name: "two SignedInfo", stop: "assertion.signature.form", login: after(func(response *etree.Element) {
			el := response.FindElement("./Assertion/Signature")
			el.AddChild(el.SelectElement("SignedInfo").Copy())
		})},
		{name: "empty signature value", stop: "assertion.signature", login: after(func(response *etree.Element) {
			response.FindElement("./Assertion/Signature/SignatureValue").SetText("")
		})},
		{name: "name changed after signing", stop: "assertion.signature", login: after(func(response *etree.Element) {
			response.FindElement("./Assertion/Subject/NameID").SetText(ssotest.Evil)
		})},
		{name: "attribute changed under a signed response", stop: "response.signature", login: func(l *ssotest.Login) {
			l.Sign = ssotest.SignResponse
			l.Signed = func(response *etree.Element) { response.FindElement(".//AttributeValue").SetText("admins") }
		}},
		{name: "status changed under a signed response", stop: "response.signature", login: func(l *ssotest.Login) {
			l.Sign = ssotest.SignResponse
			l.Signed = func(response *etree.Element) { response.CreateAttr("InResponseTo", "_other") }
		}},
	}
}

func decryptionCases() []hostileCase {
	gcm, cbc := enc11+"aes256-gcm", enc+"aes128-cbc"
	short := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:min(n, len(b))] } }
	cases := []hostileCase{
		{name: "CBC without a signed response", stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Content: cbc})},
		{name: "RSA 1.5", stop: "decryption", login: sealed(ssotest.SignBoth, ssotest.Encryption{Content: gcm, Key: enc + "rsa-1_5"})},
		{name: "3DES", stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Content: gcm}), form: rewrite(gcm, enc+"tripledes-cbc")},
		{name: "unknown OAEP digest", stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Content: gcm, Digest: enc + "ripemd160"})},
		{name: "other OAEP digest than used", stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Content: gcm, Digest: enc + "sha256"}), form: rewrite(`sha256"/></xenc:EncryptionMethod>`, `sha512"/></xenc:EncryptionMethod>`)},
		{name: "for another service provider", stop: "decryption", login: func(l *ssotest.Login) {
			l.Encrypt = &ssotest.Encryption{To: &ssotest.OtherSigner().Key.PublicKey}
		}},
		{name: "we have no key", stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{}), party: func(p *Party) { p.DecryptKeys = nil }},
		{name: "ciphertext changed", stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Content: gcm, Cipher: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }})},
		{name: "padding byte zero", stop: "decryption", login: sealed(ssotest.SignResponse, ssotest.Encryption{Content: cbc, Cipher: func(b []byte) []byte { return b[:32] }})},
		{name: "plaintext of spaces", stop: "decryption.content", login: sealed(ssotest.SignResponse, ssotest.Encryption{Content: cbc, Plain: func([]byte) []byte { return bytes.Repeat([]byte(" "), 64) }})},
		{name: "plaintext is not XML", stop: "decryption.content", login: sealed(ssotest.SignBoth, ssotest.Encryption{Plain: func([]byte) []byte { return []byte("<a") }})},
		{name: "plaintext is another element", stop: "decryption.content", login: sealed(ssotest.SignBoth, ssotest.Encryption{Plain: func([]byte) []byte { return []byte("<a/>") }})},
		{name: "comment in the plaintext", stop: "decryption.content", login: sealed(ssotest.SignBoth, ssotest.Encryption{Plain: func(b []byte) []byte {
			return bytes.Replace(b, []byte(">alice<"), []byte(">alice<!---->.evil<"), 1)
		}})},
		{name: "wrapped assertion in the plaintext", stop: "decryption.content", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Plain: func(b []byte) []byte {
			return bytes.Replace(b, []byte("</saml:Subject>"), append(append([]byte("<saml:Advice>"), bytes.Replace(b, []byte(`ID="`), []byte(`ID="_x`), 1)...), "</saml:Advice></saml:Subject>"...), 1)
		}})},
		{name: "unsigned inside, unsigned outside", stop: "signed", login: sealed(ssotest.SignNothing, ssotest.Encryption{})},
		{name: "signed by another key inside", stop: "assertion.signature", login: func(l *ssotest.Login) {
			l.Signer = ssotest.OtherSigner()
			l.Encrypt = &ssotest.Encryption{To: &spKey.Key.PublicKey}
		}},
		{name: "no EncryptedKey", stop: "decryption", login: func(l *ssotest.Login) {
			sealed(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Signed = func(response *etree.Element) {
				info := response.FindElement(".//KeyInfo")
				info.RemoveChild(info.SelectElement("EncryptedKey"))
			}
		}},
		{name: "CipherReference", stop: "decryption", login: func(l *ssotest.Login) {
			sealed(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Signed = func(response *etree.Element) {
				for _, data := range response.FindElements(".//CipherData") {
					data.RemoveChild(data.SelectElement("CipherValue"))
					data.CreateElement("xenc:CipherReference").CreateAttr("URI", "http://127.0.0.1/")
				}
			}
		}},
		{name: "the right key after many wrong ones", stop: "decryption", login: func(l *ssotest.Login) {
			sealed(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Signed = func(response *etree.Element) {
				info := response.FindElement(".//KeyInfo")
				for i := range 20 {
					key := info.SelectElement("EncryptedKey").Copy()
					key.CreateAttr("Id", fmt.Sprint("_k", i))
					key.FindElement(".//CipherValue").SetText("AAAA")
					info.InsertChildAt(0, key)
				}
			}
		}},
		{name: "one ID inside and outside", stop: "decryption.content", login: func(l *ssotest.Login) {
			sealed(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Assertion = func(a *crewjam.Assertion) { a.ID = "_same" }
			l.Response = func(r *crewjam.Response) { r.ID = "_same" }
		}},
	}
	for _, n := range []int{0, 1, 11, 12, 15, 16, 17, 27, 28, 31, 33} {
		cases = append(cases,
			hostileCase{name: fmt.Sprintf("GCM cut to %d bytes", n), stop: "decryption", login: sealed(ssotest.SignAssertion, ssotest.Encryption{Content: gcm, Cipher: short(n)})},
			hostileCase{name: fmt.Sprintf("CBC cut to %d bytes", n), stop: "decryption", login: sealed(ssotest.SignResponse, ssotest.Encryption{Content: cbc, Cipher: short(n)})})
	}
	return cases
}

// rewrite replaces text in the base64 form, for what must differ from how it was made.
func rewrite(old, new string) func(string) string {
	return func(form string) string {
		b, err := base64.StdEncoding.DecodeString(form)
		if err != nil || !bytes.Contains(b, []byte(old)) {
			panic(fmt.Sprintf("%v; or no %s in\n%s", err, old, b))
		}
		return base64.StdEncoding.EncodeToString(bytes.Replace(b, []byte(old), []byte(new), 1))
	}
}

func responseCases() []hostileCase {
	return []hostileCase{
		{name: "access refused there", stop: "status", login: func(l *ssotest.Login) {
			l.Sign = ssotest.SignNothing
			l.Response = func(r *crewjam.Response) {
				r.Status.StatusCode = crewjam.StatusCode{Value: crewjam.StatusResponder, StatusCode: &crewjam.StatusCode{Value: crewjam.StatusAuthnFailed}}
			}
			l.Signed = func(response *etree.Element) { response.RemoveChild(response.SelectElement("Assertion")) }
		}},
		{name: "failure with a good assertion", stop: "status", login: func(l *ssotest.Login) {
			l.Response = func(r *crewjam.Response) { r.Status.StatusCode.Value = crewjam.StatusRequester }
		}},
		{name: "no status", stop: "status", login: after(func(response *etree.Element) { response.RemoveChild(response.SelectElement("Status")) })},
		{name: "response version", stop: "response.version", login: responseEdit(func(r *crewjam.Response) { r.Version = "1.1" })},
		{name: "response of another issuer", stop: "response.issuer", login: responseEdit(func(r *crewjam.Response) { r.Issuer.Value = "https://evil.example" })},
		{name: "signed response without issuer", stop: "response.issuer", login: responseEdit(func(r *crewjam.Response) { r.Issuer = nil })},
		{name: "destination elsewhere", stop: "response.destination", login: responseEdit(func(r *crewjam.Response) { r.Destination = "https://other.example/acs" })},
		{name: "destination elsewhere, unsigned response", stop: "response.destination", login: func(l *ssotest.Login) {
			l.Response = func(r *crewjam.Response) { r.Destination = testEntity }
		}},
		{name: "signed response without destination", stop: "response.destination", login: responseEdit(func(r *crewjam.Response) { r.Destination = "" })},
		{name: "answer to another request", stop: "response.in_response_to", login: func(l *ssotest.Login) { l.InResponseTo = "_other" }},
		{name: "unsolicited", stop: "response.in_response_to", login: func(l *ssotest.Login) { l.InResponseTo = "" }, expect: func(e *Expect) { e.RequestID = "" }},
		{name: "unsolicited though we asked", stop: "response.in_response_to", login: func(l *ssotest.Login) { l.InResponseTo = "" },
			party: func(p *Party) { p.AllowUnsolicited = true }},
		{name: "stolen answer posted as unsolicited", stop: "response.in_response_to", expect: func(e *Expect) { e.RequestID = "" },
			party: func(p *Party) { p.AllowUnsolicited = true }},
		{name: "stolen answer, InResponseTo taken off the envelope", stop: "subject.confirmation", expect: func(e *Expect) { e.RequestID = "" },
			login: after(func(response *etree.Element) { response.RemoveAttr("InResponseTo") }), party: func(p *Party) { p.AllowUnsolicited = true }},
		{name: "unsolicited and old", stop: "assertion.issued", expect: func(e *Expect) { e.RequestID = "" },
			login: func(l *ssotest.Login) {
				l.InResponseTo, l.Assertion = "", func(a *crewjam.Assertion) { a.IssueInstant = now.Add(-10 * time.Minute) }
			},
			party: func(p *Party) { p.AllowUnsolicited = true }},
	}
}

func assertionCases() []hostileCase {
	confirmation := func(f func(*crewjam.SubjectConfirmation)) func(*ssotest.Login) {
		return assertionEdit(func(a *crewjam.Assertion) { f(&a.Subject.SubjectConfirmations[0]) })
	}
	data := func(f func(*crewjam.SubjectConfirmationData)) func(*ssotest.Login) {
		return confirmation(func(c *crewjam.SubjectConfirmation) { f(c.SubjectConfirmationData) })
	}
	unsealed := func(path, attribute string) func(*ssotest.Login) {
		return func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) { assertion.FindElement(path).RemoveAttr(attribute) }
		}
	}
	return []hostileCase{
		{name: "assertion version", stop: "assertion.version", login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) { assertion.CreateAttr("Version", "1.1") }
		}},
		{name: "assertion of another issuer", stop: "assertion.issuer", login: assertionEdit(func(a *crewjam.Assertion) { a.Issuer.Value = "https://evil.example" })},
		{name: "assertion without issuer", stop: "assertion.issuer", login: assertionEdit(func(a *crewjam.Assertion) { a.Issuer.Value = "" })},
		{name: "issued in the future", stop: "assertion.issued", login: assertionEdit(func(a *crewjam.Assertion) { a.IssueInstant = now.Add(time.Hour) })},
		{name: "no subject", stop: "subject", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject = nil })},
		{name: "no NameID", stop: "subject", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject.NameID = nil })},
		{name: "empty NameID", stop: "subject", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject.NameID.Value = "  " })},
		{name: "transient NameID", stop: "subject", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject.NameID.Format = FormatTransient })},
		{name: "endless NameID", stop: "subject", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject.NameID.Value = strings.Repeat("x", 2000) })},
		{name: "elements in the NameID", stop: "assertion", login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) {
				assertion.FindElement("./Subject/NameID").CreateElement("saml:b").SetText("@evil")
			}
		}},
		{name: "two subjects", stop: "assertion", login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) { assertion.AddChild(assertion.SelectElement("Subject").Copy()) }
		}},
		{name: "a time that is none", stop: "assertion", login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) {
				assertion.SelectElement("Conditions").CreateAttr("NotOnOrAfter", "tomorrow")
			}
		}},
		{name: "no confirmation", stop: "subject.confirmation", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject.SubjectConfirmations = nil })},
		{name: "confirmation without data", stop: "subject.confirmation", login: confirmation(func(c *crewjam.SubjectConfirmation) { c.SubjectConfirmationData = nil })},
		{name: "holder of key", stop: "subject.confirmation", login: confirmation(func(c *crewjam.SubjectConfirmation) { c.Method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key" })},
		{name: "sender vouches", stop: "subject.confirmation", login: confirmation(func(c *crewjam.SubjectConfirmation) { c.Method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches" })},
		{name: "another recipient", stop: "subject.confirmation", login: data(func(d *crewjam.SubjectConfirmationData) { d.Recipient = testACS + "/" })},
		{name: "no recipient", stop: "subject.confirmation", login: unsealed("./Subject/SubjectConfirmation/SubjectConfirmationData", "Recipient")},
		{name: "confirmation for another request", stop: "subject.confirmation", login: data(func(d *crewjam.SubjectConfirmationData) { d.InResponseTo = "_other" })},
		{name: "confirmation without request", stop: "subject.confirmation", login: data(func(d *crewjam.SubjectConfirmationData) { d.InResponseTo = "" })},
		{name: "confirmation over", stop: "subject.confirmation", login: data(func(d *crewjam.SubjectConfirmationData) { d.NotOnOrAfter = now.Add(-time.Minute) })},
		{name: "confirmation without end", stop: "subject.confirmation", login: unsealed("./Subject/SubjectConfirmation/SubjectConfirmationData", "NotOnOrAfter")},
		{name: "confirmation not yet", stop: "subject.confirmation", login: data(func(d *crewjam.SubjectConfirmationData) { d.NotBefore = now.Add(time.Hour) })},
		{name: "no conditions", stop: "conditions", login: assertionEdit(func(a *crewjam.Assertion) { a.Conditions = nil })},
		{name: "unknown condition", stop: "conditions", login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) {
				assertion.SelectElement("Conditions").CreateElement("saml:Condition")
			}
		}},
		{name: "no audience", stop: "conditions.audience", login: assertionEdit(func(a *crewjam.Assertion) { a.Conditions.AudienceRestrictions = nil })},
		{name: "another audience", stop: "conditions.audience", login: func(l *ssotest.Login) { l.Audience = "https://muster.example/sso/saml/c2" }},
		{name: "two restrictions, one of another", stop: "conditions.audience", login: assertionEdit(func(a *crewjam.Assertion) {
			a.Conditions.AudienceRestrictions = append(a.Conditions.AudienceRestrictions, crewjam.AudienceRestriction{Audience: crewjam.Audience{Value: "https://another.example"}})
		})},
		{name: "early", stop: "conditions.not_before", login: assertionEdit(func(a *crewjam.Assertion) { a.Conditions.NotBefore = now.Add(time.Hour) })},
		{name: "late", stop: "conditions.not_on_or_after", login: assertionEdit(func(a *crewjam.Assertion) { a.Conditions.NotOnOrAfter = now.Add(-time.Minute) })},
		{name: "everything late", stop: "subject.confirmation", login: func(l *ssotest.Login) { l.Now = now.Add(-time.Hour) }},
		{name: "no authentication statement", stop: "authentication", login: assertionEdit(func(a *crewjam.Assertion) { a.AuthnStatements = nil })},
		{name: "authenticated in the future", stop: "authentication", login: assertionEdit(func(a *crewjam.Assertion) { a.AuthnStatements[0].AuthnInstant = now.Add(time.Hour) })},
		{name: "session over", stop: "authentication.session", login: assertionEdit(func(a *crewjam.Assertion) {
			over := now.Add(-time.Hour)
			a.AuthnStatements[0].SessionNotOnOrAfter = &over
		})},
		{name: "no subject attribute of Entra, transient NameID", stop: "subject", login: assertionEdit(func(a *crewjam.Assertion) { a.Subject.NameID.Format = FormatTransient }),
			party: func(p *Party) { p.Attributes = AttributesFor("entra") }},
	}
}

// run makes the response of a case and what it is checked against.
func (c hostileCase) run() (Party, string, Expect) {
	idp := ssotest.NewIDP()
	l, p, expect := login(), party(idp), Expect{RequestID: testRequest, Now: now}
	if c.login != nil {
		c.login(&l)
	}
	if c.party != nil {
		c.party(&p)
	}
	if c.expect != nil {
		c.expect(&expect)
	}
	form := idp.Respond(l)
	if c.form != nil {
		form = c.form(form)
	}
	return p, form, expect
}

func TestHostileResponses(t *testing.T) {
	t.Parallel()
	for _, c := range hostileCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, form, expect := c.run()
			profile, _, trace, err := CheckResponse(p, Form{form}, expect)
			ssotest.InGerman(t, trace)
			refused(t, c.stop, profile, trace, err)
		})
	}
}
