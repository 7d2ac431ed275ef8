package sso

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// Provider is what an identity provider gives to be connected.
type Provider struct {
	Metadata    []byte // SAML: of one entity
	MetadataURL string // SAML: where that is; empty: it was a file, or typed

	Issuer, ClientID string // OIDC
	ClientSecret     string // OIDC; empty keeps the stored one
}

// SetProvider connects a connection to its provider, or to the provider's new
// values. Faults: Denied, NotFound, Invalid (Field names the input), Conflict (people
// are known by the provider that was there).
func (d *Door) SetProvider(ctx context.Context, actor access.Actor, id ConnectionID, in Provider) (c Connection, err error) {
	var certs [][]byte
	var m saml.Metadata
	if len(in.Metadata) > 0 {
		if m, err = saml.ParseMetadata(in.Metadata); err != nil {
			return c, err
		}
		certs = m.Certificates
	}
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		c, err = alterConnection(tx, id, func(c *Connection) error {
			if err := maySetUp(tx, *c); err != nil {
				return err
			}
			before := c.Issuer
			if c.Protocol == protocolSAML {
				if len(certs) == 0 {
					return fault.Invalid.On("metadata", "Give the identity provider's metadata: its address, the file, the text, or the values by hand.")
				}
				adopt(c, m)
				c.Config.MetadataURL = in.MetadataURL
			} else if err := d.register(c, in); err != nil {
				return err
			}
			return sameProvider(tx, *c, before)
		})
		if err != nil || c.Protocol != protocolSAML {
			return err
		}
		return exchangeCertificates(tx, c, certs)
	})
	return c, err
}

// adopt takes over what metadata say of where messages go.
func adopt(c *Connection, m saml.Metadata) {
	c.Issuer = m.EntityID
	c.Config.SSORedirect, c.Config.SSOPost = m.SSO[saml.BindingRedirect], m.SSO[saml.BindingPOST]
	redirect, post := m.SLO[saml.BindingRedirect], m.SLO[saml.BindingPOST]
	c.Config.SLO = sloAt{Redirect: redirect.Location, RedirectResponse: redirect.ResponseLocation, Post: post.Location, PostResponse: post.ResponseLocation}
}

// register takes over how we are known at an OIDC provider.
func (d *Door) register(c *Connection, in Provider) error {
	c.Issuer, c.Config.ClientID = strings.TrimSpace(in.Issuer), strings.TrimSpace(in.ClientID)
	if err := oidc.CheckIssuer(c.Issuer); err != nil {
		return err
	}
	if bad := checkClientID(c.Config.ClientID); bad != nil {
		return bad
	}
	if in.ClientSecret == "" {
		return nil
	}
	sealed, err := d.opts.Key.Seal(c.secretPlace(), []byte(in.ClientSecret))
	c.secret = sealed
	return err
}

// sameProvider refuses another provider for a connection that people are known on:
// whoever runs the new one could come as any of them.
func sameProvider(tx *store.Tx, c Connection, before string) error {
	if before == "" || before == c.Issuer {
		return nil
	}
	kinds, err := subjectKindsIn(tx, c.ID)
	if err == nil && len(kinds) > 0 {
		field := "metadata"
		if c.Protocol == protocolOIDC {
			field = "issuer"
		}
		return fault.Conflict.On(field, "People have signed in over %s and are known by what %s says of them. These values are of %s: make another connection for it.", c.Name, before, c.Issuer)
	}
	return err
}

// exchangeCertificates makes these the provider's signing certificates, and records
// which came and which went.
func exchangeCertificates(tx *store.Tx, c Connection, certs [][]byte) error {
	old, err := certificatesIn(tx, c.ID)
	if err != nil {
		return err
	}
	was, is := fingerprints(old), fingerprints(certs)
	if slices.Equal(was, is) {
		return nil
	}
	if _, err := tx.Exec("DELETE FROM sso_certificates WHERE org_id = ? AND connection_id = ?", tx.Org(), c.ID); err != nil {
		return err
	}
	if err := insertCertificates(tx, c.ID, certs); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "connection.certificates", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
		Detail: map[string]any{"before": map[string]any{"certificates": was}, "after": map[string]any{"certificates": is}}})
}

// fingerprints are the SHA-256 sums, in order.
func fingerprints(certs [][]byte) []string {
	list := []string{}
	for _, der := range certs {
		sum := sha256.Sum256(der)
		list = append(list, hex.EncodeToString(sum[:]))
	}
	slices.Sort(list)
	return list
}

// preview is what a provider's values say, before they are saved.
type preview struct {
	EntityID     string
	SignOn       []endpoint
	Logout       []endpoint
	Certificates []certificateLine
	ValidUntil   time.Time
	Algorithms   []string
	Warnings     []web.Said
}

type endpoint struct {
	How web.Said
	URL string
}

// previewSAML reads metadata for somebody to look at.
func (d *Door) previewSAML(doc []byte) (p preview, err error) {
	m, err := saml.ParseMetadata(doc)
	if err != nil {
		return p, err
	}
	now := d.opts.DB.Now()
	p = preview{EntityID: m.EntityID, SignOn: endpoints(m.SSO), Logout: endpoints(m.Logout()), ValidUntil: m.ValidUntil}
	for _, w := range m.Warnings {
		p.Warnings = append(p.Warnings, web.SaidBy(w))
	}
	for _, e := range slices.Concat(p.SignOn, p.Logout) {
		if strings.HasPrefix(e.URL, "http:") {
			p.Warnings = append(p.Warnings, web.Say("The address %s is not https: whoever listens on the way can read and change what passes.", e.URL))
		}
	}
	if !m.ValidUntil.IsZero() && m.ValidUntil.Before(now) {
		p.Warnings = append(p.Warnings, web.Say("The metadata says that it has expired. Get a new copy."))
	}
	list, err := saml.ParseCertificates(m.Certificates)
	if err != nil {
		return p, err
	}
	for _, cert := range list {
		line := certificateOf(cert, now)
		p.Certificates = append(p.Certificates, line)
		if line.Expired {
			p.Warnings = append(p.Warnings, web.Say("The certificate %s has expired. Its key is still accepted, as many providers go on signing with it; ask whether a new one is due.", line.Subject))
		}
	}
	return p, nil
}

var bindingNames = map[string]web.Said{saml.BindingRedirect: web.Say("by redirect"), saml.BindingPOST: web.Say("by form post")}

func endpoints(byBinding map[string]string) (list []endpoint) {
	for _, binding := range slices.Sorted(maps.Keys(byBinding)) {
		if byBinding[binding] != "" {
			list = append(list, endpoint{bindingNames[binding], byBinding[binding]})
		}
	}
	return list
}

// previewOIDC asks an issuer what it says of itself.
func (d *Door) previewOIDC(ctx context.Context, issuer string) (p preview, err error) {
	if err := oidc.CheckIssuer(issuer); err != nil {
		return p, err
	}
	p.EntityID = issuer
	found, err := d.issuers.Discover(ctx, issuer)
	if fault.Is(err, fault.Unavailable) {
		p.Warnings = append(p.Warnings, web.Say("%s You can save all the same; nobody can sign in before this works.", web.SaidBy(err)))
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.Algorithms = found.Algorithms
	for _, e := range found.Endpoints() {
		p.SignOn = append(p.SignOn, endpoint{web.Say("%s", e.Name), e.URL})
	}
	return p, nil
}

// certificateLine is a certificate on a page.
type certificateLine struct {
	Subject, Fingerprint, Key string
	From, Until               time.Time
	Days                      int // left
	Expired, Soon             bool
}

// soonDays is when a certificate's end is worth a look.
const soonDays = 60

func certificateOf(cert *x509.Certificate, now time.Time) certificateLine {
	sum := sha256.Sum256(cert.Raw)
	left := cert.NotAfter.Sub(now)
	line := certificateLine{Subject: orElse(cert.Subject.String(), "(no name)"), Fingerprint: colons(sum[:]), From: cert.NotBefore, Until: cert.NotAfter,
		Days: int(left.Hours() / 24), Expired: left <= 0, Soon: left > 0 && left < soonDays*24*time.Hour}
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		line.Key = fmt.Sprintf("RSA, %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		line.Key = "ECDSA, " + key.Params().Name
	}
	return line
}

// colons writes a fingerprint as providers show it.
func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}
