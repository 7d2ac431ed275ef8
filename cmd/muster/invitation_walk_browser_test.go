package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
)

// inviting is an organization with two admins at their browsers, a real mail server, and
// an attribute that everybody there must have.
type inviting struct {
	*program
	*server
	post     *postOffice
	b        *browser
	ada, bob *person
	console  string
}

func newInviting(t *testing.T) *inviting {
	t.Helper()
	post := newPostOffice(t)
	i := &inviting{program: newProgram(t, "MUSTER_MAIL_URL="+post.url), post: post, b: newBrowser(t)}
	i.server = i.serve()
	i.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	i.must("team", "create", "--org", "acme", "Support")
	i.ada, i.bob = i.admin("ada", "Lovelace"), i.admin("bob", "Lovelace")
	i.must("attribute", "add", "--org", "acme", "--name", "costCentre", "--required")
	i.console = i.url + "/console/acme"
	for tries := 0; tries < 100 && !strings.Contains(i.ada.text(), "costCentre"); tries++ { // a server learns of it within two seconds
		i.ada.open(i.console + "/invite")
	}
	return i
}

// admin is somebody who has accepted an invitation as one.
func (i *inviting) admin(name, family string) *person {
	p := i.b.visit(name, 1280, 800)
	p.open(i.at(i.must("user", "invite", "--org", "acme", "--email", name+"@example.com", "--given-name", name, "--family-name", family, "--role", "admin")["link"].(string)))
	p.fill("input[name=password]", goodPassword)
	p.press("main form button[type=submit]")
	return p
}

// expire lets the time of an invitation end.
func (i *inviting) expire(address string) {
	t := i.program.t
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(i.dir, "muster-data", "muster.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	org, err := db.OrgBySlug(ctx, "acme")
	if err == nil {
		err = db.Write(ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE invitations SET expires_at = 1 WHERE org_id = ? AND email = ?", tx.Org(), address)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// page opens somebody's page, with everything on it unfolded.
func (i *inviting) page(p *person, who string) {
	p.t.Helper()
	p.open(i.console + "/users?q=" + who)
	p.press("main tbody th a")
	p.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
}

// Somebody is invited with all that an organization wants to know; the link grows old, a
// new one is asked for, sent by one of two admins, and leads in.
func TestAnInvitationIsFollowedInTheBrowser(t *testing.T) {
	t.Parallel()
	i := newInviting(t)
	i.invites()
	i.asks()
	i.first()
	i.pastes()
	i.letter()
	i.ada.quiet()
	i.bob.quiet()
}

func (i *inviting) invites() {
	ada := i.ada
	ada.t.Helper()
	ada.open(i.console + "/invite")
	ada.usable("invite-own")
	const own = "[name$=':costCentre']"
	ada.put("email", "eve@example.com")
	ada.put("given_name", "Eve")
	ada.put("note", "Bring <b>tea</b>")
	ada.js(`document.querySelector("[name=role][value=viewer]").checked = true; document.querySelector("[name=role][value=agent]").checked = false;
		document.querySelector("[name=teams]").checked = true; document.querySelector("main form.card").noValidate = true`)
	ada.press("button[value=send]")
	ada.sees("costCentre is required")
	ada.usable("invite-own-refused")
	ada.put("manager", "Lovelace")
	ada.js(`document.querySelector("` + own + `").value = "4711"`)
	ada.press("button[value=search]")
	ada.sees("2 people fit", "Who is the manager?")
	ada.js(`document.querySelector("input[name=manager_id]").checked = true`)
	ada.press("button[value=send]")
	ada.sees("Invitation sent")
	ada.open(i.console + "/invite")
	for range 2 { // the second time by the back button
		ada.put("email", "zoe@example.com")
		ada.js(`document.querySelector("` + own + `").value = "1"`)
		ada.press("button[value=send]")
		ada.do(chromedp.NavigateBack())
		ada.appears("button[value=send]")
	}
	ada.open(i.console + "/invitations")
	if n := strings.Count(ada.text(), "zoe@example.com"); n != 1 && n != 2 { // name and address
		ada.t.Errorf("zoe is there %d times:\n%s", n, ada.text())
	}
	i.page(ada, "eve")
	ada.sees("4711", "Support", "Viewer", "Pending")
}

// asks is the employee's part: at a telephone, without a script.
func (i *inviting) asks() {
	ada, bob := i.ada, i.bob
	ada.t.Helper()
	_, old := i.post.wait("eve@example.com", "Bring <b>tea</b>")
	i.expire("eve@example.com")
	eve := i.b.visit("eve", 390, 844)
	eve.do(withScripts(false))
	if status := eve.open(i.at(old)); status != 410 {
		ada.t.Errorf("an expired link answers %d", status)
	}
	eve.sees("This invitation has expired", "ada Lovelace")
	eve.press("form[action$='/again'] button")
	eve.sees("Your wish was heard")
	i.post.wait("ada@example.com", "asks for a new invitation")

	bob.open(i.console + "/invitations?asked=true")
	bob.sees("Wants a new link")
	bob.usable("invitations-asked")
	bob.press("main tbody th a")
	bob.sees("A new link was asked for", "Expired")
	i.page(ada, "eve")
	// Pressed twice before anything came back, and then by the other admin.
	ada.leads(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`{ const f = document.querySelector("form[action$='/resend']"); f.requestSubmit(); f.requestSubmit() }; true`))
		return err
	}))
	_, link := i.post.wait("eve@example.com", "Accept the invitation")
	for tries := 0; link == old && tries < 60; tries++ {
		i.page(ada, "eve")
		_, link = i.post.wait("eve@example.com", "Accept the invitation")
	}
	bob.press("form[action$='/resend'] button")
	bob.sees("has just been sent already")
	i.page(ada, "eve")
	ada.sees("2 times in all")
	eve.open(i.at(old))
	eve.sees("There is a newer invitation")
	eve.open(i.at(link))
	eve.fill("input[name=password]", goodPassword)
	eve.press("main form button[type=submit]")
	eve.sees("Welcome to Acme Inc")
	bob.do(chromedp.NavigateBack())
	bob.open(bob.where())
	i.page(bob, "eve")
	bob.sees("Accepted", "New link asked for")
	eve.quiet()
}

// first: whoever was saved begins with a first password, and sets an own one.
func (i *inviting) first() {
	ada := i.ada
	ada.t.Helper()
	i.must("user", "invite", "--org", "acme", "--email", "sam@example.com", "--attribute", "costCentre=1", "--save")
	i.page(ada, "sam")
	ada.sees("Saved")
	ada.press("a[href$='/invitation/activate']")
	page := ada.where()
	ada.usable("activate")
	ada.put("first_password", "short")
	ada.press("main form button[type=submit]")
	ada.sees("Activate sam@example.com without e-mail", "12")
	ada.put("first_password", "")
	ada.press("main form button[type=submit]")
	ada.sees("The account is ready")
	word, err := chromedp.Run(ada.ctx, chromedp.Evaluate[string](`document.querySelector("#f-first").value`))
	if err != nil {
		ada.t.Fatal(err)
	}
	sam := i.b.visit("sam", 390, 844)
	sam.open(i.url + "/o/acme/login?with=password")
	sam.signIn("sam@example.com", word)
	sam.fill("input[name=password]", goodPassword)
	sam.press("main form button[type=submit]")
	if !strings.HasSuffix(sam.where(), "/account") {
		ada.t.Errorf("sam is at %s:\n%s", sam.where(), sam.text())
	}
	ada.open(page)
	ada.sees("is active, so there is no open invitation")
	sam.quiet()
}

// pastes: a long list becomes a job, whose undo leaves who has accepted.
func (i *inviting) pastes() {
	ada := i.ada
	ada.t.Helper()
	var list strings.Builder
	for n := range 60 {
		fmt.Fprintf(&list, "Pat %d <pat%d@example.com>\\n", n, n)
	}
	ada.open(i.console + "/invite/many")
	ada.usable("invite-many-own")
	ada.js(`document.querySelector("[name=addresses]").value = "` + list.String() + `nonsense"; document.querySelector("[name$=':costCentre']").value = "9"`)
	ada.press("main form button[type=submit]")
	ada.sees("60 can be invited", "1 left out")
	checked := ada.where()
	ada.press("main form button[type=submit]")
	if !strings.Contains(ada.where(), "/jobs/") {
		ada.t.Errorf("a long list leads to %s", ada.where())
	}
	ada.ended()
	ada.sees("Invite 60 people", "Invited: 60")
	ada.usable("invite-job")
	_, link := i.post.wait("pat7@example.com", "Accept the invitation")
	pat := i.b.visit("pat", 390, 844)
	pat.open(i.at(link))
	pat.fill("input[name=password]", goodPassword)
	pat.press("main form button[type=submit]")
	ada.press("form[action$='/undo'] button")
	ada.ended()
	ada.open(ada.where() + "?result=skipped")
	ada.sees("Undo: Invite 60 people", "Cancelled: 59", "Has accepted the invitation, and stays.")
	ada.open(checked)
	ada.sees("1 invited", "59 taken back", "How it went, and undo")
	ada.usable("invite-list-undone")
	pat.open(i.url + "/account")
	pat.sees("Pat 7")
}

// letter looks at the mail as mail programs on a telephone show it, by day and by night.
func (i *inviting) letter() {
	t := i.program.t
	t.Helper()
	html := i.run("invitation", "preview", "--org", "acme", "--email", strings.Repeat("long.", 10)+"name@example.com", "--note", strings.Repeat("x", 200), "--html").stdout
	file := filepath.Join(t.TempDir(), "letter.html")
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	reader := i.b.visit("reader", 390, 844)
	reader.open("file://" + file)
	reader.sees("Accept the invitation")
	reader.usable("letter")
}

// Where single sign-on is required, the link of an invitation leads there, and the role
// that was chosen is kept; nobody gets a first password.
func TestAnInvitationLeadsToSingleSignOnInTheBrowser(t *testing.T) {
	t.Parallel()
	a := newAcme(t)
	for _, name := range []string{"one@example.net", "two@example.net"} {
		a.invited(name, "admin")
		a.must("breakglass", "add", "--org", "acme", name)
	}
	b := newBrowser(t)
	carla := b.visit("carla", 390, 844)
	link := a.must("user", "invite", "--org", "acme", "--email", "carla@example.com", "--given-name", "Carla", "--role", "viewer")["link"].(string)
	a.must("user", "invite", "--org", "acme", "--email", "boss@example.com", "--role", "admin")
	boss := b.visit("boss", 1280, 800)
	a.atProvider(boss, "boss-id", "boss@example.com", 0, func() { boss.open(a.saml) }) // a connection that has worked can be required
	a.must("policy", "set", "--org", "acme", "--sso", "required")
	if r := a.run("user", "activate", "--org", "acme", "carla@example.com"); r.code != 1 || !strings.Contains(r.stderr, "single sign-on") {
		t.Errorf("a first password: exit %d, %s", r.code, r.stderr)
	}
	carla.open(a.at(link))
	carla.sees("Join Acme", "Okta")
	if strings.Contains(carla.text(), "Set password") {
		t.Errorf("a password is asked for:\n%s", carla.text())
	}
	carla.usable("invitation-sso")
	a.atProvider(carla, "carla-id", "carla@example.com", 0, func() { carla.press(".ways a[href*='/saml/']") })
	var found map[string]any
	for _, u := range a.people() {
		if u["email"] == "carla@example.com" {
			found = u
		}
	}
	if roles := fmt.Sprint(found["roles"]); found["status"] != "active" || !strings.Contains(roles, "viewer") {
		t.Errorf("carla is %v", found)
	}
	carla.open(a.at(link))
	carla.sees("This invitation has been used")
	carla.quiet()
}

// people is the list of the command line.
func (a *acme) people() (list []map[string]any) {
	a.t.Helper()
	r := a.run("user", "list", "--org", "acme", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		a.t.Fatalf("%v\n%s", err, r.stdout)
	}
	return list
}
