package account_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestChangingTheOwnPassword(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy"})
		b, other := s.signedIn("ivy@acme.example"), s.signedIn("ivy@acme.example")
		const at, next = "/account/password", "violet tractor on the moon"
		b.want(b.get(at), 200, "")
		for _, c := range []struct {
			current, next string
			status        int
			field, why    string
		}{
			{"", next, 400, "current_password", "not your password"},
			{"wrong", next, 400, "current_password", "not your password"},
			{good, "short", 400, "password", "too short"},
			{good, good, 400, "password", "you have now"},
			{good, "ivy@acme.example 1", 400, "password", "your own name"},
		} {
			got := b.post(at, "current_password", c.current, "password", c.next)
			b.want(got, c.status, "")
			if !strings.Contains(got.body, `href="#f-`+c.field+`"`) || !strings.Contains(got.body, c.why) {
				t.Errorf("%+v: %s", c, got.body)
			}
		}
		other.want(other.get("/account"), 200, "")
		if refused := s.activities(acme, "user.signin.refused"); len(refused) != 2 || refused[0].TargetID != string(ivy) {
			t.Errorf("recorded %+v", refused)
		}
		b.want(b.post(at, "current_password", good, "password", next), 303, at)
		b.want(b.get("/account"), 200, "")
		other.want(other.get("/account"), 200, "") // it was not asked for
		b.want(b.post(at, "current_password", next, "password", good, "others", "on"), 303, at)
		b.want(b.get("/account"), 200, "")
		other.want(other.get("/account"), 303, "/login?next=%2Faccount")
		if told := s.written(); len(told) != 3 || !strings.HasPrefix(told[0], "ivy@acme.example\n") || !strings.Contains(told[0], "was changed") {
			t.Errorf("mails %q", told)
		}
		// Guessing the password on a stolen session ends soon.
		status := 0
		for range 6 {
			status = b.post(at, "current_password", "wrong", "password", next).status
		}
		if status != 429 {
			t.Errorf("after six wrong ones: %d", status)
		}
	})
}

func TestSessionsAreEndedOneByOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example"})
		s.addMember(acme, store.Profile{UserName: "eve@acme.example", Email: "eve@acme.example"})
		b, phone, eve := s.signedIn("ivy@acme.example"), s.browser(), s.signedIn("eve@acme.example")
		got := phone.do("POST", "/login", map[string][]string{"email": {"ivy@acme.example"}, "password": {good}}, "User-Agent", "Mozilla/5.0 (iPhone) CriOS/156 <script>alert(1)</script>")
		phone.want(got, 303, "/account")
		page := b.get("/account/sessions")
		id := regexp.MustCompile(`name="session" value="([^"]+)"`).FindStringSubmatch(page.body)
		if id == nil || !strings.Contains(page.body, "Chrome on iPhone") || strings.Contains(page.body, "<script>") {
			t.Fatalf("sessions: %s", page.body)
		}
		eve.want(eve.post("/account/sessions/end", "session", id[1]), 303, "/account/sessions")
		phone.want(phone.get("/account"), 200, "") // it is not Eve's to end
		b.want(b.post("/account/sessions/end", "session", id[1]), 303, "/account/sessions")
		b.want(b.post("/account/sessions/end", "session", id[1]), 303, "/account/sessions") // a double click
		phone.want(phone.get("/account"), 303, "/login?next=%2Faccount")
		b.want(b.get("/account"), 200, "")
		if ended := s.activities(acme, "session.end"); len(ended) != 1 {
			t.Errorf("recorded %+v", ended)
		}
		if got := b.post("/account/sessions/end", "session", "nonsense"); got.status != 404 {
			t.Errorf("no session's id: %d", got.status)
		}
	})
}

func TestOwnHistory(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		s := newSite(t, db)
		s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example"})
		s.addMember(acme, store.Profile{UserName: "eve@acme.example", Email: "eve@acme.example"})
		s.signedIn("eve@acme.example")
		b := s.browser()
		for range 30 {
			got := b.do("POST", "/login", map[string][]string{"email": {"ivy@acme.example"}, "password": {good}}, "User-Agent", "Firefox/150 (Windows)")
			b.want(got, 303, "/account")
			clock.Pass(time.Second)
		}
		if got := s.browser().post("/login", "email", "ivy@acme.example", "password", "wrong"); got.status != 400 {
			t.Fatal(got.status)
		}
		first := b.get("/account/signins")
		b.want(first, 200, "")
		if n := strings.Count(first.body, "Signed in</span>"); n != 24 || !strings.Contains(first.body, "Wrong password") || !strings.Contains(first.body, "Firefox on Windows") || !strings.Contains(first.body, "127.0.0.1") {
			t.Errorf("%d sign-ins on the first page: %s", n, first.body)
		}
		older := regexp.MustCompile(`href="(\?before=[^"]+)" rel="next"`).FindStringSubmatch(first.body)
		if older == nil {
			t.Fatal("there is no second page")
		}
		second := b.get("/account/signins" + older[1])
		if n := strings.Count(second.body, "Signed in</span>"); n != 6 || strings.Contains(second.body, `rel="next"`) {
			t.Errorf("%d sign-ins on the second page, want Ivy's 6 and not Eve's", n)
		}
		for _, bad := range []string{"x", "1-2", "99999999999999999999-" + strings.Repeat("0", 32)} {
			if got := b.get("/account/signins?before=" + bad); got.status != 400 && got.status != 404 {
				t.Errorf("before=%s: %d", bad, got.status)
			}
		}
		log := b.get("/account/activity")
		b.want(log, 200, "")
		if !strings.Contains(log.body, "You signed in") || strings.Contains(log.body, "eve@") || !strings.Contains(log.body, `rel="next"`) {
			t.Errorf("activity: %s", log.body)
		}
	})
}
