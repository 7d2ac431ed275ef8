package scim

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each endpoint takes its methods; the others are 405 with what it takes, HEAD is
// GET without a body, and what is no endpoint is 404 for all of them.
func TestMethodsOfEachEndpoint(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	user := d.user("jane")
	group := d.group("Sales", user)
	resource := []string{"DELETE", "GET", "PATCH", "PUT"}
	for path, takes := range map[string][]string{
		"/Users": {"GET", "POST"}, "/Groups": {"GET", "POST"}, "/Users/" + user: resource, "/Groups/" + group: resource,
		"": {"GET"}, "/": {"GET"}, "/.search": {"POST"}, "/Users/.search": {"POST"}, "/Groups/.search": {"POST"}, "/Bulk": {"POST"},
		"/ServiceProviderConfig": {"GET"}, "/Schemas": {"GET"}, "/Schemas/" + userURN: {"GET"}, "/ResourceTypes": {"GET"}, "/ResourceTypes/User": {"GET"},
		"/Roles": {"GET"}, "/Entitlements": {"GET"},
		"/Nothing": nil, "/users": nil, "/Bulk/1": nil, "/Users/a/b": nil, "/ServiceProviderConfig/x": nil,
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			got := d.do(method, path, "")
			switch {
			case takes == nil:
				if got.code != 404 || got.str("status") != "404" {
					t.Errorf("%s %s: %d %s, want 404", method, path, got.code, got.raw)
				}
			case method == "HEAD" && slices.Contains(takes, "GET"):
				if got.code != 200 || got.header.Get("Content-Type") != contentType {
					t.Errorf("HEAD %s: %d %v", path, got.code, got.header)
				}
			case slices.Contains(takes, method):
				if got.code == 405 || got.code == 404 && method != "DELETE" && method != "GET" && method != "PUT" && method != "PATCH" {
					t.Errorf("%s %s: %d %s", method, path, got.code, got.raw)
				}
			case got.code != 405 || got.header.Get("Allow") != strings.Join(takes, ", ") || got.str("status") != "405":
				t.Errorf("%s %s: %d, Allow %q, want 405 and %q: %s", method, path, got.code, got.header.Get("Allow"), strings.Join(takes, ", "), got.raw)
			}
		}
	}
}

// Around the endpoints, too, programs are refused in the words of their protocol.
func TestProgramsGetNoPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		const metadata = "/.well-known/oauth-authorization-server"
		for _, c := range []struct {
			method, path string
			code         int
			allow, error string
		}{
			{"GET", "/oauth/token", 405, "POST", "invalid_request"}, {"PUT", "/oauth/token", 405, "POST", "invalid_request"}, {"OPTIONS", "/oauth/token", 405, "POST", "invalid_request"},
			{"POST", "/oauth/nothing", 404, "", "invalid_request"}, {"POST", metadata, 405, "GET, HEAD", "invalid_request"},
			{"GET", metadata + "/scim/v2/x", 404, "", "invalid_request"}, {"GET", metadata + "/nothing", 404, "", "invalid_request"},
			{"GET", "/scim/v2", 404, "", ""}, {"GET", "/scim/v2/", 404, "", ""}, {"POST", "/scim/v1/Users", 404, "", ""},
		} {
			got := d.serve(httptest.NewRequest(c.method, testURL+c.path, nil))
			if got.code != c.code || got.header.Get("Allow") != c.allow || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %v", c.method, c.path, got.code, got.header)
			}
			if c.error == "" {
				if got.str("status") != "404" || got.str("detail") == "" {
					t.Errorf("%s %s: no SCIM error: %s", c.method, c.path, got.raw)
				}
				continue
			}
			var said map[string]string
			if err := json.Unmarshal([]byte(got.raw), &said); err != nil || said["error"] != c.error || said["error_description"] == "" || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: no OAuth error: %s %v", c.method, c.path, got.raw, err)
			}
		}
	})
}

// attributes and excludedAttributes are obeyed wherever a resource comes back, and
// both together are refused before anything is done (RFC 7644 §3.9).
func TestProjectionOnEachEndpoint(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		user := d.user("jane", `"title":"boss"`)
		group := d.group("Sales", user)
		op := func(path string) string { return patchBody(`{"op":"replace","path":"` + path + `","value":"v"}`) }
		requests := []struct{ method, path, body string }{
			{"GET", "/Users/" + user, ""}, {"GET", "/Groups/" + group, ""}, {"GET", "/Users", ""}, {"GET", "/Groups", ""}, {"GET", "", ""},
			{"PUT", "/Users/" + user, userBody("jane", `"title":"x"`)}, {"PATCH", "/Users/" + user, op("title")}, {"POST", "/Users", userBody("joe")},
			{"PUT", "/Groups/" + group, groupBody("Sales")}, {"PATCH", "/Groups/" + group, op("externalId")}, {"POST", "/Groups", groupBody("Board")},
		}
		d.untouched(func() {
			for _, q := range requests {
				d.refused(400, "invalidValue", "excludedAttributes", q.method, q.path+"?attributes=id&excludedAttributes=meta", q.body)
			}
			for _, path := range []string{"/.search", "/Users/.search", "/Groups/.search"} {
				d.refused(400, "invalidValue", "excludedAttributes", "POST", path, `{"schemas":["`+searchURN+`"],"attributes":["id"],"excludedAttributes":["meta"]}`)
			}
		})
		for _, q := range requests {
			got := d.do(q.method, q.path+"?attributes=meta.location", q.body)
			list := []any{any(got.json)}
			if some, ok := got.json["Resources"].([]any); ok {
				list = some
			}
			if got.code == 204 {
				continue
			}
			for _, e := range list {
				m := e.(map[string]any)
				meta, _ := m["meta"].(map[string]any)
				at, _ := meta["location"].(string)
				if got.code > 201 || len(m) != 3 || len(meta) != 1 || m["id"] == nil || m["schemas"] == nil || at == "" {
					t.Errorf("%s %s: %d %s, want id, schemas and meta.location", q.method, q.path, got.code, got.raw)
				}
				if got.json["Resources"] == nil && got.header.Get("Content-Location") != at {
					t.Errorf("%s %s: Content-Location is %q, want %q", q.method, q.path, got.header.Get("Content-Location"), at)
				}
			}
		}
	})
}
