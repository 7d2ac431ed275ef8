package oidc

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Request is what the provider is asked (OpenID Connect Core 1.0 §3.1.2.1).
type Request struct {
	State, Nonce string
	Verifier     string // of PKCE (RFC 7636), from NewVerifier; only its hash is sent

	LoginHint    string
	DomainHint   string         // Entra
	HostedDomain string         // Google's hd
	Prompt       string         // login, select_account, consent
	MaxAge       *time.Duration // since the person's last sign-in there; nil: not asked
	ACR          []string
	FormPost     bool // the answer comes as a post instead of in the URL
}

// NewVerifier makes a PKCE verifier of 256 random bits.
func NewVerifier() string { return oauth2.GenerateVerifier() }

// AuthURL is where the browser goes: always the code flow, always with PKCE S256,
// nonce and state.
func (i *Issuer) AuthURL(c Client, r Request) string {
	u, err := url.Parse(i.authorization)
	if err != nil {
		return i.authorization // was parsed when it was read
	}
	q := u.Query() // some providers have a query of their own
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	q.Set("response_type", "code")
	q.Set("client_id", c.ID)
	q.Set("redirect_uri", c.Redirect)
	q.Set("scope", strings.Join(c.Scopes, " "))
	q.Set("state", r.State)
	q.Set("nonce", r.Nonce)
	q.Set("code_challenge", oauth2.S256ChallengeFromVerifier(r.Verifier))
	q.Set("code_challenge_method", "S256")
	set("login_hint", r.LoginHint)
	set("domain_hint", r.DomainHint)
	set("hd", r.HostedDomain)
	set("prompt", r.Prompt)
	set("acr_values", strings.Join(r.ACR, " "))
	if r.MaxAge != nil {
		q.Set("max_age", strconv.Itoa(int(r.MaxAge.Seconds())))
	}
	if r.FormPost {
		q.Set("response_mode", "form_post")
	}
	u.RawQuery = q.Encode()
	return u.String()
}
