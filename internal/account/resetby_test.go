package account_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var shownSecret = regexp.MustCompile(`<code class="secret">([^<]+)</code>`)

// addMember makes an active person without a role of their own.
func (s *site) addMember(actor access.Actor, p store.Profile) store.UserID {
	s.t.Helper()
	hash, err := s.passwords.Hash(context.Background(), good)
	if err != nil {
		s.t.Fatal(err)
	}
	var u store.User
	err = s.db.Write(context.Background(), actor, func(tx *store.Tx) (err error) {
		if u, err = tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromInvite, Status: store.Active}); err != nil {
			return err
		}
		return s.passwords.Set(tx, u.ID, hash)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}

func TestAnAdminResetsAPassword(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		boss := s.addUser(acme, "boss@acme.example", good)
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy"})
		admin, member := s.signedIn("boss@acme.example"), s.signedIn("ivy@acme.example")
		at := "/console/acme/users/" + string(ivy) + "/password"
		if got := member.get(at); got.status != 403 {
			t.Errorf("a member sees the page: %d", got.status)
		}
		if got := member.post(at, "how", "temporary"); got.status != 403 {
			t.Errorf("a member resets: %d", got.status)
		}
		admin.want(admin.get(at), 200, "")
		if got := admin.get("/console/acme/users/" + string(boss) + "/password"); got.status != 403 || !strings.Contains(got.body, "your own password") {
			t.Errorf("the own page: %d", got.status)
		}
		weak := admin.post(at, "how", "temporary", "password", "ivy-acme")
		admin.want(weak, 400, "")
		if !strings.Contains(weak.body, `value="ivy-acme"`) {
			t.Error("what was typed is gone")
		}
		member.want(member.get("/account"), 200, "")

		done := admin.post(at, "how", "temporary")
		admin.want(done, 200, "")
		m := shownSecret.FindStringSubmatch(done.body)
		if m == nil {
			t.Fatalf("no password is shown: %s", done.body)
		}
		if got := admin.get(at); strings.Contains(got.body, m[1]) {
			t.Error("the password is shown twice")
		}
		member.want(member.get("/account"), 303, "/login?next=%2Faccount")
		if got := member.post("/login", "email", "ivy@acme.example", "password", good); got.status != 400 {
			t.Errorf("the old password still works: %d", got.status)
		}
		step := member.post("/login", "email", "ivy@acme.example", "password", m[1])
		member.want(member.post("/login/password", "choice", choiceIn(t, step.body), "password", "violet tractor on the moon"), 303, "/account")
		told := s.written()
		if len(told) != 1 || !strings.HasPrefix(told[0], "ivy@acme.example") || !strings.Contains(told[0], "Ada Lovelace has set a temporary password") || strings.Contains(told[0], m[1]) {
			t.Errorf("mails %q", told)
		}
		if got := s.activities(acme, "password.temporary"); len(got) != 1 || got[0].ActorID != string(boss) || got[0].TargetName != "Ivy" {
			t.Errorf("recorded %+v", got)
		}

		admin.want(admin.post(at, "how", "link"), 303, "/console/acme/users/"+string(ivy))
		member.want(member.get("/account"), 200, "") // nothing has changed yet
		member.want(member.post(s.linkIn("/password/reset/"), "password", "seven herons eat gravel"), 303, "/account")
	})
}

func TestWhosePasswordMayNotBeReset(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, acme := storetest.Org(t, db, "acme")
		_, globex := storetest.Org(t, db, "globex")
		s := newSite(t, db)
		s.addUser(acme, "boss@acme.example", good)
		operator := s.addUser(acme, "root@acme.example", good)
		stranger := s.addUser(globex, "eve@globex.example", good)
		off := s.addMember(acme, store.Profile{UserName: "off@acme.example", Email: "off@acme.example"})
		mute := s.addMember(acme, store.Profile{UserName: "mute"})
		err := db.Write(context.Background(), acme, func(tx *store.Tx) error {
			if _, err := tx.Deactivate(off, ""); err != nil {
				return err
			}
			return s.sessions.MakeOperator(tx, operator)
		})
		if err != nil {
			t.Fatal(err)
		}
		// Whoever may end access, and no more, gets nobody's way in who may do more.
		limited, auditor := s.addMember(acme, store.Profile{UserName: "desk@acme.example", Email: "desk@acme.example"}), s.addMember(acme, store.Profile{UserName: "auditor@acme.example", Email: "auditor@acme.example"})
		err = db.Write(context.Background(), acme, func(tx *store.Tx) error {
			for id, may := range map[store.UserID][]access.Permission{limited: {access.ViewUsers, access.EndUsers}, auditor: {access.ViewUsers, access.ViewActivity}} {
				role, err := tx.CreateRole(store.RoleChange{Label: new("Role of " + string(id)), Permissions: &may})
				if err != nil {
					return err
				}
				if err := tx.Grant(id, role.ID, store.Manual); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		desk := s.signedIn("desk@acme.example")
		for user, want := range map[store.UserID]int{auditor: 403, s.addUser(acme, "other@acme.example", good): 403, mute: 200} {
			if got := desk.send("POST", "/api/v1/users/"+string(user)+"/password-reset", `{"temporary":true}`); got.status != want {
				t.Errorf("by somebody who may end access: %s: %d %s, want %d", user, got.status, got.body, want)
			}
		}
		admin := s.signedIn("boss@acme.example")
		for _, c := range []struct {
			user   store.UserID
			body   string
			status int
			why    string
		}{
			{operator, `{"temporary":true}`, 403, "runs this server"},
			{stranger, `{"temporary":true}`, 404, ""},
			{off, `{"link":true}`, 409, "not active"},
			{mute, `{"link":true}`, 409, "no e-mail address"},
			{mute, `{}`, 400, "either"},
			{mute, `{"temporary":true,"password":"short"}`, 400, "too short"},
			{"nonsense", `{"link":true}`, 404, ""},
			{mute, `{"temporary":true}`, 200, "Start7-"},
		} {
			got := admin.send("POST", "/api/v1/users/"+string(c.user)+"/password-reset", c.body)
			if got.status != c.status || !strings.Contains(got.body, c.why) {
				t.Errorf("%s %s: %d %s, want %d %s", c.user, c.body, got.status, got.body, c.status, c.why)
			}
		}
	})
}
