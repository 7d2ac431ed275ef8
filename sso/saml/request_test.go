package saml

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
)

func request(binding string) AuthnRequest {
	return AuthnRequest{ID: testRequest, SSOURL: "https://idp.example/sso?idpid=C0+x%2F1", Binding: binding, RelayState: "a+b&c=d/é",
		NameIDFormat: FormatPersistent, Now: now, SignKey: spKey.Key, SignCert: spKey.Cert.Raw}
}

func TestRedirectRequest(t *testing.T) {
	t.Parallel()
	idp := ssotest.NewIDP()
	r := request(BindingRedirect)
	out, err := NewAuthnRequest(party(idp), r)
	if err != nil {
		t.Fatal(err)
	}
	query, own := strings.CutPrefix(out.URL, r.SSOURL+"&")
	if !own || out.Form != nil {
		t.Fatalf("the provider's query is not kept: %s", out.URL)
	}
	signed, signature, _ := strings.Cut(query, "&Signature=")
	sum := sha256.Sum256([]byte(signed))
	if err := rsa.VerifyPKCS1v15(&spKey.Key.PublicKey, crypto.SHA256, sum[:], unescape(t, signature)); err != nil {
		t.Errorf("signature over %q: %v", signed, err)
	}
	acs, form, err := idp.Follow(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	if acs != testACS || form.Get("RelayState") != r.RelayState {
		t.Errorf("the provider read ACS %q, RelayState %q", acs, form.Get("RelayState"))
	}
}

func unescape(t *testing.T, s string) []byte {
	t.Helper()
	plain, err := url.QueryUnescape(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPostRequest(t *testing.T) {
	t.Parallel()
	idp := ssotest.NewIDP()
	r := request(BindingPOST)
	out, err := NewAuthnRequest(party(idp), r)
	if err != nil {
		t.Fatal(err)
	}
	if out.URL != r.SSOURL {
		t.Errorf("posts to %s", out.URL)
	}
	doc, err := base64.StdEncoding.DecodeString(out.Form.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	if err := xmlsec(t, doc, "AuthnRequest", spKey.Cert); err != nil {
		t.Error(err)
	}
	post, err := http.NewRequest("POST", out.URL, strings.NewReader(out.Form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if acs, form, err := idp.Answer(post); err != nil || acs != testACS || form.Get("RelayState") != r.RelayState {
		t.Errorf("the provider read ACS %q, RelayState %q, %v", acs, form.Get("RelayState"), err)
	}
}

func TestAskedNameIDFormat(t *testing.T) {
	t.Parallel()
	for vendor, want := range map[string]bool{"custom": true, "keycloak": true, "shibboleth": true, "entra": false, "adfs": false, "google": false} {
		r := request(BindingPOST)
		r.NameIDFormat = AttributesFor(vendor).NameIDFormat
		policy := r.element(party(ssotest.NewIDP())).FindElement("./NameIDPolicy[@Format='" + FormatPersistent + "']")
		if (policy != nil) != want {
			t.Errorf("%s: asks for the persistent format: %v, want %v", vendor, policy != nil, want)
		}
	}
}
