package main

import (
	"strings"
	"testing"
)

// The page of a directory's requests: empty, with everything, and after a stop
// that must not lose what was still in memory.
func TestProvisioningLogIsUsable(t *testing.T) {
	t.Parallel()
	program := newProgram(t)
	s := program.serve("--demo")
	password := s.demoPassword()
	made := program.must("directory", "create", "--org", "acme", "--name", "Okta staging", "--vendor", "okta")
	base, token, id := "/scim/v2/"+made["id"].(string), made["token"].(string), made["id"].(string)
	browser := newBrowser(t)
	signIn := func(s *server) *person {
		p := browser.visit("admin", 1280, 800)
		p.open(s.url + "/login?with=password&next=/console/acme/directories")
		p.signIn(demoAdmin, password)
		return p
	}
	page := "/console/acme/directories/" + id + "/log"
	p := signIn(s)
	p.press(`main a[href="` + page + `"]`)
	p.sees("Waiting for the first request")
	p.usable("log-empty")

	send := func(method, path, body, token string, want int) string {
		t.Helper()
		code, answer := s.do(method, base+path, token, body)
		if code != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, code, answer, want)
		}
		return answer
	}
	send("GET", "/Users?startIndex=1&count=2", "", token, 200)
	user := field(t, send("POST", "/Users", scimPerson("grace.hopper@staging.example", "Grace", "Hopper"), token, 201), "id")
	send("PATCH", "/Users/"+user, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"title":"Rear Admiral","name":{"familyName":"Hopper-Murray"}}}]}`, token, 200)
	send("POST", "/Users", scimPerson("grace.hopper@staging.example", "Grace", "Hopper"), token, 409)
	send("GET", "/Users?filter=userName+eq+%22grace.hopper@staging.example%22", "", token, 200)
	send("GET", "/Users", "", "not-the-token-of-this-directory", 401)
	p.open(s.url + page)
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	p.sees("Every request since", "Authorization is the directory's token", "409 uniqueness", "Hopper → Hopper-Murray")
	p.usable("log")
	p.open(s.url + page + "?refused=1&target=grace&from=2001-01-01&to=2002-01-01")
	p.usable("log-nothing")
	p.open(s.url + "/console/acme/directories")
	p.sees("Failing")
	p.usable("directories")
	send("POST", "/Users", scimPerson("last.words@staging.example", "Last", "Words"), token, 201)
	if code := s.stop(); code != 0 {
		t.Fatalf("stopped with %d", code)
	}
	s = program.serve()
	p = signIn(s)
	p.open(s.url + page + "?operation=POST+Users")
	p.sees("last.words@staging.example")
	if strings.Contains(p.text(), token) {
		t.Error("the token stands on the page")
	}
	p.quiet()
}
