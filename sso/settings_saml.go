package sso

import (
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
)

// SAMLConfig is what only a SAML connection has.
type SAMLConfig struct {
	SSORedirect    string `json:"sso_redirect,omitempty"` // single sign-on by redirect
	SSOPost        string `json:"sso_post,omitempty"`     // single sign-on by form post
	SLO            sloAt  `json:"slo,omitzero"`           // single logout
	MetadataURL    string `json:"metadata_url,omitempty"`
	NoSLO          bool   `json:"no_slo,omitempty"`          // signing out here ends the session here alone
	MetadataSigner string `json:"metadata_signer,omitempty"` // SHA-256 of the certificate that signs the metadata, hex
	Binding        string `json:"binding,omitempty"`         // of our requests: auto, redirect, post
	NameIDFormat   string `json:"name_id_format,omitempty"`  // a key of nameIDFormats, preset or none
	ForceAuthn     bool   `json:"force_authn,omitempty"`
	SkewSeconds    int    `json:"skew_seconds,omitempty"`
	SHA1Until      string `json:"sha1_until,omitempty"` // a date: the first day on which SHA-1 is refused

	AuthnContext         []string `json:"authn_context,omitempty"`
	AuthnContextCompare  string   `json:"authn_context_comparison,omitempty"`
	AuthnContextAccepted []string `json:"authn_context_accepted,omitempty"`
	AuthnContextOrder    []string `json:"authn_context_order,omitempty"`
	LoginHint            string   `json:"login_hint,omitempty"` // preset, none, parameter, subject
	LoginHintParameter   string   `json:"login_hint_parameter,omitempty"`
	WantSigned           string   `json:"want_signed,omitempty"` // any, response, assertion, both
	WantEncrypted        bool     `json:"want_encrypted,omitempty"`
	StrictCertificates   bool     `json:"strict_certificates,omitempty"`
	IDPInitiated         string   `json:"idp_initiated,omitempty"`       // off, bounce, direct
	IDPInitiatedPaths    []string `json:"idp_initiated_paths,omitempty"` // where a direct sign-in may lead
}

const (
	bindingAuto = "auto"

	formatPreset = "preset"
	formatNone   = "none"

	hintPreset    = "preset"
	hintNone      = "none"
	hintParameter = "parameter"
	hintSubject   = "subject"

	signedAny       = "any"
	signedResponse  = "response"
	signedAssertion = "assertion"
	signedBoth      = "both"

	idpOff    = "off"
	idpBounce = "bounce"
	idpDirect = "direct"
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
	{Key: "authn_context", Protocol: protocolSAML, Group: "Requests", Label: "Way of signing in asked for (RequestedAuthnContext)",
		Help: "Authentication context classes, such as https://refeds.org/profile/mfa, the one that you like best first. The answer must name one of them, or one of those accepted below; empty: any way will do.",
		Kind: KindList, at: func(c *Connection) any { return &c.Config.AuthnContext }, check: checkContexts},
	{Key: "authn_context_comparison", Protocol: protocolSAML, Group: "Requests", Label: "How the provider compares", Help: "Which class is stronger than which the provider knows alone, unless you say it below; not every one takes something else than exact.",
		Kind: KindChoice, Default: saml.ComparisonExact, at: func(c *Connection) any { return &c.Config.AuthnContextCompare }, check: checkContexts,
		Choices: []Word{{saml.ComparisonExact, "Exactly one of them"}, {saml.ComparisonMinimum, "At least as strong"}, {saml.ComparisonBetter, "Stronger than all of them"}, {saml.ComparisonMaximum, "As strong as possible, at most that"}}},
	{Key: "authn_context_accepted", Protocol: protocolSAML, Group: "Requests", Label: "Other classes that will do as the answer", Help: "What a provider answers that signed somebody in by a stronger way, as the explanation of a refused sign-in shows it.",
		Kind: KindList, at: func(c *Connection) any { return &c.Config.AuthnContextAccepted }, check: checkContexts},
	{Key: "authn_context_order", Protocol: protocolSAML, Group: "Requests", Label: "The provider's classes by strength, the weakest first", Help: "With this, an answer of a stronger class will do where at least as strong or stronger was asked for, and of a weaker one where at most that was.",
		Kind: KindList, at: func(c *Connection) any { return &c.Config.AuthnContextOrder }, check: checkContexts},
	{Key: "login_hint", Protocol: protocolSAML, Group: "Requests", Label: "Tell the provider who is coming", Help: "So that nobody types their address twice. Entra ID, Google and Auth0 take a parameter and AD FS another one; Keycloak takes the request's Subject, over which Entra ID fails.",
		Kind: KindChoice, Default: hintPreset, Choices: []Word{{hintPreset, "As the preset says"}, {hintNone, "No"}, {hintParameter, "As a parameter of the URL"}, {hintSubject, "As the Subject of the request"}},
		at: func(c *Connection) any { return &c.Config.LoginHint }},
	{Key: "login_hint_parameter", Protocol: protocolSAML, Group: "Requests", Label: "Name of that parameter", Help: "Empty: login_hint, or what the preset's provider calls it.",
		Kind: KindText, at: func(c *Connection) any { return &c.Config.LoginHintParameter }, check: checkHintParameter},
	{Key: "want_signed", Protocol: protocolSAML, Group: "Responses", Label: "What must be signed", Help: "Something always must be. What is signed is verified, whether it must be or not.",
		Kind: KindChoice, Default: signedAny, Choices: []Word{{signedAny, "The response or the assertion"}, {signedResponse, "The response"}, {signedAssertion, "The assertion"}, {signedBoth, "Both"}},
		at: func(c *Connection) any { return &c.Config.WantSigned }},
	{Key: "want_encrypted", Protocol: protocolSAML, Group: "Responses", Label: "Refuse assertions that are not encrypted", Help: "Encrypted ones are read in any case, with the key in our metadata.",
		Kind: KindSwitch, at: func(c *Connection) any { return &c.Config.WantEncrypted }},
	{Key: "strict_certificates", Protocol: protocolSAML, Group: "Responses", Label: "Mind the dates of the provider's certificates", Help: "Providers sign for years with expired self-signed certificates: the key is what is trusted. With this nobody signs in on the day after.",
		Kind: KindSwitch, at: func(c *Connection) any { return &c.Config.StrictCertificates }},
	{Key: "idp_initiated", Protocol: protocolSAML, Group: "Sign-ins that start at the provider", Label: "The tile on the provider's page",
		Help: "Off refuses answers that nobody asked for: somebody else's browser could have been made to post them. Bounce throws the answer away and asks the provider anew, which is as safe as starting here and takes no click. Direct takes it, within five minutes, once, and signs in whoever's answer it is; only for providers with which bounce does not work.",
		Kind: KindChoice, Default: idpOff, Choices: []Word{{idpOff, "Off"}, {idpBounce, "Bounce: ask the provider anew"}, {idpDirect, "Direct: take the answer"}},
		at: func(c *Connection) any { return &c.Config.IDPInitiated }},
	{Key: "idp_initiated_paths", Protocol: protocolSAML, Group: "Sign-ins that start at the provider", Label: "Pages to which a direct sign-in may lead", Help: "Paths on this server, such as /account, that the provider may name in RelayState. Others lead to the account page.",
		Kind: KindList, at: func(c *Connection) any { return &c.Config.IDPInitiatedPaths }, check: checkPaths},
	{Key: "skew_seconds", Protocol: protocolSAML, Group: "Responses", Label: "Clock difference allowed, in seconds", Help: "How far the provider's clock may be off, both ways.",
		Kind: KindNumber, Default: "120", Min: 1, Max: 600, at: func(c *Connection) any { return &c.Config.SkewSeconds }},
	{Key: "sha1_until", Protocol: protocolSAML, Group: "Responses", Label: "Accept SHA-1 until", Help: "For a provider that cannot sign with SHA-256 yet. From that day on, UTC, SHA-1 is refused again; at most a year ahead.",
		Kind: KindDate, at: func(c *Connection) any { return &c.Config.SHA1Until }, check: checkSHA1Until},
	{Key: "metadata_signer", Protocol: protocolSAML, Group: "Metadata", Label: "Metadata is signed by", Help: "SHA-256 fingerprint of the certificate. A change of the metadata at its URL that this certificate did not sign waits for an administrator.",
		Kind: KindText, at: func(c *Connection) any { return &c.Config.MetadataSigner }, check: checkSigner},
	{Key: "no_slo", Protocol: protocolSAML, Group: "Single logout", Label: "Signing out here ends the session here alone", Help: "Nobody is sent to the provider to sign out there too. What the provider asks for is done all the same.",
		Kind: KindSwitch, at: func(c *Connection) any { return &c.Config.NoSLO }},
	{Key: "slo_redirect", Protocol: protocolSAML, Group: "Single logout", Label: "Single logout URL (redirect)", Help: "Who signs out here is sent there too. It comes from the provider's metadata.",
		Kind: KindURL, at: func(c *Connection) any { return &c.Config.SLO.Redirect }},
	{Key: "slo_post", Protocol: protocolSAML, Group: "Single logout", Label: "Single logout URL (POST)", Help: "The same for messages that are posted.",
		Kind: KindURL, at: func(c *Connection) any { return &c.Config.SLO.Post }},
}

func nameIDChoices() []Word {
	return []Word{{formatPreset, "As the preset says"}, {formatNone, "None"}, {"persistent", "Persistent"}, {"email", "E-mail address"}, {"unspecified", "Unspecified"},
		{"transient", "Transient"}, {"x509", "X.509 subject name"}, {"windows", "Windows domain qualified name"}, {"kerberos", "Kerberos principal name"}}
}

// checkSSOURLs: an open connection can send people somewhere, and the way that was
// chosen is there. A draft may be half done.
func checkSSOURLs(c *Connection, _ time.Time) error {
	if c.Status != statusActive {
		return nil
	}
	if _, _, err := c.ssoURL(); err != nil {
		return err
	}
	return nil
}

// checkSigner takes a fingerprint as people copy it.
func checkSigner(c *Connection, _ time.Time) error {
	text := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(c.Config.MetadataSigner))
	if _, err := hex.DecodeString(text); err != nil || text != "" && len(text) != 64 {
		return fault.Invalid.Say("A SHA-256 fingerprint has 64 digits from 0 to F, with colons between or without.")
	}
	c.Config.MetadataSigner = text
	return nil
}

func checkSHA1Until(c *Connection, now time.Time) error {
	if c.sha1Until().After(now.Add(maxSHA1)) {
		return fault.Invalid.Say("SHA-1 can be accepted for a year at most, until %s.", now.Add(maxSHA1).UTC().Format(time.DateOnly))
	}
	return nil
}

// checkContexts: classes are absolute URIs, an order has a place for all that is asked
// for, and what is better than that must be said.
func checkContexts(c *Connection, _ time.Time) error {
	order := c.Config.AuthnContextOrder
	for _, class := range slices.Concat(c.Config.AuthnContext, c.Config.AuthnContextAccepted, order) {
		if u, err := url.Parse(class); err != nil || u.Scheme == "" || strings.ContainsAny(class, " <>\"") {
			return fault.Invalid.Say("%q is not an authentication context class; one looks like urn:oasis:names:tc:SAML:2.0:ac:classes:X509.", answer.Clip(class, 200))
		}
	}
	for _, class := range c.Config.AuthnContext {
		if len(order) > 0 && !slices.Contains(order, class) {
			return fault.Invalid.Say("authn_context_order does not say how strong %s is, which is asked for.", answer.Clip(class, 200))
		}
	}
	strongest := len(order) > 0 && slices.Contains(c.Config.AuthnContext, order[len(order)-1])
	if c.Config.AuthnContextCompare == saml.ComparisonBetter && len(c.Config.AuthnContext) > 0 && len(c.Config.AuthnContextAccepted) == 0 && (len(order) == 0 || strongest) {
		return fault.Invalid.Say("Which classes are better is not ours to guess: list those that will do in authn_context_accepted first, or all by their strength in authn_context_order.")
	}
	return nil
}

func checkHintParameter(c *Connection, _ time.Time) error {
	name := c.Config.LoginHintParameter
	if strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", r)
	}) ||
		oneOf(name, "SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding") {
		return fault.Invalid.Say("A parameter is called login_hint or the like: letters, digits, _ . and -, and none of SAML's own names.")
	}
	return nil
}

func checkPaths(c *Connection, _ time.Time) error {
	for _, p := range c.Config.IDPInitiatedPaths {
		if web.Local(p) != p || strings.ContainsAny(p, "?#") {
			return fault.Invalid.Say("%q is not a path on this server, such as /account.", answer.Clip(p, 200))
		}
	}
	return nil
}

// Notes are sentences about settings that an administrator should not forget.
func (c Connection) Notes(now time.Time) []web.Said {
	notes := []web.Said{}
	switch until := c.sha1Until(); {
	case until.After(now):
		notes = append(notes, web.Say("SHA-1 signatures are accepted until %s, 0:00 UTC. Let the identity provider sign with SHA-256 before.", c.Config.SHA1Until))
	case !until.IsZero():
		notes = append(notes, web.Say("SHA-1 signatures are refused since %s, as it was set.", c.Config.SHA1Until))
	}
	if c.Config.IDPInitiated == idpDirect {
		notes = append(notes, web.Say("Answers that nobody asked for sign people in (idp_initiated direct). Bounce is safer and needs no click more."))
	}
	return notes
}

// hint is what a request says about who is coming.
func (c Connection) hint(who string) saml.Hint {
	if who == "" || len(who) > 320 || !cleanText(who) {
		return saml.Hint{}
	}
	parameter := orElse(c.Config.LoginHintParameter, "login_hint")
	how := c.Config.LoginHint
	if how == hintPreset || how == "" {
		switch c.Vendor {
		case "entra", "google", "auth0":
			// https://learn.microsoft.com/entra/identity-platform/single-sign-on-saml-protocol#subject
			how = hintParameter
		case "adfs":
			how, parameter = hintParameter, orElse(c.Config.LoginHintParameter, "username")
		case "keycloak":
			how = hintSubject // its SamlService reads the Subject's NameID as login_hint
		default:
			how = hintNone
		}
	}
	switch how {
	case hintSubject:
		return saml.Hint{Value: who, AsSubject: true}
	case hintParameter:
		return saml.Hint{Value: who, Parameter: parameter}
	}
	return saml.Hint{}
}

var (
	errNoSSO         = fault.Conflict.Say("The connection has no single sign-on URL of the identity provider: import its metadata, or enter the URL.")
	errNoPostURL     = fault.Conflict.Say("Requests are to be posted, and the identity provider's metadata has no single sign-on URL for that. Choose another way to send them.")
	errNoRedirectURL = fault.Conflict.Say("Requests are to go by redirect, and the identity provider's metadata has no single sign-on URL for that. Choose another way to send them.")
)

// ssoURL is where requests go, and how. Faults: Conflict, for the administrator.
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
