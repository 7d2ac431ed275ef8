package main

import (
	"context"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/sso/ssotest"
)

// atProvider goes on at the provider's page, which is only a form. ago is when the
// person says to have signed in there.
func (a *acme) atProvider(p *person, nameID, email string, ago time.Duration, from func()) {
	p.t.Helper()
	a.idp.Next(ssotest.Login{NameID: nameID, Attributes: map[string][]string{"email": {email}, "firstName": {"Ada"}, "lastName": {"Lovelace"}},
		Assertion: func(x *crewjam.Assertion) { x.AuthnStatements[0].AuthnInstant = time.Now().Add(-ago) }})
	from()
	p.leads(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.forms[0].submit(); true"))
		return err
	}))
}

// An admin makes single sign-on required in a real browser, is asked to sign in again
// on the way and loses nothing by it; then somebody needs the break-glass account.
func TestPolicyInTheBrowser(t *testing.T) {
	t.Parallel()
	a := newAcme(t)
	for _, name := range []string{"one@example.net", "two@example.net"} {
		a.invited(name, "admin")
	}
	a.invited("bob@example.com", "agent")
	a.must("user", "invite", "--org", "acme", "--email", "ada@example.com", "--given-name", "Ada", "--role", "admin")
	b := newBrowser(t)
	ada := b.visit("ada", 1280, 800)
	a.atProvider(ada, "ada-id", "ada@example.com", time.Hour, func() { ada.open(a.saml) })
	security := a.url + "/console/acme/security"
	ada.open(security)
	ada.sees("0 of 2 break-glass accounts can be used", "No break-glass account")
	ada.usable("security")

	name := func(label string) {
		t.Helper()
		ada.open(security)
		ada.js(`{ const s = document.querySelector("select[name=user]"); s.value = [...s.options].find(o => o.text.includes("` + label + `")).value }`)
		ada.press(`form[action$="/breakglass"] button`)
	}
	name("one@example.net")
	ada.sees("Is it you?", "Continue with Okta")
	ada.usable("step-up")
	a.atProvider(ada, "ada-id", "ada@example.com", 0, func() { ada.press("main form button[type=submit]") })
	ada.sees("Nothing is lost")
	ada.usable("step-up-done")
	ada.press("main form button[type=submit]")
	ada.sees("Recovery codes of one", "shown this once")
	ada.usable("recovery-codes")
	name("two@example.net")
	ada.sees("Recovery codes of two")
	codes := a.must("breakglass", "codes", "--org", "acme", "one@example.net")["codes"].([]any)

	ada.open(security)
	ada.js(`document.querySelector("select[name=sso]").value = "off"; document.querySelector("select[name=password]").value = "no"`)
	ada.press(`form[action$="/security"] button`)
	ada.sees("nobody could sign in")
	ada.usable("security-refused")
	ada.open(security)
	ada.js(`document.querySelector("select[name=sso]").value = "required"`)
	ada.press(`form[action$="/security"] button`)
	ada.sees("Require single sign-on?", "signed in with a password")
	ada.usable("security-confirm")
	ada.press("main form button[type=submit]")
	ada.sees("Saved.", "Single sign-on is required")

	root := b.visit("root", 390, 844)
	login := func(address string) {
		t.Helper()
		root.open(a.url + "/o/acme/login?with=password")
		root.signIn(address, goodPassword)
	}
	login("bob@example.com")
	root.sees("Sign in another way", "Continue with Okta")
	root.usable("another-way")
	login("one@example.net")
	root.usable("recovery-code")
	root.fill("input[name=code]", "AAAA-BBBB-CCCC-DDDD")
	root.press("main form button[type=submit]")
	root.usable("recovery-code-refused")
	root.fill("input[name=code]", codes[0].(string))
	root.press("main form button[type=submit]")
	root.open(security)
	root.sees("was used to sign in", "This was you")
	root.usable("security-alarm-own")
	ada.open(security)
	ada.sees("was used to sign in", "Break-glass sign-ins to look at")
	ada.usable("security-alarm")
	ada.press(`form[action$="/acknowledge"] button`)
	ada.sees("Acknowledged.")
	ada.press(`form[action$="/relax"] button`)
	ada.sees("not required any more")
	ada.quiet()
	root.quiet()
}
