package sso

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/crewjam/saml"

	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// sloBoth is a provider with single logout by both bindings.
func (s *site) sloConnection(bindings ...string) (*ssotest.IDP, Created) {
	idp := ssotest.NewIDP()
	for _, b := range bindings {
		idp.SLO = append(idp.SLO, saml.Endpoint{Binding: b})
	}
	idp.Serve(s.t)
	c := s.create(NewConnection{Protocol: "saml", Accounts: "jit", Metadata: idp.Metadata()})
	idp.NextLogout(ssotest.LogoutAnswer{To: c.SLO})
	return idp, c
}

// enter signs a person in with a SessionIndex of their provider's.
func (s *site) enter(idp *ssotest.IDP, c Created, name, index string) browser {
	s.t.Helper()
	idp.Next(ssotest.Login{NameID: name, Attributes: map[string][]string{"mail": {name + "@acme.example"}},
		Assertion: func(a *saml.Assertion) { a.AuthnStatements[0].SessionIndex = index }})
	b := newBrowser(s.t)
	if p := b.samlSignIn(c.URLs.Login); !p.signedIn() {
		s.t.Fatalf("%s is not signed in: %s", name, p.body)
	}
	return b
}

func (s *site) in(b browser) bool { return b.open(s.url + "/account").signedIn() }

func nameID(value string) saml.NameID {
	return saml.NameID{Value: value, Format: ssotest.FormatPersistent}
}

// The provider ends exactly the sessions that it names, over both bindings, and
// gets a signed answer.
func TestTheProviderSignsPeopleOut(t *testing.T) {
	t.Parallel()
	for _, binding := range []string{saml.HTTPRedirectBinding, saml.HTTPPostBinding} {
		t.Run(binding[strings.LastIndex(binding, ":")+1:], func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				idp, c := s.sloConnection(binding)
				other, oc := s.sloConnection(binding)
				first, second, bob := s.enter(idp, c, "alice", "_1"), s.enter(idp, c, "alice", "_2"), s.enter(idp, c, "bob", "_3")
				same := s.enter(other, oc, "carol", "_1")

				ask := func(l ssotest.Logout) page {
					t.Helper()
					l.To, l.RelayState = c.SLO, "their state"
					stranger := newBrowser(t) // the message comes without cookies of ours
					if binding == saml.HTTPRedirectBinding {
						return stranger.open(idp.LogoutRedirect(l))
					}
					return stranger.send(stranger.form(stranger.sendAcross(c.SLO, idp.LogoutPost(l))))
				}
				if p := ask(ssotest.Logout{NameID: nameID("alice"), Indexes: []string{"_2"}}); p.body != "the provider's own page" {
					t.Fatalf("status %d: %s", p.status, p.body)
				}
				if !s.in(first) || s.in(second) || !s.in(bob) || !s.in(same) {
					t.Error("not exactly the session _2 of alice has ended")
				}
				if got := s.answered(idp); got.Status.StatusCode.Value != saml.StatusSuccess || got.InResponseTo == "" || got.Destination != idp.SLO[0].Location {
					t.Errorf("the answer is %+v", got)
				}
				ask(ssotest.Logout{NameID: nameID("carol")}) // another connection's person
				if !s.in(same) {
					t.Error("the session of another connection has ended")
				}
				ask(ssotest.Logout{NameID: nameID("alice"), Indexes: []string{"_unknown"}})
				if !s.in(first) {
					t.Error("a session that was not named has ended")
				}
				third := s.enter(idp, c, "alice", "_4")
				ask(ssotest.Logout{NameID: nameID("alice")})
				if s.in(first) || s.in(third) || !s.in(bob) {
					t.Error("not exactly the sessions of alice have ended")
				}
				if log := s.log("user.signout"); len(log) != 3 || log[0].ActorKind != "connection" || log[0].Detail["why"] == "" {
					t.Errorf("%d sign-outs in the log, want 3: %+v", len(log), log)
				}
			})
		})
	}
}

// answered is the last answer that the provider got from us, its signature checked
// by crewjam's reader and by hand.
func (s *site) answered(idp *ssotest.IDP) saml.LogoutResponse {
	s.t.Helper()
	all := idp.LogoutAsked()
	if len(all) == 0 {
		s.t.Fatal("the provider got no answer")
	}
	r := all[len(all)-1]
	if r.FormValue("RelayState") != "their state" {
		s.t.Errorf("RelayState came back as %q", r.FormValue("RelayState"))
	}
	if r.Method == http.MethodGet && (r.FormValue("Signature") == "" || r.FormValue("SigAlg") == "") {
		s.t.Error("the answer is not signed")
	}
	raw, err := ssotest.ReadLogout(r, "SAMLResponse")
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Method == http.MethodPost && !strings.Contains(string(raw), "SignatureValue") {
		s.t.Error("the answer is not signed")
	}
	var out saml.LogoutResponse
	if err := xml.Unmarshal(raw, &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Whoever signs out here is signed out here first, then at the provider, and ends
// on a page that says what came of it.
func TestSigningOutAtTheProviderToo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		bindings   []string
		answer     ssotest.LogoutAnswer
		reference  bool
		off        bool
	}{
		{name: "redirect", bindings: []string{saml.HTTPRedirectBinding}, says: "done"},
		{name: "post", bindings: []string{saml.HTTPPostBinding}, answer: ssotest.LogoutAnswer{Post: true}, says: "done"},
		{name: "asked by redirect, answered by post", bindings: []string{saml.HTTPPostBinding, saml.HTTPRedirectBinding}, answer: ssotest.LogoutAnswer{Post: true}, says: "done"},
		{name: "partly", bindings: []string{saml.HTTPRedirectBinding}, answer: ssotest.LogoutAnswer{Status: []string{saml.StatusSuccess, "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"}}, says: "partial"},
		{name: "refused", bindings: []string{saml.HTTPRedirectBinding}, answer: ssotest.LogoutAnswer{Status: []string{saml.StatusResponder}}, says: "refused"},
		{name: "unsigned answer", bindings: []string{saml.HTTPRedirectBinding}, answer: ssotest.LogoutAnswer{Unsigned: true}, says: leaveUnverified, reference: true},
		{name: "a stranger's answer", bindings: []string{saml.HTTPPostBinding}, answer: ssotest.LogoutAnswer{Post: true, Signer: ssotest.OtherSigner()}, says: leaveUnverified, reference: true},
		{name: "an answer to another request", bindings: []string{saml.HTTPRedirectBinding}, answer: ssotest.LogoutAnswer{Response: func(r *saml.LogoutResponse) { r.InResponseTo = "_other" }}, says: leaveUnverified, reference: true},
		{name: "no single logout there", says: "none"},
		{name: "switched off", bindings: []string{saml.HTTPRedirectBinding}, off: true, says: "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := serve(t, db)
				idp, conn := s.sloConnection(c.bindings...)
				answer, asks := c.answer, len(c.bindings) > 0 && !c.off
				answer.To = conn.SLO
				idp.NextLogout(answer)
				if c.off {
					if _, err := s.door.UpdateConnection(t.Context(), s.admin, conn.ID, Change{Set: map[string]string{"no_slo": "true"}}); err != nil {
						t.Fatal(err)
					}
				}
				b := s.enter(idp, conn, "alice", "_1")
				p := b.send(s.url+"/logout", url.Values{})
				if s.in(b) {
					t.Fatal("the session here goes on while the provider is asked")
				}
				if asks {
					again := b.open(p.url.String()) // the message is handed out once
					if !strings.Contains(again.body, leaveWords[leaveWaiting].String()) {
						t.Errorf("seen again before the answer: %s", again.body)
					}
					p = b.follow(p)
				}
				if !strings.Contains(p.body, leaveWords[c.says].String()) || !strings.Contains(p.body, "Your session here has ended.") || p.status != http.StatusOK {
					t.Errorf("the page (status %d) does not say %q:\n%s", p.status, leaveWords[c.says].String(), p.body)
				}
				if (p.reference() != "") != c.reference {
					t.Errorf("reference %q, want one: %t", p.reference(), c.reference)
				}
				if log := s.log("user.signout.refused"); c.reference && (len(log) != 1 || log[0].Detail["reference"] != p.reference() || log[0].Detail["trace"] == nil) {
					t.Errorf("the log does not explain %s: %+v", p.reference(), log)
				}
				if asked := idp.LogoutAsked(); asks {
					raw, err := ssotest.ReadLogout(asked[0], "SAMLRequest")
					var request saml.LogoutRequest
					if err == nil {
						err = xml.Unmarshal(raw, &request)
					}
					if err != nil || request.NameID.Value != "alice" || request.NameID.Format != ssotest.FormatPersistent || request.SessionIndex.Value != "_1" || request.Issuer.Value != conn.EntityID {
						t.Errorf("asked with %s, %v", raw, err)
					}
				}
			})
		})
	}
}

var goesOn = regexp.MustCompile(`href="(http[^"]+)"`)

// follow goes where the page of a signing out sends the browser, to the end.
func (b browser) follow(p page) page {
	b.t.Helper()
	if m := goesOn.FindStringSubmatch(p.body); m != nil {
		return b.ends(b.open(strings.ReplaceAll(m[1], "&amp;", "&")))
	}
	return b.ends(b.send(b.form(p)))
}

// ends posts the provider's answer if it came as a form.
func (b browser) ends(p page) page {
	b.t.Helper()
	if strings.Contains(p.body, "<form") && strings.Contains(p.body, "SAMLResponse") {
		return b.send(b.form(p))
	}
	return p
}

// Messages that must end nothing, as they come to the door; the hostile documents
// themselves stand in sso/saml/logout_test.go.
func TestHostileLogoutAtTheDoor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.sloConnection(saml.HTTPRedirectBinding)
		_, oc := s.sloConnection(saml.HTTPRedirectBinding)
		b := s.enter(idp, c, "alice", "_1")
		good := ssotest.Logout{To: c.SLO, NameID: nameID("alice"), RelayState: "https://evil.example/"}
		try := func(name, check string, p page) {
			t.Helper()
			log := s.log("user.signout.refused")
			if p.status != http.StatusBadRequest || p.reference() == "" || len(log) == 0 || log[0].Detail["reference"] != p.reference() || log[0].Detail["check"] != check {
				t.Errorf("%s: status %d, want a refusal by %s: %s\n%+v", name, p.status, check, p.body, log)
			}
			if !s.in(b) {
				t.Fatalf("%s: the session has ended", name)
			}
		}
		stranger := newBrowser(t)
		stranger.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		unsigned := good
		unsigned.Unsigned = true
		try("unsigned", "signed", stranger.open(idp.LogoutRedirect(unsigned)))
		try("nothing", "invalid", stranger.open(c.SLO))
		try("two messages", "invalid", stranger.send(c.SLO, url.Values{"SAMLRequest": {"a"}, "SAMLResponse": {"b"}}))
		foreign := good
		foreign.To = oc.SLO // whose provider has the same key, as with many applications of one realm
		try("a signed request on another connection", "issuer", stranger.open(idp.LogoutRedirect(foreign)))
		try("an answer that nobody asked for", "RelayState", stranger.open(c.SLO+"?SAMLResponse=a&RelayState=made-up"))

		// A RelayState that was seen on the way of another connection.
		victim := s.enter(idp, c, "bob", "_2")
		page := victim.send(s.url+"/logout", url.Values{})
		handle := page.url.Path[strings.LastIndex(page.url.Path, "/")+1:]
		try("a stolen RelayState on another connection", "RelayState", stranger.open(oc.SLO+"?SAMLResponse=a&RelayState="+handle))
		if p := stranger.open(oc.URLs.Login + "/../../../logout/" + string(oc.ID) + "/" + handle); strings.Contains(p.body, "SAMLRequest") {
			t.Errorf("a stolen handle shows the message on another connection: %s", p.body)
		}
		// Garbage under the true RelayState does not hide the true answer.
		stranger.open(c.SLO + "?SAMLResponse=a&RelayState=" + handle)
		if p := victim.follow(page); !strings.Contains(p.body, leaveWords["done"].String()) {
			t.Errorf("the true answer is not shown: %s", p.body)
		}

		// The true one: nothing is redirected to RelayState; the copy of it is refused.
		once := idp.LogoutRedirect(good)
		resp, err := stranger.Get(once)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if to := resp.Header.Get("Location"); !strings.HasPrefix(to, idp.SLO[0].Location+"?SAMLResponse=") {
			t.Errorf("the answer goes to %s", to)
		}
		if s.in(b) {
			t.Error("the session goes on")
		}
		b = s.enter(idp, c, "alice", "_9")
		try("a copy", "replay", stranger.open(once))
	})
}
