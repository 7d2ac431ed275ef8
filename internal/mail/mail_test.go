package mail_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/porttest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// catcher is a real SMTP server that keeps what it gets.
type catcher struct {
	mu   sync.Mutex // guards all below
	got  []received
	fail []error // the answers to the next DATA commands
}

type received struct {
	from string
	to   []string
	data string
}

func (c *catcher) NewSession(*smtp.Conn) (smtp.Session, error) { return &catching{c: c}, nil }

type catching struct {
	c *catcher
	m received
}

func (s *catching) Mail(from string, _ *smtp.MailOptions) error { s.m.from = from; return nil }
func (s *catching) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.m.to = append(s.m.to, to)
	return nil
}
func (s *catching) Reset()        { s.m = received{} }
func (s *catching) Logout() error { return nil }
func (s *catching) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.c.fail) > 0 {
		err := s.c.fail[0]
		s.c.fail = s.c.fail[1:]
		return err
	}
	s.m.data = string(b)
	s.c.got = append(s.c.got, s.m)
	return nil
}

func listen(t *testing.T) (*catcher, string) {
	t.Helper()
	c := &catcher{}
	server := smtp.NewServer(c)
	server.Domain = "localhost"
	server.ErrorLog = quiet{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return c, "smtp://" + l.Addr().String()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func newOutbox(t *testing.T, o mail.Options) *mail.Outbox {
	t.Helper()
	o.PublicURL, o.From, o.Log = "https://id.example.com", "Müster <muster@example.com>", slog.New(slog.DiscardHandler)
	box, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func queue(t *testing.T, db *store.DB, box *mail.Outbox, actor access.Actor, m mail.Message) {
	t.Helper()
	if err := db.Write(context.Background(), actor, func(tx *store.Tx) error { return box.Queue(tx, m) }); err != nil {
		t.Fatal(err)
	}
}

var letter = mail.Letter{
	Subject: "Willkommen, Grüße", Greeting: "Hello Ada,", Lines: []string{"Bo <b>invited</b> you to Acme & Sons."},
	Button: "Join", Link: "https://id.example.com/invite/s3cret-" + strings.Repeat("x", 80), Small: []string{"Until Friday."},
}

func TestWhatArrives(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, url := listen(t)
		box := newOutbox(t, mail.Options{DB: db, URL: url})
		_, acme := storetest.Org(t, db, "acme")
		queue(t, db, box, acme, letter.To("ada@bücher.example"))
		if err := box.SendDue(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(c.got) != 1 || c.got[0].from != "muster@example.com" || len(c.got[0].to) != 1 || c.got[0].to[0] != "ada@xn--bcher-kva.example" {
			t.Fatalf("received %+v", c.got)
		}
		m, err := netmail.ReadMessage(strings.NewReader(c.got[0].data))
		if err != nil {
			t.Fatal(err)
		}
		var words mime.WordDecoder
		if s, err := words.DecodeHeader(m.Header.Get("Subject")); err != nil || s != letter.Subject {
			t.Errorf("subject %q, %v", s, err)
		}
		if from, err := m.Header.AddressList("From"); err != nil || from[0].Name != "Müster" {
			t.Errorf("from %v, %v", from, err)
		}
		if m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(m.Header.Get("Message-ID"), "@id.example.com>") || m.Header.Get("Date") == "" {
			t.Errorf("headers %v", m.Header)
		}
		text, html := parts(t, m)
		wantText := "Hello Ada,\n\nBo <b>invited</b> you to Acme & Sons.\n\nJoin:\n" + letter.Link + "\n\nUntil Friday.\n"
		if text != wantText {
			t.Errorf("text\n%q\nwant\n%q", text, wantText)
		}
		if strings.Count(html, letter.Link) != 3 || !strings.Contains(html, "Bo &lt;b&gt;invited&lt;/b&gt; you to Acme &amp; Sons.") {
			t.Errorf("html %s", html)
		}
		var row struct {
			State string `db:"state"`
			Text  string `db:"text"`
			HTML  string `db:"html"`
		}
		if err := db.Lookup(context.Background(), &row, "SELECT state, text, html FROM mails"); err != nil || row.State != "sent" || row.Text+row.HTML != "" {
			t.Errorf("the outbox still holds %+v, %v", row, err)
		}
	})
}

// Names come from directories and forms: none may add a header or a paragraph.
func TestNamesStayInTheirLine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, url := listen(t)
		box := newOutbox(t, mail.Options{DB: db, URL: url})
		_, acme := storetest.Org(t, db, "acme")
		const nasty = "Acme\r\nBcc: eve@evil.example\rX-Evil: 1\n\nOpen https://evil.example\u2028now"
		queue(t, db, box, acme, mail.Letter{Subject: "For " + nasty, Greeting: "Hello " + nasty + ",", Lines: []string{nasty + " invites you."}}.To("ada@example.com"))
		if err := box.SendDue(context.Background()); err != nil || len(c.got) != 1 || len(c.got[0].to) != 1 {
			t.Fatalf("received %+v, %v", c.got, err)
		}
		m, err := netmail.ReadMessage(strings.NewReader(c.got[0].data))
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get("Bcc") != "" || m.Header.Get("X-Evil") != "" || m.Header.Get("Auto-Submitted") == "" {
			t.Errorf("headers %v", m.Header)
		}
		if text, _ := parts(t, m); strings.Count(text, "\n") != 3 || strings.Contains(text, "\u2028") {
			t.Errorf("a name made paragraphs: %q", text)
		}
	})
}

// parts reads multipart/alternative: text first, HTML last (RFC 2046 §5.1.4).
func parts(t *testing.T, m *netmail.Message) (text, html string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", m.Header.Get("Content-Type"), err)
	}
	var got []string
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Header.Get("Content-Type"), strings.ReplaceAll(string(b), "\r\n", "\n"))
	}
	if len(got) != 4 || !strings.HasPrefix(got[0], "text/plain") || !strings.HasPrefix(got[2], "text/html") {
		t.Fatalf("parts %q", got)
	}
	return got[1], got[3]
}

func TestTemporaryFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		c, url := listen(t)
		box := newOutbox(t, mail.Options{DB: db, URL: url})
		_, acme := storetest.Org(t, db, "acme")
		busy := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "busy"}
		c.fail = []error{busy, busy}
		queue(t, db, box, acme, letter.To("ada@example.com"))
		for i, wait := range []time.Duration{0, time.Minute, 2 * time.Minute} {
			clock.Pass(wait - time.Second)
			if err := box.SendDue(ctx); err != nil {
				t.Fatal(err)
			}
			if len(c.got) != 0 {
				t.Fatalf("try %d: sent too early", i+1)
			}
			clock.Pass(time.Second)
			if err := box.SendDue(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.got) != 1 {
			t.Fatalf("sent %d times, want 1", len(c.got))
		}
	})
}

func TestLastingRefusalsAreRecorded(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		c, url := listen(t)
		box := newOutbox(t, mail.Options{DB: db, URL: url})
		_, acme := storetest.Org(t, db, "acme")
		c.fail = []error{&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}}
		queue(t, db, box, acme, letter.To("ada@example.com"))
		for range 3 {
			if err := box.SendDue(ctx); err != nil {
				t.Fatal(err)
			}
			clock.Pass(2 * time.Hour)
		}
		var list []store.Activity
		err := db.Read(ctx, acme, func(tx *store.Tx) (err error) {
			list, err = tx.Activities(store.ActivityQuery{Action: "mail.fail"})
			return err
		})
		if err != nil || len(list) != 1 || list[0].TargetName != "ada@example.com" || !strings.Contains(list[0].Detail["why"].(string), "no such mailbox") || len(c.got) != 0 {
			t.Errorf("activity %+v, %v, received %d", list, err, len(c.got))
		}
	})
}

// An unreachable server is given up after a day; a claim that died is taken over
// after the lease, with the same Message-ID.
func TestUnreachableServersAndDeadClaims(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		_, acme := storetest.Org(t, db, "acme")
		dead := newOutbox(t, mail.Options{DB: db, URL: "smtp://" + porttest.HeldAddr(t)}) // nobody listens there
		queue(t, db, dead, acme, letter.To("ada@example.com"))
		state := func() (s string) {
			t.Helper()
			if err := db.Lookup(ctx, &s, "SELECT state FROM mails ORDER BY id DESC LIMIT 1"); err != nil {
				t.Fatal(err)
			}
			return s
		}
		for range 3 {
			if err := dead.SendDue(ctx); err != nil {
				t.Fatal(err)
			}
			clock.Pass(time.Hour)
		}
		if state() != "queued" {
			t.Errorf("given up after three hours: %s", state())
		}
		clock.Pass(22 * time.Hour)
		if err := dead.SendDue(ctx); err != nil || state() != "failed" {
			t.Errorf("after a day: %s, %v", state(), err)
		}

		// The claim is all that a process leaves which dies before sending.
		c, url := listen(t)
		box := newOutbox(t, mail.Options{DB: db, URL: url})
		queue(t, db, box, acme, letter.To("bo@example.com"))
		if err := db.Write(ctx, acme, func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE mails SET next_at = ? WHERE org_id = ? AND state = 'queued'", tx.Now().Add(5*time.Minute), tx.Org())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := box.SendDue(ctx); err != nil || len(c.got) != 0 {
			t.Fatalf("took a claimed message: %d, %v", len(c.got), err)
		}
		clock.Pass(5 * time.Minute)
		if err := box.SendDue(ctx); err != nil || len(c.got) != 1 {
			t.Fatalf("after the lease: %d, %v", len(c.got), err)
		}
	})
}

func TestTwoServersSendOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, url := listen(t)
		_, acme := storetest.Org(t, db, "acme")
		a, b := newOutbox(t, mail.Options{DB: db, URL: url}), newOutbox(t, mail.Options{DB: db, URL: url})
		for range 20 {
			queue(t, db, a, acme, letter.To("ada@example.com"))
		}
		var wg sync.WaitGroup
		for _, box := range []*mail.Outbox{a, b, a, b} {
			wg.Go(func() {
				if err := box.SendDue(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		ids := map[string]int{}
		for _, m := range c.got {
			msg, err := netmail.ReadMessage(strings.NewReader(m.data))
			if err != nil {
				t.Fatal(err)
			}
			ids[msg.Header.Get("Message-ID")]++
		}
		if len(c.got) != 20 || len(ids) != 20 {
			t.Errorf("%d sent, %d different", len(c.got), len(ids))
		}
	})
}

func TestNoMailWithoutItsChange(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		box := newOutbox(t, mail.Options{DB: db})
		_, acme := storetest.Org(t, db, "acme")
		undo := errors.New("undo")
		err := db.Write(context.Background(), acme, func(tx *store.Tx) error {
			if err := box.Queue(tx, letter.To("ada@example.com")); err != nil {
				return err
			}
			return undo
		})
		var n int
		if lookup := db.Lookup(context.Background(), &n, "SELECT count(*) FROM mails"); !errors.Is(err, undo) || lookup != nil || n != 0 {
			t.Errorf("%v, %v: %d mails", err, lookup, n)
		}
		for _, bad := range []string{"", "ada", "ada@example.com\r\nBcc: x@y.example", "Ada <ada@example.com>", "a b@example.com", "ada@example.com, bo@example.com", "\x00@example.com"} {
			if err := mail.CheckAddress(bad); !fault.Is(err, fault.Invalid) || fault.Field(err) != "email" {
				t.Errorf("CheckAddress(%q) = %v", bad, err)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"": true, "smtp://mail.example.com": true, "smtps://u:p%40ss@mail.example.com:465": true, "smtp://mail.example.com?starttls=required": true,
		"http://mail.example.com": false, "smtp://": false, "mail.example.com:25": false, "smtp://mail.example.com:99999": false, "smtp://h?starttls=maybe": false, "smtps://u:s3cret@h:x": false,
	} {
		_, err := mail.New(mail.Options{URL: url, PublicURL: "https://id.example.com"})
		if (err == nil) != ok || err != nil && (fault.Field(err) != "mail_url" || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := mail.New(mail.Options{From: "nobody"}); fault.Field(err) != "mail_from" {
		t.Errorf("a bad sender: %v", err)
	}
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, acme := storetest.Org(t, db, "acme")
		box := newOutbox(t, mail.Options{DB: db, Loopback: true})
		queue(t, db, box, acme, letter.To("ada@example.com"))
		m := web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler)})
		box.Mount(m)
		get := func(path string, change func(*http.Request)) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", path, nil)
			r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:5555"
			if change != nil {
				change(r)
			}
			w := httptest.NewRecorder()
			m.ServeHTTP(w, r)
			return w
		}
		asJSON := func(r *http.Request) { r.Header.Set("Accept", "application/json") }
		var list []struct {
			ID, To, Subject, Text, HTML string
			Links                       []string
		}
		w := get("/dev/mailbox", asJSON)
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list) != 1 || list[0].To != "ada@example.com" || len(list[0].Links) != 1 || list[0].Links[0] != letter.Link {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		webtest.Page(t, get("/dev/mailbox", nil).Body.String())
		page := get("/dev/mailbox/"+list[0].ID, nil)
		doc := webtest.Page(t, page.Body.String())
		if frames := webtest.All(doc, "iframe"); len(frames) != 1 || webtest.Attr(frames[0], "sandbox") != "allow-top-navigation-by-user-activation" {
			t.Errorf("frame %v", frames)
		}
		framed := get("/dev/mailbox/"+list[0].ID+"/html", nil)
		if csp := framed.Header().Get("Content-Security-Policy"); framed.Code != 200 || !strings.Contains(csp, "sandbox") || strings.Contains(csp, "script") {
			t.Errorf("frame %d %q", framed.Code, csp)
		}
		for name, change := range map[string]func(*http.Request){
			"by another name (DNS rebinding)": func(r *http.Request) { r.Host = "evil.example:8080" },
			"from another machine":            func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5555" },
			"through a proxy":                 func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		} {
			if w := get("/dev/mailbox", change); w.Code != 404 {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
		if w := get("/dev/mailbox/"+strings.Repeat("0", 32), nil); w.Code != 404 {
			t.Errorf("no such message: %d", w.Code)
		}
	})
	for name, o := range map[string]mail.Options{"a server is set": {URL: "smtp://h", Loopback: true}, "not on loopback": {}} {
		m := web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler)})
		newOutbox(t, o).Mount(m)
		r := httptest.NewRequest("GET", "http://127.0.0.1:8080/dev/mailbox", nil)
		r.RemoteAddr = "127.0.0.1:5"
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if w.Code != 404 {
			t.Errorf("%s: the mailbox answers %d", name, w.Code)
		}
	}
}

func TestRunSendsAtOnceAndStops(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	c, url := listen(t)
	box := newOutbox(t, mail.Options{DB: db, URL: url})
	box.LookEvery(time.Hour)
	_, acme := storetest.Org(t, db, "acme")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- box.Run(ctx) }()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for sent := 1; sent <= 2; sent++ { // the first look may find the first one
		queue(t, db, box, acme, letter.To("ada@example.com"))
		for n := 0; n < sent; {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("message %d is not sent", sent)
			}
			c.mu.Lock()
			n = len(c.got)
			c.mu.Unlock()
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
