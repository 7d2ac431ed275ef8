package main

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/internal/porttest"
)

// localhost starts a server behind a name, for which browsers make passkeys.
func localhost(t *testing.T, env ...string) (*program, *server) {
	t.Helper()
	port := strconv.Itoa(porttest.Held(t))
	p := newProgram(t, append(env, "MUSTER_HTTP_ADDR=127.0.0.1:"+port, "MUSTER_PUBLIC_URL=http://localhost:"+port)...)
	s := p.serve()
	s.url = "http://localhost:" + port
	return p, s
}

// device gives the person a device with passkeys; it says yes to everything.
func (p *person) device() webauthn.AuthenticatorID {
	p.t.Helper()
	return p.plugIn(webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true})
}

// securityKey gives the person an old key, which has a button and no PIN.
func (p *person) securityKey() webauthn.AuthenticatorID {
	p.t.Helper()
	return p.plugIn(webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolU2f, Transport: webauthn.AuthenticatorTransportUsb, AutomaticPresenceSimulation: true})
}

func (p *person) plugIn(options webauthn.VirtualAuthenticatorOptions) webauthn.AuthenticatorID {
	p.t.Helper()
	id, err := chromedp.Run(p.ctx, chromedp.Action[webauthn.AuthenticatorID](func(ctx context.Context, t *chromedp.Target) (webauthn.AuthenticatorID, error) {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return "", err
		}
		made, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &options})
		if err != nil {
			return "", err
		}
		return made.AuthenticatorID, nil
	}))
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

// unplug takes a device away.
func (p *person) unplug(id webauthn.AuthenticatorID) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: id})
		return err
	}))
}

// verified says whether the device recognizes the person.
func (p *person) verified(id webauthn.AuthenticatorID, yes bool) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: yes})
		return err
	}))
}

func scripts(off bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		return err
	})
}

// One person plays it all in Chromium: a passkey made, used alone, beside the password,
// refused, and removed; an app, recovery codes; a second factor that is required.
func TestFactorsInTheBrowser(t *testing.T) {
	t.Parallel()
	p, s := localhost(t)
	b := newBrowser(t)
	ada := b.visit("ada", 390, 844)
	ada.open(strings.Replace(s.hello["setup_link"].(string), "127.0.0.1", "localhost", 1))
	ada.fill("input[name=organization]", "Acme Inc")
	ada.fill("input[name=given_name]", "Ada")
	ada.signIn("ada@acme.example", goodPassword)
	ada.open(s.url + "/account/passkeys")
	ada.sees("No passkey yet")
	ada.usable("passkeys-none")

	device := ada.device()
	ada.press(`form[action="/account/passkeys/new"] button`)
	ada.usable("passkey-new")
	ada.verified(device, false)
	ada.fill("input[name=name]", "Work laptop")
	ada.do(chromedp.Click(chromedp.CSS("form[data-passkey] button")))
	ada.waitText("Nothing was done")
	ada.usable("passkey-new-refused")
	ada.verified(device, true)
	ada.press("form[data-passkey] button")
	ada.sees("Your passkey is set up.", "shown this once", "Download", "Copy", "Print")
	ada.usable("recovery-codes-new")
	code := strings.Fields(ada.textOf("#codes"))[0]
	ada.press("main p > a.button")
	ada.sees("Work laptop", "on this one device only")
	ada.usable("passkeys")
	ada.press(`form[action="/account/passkeys/new"] button`)
	ada.do(chromedp.Click(chromedp.CSS("form[data-passkey] button")))
	ada.waitText("This device has a passkey for your account already.")

	// Alone: by the button, and by the offer beside the address field, which a device that
	// says yes to everything takes at once.
	ada.verified(device, false)
	ada.signOut(s)
	ada.usable("login-with-passkeys")
	ada.do(chromedp.Click(chromedp.CSS("form[data-passkey] button")))
	ada.waitText("Nothing was done")
	ada.verified(device, true)
	ada.press("form[data-passkey] button")
	ada.sees("Ada", "Overview")
	ada.open(s.url + "/api/v1/me")
	if text := ada.text(); !strings.Contains(text, `"method":"passkey"`) || !strings.Contains(text, `"amr":"hwk mfa"`) {
		t.Errorf("me: %s", text)
	}
	ada.signOut(s)
	ada.waitText("Overview")

	// Beside the password; without JavaScript by a code.
	ada.verified(device, false)
	ada.signOut(s)
	ada.password(s)
	ada.sees("One more step", "Use a passkey")
	ada.usable("second-step")
	ada.fill("input[name=code]", "AAAA-BBBB-CCCC-DDDD")
	ada.press(`form[action="/login/second"] button`)
	ada.sees("That code is not right", "Reference for your administrator")
	ada.usable("second-step-refused")
	ada.verified(device, true)
	ada.press("form[data-passkey] button")
	ada.sees("Overview")
	ada.verified(device, false)
	ada.signOut(s)
	ada.do(scripts(true))
	ada.password(s)
	ada.shot("second-step-without-scripts")
	ada.fill("input[name=code]", code)
	ada.press(`form[action="/login/second"] button`)
	ada.do(scripts(false))
	ada.open(s.url + "/account/recovery-codes")
	ada.sees("Codes left: 9")
	ada.usable("recovery-codes-left")

	// The app.
	ada.open(s.url + "/account/authenticator")
	ada.usable("authenticator-none")
	ada.press(`form[action="/account/authenticator/new"] button`)
	ada.usable("authenticator-new")
	seed := strings.ReplaceAll(ada.textOf("code.key"), " ", "")
	ada.fill("input[name=code]", "000000")
	ada.press(`main form[action="/account/authenticator"] button`)
	ada.sees("That is not the code that the app shows now")
	ada.usable("authenticator-refused")
	now, err := totp.GenerateCode(seed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ada.fill("input[name=code]", now)
	ada.press(`main form[action="/account/authenticator"] button`)
	ada.sees("Your authenticator app is set up.")
	ada.usable("authenticator")

	// The rule, and a colleague who has nothing yet.
	ada.open(s.url + "/console/acme-inc/security")
	ada.js(`document.querySelector("select[name=second_factor]").value = "all"`)
	p.must("user", "invite", "--org", "acme-inc", "--email", "bob@acme.example", "--given-name", "Bob", "--role", "agent")
	bob := b.visit("bob", 1280, 800)
	bob.open(s.url + "/dev/mailbox")
	bob.press(`main tbody tr:first-child td a`)
	bob.press("main .links a")
	bob.fill("input[name=password]", goodPassword)
	bob.press("main form button[type=submit]")
	ada.press(`form[action$="/security/second"] button`)
	ada.sees("Require a second factor?", "Bob")
	ada.usable("second-factor-confirm")
	ada.press("main form button[type=submit]")
	ada.sees("Saved.")
	ada.usable("security-second")
	bob.press(".who form button")
	bob.fill("input[name=email]", "bob@acme.example")
	bob.press(`form[action="/login"] button`)
	bob.fill("input[name=password]", goodPassword)
	bob.press(`form[action="/login"] button`)
	bob.sees("Add a second factor", "Authenticator app")
	bob.usable("enroll")
	his := bob.device()
	bob.press("form[data-passkey] button")
	bob.sees("Your passkey is set up.")
	bob.press("main p > a.button")
	bob.sees("Overview")

	// What an admin sees, and takes away.
	ada.open(s.url + "/console/acme-inc/users?q=bob")
	ada.press("main tbody th a")
	ada.sees("Second factors", "one passkey", "10 recovery codes")
	ada.press(`a[href$="/factors"]`)
	ada.usable("factors-of-a-person")
	ada.fill("input[name=why]", "Laptop lost")
	ada.press(`form[action$="/factors"] button`)
	ada.sees("told by mail")
	bob.verified(his, false) // else it answers the sign-in page's offer at once
	bob.open(s.url + "/account")
	bob.sees("Sign in")

	// Taken away, it opens nothing.
	ada.open(s.url + "/account/passkeys")
	ada.press(`form[action$="/remove"] button`)
	ada.sees("was removed")
	ada.verified(device, false)
	ada.signOut(s)
	ada.verified(device, true)
	ada.press("form[data-passkey] button")
	ada.sees("does not open an account here", "Reference for your administrator")
	ada.usable("login-passkey-refused")
	ada.quiet()
	bob.quiet()
}

func (p *person) signOut(s *server) {
	p.t.Helper()
	p.open(s.url + "/account")
	p.press(".who form button")
}

func (p *person) password(s *server) {
	p.t.Helper()
	p.open(s.url + "/login?with=password")
	p.fill("input[name=email]", "ada@acme.example")
	p.fill("input[name=password]", goodPassword)
	p.press(`form[action="/login"] button`)
}

func (p *person) textOf(selector string) string {
	p.t.Helper()
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.querySelector("`+selector+`").innerText`))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// waitText waits until the page says something by itself.
func (p *person) waitText(words string) {
	p.t.Helper()
	deadline := time.Now().Add(stepTime)
	for time.Now().Before(deadline) {
		if strings.Contains(p.text(), words) {
			return
		}
	}
	p.sees(words)
}
