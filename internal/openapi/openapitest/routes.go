package openapitest

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// route is an operation of the API as the source has it.
type route struct {
	pattern string // GET /api/v1/teams
	says    string // the comment behind it
	guard   string // the method of web.Mux
	need    string // the permission
	at      string // file:line

	body     *schema // of the request; nil: none
	raw      bool    // the body is read as it is
	optional bool    // there need be no body
	answers  map[int]*schema
	files    []string // content types other than JSON
	query    []string // parameters, in the order in which they are read
	faults   map[fault.Kind]bool
	unclear  []string // what could not be made out
}

// scope is what the parameters of a function stand for where it is called.
type scope struct {
	outer *scope
	bound map[types.Object]bound
}

type bound struct {
	expr ast.Expr
	in   *source
	at   *scope
}

func (c *scope) find(obj types.Object) (bound, bool) {
	for ; c != nil; c = c.outer {
		if b, ok := c.bound[obj]; ok {
			return b, true
		}
	}
	return bound{}, false
}

// routes finds what is mounted under /api/v1, and reads what each handler does.
func (p *program) routes(made *schemas) []*route {
	var list []*route
	for _, path := range slices.Sorted(maps.Keys(p.packages)) {
		s := p.packages[path]
		if s.pkg.Name() == "web" {
			continue
		}
		for _, f := range s.files {
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !isMux(s, call) {
					return true
				}
				pattern := s.info.Types[call.Args[len(call.Args)-2]].Value
				if pattern == nil || !strings.Contains(constString(pattern), " /api/v1/") {
					return true
				}
				at := p.set.Position(call.Pos())
				r := &route{pattern: constString(pattern), guard: call.Fun.(*ast.SelectorExpr).Sel.Name, at: at.String(), says: p.lines[at.Filename][at.Line],
					answers: map[int]*schema{}, faults: map[fault.Kind]bool{}}
				if len(call.Args) == 3 {
					r.need = constString(s.info.Types[call.Args[0]].Value)
				}
				w := walker{program: p, route: r, made: made, seen: map[visit]bool{}, blamed: map[types.Object]bool{}}
				w.handler(s, call.Args[len(call.Args)-1], nil)
				w.blame(s, call.Args[len(call.Args)-1])
				list = append(list, r)
				return true
			})
		}
	}
	return list
}

func isMux(s *source, call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) < 2 {
		return false
	}
	fn, ok := s.info.Uses[sel.Sel].(*types.Func)
	if !ok {
		return false
	}
	recv := fn.Signature().Recv()
	return recv != nil && isNamed(recv.Type(), "internal/web", "Mux")
}

func isNamed(t types.Type, pkg, name string) bool {
	if ptr, ok := types.Unalias(t).(*types.Pointer); ok {
		t = ptr.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && strings.HasSuffix(n.Obj().Pkg().Path(), pkg)
}

func constString(v constant.Value) string {
	if v == nil || v.Kind() != constant.String {
		return ""
	}
	return constant.StringVal(v)
}

// walker follows one request through the functions that have it in hand.
type walker struct {
	*program
	route  *route
	made   *schemas
	seen   map[visit]bool
	blamed map[types.Object]bool
	depth  int
}

type visit struct {
	body  ast.Node
	scope *scope
}

// handler walks what an expression that is a function would do.
func (w *walker) handler(s *source, e ast.Expr, c *scope) {
	for _, f := range w.functions(s, e, c) {
		w.walk(f.in, f.body, f.at)
	}
}

// callee is a function that a call may end in, with the scope of its body.
type callee struct {
	body   *ast.BlockStmt
	params *ast.FieldList
	in     *source
	at     *scope
}

// functions are what an expression that is a function may be.
func (w *walker) functions(s *source, e ast.Expr, c *scope) []callee {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		return []callee{{e.Body, e.Type.Params, s, c}}
	case *ast.CallExpr: // a function that gives a function: its literals are in its body
		if tv := s.info.Types[e.Fun]; tv.IsType() { // a conversion
			return w.functions(s, e.Args[0], c)
		}
		return w.called(s, e, c)
	case *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr:
		if at, ok := e.(*ast.IndexExpr); ok { // an instance of a generic function
			return w.functions(s, at.X, c)
		}
		obj := objectOf(s, e)
		if b, ok := c.find(obj); ok {
			return w.functions(b.in, b.expr, b.at)
		}
		if fn, ok := obj.(*types.Func); ok {
			if f, ok := w.funcs[fn.Origin()]; ok {
				return []callee{{f.decl.Body, f.decl.Type.Params, f.in, nil}}
			}
			return nil
		}
		var list []callee
		for _, g := range w.given[obj] {
			if g.index < 0 {
				list = append(list, w.functions(g.in, g.expr, c)...)
			}
		}
		return list
	}
	return nil
}

// called are the functions that a call may end in, with its arguments bound.
func (w *walker) called(s *source, call *ast.CallExpr, c *scope) []callee {
	if w.depth > 12 {
		return nil
	}
	w.depth++
	defer func() { w.depth-- }()
	list := w.functions(s, call.Fun, c)
	for i, f := range list {
		at := &scope{outer: f.at, bound: map[types.Object]bound{}}
		n := 0
		for _, field := range f.params.List {
			for _, name := range field.Names {
				if n < len(call.Args) && !isEllipsis(field) {
					at.bound[f.in.info.Defs[name]] = bound{call.Args[n], s, c}
				}
				n++
			}
		}
		list[i].at = at
	}
	return list
}

func isEllipsis(f *ast.Field) bool { _, yes := f.Type.(*ast.Ellipsis); return yes }

// walk reads what a body does with the request.
func (w *walker) walk(s *source, body ast.Node, c *scope) {
	if w.seen[visit{body, c}] || w.depth > 12 {
		return
	}
	w.seen[visit{body, c}] = true
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BlockStmt:
			return !w.branches(s, n, c)
		case *ast.SelectorExpr:
			if n.Sel.Name == "EOF" || n.Sel.Name == "ContentLength" { // the handler does without a body
				w.route.optional = true
			}
		case *ast.CallExpr:
			w.call(s, n, c)
		case *ast.IndexExpr: // q["status"]
			if isNamed(s.info.TypeOf(n.X), "net/url", "Values") {
				w.parameter(s, n.Index, c)
			}
		}
		return true
	})
}

// branches walks a block that asks for the method: what another method does is left out.
func (w *walker) branches(s *source, block *ast.BlockStmt, c *scope) (done bool) {
	if !slices.ContainsFunc(block.List, func(st ast.Stmt) bool { _, asks := w.asksMethod(s, st); return asks }) {
		return false
	}
	for _, st := range block.List {
		yes, asks := w.asksMethod(s, st)
		switch {
		case !asks:
			w.walk(s, st, c)
		case yes:
			body := st.(*ast.IfStmt).Body
			w.walk(s, body, c)
			if _, ends := body.List[len(body.List)-1].(*ast.ReturnStmt); ends {
				return true
			}
		}
	}
	return true
}

// asksMethod tells statements like if r.Method == http.MethodDelete, and the answer.
func (w *walker) asksMethod(s *source, st ast.Stmt) (yes, asks bool) {
	ask, ok := st.(*ast.IfStmt)
	if !ok {
		return false, false
	}
	cond, ok := ask.Cond.(*ast.BinaryExpr)
	if !ok || cond.Op != token.EQL && cond.Op != token.NEQ {
		return false, false
	}
	if sel, ok := cond.X.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Method" || !carries(s.info.TypeOf(sel.X)) {
		return false, false
	}
	method, _, _ := strings.Cut(w.route.pattern, " ")
	return (constString(s.info.Types[cond.Y].Value) == method) == (cond.Op == token.EQL), true
}

func (w *walker) call(s *source, call *ast.CallExpr, c *scope) {
	if fn, ok := objectOf(s, call.Fun).(*types.Func); ok && fn.Pkg() != nil {
		switch name := fn.Pkg().Name() + "." + fn.Name(); {
		case name == "web.JSON":
			for _, status := range w.numbers(s, call.Args[1], c) {
				w.answer(status, w.shape(s, call.Args[2], c))
			}
			return
		case name == "web.ReadJSON":
			in := *w.made.of(s.info.TypeOf(call.Args[1]), received)
			in.nullable = false
			for _, name := range call.Args[2:] {
				in.needed = append(in.needed, w.texts(s, name, c)...)
			}
			w.route.body = &in
			return
		case name == "web.AllowBody":
			w.route.raw = w.route.body == nil
			return
		case name == "http.WriteHeader":
			for _, status := range w.numbers(s, call.Args[0], c) {
				w.answer(status, nil)
			}
			return
		case name == "web.StartCSV":
			w.route.files = append(w.route.files, "text/csv")
			return
		case name == "http.ServeContent":
			w.answer(http.StatusOK, nil)
			w.answer(http.StatusNotModified, nil)
			return
		case name == "http.Set" && constString(s.info.Types[call.Args[0]].Value) == "Content-Type":
			kinds := w.texts(s, call.Args[1], c)
			if len(kinds) == 0 {
				w.route.unclear = append(w.route.unclear, "a content type: "+w.set.Position(call.Pos()).String())
			}
			for _, kind := range kinds {
				if !slices.Contains(w.route.files, kind) {
					w.route.files = append(w.route.files, kind)
				}
			}
			return
		case (name == "url.Get" || name == "url.Has") && isNamed(fn.Signature().Recv().Type(), "net/url", "Values"):
			w.parameter(s, call.Args[0], c)
			return
		case fn.Pkg().Name() == "web":
			return
		}
	}
	if !slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return carries(s.info.TypeOf(a)) }) {
		return
	}
	for _, f := range w.called(s, call, c) {
		w.depth++
		w.walk(f.in, f.body, f.at)
		w.depth--
	}
}

// carries tells whether a value of this type has something of the request, or writes the answer.
func carries(t types.Type) bool {
	return t != nil && (isNamed(t, "net/http", "Request") || isNamed(t, "net/http", "ResponseWriter") || isNamed(t, "net/url", "Values"))
}

func (w *walker) parameter(s *source, name ast.Expr, c *scope) {
	for _, text := range w.texts(s, name, c) {
		if !slices.Contains(w.route.query, text) {
			w.route.query = append(w.route.query, text)
		}
	}
}

func (w *walker) answer(status int, body *schema) {
	if old := w.route.answers[status]; old != nil && body != nil && !old.same(body) {
		body = old.or(body)
	} else if body == nil {
		body = old
	}
	w.route.answers[status] = body
}

// constants are the values that an expression may have.
func (w *walker) constants(s *source, e ast.Expr, c *scope) []constant.Value {
	if v := s.info.Types[e].Value; v != nil {
		return []constant.Value{v}
	}
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		var list []constant.Value
		for _, a := range w.constants(s, sum.X, c) {
			for _, b := range w.constants(s, sum.Y, c) {
				list = append(list, constant.BinaryOp(a, token.ADD, b))
			}
		}
		return list
	}
	obj := objectOf(s, e)
	if obj == nil {
		return nil
	}
	if b, ok := c.find(obj); ok {
		return w.constants(b.in, b.expr, b.at)
	}
	var list []constant.Value
	for _, g := range w.given[obj] {
		if g.index < 0 {
			list = append(list, w.constants(g.in, g.expr, c)...)
		}
	}
	return list
}

func (w *walker) numbers(s *source, e ast.Expr, c *scope) []int {
	var list []int
	all := w.constants(s, e, c)
	for _, v := range all {
		if n, ok := constant.Int64Val(v); ok && n >= 100 {
			list = append(list, int(n))
		}
	}
	if len(all) == 0 {
		w.route.unclear = append(w.route.unclear, "a status: "+w.set.Position(e.Pos()).String())
	}
	return list
}

func (w *walker) texts(s *source, e ast.Expr, c *scope) []string {
	var list []string
	for _, v := range w.constants(s, e, c) {
		list = append(list, constString(v))
	}
	return list
}

// blame notes the kinds of faults that functions make which an expression names, and
// those that they name.
func (w *walker) blame(s *source, n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && isNamed(s.info.TypeOf(sel.X), "internal/fault", "Kind") {
				if v := s.info.Types[sel.X].Value; v != nil {
					n, _ := constant.Int64Val(v)
					w.route.faults[fault.Kind(n)] = true
				}
			}
		case *ast.Ident:
			if v, ok := s.info.Uses[n].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() && !w.blamed[v] { // a fault that has a name
				w.blamed[v] = true
				for _, g := range w.given[v] {
					w.blame(g.in, g.expr)
				}
			}
			fn, ok := s.info.Uses[n].(*types.Func)
			if !ok || w.blamed[fn.Origin()] {
				return true
			}
			w.blamed[fn.Origin()] = true
			if f, ok := w.funcs[fn.Origin()]; ok {
				w.blame(f.in, f.decl.Body)
			}
		}
		return true
	})
}
