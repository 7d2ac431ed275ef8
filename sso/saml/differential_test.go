package saml

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
)

// crewjam's clock and patience are global; all tests here live at one moment.
var _ = func() bool {
	crewjam.TimeNow = func() time.Time { return now }
	crewjam.MaxIssueDelay = time.Hour
	return true
}()

// crewjam asks crewjam/saml the same question. A panic counts as a refusal.
func byCrewjam(idp *ssotest.IDP, p Party, form string, expect Expect) (subject string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	doc, err := base64.StdEncoding.DecodeString(form)
	if err != nil {
		return "", err
	}
	var metadata crewjam.EntityDescriptor
	if err := xml.Unmarshal(idp.Metadata(), &metadata); err != nil {
		return "", err
	}
	keys := &metadata.IDPSSODescriptors[0].KeyDescriptors
	*keys = nil
	for _, der := range p.Certificates {
		*keys = append(*keys, keyDescriptor("signing", der))
	}
	acs, err := url.Parse(p.ACS)
	if err != nil {
		return "", err
	}
	sp := crewjam.ServiceProvider{
		EntityID: p.EntityID, AcsURL: *acs, IDPMetadata: &metadata,
		Key: p.DecryptKeys[0], Certificate: spKey.Cert, AllowIDPInitiated: p.AllowUnsolicited,
	}
	assertion, err := sp.ParseXMLResponse(doc, []string{expect.RequestID}, *acs)
	if err != nil {
		if invalid, ok := errors.AsType[*crewjam.InvalidResponseError](err); ok {
			err = invalid.PrivateErr
		}
		return "", err
	}
	return assertion.Subject.NameID.Value, nil
}

// TestSecondOpinions holds what we accept against two other verifiers. Where
// crewjam can't follow, the reason stands in the table and is checked too, so
// that the table tells when a newer version can.
func TestSecondOpinions(t *testing.T) {
	t.Parallel()
	for _, c := range goodCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			idp, p, form, expect, l := c.make()
			subject, err := byCrewjam(idp, p, form, expect)
			switch {
			case c.crew == "" && (err != nil || subject != "alice"):
				t.Errorf("crewjam: %q, %v", subject, err)
			case c.crew != "" && err == nil:
				t.Errorf("crewjam accepts by now; it was to refuse because it %s", c.crew)
			}
			doc, err := base64.StdEncoding.DecodeString(form)
			if err != nil {
				t.Fatal(err)
			}
			signer := l.Signer
			if signer.Key == nil {
				signer = idp.Signer
			}
			if l.Sign == ssotest.SignNothing { // the case signs by itself
				signer.Cert, l.Sign = ecdsaSigner().cert, ssotest.SignAssertion
			}
			if l.Sign == ssotest.SignResponse || l.Sign == ssotest.SignBoth {
				if err := xmlsec(t, doc, "Response", signer.Cert); err != nil {
					t.Errorf("response: %v", err)
				}
			}
			if l.Sign == ssotest.SignAssertion || l.Sign == ssotest.SignBoth {
				if l.Encrypt != nil {
					doc = plaintext(t, p, doc)
				}
				if err := xmlsec(t, doc, "Assertion", signer.Cert); err != nil {
					t.Errorf("assertion: %v", err)
				}
			}
		})
	}
}

// plaintext decrypts without asking what is signed.
func plaintext(t *testing.T, p Party, doc []byte) []byte {
	t.Helper()
	scanned, err := scanXML(doc, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := decryptElement(scanned.assertions[0], p.DecryptKeys, true)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// xmlsec asks Debian's xmlsec1, a verifier that shares no code with ours.
func xmlsec(t testing.TB, doc []byte, element string, cert *x509.Certificate) error {
	t.Helper()
	dir, err := os.MkdirTemp("", "xmlsec") // t.TempDir has commas of the test's name, which xmlsec1 splits at
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, der := filepath.Join(dir, "doc.xml"), filepath.Join(dir, "cert.der")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(der, cert.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	bin, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Fatalf("xmlsec1 is missing: apt-get install xmlsec1 (%v)", err)
	}
	args := []string{"--verify", "--pubkey-cert-der", der, "--enabled-key-data", "rsa,ecdsa", "--id-attr:ID", nsAssertion + ":Assertion",
		"--id-attr:ID", nsProtocol + ":Response", "--id-attr:ID", nsProtocol + ":AuthnRequest",
		"--node-xpath", "/descendant-or-self::*[local-name()='" + element + "']/*[local-name()='Signature']", file}
	out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("xmlsec1: %w\n%s", err, out)
	}
	return nil
}
