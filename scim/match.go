package scim

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/scim2/filter-parser/v2"
)

// Match tells whether a filter holds for a whole resource in canonical form, with
// id, meta, groups and so on as far as they are in it. Errors are invalidFilter.
func Match(e filter.Expression, doc map[string]any, c *Compiled) (bool, error) {
	n, err := resolver{c: c, lenient: true}.node(e)
	if err != nil {
		return false, err
	}
	return holds(n, scope{doc: doc}), nil
}

// MatchValue tells whether the filter inside the brackets of a path holds for one
// element of parent. Errors are invalidFilter.
func MatchValue(e filter.Expression, element any, parent *Attr) (bool, error) {
	n, err := resolver{parent: parent, lenient: true}.node(e)
	if err != nil {
		return false, err
	}
	return holds(n, scope{element: element, inside: true}), nil
}

// scope is what the names of a node refer to: a document, or one element.
type scope struct {
	doc     map[string]any
	element any
	inside  bool
}

func (s scope) value(a *Attr) any {
	switch {
	case !s.inside && a.Parent == nil:
		return container(s.doc, a, false)[a.Name]
	case !s.inside:
		in, _ := container(s.doc, a.Parent, false)[a.Parent.Name].(map[string]any)
		return in[a.Name]
	case a.Parent == nil:
		return s.element
	}
	in, _ := s.element.(map[string]any)
	return in[a.Name]
}

func holds(n node, s scope) bool {
	switch n := n.(type) {
	case both:
		return holds(n.left, s) && holds(n.right, s)
	case either:
		return holds(n.left, s) || holds(n.right, s)
	case negated:
		return !holds(n.of, s)
	case some:
		v := s.value(n.list)
		list, ok := v.([]any)
		if !ok && v != nil {
			list = []any{v}
		}
		for _, e := range list {
			if holds(n.within, scope{element: e, inside: true}) {
				return true
			}
		}
		return false
	case present:
		v := s.value(n.attr)
		return v != nil && v != ""
	case comparison:
		return n.holds(s.value(n.attr))
	}
	return false
}

func (c comparison) holds(v any) bool {
	switch v := v.(type) {
	case string:
		if c.attr.Type != typeDateTime {
			return c.compareText(c.fold(v))
		}
		t, ok := parseTime(v)
		return ok && ordered(c.op, t.Compare(c.at))
	case bool:
		return c.attr.Type == typeBoolean && v == c.flag
	case json.Number:
		return c.num != "" && ordered(c.op, compareNumbers(v, c.num))
	}
	return false
}

// compareText looks at bytes, which is the order of code points; both databases
// are told to do the same.
func (c comparison) compareText(s string) bool {
	switch c.op {
	case filter.CO:
		return strings.Contains(s, c.text)
	case filter.SW:
		return strings.HasPrefix(s, c.text)
	case filter.EW:
		return strings.HasSuffix(s, c.text)
	}
	return ordered(c.op, strings.Compare(s, c.text))
}

func ordered(op filter.CompareOperator, order int) bool {
	switch op {
	case filter.EQ:
		return order == 0
	case filter.GT:
		return order > 0
	case filter.GE:
		return order >= 0
	case filter.LT:
		return order < 0
	case filter.LE:
		return order <= 0
	}
	return false
}

// compareNumbers is exact for integers of any length; a fraction or an exponent
// goes through float64, as an exponent may stand for more digits than there is memory.
func compareNumbers(a, b json.Number) int {
	x, okX := new(big.Int).SetString(a.String(), 10)
	y, okY := new(big.Int).SetString(b.String(), 10)
	if okX && okY {
		return x.Cmp(y)
	}
	f, _ := a.Float64()
	g, _ := b.Float64()
	return cmp.Compare(f, g)
}
