package account_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const good = "correct horse battery staple"

var cheap = password.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// site is a server with the account door, and what stands behind it.
type site struct {
	t         *testing.T
	db        *store.DB
	url       string
	account   *account.Account
	sessions  *session.Store
	passwords *password.Store
	factors   *factor.Store
	leave     func(in session.Session) (string, error) // nil: nobody came from a provider
	filled    []account.Filled                         // by sign-ins, of everybody
	lookups   atomic.Int64                             // of what sign-ins fill
	closed    string                                   // the mail domain whose people use single sign-on
}

func newSite(t *testing.T, db *store.DB) *site {
	t.Helper()
	var mux *web.Mux
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { openapitest.Checked(t, mux).ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	quiet := slog.New(slog.DiscardHandler)
	s := &site{t: t, db: db, url: server.URL}
	s.sessions = session.New(session.Options{DB: db, PublicURL: server.URL, Log: quiet,
		Admit:   func(tx *store.Tx, in session.In) error { return account.AdmitPassword(s.passwords, tx, in) },
		Started: func(tx *store.Tx, in session.In) error { return s.account.SessionStarted(tx, in) }})
	s.passwords = password.New(password.Options{DB: db, Params: cheap, Slots: 8, Log: quiet})
	s.factors = factor.New(factor.Options{DB: db, Key: secret.NewKey(), PublicURL: server.URL})
	box, err := mail.New(mail.Options{DB: db, PublicURL: server.URL, Loopback: true, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s.account = account.New(account.Options{
		DB: db, Sessions: s.sessions, Passwords: s.passwords, Factors: s.factors, Mail: box, PublicURL: server.URL, Log: quiet,
		Leave: func(_ context.Context, _ access.Actor, in session.Session) (string, error) {
			if s.leave == nil {
				return "", nil
			}
			return s.leave(in)
		},
		Filled: func(tx *store.Tx, u store.User) ([]account.Filled, error) {
			s.lookups.Add(1)
			if tx.Actor().ID == string(u.ID) {
				return s.filled, nil
			}
			return s.filled, tx.Require(access.ViewUsers)
		},
		MayMove: func(_ context.Context, _ store.OrgID, address string) (bool, error) {
			return s.closed == "" || !strings.HasSuffix(address, "@"+s.closed), nil
		},
		Discover: func(_ context.Context, _ store.OrgID, email, next string) ([]account.Way, error) {
			if strings.HasSuffix(email, "@sso.example") {
				return []account.Way{{Name: "Okta", URL: "/sso/saml/1/login?next=" + url.QueryEscape(next)}}, nil
			}
			return nil, nil
		},
		Connections: func(_ context.Context, _ store.OrgID, next string) ([]account.Way, error) {
			return []account.Way{{Name: "Okta", URL: "/sso/saml/1/login?next=" + url.QueryEscape(next)}}, nil
		},
	})
	mux = web.NewMux(web.Options{
		PublicURL: server.URL, Authenticate: s.sessions.Authenticate, Log: quiet, Hold: s.account.Hold,
		Prove: func(w http.ResponseWriter, r *http.Request) (bool, error) {
			f, err := web.ReadForm(r)
			if f.Get("proof") != good {
				w.WriteHeader(http.StatusForbidden)
			}
			return f.Get("proof") != good, err
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
	})
	s.account.Mount(mux)
	box.Mount(mux)
	return s
}

// addUser makes an active person; no password when pw is empty.
func (s *site) addUser(actor access.Actor, name, pw string) store.UserID {
	s.t.Helper()
	hash, err := s.passwords.Hash(context.Background(), pw)
	if err != nil {
		s.t.Fatal(err)
	}
	var u store.User
	err = s.db.Write(context.Background(), actor, func(tx *store.Tx) (err error) {
		p := store.Profile{UserName: name, Email: name, GivenName: "Ada", FamilyName: "Lovelace"}
		u, err = tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromInvite, Status: store.Active, Roles: []string{access.Admin}, Reason: store.Manual})
		if err == nil && pw != "" {
			err = s.passwords.Set(tx, u.ID, hash)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}

// browser has cookies and does not follow redirects.
type browser struct {
	s *site
	c *http.Client
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what came back; to is where a redirect leads, without the host.
type answer struct {
	status   int
	to, body string
}

func (b *browser) do(method, path string, form url.Values, header ...string) answer {
	b.s.t.Helper()
	target := path
	if !strings.HasPrefix(path, "http") {
		target = b.s.url + path
	}
	r, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.read(r)
}

// read sends a request.
func (b *browser) read(r *http.Request) answer {
	b.s.t.Helper()
	resp, err := b.c.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	a := answer{resp.StatusCode, strings.TrimPrefix(resp.Header.Get("Location"), b.s.url), string(body)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && resp.StatusCode/100 != 3 {
		webtest.Page(b.s.t, a.body)
	}
	return a
}

func (b *browser) get(path string) answer { b.s.t.Helper(); return b.do("GET", path, nil) }

func (b *browser) post(path string, pairs ...string) answer {
	b.s.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do("POST", path, form)
}

// want checks status and redirect.
func (b *browser) want(got answer, status int, to string) {
	b.s.t.Helper()
	if got.status != status || got.to != to {
		b.s.t.Fatalf("got %d to %q, want %d to %q\n%s", got.status, got.to, status, to, got.body)
	}
}

// mails are the texts in the mailbox, newest first, when all that was asked for is written.
func (s *site) mails() []string {
	s.t.Helper()
	if err := s.account.SendAsked(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	return s.written()
}

// written are the texts that are in the mailbox now.
func (s *site) written() []string {
	s.t.Helper()
	var list []struct {
		To   string `db:"recipient"`
		Text string `db:"text"`
	}
	if err := s.db.LookupAll(context.Background(), &list, "SELECT recipient, text FROM mails ORDER BY id DESC"); err != nil {
		s.t.Fatal(err)
	}
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = m.To + "\n" + m.Text
	}
	return texts
}

func (s *site) activities(actor access.Actor, action string) []store.Activity {
	s.t.Helper()
	var list []store.Activity
	err := s.db.Read(context.Background(), actor, func(tx *store.Tx) (err error) {
		list, err = tx.Activities(store.ActivityQuery{Action: action})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// each runs a test on both databases.
func each(t *testing.T, f func(t *testing.T, s *site, acme access.Actor)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, acme := storetest.Org(t, db, "acme")
		f(t, newSite(t, db), acme)
	})
}

// remind has a link for a new password mailed.
func (s *site) remind(address string) {
	s.t.Helper()
	b := s.browser()
	b.want(b.post("/password/forgot", "email", address), 200, "")
	s.mails()
}

// linkIn is the path in the newest mail that has one beginning so.
func (s *site) linkIn(path string) string {
	s.t.Helper()
	for _, text := range s.written() {
		if _, rest, ok := strings.Cut(text, s.url+path); ok {
			return path + strings.Fields(rest)[0]
		}
	}
	s.t.Fatalf("no mail leads to %s", path)
	return ""
}
