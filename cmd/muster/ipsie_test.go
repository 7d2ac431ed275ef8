package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What the OpenID IPSIE account lifecycle profile asks of the whole program, of a
// directory in strict mode: access by OAuth alone, deprovisioning that ends every
// way in, and no local hand on what the directory manages.
func TestIPSIEDeprovisioning(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		d := h.must("directory", "create", "--org", "acme", "--name", "Strict", "--vendor", "okta", "--mode", "strict")
		id := d["id"].(string)
		h.must("directory", "set", "--directory", id, "--quirk", "oauthOnly=true")
		h.base = "/scim/v2/" + id
		if status, body := h.do("GET", h.base+"/Users", d["token"].(string), ""); status != http.StatusUnauthorized {
			t.Errorf("the token that a person made: %d %s", status, body)
		}
		client := h.must("directory", "client", "create", "--directory", id)
		h.token = h.accessToken(client["client_id"].(string), client["client_secret"].(string))

		ann := h.provision("ann@example.com")
		v := h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com")
		h.expectMe(v, map[string]string{"source": "scim", "status": "active"})
		patch := func(active string) {
			t.Helper()
			if status, body := h.scim("PATCH", "/Users/"+ann, `{`+patchSchema+`,"Operations":[{"op":"replace","path":"active","value":`+active+`}]}`); status != http.StatusOK {
				t.Fatalf("active %s: %d %s", active, status, body)
			}
		}
		patch("false")
		h.expectMe(v, nil)
		h.nobody(h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com"), "deactivated, and signs in")
		patch("true")
		h.expectMe(v, nil) // what was ended stays ended
		v = h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com")
		h.expectMe(v, map[string]string{"status": "active"})

		// AL2: nobody makes the person a second time, here or in another directory.
		for _, args := range [][]string{
			{"user", "invite", "--org", "acme", "--email", "ann@example.com", "--given-name", "Ann", "--role", "agent"},
		} {
			if r := h.run(args...); r.code != exitFailed || !strings.Contains(r.stderr, "already") {
				t.Errorf("muster %v: %d %s", args, r.code, r.stderr)
			}
		}
		base, token := h.newDirectory("acme", "Other")
		if status, body := h.do("POST", base+"/Users", token, scimPerson("ann@example.com", "Ann", "Bell")); status != http.StatusConflict {
			t.Errorf("created by another directory: %d %s", status, body)
		}

		if status, body := h.scim("DELETE", "/Users/"+ann, ""); status != http.StatusNoContent {
			t.Fatalf("DELETE: %d %s", status, body)
		}
		h.expectMe(v, nil)
		if again := h.provision("ann@example.com"); again == ann {
			t.Error("the new user has the old id")
		}
	})
}

// accessToken is the client credentials grant (RFC 6749 §4.4).
func (h *acme) accessToken(id, secret string) string {
	h.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"scim"}}
	r, err := http.NewRequest("POST", h.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	v := newVisitor(h.t)
	v.took(v.client.Do(r))
	if v.status != http.StatusOK || field(h.t, v.page, "scope") != "scim" {
		h.t.Fatalf("POST /oauth/token: %d %s", v.status, v.page)
	}
	return field(h.t, v.page, "access_token")
}
