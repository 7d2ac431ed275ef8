package main

import (
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/porttest"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store/storetest"
)

// pair is two servers on one PostgreSQL behind one address, as a load balancer has
// them. Who answers next is the test's choice.
type pair struct {
	*acme
	first, second string // where they listen
	next          atomic.Value
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{first: porttest.HeldAddr(t), second: porttest.HeldAddr(t)}
	p.next.Store(p.first)
	balancer := httptest.NewServer(&httputil.ReverseProxy{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: p.next.Load().(string)})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(balancer.Close)
	p.acme = newAcme(t, "MUSTER_DATABASE_URL="+storetest.PostgresURL(t), "MUSTER_PUBLIC_URL="+balancer.URL, "MUSTER_HTTP_ADDR="+p.first)
	p.setenv("MUSTER_HTTP_ADDR", p.second)
	p.next.Store(p.second)
	p.serve()
	p.next.Store(p.first)
	return p
}

// TestTwoServersAreOne: nothing of a sign-in lives in one process. It begins on one
// server and ends on the other; what was used on one is used up on the other.
func TestTwoServersAreOne(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.idp.Next(ssotest.Login{NameID: "carol-id", Attributes: map[string][]string{"email": {"carol@example.com"}, "firstName": {"Carol"}, "lastName": {"C"}}})

	carol := newVisitor(t).open(p.saml)
	answer := carol.page // the form that leads to the ACS
	p.next.Store(p.second)
	carol.submit("/acs")
	if carol.at.Path != "/account" && carol.status == http.StatusOK {
		carol.submit("/acs")
	}
	p.next.Store(p.first)
	p.expectMe(carol, map[string]string{"user_name": "carol@example.com", "method": "saml"})

	// The same answer at the server that did not see it.
	again := &visitor{t: t, client: carol.client, at: carol.at, page: answer}
	again.at, _ = url.Parse(p.idp.URL)
	again.submit("/acs")
	for again.status == http.StatusOK && strings.Contains(again.page, "SAMLResponse") {
		again.submit("/acs")
	}
	if again.status < 400 || again.status > 499 {
		t.Errorf("the answer of the other server's sign-in: %d at %s", again.status, again.at)
	}

	// OpenID Connect: begun on the first, the code is redeemed by the second.
	dave := newVisitor(t)
	p.op.As(map[string]any{"sub": "dave", "email": "dave@example.com", "email_verified": true, "name": "Dave D"})
	dave.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			p.next.Store(p.second)
		}
		return nil
	}
	dave.open(p.oidc)
	p.next.Store(p.first)
	p.expectMe(dave, map[string]string{"user_name": "dave@example.com", "method": "oidc"})

	// Out on one is out on the other, with the next request.
	if r := p.run("user", "deactivate", "--org", "acme", "dave@example.com"); r.code != 0 {
		t.Fatalf("deactivate: %s", r.stderr)
	}
	for _, addr := range []string{p.first, p.second} {
		p.next.Store(addr)
		p.expectMe(dave, nil)
	}
}

// TestOneAnswerSignsInOnce: an answer that reaches both servers at the same moment
// makes one session.
func TestOneAnswerSignsInOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for range 5 {
		p.idp.Next(ssotest.Login{NameID: "erin-id", Attributes: map[string][]string{"email": {"erin@example.com"}, "firstName": {"Erin"}, "lastName": {"E"}}})
		erin := newVisitor(t).open(p.saml)
		fields := url.Values{"resent": {"1"}} // from our own page already
		for _, name := range []string{"SAMLResponse", "RelayState"} {
			fields.Set(name, erin.field(name))
		}
		acs, err := url.Parse(strings.TrimSuffix(p.saml, "/login") + "/acs")
		if err != nil {
			t.Fatal(err)
		}
		cookies := erin.client.Jar.Cookies(acs)
		var wait sync.WaitGroup
		var in atomic.Int32
		for i := range 8 {
			addr := []string{p.first, p.second}[i%2]
			wait.Go(func() {
				r, err := http.NewRequest("POST", "http://"+addr+acs.Path, strings.NewReader(fields.Encode()))
				if err != nil {
					t.Error(err)
					return
				}
				r.Host = acs.Host
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for _, c := range cookies {
					r.AddCookie(c)
				}
				res, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode == http.StatusSeeOther {
					in.Add(1)
				}
			})
		}
		wait.Wait()
		if in.Load() != 1 {
			t.Fatalf("one answer signed in %d times", in.Load())
		}
	}
}

// field is the value of a hidden field of the page.
func (v *visitor) field(name string) string {
	v.t.Helper()
	for _, input := range hiddenTag.FindAllString(v.page, -1) {
		if m := attribute.FindAllStringSubmatch(input, -1); len(m) == 2 && m[0][2] == name {
			return html.UnescapeString(m[1][2])
		}
	}
	v.t.Fatalf("%s has no hidden field %s:\n%s", v.at, name, v.page)
	return ""
}
