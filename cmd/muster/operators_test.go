package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Somebody who is invited as an operator runs the server from the acceptance on, and no admin
// of the organization gets at the link before.
func TestAnOperatorByInvitation(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "operator", func(t *testing.T, env ...string) {
		a := newAcme(t, env...)
		admin := a.invited("boss@acme.example", "admin")
		made := a.must("operator", "add", "--org", "acme", "nova@acme.example", "--invite", "--given-name", "Nova")
		if made["status"] != "invited" || made["link"] != nil {
			t.Fatalf("operator add: %v", made)
		}
		page := a.url + "/console/acme/users/" + made["user_id"].(string)
		if admin.open(page).is(admin.at.Path, http.StatusOK, "Only an operator can change it"); strings.Contains(admin.page, page[len(a.url):]+"/invitation") {
			t.Errorf("an admin is offered what would be refused:\n%s", admin.page)
		}
		for _, do := range []string{"/resend", "/link", "/cancel"} {
			if admin.post(page + "/invitation" + do); admin.status != http.StatusForbidden {
				t.Errorf("an admin may do %s: %d at %s", do, admin.status, admin.at)
			}
		}
		// An admin who hands over a first password knows it.
		a.must("user", "invite", "--org", "acme", "--email", "handed@acme.example", "--given-name", "Hans", "--activate")
		if r := a.run("operator", "add", "--org", "acme", "handed@acme.example"); r.code != 1 || !strings.Contains(r.stderr, "which somebody else knows") {
			t.Errorf("an operator with a temporary password: %d %s%s", r.code, r.stdout, r.stderr)
		}
		a.waitMail("nova@acme.example")
		v := newVisitor(t).open(a.url + "/dev/mailbox")
		letter := regexp.MustCompile(`href="(/dev/mailbox/[^"]+)"`).FindStringSubmatch(v.page)
		if letter == nil {
			t.Fatalf("the mailbox is empty:\n%s", v.page)
		}
		link := regexp.MustCompile(`/invite/[0-9A-Za-z._~-]+`).FindString(v.open(a.url + letter[1]).page)
		v.open(a.url+link).submit("/invite/", "password", goodPassword)
		if status, me := v.me(a.url); status != http.StatusOK || me["status"] != "active" {
			t.Fatalf("accepted: %d %v", status, me)
		}
		if v.open(a.url + "/console/-/organizations"); v.status != http.StatusOK {
			t.Errorf("the operator's pages: %d", v.status)
		}
		if admin.open(a.url + "/console/-/organizations"); admin.status != http.StatusForbidden {
			t.Errorf("an admin sees them: %d", admin.status)
		}
		a.must("operator", "add", "--org", "acme", "boss@acme.example")
		a.must("operator", "remove", "nova@acme.example")
		if v.open(a.url + "/console/-/organizations"); v.status != http.StatusForbidden {
			t.Errorf("the right was taken: %d", v.status)
		}
	})
}
