package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/store"
)

// counted are what the attempts of do were counted for, by kind.
func (n *named) counted(do func()) string {
	n.t.Helper()
	err := n.db.Write(n.t.Context(), n.admin, func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM signin_attempts")
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	do()
	var list []string
	if err := n.db.LookupAll(n.t.Context(), &list, "SELECT subject FROM signin_attempts WHERE attempts > 0"); err != nil {
		n.t.Fatal(err)
	}
	for i, subject := range list {
		list[i], _, _ = strings.Cut(subject, ":")
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Every door at which something can be guessed counts a wrong answer for the account, for
// its address and for the network, in the database, before it has looked at it.
func TestEveryDoorCountsGuesses(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		const (
			word    = "account address ip"
			beside  = "ip second second-address"
			claimed = "ip passkey passkey-address"
		)
		seed, _ := n.addApp(n.signIn("ada@none.example"))
		n.clock.Pass(time.Minute)
		in := n.signIn("ada@none.example")
		in.post(n.url+"/login/second", "code", n.code(seed, 0)).is("/account", 200)
		real, wrong := n.device(), n.device()
		n.addPasskey(in, real)
		wrong.auth.Options.UserHandle = real.auth.Options.UserHandle
		boss := n.person("boss@none.example", access.Admin)
		if _, err := n.system.policy.AddAccount(t.Context(), n.admin, boss.ID); err != nil {
			t.Fatal(err)
		}
		n.person("bob@none.example")
		bob := n.signIn("bob@none.example")
		n.person("eve@none.example")
		n.policy(policy.Change{Second: new(policy.SecondAll)})
		second := func() *visitor { return n.signIn("ada@none.example").is("/login/second", 200) }
		n.clock.Pass(20 * time.Minute) // what matters asks once more
		for _, c := range []struct {
			door, want string
			do         func()
		}{
			{"a password", word, func() { newVisitor(t).post(n.url+"/login", "email", "bob@none.example", "password", "wrong") }},
			{"a password of nobody's", "address ip nobody", func() { newVisitor(t).post(n.url+"/login", "email", "who@none.example", "password", "wrong") }},
			{"a passkey", claimed, func() { n.withPasskey("/login", wrong).is("/login/passkey", 400) }},
			{"a code of the app", beside, func() { second().post(n.url+"/login/second", "code", "000000").is("/login/second", 400) }},
			{"a recovery code", beside, func() { second().post(n.url+"/login/second", "code", "AAAA-BBBB-CCCC-DDDD").is("/login/second", 400) }},
			{"a passkey beside the password", beside, func() {
				v := second()
				v.submit("/login/second/passkey", "answer", wrong.answer(v)).is("/login/second/passkey", 400)
			}},
			{"the first app, where one is required", beside, func() {
				v := n.signIn("eve@none.example")
				v.page = between(v.page, `id="app"`, "<footer")
				v.submit("/login/enroll", "code", "000000").is("/login/enroll", 400)
			}},
			{"a code of a break-glass account", beside, func() {
				n.signIn("boss@none.example").submit("/login/code", "code", "AAAA-BBBB-CCCC-DDDD").is("/login/code", 400)
			}},
			{"the password, once more", beside, func() {
				bob.post(n.url+"/account/authenticator/new", "step_up_password", "wrong").is("/account/authenticator/new", 403)
			}},
			{"the password with a code, once more", beside, func() {
				in.post(n.url+"/account/recovery-codes", "step_up_password", goodPassword, "step_up_code", "000000").is("/account/recovery-codes", 403)
			}},
			{"a passkey, once more", beside, func() {
				in.post(n.url + "/account/recovery-codes")
				in.post(n.url+"/account/recovery-codes", "step_up_ticket", between(in.page, `name="step_up_ticket" value="`, `"`), "step_up_answer", wrong.answer(in)).is("/account/recovery-codes", 403)
			}},
			{"the password, for a new address", beside, func() {
				bob.post(n.url+"/account/address", "email", "b@home.example", "step_up_password", "wrong").is("/account/address", 403)
			}},
			{"the password, for a new one", beside, func() {
				bob.post(n.url+"/account/password", "current_password", "wrong", "password", "violet tractor on the moon").is("/account/password", 400)
			}},
			{"a new app", beside, func() {
				bob.post(n.url+"/account/authenticator/new", "step_up_password", goodPassword).is("/account/authenticator/new", 200)
				bob.submit("/account/authenticator", "code", "000000").is("/account/authenticator", 400)
			}},
			{"a forgotten password", "mail mail-account mail-ip", func() {
				newVisitor(t).post(n.url+"/password/forgot", "email", "bob@none.example").is("/password/forgot", 200)
				if err := n.account.SendAsked(t.Context()); err != nil {
					t.Fatal(err)
				}
			}},
		} {
			got := n.counted(c.do)
			// The password that comes before has left nothing: it was right.
			if got != c.want {
				t.Errorf("%s is counted for %q, want %q", c.door, got, c.want)
			}
		}
	})
}

// Each sign-in and each refusal says from what device, address and when, to the person and
// to an admin, who finds those of one person.
func TestALoginHistoryNamesTheDevice(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		const agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0"
		from := func(v *visitor, password string) {
			r, err := http.NewRequest("POST", n.url+"/login", strings.NewReader(url.Values{"email": {"ada@none.example"}, "password": {password}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("User-Agent", agent)
			v.took(v.client.Do(r))
		}
		ada, boss := newVisitor(t), n.person("boss@none.example", access.Admin)
		from(ada, "wrong")
		from(ada, goodPassword)
		for _, words := range []string{"Firefox on Windows", "127.0.0.1", "Wrong password", "Signed in", "Password"} {
			ada.open(n.url+"/account/signins").is("/account/signins", 200, words)
		}
		ada.open(n.url+"/account/sessions").is("/account/sessions", 200, "Firefox on Windows", "Last used")
		admin := n.signIn(boss.UserName)
		admin.open(n.url+"/console/acme/users/"+string(n.ada.ID)).is("/console/acme/users/"+string(n.ada.ID), 200, "Firefox on Windows", "All sign-ins of")
		admin.open(n.url+"/console/acme/signins?person="+string(n.ada.ID)).is("/console/acme/signins", 200, "Firefox on Windows", "127.0.0.1", "wrong password")
		if strings.Contains(admin.page, "boss@none.example") {
			t.Error("sign-ins of others are among them")
		}
		if admin.open(n.url + "/api/v1/signins?person=" + string(n.ada.ID)); strings.Count(admin.page, `"device":"Firefox on Windows"`) != 2 {
			t.Errorf("REST API: %s", admin.page)
		}
	})
}
