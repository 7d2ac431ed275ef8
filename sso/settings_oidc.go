package sso

import (
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/oidc"
)

// OIDCConfig is what only an OpenID Connect connection has.
type OIDCConfig struct {
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`

	ClientAuth   string   `json:"client_auth,omitempty"`
	Algorithms   []string `json:"id_token_algorithms,omitempty"` // pinned; what the provider offers when empty
	Prompt       string   `json:"prompt,omitempty"`
	MaxAge       int      `json:"max_age_seconds,omitempty"`
	ACRValues    []string `json:"acr_values,omitempty"`
	ACRRequired  bool     `json:"acr_required,omitempty"`
	HostedDomain string   `json:"hosted_domain,omitempty"`
	DomainHint   string   `json:"domain_hint,omitempty"`
	GroupsClaim  string   `json:"groups_claim,omitempty"`
	ResponseMode string   `json:"response_mode,omitempty"`
	EndWithToken bool     `json:"end_with_id_token,omitempty"`
}

// The words of the settings.
const (
	authAuto      = "auto" // what the provider does by itself
	promptLogin   = "login"
	modeQuery     = "query"
	modeFormPost  = "form_post"
	maxClaimsPath = 200
)

var oidcSettings = []Setting{
	{Key: "client_id", Protocol: protocolOIDC, Group: "Client", Label: "Client ID", Help: "What the provider calls this application.", Kind: KindText, Required: true,
		at: func(c *Connection) any { return &c.Config.ClientID }, check: func(c *Connection, _ time.Time) error { return checkClientID(c.Config.ClientID) }},
	{Key: "client_secret", Protocol: protocolOIDC, Group: "Client", Label: "Client secret", Help: "It is stored sealed and never shown.", Kind: KindSecret,
		at: func(c *Connection) any { return &c.secret }},
	{Key: "scopes", Protocol: protocolOIDC, Group: "Client", Label: "Scopes", Help: "What is asked for. openid is needed.", Kind: KindList, Required: true,
		at: func(c *Connection) any { return &c.Config.Scopes }, check: func(c *Connection, _ time.Time) error { return checkScopes(c.Config.Scopes) }},
	{Key: "client_auth", Protocol: protocolOIDC, Group: "Client", Label: "Client authentication", Help: "How this server proves itself when it trades a code for tokens. For private_key_jwt the provider reads this connection's key set.",
		Kind: KindChoice, Default: authAuto, Choices: []Word{{authAuto, "What the provider takes"}, {oidc.AuthBasic, "Secret in the header (client_secret_basic)"}, {oidc.AuthPost, "Secret in the body (client_secret_post)"},
			{oidc.AuthPrivateKey, "Signed with a key (private_key_jwt)"}}, at: func(c *Connection) any { return &c.Config.ClientAuth }},
	{Key: "prompt", Protocol: protocolOIDC, Group: "Request", Label: "What people are asked", Help: "With login the provider must ask for credentials each time, and the ID token must say so (auth_time).",
		Kind: KindChoice, Default: authAuto, Choices: []Word{{authAuto, "What the provider decides"}, {"select_account", "Which account (select_account)"}, {"consent", "Consent (consent)"}, {promptLogin, "Credentials, each time (login)"}},
		at: func(c *Connection) any { return &c.Config.Prompt }},
	{Key: "max_age_seconds", Protocol: protocolOIDC, Group: "Request", Label: "Longest time since the sign-in there, in seconds", Help: "When the person signed in at the provider earlier than that, it must ask again (max_age); the ID token must say when it was (auth_time).",
		Kind: KindNumber, Min: 1, Max: 30 * 86400, at: func(c *Connection) any { return &c.Config.MaxAge }},
	{Key: "acr_values", Protocol: protocolOIDC, Group: "Request", Label: "Ways of signing in that are asked for", Help: "The provider's own words for them (acr_values), such as phr or urn:okta:loa:2fa:any.",
		Kind: KindList, at: func(c *Connection) any { return &c.Config.ACRValues }, check: checkACR},
	{Key: "acr_required", Protocol: protocolOIDC, Group: "Request", Label: "Demand one of these ways", Help: "The ID token must name one of them (acr); else they are only a wish.",
		Kind: KindSwitch, at: func(c *Connection) any { return &c.Config.ACRRequired }, check: checkACR},
	{Key: "domain_hint", Protocol: protocolOIDC, Group: "Request", Label: "Domain hint", Help: "Entra: skips its account page for people of this domain (domain_hint).",
		Kind: KindText, at: func(c *Connection) any { return &c.Config.DomainHint }, check: checkDomainHint},
	{Key: "response_mode", Protocol: protocolOIDC, Group: "Request", Label: "How the answer comes", Help: "A form post keeps the code out of the browser's history and of logs of addresses.",
		Kind: KindChoice, Default: modeQuery, Choices: []Word{{modeQuery, "In the address (query)"}, {modeFormPost, "As a form post (form_post)"}}, at: func(c *Connection) any { return &c.Config.ResponseMode }},
	{Key: "id_token_algorithms", Protocol: protocolOIDC, Group: "Tokens", Label: "Algorithms of ID tokens", Help: "What the provider offered when the connection was made. A token that is signed in another way is refused.",
		Kind: KindList, at: func(c *Connection) any { return &c.Config.Algorithms }, check: checkAlgorithms},
	{Key: "end_with_id_token", Protocol: protocolOIDC, Group: "Tokens", Label: "Sessions end with the ID token (exp)",
		Help: "An ID token ends within the hour at most providers, which says how long it proves a sign-in and not how long somebody may work. Without this, a session ends as session_expiry and the organization's rules say.",
		Kind: KindSwitch, at: func(c *Connection) any { return &c.Config.EndWithToken }},
	{Key: "hosted_domain", Protocol: protocolOIDC, Group: "Tokens", Label: "Workspace domain", Help: "Google: the one Workspace whose people may sign in (hd). Empty: every domain that this organization has verified.",
		Kind: KindText, at: func(c *Connection) any { return &c.Config.HostedDomain }, check: checkHostedDomain},
	{Key: "groups_claim", Protocol: protocolOIDC, Group: "Tokens", Label: "Claim with the groups", Help: "Its name, or a path such as realm_access.roles. Empty: groups.",
		Kind: KindText, at: func(c *Connection) any { return &c.Config.GroupsClaim }, check: checkGroupsClaim},
}

func checkClientID(id string) error {
	if id == "" || fault.Line("client_id", id, 500) != nil {
		return fault.Invalid.On("client_id", "An OpenID Connect connection needs the client ID that the provider gave to this application.")
	}
	return nil
}

func checkScopes(scopes []string) error {
	for _, s := range scopes {
		if s == "" || strings.ContainsAny(s, " \"\\") || !cleanText(s) {
			return fault.Invalid.On("scopes", "%q is not a scope.", answer.Clip(s, 40))
		}
	}
	if !oneOf("openid", scopes...) {
		return fault.Invalid.On("scopes", "The scope openid is needed: without it the provider does not say who signs in.")
	}
	return nil
}

func checkACR(c *Connection, _ time.Time) error {
	for _, v := range c.Config.ACRValues {
		if strings.ContainsAny(v, " \"\\") || len(v) > 200 {
			return fault.Invalid.Say("%q is no acr value: it is one word without quotes.", answer.Clip(v, 40))
		}
	}
	return nil
}

// checkAlgorithms keeps what the connection takes within what is safe at all.
func checkAlgorithms(c *Connection, _ time.Time) error {
	for _, a := range c.Config.Algorithms {
		if _, err := oidc.PickAlgorithms([]string{a}); err != nil {
			return fault.Invalid.Say("An ID token cannot be signed with %q here. With HS256 the client secret would be the signing key, so whoever has it could sign in as anybody. Choose RS256 or another asymmetric algorithm.", answer.Clip(a, 40))
		}
	}
	return nil
}

func checkHostedDomain(c *Connection, _ time.Time) error {
	name, err := domainName(c.Config.HostedDomain)
	if c.Config.HostedDomain != "" && err != nil {
		return err
	}
	if err == nil {
		c.Config.HostedDomain = name
	}
	return nil
}

func checkDomainHint(c *Connection, _ time.Time) error {
	if len(c.Config.DomainHint) > 253 || strings.ContainsAny(c.Config.DomainHint, " \"&=") {
		return fault.Invalid.Say("The domain hint is a domain such as example.com.")
	}
	return nil
}

func checkGroupsClaim(c *Connection, _ time.Time) error {
	if len(c.Config.GroupsClaim) > maxClaimsPath {
		return fault.Invalid.Say("The name of a claim has at most 200 characters.")
	}
	return nil
}
