package account_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/password"
)

// signedIn is a browser of somebody with a password.
func (s *site) signedIn(name string) *browser {
	s.t.Helper()
	b := s.browser()
	b.want(b.post("/login", "email", name, "password", good), 303, "/account")
	return b
}

// send is a request with a JSON body.
func (b *browser) send(method, path, body string) answer {
	b.s.t.Helper()
	r, err := http.NewRequest(method, b.s.url+path, strings.NewReader(body))
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.read(r)
}

func TestPasswordRulesOfAnOrganization(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		user := s.addUser(acme, "ada@acme.example", good)
		b := s.signedIn("ada@acme.example")
		const at = "/console/acme/settings/passwords"
		page := b.get(at)
		b.want(page, 200, "")
		if !strings.Contains(page.body, `name="min_length" value="12"`) || !strings.Contains(page.body, "At least 12 characters") {
			t.Errorf("the defaults are not shown: %s", page.body)
		}
		// What was typed stays, and each mistake is named.
		bad := b.post(at, "version", "0", "min_length", "many", "strength", "9", "history", "3", "expire_days", "5", "upper", "on")
		b.want(bad, 400, "")
		for _, part := range []string{`name="min_length" value="many"`, `href="#f-min_length"`, `href="#f-strength"`, `href="#f-expire_days"`, `name="history" value="3"`} {
			if !strings.Contains(bad.body, part) {
				t.Errorf("after a mistake the page lacks %s", part)
			}
		}
		b.want(b.post(at, "version", "0", "min_length", "16", "strength", "3", "digit", "on", "history", "0", "expire_days", "0"), 303, at)
		// Of two admins with the same page open the second is told.
		if got := b.post(at, "version", "0", "min_length", "9", "strength", "3", "history", "0", "expire_days", "0"); got.status != 409 || !strings.Contains(got.body, `value="9"`) {
			t.Errorf("an old page overwrote: %d", got.status)
		}
		if got := s.activities(acme, "org.settings"); len(got) != 1 {
			t.Errorf("recorded %+v", got)
		}
		// At the doors.
		s.setTemporary(acme, user, password.Temporary(password.DefaultRules()))
		s.remind("ada@acme.example")
		reset := s.linkIn("/password/reset/")
		shown := b.get(reset)
		if !strings.Contains(shown.body, "At least 16 characters") || !strings.Contains(shown.body, "A digit.") {
			t.Errorf("the rules are not shown before typing: %s", shown.body)
		}
		refused := b.post(reset, "password", "violet tractor")
		b.want(refused, 400, "")
		if !strings.Contains(refused.body, "at least 16 characters") || !strings.Contains(refused.body, "needs a digit") {
			t.Errorf("not every rule is named: %s", refused.body)
		}
		b.want(b.post(reset, "password", "violet tractor on 1 moon"), 303, "/account")
	})
}

func TestPasswordRulesForPrograms(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		b := s.signedIn("ada@acme.example")
		const at = "/api/v1/settings/passwords"
		read := func(got answer) (v struct {
			password.Rules
			Version int64 `json:"version"`
		}) {
			t.Helper()
			b.want(got, 200, "")
			if err := json.Unmarshal([]byte(got.body), &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		if got := read(b.get(at)); got.Rules != password.DefaultRules() || got.Version != 0 {
			t.Errorf("defaults %+v", got)
		}
		want := password.DefaultRules()
		want.MinLength, want.Special = 20, true
		got := read(b.send("PATCH", at, `{"min_length":20,"special":true}`))
		if got.Rules != want || got.Version == 0 {
			t.Errorf("after a change %+v", got)
		}
		read(b.send("PATCH", at, `{"special":false}`))
		for body, status := range map[string]int{`{"min_length":3}`: 400, `{"nothing":1}`: 400, `{"min_length":21,"version":1}`: 409} {
			if answer := b.send("PATCH", at, body); answer.status != status {
				t.Errorf("%s: %d %s", body, answer.status, answer.body)
			}
		}
	})
}
