package sso

import (
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// OIDCConfig is what only an OpenID Connect connection has.
type OIDCConfig struct {
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
}

var oidcSettings = []Setting{
	{Key: "client_id", Protocol: protocolOIDC, Group: "Client", Label: "Client ID", Help: "What the provider calls this application.", Kind: KindText, Required: true,
		at: func(c *Connection) any { return &c.Config.ClientID }, check: func(c *Connection, _ time.Time) *fault.Error { return checkClientID(c.Config.ClientID) }},
	{Key: "client_secret", Protocol: protocolOIDC, Group: "Client", Label: "Client secret", Help: "It is stored sealed and never shown.", Kind: KindSecret,
		at: func(c *Connection) any { return &c.secret }},
	{Key: "scopes", Protocol: protocolOIDC, Group: "Client", Label: "Scopes", Help: "What is asked for. openid is needed.", Kind: KindList, Required: true,
		at: func(c *Connection) any { return &c.Config.Scopes }, check: func(c *Connection, _ time.Time) *fault.Error { return checkScopes(c.Config.Scopes) }},
}

func checkClientID(id string) *fault.Error {
	if id == "" || len(id) > 500 || !cleanText(id) {
		return &fault.Error{Kind: fault.Invalid, Field: "client_id", Public: "An OpenID Connect connection needs the client ID that the provider gave to this application."}
	}
	return nil
}

func checkScopes(scopes []string) *fault.Error {
	for _, s := range scopes {
		if s == "" || strings.ContainsAny(s, " \"\\") || !cleanText(s) {
			return &fault.Error{Kind: fault.Invalid, Field: "scopes", Public: "\"" + answer.Clip(s, 40) + "\" is not a scope."}
		}
	}
	if !oneOf("openid", scopes...) {
		return &fault.Error{Kind: fault.Invalid, Field: "scopes", Public: "The scope openid is needed: without it the provider does not say who signs in."}
	}
	return nil
}
