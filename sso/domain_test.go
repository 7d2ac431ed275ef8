package sso

import (
	"context"
	"errors"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestDomainNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"example.com":        "example.com",
		" Example.COM. ":     "example.com",
		"mail.example.co.uk": "mail.example.co.uk",
		"bücher.example":     "xn--bcher-kva.example",
		"acme.test":          "acme.test",
		"":                   "",
		"localhost":          "",
		"com":                "",
		"co.uk":              "",
		"github.io":          "",
		"a@example.com":      "",
		"https://a.example":  "",
		"a b.example":        "",
		"-a.example":         "",
		"gmail.com":          "",
		"Googlemail.com":     "",
		"yahoo.co.jp":        "",
		"hotmail.fr":         "",
		"gmx.at":             "",
	} {
		got, err := domainName(in)
		if got != want || (err == nil) != (want != "") || err != nil && fault.Field(err) != "domain" {
			t.Errorf("domainName(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestDomainsAreProvedByDNS(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "saml", "jit")
		records := map[string][]string{}
		d := New(Options{DB: db, PublicURL: "http://muster.test", LookupTXT: func(_ context.Context, name string) ([]string, error) {
			if r := records[name]; r != nil {
				return r, nil
			}
			return nil, errors.New("no such host")
		}})
		ctx := t.Context()
		v, err := d.AddDomain(ctx, p.admin, NewDomain{Domain: "acme.example"})
		if err != nil || v.Verified() || v.TXTName() != "_muster-challenge.acme.example" || len(v.TXTValue()) < 40 {
			t.Fatalf("added %+v, %v", v, err)
		}
		again, err := d.AddDomain(ctx, p.admin, NewDomain{Domain: "ACME.example"})
		if err != nil || again.ID != v.ID || again.TXTValue() != v.TXTValue() {
			t.Errorf("added again: %+v, %v; want the same record to publish", again, err)
		}
		if list, err := d.Discover(ctx, "", "ada@acme.example"); err != nil || len(list) != 0 {
			t.Errorf("an unproved domain leads to %v, %v", list, err)
		}
		if _, err := d.VerifyDomain(ctx, p.admin, "acme.example"); !fault.Is(err, fault.Invalid) {
			t.Errorf("without a record: %v, want invalid", err)
		}
		records[v.TXTName()] = []string{"something else", v.TXTValue() + "x"}
		if _, err := d.VerifyDomain(ctx, p.admin, "acme.example"); !fault.Is(err, fault.Invalid) {
			t.Errorf("with a wrong record: %v, want invalid", err)
		}
		records[v.TXTName()] = []string{"v=spf1 -all", v.TXTValue()}
		if v, err = d.VerifyDomain(ctx, p.admin, "acme.example"); err != nil || !v.Verified() {
			t.Fatalf("with the record: %+v, %v", v, err)
		}
		list, err := d.Discover(ctx, "", "Nobody.In.Particular@Acme.Example")
		if err != nil || len(list) != 1 || list[0].ID != p.conn.ID {
			t.Errorf("discovered %v, %v; want the one connection", list, err)
		}
		if got, want := list[0].Path("//evil", "a@acme.example"), "/sso/saml/"+string(p.conn.ID)+"/login?login_hint=a%40acme.example&next=%2Faccount"; got != want {
			t.Errorf("path %s, want %s", got, want)
		}
		for _, none := range []string{"ada@sub.acme.example", "ada@other.example", "acme.example", "@acme.example", ""} {
			if list, err := d.Discover(ctx, "", none); err != nil || len(list) != 0 {
				t.Errorf("Discover(%q) = %v, %v; want nothing", none, list, err)
			}
		}
		// Assigned to one connection, the others are not offered.
		other := p.connection("other", "oidc", "jit")
		if _, err := d.AddDomain(ctx, p.admin, NewDomain{Domain: "acme.example", Connection: other.ID}); err != nil {
			t.Fatal(err)
		}
		if list, err := d.Discover(ctx, "", "ada@acme.example"); err != nil || len(list) != 1 || list[0].ID != other.ID {
			t.Errorf("assigned: %v, %v; want the other connection", list, err)
		}
	})
}

func TestWhoMayClaimDomainsAndMakeConnections(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "saml", "jit")
		q := somewhere(t, db, "other", "saml", "jit")
		d := New(Options{DB: db, PublicURL: "http://muster.test"})
		ctx := t.Context()
		admin := access.Actor{Kind: access.Person, Org: string(p.org), ID: "a", Roles: []string{access.Admin}}
		agent := access.Actor{Kind: access.Person, Org: string(p.org), ID: "b", Roles: []string{access.Agent}}
		if _, err := d.AddDomain(ctx, admin, NewDomain{Domain: "acme.example"}); err != nil {
			t.Errorf("an admin claims a domain: %v", err)
		}
		if _, err := d.AddDomain(ctx, admin, NewDomain{Domain: "acme.example", Verified: true}); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin takes a domain as verified: %v, want denied", err)
		}
		if _, err := d.AddDomain(ctx, agent, NewDomain{Domain: "acme.example"}); !fault.Is(err, fault.Denied) {
			t.Errorf("an agent claims a domain: %v, want denied", err)
		}
		if _, err := d.AddDomain(ctx, admin, NewDomain{Domain: "acme.example", Connection: q.conn.ID}); !fault.Is(err, fault.NotFound) {
			t.Errorf("a domain for another organization's connection: %v, want not found", err)
		}
		if _, err := d.Disable(ctx, admin, q.conn.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization's connection: %v, want not found", err)
		}
		if _, err := d.CreateConnection(ctx, agent, NewConnection{Protocol: "oidc", Name: "x", Issuer: "https://127.0.0.1:1", ClientID: "x"}); !fault.Is(err, fault.Denied) {
			t.Errorf("an agent makes a connection: %v, want denied", err)
		}
	})
}

func TestBadConnections(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	p := somewhere(t, db, "acme", "saml", "jit")
	d := New(Options{DB: db, PublicURL: "http://muster.test"})
	for name, c := range map[string]struct {
		in    NewConnection
		field string
	}{
		"protocol":              {NewConnection{Protocol: "ldap", Name: "x"}, "protocol"},
		"no name":               {NewConnection{Protocol: "saml", Name: " "}, "name"},
		"accounts":              {NewConnection{Protocol: "saml", Name: "x", Accounts: "all"}, "accounts"},
		"vendor":                {NewConnection{Protocol: "saml", Name: "x", Vendor: "acme"}, "vendor"},
		"active, no metadata":   {NewConnection{Protocol: "saml", Name: "x", Activate: true}, "metadata"},
		"metadata is no XML":    {NewConnection{Protocol: "saml", Name: "x", Metadata: []byte("{}")}, "metadata"},
		"no issuer":             {NewConnection{Protocol: "oidc", Name: "x", ClientID: "x"}, "issuer"},
		"issuer of everybody":   {NewConnection{Protocol: "oidc", Name: "x", ClientID: "x", Issuer: "https://login.microsoftonline.com/common/v2.0"}, "issuer"},
		"no client":             {NewConnection{Protocol: "oidc", Name: "x", Issuer: "https://a.example"}, "client_id"},
		"scopes without openid": {NewConnection{Protocol: "oidc", Name: "x", Issuer: "https://a.example", ClientID: "x", Scopes: []string{"email"}}, "scopes"},
	} {
		_, err := d.CreateConnection(t.Context(), p.admin, c.in)
		if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
			t.Errorf("%s: %v, want invalid on %s", name, err, c.field)
		}
	}
}
