package account_test

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		user := s.addUser(acme, "ada@acme.example", good)
		b := s.browser()
		b.want(b.get("/"), 303, "/account")
		b.want(b.get("/account"), 303, "/login?next=%2Faccount")
		b.want(b.get("/login?next=/account?x=1"), 200, "")
		step := b.post("/login", "email", " ADA@acme.example ", "next", "/account?x=1")
		b.want(step, 200, "")
		if !strings.Contains(step.body, `type="password"`) || !strings.Contains(step.body, `value="/account?x=1"`) {
			t.Errorf("password step: %s", step.body)
		}
		b.want(b.post("/login", "email", "ada@acme.example", "password", good, "next", "/account?x=1"), 303, "/account?x=1")
		page := b.get("/account")
		for _, part := range []string{"Ada Lovelace", "acme Inc", "ada@acme.example", "admin", `href="/console"`, "Invitation", "Password"} {
			if !strings.Contains(page.body, part) {
				t.Errorf("the page lacks %q", part)
			}
		}
		b.want(b.get("/login?next=/account"), 303, "/account")
		if got := s.activities(acme, "user.signin"); len(got) != 1 || got[0].TargetID != string(user) || got[0].Detail["method"] != "password" || got[0].Detail["ip"] == nil {
			t.Errorf("recorded %+v", got)
		}
		b.want(b.do("POST", "/logout", url.Values{}, "Sec-Fetch-Site", "cross-site"), 403, "")
		b.want(b.get("/account"), 200, "")
		b.want(b.post("/logout"), 303, "/login")
		b.want(b.get("/account"), 303, "/login?next=%2Faccount")
	})
}

func TestMe(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		user := s.addUser(acme, "ada@acme.example", good)
		err := s.db.Write(context.Background(), acme, func(tx *store.Tx) error {
			team, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}, Members: []store.UserID{user}})
			if err != nil {
				return err
			}
			_, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Company"}, Members: []store.UserID{store.UserID(team.ID)}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b := s.browser()
		if got := b.get("/api/v1/me"); got.status != 401 || !strings.Contains(got.body, `"status":401`) {
			t.Errorf("nobody: %+v", got)
		}
		b.want(b.post("/login", "email", "ada@acme.example", "password", good), 303, "/account")
		var me map[string]any
		if err := s.db.Write(t.Context(), acme, func(tx *store.Tx) error {
			ref := records.Ref{Kind: "contact", ID: "4711"}
			if _, _, err := records.Put(tx, records.In{Ref: ref, Name: "Ada"}); err != nil {
				return err
			}
			return records.Link(tx, user, ref)
		}); err != nil {
			t.Fatal(err)
		}
		got := b.get("/api/v1/me")
		if err := json.Unmarshal([]byte(got.body), &me); err != nil {
			t.Fatalf("%+v: %v", got, err)
		}
		now := me["session"].(map[string]any)
		if id, _ := now["id"].(string); len(id) != 32 {
			t.Errorf("session %v", now)
		}
		delete(now, "id")
		for _, name := range []string{"auth_time", "expires_at"} {
			if at, _ := now[name].(string); !strings.HasSuffix(at, "Z") {
				t.Errorf("session %v", now)
			}
			delete(now, name)
		}
		reason := me["role_reasons"].([]any)[0].(map[string]any)
		if since, _ := reason["since"].(string); !strings.HasSuffix(since, "Z") {
			t.Errorf("reason %v", reason)
		}
		delete(reason, "since")
		if allowed, _ := me["permissions"].([]any); len(allowed) != 13 || allowed[0] != "users.view" || allowed[7] != "org.configure" || allowed[8] != "view_all_tickets" {
			t.Errorf("permissions %v", allowed)
		}
		delete(me, "permissions")
		want := `{"email":"ada@acme.example","groups":["Support","Company"],"org":"acme","records":[{"gone":false,"id":"4711","kind":"contact","name":"Ada"}],"role_reasons":[{"by":"Muster","kind":"manual","role":"admin"}],"roles":["admin"],"session":{"acr":"","amr":"pwd","connection":"","method":"password"},` +
			`"source":"invite","status":"active","user_id":"` + string(user) + `","user_name":"ada@acme.example"}`
		if have, _ := json.Marshal(me); string(have) != want {
			t.Errorf("me\n%s\nwant\n%s", have, want)
		}
		// Promise 5, by the door that everybody sees.
		s.addUser(acme, "other-admin@acme.example", good) // the last admin may not be deactivated
		if err := s.db.Write(context.Background(), acme, func(tx *store.Tx) error { _, err := tx.Deactivate(user, "left"); return err }); err != nil {
			t.Fatal(err)
		}
		if got := b.get("/api/v1/me"); got.status != 401 {
			t.Errorf("deactivated: %+v", got)
		}
		b.want(b.get("/account"), 303, "/login?next=%2Faccount")
		if got := b.post("/login", "email", "ada@acme.example", "password", good); got.status != 400 {
			t.Errorf("signed in although deactivated: %+v", got)
		}
	})
}

// A role from a directory says from which, because of what, and since when; and it is
// gone with the next request after the directory took it.
func TestMeSaysWhyARoleIsThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		user := s.addUser(acme, "ada@acme.example", good)
		var d store.Directory
		send := func(roles ...any) {
			t.Helper()
			okta := access.Actor{Kind: access.Directory, Org: acme.Org, ID: string(d.ID), Name: "Okta"}
			err := s.db.Command(context.Background(), okta, func(tx *store.Tx) error {
				u, err := tx.User(user)
				if err != nil {
					return err
				}
				doc, err := u.Attributes()
				if err != nil {
					return err
				}
				doc["roles"] = roles
				_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := s.db.Write(context.Background(), acme, func(tx *store.Tx) (err error) {
			d, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b := s.browser()
		b.want(b.post("/login", "email", "ada@acme.example", "password", good), 303, "/account")
		send(map[string]any{"value": "VIEWER"})
		var me struct {
			Roles   []string            `json:"roles"`
			Reasons []map[string]string `json:"role_reasons"`
		}
		read := func() (fromDirectory []map[string]string) {
			t.Helper()
			if err := json.Unmarshal([]byte(b.get("/api/v1/me").body), &me); err != nil {
				t.Fatal(err)
			}
			return slices.DeleteFunc(me.Reasons, func(r map[string]string) bool { return r["kind"] != "scim" })
		}
		got := read()
		if len(got) != 1 || !slices.Contains(me.Roles, "viewer") || got[0]["role"] != "viewer" || got[0]["by"] != "Okta" || got[0]["ref"] != string(d.ID) ||
			got[0]["detail"] != `roles "Viewer"` || !strings.HasSuffix(got[0]["since"], "Z") {
			t.Errorf("me has %v because of %v", me.Roles, got)
		}
		send()
		if got := read(); len(got) != 0 || slices.Contains(me.Roles, "viewer") {
			t.Errorf("taken again, me has %v because of %v", me.Roles, got)
		}
	})
}

var someReference = regexp.MustCompile(`<strong>[A-Z2-7]{5}-[A-Z2-7]{5}</strong>`)

// Whoever has no account must look like whoever has one, at each step.
func TestUnknownAddressesLookLikeKnownOnes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		s.addUser(acme, "bob@acme.example", "") // without a password
		steps := []func(b *browser, address string) answer{
			func(b *browser, a string) answer { return b.post("/login", "email", a) },
			func(b *browser, a string) answer { return b.post("/login", "email", a, "password", "wrong password") },
			func(b *browser, a string) answer {
				return b.post("/o/acme/login", "email", a, "password", "wrong password")
			},
			func(b *browser, a string) answer { return b.post("/password/forgot", "email", a) },
			func(b *browser, a string) answer { // into the lock-out
				var last answer
				for range 6 {
					last = b.post("/login", "email", a, "password", "wrong password")
				}
				return last
			},
		}
		for i, step := range steps {
			var first answer
			for _, address := range []string{"ada@acme.example", "bob@acme.example", "eve@acme.example"} {
				got := step(s.browser(), address)
				got.body = someReference.ReplaceAllString(got.body, "REFERENCE")
				got.body = strings.ReplaceAll(got.body, address, "ADDRESS")
				got.body = strings.ReplaceAll(got.body, url.QueryEscape(address), "ADDRESS")
				if first.status == 0 {
					first = got
				}
				if got != first {
					t.Errorf("step %d: %s is answered %d %s\nthe first %d %s", i+1, address, got.status, got.body, first.status, first.body)
				}
			}
			if i == len(steps)-1 && first.status != 429 {
				t.Errorf("six wrong passwords: %d", first.status)
			}
		}
	})
}

func TestSingleSignOnComesFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@sso.example", good)
		for _, address := range []string{"ada@sso.example", "nobody@sso.example"} {
			b := s.browser()
			b.want(b.post("/login", "email", address, "next", "/account"), 303, "/sso/saml/1/login?next=%2Faccount")
		}
		b := s.browser()
		b.want(b.post("/login", "email", "x@sso.example", "next", "//evil.example"), 303, "/sso/saml/1/login?next=%2Faccount")
		page := b.get("/o/acme/login?next=/account")
		if !strings.Contains(page.body, "Continue with Okta") || !strings.Contains(page.body, "acme Inc") {
			t.Errorf("the organization's page: %s", page.body)
		}
		if got := b.get("/o/nope/login"); got.status != 404 {
			t.Errorf("no such organization: %d", got.status)
		}
		// Who may use a password still can.
		if page := b.get("/login?with=password"); !strings.Contains(page.body, `type="password"`) {
			t.Errorf("with=password: %s", page.body)
		}
		b.want(b.post("/login", "with", "password", "email", "ada@sso.example", "password", good), 303, "/account")
	})
}

func TestRedirectsStayHere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "/%2f/evil.example", "javascript:alert(1)", "\t//evil.example"} {
			b := s.browser()
			b.want(b.post("/login", "email", "ada@acme.example", "password", good, "next", next), 303, "/account")
			b.want(b.get("/login?next="+url.QueryEscape(next)), 303, "/account")
		}
	})
}

func TestSeveralOrganizations(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		globexID, globex := storetest.Org(t, s.db, "globex")
		evilID, evil := storetest.Org(t, s.db, "evil")
		s.addUser(acme, "ada@example.com", good)
		s.addUser(globex, "ada@example.com", good)
		s.addUser(evil, "ada@example.com", good+" not")
		b := s.browser()
		page := b.post("/login", "email", "ada@example.com", "password", good, "next", "/account?a=b")
		b.want(page, 200, "")
		if !strings.Contains(page.body, "acme Inc") || !strings.Contains(page.body, "globex Inc") || strings.Contains(page.body, "evil Inc") {
			t.Fatalf("chooser: %s", page.body)
		}
		token := regexp.MustCompile(`name="choice" value="([^"]+)"`).FindStringSubmatch(page.body)[1]
		b.want(b.post("/login/choose", "choice", token, "org", string(globexID)), 303, "/account?a=b")
		if got := b.get("/api/v1/me"); !strings.Contains(got.body, `"org":"globex"`) {
			t.Errorf("signed in to %s", got.body)
		}
		if got := b.post("/login/choose", "choice", token, "org", string(globexID)); got.status != 410 {
			t.Errorf("the choice a second time: %d", got.status)
		}
		// Another organization than those offered.
		page = s.browser().post("/login", "email", "ada@example.com", "password", good)
		token = regexp.MustCompile(`name="choice" value="([^"]+)"`).FindStringSubmatch(page.body)[1]
		b = s.browser()
		if got := b.post("/login/choose", "choice", token, "org", string(evilID)); got.status != 400 {
			t.Errorf("an organization that was not offered: %d", got.status)
		}
		if got := b.get("/api/v1/me"); got.status != 401 {
			t.Errorf("signed in: %s", got.body)
		}
		// On one organization's page there is nothing to choose.
		b.want(b.post("/o/acme/login", "email", "ada@example.com", "password", good), 303, "/account")
	})
}

var resetLink = regexp.MustCompile(`/password/reset/\S+`)

func (s *site) askReset(b *browser, address string) string {
	s.t.Helper()
	b.want(b.post("/password/forgot", "email", address), 200, "")
	link := resetLink.FindString(s.mails()[0])
	if link == "" {
		s.t.Fatalf("no link in %q", s.mails())
	}
	return link
}

const other = "purple monkey dishwasher lamp"

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		user := s.addUser(acme, "ada@acme.example", good)
		old := s.browser()
		old.want(old.post("/login", "email", "ada@acme.example", "password", good), 303, "/account")

		b := s.browser()
		first := s.askReset(b, "ADA@acme.example")
		link := s.askReset(b, "ada@acme.example")
		for range 3 { // opening consumes nothing: mail scanners do it
			if got := b.get(link); got.status != 200 || !strings.Contains(got.body, "ada@acme.example") {
				t.Fatalf("open: %+v", got)
			}
		}
		if got := b.post(link, "password", "short"); got.status != 400 || !strings.Contains(got.body, "at least 12") {
			t.Errorf("a bad password: %+v", got)
		}
		if got := b.post(link, "password", "ada@acme.example"); got.status != 400 {
			t.Errorf("the address as password: %+v", got)
		}
		b.want(b.post(link, "password", other), 303, "/account")
		b.want(b.get("/account"), 200, "")
		old.want(old.get("/account"), 303, "/login?next=%2Faccount")
		for _, dead := range []string{link, first} {
			if got := b.get(dead); got.status != 410 {
				t.Errorf("GET of a used link: %d", got.status)
			}
			if got := s.browser().post(dead, "password", good); got.status != 410 {
				t.Errorf("POST to a used link: %d", got.status)
			}
		}
		c := s.browser()
		if got := c.post("/login", "email", "ada@acme.example", "password", good); got.status != 400 {
			t.Errorf("the old password: %d", got.status)
		}
		c.want(c.post("/login", "email", "ada@acme.example", "password", other), 303, "/account")
		if got := s.activities(acme, "password.set"); len(got) != 2 || got[0].TargetID != string(user) {
			t.Errorf("recorded %+v", got)
		}
		for _, bad := range []string{"x", acme.Org + "." + strings.Repeat("a", 43), strings.Repeat("a", 4000), "%00", "%ff.x"} {
			if got := c.get("/password/reset/" + bad); got.status != 410 && got.status != 404 {
				t.Errorf("GET /password/reset/%.60s: %d", bad, got.status)
			}
		}
	})
}

func TestAResetLinkWorksOnceAlsoForTwoAtATime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		link := s.askReset(s.browser(), "ada@acme.example")
		var wg sync.WaitGroup
		status := make([]int, 6)
		for i := range status {
			b := s.browser()
			wg.Go(func() { status[i] = b.post(link, "password", other).status })
		}
		wg.Wait()
		done := 0
		for _, code := range status {
			if code == 303 {
				done++
			} else if code != 410 {
				t.Errorf("answered %d", code)
			}
		}
		if done != 1 || len(s.activities(acme, "password.set")) != 2 {
			t.Errorf("used %d times: %v", done, status)
		}
	})
}

func TestResetLinksEnd(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		s := newSite(t, db)
		user := s.addUser(acme, "ada@acme.example", good)
		s.addUser(acme, "second-admin@acme.example", good)
		b := s.browser()
		link := s.askReset(b, "ada@acme.example")
		clock.Pass(time.Hour)
		if got := b.post(link, "password", other); got.status != 410 {
			t.Errorf("after an hour: %d", got.status)
		}
		link = s.askReset(b, "ada@acme.example")
		if err := db.Write(context.Background(), acme, func(tx *store.Tx) error { _, err := tx.Deactivate(user, ""); return err }); err != nil {
			t.Fatal(err)
		}
		if got := b.post(link, "password", other); got.status != 410 {
			t.Errorf("deactivated: %d", got.status)
		}
		clock.Pass(time.Minute)
		if err := db.Write(context.Background(), acme, func(tx *store.Tx) error { _, err := tx.Reactivate(user, ""); return err }); err != nil {
			t.Fatal(err)
		}
		if got := b.post(link, "password", other); got.status != 410 {
			t.Errorf("a link from before, after access was given back: %d", got.status)
		}
		if err := db.Write(context.Background(), acme, func(tx *store.Tx) error { _, err := tx.Deactivate(user, ""); return err }); err != nil {
			t.Fatal(err)
		}
		n := len(s.mails())
		b.post("/password/forgot", "email", "ada@acme.example")
		if len(s.mails()) != n {
			t.Error("a deactivated person got a mail")
		}
		if err := s.account.Sweep(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestForgotTellsManagedPeopleToUseSingleSignOn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ctx := context.Background()
		var dir store.Directory
		err := s.db.Write(ctx, acme, func(tx *store.Tx) (err error) {
			dir, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		okta := access.Actor{Kind: access.Directory, Org: acme.Org, ID: string(dir.ID), Name: "Okta"}
		if err := s.db.Write(ctx, okta, func(tx *store.Tx) error {
			_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "dora@acme.example", Email: "dora@acme.example"}.Doc(), Source: store.FromSCIM})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b := s.browser()
		b.want(b.post("/password/forgot", "email", "dora@acme.example"), 200, "")
		mails := s.mails()
		if len(mails) != 1 || resetLink.MatchString(mails[0]) || !strings.Contains(mails[0], "single sign-on") || !strings.Contains(mails[0], "/o/acme/login") {
			t.Errorf("mails %q", mails)
		}
		// No flood: the answers stay the same, the mails end.
		for range 10 {
			b.want(b.post("/password/forgot", "email", "dora@acme.example"), 200, "")
		}
		if n := len(s.mails()); n != 3 {
			t.Errorf("%d mails after 11 requests, want 3", n)
		}
	})
}

func TestSetUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := newSite(t, db)
		link, needed, err := s.account.EnsureSetupLink(ctx)
		if err != nil || !needed {
			t.Fatal(link, needed, err)
		}
		second, _, err := s.account.EnsureSetupLink(ctx)
		if err != nil || second == link {
			t.Fatal(second, err)
		}
		b := s.browser()
		b.want(b.get(link), 200, "")
		if got := b.get("/setup/nonsense"); got.status != 410 {
			t.Errorf("a wrong link: %d", got.status)
		}
		form := []string{"organization", "Acme & Söhne Inc", "given_name", "Ada", "family_name", "Lovelace", "email", "ada@acme.example", "password"}
		bad := b.post(link, append(form, "password123456")...)
		if bad.status != 400 || !strings.Contains(bad.body, "Choose another password") || !strings.Contains(bad.body, "Acme &amp; Söhne Inc") {
			t.Errorf("a weak password: %+v", bad)
		}
		empty := b.post(link)
		if n := strings.Count(empty.body, `class="error"`); empty.status != 400 || n != 4 {
			t.Errorf("an empty form: %d with %d errors", empty.status, n)
		}
		if got := b.post(link, append(form, good, "slug", "No Such Slug!")...); got.status != 400 {
			t.Errorf("a bad short name: %d", got.status)
		}

		var wg sync.WaitGroup
		status := make([]int, 4)
		browsers := make([]*browser, len(status))
		for i := range status {
			browsers[i] = s.browser()
			wg.Go(func() { status[i] = browsers[i].post([]string{link, second}[i%2], append(form, good)...).status })
		}
		wg.Wait()
		winner := -1
		for i, code := range status {
			if code == 303 {
				if winner >= 0 {
					t.Errorf("two operators: %v", status)
				}
				winner = i
			} else if code != 410 {
				t.Errorf("answers %v", status)
			}
		}
		if winner < 0 {
			t.Fatalf("answers %v", status)
		}
		got := browsers[winner].get("/api/v1/me")
		if !strings.Contains(got.body, `"org":"acme-s-hne-inc"`) || !strings.Contains(got.body, `"roles":["admin"]`) || !strings.Contains(got.body, `"method":"setup"`) {
			t.Errorf("me: %s", got.body)
		}
		if n, err := s.sessions.Operators(ctx); n != 1 || err != nil {
			t.Errorf("%d operators, %v", n, err)
		}
		if url, needed, err := s.account.EnsureSetupLink(ctx); url != "" || needed || err != nil {
			t.Errorf("again: %q, %v, %v", url, needed, err)
		}
		for _, dead := range []string{link, second} {
			if got := b.get(dead); got.status != 410 {
				t.Errorf("a dead link: %d", got.status)
			}
		}
	})
}

func TestSetUpLinksEndAfterADay(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		link, _, err := s.account.EnsureSetupLink(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		clock.Pass(24 * time.Hour)
		if got := s.browser().get(link); got.status != 410 {
			t.Errorf("after a day: %d", got.status)
		}
	})
}

func TestSignOutEverywhereElse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		s.addUser(acme, "ada@acme.example", good)
		a, b := s.browser(), s.browser()
		for _, x := range []*browser{a, b} {
			x.want(x.post("/login", "email", "ada@acme.example", "password", good), 303, "/account")
		}
		if page := a.get("/account/sessions"); strings.Count(page.body, `name="session"`) != 1 || strings.Count(page.body, "This one") != 1 {
			t.Errorf("page %s", page.body)
		}
		a.want(a.post("/account/sessions/end"), 303, "/account/sessions")
		a.want(a.get("/account"), 200, "")
		b.want(b.get("/account"), 303, "/login?next=%2Faccount")
		// A new sign-in makes a new session and ends the browser's old one.
		before := a.get("/api/v1/me").body
		a.want(a.post("/login", "email", "ada@acme.example", "password", good), 303, "/account")
		if after := a.get("/api/v1/me").body; before == after {
			t.Error("the session is the same after a new sign-in")
		}
		var n int
		if err := s.db.Lookup(context.Background(), &n, "SELECT count(*) FROM sessions"); err != nil || n != 1 {
			t.Errorf("%d sessions, %v", n, err)
		}
	})
}

func TestFormsPointAtTheirErrors(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		for path, form := range map[string][]string{
			"/login":           {},
			"/password/forgot": {},
		} {
			got := s.browser().post(path, form...)
			doc := webtest.Page(t, got.body)
			for _, in := range webtest.All(doc, "input") {
				if webtest.Attr(in, "name") == "email" && webtest.Attr(in, "aria-invalid") != "true" {
					t.Errorf("%s: the field is not marked", path)
				}
			}
			if got.status != 400 || !strings.Contains(got.body, `href="#f-email"`) {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	})
}
