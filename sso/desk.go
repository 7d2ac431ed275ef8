package sso

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/guides"
	"github.com/muster-id/muster/store"
)

// desk is where somebody sets one connection up. The pages are the same in the
// console and behind a link; what differs is who acts and under which path.
type desk struct {
	actor access.Actor
	c     Connection
	base  string     // path of the connection's pages
	link  *SetupLink // behind a link; nil in the console
}

// mountDesk adds the pages that set a connection up.
func (d *Door) mountDesk(m *web.Mux) {
	m.Console(access.Configure, "GET /console/{org}/connections/new", d.showVendors)
	m.Console(access.Configure, "POST /console/{org}/connections/new", d.chooseVendor)
	const at = "/console/{org}/connections/{connection}"
	m.Console(access.Configure, "GET "+at, d.atConsole(d.showConnection))
	m.Console(access.Configure, "POST "+at+"/activate", d.atConsole(d.activateHere))
	m.Console(access.Configure, "POST "+at+"/disable", d.atConsole(d.disableHere))
	m.Console(access.Configure, "GET "+at+"/provider", d.atConsole(d.showProvider))
	m.Console(access.Configure, "POST "+at+"/provider", d.atConsole(d.changeProvider))
	m.Console(access.Configure, "GET "+at+"/setup", d.atConsole(d.showSetup))
	m.Console(access.Configure, "GET "+at+"/tests", d.atConsole(d.showTests))
	m.Console(access.Configure, "POST "+at+"/tests", d.atConsole(d.beginTest))
	m.Console(access.Configure, "GET "+at+"/tests/{test}", d.atConsole(d.showTest))
}

type deskHandler func(w http.ResponseWriter, r *http.Request, k desk) error

// atConsole finds the connection of a console page.
func (d *Door) atConsole(h deskHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := store.ParseID[Connection](r.PathValue("connection"))
		if err != nil {
			return err
		}
		k := desk{actor: web.Actor(r)}
		err = d.opts.DB.Read(r.Context(), k.actor, func(tx *store.Tx) (err error) {
			k.c, err = connectionIn(tx, id)
			return err
		})
		if err != nil {
			return err
		}
		k.base = "/console/" + web.OrgOf(r).Slug + "/connections/" + string(id)
		return h(w, r, k)
	}
}

// deskPage is common to the pages of one connection.
type deskPage struct {
	Name, Base, Status string
	Protocol, Vendor   string
	Up, UpName         string // the page above
	Steps              []deskStep
	Ready              bool // a test can be started
}

// deskStep is a line of the list that says how far the set-up is.
type deskStep struct {
	Label, Path string
	Here, Done  bool
}

// page fills in what all pages of a connection show. here is the step of this page.
func (d *Door) page(r *http.Request, k desk, here string) (p deskPage, err error) {
	var passed store.Time
	err = d.opts.DB.Read(r.Context(), k.actor, func(tx *store.Tx) (err error) {
		passed, err = d.TestPassed(tx, k.c.ID)
		return err
	})
	p = deskPage{Name: k.c.Name, Base: k.base, Status: k.c.Status, Protocol: protocolName(k.c.Protocol), Vendor: guides.Label(k.c.Vendor),
		Up: k.base, UpName: k.c.Name, Ready: k.c.Issuer != ""}
	p.Steps = []deskStep{
		{Label: "At the identity provider", Path: k.base + "/setup", Here: here == "setup", Done: k.c.Issuer != ""},
		{Label: "What it gives", Path: k.base + "/provider", Here: here == "provider", Done: k.c.Issuer != ""},
		{Label: "Test", Path: k.base + "/tests", Here: here == "tests", Done: passed != 0},
		{Label: "Activate", Path: k.base, Here: here == "", Done: k.c.Status == statusActive},
	}
	return p, err
}

func protocolName(protocol string) string {
	if protocol == protocolOIDC {
		return "OpenID Connect"
	}
	return "SAML 2.0"
}

// values are ours, by the names that guides use.
func (d *Door) values(c Connection) guides.Values {
	u := d.URLs(c)
	base := d.opts.PublicURL + "/sso/" + c.Protocol + "/" + string(c.ID)
	return guides.Values{"acs_url": u.ACS, "entity_id": u.EntityID, "metadata_url": u.Metadata, "slo_url": base + "/slo", "acs_regex": guides.Regex(u.ACS),
		"redirect_url": u.Redirect, "backchannel_url": base + "/backchannel-logout", "login_url": u.Login}
}

// copyScript puts a button beside each value of ours. Without it people select the
// text. It stands in templates/_copy.html, letter by letter; its words are the element's.
const copyScript = `const said = document.currentScript.dataset;
for (const box of document.querySelectorAll("input[data-copy]")) {
  const button = document.createElement("button");
  const word = document.createTextNode(said.copy), what = document.createElement("span");
  button.type = "button"; button.className = "second";
  what.className = "hidden"; what.textContent = " " + box.labels[0].textContent;
  button.append(word, what);
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(box.value); }
    catch { box.select(); document.execCommand("copy"); }
    word.data = said.done; button.classList.add("copied");
  };
  box.after(button);
  box.parentElement.classList.add("copy");
}`

// allowCopying lets the page's one script run.
func allowCopying(w http.ResponseWriter) {
	sum := sha256.Sum256([]byte(copyScript))
	web.Policy(w, "script-src", fmt.Sprintf("'sha256-%s'", base64.StdEncoding.EncodeToString(sum[:])))
}

// allowLeaving lets a form of the page end at the identity provider: browsers hold
// the whole chain of redirects against the policy.
func allowLeaving(w http.ResponseWriter, c Connection) {
	sources := []string{"'self'", "https:"}
	if address := orElse(orElse(c.Config.SSORedirect, c.Config.SSOPost), c.Issuer); len(address) > 5 && address[:5] == "http:" {
		sources = append(sources, "http:")
	}
	web.Policy(w, "form-action", sources...)
}

// setupPage are the numbered steps at the provider.
type setupPage struct {
	deskPage
	Guide guides.Guide
}

func (d *Door) showSetup(w http.ResponseWriter, r *http.Request, k desk) error {
	p, err := d.page(r, k, "setup")
	if err != nil {
		return err
	}
	g, ok := guides.For(k.c.Vendor, k.c.Protocol, d.values(k.c))
	if !ok {
		g, _ = guides.For("custom", k.c.Protocol, d.values(k.c))
	}
	allowCopying(w)
	return pages.Write(w, r, http.StatusOK, "setup", setupPage{p, g})
}

// testsPage is the history of tests, and where one starts.
type testsPage struct {
	deskPage
	Tests []testLine
	Form  web.Form
}

type testLine struct {
	Path, By, Outcome, Check string
	At                       store.Time
	Kept                     bool
}

func (d *Door) showTests(w http.ResponseWriter, r *http.Request, k desk) error {
	return d.testsPage(w, r, k, http.StatusOK, web.Form{})
}

func (d *Door) testsPage(w http.ResponseWriter, r *http.Request, k desk, status int, f web.Form) error {
	p, err := d.page(r, k, "tests")
	if err != nil {
		return err
	}
	page := testsPage{deskPage: p, Form: f}
	var list []TestSignIn
	err = d.opts.DB.Read(r.Context(), k.actor, func(tx *store.Tx) (err error) {
		list, err = testsIn(tx, k.c.ID)
		return err
	})
	if k.link != nil { // other tests are of other people
		list = slices.DeleteFunc(list, func(t TestSignIn) bool { return t.ActorID != string(k.link.ID) })
	}
	if err != nil {
		return err
	}
	now := store.TimeOf(d.opts.DB.Now())
	for _, t := range list {
		page.Tests = append(page.Tests, testLine{Path: k.base + "/tests/" + string(t.ID), By: t.By, Outcome: t.outcome(now), Check: t.FailedCheck, At: t.StartedAt, Kept: t.ExpiresAt > now})
	}
	allowLeaving(w, k.c)
	return pages.Write(w, r, status, "tests", page)
}

// outcome in a word: a test whose answer never came back did not pass.
func (t TestSignIn) outcome(now store.Time) string {
	if t.Outcome == testWaiting && t.StartedAt.Add(pendingFor) < now {
		return "no answer"
	}
	return t.Outcome
}

func (d *Door) beginTest(w http.ResponseWriter, r *http.Request, k desk) error {
	err := d.startTest(w, r, k.actor, k.c, func(id TestID) string { return k.base + "/tests/" + string(id) })
	var f web.Form
	if f.Take(err) {
		return d.testsPage(w, r, k, web.Status(err), f)
	}
	return err
}

// testPage is what one test showed.
type testPage struct {
	deskPage
	Test    TestSignIn
	Outcome string
	Kept    bool // the report is still there
	Report  report
	First   *answer.Check // the one that failed
	Names   []string      // of the attributes, in order
	People  string        // where the console shows somebody
	Answer  string        // what kind of document the answer is
}

func (d *Door) showTest(w http.ResponseWriter, r *http.Request, k desk) error {
	id, err := store.ParseID[TestSignIn](r.PathValue("test"))
	if err != nil {
		return err
	}
	t, rep, err := d.test(r.Context(), k.actor, k.c, id)
	if err != nil {
		return err
	}
	if k.link != nil {
		if t.ActorID != string(k.link.ID) {
			return fault.NotFound.Say("There is no such test.")
		}
		rep = rep.forContact()
	}
	p, err := d.page(r, k, "tests")
	if err != nil {
		return err
	}
	p.Up, p.UpName = k.base+"/tests", web.T(r, "All tests")
	page := testPage{deskPage: p, People: "/console/" + web.OrgOf(r).Slug + "/users/", Test: t, Outcome: t.outcome(store.TimeOf(d.opts.DB.Now())), Kept: rep.Protocol != "", Report: rep, Answer: "Response"}
	if k.c.Protocol == protocolOIDC {
		page.Answer = "ID token"
	}
	if c, failed := rep.Trace.Failed(); failed {
		page.First = &c
	}
	if rep.Person != nil {
		page.Names = rep.Person.names()
	}
	allowLeaving(w, k.c)
	return pages.Write(w, r, http.StatusOK, "test", page)
}
