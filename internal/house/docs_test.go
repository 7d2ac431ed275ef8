package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	codeBlocks = regexp.MustCompile("(?s)```.*?```")
	headings   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	docLinks   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notInHash  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// Every link of the documentation leads to a file, and to a heading in it.
func TestLinksOfTheDocumentation(t *testing.T) {
	t.Parallel()
	pages := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || filepath.Ext(name) != ".md" {
			return err
		}
		text, err := os.ReadFile(name)
		pages[name] = codeBlocks.ReplaceAllString(string(text), "")
		return err
	})
	if err != nil || len(pages) < 50 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	links := 0
	for name, text := range pages {
		for _, m := range docLinks.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], ":") {
				continue // elsewhere
			}
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, m[1])
			} else if anchor != "" && filepath.Ext(to) == ".md" && !hasHeading(pages[to], anchor) {
				t.Errorf("%s: there is no heading for %s", name, m[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were looked at", links)
	}
}

// hasHeading tells whether a heading gets this anchor.
func hasHeading(text, anchor string) bool {
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		if strings.ReplaceAll(notInHash.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
