package saml

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
)

const testSLO = "https://muster.example/sso/saml/c1/slo"

// leave is a request about alice that nothing is wrong with.
func leave() ssotest.Logout {
	return ssotest.Logout{To: testSLO, Now: now, RelayState: "their+state/=", Indexes: []string{"_s1"},
		NameID: crewjam.NameID{Value: "alice", Format: FormatPersistent, NameQualifier: "q", SPNameQualifier: testEntity}}
}

// by makes both bindings of a request.
func by(idp *ssotest.IDP, l ssotest.Logout) map[string]Incoming {
	_, query, _ := strings.Cut(idp.LogoutRedirect(l), "?")
	return map[string]Incoming{"redirect": {Redirect: true, Query: query}, "post": {Value: idp.LogoutPost(l).Get("SAMLRequest")}}
}

func TestGoodLogoutRequests(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*ssotest.Logout){
		"as it should be":       func(*ssotest.Logout) {},
		"escaped in lower case": func(l *ssotest.Logout) { l.LowerCase = true },
		"without RelayState":    func(l *ssotest.Logout) { l.RelayState = "" },
		"an empty RelayState":   func(l *ssotest.Logout) { l.RelayState, l.EmptyRelay = "", true },
		"no SessionIndex":       func(l *ssotest.Logout) { l.Indexes = nil },
		"two SessionIndex":      func(l *ssotest.Logout) { l.Indexes = []string{"_s1", "_s2"} },
		"the NameID encrypted":  func(l *ssotest.Logout) { l.Encrypt = &ssotest.Encryption{To: &spKey.Key.PublicKey} },
		"in CBC, as signed": func(l *ssotest.Logout) {
			l.Encrypt = &ssotest.Encryption{To: &spKey.Key.PublicKey, Content: nsEncryption + "aes128-cbc"}
		},
		"signed with another key": func(l *ssotest.Logout) { l.Signer = ssotest.OtherSigner() },
		"still within NotOnOrAfter": func(l *ssotest.Logout) {
			l.Request = func(r *crewjam.LogoutRequest) { end := now.Add(-30 * time.Second); r.NotOnOrAfter = &end }
		},
	} {
		l := leave()
		edit(&l)
		idp := ssotest.NewIDP()
		p := party(idp)
		p.Certificates = append([][]byte{ssotest.OtherSigner().Cert.Raw}, p.Certificates...)
		for binding, in := range by(idp, l) {
			got, trace, err := CheckLogoutRequest(p, in, testSLO, now)
			ssotest.InGerman(t, trace)
			if err != nil {
				t.Errorf("%s by %s: %v\n%s", name, binding, err, show(trace))
				continue
			}
			want := answer.NameID{Value: "alice", Format: FormatPersistent, NameQualifier: "q", SPNameQualifier: testEntity}
			if got.NameID != want || !slices.Equal(got.Indexes, l.Indexes) || got.ID == "" || !got.KeepTill.After(now.Add(maxLogoutAge)) {
				t.Errorf("%s by %s: got %+v, want %+v with %v", name, binding, got, want, l.Indexes)
			}
		}
	}
}

// hostileLogout is a request that must not end a session, and the check that stops it.
type hostileLogout struct {
	name, check string
	edit        func(*ssotest.Logout)
	query       func(string) string     // of the redirect; then only that is tried
	post        func(Incoming) Incoming // likewise of the form
}

func hostileLogouts() []hostileLogout {
	request := func(f func(*crewjam.LogoutRequest)) func(*ssotest.Logout) {
		return func(l *ssotest.Logout) { l.Request = f }
	}
	replaced := func(old, new string) func(string) string {
		return func(q string) string { return strings.Replace(q, old, new, 1) }
	}
	return []hostileLogout{
		{name: "unsigned", check: "signed", edit: func(l *ssotest.Logout) { l.Unsigned = true }},
		{name: "signed by a stranger", check: "signature", edit: func(l *ssotest.Logout) { l.Signer = ssotest.SPSigner() }},
		{name: "another provider's name", check: "issuer", edit: request(func(r *crewjam.LogoutRequest) { r.Issuer.Value = "https://other.example" })},
		{name: "no issuer", check: "issuer", edit: request(func(r *crewjam.LogoutRequest) { r.Issuer = nil })},
		{name: "made for another application", check: "destination", edit: request(func(r *crewjam.LogoutRequest) { r.Destination = "https://other.example/slo" })},
		{name: "made for nobody in particular", check: "destination", edit: request(func(r *crewjam.LogoutRequest) { r.Destination = "" })},
		{name: "kept back for an hour", check: "issued", edit: func(l *ssotest.Logout) { l.Now = now.Add(-time.Hour) }},
		{name: "from the future", check: "issued", edit: func(l *ssotest.Logout) { l.Now = now.Add(time.Hour) }},
		{name: "over by its own word", check: "not_on_or_after", edit: request(func(r *crewjam.LogoutRequest) { end := now.Add(-5 * time.Minute); r.NotOnOrAfter = &end })},
		{name: "version 1.1", check: "version", edit: request(func(r *crewjam.LogoutRequest) { r.Version = "1.1" })},
		{name: "no NameID", check: "name_id", edit: request(func(r *crewjam.LogoutRequest) { r.NameID = nil })},
		{name: "an empty NameID", check: "name_id", edit: request(func(r *crewjam.LogoutRequest) { r.NameID.Value = "" })},
		{name: "two NameIDs", check: "name_id", edit: func(l *ssotest.Logout) {
			l.Tree = func(el *etree.Element) { el.AddChild((&crewjam.NameID{Value: "bob"}).Element()) }
		}},
		{name: "a NameID with an element inside", check: "name_id", edit: func(l *ssotest.Logout) {
			l.Tree = func(el *etree.Element) { el.SelectElement("NameID").CreateElement("saml:NameID").SetText("bob") }
		}},
		{name: "encrypted for somebody else", check: "name_id", edit: func(l *ssotest.Logout) { l.Encrypt = &ssotest.Encryption{To: &ssotest.OtherSigner().Key.PublicKey} }},
		{name: "something else encrypted", check: "name_id", edit: func(l *ssotest.Logout) {
			l.Encrypt = &ssotest.Encryption{To: &spKey.Key.PublicKey, Plain: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("NameID"), []byte("Nobody")) }}
		}},
		{name: "a response instead", check: "message", edit: func(l *ssotest.Logout) { l.Tree = func(el *etree.Element) { el.Tag = "LogoutResponse" } }},
		{name: "an assertion inside", check: "message", edit: func(l *ssotest.Logout) {
			l.Tree = func(el *etree.Element) { el.CreateElement("saml:Assertion").CreateAttr("ID", "_x") }
		}},
		{name: "a thousand and one SessionIndex", check: "content", edit: func(l *ssotest.Logout) { l.Indexes = many(1001) }},
		{name: "a comment", check: "xml", edit: func(l *ssotest.Logout) {
			l.Tree = func(el *etree.Element) { el.SelectElement("NameID").AddChild(etree.NewComment("x")) }
		}},
		{name: "nested deep", check: "xml", edit: func(l *ssotest.Logout) {
			l.Tree = func(el *etree.Element) {
				for range 60 {
					el = el.CreateElement("samlp:Extensions")
				}
			}
		}},

		{name: "another request in a signed query", check: "signature", query: func(q string) string {
			l := leave()
			l.NameID.Value = "bob"
			_, other, _ := strings.Cut(ssotest.NewIDP().LogoutRedirect(l), "?")
			return other[:strings.Index(other, "&")] + q[strings.Index(q, "&"):]
		}},
		{name: "another RelayState", check: "signature", query: replaced("RelayState=their", "RelayState=mine")},
		{name: "RelayState taken away", check: "signature", query: func(q string) string {
			return q[:strings.Index(q, "&RelayState")] + q[strings.Index(q, "&SigAlg"):]
		}},
		{name: "a deflate bomb", check: "encoding", query: func(string) string {
			return ssotest.RedirectQuery("SAMLRequest", bytes.Repeat([]byte("<a>"), 20<<20), ssotest.NewIDP().Signer, leave())
		}},
		{name: "not deflated", check: "encoding", query: func(string) string { return "SAMLRequest=PGE%2B&SigAlg=x&Signature=eA%3D%3D" }},
		{name: "two requests", check: "encoding", query: func(q string) string { return q + "&SAMLRequest=x" }},
		{name: "two signatures", check: "encoding", query: func(q string) string { return q + "&Signature=x" }},
		{name: "two RelayStates", check: "encoding", query: func(q string) string { return q + "&RelayState=https://evil.example" }},
		{name: "another encoding", check: "encoding", query: func(q string) string { return q + "&SAMLEncoding=urn:x" }},
		{name: "SHA-1", check: "signed", query: func(string) string {
			l := leave()
			l.Algorithm = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
			_, q, _ := strings.Cut(ssotest.NewIDP().LogoutRedirect(l), "?")
			return q
		}},
		{name: "HMAC with the public key", check: "signed", query: replaced("rsa-sha256", "hmac-sha256")},
		{name: "an ECDSA name over an RSA key", check: "signature", query: replaced("rsa-sha256", "ecdsa-sha256")},
		{name: "no SigAlg", check: "signed", query: func(q string) string {
			return q[:strings.Index(q, "&SigAlg")] + q[strings.Index(q, "&Signature"):]
		}},

		{name: "bad base64", check: "encoding", post: func(Incoming) Incoming { return Incoming{Value: "%%%"} }},
		{name: "nothing", check: "encoding", post: func(Incoming) Incoming { return Incoming{} }},
		{name: "too long", check: "encoding", post: func(Incoming) Incoming { return Incoming{Value: strings.Repeat("A", 4<<20)} }},
		{name: "the content changed", check: "signature", post: edited(func(root *etree.Element) { root.SelectElement("NameID").SetText("bob") })},
		{name: "wrapped: the signed request in Extensions of another", check: "message", post: edited(func(root *etree.Element) {
			inner := root.Copy()
			root.RemoveChild(root.SelectElement("Signature"))
			root.SelectElement("NameID").SetText("bob")
			root.CreateAttr("ID", "_evil")
			root.InsertChildAt(1, etree.NewElement("samlp:Extensions"))
			root.SelectElement("Extensions").AddChild(inner)
		})},
		{name: "wrapped: the signature moved to a new root", check: "signature.form", post: edited(func(root *etree.Element) {
			inner, sig := root.Copy(), root.SelectElement("Signature").Copy()
			inner.RemoveChild(inner.SelectElement("Signature"))
			root.RemoveChild(root.SelectElement("Signature"))
			root.SelectElement("NameID").SetText("bob")
			root.CreateAttr("ID", "_evil")
			root.InsertChildAt(1, sig)
			root.AddChild(inner)
		})},
		{name: "wrapped: the signed request in the signature's Object", check: "signature.form", post: edited(func(root *etree.Element) {
			inner := root.Copy()
			inner.RemoveChild(inner.SelectElement("Signature"))
			root.SelectElement("NameID").SetText("bob")
			root.CreateAttr("ID", "_evil")
			root.SelectElement("Signature").CreateElement("ds:Object").AddChild(inner)
		})},
		{name: "wrapped: two of one ID", check: "xml", post: edited(func(root *etree.Element) {
			inner := root.Copy()
			inner.RemoveChild(inner.SelectElement("Signature"))
			root.SelectElement("NameID").SetText("bob")
			root.AddChild(inner)
		})},
		{name: "two signatures in it", check: "message", post: edited(func(root *etree.Element) { root.AddChild(root.SelectElement("Signature").Copy()) })},
		{name: "the signature deeper", check: "message", post: edited(func(root *etree.Element) {
			sig := root.SelectElement("Signature")
			root.RemoveChild(sig)
			root.SelectElement("NameID").AddChild(sig)
		})},
	}
}

// edited changes a posted message after it was signed.
func edited(f func(root *etree.Element)) func(Incoming) Incoming {
	return func(in Incoming) Incoming {
		raw, err := base64.StdEncoding.DecodeString(in.Value)
		doc := etree.NewDocument()
		if err == nil {
			err = doc.ReadFromBytes(raw)
		}
		if err != nil {
			panic(err)
		}
		f(doc.Root())
		return Incoming{Value: base64.StdEncoding.EncodeToString(ssotest.Serialize(doc.Root()))}
	}
}

func TestHostileLogoutRequests(t *testing.T) {
	t.Parallel()
	for _, c := range hostileLogouts() {
		l := leave()
		if c.edit != nil {
			c.edit(&l)
		}
		idp := ssotest.NewIDP()
		all := by(idp, l)
		if c.query != nil {
			all = map[string]Incoming{"redirect": {Redirect: true, Query: c.query(all["redirect"].Query)}}
		}
		if c.post != nil {
			all = map[string]Incoming{"post": c.post(all["post"])}
		}
		for binding, in := range all {
			start := time.Now()
			got, trace, err := CheckLogoutRequest(party(idp), in, testSLO, now)
			ssotest.InGerman(t, trace)
			failed, _ := trace.Failed()
			if !fault.Is(err, fault.Invalid) || failed.Name != c.check {
				t.Errorf("%s by %s: got %+v, %v, stopped by %q, want %q\n%s", c.name, binding, got, err, failed.Name, c.check, show(trace))
			}
			if strings.Contains(fault.Public(err), failed.Got) && failed.Got != "" {
				t.Errorf("%s: the person reads %q", c.name, fault.Public(err))
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s took %s", c.name, took)
			}
		}
	}
}

// A few bytes that unpack to 60 MB are not unpacked. Not parallel: it looks at all
// memory that is asked for.
func TestDeflateBombIsNotUnpacked(t *testing.T) {
	bomb := ssotest.RedirectQuery("SAMLRequest", bytes.Repeat([]byte("<a>"), 20<<20), ssotest.NewIDP().Signer, leave())
	p := party(ssotest.NewIDP())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := CheckLogoutRequest(p, Incoming{Redirect: true, Query: bomb}, testSLO, now)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 20<<20 {
		t.Errorf("%d bytes of memory for a query of %d bytes (%v)", took, len(bomb), err)
	}
}

// SHA-1 passes while the connection allows it, and not a moment longer.
func TestLogoutWithSHA1(t *testing.T) {
	t.Parallel()
	idp, l := ssotest.NewIDP(), leave()
	l.Algorithm = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	in := by(idp, l)["redirect"]
	for until, want := range map[time.Time]bool{now.Add(time.Minute): true, now: false} {
		p := party(idp)
		p.AllowSHA1Until = until
		if _, trace, err := CheckLogoutRequest(p, in, testSLO, now); (err == nil) != want {
			t.Errorf("until %s: %v, want accepted %t\n%s", until, err, want, show(trace))
		}
	}
}

func TestLogoutResponses(t *testing.T) {
	t.Parallel()
	const success = StatusSuccess
	for _, c := range []struct {
		name    string
		edit    func(*crewjam.LogoutResponse)
		signer  ssotest.Signer
		bare    bool // unsigned
		outcome Outcome
		check   string // that stops it
	}{
		{name: "done", outcome: LogoutDone},
		{name: "partly", outcome: LogoutPartial, edit: func(r *crewjam.LogoutResponse) {
			r.Status.StatusCode = crewjam.StatusCode{Value: success, StatusCode: &crewjam.StatusCode{Value: StatusPartialLogout}}
		}},
		{name: "partly, at the top", outcome: LogoutPartial, edit: func(r *crewjam.LogoutResponse) { r.Status.StatusCode.Value = StatusPartialLogout }},
		{name: "refused", outcome: LogoutRefused, edit: func(r *crewjam.LogoutResponse) { r.Status.StatusCode.Value = StatusResponder }},
		{name: "success below a failure", outcome: LogoutRefused, edit: func(r *crewjam.LogoutResponse) {
			r.Status.StatusCode = crewjam.StatusCode{Value: StatusResponder, StatusCode: &crewjam.StatusCode{Value: success}}
		}},
		{name: "unsigned", check: "signed", bare: true},
		{name: "a stranger's", check: "signature", signer: ssotest.OtherSigner()},
		{name: "to another request", check: "in_response_to", edit: func(r *crewjam.LogoutResponse) { r.InResponseTo = "_other" }},
		{name: "to no request", check: "in_response_to", edit: func(r *crewjam.LogoutResponse) { r.InResponseTo = "" }},
		{name: "another provider's", check: "issuer", edit: func(r *crewjam.LogoutResponse) { r.Issuer.Value = "https://other.example" }},
		{name: "for another application", check: "destination", edit: func(r *crewjam.LogoutResponse) { r.Destination = "https://other.example/slo" }},
		{name: "old", check: "issued", edit: func(r *crewjam.LogoutResponse) { r.IssueInstant = now.Add(-time.Hour) }},
	} {
		idp := ssotest.NewIDP()
		signer := idp.Signer
		if c.signer.Key != nil {
			signer = c.signer
		}
		response := crewjam.LogoutResponse{ID: "_r1", InResponseTo: testRequest, Version: "2.0", IssueInstant: now, Destination: testSLO,
			Issuer: &crewjam.Issuer{Value: idp.EntityID}, Status: crewjam.Status{StatusCode: crewjam.StatusCode{Value: success}}}
		if c.edit != nil {
			c.edit(&response)
		}
		el := response.Element()
		query := ssotest.RedirectQuery("SAMLResponse", ssotest.Serialize(el), signer, ssotest.Logout{RelayState: "x", Unsigned: c.bare})
		if !c.bare {
			ssotest.SignElement(el, signer, crypto.SHA256)
		}
		for binding, in := range map[string]Incoming{"redirect": {Redirect: true, Query: query}, "post": {Value: base64.StdEncoding.EncodeToString(ssotest.Serialize(el))}} {
			got, trace, err := CheckLogoutResponse(party(idp), in, testSLO, testRequest, now)
			failed, _ := trace.Failed()
			if got != c.outcome || failed.Name != c.check || (err == nil) != (c.check == "") {
				t.Errorf("%s by %s: got %q, %v, stopped by %q; want %q, %q\n%s", c.name, binding, got, err, failed.Name, c.outcome, c.check, show(trace))
			}
		}
	}
}

// What we send, a provider can read: both messages, both bindings, by our own
// checks turned round, and the XML signature by xmlsec1.
func TestOurLogoutMessages(t *testing.T) {
	t.Parallel()
	us := ssotest.SPSigner()
	name := answer.NameID{Value: "älice & <co>", Format: FormatPersistent, NameQualifier: "q", SPNameQualifier: testEntity, SPProvidedID: "p"}
	const theirs = "https://idp.example/slo?app=1"
	they := Party{EntityID: "https://idp.example", IDPEntityID: testEntity, Certificates: [][]byte{us.Cert.Raw}, Skew: time.Minute}
	for _, binding := range []string{BindingRedirect, BindingPOST} {
		m := LogoutMessage{ID: "_1", To: theirs, Binding: binding, RelayState: "a b&c", Now: now, SignKey: us.Key, SignCert: us.Cert.Raw}
		p := Party{EntityID: testEntity}
		request, err := NewLogoutRequest(p, m, name, "_s1")
		if err != nil {
			t.Fatal(err)
		}
		got, trace, err := CheckLogoutRequest(they, arrive(t, request, theirs, "SAMLRequest"), theirs, now)
		ssotest.InGerman(t, trace)
		if err != nil || got.NameID != name || !slices.Equal(got.Indexes, []string{"_s1"}) || got.ID != "_1" {
			t.Errorf("request by %s: %+v, %v\n%s", binding, got, err, show(trace))
		}
		for status, want := range map[string]Outcome{StatusSuccess: LogoutDone, StatusPartialLogout: LogoutPartial, StatusResponder: LogoutRefused} {
			response, err := NewLogoutResponse(p, m, "_their", status)
			if err != nil {
				t.Fatal(err)
			}
			outcome, trace, err := CheckLogoutResponse(they, arrive(t, response, theirs, "SAMLResponse"), theirs, "_their", now)
			if err != nil || outcome != want {
				t.Errorf("%s by %s: %q, %v, want %q\n%s", status, binding, outcome, err, want, show(trace))
			}
		}
		if request.Form != nil {
			xmlsec1(t, request.Form.Get("SAMLRequest"), "urn:oasis:names:tc:SAML:2.0:protocol:LogoutRequest", us)
		}
	}
}

// arrive is a message of ours as the other side gets it.
func arrive(t *testing.T, out Outgoing, to, param string) Incoming {
	t.Helper()
	if out.Form != nil {
		if out.URL != to || out.Form.Get("RelayState") != "a b&c" {
			t.Errorf("posted to %s with %v", out.URL, out.Form)
		}
		return Incoming{Value: out.Form.Get(param)}
	}
	r := httptest.NewRequest(http.MethodGet, out.URL, nil)
	if got, relay := Carried(r.URL.RawQuery); got != param || relay != "a b&c" || r.FormValue("app") != "1" {
		t.Errorf("%s carries %q with RelayState %q", out.URL, got, relay)
	}
	return Incoming{Redirect: true, Query: r.URL.RawQuery}
}

// xmlsec1 verifies an enveloped signature over the root, named by its namespace
// and name.
func xmlsec1(t *testing.T, encoded, node string, signer ssotest.Signer) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string][]byte{"doc.xml": raw, "cert.der": signer.Cert.Raw}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("xmlsec1", "--verify", "--id-attr:ID", node, "--pubkey-cert-der", filepath.Join(dir, "cert.der"), filepath.Join(dir, "doc.xml")).CombinedOutput()
	if err != nil {
		t.Errorf("xmlsec1: %v\n%s", err, out)
	}
}

func TestCarried(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SAMLRequest=a&RelayState=r%2B1":      "SAMLRequest r+1",
		"SAMLResponse=a":                      "SAMLResponse ",
		"SAMLResponse=a&SAMLRequest=b":        " ",
		"SAMLRequest=a&SAMLRequest=b":         " ",
		"SAMLRequest=&SAMLResponse=b":         "SAMLResponse ",
		"":                                    " ",
		"RelayState=a&RelayState=b&x":         " ",
		"%53AMLRequest=a&SAMLResponse=x":      "SAMLResponse ",
		"SAMLRequest=" + url.QueryEscape("+"): "SAMLRequest ",
	} {
		param, relay := Carried(query)
		if got := fmt.Sprintf("%s %s", param, relay); got != want {
			t.Errorf("%q carries %q, want %q", query, got, want)
		}
	}
}
