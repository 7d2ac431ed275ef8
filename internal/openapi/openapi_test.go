package openapi_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/muster-id/muster/internal/openapi"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
)

func ask(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	m := web.NewMux(web.Options{PublicURL: "https://id.example.com", Log: slog.New(slog.DiscardHandler)})
	openapi.Mount(m)
	r := httptest.NewRequest(method, "https://id.example.com"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/openapi.json", "/api/docs", "/api/docs/teams"} {
		res := ask(t, "GET", path)
		body, tag := text(t, res), res.Header.Get("ETag")
		if res.StatusCode != 200 || tag == "" || !strings.Contains(res.Header.Get("Cache-Control"), "no-cache") || len(body) < 1000 {
			t.Errorf("GET %s: %d, ETag %q, Cache-Control %q, %d bytes", path, res.StatusCode, tag, res.Header.Get("Cache-Control"), len(body))
		}
		if res := ask(t, "GET", path, "If-None-Match", tag); res.StatusCode != http.StatusNotModified || text(t, res) != "" {
			t.Errorf("GET %s with its ETag: %d", path, res.StatusCode)
		}
		if res := ask(t, "GET", path, "If-None-Match", `"other"`); res.StatusCode != 200 {
			t.Errorf("GET %s with another ETag: %d", path, res.StatusCode)
		}
		if res := ask(t, "HEAD", path); res.StatusCode != 200 || res.Header.Get("ETag") != tag || text(t, res) != "" {
			t.Errorf("HEAD %s: %d, ETag %q", path, res.StatusCode, res.Header.Get("ETag"))
		}
		if res := ask(t, "POST", path); res.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(res.Header.Get("Allow"), "GET") {
			t.Errorf("POST %s: %d, Allow %q", path, res.StatusCode, res.Header.Get("Allow"))
		}
	}
	if got := text(t, ask(t, "GET", "/api/v1/openapi.json")); got != string(openapi.Document) {
		t.Error("what is served is not the document")
	}
	if res := ask(t, "GET", "/api/docs/cats"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a group that is not there: %d", res.StatusCode)
	}
	if de, en := ask(t, "GET", "/api/docs", "Accept-Language", "de"), ask(t, "GET", "/api/docs"); de.Header.Get("ETag") == en.Header.Get("ETag") || !strings.Contains(text(t, de), "Die REST-API") {
		t.Error("the page in German is the one in English")
	}
}

// Every operation of the document has its place on one page, and the overview leads there.
func TestThePagesShowEveryOperation(t *testing.T) {
	t.Parallel()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID, Summary string
			RequestBody          struct {
				Content map[string]struct{ Schema struct{ Required []string } }
			}
		}
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	links, groups := map[string]string{}, map[string]*html.Node{} // page by operation
	for _, a := range webtest.All(webtest.Page(t, text(t, ask(t, "GET", "/api/docs"))), "a") {
		at, id, deep := strings.Cut(webtest.Attr(a, "href"), "#")
		if !strings.HasPrefix(at, "/api/docs/") {
			continue
		}
		if groups[at] == nil {
			groups[at] = webtest.Page(t, text(t, ask(t, "GET", at)))
		}
		if deep {
			links[id] = at
		}
	}
	n := 0
	for path, item := range document.Paths {
		for method, o := range item {
			n++
			page := groups[links[o.OperationID]]
			if page == nil {
				t.Errorf("%s %s is on no page", method, path)
				continue
			}
			said := ""
			for _, s := range webtest.All(page, "section") {
				if webtest.Attr(s, "id") == o.OperationID {
					said = webtest.Text(s)
				}
			}
			wants := []string{o.Summary, strings.ToUpper(method) + " " + path, "curl -s"}
			if len(o.RequestBody.Content["application/json"].Schema.Required) > 0 {
				wants = append(wants, ", required")
			}
			for _, want := range wants {
				if !strings.Contains(said, want) {
					t.Errorf("%s %s: its part of the page does not say %q", method, path, want)
				}
			}
		}
	}
	if n < 190 || len(groups) < 15 {
		t.Errorf("%d operations on %d pages", n, len(groups))
	}
}
