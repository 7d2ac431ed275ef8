package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
)

const goodPassword = "correct-horse-battery-staple-7"

// acme is an organization with every door open, on a running server.
type acme struct {
	*program
	*server
	t           *testing.T
	base, token string // of the directory
	idp         *ssotest.IDP
	op          *ssotest.OIDC
	saml, oidc  string // login URLs
}

func newAcme(t *testing.T, env ...string) *acme {
	t.Helper()
	a := &acme{t: t, program: newProgram(t, append(env, "MUSTER_EGRESS_ALLOW=127.0.0.0/8")...), idp: ssotest.NewIDP(), op: ssotest.NewOIDC(t)}
	a.server = a.serve()
	a.setenv("MUSTER_PUBLIC_URL", a.url)
	a.base, a.token = a.directory()
	a.idp.Serve(t)
	metadata := filepath.Join(a.dir, "idp.xml")
	secret := filepath.Join(a.dir, "client-secret")
	for name, text := range map[string][]byte{metadata: a.idp.Metadata(), secret: []byte(a.op.ClientSecret + "\n")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := a.must("connection", "create", "--org", "acme", "--protocol", "saml", "--name", "Okta", "--vendor", "okta", "--metadata", metadata, "--accounts", "jit", "--activate")
	id, _ := c["id"].(string)
	for field, want := range map[string]string{"acs_url": "/acs", "entity_id": "", "metadata_url": "/metadata", "login_url": "/login"} {
		if got := c[field]; got != a.url+"/sso/saml/"+id+want {
			t.Errorf("%s = %v, want %s", field, got, a.url+"/sso/saml/"+id+want)
		}
	}
	a.saml, _ = c["login_url"].(string)
	c = a.must("connection", "create", "--org", "acme", "--protocol", "oidc", "--name", "Google", "--vendor", "google", "--issuer", a.op.URL,
		"--client-id", a.op.ClientID, "--client-secret-file", secret, "--accounts", "jit", "--activate")
	redirect, _ := c["redirect_url"].(string)
	a.op.Register(redirect)
	a.oidc, _ = c["login_url"].(string)
	a.must("domain", "add", "--org", "acme", "example.com", "--verified")
	return a
}

func (p *program) setenv(name, value string) { (&script{program: p}).setenv(name, value) }

// samlLogin goes the whole way through the identity provider.
func (a *acme) samlLogin(v *visitor, nameID, email string) *visitor {
	a.t.Helper()
	a.idp.Next(ssotest.Login{NameID: nameID, Attributes: map[string][]string{"email": {email}, "firstName": {"Given"}, "lastName": {"Family"}}})
	v.open(a.saml)
	v.submit("/acs")
	if v.at.Path != "/account" && v.status == http.StatusOK { // over plain http our page posts it once more
		v.submit("/acs")
	}
	return v
}

func (a *acme) oidcLogin(v *visitor, sub, email string) *visitor {
	a.t.Helper()
	a.op.As(map[string]any{"sub": sub, "email": email, "email_verified": true, "given_name": "Given", "family_name": "Family"})
	return v.open(a.oidc)
}

// expectMe fails unless the visitor is this person, or nobody when want is nil.
func (a *acme) expectMe(v *visitor, want map[string]string) {
	a.t.Helper()
	status, got := v.me(a.url)
	if want == nil {
		if status != http.StatusUnauthorized {
			a.t.Errorf("/api/v1/me = %d %v, want 401", status, got)
		}
		return
	}
	session, _ := got["session"].(map[string]any)
	for field, w := range want {
		g := got[field]
		if field == "method" {
			g = session[field]
		}
		if g != w || status != http.StatusOK {
			a.t.Errorf("/api/v1/me: %d, %s = %v, want %s", status, field, g, w)
		}
	}
}

// Four ways in, one list; and whoever is deactivated is out with the next
// request, whichever way they came.
func TestEveryDoorLeadsToOneListAndOut(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "doors", func(t *testing.T, env ...string) {
		a := newAcme(t, env...)
		people := map[string]*visitor{}

		people["carol@example.com"] = a.samlLogin(newVisitor(t), "carol-id", "carol@example.com")
		a.expectMe(people["carol@example.com"], map[string]string{"user_name": "carol@example.com", "source": "jit", "method": "saml", "status": "active", "org": "acme"})

		people["dave@example.com"] = a.oidcLogin(newVisitor(t), "dave-sub", "dave@example.com")
		a.expectMe(people["dave@example.com"], map[string]string{"source": "jit", "method": "oidc"})

		invited := a.must("user", "invite", "--org", "acme", "--email", "eve@example.net", "--given-name", "Eve", "--role", "viewer")
		link, _ := invited["link"].(string)
		eve := newVisitor(t).open(link)
		eve.submit("/invite/", "password", "short")
		if eve.status != http.StatusBadRequest {
			t.Errorf("a weak password: %d, want 400", eve.status)
		}
		eve.submit("/invite/", "password", goodPassword)
		people["eve@example.net"] = eve
		a.expectMe(eve, map[string]string{"source": "invite", "status": "active"})
		if again := newVisitor(t).open(link); again.status != http.StatusGone && again.status != http.StatusConflict {
			t.Errorf("the used link answers %d", again.status)
		}

		if status, body := a.do("POST", a.base+"/Users", a.token, scimUser("bob@example.com")); status != http.StatusCreated {
			t.Fatalf("POST /Users: %d %s", status, body)
		}

		r := a.run("user", "list", "--org", "acme", "--json")
		var rows []map[string]any
		if err := json.Unmarshal([]byte(r.stdout), &rows); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"carol@example.com": "jit", "dave@example.com": "jit", "eve@example.net": "invite", "bob@example.com": "scim"}
		for _, row := range rows {
			name, _ := row["user_name"].(string)
			if want[name] != row["source"] || row["status"] != "active" {
				t.Errorf("%v, want source %q and active", row, want[name])
			}
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("not in the list: %v", want)
		}

		for name, v := range people {
			if got := a.must("user", "deactivate", "--org", "acme", name)["status"]; got != "deactivated" {
				t.Errorf("deactivate %s: %v", name, got)
			}
			a.expectMe(v, nil)
			if v.open(a.url + "/account"); v.at.Path != "/login" {
				t.Errorf("%s, deactivated, sees %s", name, v.at.Path)
			}
		}
		// A new sign-in changes nothing about it.
		for _, v := range []*visitor{
			a.samlLogin(newVisitor(t), "carol-id", "carol@example.com"),
			a.oidcLogin(newVisitor(t), "dave-sub", "dave@example.com"),
		} {
			if v.status < 400 || v.status >= 500 {
				t.Errorf("a deactivated person signs in: %d at %s", v.status, v.at)
			}
			a.expectMe(v, nil)
		}
		v := newVisitor(t).open(a.url + "/login?with=password")
		v.submit("/login", "email", "eve@example.net", "password", goodPassword)
		a.expectMe(v, nil)
	})
}
