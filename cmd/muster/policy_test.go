package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// invited accepts an invitation with a password and gives the browser.
func (a *acme) invited(email, role string) *visitor {
	a.t.Helper()
	made := a.must("user", "invite", "--org", "acme", "--email", email, "--given-name", strings.Split(email, "@")[0], "--role", role)
	link, _ := made["link"].(string)
	v := newVisitor(a.t).open(link)
	return v.submit("/invite/", "password", goodPassword)
}

// forgot asks for a new password, waits for the mail with that subject and gives the
// link in it.
func (a *acme) forgot(email, subject string) string {
	a.t.Helper()
	newVisitor(a.t).open(a.url+"/password/forgot").submit("/password/forgot", "email", email)
	a.waitMail(subject)
	v := newVisitor(a.t).open(a.url + "/dev/mailbox")
	newest := regexp.MustCompile(`href="(/dev/mailbox/[^"]+)"`).FindStringSubmatch(v.page)
	if newest == nil {
		a.t.Fatalf("the mailbox is empty:\n%s", v.page)
	}
	v.open(a.url + newest[1])
	if link := regexp.MustCompile(`/password/reset/[0-9A-Za-z._~-]+`).FindString(v.page); link != "" {
		return a.url + link
	}
	return ""
}

// withPassword tries address and password on the organization's own page.
func (a *acme) withPassword(email string) *visitor {
	a.t.Helper()
	v := newVisitor(a.t).open(a.url + "/o/acme/login?with=password")
	return v.submit("/o/acme/login", "email", email, "password", goodPassword)
}

// glassCodes names a break-glass account and gives its codes.
func (a *acme) glassCodes(email string) (codes []string) {
	a.t.Helper()
	made := a.must("breakglass", "add", "--org", "acme", email)
	list, _ := made["codes"].([]any)
	for _, c := range list {
		text, _ := c.(string)
		codes = append(codes, text)
	}
	if len(codes) != 10 {
		a.t.Fatalf("breakglass add: %v", made)
	}
	return codes
}

// Single sign-on becomes required: what an admin needs for it, what each door says
// afterwards, and the way in when it fails.
func TestSingleSignOnIsRequired(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "policy", func(t *testing.T, env ...string) {
		a := newAcme(t, env...)
		bob := a.invited("bob@example.com", "agent")
		for _, name := range []string{"one@example.net", "two@example.net"} {
			a.expectMe(a.invited(name, "admin"), map[string]string{"method": "invite"})
		}
		a.must("user", "invite", "--org", "acme", "--email", "ada@example.com", "--given-name", "Ada", "--role", "admin")

		r := a.run("policy", "set", "--org", "acme", "--sso", "required")
		if r.code != 1 || !strings.Contains(r.stderr, "test sign-in") || !strings.Contains(r.stderr, "0 of 2 break-glass") {
			t.Errorf("required at once: %d, %s", r.code, r.stderr)
		}
		ada := a.samlLogin(newVisitor(t), "ada-id", "ada@example.com") // an admin's sign-in proves the connection
		codes := a.glassCodes("one@example.net")
		a.glassCodes("two@example.net")
		reset := a.forgot("bob@example.com", "Set a new password")
		if v := newVisitor(t).open(reset); v.status != http.StatusOK {
			t.Errorf("the link for a new password: %d", v.status)
		}
		waiting := a.must("user", "invite", "--org", "acme", "--email", "eve@example.com", "--given-name", "Eve", "--role", "viewer")

		ada.open(a.url+"/console/acme/security").submit("/console/acme/security", "sso", "required", "password", "yes")
		if !strings.Contains(ada.page, "One person is signed in with a password") {
			t.Errorf("the preview says %d:\n%s", ada.status, ada.page)
		}
		a.expectMe(bob, map[string]string{"user_name": "bob@example.com"})
		ada.open(a.url+"/console/acme/security").submit("/console/acme/security", "sso", "required", "password", "yes")
		ada.submit("/console/acme/security")
		if shown := a.must("policy", "show", "--org", "acme"); shown["sso"] != "required" || shown["enforced"] != true {
			t.Errorf("policy show: %v", shown)
		}
		a.expectMe(bob, nil)
		a.expectMe(ada, map[string]string{"method": "saml"})

		key, _ := a.must("key", "create", "--org", "acme", "--role", "admin")["key"].(string)
		for body, want := range map[string]string{`{"preview": true, "password": false}`: `"changed":false`, `{"idle": "2h"}`: `"changed":true`, `{"sso": "odd"}`: `"field":"sso"`, `{"ssso": "off"}`: `"status":400`} {
			if status, got := a.do("PATCH", "/api/v1/policy", key, body); !strings.Contains(got, want) {
				t.Errorf("PATCH %s: %d %s", body, status, got)
			}
		}
		if status, got := a.do("GET", "/api/v1/policy", key, ""); status != http.StatusOK || !strings.Contains(got, `"idle":"2h0m0s"`) || !strings.Contains(got, `"codes_left":10`) {
			t.Errorf("GET: %d %s", status, got)
		}
		if r := a.run("doctor", "--json"); !strings.Contains(r.stdout, "there is a connection, and a way in") {
			t.Errorf("doctor: %s", r.stdout)
		}
		if v := newVisitor(t).open(reset); v.status != http.StatusGone {
			t.Errorf("a link for a new password from before: %d", v.status)
		}
		if link := a.forgot("bob@example.com", "Your account at Acme"); link != "" {
			t.Errorf("a link for a new password was mailed: %s", link)
		}
		a.doorsWhenRequired(waiting["link"].(string))
		a.glassDoor("one@example.net", codes, ada)

		a.must("connection", "disable", "--connection", strings.Split(a.saml, "/")[5])
		last := strings.Split(a.oidc, "/")[5]
		if r := a.run("connection", "disable", "--connection", last); r.code != 1 || !strings.Contains(r.stderr, "is the last open connection") {
			t.Errorf("closing the last connection: %d %s", r.code, r.stderr)
		}
		if status, got := a.do("POST", "/api/v1/connections/"+last+"/disable", key, `{}`); status != http.StatusConflict || !strings.Contains(got, `"anyway"`) {
			t.Errorf("the same in the REST API: %d %s", status, got)
		}
		a.must("connection", "disable", "--anyway", "--connection", last)
		a.must("breakglass", "remove", "--org", "acme", "two@example.net")
		if r := a.run("doctor", "--json"); !strings.Contains(r.stdout, "no connection is active") || !strings.Contains(r.stdout, "1 of 2 break-glass") {
			t.Errorf("doctor: %s", r.stdout)
		}
		if r := a.run("breakglass", "remove", "--org", "acme", "one@example.net"); r.code != 1 || !strings.Contains(r.stderr, "last break-glass account") {
			t.Errorf("the last one: %d %s", r.code, r.stderr)
		}
		relaxed := a.must("policy", "set", "--org", "acme", "--sso", "optional") // ada's session went with the connection
		if rules, _ := relaxed["policy"].(map[string]any); rules["enforced"] != false {
			t.Errorf("policy set: %v", relaxed)
		}
		if v := a.withPassword("bob@example.com"); v.at.Path != "/account" {
			t.Errorf("with a password when it may be used again: %s %d", v.at, v.status)
		}
	})
}

// doorsWhenRequired tries every door but that of break-glass accounts.
func (a *acme) doorsWhenRequired(invitation string) {
	a.t.Helper()
	v := a.withPassword("bob@example.com")
	if v.status != http.StatusForbidden || !strings.Contains(v.page, "Continue with Okta") {
		a.t.Errorf("a right password: %d\n%s", v.status, v.page)
	}
	a.expectMe(v, nil)
	wrong := newVisitor(a.t).open(a.url + "/o/acme/login?with=password")
	wrong.submit("/o/acme/login", "email", "bob@example.com", "password", "not it at all")
	nobody := newVisitor(a.t).open(a.url + "/o/acme/login?with=password")
	nobody.submit("/o/acme/login", "email", "nobody@example.com", "password", "not it at all")
	blank := func(page string) string { return someReference.ReplaceAllString(page, "REFERENCE") }
	if wrong.status != nobody.status || blank(strings.ReplaceAll(wrong.page, "bob@", "nobody@")) != blank(nobody.page) {
		a.t.Errorf("a stranger can tell who has an account: %d and %d", wrong.status, nobody.status)
	}

	eve := newVisitor(a.t).open(invitation)
	if strings.Contains(eve.page, `type="password"`) || !strings.Contains(eve.page, "Continue with Okta") {
		a.t.Errorf("the invitation: %d\n%s", eve.status, eve.page)
	}
	res, err := eve.client.PostForm(invitation, url.Values{"password": {goodPassword}})
	if eve.took(res, err); eve.status != http.StatusForbidden {
		a.t.Errorf("accepted with a password all the same: %d", eve.status)
	}
	a.expectMe(eve, nil)
	a.samlLogin(eve, "eve-id", "eve@example.com")
	_, me := eve.me(a.url)
	if roles, _ := json.Marshal(me["roles"]); string(roles) != `["viewer"]` || me["source"] != "invite" {
		a.t.Errorf("invited, over the connection: roles %s, source %v", roles, me["source"])
	}
	a.expectMe(a.oidcLogin(newVisitor(a.t), "dave-sub", "dave@example.com"), map[string]string{"method": "oidc"})
}

// glassDoor goes in with password and recovery code, and looks at what it stirs up.
func (a *acme) glassDoor(email string, codes []string, admin *visitor) {
	a.t.Helper()
	v := a.withPassword(email)
	if v.status != http.StatusOK || v.at.Path != "/o/acme/login" {
		a.t.Errorf("password of a break-glass account: %s %d\n%s", v.at, v.status, v.page)
	}
	a.expectMe(newVisitor(a.t), nil)
	v.submit("/login/code", "code", "AAAA-AAAA-AAAA-AAAA")
	if v.status != http.StatusBadRequest {
		a.t.Errorf("a wrong code: %d", v.status)
	}
	v.submit("/login/code", "code", codes[3])
	a.expectMe(v, map[string]string{"method": "password"})
	again := a.withPassword(email)
	again.submit("/login/code", "code", codes[3])
	if again.status != http.StatusBadRequest {
		a.t.Errorf("the same code again: %d", again.status)
	}
	if v.open(a.url + "/console/acme/users"); !strings.Contains(v.page, "was used to sign in") {
		a.t.Error("no line over the console of who signed in")
	}
	if admin.open(a.url + "/console/acme/users"); !strings.Contains(admin.page, "was used to sign in") {
		a.t.Error("no line over the console of another admin")
	}
	admin.open(a.url + "/console/acme/security").submit("/acknowledge")
	if admin.open(a.url + "/console/acme/users"); strings.Contains(admin.page, "was used to sign in") {
		a.t.Error("the line stays after it was acknowledged")
	}
	if mail := newVisitor(a.t).open(a.url + "/dev/mailbox"); !strings.Contains(mail.page, "Break-glass sign-in") {
		a.t.Error("no mail about the sign-in")
	}
}
