package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// What is left of an employee's ways beside TestAccountInTheBrowser and
// TestFactorsInTheBrowser: joining with a password that the rules refuse, preferences that
// change what the pages say, a second device that is signed out, an address undone from the
// old mailbox, a security key without a PIN, an address confirmed with a passkey, an
// administrator's link, a generated user name, and the whole way without JavaScript.
func TestAnEmployeeInTheBrowser(t *testing.T) {
	t.Parallel()
	post := newPostOffice(t)
	p, s := localhost(t, "MUSTER_MAIL_URL="+post.url)
	p.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	invite := func(address, given, role string) string {
		t.Helper()
		link := p.must("user", "invite", "--org", "acme", "--email", address, "--given-name", given, "--family-name", "Stone", "--role", role)["link"].(string)
		return strings.Replace(s.at(link), "127.0.0.1", "localhost", 1)
	}
	b := newBrowser(t)
	ada, ivy := b.visit("ada", 1280, 800), b.visit("ivy", 390, 844)
	ada.open(invite("ada@acme.example", "Ada", "admin"))
	ada.fill("input[name=password]", goodPassword)
	ada.press("main form button[type=submit]")

	joinAndChoose(ivy, s, post, invite("ivy@acme.example", "Ivy", "agent"))
	otherDevice(b, ivy, s)
	undoneFromTheOldMailbox(t, ivy, s, post)
	byName(t, ada, b.visit("kim", 1280, 800), s, post, invite)
	keyAndApp(t, ivy, s)
	withoutScripts(t, b.visit("max", 390, 844), s, post, invite("max@acme.example", "Max", "agent"))
	ada.quiet()
	ivy.quiet()
}

// joinAndChoose accepts an invitation and makes the pages German and dark.
func joinAndChoose(ivy *person, s *server, post *postOffice, link string) {
	post.wait("ivy@acme.example", "invites you")
	ivy.open(link)
	ivy.sees("Join Acme Inc", "At least 12 characters")
	ivy.usable("accept")
	ivy.fill("input[name=password]", "ivystone1234")
	ivy.press("main form button[type=submit]")
	ivy.sees("At least 12 characters", "your own name")
	ivy.usable("accept-refused")
	ivy.fill("input[name=password]", goodPassword)
	ivy.press("main form button[type=submit]")
	ivy.open(s.url + "/account/preferences")
	ivy.js(`document.querySelector("select[name=language]").value = "de"`)
	ivy.js(`document.querySelector("select[name=time_zone]").value = "Pacific/Auckland"`)
	ivy.js(`document.querySelector("select[name=theme]").value = "dark"`)
	ivy.js(`document.querySelector("textarea[name=signature]").value = "Ivy <b>Stone</b>"`)
	ivy.js(`document.querySelector("input[name=new_device]").checked = false`)
	ivy.press("main form button[type=submit]")
	ivy.sees("Ihre Einstellungen sind gespeichert.", "Sprache", "Signatur")
	ivy.usable("preferences-german")
	ivy.js(`if (document.querySelector("textarea[name=signature]").value !== "Ivy <b>Stone</b>" || document.querySelector("input[name=new_device]").checked || !document.querySelector("input[name=changed]").checked) throw "not kept"`)
	ivy.js(`if (getComputedStyle(document.documentElement).colorScheme !== "dark") throw "not dark"`)
	ivy.open(s.url + "/account/sessions")
	ivy.sees("NZDT") // the reader's clock
	ivy.open(s.url + "/account/preferences")
	ivy.js(`document.querySelector("select[name=language]").value = "en"`)
	ivy.press("main form button[type=submit]")
	ivy.sees("Your preferences are saved.")
}

// otherDevice signs in somewhere else, and is signed out from here.
func otherDevice(b *browser, ivy *person, s *server) {
	other := b.visit("other", 1280, 800)
	other.open(s.url + "/login?with=password")
	other.fill("input[name=email]", "ivy@acme.example")
	other.fill("input[name=password]", goodPassword)
	other.press(`form[action="/login"] button`)
	other.sees("Overview")
	ivy.open(s.url + "/account/sessions")
	ivy.sees("This one", "Chrome on Linux")
	ivy.press(`form[action="/account/sessions/end"]:has(input[name=session]) button`)
	ivy.sees("That session has ended.")
	other.open(s.url + "/account")
	other.sees("Sign in")
	other.quiet()
}

// undoneFromTheOldMailbox moves away and is brought back by the old address.
func undoneFromTheOldMailbox(t *testing.T, ivy *person, s *server, post *postOffice) {
	t.Helper()
	ivy.open(s.url + "/account/profile")
	ivy.fill("input[name=email]", "ivy@home.example")
	ivy.press(`form[action="/account/address"] button`)
	ivy.fill("input[name=step_up_password]", goodPassword)
	ivy.press("main form button")
	ivy.sees("ivy@home.example waits to be confirmed")
	told, _ := post.wait("ivy@acme.example", "Stop the change")
	asked, _ := post.wait("ivy@home.example", "Confirm the address")
	ivy.open(linkTo(t, asked, "/account/address/confirm/"))
	ivy.press("main form button")
	ivy.sees("Your address is ivy@home.example now.")
	ivy.open(linkTo(t, told, "/account/address/stop/"))
	ivy.press("main form button")
	ivy.sees("Your address is ivy@acme.example again")
	ivy.usable("address-undone")
	again, _ := post.wait("ivy@acme.example", "You have undone the change")
	ivy.open(linkTo(t, again, "/password/reset/"))
	ivy.sees("At least 12 characters")
	ivy.fill("input[name=password]", goodPassword)
	ivy.press("main form button[type=submit]")
	ivy.sees("Overview")
}

// byName has the administrator choose how user names are made; a newcomer signs in with
// one, and with a link that the administrator has sent.
func byName(t *testing.T, ada, kim *person, s *server, post *postOffice, invite func(address, given, role string) string) {
	t.Helper()
	ada.open(s.url + "/console/acme/settings/names")
	ada.js(`document.querySelector("input[value='first.last']").checked = true`)
	ada.press("main form button[type=submit]")
	ada.sees("Saved.")
	kim.open(invite("kim@acme.example", "Kim", "agent"))
	post.wait("kim@acme.example", "invites you") // the newest mail is kept
	kim.fill("input[name=password]", goodPassword)
	kim.press("main form button[type=submit]")
	kim.press(".who form button")
	kim.fill("input[name=email]", "Kim.Stone")
	kim.press(`form[action="/login"] button`)
	kim.fill("input[name=password]", "not this one")
	kim.press(`form[action="/login"] button`)
	kim.sees("do not match")
	kim.fill("input[name=password]", goodPassword)
	kim.press(`form[action="/login"] button`)
	kim.sees("Overview", "kim.stone")
	ada.open(s.url + "/console/acme/users?q=kim")
	ada.press("main tbody th a")
	ada.press(`main a[href$="/password"]`)
	ada.press(`form:has(input[value=link]) button`)
	ada.sees("on its way to kim@acme.example")
	told, _ := post.wait("kim@acme.example", "Ada Stone sends you this link")
	link := linkTo(t, told, "/password/reset/")
	kim.open(link)
	kim.fill("input[name=password]", "short")
	kim.press("main form button[type=submit]")
	kim.sees("at least 12 characters")
	kim.fill("input[name=password]", "violet tractor on the moon")
	kim.press("main form button[type=submit]")
	kim.sees("Overview")
	kim.open(link)
	kim.sees("no longer valid")
	kim.quiet()
}

// keyAndApp has an old security key beside the password, then an app, then a passkey that
// confirms a new address.
func keyAndApp(t *testing.T, ivy *person, s *server) {
	t.Helper()
	key := ivy.securityKey()
	ivy.open(s.url + "/account/passkeys")
	ivy.press(`form:has(input[value=key]) button`)
	ivy.sees("press its button")
	ivy.usable("security-key-new")
	ivy.fill("input[name=name]", "Blue key")
	ivy.press("form[data-passkey] button")
	ivy.sees("Your security key is set up.", "shown this once")
	ivy.press("main p > a.button")
	ivy.sees("Blue key", "Stands beside your password")
	ivy.usable("security-key")
	signIn := func() {
		ivy.signOut(s)
		ivy.open(s.url + "/login?with=password")
		ivy.fill("input[name=email]", "ivy@acme.example")
		ivy.fill("input[name=password]", goodPassword)
		ivy.press(`form[action="/login"] button`)
		ivy.sees("One more step")
	}
	signIn()
	ivy.press("form[data-passkey] button")
	ivy.sees("Overview")

	ivy.open(s.url + "/account/authenticator")
	ivy.press(`form[action="/account/authenticator/new"] button`)
	seed := strings.ReplaceAll(ivy.textOf("code.key"), " ", "")
	code := func(at time.Time) string {
		text, err := totp.GenerateCode(seed, at)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ivy.fill("input[name=code]", code(time.Now()))
	ivy.press(`main form[action="/account/authenticator"] button`)
	ivy.sees("Your authenticator app is set up.")
	signIn()
	ivy.fill("input[name=code]", code(time.Now().Add(30*time.Second))) // each is good once
	ivy.press(`form[action="/login/second"] button`)
	ivy.sees("Overview")

	ivy.unplug(key)
	ivy.device()
	ivy.open(s.url + "/account/passkeys")
	ivy.press(`form[action="/account/passkeys/new"]:not(:has(input[value=key])) button`)
	ivy.press("form[data-passkey] button")
	ivy.sees("Your passkey is set up.")
	ivy.open(s.url + "/account/profile")
	ivy.fill("input[name=email]", "ivy@office.example")
	ivy.press(`form[action="/account/address"] button`)
	ivy.sees("Is it you?", "Confirm with a passkey")
	ivy.usable("address-with-passkey")
	ivy.press("form[data-passkey] button")
	ivy.sees("ivy@office.example waits to be confirmed")
}

// withoutScripts joins, changes the profile, the address and the password, and comes back by
// a forgotten password, in a browser that runs no JavaScript.
func withoutScripts(t *testing.T, max *person, s *server, post *postOffice, link string) {
	t.Helper()
	post.wait("max@acme.example", "invites you")
	max.do(scripts(true))
	max.open(link)
	max.fill("input[name=password]", "short")
	max.press("main form button[type=submit]")
	max.sees("at least 12 characters")
	max.fill("input[name=password]", goodPassword)
	max.press("main form button[type=submit]")
	max.open(s.url + "/account/profile")
	max.fill("input[name=display_name]", "Max S.")
	max.press(`form[action="/account/profile"] button`)
	max.sees("Your profile is saved.")
	max.fill("input[name=email]", "max@home.example")
	max.press(`form[action="/account/address"] button`)
	max.fill("input[name=step_up_password]", goodPassword)
	max.press("main form button")
	max.sees("max@home.example waits to be confirmed")
	max.shot("address-without-scripts")
	asked, _ := post.wait("max@home.example", "Confirm the address")
	max.open(linkTo(t, asked, "/account/address/confirm/"))
	max.press("main form button")
	max.sees("Your address is max@home.example now.")
	max.open(s.url + "/account/password")
	max.fill("input[name=current_password]", goodPassword)
	max.fill("input[name=password]", goodPassword+" 2")
	max.press(`form[action="/account/password"] button`)
	max.sees("Your password is changed.")
	max.signOut(s)
	max.open(s.url + "/password/forgot")
	max.fill("input[name=email]", "max@home.example")
	max.press("main form button[type=submit]")
	told, _ := post.wait("max@home.example", "asked for a new password")
	max.open(linkTo(t, told, "/password/reset/"))
	max.fill("input[name=password]", "violet tractor on the moon")
	max.press("main form button[type=submit]")
	max.sees("Overview")
	if at := max.where(); !strings.HasPrefix(at, s.url+"/account") {
		t.Errorf("it ends at %s", at)
	}
	max.do(scripts(false))
}
