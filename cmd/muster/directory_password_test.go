package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A directory that is set to store passwords makes the sign-in password; everybody
// else's passwords go nowhere.
func TestADirectorySetsThePassword(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		const second = "a-quite-different-staple-8"
		body := func(name, password string) string {
			return strings.Replace(scimPerson(name, "Ann", "Bell"), `"active":true`, fmt.Sprintf(`"active":true,"password":%q`, password), 1)
		}
		send := func(want int, method, path, body string) string {
			t.Helper()
			status, answer := h.scim(method, path, body)
			if status != want {
				t.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, want)
			}
			if strings.Contains(answer, goodPassword) || strings.Contains(answer, second) {
				t.Errorf("%s %s answers with the password: %s", method, path, answer)
			}
			return answer
		}
		attempt := func(v *visitor, name, password string) *visitor {
			t.Helper()
			v.open(h.url + "/login?with=password")
			return v.submit("/login", "email", name, "password", password)
		}
		send(201, "POST", "/Users", body("ignored@partner.example", goodPassword))
		h.expectMe(attempt(newVisitor(t), "ignored@partner.example", goodPassword), nil)

		h.base, h.token = h.newDirectory("acme", "Storing")
		h.must("directory", "set", "--directory", h.base[strings.LastIndex(h.base, "/")+1:], "--quirk", "passwordHandling=store")
		if answer := send(200, "GET", "/ServiceProviderConfig", ""); !strings.Contains(answer, `"changePassword":{"supported":true}`) {
			t.Errorf("configuration: %s", answer)
		}
		ann := field(t, send(201, "POST", "/Users", body("ann@partner.example", goodPassword)), "id")
		v := attempt(newVisitor(t), "ann@partner.example", goodPassword)
		h.expectMe(v, map[string]string{"source": "scim", "method": "password"})
		send(400, "PATCH", "/Users/"+ann, `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"password":"ann@partner"}}]}`)
		send(400, "POST", "/Users", body("weak@partner.example", "password1234"))
		send(200, "PATCH", "/Users/"+ann, `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"password":"`+goodPassword+`"}}]}`)
		h.expectMe(v, map[string]string{"method": "password"}) // the same one again ends nothing
		send(200, "PATCH", "/Users/"+ann, `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"password":"`+second+`"}}]}`)
		h.expectMe(v, nil)
		h.expectMe(attempt(newVisitor(t), "ann@partner.example", goodPassword), nil)
		h.expectMe(attempt(v, "ann@partner.example", second), map[string]string{"method": "password"})
		send(200, "PATCH", "/Users/"+ann, `{`+patchSchema+`,"Operations":[{"op":"replace","path":"active","value":false}]}`)
		h.expectMe(v, nil)
		if v = attempt(newVisitor(t), "ann@partner.example", second); v.status == http.StatusOK && strings.HasSuffix(v.at.Path, "/account") {
			t.Error("a deactivated person signed in with the directory's password")
		}
		for _, secret := range []string{goodPassword, second} {
			if strings.Contains(h.dump(t), secret) {
				t.Error("a password stands in the database")
			}
		}
	})
}
