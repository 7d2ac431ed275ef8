package main

import (
	"net/http"
	"regexp"
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
		for _, do := range []string{"/resend", "/link", "/cancel"} {
			if admin.open(page).submit(do); admin.status != http.StatusForbidden {
				t.Errorf("an admin may do %s: %d at %s", do, admin.status, admin.at)
			}
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
