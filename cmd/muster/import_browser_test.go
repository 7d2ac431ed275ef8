package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// downloads has the browser put files into a folder instead of asking.
func downloads(into string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: into,
			BrowserContextID: chromedp.FromContext(ctx).BrowserContextID})
		return err
	})
}

// saves clicks a link to a file and gives what the browser keeps of it. The page is there
// again then: the end of the way to the file is told late, and would be taken for that of
// the next one.
func (p *person) saves(link, name string) string {
	p.t.Helper()
	folder := p.t.TempDir()
	p.do(downloads(folder), chromedp.Click(chromedp.CSS(link)))
	text := arrives(p.t, filepath.Join(folder, name))
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Navigate(p.where())); err != nil {
		p.open(p.where())
	}
	return text
}

// An admin imports a file as spreadsheets write it in Germany, with errors: columns, every
// line, the good ones, the others as a file, undo; then files on a schedule. All without a
// script.
func TestAFileOfPeopleInABrowser(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := newProgram(t, "MUSTER_IMPORT_FOLDER="+folder).serve("--demo")
	p := newBrowser(t).visit("import", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/users")
	p.signIn(demoAdmin, s.demoPassword())
	p.do(withScripts(false))
	console := s.url + "/console/acme"

	wrong := filepath.Join(t.TempDir(), "people.csv")
	write(t, wrong, "PK\x03\x04 a spreadsheet")
	p.open(console + "/import")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{wrong}))
	if status := p.press("main form button[type=submit]"); status != 400 {
		t.Errorf("a spreadsheet: %d", status)
	}
	p.sees("spreadsheet")

	// ü and ß as Windows-1252 has them
	write(t, wrong, "E-Mail;Vorname;Nachname;Rolle;Abteilung;Wohnlage\r\njuergen@acme.example;J\xfcrgen;Wei\xdf;agent;Einkauf;x\r\n"+
		"kaiser@acme.example;Karl;Kaiser;k\xf6nig;;\r\nkein-at;Kurt;Klein;;;\r\n"+demoAdmin+";;;;Rechnen;\r\n")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{wrong}))
	p.press("main form button[type=submit]")
	p.sees("Windows-1252", "Jürgen", "Weiß", "These columns are not used: Wohnlage")
	if got, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.querySelector("#f-delimiter").value`)); got != "semicolon" {
		t.Errorf("between the values: %s", got)
	}
	p.do(keys("#f-column-5", "Job title"))
	p.do(keys("#f-new", "Active at once"))
	p.press("main form[action$='/columns'] button[type=submit]")
	preview := p.where()
	p.sees("Line 3", "role", "könig", "There is no such role", "Line 4", "kein-at", "Correct the address", "Jürgen", "Einkauf", "Rechnen", "Import the 2 good lines")
	p.press("a.chip[href$='action=error']")
	p.sees("könig")
	if strings.Contains(p.text(), "Einkauf") {
		t.Error("the filter shows other lines")
	}

	errors := p.saves("a[href$='errors.csv']", "errors.csv")
	if !strings.Contains(errors, "kaiser@acme.example;Karl;Kaiser;könig") || !strings.Contains(errors, "line 3, role: There is no such role.") || strings.Contains(errors, "juergen") {
		t.Errorf("the file of errors: %q", errors)
	}
	p.open(preview)
	p.press("main form.card button[type=submit]")
	for begun := time.Now(); !strings.Contains(p.text(), "Imported people.csv"); p.open(preview) {
		if time.Since(begun) > stepTime {
			t.Fatalf("the import does not end:\n%s", p.text())
		}
	}
	p.sees("created: 1", "updated: 1", "Undo this import")
	p.open(console + "/users?q=J%C3%BCrgen")
	p.sees("Jürgen Weiß")
	p.open(preview)
	p.press("form[action$='/undo'] button")
	p.ended()
	p.sees("Deleted: 1", "Taken back: 1")
	p.open(console + "/users?q=J%C3%BCrgen")
	if strings.Contains(p.text(), "Jürgen Weiß") {
		t.Error("the import is not undone")
	}

	feeds(p, console, folder)
	p.do(withScripts(true))
	p.open(console + "/import-feeds")
	p.usable("feeds")
	p.press("main h2 a")
	p.usable("feed")
	p.quiet()
}

// feeds plays a feed: made wrong, made, looked at, changed, paused.
func feeds(p *person, console, folder string) {
	p.t.Helper()
	write(p.t, filepath.Join(folder, "acme", "hr", "staff.csv"), "email,first,last\nstella@acme.example,Stella,Star\n")
	p.open(console + "/import-feeds/new")
	p.fill("#f-name", "Personnel")
	p.do(keys("#f-kind", "A folder"), keys("#f-key", "E-mail"))
	p.fill("#f-path", "hr")
	p.fill("#f-every", "1")
	if status := p.press("main form.card button[type=submit]"); status != 400 {
		p.t.Errorf("every minute: %d", status)
	}
	p.sees("1 is not possible here")
	if got, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.querySelector("#f-name").value + " " + document.querySelector("#f-path").value`)); got != "Personnel hr" {
		p.t.Errorf("what was typed: %q", got)
	}
	p.fill("#f-every", "60")
	p.press("main form.card button[type=submit]")
	p.sees("Personnel", "The feed is kept")
	p.press("form[action$='/look'] button")
	for begun := time.Now(); !strings.Contains(p.text(), "taken before"); p.open(console + "/import-feeds") {
		if time.Since(begun) > stepTime {
			p.t.Fatalf("the feed is not looked at:\n%s", p.text())
		}
	}
	p.press("main h2 a")
	p.fill("#f-name", "Staff")
	p.fill("#f-max_changed", "90")
	p.press("main form.card button[type=submit]")
	p.sees("Staff", "The feed is changed")
	p.press("form[action$='/pause'] button")
	p.sees("Paused", "Resume Staff")
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// arrives waits for a file that the browser saves.
func arrives(t testing.TB, name string) string {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); ; <-tick.C {
		if raw, err := os.ReadFile(name); err == nil && len(raw) > 0 {
			return string(raw)
		}
		if time.Since(begun) > stepTime {
			t.Fatalf("%s does not come", name)
		}
	}
}
