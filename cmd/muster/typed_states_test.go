package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/sso/ssotest"
)

// typist is the demo's admin, at forms to which nothing leads in the demo as it is made.
type typist struct {
	*program
	*visitor
	server *server
	forms  map[string]sheet
}

// here notes the forms of the page that is open.
func (y *typist) here() {
	y.visitor.t.Helper()
	y.noteForms(y.forms)
}

// states makes what those forms are about, through the doors that people use, and gives
// pages that no link leads to.
func (y *typist) states() (pages []string) {
	org := y.server.url + "/console/acme"
	at := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	y.must("user", "deactivate", "--org", "acme", "mary@acme.example", "--at", at)
	joan := y.must("user", "deactivate", "--org", "acme", "joan@acme.example")["id"].(string)
	y.must("user", "delete", "--org", "acme", "lise@partner.example")
	y.must("attribute", "add", "--org", "acme", "--name", "badgeNumber")
	y.must("role", "create", "--org", "acme", "lead", "--label", "Lead")
	y.must("review", "start", "--org", "acme", "--name", "Spring", "--reviewer", demoAdmin)
	y.must("feed", "create", "--org", "acme", "--name", "Personnel", "--path", "hr")
	key := y.must("key", "create", "--org", "acme", "--role", "admin")["key"].(string)
	if status, text := y.server.do("PUT", "/api/v1/records/contact/1", key, `{"name":"Contact"}`); status != http.StatusCreated {
		y.visitor.t.Fatalf("a record: %d %s", status, text)
	}

	y.open(org+"/checklists/joiner").submit("/joiner/add", "title", "Badge", "days", "1", "who", "admins")
	y.open(org+"/checklists/leaver").submit("/leaver/add", "title", "Keys", "days", "1", "who", "admins")
	y.must("user", "deactivate", "--org", "acme", y.must("user", "invite", "--org", "acme", "--email", "rosa@partner.example", "--given-name", "Rosa")["user_id"].(string))
	y.open(org+"/users?q=ada").submit("/users/bulk", "user", onlyID(y.visitor), "action", "deactivate")
	y.here()
	y.open(org+"/invite/many").submit("/invite/many", "addresses", "one@many.example\nnot an address")
	y.here()
	y.upload(org + "/import")
	y.here()
	y.ask()
	return []string{org + "/users/" + joan + "/reactivate", org + "/planned"}
}

// onlyID is of the person on the page.
func onlyID(v *visitor) string {
	v.t.Helper()
	if m := personLink.FindStringSubmatch(v.page); m != nil {
		return m[1]
	}
	v.t.Fatalf("%s shows nobody:\n%s", v.at, v.page)
	return ""
}

// upload sends a file of people, which is shown line by line.
func (y *typist) upload(to string) {
	t := y.visitor.t
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file", "people.csv")
	if err != nil {
		t.Fatal(err)
	}
	part.Write([]byte("email,given,nonsense\nrow@import.example,Row,x\nno address,Bad,y\n"))
	w.Close()
	r, err := http.NewRequest("POST", to, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if y.took(y.client.Do(r)); y.status != http.StatusOK || !strings.HasPrefix(y.at.Path, "/console/acme/import/") {
		t.Fatalf("uploaded: %d at %s\n%s", y.status, y.at, y.page)
	}
}

// ask has somebody without an account sign in at a provider: a request for access.
func (y *typist) ask() {
	t := y.visitor.t
	t.Helper()
	op := ssotest.NewOIDC(t)
	secret := filepath.Join(y.dir, "client-secret")
	if err := os.WriteFile(secret, []byte(op.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	c := y.must("connection", "create", "--org", "acme", "--protocol", "oidc", "--name", "Partners", "--vendor", "custom", "--issuer", op.URL,
		"--client-id", op.ClientID, "--client-secret-file", secret, "--accounts", "existing", "--activate")
	op.Register(c["redirect_url"].(string))
	op.As(map[string]any{"sub": "1", "email": "nobody@acme.example", "email_verified": true, "given_name": "No", "family_name": "Body"})
	newVisitor(t).open(c["login_url"].(string))
}

// atSecondStep is somebody at the second step of signing in, with an authenticator app.
func atSecondStep(t *testing.T, p *program, s *server) *visitor {
	t.Helper()
	link := p.must("user", "invite", "--org", "acme", "--email", "app@partner.example", "--given-name", "App", "--role", "agent")["link"].(string)
	v := newVisitor(t).open(link)
	v.submit("/invite/", "given_name", "App", "family_name", "Person", "password", goodPassword)
	v.open(s.url+"/account/authenticator").submit("/account/authenticator/new").is("/account/authenticator/new", 200)
	code, err := totp.GenerateCode(v.seed(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	v.submit("/account/authenticator", "code", code)
	v = newVisitor(t).open(s.url+"/login?with=password").submit("/login", "email", "app@partner.example", "password", goodPassword)
	return v.is("/login/second", 200)
}
