package ssotest

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
)

// Logout is one request to a service provider to end sessions, and what is wrong
// with it. With To and NameID it is a good one.
type Logout struct {
	To         string // the service provider's logout URL
	NameID     saml.NameID
	Indexes    []string
	RelayState string
	Now        time.Time // default time.Now
	Signer     Signer    // default the provider's own
	Encrypt    *Encryption

	Request    func(*saml.LogoutRequest) // before it becomes XML
	Tree       func(*etree.Element)      // before it is signed
	Signed     func(*etree.Element)      // after an enveloped signature
	Unsigned   bool
	Algorithm  string // of a redirect; default RSA-SHA256
	LowerCase  bool   // escape as AD FS does, in lower case
	EmptyRelay bool   // send RelayState= and leave it out of the signature
}

func (idp *IDP) logoutElement(l Logout) *etree.Element {
	if l.Now.IsZero() {
		l.Now = time.Now()
	}
	request := &saml.LogoutRequest{ID: "_l" + randomHex(16), Version: "2.0", IssueInstant: l.Now.UTC(), Destination: l.To,
		Issuer: &saml.Issuer{Value: idp.EntityID}, NameID: &l.NameID}
	if l.Request != nil {
		l.Request(request)
	}
	el := request.Element()
	if l.Encrypt != nil {
		plain := el.SelectElement("NameID")
		sealed := l.Encrypt.seal(plain, "EncryptedID")
		el.InsertChildAt(plain.Index(), sealed)
		el.RemoveChild(plain)
	}
	for _, index := range l.Indexes {
		el.CreateElement("samlp:SessionIndex").SetText(index)
	}
	if l.Tree != nil {
		l.Tree(el)
	}
	return el
}

func (idp *IDP) signer(l Logout) Signer {
	if l.Signer.Key != nil {
		return l.Signer
	}
	return idp.Signer
}

// LogoutPost is the form of a logout request by HTTP-POST.
func (idp *IDP) LogoutPost(l Logout) url.Values {
	el := idp.logoutElement(l)
	if !l.Unsigned {
		SignElement(el, idp.signer(l), crypto.SHA256)
	}
	if l.Signed != nil {
		l.Signed(el)
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(Serialize(el))}}
	if l.RelayState != "" {
		form.Set("RelayState", l.RelayState)
	}
	return form
}

// LogoutRedirect is the URL of a logout request by HTTP-Redirect.
func (idp *IDP) LogoutRedirect(l Logout) string {
	return l.To + "?" + RedirectQuery("SAMLRequest", Serialize(idp.logoutElement(l)), idp.signer(l), l)
}

var percent = regexp.MustCompile("%[0-9A-F]{2}")

// RedirectQuery writes a message for HTTP-Redirect, signed as l says.
func RedirectQuery(param string, doc []byte, signer Signer, l Logout) string {
	escape := url.QueryEscape
	if l.LowerCase {
		escape = func(s string) string { return percent.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower) }
	}
	query := param + "=" + escape(base64.StdEncoding.EncodeToString(Deflate(doc)))
	relay := ""
	if l.RelayState != "" {
		relay = "&RelayState=" + escape(l.RelayState)
	}
	algorithm, hash := l.Algorithm, crypto.SHA256
	if algorithm == "" {
		algorithm = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	} else if strings.HasSuffix(algorithm, "#rsa-sha1") {
		hash = crypto.SHA1
	}
	if l.Unsigned {
		return query + relay
	}
	signed := query + relay + "&SigAlg=" + escape(algorithm)
	h := hash.New()
	h.Write([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, signer.Key, hash, h.Sum(nil))
	if err != nil {
		panic(err)
	}
	if l.EmptyRelay {
		relay = "&RelayState="
	}
	return query + relay + "&SigAlg=" + escape(algorithm) + "&Signature=" + escape(base64.StdEncoding.EncodeToString(signature))
}

// Deflate packs as the HTTP-Redirect binding does.
func Deflate(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// LogoutAnswer is how the provider answers requests of the service provider. The
// zero value is success.
type LogoutAnswer struct {
	To       string // the service provider's logout URL
	Post     bool   // by HTTP-POST, else by redirect
	Status   []string
	Response func(*saml.LogoutResponse)
	Unsigned bool
	Signer   Signer
}

// NextLogout sets how the following requests are answered.
func (idp *IDP) NextLogout(a LogoutAnswer) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	idp.logout = a
}

// LogoutAsked are the requests that came to the logout URL, with their forms read.
func (idp *IDP) LogoutAsked() []*http.Request {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	return append([]*http.Request(nil), idp.asked...)
}

// ReadLogout is the message that a request carries.
func ReadLogout(r *http.Request, param string) (raw []byte, err error) {
	if raw, err = base64.StdEncoding.DecodeString(r.FormValue(param)); err == nil && r.Method == http.MethodGet {
		raw, err = io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	}
	return raw, err
}

// serveLogout answers logout requests of the service provider, and ends the way of
// its answers.
func (idp *IDP) serveLogout(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	idp.mu.Lock()
	idp.asked = append(idp.asked, r)
	a := idp.logout
	idp.mu.Unlock()
	if r.FormValue("SAMLRequest") == "" {
		fmt.Fprint(w, "the provider's own page")
		return
	}
	raw, err := ReadLogout(r, "SAMLRequest")
	var request saml.LogoutRequest
	if err == nil {
		err = xml.Unmarshal(raw, &request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if len(a.Status) == 0 {
		a.Status = []string{saml.StatusSuccess}
	}
	response := saml.LogoutResponse{ID: "_r" + randomHex(16), InResponseTo: request.ID, Version: "2.0", IssueInstant: time.Now().UTC(), Destination: a.To,
		Issuer: &saml.Issuer{Value: idp.EntityID}, Status: saml.Status{StatusCode: saml.StatusCode{Value: a.Status[0]}}}
	if len(a.Status) > 1 {
		response.Status.StatusCode.StatusCode = &saml.StatusCode{Value: a.Status[1]}
	}
	if a.Response != nil {
		a.Response(&response)
	}
	signer := idp.signer(Logout{Signer: a.Signer})
	el := response.Element()
	if !a.Post {
		http.Redirect(w, r, a.To+"?"+RedirectQuery("SAMLResponse", Serialize(el), signer, Logout{RelayState: r.FormValue("RelayState"), Unsigned: a.Unsigned}), http.StatusFound)
		return
	}
	if !a.Unsigned {
		SignElement(el, signer, crypto.SHA256)
	}
	formPage.Execute(w, map[string]string{"URL": a.To, "SAMLResponse": base64.StdEncoding.EncodeToString(Serialize(el)), "RelayState": r.FormValue("RelayState")})
}
