package account_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

func TestExportOfOwnData(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addMember(acme, store.Profile{UserName: "eve@acme.example", Email: "eve@acme.example", GivenName: "Eve"})
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy", Title: "Lead"})
		b := s.signedIn("ivy@acme.example")
		s.signedIn("eve@acme.example")
		b.want(b.post("/account/preferences", "signature", "Ivy\nAcme"), 303, "/account/preferences")
		b.want(b.upload("/account/picture", pngOf(t, drawn(30, 30))), 303, "/account/profile")
		got := b.post("/account/export")
		b.want(got, 200, "")
		var out struct {
			ID          string
			UserName    string `json:"user_name"`
			Attributes  map[string]any
			Preferences struct{ More map[string]any }
			Picture     []byte
			Sessions    []struct{ Method string }
			SignIns     []struct{ Method, IP string } `json:"sign_ins"`
			Activity    []struct{ Action, By string }
		}
		if err := json.Unmarshal([]byte(got.body), &out); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		if out.ID != string(ivy) || out.Attributes["title"] != "Lead" || out.Preferences.More["signature"] != "Ivy\nAcme" || len(out.Picture) < 100 || len(out.Sessions) != 1 ||
			len(out.SignIns) != 1 || out.SignIns[0].Method != "password" || out.SignIns[0].IP == "" || len(out.Activity) < 4 {
			t.Errorf("export %s", got.body)
		}
		for _, secret := range []string{"argon2", "eve@acme.example", "token"} {
			if strings.Contains(strings.ToLower(got.body), secret) {
				t.Errorf("the export holds %q", secret)
			}
		}
		if n := len(s.activities(acme, "user.export")); n != 1 {
			t.Errorf("%d exports recorded", n)
		}
	})
}
