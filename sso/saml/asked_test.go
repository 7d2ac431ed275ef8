package saml

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
)

const (
	classPassword = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport" // what the test provider says
	classMFA      = "https://refeds.org/profile/mfa"
)

func sealedID(sign ssotest.Sign, e ssotest.Encryption) func(*ssotest.Login) {
	return func(l *ssotest.Login) {
		e.To = &spKey.Key.PublicKey
		l.Sign, l.EncryptID = sign, &e
	}
}

func statement(f func(*crewjam.AuthnStatement)) func(*ssotest.Login) {
	return assertionEdit(func(a *crewjam.Assertion) { f(&a.AuthnStatements[0]) })
}

func conditions(names ...string) func(*ssotest.Login) {
	return func(l *ssotest.Login) {
		l.Tree = func(_, assertion *etree.Element) {
			for _, name := range names {
				name, count, counted := strings.Cut(name, " ")
				el := assertion.SelectElement("Conditions").CreateElement("saml:" + name)
				if counted {
					el.CreateAttr("Count", count)
				}
			}
		}
	}
}

func fresh(e *Expect) { e.Fresh, e.AskedAt = true, now }

func asked(c Contexts) func(*Expect) { return func(e *Expect) { e.Contexts = c } }

func both(p *Party) { p.WantResponseSigned, p.WantAssertionSigned = true, true }

func unasked(l *ssotest.Login) { l.InResponseTo = "" }

// askedCases are about what the connection or the request demands. stop is empty
// for what must be accepted.
func askedCases() []hostileCase {
	old := ssotest.NewSigner(2048, now.AddDate(-1, 0, 0))
	signedByOld := func(l *ssotest.Login) { l.Signer = old }
	trustsOld := func(strict bool, more ...[]byte) func(*Party) {
		return func(p *Party) { p.Certificates, p.StrictCertificates = append(more, old.Cert.Raw), strict }
	}
	sign := func(s ssotest.Sign) func(*ssotest.Login) { return func(l *ssotest.Login) { l.Sign = s } }
	later := func(d time.Duration) func(*ssotest.Login) {
		return statement(func(s *crewjam.AuthnStatement) { s.AuthnInstant = now.Add(d) })
	}
	alone := func(e *Expect) { e.RequestID = "" }
	open := func(p *Party) { p.AllowUnsolicited = true }
	return []hostileCase{
		{name: "both wanted, both signed", login: sign(ssotest.SignBoth), party: both},
		{name: "both wanted, the response signed", stop: "signed", login: sign(ssotest.SignResponse), party: both},
		{name: "both wanted, the assertion signed", stop: "signed", login: sign(ssotest.SignAssertion), party: both},
		{name: "assertion wanted, the response signed", stop: "signed", login: sign(ssotest.SignResponse), party: func(p *Party) { p.WantAssertionSigned = true }},
		{name: "assertion wanted and signed", login: sign(ssotest.SignAssertion), party: func(p *Party) { p.WantAssertionSigned = true }},
		{name: "encrypted as wanted", login: sealed(ssotest.SignAssertion, ssotest.Encryption{}), party: func(p *Party) { p.WantEncrypted = true }},
		{name: "plain where encryption is wanted", stop: "encrypted", party: func(p *Party) { p.WantEncrypted = true }},

		{name: "expired certificate, as it comes", login: signedByOld, party: trustsOld(false)},
		{name: "expired certificate, strict", stop: "certificates", login: signedByOld, party: trustsOld(true)},
		{name: "expired certificate beside a valid one, strict", stop: "assertion.signature", login: signedByOld, party: trustsOld(true, ssotest.OtherSigner().Cert.Raw)},
		{name: "certificate of tomorrow, strict", stop: "certificates", party: func(p *Party) { p.StrictCertificates = true },
			expect: func(e *Expect) { e.Now = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{name: "valid certificate, strict", party: func(p *Party) { p.StrictCertificates = true }},

		{name: "encrypted NameID", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{})},
		{name: "encrypted NameID, response signed", login: sealedID(ssotest.SignResponse, ssotest.Encryption{Content: enc11 + "aes256-gcm"})},
		{name: "encrypted NameID by CBC inside what is signed", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Content: enc + "aes256-cbc"})},
		{name: "encrypted NameID, key beside it", login: sealedID(ssotest.SignBoth, ssotest.Encryption{Beside: true})},
		{name: "encrypted NameID in an encrypted assertion", login: func(l *ssotest.Login) {
			sealed(ssotest.SignAssertion, ssotest.Encryption{})(l)
			sealedID(ssotest.SignAssertion, ssotest.Encryption{})(l)
		}},
		{name: "encrypted NameID for somebody else", stop: "decryption.name_id", login: func(l *ssotest.Login) {
			l.EncryptID = &ssotest.Encryption{To: &ssotest.OtherSigner().Key.PublicKey}
		}},
		{name: "encrypted NameID with RSA 1.5", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Key: enc + "rsa-1_5"})},
		{name: "encrypted NameID with 3DES", stop: "decryption.name_id", login: func(l *ssotest.Login) {
			sealedID(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Tree = nil
			l.EncryptID.Content = enc + "tripledes-cbc"
		}},
		{name: "encrypted NameID cut short", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Cipher: func(b []byte) []byte { return b[:5] }})},
		{name: "encrypted NameID changed", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Cipher: func(b []byte) []byte { b[20] ^= 1; return b }})},
		{name: "encrypted NameID changed after it was signed", stop: "assertion.signature", login: func(l *ssotest.Login) {
			sealedID(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Signed = func(response *etree.Element) {
				value := response.FindElement(".//EncryptedID/EncryptedData/CipherData/CipherValue")
				value.SetText("AAAA" + value.Text()[4:])
			}
		}},
		{name: "an assertion in the EncryptedID", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Plain: func([]byte) []byte {
			return []byte(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_x">admin</saml:Assertion>`)
		}})},
		{name: "elements in the NameID", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Plain: func([]byte) []byte {
			return []byte(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">ad<b/>min</saml:NameID>`)
		}})},
		{name: "a comment in the NameID", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Plain: func([]byte) []byte {
			return []byte(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">admin<!-- -->.evil</saml:NameID>`)
		}})},
		{name: "nothing in the EncryptedID", stop: "decryption.name_id", login: sealedID(ssotest.SignAssertion, ssotest.Encryption{Plain: func([]byte) []byte { return nil }})},
		{name: "a NameID beside the EncryptedID", stop: "assertion", login: func(l *ssotest.Login) {
			sealedID(ssotest.SignAssertion, ssotest.Encryption{})(l)
			l.Assertion = nil
			l.Sign = ssotest.SignResponse
			l.Signed = nil
			l.Tree = func(_, assertion *etree.Element) {
				assertion.SelectElement("Subject").CreateElement("saml:EncryptedID")
			}
			l.EncryptID = nil
		}},

		{name: "OneTimeUse", login: conditions("OneTimeUse")},
		{name: "OneTimeUse twice", stop: "conditions.use", login: conditions("OneTimeUse", "OneTimeUse")},
		{name: "ProxyRestriction", login: conditions("ProxyRestriction 0")},
		{name: "ProxyRestriction twice", stop: "conditions.use", login: conditions("ProxyRestriction 0", "ProxyRestriction 2")},
		{name: "ProxyRestriction that is no number", stop: "conditions.use", login: conditions("ProxyRestriction -1")},

		{name: "a fresh sign-in as asked", login: later(time.Second), expect: fresh},
		{name: "fresh within the clocks' difference", login: later(-50 * time.Second), expect: fresh},
		{name: "an old sign-in where a fresh one was asked for", stop: "authentication.fresh", login: later(-5 * time.Minute), expect: fresh},
		{name: "no AuthnInstant where a fresh one was asked for", stop: "authentication.fresh", login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) {
				assertion.SelectElement("AuthnStatement").RemoveAttr("AuthnInstant")
			}
		}, expect: fresh},
		{name: "one fresh statement and one old one", stop: "authentication.fresh", login: assertionEdit(func(a *crewjam.Assertion) {
			a.AuthnStatements = append(a.AuthnStatements, a.AuthnStatements[0])
			a.AuthnStatements[1].AuthnInstant = now.Add(-time.Hour)
		}), expect: fresh},
		{name: "an old sign-in that nobody minds", login: later(-5 * time.Hour)},

		{name: "the context that was asked for", expect: asked(Contexts{Asked: []string{classMFA, classPassword}})},
		{name: "less than the context that was asked for", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA}})},
		{name: "less than a minimum", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMinimum})},
		{name: "the minimum itself", expect: asked(Contexts{Asked: []string{classPassword}, Comparison: ComparisonMinimum})},
		{name: "more than the minimum, on the list", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMinimum, Also: []string{classPassword}})},
		{name: "no better than what was asked for", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classPassword}, Comparison: ComparisonBetter, Also: []string{classMFA}})},
		{name: "better, on the list", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonBetter, Also: []string{classPassword}})},
		{name: "more than the minimum, by the order", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMinimum, Order: []string{classMFA, classPassword}})},
		{name: "less than the minimum, by the order", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMinimum, Order: []string{classPassword, classMFA}})},
		{name: "an order that does not have the answer", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMinimum, Order: []string{classMFA}})},
		{name: "better, by the order", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonBetter, Order: []string{classMFA, classPassword}})},
		{name: "better than one of two", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA, "urn:strongest"}, Comparison: ComparisonBetter, Order: []string{classMFA, classPassword, "urn:strongest"}})},
		{name: "below the maximum, by the order", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMaximum, Order: []string{classPassword, classMFA}})},
		{name: "above the maximum", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA}, Comparison: ComparisonMaximum, Order: []string{classMFA, classPassword}})},
		{name: "an order says nothing of what was asked for exactly", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classMFA}, Order: []string{classMFA, classPassword}})},
		{name: "no context where one was asked for", stop: "authentication.context", expect: asked(Contexts{Asked: []string{classPassword}}), login: func(l *ssotest.Login) {
			l.Tree = func(_, assertion *etree.Element) {
				statement := assertion.SelectElement("AuthnStatement")
				statement.RemoveChild(statement.SelectElement("AuthnContext"))
			}
		}},

		{name: "unsolicited and allowed", login: unasked, party: open, expect: alone},
		{name: "unsolicited and not allowed", stop: "response.in_response_to", login: unasked, expect: alone},
		{name: "an answer to somebody's request as unsolicited", stop: "response.in_response_to", party: open, expect: alone},
		{name: "a confirmation for somebody's request as unsolicited", stop: "subject.confirmation", party: open, expect: alone, login: func(l *ssotest.Login) {
			l.Response = func(r *crewjam.Response) { r.InResponseTo = "" }
		}},
		{name: "unsolicited where a request is pending", stop: "response.in_response_to", login: unasked, party: open},
		{name: "unsolicited and six minutes and a half old", stop: "assertion.issued", party: open, expect: alone, login: func(l *ssotest.Login) {
			unasked(l)
			l.Assertion = func(a *crewjam.Assertion) { a.IssueInstant = now.Add(-6*time.Minute - 30*time.Second) }
		}},
		{name: "unsolicited without an issue time", stop: "assertion.issued", party: open, expect: alone, login: func(l *ssotest.Login) {
			unasked(l)
			l.Tree = func(_, assertion *etree.Element) { assertion.RemoveAttr("IssueInstant") }
		}},
	}
}

func TestWhatIsAskedMustBeAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range askedCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, form, expect := c.run()
			profile, result, trace, err := CheckResponse(p, Form{form}, expect)
			ssotest.InGerman(t, trace)
			if c.stop != "" {
				refused(t, c.stop, profile, trace, err)
				return
			}
			if err != nil || profile.NameID.Value != "alice" || profile.NameID.Format != FormatPersistent {
				t.Errorf("%+v: %v\n%+v", profile.NameID, err, trace)
			}
			if want := strings.Contains(c.name, "encrypted as") || strings.Contains(c.name, "encrypted assertion"); result.Encrypted != want {
				t.Errorf("encrypted: %v, want %v", result.Encrypted, want)
			}
		})
	}
}

// The parts of a request stand in the schema's order, and both bindings say the same.
func TestRequestAsks(t *testing.T) {
	t.Parallel()
	r := request(BindingPOST)
	r.ForceAuthn, r.NameIDFormat = true, FormatTransient
	r.Contexts = Contexts{Asked: []string{classMFA, classPassword}, Comparison: ComparisonMinimum}
	r.Hint = Hint{Value: "ada+x@acme.example", AsSubject: true}
	out, err := NewAuthnRequest(party(ssotest.NewIDP()), r)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(out.Form.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	if err := xmlsec(t, raw, "AuthnRequest", spKey.Cert); err != nil {
		t.Error(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, child := range doc.Root().ChildElements() {
		order = append(order, child.Tag)
	}
	if got := strings.Join(order, " "); got != "Issuer Signature Subject NameIDPolicy RequestedAuthnContext" {
		t.Errorf("order: %s", got)
	}
	policy := doc.FindElement("//NameIDPolicy")
	context := doc.FindElement("//RequestedAuthnContext")
	classes := context.FindElements("./AuthnContextClassRef")
	if doc.Root().SelectAttrValue("ForceAuthn", "") != "true" || policy.SelectAttr("AllowCreate") != nil || context.SelectAttrValue("Comparison", "") != "minimum" ||
		len(classes) != 2 || classes[0].Text() != classMFA || doc.FindElement("//Subject/NameID").Text() != "ada+x@acme.example" {
		t.Errorf("%s", raw)
	}
	r = request(BindingPOST)
	r.NameIDFormat = ""
	el := r.element(party(ssotest.NewIDP()))
	for _, name := range []string{"Subject", "NameIDPolicy", "RequestedAuthnContext"} {
		if el.SelectElement(name) != nil {
			t.Errorf("%s without being asked for", name)
		}
	}
	if el.SelectAttr("ForceAuthn") != nil {
		t.Error("ForceAuthn without being asked for")
	}
}

// A hint beside the request is escaped, keeps the provider's own query, and is not signed.
func TestHintBesideTheRequest(t *testing.T) {
	t.Parallel()
	r := request(BindingRedirect)
	r.Hint = Hint{Value: "a&SAMLRequest=x@acme.example", Parameter: "login_hint"}
	out, err := NewAuthnRequest(party(ssotest.NewIDP()), r)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("login_hint") != r.Hint.Value || q.Get("idpid") != "C0 x/1" || len(q["SAMLRequest"]) != 1 || q.Get("RelayState") != r.RelayState {
		t.Errorf("%s", out.URL)
	}
	_, signed, _ := strings.Cut(out.URL, "&SAMLRequest=")
	if strings.Contains(signed, "login_hint") || strings.Contains(signed, "idpid") {
		t.Errorf("the hint is signed over: %s", out.URL)
	}
	r.Binding = BindingPOST
	if out, err = NewAuthnRequest(party(ssotest.NewIDP()), r); err != nil || out.URL != r.SSOURL+"&login_hint="+url.QueryEscape(r.Hint.Value) {
		t.Errorf("%s, %v", out.URL, err)
	}
	r.Hint.Value = ""
	if out, err = NewAuthnRequest(party(ssotest.NewIDP()), r); err != nil || out.URL != r.SSOURL {
		t.Errorf("%s, %v", out.URL, err)
	}
}
