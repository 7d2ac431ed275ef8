package sso

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// ask sends a request as an operator: a form, or JSON under /api.
func (s *site) call(method, path string, body any) (int, string) {
	s.t.Helper()
	var text io.Reader
	kind := "application/x-www-form-urlencoded"
	switch b := body.(type) {
	case url.Values:
		text = strings.NewReader(b.Encode())
	case nil:
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		text, kind = bytes.NewReader(raw), "application/json"
	}
	r, err := http.NewRequest(method, s.url+path, text)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("X-Test-Operator", "1")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// The page needs no script; a wrong row comes back with what was typed.
func TestTheMappingOnItsPageAndInTheAPI(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		at := "/console/acme/connections/" + string(c.ID) + "/mapping"
		status, body := s.call("GET", at, nil)
		if status != http.StatusOK || !strings.Contains(body, "given_name") {
			t.Fatalf("the page: %d\n%s", status, body)
		}
		webtest.Page(t, body)
		status, body = s.call("POST", at, url.Values{"kind": {"attribute"}, "attribute_to": {"title"}, "attribute_from": {"jobTitle\nposition"}, "attribute_trim": {"on"}})
		if status != http.StatusOK || !strings.Contains(body, "jobTitle or position") {
			t.Errorf("a row: %d\n%s", status, body)
		}
		status, body = s.call("POST", at, url.Values{"kind": {"role"}, "role_to": {"admin"}, "role_match": {"any"}})
		if status != http.StatusBadRequest && status != http.StatusUnprocessableEntity || !strings.Contains(body, "Admin is given for one named") || !strings.Contains(body, "#f-role_match") {
			t.Errorf("admin for anything: %d\n%s", status, body)
		}
		webtest.Page(t, body)
		before := storetest.Dump(t, db)
		status, body = s.call("POST", at+"/preview", url.Values{"attributes": {"sub: u1\nemail: new@acme.example\njobTitle: Chief \ngroups: x"}})
		if status != http.StatusOK || !strings.Contains(body, "<strong>Chief</strong>") || !strings.Contains(body, "a new one") {
			t.Errorf("the preview: %d\n%s", status, body)
		}
		webtest.Page(t, body)
		if after := storetest.Dump(t, db); after["users"] != before["users"] || after["activity"] != before["activity"] {
			t.Error("the preview changed people or the log")
		}

		api := "/api/v1/connections/" + string(c.ID) + "/mapping"
		status, body = s.call("POST", api, Rule{Kind: RuleTeam, Match: MatchPrefix, Value: "team-", Create: true})
		var made Rule
		if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusCreated || made.ID == "" {
			t.Fatalf("POST: %d %s (%v)", status, body, err)
		}
		made.Value = "grp-"
		if status, body = s.call("PUT", api+"/"+string(made.ID), made); status != http.StatusOK || !strings.Contains(body, `"grp-"`) {
			t.Errorf("PUT: %d %s", status, body)
		}
		status, body = s.call("POST", api+"/preview", map[string]any{"attributes": map[string][]string{"sub": {"u1"}, "groups": {"grp-blue"}}})
		if status != http.StatusOK || !strings.Contains(body, `"name":"blue"`) || !strings.Contains(body, `"step":"created"`) {
			t.Errorf("preview: %d %s", status, body)
		}
		if status, body = s.call("DELETE", api+"/"+string(made.ID), nil); status != http.StatusOK {
			t.Errorf("DELETE: %d %s", status, body)
		}
		if status, _ = s.call("DELETE", api+"/"+string(made.ID), nil); status != http.StatusNotFound {
			t.Errorf("DELETE again: %d, want 404", status)
		}
		acts := s.log("connection.mapping.set")
		if len(acts) != 3 || acts[0].Detail["before"] == nil || acts[0].Detail["after"] == nil {
			t.Errorf("%d rows of activity, the newest %v; want 3 with before and after", len(acts), acts[0].Detail)
		}
		if _, err := s.door.PreviewAttributes(context.Background(), s.admin, c.ID, nil); err == nil {
			t.Error("a preview without a subject")
		}
	})
}
