package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
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
