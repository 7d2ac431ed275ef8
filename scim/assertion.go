package scim

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// A client with keys proves itself by a JWT that it signs anew for each request
// (private_key_jwt, RFC 7523 §2.2). Its id (jti) is good once, on all replicas: it
// is kept by the transaction that makes the access token.

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLife     = 5 * time.Minute  // an assertion may not reach further into the future
	assertionLeeway   = 30 * time.Second // clients' clocks that are fast
	assertionKept     = 10 * time.Minute // after its end, for replicas whose clock is slow
	maxAssertionBytes = 8 << 10
)

// claims are those of RFC 7523 §3.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expires  *float64 `json:"exp"`
	From     *float64 `json:"nbf"`
	Issued   *float64 `json:"iat"`
	ID       string   `json:"jti"`
}

// audience is a string or a list of them (RFC 7519 §4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// proved checks an assertion by which the client c is said to prove itself. Until the
// signature is known to be good every refusal is the same; from then on it says what
// to mend.
func (h *handler) proved(ctx context.Context, actor access.Actor, c Client, sent credentials) (*claims, error) {
	if len(sent.assertion) > maxAssertionBytes {
		return nil, unknownClient("the assertion is too long")
	}
	jws, err := jose.ParseSignedCompact(sent.assertion, assertionAlgorithms) // refuses none, HS256 and all others
	if err != nil {
		return nil, unknownClient("the assertion is no signed token: %v", err)
	}
	if err := h.verified(ctx, actor, jws, c); err != nil {
		return nil, err
	}
	var said claims
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &said); err != nil {
		return nil, unknownClient("the assertion's claims cannot be read")
	}
	return &said, said.check(string(c.ID), h.db.Now(), TokenURL(h.opt.PublicURL), issuer(h.opt.PublicURL), BaseURL(h.opt.PublicURL, c.DirectoryID))
}

// verify tries the client's keys, those of the header's key id if it has one.
// Keys that the header brings along are not looked at.
func verify(jws *jose.JSONWebSignature, jwks string) error {
	var set jose.JSONWebKeySet
	if jwks == "" {
		return unknownClient("the client has a secret, not keys, or they were not read yet")
	}
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		return err
	}
	head := jws.Signatures[0].Header
	for i := range set.Keys {
		k := &set.Keys[i]
		if head.KeyID != "" && k.KeyID != "" && k.KeyID != head.KeyID || !verifies(k, head.Algorithm) {
			continue
		}
		if _, err := jws.Verify(k); err == nil {
			return nil
		}
	}
	return unknownClient("no key of the client verifies the assertion")
}

// check is RFC 7523 §3 for an assertion whose signature is good.
func (c claims) check(client string, now time.Time, endpoint string, issuers ...string) error {
	at := func(seconds float64) time.Duration {
		return time.Duration(math.Round(seconds*1e6)-float64(now.UnixMicro())) * time.Microsecond
	}
	inRange := func(n *float64) bool { return n == nil || *n > 0 && *n < 1e11 }
	switch {
	case c.Issuer != client || c.Subject != client:
		return badClient("iss and sub of the assertion must both be the client_id.")
	case len(c.Audience) == 0:
		return badClient("The assertion has no aud. It must be %s.", endpoint)
	case c.Expires == nil || !inRange(c.Expires) || !inRange(c.From) || !inRange(c.Issued):
		return badClient("The assertion needs an exp, and its times are in seconds since 1970.")
	case at(*c.Expires) <= 0:
		return badClient("The assertion has expired.")
	case at(*c.Expires) > assertionLife+assertionLeeway:
		return badClient("exp of the assertion is more than 5 minutes away.")
	case c.From != nil && at(*c.From) > assertionLeeway, c.Issued != nil && at(*c.Issued) > assertionLeeway:
		return badClient("The assertion is from the future. Check the clock.")
	case c.ID == "" || len(c.ID) > 256:
		return badClient("The assertion needs a jti of at most 256 bytes.")
	}
	// One for somebody else too could be used here by that one.
	for _, a := range c.Audience {
		if a != endpoint && !slices.Contains(issuers, a) {
			return badClient("aud of the assertion must be %s or %s, and nothing else.", endpoint, issuers[0])
		}
	}
	return nil
}

// useOnce keeps the assertion's id, or refuses it when it was kept before.
func (c claims) useOnce(tx *store.Tx, client store.ID[Client]) error {
	now := tx.Now()
	if _, err := tx.Exec(`DELETE FROM directory_assertions WHERE org_id = ? AND client_id = ? AND expires_at <= ?`, tx.Org(), client, now); err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO directory_assertions (org_id, client_id, jti_hash, expires_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (org_id, client_id, jti_hash) DO NOTHING`, tx.Org(), client, secret.Hash(c.ID), store.Time(*c.Expires*1e6).Add(assertionKept))
	if err == nil && n == 0 {
		err = badClient("The assertion was used before. Make a new one, with a new jti, for each request.")
	}
	return err
}

// client finds a client by what somebody sent as its id.
func (h *handler) client(ctx context.Context, sent string) (Client, error) {
	id, err := store.ParseID[Client](sent)
	if err != nil {
		return Client{}, unknownClient("there is no such client")
	}
	var c Client
	err = h.db.Lookup(ctx, &c, clientColumns+" WHERE client_id = ?", id)
	if fault.Is(err, fault.NotFound) {
		err = unknownClient("there is no such client")
	}
	return c, err
}
