package sso

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Every row of the table can be written, read and set back.
func TestSettingsTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range settings {
		if seen[s.Key] || s.Key == "" || s.Label == "" || s.Help == "" || s.Group == "" || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%q stands twice, or has no words", s.Key)
		}
		seen[s.Key] = true
		c := Connection{Protocol: orElse(s.Protocol, protocolSAML)}.filled()
		if got := s.Text(c); s.Kind != KindSwitch && got != s.Default {
			t.Errorf("%s of a new connection is %q, want %q", s.Key, got, s.Default)
		}
		if (s.Kind == KindChoice) != (len(s.Choices) > 0) || (s.Kind == KindNumber) != (s.Max > 0) || s.Kind == KindNumber && s.Min < 1 {
			t.Errorf("%s: what it can be does not fit the kind %s", s.Key, s.Kind)
		}
		values := map[Kind]string{KindText: "Some text", KindURL: "https://idp.example/sso?a=b", KindSwitch: "true", KindNumber: fmt.Sprint(s.Max), KindDate: "2026-06-30", KindList: "openid"}
		if s.Kind == KindChoice {
			values[KindChoice] = s.Choices[len(s.Choices)-1].Value
		}
		if s.Kind == KindSecret {
			continue
		}
		err := s.set(&c, values[s.Kind])
		if err == nil {
			err = s.checked(&c, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		}
		if err != nil {
			if s.Kind == KindList || s.Kind == KindText { // with a form of its own; its own test has it
				continue
			}
			t.Errorf("%s=%s: %v", s.Key, values[s.Kind], err)
		}
		if got := s.Text(c); got != values[s.Kind] {
			t.Errorf("%s is %q after %q was set", s.Key, got, values[s.Kind])
		}
		raw, err := c.stored()
		if err != nil {
			t.Fatal(err)
		}
		again := Connection{Protocol: c.Protocol, Name: c.Name, Vendor: c.Vendor, Accounts: c.Accounts}
		if err := json.Unmarshal([]byte(raw), &again.Config); err != nil {
			t.Fatal(err)
		}
		if got := s.Text(again.filled()); got != values[s.Kind] {
			t.Errorf("%s is %q after it was stored as %s", s.Key, got, raw)
		}
	}
}

func (p *place) keyed() *Door {
	return New(Options{DB: p.db, PublicURL: "https://muster.test", Key: secret.NewKey()})
}

func (p *place) update(d *Door, set map[string]string) (Connection, error) {
	return d.UpdateConnection(context.Background(), p.admin, p.conn.ID, Change{Set: set})
}

func (p *place) activities(action string) (list []store.Activity) {
	p.t.Helper()
	err := p.db.Read(context.Background(), p.admin, func(tx *store.Tx) (err error) {
		list, err = tx.Activities(store.ActivityQuery{Action: action, Limit: 50})
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

func TestUpdateConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolSAML, accountsJIT)
		d := p.keyed()
		if _, err := p.update(d, map[string]string{"sso_redirect": "https://idp.example/sso"}); err != nil {
			t.Fatal(err)
		}
		was, err := d.Connection(context.Background(), p.admin, p.conn.ID)
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.update(d, map[string]string{"force_authn": "true", "skew_seconds": "30", "name": "New name"})
		if err != nil || !c.Config.ForceAuthn || c.Config.SkewSeconds != 30 || c.Name != "New name" || c.Config.SSORedirect == "" || c.Version() <= was.Version() {
			t.Fatalf("%+v, %v", c, err)
		}
		read, err := d.Connection(context.Background(), p.admin, c.ID)
		if err != nil || read.Version() != c.Version() || read.Name != "New name" || read.Config.SkewSeconds != 30 {
			t.Errorf("read again: %+v, %v", read, err)
		}
		rows := p.activities("connection.update")
		detail := fmt.Sprint(rows[0].Detail)
		if len(rows) != 2 || detail != "map[after:map[force_authn:true name:New name skew_seconds:30] before:map[force_authn:false name:idp skew_seconds:120]]" {
			t.Errorf("%d rows, the newest says %s", len(rows), detail)
		}
		if _, err := p.update(d, map[string]string{"skew_seconds": "30", "force_authn": "true"}); err != nil || len(p.activities("connection.update")) != 2 {
			t.Errorf("a change that changes nothing: %v, %d rows", err, len(p.activities("connection.update")))
		}
		if c, err = p.update(d, map[string]string{"skew_seconds": ""}); err != nil || c.Config.SkewSeconds != 120 || c.bare().Config.SkewSeconds != 0 {
			t.Errorf("back to the default: %d, stored %d, %v", c.Config.SkewSeconds, c.bare().Config.SkewSeconds, err)
		}
	})
}

func TestUpdateConnectionRefuses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolSAML, accountsJIT)
		d := p.keyed()
		if _, err := p.update(d, map[string]string{"sso_redirect": "https://idp.example/sso"}); err != nil {
			t.Fatal(err)
		}
		_, stranger := storetest.Org(t, db, "rival")
		viewer := access.Actor{Kind: access.Person, Org: string(p.org), ID: p.admin.ID, Roles: []string{access.Viewer}}
		in := func(days int) string { return db.Now().AddDate(0, 0, days).Format(time.DateOnly) }
		for name, c := range map[string]struct {
			actor access.Actor
			set   map[string]string
			kind  fault.Kind
			field string
		}{
			"unknown":                   {p.admin, map[string]string{"lenient": "true"}, fault.Invalid, "lenient"},
			"other protocol's":          {p.admin, map[string]string{"client_id": "x"}, fault.Invalid, "client_id"},
			"no name":                   {p.admin, map[string]string{"name": " "}, fault.Invalid, "name"},
			"two lines":                 {p.admin, map[string]string{"name": "a\nb"}, fault.Invalid, "name"},
			"control character":         {p.admin, map[string]string{"name": "a\x00b"}, fault.Invalid, "name"},
			"broken UTF-8":              {p.admin, map[string]string{"name": "a\xff"}, fault.Invalid, "name"},
			"long":                      {p.admin, map[string]string{"name": strings.Repeat("a", 201)}, fault.Invalid, "name"},
			"no switch":                 {p.admin, map[string]string{"force_authn": "perhaps"}, fault.Invalid, "force_authn"},
			"no number":                 {p.admin, map[string]string{"skew_seconds": "2m"}, fault.Invalid, "skew_seconds"},
			"too much skew":             {p.admin, map[string]string{"skew_seconds": "601"}, fault.Invalid, "skew_seconds"},
			"negative skew":             {p.admin, map[string]string{"skew_seconds": "-1"}, fault.Invalid, "skew_seconds"},
			"no word":                   {p.admin, map[string]string{"binding": "artifact"}, fault.Invalid, "binding"},
			"a binding without a URL":   {p.admin, map[string]string{"binding": "post"}, fault.Invalid, "binding"},
			"no URL left":               {p.admin, map[string]string{"sso_redirect": ""}, fault.Invalid, "sso_redirect"},
			"a script as URL":           {p.admin, map[string]string{"sso_post": "javascript:alert(1)"}, fault.Invalid, "sso_post"},
			"no date":                   {p.admin, map[string]string{"sha1_until": "soon"}, fault.Invalid, "sha1_until"},
			"SHA-1 for ever":            {p.admin, map[string]string{"sha1_until": in(400)}, fault.Invalid, "sha1_until"},
			"one of two is wrong":       {p.admin, map[string]string{"accounts": "existing", "vendor": "nobody"}, fault.Invalid, "vendor"},
			"another organization's":    {stranger, map[string]string{"name": "mine"}, fault.NotFound, ""},
			"somebody who may only see": {viewer, map[string]string{"name": "mine"}, fault.Denied, ""},
		} {
			_, err := d.UpdateConnection(context.Background(), c.actor, p.conn.ID, Change{Set: c.set})
			if fault.Of(err) != c.kind || fault.Field(err) != c.field || fault.Public(err) == "" {
				t.Errorf("%s: %v on %q", name, err, fault.Field(err))
			}
		}
		if c, err := d.Connection(context.Background(), p.admin, p.conn.ID); err != nil || c.Name != "idp" || c.Accounts != accountsJIT {
			t.Errorf("a refused change has changed something: %+v, %v", c, err)
		}
		if c, err := p.update(d, map[string]string{"sha1_until": in(300)}); err != nil || !c.sha1Until().After(db.Now()) {
			t.Errorf("SHA-1 for a while: %v", err)
		}
	})
}

// What people are known by does not change under their feet.
func TestSettingThatIdentitiesRelyOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolSAML, accountsJIT)
		d := p.keyed()
		if _, err := p.update(d, map[string]string{"sso_redirect": "https://idp.example/sso", "vendor": "okta", "name_id_format": "email"}); err != nil {
			t.Fatal(err)
		}
		sign := func(kind, subject string) {
			if _, err := p.come(answerProfile(kind, subject)); err != nil {
				t.Fatal(err)
			}
		}
		sign("attribute:userId", "00u1")
		if _, err := p.update(d, map[string]string{"vendor": "entra"}); !fault.Is(err, fault.Conflict) || fault.Field(err) != "vendor" {
			t.Errorf("the preset changed: %v", err)
		}
		if _, err := p.update(d, map[string]string{"name_id_format": "none", "vendor": "okta"}); err != nil {
			t.Errorf("nobody is known by a NameID, and still: %v", err)
		}
		sign("nameid", "bob")
		if _, err := p.update(d, map[string]string{"name_id_format": "persistent"}); !fault.Is(err, fault.Conflict) || fault.Field(err) != "name_id_format" {
			t.Errorf("the NameID format changed: %v", err)
		}
	})
}

// Promise 2: changes at once end in a state that some order explains.
func TestUpdatesAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolSAML, accountsJIT)
		d := p.keyed()
		sets := []map[string]string{{"sso_redirect": "https://idp.example/r"}, {"sso_post": "https://idp.example/p"}, {"force_authn": "true"}, {"skew_seconds": "77"},
			{"name": "Both"}, {"accounts": "existing"}, {"vendor": "okta"}, {"name_id_format": "none"}}
		if _, err := p.update(d, map[string]string{"sso_redirect": "https://idp.example/first"}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, set := range sets {
			wg.Go(func() {
				if _, err := p.update(d, set); err != nil {
					t.Errorf("%v: %v", set, err)
				}
			})
		}
		wg.Wait()
		c, err := d.Connection(context.Background(), p.admin, p.conn.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range sets {
			for key, want := range set {
				if s, _ := settingNamed(c.Protocol, key); s.Text(c) != want {
					t.Errorf("%s is %q: lost", key, s.Text(c))
				}
			}
		}
		stale := Change{Version: p.conn.Version() + 1, Set: map[string]string{"name": "Stale"}}
		if _, err := d.UpdateConnection(context.Background(), p.admin, p.conn.ID, stale); !fault.Is(err, fault.Conflict) {
			t.Errorf("a change of an older version: %v", err)
		}
	})
}

func TestClientSecretIsSealedAndNeverShown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolOIDC, accountsJIT)
		d := p.keyed()
		const text = "s3cret-of-the-client"
		c, err := p.update(d, map[string]string{"client_secret": text})
		if err != nil || bytes.Contains(c.secret, []byte(text)) {
			t.Fatalf("%v; sealed: %v", err, !bytes.Contains(c.secret, []byte(text)))
		}
		if plain, err := d.opts.Key.Open(c.secretPlace(), c.secret); err != nil || string(plain) != text {
			t.Errorf("opened: %q, %v", plain, err)
		}
		if c, err = p.update(d, map[string]string{"client_id": "another"}); err != nil || len(c.secret) == 0 {
			t.Errorf("another setting took the secret away: %v", err)
		}
		shown, err := json.Marshal(d.Info(c))
		detail := fmt.Sprint(p.activities("connection.update")[1].Detail)
		if err != nil || bytes.Contains(shown, []byte("s3cret")) || !bytes.Contains(shown, []byte(`"client_secret":true`)) || strings.Contains(detail, "s3cret") || !strings.Contains(detail, "client_secret") {
			t.Errorf("shown as %s, recorded as %s", shown, detail)
		}
		if c, err = p.update(d, map[string]string{"client_secret": ""}); err != nil || len(c.secret) != 0 {
			t.Errorf("removed: %v", err)
		}
	})
}

func TestDeleteConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", protocolSAML, accountsJIT)
		d := p.keyed()
		made, err := d.CreateConnection(context.Background(), p.admin, NewConnection{Protocol: "saml", Name: "Other"})
		if err != nil {
			t.Fatal(err)
		}
		p.domain("acme.example", true, p.conn.ID)
		u, err := p.come(answerProfile("nameid", "ada"))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.DeleteConnection(context.Background(), p.admin, p.conn.ID); !fault.Is(err, fault.Conflict) {
			t.Fatalf("an active one: %v", err)
		}
		if _, err := d.Disable(context.Background(), p.admin, p.conn.ID); err != nil {
			t.Fatal(err)
		}
		_, stranger := storetest.Org(t, db, "rival")
		if err := d.DeleteConnection(context.Background(), stranger, p.conn.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("a stranger: %v", err)
		}
		if err := d.DeleteConnection(context.Background(), p.admin, p.conn.ID); err != nil {
			t.Fatal(err)
		}
		list, err := d.Connections(context.Background(), p.admin)
		if err != nil || len(list) != 1 || list[0].ID != made.ID {
			t.Errorf("left: %v, %v", list, err)
		}
		domains, err := d.Domains(context.Background(), p.admin)
		if err != nil || len(domains) != 1 || len(domains[0].Connections) != 0 || !domains[0].Verified() {
			t.Errorf("domains: %+v, %v", domains, err)
		}
		err = db.Read(context.Background(), p.admin, func(tx *store.Tx) error {
			keys, err := keysIn(tx, made.ID)
			if err != nil || len(keys) == 0 {
				t.Errorf("the other connection's keys: %d, %v", len(keys), err)
			}
			ids, err := Identities(tx, u.ID)
			if err != nil || len(ids) != 0 {
				t.Errorf("identities: %v, %v", ids, err)
			}
			_, err = tx.User(u.ID)
			return err
		})
		if err != nil || len(p.activities("connection.delete")) != 1 {
			t.Errorf("%v; %d rows", err, len(p.activities("connection.delete")))
		}
	})
}

// ask sends a request with JSON as the operator of the test.
func (s *site) ask(method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Test-Operator", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			s.t.Fatal(err)
		}
	}
	return resp.StatusCode, out
}

func TestConnectionsOverREST(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, _ := s.saml("jit")
		status, made := s.ask("POST", "/api/v1/connections", map[string]any{"protocol": "saml", "name": "Okta", "vendor": "okta", "idp_metadata": string(idp.Metadata())})
		if status != http.StatusCreated || made["status"] != "draft" || made["acs_url"] == "" {
			t.Fatalf("%d %v", status, made)
		}
		at := "/api/v1/connections/" + made["id"].(string)
		if status, got := s.ask("GET", "/api/v1/connections", nil); status != http.StatusOK || len(got["connections"].([]any)) != 2 {
			t.Errorf("list: %d %v", status, got)
		}
		status, got := s.ask("PATCH", at, map[string]any{"version": made["version"], "settings": map[string]any{"force_authn": true, "skew_seconds": 60, "name": "Okta EU"}})
		set, _ := got["settings"].(map[string]any)
		if status != http.StatusOK || got["name"] != "Okta EU" || set["force_authn"] != true || set["skew_seconds"] != 60.0 {
			t.Errorf("patched: %d %v", status, got)
		}
		for name, c := range map[string]struct {
			status int
			body   any
		}{
			"stale":   {http.StatusConflict, map[string]any{"version": made["version"], "settings": map[string]any{"name": "x"}}},
			"unknown": {http.StatusBadRequest, map[string]any{"settings": map[string]any{"nope": 1}}},
			"object":  {http.StatusBadRequest, map[string]any{"settings": map[string]any{"name": map[string]any{}}}},
			"list":    {http.StatusBadRequest, map[string]any{"settings": map[string]any{"name": []any{"a,b"}}}},
			"other":   {http.StatusBadRequest, map[string]any{"set": 1}},
		} {
			if status, got := s.ask("PATCH", at, c.body); status != c.status || got["detail"] == "" {
				t.Errorf("%s: %d %v", name, status, got)
			}
		}
		if status, got := s.ask("PATCH", at, map[string]any{"settings": map[string]any{"skew_seconds": nil}}); status != http.StatusOK || got["settings"].(map[string]any)["skew_seconds"] != 120.0 {
			t.Errorf("null: %d %v", status, got)
		}
		for _, step := range []struct {
			method, path string
			status       int
			is           any
		}{{"POST", at + "/activate", 200, "active"}, {"DELETE", at, 409, nil}, {"POST", at + "/disable", 200, "disabled"}, {"DELETE", at, 204, nil}, {"GET", at, 404, nil}} {
			if status, got := s.ask(step.method, step.path, nil); status != step.status || step.is != nil && got["status"] != step.is {
				t.Errorf("%s %s: %d %v", step.method, step.path, status, got)
			}
		}
	})
}

// docs/sso/settings.md is made from the table: make generate.
func TestSettingsAreOnTheirPage(t *testing.T) {
	t.Parallel()
	const name = "../docs/sso/settings.md"
	page := settingsDoc()
	if os.Getenv("MUSTER_WRITE_DOCS") != "" {
		if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(name); err != nil || string(have) != page {
		t.Errorf("%s is stale (%v); run: make generate", name, err)
	}
}

func settingsDoc() string {
	var b strings.Builder
	b.WriteString(`# Settings of a connection

    muster connection show --connection ID
    muster connection set --connection ID force_authn=true skew_seconds=60
    muster connection set --connection ID skew_seconds=        # the default again

The same in the REST API (` + "`PATCH /api/v1/connections/{connection}`" + `, [api.md](../api.md)) and in the console, on the connection's page under
*Change the settings*. A change holds for every sign-in that starts after it, and stands in the activity with what was before and
after. What people are known by stays as it is once somebody has signed in.
`)
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;")
	for _, part := range []struct{ protocol, name string }{{"", "Every connection"}, {protocolSAML, "SAML"}, {protocolOIDC, "OpenID Connect"}} {
		fmt.Fprintf(&b, "\n## %s\n\n| Setting | Values | Default | What it does |\n|---|---|---|---|\n", part.name)
		for _, s := range settings {
			if s.Protocol == part.protocol {
				fmt.Fprintf(&b, "| `%s` | %s | %s | **%s.** %s |\n", s.Key, cell.Replace(s.Written()), cell.Replace(s.Default), cell.Replace(s.Label), cell.Replace(s.Help))
			}
		}
	}
	return b.String()
}

// Whoever adds a table of connections says what becomes of it when one is deleted.
func TestDeleteConnectionLeavesNothing(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../store/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	source, err := os.ReadFile("sql.go")
	if err != nil {
		t.Fatal(err)
	}
	// Sessions end when a connection is disabled, and one that is not cannot be deleted.
	// The log of sign-ins outlives the connection, for its own time.
	elsewhere := map[string]bool{"sessions": true, "domains": true, "signins": true}
	n := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?s)CREATE TABLE ([a-z_]+) \((.*?)\n\)`).FindAllSubmatch(text, -1) {
			table := string(m[1])
			if !bytes.Contains(m[2], []byte("\n  connection_id ")) || elsewhere[table] {
				continue
			}
			n++
			if !bytes.Contains(source, []byte("DELETE FROM "+table+" WHERE org_id = ? AND connection_id = ?")) {
				t.Errorf("%s: rows of %s stay behind when a connection is deleted", name, table)
			}
		}
	}
	if n < 7 {
		t.Errorf("only %d tables found", n)
	}
}

func TestDisableEndsSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("jit")
		second, other := s.saml("jit")
		second.Next(ssotest.Login{NameID: "bob"})
		one, two := newBrowser(t), newBrowser(t)
		if !one.samlSignIn(c.URLs.Login).signedIn() || !two.samlSignIn(other.URLs.Login).signedIn() {
			t.Fatal("not signed in")
		}
		if _, err := s.door.Disable(t.Context(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		if p := one.open(s.url + "/account"); p.signedIn() {
			t.Error("the session outlives its connection")
		}
		if p := two.open(s.url + "/account"); !p.signedIn() {
			t.Error("a session over another connection ended")
		}
		if rows := s.log("connection.sessions.end"); len(rows) != 1 || rows[0].TargetID != string(c.ID) {
			t.Errorf("%v", rows)
		}
	})
}
