package scim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Client is an OAuth client of a directory: it fetches access tokens of an hour by
// itself (oauth.go), so that no long-lived token has to be kept there.
type Client struct {
	ID          store.ID[Client]  `db:"client_id"`
	OrgID       store.OrgID       `db:"org_id"`
	DirectoryID store.DirectoryID `db:"directory_id"`
	Name        string            `db:"name"`
	SecretHash  string            `db:"secret_hash"` // empty: it signs with its keys
	JWKS        string            `db:"jwks"`        // its public keys; empty: it has a secret
	CreatedAt   store.Time        `db:"created_at"`
	LastUsedAt  store.Time        `db:"last_used_at"`
	LastUsedIP  string            `db:"last_used_ip"`
}

const (
	clientColumns = "SELECT client_id, org_id, directory_id, name, secret_hash, jwks, created_at, last_used_at, last_used_ip FROM directory_clients"
	maxClients    = 50 // of a directory
	maxKeys       = 10 // of a client
)

// Clients lists a directory's OAuth clients, newest first. Faults: Denied.
func Clients(tx *store.Tx, id store.DirectoryID) ([]Client, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	list := []Client{}
	return list, tx.Select(&list, clientColumns+" WHERE org_id = ? AND directory_id = ? ORDER BY client_id DESC LIMIT 100", tx.Org(), id)
}

// CreateClient makes an OAuth client of a directory. With jwks, a JWK set of public
// keys, it signs its requests (private_key_jwt) and gets no secret, which would only
// be a second, weaker way in. Without, it gets a secret, which is shown this once.
// Needs Write. Faults: Denied, NotFound, Invalid on "name" or "jwks", Conflict (too many).
func CreateClient(tx *store.Tx, id store.DirectoryID, name string, jwks []byte) (Client, string, error) {
	list, err := Clients(tx, id)
	if err != nil {
		return Client{}, "", err
	}
	d, err := tx.Directory(id)
	if err != nil {
		return Client{}, "", err
	}
	c := Client{ID: store.NewID[Client](), OrgID: tx.Org(), DirectoryID: id, Name: strings.TrimSpace(name), CreatedAt: tx.Now()}
	if c.Name == "" || len(c.Name) > 200 || !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl) {
		return c, "", fault.Invalid.On("name", "The client needs a name of at most 200 bytes, such as Okta production.")
	}
	if len(list) >= maxClients {
		return c, "", fault.Conflict.Say("%s has %d clients already. Revoke one that is not used any more.", d.Name, len(list))
	}
	text, how := "", "private_key_jwt"
	if len(jwks) > 0 {
		if c.JWKS, err = publicKeys(jwks); err != nil {
			return c, "", err
		}
	} else {
		text, how = secret.NewToken(), "client_secret"
		c.SecretHash = secret.Hash(text)
	}
	if _, err := tx.Exec(`INSERT INTO directory_clients (org_id, client_id, directory_id, name, secret_hash, jwks, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		tx.Org(), c.ID, id, c.Name, c.SecretHash, c.JWKS, c.CreatedAt); err != nil {
		return c, "", err
	}
	return c, text, tx.Record(store.Activity{Action: "directory.client.create", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"after": map[string]any{"client_id": string(c.ID), "name": c.Name, "signs_in_by": how}}})
}

// RevokeClient ends a client and the access tokens that it has, at once. Needs
// Write. Faults: Denied, NotFound.
func RevokeClient(tx *store.Tx, id store.DirectoryID, client store.ID[Client]) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	d, err := tx.Directory(id)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`DELETE FROM directory_clients WHERE org_id = ? AND directory_id = ? AND client_id = ?`, tx.Org(), id, client)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.NotFound.Say("%s has no client %q. `muster directory client list` shows which it has.", d.Name, client)
	}
	if _, err := tx.Exec(`DELETE FROM directory_tokens WHERE org_id = ? AND directory_id = ? AND client_id = ?`, tx.Org(), id, string(client)); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM directory_assertions WHERE org_id = ? AND client_id = ?`, tx.Org(), client); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "directory.client.revoke", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"before": map[string]any{"client_id": string(client)}}})
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
