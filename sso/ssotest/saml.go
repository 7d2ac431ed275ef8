package ssotest

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/crewjam/saml"
)

// IDP is a SAML identity provider in this process that signs everybody in
// without a question. Left alone it behaves; a Login can make one response lie
// in any way, down to single bytes.
type IDP struct {
	EntityID string
	URL      string          // single sign-on by redirect and POST; empty until Serve
	SLO      []saml.Endpoint // single logout in the metadata; Serve fills in the locations
	Signer   Signer

	mu     sync.Mutex // guards what follows
	login  Login
	logout LogoutAnswer
	asked  []*http.Request
}

// Signer is a key and the certificate that belongs to it.
type Signer struct {
	Key  *rsa.PrivateKey
	Cert *x509.Certificate
}

// The keys are fixed, so that a response kept from one run means the same in
// the next, and in the other processes of a fuzz run. They protect nothing.
//
//go:embed testdata/*.pem
var keyFiles embed.FS

var (
	idpSigner   = sync.OnceValue(func() Signer { return fixedSigner("idp") })
	otherSigner = sync.OnceValue(func() Signer { return fixedSigner("other") })
	spSigner    = sync.OnceValue(func() Signer { return fixedSigner("sp") })
)

func fixedSigner(name string) Signer {
	text, err := keyFiles.ReadFile("testdata/" + name + ".pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return certify(key.(*rsa.PrivateKey), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC))
}

// NewIDP makes an identity provider whose entity ID is unlike any other's.
func NewIDP() *IDP {
	return &IDP{EntityID: "https://idp.example/" + randomHex(8), Signer: idpSigner()}
}

// OtherSigner is a key that no connection trusts.
func OtherSigner() Signer { return otherSigner() }

// SPSigner is a key for a service provider.
func SPSigner() Signer { return spSigner() }

// NewSigner makes an RSA key and a self-signed certificate valid until notAfter.
func NewSigner(bits int, notAfter time.Time) Signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return certify(key, notAfter)
}

func certify(key *rsa.PrivateKey, notAfter time.Time) Signer {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "Test IdP"},
		NotBefore:    notAfter.AddDate(-20, 0, 0),
		NotAfter:     notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return Signer{key, cert}
}

// Metadata is the provider's metadata document. more certificates are listed
// after the provider's own.
func (idp *IDP) Metadata(more ...*x509.Certificate) []byte {
	role := saml.RoleDescriptor{ProtocolSupportEnumeration: "urn:oasis:names:tc:SAML:2.0:protocol"}
	for _, cert := range append([]*x509.Certificate{idp.Signer.Cert}, more...) {
		role.KeyDescriptors = append(role.KeyDescriptors, saml.KeyDescriptor{Use: "signing", KeyInfo: saml.KeyInfo{
			X509Data: saml.X509Data{X509Certificates: []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(cert.Raw)}}},
		}})
	}
	sso := idp.URL
	if sso == "" {
		sso = "https://idp.example/sso"
	}
	b, err := xml.MarshalIndent(saml.EntityDescriptor{
		EntityID: idp.EntityID,
		IDPSSODescriptors: []saml.IDPSSODescriptor{{
			SSODescriptor: saml.SSODescriptor{RoleDescriptor: role, SingleLogoutServices: idp.SLO},
			SingleSignOnServices: []saml.Endpoint{
				{Binding: saml.HTTPRedirectBinding, Location: sso},
				{Binding: saml.HTTPPostBinding, Location: sso},
			},
		}},
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return b
}

// Serve puts the provider on loopback until the test ends: GET /metadata, and
// /sso, which answers an AuthnRequest with a page holding the response form.
func (idp *IDP) Serve(tb testing.TB) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metadata", func(w http.ResponseWriter, r *http.Request) { w.Write(idp.Metadata()) })
	mux.HandleFunc("/sso", func(w http.ResponseWriter, r *http.Request) {
		acs, form, err := idp.Answer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		formPage.Execute(w, map[string]string{"URL": acs, "SAMLResponse": form.Get("SAMLResponse"), "RelayState": form.Get("RelayState")})
	})
	mux.HandleFunc("/slo", idp.serveLogout)
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	idp.URL = server.URL + "/sso"
	for i := range idp.SLO {
		idp.SLO[i].Location = server.URL + "/slo"
	}
}

var formPage = template.Must(template.New("").Parse(`<!doctype html><form method="post" action="{{.URL}}">
<input type="hidden" name="SAMLResponse" value="{{.SAMLResponse}}"><input type="hidden" name="RelayState" value="{{.RelayState}}"></form>`))

// Next sets how the following answers are made. Audience, ACS and InResponseTo
// left empty are taken from the request.
func (idp *IDP) Next(login Login) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	idp.login = login
}

// Answer reads an AuthnRequest, as a browser brings it by redirect or POST, and
// makes the form that the browser posts next, and where to.
func (idp *IDP) Answer(r *http.Request) (acs string, form url.Values, err error) {
	raw, err := base64.StdEncoding.DecodeString(r.FormValue("SAMLRequest"))
	if err != nil {
		return "", nil, fmt.Errorf("SAMLRequest: %w", err)
	}
	if r.Method == http.MethodGet {
		if raw, err = io.ReadAll(flate.NewReader(bytes.NewReader(raw))); err != nil {
			return "", nil, fmt.Errorf("SAMLRequest: %w", err)
		}
	}
	var request saml.AuthnRequest
	if err := xml.Unmarshal(raw, &request); err != nil {
		return "", nil, fmt.Errorf("SAMLRequest: %w", err)
	}
	idp.mu.Lock()
	login := idp.login
	idp.mu.Unlock()
	if login.ACS == "" {
		login.ACS = request.AssertionConsumerServiceURL
	}
	if login.InResponseTo == "" {
		login.InResponseTo = request.ID
	}
	if login.Audience == "" && request.Issuer != nil {
		login.Audience = request.Issuer.Value
	}
	form = url.Values{"SAMLResponse": {idp.Respond(login)}}
	if relay := r.FormValue("RelayState"); relay != "" {
		form.Set("RelayState", relay)
	}
	return request.AssertionConsumerServiceURL, form, nil
}

// Follow is Answer for a redirect URL that the service provider sent.
func (idp *IDP) Follow(redirect string) (acs string, form url.Values, err error) {
	r, err := http.NewRequest(http.MethodGet, redirect, nil)
	if err != nil {
		return "", nil, err
	}
	return idp.Answer(r)
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
