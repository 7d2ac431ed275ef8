package sso

import (
	"errors"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/saml"
)

// SAMLConfig is what only a SAML connection has.
type SAMLConfig struct {
	SSORedirect  string `json:"sso_redirect,omitempty"` // single sign-on by redirect
	SSOPost      string `json:"sso_post,omitempty"`     // single sign-on by form post
	SLO          sloAt  `json:"slo,omitzero"`           // single logout
	MetadataURL  string `json:"metadata_url,omitempty"`
	Binding      string `json:"binding,omitempty"`        // of our requests: auto, redirect, post
	NameIDFormat string `json:"name_id_format,omitempty"` // a key of nameIDFormats, preset or none
	ForceAuthn   bool   `json:"force_authn,omitempty"`
	SkewSeconds  int    `json:"skew_seconds,omitempty"`
	SHA1Until    string `json:"sha1_until,omitempty"` // a date: the first day on which SHA-1 is refused
}

const (
	bindingAuto = "auto"

	formatPreset = "preset"
	formatNone   = "none"
)

// nameIDFormats are the formats of saml-core-2.0 §8.3 by the words of the setting.
var nameIDFormats = map[string]string{
	"persistent":  saml.FormatPersistent,
	"email":       saml.FormatEmail,
	"unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
	"transient":   saml.FormatTransient,
	"x509":        "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName",
	"windows":     "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName",
	"kerberos":    "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos",
}

// maxSHA1 bounds for how long SHA-1 can be let pass: collisions cost a few ten
// thousand dollars.
const maxSHA1 = 366 * 24 * time.Hour

var samlSettings = []Setting{
	{Key: "sso_redirect", Protocol: protocolSAML, Group: "Requests", Label: "Single sign-on URL (redirect)", Help: "Where people are sent. It comes from the provider's metadata.",
		Kind: KindURL, at: func(c *Connection) any { return &c.Config.SSORedirect }, check: checkSSOURLs},
	{Key: "sso_post", Protocol: protocolSAML, Group: "Requests", Label: "Single sign-on URL (POST)", Help: "The same for requests that are posted.",
		Kind: KindURL, at: func(c *Connection) any { return &c.Config.SSOPost }, check: checkSSOURLs},
	{Key: "binding", Protocol: protocolSAML, Group: "Requests", Label: "Requests are sent", Help: "Every request is signed with RSA-SHA256, whichever way it goes.",
		Kind: KindChoice, Default: bindingAuto, Choices: []Word{{bindingAuto, "By redirect, else as a form post"}, {"redirect", "By redirect"}, {"post", "As a form post"}},
		at: func(c *Connection) any { return &c.Config.Binding }, check: checkSSOURLs},
	{Key: "force_authn", Protocol: protocolSAML, Group: "Requests", Label: "Ask for a fresh sign-in (ForceAuthn)", Help: "The provider must ask people for their credentials each time.",
		Kind: KindSwitch, at: func(c *Connection) any { return &c.Config.ForceAuthn }},
	{Key: "name_id_format", Protocol: protocolSAML, Group: "Requests", Label: "NameID format asked for", Help: "None sends no NameIDPolicy, for providers that answer InvalidNameIDPolicy. It stays once people are known by their NameID.",
		Kind: KindChoice, Default: formatPreset, Choices: nameIDChoices(), Fixed: saml.SubjectNameID, at: func(c *Connection) any { return &c.Config.NameIDFormat }},
	{Key: "slo_redirect", Protocol: protocolSAML, Group: "Single logout", Label: "Single logout URL (redirect)", Help: "Who signs out here is sent there too. It comes from the provider's metadata; empty with the other one: signing out here ends the session here alone.",
		Kind: KindURL, at: func(c *Connection) any { return &c.Config.SLO.Redirect }},
	{Key: "slo_post", Protocol: protocolSAML, Group: "Single logout", Label: "Single logout URL (POST)", Help: "The same for messages that are posted.",
		Kind: KindURL, at: func(c *Connection) any { return &c.Config.SLO.Post }},
	{Key: "skew_seconds", Protocol: protocolSAML, Group: "Responses", Label: "Clock difference allowed, in seconds", Help: "How far the provider's clock may be off, both ways.",
		Kind: KindNumber, Default: "120", Min: 1, Max: 600, at: func(c *Connection) any { return &c.Config.SkewSeconds }},
	{Key: "sha1_until", Protocol: protocolSAML, Group: "Responses", Label: "Accept SHA-1 until", Help: "For a provider that cannot sign with SHA-256 yet. From that day on, UTC, SHA-1 is refused again; at most a year ahead.",
		Kind: KindDate, at: func(c *Connection) any { return &c.Config.SHA1Until }, check: checkSHA1Until},
}

func nameIDChoices() []Word {
	return []Word{{formatPreset, "As the preset says"}, {formatNone, "None"}, {"persistent", "Persistent"}, {"email", "E-mail address"}, {"unspecified", "Unspecified"},
		{"transient", "Transient"}, {"x509", "X.509 subject name"}, {"windows", "Windows domain qualified name"}, {"kerberos", "Kerberos principal name"}}
}

// checkSSOURLs: an open connection can send people somewhere, and the way that was
// chosen is there. A draft may be half done.
func checkSSOURLs(c *Connection, _ time.Time) *fault.Error {
	if c.Status != statusActive {
		return nil
	}
	if _, _, err := c.ssoURL(); err != nil {
		return &fault.Error{Kind: fault.Invalid, Public: err.Error()}
	}
	return nil
}

func checkSHA1Until(c *Connection, now time.Time) *fault.Error {
	if c.sha1Until().After(now.Add(maxSHA1)) {
		return &fault.Error{Kind: fault.Invalid, Public: "SHA-1 can be accepted for a year at most, until " + now.Add(maxSHA1).UTC().Format(time.DateOnly) + "."}
	}
	return nil
}

var (
	errNoSSO         = errors.New("The connection has no single sign-on URL of the identity provider: import its metadata, or enter the URL.")
	errNoPostURL     = errors.New("Requests are to be posted, and the identity provider's metadata has no single sign-on URL for that. Choose another way to send them.")
	errNoRedirectURL = errors.New("Requests are to go by redirect, and the identity provider's metadata has no single sign-on URL for that. Choose another way to send them.")
)

// ssoURL is where requests go, and how. The error is a sentence for the administrator.
func (c Connection) ssoURL() (address, binding string, err error) {
	redirect, post := c.Config.SSORedirect, c.Config.SSOPost
	switch want := c.Config.Binding; {
	case redirect != "" && want != "post":
		return redirect, saml.BindingRedirect, nil
	case post != "" && want != "redirect":
		return post, saml.BindingPOST, nil
	case redirect+post == "":
		return "", "", errNoSSO
	case want == "post":
		return "", "", errNoPostURL
	}
	return "", "", errNoRedirectURL
}

// nameIDPolicy is the format that a request asks for; empty sends no NameIDPolicy.
func (c Connection) nameIDPolicy() string {
	switch c.Config.NameIDFormat {
	case "", formatPreset:
		return saml.AttributesFor(c.Vendor).NameIDFormat
	}
	return nameIDFormats[c.Config.NameIDFormat]
}

// sha1Until is the moment from which on SHA-1 is refused; zero: always.
func (c Connection) sha1Until() time.Time {
	t, err := time.Parse(time.DateOnly, c.Config.SHA1Until)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (c Connection) skew() time.Duration {
	return time.Duration(c.filled().Config.SkewSeconds) * time.Second
}
