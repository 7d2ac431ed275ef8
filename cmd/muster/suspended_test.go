package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A suspended organization lets nobody in by any door and loses nothing.
func TestASuspendedOrganization(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		ann := h.provision("ann@example.com")
		v := h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com")
		h.expectMe(v, map[string]string{"status": "active"})
		key := h.must("key", "create", "--org", "acme", "--role", "admin")["key"].(string)
		operators := h.must("key", "create", "--operator")["key"].(string)

		if out := h.must("org", "suspend", "acme", "--why", "The contract has ended"); out["state"] != "suspended" {
			t.Errorf("suspended: %v", out)
		}
		h.expectMe(v, nil)
		h.nobody(h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com"), "of a suspended organization, and signs in")
		eventually := func(what string, want int, words string, ask func() (int, string)) {
			t.Helper()
			status, body := 0, ""
			for end := time.Now().Add(20 * time.Second); status != want && time.Now().Before(end); { // a directory's settings are remembered for two seconds
				status, body = ask()
			}
			if status != want || !strings.Contains(body, words) {
				t.Errorf("%s: %d %s, want %d", what, status, body, want)
			}
		}
		users := func() (int, string) { return h.scim("GET", "/Users/"+ann, "") }
		eventually("the directory", http.StatusForbidden, "is suspended", users)
		me := func() (int, string) { return h.do("GET", "/api/v1/users", key, "") }
		eventually("an API key", http.StatusForbidden, "is suspended", me)
		if status, body := h.do("GET", "/api/v1/organizations/acme", operators, ""); status != http.StatusOK || !strings.Contains(body, `"suspended_why":"The contract has ended"`) {
			t.Errorf("an operator's key: %d %s", status, body)
		}
		if status, _ := h.do("GET", "/api/v1/organizations", key, ""); status != http.StatusForbidden {
			t.Errorf("the organizations, with a key of one: %d", status)
		}

		h.must("org", "resume", "acme")
		eventually("the directory afterwards", http.StatusOK, "ann@example.com", users)
		eventually("the key afterwards", http.StatusOK, "ann@example.com", me)
		h.expectMe(v, nil) // what was ended stays ended
		v = h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com")
		h.expectMe(v, map[string]string{"status": "active"})
	})
}
