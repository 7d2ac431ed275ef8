package main

import (
	"io"
	"mime/quotedprintable"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/chromedp/chromedp"
)

// postOffice is a real SMTP server. It refuses whoever is called nobody.
type postOffice struct {
	t   *testing.T
	url string
	mu  sync.Mutex // guards got
	got map[string]string
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{t: t, url: "smtp://" + l.Addr().String(), got: map[string]string{}}
	server := smtp.NewServer(p)
	server.Domain = "localhost"
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return p
}

func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &postCounter{p: p}, nil }

type postCounter struct {
	p  *postOffice
	to string
}

func (c *postCounter) Mail(string, *smtp.MailOptions) error { return nil }
func (c *postCounter) Rcpt(to string, _ *smtp.RcptOptions) error {
	if c.to = to; strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "there is no such mailbox"}
	}
	return nil
}
func (c *postCounter) Reset()        {}
func (c *postCounter) Logout() error { return nil }
func (c *postCounter) Data(r io.Reader) error {
	b, err := io.ReadAll(quotedprintable.NewReader(r))
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.got[c.to] = string(b)
	return err
}

var mailedLink = regexp.MustCompile(`http://[^\s"<>]*/invite/[A-Za-z0-9_-]+`)

// wait gives the newest mail to an address, once it holds the words, and its link.
func (p *postOffice) wait(to, words string) (text, link string) {
	p.t.Helper()
	deadline := time.Now().Add(stepTime)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		p.mu.Lock()
		text = p.got[to]
		p.mu.Unlock()
		if strings.Contains(text, words) && text != "" {
			return text, mailedLink.FindString(text)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no mail to %s with %q: %s", to, words, text)
		}
	}
}

// An admin invites in a real browser in every way, is refused where it must be, and
// somebody who was invited gets in by a mail from a real SMTP server.
func TestInvitationsInTheBrowser(t *testing.T) {
	t.Parallel()
	post := newPostOffice(t)
	p := newProgram(t, "MUSTER_MAIL_URL="+post.url)
	s := p.serve()
	p.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	b := newBrowser(t)
	ada := b.visit("ada", 1280, 800)
	ada.open(s.at(p.must("user", "invite", "--org", "acme", "--email", "ada@example.com", "--given-name", "Ada", "--family-name", "Lovelace", "--role", "admin")["link"].(string)))
	ada.fill("input[name=password]", goodPassword)
	ada.press("main form button[type=submit]")
	console := s.url + "/console/acme"
	p.must("user", "invite", "--org", "acme", "--email", "grace@example.com", "--given-name", "Grace", "--family-name", "Lovelace", "--role", "agent")

	invite := func(do string, fields ...string) {
		t.Helper()
		ada.open(console + "/invite")
		ada.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		for i := 0; i < len(fields); i += 2 {
			ada.put(fields[i], fields[i+1])
		}
		ada.press("button[value=" + do + "]")
	}
	invite("send", "email", "ivy@example.com", "given_name", "Ivy", "manager", "Lovelace", "note", "See <b>you</b> on Monday")
	ada.sees("2 people fit", "Who is the manager?", "Grace Lovelace")
	ada.usable("invite-which-manager")
	ada.do(chromedp.Click(chromedp.CSS("input[name=manager_id]")))
	ada.press("button[value=preview]")
	ada.sees("The mail, as it will arrive", "Your invitation to Acme Inc")
	ada.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	ada.sees("Ada Lovelace writes: See <b>you</b> on Monday")
	ada.usable("invite-preview")
	ada.press("button[value=send]")
	ada.sees("Invitation sent", "It is shown this once", "in 7 days")
	ada.usable("invite-sent")
	text, first := post.wait("ivy@example.com", "Accept the invitation")
	if !strings.Contains(text, "See <b>you</b> on Monday") || !strings.Contains(text, "See &lt;b&gt;you&lt;/b&gt;") || first == "" {
		t.Errorf("the mail:\n%s", text)
	}
	invite("send", "email", "ivy@example.com")
	ada.sees("That address already has an account here: Ivy (invited)")
	invite("save", "email", "sam@example.com", "given_name", "Sam")
	ada.sees("Saved, nothing sent")
	invite("activate", "email", "tom@example.com", "given_name", "Tom")
	ada.sees("The account is ready", "First password")
	ada.usable("invite-started")

	bounces(ada, console, post)
	many(ada, console, post)
	corrects(ada, b.visit("ivy", 390, 844), console, post, s, first)
	ada.open(console + "/settings/invitations")
	ada.usable("settings-invitations")
	ada.js(`document.querySelector("select[name=expiry_hours]").value = "48"; document.querySelector("select[name=remind_hours]").value = "72"`)
	ada.press("main form button[type=submit]")
	ada.sees("less than the 48 hours")
	ada.js(`document.querySelector("select[name=remind_hours]").value = "12"`)
	ada.put("welcome", "We are glad to have you.")
	ada.press("main form button[type=submit]")
	ada.sees("Saved.")
	invite("send", "email", "uma@example.com")
	ada.sees("in 2 days")
	post.wait("uma@example.com", "We are glad to have you.")
	ada.quiet()
}

// put writes into a field, of one line or several.
func (p *person) put(name, text string) {
	p.t.Helper()
	p.js(`document.querySelector("[name=` + name + `]").value = ` + strconv.Quote(text))
}

// at is a link of an invitation on this server, whatever server made it.
func (s *server) at(link string) string { return s.url + link[strings.Index(link, "/invite/"):] }

// bounces: a mail comes back, with the server's words, and goes to the right address.
func bounces(ada *person, console string, post *postOffice) {
	ada.t.Helper()
	ada.open(console + "/invite")
	ada.fill("input[name=email]", "nobody@example.com")
	ada.press("button[value=send]")
	deadline := time.Now().Add(stepTime)
	for {
		ada.open(console + "/invitations?state=bounced")
		if strings.Contains(ada.text(), "there is no such mailbox") {
			break
		}
		if time.Now().After(deadline) {
			ada.t.Fatalf("nothing came back:\n%s", ada.text())
		}
	}
	ada.usable("invitations-bounced")
	ada.press("main tbody th a")
	ada.sees("The mail to nobody@example.com came back", "there is no such mailbox")
	ada.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	ada.usable("person-bounced")
	ada.fill("form[action$='/correct'] input[name=email]", "ada@example.com")
	ada.press("form[action$='/correct'] button")
	ada.sees("That address already has an account here")
	ada.usable("invitation-correct-refused")
	ada.fill("form[action$='/correct'] input[name=email]", "somebody@example.com")
	ada.press("form[action$='/correct'] button")
	ada.sees("Invitation sent to the right address")
	post.wait("somebody@example.com", "/invite/")
}

// many: a pasted list, looked at, confirmed, and looked at again.
func many(ada *person, console string, post *postOffice) {
	ada.t.Helper()
	ada.open(console + "/invite/many")
	ada.usable("invite-many")
	ada.put("addresses", `"Curie, Marie" <marie@example.com>, ivy@example.com; nonsense, marie@example.com`)
	ada.press("main form button[type=submit]")
	ada.sees("1 can be invited", "3 left out", "Twice in the list", "Invited already", "No address", "Nobody was invited yet")
	ada.usable("invite-list")
	ada.press("main form button[type=submit]")
	ada.sees("1 invited")
	post.wait("marie@example.com", "Hello Marie")
	ada.open(ada.where())
	ada.sees("1 invited", "What became of the addresses")
	ada.usable("invite-list-done")
}

// corrects: the old link tells nothing, the new one leads in; cancelled and opened again.
func corrects(ada, ivy *person, console string, post *postOffice, s *server, first string) {
	ada.t.Helper()
	page := func() {
		ada.t.Helper()
		ada.open(console + "/users?q=ivy")
		ada.press("main tbody th a")
		ada.js(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	}
	page()
	ada.fill("form[action$='/correct'] input[name=email]", "ivy@right.example")
	ada.press("form[action$='/correct'] button")
	_, link := post.wait("ivy@right.example", "Accept the invitation")
	if status := ivy.open(s.at(first)); status != 410 || strings.Contains(ivy.text(), "right.example") {
		ada.t.Errorf("the old link: %d\n%s", status, ivy.text())
	}
	ivy.usable("invitation-withdrawn")
	page()
	ada.press("form[action$='/cancel'] button")
	ada.open(console + "/invitations?state=cancelled")
	ada.press("main tbody th a")
	ada.sees("Open the invitation again")
	ada.usable("person-cancelled")
	ada.press("form[action$='/reopen'] button")
	ada.sees("Invitation opened again")
	_, again := post.wait("ivy@right.example", "Accept the invitation")
	for deadline := time.Now().Add(stepTime); again == link && time.Now().Before(deadline); {
		_, again = post.wait("ivy@right.example", "Accept the invitation")
	}
	ivy.open(s.at(again))
	ivy.sees("Join Acme Inc", "Ada Lovelace invites you")
	ivy.fill("input[name=password]", goodPassword)
	ivy.press("main form button[type=submit]")
	ivy.sees("Welcome to Acme Inc")
	page()
	ada.sees("Accepted", "Link opened, by the person or a mail scanner", "Address corrected and sent", "Cancelled")
	ada.usable("person-accepted")
}
