package sso

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// settingsPage sends the form, or reads it when values is nil.
func (s *site) settingsPage(path string, values url.Values) (int, string) {
	s.t.Helper()
	method := http.MethodGet
	if values != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Test-Operator", "1")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestSettingsForm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, made := s.oidc("jit")
		path := "/console/acme/connections/" + string(made.ID) + "/settings"
		status, body := s.settingsPage(path, nil)
		if status != http.StatusOK || !strings.Contains(body, `name="client_id"`) || strings.Contains(body, `name="force_authn"`) || !strings.Contains(body, "One is stored") {
			t.Fatalf("%d: %s", status, body)
		}
		version := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(body)
		if version == nil {
			t.Fatalf("no version: %s", body)
		}
		fields := url.Values{"version": {version[1]}, "client_id": {"muster"}, "client_secret": {""}, "accounts": {"jit"}, "vendor": {"custom"}, "scopes": {"openid\r\nemail"}}
		fields.Set("name", "Renamed")
		if status, body := s.settingsPage(path, fields); status != http.StatusSeeOther {
			t.Fatalf("%d: %s", status, body)
		}
		c, err := s.door.Connection(t.Context(), s.admin, made.ID)
		if err != nil || c.Name != "Renamed" || c.Config.ClientID != made.Config.ClientID || len(c.secret) == 0 || len(c.Config.Scopes) != 2 {
			t.Errorf("%+v, %v", c, err)
		}
		fields.Set("name", "Renamed again")
		if status, body := s.settingsPage(path, fields); status != http.StatusConflict || !strings.Contains(body, "Somebody else changed") || !strings.Contains(body, "Renamed again") {
			t.Errorf("an old form: %d %s", status, body)
		}
		fields.Del("version")
		if status, _ := s.settingsPage(path, fields); status != http.StatusConflict {
			t.Errorf("a form without a version: %d", status)
		}
	})
}
