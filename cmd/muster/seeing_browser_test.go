package main

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// An admin looks at what happens: the charts and where they lead, how somebody signed in,
// what the person did in an application, what was changed, by whom and why, with filters and
// as files; without a script.
func TestWhatHappenedInABrowser(t *testing.T) {
	t.Parallel()
	prog := newProgram(t)
	s := prog.serve("--demo")
	p := newBrowser(t).visit("seeing", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/overview")
	p.signIn(demoAdmin, "not this one")
	p.fill("input[name=password]", s.demoPassword())
	p.press("main form button[type=submit]")
	p.sees("People", "How they came", "Sign-ins, by day (UTC)", "Sign-ins, by method", "password", "Invitations", "Directories, last request", "Okta")
	p.do(withScripts(false))
	p.press("main a[href$='status=deactivated']")
	p.sees("Evelyn")
	p.open(s.url + "/console/acme/overview")
	p.press("main a[href$='result=refused']")
	p.sees("Refused", "wrong password", "127.0.0.1")

	// One person: ended with a reason, and what an application says of the work.
	p.open(s.url + "/console/acme/users?q=joan")
	p.press("main tbody th a")
	joan := p.where()
	key := prog.must("key", "create", "--org", "acme", "--role", "admin", "--name", "Helpdesk")["key"].(string)
	id := joan[strings.LastIndex(joan, "/")+1:]
	if status, answer := s.do("POST", "/api/v1/app-activity", key, `{"entries": [{"ref": "t1", "user": "`+id+`", "kind": "ticket.handled", "title": "Printer <b>on fire</b>", "count": 3}]}`); status != 200 {
		t.Fatalf("an application's entry: %d %s", status, answer)
	}
	p.press("main a[href$='/deactivate']")
	p.fill("input[name=why]", "=SUM(1) left for good")
	p.press("main form button.danger")
	p.sees("can no longer sign in", "In the applications", "Printer <b>on fire</b> × 3", "ticket.handled 3", "Helpdesk", "left for good")
	p.do(withScripts(true))
	p.usable("person-with-work")
	p.do(withScripts(false))
	p.press("main a[href*='/signins?person=']") // also of somebody who has no access any more
	p.sees("Sign-ins", "Joan")

	p.open(s.url + "/console/acme/activity")
	p.fill("#f-by", demoAdmin)
	p.do(keys("#f-action", "user.deactivate"))
	p.fill("#f-since", "1h")
	p.press("form[role=search] button")
	p.do(chromedp.Click(chromedp.CSS("main .card details summary")))
	p.sees("deactivated", "left for good", "active → deactivated", "from 127.0.0.1")
	if strings.Contains(p.text(), "signed in") {
		t.Error("the filter lets other actions through")
	}
	p.do(withScripts(true))
	p.usable("activity-filtered")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(p.saves("main a[href*='format=csv']", "activity.csv"), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 2 || !strings.Contains(strings.Join(rows[1], "|"), "|'=SUM(1) left for good|127.0.0.1|") {
		t.Errorf("as CSV: %v, %q", err, rows)
	}
	var row struct {
		Action, Actor string
		Detail        struct{ Before, After map[string]any }
	}
	if err := json.Unmarshal([]byte(p.saves("main a[href*='format=jsonl']", "activity.jsonl")), &row); err != nil || row.Action != "user.deactivate" || row.Detail.Before["status"] != "active" || row.Detail.After["status"] != "deactivated" {
		t.Errorf("as JSON lines: %v, %+v", err, row)
	}
	p.do(withScripts(false))
	p.fill("#f-since", "the day before")
	if status := p.press("form[role=search] button"); status != 400 {
		t.Errorf("a time that is none: %d", status)
	}
	p.sees("Please check")
	if kept, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.querySelector("#f-by").value + ", " + document.querySelector("#f-since").value`)); err != nil || kept != demoAdmin+", the day before" {
		t.Errorf("what was typed is %q, %v", kept, err)
	}
	p.do(withScripts(true))
	p.usable("activity-refused")
	p.press("main form a[href$='/activity']")
	p.sees("took along the activity log")
	p.quiet()
}
