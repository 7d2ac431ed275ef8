package scim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Client is an OAuth client of a directory: it fetches access tokens of an hour by
// itself (oauth.go), so that no long-lived token has to be kept there.
type Client struct {
	ID             store.ID[Client]  `db:"client_id"`
	OrgID          store.OrgID       `db:"org_id"`
	DirectoryID    store.DirectoryID `db:"directory_id"`
	Name           string            `db:"name"`
	SecretHash     string            `db:"secret_hash"`      // empty: it signs with its keys
	PreviousHash   string            `db:"previous_hash"`    // of the secret before the last rotation
	PreviousEndsAt store.Time        `db:"previous_ends_at"` // when that one ends
	JWKS           string            `db:"jwks"`             // its public keys; empty: it has a secret, or JWKSURL was not read yet
	JWKSURL        string            `db:"jwks_url"`         // where its keys are; empty: they were given
	JWKSAt         store.Time        `db:"jwks_at"`          // when JWKSURL was asked last
	Allow          string            `db:"allow"`            // networks that it works from, and its tokens; empty: any
	CreatedAt      store.Time        `db:"created_at"`
	ExpiresAt      store.Time        `db:"expires_at"` // 0: when it is revoked
	LastUsedAt     store.Time        `db:"last_used_at"`
	LastUsedIP     string            `db:"last_used_ip"`
}

// NewClient is what CreateClient needs. With JWKS or JWKSURL, its public keys or where
// they are, the client signs its requests (private_key_jwt) and gets no secret, which
// would only be a second, weaker way in.
type NewClient struct {
	Name    string
	JWKS    []byte
	JWKSURL string
	Expires time.Duration // 0: never
	Allow   string        // as NewToken's
}

// SignsInBy is the client's token_endpoint_auth_method, "client_secret" for both of a secret.
func (c Client) SignsInBy() string {
	if c.SecretHash == "" {
		return "private_key_jwt"
	}
	return "client_secret"
}

const (
	clientColumns = `SELECT client_id, org_id, directory_id, name, secret_hash, previous_hash, previous_ends_at, jwks, jwks_url, jwks_at, allow,
		created_at, expires_at, last_used_at, last_used_ip FROM directory_clients`
	maxClients = 50 // of a directory
	maxKeys    = 10 // of a client
)

// Clients lists a directory's OAuth clients, newest first. Faults: Denied.
func Clients(tx *store.Tx, id store.DirectoryID) ([]Client, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	list := []Client{}
	return list, tx.Select(&list, clientColumns+" WHERE org_id = ? AND directory_id = ? ORDER BY client_id DESC LIMIT 100", tx.Org(), id)
}

// clientOf finds one of a directory's clients, and the directory. Faults: Denied, NotFound.
func clientOf(tx *store.Tx, id store.DirectoryID, client store.ID[Client]) (store.Directory, Client, error) {
	var c Client
	if err := tx.Require(access.Configure); err != nil {
		return store.Directory{}, c, err
	}
	d, err := tx.Directory(id)
	if err != nil {
		return d, c, err
	}
	err = tx.Get(&c, clientColumns+" WHERE org_id = ? AND directory_id = ? AND client_id = ?"+tx.ForUpdate(), tx.Org(), id, client)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFound.Say("%s has no client %.64q. `muster directory client list` and the directory's page show which it has.", d.Name, client)
	}
	return d, c, err
}

// CreateClient makes an OAuth client of a directory, and its secret, which is shown this
// once, unless it has keys. Needs Write. Faults: Denied, NotFound, Invalid on "name",
// "jwks", "jwks_url", "expires" or "allow", Conflict (too many).
func CreateClient(tx *store.Tx, id store.DirectoryID, in NewClient) (Client, string, error) {
	list, err := Clients(tx, id)
	if err != nil {
		return Client{}, "", err
	}
	d, err := tx.Directory(id)
	if err != nil {
		return Client{}, "", err
	}
	c := Client{ID: store.NewID[Client](), OrgID: tx.Org(), DirectoryID: id, CreatedAt: tx.Now()}
	if c.Name, c.ExpiresAt, c.Allow, err = checkAccess(tx, fault.Word("client"), in.Name, in.Expires, in.Allow); err != nil {
		return c, "", err
	}
	if len(list) >= maxClients {
		return c, "", fault.Conflict.Say("%s has %d clients already. Revoke one that is not used any more.", d.Name, len(list))
	}
	text := ""
	if c.JWKS, c.JWKSURL, err = keysOf(in.JWKS, in.JWKSURL); err != nil {
		return c, "", err
	}
	if c.JWKS == "" && c.JWKSURL == "" {
		text = secret.NewToken()
		c.SecretHash = secret.Hash(text)
	}
	if _, err := tx.Exec(`INSERT INTO directory_clients (org_id, client_id, directory_id, name, secret_hash, jwks, jwks_url, allow, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		tx.Org(), c.ID, id, c.Name, c.SecretHash, c.JWKS, c.JWKSURL, c.Allow, c.CreatedAt, c.ExpiresAt); err != nil {
		return c, "", err
	}
	after := map[string]any{"client_id": string(c.ID), "name": c.Name, "signs_in_by": c.SignsInBy(), "allow": c.Allow, "jwks_url": c.JWKSURL}
	if c.ExpiresAt != 0 {
		after["expires_at"] = c.ExpiresAt.RFC3339()
	}
	return c, text, tx.Record(store.Activity{Action: "directory.client.create", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name, Detail: map[string]any{"after": after}})
}

// RotateClient gives a client another secret, which is shown this once; the one before
// works for grace longer. A client that signs gets the keys in next instead, at once:
// a set can have the old and the new one in it. Needs Write. Faults: Denied, NotFound,
// Invalid on "grace", "jwks" or "jwks_url".
func RotateClient(tx *store.Tx, id store.DirectoryID, client store.ID[Client], grace time.Duration, next NewClient) (Client, string, error) {
	d, c, err := clientOf(tx, id, client)
	if err != nil {
		return c, "", err
	}
	jwks, url, err := keysOf(next.JWKS, next.JWKSURL)
	text := ""
	switch {
	case err != nil:
		return c, "", err
	case grace < 0 || grace > maxGrace:
		return c, "", fault.Invalid.On("grace", "The old secret can go on for 0 to 90 days, not %s.", grace)
	case c.SecretHash == "" && jwks == "" && url == "":
		return c, "", fault.Invalid.On("jwks", "%s signs with its keys and has no secret. Give its new keys, or make another client.", c.Name)
	case c.SecretHash != "" && (jwks != "" || url != ""):
		return c, "", fault.Invalid.On("jwks", "%s has a secret, not keys. Make another client for the keys.", c.Name)
	case c.SecretHash == "":
		c.JWKS, c.JWKSURL, c.JWKSAt = jwks, url, 0
	default:
		text = secret.NewToken()
		c.PreviousHash, c.PreviousEndsAt, c.SecretHash = c.SecretHash, tx.Now().Add(grace), secret.Hash(text)
	}
	if _, err := tx.Exec(`UPDATE directory_clients SET secret_hash = ?, previous_hash = ?, previous_ends_at = ?, jwks = ?, jwks_url = ?, jwks_at = ? WHERE org_id = ? AND client_id = ?`,
		c.SecretHash, c.PreviousHash, c.PreviousEndsAt, c.JWKS, c.JWKSURL, c.JWKSAt, tx.Org(), c.ID); err != nil {
		return c, "", err
	}
	detail := map[string]any{"client_id": string(c.ID), "name": c.Name}
	if text != "" {
		detail["previous_expires_at"] = c.PreviousEndsAt.RFC3339()
	}
	return c, text, tx.Record(store.Activity{Action: "directory.client.rotate", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name, Detail: detail})
}

// RevokeClient ends a client and the access tokens that it has, at once. Needs
// Write. Faults: Denied, NotFound.
func RevokeClient(tx *store.Tx, id store.DirectoryID, client store.ID[Client]) error {
	d, c, err := clientOf(tx, id, client)
	if err != nil {
		return err
	}
	for _, remove := range []string{`DELETE FROM directory_clients WHERE org_id = ? AND client_id = ?`, `DELETE FROM directory_tokens WHERE org_id = ? AND client_id = ?`,
		`DELETE FROM directory_assertions WHERE org_id = ? AND client_id = ?`} {
		if _, err := tx.Exec(remove, tx.Org(), c.ID); err != nil {
			return err
		}
	}
	return tx.Record(store.Activity{Action: "directory.client.revoke", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"before": map[string]any{"client_id": string(client), "name": c.Name}}})
}

// assertionAlgorithms are what a client may sign with. None is symmetric.
var assertionAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256}

// verifies tells whether a key is for an algorithm; the token's header never decides alone.
func verifies(k *jose.JSONWebKey, algorithm string) bool {
	if k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return algorithm == string(jose.RS256) || algorithm == string(jose.PS256)
	case *ecdsa.PublicKey:
		return algorithm == string(jose.ES256) && key.Curve == elliptic.P256()
	}
	return false
}

// publicKeys reads a JWK set (RFC 7517 §5) into the form in which it is kept.
func publicKeys(text []byte) (string, error) {
	bad := func(format string, args ...any) (string, error) { return "", fault.Invalid.On("jwks", format, args...) }
	var set jose.JSONWebKeySet
	if len(text) > 64<<10 || json.Unmarshal(text, &set) != nil {
		return bad(`The keys cannot be read. Give a JWK set: {"keys":[...]} with public RSA or P-256 keys, at most 64 kB.`)
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxKeys {
		return bad("The JWK set has %d keys that can be used; it must have 1 to %d.", len(set.Keys), maxKeys)
	}
	seen := map[string]bool{}
	for i := range set.Keys {
		k := &set.Keys[i]
		_, symmetric := k.Key.([]byte)
		switch {
		case symmetric || !k.IsPublic():
			return bad("Key %d is secret. Give public keys only, and make a new pair: this one has been shown.", i+1)
		case !k.Valid() || !verifies(k, string(jose.RS256)) && !verifies(k, string(jose.PS256)) && !verifies(k, string(jose.ES256)):
			return bad("Key %d cannot be used. Use RSA with RS256 or PS256, or P-256 with ES256.", i+1)
		case k.Use != "" && k.Use != "sig":
			return bad("Key %d is for %q, not for signatures.", i+1, k.Use)
		case k.KeyID != "" && seen[k.KeyID]:
			return bad("Two keys have the id %.64q.", k.KeyID)
		}
		if key, ok := k.Key.(*rsa.PublicKey); ok && (key.N.BitLen() < 2048 || key.N.BitLen() > 8192) {
			return bad("Key %d has %d bits; an RSA key needs 2048 to 8192.", i+1, key.N.BitLen())
		}
		seen[k.KeyID] = true
	}
	kept, err := json.Marshal(set)
	return string(kept), err
}

// keysOf checks what somebody gave as a client's keys: a set, where it is, or neither.
func keysOf(set []byte, address string) (jwks, jwksURL string, err error) {
	if len(set) > 0 && address != "" {
		return "", "", fault.Invalid.On("jwks_url", "Give the keys, or the address where they are, not both.")
	}
	if len(set) > 0 {
		jwks, err = publicKeys(set)
		return jwks, "", err
	}
	if address == "" {
		return "", "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(address) > 2000 {
		return "", "", fault.Invalid.On("jwks_url", "%.100q is no address of a JWK set. Write it like https://client.example.com/jwks.json.", address)
	}
	return "", u.String(), nil
}
