package sso

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/guides"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// fields are the inputs of the form of a page that has a button of this name and value.
func (b browser) fields(p page, name, value string) (action string, fields url.Values) {
	b.t.Helper()
	doc, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, form := range webtest.All(doc, "form") {
		found := false
		for _, button := range webtest.All(form, "button") {
			found = found || webtest.Attr(button, "name") == name && webtest.Attr(button, "value") == value
		}
		if !found {
			continue
		}
		fields = url.Values{name: {value}}
		for _, in := range webtest.All(form, "input") {
			if n := webtest.Attr(in, "name"); n != "" && webtest.Attr(in, "type") != "checkbox" {
				fields.Set(n, webtest.Attr(in, "value"))
			}
		}
		to, err := p.url.Parse(webtest.Attr(form, "action"))
		if err != nil {
			b.t.Fatal(err)
		}
		return to.String(), fields
	}
	b.t.Fatalf("no form with a button %s=%s at %s (status %d):\n%s", name, value, p.url, p.status, p.body)
	return "", nil
}

// choose starts a connection as the console's first page does.
func (s *site) choose(b browser, choice string) (base string, id ConnectionID) {
	s.t.Helper()
	b.fields(b.open(s.url+"/console/acme/connections/new"), "choice", choice)
	p := b.send(s.url+"/console/acme/connections/new", url.Values{"choice": {choice}})
	base, ok := strings.CutSuffix(p.url.String(), "/setup")
	if p.status != http.StatusOK || !ok {
		s.t.Fatalf("after choosing %s: %d at %s: %s", choice, p.status, p.url, p.body)
	}
	webtest.Page(s.t, p.body, copyScript)
	return base, ConnectionID(base[strings.LastIndex(base, "/")+1:])
}

func (s *site) now(id ConnectionID) (c Connection) {
	s.t.Helper()
	err := s.db.Read(context.Background(), s.admin, func(tx *store.Tx) (err error) {
		c, err = connectionIn(tx, id)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// From the list of vendors to an open connection, as an admin without JavaScript
// does it.
func TestSetUpInTheConsole(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		idp.Next(ssotest.Login{NameID: "ada-id"})
		b := s.adminBrowser()
		base, id := s.choose(b, "okta saml")
		setup := b.open(base + "/setup")
		for _, want := range []string{s.door.URLs(s.now(id)).ACS, "Audience URI (SP Entity ID)", "Create App Integration"} {
			if !strings.Contains(setup.body, want) {
				t.Errorf("the guide does not say %q", want)
			}
		}
		metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(idp.Metadata()) }))
		defer metadata.Close()

		p := b.send(base+"/provider", url.Values{"metadata_url": {metadata.URL}, "do": {"look"}})
		webtest.Page(t, p.body)
		for _, want := range []string{"Is this right?", idp.EntityID, "by redirect", "RSA, 2048 bits", "days left", "is not https"} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the preview does not say %q:\n%s", want, p.body)
			}
		}
		if c := s.now(id); c.Issuer != "" || len(s.log("connection.update")) != 0 {
			t.Errorf("looking saved something: %+v", c)
		}
		p = b.send(b.fields(p, "do", "save"))
		if c := s.now(id); c.Issuer != idp.EntityID || c.Config.MetadataURL != metadata.URL || c.Status != statusDraft || p.url.Path != strings.TrimPrefix(base, s.url)+"/tests" {
			t.Fatalf("after saving: %+v at %s: %s", c, p.url, p.body)
		}
		// Not before a test has passed, unless somebody says so.
		p = b.send(base+"/activate", url.Values{})
		if p.status != http.StatusConflict || s.now(id).Status != statusDraft {
			t.Errorf("activating an untested connection: %d, %s", p.status, s.now(id).Status)
		}
		if p = b.send(b.form(b.send(base+"/tests", nil))); !strings.Contains(p.body, ">passed<") {
			t.Fatalf("the test: %s", p.body)
		}
		if p = b.send(base+"/activate", url.Values{}); s.now(id).Status != statusActive || !strings.Contains(p.body, "People can sign in") {
			t.Errorf("activating: %d: %s", p.status, p.body)
		}
		webtest.Page(t, p.body, copyScript)
		if len(s.log("connection.untested")) != 0 {
			t.Error("a tested activation is recorded as untested")
		}
		if p := newBrowser(t).samlSignIn(s.door.URLs(s.now(id)).Login); !p.signedIn() {
			t.Errorf("nobody can sign in: %s", p.body)
		}
		if b.send(base+"/disable", nil); s.now(id).Status != statusDisabled {
			t.Errorf("closing: %s", s.now(id).Status)
		}
	})
}

func TestActivateWithoutATest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		c := s.draft(NewConnection{Protocol: "saml", Metadata: idp.Metadata()})
		b := s.adminBrowser()
		if b.send(s.desk(c.Connection)+"/activate", url.Values{"untested": {"yes"}}); s.now(c.ID).Status != statusActive {
			t.Errorf("status %s", s.now(c.ID).Status)
		}
		if log := s.log("connection.untested"); len(log) != 1 || log[0].ActorID != "op" {
			t.Errorf("activity: %+v", log)
		}
		// A test of two days ago does not open it either.
		err := db.Write(context.Background(), s.admin, func(tx *store.Tx) error {
			settings, err := s.now(c.ID).tested()
			if err != nil {
				return err
			}
			row := testRow{TestSignIn: TestSignIn{ID: store.NewID[TestSignIn](), ConnectionID: c.ID, By: "x", Outcome: testWaiting, StartedAt: tx.Now()}, Settings: settings, Back: []byte("x")}
			if err := insertTest(tx, row); err != nil {
				return err
			}
			row.Outcome, row.EndedAt = testPassed, tx.Now().Add(-48*time.Hour)
			if err := updateTest(tx, row); err != nil {
				return err
			}
			return s.door.activateTested(tx, s.now(c.ID), false)
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a test of two days ago: %v, want a conflict", err)
		}
	})
}

func TestMetadataInEveryWay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, other := ssotest.NewIDP(), ssotest.NewIDP()
		b := s.adminBrowser()
		base, id := s.choose(b, "custom saml")
		cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp.Signer.Cert.Raw}))
		one := strings.TrimPrefix(string(idp.Metadata()), `<?xml version="1.0" encoding="UTF-8"?>`)
		two := strings.TrimPrefix(string(other.Metadata()), `<?xml version="1.0" encoding="UTF-8"?>`)
		for name, c := range map[string]struct {
			form  url.Values
			want  string // on the page
			field string // that is complained about
		}{
			"pasted":             {form: url.Values{"metadata": {string(idp.Metadata())}}, want: idp.EntityID},
			"by hand":            {form: url.Values{"entity_id": {"https://hand.example"}, "sso_redirect": {"https://hand.example/sso"}, "slo": {"https://hand.example/out"}, "certificates": {cert}}, want: "https://hand.example/sso"},
			"by hand, no cert":   {form: url.Values{"entity_id": {"https://hand.example"}, "sso_redirect": {"https://hand.example/sso"}}, field: "certificates"},
			"by hand, broken":    {form: url.Values{"entity_id": {"https://hand.example"}, "sso_redirect": {"https://hand.example/sso"}, "certificates": {"%%"}}, field: "certificates"},
			"by hand, no URL":    {form: url.Values{"entity_id": {"https://hand.example"}, "certificates": {cert}}, field: "sso_redirect"},
			"nothing":            {form: url.Values{}, field: "metadata_url"},
			"two ways":           {form: url.Values{"metadata": {"<x/>"}, "metadata_url": {"https://x.example"}}, field: "metadata_url"},
			"no XML":             {form: url.Values{"metadata": {"certainly not"}}, field: "metadata"},
			"private address":    {form: url.Values{"metadata_url": {"https://10.1.2.3/metadata"}}, field: "metadata_url"},
			"no address":         {form: url.Values{"metadata_url": {"::"}}, field: "metadata_url"},
			"several":            {form: url.Values{"metadata": {"<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">" + one + two + "</md:EntitiesDescriptor>"}}, want: "Choose one of 2"},
			"unsupported script": {form: url.Values{"metadata": {strings.Replace(one, idp.EntityID, "https://x.example/&lt;script&gt;", 1)}}, want: "&lt;script&gt;"},
		} {
			t.Run(name, func(t *testing.T) {
				c.form.Set("do", "look")
				p := b.send(base+"/provider", c.form)
				webtest.Page(t, p.body)
				switch {
				case c.field == "" && (p.status != http.StatusOK || !strings.Contains(p.body, c.want)):
					t.Errorf("status %d, want a page with %q:\n%s", p.status, c.want, p.body)
				case c.field != "" && (p.status != http.StatusBadRequest || !strings.Contains(p.body, `href="#f-`+c.field+`"`)):
					t.Errorf("status %d, want a complaint about %s:\n%s", p.status, c.field, p.body)
				}
				if typed := c.form.Get("entity_id"); typed != "" && c.field != "" && !strings.Contains(p.body, `value="`+typed+`"`) {
					t.Error("what was typed is gone")
				}
			})
		}
		if c := s.now(id); c.Issuer != "" {
			t.Errorf("looking saved %s", c.Issuer)
		}
		// One of several is chosen, looked at and saved.
		p := b.send(base+"/provider", url.Values{"do": {"look"}, "metadata": {"<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">" + one + two + "</md:EntitiesDescriptor>"}})
		action, fields := b.fields(p, "do", "look")
		fields.Set("entity", other.EntityID)
		p = b.send(action, fields)
		b.send(b.fields(p, "do", "save"))
		if c := s.now(id); c.Issuer != other.EntityID {
			t.Errorf("chosen: %s, want %s", c.Issuer, other.EntityID)
		}
		s.uploads(b, base, idp)
		if c := s.now(id); c.Issuer != other.EntityID {
			t.Errorf("looking at a file saved %s", c.Issuer)
		}
	})
}

// uploads sends the metadata as a file.
func (s *site) uploads(b browser, base string, idp *ssotest.IDP) {
	s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, _ := w.CreateFormFile("file", "metadata.xml")
	fmt.Fprintf(part, "%s", idp.Metadata())
	w.WriteField("do", "look")
	w.Close()
	p := b.read(b.Post(base+"/provider", w.FormDataContentType(), &body))
	if p.status != http.StatusOK || !strings.Contains(p.body, idp.EntityID) || !strings.Contains(p.body, "It replaces") {
		s.t.Errorf("a file: %d:\n%s", p.status, p.body)
	}
}

// Another provider under the same connection could come as everybody who is known.
func TestProviderStaysOncePeopleAreKnown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id"})
		if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
			t.Fatal(p.body)
		}
		other := ssotest.NewIDP()
		_, err := s.door.SetProvider(context.Background(), s.admin, c.ID, Provider{Metadata: other.Metadata()})
		if !fault.Is(err, fault.Conflict) || s.now(c.ID).Issuer != idp.EntityID {
			t.Errorf("another provider: %v, now %s", err, s.now(c.ID).Issuer)
		}
		// Its own new certificate is no other provider.
		next := ssotest.NewSigner(2048, time.Now().AddDate(1, 0, 0))
		if _, err := s.door.SetProvider(context.Background(), s.admin, c.ID, Provider{Metadata: idp.Metadata(next.Cert)}); err != nil {
			t.Fatal(err)
		}
		if log := s.log("connection.certificates"); len(log) != 1 {
			t.Errorf("activity: %+v", log)
		}
	})
}

func TestSetUpOverOIDC(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewOIDC(t)
		idp.As(map[string]any{"sub": "ada", "email": "ada@acme.example"})
		b := s.adminBrowser()
		base, id := s.choose(b, "keycloak oidc")
		idp.Register(s.door.URLs(s.now(id)).Redirect)
		p := b.send(base+"/provider", url.Values{"do": {"look"}, "issuer": {idp.URL}, "client_id": {idp.ClientID}})
		webtest.Page(t, p.body)
		for _, want := range []string{"Is this right?", idp.URL, "Keys (JWKS)", "RS256"} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the preview does not say %q:\n%s", want, p.body)
			}
		}
		action, fields := b.fields(p, "do", "save")
		fields.Set("client_secret", idp.ClientSecret)
		p = b.send(action, fields)
		if strings.Contains(p.body, idp.ClientSecret) {
			t.Error("the secret is shown")
		}
		if p = b.send(base+"/tests", nil); !strings.Contains(p.body, ">passed<") {
			t.Errorf("the test: %d at %s: %s", p.status, p.url, p.body)
		}
		p = b.send(base+"/provider", url.Values{"do": {"look"}, "issuer": {"https://login.microsoftonline.com/common/v2.0"}, "client_id": {"x"}})
		if p.status != http.StatusBadRequest || !strings.Contains(p.body, `href="#f-issuer"`) || !strings.Contains(p.body, `value="x"`) {
			t.Errorf("everybody's issuer: %d: %s", p.status, p.body)
		}
	})
}

// Every way on the first page leads to a guide with our values in it.
func TestEveryVendorHasItsGuide(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	b := s.adminBrowser()
	first := b.open(s.url + "/console/acme/connections/new")
	webtest.Page(t, first.body)
	for _, v := range guides.Vendors() {
		for _, protocol := range guides.Protocols(v.Name) {
			base, id := s.choose(b, v.Name+" "+protocol)
			if p := b.open(base + "/setup"); !strings.Contains(p.body, string(id)) || strings.Contains(p.body, "{{") {
				t.Errorf("%s over %s: no value of ours in the guide", v.Name, protocol)
			}
		}
	}
	if p := b.send(s.url+"/console/acme/connections/new", url.Values{"choice": {"okta smoke"}}); p.status != http.StatusBadRequest {
		t.Errorf("no such protocol: status %d", p.status)
	}
}
