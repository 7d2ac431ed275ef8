package scimmodel

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Filters (RFC 7644 §3.4.2.2, figure 1): parsed to a tree, resolved against the
// schema, and evaluated on whole resources as a client sees them.

// cond is a filter whose names are known.
type cond interface{ holds(scope) bool }

// scope is what names refer to: a resource, or inside brackets one element.
type scope struct {
	doc     map[string]any
	element any
}

type (
	and  struct{ a, b cond }
	or   struct{ a, b cond }
	not  struct{ a cond }
	some struct { // an element of a matches (valuePath)
		a      *attr
		within cond
	}
	present struct{ a *attr }
	test    struct {
		a     *attr
		op    string
		value any
	}
	nowhere struct{} // an attribute that only another resource type has
)

var errFilter = errors.New("not a filter")

func (c and) holds(s scope) bool   { return c.a.holds(s) && c.b.holds(s) }
func (c or) holds(s scope) bool    { return c.a.holds(s) || c.b.holds(s) }
func (c not) holds(s scope) bool   { return !c.a.holds(s) }
func (nowhere) holds(s scope) bool { return false }

func (c some) holds(s scope) bool {
	list, ok := get(s.doc, c.a).([]any)
	if !ok {
		if v := get(s.doc, c.a); v != nil {
			list = []any{v}
		}
	}
	for _, e := range list {
		if c.within.holds(scope{element: e}) {
			return true
		}
	}
	return false
}

// values are all values that a name stands for in a scope.
func values(s scope, a *attr) []any {
	switch {
	case s.doc == nil: // inside brackets
		if m, ok := s.element.(map[string]any); ok {
			return one(m[a.name])
		}
		return one(s.element)
	case a.parent == nil:
		return one(get(s.doc, a))
	}
	var out []any
	for _, e := range one(get(s.doc, a.parent)) {
		if m, ok := e.(map[string]any); ok {
			out = append(out, one(m[a.name])...)
		}
	}
	return out
}

func one(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// pr: the attribute "has a non-empty or non-null value, or if it contains a
// non-empty node for complex attributes".
func (c present) holds(s scope) bool {
	for _, v := range values(s, c.a) {
		m, isObject := v.(map[string]any)
		if !isObject && v != "" {
			return true
		}
		for _, x := range m {
			if x != nil && x != "" {
				return true
			}
		}
	}
	return false
}

func (c test) holds(s scope) bool {
	found := values(s, c.a)
	if c.a.name == "primary" && len(found) == 0 { // RFC 7643 §2.4: "If not specified, the value of "primary" SHALL be assumed to be "false"."
		found = []any{false}
	}
	for _, v := range found {
		if m, ok := v.(map[string]any); ok { // RFC 7643 §2.4: the default sub-attribute is "value"
			v = m["value"]
		}
		if v != nil && c.compare(v) {
			return true
		}
	}
	return false
}

func (c test) compare(v any) bool {
	a := c.a
	if a.kind == complexType {
		a = a.sub("value")
	}
	switch a.kind {
	case boolean:
		return v == c.value
	case dateTime:
		x, err1 := time.Parse(time.RFC3339Nano, v.(string))
		y, err2 := time.Parse(time.RFC3339Nano, c.value.(string))
		return err1 == nil && err2 == nil && ordered(c.op, x.Compare(y))
	}
	x, y := v.(string), c.value.(string)
	switch c.op {
	case "co":
		return strings.Contains(fold(a, x), fold(a, y))
	case "sw":
		return strings.HasPrefix(fold(a, x), fold(a, y))
	case "ew":
		return strings.HasSuffix(fold(a, x), fold(a, y))
	case "eq":
		return fold(a, x) == fold(a, y)
	}
	return ordered(c.op, strings.Compare(sortKey(a, x), sortKey(a, y)))
}

func ordered(op string, n int) bool {
	switch op {
	case "eq":
		return n == 0
	case "gt":
		return n > 0
	case "ge":
		return n >= 0
	case "lt":
		return n < 0
	}
	return n <= 0
}

// fold is RFC 7643 §2.2: caseExact false compares without regard to case.
func fold(a *attr, s string) string {
	if a.exact {
		return s
	}
	return strings.ToLower(s)
}

// sortKey orders texts by code point. Choice: names that are unique fold all
// letters, other attributes those of ASCII.
func sortKey(a *attr, s string) string {
	if a.exact || a.name == "userName" || a.name == "displayName" && a.required {
		return fold(a, s)
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// filterReader parses and resolves in one go.
type filterReader struct {
	s      string
	k      *kind
	beside *kind // of a root query: its attributes have no values here (§3.4.2.1)
	within *attr // the attribute before the brackets
	strict bool
}

// parseFilter reads a whole filter on resources of type k.
func parseFilter(s string, k, beside *kind, strict bool) (cond, error) {
	p := &filterReader{s: s, k: k, beside: beside, strict: strict}
	c, err := p.or()
	if err == nil && strings.TrimSpace(p.s) != "" {
		err = errFilter
	}
	return c, err
}

func (p *filterReader) or() (cond, error) {
	c, err := p.and()
	for err == nil && p.word("or") {
		var right cond
		right, err = p.and()
		c = or{c, right}
	}
	return c, err
}

func (p *filterReader) and() (cond, error) {
	c, err := p.factor()
	for err == nil && p.word("and") {
		var right cond
		right, err = p.factor()
		c = and{c, right}
	}
	return c, err
}

func (p *filterReader) factor() (cond, error) {
	p.s = strings.TrimLeft(p.s, " ")
	if p.word("not") {
		c, err := p.group()
		return not{c}, err
	}
	if strings.HasPrefix(p.s, "(") {
		return p.group()
	}
	return p.term()
}

func (p *filterReader) group() (cond, error) {
	if p.s = strings.TrimLeft(p.s, " "); !strings.HasPrefix(p.s, "(") {
		return nil, errFilter
	}
	p.s = p.s[1:]
	c, err := p.or()
	if err == nil && !p.take(")") {
		err = errFilter
	}
	return c, err
}

func (p *filterReader) take(mark string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.s, " "), mark)
	if ok {
		p.s = rest
	}
	return ok
}

// word reads a keyword that a blank or parenthesis ends.
func (p *filterReader) word(w string) bool {
	s := strings.TrimLeft(p.s, " ")
	if len(s) <= len(w) || !strings.EqualFold(s[:len(w)], w) || s[len(w)] != ' ' && s[len(w)] != '(' {
		return false
	}
	p.s = s[len(w):]
	return true
}

// name reads an attribute path as far as it goes.
func (p *filterReader) name() string {
	p.s = strings.TrimLeft(p.s, " ")
	end := strings.IndexAny(p.s, ` []()"`)
	if end < 0 {
		end = len(p.s)
	}
	name := p.s[:end]
	p.s = p.s[end:]
	return name
}

// resolve finds what a name means. elsewhere: only the other type has it.
func (p *filterReader) resolve(name string) (a *attr, elsewhere bool, err error) {
	if p.within != nil {
		if a = p.within.sub(name); a == nil {
			err = errFilter
		}
		return a, false, err
	}
	if a = attrOf(p.k, name); a == nil && p.beside != nil {
		elsewhere = attrOf(p.beside, name) != nil
	}
	if a == nil && !elsewhere || a != nil && a.never {
		err = errFilter
	}
	return a, elsewhere, err
}

// attrOf resolves [URN:]attribute[.sub] (RFC 7644 §3.10).
func attrOf(k *kind, name string) *attr {
	urn := ""
	for _, known := range append([]string{k.urn}, k.extensions...) {
		if len(name) > len(known) && strings.EqualFold(name[:len(known)], known) && name[len(known)] == ':' {
			urn, name = known, name[len(known)+1:]
			break
		}
	}
	top, sub, dotted := strings.Cut(name, ".")
	a := k.find(urn, top)
	if a != nil && dotted {
		return a.sub(sub)
	}
	return a
}

func (p *filterReader) term() (cond, error) {
	a, elsewhere, err := p.resolve(p.name())
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(p.s, "[") {
		return p.compare(a, elsewhere)
	}
	if p.within != nil || elsewhere || a.parent != nil || a.kind != complexType { // Source asks root queries no brackets
		return nil, errFilter
	}
	p.s = p.s[1:]
	inside := *p
	inside.within = a
	c, err := inside.or()
	p.s = inside.s
	if err != nil || !p.take("]") {
		return nil, errFilter
	}
	if strings.HasPrefix(p.s, ".") { // choice: emails[...].value eq, as Entra ID sends it, is about the same element
		p.s = p.s[1:]
		inside.s = p.s
		right, err := inside.term()
		if err != nil {
			return nil, err
		}
		p.s, c = inside.s, and{c, right}
	}
	return some{a, c}, nil
}

func (p *filterReader) compare(a *attr, elsewhere bool) (cond, error) {
	op := strings.ToLower(p.name())
	if op == "pr" {
		if elsewhere {
			return nowhere{}, nil
		}
		return present{a}, nil
	}
	if !strings.Contains(" eq ne co sw ew gt ge lt le ", " "+op+" ") || !strings.HasPrefix(p.s, " ") {
		return nil, errFilter
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	var c cond
	switch {
	case elsewhere && value == nil:
		c = not{nowhere{}}
	case elsewhere:
		c = nowhere{}
	case value == nil && (op == "eq" || op == "ne"): // RFC 7643 §2.5: null is unassigned
		c = not{present{a}}
	case p.within == nil && (a.multi || a.parent != nil && a.parent.multi):
		return p.several(a, op, value)
	default:
		if c, err = p.test(a, op, value); err != nil {
			return nil, err
		}
	}
	if op == "ne" { // choice: ne is not(eq), also without a value
		return not{c}, nil
	}
	return c, nil
}

// several is a test of a multi-valued attribute, seen from outside of brackets: "the
// filter matches if any of the values of the specified attribute match the specified
// criterion" (§3.4.2.2). Choice: ne matches without any value, too.
func (p *filterReader) several(a *attr, op string, value any) (cond, error) {
	list := a
	if a.parent != nil {
		list = a.parent
	}
	leaf := a
	if a.kind == complexType {
		if leaf = a.sub("value"); leaf == nil {
			return nil, errFilter
		}
	}
	c, err := p.test(leaf, op, value)
	if op == "ne" {
		return or{some{list, not{c}}, not{present{list}}}, err
	}
	return some{list, c}, err
}

// test checks operator and value against the type (§3.4.2.2, table 3).
func (p *filterReader) test(a *attr, op string, value any) (cond, error) {
	leaf := a
	if a.kind == complexType {
		if leaf = a.sub("value"); leaf == nil {
			return nil, errFilter
		}
	}
	if op == "ne" {
		op = "eq"
	}
	_, isText := value.(string)
	part := op == "co" || op == "sw" || op == "ew"
	switch leaf.kind {
	case boolean: // "Boolean and Binary attributes SHALL cause a failed response (HTTP status code 400)" for order
		if s, _ := value.(string); !p.strict && (strings.EqualFold(s, "true") || strings.EqualFold(s, "false")) { // choice
			value = strings.EqualFold(s, "true")
		}
		if _, ok := value.(bool); !ok || op != "eq" {
			return nil, errFilter
		}
	case dateTime:
		s, _ := value.(string)
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil || part {
			return nil, errFilter
		}
	default:
		if !isText || leaf.kind == binary && op != "eq" {
			return nil, errFilter
		}
	}
	return test{a, op, value}, nil
}

// value is a JSON value: compValue = false / null / true / number / string.
func (p *filterReader) value() (any, error) {
	p.s = strings.TrimLeft(p.s, " ")
	d := json.NewDecoder(strings.NewReader(p.s))
	end := strings.IndexAny(p.s, " )]")
	if !strings.HasPrefix(p.s, `"`) {
		if end < 0 {
			end = len(p.s)
		}
		d = json.NewDecoder(strings.NewReader(strings.ToLower(p.s[:end])))
	}
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errFilter
	}
	p.s = p.s[d.InputOffset():]
	return v, nil
}
