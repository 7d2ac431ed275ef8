package account_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var choiceField = regexp.MustCompile(`name="choice" value="([^"]+)"`)

func choiceIn(t *testing.T, page string) string {
	t.Helper()
	m := choiceField.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no one-time token on\n%s", page)
	}
	return m[1]
}

// setTemporary does what an administrator does.
func (s *site) setTemporary(actor access.Actor, user store.UserID, text string) {
	s.t.Helper()
	hash, err := s.passwords.Hash(context.Background(), text)
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.db.Write(context.Background(), actor, func(tx *store.Tx) error {
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		return s.passwords.SetTemporary(tx, u, hash)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// A password that somebody else has set opens the page for an own one and nothing more.
func TestATemporaryPasswordMustBeChanged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		user := s.addUser(acme, "ada@acme.example", good)
		temporary := password.Temporary(password.DefaultRules())
		s.setTemporary(acme, user, temporary)
		b := s.browser()
		step := b.post("/login", "email", "ada@acme.example", "password", temporary, "next", "/account?x=1")
		b.want(step, 200, "")
		if !strings.Contains(step.body, "set for you by an administrator") || !strings.Contains(step.body, `autocomplete="new-password"`) {
			t.Fatalf("after the temporary password:\n%s", step.body)
		}
		b.want(b.get("/account"), 303, "/login?next=%2Faccount")
		token := choiceIn(t, step.body)
		for refused, why := range map[string]string{"": "too short", "short": "too short", "ada@acme.example1": "your own name", temporary: "you have now"} {
			got := b.post("/login/password", "choice", token, "password", refused)
			b.want(got, 400, "")
			if !strings.Contains(got.body, why) || strings.Contains(got.body, temporary) {
				t.Errorf("%q: %s", refused, got.body)
			}
		}
		own := "violet tractor on the moon"
		forgot := s.browser()
		forgot.want(forgot.post("/password/forgot", "email", "ada@acme.example"), 200, "")
		s.mails()
		link := s.linkIn("/password/reset/")
		b.want(b.post("/login/password", "choice", token, "password", own), 303, "/account?x=1")
		b.want(b.get("/account"), 200, "")
		if got := forgot.get(link); got.status != 410 {
			t.Errorf("a link from before still sets a password: %d", got.status)
		}
		// The back button: the page was used.
		if got := b.post("/login/password", "choice", token, "password", "another tractor on the moon"); got.status != 410 {
			t.Errorf("the second post answered %d", got.status)
		}
		other := s.browser()
		if got := other.post("/login", "email", "ada@acme.example", "password", temporary); got.status != 400 {
			t.Errorf("the temporary password still answers %d", got.status)
		}
		other.want(other.post("/login", "email", "ada@acme.example", "password", own), 303, "/account")
		if got := s.activities(acme, "password.temporary"); len(got) != 1 || got[0].TargetID != string(user) {
			t.Errorf("recorded %+v", got)
		}
	})
}

func TestATemporaryPasswordEnds(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		s := newSite(t, db)
		user := s.addUser(acme, "ada@acme.example", good)
		temporary := password.Temporary(password.DefaultRules())
		s.setTemporary(acme, user, temporary)
		clock.Pass(password.TemporaryFor - time.Minute)
		b := s.browser()
		step := b.post("/login", "email", "ada@acme.example", "password", temporary)
		b.want(step, 200, "")
		clock.Pass(time.Minute)
		if got := b.post("/login", "email", "ada@acme.example", "password", temporary); got.status != 400 || !strings.Contains(got.body, "do not match") {
			t.Errorf("after its end: %d", got.status)
		}
		refused := s.activities(acme, "user.signin.refused")
		if len(refused) != 1 || refused[0].Detail["check"] != "temporary password" {
			t.Errorf("recorded %+v", refused)
		}
	})
}
