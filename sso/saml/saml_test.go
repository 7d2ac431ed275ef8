package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
)

// now is when all the responses of these tests are made and read.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	testEntity  = "https://muster.example/sso/saml/c1"
	testACS     = "https://muster.example/sso/saml/c1/acs"
	testRequest = "_request1"
)

// spKey is our decryption key.
var spKey = ssotest.SPSigner()

// party is a connection to idp that has everything on.
func party(idp *ssotest.IDP) Party {
	return Party{
		EntityID: testEntity, ACS: testACS,
		IDPEntityID: idp.EntityID, Certificates: [][]byte{idp.Signer.Cert.Raw},
		DecryptKeys: []*rsa.PrivateKey{spKey.Key},
		Skew:        time.Minute,
		Attributes:  AttributesFor("custom"),
	}
}

// login is a sign-in of alice that nothing is wrong with.
func login() ssotest.Login {
	return ssotest.Login{
		ACS: testACS, Audience: testEntity, InResponseTo: testRequest, Now: now,
		Attributes: map[string][]string{
			"mail": {"alice@example.com"}, "givenName": {"Alice"}, "sn": {"Adams"}, "uid": {"alice"},
			"groups": {"staff", "admins"},
		},
	}
}

// A good case must be accepted, by us and by the two other verifiers.
type goodCase struct {
	name  string
	login func(*ssotest.Login)
	party func(*Party)
	want  func(*testing.T, answer.Profile, Result)
	crew  string // why crewjam/saml, the second opinion, can't follow; empty: it must accept too
}

func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("group-%04d", i))
	}
	return out
}

const (
	enc   = "http://www.w3.org/2001/04/xmlenc#"
	enc11 = "http://www.w3.org/2009/xmlenc11#"
)

func encrypted(content, key, digest, mask string) func(*ssotest.Login) {
	return func(l *ssotest.Login) {
		l.Encrypt = &ssotest.Encryption{To: &spKey.Key.PublicKey, Content: content, Key: key, Digest: digest, Mask: mask}
	}
}

func goodCases() []goodCase {
	expired := ssotest.NewSigner(2048, now.AddDate(-3, 0, 0))
	signedBy := func(want string) func(*testing.T, answer.Profile, Result) {
		return func(t *testing.T, _ answer.Profile, r Result) {
			if r.SignedBy != want {
				t.Errorf("signed by %q, want %q", r.SignedBy, want)
			}
		}
	}
	groups := func(n int) func(*testing.T, answer.Profile, Result) {
		return func(t *testing.T, p answer.Profile, _ Result) {
			if len(p.Groups) != n || !p.GroupsKnown {
				t.Errorf("%d groups, known %v; want %d", len(p.Groups), p.GroupsKnown, n)
			}
		}
	}
	isEncrypted := func(t *testing.T, _ answer.Profile, r Result) {
		if !r.Encrypted {
			t.Error("not marked as encrypted")
		}
	}
	opened := func(t *testing.T, p answer.Profile, _ Result) {
		if p.Email != "alice@example.com" || p.FamilyName != "Adams" || !slices.Equal(p.Groups, []string{"staff", "admins"}) || !p.GroupsKnown {
			t.Errorf("read %+v", p)
		}
	}
	return []goodCase{
		{name: "assertion signed", want: signedBy("assertion")},
		{name: "response signed", login: func(l *ssotest.Login) { l.Sign = ssotest.SignResponse }, want: signedBy("response")},
		{name: "both signed", login: func(l *ssotest.Login) { l.Sign = ssotest.SignBoth }, want: signedBy("both")},
		{name: "response signed as wanted", login: func(l *ssotest.Login) { l.Sign = ssotest.SignResponse }, party: func(p *Party) { p.WantResponseSigned = true }},
		{name: "sha384", login: func(l *ssotest.Login) { l.Hash = crypto.SHA384 }},
		{name: "sha512", login: func(l *ssotest.Login) { l.Hash = crypto.SHA512 }},
		{name: "sha1 while allowed", login: func(l *ssotest.Login) { l.Hash = crypto.SHA1 }, party: func(p *Party) { p.AllowSHA1Until = now.Add(time.Hour) }},
		{name: "ECDSA", login: func(l *ssotest.Login) { l.Sign, l.Signed = ssotest.SignNothing, signECDSA },
			party: func(p *Party) { p.Certificates = [][]byte{p.Certificates[0], ecdsaSigner().cert.Raw} },
			crew:  "takes ASN.1 only"},
		{name: "no KeyInfo", login: func(l *ssotest.Login) { l.NoKeyInfo = true }},
		{name: "KeyInfo with a name only, as Keycloak sends it", login: func(l *ssotest.Login) { l.Signed = keyInfo("<ds:KeyName>k1</ds:KeyName>") }},
		{name: "KeyInfo with a key value only", login: func(l *ssotest.Login) {
			l.Signed = keyInfo("<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>")
		}},
		{name: "no KeyInfo, second certificate", crew: "needs the certificate in KeyInfo", login: func(l *ssotest.Login) { l.NoKeyInfo = true; l.Sign = ssotest.SignBoth },
			party: func(p *Party) { p.Certificates = [][]byte{ssotest.OtherSigner().Cert.Raw, p.Certificates[0]} }},
		{name: "second certificate", party: func(p *Party) { p.Certificates = [][]byte{ssotest.OtherSigner().Cert.Raw, p.Certificates[0]} }},
		{name: "expired certificate", crew: "insists on certificate dates", login: func(l *ssotest.Login) { l.Signer = expired }, party: func(p *Party) { p.Certificates = [][]byte{expired.Cert.Raw} }},
		{name: "encrypted attributes", login: sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{}), want: opened},
		{name: "encrypted attributes by CBC, the response signed", login: sealedAttributes(ssotest.SignResponse, ssotest.Encryption{Content: enc + "aes256-cbc", Beside: true}), want: opened},
		{name: "encrypted attributes in an encrypted assertion", login: func(l *ssotest.Login) {
			sealed(ssotest.SignAssertion, ssotest.Encryption{})(l)
			sealedAttributes(ssotest.SignAssertion, ssotest.Encryption{})(l)
		}, want: opened},
		{name: "150 groups", login: func(l *ssotest.Login) { l.Attributes["groups"] = many(150) }, want: groups(150)},
		{name: "1500 groups, both signed", crew: "panics past 1,000 elements", login: func(l *ssotest.Login) { l.Attributes["groups"] = many(1500); l.Sign = ssotest.SignBoth }, want: groups(1500)},
		{name: "1500 groups, encrypted", crew: "panics past 1,000 elements", login: func(l *ssotest.Login) {
			l.Attributes["groups"] = many(1500)
			encrypted("", "", "", "")(l)
		}, want: groups(1500)},
		{name: "inherited namespaces", login: func(l *ssotest.Login) { l.Signed = inheritNamespaces }},
		{name: "pretty-printed signature", crew: "goxmldsig wants base64 without spaces", login: func(l *ssotest.Login) { l.Signed = wrapSignatureValue }},
		{name: "signatures at the end", login: func(l *ssotest.Login) { l.Sign, l.Signed = ssotest.SignResponse, signatureLast }},
		{name: "signatures at the end, both", login: func(l *ssotest.Login) {
			l.Sign, l.Signed = ssotest.SignBoth, signatureLast
			l.Attributes["groups"] = many(1500)
		}, crew: "panics past 1,000 elements"},
		{name: "byte order mark and XML declaration", login: func(l *ssotest.Login) {
			l.Bytes = func(b []byte) []byte {
				return append([]byte("\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), b...)
			}
		}},
		{name: "two audiences in one restriction", crew: "sees the last audience only", login: func(l *ssotest.Login) { l.Tree = secondAudience }},
		{name: "a holder-of-key confirmation beside the bearer one", crew: "wants every confirmation to fit", login: func(l *ssotest.Login) {
			l.Assertion = func(a *crewjam.Assertion) {
				a.Subject.SubjectConfirmations = append([]crewjam.SubjectConfirmation{{Method: "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}}, a.Subject.SubjectConfirmations...)
			}
		}},
		{name: "clocks a little apart", login: func(l *ssotest.Login) { l.Now = now.Add(30 * time.Second) }},
		{name: "slow person, conditions still hold", login: func(l *ssotest.Login) { l.Now = now.Add(-4 * time.Minute) }},
		{name: "unsolicited where allowed", login: func(l *ssotest.Login) { l.InResponseTo = "" }, party: func(p *Party) { p.AllowUnsolicited = true }},
		{name: "aes128-gcm", login: encrypted(enc11+"aes128-gcm", "", "", ""), want: isEncrypted},
		{name: "aes192-gcm", crew: "has no AES-192-GCM", login: encrypted(enc11+"aes192-gcm", "", "", ""), want: isEncrypted},
		{name: "aes256-gcm", crew: "has no AES-256-GCM", login: encrypted(enc11+"aes256-gcm", "", "http://www.w3.org/2000/09/xmldsig#sha1", ""), want: isEncrypted},
		{name: "oaep sha256, mask sha1", crew: "has no AES-256-GCM", login: encrypted(enc11+"aes256-gcm", enc+"rsa-oaep-mgf1p", enc+"sha256", "")},
		{name: "oaep sha256, mask sha256", crew: "has no AES-256-GCM", login: encrypted(enc11+"aes256-gcm", enc11+"rsa-oaep", enc+"sha256", enc11+"mgf1sha256")},
		{name: "oaep sha512", crew: "has no AES-256-GCM", login: encrypted(enc11+"aes256-gcm", enc11+"rsa-oaep", enc+"sha512", enc11+"mgf1sha512")},
		{name: "key beside the data", login: func(l *ssotest.Login) {
			encrypted("", "", "", "")(l)
			l.Encrypt.Beside = true
		}},
		{name: "second of our keys", crew: "has one key", login: encrypted("", "", "", ""), party: func(p *Party) {
			p.DecryptKeys = []*rsa.PrivateKey{ssotest.OtherSigner().Key, spKey.Key}
		}},
		{name: "aes128-cbc under a signed response", login: func(l *ssotest.Login) {
			encrypted(enc+"aes128-cbc", "", "", "")(l)
			l.Sign = ssotest.SignBoth
		}, want: isEncrypted},
		{name: "aes256-cbc, response signed only", login: func(l *ssotest.Login) {
			encrypted(enc+"aes256-cbc", "", "", "")(l)
			l.Sign = ssotest.SignResponse
		}, want: signedBy("response")},
	}
}

// inheritNamespaces moves the assertion's declarations up to the response.
func inheritNamespaces(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	for _, a := range slices.Clone(assertion.Attr) {
		if a.Space == "xmlns" {
			assertion.RemoveAttr("xmlns:" + a.Key)
			response.CreateAttr("xmlns:"+a.Key, a.Value)
		}
	}
}

// wrapSignatureValue breaks and indents the base64 as some providers print it.
func wrapSignatureValue(response *etree.Element) {
	value := response.FindElement("//SignatureValue")
	text := value.Text()
	value.SetText("\n    " + text[:64] + "\r\n\t" + text[64:] + "\n  ")
}

// signatureLast moves the response's signature behind the assertion, where the
// schema does not want it but some providers put it.
func signatureLast(response *etree.Element) {
	response.AddChild(response.SelectElement("Signature"))
}

// keyInfo puts something else into the signature's KeyInfo.
func keyInfo(text string) func(response *etree.Element) {
	return func(response *etree.Element) {
		doc := etree.NewDocument()
		if err := doc.ReadFromString(text); err != nil {
			panic(err)
		}
		info := response.FindElement("./Assertion/Signature/KeyInfo")
		info.RemoveChild(info.ChildElements()[0])
		info.AddChild(doc.Root())
	}
}

// ecdsaSigner is a key on P-256 and its certificate.
var ecdsaSigner = sync.OnceValue(func() (s struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}) {
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	if err != nil {
		panic(err)
	}
	if s.cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	return s
})

// signECDSA signs the assertion and writes the signature as XML Signature has
// it, two plain numbers.
func signECDSA(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	context, err := dsig.NewSigningContext(ecdsaSigner().key, [][]byte{ecdsaSigner().cert.Raw})
	if err != nil {
		panic(err)
	}
	context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	sig, err := context.ConstructSignature(assertion.Copy(), true)
	if err != nil {
		panic(err)
	}
	value := sig.SelectElement("SignatureValue")
	var numbers struct{ R, S *big.Int }
	der, err := base64.StdEncoding.DecodeString(value.Text())
	if err != nil {
		panic(err)
	}
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		panic(err)
	}
	plain := append(numbers.R.FillBytes(make([]byte, 32)), numbers.S.FillBytes(make([]byte, 32))...)
	value.SetText(base64.StdEncoding.EncodeToString(plain))
	assertion.InsertChildAt(1, sig)
}

// secondAudience puts another audience after ours.
func secondAudience(_, assertion *etree.Element) {
	restriction := assertion.FindElement("./Conditions/AudienceRestriction")
	el := restriction.SelectElement("Audience").Copy()
	el.SetText("https://another.example")
	restriction.AddChild(el)
}

// make builds the response of a case and what it is checked against.
func (c goodCase) make() (*ssotest.IDP, Party, string, Expect, ssotest.Login) {
	idp := ssotest.NewIDP()
	l, p := login(), party(idp)
	if c.login != nil {
		c.login(&l)
	}
	if c.party != nil {
		c.party(&p)
	}
	return idp, p, idp.Respond(l), Expect{RequestID: l.InResponseTo, Now: now}, l
}

func TestGoodResponses(t *testing.T) {
	t.Parallel()
	for _, c := range goodCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			idp, p, form, expect, _ := c.make()
			profile, result, trace, err := CheckResponse(p, Form{form}, expect)
			ssotest.InGerman(t, trace)
			if err != nil {
				t.Fatalf("refused: %v\n%s", err, show(trace))
			}
			if profile.Subject != "alice" || profile.SubjectKind != "nameid" || profile.Email != "alice@example.com" ||
				profile.GivenName != "Alice" || profile.FamilyName != "Adams" || profile.UserName != "alice" {
				t.Errorf("profile %+v", profile)
			}
			if result.AssertionID == "" || result.Issuer != idp.EntityID || result.Certificate == "" || !result.NotOnOrAfter.After(now) {
				t.Errorf("result %+v", result)
			}
			if c.want != nil {
				c.want(t, profile, result)
			}
		})
	}
}

// show writes a trace for a test's log.
func show(trace answer.Trace) string {
	var b strings.Builder
	for _, c := range trace {
		fmt.Fprintf(&b, "  %-28s ok=%-5v want %s; got %s\n", c.Name, c.OK, c.Expected, c.Got)
	}
	return b.String()
}

// refused fails unless the check named was the first to fail and the error is
// the kind and the sentence that may be shown.
func refused(t *testing.T, name string, profile answer.Profile, trace answer.Trace, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted as %+v, must be stopped by %q", profile, name)
	}
	if !fault.Is(err, fault.Invalid) || profile.Subject != "" {
		t.Errorf("err %v, profile %+v", err, profile)
	}
	failed, _ := trace.Failed()
	if failed.Name != name {
		t.Errorf("stopped by %q (%s), want %q\n%s", failed.Name, failed.Got, name, show(trace))
	}
}
