package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
)

// How a client proves itself at the token endpoint (OpenID Connect Core 1.0 §9).
const (
	AuthBasic      = "client_secret_basic"
	AuthPost       = "client_secret_post"
	AuthPrivateKey = "private_key_jwt"
	AuthNone       = "none"
)

// Client is this server as one connection's provider knows it.
type Client struct {
	ID       string
	Redirect string
	Scopes   []string
	Auth     string // one of the Auth words; empty: what the provider takes
	Secret   string
	Key      *ClientKey // for private_key_jwt
}

// ClientKey signs for the client. The provider has its public half, from the key
// set or as a certificate.
type ClientKey struct {
	ID          string
	Key         *rsa.PrivateKey
	Certificate []byte // self-signed; Entra knows keys by certificate alone
}

// method picks the way. Basic comes first: it is what every provider must take
// (RFC 6749 §2.3.1).
func (i *Issuer) method(c Client) (string, error) {
	if c.Auth != "" {
		return c.Auth, nil
	}
	takes := func(m string) bool { return slices.Contains(i.authMethods, m) }
	switch {
	case c.Secret == "" && c.Key != nil:
		return AuthPrivateKey, nil
	case c.Secret == "":
		return AuthNone, nil
	case takes(AuthPost) && (url.QueryEscape(c.ID) != c.ID || url.QueryEscape(c.Secret) != c.Secret):
		// Some providers do not undo the encoding that basic asks for (LemonLDAP::NG
		// 2.16 does not), and in the body there is no doubt about it.
		return AuthPost, nil
	case len(i.authMethods) == 0 || takes(AuthBasic):
		return AuthBasic, nil
	case takes(AuthPost):
		return AuthPost, nil
	}
	return "", fault.Invalid.Say("The provider takes none of the ways in which this client can prove itself.")
}

// authenticate adds the client's proof to a token request.
func (i *Issuer) authenticate(c Client, form url.Values, header http.Header, now time.Time) (method string, err error) {
	if method, err = i.method(c); err != nil {
		return "", err
	}
	switch method {
	case AuthBasic:
		// Both halves are form-encoded first, which a colon or a percent sign in a
		// secret needs (RFC 6749 §2.3.1).
		pair := url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case AuthPost:
		form.Set("client_id", c.ID)
		form.Set("client_secret", c.Secret)
	case AuthPrivateKey:
		assertion, err := i.assertion(c, now)
		if err != nil {
			return method, err
		}
		form.Set("client_id", c.ID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	default:
		form.Set("client_id", c.ID)
	}
	return method, nil
}

// assertion is the client's signed word (RFC 7523 §2.2). It lives a minute and its
// key is this connection's alone, so no provider can use it anywhere else.
func (i *Issuer) assertion(c Client, now time.Time) (string, error) {
	if c.Key == nil {
		return "", fault.Invalid.Say("This connection has no key of its own yet.")
	}
	alg := jose.RS256
	if len(i.authAlgorithms) > 0 && !slices.Contains(i.authAlgorithms, string(jose.RS256)) && slices.Contains(i.authAlgorithms, string(jose.PS256)) {
		alg = jose.PS256
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if len(c.Key.Certificate) > 0 {
		sum := sha256.Sum256(c.Key.Certificate)
		opts = opts.WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: c.Key.Key, KeyID: c.Key.ID}}, opts)
	if err != nil {
		return "", fmt.Errorf("sign as client %s: %w", c.ID, err)
	}
	claims, err := json.Marshal(map[string]any{"iss": c.ID, "sub": c.ID, "aud": i.token, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign as client %s: %w", c.ID, err)
	}
	return jws.CompactSerialize()
}

// PublicKeys is the key set document that a provider reads (RFC 7517 §5), made
// from the certificates of client keys and their ids.
func PublicKeys(ids []string, certificates [][]byte) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i, der := range certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("client key %s: %w", ids[i], err)
		}
		sum := sha256.Sum256(der)
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: cert.PublicKey, KeyID: ids[i], Use: "sig",
			Certificates: []*x509.Certificate{cert}, CertificateThumbprintSHA256: sum[:]})
	}
	return json.Marshal(set)
}

// clientKeyFor is how long the certificate of a client key is good. Whoever knows
// the key by its certificate replaces both before.
const clientKeyFor = 10 * 365 * 24 * time.Hour

// NewClientKey makes a key pair with a self-signed certificate. RSA with 2048 bits
// is what every provider takes.
func NewClientKey(id, name string, now time.Time) (ClientKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return ClientKey{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return ClientKey{}, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(clientKeyFor),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return ClientKey{ID: id, Key: key, Certificate: der}, err
}
