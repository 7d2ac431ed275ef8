package main

import "testing"

// An admin says what people fill in themselves; whoever comes then is asked for it before
// anything else, on a telephone without a script, and never again.
func TestWhatIsRequiredOfPeopleInTheBrowser(t *testing.T) {
	t.Parallel()
	i := &inviting{program: newProgram(t), b: newBrowser(t)}
	i.server = i.serve()
	i.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	i.console = i.url + "/console/acme"
	ada := i.admin("ada", "Lovelace")
	ada.open(i.console + "/attributes")
	ada.put("name", "shirt")
	ada.put("description", "Size of the shirt that you get")
	ada.js(`document.querySelector("[name=required]").checked = document.querySelector("[name=self]").checked = true`)
	ada.press("main form button[type=submit]")
	ada.sees("shirt is there.", "filled in by people themselves")
	ada.usable("attribute-self")
	// She lacks it herself: her account waits, the console does not.
	ada.open(i.url + "/account")
	ada.sees("Before you go on", "Size of the shirt", "Change what is asked")
	ada.press("main p.aside a")
	ada.sees("shirt")

	eve := i.b.visit("eve", 390, 844)
	eve.do(withScripts(false))
	eve.open(i.at(i.must("user", "invite", "--org", "acme", "--email", "eve@example.com", "--given-name", "Eve")["link"].(string)))
	eve.fill("input[name=password]", goodPassword)
	eve.press("main form button[type=submit]")
	eve.sees("Before you go on", "Acme Inc needs this of you")
	eve.open(i.url + "/account/sessions")
	eve.sees("Before you go on")
	eve.do(withScripts(true))
	eve.usable("complete")
	eve.do(withScripts(false))
	eve.fill("[name$=':shirt']", "M <small>")
	eve.press("main form button[type=submit]")
	eve.sees("Sessions and devices", "This")
	eve.open(i.url + "/account/profile")
	eve.fill("[name$=':shirt']", "L")
	eve.press("form[action='/account/profile'] button")
	eve.sees("Your profile is saved.")
	i.page(ada, "eve")
	ada.sees("shirt", "L")
	ada.quiet()
	eve.quiet()
}
