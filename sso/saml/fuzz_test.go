package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
)

// FuzzSAMLResponse mutates the corpus. The provider has only ever signed for
// alice, so nothing but alice may come out; nothing may panic; what is accepted
// reads the same to a plain XML parser and to crewjam, and xmlsec1 verifies it too.
func FuzzSAMLResponse(f *testing.F) {
	idp := ssotest.NewIDP()
	idp.EntityID = "https://idp.example/fuzz" // the same in every worker
	p := party(idp)
	expect := Expect{RequestID: testRequest, Now: now}
	add := func(change func(*ssotest.Login)) {
		l := login()
		if change != nil {
			change(&l)
		}
		if doc := idp.Document(l); len(doc) < 32<<10 { // large ones teach the fuzzer nothing
			f.Add(doc)
		}
	}
	for _, c := range goodCases() {
		add(c.login)
	}
	for _, c := range hostileCases() {
		add(c.login)
	}
	for _, c := range askedCases() {
		add(c.login)
	}
	for _, r := range recordedResponses(f) {
		doc, err := base64.StdEncoding.DecodeString(r.form)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		form := base64.StdEncoding.EncodeToString(doc)
		profile, result, trace, err := CheckResponse(p, Form{form}, expect)
		if scanned, err := scanXML(doc, nil, false); err == nil {
			sameTree(t, doc, scanned)
			sameAgain(t, scanned.root)
			// What comes after the signatures must stand anything too: any tenant
			// may run an identity provider that signs it.
			unverified(p, expect, scanned)
		}
		if err != nil {
			if _, failed := trace.Failed(); !failed || !fault.Is(err, fault.Invalid) {
				t.Fatalf("refused without a reason: %v\n%s", err, show(trace))
			}
			return
		}
		if profile.Subject != "alice" {
			t.Fatalf("%q signed in with\n%s", profile.Subject, doc)
		}
		if subject, err := byCrewjam(idp, p, form, expect); err == nil && subject != profile.Subject {
			t.Fatalf("crewjam reads %q, we %q in\n%s", subject, profile.Subject, doc)
		}
		if err := xmlsecAgrees(t, p, result, doc); err != nil && !unread(err) {
			t.Fatalf("we accept what xmlsec1 refuses: %v\n%s", err, doc)
		}
	})
}

// xmlsecAgrees has xmlsec1 verify each signature on which an acceptance rests.
func xmlsecAgrees(t *testing.T, p Party, result Result, doc []byte) error {
	t.Helper()
	var signer *x509.Certificate
	for _, der := range p.Certificates {
		if Fingerprint(der) == result.Certificate {
			var err error
			if signer, err = x509.ParseCertificate(der); err != nil {
				return err
			}
		}
	}
	if signer == nil {
		return fmt.Errorf("no certificate of the party is %s", result.Certificate)
	}
	if result.SignedBy != "assertion" {
		if err := xmlsec(t, doc, "Response", signer); err != nil {
			return err
		}
	}
	if result.SignedBy == "response" {
		return nil
	}
	if result.Encrypted {
		doc = plaintext(t, p, doc)
	}
	return xmlsec(t, doc, "Assertion", signer)
}

// unread tells that xmlsec1 did not come to the signature: libxml2 has ideas of its own
// of what is a document, and canonicalizes nothing when a declaration anywhere, used
// or not, is no URI to it. That says nothing of what was signed.
func unread(err error) bool {
	return strings.Contains(err.Error(), "is not a valid URI") || strings.Contains(err.Error(), "failed to parse xml file")
}

// unverified runs everything that reads verified elements over ones that are not.
func unverified(p Party, expect Expect, doc *scanned) {
	facts := facts{party: p, expect: expect}
	facts.response, _ = readResponse(doc.root)
	for _, el := range doc.assertions {
		facts.assertion, _ = readAssertion(el)
		facts.profile = p.Attributes.profile(facts.assertion)
		for _, check := range checks {
			check.look(&facts)
		}
		decryptElement(el, p.DecryptKeys, true)
	}
	for _, sig := range doc.signatures {
		if sig.Parent() != nil {
			readSignature(sig, true)
			claimedCertificate(sig)
		}
	}
}

// sameTree fails when another reading of the same bytes gives another document.
func sameTree(t *testing.T, doc []byte, got *scanned) {
	t.Helper()
	want := etree.NewDocument()
	if err := want.ReadFromBytes(bytes.TrimPrefix(doc, []byte("\ufeff"))); err != nil {
		t.Fatalf("we read what etree refuses (%v):\n%q", err, doc)
	}
	a, b := ssotest.Serialize(got.root), ssotest.Serialize(want.Root())
	if !bytes.Equal(a, b) {
		t.Fatalf("we read\n%s\netree reads\n%s", a, b)
	}
	again, err := scanXML(a, nil, false)
	if err != nil {
		t.Fatalf("what we read is refused when written again (%v):\n%s", err, a)
	}
	if c := ssotest.Serialize(again.root); !bytes.Equal(a, c) {
		t.Fatalf("first\n%s\nthen\n%s", a, c)
	}
}

// FuzzIDPMetadata: no input panics, and what is accepted can be used.
func FuzzIDPMetadata(f *testing.F) {
	idp := ssotest.NewIDP()
	f.Add(idp.Metadata())
	f.Add(idp.Metadata(ssotest.OtherSigner().Cert))
	f.Add([]byte(`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"><EntityDescriptor entityID="x"/></EntitiesDescriptor>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMetadata(b)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != "metadata" {
				t.Fatalf("error %v", err)
			}
			return
		}
		if m.EntityID == "" || len(m.SSO) == 0 || len(m.Certificates) == 0 {
			t.Fatalf("unusable: %+v", m)
		}
	})
}
