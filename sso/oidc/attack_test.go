package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
)

// target is an issuer with an RSA key, an EC key, one for encryption, one that is
// too short and a shared one, all published. fetches counts requests of any kind.
type target struct {
	*Issuer
	rsa, enc, short *rsa.PrivateKey
	ec              *ecdsa.PrivateKey
	set             jose.JSONWebKeySet
	fetches         atomic.Int32
}

func newTarget(t testing.TB) *target {
	t.Helper()
	out := &target{}
	var err error
	for into, bits := range map[**rsa.PrivateKey]int{&out.rsa: 2048, &out.enc: 2048, &out.short: 1024} {
		if *into, err = rsa.GenerateKey(rand.Reader, bits); err != nil {
			t.Fatal(err)
		}
	}
	if out.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	out.set = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: out.rsa.Public(), KeyID: "r1", Use: "sig"}, {Key: out.ec.Public(), KeyID: "e1", Use: "sig", Algorithm: "ES256"},
		{Key: out.enc.Public(), KeyID: "enc", Use: "enc"}, {Key: out.short.Public(), KeyID: "short"}, {Key: []byte("shared with everybody who asks, so no secret"), KeyID: "oct"}}}
	body, err := json.Marshal(out.set)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *http.Request, what fault.Word) (Reply, error) {
		out.fetches.Add(1)
		if r.URL.String() != "https://idp.example/keys" {
			t.Errorf("a request went to %s (%s)", r.URL, what)
		}
		return Reply{Status: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}
	out.Issuer = &Issuer{URL: "https://idp.example", Algorithms: []string{"RS256", "RS384", "ES256"}, keys: newKeySet("https://idp.example/keys", ask, fixedClock), ask: ask}
	return out
}

func (o *target) claims() map[string]any {
	return map[string]any{"iss": o.URL, "aud": "us", "sub": "ada", "iat": testNow.Unix(), "exp": testNow.Unix() + 300, "nonce": "n"}
}

// raw signs header and payload as they are, with nothing checked on the way.
func (o *target) raw(t testing.TB, header, payload string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(header)) + "." + enc([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, o.rsa, 5, sum[:]) // SHA-256
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + enc(sig)
}

func (o *target) payload(t testing.TB, extra string) string {
	t.Helper()
	b, err := json.Marshal(o.claims())
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:len(b)-1]) + extra + "}"
}

// Key confusion: every way of having a token verified with a key that its maker
// knows. Each is stopped by the check that is there for it, and none has us ask
// anybody but the issuer.
func TestKeyConfusion(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	evil, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example"}, NotAfter: testNow.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, evil.Public(), evil)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(o.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(o.set.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	hs := func(key []byte) string {
		return ssotest.SignWith(jose.HS256, jose.JSONWebKey{Key: key, KeyID: "r1"}, nil, o.claims())
	}
	with := func(name jose.HeaderKey, v any) string {
		return ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: evil, KeyID: "r1"}, (&jose.SignerOptions{}).WithHeader(name, v), o.claims())
	}
	signed := func(alg jose.SignatureAlgorithm, key any, kid string) string {
		return ssotest.SignWith(alg, jose.JSONWebKey{Key: key, KeyID: kid}, nil, o.claims())
	}
	good := signed(jose.RS256, o.rsa, "r1")
	for name, c := range map[string]struct{ token, stop string }{
		"good":                                {good, ""},
		"good: the EC key":                    {signed(jose.ES256, o.ec, "e1"), ""},
		"good: no key id":                     {signed(jose.RS256, o.rsa, ""), ""},
		"HS256 with the public key as PEM":    {hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), "algorithm"},
		"HS256 with the public key as DER":    {hs(spki), "algorithm"},
		"HS256 with the public key as JWK":    {hs(jwk), "algorithm"},
		"HS256 with the modulus":              {hs(o.rsa.N.Bytes()), "algorithm"},
		"HS256 with a published shared key":   {ssotest.SignWith(jose.HS256, jose.JSONWebKey{Key: o.set.Keys[4].Key, KeyID: "oct"}, nil, o.claims()), "algorithm"},
		"none":                                {ssotest.Unsigned(o.claims()), "algorithm"},
		"None":                                {o.raw(t, `{"alg":"None"}`, o.payload(t, "")), "algorithm"},
		"no algorithm":                        {o.raw(t, `{"typ":"JWT"}`, o.payload(t, "")), "algorithm"},
		"RS256 written in lower case":         {o.raw(t, `{"alg":"rs256"}`, o.payload(t, "")), "algorithm"},
		"an algorithm that is not pinned":     {signed(jose.PS256, o.rsa, "r1"), "algorithm"},
		"RS384 called RS256":                  {strings.Replace(good, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"`))[:18], base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS384"`))[:18], 1), "signature"},
		"ES256 under the RSA key's id":        {signed(jose.ES256, o.ec, "r1"), "signature"},
		"RS256 under the EC key's id":         {signed(jose.RS256, o.rsa, "e1"), "signature"},
		"a stranger's key under a known id":   {signed(jose.RS256, evil, "r1"), "signature"},
		"a stranger's key without id":         {signed(jose.RS256, evil, ""), "signature"},
		"the key in the header (jwk)":         {ssotest.SignWith(jose.RS256, evil, &jose.SignerOptions{EmbedJWK: true}, o.claims()), "signature"},
		"the key at an address (jku)":         {with("jku", "https://evil.example/keys"), "signature"},
		"a certificate at an address (x5u)":   {with("x5u", "https://evil.example/cert"), "signature"},
		"a certificate in the header (x5c)":   {with("x5c", []string{base64.StdEncoding.EncodeToString(der)}), "signature"},
		"the key that is for encryption":      {signed(jose.RS256, o.enc, "enc"), "signature"},
		"the key that is too short":           {signed(jose.RS256, o.short, "short"), "signature"},
		"kid is a path":                       {signed(jose.RS256, evil, "../../../../dev/null"), "signature"},
		"kid is an address":                   {signed(jose.RS256, evil, "https://evil.example/keys"), "signature"},
		"kid is SQL":                          {signed(jose.RS256, evil, "' UNION SELECT 'x"), "signature"},
		"kid is a command":                    {signed(jose.RS256, evil, "|/bin/true"), "signature"},
		"kid has a NUL":                       {signed(jose.RS256, evil, "r1\x00"), "signature"},
		"kid in another case":                 {signed(jose.RS256, o.rsa, "R1"), "signature"},
		"kid is a list":                       {o.raw(t, `{"alg":"RS256","kid":["r1"]}`, o.payload(t, "")), "token"},
		"kid is very long":                    {signed(jose.RS256, evil, strings.Repeat("k", 100_000)), "signature"},
		"an extension that must be known":     {o.raw(t, `{"alg":"RS256","kid":"r1","crit":["exp"],"exp":1}`, o.payload(t, "")), "signature"},
		"a payload that is not encoded":       {o.raw(t, `{"alg":"RS256","kid":"r1","crit":["b64"],"b64":false}`, o.payload(t, "")), "signature"},
		"the algorithm twice in the header":   {o.raw(t, `{"alg":"none","alg":"RS256","kid":"r1"}`, o.payload(t, "")), "token"},
		"sub twice":                           {o.raw(t, `{"alg":"RS256","kid":"r1"}`, o.payload(t, `,"sub":"boss"`)), "claims"},
		"sub twice, once with an escape":      {o.raw(t, `{"alg":"RS256","kid":"r1"}`, o.payload(t, `,"s\u0075b":"boss"`)), "claims"},
		"a name twice, deep inside":           {o.raw(t, `{"alg":"RS256","kid":"r1"}`, o.payload(t, `,"a":[{"b":{"c":1,"c":2}}]`)), "claims"},
		"claims are a list":                   {o.raw(t, `{"alg":"RS256","kid":"r1"}`, `[]`), "claims"},
		"claims are null":                     {o.raw(t, `{"alg":"RS256","kid":"r1"}`, `null`), "claims"},
		"claims, then more":                   {o.raw(t, `{"alg":"RS256","kid":"r1"}`, o.payload(t, "")+`{"sub":"boss"}`), "claims"},
		"encrypted":                           {good + ".x.y", "encryption"},
		"a token as JSON":                     {`{"payload":"e30","signatures":[]}`, "token"},
		"too long":                            {o.raw(t, `{"alg":"RS256","kid":"r1"}`, o.payload(t, `,"x":"`+strings.Repeat("x", idTokenMax)+`"`)), "size"},
		"signature of another token":          {good[:strings.LastIndexByte(good, '.')] + signed(jose.RS256, o.rsa, "r1x")[strings.LastIndexByte(signed(jose.RS256, o.rsa, "r1x"), '.'):], "signature"},
		"no signature":                        {good[:strings.LastIndexByte(good, '.')+1], "signature"},
		"the same claims under our own names": {o.raw(t, `{"alg":"RS256","kid":"r1"}`, strings.Replace(o.payload(t, ""), `"sub"`, `"Sub"`, 1)), "sub"},
	} {
		_, trace, err := o.CheckIDToken(t.Context(), Party{Vendor: "custom", Issuer: o.URL, ClientID: "us"}, c.token, Expect{Nonce: "n", Now: testNow})
		ssotest.InGerman(t, trace)
		if failed, _ := trace.Failed(); failed.Name != c.stop || (err == nil) != (c.stop == "") {
			t.Errorf("%s: stopped by %q (%v), want %q", name, failed.Name, err, c.stop)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := o.fetches.Load(); n != 1 {
		t.Errorf("all of that led to %d requests, want 1", n)
	}
}

// The pinned list of a connection is narrower than what the issuer offers, and can
// never be wider than what is safe.
func TestPinnedAlgorithms(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	rs := ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: o.rsa, KeyID: "r1"}, nil, o.claims())
	hs := ssotest.SignWith(jose.HS256, []byte("0123456789abcdef0123456789abcdef"), nil, o.claims())
	for name, c := range map[string]struct {
		pinned []string
		token  string
		stop   string
	}{
		"pinned to ES256":              {[]string{"ES256"}, rs, "algorithm"},
		"pinned to what came":          {[]string{"RS256"}, rs, ""},
		"HS256 cannot be pinned":       {[]string{"HS256"}, hs, "token"},
		"HS256 beside what is allowed": {[]string{"HS256", "RS256"}, hs, "algorithm"},
	} {
		_, trace, _ := o.CheckIDToken(t.Context(), Party{Issuer: o.URL, ClientID: "us", Algorithms: c.pinned}, c.token, Expect{Nonce: "n", Now: testNow})
		ssotest.InGerman(t, trace)
		if failed, _ := trace.Failed(); failed.Name != c.stop {
			t.Errorf("%s: stopped by %q, want %q", name, failed.Name, c.stop)
		}
	}
	for offered, good := range map[string]bool{"": true, "RS256 HS256 none": true, "EdDSA": true, "HS256": false, "HS256 HS512 none": false, "ES256K": false} {
		list, err := PickAlgorithms(strings.Fields(offered))
		if (err == nil) != good || err != nil && !strings.Contains(fault.Public(err), "client secret would be the signing key") {
			t.Errorf("offered %q: %v, %v", offered, list, err)
		}
	}
}
