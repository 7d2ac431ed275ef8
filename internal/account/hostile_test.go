package account_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// The time of the answer must not tell whether an address is known: it is given
// before anybody is looked for.
func TestForgotAnswersBeforeItLooks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		b := s.browser()
		b.want(b.post("/password/forgot", "email", "ada@acme.example"), 200, "")
		if n := len(s.written()); n != 0 {
			t.Errorf("%d mails written by the request itself", n)
		}
		ctx, stop := context.WithCancel(context.Background())
		stop() // a server that stops keeps its word
		if err := s.account.Run(ctx); err != nil || len(s.written()) != 1 {
			t.Errorf("%d mails, %v", len(s.written()), err)
		}
	})
}

// Whoever chose a new password is rid of everybody who knew the old one, also of
// somebody who was asked a moment ago where to go.
func TestAnOldPasswordsChoiceIsDead(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		globexID, globex := storetest.Org(t, db, "globex")
		s := newSite(t, db)
		s.addUser(acme, "ada@example.com", good)
		s.addUser(globex, "ada@example.com", good)
		thief := s.browser()
		page := thief.post("/login", "email", "ada@example.com", "password", good)
		token := regexp.MustCompile(`name="choice" value="([^"]+)"`).FindStringSubmatch(page.body)[1]
		clock.Pass(time.Minute)
		b := s.browser()
		b.want(b.post("/password/forgot", "email", "ada@example.com"), 200, "")
		for _, mail := range s.mails() {
			b.want(b.post(resetLink.FindString(mail), "password", other), 303, "/account")
		}
		if got := thief.post("/login/choose", "choice", token, "org", string(globexID)); got.status != 410 {
			t.Errorf("the choice of an old password: %d to %s", got.status, got.to)
		}
	})
}
