package ssotest

import (
	"embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
)

//go:embed oidcprovider/package.json oidcprovider/package-lock.json oidcprovider/server.mjs
var oidcProviderFiles embed.FS

// OIDCProvider is panva's oidc-provider, certified and written by others, run with
// node on loopback. Its pages ask for a name and for consent.
type OIDCProvider struct {
	URL          string // the issuer
	ClientID     string
	ClientSecret string
}

// OIDCClient is what is registered at a provider.
type OIDCClient struct {
	Redirect    string
	SignedOut   string // post-logout redirect URI
	BackChannel string // back-channel logout URI
	Keys        string // jwks_uri: the client signs for itself, and userinfo comes signed
}

// StartOIDCProvider runs the provider until the test ends. people are the claims
// by the name that somebody signs in with, which is also their sub. register is
// told the issuer and the client, and gives what to register. It fails the test when
// node or npm is missing.
func StartOIDCProvider(tb testing.TB, people map[string]map[string]any, register func(p OIDCProvider) OIDCClient) {
	tb.Helper()
	folder := nodeFolder(tb, oidcProviderFiles, "oidcprovider")
	startPeer(tb, func(port int) *exec.Cmd {
		p := OIDCProvider{URL: fmt.Sprintf("http://127.0.0.1:%d", port), ClientID: "muster", ClientSecret: randomHex(24)}
		c := register(p)
		client := map[string]any{"client_id": p.ClientID, "client_secret": p.ClientSecret, "redirect_uris": []string{c.Redirect}}
		if c.SignedOut != "" {
			client["post_logout_redirect_uris"] = []string{c.SignedOut}
		}
		if c.BackChannel != "" {
			client["backchannel_logout_uri"], client["backchannel_logout_session_required"] = c.BackChannel, true
		}
		if c.Keys != "" {
			delete(client, "client_secret")
			client["jwks_uri"], client["token_endpoint_auth_method"], client["userinfo_signed_response_alg"] = c.Keys, "private_key_jwt", "RS256"
		}
		settings, _ := json.Marshal(map[string]any{"issuer": p.URL, "port": port, "people": people, "clients": []any{client}})
		return node(folder, settings)
	})
}
