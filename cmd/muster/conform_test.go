package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/conform"
)

// strictRefuses are the checks that a directory in strict mode does not pass, and
// why it must not: the SCIM interoperability profile forbids what they send
// (draft-zollner-scim-interop-profile-02). Everything else passes, in both modes.
var strictRefuses = map[string]string{
	"patch.rule.nopath.replace":            noPath,
	"patch.rule.nopath.add":                noPath,
	"vendor.okta.crud.deactivate":          noPath,
	"vendor.okta.groups.push":              noPath,
	"vendor.entra.user.08-username":        noPath,
	"vendor.entra.flag":                    noPath,
	"vendor.okta.crud.create":              "passwords are refused; people sign in elsewhere",
	"vendor.entra.user.11-manager-add":     bareManager,
	"vendor.entra.user.12-manager-replace": bareManager,
	"vendor.entra.user.13-manager-remove":  bareManager,
	"vendor.entra.group.11-members":        valueOfRemove,
	"vendor.jumpcloud.remove":              valueOfRemove,
	"vendor.entra.booleans":                "a boolean is true or false, not a string (RFC 7643 §2.3.2)",
	"vendor.entra.emails":                  "a filter in a path that matches nothing is noTarget (RFC 7644 §3.5.2.3)",
	"vendor.onelogin.template":             "unknown schemas are refused",
	"vendor.authentik.update":              noPath,
	"vendor.authentik.remove":              valueOfRemove,
	"vendor.keycloak.patch":                "a boolean is true or false, not a string (RFC 7643 §2.3.2)",
	"vendor.entra.postman.strings":         "a boolean is true or false, not a string (RFC 7643 §2.3.2)",
	"vendor.entra.postman.typo":            "unknown attributes are refused",
	"vendor.entra.postman.unquoted":        "a value of a filter is JSON (RFC 7644 §3.4.2.2)",
}

const (
	noPath        = "every PATCH operation must have a path"
	bareManager   = "manager is an object, not a string (RFC 7643 §4.3)"
	valueOfRemove = "remove chooses members by a filter, not by a value (RFC 7644 §3.5.2.2)"
)

// conformTo runs the command against a directory of its own.
func (p *program) conformTo(mode string) conform.Report {
	p.t.Helper()
	d := p.must("directory", "create", "--org", "acme", "--name", "Conform "+mode, "--mode", mode)
	p.must("directory", "role", "map", "--directory", d["id"].(string), "--attribute", "entitlements", "--value", "Pro/EU", "--role", "viewer", "--kind", "License")
	r := p.run("scim", "conform", "--url", d["base_url"].(string), "--token", d["token"].(string), "--json")
	var report conform.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		p.t.Fatalf("%v\nexit %d, stdout: %.2000s\nstderr: %s", err, r.code, r.stdout, r.stderr)
	}
	if want := map[bool]int{true: exitFailed, false: exitDone}[report.Summary.Failed > 0]; r.code != want {
		p.t.Errorf("%s: exit %d with %d failed checks, want %d", mode, r.code, report.Summary.Failed, want)
	}
	if len(report.Left) > 0 {
		p.t.Errorf("%s: %d resources were left behind: %v", mode, len(report.Left), report.Left)
	}
	return report
}

// Our own server passes, on both databases and in both modes, but for what strict
// mode is there to refuse; and docs/scim/conformance.md says so.
func TestWeConform(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "conform", func(t *testing.T, env ...string) {
		p := newProgram(t, env...)
		s := p.serve()
		p.setenv("MUSTER_PUBLIC_URL", s.url)
		p.must("org", "create", "--slug", "acme", "--name", "Acme")
		compat, strict := p.conformTo("compat"), p.conformTo("strict")
		if n := len(compat.Checks); n < 250 {
			t.Errorf("only %d checks were done", n)
		}
		seen := map[string]bool{}
		for mode, report := range map[string]conform.Report{"compat": compat, "strict": strict} {
			for _, c := range report.Checks {
				reason, excepted := strictRefuses[c.ID]
				excepted = excepted && mode == "strict"
				seen[c.ID] = seen[c.ID] || excepted
				switch {
				case excepted && c.Result != conform.Failed:
					t.Errorf("%s in strict mode is %s, but is listed as refused: %s", c.ID, c.Result, reason)
				case !excepted && (c.Result == conform.Failed || c.Result == conform.Skipped):
					t.Errorf("%s in %s mode: %s: %s\n%v", c.ID, mode, c.Result, c.Why, c.Exchanges)
				}
			}
		}
		for id := range strictRefuses {
			if !seen[id] {
				t.Errorf("there is no check %s any more", id)
			}
		}
		const name = "../../docs/scim/conformance.md"
		page := conformancePage(compat, strict) + listsPage(t, compat)
		if os.Getenv("MUSTER_WRITE_DOCS") != "" {
			if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != page {
			t.Errorf("%s is stale (%v); run: make generate", name, err)
		}
	})
}

// conformancePage is docs/scim/conformance.md. It depends on nothing but results.
func conformancePage(compat, strict conform.Report) string {
	var b strings.Builder
	sums := func(r conform.Report) string {
		return fmt.Sprintf("%d | %d | %d", r.Summary.Passed, r.Summary.Failed, r.Summary.Unsupported)
	}
	fmt.Fprintf(&b, `# SCIM conformance

What %s says of Muster itself, made by %s on SQLite and PostgreSQL alike. The same
command checks any other server; its expectations come from the texts cited here, not from Muster's code.

| Mode | Passed | Refused on purpose | Not supported, and announced so |
|---|---|---|---|
| compat | %s |
| strict | %s |

## Refused on purpose in strict mode

The SCIM interoperability profile (draft-zollner-scim-interop-profile-02) or the RFC forbids what these send; a
directory that sends it needs compat mode.

| Check | Why |
|---|---|
`, "`muster scim conform`", "`make test`", sums(compat), sums(strict))
	for _, id := range slices.Sorted(maps.Keys(strictRefuses)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", id, strictRefuses[id])
	}
	results := map[string]string{}
	for _, c := range strict.Checks {
		results[c.ID] = short(c)
	}
	area := ""
	for _, c := range compat.Checks {
		if head, _, _ := strings.Cut(c.ID, "."); head != area {
			area = head
			fmt.Fprintf(&b, "\n## %s\n\n| Check | What | Source | compat | strict |\n|---|---|---|---|---|\n", area)
		}
		other := results[c.ID]
		if other == "" {
			other = "not offered"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", c.ID, inCell(c.Title), inCell(c.Source), short(c), other)
	}
	return b.String()
}

func inCell(s string) string { return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(s) }

func short(c conform.Result) string {
	switch c.Result {
	case conform.Failed:
		return "refused"
	case conform.Unsupported:
		return "not supported: " + inCell(c.Why)
	}
	return c.Result
}

// What the command says when it cannot begin, and the other forms of its report.
func TestConformCommand(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(guarded.Close)
	if err := os.WriteFile(p.dir+"/token", []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "--url is missing"},
		{[]string{"--url", "https://app.example.com/scim"}, exitUsage, "--token is missing"},
		{[]string{"--url", "ftp://app.example.com", "--token", "t"}, exitUsage, "http:// or https://"},
		{[]string{"--url", "https://app.example.com/scim?x=1", "--token", "t"}, exitUsage, "without user, query and fragment"},
		{[]string{"--url", "https://app.example.com", "--token", "t", "--vendor", "nobody"}, exitUsage, "okta, entra"},
		{[]string{"--url", "https://app.example.com", "--token-file", "missing"}, exitUsage, "missing"},
		{[]string{"--url", "https://app.example.com", "--token", "t", "--json", "--markdown"}, exitUsage, "not both"},
		{[]string{"--url", closed.URL, "--token", "t"}, exitUnavailable, "does not answer"},
		{[]string{"--url", guarded.URL, "--token-file", "token"}, exitFailed, "does not take this token"},
	} {
		r := p.run(append([]string{"scim", "conform"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("muster scim conform %q: exit %d %q %q, want %d and %q", c.args, r.code, r.stdout, r.stderr, c.code, c.says)
		}
	}
	s := p.serve()
	p.setenv("MUSTER_PUBLIC_URL", s.url)
	p.must("org", "create", "--slug", "acme", "--name", "Acme")
	d := p.must("directory", "create", "--org", "acme", "--name", "C", "--mode", "strict")
	for form, want := range map[string]string{"--markdown": "| `vendor.okta.crud.deactivate` |", "--vendor=okta": "okta would meet: vendor.okta.crud"} {
		r := p.run("scim", "conform", "--url", d["base_url"].(string), "--token", d["token"].(string), "--only", "vendor", form)
		if r.code != exitFailed || !strings.Contains(r.stdout, want) || !strings.Contains(r.stderr, "checks failed") {
			t.Errorf("%s: exit %d, want %q in:\n%.3000s\n%s", form, r.code, want, r.stdout, r.stderr)
		}
		if strings.Contains(r.stdout+r.stderr, d["token"].(string)) {
			t.Errorf("%s: the report has the token in it", form)
		}
	}
}
