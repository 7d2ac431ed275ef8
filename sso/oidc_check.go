package sso

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

const (
	oidcSkew   = time.Minute      // clock difference
	oidcMaxAge = 10 * time.Minute // an ID token is for now; an old one was kept by somebody
)

// oidcParty is what checkIDToken knows about both sides.
type oidcParty struct {
	Vendor     string
	Issuer     string
	ClientID   string
	Algorithms []string
	Keys       oidc.KeySet
	Domains    []string // the organization's verified mail domains, folded
}

// oidcExpect is what this browser's pending request says, and what came with the token.
type oidcExpect struct {
	Nonce       string
	AccessToken string
	Now         time.Time
}

// errIDToken is all that the person learns; the trace has the check that failed.
var errIDToken = fault.Invalid.Say("The identity provider's answer could not be verified.")

// checkIDToken examines an ID token and gives its claims (OpenID Connect Core
// 1.0 §3.1.3.7). go-oidc verifies it; the table then makes each check again with
// a name for the administrator, and adds those that go-oidc leaves to its caller.
// Faults: Invalid (a check failed: see the trace), Unavailable (no keys).
func checkIDToken(ctx context.Context, p oidcParty, raw string, e oidcExpect) (oidcClaims, answer.Trace, error) {
	var trace answer.Trace
	keys := &witness{KeySet: p.Keys}
	verifier := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{
		ClientID:             p.ClientID,
		SupportedSigningAlgs: p.Algorithms,
		Now:                  func() time.Time { return e.Now.Add(-oidcSkew) },
	})
	_, verdict := verifier.Verify(ctx, raw)
	if fault.Is(keys.err, fault.Unavailable) {
		return nil, trace, keys.err
	}
	head := tokenHeader(raw)
	if !trace.Add(answer.Check{Name: "algorithm", Expected: strings.Join(p.Algorithms, ", "), Got: head.Alg, OK: slices.Contains(p.Algorithms, head.Alg),
		Hint: "Choose RS256 for ID tokens of this application at the provider."}) ||
		!trace.Add(answer.Check{Name: "signature", Expected: "made by a current key of " + p.Issuer, Got: "key id " + head.Kid, OK: keys.payload != nil}) {
		return nil, trace, errIDToken
	}
	claims, err := parseClaims(keys.payload)
	if !trace.Add(answer.Check{Name: "claims", Expected: "a JSON object", Got: fmt.Sprintf("%d bytes", len(keys.payload)), OK: err == nil}) {
		return nil, trace, errIDToken
	}
	for _, c := range claimChecks(p, e, head, claims) {
		trace.Add(c)
	}
	if _, failed := trace.Failed(); !failed {
		trace.Add(answer.Check{Name: "library", Expected: "go-oidc agrees", Got: fmt.Sprint(verdict), OK: verdict == nil})
	}
	if _, failed := trace.Failed(); failed {
		return nil, trace, errIDToken
	}
	return claims, trace, nil
}

// claimChecks is the table of checks on a token whose signature is good.
func claimChecks(p oidcParty, e oidcExpect, head joseHeader, c oidcClaims) []answer.Check {
	aud, azp := c.list("aud"), c.text("azp")
	exp, iat, nbf := c.at("exp"), c.at("iat"), c.at("nbf")
	now := e.Now
	out := []answer.Check{
		// A logout token or an access token is signed by the same key and must
		// never pass for an ID token (RFC 8725 §3.11).
		{Name: "typ", Expected: "JWT", Got: head.Typ, OK: idTokenType(head.Typ)},
		{Name: "events", Expected: "no logout event", Got: answer.Clip(c.show("events"), 60), OK: !c.has("events")},
		{Name: "iss", Expected: p.Issuer, Got: c.show("iss"), OK: sameIssuer(p.Issuer, c.text("iss")),
			Hint: "The issuer entered for this connection must be the one in the token, letter for letter."},
		{Name: "aud", Expected: p.ClientID, Got: strings.Join(aud, ", "), OK: slices.Contains(aud, p.ClientID),
			Hint: "The client ID entered for this connection must be that of the application at the provider."},
		{Name: "azp", Expected: p.ClientID + " (or none, with one audience)", Got: c.show("azp"), OK: azp == p.ClientID || azp == "" && len(aud) == 1 && !c.has("azp")},
		{Name: "exp", Expected: "after " + clock(now), Got: clock(exp), OK: now.Add(-oidcSkew).Before(exp),
			Hint: "Compare the clocks of this server and of the provider."},
		{Name: "iat", Expected: "within " + oidcMaxAge.String() + " before " + clock(now), Got: clock(iat),
			OK: !iat.IsZero() && !iat.After(now.Add(oidcSkew)) && !iat.Before(now.Add(-oidcMaxAge)), Hint: "Compare the clocks of this server and of the provider."},
		{Name: "nbf", Expected: "not after " + clock(now), Got: c.show("nbf"), OK: !c.has("nbf") || !nbf.IsZero() && !nbf.After(now.Add(oidcSkew))},
		{Name: "nonce", Expected: "that of this sign-in", Got: answer.Clip(c.show("nonce"), 12), OK: e.Nonce != "" && c.text("nonce") == e.Nonce},
		{Name: "sub", Expected: "1 to 255 characters", Got: answer.Clip(c.show("sub"), 60), OK: validSubject(c.text("sub"))},
		// Optional in the code flow (§3.1.3.6): Entra ID sends it from the
		// authorization endpoint only. When it is there, it must fit.
		{Name: "at_hash", Expected: "of the access token, or none", Got: c.show("at_hash"),
			OK: !c.has("at_hash") || c.text("at_hash") == accessHash(head.Alg, e.AccessToken)},
	}
	return append(out, vendorChecks(p, c)...)
}

// sameIssuer is equality, but for Google, which leaves the scheme out of some
// tokens (https://developers.google.com/identity/openid-connect/openid-connect).
func sameIssuer(want, got string) bool {
	return got == want || want == googleIssuer && got == strings.TrimPrefix(googleIssuer, "https://")
}

// idTokenType accepts no typ, JWT, and the names that say "ID token".
func idTokenType(typ string) bool {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "id_token", "id_token+jwt", "id+jwt":
		return true
	}
	return false
}

// validSubject holds sub to OpenID Connect Core 1.0 §2: at most 255 characters.
func validSubject(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "(missing)"
	}
	return t.UTC().Format(time.RFC3339)
}

// accessHash is at_hash of an access token (§3.1.3.6): the left half of its hash.
func accessHash(alg, token string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		h := sha256.Sum256([]byte(token))
		sum = h[:]
	case strings.HasSuffix(alg, "384"):
		h := sha512.Sum384([]byte(token))
		sum = h[:]
	default:
		h := sha512.Sum512([]byte(token))
		sum = h[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// witness keeps what the key set said, because go-oidc flattens errors to text
// and hides the payload of a token that fails a later check.
type witness struct {
	oidc.KeySet
	payload []byte
	err     error
}

func (w *witness) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	w.payload, w.err = w.KeySet.VerifySignature(ctx, token)
	return w.payload, w.err
}

// joseHeader is read for the trace and for typ; the algorithm itself is held to
// the list by go-jose.
type joseHeader struct{ Alg, Kid, Typ string }

func tokenHeader(raw string) joseHeader {
	part, _, _ := strings.Cut(raw, ".")
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return joseHeader{}
	}
	c := oidcClaims{}
	if json.Unmarshal(b, &c) != nil {
		return joseHeader{}
	}
	return joseHeader{Alg: c.text("alg"), Kid: c.text("kid"), Typ: c.text("typ")}
}
