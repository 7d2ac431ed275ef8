package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/web/webtest"
)

// The overview tells what came over every door: people, sign-ins, invitations, seats and
// when each directory was heard of last.
func TestTheOverviewTellsOfEveryDoor(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "overview", func(t *testing.T, env ...string) {
		a := newAcme(t, env...)
		admin := a.invited("boss@acme.example", "admin")
		for _, name := range []string{"pat", "gone"} {
			a.must("user", "invite", "--org", "acme", "--email", name+"@acme.example", "--given-name", name)
		}
		a.must("invitation", "cancel", "--org", "acme", "gone@acme.example")
		a.must("org", "seats", "--org", "acme", "--limit", "9")
		if status, body := a.do("POST", a.base+"/Users", a.token, scimUser("sue@acme.example")); status != http.StatusCreated {
			t.Fatalf("the directory sends somebody: %d %s", status, body)
		}
		a.expectMe(a.samlLogin(newVisitor(t), "ann-id", "ann@example.com"), map[string]string{"method": "saml"})
		newVisitor(t).post(a.url+"/login", "email", "boss@acme.example", "password", "not this one")
		today := time.Now().UTC().Format(time.DateOnly)
		var text string
		for end := time.Now().Add(stepTime); ; { // the directory's request is written down behind it
			text = webtest.Text(webtest.Page(t, admin.open(a.url+"/console/acme/overview").page))
			if strings.Contains(text, "Connected") || time.Now().After(end) {
				break
			}
		}
		for _, want := range []string{"Active 3", "Invited 1", "SCIM 1", "JIT 1", "Invite 2", today + " 3 , signed in 2 , refused 1", "SAML 1", "invitation 1", "1 sign-in was refused",
			"Pending 1", "Accepted 1", "Cancelled 1", "Seats, of 9 4", "Okta Connected"} {
			if !strings.Contains(text, want) {
				t.Errorf("the overview does not say %q:\n%s", want, text)
			}
		}
	})
}
