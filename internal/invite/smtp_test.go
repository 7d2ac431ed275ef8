package invite_test

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// postOffice is a real SMTP server that refuses some people.
type postOffice struct {
	mu  sync.Mutex // guards got
	got map[string]string
}

func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &counter{p: p}, nil }

type counter struct {
	p  *postOffice
	to string
}

func (c *counter) Mail(string, *smtp.MailOptions) error { return nil }
func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = to
	switch {
	case strings.HasPrefix(to, "nobody"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no <b>such</b> mailbox"}
	case strings.HasPrefix(to, "later"):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "try later"}
	}
	return nil
}
func (c *counter) Reset()        {}
func (c *counter) Logout() error { return nil }
func (c *counter) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if strings.HasPrefix(c.to, "spam") {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "looks like spam"}
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.got[c.to] = string(b)
	return nil
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// posted gives the stage a door whose mails go to a real SMTP server.
func (s *stage) posted() (*postOffice, *mail.Outbox) {
	s.t.Helper()
	p := &postOffice{got: map[string]string{}}
	server := smtp.NewServer(p)
	server.Domain, server.ErrorLog = "localhost", quiet{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close() })
	box, err := mail.New(mail.Options{DB: s.db, URL: "smtp://" + l.Addr().String(), PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler),
		Failed: func(tx *store.Tx, id mail.ID, words string) error { return s.door.Bounced(tx, id, words) }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.queue = box.Queue
	return p, box
}

func TestMailsThatComeBack(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		p, box := s.posted()
		made := map[string]invite.Made{}
		for _, name := range []string{"ada", "nobody", "spam", "later"} {
			made[name] = s.invite(name + "@example.com")
		}
		deliver := func() {
			t.Helper()
			if err := box.SendDue(ctx); err != nil {
				t.Fatal(err)
			}
		}
		deliver()
		if text := p.got["ada@example.com"]; !strings.Contains(text, "/invite/") || !strings.Contains(text, "multipart/alternative") {
			t.Errorf("what arrived: %s", text)
		}
		for name, words := range map[string]string{"ada": "", "later": "", "nobody": "no <b>such</b> mailbox", "spam": "looks like spam"} {
			i := s.state(made[name].UserID)
			if want := map[bool]invite.State{true: invite.Pending, false: invite.Bounced}[words == ""]; i.State != want || !strings.Contains(i.Bounce, words) {
				t.Errorf("%s: %s %q, want %s", name, i.State, i.Bounce, want)
			}
		}
		// The link in a mail that came back works for whoever gets it otherwise; what is sent
		// to the right address is pending again.
		var right invite.Made
		s.must(func(tx *store.Tx) (err error) {
			right, err = s.door.Correct(tx, s.org, made["nobody"].UserID, "somebody@example.com")
			return err
		})
		deliver()
		if i := s.state(right.UserID); i.State != invite.Pending || i.Bounce != "" || p.got["somebody@example.com"] == "" {
			t.Errorf("corrected: %+v", i)
		}
		if err := s.accept(made["spam"].Link); err != nil {
			t.Errorf("a link that came back: %v", err)
		}
		// A mail that nobody takes for a day has come back, unless another one was sent meanwhile.
		clock.Pass(time.Hour)
		s.must(func(tx *store.Tx) error { _, err := s.door.Copy(tx, s.org, made["later"].UserID); return err })
		for range 30 {
			clock.Pass(time.Hour)
			deliver()
		}
		if i := s.state(made["later"].UserID); i.State != invite.Bounced || !strings.Contains(i.Bounce, "try later") {
			t.Errorf("after a day: %+v", i)
		}
		again := s.invite("later2@example.com")
		deliver()
		s.must(func(tx *store.Tx) error {
			_, err := s.door.Correct(tx, s.org, again.UserID, "fine@example.com")
			return err
		})
		for range 30 {
			clock.Pass(time.Hour)
			deliver()
		}
		if i := s.state(again.UserID); i.State != invite.Pending {
			t.Errorf("the old mail's end marked the new one: %+v", i)
		}
		if got := strings.Join(s.history(made["nobody"].UserID), " "); got != "create bounce correct" {
			t.Errorf("history: %s", got)
		}
	})
}

// report is what a server further on sends back.
func report(message, action, status string) string {
	return strings.ReplaceAll(`From: MAILER-DAEMON@relay.example
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; ada@example.com
Action: `+action+`
Status: `+status+`
Diagnostic-Code: smtp; 550 5.1.1 <ada@example.com>:
  user unknown

--b
Content-Type: text/rfc822-headers

Message-ID: <`+message+`>
Subject: Your invitation

--b--
`, "\n", "\r\n")
}

func TestMailsThatComeBackLater(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		p, box := s.posted()
		made := s.invite("ada@example.com")
		if err := box.SendDue(ctx); err != nil {
			t.Fatal(err)
		}
		_, message, _ := strings.Cut(p.got["ada@example.com"], "Message-ID: <")
		message, _, _ = strings.Cut(message, ">")
		take := func(text string) error {
			b, err := mail.ReadBounce(strings.NewReader(text))
			if err != nil {
				return err
			}
			return box.CameBack(ctx, b)
		}
		for name, text := range map[string]string{"nothing": "", "a letter": "Subject: x\r\n\r\nhello", "a delay": report(message, "delayed", "4.4.1"), "somebody else's": report("x@y.example", "failed", "5.1.1"),
			"cut off": report(message, "failed", "5.1.1")[:400], "half a type": "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n--\r\n"} {
			wantFault(t, name, take(text), fault.Invalid)
		}
		wantFault(t, "a message that is not known", take(report(string(store.NewID[mail.Message]())+"@127.0.0.1", "failed", "5.1.1")), fault.NotFound)
		if i := s.state(made.UserID); i.State != invite.Pending {
			t.Errorf("before: %+v", i)
		}
		if err := take(report(message, "failed", "5.1.1")); err != nil {
			t.Fatal(err)
		}
		if i := s.state(made.UserID); i.State != invite.Bounced || !strings.Contains(i.Bounce, "user unknown") {
			t.Errorf("after: %+v", i)
		}
		wantFault(t, "the same once more", take(report(message, "failed", "5.1.1")), fault.NotFound)
	})
}
