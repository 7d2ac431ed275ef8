package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// What these pages say to run is run as it stands there; the JSON behind a block is
// in the answer to its last command.
func TestDocsWork(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"access", "bulk"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../docs/scim/" + page + ".md")
			if err != nil {
				t.Fatal(err)
			}
			p := newProgram(t)
			s := p.serve()
			p.setenv("MUSTER_PUBLIC_URL", s.url)
			p.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
			d := p.must("directory", "create", "--org", "acme", "--name", "Okta", "--vendor", "okta")
			script := fmt.Sprintf("set -euo pipefail\nmuster() { %q \"$@\"; }\nID=%s BASE=%s TOKEN=%s\n", p.binary, d["id"], d["base_url"], d["token"])
			blocks := regexp.MustCompile("(?s)```(sh|json)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
			const mark = "---- next block ----"
			n := 0
			for _, b := range blocks {
				if b[1] == "sh" {
					script += "\n" + b[2] + "\necho; echo '" + mark + "'\n"
					n++
				}
			}
			c := exec.Command("bash", "-c", script)
			c.Dir, c.Env = p.dir, p.env
			out, err := c.CombinedOutput()
			if err != nil || n < 3 {
				t.Fatalf("%d blocks: %v\n%s", n, err, out)
			}
			answers := strings.Split(string(out), mark)
			at, compared := -1, 0
			for _, b := range blocks {
				if b[1] == "sh" {
					at++
					continue
				}
				var want, got any
				if err := json.Unmarshal([]byte(b[2]), &want); err != nil {
					t.Fatalf("%v: %s", err, b[2])
				}
				lines := strings.Split(strings.TrimSpace(answers[at]), "\n")
				if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
					t.Fatalf("%v: %s", err, answers[at])
				}
				if why := within(want, got, ""); why != "" {
					t.Errorf("%s\nthe page says %s\nthe answer is %s", why, b[2], lines[len(lines)-1])
				}
				compared++
			}
			if compared < 3 {
				t.Errorf("only %d answers on the page", compared)
			}
		})
	}
}

// within tells where want is not in got; "*" is anything that is there.
func within(want, got any, at string) string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if _, ok := g[k]; !ok {
				return at + "/" + k + " is not there"
			}
			if why := within(v, g[k], at+"/"+k); why != "" {
				return why
			}
		}
		return ""
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Sprintf("%s has %d elements, want %d", at, len(g), len(w))
		}
		for i := range w {
			if why := within(w[i], g[i], fmt.Sprintf("%s/%d", at, i)); why != "" {
				return why
			}
		}
		return ""
	}
	if want != "*" && want != got {
		return fmt.Sprintf("%s is %v, want %v", at, got, want)
	}
	return ""
}

var (
	spans      = regexp.MustCompile("(?s)```(?:sh)?\n(.*?)```|`(muster [^`]+)`")
	ofCommands = regexp.MustCompile(`(?m)^\s*(?:\$ )?(muster [^#\n|]+)`)
	longFlags  = regexp.MustCompile(`--([a-z][a-z-]*)`)
)

// Every command that the documentation names is there, with the flags that it is given.
func TestCommandsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	p, _, err := parser(settingFlags(), func() {}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docs/api.md", "docs/operator.md", "docs/performance.md", "docs/settings.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"} {
		pages = append(pages, "../../"+name)
	}
	n := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range spans.FindAllStringSubmatch(string(text), -1) {
			for _, m := range ofCommands.FindAllStringSubmatch(strings.ReplaceAll(span[1], "\\\n", " ")+"\n"+strings.ReplaceAll(span[2], "\n", " "), -1) {
				n++
				node, words := p.Model.Node, strings.Fields(m[1])[1:]
				for _, w := range words {
					at := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == w })
					if at < 0 {
						if len(node.Positional) == 0 && regexp.MustCompile(`^[a-z][a-z-]+$`).MatchString(w) && len(node.Children) > 0 {
							t.Errorf("%s: there is no %q in %q", page, w, m[1])
						}
						break
					}
					node = node.Children[at]
				}
				known := map[string]bool{"help": true}
				for at := node; at != nil; at = at.Parent {
					for _, f := range at.Flags {
						known[f.Name] = true
					}
				}
				for _, f := range longFlags.FindAllStringSubmatch(m[1], -1) {
					if !known[f[1]] && !known[strings.TrimPrefix(f[1], "no-")] {
						t.Errorf("%s: %q has no --%s", page, m[1], f[1])
					}
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d commands were read", n)
	}
}
