package sso

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// read asks the REST API as the operator in acme.
func (s *site) signins(t *testing.T, query string) (page SignInPage) {
	t.Helper()
	status, body := s.asked("GET", "/api/v1/signins?org=acme&"+query, "")
	if err := json.Unmarshal([]byte(body), &page); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s", query, status, body)
	}
	return page
}

func (s *site) signin(t *testing.T, name string) (e SignInEntry) {
	t.Helper()
	status, body := s.asked("GET", "/api/v1/signins/"+url.PathEscape(name)+"?org=acme", "")
	if err := json.Unmarshal([]byte(body), &e); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s", name, status, body)
	}
	return e
}

// A refused sign-in is found by its reference and by whatever else is known, and says
// which check failed, what was expected, and which setting of the vendor to change.
func TestARefusedSignInIsExplained(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		c := s.create(NewConnection{Protocol: "saml", Vendor: "okta", Accounts: "jit", Metadata: idp.Metadata()})
		idp.Next(ssotest.Login{NameID: "ada-id", Assertion: func(a *crewjam.Assertion) {
			a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other.example/<b>"
		}})
		p := newBrowser(t).samlSignIn(c.URLs.Login)
		ref := p.reference()
		s.refused(p, "conditions.audience")
		if strings.Contains(p.body, "other.example") || strings.Contains(p.body, "Audience") {
			t.Errorf("the person's page says too much: %s", p.body)
		}
		for _, query := range []string{"reference=" + ref, "reference=" + strings.ToLower(ref), "check=conditions.audience", "result=refused", "connection=" + string(c.ID), "since=1h", ""} {
			if page := s.signins(t, query); len(page.SignIns) != 1 || page.SignIns[0].Reference != ref || page.SignIns[0].Result != "refused" {
				t.Errorf("%s: %+v", query, page.SignIns)
			}
		}
		for _, query := range []string{"reference=AAAAA-AAAAA", "check=replay", "result=in", "connection=" + string(store.NewID[Connection]()), "until=2020-01-01", "person=nobody"} {
			if page := s.signins(t, query); len(page.SignIns) != 0 {
				t.Errorf("%s: %+v", query, page.SignIns)
			}
		}
		e := s.signin(t, ref)
		failed, ok := e.Checks.Failed()
		if !ok || failed.Name != "conditions.audience" || failed.Expected != c.URLs.EntityID || failed.Got != "https://other.example/<b>" || len(e.Checks) < 10 {
			t.Errorf("checks: %+v", e.Checks)
		}
		if !strings.HasPrefix(e.Remedy, "In Okta, ") || !strings.Contains(e.Remedy, "Audience URI") || e.Connection != "IdP" || e.Method != "saml" || e.IP == "" || e.Reason == "" {
			t.Errorf("entry: %+v", e)
		}
		for _, name := range []string{ref, e.ID} {
			status, body := s.asked("GET", "/console/acme/signins/"+name, "")
			text := webtest.Text(webtest.Page(t, body))
			for _, want := range []string{"conditions.audience", "https://other.example/<b>", c.URLs.EntityID, "In Okta,", ref} {
				if status != http.StatusOK || !strings.Contains(text, want) {
					t.Errorf("page %s: %d lacks %q: %s", name, status, want, text)
				}
			}
		}
		status, body := s.asked("GET", "/console/acme/signins?reference="+ref+"&person=&connection=&result=&check=&since=&until=", "")
		if text := webtest.Text(webtest.Page(t, body)); status != http.StatusOK || !strings.Contains(text, ref) {
			t.Errorf("the list: %d %s", status, text)
		}
		// Nobody of another organization finds it; the operator does, from anywhere.
		storetest.Org(t, db, "beta")
		if status, body := s.asked("GET", "/api/v1/signins/"+ref+"?org=beta", ""); status != http.StatusNotFound {
			t.Errorf("another organization: %d %s", status, body)
		}
		if status, body := s.asked("GET", "/api/v1/operator/signins/"+ref, ""); status != http.StatusOK || !strings.Contains(body, `"acme"`) || !strings.Contains(body, "conditions.audience") {
			t.Errorf("the operator: %d %s", status, body)
		}
		if status, _ := s.asked("GET", "/console/signins?reference="+ref, ""); status != http.StatusSeeOther {
			t.Errorf("the operator's page: %d", status)
		}
		if _, _, err := s.door.FindSignIn(t.Context(), access.Actor{Kind: access.Person, Org: s.admin.Org, Roles: []string{access.Admin}}, ref); err == nil {
			t.Error("an admin looks through all organizations")
		}
	})
}

// A sign-in that worked says how it came about.
func TestASignInIsExplained(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		idp.Next(ssotest.Login{NameID: "ada-id", Attributes: map[string][]string{"email": {"ada@acme.example"}, "firstName": {"Ada"}}})
		for range 2 {
			if p := newBrowser(t).samlSignIn(c.URLs.Login); !p.signedIn() {
				t.Fatalf("%d %s", p.status, p.body)
			}
		}
		oidcIdP, oc := s.oidc("jit")
		oidcIdP.As(map[string]any{"sub": "eve", "email": "eve@acme.example", "email_verified": true, "name": "Eve"})
		if p := newBrowser(t).open(oc.URLs.Login); !p.signedIn() {
			t.Fatalf("%d %s", p.status, p.body)
		}
		list := s.signins(t, "person=ada@acme.example").SignIns
		if len(list) != 2 || list[0].Result != "in" || list[0].Subject != "ada-id" || list[0].SessionID == "" || list[0].Certificate == "" || list[0].UserID == "" {
			t.Fatalf("%+v", list)
		}
		if by := s.signins(t, "person=ada-id").SignIns; len(by) != 2 {
			t.Errorf("by subject: %+v", by)
		}
		var first, second Outcome
		for i, out := range []*Outcome{&second, &first} {
			if err := json.Unmarshal(s.signin(t, list[i].ID).Account, out); err != nil {
				t.Fatal(err)
			}
		}
		if first.Step != StepCreated || !first.Created || !first.Linked || second.Step != StepIdentity || second.Created || second.Why == "" {
			t.Errorf("first %+v, second %+v", first, second)
		}
		if eve := s.signins(t, "person=eve").SignIns; len(eve) != 1 || eve[0].KeyID == "" || eve[0].Method != "oidc" {
			t.Errorf("over OpenID Connect: %+v", eve)
		}
		if page := s.signins(t, "limit=2"); len(page.SignIns) != 2 || page.Next == "" || len(s.signins(t, "limit=2&cursor="+page.Next).SignIns) != 1 {
			t.Errorf("pages: %+v", page)
		}
		_, body := s.asked("GET", "/console/acme/signins/"+list[1].ID, "")
		text := webtest.Text(webtest.Page(t, body))
		for _, want := range []string{"Signed in", "How the account came about", "created", "ada-id"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page lacks %q: %s", want, text)
			}
		}
	})
}

func TestBadQuestionsAboutSignIns(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	for query, status := range map[string]int{"result=maybe": 400, "limit=0": 400, "limit=x": 400, "limit=5000": 400, "since=soon": 400, "odd=1": 400, "check=a&check=b": 400,
		"connection=x": 400, "cursor=1-x": 404, "person=%00%ff": 200, "reference=%27%3B--": 200} {
		if got, body := s.asked("GET", "/api/v1/signins?org=acme&"+query, ""); got != status {
			t.Errorf("%s: %d %s, want %d", query, got, body, status)
		}
		got, body := s.asked("GET", "/console/acme/signins?"+query, "")
		if webtest.Page(t, body); status == 400 && got != 400 && query != "limit=5000" || got >= 500 {
			t.Errorf("page %s: %d", query, got)
		}
	}
	for _, name := range []string{"x", "AAAAA-AAAAA", "1-" + strings.Repeat("0", 32), "%00", strings.Repeat("x", 500)} {
		if got, body := s.asked("GET", "/api/v1/signins/"+name+"?org=acme", ""); got != 404 {
			t.Errorf("%s: %d %s", name, got, body)
		}
	}
}

// An address that leads to no connection has a reference as well, for the operator alone.
func TestSignInsOfNoConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("jit")
		for _, path := range []string{"/sso/saml/" + strings.Repeat("0", 32) + "/login", "/sso/saml/<b>/login", "/sso/oidc/" + string(c.ID) + "/callback"} {
			p := newBrowser(t).open(s.url + path)
			if p.status != http.StatusNotFound || p.reference() == "" {
				t.Fatalf("%s: %d %s", path, p.status, p.body)
			}
			if status, _ := s.asked("GET", "/api/v1/signins/"+p.reference()+"?org=acme", ""); status != http.StatusNotFound {
				t.Errorf("%s: an organization finds it", path)
			}
			if status, body := s.asked("GET", "/api/v1/operator/signins/"+p.reference(), ""); status != http.StatusOK || !strings.Contains(body, `"connection"`) || !strings.Contains(body, "what_to_do") {
				t.Errorf("%s: %d %s", path, status, body)
			}
			status, body := s.asked("GET", "/console/signins?reference="+p.reference(), "")
			if text := webtest.Text(webtest.Page(t, body)); status != http.StatusOK || strings.Count(text, p.reference()) < 2 {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		if status, body := s.asked("GET", "/console/signins?reference=NOSUC-HTHIN", ""); status != http.StatusNotFound {
			t.Errorf("no such reference: %d %s", status, body)
		}
		if p := newBrowser(t).open(s.url + "/console/signins"); strings.Contains(p.body, "Find a sign-in") {
			t.Error("a stranger sees the operator's page")
		}
		if p := newBrowser(t).open(s.url + "/sso/saml/" + strings.Repeat("0", 32) + "/metadata"); p.status != http.StatusNotFound || p.reference() != "" {
			t.Errorf("metadata is for programs: %d", p.status)
		}
	})
}

// A flood of refusals is counted and does not fill the table, and who was vouched for
// has a row all the same.
func TestAFloodOfRefusals(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		p := somewhere(t, db, "acme", "saml", "jit")
		d := New(Options{DB: db, PublicURL: "http://muster.test"})
		other := p.connection("other", "oidc", "jit")
		rows := 0
		for i := range 5000 {
			if d.recorded.takes(p.conn, fmt.Sprint("192.0.2.", i%20), false) {
				rows++
			}
		}
		if rows == 0 || rows > 300 {
			t.Errorf("%d rows of 5000 strangers' refusals", rows)
		}
		own := 0
		for range 500 {
			if d.recorded.takes(other, "192.0.2.77", false) {
				own++
			}
		}
		if own == 0 || own > 100 {
			t.Errorf("%d rows of 500 refusals from one address", own)
		}
		if !d.recorded.takes(p.conn, "192.0.2.1", true) {
			t.Error("the flood hides somebody for whom the provider vouched")
		}
		if err := d.TellLeftOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := db.Read(t.Context(), p.admin, func(tx *store.Tx) error {
			page, err := d.SignIns(tx, SignInFilter{Check: failedFlood, Connection: string(p.conn.ID)})
			if err != nil || len(page.SignIns) != 1 || page.SignIns[0].Repeats != 5000-rows || page.SignIns[0].ConnectionID != string(p.conn.ID) {
				t.Errorf("counted %+v, %v; want %d", page.SignIns, err, 5000-rows)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.TellLeftOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.Pass(1e9 * 3600)
		if !d.recorded.takes(p.conn, "192.0.2.1", false) {
			t.Error("after an hour strangers have no row yet")
		}
	})
}
