package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A user is made from an application's contact, another one linked to a record; who is
// linked is shown, also to the person, and nobody is linked twice.
func TestRecordsInABrowser(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	ada, carol := w.ada, w.carol
	key, _ := w.must("key", "create", "--org", "acme", "--role", "admin")["key"].(string)
	for id, name := range map[string]string{"1": "Carol of the CRM", "2": "Nora New", "3": "Third <b>"} {
		if status, body := w.do("PUT", "/api/v1/records/contact/"+id, key, fmt.Sprintf(`{"name": %q, "address": "%s@crm.example"}`, name, id)); status != http.StatusCreated {
			t.Fatalf("%d %s", status, body)
		}
	}
	ada.open(w.page("carol"))
	ada.press(`main a[href$="/records"]`)
	ada.sees("Link Carol Acme to a record", "Carol of the CRM", "Third <b>")
	ada.usable("records-choose")
	// Meanwhile the application links it to somebody else.
	link := "/api/v1/users/" + w.ids["ada"] + "/records/contact"
	if status, body := w.do("PUT", link, key, `{"id": "1"}`); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	if status := ada.press(`form:has(input[value="contact/1"]) button`); status != 409 {
		t.Errorf("linked twice: %d", status)
	}
	ada.sees("is linked to", "Unlink it there first")
	ada.usable("records-refused")
	w.do("DELETE", link, key, "")
	ada.open(w.page("carol") + "/records?q=crm")
	ada.do(withScripts(false))
	ada.press(`form:has(input[value="contact/1"]) button`)
	ada.do(withScripts(true))
	ada.sees("Carol of the CRM", "contact")
	ada.open(w.console + "/records")
	ada.sees("Carol Acme", "Nora New")
	ada.press(`a[href*="record=contact"][href*="2"]`)
	ada.sees("Invite")
	ada.usable("invite-from-contact")
	ada.press("button[value=send]")
	ada.open(w.console + "/records?q=Nora")
	ada.press("main td a")
	ada.sees("Nora New", "Records of applications")
	if status := carol.open(w.console + "/records"); status != 403 {
		t.Errorf("an employee reads the records: %d", status)
	}
	carol.open(w.url + "/api/v1/me")
	carol.sees(`"records"`, "Carol of the CRM")
	ada.open(w.page("carol") + "/records")
	ada.press(`form[action$="/unlink"] button`)
	ada.sees("Not linked to any")
	ada.quiet()
}

// A role is made of the permissions that there are, given, and taken; who holds it gives
// nothing that it does not allow, and touches nobody who may do more.
func TestRolesInABrowser(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	ada, carol := w.ada, w.carol
	ada.open(w.console + "/roles/new")
	ada.fill("input[name=label]", "Admin")
	ada.choose("permissions", "users.end")
	ada.lax()
	if status := ada.press(`form[action$="/roles"] button[type=submit]`); status != 400 && status != 409 {
		t.Errorf("a role of a name that is there: %d", status)
	}
	ada.sees("already")
	ada.usable("role-new-refused")
	ada.fill("input[name=label]", "People lead")
	for _, p := range []string{"users.view", "users.edit", "users.end", "groups.view", "delete_tickets"} {
		ada.choose("permissions", p)
	}
	ada.press(`form[action$="/roles"] button[type=submit]`)
	ada.sees("People lead")
	ada.open(w.page("carol") + "/edit")
	ada.do(withScripts(false), keys("#f-role", "People lead"))
	ada.press(`form[action$="/edit"] .actions button`)
	ada.do(withScripts(true))
	ada.sees("People lead", "Delete tickets")
	ada.usable("person-with-role")

	carol.open(w.page("ada"))
	carol.sees("Ada Acme", "allows more than you may do yourself")
	carol.usable("person-by-lead")
	if carol.js(`if (document.querySelector("main a[href$='/deactivate']")) throw "what would be refused is offered"`); carol.open(w.page("ada")+"/deactivate") != 200 {
		t.Error("the page says nothing")
	}
	carol.sees("allows more than you may do yourself")
	carol.usable("deactivate-denied")
	if status := carol.sends(w.page("ada") + "/deactivate"); status != 403 {
		t.Errorf("a lead deactivates an admin: %d", status)
	}
	carol.sees("allows more than you may do yourself")
	dave := w.join("dave", "agent", 1280)
	carol.open(w.page("dave") + "/edit")
	carol.fill("input[name=title]", "Typed title")
	carol.js(`const role = document.querySelector("[name=role]"); if (role.querySelector("[value=viewer]")) throw "what would be refused is offered"; role.add(new Option("Viewer", "viewer", true, true))`)
	if status := carol.press(`form[action$="/edit"] .actions button`); status != 403 {
		t.Errorf("a lead gives what it does not hold: %d", status)
	}
	carol.sees("allows more than you may do yourself")
	carol.js(`if (document.querySelector("[name=title]").value != "Typed title") throw "what was typed is lost"`)
	carol.usable("edit-denied")
	if status := carol.open(w.console + "/roles/new"); status != 403 {
		t.Errorf("a lead makes roles: %d", status)
	}
	carol.open(w.page("dave") + "/deactivate")
	carol.press(`form[action$="/deactivate"] .actions button`)
	carol.sees("Dave Acme can no longer sign in.")
	w.out(dave)

	ada.open(w.page("carol") + "/edit")
	ada.choose("role", "")
	ada.press(`form[action$="/edit"] .actions button`)
	if status := carol.open(w.console + "/users"); status != 403 {
		t.Errorf("the role was taken, and acts still: %d", status)
	}
	ada.open(w.console + "/roles/people-lead/delete")
	ada.sees("0 people have the role")
	ada.usable("role-delete")
	ada.press("main form button.danger")
	ada.open(w.console + "/roles")
	if strings.Contains(ada.text(), "People lead") {
		t.Error("the role is still there")
	}
	ada.quiet()
	carol.quiet()
}

// Teams are made, put into one another, filled from both sides, and given to new people.
func TestTeamsInABrowser(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	ada, carol := w.ada, w.carol
	team := func(name string) string {
		t.Helper()
		ada.open(w.console + "/teams")
		ada.fill("input[name=name]", name)
		ada.press(`main section form button[type=submit]`)
		ada.sees(name)
		return ada.where()
	}
	north := team("Sales <b>North</b>")
	sales := team("Sales")
	ada.open(w.console + "/teams")
	ada.fill("input[name=name]", "sales")
	if status := ada.press(`main section form button[type=submit]`); status != 409 {
		t.Errorf("a second team of a name: %d", status)
	}
	ada.usable("team-refused")
	for i := range 20 {
		w.must("team", "create", "--org", "acme", fmt.Sprintf("Team %02d", i))
	}
	// From the team's side, then from the person's, where there are many by now.
	ada.open(north + "?find=carol")
	ada.do(withScripts(false))
	ada.press(`form:has(input[name=user]) button`)
	ada.sees("Carol Acme is in")
	ada.do(withScripts(true))
	ada.open(w.page("carol") + "/edit")
	ada.sees("Sales <b>North</b>", "Find other teams")
	ada.usable("edit-many-teams")
	ada.do(withScripts(false))
	ada.fill("#f-find_team", "no such team")
	ada.press("button[value=find]")
	ada.sees("No team is called so")
	ada.fill("#f-find_team", "17")
	ada.press("button[value=find]")
	ada.sees("Team 17", "Sales <b>North</b>")
	ada.js(`[...document.querySelectorAll("label")].find(l => l.textContent.includes("Team 17")).click()`)
	ada.press(`form[action$="/edit"] p.actions button`)
	ada.do(withScripts(true))
	ada.sees("Team 17", "Sales <b>North</b>")

	ada.open(sales)
	ada.fill("#f-find_team", "north")
	ada.press("form:has(#f-find_team) button")
	ada.usable("team-to-nest")
	ada.choose("group", north[strings.LastIndex(north, "/")+1:])
	ada.press(`form[action$="/nest"] button`)
	ada.sees("Its people belong to Sales now.")
	ada.open(sales + "?all=1")
	ada.sees("Carol Acme", "through Sales <b>North</b>")
	ada.usable("team-nested")
	carol.open(w.url + "/api/v1/me")
	carol.sees(`"Sales"`, "Team 17")
	if status := carol.open(w.console + "/teams"); status != 403 {
		t.Errorf("an employee in the console: %d", status)
	}
	ada.open(north)
	ada.press(`form[action$="/remove"] button`)
	ada.sees("Carol Acme is not in Sales <b>North</b> any more.")

	ada.open(w.console + "/settings/defaults")
	ada.put("teams_all", "Nowhere")
	if status := ada.press(`form[action$="/defaults"] button`); status != 400 {
		t.Errorf("a team that is not there: %d", status)
	}
	ada.sees(`There is no team "Nowhere"`)
	ada.usable("defaults-refused")
	ada.put("teams_all", "Team 03")
	ada.choose("own_csv", "on")
	ada.choose("role_csv", "viewer")
	ada.put("teams_csv", "Sales | Team 04")
	ada.press(`form[action$="/defaults"] button`)
	ada.sees("Saved.")
	erin := w.join("erin", "agent", 390)
	erin.open(w.url + "/api/v1/me")
	erin.sees("Team 03")
	ada.open(w.page("erin"))
	ada.sees("Team 03", "default")
	ada.quiet()
	carol.quiet()
}

// sends posts an empty form that no page offers.
func (p *person) sends(to string) int64 {
	p.t.Helper()
	return p.leads(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`{ const f = document.createElement("form"); f.method = "post"; f.action = "`+to+`"; document.body.append(f); f.submit(); true }`))
		return err
	}))
}
