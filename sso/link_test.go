package sso

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *site) link(in NewSetupLink) (SetupLink, string) {
	s.t.Helper()
	l, url, err := s.door.CreateSetupLink(context.Background(), s.admin, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return l, url
}

// Somebody without an account chooses the provider, enters its metadata, tests it and
// says that it is done; an admin is told, and activates it.
func TestContactSetsUpAConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		var told []web.Notice
		var mailed []Letter
		s.door.opts.Tell = func(_ *store.Tx, n web.Notice) error { told = append(told, n); return nil }
		s.door.opts.Mail = func(_ *store.Tx, l Letter) error { mailed = append(mailed, l); return nil }
		idp := ssotest.NewIDP()
		idp.Serve(t)
		idp.Next(ssotest.Login{NameID: "ada-id", Attributes: map[string][]string{"email": {"ada@acme.example"}}})
		l, link := s.link(NewSetupLink{Email: "it@customer.example"})
		if len(mailed) != 1 || mailed[0].To != "it@customer.example" || mailed[0].URL != link {
			t.Errorf("mailed: %+v", mailed)
		}
		b := newBrowser(t)
		for range 2 { // a mail scanner opens it too
			p := b.open(link)
			webtest.Page(t, p.body)
			if p.status != http.StatusOK || !strings.Contains(p.body, "Whose identity provider is it?") {
				t.Fatalf("first page: %d: %s", p.status, p.body)
			}
		}
		p := b.send(link, url.Values{"choice": {"okta saml"}})
		if p.url.Path != strings.TrimPrefix(link, s.url)+"/setup" {
			t.Fatalf("after choosing: %d at %s: %s", p.status, p.url, p.body)
		}
		webtest.Page(t, p.body, copyScript)
		p = b.send(link+"/provider", url.Values{"do": {"look"}, "metadata": {string(idp.Metadata())}})
		webtest.Page(t, p.body)
		if p = b.send(b.fields(p, "do", "save")); p.url.Path != strings.TrimPrefix(link, s.url)+"/tests" {
			t.Fatalf("after saving: %d at %s: %s", p.status, p.url, p.body)
		}
		p = b.send(b.form(b.send(link+"/tests", nil)))
		webtest.Page(t, p.body)
		if !strings.Contains(p.body, ">passed<") || !strings.Contains(p.body, "ada-id") || strings.Contains(p.body, "What a sign-in would come to") {
			t.Errorf("the test: %d at %s:\n%s", p.status, p.url, p.body)
		}
		if p = b.send(link+"/activate", nil); p.status != http.StatusForbidden {
			t.Errorf("activating without leave: %d", p.status)
		}
		p = b.send(link+"/done", nil)
		webtest.Page(t, p.body)
		if len(told) != 1 || !strings.Contains(told[0].Lines[0].String(), "passed") {
			t.Errorf("the admins were told %+v", told)
		}
		s.contactDid("connection.link.open", "connection.create", "connection.update", "connection.certificates", "connection.test", "connection.link.done")
		links, err := s.door.SetupLinks(context.Background(), s.admin)
		if err != nil || len(links) != 1 || links[0].ConnectionID == "" || links[0].State(store.TimeOf(time.Now())) != "finished" {
			t.Errorf("links: %+v, %v", links, err)
		}
		c := s.now(links[0].ConnectionID)
		if c.Status != statusDraft || c.Issuer != idp.EntityID {
			t.Errorf("the connection: %+v", c)
		}
		if p := s.adminBrowser().send(s.desk(c)+"/activate", nil); s.now(c.ID).Status != statusActive {
			t.Errorf("an admin activates it: %d: %s", p.status, p.body)
		}
		// In use now: not the contact's any more.
		p = b.send(link+"/provider", url.Values{"do": {"look"}, "metadata": {string(ssotest.NewIDP().Metadata())}})
		if p = b.send(b.fields(p, "do", "save")); p.status != http.StatusForbidden || s.now(c.ID).Issuer != idp.EntityID {
			t.Errorf("changing a connection in use: %d", p.status)
		}
		if _, err := s.door.RevokeSetupLink(context.Background(), s.admin, l.ID); err != nil {
			t.Fatal(err)
		}
		if p := b.open(link); p.status != http.StatusGone {
			t.Errorf("a withdrawn link: %d", p.status)
		}
	})
}

// contactDid fails unless each of these is in the log once, by the contact.
func (s *site) contactDid(actions ...string) {
	s.t.Helper()
	for _, action := range actions {
		log := s.log(action)
		if len(log) != 1 || log[0].ActorKind != access.Contact || log[0].ActorName != contactName {
			s.t.Errorf("%s: %+v, want one by the contact", action, log)
		}
	}
}

// What a link opens is one connection's set-up and nothing else.
func TestLinksOpenNothingElse(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		other := s.draft(NewConnection{Protocol: "saml", Metadata: idp.Metadata()})
		third := s.draft(NewConnection{Protocol: "saml"})
		l, link := s.link(NewSetupLink{Connection: other.ID})
		contact := access.Actor{Kind: access.Contact, Org: string(s.org), ID: string(l.ID), Name: contactName}
		ctx := context.Background()
		// By the operations themselves: whatever page should forget to ask.
		for name, do := range map[string]func() error{
			"another connection's provider": func() error {
				_, err := s.door.SetProvider(ctx, contact, c.ID, Provider{Metadata: idp.Metadata()})
				return err
			},
			"another draft's provider": func() error {
				_, err := s.door.SetProvider(ctx, contact, third.ID, Provider{Metadata: idp.Metadata()})
				return err
			},
			"activation":        func() error { _, err := s.door.Activate(ctx, contact, other.ID); return err },
			"another's closing": func() error { _, err := s.door.Disable(ctx, contact, c.ID); return err },
			"settings": func() error {
				_, err := s.door.UpdateConnection(ctx, contact, other.ID, Change{Set: map[string]string{"name": "x"}})
				return err
			},
			"the list of connections": func() error { _, err := s.door.Connections(ctx, contact); return err },
			"domains":                 func() error { _, err := s.door.Domains(ctx, contact); return err },
			"links":                   func() error { _, err := s.door.SetupLinks(ctx, contact); return err },
			"another link":            func() error { _, _, err := s.door.CreateSetupLink(ctx, contact, NewSetupLink{}); return err },
			"preview": func() error {
				_, err := s.door.Preview(ctx, contact, other.ID, answer.Profile{Subject: "x", SubjectKind: "nameid"})
				return err
			},
			"people": func() error {
				return db.Read(ctx, contact, func(tx *store.Tx) error { return tx.Require(access.ViewUsers) })
			},
		} {
			if err := do(); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %v, want it denied", name, err)
			}
		}
		if _, err := s.door.CreateConnection(ctx, contact, NewConnection{Protocol: "saml", Name: "second"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second connection: %v", err)
		}
		// A test that an admin made is not shown.
		idp.Next(ssotest.Login{NameID: "ada-id"})
		admin := s.adminBrowser()
		p := admin.send(admin.form(admin.send(s.desk(other.Connection)+"/tests", nil)))
		id := p.url.Path[strings.LastIndex(p.url.Path, "/")+1:]
		b := newBrowser(t)
		if p := b.open(link + "/tests/" + id); p.status != http.StatusNotFound {
			t.Errorf("an admin's test: %d: %s", p.status, p.body)
		}
		if p := b.open(link + "/tests"); strings.Contains(p.body, id) {
			t.Error("an admin's test is in the list")
		}
		// The link of one organization with the secret of another, made up, cut.
		for _, bad := range []string{link[:len(link)-1], link[:len(link)-3] + "xyz", s.url + "/connect/" + strings.Repeat("0", 32) + link[len(link)-43:], s.url + "/connect/x"} {
			if p := b.open(bad); p.status != http.StatusNotFound {
				t.Errorf("%s: %d, want 404", bad, p.status)
			}
		}
		// Revoked between two clicks.
		if _, err := s.door.RevokeSetupLink(ctx, s.admin, l.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.door.SetProvider(ctx, contact, other.ID, Provider{Metadata: idp.Metadata()}); !fault.Is(err, fault.Expired) {
			t.Errorf("after the link was withdrawn: %v", err)
		}
	})
}

func TestLinksExpireAndSayNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		l, link := s.link(NewSetupLink{})
		resp, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(resp.Header.Get("X-Robots-Tag"), "noindex") {
			t.Errorf("headers: %v", resp.Header)
		}
		var stored int
		err = db.Write(context.Background(), s.admin, func(tx *store.Tx) error {
			if err := tx.Get(&stored, "SELECT COUNT(*) FROM setup_links WHERE org_id = ? AND token = ?", tx.Org(), link[strings.LastIndex(link, "/")+1:]); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE setup_links SET expires_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), l.ID)
			return err
		})
		if err != nil || stored != 0 {
			t.Errorf("%d links are stored as they are, %v", stored, err)
		}
		if p := newBrowser(t).open(link); p.status != http.StatusGone || !strings.Contains(p.body, "expired") {
			t.Errorf("an expired link: %d: %s", p.status, p.body)
		}
		for name, in := range map[string]NewSetupLink{"too long": {For: 91 * 24 * time.Hour}, "no address": {Email: "nobody"}, "two addresses": {Email: "a@x.example, b@x.example"}} {
			if _, _, err := s.door.CreateSetupLink(context.Background(), s.admin, in); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := s.door.CreateSetupLink(context.Background(), s.admin, NewSetupLink{Connection: store.NewID[Connection]()}); !fault.Is(err, fault.NotFound) {
			t.Errorf("a link for nothing: %v", err)
		}
	})
}

// An admin may let the contact put the connection into use.
func TestContactMayActivateWhenAllowed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		idp.Next(ssotest.Login{NameID: "ada-id"})
		c := s.draft(NewConnection{Protocol: "saml", Accounts: "jit", Metadata: idp.Metadata()})
		_, link := s.link(NewSetupLink{Connection: c.ID, MayActivate: true})
		b := newBrowser(t)
		if p := b.send(link+"/activate", nil); p.status != http.StatusConflict || s.now(c.ID).Status != statusDraft {
			t.Errorf("untested: %d", p.status)
		}
		b.send(b.form(b.send(link+"/tests", nil)))
		if p := b.send(link+"/activate", nil); s.now(c.ID).Status != statusActive {
			t.Errorf("tested: %d: %s", p.status, p.body)
		}
	})
}

func TestLinksOverTheAPI(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		c := s.draft(NewConnection{Protocol: "saml", Metadata: idp.Metadata()})
		ask := func(method, path, body string) *httptest.ResponseRecorder {
			t.Helper()
			req, err := http.NewRequest(method, s.url+path+"?org=acme", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Test-Operator", "1")
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			rec := httptest.NewRecorder()
			rec.Code = resp.StatusCode
			rec.Body.ReadFrom(resp.Body)
			return rec
		}
		made := ask("POST", "/api/v1/connections/"+string(c.ID)+"/setup-links", `{"hours": 24}`)
		var info LinkInfo
		if err := json.Unmarshal(made.Body.Bytes(), &info); err != nil || made.Code != http.StatusCreated || info.Connection != c.ID || !strings.HasPrefix(info.Link, s.url+"/connect/") {
			t.Fatalf("%d: %s, %v", made.Code, made.Body, err)
		}
		if list := ask("GET", "/api/v1/setup-links", ""); !strings.Contains(list.Body.String(), string(info.ID)) || strings.Contains(list.Body.String(), "/connect/") {
			t.Errorf("the list: %s", list.Body)
		}
		if gone := ask("DELETE", "/api/v1/setup-links/"+string(info.ID), ""); gone.Code != http.StatusNoContent {
			t.Errorf("revoking: %d: %s", gone.Code, gone.Body)
		}
		if p := newBrowser(t).open(info.Link); p.status != http.StatusGone {
			t.Errorf("after revoking: %d", p.status)
		}
		if bad := ask("POST", "/api/v1/setup-links", `{"hours": -1}`); bad.Code != http.StatusBadRequest {
			t.Errorf("negative hours: %d", bad.Code)
		}
		if p := s.adminBrowser().send(s.url+"/console/acme/connections/links", url.Values{"days": {"7"}, "connection": {string(c.ID)}}); !strings.Contains(p.body, "/connect/") || !strings.Contains(p.body, "shown this once") {
			t.Errorf("in the console: %d: %s", p.status, p.body)
		} else {
			webtest.Page(t, p.body, copyScript)
		}
	})
}
