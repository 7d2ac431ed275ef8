package sso

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
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

func TestClientKeysPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, made := s.oidc("jit")
		path := "/console/acme/connections/" + string(made.ID) + "/client-keys"
		if status, body := s.settingsPage(path, nil); status != http.StatusOK || !strings.Contains(body, "With its client secret") || !strings.Contains(body, "BEGIN CERTIFICATE") {
			t.Fatalf("with a secret: %d: %s", status, body)
		}
		s.set(made.ID, "client_auth", "private_key_jwt")
		if status, body := s.settingsPage(path, nil); !strings.Contains(body, made.JWKS) || !strings.Contains(body, "Publish a new key") {
			t.Errorf("with a key: %d: %s", status, body)
		}
		if status, body := s.settingsPage(path, url.Values{}); status != http.StatusSeeOther {
			t.Errorf("a new key: %d: %s", status, body)
		}
		if _, body := s.settingsPage(path, nil); strings.Contains(body, "Publish a new key") || !strings.Contains(body, "takes over by itself") {
			t.Errorf("while one waits: %s", body)
		}
		if status, body := s.settingsPage(path, url.Values{}); status != http.StatusConflict || !strings.Contains(body, "A new key is published already") {
			t.Errorf("a second click: %d: %s", status, body)
		}
		was := s.published(made.JWKS)
		if status, body := s.settingsPage(path, url.Values{"now": {"yes"}}); status != http.StatusSeeOther {
			t.Errorf("at once: %d: %s", status, body)
		}
		list, err := s.door.ClientKeys(t.Context(), s.admin, made.ID)
		if err != nil || len(list) != 2 || list[0].State != "active" || list[1].State != "old" {
			t.Errorf("the key that waited is gone: %+v, %v", list, err)
		}
		if now := s.published(made.JWKS); len(now) != 2 || now[0] == was[1] || now[1] == was[1] {
			t.Errorf("it is still published: %v, before %v", now, was)
		}
	})
}

// While single sign-on is required the last open connection stays, also when two are
// closed at once, unless somebody says that it must go.
func TestTheLastOpenConnectionStays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		lock := "SELECT id FROM orgs WHERE id = ?"
		s.door.opts.Required = func(tx *store.Tx) (bool, error) {
			var org store.OrgID
			return true, tx.Get(&org, lock+tx.ForUpdate(), tx.Org())
		}
		_, one := s.oidc("jit")
		_, two := s.oidc("jit")
		for range 5 {
			errs := make([]error, 2)
			var wg sync.WaitGroup
			for i, c := range []Created{one, two} {
				if _, err := s.door.Activate(t.Context(), s.admin, c.ID); err != nil {
					t.Fatal(err)
				}
				wg.Go(func() { _, errs[i] = s.door.Disable(t.Context(), s.admin, c.ID) })
			}
			wg.Wait()
			if open := s.opened(one, two); open != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%d are open; %v", open, errs)
			}
		}
		if _, err := s.door.Activate(t.Context(), s.admin, one.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.door.Disable(t.Context(), s.admin, two.ID); err != nil {
			t.Fatal(err)
		}
		path := "/console/acme/connections/" + string(one.ID)
		if status, body := s.settingsPage(path+"/disable", url.Values{}); status != http.StatusConflict || !strings.Contains(body, "is the last open connection") || !strings.Contains(body, `name="anyway"`) {
			t.Errorf("the last one: %d: %s", status, body)
		}
		if _, body := s.settingsPage(path, nil); strings.Contains(body, `name="anyway"`) {
			t.Error("the box stands there before anybody was refused")
		}
		if status, body := s.settingsPage(path+"/disable", url.Values{"anyway": {"yes"}}); status != http.StatusSeeOther || s.opened(one, two) != 0 {
			t.Errorf("anyway: %d: %s", status, body)
		}
	})
}

func (s *site) opened(list ...Created) (n int) {
	s.t.Helper()
	for _, c := range list {
		if now, err := s.door.Connection(s.t.Context(), s.admin, c.ID); err != nil {
			s.t.Fatal(err)
		} else if now.Status == statusActive {
			n++
		}
	}
	return n
}
