package main

import (
	"html"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// device is an authenticator with one key pair for the server.
type device struct {
	auth virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
	rp   virtualwebauthn.RelyingParty
}

func (n *named) device() *device {
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(key.Key.AttestationData()) != 77 { // the module forgets a leading zero (RFC 9053 §7.1.1)
		key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return &device{virtualwebauthn.NewAuthenticator(), key, virtualwebauthn.RelyingParty{ID: "localhost", Name: "Muster", Origin: n.url}}
}

// answer is what the script would put into the page's form.
func (d *device) answer(v *visitor) string {
	v.t.Helper()
	m := optionsTag.FindStringSubmatch(v.page)
	if m == nil {
		v.t.Fatalf("%s asks for no passkey:\n%s", v.at, v.page)
	}
	options := html.UnescapeString(m[1])
	if made, err := virtualwebauthn.ParseAttestationOptions(options); err == nil && made.UserID != "" {
		d.auth.Options.UserHandle = []byte(made.UserID)
		return virtualwebauthn.CreateAttestationResponse(d.rp, d.auth, d.key, *made)
	}
	asked, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		v.t.Fatal(err)
	}
	d.key.Counter++
	return virtualwebauthn.CreateAssertionResponse(d.rp, d.auth, d.key, *asked)
}

func (n *named) addPasskey(v *visitor, d *device) []string {
	n.t.Helper()
	v.open(n.url+"/account/passkeys").submit("/account/passkeys/new").is("/account/passkeys/new", 200)
	v.submit("/account/passkeys", "answer", d.answer(v), "name", "Work laptop")
	return v.codes()
}

func (n *named) withPasskey(page string, d *device) *visitor {
	n.t.Helper()
	v := newVisitor(n.t).open(n.url + page)
	return v.submit("/passkey", "answer", d.answer(v))
}

func TestAPasskeyOpensTheAccount(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		v := n.signIn("ada@none.example")
		d := n.device()
		if codes := n.addPasskey(v, d); len(codes) != 10 {
			t.Fatalf("codes %v", codes)
		}
		v.open(n.url+"/account/passkeys").is("/account/passkeys", 200, "Work laptop", "on this one device only")
		for _, page := range []string{"/login", "/o/acme/login", "/login?next=/account/passkeys"} {
			v := n.withPasskey(page, d)
			if amr := n.amr(v); amr != "hwk mfa" {
				t.Errorf("%s: amr %q at %s: %s", page, amr, v.at, v.page)
			}
		}
		if v := n.withPasskey("/login?next=/account/passkeys", d); v.at.Path != "/account/passkeys" {
			t.Errorf("it ends at %s", v.at)
		}
		// After the address, for whomever it is.
		v = newVisitor(t).post(n.url+"/login", "email", "ada@none.example").is("/login", 200)
		v.submit("/login/passkey", "answer", d.answer(v)).is("/account", 200)
		// Beside the password.
		n.clock.Pass(time.Minute)
		v = n.signIn("ada@none.example").is("/login/second", 200, "Use a passkey", "Recovery code")
		v.submit("/login/second/passkey", "answer", d.answer(v)).is("/account", 200)
		if amr := n.amr(v); amr != "pwd hwk mfa" {
			t.Errorf("amr %q", amr)
		}
		// An answer for one purpose is none for another.
		v = newVisitor(t).open(n.url + "/login")
		answer := d.answer(v)
		w := n.signIn("ada@none.example")
		w.submit("/login/second/passkey", "answer", answer).is("/login/second/passkey", 400)
		// In another browser.
		w = newVisitor(t)
		w.open(n.url + "/login")
		w.at, w.page = v.at, v.page
		w.submit("/login/passkey", "answer", answer).is("/login/passkey", 410, "another browser")
		v.submit("/login/passkey", "answer", answer).is("/account", 200)
		// Removed, it opens nothing.
		v.open(n.url+"/account/passkeys").submit("/remove").is("/account/passkeys", 200, "was removed")
		n.withPasskey("/login", d).is("/login/passkey", 400, "does not open an account", "Reference")
	})
}

// The policy holds for a passkey as for a password, and so does the person's status.
func TestAPasskeyDoesNotPassThePolicy(t *testing.T) {
	eachNamed(t, func(t *testing.T, n *named) {
		d, glass := n.device(), n.device()
		n.addPasskey(n.signIn("ada@none.example"), d)
		boss := n.person("boss@none.example", access.Admin)
		n.addPasskey(n.signIn("boss@none.example"), glass)
		storetest.Org(t, n.db, "beta")
		n.withPasskey("/o/beta/login", d).is("/o/beta/login/passkey", 400, "does not open an account")

		if _, err := n.system.policy.AddAccount(t.Context(), n.admin, boss.ID); err != nil {
			t.Fatal(err)
		}
		n.withPasskey("/login", glass).is("/login/passkey", 403, "break-glass account")
		n.person("other@none.example", access.Admin)

		// As single sign-on is required: nobody here could, but the rule is the rule.
		err := n.db.Write(t.Context(), n.admin, func(tx *store.Tx) error {
			if _, err := tx.Exec("UPDATE policies SET sso = 'required' WHERE org_id = ?", tx.Org()); err != nil {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n.withPasskey("/login", d).is("/login/passkey", 403, "signs in with single sign-on")
		page := newVisitor(t).open(n.url + "/o/acme/login").page
		if strings.Contains(page, "data-passkey") {
			t.Error("the organization's page offers passkeys that open nothing")
		}
		if err := n.db.Write(t.Context(), n.admin, func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE policies SET sso = 'optional' WHERE org_id = ?", tx.Org())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		n.withPasskey("/login", d).is("/account", 200)
		if err := n.db.Write(t.Context(), n.admin, func(tx *store.Tx) error {
			_, err := tx.Deactivate(n.ada.ID, "left")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		n.withPasskey("/login", d).is("/login/passkey", 400, "does not open an account")
		if list := n.refusals(); len(list) != 3 || !strings.HasPrefix(list[0], "account status ") {
			t.Errorf("refusals %v", list)
		}
	})
}
