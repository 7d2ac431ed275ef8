package main

import (
	"net/url"
	"strings"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/sso/ssotest"
)

// enforcement is an organization whose connection works, and the admin who made it.
type enforcement struct {
	acme
	b     *browser
	php   *ssotest.SimpleSAMLphp
	admin *person
	code  string // a recovery code of the first break-glass account
}

// walk requires single sign-on over the connection. Then an employee, the admin and
// a break-glass account sign in, each the way that is left to them.
func (e *enforcement) walk(connection string) {
	e.t.Helper()
	e.setenv("MUSTER_PUBLIC_URL", e.url)
	e.must("domain", "add", "--org", "acme", "acme.example", "--verified", "--connection", connection)
	e.invited("one@example.net", "admin")
	e.invited("two@example.net", "admin")
	e.invited("bob@acme.example", "agent")
	e.require()
	e.employee()
	glass := e.breakGlass()
	e.acknowledge()
	glass.open(e.url + "/console/acme/users")
	if strings.Contains(glass.text(), "was used to sign in") {
		e.t.Errorf("an acknowledged sign-in still alarms:\n%s", glass.text())
	}
	glass.quiet()
}

// require names the break-glass accounts and switches single sign-on to required. Who is
// signed in with a password are the admin and bob.
func (e *enforcement) require() {
	e.t.Helper()
	security := e.url + "/console/acme/security"
	for _, name := range []string{"two", "one"} {
		e.admin.open(security)
		e.admin.js(`{ const s = document.querySelector("select[name=user]"); s.value = [...s.options].find(o => o.text.includes("` + name + `@example.net")).value }`)
		e.admin.press(`form[action$="/breakglass"] button`)
		e.admin.sees("Recovery codes of " + name)
	}
	var err error
	if e.code, err = chromedp.Run(e.admin.ctx, chromedp.Evaluate[string](`document.querySelector("ol.mono li").textContent`)); err != nil {
		e.t.Fatal(err)
	}
	e.admin.press("main section a.button")
	e.admin.js(`document.querySelector("select[name=sso]").value = "required"`)
	e.admin.press(`form[action$="/security"] button`)
	e.admin.sees("Require single sign-on?", "2 people are signed in with a password", "You are one of these people")
	e.admin.press("main form button[type=submit]")
	if at := e.admin.where(); !strings.HasPrefix(at, e.url+"/login") {
		e.t.Errorf("the admin, who had signed in with a password, is at %s:\n%s", at, e.admin.text())
	}
}

// byPassword tries a password at the organization's page.
func (e *enforcement) byPassword(p *person, address string) {
	e.t.Helper()
	p.open(e.url + "/o/acme/login?with=password")
	p.signIn(address, goodPassword)
}

// atPHP signs in with name and password at the provider, and is somebody here.
func atPHP(p *person, name, who string) {
	p.t.Helper()
	p.appears("input[name=username]")
	p.fill("input[name=username]", name)
	p.fill("input[name=password]", name+"pw")
	p.follow("#submit_button", ".who .me")
	p.sees(who)
}

// employee has a password that is not taken any more, and takes the way that is shown.
func (e *enforcement) employee() {
	e.t.Helper()
	bob := e.b.visit("bob", 390, 844)
	e.byPassword(bob, "bob@acme.example")
	bob.sees("Sign in another way", "Continue with")
	if strings.Contains(bob.text(), "Acme sign-in") {
		e.t.Error("bob is shown a connection that does not speak for his mail domain")
	}
	bob.press(".ways a")
	atPHP(bob, "bob", "Bob Builder")
	bob.quiet()
}

// breakGlass gets in where the provider is not needed, in a browser that knows nobody.
func (e *enforcement) breakGlass() *person {
	e.t.Helper()
	glass := e.b.visit("glass", 390, 844)
	e.byPassword(glass, "one@example.net")
	glass.sees("Recovery code")
	glass.fill("input[name=code]", e.code)
	glass.press("main form button[type=submit]")
	glass.open(e.url + "/console/acme/security")
	glass.sees("was used to sign in", "This was you")
	return glass
}

// acknowledge has the admin come back over the connection, as themself at the
// provider, and answer the alarm.
func (e *enforcement) acknowledge() {
	e.t.Helper()
	e.admin.open(e.php.URL + "module.php/core/authenticate.php?as=people&logout")
	e.admin.open(e.url + "/login?other=1&next=" + url.QueryEscape("/console/acme/users"))
	e.admin.fill("input[name=email]", demoAdmin)
	e.admin.do(chromedp.Click(chromedp.CSS("main form button[type=submit]")))
	atPHP(e.admin, "alex", "Alex Admin")
	e.admin.sees("was used to sign in")
	e.admin.press(".banner.alarm a")
	e.admin.sees("Break-glass sign-ins to look at")
	e.admin.press(`form[action$="/acknowledge"] button`)
	e.admin.sees("Acknowledged.")
}
