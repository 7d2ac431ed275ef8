package mail

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/muster-id/muster/internal/fault"
)

// relay is the SMTP server that takes our messages.
type relay struct {
	host string
	opts []gomail.Option
}

const badURL = "The mail server %q cannot be used: %s. Write it like smtp://user:password@mail.example.com:587 or smtps://mail.example.com."

// newRelay reads smtp://USER:PASSWORD@HOST:PORT (STARTTLS when the server offers
// it, demanded with ?starttls=required) or smtps://... (TLS from the start).
func newRelay(address string) (*relay, error) {
	refuse := func(why string) error {
		shown := "it"
		if u, err := url.Parse(address); err == nil {
			shown = u.Redacted()
		}
		return fault.Invalid.On("mail_url", badURL, shown, why)
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, refuse("there is no host in it")
	}
	r := &relay{host: u.Hostname(), opts: []gomail.Option{gomail.WithTimeout(20 * time.Second)}}
	port := 0
	switch u.Scheme {
	case "smtp":
		policy := gomail.TLSOpportunistic
		switch u.Query().Get("starttls") {
		case "", "offered":
		case "required":
			policy = gomail.TLSMandatory
		default:
			return nil, refuse("starttls is offered or required")
		}
		port = 25
		if u.User != nil {
			port = 587
		}
		r.opts = append(r.opts, gomail.WithTLSPolicy(policy))
	case "smtps":
		port = 465
		r.opts = append(r.opts, gomail.WithSSL())
	default:
		return nil, refuse("it does not start with smtp:// or smtps://")
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return nil, refuse("the port is no number from 1 to 65535")
		}
	}
	r.opts = append(r.opts, gomail.WithPort(port))
	if u.User != nil {
		password, _ := u.User.Password()
		// Never in the clear: PLAIN and LOGIN are used under TLS alone.
		r.opts = append(r.opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	if _, err := gomail.NewClient(r.host, r.opts...); err != nil {
		return nil, refuse(err.Error())
	}
	return r, nil
}

// letter is a message in the form of the mail library.
func (o *Outbox) letter(row mailRow) func() (*gomail.Msg, error) {
	return func() (*gomail.Msg, error) {
		m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
		m.FromMailAddress(o.from)
		at := strings.LastIndexByte(row.To, '@')
		domain, err := idna.Lookup.ToASCII(row.To[at+1:])
		if err != nil {
			return nil, &refusal{fmt.Errorf("domain of %s: %w", row.To, err)}
		}
		if err := m.To(row.To[:at+1] + domain); err != nil {
			return nil, &refusal{err}
		}
		m.Subject(row.Subject)
		m.SetMessageIDWithValue(string(row.ID) + "@" + o.host) // the same at each try
		m.SetDateWithValue(row.CreatedAt.Time())
		m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday answers
		m.SetGenHeader("X-Auto-Response-Suppress", "All")
		m.SetBodyString(gomail.TypeTextPlain, row.Text)
		if row.HTML != "" {
			m.AddAlternativeString(gomail.TypeTextHTML, row.HTML)
		}
		return m, nil
	}
}

// send makes one try.
func (r *relay) send(ctx context.Context, letter func() (*gomail.Msg, error)) error {
	m, err := letter()
	if err != nil {
		return err
	}
	c, err := gomail.NewClient(r.host, r.opts...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.DialWithContext(ctx); err != nil {
		return err
	}
	err = c.Send(m)
	// After "250 OK" a failing QUIT changes nothing.
	c.Close()
	return err
}

// refusal is a message that no server would take.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// permanent tells whether trying again is useless: the server said so about this
// message (5xx). Trouble with the server or the sign-in there may be mended.
func permanent(err error) bool {
	if _, ok := errors.AsType[*refusal](err); ok {
		return true
	}
	e, ok := errors.AsType[*gomail.SendError](err)
	return ok && !e.IsTemp() && e.ErrorCode() >= 500
}
