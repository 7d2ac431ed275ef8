package policy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// call sends JSON, as programs do.
func (b *browser) call(method, path, body string, into any) int {
	b.Helper()
	r, err := http.NewRequest(method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			b.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
		}
	}
	return res.StatusCode
}

func TestBreakGlassAccountsByTheAPI(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		ada, bob := s.user("ada@acme.example", access.Admin), s.user("bob@acme.example", "viewer")
		b := s.browse(session.In{User: ada, Method: "password"})
		const at = "/api/v1/break-glass"
		type once struct {
			User  store.UserID `json:"user_id"`
			Codes []string     `json:"codes"`
		}
		var added, renewed once
		if status := b.call("POST", at, `{"user_id": "`+string(ada)+`"}`, &added); status != http.StatusCreated || added.User != ada || len(added.Codes) != 10 {
			t.Errorf("add: %d %+v", status, added)
		}
		if status := b.call("POST", at+"/"+string(ada)+"/codes", `{}`, &renewed); status != http.StatusOK || len(renewed.Codes) != 10 || renewed.Codes[0] == added.Codes[0] {
			t.Errorf("new codes: %d %+v", status, renewed)
		}
		if _, ok := s.use(ada, added.Codes[1]); ok {
			t.Error("a code from before was good")
		}
		if _, ok := s.use(ada, renewed.Codes[1]); !ok {
			t.Error("a new code was not good")
		}
		var list struct {
			Accounts []struct {
				User  store.UserID `json:"user_id"`
				Codes int          `json:"codes_left"`
				Wrong string       `json:"wrong"`
			} `json:"accounts"`
		}
		if status := b.call("GET", at, "", &list); status != http.StatusOK || len(list.Accounts) != 1 || list.Accounts[0].Codes != 9 || list.Accounts[0].Wrong == "" {
			t.Errorf("list: %d %+v", status, list)
		}
		for _, c := range []struct {
			method, path, body string
			status             int
			field              string
		}{
			{"POST", at, `{"user_id": "` + string(ada) + `"}`, http.StatusConflict, "user"},
			{"POST", at, `{"user_id": "` + string(bob) + `"}`, http.StatusConflict, "user"},
			{"POST", at, `{"user_id": "<b>"}`, http.StatusBadRequest, "user_id"},
			{"POST", at, `{"user_id": "` + string(store.NewID[store.User]()) + `"}`, http.StatusNotFound, ""},
			{"POST", at + "/" + string(bob) + "/codes", `{}`, http.StatusNotFound, "user"},
			{"DELETE", at + "/" + string(bob), "", http.StatusNotFound, "user"},
		} {
			var p struct {
				Errors []struct {
					Field string `json:"field"`
				} `json:"errors"`
				Field string `json:"field"`
			}
			if status := b.call(c.method, c.path, c.body, &p); status != c.status || p.Field != c.field {
				t.Errorf("%s %s %s: %d %+v, want %d on %q", c.method, c.path, c.body, status, p, c.status, c.field)
			}
		}
		clock.Pass(time.Hour)
		if status := b.call("DELETE", at+"/"+string(ada), "", nil); status != http.StatusForbidden {
			t.Errorf("without a fresh sign-in: %d", status)
		}
		b = s.browse(session.In{User: ada, Method: "password", SecondFactor: "recovery code", Emergency: true})
		if status := b.call("DELETE", at+"/"+string(ada), "", nil); status != http.StatusNoContent {
			t.Errorf("remove: %d", status)
		}
		b = s.browse(session.In{User: ada, Method: "password"}) // its sessions have ended
		if status := b.call("GET", at, "", &list); status != http.StatusOK || len(list.Accounts) != 0 {
			t.Errorf("afterwards: %d %+v", status, list)
		}
		b = s.browse(session.In{User: bob, Method: "password"})
		for _, c := range [][2]string{{"GET", at}, {"POST", at}, {"POST", at + "/" + string(ada) + "/codes"}, {"DELETE", at + "/" + string(ada)}} {
			if status := b.call(c[0], c[1], `{}`, nil); status != http.StatusForbidden {
				t.Errorf("%s %s by somebody who may not configure: %d", c[0], c[1], status)
			}
		}
	})
}
