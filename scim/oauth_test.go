package scim

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const endpoint = testURL + "/oauth/token"

// oauthReply is an answer of the token endpoint.
type oauthReply struct {
	reply
	Token string `json:"access_token"`
	Type  string `json:"token_type"`
	Life  int    `json:"expires_in"`
	Scope string `json:"scope"`
	Error string `json:"error"`
	About string `json:"error_description"`
}

// ask sends a token request; head are header lines.
func (d *door) ask(form url.Values, head ...string) (out oauthReply) {
	d.t.Helper()
	r := httptest.NewRequest("POST", endpoint, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, line := range head {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	got := d.serve(r)
	if err := json.Unmarshal([]byte(got.raw), &out); err != nil {
		d.t.Fatalf("POST /oauth/token: %v: %d %s", err, got.code, got.raw)
	}
	if out.reply = got; got.header.Get("Cache-Control") != "no-store" || (got.code == 200) != (out.Error == "") {
		d.t.Fatalf("POST /oauth/token: %d %v %s", got.code, got.header, got.raw)
	}
	return out
}

func (d *door) client(jwks string) (c Client, text string) {
	d.t.Helper()
	d.write(func(tx *store.Tx) (err error) {
		c, text, err = CreateClient(tx, d.directory.ID, NewClient{Name: "Client", JWKS: []byte(jwks)})
		return err
	})
	return c, text
}

// with is the same directory spoken to with another token.
func (d *door) with(token string) *door {
	other := *d
	other.token = token
	return &other
}

func basic(id, text string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(text)))
}

func credentialsForm(more ...string) url.Values {
	f := url.Values{"grant_type": {"client_credentials"}, "scope": {"scim"}}
	for i := 0; i < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		c, text := d.client("")
		id := string(c.ID)
		got := d.ask(credentialsForm(), basic(id, text))
		if got.code != 200 || got.Type != "Bearer" || got.Life != 3600 || got.Scope != "scim" || len(got.Token) != 43 {
			t.Fatalf("client_secret_basic: %d %s", got.code, got.raw)
		}
		again := d.ask(url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {text}})
		if again.code != 200 || again.Token == got.Token {
			t.Fatalf("client_secret_post without a scope: %d %s", again.code, again.raw)
		}
		d.with(got.Token).must(201, "POST", "/Users", userBody("jane"))
		other.with(got.Token).refused(404, "", "no directory", "GET", "/Users", "")
		if n := len(d.tokens()); n != 1 {
			t.Errorf("access tokens are listed with the directory's own: %d", n)
		}

		clock.Pass(time.Hour - time.Second)
		d.with(got.Token).must(200, "GET", "/Users", "")
		clock.Pass(time.Second)
		d.with(got.Token).refused(401, "", "ended", "GET", "/Users", "")

		live := d.ask(credentialsForm(), basic(id, text)).Token
		d.with(live).must(200, "GET", "/Users", "")
		var clients []Client
		d.write(func(tx *store.Tx) (err error) { clients, err = Clients(tx, d.directory.ID); return err })
		if len(clients) != 1 || clients[0].LastUsedAt != store.TimeOf(clock.Now()) || clients[0].LastUsedIP != "192.0.2.1" {
			t.Errorf("clients: %+v", clients)
		}
		err := db.Write(context.Background(), other.admin, func(tx *store.Tx) error { return RevokeClient(tx, other.directory.ID, c.ID) })
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("another directory's client: %v, want NotFound", err)
		}
		d.write(func(tx *store.Tx) error { return RevokeClient(tx, d.directory.ID, c.ID) })
		d.with(live).refused(401, "", "revoked", "GET", "/Users", "")
		if got := d.ask(credentialsForm(), basic(id, text)); got.code != 401 || got.Error != "invalid_client" {
			t.Errorf("a revoked client: %d %s", got.code, got.raw)
		}
	})
}

// What is live of one client is bounded: the oldest token makes room.
func TestAccessTokensAreBounded(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		c, text := d.client("")
		var tokens []string
		for range maxAccessTokens + 1 {
			clock.Pass(time.Second)
			tokens = append(tokens, d.ask(credentialsForm(), basic(string(c.ID), text)).Token)
		}
		d.with(tokens[0]).must(401, "GET", "/Users", "")
		d.with(tokens[1]).must(200, "GET", "/Users", "")
		d.must(200, "GET", "/Users", "")
	})
}

func TestTokenRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		c, text := d.client("")
		id := string(c.ID)
		for name, x := range map[string]struct {
			form url.Values
			head string
			code int
			err  string
		}{
			"no grant":          {url.Values{"scope": {"scim"}}, basic(id, text), 400, "invalid_request"},
			"empty grant":       {credentialsForm("grant_type", ""), basic(id, text), 400, "invalid_request"},
			"password grant":    {credentialsForm("grant_type", "password"), basic(id, text), 400, "unsupported_grant_type"},
			"other scope":       {credentialsForm("scope", "scim admin"), basic(id, text), 400, "invalid_scope"},
			"scope in capitals": {credentialsForm("scope", "SCIM"), basic(id, text), 400, "invalid_scope"},
			"twice":             {url.Values{"grant_type": {"client_credentials", "client_credentials"}}, basic(id, text), 400, "invalid_request"},
			"two ways":          {credentialsForm("client_id", id, "client_secret", text), basic(id, text), 400, "invalid_request"},
			"two ids":           {credentialsForm("client_id", "x"), basic(id, text), 400, "invalid_request"},
			"no assertion type": {credentialsForm("client_assertion", "a.b.c"), "X: y", 400, "invalid_request"},
			"JSON":              {credentialsForm(), "Content-Type: application/json", 400, "invalid_request"},
			"too large":         {credentialsForm("x", strings.Repeat("x", maxTokenBody)), basic(id, text), 400, "invalid_request"},
			"nothing":           {credentialsForm(), "X: y", 401, "invalid_client"},
			"id alone":          {credentialsForm("client_id", id), "X: y", 401, "invalid_client"},
			"a bearer token":    {credentialsForm(), "Authorization: Bearer " + d.token, 401, "invalid_client"},
			"broken Basic":      {credentialsForm(), "Authorization: Basic !", 401, "invalid_client"},
			"the hash":          {credentialsForm(), basic(id, c.SecretHash), 401, "invalid_client"},
			"wrong case":        {credentialsForm(), basic(strings.ToUpper(id)+"G", text), 401, "invalid_client"},
			"NUL":               {credentialsForm(), basic(id+"\x00", text), 401, "invalid_client"},
		} {
			got := d.ask(x.form, x.head)
			if got.code != x.code || got.Error != x.err || (x.code == 401) != strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic") {
				t.Errorf("%s: %d %s, want %d %s", name, got.code, got.raw, x.code, x.err)
			}
		}
		r := httptest.NewRequest("POST", endpoint+"?client_secret="+text, strings.NewReader("grant_type=client_credentials&client_id="+id))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := d.serve(r); got.code != 400 {
			t.Errorf("a secret in the address: %d %s", got.code, got.raw)
		}

		// Nobody learns which clients there are.
		wrong := d.ask(credentialsForm(), basic(id, "wrong"))
		missing := d.ask(credentialsForm(), basic(strings.Repeat("0", 32), text))
		if wrong.code != 401 || wrong.raw != missing.raw {
			t.Errorf("a wrong secret: %s\na missing client: %s", wrong.raw, missing.raw)
		}
		limited := 0
		for i := range guessBurst + 50 {
			if got := d.ask(credentialsForm(), basic(id, itoa(i))); got.code == 429 && got.header.Get("Retry-After") != "" {
				limited++
			}
		}
		if limited < 50 {
			t.Errorf("%d of %d guesses were turned away", limited, guessBurst+50)
		}
		clock.Pass(time.Minute)
		if got := d.ask(credentialsForm(), basic(id, text)); got.code != 200 {
			t.Errorf("the right secret, afterwards: %d %s", got.code, got.raw)
		}
	})
}

// A suspended organization gets no tokens, whoever asks well; who cannot prove themself
// learns nothing of it. Resumed, it gets them again at once.
func TestASuspendedOrganizationGetsNoTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		c, text := d.client("")
		operator := access.Actor{Kind: access.Person, Operator: true, ID: string(store.NewID[store.User]())}
		set := func(change func(tx *store.Tx) error) {
			t.Helper()
			if err := d.db.Write(t.Context(), operator.In(string(c.OrgID)), change); err != nil {
				t.Fatal(err)
			}
		}
		set(func(tx *store.Tx) error { _, err := tx.SuspendOrg("unpaid"); return err })
		for range 50 {
			got := d.ask(credentialsForm(), basic(string(c.ID), text))
			if got.code != 400 || got.Error != "unauthorized_client" || !strings.Contains(got.About, "suspended") || got.Token != "" {
				t.Fatalf("%d %s %q", got.code, got.Error, got.About)
			}
		}
		if got := d.ask(credentialsForm(), basic(string(c.ID), "wrong")); got.code != 401 || got.Error != "invalid_client" {
			t.Errorf("a wrong secret: %d %s %q", got.code, got.Error, got.About)
		}
		var n int
		if err := d.db.Lookup(t.Context(), &n, "SELECT COUNT(*) FROM directory_tokens WHERE client_id = ?", string(c.ID)); err != nil || n != 0 {
			t.Errorf("%d tokens, %v", n, err)
		}
		set(func(tx *store.Tx) error { _, err := tx.ResumeOrg(); return err })
		if got := d.ask(credentialsForm(), basic(string(c.ID), text)); got.code != 200 {
			t.Errorf("resumed: %d %s", got.code, got.raw)
		}
	})
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	got := d.serve(httptest.NewRequest("GET", testURL+"/.well-known/oauth-authorization-server", nil))
	var m struct {
		Issuer   string   `json:"issuer"`
		Endpoint string   `json:"token_endpoint"`
		Methods  []string `json:"token_endpoint_auth_methods_supported"`
		Algs     []string `json:"token_endpoint_auth_signing_alg_values_supported"`
		Grants   []string `json:"grant_types_supported"`
		Types    []string `json:"response_types_supported"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal([]byte(got.raw), &m); err != nil || got.code != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", got.code, err, got.raw)
	}
	if m.Issuer != testURL || m.Endpoint != endpoint || strings.Join(m.Methods, " ") != "client_secret_basic client_secret_post private_key_jwt" ||
		strings.Join(m.Algs, " ") != "RS256 PS256 ES256" || strings.Join(m.Grants, " ") != "client_credentials" || m.Types == nil || strings.Join(m.Scopes, " ") != "scim" {
		t.Errorf("metadata: %s", got.raw)
	}
}

// testKeys are made once: RSA is slow.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	rsaKey, err1 := rsa.GenerateKey(rand.Reader, 2048)
	other, err2 := rsa.GenerateKey(rand.Reader, 2048)
	ec, err3 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err4 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	small, err5 := rsa.GenerateKey(rand.Reader, 1024)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]crypto.Signer{"rsa": rsaKey, "other": other, "ec": ec, "p384": p384, "small": small}
})

func jwksOf(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func public(name, alg string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: testKeys()[name].Public(), KeyID: name, Algorithm: alg, Use: "sig"}
}

// signed is an assertion; head are extra header fields.
func signed(t testing.TB, alg jose.SignatureAlgorithm, key any, c map[string]any, head map[jose.HeaderKey]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: head})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func assertionForm(text string) url.Values {
	return credentialsForm("client_assertion_type", assertionType, "client_assertion", text)
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		c, text := d.client(jwksOf(t, public("rsa", ""), public("ec", "ES256")))
		if text != "" {
			t.Error("a client with keys has a secret too")
		}
		other, _ := d.client(jwksOf(t, public("other", "")))
		bySecret, _ := d.client("")
		keys, id := testKeys(), string(c.ID)
		n := 0
		with := func(more ...any) map[string]any {
			n++
			m := map[string]any{"iss": id, "sub": id, "aud": endpoint, "exp": clock.Now().Add(time.Minute).Unix(), "iat": clock.Now().Unix(), "jti": "j" + itoa(n)}
			for i := 0; i < len(more); i += 2 {
				if m[more[i].(string)] = more[i+1]; more[i+1] == nil {
					delete(m, more[i].(string))
				}
			}
			return m
		}
		for name, text := range map[string]string{
			"RS256": signed(t, jose.RS256, keys["rsa"], with(), nil), "PS256": signed(t, jose.PS256, keys["rsa"], with(), nil),
			"ES256": signed(t, jose.ES256, keys["ec"], with(), nil), "key id": signed(t, jose.RS256, jose.JSONWebKey{Key: keys["rsa"], KeyID: "rsa"}, with(), nil),
			"issuer as aud": signed(t, jose.RS256, keys["rsa"], with("aud", testURL), nil), "list": signed(t, jose.RS256, keys["rsa"], with("aud", []string{endpoint}), nil),
			"five minutes": signed(t, jose.RS256, keys["rsa"], with("exp", clock.Now().Add(5*time.Minute).Unix()), nil),
		} {
			got := d.ask(assertionForm(text))
			if got.code != 200 {
				t.Errorf("%s: %d %s", name, got.code, got.raw)
				continue
			}
			d.with(got.Token).must(200, "GET", "/Users", "")
		}

		pub, err := json.Marshal(keys["rsa"].Public())
		if err != nil {
			t.Fatal(err)
		}
		good := signed(t, jose.RS256, keys["rsa"], with(), nil)
		parts := strings.Split(good, ".")
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
		embedded := map[jose.HeaderKey]any{"jwk": public("other", "")}
		used := signed(t, jose.RS256, keys["rsa"], with("jti", "once"), nil)
		if got := d.ask(assertionForm(used)); got.code != 200 {
			t.Fatalf("%d %s", got.code, got.raw)
		}
		constant := d.ask(assertionForm("a.b.c")).raw
		for name, x := range map[string]struct{ text, part string }{
			"alg none":                 {none, ""},
			"HS256, public key":        {signed(t, jose.HS256, pub, with(), nil), ""},
			"RS512":                    {signed(t, jose.RS512, keys["rsa"], with(), nil), ""},
			"ES384":                    {signed(t, jose.ES384, keys["p384"], with(), nil), ""},
			"another key":              {signed(t, jose.RS256, keys["other"], with(), nil), ""},
			"another client's":         {signed(t, jose.RS256, keys["rsa"], with("iss", string(other.ID), "sub", string(other.ID)), nil), ""},
			"client with secret":       {signed(t, jose.RS256, keys["rsa"], with("iss", string(bySecret.ID), "sub", string(bySecret.ID)), nil), ""},
			"no client":                {signed(t, jose.RS256, keys["rsa"], with("iss", "x", "sub", "x"), nil), ""},
			"key in the header":        {signed(t, jose.RS256, keys["other"], with(), embedded), ""},
			"other key's id":           {signed(t, jose.RS256, jose.JSONWebKey{Key: keys["rsa"], KeyID: "ec"}, with(), nil), ""},
			"changed":                  {parts[0] + "." + strings.Replace(parts[1], parts[1][10:14], "AAAA", 1) + "." + parts[2], ""},
			"unsigned":                 {parts[0] + "." + parts[1] + ".", ""},
			"too long":                 {strings.Repeat("a", maxAssertionBytes+1), ""},
			"other issuer":             {signed(t, jose.RS256, keys["rsa"], with("iss", string(other.ID)), nil), "iss and sub"},
			"no issuer":                {signed(t, jose.RS256, keys["rsa"], with("iss", nil), nil), "iss and sub"},
			"other aud":                {signed(t, jose.RS256, keys["rsa"], with("aud", "https://elsewhere.example.com/oauth/token"), nil), "aud"},
			"aud with another":         {signed(t, jose.RS256, keys["rsa"], with("aud", []string{endpoint, "https://elsewhere.example.com"}), nil), "aud"},
			"aud is another directory": {signed(t, jose.RS256, keys["rsa"], with("aud", BaseURL(testURL, store.NewID[store.Directory]())), nil), "aud"},
			"no aud":                   {signed(t, jose.RS256, keys["rsa"], with("aud", nil), nil), "aud"},
			"expired":                  {signed(t, jose.RS256, keys["rsa"], with("exp", clock.Now().Unix()), nil), "expired"},
			"long ago":                 {signed(t, jose.RS256, keys["rsa"], with("exp", 1), nil), "expired"},
			"no exp":                   {signed(t, jose.RS256, keys["rsa"], with("exp", nil), nil), "exp"},
			"huge exp":                 {signed(t, jose.RS256, keys["rsa"], with("exp", 1e300), nil), "exp"},
			"six minutes":              {signed(t, jose.RS256, keys["rsa"], with("exp", clock.Now().Add(6*time.Minute).Unix()), nil), "5 minutes"},
			"not yet":                  {signed(t, jose.RS256, keys["rsa"], with("nbf", clock.Now().Add(time.Minute).Unix()), nil), "future"},
			"issued later":             {signed(t, jose.RS256, keys["rsa"], with("iat", clock.Now().Add(time.Minute).Unix()), nil), "future"},
			"no jti":                   {signed(t, jose.RS256, keys["rsa"], with("jti", nil), nil), "jti"},
			"replayed":                 {used, "used before"},
			"jti again":                {signed(t, jose.ES256, keys["ec"], with("jti", "once"), nil), "used before"},
		} {
			got := d.ask(assertionForm(x.text))
			if got.code != 401 || got.Error != "invalid_client" || !strings.Contains(got.About, x.part) || x.part == "" && got.raw != constant {
				t.Errorf("%s: %d %s, want %q", name, got.code, got.raw, x.part)
			}
		}
		if got := d.ask(assertionForm(good)); got.code != 200 {
			t.Errorf("the untouched one: %d %s", got.code, got.raw)
		}
		f := assertionForm(signed(t, jose.RS256, keys["rsa"], with(), nil))
		f.Set("client_id", string(other.ID))
		if got := d.ask(f); got.code != 401 || got.raw != constant {
			t.Errorf("another client_id: %d %s", got.code, got.raw)
		}
		if got := d.ask(credentialsForm(), basic(id, "")); got.code != 401 {
			t.Errorf("a client with keys and an empty secret: %d %s", got.code, got.raw)
		}
		jti := "other's"
		mine := signed(t, jose.RS256, keys["rsa"], with("jti", jti), nil)
		theirs := signed(t, jose.RS256, keys["other"], with("jti", jti, "iss", string(other.ID), "sub", string(other.ID)), nil)
		if a, b := d.ask(assertionForm(mine)), d.ask(assertionForm(theirs)); a.code != 200 || b.code != 200 {
			t.Errorf("two clients with one jti: %d, %d", a.code, b.code)
		}
	})
}

// One assertion sent many times at once, to two replicas, gives one token.
func TestReplayAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		c, _ := d.client(jwksOf(t, public("rsa", "")))
		second := *d
		second.mux, _ = mounted(t, db)
		text := signed(t, jose.RS256, testKeys()["rsa"], map[string]any{"iss": c.ID, "sub": c.ID, "aud": endpoint, "jti": "x", "exp": db.Now().Add(time.Minute).Unix()}, nil)
		var given, refused atomic.Int32
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				who := []*door{d, &second}[i%2]
				switch got := who.ask(assertionForm(text)); {
				case got.code == 200:
					given.Add(1)
				case got.code == 401 && strings.Contains(got.About, "used before"):
					refused.Add(1)
				default:
					t.Errorf("%d %s", got.code, got.raw)
				}
			})
		}
		all.Wait()
		if given.Load() != 1 || refused.Load() != 23 {
			t.Errorf("%d tokens, %d refusals", given.Load(), refused.Load())
		}
	})
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	enc := public("rsa", "")
	enc.Use = "enc"
	for name, jwks := range map[string]string{
		"no JSON": "{", "no keys": `{"keys":[]}`, "private": jwksOf(t, jose.JSONWebKey{Key: testKeys()["rsa"], KeyID: "a"}),
		"symmetric": `{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}`, "P-384": jwksOf(t, public("p384", "")), "1024 bits": jwksOf(t, public("small", "")),
		"RS512": jwksOf(t, public("rsa", "RS512")), "for encryption": jwksOf(t, enc), "one id twice": jwksOf(t, public("rsa", ""), public("rsa", "")),
		"off the curve": `{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`, "too large": strings.Repeat(" ", 65<<10) + `{}`,
	} {
		err := d.db.Write(context.Background(), d.admin, func(tx *store.Tx) error {
			_, _, err := CreateClient(tx, d.directory.ID, NewClient{Name: "x", JWKS: []byte(jwks)})
			return err
		})
		if !fault.Is(err, fault.Invalid) || fault.Field(err) != "jwks" {
			t.Errorf("%s: %v, want Invalid on jwks", name, err)
		}
	}
}
