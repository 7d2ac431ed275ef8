package main

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// The invitation door as people see it, in a real browser: set-up link, console,
// mailbox, password, signed in, deactivated, refused. The admin sits at a desk,
// the invited person has a telephone; no page may complain in the console of the
// browser or be wider than its window.
func TestInvitedSignedInAndOut(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve()
	b := newBrowser(t)
	setup, _ := s.hello["setup_link"].(string)
	if setup == "" {
		t.Fatalf("no set-up link in %v", s.hello)
	}

	admin := b.visit("admin", 1280, 800)
	admin.open(setup)
	admin.shot("setup")
	admin.fill("input[name=organization]", "Acme Inc")
	admin.fill("input[name=slug]", "acme")
	admin.fill("input[name=given_name]", "Alex")
	admin.fill("input[name=family_name]", "Admin")
	admin.fill("input[name=email]", "alex@acme.example")
	admin.fill("input[name=password]", "short")
	admin.js(`document.querySelectorAll("form").forEach(f => f.noValidate = true)`)
	if status := admin.press("main form button[type=submit]"); status != 400 {
		t.Errorf("a weak password: %d, want 400", status)
	}
	admin.sees("12 characters")
	admin.fill("input[name=password]", goodPassword)
	admin.press("main form button[type=submit]")
	console := s.url + "/console/acme"
	admin.open(console + "/users")
	admin.shot("users")
	admin.sees("Manage users", "Alex Admin")

	admin.open(console + "/invite")
	admin.fill("input[name=email]", "ivy@acme.example")
	admin.fill("input[name=given_name]", "Ivy")
	admin.fill("input[name=family_name]", "Invited")
	admin.shot("invite")
	admin.press("main form button[type=submit]")
	admin.sees("ivy@acme.example")
	admin.open(console + "/users?status=invited")
	admin.sees("Ivy Invited", "Invited")

	ivy := b.visit("ivy", 390, 844)
	ivy.open(s.url + "/dev/mailbox")
	ivy.shot("mailbox")
	ivy.press("main td a")
	ivy.shot("mail")
	ivy.press("main .links a")
	if !strings.Contains(ivy.where(), "/invite/") {
		t.Fatalf("the mail leads to %s", ivy.where())
	}
	link := ivy.where()
	ivy.sees("Join Acme Inc")
	ivy.shot("join")
	ivy.fill("input[name=password]", goodPassword)
	ivy.press("main form button[type=submit]")
	if at, _ := url.Parse(ivy.where()); at == nil || at.Path != "/account" {
		t.Fatalf("after setting the password at %s", ivy.where())
	}
	ivy.sees("Ivy Invited")
	ivy.shot("account")
	if status := ivy.open(console + "/users"); status != 403 {
		t.Errorf("an agent opens the list of people: %d, want 403", status)
	}
	if status := ivy.open(link); status < 400 {
		t.Errorf("the used link answers %d", status)
	}
	ivy.open(s.url + "/account")
	ivy.sees("Ivy Invited")

	// The list, the person, out.
	admin.open(console + "/users?q=ivy")
	admin.sees("Ivy Invited", "Active")
	admin.press("main tbody th a")
	admin.shot("person")
	admin.press("a[href$='/deactivate']")
	admin.fill("input[name=successor]", "nobody-at-all")
	admin.press("form[action$='/deactivate'] button[value=find]")
	admin.sees("Nobody active was found")
	admin.fill("input[name=successor]", "")
	admin.press("form[action$='/deactivate'] button.danger")
	admin.sees("Deactivated")
	ivy.open(s.url + "/account")
	if at, _ := url.Parse(ivy.where()); at == nil || at.Path != "/login" {
		t.Fatalf("deactivated, and the next request ends at %s", ivy.where())
	}
	ivy.open(s.url + "/login?with=password")
	ivy.shot("login")
	ivy.fill("input[name=email]", "ivy@acme.example")
	ivy.fill("input[name=password]", goodPassword)
	if status := ivy.press("main form button[type=submit]"); status < 400 {
		t.Errorf("deactivated, and signing in answers %d at %s", status, ivy.where())
	}
	admin.open(console + "/activity")
	admin.shot("activity")
	admin.sees("Ivy Invited")
	admin.quiet()
	ivy.quiet()
	for what, secret := range map[string]string{"set-up link": path.Base(setup), "invitation link": path.Base(link), "password": goodPassword} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the %s is in the log:\n%s", what, s.log)
		}
	}
}

// Every page of the demo fits a desk and a telephone.
func TestPagesFit(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve("--demo")
	b := newBrowser(t)
	for name, width := range map[string]int64{"desk": 1280, "telephone": 390} {
		p := b.visit(name, width, 900)
		p.open(s.url + "/login?with=password&next=/console/acme/users")
		p.signIn(demoAdmin, s.demoPassword())
		p.sees("Manage users", "Ada Lovelace")
		p.press("main tbody th a")
		p.shot("person")
		edit := strings.TrimSuffix(p.where(), "/") + "/edit"
		for _, page := range []string{"/account", "/console", "/console/acme/users", "/console/acme/users?status=invited", "/console/acme/users?q=nobody-at-all",
			"/console/acme/invite", "/console/acme/import", "/console/acme/teams", "/console/acme/activity", "/console/acme/directories",
			"/console/acme/connections", "/dev/mailbox", "/password/forgot"} {
			if status := p.open(s.url + page); status != 200 {
				t.Errorf("%s: %d, want 200", page, status)
			}
			p.shot(strings.NewReplacer("/", "_", "?", "_", "=", "_").Replace(strings.TrimPrefix(page, "/")))
		}
		if status := p.open(edit); status != 200 {
			t.Errorf("%s: %d, want 200", edit, status)
		}
		p.quiet()
	}
}
