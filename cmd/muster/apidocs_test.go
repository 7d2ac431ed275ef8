package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/openapi"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store/storetest"
)

var (
	described   = regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) ((?:\\.\\.\\.)?/[^ `?]*)[^`]*`((?:[^|\\n]*?, `/[a-z-]+`)*)")
	twice       = regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE)`, `[A-Z]+ (/[^ `?]*)[^`]*`")
	placeholder = regexp.MustCompile(`\{[^}]*\}`)
)

// docsOf are the routes that a page describes: whole ones, and ends of those whose
// beginning the row before has.
func docsOf(page string) (whole, ends []string) {
	for _, m := range append(described.FindAllStringSubmatch(page, -1), twice.FindAllStringSubmatch(page, -1)...) {
		path := placeholder.ReplaceAllString(m[2], "{}")
		list := []string{path}
		if len(m) > 3 {
			for _, last := range regexp.MustCompile("`(/[a-z-]+)`").FindAllStringSubmatch(m[3], -1) { // approve, /reject
				list = append(list, path[:strings.LastIndex(path, "/")]+last[1])
			}
		}
		for _, p := range list {
			if end, short := strings.CutPrefix(p, "..."); short {
				ends = append(ends, m[1]+" "+end)
			} else {
				whole = append(whole, m[1]+" "+p)
			}
		}
	}
	return whole, ends
}

// allRoutes are the patterns of everything that the server answers.
func allRoutes(t *testing.T) []string {
	t.Helper()
	db := storetest.SQLite(t)
	cfg, err := config.Load(config.Input{Env: []string{"MUSTER_DATA_DIR=" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s.mux.Patterns()
}

// Every route of the API is on its page, and what is on the page is there.
func TestEveryRouteIsInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	whole, ends := docsOf(string(page))
	var routes []string
	for _, pattern := range allRoutes(t) {
		if strings.Contains(pattern, " /api/v1/") {
			routes = append(routes, placeholder.ReplaceAllString(pattern, "{}"))
		}
	}
	if len(routes) < 100 || len(whole) < 60 || len(ends) < 10 {
		t.Fatalf("%d routes, %d and %d on the page", len(routes), len(whole), len(ends))
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		short := slices.ContainsFunc(ends, func(end string) bool {
			m, rest, _ := strings.Cut(end, " ")
			return m == method && strings.HasSuffix(path, rest)
		})
		if !short && !slices.Contains(whole, route) {
			t.Errorf("docs/api.md does not describe %s", route)
		}
	}
	for _, said := range whole {
		if !slices.Contains(routes, said) {
			t.Errorf("docs/api.md describes %s, which is not there", said)
		}
	}
}

// Every route of the API is in the OpenAPI document, and what is in it is there.
func TestEveryRouteIsInTheOpenAPIDocument(t *testing.T) {
	t.Parallel()
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	var there, routes []string
	for path, item := range document.Paths {
		for method := range item {
			there = append(there, strings.ToUpper(method)+" "+path)
		}
	}
	for _, pattern := range allRoutes(t) {
		if strings.Contains(pattern, " /api/v1/") {
			routes = append(routes, pattern)
		}
	}
	slices.Sort(there)
	slices.Sort(routes)
	if len(routes) < 190 || !slices.Equal(there, routes) {
		t.Errorf("served:\n%s\nin the document:\n%s", strings.Join(routes, "\n"), strings.Join(there, "\n"))
	}
}

var (
	addresses = regexp.MustCompile("`(?:https?://[A-Za-z0-9.:]+)?(/(?:account|console|login|o|sso|oauth)(?:/[^` ?#]*)?)[?#]?[^` ]*`")
	stands    = regexp.MustCompile(`\{[^}]*\}|\b[A-Z]{3,}\b`)
)

// Every page and endpoint that the documentation names is there.
func TestAddressesInTheDocumentation(t *testing.T) {
	t.Parallel()
	var routes []string
	for _, pattern := range allRoutes(t) {
		_, path, _ := strings.Cut(pattern, " ")
		routes = append(routes, placeholder.ReplaceAllString(path, "{}"))
	}
	pages, err := filepath.Glob("../../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, page := range append(pages, "../../docs/operator.md", "../../README.md", "../../CHANGELOG.md", "../../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range addresses.FindAllStringSubmatch(string(text), -1) {
			n++
			path := stands.ReplaceAllString(strings.TrimSuffix(m[1], "/"), "{}")
			if begin, open := strings.CutSuffix(path, "/..."); open {
				path = begin
			}
			if path == "/sso/saml/{}" || path == "/sso/saml/{}/jumpcloud" {
				continue // entity IDs: names, and no pages
			}
			is := func(route string) bool { return route == path || matchesRoute(route, path) }
			if !slices.ContainsFunc(routes, is) {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d addresses were read", n)
	}
}

// matchesRoute tells that path is a route with something in the place of its wildcards.
func matchesRoute(route, path string) bool {
	a, b := strings.Split(route, "/"), strings.Split(path, "/")
	return slices.EqualFunc(a, b, func(a, b string) bool { return a == b || a == "{}" })
}

// What answers of lists hold is named on the page, in the part about them.
func TestFieldsOfTheAPIAreInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	p := newProgram(t)
	s := p.serve("--demo")
	keys := map[bool]string{}
	for operator, args := range map[bool][]string{false: {"--org", "acme", "--role", "admin"}, true: {"--operator"}} {
		keys[operator], _ = p.must(append([]string{"key", "create"}, args...)...)["key"].(string)
	}
	n := 0
	for _, part := range strings.Split(string(page), "\n## ") {
		for _, m := range regexp.MustCompile("`GET (/api/v1/[a-z/-]+)[^`{]*`").FindAllStringSubmatch(part, -1) {
			status, body := s.do("GET", m[1], keys[strings.Contains(part, "For operators") || m[1] == "/api/v1/mail"], "")
			var answer map[string]any
			if status != 200 || json.Unmarshal([]byte(body), &answer) != nil {
				continue // a file, or nothing yet
			}
			fields := slices.Collect(maps.Keys(answer))
			for _, v := range answer {
				if list, _ := v.([]any); len(list) > 0 {
					one, _ := list[0].(map[string]any)
					fields = append(fields, slices.Collect(maps.Keys(one))...)
				}
			}
			for _, f := range fields {
				n++
				if !regexp.MustCompile(`\b` + regexp.QuoteMeta(f) + `\b`).MatchString(part) {
					t.Errorf("%s answers %q, which the part of docs/api.md does not name", m[1], f)
				}
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d fields were looked for", n)
	}
}
