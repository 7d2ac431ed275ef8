package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
)

// What the README says to copy and paste is run as it stands there, in one shell
// after the other, beside a running server.
func TestReadmeWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, doors, ok1 := strings.Cut(string(text), "All commands below")
	doors, _, ok2 := strings.Cut(doors, "## Running it for others")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(doors, -1)
	if !ok1 || !ok2 || len(blocks) < 7 {
		t.Fatalf("the README has lost its doors: %d blocks", len(blocks))
	}
	p := newProgram(t)
	s := p.serve()
	p.setenv("MUSTER_PUBLIC_URL", s.url)
	if err := os.Mkdir(filepath.Join(p.dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.binary, filepath.Join(p.dir, "bin", "muster")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"idp-metadata.xml": ssotest.NewIDP().Metadata(), "secret.txt": []byte("a client secret\n")} {
		if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1] + "\n"
	}
	c := exec.Command("bash", "-c", script)
	c.Dir, c.Env = p.dir, p.env
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var people []map[string]any
	r := p.run("user", "list", "--org", "acme", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &people); err != nil {
		t.Fatal(err)
	}
	got := map[any]any{}
	for _, u := range people {
		got[u["user_name"]] = u["source"].(string) + " " + u["status"].(string)
	}
	for name, want := range map[string]string{"ada@example.com": "scim deactivated", "grace@example.com": "invite invited", "mary@example.com": "csv invited"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s\n%s", name, got[name], want, out)
		}
	}
}
