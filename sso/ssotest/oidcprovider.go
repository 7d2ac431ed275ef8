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

// StartOIDCProvider runs the provider until the test ends. people are the claims
// by the name that somebody signs in with, which is also their sub. redirectFor is
// told the issuer and the client, and gives the redirect URL to register. It fails
// the test when node or npm is missing.
func StartOIDCProvider(tb testing.TB, people map[string]map[string]any, redirectFor func(p OIDCProvider) string) {
	tb.Helper()
	folder := nodeFolder(tb, oidcProviderFiles, "oidcprovider")
	startPeer(tb, func(port int) *exec.Cmd {
		p := OIDCProvider{URL: fmt.Sprintf("http://127.0.0.1:%d", port), ClientID: "muster", ClientSecret: randomHex(24)}
		settings, _ := json.Marshal(map[string]any{"issuer": p.URL, "port": port, "people": people, "clients": []map[string]any{{
			"client_id": p.ClientID, "client_secret": p.ClientSecret, "redirect_uris": []string{redirectFor(p)},
		}}})
		return node(folder, settings)
	})
}
