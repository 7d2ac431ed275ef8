package main

import (
	"strings"
	"testing"
	"time"
)

// An admin makes a list, somebody joins and gets it, and the admin ticks a task off, on the
// page of tasks and on the person's; without a script.
func TestAChecklistInABrowser(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve("--demo")
	p := newBrowser(t).visit("checklist", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/checklists")
	p.signIn(demoAdmin, s.demoPassword())
	p.sees("Nothing to do")
	p.press("main .actions a[href$='/joiner']")
	p.sees("No task yet")
	p.lax()
	p.do(withScripts(false))
	if status := p.press("#add ~ form button"); status != 400 {
		t.Errorf("a task without words: %d", status)
	}
	p.sees("Say what is to be done.")
	add := func(title, days, auto string) {
		p.fill("#f-title", title)
		p.fill("#f-days", days)
		p.do(keys("#f-auto", auto))
		p.press("#add ~ form button")
		p.sees("Saved.", title)
	}
	add("Hand over the laptop", "-2", "Somebody ticks")
	add("First sign-in", "5", "The person has signed in")
	p.press("main tbody tr:last-child button[value=up]")
	p.sees("Saved.")
	p.press("main tbody tr:first-child a")
	p.sees("Change a task")
	p.fill("#f-title", "Signed in once")
	p.do(withScripts(true))
	p.usable("checklist-task")
	p.do(withScripts(false))
	p.press("main form button[type=submit]")
	p.sees("Saved.", "Signed in once", "Hand over the laptop")
	p.do(withScripts(true))
	p.usable("checklist-template")

	p.open(s.url + "/console/acme/invite")
	p.fill("input[name=email]", "nova@acme.example")
	p.fill("input[name=given_name]", "Nova")
	p.press("main form button[type=submit]")
	tasks := s.url + "/console/acme/checklists"
	deadline := time.Now().Add(stepTime)
	for p.open(tasks); !strings.Contains(p.text(), "Hand over the laptop"); p.open(tasks) {
		if time.Now().After(deadline) {
			t.Fatal("nobody gave the tasks")
		}
	}
	p.sees("Nova", "Signed in once", "by itself: The person has signed in")
	p.usable("checklists")
	p.do(withScripts(false))
	p.press("main tbody tr:first-child form button")
	p.sees("Saved.")
	if strings.Contains(p.text(), "Hand over the laptop") {
		t.Error("what is done is among what is open")
	}
	p.open(tasks + "?show=done")
	p.sees("Hand over the laptop", "Alex Admin")
	p.press("main tbody tr:first-child td a")
	p.sees("Checklist", "Hand over the laptop")
	p.press("#tasks ~ ul form[action*='/open'] button")
	p.sees("Saved.", "Checklist")
	p.do(withScripts(true))
	p.usable("person-with-checklist")
	p.quiet()
}
