package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// walk is an organization with an admin at a desk and an employee at a telephone.
type walk struct {
	*program
	*server
	browser    *browser
	ada, carol *person
	console    string
	ids        map[string]string // of people, by the beginning of their address
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{program: newProgram(t), ids: map[string]string{}}
	w.server = w.serve()
	w.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	w.browser, w.console = newBrowser(t), w.url+"/console/acme"
	w.ada = w.join("ada", "admin", 1280)
	w.carol = w.join("carol", "agent", 390)
	return w
}

// join invites somebody, who accepts.
func (w *walk) join(name, role string, width int64) *person {
	w.browser.t.Helper()
	made := w.must("user", "invite", "--org", "acme", "--email", name+"@acme.example", "--given-name", strings.ToUpper(name[:1])+name[1:], "--family-name", "Acme", "--role", role)
	w.ids[name], _ = made["user_id"].(string)
	p := w.browser.visit(name, width, 844)
	p.open(w.at(made["link"].(string)))
	p.fill("input[name=password]", goodPassword)
	p.press("main form button[type=submit]")
	return p
}

func (w *walk) page(name string) string { return w.console + "/users/" + w.ids[name] }

// signIn is carol's, by password.
func (w *walk) signIn(p *person, address string) {
	p.t.Helper()
	p.open(w.url + "/login?with=password")
	p.fill("input[name=email]", address)
	p.fill("input[name=password]", goodPassword)
	p.press(`form[action="/login"] button`)
}

// out fails unless the person is asked to sign in.
func (w *walk) out(p *person) {
	p.t.Helper()
	p.open(w.url + "/account")
	if !strings.Contains(p.where(), "/login") {
		p.t.Errorf("%s is still in, at %s", p.name, p.where())
	}
}

// choose takes a choice of a list or of a group by its value.
func (p *person) choose(name, value string) {
	p.t.Helper()
	p.js(`{ const e = document.querySelector('[name="` + name + `"]'); if (e.tagName == "SELECT") e.value = "` + value + `"; else document.querySelector('[name="` + name + `"][value="` + value + `"]').checked = true }`)
}

// An admin plans that somebody leaves, sees and cancels it; another plan comes true by
// itself and ends the employee's session; then the access comes back.
func TestPlannedLeavingInABrowser(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	ada, carol := w.ada, w.carol
	ada.open(w.page("carol"))
	ada.press(`main a[href$="/deactivate"]`)
	ada.sees("Deactivate Carol Acme", "signed out everywhere")
	ada.fill("input[name=why]", "goes to <b>Mars</b>")
	ada.choose("reason", "contract")
	ada.choose("when", "later")
	ada.js(`document.querySelector("[name=at]").value = "2001-01-01T10:00"`)
	ada.put("zone", "Europe/Berlin")
	ada.lax()
	if status := ada.press(`form[action$="/deactivate"] .actions button`); status != 400 {
		t.Errorf("planned for the past: %d", status)
	}
	ada.sees("2001", "is over")
	ada.usable("deactivate-refused")
	ada.js(`if (document.querySelector("[name=why]").value != "goes to <b>Mars</b>") throw "what was typed is lost"`)
	ada.js(`document.querySelector("[name=at]").value = "` + time.Now().AddDate(0, 0, 3).Format("2006-01-02") + `T18:00"`)
	ada.press(`form[action$="/deactivate"] .actions button`)
	ada.sees("Planned for", "Europe/Berlin", "Cancel this")
	ada.usable("person-with-plan")
	carol.open(w.console + "/planned")
	carol.sees("Not allowed")
	ada.open(w.console + "/planned")
	ada.sees("Carol Acme", "18:00 (Europe/Berlin)", "goes to <b>Mars</b>")
	ada.usable("planned-one")
	ada.do(withScripts(false))
	ada.press(`form[action$="/cancel"] button`)
	ada.do(withScripts(true))
	ada.open(w.console + "/planned?state=cancelled")
	ada.sees("Carol Acme")

	// The server makes it by itself.
	carol.open(w.url + "/account")
	carol.sees("Carol")
	w.must("user", "deactivate", "--org", "acme", "carol@acme.example", "--reason", "left", "--at", time.Now().Add(15*time.Second).UTC().Format(time.RFC3339))
	ada.open(w.page("carol"))
	for begun := time.Now(); !strings.Contains(ada.text(), "Reactivate Carol Acme"); ada.open(w.page("carol")) {
		if time.Since(begun) > stepTime {
			t.Fatalf("the plan does not come true:\n%s", ada.text())
		}
	}
	ada.usable("person-deactivated")
	w.out(carol)
	w.signIn(carol, "carol@acme.example")
	if strings.Contains(carol.where(), "/account") {
		t.Errorf("deactivated, and signed in at %s", carol.where())
	}
	carol.usable("login-deactivated")
	ada.press(`main a[href$="/reactivate"]`)
	ada.usable("reactivate")
	ada.press(`form[action$="/reactivate"] .actions button`)
	ada.sees("Carol Acme can sign in again.")
	w.signIn(carol, "carol@acme.example")
	carol.sees("Carol")

	// The last admin does not leave now; what is planned is asked again at its time.
	ada.open(w.page("ada") + "/deactivate")
	ada.sees("last active admin", "It can be planned")
	ada.js(`if (document.querySelector("[name=when][value=now]")) throw "what would be refused is offered"`)
	ada.usable("deactivate-last-admin")
	ada.lax()
	ada.js(`document.querySelector("[name=when]").value = "now"`)
	if status := ada.press(`form[action$="/deactivate"] .actions button`); status != 409 {
		t.Errorf("the last admin: %d", status)
	}
	ada.sees("last active admin")
	ada.quiet()
	carol.quiet()
}

// Somebody is deleted, the name goes to somebody else, and the person comes back under
// another one; with all seats taken only once a seat is free.
func TestDeletedAndSeatsInABrowser(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	ada, carol := w.ada, w.carol
	ada.open(w.page("carol"))
	ada.press(`main a[href$="/delete"]`)
	ada.sees("It can be undone for 30 days")
	ada.usable("delete")
	ada.fill("input[name=successor]", "Ada")
	ada.press(`button[value=find]`)
	ada.do(chromedp.Click(chromedp.CSS("#successor-0")))
	ada.usable("delete-successor")
	ada.press(`form[action$="/delete"] .actions button`)
	ada.sees("Carol Acme is deleted", "can be restored until")
	ada.usable("person-deleted")
	w.out(carol)
	carol.open(w.console + "/deleted")
	if !strings.Contains(carol.where(), "/login") {
		t.Errorf("deleted, and at %s", carol.where())
	}

	w.must("user", "invite", "--org", "acme", "--email", "carol@acme.example", "--given-name", "Second", "--role", "agent")
	ada.open(w.console + "/deleted")
	ada.sees("Carol Acme", "taken by somebody else now")
	ada.usable("deleted-one")
	w.must("org", "seats", "--org", "acme", "--limit", "2")
	ada.press(`main td a[href$="/restore"]`)
	ada.sees("Somebody else is called carol@acme.example now", "No seat of this organization is free: its limit is 2", "comes back deactivated")
	ada.usable("restore-taken")
	ada.fill("input[name=user_name]", "carol@acme.example")
	if status := ada.press(`form[action$="/restore"] .actions button`); status != 409 {
		t.Errorf("a name that is taken: %d", status)
	}
	ada.sees("already in use")
	ada.usable("restore-refused")
	ada.fill("input[name=user_name]", "carol.two")
	ada.js(`if (document.querySelector("[name=active]")) throw "a seat that is not there is offered"`)
	ada.js(`document.querySelector("[name=user_name]").insertAdjacentHTML("afterend", '<input type="hidden" name="active" value="on">')`)
	if status := ada.press(`form[action$="/restore"] .actions button`); status != 409 {
		t.Errorf("without a seat: %d", status)
	}
	ada.sees("No seat of this organization is free: its limit is 2", "Deactivate somebody")
	ada.do(withScripts(false))
	ada.press(`form[action$="/restore"] .actions button`)
	ada.do(withScripts(true))
	ada.sees("Carol Acme is back, deactivated", "carol.two")
	ada.press(`main a[href$="/reactivate"]`)
	ada.sees("See who could give one back", "It can be planned")
	ada.js(`if (document.querySelector("[name=when][value=now]")) throw "a seat that is not there is offered"`)
	ada.usable("reactivate-no-seat")
	ada.lax()
	ada.js(`document.querySelector("[name=when]").value = "now"`)
	if status := ada.press(`form[action$="/reactivate"] .actions button`); status != 409 {
		t.Errorf("reactivated without a seat: %d", status)
	}
	ada.press(`main a[href$="/settings/seats"]`)
	ada.sees("2 of 2 seats taken", "said by whoever runs this server")
	ada.put("name_1", "Full")
	ada.put("limit_1", "1")
	ada.choose("roles_1", "admin")
	ada.press(`form[action$="/licenses"] button`)
	ada.sees("1 of 1 taken")
	ada.put("name_2", "Light")
	ada.choose("roles_2", "admin")
	if status := ada.press(`form[action$="/licenses"] button`); status != 400 {
		t.Errorf("a role in two licenses: %d", status)
	}
	ada.sees("count the role admin")
	ada.usable("licenses-refused")
	ada.js(`document.querySelectorAll('[name=roles_2]').forEach(e => e.checked = false)`)
	ada.choose("default", "2")
	ada.press(`form[action$="/licenses"] button`)
	ada.sees("1 of 1 taken", "1 taken, no limit")
	ada.usable("licenses")

	// Who is made an admin needs a seat of that kind, and it is asked whether it is meant.
	w.must("user", "delete", "--org", "acme", "carol@acme.example")
	ada.open(w.page("carol") + "/reactivate")
	ada.press(`form[action$="/reactivate"] .actions button`)
	ada.sees("Carol Acme can sign in again.")
	w.signIn(carol, "carol.two")
	carol.sees("Carol")
	ada.open(w.page("carol") + "/edit")
	ada.choose("role", "admin")
	if status := ada.press(`form[action$="/edit"] .actions button`); status != 409 {
		t.Errorf("make an admin, unasked: %d", status)
	}
	ada.sees("Make Carol Acme an admin?", "invite, change, deactivate and delete everybody")
	ada.usable("make-an-admin")
	if status := ada.press("main form button"); status != 409 {
		t.Errorf("an admin without a seat: %d", status)
	}
	ada.sees("No seat of the license Full is free")
	ada.usable("edit-no-license")
	w.must("org", "seats", "--org", "acme", "--limit", "none")
	ada.quiet()
	carol.quiet()
}
