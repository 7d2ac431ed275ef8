package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// An admin reviews who has what: starts, confirms, removes, is refused where a directory
// gives it, ends it and takes it along; without a script.
func TestAReviewInABrowser(t *testing.T) {
	t.Parallel()
	prog := newProgram(t)
	s := prog.serve("--demo")
	p := newBrowser(t).visit("review", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/reviews")
	p.signIn(demoAdmin, s.demoPassword())
	p.sees("No review yet")
	p.press("main .actions a.button")
	p.lax()
	p.do(withScripts(false))
	if status := p.press("main form button[type=submit]"); status != 400 {
		t.Errorf("without a name: %d", status)
	}
	p.sees("Please check", "Write something here")
	p.fill("input[name=name]", "Spring review")
	p.press("main form button[type=submit]")
	review := p.where()
	p.sees("Spring review", "Everybody", "Not signed in for 90 days")
	p.do(withScripts(true))
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	p.usable("review")
	p.do(withScripts(false))
	if status := p.press("button[value=confirm]"); status != 400 {
		t.Errorf("nothing ticked: %d", status)
	}
	p.sees("Tick what you mean first")

	p.open(review + "?role=viewer&decision=open")
	p.do(chromedp.Click(chromedp.CSS("main tbody tr:first-child input[name=row]")))
	p.fill("#f-note", "still needed")
	p.press("button[value=confirm]")
	p.sees("One row was decided.")
	p.open(review + "?decision=confirmed")
	p.sees("Confirmed", "still needed")

	// What a directory gives stays, and the page says where to take it away.
	p.open(review)
	p.do(keys("#f-team", "Engineering"))
	p.press("form[role=search] button")
	p.do(chromedp.Click(chromedp.CSS("main tbody tr:first-child input[name=row]")))
	p.press("button[value=remove]")
	p.open(review + "?decision=source")
	p.sees("To be removed at the source", "Take the person out of the group")

	// The last admin stays.
	p.open(review + "?role=admin&decision=open")
	for strings.Contains(p.text(), "Open") {
		p.do(chromedp.Click(chromedp.CSS("main tbody tr:first-child input[name=row]")))
		if p.press("button[value=remove]") != 200 {
			break
		}
		p.open(review + "?role=admin&decision=open")
	}
	p.sees("Not everything could be done", "This is the last active admin")

	p.open(review + "?decision=open")
	p.press("main tbody tr:first-child th a[href*='person=']")
	p.do(keys("#f-whom", "All open"))
	p.press("button[value=confirm]")
	p.sees("decided.")

	p.open(review)
	p.press(".actions a[href$='/finish']")
	p.sees("They stay as not decided")
	p.do(withScripts(true))
	p.usable("review-finish")
	p.press("main form button[type=submit]")
	p.sees("The review is finished", "Not decided")
	if strings.Contains(p.text(), "Confirm\n") {
		t.Error("a finished review offers to decide")
	}
	p.usable("review-finished")
	p.open(s.url + "/console/acme/reviews")
	p.usable("reviews")

	// One that no server goes on with, so that its page can be looked at.
	stall(t, prog)
	p.open(review)
	p.sees("Being prepared", "200 of 500 people are written down")
	p.usable("review-preparing")
	p.open(s.url + "/console/acme/reviews")
	p.sees("Being prepared")
	p.open(review + "?refresh=off")
	p.do(withScripts(false))
	p.press("form[action$='/cancel'] button")
	p.sees("The review is cancelled", "Cancelled")
	p.do(withScripts(true))
	p.usable("review-cancelled")
	p.quiet()
}

// stall makes the only review one that is prepared, for nobody.
func stall(t *testing.T, prog *program) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(prog.dir, "muster-data", "muster.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	org, err := db.OrgBySlug(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), access.Muster(string(org.ID)), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE reviews SET state = 'preparing', people = 500, prepared = 200, finished_at = 0, work_at = ? WHERE org_id = ?", tx.Now().Add(time.Hour), tx.Org())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A manager reviews the own people under the own account: with rows, decided ones among them.
func TestAManagersReviewInABrowser(t *testing.T) {
	t.Parallel()
	prog := newProgram(t)
	s := prog.serve("--demo")
	sheet := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(sheet, []byte("email,given_name,family_name,role,manager\nnora@acme.example,Nora,North,agent,"+demoAdmin+
		"\nsam@acme.example,Sam,South-Wieselburger-Feldkirchen,viewer,"+demoAdmin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	prog.must("user", "import", "--org", "acme", sheet)
	p := newBrowser(t).visit("manager", 1280, 800)
	p.open(s.url + "/login?with=password&next=/console/acme/reviews/new")
	p.signIn(demoAdmin, s.demoPassword())
	p.fill("input[name=name]", "Spring review")
	p.do(chromedp.Click(chromedp.CSS("input[name=managers]")))
	p.press("main form button[type=submit]")
	p.open(s.url + "/account/reviews")
	p.sees("Spring review")
	p.usable("my-reviews")
	p.press("main li a")
	p.sees("Nora North", "Sam South")
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	p.usable("my-review")
	p.do(withScripts(false))
	if status := p.press("button[value=remove]"); status != 400 {
		t.Errorf("nothing ticked: %d", status)
	}
	p.do(withScripts(true))
	p.usable("my-review-refused")
	p.do(withScripts(false), chromedp.Click(chromedp.CSS("main tbody tr:first-child input[name=row]")))
	p.press("button[value=confirm]")
	p.sees("One row was decided.")
	p.do(withScripts(true))
	p.usable("my-review-decided")
	p.quiet()
}
