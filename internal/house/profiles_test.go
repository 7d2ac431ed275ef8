package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/scim/profiles.md says which tests prove each requirement, and they are there.
func TestProfilesNameTheirTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs/scim/profiles.md"))
	if err != nil {
		t.Fatal(err)
	}
	named, row := regexp.MustCompile("`([a-z/]+)\\.(Test\\w+)`"), regexp.MustCompile(`^\| \d`)
	known := map[string]string{}
	rows, tests := 0, 0
	for line := range strings.Lines(string(page)) {
		if !row.MatchString(line) {
			continue
		}
		rows++
		found := named.FindAllStringSubmatch(line, -1)
		if len(found) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, m := range found {
			tests++
			if known[m[1]] == "" {
				known[m[1]] = testsOf(t, m[1])
			}
			if !strings.Contains(known[m[1]], "\nfunc "+m[2]+"(t *testing.T)") {
				t.Errorf("%s has no %s", m[1], m[2])
			}
		}
	}
	if rows < 50 || tests < rows {
		t.Errorf("only %d requirements with %d tests were read", rows, tests)
	}
}

// testsOf is the text of a package's tests.
func testsOf(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", pkg, err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
