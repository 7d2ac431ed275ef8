package ssotest

import (
	"bytes"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/crewjam/saml"
)

//go:embed samlp/package.json samlp/package-lock.json samlp/server.mjs
var samlpFiles embed.FS

//go:embed pysaml2/idp.py
var pysaml2Program string

// ForeignIDP is a SAML identity provider that others wrote, run on loopback. Its
// login page asks for a name only. It checks the signature on each request.
type ForeignIDP struct {
	URL         string
	MetadataURL string
	SLO         string // opened by a signed-in browser, it starts the provider's own logout
}

// ForeignPerson is somebody whom a ForeignIDP signs in.
type ForeignPerson struct {
	ID, Email, GivenName, FamilyName string
	Groups                           []string
}

func start(tb testing.TB, settings map[string]any, command func(settings []byte) *exec.Cmd) ForeignIDP {
	tb.Helper()
	var idp ForeignIDP
	startPeer(tb, func(port int) *exec.Cmd {
		idp = ForeignIDP{URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
		idp.MetadataURL, idp.SLO = idp.URL+"/metadata", idp.URL+"/slo"
		settings["port"], settings["issuer"] = port, idp.MetadataURL
		b, err := json.Marshal(settings)
		if err != nil {
			tb.Fatal(err)
		}
		return command(b)
	})
	return idp
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func keyPEM(tb testing.TB) string {
	tb.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(idpSigner().Key)
	if err != nil {
		tb.Fatal(err)
	}
	return pemOf("PRIVATE KEY", key)
}

// SAMLP is Auth0's samlp, run with node. It names attributes as Entra ID does.
type SAMLP struct{ ForeignIDP }

// StartSAMLP runs it until the test ends.
func StartSAMLP(tb testing.TB, people map[string]ForeignPerson) SAMLP {
	tb.Helper()
	list := map[string]any{}
	for name, p := range people {
		list[name] = map[string]any{"id": p.ID, "displayName": p.GivenName + " " + p.FamilyName, "emails": []map[string]any{{"value": p.Email}},
			"name": map[string]any{"givenName": p.GivenName, "familyName": p.FamilyName}, "groups": p.Groups}
	}
	folder := nodeFolder(tb, samlpFiles, "samlp")
	return SAMLP{start(tb, map[string]any{"people": list, "key": keyPEM(tb), "cert": pemOf("CERTIFICATE", idpSigner().Cert.Raw)},
		func(settings []byte) *exec.Cmd { return node(folder, settings) })}
}

// Trust makes it know a service provider by its metadata. options are samlp's own.
func (s SAMLP) Trust(tb testing.TB, metadata []byte, options map[string]any) {
	tb.Helper()
	var sp saml.EntityDescriptor
	if err := xml.Unmarshal(metadata, &sp); err != nil {
		tb.Fatal(err)
	}
	role := sp.SPSSODescriptors[0]
	trust := map[string]any{"entityID": sp.EntityID, "acs": role.AssertionConsumerServices[0].Location, "options": options}
	for _, k := range role.KeyDescriptors {
		der, err := base64.StdEncoding.DecodeString(k.KeyInfo.X509Data.X509Certificates[0].Data)
		if err != nil {
			tb.Fatal(err)
		}
		switch text := pemOf("CERTIFICATE", der); k.Use {
		case "signing":
			trust["signingCert"] = text
		case "encryption":
			if _, encrypts := options["encryptionAlgorithm"]; encrypts {
				options["encryptionCert"], options["encryptionPublicKey"] = text, publicPEM(tb, der)
			}
		}
	}
	if len(role.SingleLogoutServices) > 0 {
		trust["slo"], trust["sloBinding"] = role.SingleLogoutServices[0].Location, role.SingleLogoutServices[0].Binding
	}
	body, err := json.Marshal(trust)
	if err != nil {
		tb.Fatal(err)
	}
	s.tell(tb, "/trust", "application/json", body)
}

func publicPEM(tb testing.TB, der []byte) string {
	tb.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	return pemOf("PUBLIC KEY", key)
}

func (f ForeignIDP) tell(tb testing.TB, path, kind string, body []byte) {
	tb.Helper()
	resp, err := http.Post(f.URL+path, kind, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("POST %s: %s", path, resp.Status)
	}
}

// PySAML2 is an identity provider made of pysaml2, which Debian packages. It names
// attributes by their OIDs, as universities do.
type PySAML2 struct{ ForeignIDP }

// StartPySAML2 runs it until the test ends.
func StartPySAML2(tb testing.TB, people map[string]ForeignPerson) PySAML2 {
	tb.Helper()
	list := map[string]any{}
	for name, p := range people {
		list[name] = map[string]any{"id": p.ID, "attributes": map[string]any{"mail": p.Email, "givenName": p.GivenName, "sn": p.FamilyName, "isMemberOf": p.Groups}}
	}
	dir := tb.TempDir()
	for name, text := range map[string]string{"idp.py": pysaml2Program, "key.pem": keyPEM(tb), "cert.pem": pemOf("CERTIFICATE", idpSigner().Cert.Raw)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return PySAML2{start(tb, map[string]any{"people": list, "key_file": filepath.Join(dir, "key.pem"), "cert_file": filepath.Join(dir, "cert.pem")},
		func(settings []byte) *exec.Cmd {
			cmd := exec.Command("/usr/bin/python3", filepath.Join(dir, "idp.py")) // another one on PATH does not see Debian's modules
			cmd.Env = append(os.Environ(), "PEER="+string(settings))
			return cmd
		})}
}

// Trust makes it know a service provider by its metadata, and which parts to sign.
func (s PySAML2) Trust(tb testing.TB, metadata []byte, signResponse, signAssertion, encrypt bool) {
	tb.Helper()
	options := url.Values{}
	for name, on := range map[string]bool{"sign_response": signResponse, "sign_assertion": signAssertion, "encrypt": encrypt} {
		if on {
			options.Set(name, "1")
		}
	}
	s.tell(tb, "/trust?"+options.Encode(), "application/samlmetadata+xml", metadata)
}
