package sso

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// asked is one request of the operator: body "" for none, else JSON or a form.
func (s *site) asked(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-Test-Operator", "1")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// An admin adds, checks, assigns and removes a domain on its page.
func TestTheDomainsPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		n := &dns{records: map[string][]string{}}
		s.door.opts.LookupTXT = n.lookup
		s.saml("jit")
		second := s.connection("second", "saml", "jit")
		const page = "/console/acme/domains"
		read := func(want ...string) *html.Node {
			t.Helper()
			status, body := s.asked("GET", page, "")
			if status != http.StatusOK {
				t.Fatalf("the page: %d %s", status, body)
			}
			doc := webtest.Page(t, body)
			for _, w := range want {
				if !strings.Contains(webtest.Text(doc), w) {
					t.Errorf("no %q on the page: %s", w, webtest.Text(doc))
				}
			}
			return doc
		}
		send := func(path, form string, want int) {
			t.Helper()
			if status, body := s.asked("POST", page+path, form); status != want {
				t.Errorf("POST %s %s: %d, want %d: %s", path, form, status, want, body)
			}
		}
		read("No domain yet")
		send("", "domain=gmail.com", http.StatusBadRequest)
		send("", "domain=acme.example", http.StatusSeeOther)
		read("acme.example", "Not verified yet")
		v, err := s.door.Domain(t.Context(), s.admin, "acme.example")
		if err != nil {
			t.Fatal(err)
		}
		n.records[v.TXTName()] = []string{"<script>alert(1)</script>"}
		send("/acme.example/check", "x=1", http.StatusSeeOther)
		read("Not verified yet", `has other records: "<script>alert(1)</script>"`)
		n.publish(v)
		send("/acme.example/check", "x=1", http.StatusSeeOther)
		read("Verified", "The record is there.", "all of this organization")
		send("/acme.example/connections", "connection="+string(second.ID), http.StatusSeeOther)
		read("Connections second")
		// Two admins: the second sees that the first was faster, and what was chosen.
		opened := store.TagOf([]ConnectionID{second.ID})
		send("/acme.example/connections", "version="+opened, http.StatusSeeOther)
		status, body := s.asked("POST", page+"/acme.example/connections", "choosing=acme.example&version="+opened+"&connection="+string(second.ID))
		if kept := `value="` + string(second.ID) + `" checked`; status != http.StatusConflict || !strings.Contains(body, "Somebody else changed these settings meanwhile") || strings.Count(body, " checked>") != 1 || !strings.Contains(body, kept) || strings.Contains(body, opened) {
			t.Errorf("somebody else was faster: %d %s", status, body)
		}
		read("all of this organization")
		send("/acme.example/connections", "version="+webtest.Version(body)+"&connection="+string(second.ID), http.StatusSeeOther)
		read("Connections second")
		n.withdraw(v)
		send("/acme.example/check", "x=1", http.StatusSeeOther)
		read("Record missing", "Publish it again before")
		send("/other.example/check", "x=1", http.StatusNotFound)
		send("/acme.example/remove", "x=1", http.StatusSeeOther)
		read("No domain yet")
	})
}

func TestTheDomainsAPI(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		s.door.opts.LookupTXT = func(context.Context, string) ([]string, error) {
			return nil, &net.DNSError{IsNotFound: true}
		}
		c := s.connection("c", "saml", "jit")
		chosen := Domain{Connections: []ConnectionID{c.ID}}
		const at = "/api/v1/domains"
		for _, step := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", at, "", 200, `{"domains":[]}`},
			{"POST", at, `{"domain":"gmail.com"}`, 400, `"field":"domain"`},
			{"POST", at, `{"domain":"acme.example"}`, 201, `"state":"unproved"`},
			{"POST", at + "/acme.example/check", `{}`, 200, `"dns_answer":"There is no TXT record`},
			{"PATCH", at + "/acme.example", `{"connections":["` + string(c.ID) + `"]}`, 200, `"connections":["` + string(c.ID) + `"]`},
			{"PATCH", at + "/acme.example", `{}`, 200, `"connections":["` + string(c.ID) + `"]`},
			{"PATCH", at + "/acme.example", `{"version":"` + chosen.Tag() + `"}`, 200, `"connections":["` + string(c.ID) + `"]`},
			{"PATCH", at + "/nobody.example", `{}`, 404, ""},
			{"PATCH", at + "/acme.example", `{"connections":[],"version":"` + (Domain{}).Tag() + `"}`, 409, `"field":"version"`},
			{"PATCH", at + "/acme.example", `{"connections":[],"version":"` + chosen.Tag() + `"}`, 200, `"version":"` + (Domain{}).Tag() + `"`},
			{"PATCH", at + "/acme.example", `{"connections":["nobody"]}`, 404, ""},
			{"GET", at + "/acme.example", "", 200, `"txt_name":"_muster-challenge.acme.example"`},
			{"GET", at + "/" + url.PathEscape("bücher.example"), "", 404, "was not added here"},
			{"DELETE", at + "/acme.example", "", 204, ""},
			{"DELETE", at + "/acme.example", "", 404, ""},
		} {
			status, body := s.asked(step.method, step.path+"?org=acme", step.body)
			flat := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(body, "\n", ""), "  ", ""), ": ", ":")
			if status != step.status || !strings.Contains(flat, step.want) {
				t.Errorf("%s %s %s: %d %s; want %d %s", step.method, step.path, step.body, status, body, step.status, step.want)
			}
		}
	})
}
