package scim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	scimerr "github.com/elimity-com/scim/errors"
	"github.com/scim2/filter-parser/v2"

	"github.com/muster-id/muster/store"
)

// A filter is first resolved against the schema into a few kinds of node, which
// match.go evaluates and bind.go turns into conditions for the database. What a
// filter means is therefore decided here, once:
//
//   - ne is not(eq), so it also holds where the attribute is missing; of several
//     values one that differs is enough (RFC 7644 §3.4.2.2: "if any of the values");
//   - primary is false where it is missing (RFC 7643 §2.4);
//   - eq null is absence, pr is presence of something that is not empty;
//   - on a multi-valued attribute a term holds when it holds for one element, and
//     without a sub-attribute its "value" is meant;
//   - the terms inside brackets are about one and the same element.
type node interface{}

type (
	both    struct{ left, right node }
	either  struct{ left, right node }
	negated struct{ of node }
	// some element of a complex or multi-valued attribute.
	some struct {
		list   *Attr
		within node
	}
	// never holds: an attribute that only the other resource type has.
	never struct{}
	// present: the attribute (never complex) has a value that is not empty.
	present struct{ attr *Attr }
	// comparison of a simple attribute with a value of its type. Never ne.
	comparison struct {
		attr *Attr
		op   filter.CompareOperator
		text string // string, reference, binary; folded unless the attribute is exact
		flag bool
		num  json.Number
		at   time.Time
	}
)

type resolver struct {
	c       *Compiled // nil inside brackets
	beside  *Compiled // the other resource type of a search over both; nil otherwise
	parent  *Attr     // the attribute before the brackets
	lenient bool      // "True" for a boolean, a bare number for a text
}

func invalidFilter(format string, args ...any) error {
	return refuse(scimerr.ScimTypeInvalidFilter, format, args...)
}

func (r resolver) node(e filter.Expression) (node, error) {
	switch e := e.(type) {
	case *filter.LogicalExpression:
		left, err := r.node(e.Left)
		if err != nil {
			return nil, err
		}
		right, err := r.node(e.Right)
		if e.Operator == filter.OR {
			return either{left, right}, err
		}
		return both{left, right}, err
	case *filter.NotExpression:
		of, err := r.node(e.Expression)
		return negated{of}, err
	case *filter.ValuePath:
		return r.brackets(e)
	case *filter.AttributeExpression:
		return r.term(e)
	}
	return nil, fmt.Errorf("a filter node of type %T", e)
}

// errElsewhere says that only the other resource type has the attribute.
var errElsewhere = errors.New("an attribute of the other resource type")

func (r resolver) brackets(e *filter.ValuePath) (node, error) {
	list, err := r.find(e.AttributePath)
	if err == errElsewhere {
		return never{}, nil
	}
	if err != nil {
		return nil, err
	}
	if list.Parent != nil || list.Type != typeComplex && !list.MultiValued {
		return nil, invalidFilter("%s has no elements to filter in brackets. Compare it directly: %s eq \"...\".", list.Path(), list.Path())
	}
	within, err := resolver{parent: list, lenient: r.lenient}.node(e.ValueFilter)
	return some{list, within}, err
}

// find is the attribute that a path names, at the root or inside brackets.
func (r resolver) find(p filter.AttributePath) (*Attr, error) {
	if r.parent == nil {
		a, ok := r.c.Find(p.URI(), p.AttributeName, p.SubAttributeName())
		if !ok && r.beside != nil {
			if _, there := r.beside.Find(p.URI(), p.AttributeName, p.SubAttributeName()); there {
				return nil, errElsewhere
			}
		}
		if !ok {
			return nil, invalidFilter("%q is not an attribute of %s; see /Schemas. An attribute of an extension needs its schema's URN in front.", p.String(), r.c.Name)
		}
		if a.Returned == returnedNever {
			return nil, invalidFilter("%s can never be read, so it cannot be filtered by.", a.Path())
		}
		return a, nil
	}
	if p.URIPrefix == nil && p.SubAttribute == nil {
		if len(r.parent.Subs) == 0 && strings.EqualFold(p.AttributeName, "value") {
			return r.parent, nil
		}
		if a := r.parent.subOf(p.AttributeName); a != nil {
			return a, nil
		}
	}
	return nil, invalidFilter("%q is not a sub-attribute of %s; see /Schemas.", p.String(), r.parent.Path())
}

func (r resolver) term(e *filter.AttributeExpression) (node, error) {
	a, err := r.find(e.AttributePath)
	if err == errElsewhere {
		// As if it had no value (RFC 7644 §3.4.2.1): ne and eq null hold.
		if null := e.CompareValue == nil; e.Operator == filter.NE && !null || e.Operator == filter.EQ && null {
			return negated{never{}}, nil
		}
		return never{}, nil
	}
	if err != nil {
		return nil, err
	}
	if e.Operator == filter.PR {
		return r.presence(a), nil
	}
	if e.CompareValue == nil {
		switch e.Operator {
		case filter.EQ:
			return negated{r.presence(a)}, nil
		case filter.NE:
			return r.presence(a), nil
		}
		return nil, invalidFilter("%s %s null makes no sense: null goes with eq and ne only.", a.Path(), e.Operator)
	}
	leaf := a
	if a.Type == typeComplex {
		if leaf = a.subOf("value"); leaf == nil {
			return nil, invalidFilter("%s has sub-attributes: say which one, as in %s.%s.", a.Path(), a.Path(), a.Subs[0].Name)
		}
	}
	op := e.Operator
	if op == filter.NE {
		op = filter.EQ
	}
	c := comparison{attr: leaf, op: op}
	if err := c.set(e.CompareValue, r.lenient); err != nil {
		return nil, err
	}
	var n node = c
	if c.isPrimary() && !c.flag {
		c.flag = true
		n = negated{c}
	}
	if e.Operator == filter.NE {
		return r.unlike(a, n), nil
	}
	return r.spread(a, n), nil
}

// isPrimary tells whether c is about the sub-attribute that every multi-valued
// attribute can have.
func (c comparison) isPrimary() bool {
	return c.attr.Type == typeBoolean && c.attr.Name == "primary" && c.attr.Parent != nil && c.attr.Parent.MultiValued
}

// unlike is ne: n, the term with eq, does not hold, or of several values not for one.
func (r resolver) unlike(a *Attr, n node) node {
	top := cmp.Or(a.Parent, a)
	if r.parent != nil || !top.MultiValued {
		return negated{r.spread(a, n)}
	}
	return either{some{top, negated{n}}, negated{r.presence(top)}}
}

// spread turns a term on emails or emails.value into "some element of emails".
// manager without a sub-attribute is its only element.
func (r resolver) spread(a *Attr, n node) node {
	if r.parent != nil {
		return n
	}
	top := cmp.Or(a.Parent, a)
	if top.MultiValued || a.Type == typeComplex {
		return some{top, n}
	}
	return n
}

func (r resolver) presence(a *Attr) node {
	var n node = present{a}
	if a.Type == typeComplex {
		n = present{a.Subs[0]}
		for _, s := range a.Subs[1:] {
			n = either{n, present{s}}
		}
	}
	return r.spread(a, n)
}

// set checks operator and value against the attribute's type (RFC 7644 §3.4.2.2, table 3).
func (c *comparison) set(value any, lenient bool) error {
	path := c.attr.Path()
	order := ordering(c.op)
	if lenient {
		value = c.meant(value)
	}
	var ok bool
	switch c.attr.Type {
	case typeString, typeReference, typeBinary:
		if c.text, ok = value.(string); !ok {
			return invalidFilter("%s is text: put the value in double quotes.", path)
		}
		if c.attr.Type == typeBinary && c.op != filter.EQ {
			return invalidFilter("%s is binary: only eq, ne and pr go with it.", path)
		}
		c.text = c.fold(c.text)
	case typeBoolean:
		if c.flag, ok = value.(bool); !ok || c.op != filter.EQ {
			return invalidFilter("%s is a boolean: only eq, ne with true or false, and pr go with it.", path)
		}
	case typeDateTime:
		text, _ := value.(string)
		if c.at, ok = parseTime(text); !ok || c.op != filter.EQ && !order {
			return invalidFilter(`%s is a dateTime: compare it by eq, ne, gt, ge, lt or le with one like "2026-01-31T08:00:00Z".`, path)
		}
	default: // decimal, integer
		if c.num, ok = value.(json.Number); !ok || c.op != filter.EQ && !order {
			return invalidFilter("%s is a number: compare it by eq, ne, gt, ge, lt or le with a number without quotes.", path)
		}
	}
	return nil
}

// meant reads a value as the attribute's type where a client wrote it as another
// one: Entra ID writes "True", Microsoft's tutorial externalId eq 701984.
func (c *comparison) meant(value any) any {
	switch v := value.(type) {
	case string:
		if c.attr.Type == typeBoolean && strings.EqualFold(v, "true") {
			return true
		}
		if c.attr.Type == typeBoolean && strings.EqualFold(v, "false") {
			return false
		}
	case json.Number:
		if c.attr.Type == typeString {
			return v.String()
		}
	}
	return value
}

// fold is the form in which texts are compared. Where there is no key column the
// databases fold too: letter by letter for equality and parts, ASCII for order.
func (c *comparison) fold(s string) string {
	switch {
	case c.attr.CaseExact:
		return s
	case c.attr.keyed:
		return store.Fold(s)
	case ordering(c.op):
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, s)
	}
	return store.FoldLetters(s)
}

func ordering(op filter.CompareOperator) bool {
	return op == filter.GT || op == filter.GE || op == filter.LT || op == filter.LE
}

// parseTime reads an xsd:dateTime; without a zone it is UTC.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
