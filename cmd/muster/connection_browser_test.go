package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/sso/ssotest"
)

// appears waits for an element: a provider's pages go on by themselves.
func (p *person) appears(selector string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(chromedp.CSS(selector)))
	p.fits()
}

// follow clicks what leads through pages that go on by themselves.
func (p *person) follow(selector, until string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
	p.appears(until)
}

// get reads a page that anybody may read.
func get(t testing.TB, address string) []byte {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, resp.Status, err)
	}
	return text
}

// An admin connects a foreign provider in a real browser: guide, preview, a test that
// fails and says what to change, the repair there, a test that passes, activation. Then
// somebody signs in. The IT contact of another connection does the same by a link.
// In the end single sign-on is required, and a break-glass account is needed.
func TestAdminConnectsAProvider(t *testing.T) {
	t.Parallel()
	php := ssotest.StartSimpleSAMLphp(t, map[string]ssotest.PHPUser{"nova": phpUser("nova", "Nova", "Newcomer"),
		"bob": phpUser("bob", "Bob", "Builder"), "alex": phpUser("admin", "Alex", "Admin")})
	program := newProgram(t, "MUSTER_EGRESS_ALLOW=127.0.0.0/8")
	s := program.serve("--demo")
	password := s.demoPassword()
	b := newBrowser(t)
	admin := b.visit("admin", 1280, 800)
	admin.open(s.url + "/login?with=password&next=/console/acme/connections")
	admin.signIn(demoAdmin, password)

	admin.press(`main .actions a[href$="/connections/new"]`)
	admin.usable("vendors")
	admin.press(`button[value="custom saml"]`)
	admin.appears("input[data-copy] + button")
	admin.do(chromedp.Click(chromedp.CSS("input[data-copy] + button")))
	admin.appears("button.copied")
	admin.usable("setup")
	base := strings.TrimSuffix(admin.where(), "/setup")
	id := base[strings.LastIndex(base, "/")+1:]
	metadata := get(t, s.url+"/sso/saml/"+id+"/metadata")
	// What the guide says was not done there: nothing is signed.
	php.Trust(t, metadata, map[string]string{"saml20.sign.response": "false", "saml20.sign.assertion": "false"})

	admin.press(`main .actions a[href$="/provider"]`)
	admin.usable("provider")
	admin.lax()
	admin.fill("input[name=metadata_url]", "http://127.0.0.1:1/nothing")
	admin.press("main form button[type=submit]")
	admin.sees("cannot be reached")
	admin.usable("provider-refused")
	admin.fill("input[name=metadata_url]", php.MetadataURL)
	admin.press("main form button[type=submit]")
	admin.sees("Is this right?", "days left", "is not https")
	admin.usable("provider-preview")
	admin.press(`section form button[value=save]`)
	admin.sees("Now test it")
	admin.usable("tests-none")

	admin.press("main .card form button[type=submit]")
	admin.appears("input[name=username]")
	admin.fill("input[name=username]", "nova")
	admin.fill("input[name=password]", "novapw")
	admin.follow("#submit_button", "section.failed")
	admin.sees("Why it failed", "signed", "What to change:", "RSA-SHA256", "nothing is signed")
	admin.usable("test-failed")

	php.Trust(t, metadata, nil)
	admin.follow(`form[action$="/tests"] button`, "p.flash")
	admin.sees("Nova", "Newcomer", "nova@acme.example", "A new account", "Every check")
	admin.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	admin.usable("test-passed")
	admin.open(base + "/tests")
	admin.sees("passed", "failed")
	admin.usable("tests")
	admin.open(base)
	admin.usable("connection-ready")
	admin.press(`form[action$="/activate"] button`)
	admin.sees("People can sign in")
	admin.usable("connection-active")

	nova := b.visit("nova", 390, 844)
	nova.open(s.url + "/sso/saml/" + id + "/login")
	atPHP(nova, "nova", "Nova Newcomer")

	admin.open(s.url + "/console/acme/connections/links")
	admin.usable("links-none")
	admin.press(`main section form button[type=submit]`)
	admin.sees("shown this once")
	admin.usable("links")
	found, err := chromedp.Run(admin.ctx, chromedp.Evaluate[string](`document.getElementById("link").value`))
	if err != nil {
		t.Fatal(err)
	}
	contact(b.visit("contact", 390, 844), found, php)
	admin.open(s.url + "/console/acme/connections/links")
	admin.sees("finished")
	admin.open(s.url + "/console/acme/activity")
	admin.sees("IT contact via link")
	e := &enforcement{acme: acme{program: program, server: s, t: t}, b: b, php: php, admin: admin}
	e.walk(id)
	admin.quiet()
}

// phpUser is somebody with an address at acme.example and the password NAMEpw.
func phpUser(name, given, family string) ssotest.PHPUser {
	return ssotest.PHPUser{Password: strings.ToLower(given) + "pw", Attributes: map[string][]string{
		"uid": {name + "-0001"}, "mail": {name + "@acme.example"}, "givenName": {given}, "sn": {family}}}
}

// contact is somebody without an account, at a link.
func contact(p *person, link string, php *ssotest.SimpleSAMLphp) {
	p.t.Helper()
	p.open(link)
	p.sees("Whose identity provider is it?")
	p.usable("link")
	p.press(`button[value="custom saml"]`)
	p.press(`main .actions a[href$="/provider"]`)
	file := p.t.TempDir() + "/idp.xml"
	if err := os.WriteFile(file, get(p.t, php.MetadataURL), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
	p.press("main form button[type=submit]")
	p.sees("Is this right?")
	p.press(`section form button[value=save]`)
	p.open(link)
	p.sees("Test it", "Are you done?")
	p.usable("link-ready")
	p.press(`form[action$="/done"] button`)
	p.sees("have been told")
	p.usable("link-done")
	p.quiet()
}
