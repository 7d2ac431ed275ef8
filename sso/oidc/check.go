package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/muster-id/muster/sso/answer"
)

const (
	skew   = time.Minute      // clock difference
	maxAge = 10 * time.Minute // an ID token is for now; an old one was kept by somebody
)

// Expect is what this browser's pending request says, and what came with the token.
type Expect struct {
	Nonce       string
	AccessToken string
	Now         time.Time
	Since       time.Time // the person must have signed in after that; zero: whenever
	ACR         []string  // one of these must be the token's acr; none: whatever it is
}

// IDToken is a verified ID token.
type IDToken struct {
	Claims
	Payload []byte    // names the answer, for the replay record: the same whatever the signature looks like
	Until   time.Time // no check accepts it after that
}

// CheckIDToken examines an ID token and gives its claims (OpenID Connect Core
// 1.0 §3.1.3.7). The table names each check for the administrator, those included
// that go-oidc leaves to its caller; then go-oidc has to agree.
// Faults: Invalid (a check failed: see the trace), Unavailable (no keys).
func (i *Issuer) CheckIDToken(ctx context.Context, p Party, raw string, e Expect) (IDToken, answer.Trace, error) {
	trace := make(answer.Trace, 0, 24)
	t, err := i.open(ctx, p, raw, idTokenMax, &trace)
	if err != nil {
		return IDToken{}, trace, err
	}
	for _, c := range idTokenChecks(p, e, t) {
		trace.Add(c)
	}
	if _, failed := trace.Failed(); failed {
		return IDToken{}, trace, errAnswer
	}
	_, verdict := t.secondOpinion(i, p, gooidc.Config{Now: func() time.Time { return e.Now.Add(-skew) }}).Verify(ctx, raw)
	if !trace.Add(answer.Check{Name: "library", Expected: "go-oidc agrees", Got: fmt.Sprint(verdict), OK: verdict == nil}) {
		return IDToken{}, trace, errAnswer
	}
	return IDToken{Claims: t.Claims, Payload: t.payload, Until: t.At("exp").Add(skew)}, trace, nil
}

const hintClocks = "Compare the clocks of this server and of the provider."

// idTokenChecks is the table of checks on a token whose signature is good.
func idTokenChecks(p Party, e Expect, t token) []answer.Check {
	out := []answer.Check{
		// A logout token or an access token is signed by the same key and must
		// never pass for an ID token (RFC 8725 §3.11).
		{Name: "typ", Expected: "JWT", Got: t.typ, OK: idTokenType(t.typ)},
		{Name: "events", Expected: "no logout event", Got: answer.Clip(t.show("events"), 60), OK: !t.has("events")},
	}
	out = append(out, partyChecks(p, t)...)
	out = append(out, timeChecks(e.Now, t, maxAge)...)
	over := t.At("session_expiry") // IPSIE session lifecycle profile
	out = append(out,
		answer.Check{Name: "session_expiry", Expected: fmt.Sprintf("after %s", clock(e.Now)), Got: t.show("session_expiry"), OK: over.IsZero() || e.Now.Add(-skew).Before(over),
			Hint: "The session at the identity provider is over. Sign in there again."},
		answer.Check{Name: "nonce", Expected: "that of this sign-in", Got: answer.Clip(t.show("nonce"), 12), OK: e.Nonce != "" && same(t.Text("nonce"), e.Nonce)},
		answer.Check{Name: "sub", Expected: "1 to 255 characters", Got: answer.Clip(t.show("sub"), 60), OK: validSubject(t.Text("sub"))},
		atHashCheck(p, e, t))
	out = append(out, authenticationChecks(e, t)...)
	return append(out, vendorChecks(p, t.Claims)...)
}

// partyChecks: who made the token, for whom.
func partyChecks(p Party, t token) []answer.Check {
	aud, whole := t.list("aud")
	azp := t.Text("azp")
	return []answer.Check{
		{Name: "iss", Expected: p.Issuer, Got: t.show("iss"), OK: sameIssuer(p.Issuer, t.Text("iss")),
			Hint: "The issuer entered for this connection must be the one in the token, letter for letter."},
		{Name: "aud", Expected: p.ClientID, Got: t.show("aud"), OK: whole && slices.Contains(aud, p.ClientID),
			Hint: "The client ID entered for this connection must be that of the application at the provider."},
		{Name: "azp", Expected: fmt.Sprintf("%s (or none, with one audience)", p.ClientID), Got: t.show("azp"), OK: azp == p.ClientID || azp == "" && len(aud) == 1 && !t.has("azp"),
			Hint: "The token was made for another application, or for several."},
	}
}

// timeChecks: oldest is how long ago it may have been issued.
func timeChecks(now time.Time, t token, oldest time.Duration) []answer.Check {
	exp, iat, nbf := t.At("exp"), t.At("iat"), t.At("nbf")
	return []answer.Check{
		{Name: "exp", Expected: fmt.Sprintf("after %s", clock(now)), Got: clock(exp), OK: now.Add(-skew).Before(exp), Hint: hintClocks},
		{Name: "iat", Expected: fmt.Sprintf("within %s before %s", oldest, clock(now)), Got: clock(iat),
			OK: !iat.IsZero() && !iat.After(now.Add(skew)) && !iat.Before(now.Add(-oldest)), Hint: hintClocks},
		{Name: "nbf", Expected: fmt.Sprintf("not after %s", clock(now)), Got: t.show("nbf"), OK: !t.has("nbf") || !nbf.IsZero() && !nbf.After(now.Add(skew)), Hint: hintClocks},
	}
}

// atHashCheck: at_hash is optional in the code flow (§3.1.3.6): Entra ID sends it
// from the authorization endpoint only. When it is there it must fit, and where
// the vendor always sends it, it must be there.
func atHashCheck(p Party, e Expect, t token) answer.Check {
	c := answer.Check{Name: "at_hash", Expected: "of the access token, or none", Got: t.show("at_hash"),
		OK: !t.has("at_hash") || same(t.Text("at_hash"), accessHash(t.alg, e.AccessToken))}
	if rulesOf(p).atHash {
		c.Expected, c.OK = "of the access token", c.OK && t.has("at_hash")
	}
	return c
}

// authenticationChecks: when the person signed in there, and how. Providers may
// ignore what they were asked for, so the token has to say it.
func authenticationChecks(e Expect, t token) (out []answer.Check) {
	if !e.Since.IsZero() {
		at := t.At("auth_time")
		out = append(out, answer.Check{Name: "auth_time", Expected: fmt.Sprintf("not before %s", clock(e.Since)), Got: clock(at), OK: !at.IsZero() && !at.Before(e.Since.Add(-skew)) && !at.After(e.Now.Add(skew)),
			Hint: "The connection asks for a fresh sign-in. The provider must support max_age and send auth_time (Entra: an optional claim of the application)."})
	}
	if len(e.ACR) > 0 {
		out = append(out, answer.Check{Name: "acr", Expected: fmt.Sprintf("one of %s", strings.Join(e.ACR, ", ")), Got: t.show("acr"), OK: slices.Contains(e.ACR, t.Text("acr")),
			Hint: "The provider must support acr_values and say in acr how the person signed in."})
	}
	return out
}

// sameIssuer is equality, but for Google, which leaves the scheme out of some
// tokens (https://developers.google.com/identity/openid-connect/openid-connect).
func sameIssuer(want, got string) bool {
	return got == want || want == GoogleIssuer && got == strings.TrimPrefix(GoogleIssuer, "https://")
}

// idTokenType accepts no typ, JWT, and the names that say "ID token".
func idTokenType(typ string) bool {
	switch mediaType(typ) {
	case "", "jwt", "id_token", "id_token+jwt", "id+jwt":
		return true
	}
	return false
}

func mediaType(typ string) string { return strings.TrimPrefix(strings.ToLower(typ), "application/") }

// validSubject holds sub to OpenID Connect Core 1.0 §2: at most 255 characters.
func validSubject(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// accessHash is at_hash of an access token (§3.1.3.6): the left half of its hash.
// Ed25519 hashes with SHA-512.
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
