package main

import (
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// named is the whole program behind a name, for which browsers make passkeys.
type named struct {
	*system
	t     *testing.T
	url   string
	org   store.OrgID
	admin access.Actor // Muster in acme
	clock *storetest.Clock
	ada   store.User
}

func eachNamed(t *testing.T, f func(t *testing.T, n *named)) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		n := &named{t: t, clock: clock}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.mux.ServeHTTP(w, r) }))
		t.Cleanup(server.Close)
		n.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
		cfg, err := config.Load(config.Input{Env: []string{"MUSTER_PUBLIC_URL=" + n.url}})
		if err != nil {
			t.Fatal(err)
		}
		if n.system, err = build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		n.org, n.admin = storetest.Org(t, db, "acme")
		n.ada = n.person("ada@none.example")
		f(t, n)
	})
}

func (n *named) person(address string, roles ...string) store.User {
	n.t.Helper()
	return (&inside{system: n.system, t: n.t}).user(n.admin, func() store.NewUser {
		u := newcomer(address)
		u.Roles, u.Reason = roles, store.Manual
		return u
	}(), goodPassword)
}

func (n *named) policy(ch policy.Change) {
	n.t.Helper()
	if _, err := n.system.policy.Set(n.t.Context(), n.admin, ch); err != nil {
		n.t.Fatal(err)
	}
}

func second(rule policy.Second) policy.Change { return policy.Change{Second: &rule} }

// post sends a form to a path, as the page that it is on would.
func (v *visitor) post(target string, fields ...string) *visitor {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r, err := http.NewRequest("POST", target, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	v.took(v.client.Do(r))
	if strings.HasPrefix(v.page, "<!doctype") {
		webtest.Page(v.t, v.page)
	}
	return v
}

func (n *named) signIn(address string) *visitor {
	n.t.Helper()
	return newVisitor(n.t).post(n.url+"/login", "email", address, "password", goodPassword)
}

// at fails unless the browser is on this page with this status.
func (v *visitor) is(path string, status int, words ...string) *visitor {
	v.t.Helper()
	if v.at.Path != path || v.status != status {
		v.t.Fatalf("at %s with %d, want %s with %d:\n%s", v.at, v.status, path, status, v.page)
	}
	for _, w := range words {
		if !strings.Contains(html.UnescapeString(v.page), w) {
			v.t.Errorf("%s does not say %q:\n%s", path, w, v.page)
		}
	}
	return v
}

var (
	keyTag     = regexp.MustCompile(`<code class="key">([^<]+)</code>`)
	codeTag    = regexp.MustCompile(`<li>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})</li>`)
	optionsTag = regexp.MustCompile(`data-options="([^"]+)"`)
)

// code is what the app shows, so many steps from now.
func (n *named) code(seed string, steps int) string {
	n.t.Helper()
	code, err := totp.GenerateCode(seed, n.clock.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		n.t.Fatal(err)
	}
	return code
}

func (v *visitor) codes() (list []string) {
	for _, m := range codeTag.FindAllStringSubmatch(v.page, -1) {
		list = append(list, m[1])
	}
	return list
}

func (v *visitor) seed() string {
	v.t.Helper()
	m := keyTag.FindStringSubmatch(v.page)
	if m == nil {
		v.t.Fatalf("%s shows no key:\n%s", v.at, v.page)
	}
	return strings.ReplaceAll(m[1], " ", "")
}

// addApp sets an authenticator app up on the page of the account.
func (n *named) addApp(v *visitor) (seed string, codes []string) {
	n.t.Helper()
	v.open(n.url+"/account/authenticator").submit("/account/authenticator/new").is("/account/authenticator/new", 200)
	seed = v.seed()
	v.submit("/account/authenticator", "code", "000 000").is("/account/authenticator", 400, "not the code")
	if v.seed() != seed {
		n.t.Fatal("a wrong code makes a new key: the picture was taken for nothing")
	}
	v.submit("/account/authenticator", "code", n.code(seed, 0)).is("/account/authenticator", 200, "shown this once")
	return seed, v.codes()
}

func (n *named) amr(v *visitor) string {
	n.t.Helper()
	_, me := v.me(n.url)
	s, _ := me["session"].(map[string]any)
	amr, _ := s["amr"].(string)
	return amr
}

// refusals are the newest refused sign-ins: check and reference.
func (n *named) refusals() (list []string) {
	n.t.Helper()
	err := n.db.Read(context.Background(), n.admin, func(tx *store.Tx) error {
		acts, err := tx.Activities(store.ActivityQuery{Action: "user.signin.refused"})
		for _, a := range acts {
			check, _ := a.Detail["check"].(string)
			reference, _ := a.Detail["reference"].(string)
			list = append(list, check+" "+reference)
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

func TestASecondFactorIsAskedAfterThePassword(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		v := n.signIn("ada@none.example").is("/account", 200)
		seed, codes := n.addApp(v)
		if len(codes) != 10 || n.amr(v) != "pwd" {
			t.Fatalf("codes %v, amr %q", codes, n.amr(v))
		}
		v = n.signIn("ada@none.example").is("/login/second", 200, "One more step", "ada@none.example")
		if status, _ := v.me(n.url); status != http.StatusUnauthorized {
			t.Errorf("the password alone opens a session: %d", status)
		}
		v.open(n.url+"/login/second").submit("/login/second", "code", n.code(seed, 0)).is("/login/second", 400, "That code is not right", "Reference")
		if list := n.refusals(); len(list) != 1 || !strings.HasPrefix(list[0], "second factor ") || !strings.Contains(v.page, strings.TrimPrefix(list[0], "second factor ")) {
			t.Errorf("refusals %v", list)
		}
		n.clock.Pass(30 * time.Second)
		v.submit("/login/second", "code", n.code(seed, 0)).is("/account", 200)
		if amr := n.amr(v); amr != "pwd otp mfa" {
			t.Errorf("amr %q", amr)
		}
		// The step is used up, and its cookie is gone.
		v.open(n.url+"/login/second").is("/account", 200)
		// Another browser with the same password gets nowhere with the same code.
		v = n.signIn("ada@none.example").is("/login/second", 200)
		v.submit("/login/second", "code", n.code(seed, 0)).is("/login/second", 400)
		v.submit("/login/second", "code", strings.ToLower(codes[0])).is("/account", 200)
		for _, c := range codes[1:7] {
			n.clock.Pass(time.Minute)
			v = n.signIn("ada@none.example").submit("/login/second", "code", c).is("/account", 200)
		}
		if !strings.Contains(v.page, "3 recovery codes left") {
			t.Errorf("no word of the few codes: %s", v.page)
		}
		n.signIn("ada@none.example").submit("/login/second", "code", codes[0]).is("/login/second", 400)
	})
}

// The step is bound to the browser, to minutes, and to the password that was right.
func TestTheSecondStepIsOfOneBrowser(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		v := n.signIn("ada@none.example")
		seed, _ := n.addApp(v)
		n.clock.Pass(time.Minute)
		v = n.signIn("ada@none.example").is("/login/second", 200)
		page := v.page
		other := newVisitor(t)
		other.at, other.page = v.at, page
		other.submit("/login/second", "code", n.code(seed, 0)).is("/login", 200, "took too long")
		for _, cookie := range []string{"", "x", string(n.org) + ".short", strings.Repeat("0", 32) + "." + strings.Repeat("A", 43), string(n.org) + "." + strings.Repeat("A", 43)} {
			r := httptest.NewRequest("POST", "/login/second", strings.NewReader("code="+n.code(seed, 0)))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.AddCookie(&http.Cookie{Name: "muster-step", Value: cookie})
			w := httptest.NewRecorder()
			n.mux.ServeHTTP(w, r)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login" {
				t.Errorf("cookie %.40q: %d to %s", cookie, w.Code, w.Header().Get("Location"))
			}
		}
		n.clock.Pass(11 * time.Minute)
		v.submit("/login/second", "code", n.code(seed, 0)).is("/login", 200, "took too long")

		// Somebody else sets a new password while the thief looks for the code.
		v = n.signIn("ada@none.example").is("/login/second", 200)
		hash, err := n.passwords.Hash(t.Context(), "another-good-password-9")
		if err != nil {
			t.Fatal(err)
		}
		n.clock.Pass(time.Second)
		if err := n.db.Write(t.Context(), n.admin, func(tx *store.Tx) error { return n.passwords.Set(tx, n.ada.ID, hash) }); err != nil {
			t.Fatal(err)
		}
		v.submit("/login/second", "code", n.code(seed, 0)).is("/login", 200, "password was changed meanwhile")
	})
}

// Five wrong codes and the account waits, whatever comes, on every server.
func TestGuessingACodeIsHeldUp(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		seed, _ := n.addApp(n.signIn("ada@none.example"))
		n.clock.Pass(time.Minute)
		v := n.signIn("ada@none.example")
		for range 5 {
			v.submit("/login/second", "code", "000000").is("/login/second", 400)
		}
		v.submit("/login/second", "code", n.code(seed, 0)).is("/login/second", 429, "too many attempts")
		again := n.signIn("ada@none.example").is("/login/second", 200)
		again.submit("/login/second", "code", n.code(seed, 0)).is("/login/second", 429)
		n.clock.Pass(61 * time.Second)
		again.submit("/login/second", "code", n.code(seed, 0)).is("/account", 200)
		if n := len(n.refusals()); n != 5 {
			t.Errorf("%d refusals are written down", n)
		}
	})
}

// Whoever reads the mail sets a new password, and still needs the second factor.
func TestAResetDoesNotPassTheSecondFactor(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		seed, _ := n.addApp(n.signIn("ada@none.example"))
		n.clock.Pass(time.Minute)
		link := n.resetLink("ada@none.example")
		v := newVisitor(t).post(link, "password", "another-good-password-9").is("/login/second", 200, "Your new password is set.")
		if status, _ := v.me(n.url); status != http.StatusUnauthorized {
			t.Errorf("the link opens a session: %d", status)
		}
		v.open(n.url+"/login/enroll").is("/login/second", 200)
		v.submit("/login/second", "code", n.code(seed, 0)).is("/account", 200)
	})
}

var resetPath = regexp.MustCompile(`/password/reset/\S+`)

func (n *named) resetLink(address string) string {
	n.t.Helper()
	newVisitor(n.t).post(n.url+"/password/forgot", "email", address)
	if err := n.account.SendAsked(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	var texts []string
	if err := n.db.LookupAll(n.t.Context(), &texts, "SELECT text FROM mails ORDER BY id DESC"); err != nil {
		n.t.Fatal(err)
	}
	for _, text := range texts {
		if path := resetPath.FindString(text); path != "" {
			return n.url + path
		}
	}
	n.t.Fatalf("no link in %v", texts)
	return ""
}

// Where everybody must have one, whoever has none makes it before the session starts, and
// whoever has one cannot make another with the password alone.
func TestASecondFactorIsRequired(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		running := n.signIn("ada@none.example").is("/account", 200)
		n.person("boss@none.example", access.Admin)
		e, err := n.system.policy.Preview(t.Context(), n.admin, second(policy.SecondAdmins))
		if err != nil || !e.Asked || e.Without != 1 || len(e.Names) != 1 {
			t.Errorf("preview for admins: %+v, %v", e, err)
		}
		n.policy(second(policy.SecondAdmins))
		n.signIn("ada@none.example").is("/account", 200)
		n.signIn("boss@none.example").is("/login/enroll", 200)
		e, err = n.system.policy.Preview(t.Context(), n.admin, second(policy.SecondAll))
		if err != nil || e.Without != 2 {
			t.Errorf("preview for all: %+v, %v", e, err)
		}
		n.policy(second(policy.SecondAll))
		if status, _ := running.me(n.url); status != http.StatusOK {
			t.Errorf("a running session has ended: %d", status)
		}
		v := n.signIn("ada@none.example").is("/login/enroll", 200, "Add a second factor", "Authenticator app", "Passkey")
		thief := n.signIn("ada@none.example").is("/login/enroll", 200) // at the same time
		if status, _ := v.me(n.url); status != http.StatusUnauthorized {
			t.Errorf("a session before the factor: %d", status)
		}
		v.open(n.url + "/login/enroll")
		seed := v.seed()
		submitApp(v, "000000").is("/login/enroll", 400, "not the code")
		if v.seed() != seed {
			t.Fatal("a wrong code makes a new key")
		}
		first := newVisitor(t)
		*first = *thief
		submitApp(v, n.code(seed, 0)).is("/login/enroll", 200, "shown this once", "app is set up")
		if amr := n.amr(v); amr != "pwd otp mfa" {
			t.Errorf("amr %q", amr)
		}
		submitApp(first, n.code(first.seed(), 0)).is("/login/second", 200) // too late: there is one
		n.clock.Pass(time.Minute)
		n.signIn("ada@none.example").is("/login/second", 200).open(n.url+"/login/enroll").is("/login/second", 200)
		// The last one cannot be taken away while it must be there.
		v = n.signIn("ada@none.example").submit("/login/second", "code", n.code(seed, 0)).is("/account", 200)
		v.open(n.url+"/account/authenticator").submit("/account/authenticator/remove").is("/account/authenticator/remove", 409, "only one")
		n.policy(second(policy.SecondOff))
		n.signIn("ada@none.example").is("/account", 200)
	})
}

// submitApp posts the form of the app on the page that makes a first factor.
func submitApp(v *visitor, code string) *visitor {
	v.t.Helper()
	ticket := regexp.MustCompile(`(?s)<code class="key">.*?name="ticket" value="([^"]+)"`).FindStringSubmatch(v.page)
	if ticket == nil {
		v.t.Fatalf("no form for an app:\n%s", v.page)
	}
	at := *v.at
	at.RawQuery = ""
	return v.post(at.String(), "ticket", ticket[1], "code", code)
}

// An admin resets what somebody has lost, for a reason that is told and kept.
func TestAnAdminResetsFactors(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		n.person("boss@none.example", access.Admin)
		boss, v := n.signIn("boss@none.example"), n.signIn("ada@none.example")
		n.addApp(v)
		n.addPasskey(v, n.device())
		page := n.url + "/console/acme/users/" + string(n.ada.ID) + "/factors"
		boss.open(page).is("/console/acme/users/"+string(n.ada.ID)+"/factors", 200, "Work laptop", "Recovery codes left")
		boss.submit("/factors").is("/console/acme/users/"+string(n.ada.ID)+"/factors", 400, "Say why")
		boss.submit("/factors", "why", "telephone lost").is("/console/acme/users/"+string(n.ada.ID)+"/factors", 200, "told by mail", "none")
		if status, _ := v.me(n.url); status != http.StatusUnauthorized {
			t.Errorf("the session goes on: %d", status)
		}
		n.signIn("ada@none.example").is("/account", 200)
		var texts []string
		if err := n.db.LookupAll(t.Context(), &texts, "SELECT text FROM mails WHERE subject = 'Your second factors were removed'"); err != nil || len(texts) != 1 || !strings.Contains(texts[0], "telephone lost") {
			t.Errorf("mails %v, %v", texts, err)
		}
		// Not one's own, not without the permission, not of another organization.
		if err := n.system.policy.ResetFactors(t.Context(), access.Actor{Kind: access.Person, Org: string(n.org), ID: string(n.ada.ID), Roles: []string{access.Admin}}, n.ada.ID, "mine"); err == nil {
			t.Error("one's own")
		}
		if err := n.system.policy.ResetFactors(t.Context(), access.Actor{Kind: access.Person, Org: string(n.org), ID: string(store.NewID[store.User]()), Roles: []string{access.Viewer}}, n.ada.ID, "x"); err == nil {
			t.Error("a viewer")
		}
		_, other := storetest.Org(t, n.db, "beta")
		if err := n.system.policy.ResetFactors(t.Context(), other, n.ada.ID, "x"); err == nil {
			t.Error("another organization")
		}
		glass, one := n.person("glass@none.example", access.Admin), n.person("one@none.example", access.Admin)
		n.addPasskey(n.signIn("glass@none.example"), n.device())
		if _, err := n.system.policy.AddAccount(t.Context(), n.admin, glass.ID); err != nil {
			t.Fatal(err)
		}
		by := access.Actor{Kind: access.Person, Org: n.admin.Org, ID: string(one.ID), Name: "One", Roles: []string{access.Admin}}
		if err := n.system.policy.ResetFactors(t.Context(), by, glass.ID, "x"); !fault.Is(err, fault.Denied) {
			t.Errorf("a break-glass account is in an admin's hands: %v", err)
		}
	})
}

// What matters asks once more for what the person has, not for the password alone.
func TestAStepUpAsksForTheSecondFactor(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		v := n.signIn("ada@none.example")
		seed, codes := n.addApp(v)
		d := n.device()
		n.addPasskey(v, d)
		again := func() *visitor {
			n.clock.Pass(20 * time.Minute)
			v.open(n.url + "/account/recovery-codes")
			return v.submit("/account/recovery-codes").is("/account/recovery-codes", 403, "Is it you?", "Confirm with a passkey")
		}
		confirm := func(fields ...string) *visitor {
			return v.post(n.url+"/account/recovery-codes", fields...)
		}
		again()
		confirm("step_up_password", goodPassword).is("/account/recovery-codes", 403, "That code is not right")
		confirm("step_up_password", "wrong", "step_up_code", n.code(seed, 0)).is("/account/recovery-codes", 403, "That is not your password")
		confirm("step_up_password", goodPassword, "step_up_code", n.code(seed, 0)).is("/account/recovery-codes", 200, "shown this once")
		if amr := n.amr(v); amr != "pwd otp mfa" {
			t.Errorf("amr %q", amr)
		}
		again()
		confirm("step_up_password", goodPassword, "step_up_code", codes[1]).is("/account/recovery-codes", 403) // replaced just now
		page := again()
		ticket := regexp.MustCompile(`name="step_up_ticket" value="([^"]+)"`).FindStringSubmatch(page.page)[1]
		answer := d.answer(page)
		confirm("step_up_ticket", ticket, "step_up_answer", answer).is("/account/recovery-codes", 200, "shown this once")
		again()
		confirm("step_up_ticket", ticket, "step_up_answer", answer).is("/account/recovery-codes", 403)
		// Guesses at the code are held up although the password is right each time.
		again()
		for range 5 {
			confirm("step_up_password", goodPassword, "step_up_code", "000000")
		}
		confirm("step_up_password", goodPassword, "step_up_code", n.code(seed, 0)).is("/account/recovery-codes", 403, "too many attempts")
	})
}

// Somebody who was invited makes the second factor after the password, and is in then.
func TestAnInvitedPersonMakesASecondFactor(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		n.policy(second(policy.SecondAll))
		made, err := n.invites.Invite(t.Context(), n.admin, invite.In{Email: "new@none.example", GivenName: "Nova", FamilyName: "New", Role: access.Agent})
		if err != nil {
			t.Fatal(err)
		}
		v := newVisitor(t).open(made.Link).post(made.Link, "password", goodPassword).is("/login/enroll", 200, "Add a second factor")
		if status, _ := v.me(n.url); status != http.StatusUnauthorized {
			t.Errorf("a session before the factor: %d", status)
		}
		d := n.device()
		v.open(n.url+"/login/enroll").submit("/login/enroll/passkey", "answer", d.answer(v), "name", "Telephone").is("/login/enroll/passkey", 200, "shown this once")
		if amr := n.amr(v); amr != "pwd hwk mfa" {
			t.Errorf("amr %q", amr)
		}
		n.withPasskey("/login", d).is("/account", 200)
	})
}
