package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
)

var testNow = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return testNow }

// direct asks without the guard, which the door's tests have.
func direct(r *http.Request, _ fault.Word) (Reply, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return Reply{}, fault.Unavailable.Wrap(err, "no answer")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Reply{resp.StatusCode, resp.Header, body}, err
}

// issuerAt is a provider without its discovery document.
func issuerAt(url string, algorithms ...string) *Issuer {
	return &Issuer{URL: url, Algorithms: algorithms, keys: newKeySet(url+"/keys", direct, fixedClock), ask: direct}
}

// hostile tokens, each with the check that must stop it.
func TestHostileIDTokens(t *testing.T) {
	t.Parallel()
	idp := ssotest.NewOIDC(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	type tok = map[string]any
	set := func(name string, v any) func(h, c tok) { return func(_, c tok) { c[name] = v } }
	del := func(name string) func(h, c tok) { return func(_, c tok) { delete(c, name) } }
	cases := map[string]struct {
		change func(header, claims tok)
		sign   func(header, claims tok) string
		stop   string // the check; empty: accepted
	}{
		"good":                    {},
		"good: at_hash":           {change: set("at_hash", accessHash("ES256", "the access token"))},
		"good: two audiences":     {change: func(_, c tok) { c["aud"] = []string{"us", "else"}; c["azp"] = "us" }},
		"good: half a minute off": {change: func(_, c tok) { c["exp"] = testNow.Unix() - 30; c["iat"] = testNow.Unix() + 30 }},
		"good: no typ":            {change: func(h, _ tok) { delete(h, "typ") }},
		"wrong iss":               {change: set("iss", "https://evil.example"), stop: "iss"},
		"iss with slash":          {change: set("iss", idp.URL+"/"), stop: "iss"},
		"no iss":                  {change: del("iss"), stop: "iss"},
		"wrong aud":               {change: set("aud", "somebody else"), stop: "aud"},
		"no aud":                  {change: del("aud"), stop: "aud"},
		"aud in an object":        {change: set("aud", tok{"us": 1}), stop: "aud"},
		"azp of another":          {change: set("azp", "somebody else"), stop: "azp"},
		"two audiences, no azp":   {change: set("aud", []string{"us", "else"}), stop: "azp"},
		"expired":                 {change: set("exp", testNow.Unix()-61), stop: "exp"},
		"no exp":                  {change: del("exp"), stop: "exp"},
		"exp as text":             {change: set("exp", "tomorrow"), stop: "exp"},
		"exp absurd":              {change: set("exp", 1e300), stop: "exp"},
		"issued in the future":    {change: set("iat", testNow.Unix()+61), stop: "iat"},
		"issued long ago":         {change: set("iat", testNow.Unix()-601), stop: "iat"},
		"no iat":                  {change: del("iat"), stop: "iat"},
		"not yet":                 {change: set("nbf", testNow.Unix()+61), stop: "nbf"},
		"wrong nonce":             {change: set("nonce", "of another sign-in"), stop: "nonce"},
		"no nonce":                {change: del("nonce"), stop: "nonce"},
		"no sub":                  {change: del("sub"), stop: "sub"},
		"empty sub":               {change: set("sub", ""), stop: "sub"},
		"sub is a number":         {change: set("sub", 7), stop: "sub"},
		"sub in capitals":         {change: func(_, c tok) { c["SUB"] = c["sub"]; delete(c, "sub") }, stop: "sub"},
		"wrong at_hash":           {change: set("at_hash", accessHash("ES256", "another token")), stop: "at_hash"},
		"logout token":            {change: func(h, _ tok) { h["typ"] = "logout+jwt" }, stop: "typ"},
		"access token":            {change: func(h, _ tok) { h["typ"] = "application/at+jwt" }, stop: "typ"},
		"untyped logout token":    {change: set("events", tok{"http://schemas.openid.net/event/backchannel-logout": tok{}}), stop: "events"},
		"alg none":                {sign: func(_, c tok) string { return ssotest.Unsigned(c) }, stop: "algorithm"},
		"HS256 with the client secret": {sign: func(_, c tok) string {
			return ssotest.SignWith(jose.HS256, []byte("0123456789abcdef0123456789abcdef"), nil, c)
		}, stop: "algorithm"},
		"RS256, not offered": {sign: func(_, c tok) string { return ssotest.SignWith(jose.RS256, rsaKey, nil, c) }, stop: "algorithm"},
		"another key, same id": {sign: func(_, c tok) string {
			other := ssotest.NewOIDC(t)
			return other.Sign(tok{"kid": "k1"}, c)
		}, stop: "signature"},
		"own key in the header": {sign: func(_, c tok) string {
			return ssotest.SignWith(jose.ES256, freshKey(t), &jose.SignerOptions{EmbedJWK: true}, c)
		}, stop: "signature"},
		"unknown kid": {change: func(h, _ tok) { h["kid"] = "k2" }, stop: "signature"},
		"not a token": {sign: func(_, _ tok) string { return "a.b.c" }, stop: "token"},
		"empty":       {sign: func(_, _ tok) string { return "" }, stop: "token"},
		"cut short":   {sign: func(h, c tok) string { s := idp.Sign(h, c); return s[:len(s)-5] }, stop: "token"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := tok{"kid": "k1", "typ": "JWT"}
			claims := tok{"iss": idp.URL, "aud": "us", "sub": "alice", "iat": testNow.Unix(), "exp": testNow.Unix() + 300, "nonce": "of this sign-in"}
			if c.change != nil {
				c.change(header, claims)
			}
			sign := idp.Sign
			if c.sign != nil {
				sign = c.sign
			}
			party := Party{Issuer: idp.URL, ClientID: "us"}
			got, trace, err := issuerAt(idp.URL, "ES256").CheckIDToken(t.Context(), party, sign(header, claims), Expect{Nonce: "of this sign-in", AccessToken: "the access token", Now: testNow})
			ssotest.InGerman(t, trace, "of this sign…", "of another s…")
			failed, _ := trace.Failed()
			if failed.Name != c.stop || (err == nil) != (c.stop == "") {
				t.Errorf("stopped by %q (%v), want %q\ntrace: %+v", failed.Name, err, c.stop, trace)
			}
			if err != nil && (got.Claims != nil || !fault.Is(err, fault.Invalid)) {
				t.Errorf("a refused token gave claims %v, fault %v", got, err)
			}
		})
	}
}

func freshKey(t *testing.T) any {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVendorRules(t *testing.T) {
	t.Parallel()
	const tenant = "0f4d9c5e-0000-4000-8000-000000000001"
	entra := "https://login.microsoftonline.com/" + tenant + "/v2.0"
	cases := map[string]struct {
		issuer string
		claims map[string]any
		stop   string
	}{
		"Workspace account":               {GoogleIssuer, map[string]any{"hd": "Acme.example"}, ""},
		"Workspace of another company":    {GoogleIssuer, map[string]any{"hd": "other.example"}, "hd"},
		"private Google account":          {GoogleIssuer, nil, "hd"},
		"Entra user":                      {entra, map[string]any{"tid": tenant, "oid": "o-1"}, ""},
		"Entra user of another tenant":    {entra, map[string]any{"tid": "another", "oid": "o-1"}, "tid"},
		"Entra without oid":               {entra, map[string]any{"tid": tenant}, "oid"},
		"other vendors have no such rule": {"https://login.example.com", nil, ""},
	}
	for name, c := range cases {
		trace := answer.Trace(vendorChecks(Party{Issuer: c.issuer, Domains: []string{"acme.example"}}, claimsOf(t, c.claims)))
		if failed, _ := trace.Failed(); failed.Name != c.stop {
			t.Errorf("%s: stopped by %q, want %q", name, failed.Name, c.stop)
		}
	}
}

func TestIssuersForEverybodyAreRefused(t *testing.T) {
	t.Parallel()
	for issuer, good := range map[string]bool{
		"https://login.example.com":                            true,
		"https://tenant.eu.auth0.com/":                         true,
		"https://login.microsoftonline.com/0f4d-1/v2.0":        true,
		"https://login.microsoftonline.com/common/v2.0":        false,
		"https://login.microsoftonline.com/organizations/v2.0": false,
		"https://login.microsoftonline.us/consumers/v2.0":      false,
		"https://login.example.com?x=1":                        false,
		"https://user@login.example.com":                       false,
		"ftp://login.example.com":                              false,
		"login.example.com":                                    false,
		"":                                                     false,
	} {
		if err := CheckIssuer(issuer); (err == nil) != good {
			t.Errorf("CheckIssuer(%q) = %v, want good = %v", issuer, err, good)
		}
	}
}

// What is believed about an e-mail address decides whether accounts are linked.
func TestWhoVouchesForTheAddress(t *testing.T) {
	t.Parallel()
	entra := "https://login.microsoftonline.com/t1/v2.0"
	cases := map[string]struct {
		issuer   string
		id, info map[string]any
		email    string
		word     answer.Word
	}{
		"verified":                         {"https://a", map[string]any{"email": "a@x", "email_verified": true}, nil, "a@x", answer.SaidYes},
		"verified as text":                 {"https://a", map[string]any{"email": "a@x", "email_verified": "true"}, nil, "a@x", answer.SaidYes},
		"denied":                           {"https://a", map[string]any{"email": "a@x", "email_verified": false}, nil, "a@x", answer.SaidNo},
		"not said":                         {"https://a", map[string]any{"email": "a@x"}, nil, "a@x", answer.Unsaid},
		"null":                             {"https://a", map[string]any{"email": "a@x", "email_verified": nil}, nil, "a@x", answer.Unsaid},
		"nonsense counts as no":            {"https://a", map[string]any{"email": "a@x", "email_verified": []int{1}}, nil, "a@x", answer.SaidNo},
		"both from userinfo":               {"https://a", nil, map[string]any{"email": "a@x", "email_verified": true}, "a@x", answer.SaidYes},
		"word about the same address":      {"https://a", map[string]any{"email": "a@x"}, map[string]any{"email": "a@x", "email_verified": true}, "a@x", answer.SaidYes},
		"word about another address":       {"https://a", map[string]any{"email": "a@x"}, map[string]any{"email": "b@x", "email_verified": true}, "a@x", answer.Unsaid},
		"the token's word without address": {"https://a", map[string]any{"email_verified": true}, map[string]any{"email": "b@x"}, "b@x", answer.Unsaid},
		"Entra says nothing":               {entra, map[string]any{"email": "a@x", "oid": "o", "tid": "t1", "email_verified": true}, nil, "a@x", answer.Unsaid},
		"Entra, owner of the domain":       {entra, map[string]any{"email": "a@x", "oid": "o", "tid": "t1", "xms_edov": "1"}, nil, "a@x", answer.SaidYes},
		"Entra, not the owner":             {entra, map[string]any{"email": "a@x", "oid": "o", "tid": "t1", "xms_edov": 0}, nil, "a@x", answer.SaidNo},
		"Entra guest":                      {entra, map[string]any{"email": "a@x", "oid": "o", "tid": "t1", "iss": entra, "idp": "https://sts.windows.net/else/"}, nil, "a@x", answer.SaidNo},
	}
	for name, c := range cases {
		got := PersonOf(Party{Issuer: c.issuer}, claimsOf(t, c.id), claimsOf(t, c.info))
		if got.Email != c.email || got.EmailSaid != c.word {
			t.Errorf("%s: %q, word %d; want %q, %d", name, got.Email, got.EmailSaid, c.email, c.word)
		}
	}
}

func TestGroupListsKnowWhetherTheyAreComplete(t *testing.T) {
	t.Parallel()
	many := make([]string, 100)
	for i := range many {
		many[i] = "g"
	}
	for name, c := range map[string]struct {
		vendor string
		claims map[string]any
		n      int
		known  bool
	}{
		"none sent":     {"custom", nil, 0, false},
		"a list":        {"custom", map[string]any{"groups": []string{"a", "b"}}, 2, true},
		"one as text":   {"custom", map[string]any{"groups": "a"}, 1, true},
		"empty list":    {"custom", map[string]any{"groups": []string{}}, 0, true},
		"Okta's limit":  {"okta", map[string]any{"groups": many}, 100, false},
		"Entra overage": {"entra", map[string]any{"_claim_names": map[string]any{"groups": "src1"}}, 0, false},
		"hasgroups":     {"entra", map[string]any{"hasgroups": true}, 0, false},
	} {
		got := PersonOf(Party{Vendor: c.vendor, Issuer: "https://a"}, claimsOf(t, c.claims), nil)
		if len(got.Groups) != c.n || got.GroupsKnown != c.known {
			t.Errorf("%s: %d groups, known %v; want %d, %v", name, len(got.Groups), got.GroupsKnown, c.n, c.known)
		}
	}
}

func claimsOf(t *testing.T, m map[string]any) Claims {
	t.Helper()
	if m == nil {
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseClaims(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verify is a signature check alone.
func verify(t *testing.T, k *keySet, token string) error {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return err
	}
	_, err = k.verify(t.Context(), jws)
	return err
}

// A flood of tokens with made-up key ids must not become a flood at the issuer.
func TestUnknownKeysLeadToFewFetches(t *testing.T) {
	t.Parallel()
	idp := ssotest.NewOIDC(t)
	now := testNow
	var mu sync.Mutex
	keys := newKeySet(idp.URL+"/keys", direct, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	claims := map[string]any{"sub": "alice"}
	good := idp.Sign(map[string]any{"kid": "k1"}, claims)
	bad := idp.Sign(map[string]any{"kid": "made up"}, claims)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := verify(t, keys, bad); err == nil {
				t.Error("a token with an unknown key was accepted")
			}
			if err := verify(t, keys, good); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := idp.KeyFetches(); n != 1 {
		t.Errorf("50 bad tokens led to %d fetches, want 1", n)
	}

	// The provider rolls its key: found after the pause, and the old one is gone.
	idp.NewKey("k2")
	rolled := idp.Sign(map[string]any{"kid": "k2"}, claims)
	if err := verify(t, keys, rolled); err == nil {
		t.Error("fetched again within the pause")
	}
	mu.Lock()
	now = now.Add(keysRetry)
	mu.Unlock()
	if err := verify(t, keys, rolled); err != nil {
		t.Errorf("new key after the pause: %v", err)
	}
	if err := verify(t, keys, good); err == nil {
		t.Error("a key that the provider withdrew still verifies")
	}
}
