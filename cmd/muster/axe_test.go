package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axeSource is axe-core, as the lock file in testdata/axe says.
var axeSource = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("testdata/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		return "", fmt.Errorf("axe-core is missing; run: make provide (%w)", err)
	}
	return string(text), nil
})

// runAxe gives what breaks WCAG 2.0, 2.1 and 2.2, levels A and AA. runAxeOnColours is the
// part of it that the colour scheme decides.
const (
	runAxe          = `axe.run(document, {runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},` + tellAxe
	runAxeOnColours = `axe.run(document, {runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]},` + tellAxe
)

const tellAxe = `
	resultTypes: ["violations"], iframes: false, // a letter's frame runs no scripts; it is looked at alone
}).then(r => JSON.stringify(r.violations.map(v => ({
	rule: v.id, help: v.help,
	places: v.nodes.map(n => n.target.join(" ") + ": " + n.any.concat(n.all, n.none).map(c => c.message).join("; ")),
}))))`

type violation struct {
	Rule, Help string
	Places     []string
}

// looks is every way in which people see a page.
var looks = []struct {
	name          string
	width, height int64
	scheme, rules string
}{
	{"desk-light", 1280, 800, "light", runAxe}, {"desk-dark", 1280, 800, "dark", runAxeOnColours},
	{"telephone-light", 390, 844, "light", runAxe}, {"telephone-dark", 390, 844, "dark", runAxeOnColours},
}

// usable fails the test for whatever in the page that is open shuts people out, in
// every look. The script comes in through the debugger: the page's own policy
// allows none.
func (p *person) usable(page string) {
	p.t.Helper()
	source, err := axeSource()
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Minute)
	defer cancel()
	if err := p.hold(ctx); err != nil {
		p.t.Fatalf("%s: hold the page: %v", page, err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](source+"; true")); err != nil {
		p.t.Fatalf("%s: load axe: %v", page, err)
	}
	for _, look := range looks {
		p.do(chromedp.EmulateViewport(look.width, look.height), scheme(look.scheme))
		found, err := chromedp.Run(ctx, chromedp.Evaluate[string](look.rules, chromedp.EvalAwaitPromise))
		if err != nil {
			p.t.Fatalf("%s, %s: run axe: %v", page, look.name, err)
		}
		var list []violation
		if err := json.Unmarshal([]byte(found), &list); err != nil {
			p.t.Fatal(err)
		}
		for _, v := range list {
			p.t.Errorf("%s (%s), %s: %s (%s)\n  %s", page, p.where(), look.name, v.Rule, v.Help, strings.Join(v.Places, "\n  "))
		}
		p.fits()
		p.shot(page + "-" + look.name)
	}
}

// hold keeps the page that is open, also one that would load itself anew.
func (p *person) hold(ctx context.Context) error {
	const stop = `new Promise(held => {
		const hold = () => { window.stop(); held(true); };
		if (document.readyState === "complete") hold(); else addEventListener("load", hold);
	})`
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](stop, chromedp.EvalAwaitPromise))
	if err != nil && ctx.Err() == nil { // the page went while it was asked; the next has its whole pause
		_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](stop, chromedp.EvalAwaitPromise))
	}
	return err
}

// scheme makes the browser prefer light or dark, without transitions: halfway
// between two colours nobody can read.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	})
}

// The test can fail: axe sees a picture without words and grey on grey.
func TestAxeSeesFaults(t *testing.T) {
	t.Parallel()
	source, err := axeSource()
	if err != nil {
		t.Fatal(err)
	}
	p := newBrowser(t).visit("planted", 800, 600)
	p.open("data:text/html,<html lang=en><title>x</title><img src=x><p style='color:%23999;background:%23888'>words</p>")
	p.js(source)
	for rules, faults := range map[string][]string{runAxe: {"image-alt", "color-contrast"}, runAxeOnColours: {"color-contrast"}} {
		found, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](rules, chromedp.EvalAwaitPromise))
		for _, fault := range faults {
			if err != nil || !strings.Contains(found, `"`+fault+`"`) {
				t.Errorf("planted %s: %s, %v", fault, found, err)
			}
		}
	}
}

// Everybody can use every page that an invited person sees, from the set-up of a
// server to the link that no longer works.
func TestPeoplesPagesAreUsable(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve()
	b := newBrowser(t)
	admin := b.visit("setup", 1280, 800)
	admin.open(s.hello["setup_link"].(string))
	admin.usable("setup")
	admin.lax()
	admin.press("main form button[type=submit]")
	admin.usable("setup-refused")
	admin.open(s.hello["setup_link"].(string))
	admin.fill("input[name=organization]", "Acme Inc")
	admin.fill("input[name=given_name]", "Alex")
	admin.fill("input[name=email]", "alex@acme.example")
	admin.fill("input[name=password]", goodPassword)
	admin.press("main form button[type=submit]")
	admin.open(s.hello["setup_link"].(string))
	admin.usable("setup-used")
	admin.open(s.url + "/console/acme-inc/users")
	admin.usable("nobody-yet")
	admin.open(s.url + "/console/acme-inc/connections")
	admin.usable("connections-none")
	admin.open(s.url + "/console/acme-inc/invite")
	admin.fill("input[name=email]", "ivy@acme.example")
	admin.fill("input[name=given_name]", "Ivy")
	admin.press("main form button[type=submit]")
	admin.usable("invited")

	ivy := b.visit("ivy", 390, 844)
	ivy.open(s.url + "/dev/mailbox")
	ivy.usable("mailbox")
	ivy.press("main td a")
	ivy.usable("message")
	_, letter := s.do("GET", ivy.where()+"/html", "", "")
	ivy.open("data:text/html;charset=utf-8," + url.PathEscape(letter))
	ivy.usable("letter")
	ivy.open(s.url + "/dev/mailbox")
	ivy.press("main td a")
	ivy.press("main .links a")
	link := ivy.where()
	ivy.usable("join")
	ivy.lax()
	ivy.fill("input[name=password]", "short")
	ivy.press("main form button[type=submit]")
	ivy.usable("join-refused")
	ivy.fill("input[name=password]", goodPassword)
	ivy.press("main form button[type=submit]")
	ivy.usable("account")
	ivy.open(link)
	ivy.usable("invitation-closed")
	ivy.open(s.url + "/console")
	ivy.usable("denied")
	ivy.press(".who button")
	ivy.usable("login")
	signIn(ivy, s)

	ivy.open(s.url + "/password/forgot")
	ivy.usable("forgot")
	ivy.fill("input[name=email]", "ivy@acme.example")
	ivy.press("main form button[type=submit]")
	ivy.usable("forgot-sent")
	s.waitMail("Set a new password")
	ivy.open(s.url + "/dev/mailbox")
	ivy.press("main td a")
	ivy.press("main .links a")
	ivy.usable("reset")
	ivy.open(strings.TrimRight(ivy.where(), "abcdefghijklmnopqrstuvwxyz") + "x")
	ivy.usable("reset-gone")
	ivy.open(s.url + "/no/such/page")
	ivy.usable("not-found")
	admin.quiet()
	ivy.quiet()
}

// signIn goes through the sign-in's steps, with mistakes.
func signIn(ivy *person, s *server) {
	ivy.t.Helper()
	ivy.lax()
	ivy.press("main form button[type=submit]")
	ivy.usable("login-refused")
	ivy.fill("input[name=email]", "ivy@acme.example")
	ivy.press("main form button[type=submit]")
	ivy.usable("password")
	ivy.fill("input[name=password]", "not this one")
	ivy.press("main form button[type=submit]")
	ivy.usable("password-refused")
	ivy.open(s.url + "/login?with=password")
	ivy.usable("login-both")
	ivy.open(s.url + "/o/acme-inc/login")
	ivy.usable("organization-login")
}

// Everybody can use every page of the console.
func TestConsoleIsUsable(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve("--demo")
	p := newBrowser(t).visit("console", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/users")
	p.signIn(demoAdmin, s.demoPassword())
	console := s.url + "/console/acme"
	for name, query := range map[string]string{"from-directory": "ada", "invited": "edith", "expired": "emmy", "through-sso": "joan", "deactivated": "evelyn"} {
		p.open(console + "/users?q=" + query)
		p.press("main tbody th a")
		p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		p.usable("person-" + name)
	}
	edit := func(q string) {
		p.open(console + "/users?q=" + q)
		p.press("main tbody th a")
		p.open(p.where() + "/edit")
	}
	edit("ada")
	p.usable("edit-managed")
	edit("edith")
	p.usable("edit")
	p.open(console + "/teams")
	p.press("main tbody th a")
	p.usable("team-of-directory")
	p.open(console + "/teams")
	p.press("main tbody tr:nth-last-child(2) th a")
	p.usable("team")
	p.open(console + "/teams")
	p.press("main tbody tr:last-child th a")
	p.usable("team-of-teams")
	p.open(console + "/attributes")
	p.usable("attributes-none")
	p.lax()
	p.fill("input[name=name]", "cost center")
	p.press("main form button[type=submit]")
	p.usable("attributes-refused")
	p.fill("input[name=name]", "costCenter")
	p.fill("input[name=description]", "Where it is booked")
	p.press("main form button[type=submit]")
	p.usable("attribute")
	p.open(console + "/attributes")
	p.usable("attributes")
	edit("edith")
	p.usable("edit-with-own-attributes")
	p.open(console + "/directories")
	p.press("main tbody th a")
	p.usable("directory")
	p.press(`main .actions a[href$="/settings"]`)
	p.usable("directory-settings")
	p.open(console + "/directories")
	p.press("main tbody th a")
	p.press(`main .actions a[href$="/roles"]`)
	p.usable("directory-roles-none")
	p.js(`document.querySelector("select[name=role]").value = "viewer"; document.querySelector("select[name=attribute]").value = "entitlements"`)
	p.fill("input[name=value]", "license-pro")
	p.press("main section form button[type=submit]")
	p.sees("Saved.")
	p.usable("directory-roles")
	p.open(console + "/directories")
	p.press("main tbody th a")
	p.press(`main .actions a[href$="/clients"]`)
	p.usable("directory-clients-none")
	p.fill("input[name=name]", "Okta robot")
	p.press("main form button[type=submit]")
	p.sees("shown this once")
	p.usable("directory-clients-made")
	p.press("main section a.button")
	p.usable("directory-clients")
	p.open(console + "/connections")
	p.press("main table a")
	p.usable("connection")
	p.press(`main a[href$="/settings"]`)
	p.usable("connection-settings")
	p.fill("input[name=name]", "Renamed")
	p.fill("input[name=skew_seconds]", "9999")
	p.press("main form button[type=submit]")
	p.usable("connection-settings-refused")
	p.fill("input[name=skew_seconds]", "90")
	p.press("main form button[type=submit]")
	p.sees("Saved.")
	p.open(console + "/connections")
	p.press("main table a")
	p.press(`main a[href$="/upkeep"]`)
	p.usable("connection-upkeep")
	for _, page := range []string{"mapping", "rekey", "move"} {
		p.open(console + "/connections")
		p.press("main table a")
		p.press(`main a[href$="/` + page + `"]`)
		p.usable("connection-" + page)
	}
	p.open(console + "/requests")
	p.usable("requests")
	p.open(console + "/connections")
	p.press("main table a")
	p.leads(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`{ const f = document.createElement("form"); f.method = "post";
			f.action = "/sso/saml/" + location.pathname.split("/").pop() + "/acs"; document.body.append(f); f.submit(); true }`))
		return err
	}))
	p.usable("sign-in-refused")
	p.open(console + "/signins?result=refused")
	p.press("main tbody th a")
	p.usable("sign-in-explained")
	p.open(s.url + "/console/signins")
	p.usable("sign-in-find")
	p.open(console + "/connections")
	p.press("main table a")
	p.leads(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`location.href = "/sso/logout/" + location.pathname.split("/").pop(); true`))
		return err
	}))
	p.sees("You have a session here.")
	p.usable("signed-out")
	for name, path := range map[string]string{"users": "/users", "users-nobody": "/users?q=nobody-at-all", "users-no-such": "/users?status=odd", "invite": "/invite", "import": "/import", "export": "/export", "import-feeds": "/import-feeds", "import-feed-new": "/import-feeds/new",
		"teams": "/teams", "roles": "/roles", "role": "/roles/agent", "role-new": "/roles/new?copy=viewer", "defaults": "/settings/defaults", "settings": "/settings", "overview": "/overview", "seats": "/settings/seats", "deleted": "/deleted", "planned": "/planned", "records": "/records", "activity": "/activity", "reviews-none": "/reviews", "review-new": "/reviews/new", "checklists-none": "/checklists", "activity-nobody": "/activity?person=nobody", "directories": "/directories", "connections": "/connections", "domains": "/domains", "signins": "/signins", "signins-none": "/signins?person=nobody"} {
		p.open(console + path)
		p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		p.usable(name)
	}
	for name, path := range map[string]string{"organizations": "/console", "organizations-none": "/console/-/organizations?q=nothing", "organization": "/console/-/organizations/acme", "organization-new": "/console/-/organizations/new", "doctor": "/console/-/doctor", "server": "/console/-/server", "mail-queue": "/console/-/mail", "mail-given-up": "/console/-/mail?show=failed", "keys": "/console/-/keys", "operators": "/console/-/operators", "find-a-person": "/console/-/people?q=ada@acme.example", "what-operators-did": "/console/-/activity", "my-account": "/account", "my-reviews": "/account/reviews", "my-tasks": "/account/checklists"} {
		p.open(s.url + path)
		p.usable(name)
	}
	p.open(console + "/connections/new")
	p.press(`main button[value="google oidc"]`)
	p.press("main p.small a")
	p.press(`main a[href$="/client-keys"]`)
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	p.usable("connection-client-keys")
	p.press("form[action$='/client-keys'] button.second")
	p.sees("It signs from tomorrow on", "takes over by itself")
	p.usable("connection-client-keys-next")
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true); document.querySelector("input[name=now]").checked = true`)
	p.press("form[action$='/client-keys'] button.danger")
	p.sees("signs from now on", "Publish a new key")
	sheet := t.TempDir() + "/people.csv"
	text := "email,given_name,family_name,role\nnew@acme.example,Nova,New,agent\nada@acme.example,Ada,Changed,agent\nwrong,Wim,Wrong,king\n"
	if err := os.WriteFile(sheet, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.open(console + "/import")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{sheet}))
	p.press("main form button[type=submit]")
	p.usable("import-columns")
	p.press("main form[action$='/columns'] button[type=submit]")
	p.usable("import-preview")
	p.press("main form.card button[type=submit]")
	p.usable("import-done")
	p.quiet()
}

// lax lets forms go that the browser would hold back: the server's own words are
// looked at.
func (p *person) lax() {
	p.t.Helper()
	p.js(`document.querySelectorAll("form").forEach(f => f.noValidate = true)`)
}

// waitMail asks the mailbox until a message with this subject is there: a forgotten
// password is answered before its mail is written.
func (s *server) waitMail(subject string) {
	s.t.Helper()
	deadline := time.Now().Add(stepTime)
	for time.Now().Before(deadline) {
		if _, page := s.do("GET", "/dev/mailbox", "", ""); strings.Contains(page, subject) {
			return
		}
	}
	s.t.Fatalf("no mail %q", subject)
}
