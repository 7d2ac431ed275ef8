package openapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/muster-id/muster/"

// program is our source with its types, and what a reader of it looks up.
type program struct {
	set      *token.FileSet
	packages map[string]*source
	funcs    map[*types.Func]function
	given    map[types.Object][]given    // what is assigned to a variable, in all places
	entries  map[types.Object][]entry    // m["key"] = value
	elements map[types.Object][]ast.Expr // list[i] = value
	comments map[token.Pos]string        // of fields, by the position of their name
	lines    map[string]map[int]string   // comments that end a line, by file and line
}

type source struct {
	pkg   *types.Package
	info  *types.Info
	files []*ast.File
}

type function struct {
	decl *ast.FuncDecl
	in   *source
}

// given is the value of a variable: an expression, or one of those that a call gives.
type given struct {
	expr  ast.Expr
	index int // -1: the expression itself
	in    *source
}

type entry struct {
	key   string
	value ast.Expr
}

// load reads every package that the server is made of. Those of others come from what
// the compiler knows of them.
func load(root string) (*program, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles", "./cmd/muster")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.String())
	}
	p := &program{set: token.NewFileSet(), packages: map[string]*source{}, funcs: map[*types.Func]function{}, given: map[types.Object][]given{},
		entries: map[types.Object][]entry{}, elements: map[types.Object][]ast.Expr{}, comments: map[token.Pos]string{}, lines: map[string]map[int]string{}}
	exports := map[string]string{}
	outside := importer.ForCompiler(p.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for d := json.NewDecoder(bytes.NewReader(list)); ; { // dependencies come first
		var one struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
		}
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return p, nil
		} else if err != nil {
			return nil, err
		}
		exports[one.ImportPath] = one.Export
		if strings.HasPrefix(one.ImportPath, module) {
			if err := p.add(one.ImportPath, one.Dir, one.GoFiles, outside); err != nil {
				return nil, err
			}
		}
	}
}

// importFunc makes an Importer of a function.
type importFunc func(path string) (*types.Package, error)

func (f importFunc) Import(path string) (*types.Package, error) { return f(path) }

func (p *program) add(path, dir string, names []string, outside types.Importer) error {
	s := &source{info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	for _, name := range names {
		f, err := parser.ParseFile(p.set, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s.files = append(s.files, f)
	}
	conf := types.Config{Importer: importFunc(func(path string) (*types.Package, error) {
		if ours := p.packages[path]; ours != nil {
			return ours.pkg, nil
		}
		return outside.Import(path)
	})}
	var err error
	if s.pkg, err = conf.Check(path, p.set, s.files, s.info); err != nil {
		return err
	}
	p.packages[path] = s
	for _, f := range s.files {
		p.index(s, f)
	}
	return nil
}

// index notes the functions, assignments and comments of a file.
func (p *program) index(s *source, f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			p.funcs[s.info.Defs[fn.Name].(*types.Func)] = function{fn, s}
		}
	}
	ends := map[int]string{}
	p.lines[p.set.Position(f.Pos()).Filename] = ends
	for _, c := range f.Comments {
		ends[p.set.Position(c.Pos()).Line] = strings.TrimSpace(c.Text())
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				p.comments[name.Pos()] = textOf(n.Comment, n.Doc)
			}
		case *ast.AssignStmt:
			p.assign(s, n.Lhs, n.Rhs)
		case *ast.RangeStmt:
			p.ranges(s, n)
		case *ast.ValueSpec:
			lhs := make([]ast.Expr, len(n.Names))
			for i, name := range n.Names {
				lhs[i] = name
			}
			p.assign(s, lhs, n.Values)
		}
		return true
	})
}

// textOf is the first of comments that says something, on one line.
func textOf(list ...*ast.CommentGroup) string {
	for _, c := range list {
		if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}

func (p *program) assign(s *source, lhs, rhs []ast.Expr) {
	for i, to := range lhs {
		if at, ok := to.(*ast.IndexExpr); ok {
			m := objectOf(s, at.X)
			if m == nil || len(lhs) != len(rhs) {
				continue
			}
			if key := s.info.Types[at.Index].Value; key != nil && key.Kind() == constant.String {
				p.entries[m] = append(p.entries[m], entry{constant.StringVal(key), rhs[i]})
			} else {
				p.elements[m] = append(p.elements[m], rhs[i])
			}
			continue
		}
		obj := objectOf(s, to)
		switch {
		case obj == nil:
		case len(lhs) == len(rhs):
			p.given[obj] = append(p.given[obj], given{rhs[i], -1, s})
		case len(rhs) == 1:
			p.given[obj] = append(p.given[obj], given{rhs[0], i, s})
		}
	}
}

// ranges notes what a loop over what is written out gives its variables.
func (p *program) ranges(s *source, n *ast.RangeStmt) {
	lit, ok := n.X.(*ast.CompositeLit)
	if !ok {
		return
	}
	for _, el := range lit.Elts {
		value := el
		if kv, ok := el.(*ast.KeyValueExpr); ok {
			value = kv.Value
			if n.Key != nil {
				p.assign(s, []ast.Expr{n.Key}, []ast.Expr{kv.Key})
			}
		}
		if n.Value != nil {
			p.assign(s, []ast.Expr{n.Value}, []ast.Expr{value})
		}
	}
}

// objectOf is what a name stands for; nil for other expressions.
func objectOf(s *source, e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if def := s.info.Defs[e]; def != nil {
			return def
		}
		return s.info.Uses[e]
	case *ast.SelectorExpr:
		return s.info.Uses[e.Sel]
	}
	return nil
}
