package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
)

// recorded is a response that a real provider sent, and the party it was for.
type recorded struct {
	name, form string
	party      Party
	expect     Expect
}

func recordedResponses(tb testing.TB) []recorded {
	tb.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			tb.Fatal(err)
		}
		return b
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		tb.Fatal(err)
	}
	var out []recorded
	for _, f := range files {
		name, isXML := strings.CutSuffix(f.Name(), ".xml")
		if !isXML || strings.HasSuffix(name, "-metadata") {
			continue
		}
		doc := read(f.Name())
		scanned, err := scanXML(doc, nil, false)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		response, err := readResponse(scanned.root)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		p := Party{ACS: response.Destination, IDPEntityID: response.Issuer, Certificates: [][]byte{ssotest.NewIDP().Signer.Cert.Raw}, Attributes: AttributesFor("custom")}
		if metadata := read(name + "-metadata.xml"); metadata != nil {
			m, err := ParseMetadata(metadata)
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			p.IDPEntityID, p.Certificates = m.EntityID, m.Certificates
		}
		if block, _ := pem.Decode(read(name + "-key.pem")); block != nil {
			key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			p.DecryptKeys = []*rsa.PrivateKey{key}
		}
		out = append(out, recorded{name, base64.StdEncoding.EncodeToString(doc), p,
			Expect{RequestID: response.InResponseTo, Now: response.IssueInstant.Add(time.Second)}})
	}
	return out
}

// recordedAs is who the recorded responses sign in, what we are called there
// (entity ID; else as in our URLs), and which of them come from the SHA-1 time.
var recordedAs = map[string]struct {
	subject, entity string
	sha1            bool
}{
	"simplesamlphp-1.19.7-assertion": {subject: "alice-0001"},
	"simplesamlphp-1.19.7-both":      {subject: "alice-0001"},
	"simplesamlphp-1.19.7-response":  {subject: "alice-0001"},
	"okta":                           {subject: "testuser@testrsc.com", entity: "http://localhost:8000/saml/metadata"},
	"onelogin":                       {subject: "ross@kndr.org", entity: "https://29ee6d2e.ngrok.io/saml/metadata", sha1: true},
}

func TestRecordedResponses(t *testing.T) {
	t.Parallel()
	for _, r := range recordedResponses(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			as, listed := recordedAs[r.name]
			if !listed {
				t.Fatal("not in the table")
			}
			p := r.party
			p.EntityID = as.entity
			if as.sha1 {
				_, _, trace, err := CheckResponse(p, Form{r.form}, r.expect)
				ssotest.InGerman(t, trace)
				refused(t, "response.signature.form", answer.Profile{}, trace, err)
				p.AllowSHA1Until = r.expect.Now.Add(time.Hour)
			}
			if p.EntityID == "" {
				p.EntityID = strings.TrimSuffix(p.ACS, "/acs")
			}
			profile, _, trace, err := CheckResponse(p, Form{r.form}, r.expect)
			ssotest.InGerman(t, trace)
			if err != nil {
				t.Fatalf("refused: %v\n%s", err, show(trace))
			}
			if profile.Subject != as.subject {
				t.Errorf("signed in %q, want %q", profile.Subject, as.subject)
			}
			// It was for nobody else.
			p.EntityID += "x"
			_, _, trace, err = CheckResponse(p, Form{r.form}, r.expect)
			ssotest.InGerman(t, trace)
			refused(t, "conditions.audience", answer.Profile{}, trace, err)
		})
	}
}
