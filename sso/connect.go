package sso

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// readMetadata fills in what the provider's SAML metadata says. A draft may come
// without: many providers want our values before they give theirs.
func (d *Door) readMetadata(ctx context.Context, c *Connection, in NewConnection) (certs [][]byte, warning string, err error) {
	doc := in.Metadata
	if in.MetadataURL != "" {
		if doc, _, err = fetch(ctx, d.large, fault.Word("metadata"), in.MetadataURL); err != nil {
			return nil, "", err
		}
		c.Config.MetadataURL = in.MetadataURL
	}
	if len(bytes.TrimSpace(doc)) == 0 {
		if in.Activate {
			return nil, "", fault.Invalid.On("metadata", "A SAML connection needs the identity provider's metadata (a file or a URL) before it can be activated.")
		}
		return nil, "", nil
	}
	if doc, err = saml.Pick(doc, in.Entity); err != nil {
		return nil, "", err
	}
	m, err := saml.ParseMetadata(doc)
	if err != nil {
		return nil, "", err
	}
	if !m.ValidUntil.IsZero() && m.ValidUntil.Before(d.opts.DB.Now()) {
		m.Warnings = append(m.Warnings, fault.Invalid.Say("The metadata says that it has expired. Get a new copy when the identity provider changes its keys."))
	}
	adopt(c, m)
	return m.Certificates, fault.Public(errors.Join(m.Warnings...)), nil
}

// readIssuer checks the issuer and what it says of itself. That it does not answer
// is no reason to refuse: it may not know our redirect URL yet, and what it says is
// read again at each sign-in.
func (d *Door) readIssuer(ctx context.Context, c *Connection, in NewConnection) (warning string, err error) {
	c.Issuer, c.Config.ClientID = strings.TrimSpace(in.Issuer), strings.TrimSpace(in.ClientID)
	if c.Issuer+c.Config.ClientID == "" && !in.Activate { // a draft: the provider wants our redirect URL first
		c.Config.Scopes = []string{"openid", "profile", "email"}
		return "", nil
	}
	if err := oidc.CheckIssuer(c.Issuer); err != nil {
		return "", err
	}
	if err := checkClientID(c.Config.ClientID); err != nil {
		return "", err
	}
	c.Config.Scopes = in.Scopes
	if len(c.Config.Scopes) == 0 {
		c.Config.Scopes = []string{"openid", "profile", "email"}
	}
	if err := checkScopes(c.Config.Scopes); err != nil {
		return "", err
	}
	if in.ClientSecret != "" {
		if c.secret, err = d.opts.Key.Seal(c.secretPlace(), []byte(in.ClientSecret)); err != nil {
			return "", err
		}
	}
	issuer, err := d.issuers.Discover(ctx, c.Issuer)
	if fault.Is(err, fault.Unavailable) {
		return fault.Public(err) + " The connection was made all the same; nobody can sign in before this works.", nil
	}
	if err != nil {
		return "", err
	}
	c.Config.Algorithms = issuer.Algorithms // whoever can change the document cannot change what is taken
	return "", nil
}

// secretPlace names the place of the sealed client secret.
func (c Connection) secretPlace() string { return "connection/" + string(c.ID) + "/client-secret" }

const (
	useSign    = "sign"
	useEncrypt = "encrypt"

	keyNext   = "next"
	keyActive = "active"
	keyOld    = "old"
)

// samlSetup is a connection with its keys, ready to ask and to check.
type samlSetup struct {
	party      saml.Party
	signKey    *rsa.PrivateKey
	signing    [][]byte // our certificates
	encryption [][]byte
	stale      string // the provider's certificates that its metadata list no more, one after another
}

// setup reads the keys of a SAML connection.
func (d *Door) setup(ctx context.Context, actor access.Actor, c Connection) (samlSetup, error) {
	have, err := d.credentials(ctx, actor, c, nil)
	if err != nil {
		return samlSetup{}, err
	}
	return d.setupWith(c, have)
}

func (d *Door) credentials(ctx context.Context, actor access.Actor, c Connection, t *ticket) (have credentials, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		have, err = credentialsOf(tx, c, t)
		return err
	})
	return have, err
}

func (d *Door) setupWith(c Connection, have credentials) (s samlSetup, err error) {
	urls := d.URLs(c)
	s.party = saml.Party{EntityID: urls.EntityID, ACS: urls.ACS, IDPEntityID: c.Issuer, Skew: c.skew(), AllowSHA1Until: c.sha1Until(),
		WantResponseSigned: oneOf(c.Config.WantSigned, signedResponse, signedBoth), WantAssertionSigned: oneOf(c.Config.WantSigned, signedAssertion, signedBoth),
		WantEncrypted: c.Config.WantEncrypted, StrictCertificates: c.Config.StrictCertificates, Attributes: saml.AttributesFor(c.Vendor)}
	s.party.Certificates, s.stale = have.theirs, have.stale
	for _, k := range have.ours {
		key, err := d.privateKey(k, c.ID)
		if err != nil {
			return s, err
		}
		switch k.UseFor {
		case useSign:
			if s.signKey == nil {
				s.signKey = key
			}
			s.signing = append(s.signing, k.Certificate)
		case useEncrypt:
			s.party.DecryptKeys = append(s.party.DecryptKeys, key)
			s.encryption = append(s.encryption, k.Certificate)
		}
	}
	return s, nil
}
