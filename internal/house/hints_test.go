package house

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// hinting are the packages whose checks say in a sentence what to change: they know no
// readers, so a page says it in its reader's language.
var hinting = []string{"sso/saml", "sso/oidc"}

var wholeSentence = regexp.MustCompile(`^[A-Z].* .*\.$`)

// hints collects the sentences in tables of checks and the constants for them.
func (c *collector) hints(set *token.FileSet, f source, text func(ast.Expr) string) {
	if !slices.Contains(hinting, f.pkg) {
		return
	}
	add := func(e ast.Expr) {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			e = kv.Value
		}
		if s := text(e); wholeSentence.MatchString(s) {
			c.add(s, key{at: set.Position(e.Pos()).String()})
		}
	}
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				add(e)
			}
		case *ast.FuncDecl:
			if n.Name.Name != "Remedy" {
				return true
			}
			ast.Inspect(n, func(n ast.Node) bool {
				if r, ok := n.(*ast.ReturnStmt); ok {
					add(r.Results[0])
				}
				return true
			})
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if strings.HasPrefix(name.Name, "hint") && i < len(n.Values) {
					add(n.Values[i])
				}
			}
		}
		return true
	})
}
