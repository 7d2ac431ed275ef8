package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// algorithms may sign a token. HS256 would make the client secret a signing key,
// and "none" anybody's.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// token is a signed token whose signature is good.
type token struct {
	Claims
	payload       []byte
	alg, kid, typ string
}

// open verifies a token's signature and reads its claims, once. Faults: Invalid
// (a check failed: see the trace), Unavailable (no keys).
func (i *Issuer) open(ctx context.Context, p Party, raw string, limit int, trace *answer.Trace) (token, error) {
	allowed := i.allowed(p)
	if !trace.Add(answer.Check{Name: "size", Expected: fmt.Sprintf("at most %d bytes", limit), Got: fmt.Sprintf("%d bytes", len(raw)), OK: len(raw) <= limit}) {
		return token{}, errAnswer
	}
	if n := strings.Count(raw, "."); n == 4 {
		trace.Add(answer.Check{Name: "encryption", Expected: "a signed token", Got: "an encrypted one",
			Hint: "Switch the encryption of tokens for this application off at the provider."})
		return token{}, errAnswer
	}
	jws, err := jose.ParseSignedCompact(raw, allowed)
	other, unexpected := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err)
	if err != nil && !unexpected || err == nil && len(jws.Signatures) != 1 {
		trace.Add(answer.Check{Name: "token", Expected: "a signed token (JWS, compact)", Got: "something else, or a header that is not understood"})
		return token{}, errAnswer
	}
	if !trace.Add(answer.Check{Name: "algorithm", Expected: names(allowed), Got: gotAlgorithm(jws, other), OK: err == nil,
		Hint: "Choose RS256 for the tokens of this application at the provider, or change the algorithms of this connection."}) {
		return token{}, errAnswer
	}
	head := jws.Signatures[0].Header
	t := token{alg: head.Algorithm, kid: head.KeyID}
	t.typ, _ = head.ExtraHeaders[jose.HeaderType].(string)
	t.payload, err = i.keys.verify(ctx, jws)
	if fault.Is(err, fault.Unavailable) {
		return token{}, err
	}
	if !trace.Add(answer.Check{Name: "signature", Expected: fmt.Sprintf("made by a current key of %s", i.URL), Got: fmt.Sprintf("key id %s", orElse(t.kid, "(missing)")), OK: err == nil}) {
		return token{}, errAnswer
	}
	t.Claims, err = parseClaims(t.payload)
	if !trace.Add(answer.Check{Name: "claims", Expected: "a JSON object, each name once", Got: said(err, len(t.payload)), OK: err == nil}) {
		return token{}, errAnswer
	}
	return t, nil
}

func said(err error, n int) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes", n)
}

// allowed is the list of the connection, which can never be wider than ours.
func (i *Issuer) allowed(p Party) []jose.SignatureAlgorithm {
	list := p.Algorithms
	if len(list) == 0 {
		list = i.Algorithms
	}
	var out []jose.SignatureAlgorithm
	for _, a := range algorithms {
		if slices.Contains(list, string(a)) {
			out = append(out, a)
		}
	}
	return out
}

func names(list []jose.SignatureAlgorithm) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = string(a)
	}
	return strings.Join(out, ", ")
}

func gotAlgorithm(jws *jose.JSONWebSignature, other *jose.ErrUnexpectedSignatureAlgorithm) string {
	if other != nil {
		return string(other.Got)
	}
	return jws.Signatures[0].Header.Algorithm
}

// secondOpinion is go-oidc with the keys that we have already used, so that it
// looks at everything but fetches nothing.
func (t token) secondOpinion(i *Issuer, p Party, config gooidc.Config) *gooidc.IDTokenVerifier {
	config.ClientID, config.SupportedSigningAlgs = p.ClientID, []string{t.alg}
	return gooidc.NewVerifier(i.URL, opened(t.payload), &config)
}

// opened is a key set that has verified one token already.
type opened []byte

func (o opened) VerifySignature(context.Context, string) ([]byte, error) { return o, nil }
