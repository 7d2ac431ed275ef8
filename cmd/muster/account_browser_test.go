package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
)

// linkTo finds a link of ours in a mail.
func linkTo(t *testing.T, text, path string) string {
	t.Helper()
	link := regexp.MustCompile(`http://[^\s"<>]*` + path + `[A-Za-z0-9._-]+`).FindString(text)
	if link == "" {
		t.Fatalf("no link to %s in:\n%s", path, text)
	}
	return link
}

// portrait is a picture as a telephone has it.
func portrait(t *testing.T, dir string) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 400, 300))
	for y := range 300 {
		for x := range 400 {
			img.SetRGBA(x, y, color.RGBA{uint8(x / 2), uint8(y / 2), 160, 255})
		}
	}
	name := filepath.Join(dir, "portrait.png")
	f, err := os.Create(name)
	if err == nil {
		err = png.Encode(f, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// An employee plays every page of the own account on a telephone, with its refusals, and
// an admin the rules of passwords, the format of user names and the reset of a password;
// mails come through a real SMTP server.
func TestAccountInTheBrowser(t *testing.T) {
	t.Parallel()
	post := newPostOffice(t)
	p := newProgram(t, "MUSTER_MAIL_URL="+post.url)
	s := p.serve()
	p.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	b := newBrowser(t)
	join := func(who *person, address, name, role string) {
		t.Helper()
		who.open(s.at(p.must("user", "invite", "--org", "acme", "--email", address, "--given-name", name, "--family-name", "Stone", "--role", role)["link"].(string)))
		who.sees("At least 12 characters")
		who.fill("input[name=password]", goodPassword)
		who.press("main form button[type=submit]")
	}
	ada, ivy := b.visit("ada", 1280, 800), b.visit("ivy", 390, 844)
	join(ada, "ada@acme.example", "Ada", "admin")
	join(ivy, "ivy@acme.example", "Ivy", "agent")
	ownPages(t, ivy, s, portrait(t, p.dir))
	newAddress(t, ivy, s, post)
	rulesAndNames(ada, s)

	// The reset: a temporary password, told and changed.
	ada.open(s.url + "/console/acme/users?q=ivy")
	ada.press("main tbody th a")
	ada.press(`main a[href$="/password"]`)
	ada.usable("reset-by-admin")
	ada.press(`form:has(input[value=temporary]) button`)
	ada.sees("shown this once")
	ada.usable("reset-by-admin-done")
	temporary, err := chromedp.Run(ada.ctx, chromedp.Evaluate[string](`document.querySelector("code.secret").innerText`))
	if err != nil {
		t.Fatal(err)
	}
	post.wait("ivy@home.example", "Ada Stone has set a temporary password")
	ivy.open(s.url + "/login?with=password")
	ivy.signIn("ivy@home.example", temporary)
	ivy.sees("set for you by an administrator", "A digit.")
	ivy.usable("first-password")
	ivy.fill("input[name=password]", "violet car")
	ivy.press("main form button[type=submit]")
	ivy.sees("at least 14 characters", "needs a digit")
	ivy.usable("first-password-refused")
	ivy.fill("input[name=password]", "violet tractor on 1 moon")
	ivy.press("main form button[type=submit]")
	ivy.sees("Ivy")
	ada.quiet()
	ivy.quiet()
}

// ownPages plays profile, picture, preferences, password, sessions and history.
func ownPages(t *testing.T, ivy *person, s *server, picture string) {
	t.Helper()
	ivy.open(s.url + "/account")
	ivy.usable("own-overview")
	ivy.press(`nav.sub a[href="/account/profile"]`)
	ivy.usable("own-profile")
	ivy.fill("input[name=display_name]", "Ivy S.")
	ivy.press(`form[action="/account/profile"] button`)
	ivy.sees("Your profile is saved.")
	ivy.do(chromedp.SetUploadFiles(chromedp.CSS("input[name=picture]"), []string{picture}))
	ivy.press(`form[action="/account/picture"] button`)
	ivy.sees("Your picture is saved.")
	wide, err := chromedp.Run(ivy.ctx, chromedp.Evaluate[int](`document.querySelector("img.portrait").naturalWidth`))
	if err != nil || wide != 256 {
		t.Errorf("the picture is %d pixels wide, %v", wide, err)
	}
	ivy.usable("own-picture")
	ivy.open(s.url + "/account/preferences")
	ivy.js(`document.querySelector("select[name=theme]").value = "dark"`)
	ivy.js(`document.querySelector("textarea[name=signature]").value = "Ivy, Acme"`)
	ivy.press("main form button[type=submit]")
	ivy.sees("Your preferences are saved.")
	ivy.usable("own-preferences")
	ivy.open(s.url + "/account/password")
	ivy.usable("own-password")
	ivy.fill("input[name=current_password]", "not this one")
	ivy.fill("input[name=password]", "short")
	ivy.press(`form[action="/account/password"] button`)
	ivy.sees("That is not your password.")
	ivy.usable("own-password-refused")
	ivy.fill("input[name=current_password]", goodPassword)
	ivy.fill("input[name=password]", goodPassword+" 2")
	ivy.press(`form[action="/account/password"] button`)
	ivy.sees("Your password is changed.")
	for _, page := range []string{"sessions", "signins", "activity"} {
		ivy.open(s.url + "/account/" + page)
		ivy.usable("own-" + page)
	}
	ivy.sees("Your password was set")
}

// newAddress changes the address by the mails to both.
func newAddress(t *testing.T, ivy *person, s *server, post *postOffice) {
	t.Helper()
	ivy.open(s.url + "/account/profile")
	ask := func(address string) {
		ivy.fill("input[name=email]", address)
		ivy.press(`form[action="/account/address"] button`)
		ivy.sees("Is it you?", "take the account away")
	}
	ask("ada@acme.example")
	ivy.usable("own-address-proof")
	ivy.fill("input[name=step_up_password]", "not this one")
	ivy.press("main form button")
	ivy.sees("That is not your password.")
	ivy.fill("input[name=step_up_password]", goodPassword+" 2")
	ivy.press("main form button")
	ivy.sees("This address cannot be used here.")
	ivy.usable("own-address-refused")
	ask("ivy@home.example")
	ivy.fill("input[name=step_up_password]", goodPassword+" 2")
	ivy.press("main form button")
	ivy.sees("ivy@home.example waits to be confirmed")
	ivy.usable("own-address-asked")
	told, _ := post.wait("ivy@acme.example", "Stop the change")
	asked, _ := post.wait("ivy@home.example", "Confirm the address")
	ivy.open(linkTo(t, told, "/account/address/stop/"))
	ivy.usable("address-stop")
	ivy.open(linkTo(t, asked, "/account/address/confirm/"))
	ivy.usable("address-confirm")
	ivy.press("main form button")
	ivy.sees("Your address is ivy@home.example now.")
	post.wait("ivy@acme.example", "is ivy@home.example now")
	ivy.open(linkTo(t, told, "/account/address/stop/"))
	ivy.sees("Undo the change of your address")
	ivy.usable("address-undo")
}

// rulesAndNames plays the two pages of settings.
func rulesAndNames(ada *person, s *server) {
	ada.open(s.url + "/console/acme/settings/passwords")
	ada.usable("settings-passwords")
	ada.fill("input[name=min_length]", "5")
	ada.press("main form button[type=submit]")
	ada.sees("it must be from 8 to 64")
	ada.usable("settings-passwords-refused")
	ada.fill("input[name=min_length]", "14")
	ada.js(`document.querySelector("input[name=digit]").checked = true`)
	ada.press("main form button[type=submit]")
	ada.sees("Saved.", "A digit.")
	ada.open(s.url + "/console/acme/settings/names")
	ada.usable("settings-names")
	ada.js(`document.querySelector("input[value='first.last']").checked = true`)
	ada.press("main form button[type=submit]")
	ada.sees("Saved.")
}
