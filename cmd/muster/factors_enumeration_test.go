package main

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What is made anew for each page.
var (
	somePasskey = regexp.MustCompile(`data-options="[^"]*"`)
	someTicket  = regexp.MustCompile(`name="ticket" value="[^"]*"`)
)

// plain is an answer without what is made anew for each.
func (a answered) plain() answered {
	a.body = someTicket.ReplaceAllString(somePasskey.ReplaceAllString(a.body, "OPTIONS"), "TICKET")
	mark := a.header.Get("Set-Cookie")
	if at, _, ok := strings.Cut(mark, "="); ok {
		a.header.Set("Set-Cookie", at)
	}
	return a
}

// Addresses with and without passkeys, apps and codes look alike, known or unknown, before
// the password and with a wrong one: the same page, after the same statements.
func TestNobodySeesWhoHasASecondFactor(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		b := newInsideAt(t, db, seen, "http://localhost:8080")
		n := &named{system: b.system, t: t, url: b.url, org: store.OrgID(b.admin.Org), admin: b.admin}
		has := func(address string, app bool, keys int) {
			t.Helper()
			u := b.user(b.admin, newcomer(address), goodPassword)
			who := access.Actor{Kind: access.Person, Org: b.admin.Org, ID: string(u.ID)}
			for range keys {
				d := n.device()
				v := &visitor{t: t}
				err := db.Read(context.Background(), b.admin, func(tx *store.Tx) error {
					c, err := b.factors.BeginPasskey(tx, "x", u.ID, "acme")
					v.page = `data-options="` + strings.ReplaceAll(c.Options, `"`, "&#34;") + `"`
					made, err2 := b.factors.CheckPasskey(t.Context(), "x", tx.Org(), u.ID, c.Ticket, d.answer(v))
					if err == nil {
						err = err2
					}
					if err != nil {
						return err
					}
					return db.Write(context.Background(), who, func(tx *store.Tx) error { _, err := b.factors.AddPasskey(tx, made, "x"); return err })
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if app {
				err := db.Write(context.Background(), who, func(tx *store.Tx) error {
					_, err := tx.Exec("INSERT INTO authenticators (org_id, user_id, seed, last_step, created_at) VALUES (?, ?, ?, 0, ?)", tx.Org(), u.ID, []byte("sealed"), tx.Now())
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		has("nothing@none.example", false, 0)
		has("app@none.example", true, 0)
		has("key@none.example", false, 1)
		has("both@none.example", true, 3)
		rule := policy.SecondAll
		if _, err := b.policy.Set(t.Context(), b.admin, policy.Change{Second: &rule}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/login", "/o/acme/login"} {
			for what, password := range map[string]string{"the address": "", "a wrong password": "not this one at all"} {
				form := func(address string) url.Values {
					f := url.Values{"email": {address}}
					if password != "" {
						f.Set("password", password)
					}
					return f
				}
				b.askFrom("192.0.2.9", path, form("warm@none.example"))
				first := b.askFrom("198.51.100.1", path, form("unknown@none.example")).plain()
				if !strings.Contains(first.body, "data-passkey") || len(first.statements) == 0 {
					t.Fatalf("%s, %s: no passkey is offered: %s", path, what, first.body)
				}
				if password != "" {
					first.statements = nil // those of who is known are compared with one another
				}
				for i, address := range []string{"nothing@none.example", "app@none.example", "key@none.example", "both@none.example"} {
					got := b.askFrom("198.51.100."+string(rune('2'+i)), path, form(address)).plain()
					if first.statements == nil {
						first.statements = got.statements
					}
					if how := first.differs(got); how != "" {
						t.Errorf("%s, %s: %s differs from somebody unknown by %s", path, what, address, how)
					}
				}
			}
		}
		// The proof of a passkey that is nobody's, another's or removed gets one answer.
		var answers []answered
		for _, d := range []*device{n.device(), n.device()} {
			v := newVisitor(t)
			page := b.askFrom("203.0.113.1", "/login", url.Values{"email": {"x@none.example"}})
			v.page = page.body
			d.auth.Options.UserHandle = make([]byte, 32)
			ticket := regexp.MustCompile(`name="ticket" value="([^"]*)"`).FindStringSubmatch(page.body)[1]
			cookie := strings.TrimPrefix(strings.SplitN(page.header.Get("Set-Cookie"), ";", 2)[0], "muster-browser=")
			b.mark = cookie
			answers = append(answers, b.askFrom("203.0.113.1", "/login/passkey", url.Values{"email": {"x@none.example"}, "ticket": {ticket}, "answer": {d.answer(v)}}).plain())
			b.mark = ""
		}
		if answers[0].status != 400 || !strings.Contains(answers[0].body, "does not open an account here") {
			t.Errorf("an unknown passkey: %d %s", answers[0].status, answers[0].body)
		}
		if how := answers[0].differs(answers[1]); how != "" {
			t.Errorf("two unknown passkeys differ by %s", how)
		}
	})
}
