package house

import (
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A reader holds a function in view, and a file in mind.
const (
	longestFunc     = 80
	longestTestFunc = 160
	longestFile     = 600
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	t.Parallel()
	set, files := sources(t, parser.SkipObjectResolution)
	for _, f := range files {
		if n := set.File(f.file.Pos()).LineCount(); n > longestFile {
			t.Errorf("%s has %d lines; at most %d: give one of its subjects a file of its own", f.name, n, longestFile)
		}
		limit := longestFunc
		if f.test || testKit(f.pkg) {
			limit = longestTestFunc
		}
		for _, d := range f.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; n > limit {
				t.Errorf("%s: %s has %d lines; at most %d", f.name, fn.Name.Name, n, limit)
			}
		}
	}
}

// The map of the house names files that are there.
func TestTheMapIsRight(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`((?:cmd|config|scim|sso|store|internal|docs)/[a-z0-9_/.]*[a-z0-9_])`")
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "*") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}
