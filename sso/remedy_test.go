package sso

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/guides"
)

// checkNames finds every name under which a sign-in can fail, in the code that gives
// the names: answer.Check literals, the tables of checks, pass, refuse.
func checkNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, dir := range []string{".", "saml", "oidc"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "metadata.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); !ok || typeName(call.Fun) != "add" || strings.HasSuffix(name, "/logout.go") {
					names = append(names, namesIn(n)...)
				}
				return true
			})
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func namesIn(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.CompositeLit:
		if typeName(n.Type) == "Check" {
			for i, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok && typeName(kv.Key) == "Name" {
					return literal(kv.Value)
				} else if !ok && i == 0 {
					return literal(e)
				}
			}
		}
		if list, ok := n.Type.(*ast.ArrayType); ok && strings.EqualFold(typeName(list.Elt), "check") {
			var all []string
			for _, row := range n.Elts {
				if row, ok := row.(*ast.CompositeLit); ok && row.Type == nil && len(row.Elts) > 0 {
					first := row.Elts[0]
					if kv, ok := first.(*ast.KeyValueExpr); ok {
						first = kv.Value
					}
					all = append(all, literal(first)...)
				}
			}
			return all
		}
	case *ast.CallExpr:
		switch typeName(n.Fun) {
		case "pass", "add":
			if len(n.Args) > 0 {
				return literal(n.Args[0])
			}
		case "refuse", "no":
			if len(n.Args) > 1 {
				return append(literal(n.Args[0]), literal(n.Args[1])...)
			}
		case "checkSignature":
			if s := literal(n.Args[0]); s != nil {
				return []string{s[0], s[0] + ".form"}
			}
		}
	}
	return nil
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func literal(e ast.Expr) []string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if s, err := strconv.Unquote(lit.Value); err == nil && len(s) < 40 {
			return []string{s}
		}
	}
	return nil
}

// Whatever can fail has a remedy; whatever has one can fail; and the vendors' tables
// know no check that is not there.
func TestEveryCheckHasARemedy(t *testing.T) {
	t.Parallel()
	names := checkNames(t)
	for kind := range answers {
		names = append(names, kind.String())
	}
	names = append(names, failedAccount, failedConnection, failedPassword, failedAddress, failedNone, failedTemporary, failedLocked, failedCode, failedSecond, failedPasskey, failedCounter, failedFlood)
	for _, name := range names {
		if remedies[name] == "" {
			t.Errorf("the check %q has no remedy: add one in remedy.go", name)
		}
	}
	if len(names) < 70 {
		t.Errorf("only %d checks were found: the test does not see them", len(names))
	}
	for name := range remedies {
		if !slices.Contains(names, name) {
			t.Errorf("remedy.go has %q, which nothing fails by", name)
		}
	}
	vendors := Vendors()
	for vendor, own := range vendorRemedies {
		if !slices.Contains(vendors, vendor) {
			t.Errorf("there is no vendor %q", vendor)
		}
		for name, text := range own {
			if remedies[name] == "" || !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q: %q", vendor, name, text)
			}
		}
	}
	for _, vendor := range vendors {
		if vendor != "custom" && len(vendorRemedies[vendor]) < 8 {
			t.Errorf("%s has %d remedies in its own words", vendor, len(vendorRemedies[vendor]))
		}
	}
	if entra, other := remedyOf("entra", "status", true), remedyOf("entra", "status", false); !strings.Contains(entra, "Users and groups") || other != remedies[failedAccount] {
		t.Errorf("status: %q; without a trace %q", entra, other)
	}
}

// docs/sso/troubleshooting.md is made from the tables: make generate.
func TestRemediesAreOnTheirPage(t *testing.T) {
	t.Parallel()
	const name = "../docs/sso/troubleshooting.md"
	want := troubleshooting()
	if os.Getenv("MUSTER_WRITE_DOCS") != "" {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(name); err != nil || string(have) != want {
		t.Errorf("%s is not what the tables say (%v); run: make generate", name, err)
	}
}

// troubleshooting is the page.
func troubleshooting() string {
	var b strings.Builder
	b.WriteString(`# When a sign-in is refused

The person sees a sentence and a reference such as ` + "`ABCDE-FGHIJ`" + `. The reference finds the rest:

| Where | |
|---|---|
| Console | *Sign-ins*: by reference, person (address, user name, subject), connection, result, check and time; a row opens the page with the reason, each check with what was expected and received, and what to change |
| Command line | ` + "`muster signin list --org acme --person ada@acme.example`, `muster signin show ABCDE-FGHIJ`" + ` (of any organization) |
| REST API | ` + "`GET /api/v1/signins`, `GET /api/v1/signins/ABCDE-FGHIJ`" + `, see [../api.md](../api.md) |
| Operator | *Console > Find a sign-in* and ` + "`GET /api/v1/operator/signins/ABCDE-FGHIJ`" + `: across organizations, what came to addresses of connections that are not there, and passwords of nobody who is known |

A sign-in that worked has a row too: the step that found the account, whether it was made or bound then, how each role and team
came, the certificate or key that verified the answer, the session.

Sign-ins are found for 90 days (` + "`signins.age`" + `) and the newest 100,000 of an organization (` + "`signins.rows`" + `); their rows in the activity log stay.
Of a flood of refusals the first have a row each, and one more row every five minutes says how many there were besides. People for
whom the identity provider vouched are counted apart from strangers, so that nobody can hide them in a flood.

A wrong password has a reference too, and the same sentence whoever it was. Its row stands with each person whom the address may mean;
for an address that nobody has, with the organization on whose page (` + "`/o/ORG/login`" + `) it was typed, else with the operator. What was
typed is not kept.

## What to change

By the check that failed; below, the same in the words of each vendor's console.

`)
	section := func(own map[string]string) {
		b.WriteString("| Check | What to change |\n|---|---|\n")
		for _, name := range slices.Sorted(maps.Keys(own)) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.ReplaceAll(own[name], "|", `\|`))
		}
	}
	section(remedies)
	for _, v := range guides.Vendors() {
		if own := vendorRemedies[v.Name]; own != nil {
			b.WriteString("\n## " + v.Label + "\n\n")
			section(own)
		}
	}
	return b.String()
}
