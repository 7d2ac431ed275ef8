package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/internal/web/texts"
)

// Somebody who reads German finds every page in German, on the own clock, in the chosen
// colours, and nothing is wider than a telephone.
func TestTheConsoleSpeaksGerman(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve("--demo")
	p := newBrowser(t).visit("german", 390, 844)
	p.do(scheme("light"))

	// Before anybody is known: by a link, which the browser remembers.
	p.open(s.url + "/login?with=password&next=/account/preferences")
	p.sees("Sign in")
	p.press("a[hreflang=de]")
	p.sees("Anmelden", "Passwort")
	p.usable("login")
	p.signIn(demoAdmin, "not this one")
	p.sees("Bitte prüfen", "Adresse und Passwort passen nicht zusammen.")
	p.signIn(demoAdmin, s.demoPassword())
	p.sees("Ihre Einstellungen")
	p.open(s.url + "/account/preferences?lang=en")
	p.sees("Your preferences") // nothing was chosen for the person yet

	p.js(`for (const [name, value] of Object.entries({language: "de", time_zone: "Europe/Berlin", theme: "dark"})) document.querySelector("select[name=" + name + "]").value = value`)
	p.press("main form button[type=submit]")
	p.sees("Ihre Einstellungen sind gespeichert.")
	p.open(s.url + "/account/preferences?lang=en")
	p.sees("Ihre Einstellungen") // the person's choice stands above the browser's
	p.usable("preferences")

	console := s.url + "/console/acme"
	for _, path := range []string{"/users", "/users?q=nobody-at-all", "/invite", "/invitations", "/import", "/export", "/teams", "/roles", "/jobs", "/activity", "/directories", "/attributes", "/settings",
		"/settings/language", "/settings/passwords", "/settings/invitations", "/security", "/connections", "/connections/new", "/requests", "/domains", "/signins", "/overview", "/nothing-here",
		"/planned", "/deleted", "/records", "/checklists", "/checklists/joiner", "/checklists/leaver", "/reviews", "/reviews/new", "/settings/seats", "/settings/names", "/settings/defaults", "/import-feeds", "/import-feeds/new", "/invite/many", "/roles/new", "/attributes/new"} {
		p.open(console + path)
		p.german(path)
	}
	for _, path := range []string{"/account", "/account/profile", "/account/password", "/account/passkeys", "/account/sessions", "/account/signins", "/account/activity", "/account/preferences", "/account/reviews", "/account/checklists", "/account/app", "/account/recovery-codes", "/console", "/console/-/organizations/acme", "/console/-/organizations/new", "/console/-/doctor", "/console/-/server", "/console/-/mail", "/console/-/mail?show=failed", "/console/-/keys", "/console/-/operators", "/console/-/people?q=ada@acme.example", "/console/-/activity"} {
		p.open(s.url + path)
		p.german(path)
	}
	for _, list := range []string{"/users?q=ada", "/teams", "/roles", "/directories", "/connections"} {
		p.open(console + list)
		p.press("main tbody a")
		p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		p.german("first of " + list)
	}
	// What was said to machines, and why somebody was refused.
	p.open(console + "/directories")
	p.press("main tbody a")
	directory := p.where()
	for _, body := range []string{"", "[]", `{"schemas": []}`} {
		s.do("POST", "/scim/v2/"+directory[strings.LastIndex(directory, "/")+1:]+"/Users", "not a token", body)
	}
	p.open(directory + "/log?refused=1")
	p.sees("Das Token ist nicht gültig")
	p.german("the provisioning log")
	p.open(directory + "/settings")
	p.german("the settings of a directory")
	p.open(console + "/signins?result=refused")
	p.press("main tbody a")
	p.sees("Erwartet", "das Passwort des Kontos", "falsches Passwort")
	p.german("a refused sign-in")
	p.open(console + "/users?q=ada")
	p.press("main tbody th a")
	p.usable("person")
	p.quiet()
}

var wordsAround = regexp.MustCompile(`%[-+# 0]*\d*(?:\.\d+)?[a-zA-Z%]`)

// german fails for a page that is not German, dark and narrow, and for each of our
// English sentences on it.
func (p *person) german(page string) {
	p.t.Helper()
	p.fits()
	look, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.documentElement.lang + " " + document.documentElement.dataset.theme + " " + getComputedStyle(document.body).backgroundColor`))
	if err != nil || look != "de dark rgb(17, 19, 24)" {
		p.t.Errorf("%s: language, theme and background are %q, %v", page, look, err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(strings.ReplaceAll(p.text(), "\t", "\n")) {
		lines[strings.TrimSpace(line)] = true
	}
	text := strings.Join(strings.Fields(p.text()), " ")
	german, ours := map[string]bool{}, []string{"Acme Inc", "active", "password"} // the organization, what the log stores, the name of a check
	if page == "/console/-/server" {
		clear(lines) // loops are called mail, password and the like
	}
	for _, e := range texts.Find("de").Entries() {
		german[e.One] = true
	}
	for english, e := range texts.Find("de").Entries() {
		if lines[english] && e.One != english && !german[english] && !slices.Contains(ours, english) {
			p.t.Errorf("%s says %q in English", page, english)
		}
		for _, part := range wordsAround.Split(english, -1) { // of a sentence with verbs, what stands around them
			if part != english && len(strings.Fields(part)) > 3 && !strings.Contains(e.One, strings.TrimSpace(part)) && strings.Contains(text, strings.TrimSpace(part)) {
				p.t.Errorf("%s says %q in English", page, part)
			}
		}
		if strings.Contains(english, "%") || len(strings.Fields(english)) < 3 || e.One == english || slices.Contains(strings.Fields(e.One), english) {
			continue
		}
		if strings.Contains(text, english) {
			p.shot("english")
			p.t.Errorf("%s says %q in English", page, english)
		}
	}
}
