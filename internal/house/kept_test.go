package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// keepers say to machines what is shown to people as well: pages read it back out of the
// English, see texts.Reader.Kept. By the name of a function or a method of the package,
// which of its arguments is the sentence or a phrase in one.
var keepers = map[string]map[string]int{
	"scim": {"invalidSyntax": 0, "invalidValue": 0, "invalidPath": 0, "invalidFilter": 0, "noTarget": 0, "mutability": 0, "status": 1,
		"unknownClient": 0, "badClient": 0, "invalidRequest": 0, "take": 2, "wrong": 1, "bad": 0},
}

// keptFiles are those in which what fmt.Sprintf makes is shown too.
var keptFiles = []string{"scim/bulk.go", "scim/fault.go", "scim/filter.go", "scim/literal.go", "scim/logflood.go", "scim/redact.go"}

// kept collects them.
func (c *collector) kept(set *token.FileSet, f source, text func(ast.Expr) string) {
	add := func(e ast.Expr) { c.add(text(e), key{at: set.Position(e.Pos()).String()}) }
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
			if name == "Sprintf" {
				ok = slices.Contains(keptFiles, f.name)
			}
			if ok && at < len(n.Args) {
				add(n.Args[at])
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && f.pkg == "scim" && (id.Name == "Detail" || id.Name == "Needs") {
				add(n.Value)
			}
		case *ast.AssignStmt:
			if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok && f.pkg == "scim" && sel.Sel.Name == "Detail" && strings.HasSuffix(text(n.Rhs[0]), ".") {
				add(n.Rhs[0])
			}
		}
		return true
	})
}
