package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/sso/ssotest"
)

// The stories: one per promise of the product (see SECURITY.md), told to the whole
// program from outside, on both databases. Promise 9, that both databases answer
// alike, is what eachDatabase is.

func story(t *testing.T, tell func(t *testing.T, h *acme)) {
	t.Parallel()
	eachDatabase(t, "story", func(t *testing.T, env ...string) { tell(t, newAcme(t, env...)) })
}

// newDirectory makes one more directory.
func (a *acme) newDirectory(org, name string) (base, token string) {
	d := a.must("directory", "create", "--org", org, "--name", name, "--vendor", "okta", "--mode", "compat")
	return "/scim/v2/" + d["id"].(string), d["token"].(string)
}

// nobody fails the story when the visitor got in.
func (a *acme) nobody(v *visitor, what string) {
	a.t.Helper()
	if v.status < 400 || v.status > 499 {
		a.t.Errorf("%s: %d at %s, want a refusal", what, v.status, v.at)
	}
	if status, me := v.me(a.url); status != http.StatusUnauthorized {
		a.t.Errorf("%s: signed in as %v", what, me)
	}
}

// invite makes somebody with a password and gives the browser, signed in.
func (a *acme) invite(org, email, role string) *visitor {
	a.t.Helper()
	made := a.must("user", "invite", "--org", org, "--email", email, "--given-name", "Eve", "--family-name", "Dole", "--role", role)
	v := newVisitor(a.t)
	v.open(made["link"].(string))
	v.submit("/invite/", "password", goodPassword)
	if status, me := v.me(a.url); status != http.StatusOK || me["email"] != email {
		a.t.Fatalf("accepting the invitation: %d %v", status, me)
	}
	return v
}

// signIn is address first, then the password.
func (a *acme) signIn(v *visitor, address string) *visitor {
	a.t.Helper()
	v.open(a.url + "/login")
	v.submit("/login", "email", address)
	if strings.Contains(v.page, `name="password"`) {
		v.submit("/login", "password", goodPassword)
	}
	return v
}

func scimPerson(userName, given, family string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%s","externalId":"ext-%s","active":true,
		"name":{"givenName":%q,"familyName":%q},"emails":[{"value":"%s","type":"work","primary":true}]}`, userName, userName, given, family, userName)
}

// field digs a value out of JSON.
func field(t *testing.T, body string, path ...string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return fmt.Sprint(v)
}

func (h *acme) scim(method, path, body string) (int, string) {
	h.t.Helper()
	return h.do(method, h.base+path, h.token, body)
}

// provision creates a person over SCIM and gives the id.
func (h *acme) provision(userName string) string {
	h.t.Helper()
	status, body := h.scim("POST", "/Users", scimPerson(userName, "Ann", "Bell"))
	if status != http.StatusCreated {
		h.t.Fatalf("POST %s: %d\n%s", userName, status, body)
	}
	return field(h.t, body, "id")
}

const patchSchema = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`

// 1. Every 2xx is true: a following read shows it. What is not supported is refused.
func TestPromise1NeverDoneUnlessDone(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		id := h.provision("ann@example.com")
		status, body := h.scim("PATCH", "/Users/"+id, `{`+patchSchema+`,"Operations":[
			{"op":"replace","path":"title","value":"Captain"},
			{"op":"add","path":"emails","value":[{"value":"ann@home.example","type":"home"}]},
			{"op":"remove","path":"name.familyName"}]}`)
		if status != http.StatusOK {
			t.Fatalf("PATCH: %d\n%s", status, body)
		}
		_, after := h.scim("GET", "/Users/"+id, "")
		var got struct {
			Title  string
			Name   map[string]string
			Emails []map[string]any
		}
		if err := json.Unmarshal([]byte(after), &got); err != nil {
			t.Fatal(err)
		}
		if got.Title != "Captain" || len(got.Emails) != 2 || got.Name["familyName"] != "" {
			t.Errorf("after a 200 the user is %s", after)
		}
		// One operation of two cannot be done: neither is.
		status, _ = h.scim("PATCH", "/Users/"+id, `{`+patchSchema+`,"Operations":[
			{"op":"replace","path":"title","value":"Lost"},{"op":"replace","path":"userName","value":null}]}`)
		if _, again := h.scim("GET", "/Users/"+id, ""); status < 400 || again != after {
			t.Errorf("refused with %d, but the user changed:\n%s\n%s", status, after, again)
		}
		for _, r := range [][3]string{
			{"POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[]}`},
			{"GET", "/Users?filter=" + url.QueryEscape(`nosuch eq "x"`), ""},
			{"GET", "/Me", ""},
			{"POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}`},
		} {
			if status, body := h.scim(r[0], r[1], r[2]); status < 400 || field(t, body, "detail") == "<nil>" {
				t.Errorf("%s %s: %d %s", r[0], r[1], status, body)
			}
		}
	})
}

// 2. No update is lost: what many do at once ends as if they had queued up.
func TestPromise2NoLostUpdate(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		const n = 8
		var ids [n]string
		for i := range n {
			ids[i] = h.provision(fmt.Sprintf("p%d@example.com", i))
		}
		_, body := h.scim("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Crew"}`)
		group := field(t, body, "id")
		var wg sync.WaitGroup
		patch := func(path, body string) {
			wg.Go(func() {
				r, err := http.NewRequest("PATCH", h.url+h.base+path, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+h.token)
				r.Header.Set("Content-Type", "application/scim+json")
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode >= 300 {
					t.Errorf("PATCH %s: %d", path, res.StatusCode)
				}
			})
		}
		attributes := []string{"title", "nickName", "userType", "locale", "timezone", "preferredLanguage", "profileUrl", "displayName"}
		for i := range n {
			patch("/Groups/"+group, fmt.Sprintf(`{%s,"Operations":[{"op":"add","path":"members","value":[{"value":%q}]}]}`, patchSchema, ids[i]))
			value := "v"
			if attributes[i] == "profileUrl" {
				value = "https://example.com/v"
			}
			patch("/Users/"+ids[0], fmt.Sprintf(`{%s,"Operations":[{"op":"add","path":%q,"value":%q}]}`, patchSchema, attributes[i], value))
		}
		wg.Wait()
		_, body = h.scim("GET", "/Groups/"+group, "")
		for _, id := range ids {
			if !strings.Contains(body, id) {
				t.Errorf("member %s is lost", id)
			}
		}
		_, body = h.scim("GET", "/Users/"+ids[0], "")
		for _, a := range attributes {
			if !strings.Contains(field(t, body, a), "v") {
				t.Errorf("%s is lost: %s", a, body)
			}
		}
	})
}

// 3. Tenants are sealed, on every door.
func TestPromise3TenantsAreSealed(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		h.must("org", "create", "--slug", "rival", "--name", "Rival Inc")
		base2, token2 := h.newDirectory("rival", "Spy")
		_, token3 := h.newDirectory("acme", "Second")
		id := h.provision("ann@example.com")

		for _, path := range []string{"/Users/" + id, "/Users", "/ServiceProviderConfig"} {
			if status, _ := h.do("GET", h.base+path, token2, ""); status != http.StatusNotFound {
				t.Errorf("another organization's token at the base URL: %d for %s", status, path)
			}
		}
		if status, _ := h.do("GET", h.base+"/Users/"+id, token3, ""); status != http.StatusNotFound {
			t.Errorf("a token of the organization's other directory: %d", status)
		}
		for _, r := range [][2]string{{"GET", ""}, {"PUT", scimPerson("x@example.com", "X", "Y")}, {"DELETE", ""}} {
			if status, _ := h.do(r[0], base2+"/Users/"+id, token2, r[1]); status != http.StatusNotFound {
				t.Errorf("%s of another organization's id: %d", r[0], status)
			}
		}
		if status, body := h.do("GET", base2+"/Users?filter="+url.QueryEscape(`userName eq "ann@example.com"`), token2, ""); status != 200 || field(t, body, "totalResults") != "0" {
			t.Errorf("filter finds a foreign user: %d %s", status, body)
		}
		if status, body := h.do("POST", base2+"/Groups", token2, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"G","members":[{"value":%q}]}`, id)); status != 400 {
			t.Errorf("a foreign member: %d %s", status, body)
		}

		// A rival's admin in the console, and the rival's identity provider.
		spy := h.invite("rival", "spy@rival.example", "admin")
		if spy.open(h.url + "/console/rival/users"); spy.status != 200 {
			t.Errorf("own console: %d", spy.status)
		}
		for _, path := range []string{"/console/acme/users", "/console/acme/users/" + id, "/console/acme/activity", "/console/rival/users/" + id} {
			if spy.open(h.url + path); spy.status != http.StatusNotFound || strings.Contains(spy.page, "Bell") {
				t.Errorf("%s: %d", path, spy.status)
			}
		}
		metadata := filepath.Join(h.dir, "idp.xml")
		c := h.must("connection", "create", "--org", "rival", "--protocol", "saml", "--name", "SSO", "--vendor", "custom", "--metadata", metadata, "--accounts", "existing", "--activate")
		h.saml = c["login_url"].(string)
		h.nobody(h.samlLogin(newVisitor(t), "ann", "ann@example.com"), "a rival's provider signs in ann")
	})
}

// 5. Out means out: from the commit on, by whatever door it came.
func TestPromise5OutMeansOut(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		id := h.provision("ann@example.com")
		ann := h.samlLogin(newVisitor(t), "subject-ann", "ann@example.com")
		if _, me := ann.me(h.url); me["user_id"] != id || me["source"] != "scim" {
			t.Fatalf("signed in as %v", me)
		}
		if status, body := h.scim("PATCH", "/Users/"+id, `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"active":false}}]}`); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if status, me := ann.me(h.url); status != http.StatusUnauthorized {
			t.Errorf("deactivated, and still signed in as %v", me)
		}
		if ann.open(h.url + "/account"); ann.at.Path != "/login" {
			t.Errorf("/account leads to %s", ann.at)
		}

		// A pending invitation of somebody who was deleted meanwhile.
		made := h.must("user", "invite", "--org", "acme", "--email", "bob@example.com", "--given-name", "Bob", "--family-name", "Cole", "--role", "agent")
		h.must("user", "delete", "--org", "acme", "bob@example.com")
		if bob := newVisitor(t).open(made["link"].(string)); bob.status < 400 {
			t.Errorf("a deleted person's invitation opens: %d", bob.status)
		}

		// Somebody with a password: signed in, then deactivated on the command line.
		eve := h.invite("acme", "eve@elsewhere.example", "agent")
		h.must("user", "deactivate", "--org", "acme", "eve@elsewhere.example")
		if status, _ := eve.me(h.url); status != http.StatusUnauthorized {
			t.Error("deactivated by the command line, and still signed in")
		}
		h.nobody(h.signIn(eve, "eve@elsewhere.example"), "deactivated, and signs in again")
	})
}

// 6. A directory's word is final: a sign-in does not bring anybody back and does
// not overwrite what the directory manages.
func TestPromise6TheDirectoryHasTheLastWord(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		id := h.provision("ann@example.com")
		_, before := h.scim("GET", "/Users/"+id, "")
		ann := h.samlLogin(newVisitor(t), "s-ann", "ann@example.com") // as Given Family
		if status, _ := ann.me(h.url); status != http.StatusOK {
			t.Fatal("ann cannot sign in")
		}
		if _, after := h.scim("GET", "/Users/"+id, ""); after != before {
			t.Errorf("the sign-in changed\n%s into\n%s", before, after)
		}
		h.scim("PATCH", "/Users/"+id, `{`+patchSchema+`,"Operations":[{"op":"replace","path":"active","value":false}]}`)
		h.nobody(h.samlLogin(ann, "s-ann", "ann@example.com"), "deactivated and back by sign-in")
		if _, body := h.scim("GET", "/Users/"+id, ""); field(t, body, "active") != "false" {
			t.Errorf("the sign-in activated: %s", body)
		}
		h.scim("DELETE", "/Users/"+id, "")
		h.nobody(h.samlLogin(ann, "s-ann", "ann@example.com"), "deleted and back by sign-in")
		if _, body := h.scim("GET", "/Users", ""); field(t, body, "totalResults") != "0" {
			t.Errorf("created again: %s", body)
		}
	})
}

// 7. Linking is by immutable subject; by e-mail once, and only in a proved domain.
func TestPromise7LinkedBySubject(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		for _, email := range []string{"in@example.com", "out@elsewhere.example"} {
			h.must("user", "invite", "--org", "acme", "--email", email, "--given-name", "A", "--family-name", "B", "--role", "agent")
		}
		h.nobody(h.samlLogin(newVisitor(t), "s-out", "out@elsewhere.example"), "linked in a domain that is not proved")
		v := h.samlLogin(newVisitor(t), "s-in", "in@example.com")
		_, me := v.me(h.url)
		if me["user_name"] != "in@example.com" || me["source"] != "invite" {
			t.Fatalf("not linked in a proved domain: %v", me)
		}
		// The provider gives the address to somebody else: another subject.
		h.nobody(h.samlLogin(newVisitor(t), "s-thief", "in@example.com"), "the address alone takes the account over")
		// The person gets another address: same subject, same account.
		if _, again := h.samlLogin(newVisitor(t), "s-in", "renamed@example.com").me(h.url); again["user_id"] != me["user_id"] {
			t.Errorf("the same subject is now %v", again)
		}
	})
}

// 8. Secrets are shown once: none of them can be read from the database or the logs.
func TestPromise8SecretsAreShownOnce(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		v := h.invite("acme", "ann@elsewhere.example", "agent")
		pending := h.must("user", "invite", "--org", "acme", "--email", "bob@example.com", "--given-name", "B", "--role", "agent")["link"].(string)
		h.scim("PATCH", "/Users/"+h.provision("p2@example.com"), `{`+patchSchema+`,"Operations":[{"op":"add","path":"password","value":"from-the-directory"}]}`)
		secrets := map[string]string{"directory token": h.token, "password": goodPassword,
			"password from a directory": "from-the-directory", "client secret": h.op.ClientSecret}
		for _, c := range v.client.Jar.Cookies(v.at) {
			if len(c.Value) > 20 {
				secrets["cookie "+c.Name] = c.Value
			}
		}
		if len(secrets) < 5 {
			t.Fatalf("no session cookie among %v", secrets)
		}
		dump := h.dump(t)
		for what, text := range secrets {
			if strings.Contains(dump, text) {
				t.Errorf("the %s is readable in the database", what)
			}
			if strings.Contains(h.log.String(), text) {
				t.Errorf("the %s is in the log", what)
			}
		}
		// The built-in mailbox holds the mail, so the link is in the database; not in the log.
		if strings.Contains(h.log.String(), path.Base(pending)) {
			t.Error("the invitation token is in the log")
		}
	})
}

// dump is all that the database holds, as text.
func (h *acme) dump(t *testing.T) string {
	t.Helper()
	for _, pair := range h.env {
		if dsn, ok := strings.CutPrefix(pair, "MUSTER_DATABASE_URL="); ok {
			out, err := exec.Command("pg_dump", "--inserts", dsn).Output()
			if err != nil {
				t.Fatalf("pg_dump: %v", err)
			}
			return string(out)
		}
	}
	var all bytes.Buffer
	files, _ := filepath.Glob(filepath.Join(h.dir, "muster-data", "muster.db*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	if all.Len() < 4096 {
		t.Fatalf("no database in %v", files)
	}
	return all.String()
}

// 10. Every refusal explains itself: to the person with a reference, to the admin
// with the failed check and what to change.
func TestPromise10RefusalsExplainThemselves(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		h.idp.Next(ssotest.Login{NameID: "ann", Audience: "https://wrong.example/sp", Attributes: map[string][]string{"email": {"ann@example.com"}}})
		v := newVisitor(t).open(h.saml)
		v.submit("/acs")
		if v.status == http.StatusOK {
			v.submit("/acs")
		}
		p := *v
		if p.status < 400 || p.status > 499 {
			t.Fatalf("wrong audience: %d", p.status)
		}
		if strings.Contains(p.page, "wrong.example") {
			t.Error("the page tells the sender what was expected")
		}
		log := h.invite("acme", "admin@elsewhere.example", "admin").open(h.url + "/console/acme/activity?action=user.signin.refused")
		reference := ""
		for _, word := range strings.FieldsFunc(p.page, func(r rune) bool { return strings.ContainsRune(" \n\t<>\"'.,:()", r) }) {
			if len(word) >= 8 && strings.Contains(log.page, word) && strings.ContainsAny(word, "0123456789") {
				reference = word
			}
		}
		if reference == "" {
			t.Errorf("no reference of the refusal stands in the activity log.\npage: %s\nlog: %s", p.page, log.page)
		}
		if !strings.Contains(strings.ToLower(log.page), "audience") || !strings.Contains(log.page, "wrong.example") {
			t.Errorf("the admin does not see the check that failed:\n%s", log.page)
		}
		if status, body := h.scim("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":" "}`); status != 400 || !strings.Contains(field(t, body, "detail"), "userName") {
			t.Errorf("SCIM refusal: %d %s", status, body)
		}
	})
}

// 11. Bad input costs nothing: a clear 4xx, soon, and the next request is served.
func TestPromise11BadInputCostsNothing(t *testing.T) {
	story(t, func(t *testing.T, h *acme) {
		acs := strings.Replace(h.saml, "/login", "/acs", 1)
		// Valid but for its depth: an attribute that compat would leave out.
		deep := strings.Replace(scimPerson("deep@example.com", "A", "B"), "{", `{"x":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+",", 1)
		nested := strings.Repeat("(", 12_000) + `a eq "b"` + strings.Repeat(")", 12_000)
		post := func(form url.Values) int {
			res, err := http.PostForm(acs, form)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode
		}
		for name, send := range map[string]func() int{
			"nested filter": func() int { s, _ := h.scim("GET", "/Users?filter="+url.QueryEscape(nested), ""); return s },
			"deep JSON":     func() int { s, _ := h.scim("POST", "/Users", deep); return s },
			"broken JSON":   func() int { s, _ := h.scim("POST", "/Users", `{"userName":`); return s },
			"NUL in a name": func() int { s, _ := h.scim("POST", "/Users", scimPerson("a\\u0000b", "A", "B")); return s },
			"broken UTF-8":  func() int { s, _ := h.scim("POST", "/Users", "{\"userName\":\"\xff\"}"); return s },
			"large body": func() int {
				s, _ := h.scim("POST", "/Users", `{"userName":"`+strings.Repeat("a", 8<<20)+`"}`)
				return s
			},
			"no such id":     func() int { s, _ := h.scim("GET", "/Users/%00", ""); return s },
			"bad token":      func() int { s, _ := h.do("GET", h.base+"/Users", "nonsense", ""); return s },
			"not base64":     func() int { return post(url.Values{"SAMLResponse": {"***"}, "RelayState": {"x"}}) },
			"entity bomb":    func() int { return post(url.Values{"SAMLResponse": {b64(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`)}}) },
			"deep XML":       func() int { return post(url.Values{"SAMLResponse": {b64(strings.Repeat("<a>", 50_000))}}) },
			"large response": func() int { return post(url.Values{"SAMLResponse": {strings.Repeat("A", 2<<20)}}) },
			"bad invitation": func() int { s, _ := h.do("GET", "/invite/%ff%00", "", ""); return s },
			"bad reset":      func() int { s, _ := h.do("GET", "/password/reset/"+strings.Repeat("x", 5000), "", ""); return s },
		} {
			start := time.Now()
			if status := send(); status < 400 || status > 499 {
				t.Errorf("%s: %d, want 4xx", name, status)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s took %s", name, took)
			}
		}
		if _, body := h.scim("GET", "/Users", ""); field(t, body, "totalResults") != "0" {
			t.Errorf("bad input left something: %s", body)
		}
		if strings.Contains(h.log.String(), "panic") {
			t.Errorf("a panic:\n%s", h.log)
		}
	})
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
