package ssotest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// OIDC is an OpenID provider on loopback that signs everybody in without a
// question. It checks its clients properly (redirect URL, secret, PKCE, one use
// of a code); each Twist makes it lie in one way.
type OIDC struct {
	URL          string // the issuer
	ClientID     string
	ClientSecret string
	Now          func() time.Time

	mu         sync.Mutex // guards what follows
	redirects  []string
	user       map[string]any
	twist      Twist
	key        *ecdsa.PrivateKey
	keyID      string
	codes      map[string]grant
	tokens     map[string]map[string]any
	keyFetches int
}

// Twist says how the provider misbehaves. Nil fields mean that it behaves.
type Twist struct {
	Discovery func(doc map[string]any)
	Callback  func(q url.Values)                  // what it sends the browser back with
	IDToken   func(header, claims map[string]any) // before signing
	Sign      func(header, claims map[string]any) string
	UserInfo  func(claims map[string]any)
	Tokens    func(answer map[string]any) // the token endpoint's answer
}

type grant struct {
	redirect, challenge, nonce string
}

// NewOIDC starts a provider that ends with the test.
func NewOIDC(t testing.TB) *OIDC {
	t.Helper()
	p := &OIDC{ClientID: "muster", ClientSecret: "a secret for the test", Now: time.Now,
		codes: map[string]grant{}, tokens: map[string]map[string]any{}}
	p.NewKey("k1")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Register allows a redirect URL.
func (p *OIDC) Register(redirect string) {
	p.with(func() { p.redirects = append(p.redirects, redirect) })
}

// As says who signs in from now on, by their claims (sub is needed).
func (p *OIDC) As(claims map[string]any) { p.with(func() { p.user = maps.Clone(claims) }) }

// Misbehave sets the twist for what follows.
func (p *OIDC) Misbehave(t Twist) { p.with(func() { p.twist = t }) }

// NewKey replaces the signing key.
func (p *OIDC) NewKey(id string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.with(func() { p.key, p.keyID = key, id })
}

// KeyFetches tells how often the key set was asked for.
func (p *OIDC) KeyFetches() (n int) { p.with(func() { n = p.keyFetches }); return n }

func (p *OIDC) with(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

// Sign makes a token with the provider's key; header may hold kid and typ.
func (p *OIDC) Sign(header, claims map[string]any) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	kid, _ := header["kid"].(string)
	opts := &jose.SignerOptions{}
	for name, v := range header {
		if name != "kid" && name != "alg" {
			opts = opts.WithHeader(jose.HeaderKey(name), v)
		}
	}
	return SignWith(jose.ES256, jose.JSONWebKey{Key: p.key, KeyID: kid}, opts, claims)
}

// SignWith makes a token with any key.
func SignWith(alg jose.SignatureAlgorithm, key any, opts *jose.SignerOptions, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// Unsigned makes a token of algorithm "none".
func Unsigned(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"none"}`)) + "." + enc(payload) + "."
}

func (p *OIDC) discovery(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"issuer":                                p.URL,
		"authorization_endpoint":                p.URL + "/authorize",
		"token_endpoint":                        p.URL + "/token",
		"userinfo_endpoint":                     p.URL + "/userinfo",
		"jwks_uri":                              p.URL + "/keys",
		"response_types_supported":              []string{"code"},
		"id_token_signing_alg_values_supported": []string{"ES256", "RS256", "HS256"},
		"authorization_response_iss_parameter_supported": true,
	}
	p.with(func() {
		if p.twist.Discovery != nil {
			p.twist.Discovery(doc)
		}
	})
	answer(w, http.StatusOK, doc)
}

func (p *OIDC) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keyFetches++
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: p.keyID, Use: "sig", Algorithm: "ES256"}}})
}

func (p *OIDC) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	known := false
	for _, u := range p.redirects {
		known = known || u == q.Get("redirect_uri")
	}
	if !known || q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "unknown client or redirect URL, or no PKCE", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = grant{redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), nonce: q.Get("nonce")}
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	if p.twist.Callback != nil {
		p.twist.Callback(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

func (p *OIDC) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	p.mu.Lock()
	g, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	user, twist, kid := p.user, p.twist, p.keyID
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != p.ClientID || secret != p.ClientSecret:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	case !ok || g.redirect != r.PostFormValue("redirect_uri") || g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	access := rand.Text()
	p.with(func() { p.tokens[access] = user })
	hash := sha256.Sum256([]byte(access))
	now := p.Now()
	header := map[string]any{"alg": "ES256", "kid": kid, "typ": "JWT"}
	claims := map[string]any{"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"nonce": g.nonce, "at_hash": base64.RawURLEncoding.EncodeToString(hash[:16])}
	maps.Copy(claims, user)
	if twist.IDToken != nil {
		twist.IDToken(header, claims)
	}
	sign := p.Sign
	if twist.Sign != nil {
		sign = twist.Sign
	}
	out := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": sign(header, claims)}
	if twist.Tokens != nil {
		twist.Tokens(out)
	}
	answer(w, http.StatusOK, out)
}

func (p *OIDC) userinfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const scheme = "Bearer "
	auth := r.Header.Get("Authorization")
	user, ok := p.tokens[auth[min(len(scheme), len(auth)):]]
	if !ok {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	claims := maps.Clone(user)
	if p.twist.UserInfo != nil {
		p.twist.UserInfo(claims)
	}
	answer(w, http.StatusOK, claims)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
