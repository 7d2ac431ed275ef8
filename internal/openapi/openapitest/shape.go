package openapitest

import (
	"go/ast"
	"go/types"
)

// shape is the schema of a value that is sent. Where the type says nothing (any, or a map
// that is made on the spot), the value itself is looked at.
func (w *walker) shape(s *source, e ast.Expr, c *scope) *schema {
	if obj := objectOf(s, e); obj != nil {
		if b, ok := c.find(obj); ok {
			return w.shape(b.in, b.expr, b.at)
		}
	}
	t := s.info.TypeOf(e)
	if list, ok := types.Unalias(t).(*types.Slice); ok && isLoose(list.Elem()) { // []any, filled in a loop
		var elem *schema
		for _, value := range w.elements[objectOf(s, e)] {
			elem = elem.or(w.shape(s, value, c))
		}
		if elem != nil {
			return &schema{kind: "array", elem: elem}
		}
	}
	if lit, ok := ast.Unparen(e).(*ast.CompositeLit); ok && isLoose(t) {
		return w.object(s, lit, nil, c)
	}
	if !isLoose(t) {
		return w.made.of(t, sent)
	}
	var found *schema
	if obj := objectOf(s, e); obj != nil {
		for _, g := range w.given[obj] {
			found = found.or(w.givenShape(g, obj, c))
		}
	}
	if call, ok := ast.Unparen(e).(*ast.CallExpr); ok {
		found = w.returned(s, call, 0, c)
	}
	if found == nil {
		w.route.unclear = append(w.route.unclear, "an answer: "+w.set.Position(e.Pos()).String())
		return w.made.of(t, sent)
	}
	return found
}

func (w *walker) givenShape(g given, obj types.Object, c *scope) *schema {
	if isNil(g.expr) {
		return nil
	}
	if lit, ok := ast.Unparen(g.expr).(*ast.CompositeLit); ok && g.index < 0 && isLoose(g.in.info.TypeOf(lit)) {
		return w.object(g.in, lit, obj, c)
	}
	if g.index < 0 {
		return w.shape(g.in, g.expr, c)
	}
	if call, ok := g.expr.(*ast.CallExpr); ok {
		return w.returned(g.in, call, g.index, c)
	}
	return nil
}

// object is a map that is written out, and what is added to it by name afterwards.
func (w *walker) object(s *source, lit *ast.CompositeLit, obj types.Object, c *scope) *schema {
	o := &schema{kind: "object"}
	for _, el := range lit.Elts {
		kv, ok := el.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		o.add(field{name: constString(s.info.Types[kv.Key].Value), of: w.shape(s, kv.Value, c), required: true})
	}
	for _, en := range w.entries[obj] {
		o.add(field{name: en.key, of: w.shape(s, en.value, c)})
	}
	if len(o.fields) == 0 {
		return w.made.of(s.info.TypeOf(lit), sent)
	}
	return o
}

// returned is the shape of what a call gives, by the returns of what it may end in.
func (w *walker) returned(s *source, call *ast.CallExpr, index int, c *scope) *schema {
	var found *schema
	for _, f := range w.called(s, call, c) {
		ast.Inspect(f.body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.ReturnStmt:
				switch {
				case len(n.Results) == 1 && index >= 0: // return other(...)
					if inner, ok := n.Results[0].(*ast.CallExpr); ok {
						if tuple, ok := f.in.info.TypeOf(inner).(*types.Tuple); ok {
							if t := tuple.At(index).Type(); !isLoose(t) {
								found = found.or(w.made.of(t, sent))
							} else {
								found = found.or(w.returned(f.in, inner, index, f.at))
							}
							return true
						}
					}
					if index == 0 && !isNil(n.Results[0]) {
						found = found.or(w.shape(f.in, n.Results[0], f.at))
					}
				case index < len(n.Results) && !isNil(n.Results[index]):
					found = found.or(w.shape(f.in, n.Results[index], f.at))
				}
			}
			return true
		})
	}
	return found
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

// isLoose tells types that say nothing about what is in them.
func isLoose(t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.TypeParam:
		return true
	case *types.Interface:
		return true
	case *types.Map: // written out, as a rule
		return true
	case *types.Named:
		_, face := t.Underlying().(*types.Interface)
		return face
	}
	return false
}
