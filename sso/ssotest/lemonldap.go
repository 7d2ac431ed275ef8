package ssotest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed lemonldap
var lemonLDAPFiles embed.FS

// LemonLDAPClient is what is registered there.
type LemonLDAPClient struct {
	Redirect     string
	SignedOut    string
	FrontChannel string
}

// StartLemonLDAP runs LemonLDAP::NG (Debian: liblemonldap-ng-portal-perl) as an
// OpenID provider until the test ends. Its demonstration people are dwho, rtyler and
// msmith, their names being their passwords; their addresses are at badwolf.org.
// Userinfo comes signed, and the sign-out page loads the client's front-channel URL.
func StartLemonLDAP(tb testing.TB, register func(p OIDCProvider) LemonLDAPClient) {
	tb.Helper()
	folder := tb.TempDir()
	if err := os.CopyFS(folder, lemonLDAPFiles); err != nil {
		tb.Fatal(err)
	}
	folder = filepath.Join(folder, "lemonldap")
	for _, sub := range []string{"conf", "sessions", "lock", "persistent", "persistent-lock", "cache"} {
		if err := os.Mkdir(filepath.Join(folder, sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	startPeer(tb, func(port int) *exec.Cmd {
		// By name: it sets its cookie for a domain, which clients refuse of an address.
		p := OIDCProvider{URL: fmt.Sprintf("http://localhost:%d", port), ClientID: "muster", ClientSecret: "secret: 100% +/&=" + randomHex(8)}
		conf, err := json.Marshal(lemonLDAPConf(tb, folder, p, register(p)))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "conf", "lmConf-1.json"), conf, 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "lemonldap-ng.ini"), fmt.Appendf(nil, lemonLDAPIni, folder, folder), 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
		cmd := exec.Command("perl", "server.pl")
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "PERL5LIB="+folder, "LLNG_DEFAULTCONFFILE="+filepath.Join(folder, "lemonldap-ng.ini"), fmt.Sprint("PORT=", port))
		return cmd
	})
}

const lemonLDAPIni = `[all]
logLevel = warn
logger = Lemonldap::NG::Common::Logger::Std

[configuration]
type = File
dirName = %s/conf
localStorage = Cache::FileCache
localStorageOptions = { 'namespace' => 'conf', 'default_expires_in' => 600, 'directory_umask' => '077', 'cache_root' => '%s/cache', 'cache_depth' => 1 }

[portal]
portalSkin = bootstrap
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
`

func lemonLDAPConf(tb testing.TB, folder string, p OIDCProvider, c LemonLDAPClient) map[string]any {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	in := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	files := func(data, lock string) map[string]any {
		return map[string]any{"Directory": filepath.Join(folder, data), "LockDirectory": filepath.Join(folder, lock),
			"generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256"}
	}
	return map[string]any{
		"cfgNum": 1, "cfgAuthor": "test", "cfgDate": 1, "cfgVersion": "2.16.1",
		"domain": "localhost", "portal": p.URL + "/", "cookieName": "lemonldap", "securedCookie": 0, "httpOnly": 1, "timeout": 3600, "key": randomHex(16),
		"authentication": "Demo", "userDB": "Same", "passwordDB": "Null", "registerDB": "Null", "captcha": "NoCaptcha", "requireToken": 0,
		"demoExportedVars": map[string]any{"cn": "cn", "mail": "mail", "uid": "uid"},
		"locationRules":    map[string]any{"localhost": map[string]any{"default": "accept"}}, "exportedHeaders": map[string]any{}, "macros": map[string]any{}, "groups": map[string]any{},
		"globalStorage": "Apache::Session::File", "globalStorageOptions": files("sessions", "lock"),
		"persistentStorage": "Apache::Session::File", "persistentStorageOptions": files("persistent", "persistent-lock"),
		"localSessionStorage": "Cache::FileCache", "localSessionStorageOptions": map[string]any{"namespace": "sessions", "default_expires_in": 600, "directory_umask": "077",
			"cache_root": filepath.Join(folder, "cache"), "cache_depth": 3},
		"issuerDBOpenIDConnectActivation": 1, "issuerDBOpenIDConnectPath": "^/oauth2/", "issuerDBOpenIDConnectRule": 1,
		"oidcServiceMetaDataIssuer": p.URL, "oidcServiceMetaDataAuthorizeURI": "authorize", "oidcServiceMetaDataTokenURI": "token", "oidcServiceMetaDataUserInfoURI": "userinfo",
		"oidcServiceMetaDataJWKSURI": "jwks", "oidcServiceMetaDataEndSessionURI": "logout", "oidcServiceMetaDataCheckSessionURI": "checksession.html",
		"oidcServiceMetaDataRegistrationURI": "register", "oidcServiceMetaDataIntrospectionURI": "introspect", "oidcServiceMetaDataFrontChannelURI": "flogout", "oidcServiceMetaDataBackChannelURI": "blogout",
		"oidcServiceMetaDataAuthnContext": map[string]any{"loa-1": 1, "loa-2": 2}, "oidcServiceAllowAuthorizationCodeFlow": 1, "oidcServiceKeyIdSig": "lemon-1",
		"oidcServicePrivateKeySig": in("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), "oidcServicePublicKeySig": in("PUBLIC KEY", public),
		"oidcRPMetaDataExportedVars": map[string]any{"muster": map[string]any{"email": "mail", "name": "cn", "preferred_username": "uid"}},
		"oidcRPMetaDataOptions": map[string]any{"muster": map[string]any{
			"oidcRPMetaDataOptionsClientID": p.ClientID, "oidcRPMetaDataOptionsClientSecret": p.ClientSecret, "oidcRPMetaDataOptionsUserIDAttr": "uid",
			"oidcRPMetaDataOptionsRedirectUris": c.Redirect, "oidcRPMetaDataOptionsPostLogoutRedirectUris": c.SignedOut, "oidcRPMetaDataOptionsBypassConsent": 1, "oidcRPMetaDataOptionsLogoutBypassConfirm": 1,
			"oidcRPMetaDataOptionsIDTokenSignAlg": "RS256", "oidcRPMetaDataOptionsUserInfoSignAlg": "RS256", "oidcRPMetaDataOptionsRequirePKCE": 1,
			"oidcRPMetaDataOptionsLogoutType": "front", "oidcRPMetaDataOptionsLogoutUrl": c.FrontChannel, "oidcRPMetaDataOptionsLogoutSessionRequired": 1,
		}},
	}
}
