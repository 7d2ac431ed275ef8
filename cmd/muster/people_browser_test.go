package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// An admin finds people, does something with all of them, loads the page of the job anew
// until it is done, and takes it back: without a script, at the desk and on a telephone.
func TestManyPeopleInABrowser(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve("--demo")
	p := newBrowser(t).visit("many", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/users")
	p.signIn(demoAdmin, s.demoPassword())
	users := s.url + "/console/acme/users"
	p.open(users)
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	p.usable("users-open")

	p.do(withScripts(false))
	p.fill("#f-q", "ad")
	p.press("form.find .actions button")
	p.sees("Ada", "Search: ad", "Clear filters")
	p.press("a.chip")
	if strings.Contains(p.where(), "q=") {
		t.Errorf("the chip leads to %s", p.where())
	}
	p.open(users + "?status=active&sort=-created")
	if status := p.press(".bulk button"); status != 400 {
		t.Errorf("nobody and nothing chosen: %d", status)
	}
	p.sees("Nobody is chosen")
	// A list is chosen from by its letters, as with a keyboard.
	p.do(keys("#f-scope", "Everybody w"), keys("#f-action", "Give a role: Viewer"))
	p.press(".bulk button")
	p.sees("Give the role Viewer", "This will be done to")
	p.do(withScripts(true))
	p.usable("bulk")
	p.press("main form button[type=submit]")
	job := p.where()
	p.ended()
	p.sees("Done", "Undo")
	p.usable("job")
	p.do(withScripts(false))
	p.press("form[action$='/undo'] button")
	if p.where() == job {
		t.Error("to undo leads nowhere")
	}
	p.ended()
	p.sees("takes another job back")
	p.do(withScripts(true))
	p.open(s.url + "/console/acme/jobs")
	p.sees("Undo: Give the role Viewer", "Give the role Viewer")
	p.usable("jobs")
	p.open(users + "?status=invited")
	p.do(keys("#f-scope", "Everybody w"), keys("#f-action", "Send"))
	p.press(".bulk button")
	p.sees("Mails cannot be taken back")
	p.press("main form button[type=submit]")
	p.ended()
	p.quiet()
}

// withScripts switches the scripts of pages on or off.
func withScripts(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// ended loads the page of a job anew until it is over.
func (p *person) ended() {
	p.t.Helper()
	begun := time.Now()
	for !strings.Contains(p.text(), "Ended") {
		if time.Since(begun) > stepTime {
			p.t.Fatalf("the job does not end:\n%s", p.text())
		}
		p.open(p.where())
	}
}
