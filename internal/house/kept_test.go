package house

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// keepers say to machines what is shown to people as well: pages read it back out of the
// English, see texts.Reader.Kept. By the name of a function or a method of the package,
// which of its arguments is the sentence or a phrase in one.
var keepers = map[string]map[string]int{
	"scim": {"invalidSyntax": 0, "invalidValue": 0, "invalidPath": 0, "invalidFilter": 0, "noTarget": 0, "mutability": 0, "status": 1,
		"unknownClient": 0, "badClient": 0, "invalidRequest": 0, "take": 2, "wrong": 1, "bad": 0},
	"sso":      {"refuseStepUp": 1},
	"sso/saml": {"Errorf": 0, "New": 0, "pass": 1, "add": 1},
	"sso/oidc": {"Errorf": 0, "New": 0, "orElse": 1},
}

// valued are the packages whose checks say what they expected and what came.
var valued = []string{"internal/account", "internal/factor", "internal/invite", "internal/password", "internal/policy", "internal/session", "sso", "sso/oidc", "sso/saml"}

// valueNames are the fields, keys and variables that hold it.
var valueNames = []string{"Expected", "Got", "Why", "expected", "got", "why", "hint", "Rule", "UseSSO", "UsePassword", "UseCode", "UseSecond", "UseNewPassword"}

// inside are formats that stand in the server's log only.
var inside = regexp.MustCompile(`^(?:%s: %w|%s: want %s, got %s|status: %s|(?:write|sign|deflate|make a|load|client key|token endpoint of) .*)$`)

// phrase is a value in our words: others are the data themselves.
var phrase = regexp.MustCompile(`^\([a-z]+\)$|^[a-z]{3,}$|\w .*\w| %`)

// keptFiles are those in which what fmt.Sprintf makes is shown too, and sentences that are returned.
var keptFiles = []string{"scim/bulk.go", "scim/fault.go", "scim/filter.go", "scim/literal.go", "scim/logflood.go", "scim/redact.go"}

// kept collects them.
func (c *collector) kept(set *token.FileSet, f source, text func(ast.Expr) string) {
	add := func(e ast.Expr) {
		if call, ok := e.(*ast.CallExpr); ok && len(call.Args) > 0 {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" {
				e = call.Args[0]
			}
		}
		if s := text(e); phrase.MatchString(s) && !inside.MatchString(s) {
			c.add(strings.ReplaceAll(s, "%w", "%v"), key{at: set.Position(e.Pos()).String()})
		}
	}
	value := func(name string, e ast.Expr) {
		if slices.Contains(valued, f.pkg) && slices.Contains(valueNames, name) {
			add(e)
		}
	}
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := ""
			switch called := n.Fun.(type) {
			case *ast.Ident:
				name = called.Name
			case *ast.SelectorExpr:
				name = called.Sel.Name
			}
			at, ok := keepers[f.pkg][name]
			if name == "Sprintf" && f.pkg == "scim" {
				ok = slices.Contains(keptFiles, f.name)
			}
			if ok && at < len(n.Args) {
				add(n.Args[at])
			}
		case *ast.KeyValueExpr:
			name := strings.Trim(text(n.Key), `"`)
			if id, ok := n.Key.(*ast.Ident); ok {
				name = id.Name
			}
			if f.pkg == "scim" && (name == "Detail" || name == "Needs") {
				add(n.Value)
			}
			value(name, n.Value)
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) {
					value(name.Name, n.Values[i])
				}
			}
		case *ast.ReturnStmt:
			for _, e := range n.Results {
				switch {
				case f.name == "sso/saml/checks.go":
					value("expected", e)
				case slices.Contains(keptFiles, f.name) && strings.HasSuffix(text(e), "."):
					add(e)
				}
			}
		case *ast.AssignStmt:
			for i, e := range n.Lhs {
				if i == len(n.Rhs) {
					break
				}
				switch e := e.(type) {
				case *ast.Ident:
					value(e.Name, n.Rhs[i])
				case *ast.SelectorExpr:
					value(e.Sel.Name, n.Rhs[i])
				}
			}
			if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok && f.pkg == "scim" && sel.Sel.Name == "Detail" && strings.HasSuffix(text(n.Rhs[0]), ".") {
				add(n.Rhs[0])
			}
		}
		return true
	})
}
