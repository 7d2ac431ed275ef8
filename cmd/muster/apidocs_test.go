package main

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/config"
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

// Every route of the API is on its page, and what is on the page is there.
func TestEveryRouteIsInTheDocs(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	cfg, err := config.Load(config.Input{Env: []string{"MUSTER_DATA_DIR=" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	whole, ends := docsOf(string(page))
	var routes []string
	for _, pattern := range s.mux.Patterns() {
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
