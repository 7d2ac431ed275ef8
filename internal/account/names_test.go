package account_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

func TestTheFormatOfUserNames(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "boss@acme.example", good)
		b := s.signedIn("boss@acme.example")
		const at, api = "/console/acme/settings/names", "/api/v1/settings/names"
		page := b.get(at)
		for _, part := range []string{"soeren.oedegaard", "amueller", "li.xiaolong", `value="email" checked`} {
			if !strings.Contains(page.body, part) {
				t.Errorf("the page lacks %s", part)
			}
		}
		if got := b.post(at, "format", "nonsense", "version", "0"); got.status != 400 {
			t.Errorf("an unknown format: %d", got.status)
		}
		b.want(b.post(at, "format", "flast", "version", "0"), 303, at)
		if got := b.post(at, "format", "first", "version", "0"); got.status != 409 {
			t.Errorf("an old page: %d", got.status)
		}
		if got := b.get(api); got.body != `{"format":"flast","version":1}`+"\n" {
			t.Errorf("for programs: %s", got.body)
		}
		if got := b.send("PATCH", api, `{"format":"first.last"}`); got.status != 200 || !strings.Contains(got.body, `"first.last"`) {
			t.Errorf("changed by a program: %d %s", got.status, got.body)
		}
		// Sign-in takes either name.
		s.addMember(acme, store.Profile{UserName: "mlee", Email: "mei@acme.example"})
		for _, name := range []string{"MLEE", "mei@ACME.example"} {
			x := s.browser()
			x.want(x.post("/login", "email", name, "password", good), 303, "/account")
		}
	})
}
