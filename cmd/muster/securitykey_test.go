package main

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/store"
)

// addKey registers a security key that has no PIN.
func (n *named) addKey(v *visitor, d *device) {
	n.t.Helper()
	d.auth.Options.UserNotVerified = true
	v.post(n.url+"/account/passkeys/new", "kind", "key").is("/account/passkeys/new", 200, "press its button")
	v.submit("/account/passkeys", "answer", d.answer(v), "name", "Blue key").is("/account/passkeys", 200, "Your security key is set up")
}

// A security key without a PIN is a second factor after the password, at a sign-in and at
// a step-up, and opens nothing alone.
func TestASecurityKeyWithoutAPIN(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		v, d := n.signIn("ada@none.example"), n.device()
		n.addKey(v, d)
		v.open(n.url+"/account/passkeys").is("/account/passkeys", 200, "Blue key", "Stands beside your password")
		n.withPasskey("/login", d).is("/login/passkey", 400, "does not open an account here")
		v = n.signIn("ada@none.example").is("/login/second", 200, "security key")
		v.submit("/login/second/passkey", "answer", d.answer(v)).is("/account", 200)
		if amr := n.amr(v); amr != "pwd hwk mfa" {
			t.Errorf("amr %q", amr)
		}
		// Without recovery codes there is no code to type: then the key it is, with the password.
		err := n.db.Write(t.Context(), n.admin, func(tx *store.Tx) error {
			_, err := tx.Exec("DELETE FROM recovery_codes WHERE org_id = ?", tx.Org())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n.clock.Pass(20 * time.Minute)
		const at = "/account/recovery-codes"
		ask := func() *visitor {
			return v.post(n.url+at).is(at, 403, "Confirm with the password and a security key")
		}
		if page := ask().page; strings.Contains(page, `name="step_up_code"`) || strings.Contains(page, "Confirm with a passkey") {
			t.Errorf("other ways are offered: %s", page)
		}
		ticket := func() string { return between(ask().page, `name="step_up_ticket" value="`, `"`) }
		v.post(n.url+at, "step_up_password", goodPassword).is(at, 403)
		v.post(n.url+at, "step_up_ticket", ticket(), "step_up_answer", d.answer(v)).is(at, 403, "not your password")
		v.post(n.url+at, "step_up_password", "wrong", "step_up_ticket", ticket(), "step_up_answer", d.answer(v)).is(at, 403, "not your password")
		v.post(n.url+at, "step_up_password", goodPassword, "step_up_ticket", ticket(), "step_up_answer", d.answer(v)).is(at, 200, "shown this once")

		// The first one is made at a sign-in, where it is required.
		n.policy(second(policy.SecondAll))
		n.person("bob@none.example", access.Agent)
		bob, his := n.signIn("bob@none.example").is("/login/enroll", 200, "Security key"), n.device()
		his.auth.Options.UserNotVerified = true
		key := between(bob.page, `id="key"`, `id="app"`)
		bob.page = key
		bob.submit("/login/enroll/passkey", "answer", his.answer(bob)).is("/login/enroll/passkey", 200, "Your security key is set up")
		if amr := n.amr(bob); amr != "pwd hwk mfa" {
			t.Errorf("amr %q", amr)
		}
		// Whoever has no password has nothing that it could stand beside.
		n.withoutPassword("ada@none.example")
		v.post(n.url+"/account/passkeys/new", "kind", "key").is("/account/passkeys/new", 409, "stands beside a password")
	})
}

// between is what stands in a text after one mark and before the next.
func between(text, after, before string) string {
	_, text, _ = strings.Cut(text, after)
	text, _, _ = strings.Cut(text, before)
	return text
}

// withoutPassword makes somebody a person who signs in with a passkey alone.
func (n *named) withoutPassword(address string) {
	n.t.Helper()
	err := n.db.Write(n.t.Context(), n.admin, func(tx *store.Tx) error {
		u, err := tx.UserByName(address)
		if err == nil {
			_, err = tx.Exec("DELETE FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), u.ID)
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// A new address is for whoever proves who they are in that very moment, with what they
// have: the password, with a code where there is a second factor, a passkey, or a code of
// the app where there is no password.
func TestWhoMayAskForANewAddress(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		const at = "/account/address"
		v := n.signIn("ada@none.example")
		post := func(fields ...string) *visitor {
			return v.post(n.url+at, append([]string{"email", "new@home.example"}, fields...)...)
		}
		done := func() {
			t.Helper()
			v.is("/account/profile", 200, "new@home.example waits")
			v.submit("/account/address/cancel").is("/account/profile", 200)
		}
		v.post(n.url+at, "email", "nonsense").is(at, 400, "is not an e-mail address")
		post().is(at, 403, "Is it you?", "take the account away").submit(at, "step_up_password", "wrong").is(at, 403, "That is not your password")
		v.submit(at, "step_up_password", goodPassword)
		done()
		seed, _ := n.addApp(v)
		post("step_up_password", goodPassword).is(at, 403, "That code is not right")
		n.clock.Pass(time.Minute)
		post("step_up_password", goodPassword, "step_up_code", n.code(seed, 0))
		done()
		d := n.device()
		n.addPasskey(v, d)
		n.withoutPassword("ada@none.example")
		passkey := func() *visitor {
			post().is(at, 403, "Confirm with a passkey")
			return post("step_up_ticket", between(v.page, `name="step_up_ticket" value="`, `"`), "step_up_answer", d.answer(v))
		}
		d.auth.Options.UserNotVerified = true // holding it is not enough here
		passkey().is(at, 403, "does not open an account")
		d.auth.Options.UserNotVerified = false
		passkey()
		done()
		n.clock.Pass(time.Minute)
		post("step_up_code", "000000").is(at, 403, "That code is not right")
		post("step_up_code", n.code(seed, 0))
		done()
		for range 5 {
			post("step_up_code", "000000")
		}
		n.clock.Pass(30 * time.Second)
		post("step_up_code", n.code(seed, 0)).is(at, 403, "too many attempts")
	})
}
