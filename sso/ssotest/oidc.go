package ssotest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
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

	// ClientKeys is where the client publishes its keys. When it is set, the client
	// must sign for itself (private_key_jwt); a secret will not do.
	ClientKeys string

	mu         sync.Mutex // guards what follows
	asked      url.Values // of the last authorization or logout request
	auth       string     // how the client last proved itself
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
	NoPKCE    bool                        // any verifier will do
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
	mux.HandleFunc("GET /end", p.end)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Register allows a redirect URL.
func (p *OIDC) Register(redirect string) {
	p.with(func() { p.redirects = append(p.redirects, redirect) })
}

// Asked are the parameters of the last authorization or logout request.
func (p *OIDC) Asked() (q url.Values) { p.with(func() { q = p.asked }); return q }

// Auth tells how the client last proved itself.
func (p *OIDC) Auth() (method string) { p.with(func() { method = p.auth }); return method }

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
		"end_session_endpoint":                  p.URL + "/end",
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
	p.asked = q
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
	if q.Get("response_mode") == "form_post" {
		fmt.Fprintf(w, `<!doctype html><form method="post" action="%s">`, html.EscapeString(q.Get("redirect_uri")))
		for name := range back {
			fmt.Fprintf(w, `<input name="%s" value="%s">`, name, html.EscapeString(back.Get(name)))
		}
		fmt.Fprint(w, `</form>`)
		return
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

// end signs out and sends the browser back.
func (p *OIDC) end(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.with(func() { p.asked = q })
	back, err := url.Parse(q.Get("post_logout_redirect_uri"))
	if err != nil || q.Get("id_token_hint") == "" {
		http.Error(w, "sign out of what?", http.StatusBadRequest)
		return
	}
	back.RawQuery = url.Values{"state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// LogoutToken says that somebody signed out here (Back-Channel Logout 1.0 §2.4).
// change may make it a lie.
func (p *OIDC) LogoutToken(change func(header, claims map[string]any)) string {
	now := p.Now()
	var kid string
	p.with(func() { kid = p.keyID })
	header := map[string]any{"kid": kid, "typ": "logout+jwt"}
	claims := map[string]any{"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	change(header, claims)
	return p.Sign(header, claims)
}

// client tells whether a token request proves who sent it.
func (p *OIDC) client(r *http.Request) bool {
	if p.ClientKeys != "" {
		p.with(func() { p.auth = "private_key_jwt" })
		return p.signed(r.PostFormValue("client_assertion"), r.PostFormValue("client_assertion_type"))
	}
	method := "client_secret_basic"
	id, secret, ok := r.BasicAuth()
	if ok {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		method, id, secret = "client_secret_post", r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	p.with(func() { p.auth = method })
	return id == p.ClientID && secret == p.ClientSecret
}

// signed checks a client's assertion with the key set that it publishes.
func (p *OIDC) signed(assertion, kind string) bool {
	resp, err := http.Get(p.ClientKeys)
	if err != nil || kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	defer resp.Body.Close()
	var set jose.JSONWebKeySet
	if json.NewDecoder(resp.Body).Decode(&set) != nil {
		return false
	}
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
	if err != nil {
		return false
	}
	payload, err := jws.Verify(set)
	var c struct {
		Iss, Sub, Aud, Jti string
		Exp                int64
	}
	return err == nil && json.Unmarshal(payload, &c) == nil && c.Iss == p.ClientID && c.Sub == p.ClientID && c.Aud == p.URL+"/token" && c.Jti != "" && c.Exp > p.Now().Unix()
}

func (p *OIDC) token(w http.ResponseWriter, r *http.Request) {
	proved := p.client(r)
	p.mu.Lock()
	g, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	user, twist, kid := p.user, p.twist, p.keyID
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case !proved:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	case !ok || g.redirect != r.PostFormValue("redirect_uri") || !twist.NoPKCE && g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
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
