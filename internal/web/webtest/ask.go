package webtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// Ask sends a form, or JSON below /api, as somebody whom the test's server knows by the
// header X-Who, and wants this status. It gives what came back, checked when it is a page,
// or where it leads.
func Ask(t testing.TB, site http.Handler, want int, who, method, path, body string) string {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.Header.Set("X-Who", who)
	if r.Header.Set("Content-Type", "application/json"); !strings.HasPrefix(path, "/api/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	if w.Code != want {
		t.Fatalf("%s %s: %d, want %d: %.600s", method, path, w.Code, want, w.Body)
	}
	if w.Code == http.StatusSeeOther {
		return w.Header().Get("Location")
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		Page(t, w.Body.String())
	}
	return w.Body.String()
}

// AskJSON is Ask for an object.
func AskJSON(t testing.TB, site http.Handler, want int, who, method, path, body string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal([]byte(Ask(t, site, want, who, method, path, body)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

var versionField = regexp.MustCompile(`name="version" value="([^"]+)"`)

// Version is the one that the forms of a page send; empty: none.
func Version(page string) string {
	if m := versionField.FindStringSubmatch(page); m != nil {
		return m[1]
	}
	return ""
}
