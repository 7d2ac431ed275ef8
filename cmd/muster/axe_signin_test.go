package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
)

// Everybody can use what a sign-in page becomes when there is more than one way in,
// or none but single sign-on.
func TestSignInWaysAreUsable(t *testing.T) {
	t.Parallel()
	a := newAcme(t)
	for _, name := range []string{"one@example.net", "two@example.net"} {
		a.invited(name, "admin")
		a.glassCodes(name)
	}
	a.must("user", "invite", "--org", "acme", "--email", "ada@example.com", "--given-name", "Ada", "--role", "admin")
	ada := newBrowser(t).visit("ways", 390, 844)
	ada.open(a.url + "/o/acme/login")
	ada.sees("Continue with Okta", "Continue with Google", "Sign in with a password")
	ada.usable("organization-ways")
	ada.open(a.url + "/login")
	ada.fill("input[name=email]", "ada@example.com")
	ada.press("main form button[type=submit]")
	ada.sees("Choose where your account is", "Continue with Okta", "Continue with Google")
	ada.usable("chooser")
	a.atProvider(ada, "ada-id", "ada@example.com", 0, func() { ada.press(`.ways a[href*="/saml/"]`) })
	ada.appears(".who .me")
	ada.press(".who button")
	ada.open(a.url + "/login")
	ada.sees("Last time as ada@example.com", "Continue with Okta", "Use another account")
	ada.usable("remembered")
	ada.open(a.url + "/o/acme/login")
	ada.sees("Last time as ada@example.com")
	ada.usable("organization-remembered")

	a.must("policy", "set", "--org", "acme", "--password", "no")
	ada.open(a.url + "/o/acme/login?other=1")
	ada.sees("Continue with Okta", "Continue with Google", "Emergency access")
	ada.usable("organization-no-password")
	ada.open(a.url + "/o/acme/login?with=password")
	ada.usable("organization-emergency")
	ada.quiet()
}

// Everybody can use the pages about a person's identities, and about metadata that
// changed in a way that somebody must look at.
func TestUpkeepIsUsable(t *testing.T) {
	t.Parallel()
	a := newAcme(t)
	a.invited("root@example.net", "admin")
	a.samlLogin(newVisitor(t), "ada-id", "ada@example.com")
	a.oidcLogin(newVisitor(t), "248289761001", "ada@example.com")
	root := newBrowser(t).visit("upkeep", 1280, 800)
	root.open(a.url + "/o/acme/login?with=password")
	root.signIn("root@example.net", goodPassword)
	identities := func(query string) {
		t.Helper()
		root.open(a.url + "/console/acme/users?q=" + query)
		root.press("main tbody th a")
		root.press(`main a[href$="/identities"]`)
	}
	identities("root")
	root.sees("has not signed in over an identity provider")
	root.usable("identities-none")
	identities("ada")
	root.sees("Okta", "Google", "ada-id", "248289761001")
	root.usable("identities")
	root.press(`main tbody button[value=unlink]`)
	root.sees("Unlinked.", "put aside")
	root.usable("identities-put-aside")
	root.lax()
	root.press("#link ~ form button[type=submit]")
	root.usable("identities-refused")

	honest, moved := ssotest.NewIDP(), ssotest.NewIDP()
	moved.Signer, moved.URL = ssotest.OtherSigner(), "https://signin.somebody-else.example/sso"
	var published atomic.Pointer[ssotest.IDP]
	published.Store(honest)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(published.Load().Metadata()) }))
	t.Cleanup(at.Close)
	c := a.must("connection", "create", "--org", "acme", "--protocol", "saml", "--name", "Entra", "--vendor", "entra", "--metadata", at.URL, "--accounts", "jit", "--activate")
	id, _ := c["id"].(string)
	page := a.url + "/console/acme/connections/" + id + "/upkeep"
	root.open(page)
	root.press(`form[action$="/keys"] button.second`)
	root.sees("New keys are published")
	published.Store(moved)
	root.press(`form[action$="/refresh"] button`)
	root.sees("A change of the metadata waits for you", "The entity ID is another one", "People would be sent to https://signin.somebody-else.example", "All signing certificates are new at once")
	root.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	root.usable("upkeep-waiting")
	root.press(`form[action$="/reject"] button`)
	root.sees("The change is turned down.")
	root.quiet()
}
