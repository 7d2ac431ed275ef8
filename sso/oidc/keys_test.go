package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
)

// wire is what an issuer answers, changed while a test runs.
type wire struct {
	mu      sync.Mutex // guards what follows
	now     time.Time
	pages   map[string]string
	cache   string
	asked   int
	blocked chan struct{} // when set, requests wait for it
	waiting chan struct{} // gets one for each request that waits
}

func newWire() *wire {
	return &wire{now: testNow, pages: map[string]string{}, waiting: make(chan struct{}, 100)}
}

func (w *wire) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

func (w *wire) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

func (w *wire) put(path, body string) { w.mu.Lock(); defer w.mu.Unlock(); w.pages[path] = body }

func (w *wire) count() int { w.mu.Lock(); defer w.mu.Unlock(); return w.asked }

func (w *wire) ask(r *http.Request, what fault.Word) (Reply, error) {
	w.mu.Lock()
	w.asked++
	body, ok := w.pages[r.URL.Path]
	cache, blocked := w.cache, w.blocked
	w.mu.Unlock()
	if blocked != nil {
		w.waiting <- struct{}{}
		<-blocked
	}
	if !ok {
		return Reply{}, fault.Unavailable.Say("The %s does not answer.", what)
	}
	return Reply{Status: http.StatusOK, Header: http.Header{"Cache-Control": {cache}}, Body: []byte(body)}, nil
}

func jwks(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeysLastAsLongAsTheyMay(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	w := newWire()
	k := newKeySet("https://idp.example/keys", w.ask, w.clock)
	token := ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: o.rsa, KeyID: "r1"}, nil, o.claims())
	if err := verify(t, k, token); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without any key: %v", err)
	}
	w.pass(keysRetry)
	w.put("/keys", jwks(t, o.set.Keys[0]))
	w.cache = "public, max-age=600"
	step := func(name string, pass time.Duration, good bool, asked int) {
		t.Helper()
		w.pass(pass)
		before := w.count()
		if err := verify(t, k, token); (err == nil) != good || w.count()-before != asked {
			t.Errorf("%s: %v, %d requests; want good = %v, %d", name, err, w.count()-before, good, asked)
		}
	}
	step("first", 0, true, 1)
	step("before its end", 9*time.Minute, true, 0)
	step("after its end", 2*time.Minute, true, 1)
	delete(w.pages, "/keys")
	step("the issuer is down: the last good ones", 11*time.Minute, true, 1)
	step("and it is not asked on every sign-in", time.Second, true, 0)
	step("but again after a moment", keysRetry, true, 1)
	step("not for ever", keysLast+10*time.Minute, false, 1)
	w.put("/keys", jwks(t, o.set.Keys[1]))
	step("a key that was withdrawn", keysRetry, false, 1)

	for header, want := range map[string]time.Duration{"": time.Hour, "no-store": time.Hour, "max-age=0": keysMinAge, "max-age=-1": keysMinAge, "MAX-AGE=\"7200\"": 2 * time.Hour,
		"public, max-age=99999999999999999999": time.Hour, "max-age=9999999": keysMaxAge, "max-age=x, max-age=3600": time.Hour} {
		if got := keysLifetime(header); got != want {
			t.Errorf("Cache-Control %q: %s, want %s", header, got, want)
		}
	}
}

// A stranger's token with an unknown key has the key set fetched; however slow that
// is, nobody whose key is known waits for it.
func TestASlowKeySetHoldsUpOnlyThoseWhoNeedIt(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	w := newWire()
	w.put("/keys", jwks(t, o.set.Keys[0]))
	k := newKeySet("https://idp.example/keys", w.ask, w.clock)
	good := ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: o.rsa, KeyID: "r1"}, nil, o.claims())
	bad := ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: o.enc, KeyID: "made up"}, nil, o.claims())
	if err := verify(t, k, good); err != nil {
		t.Fatal(err)
	}
	w.pass(keysRetry)
	w.mu.Lock()
	w.blocked = make(chan struct{})
	w.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { verify(t, k, bad) })
	<-w.waiting
	for range 100 {
		if err := verify(t, k, good); err != nil { // would never come back if it waited
			t.Fatal(err)
		}
	}
	w.pass(2 * time.Hour) // past their end, while somebody asks
	if err := verify(t, k, good); err != nil {
		t.Errorf("past their end: %v", err)
	}
	close(w.blocked)
	wg.Wait()
}

// A flood of tokens with made-up key ids, over any time, is one request in keysRetry.
func TestAFloodOfKeyIDs(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	w := newWire()
	w.put("/keys", jwks(t, o.set.Keys[0]))
	k := newKeySet("https://idp.example/keys", w.ask, w.clock)
	for i := range 300 {
		bad := ssotest.SignWith(jose.ES256, jose.JSONWebKey{Key: o.ec, KeyID: fmt.Sprint("k", i)}, nil, o.claims())
		if err := verify(t, k, bad); err == nil {
			t.Fatal("verified")
		}
		w.pass(time.Second)
	}
	if n := w.count(); n > 11 {
		t.Errorf("300 tokens in five minutes led to %d requests, want one in %s", n, keysRetry)
	}
}

func TestKeySetsAreBounded(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	many := make([]jose.JSONWebKey, keysMaxCount+10)
	for i := range many {
		many[i] = jose.JSONWebKey{Key: o.ec.Public(), KeyID: fmt.Sprint(i)}
	}
	usable := jwks(t, o.set.Keys[0])
	with := func(extra string) string { return strings.Replace(usable, `"kty":"RSA"`, `"kty":"RSA",`+extra, 1) }
	for name, c := range map[string]struct {
		body string
		keys int
	}{
		"one":                        {usable, 1},
		"too many":                   {jwks(t, many...), keysMaxCount},
		"enc, short, shared":         {jwks(t, o.set.Keys[2], o.set.Keys[3], o.set.Keys[4]), 0},
		"a private key":              {jwks(t, jose.JSONWebKey{Key: o.rsa, KeyID: "r1"}), 0},
		"for encryption by key_ops":  {with(`"key_ops":["encrypt"]`), 0},
		"for verifying by key_ops":   {with(`"key_ops":["verify"]`), 1},
		"key_ops of another form":    {with(`"key_ops":"verify"`), 0},
		"an unknown kind beside it":  {strings.Replace(usable, `"keys":[`, `"keys":[{"kty":"future"},7,null,`, 1), 1},
		"no keys":                    {`{"keys":[]}`, 0},
		"keys is no list":            {`{"keys":{}}`, 0},
		"not JSON":                   {`<html>`, 0},
		"nothing":                    {``, 0},
		"over the limit":             {usable + strings.Repeat(" ", keysMaxBytes), 0},
		"nested beyond any use":      {strings.Repeat(`{"keys":[`, 20_000), 0},
		"an exponent that is no key": {strings.Replace(usable, `"e":"AQAB"`, `"e":"AQ"`, 1), 0},
	} {
		w := newWire()
		w.put("/keys", c.body)
		k := newKeySet("https://idp.example/keys", w.ask, w.clock)
		keys, err := k.current(t.Context())
		if len(keys) != c.keys || (err == nil) != (c.keys > 0) || err != nil && !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %d keys, %v; want %d", name, len(keys), err, c.keys)
		}
	}
}

const discoveryPath = "/.well-known/openid-configuration"

func document(change func(doc map[string]any)) string {
	doc := map[string]any{"issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/auth?tenant=1", "token_endpoint": "https://idp.example/token",
		"jwks_uri": "https://idp.example/keys", "userinfo_endpoint": "https://idp.example/me"}
	change(doc)
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// What an issuer says is asked for daily; what it said last stays good when it
// says nothing, or nonsense.
func TestDiscoveryKeepsTheLastGoodDocument(t *testing.T) {
	t.Parallel()
	w := newWire()
	s := NewIssuers(w.ask, w.clock)
	get := func() (*Issuer, error) { return s.Get(context.Background(), "https://idp.example") }
	if _, err := get(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an issuer that never answered: %v", err)
	}
	if get(); w.count() != 1 {
		t.Errorf("asked %d times within a moment", w.count())
	}
	w.pass(discoveryRetry)
	w.put(discoveryPath, document(func(map[string]any) {}))
	first, err := get()
	if err != nil {
		t.Fatal(err)
	}
	w.pass(discoveryAge - time.Minute)
	if again, _ := get(); again != first || w.count() != 2 {
		t.Errorf("asked %d times within a day", w.count())
	}
	w.put(discoveryPath, document(func(doc map[string]any) { doc["end_session_endpoint"] = "https://idp.example/bye" }))
	w.pass(time.Hour)
	next, err := get()
	if err != nil || next.EndSession != "https://idp.example/bye" || next.keys != first.keys {
		t.Errorf("the next day: %+v, %v", next, err)
	}
	for name, body := range map[string]string{"nonsense": "<html>", "another issuer": document(func(doc map[string]any) { doc["issuer"] = "https://evil.example" }),
		"HS256 only": document(func(doc map[string]any) { doc["id_token_signing_alg_values_supported"] = []string{"HS256"} }), "silence": ""} {
		w.put(discoveryPath, body)
		w.pass(discoveryAge)
		before := w.count()
		for range 5 {
			if i, err := get(); err != nil || i.EndSession != "https://idp.example/bye" {
				t.Errorf("%s: %+v, %v", name, i, err)
			}
		}
		if n := w.count() - before; n != 1 {
			t.Errorf("%s: asked %d times, want 1", name, n)
		}
	}
	w.pass(discoveryAgain)
	w.mu.Lock()
	w.blocked = make(chan struct{})
	w.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { get() })
	<-w.waiting
	if i, err := get(); err != nil || i == nil { // would never come back if it waited
		t.Errorf("while somebody asks: %v", err)
	}
	close(w.blocked)
	wg.Wait()
}

// Documents that name addresses for us to go to, or that another reader would read
// in another way.
func TestHostileDiscovery(t *testing.T) {
	t.Parallel()
	set := func(name string, v any) string { return document(func(doc map[string]any) { doc[name] = v }) }
	for name, body := range map[string]string{
		"issuer with a slash":             set("issuer", "https://idp.example/"),
		"issuer in capitals":              set("issuer", "https://IDP.example"),
		"issuer of everybody":             set("issuer", "https://login.microsoftonline.com/{tenantid}/v2.0"),
		"issuer twice":                    strings.Replace(document(func(map[string]any) {}), `{`, `{"issuer":"https://evil.example",`, 1),
		"token endpoint over plain http":  set("token_endpoint", "http://idp.example/token"),
		"keys over plain http":            set("jwks_uri", "http://169.254.169.254/latest"),
		"userinfo over plain http":        set("userinfo_endpoint", "http://127.0.0.1/"),
		"sign-out over plain http":        set("end_session_endpoint", "http://idp.example/out"),
		"token endpoint is a file":        set("token_endpoint", "file:///etc/passwd"),
		"authorization runs a script":     set("authorization_endpoint", "javascript:alert(1)"),
		"sign-out runs a script":          set("end_session_endpoint", "javascript:alert(1)"),
		"an address with a password":      set("token_endpoint", "https://user:pw@idp.example/token"),
		"an address without a host":       set("token_endpoint", "https:///token"),
		"an address that is a list":       set("jwks_uri", []string{"https://idp.example/keys"}),
		"HS256 and none":                  set("id_token_signing_alg_values_supported", []string{"HS256", "none"}),
		"no token endpoint":               document(func(doc map[string]any) { delete(doc, "token_endpoint") }),
		"null":                            "null",
		"nested beyond any use":           strings.Repeat(`{"a":`, 20_000),
		"text after the end":              document(func(map[string]any) {}) + "{}",
		"Entra's old issuer in its place": set("issuer", "https://sts.windows.net/x/"),
	} {
		w := newWire()
		w.put(discoveryPath, body)
		i, err := NewIssuers(w.ask, w.clock).Get(t.Context(), "https://idp.example")
		if !fault.Is(err, fault.Invalid) || fault.Public(err) == "" {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
	w := newWire()
	w.put(discoveryPath, document(func(map[string]any) {}))
	i, err := NewIssuers(w.ask, w.clock).Get(t.Context(), "https://idp.example")
	if err != nil {
		t.Fatal(err)
	}
	if to := i.AuthURL(Client{ID: "a&b", Redirect: "https://us/cb"}, Request{State: "s", Nonce: "n", Verifier: NewVerifier()}); !strings.Contains(to, "tenant=1") || !strings.Contains(to, "client_id=a%26b") {
		t.Errorf("the address lost its own query: %s", to)
	}
}

// The memory is bounded, and what is in use stays.
func TestIssuersAreBounded(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := NewIssuers(newWire().ask, func() time.Time { return testNow.Add(time.Duration(n.Add(1))) })
	s.entry("https://used.example")
	for i := range issuersMax + 50 {
		s.entry(fmt.Sprint("https://", i))
		s.entry("https://used.example")
	}
	if _, kept := s.byURL["https://used.example"]; len(s.byURL) > issuersMax || !kept {
		t.Errorf("%d issuers, the one in use kept: %v", len(s.byURL), kept)
	}
}
