package conform

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// filterReader reads a filter from left to right into a function.
type filterReader struct {
	s      *tiny
	kind   string
	parent *attribute // inside brackets
	tokens []string
}

var tokenForm = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)`)

func (s *tiny) parseFilter(kind, text string) func(object) bool {
	f := &filterReader{s: s, kind: kind}
	for text = strings.TrimSpace(text); text != ""; {
		m := tokenForm.FindString(text)
		if m == "" {
			panic(oops{400, "invalidFilter"})
		}
		f.tokens = append(f.tokens, strings.TrimSpace(m))
		text = text[len(m):]
	}
	match := f.or()
	if len(f.tokens) > 0 {
		panic(oops{400, "invalidFilter"})
	}
	return match
}

func (f *filterReader) peek() string {
	if len(f.tokens) == 0 {
		return ""
	}
	return strings.ToLower(f.tokens[0])
}

func (f *filterReader) next() string {
	if len(f.tokens) == 0 {
		panic(oops{400, "invalidFilter"})
	}
	t := f.tokens[0]
	f.tokens = f.tokens[1:]
	return t
}

func (f *filterReader) expect(t string) {
	if f.next() != t {
		panic(oops{400, "invalidFilter"})
	}
}

func (f *filterReader) or() func(object) bool {
	left := f.and()
	for f.peek() == "or" || f.s.is("and-or") && f.peek() == "and" {
		op := strings.ToLower(f.next())
		a, b := left, f.and()
		left = func(o object) bool { return op == "or" && (a(o) || b(o)) || op == "and" && a(o) && b(o) }
	}
	return left
}

func (f *filterReader) and() func(object) bool {
	left := f.term()
	for f.peek() == "and" && !f.s.is("and-or") {
		f.next()
		a, b := left, f.term()
		left = func(o object) bool { return a(o) && b(o) }
	}
	return left
}

func (f *filterReader) term() func(object) bool {
	switch f.peek() {
	case "not":
		f.next()
		f.expect("(")
		m := f.or()
		f.expect(")")
		if f.s.is("not-ignored") {
			return m
		}
		return func(o object) bool { return !m(o) }
	case "(":
		f.next()
		m := f.or()
		f.expect(")")
		return m
	}
	return f.comparison()
}

// attribute finds what a path names: how to get its values, and its type.
func (f *filterReader) attribute(path string) (func(object) []any, attribute) {
	attributes := tinySchemas[f.kind].Attributes
	under := ""
	if f.parent != nil {
		attributes = f.parent.SubAttributes
	} else if i := strings.LastIndex(path, ":"); i >= 0 {
		if strings.EqualFold(path[:i], enterpriseURN) {
			under, attributes = enterpriseURN, tinySchemas[enterpriseURN].Attributes
		}
		path = path[i+1:]
	}
	path, sub, deep := strings.Cut(path, ".")
	a, ok := lookup(attributes, path)
	switch {
	case f.parent != nil:
	case strings.EqualFold(path, "id"), strings.EqualFold(path, "externalId"):
		a, ok = attribute{Name: strings.ToLower(path[:1]) + path[1:], Type: "string", CaseExact: true}, true
	case strings.EqualFold(path, "meta"):
		a, ok = attribute{Name: "meta", Type: "complex", SubAttributes: []attribute{{Name: "created", Type: "dateTime"}, {Name: "lastModified", Type: "dateTime"}}}, true
	}
	if !deep && a.Type == "complex" {
		sub = "value"
	}
	leaf := a
	if a.Type == "complex" {
		if leaf, ok = a.sub(sub); !ok && f.s.is("filter-unknown-empty") {
			ok = true
		}
	}
	if !ok && !f.s.is("filter-unknown-empty") {
		panic(oops{400, "invalidFilter"})
	}
	return func(o object) []any {
		if under != "" {
			o, _ = o[under].(object)
		}
		v := field(o, a.Name)
		if v == nil {
			return nil
		}
		if _, isList := v.([]any); !isList {
			v = []any{v}
		}
		var out []any
		for _, one := range v.([]any) {
			if e, isObject := one.(object); isObject {
				one = field(e, sub)
			}
			if one != nil {
				out = append(out, one)
			}
		}
		return out
	}, leaf
}

func (f *filterReader) comparison() func(object) bool {
	path := f.next()
	if f.peek() == "[" {
		return f.brackets(path)
	}
	values, a := f.attribute(path)
	op := strings.ToLower(f.next())
	if op == "pr" {
		return func(o object) bool { return len(values(o)) > 0 }
	}
	var want any
	if json.Unmarshal([]byte(f.next()), &want) != nil || !strings.Contains(" eq ne co sw ew gt ge lt le ", " "+op+" ") {
		panic(oops{400, "invalidFilter"})
	}
	if a.Type == "boolean" && op != "eq" && op != "ne" {
		panic(oops{400, "invalidFilter"})
	}
	one := func(v any) bool { return f.compare(a, op, v, want) }
	return func(o object) bool {
		all := values(o)
		if a.Name == "primary" && len(all) == 0 && !f.s.is("primary-missing") { // RFC 7643 §2.4
			all = []any{false}
		}
		if want == nil {
			return (len(all) == 0) == (op == "eq")
		}
		if a.Name == "externalId" && f.s.is("filter-externalid-zero") {
			return false
		}
		if a.Type == "dateTime" && f.s.is("date-ignored") {
			return true
		}
		if op == "ne" && f.s.is("ne-all") {
			return !slices.ContainsFunc(all, func(v any) bool { return f.compare(a, "eq", v, want) })
		}
		for _, v := range all {
			if one(v) {
				return true
			}
		}
		return op == "ne" && len(all) == 0
	}
}

func (f *filterReader) compare(a attribute, op string, got, want any) bool {
	x, ok1 := got.(string)
	y, ok2 := want.(string)
	if !ok1 || !ok2 {
		return (got == want) == (op == "eq")
	}
	if !a.CaseExact && !f.s.is("filter-case") || f.s.is("case-loose") {
		x, y = strings.ToLower(x), strings.ToLower(y)
	}
	return map[string]bool{"eq": x == y, "ne": x != y, "co": strings.Contains(x, y), "sw": strings.HasPrefix(x, y), "ew": strings.HasSuffix(x, y),
		"gt": x > y, "ge": x >= y, "lt": x < y, "le": x <= y}[op]
}

// brackets reads emails[...] and emails[...].value eq "x".
func (f *filterReader) brackets(path string) func(object) bool {
	a, ok := lookup(tinySchemas[f.kind].Attributes, path)
	if !ok || f.parent != nil {
		panic(oops{400, "invalidFilter"})
	}
	f.expect("[")
	f.parent = &a
	match := f.or()
	f.expect("]")
	if sub, ok := strings.CutPrefix(f.peek(), "."); ok {
		f.tokens[0] = sub
		first, second := match, f.comparison()
		match = func(o object) bool { return first(o) && second(o) }
	}
	f.parent = nil
	if f.s.is("valuepath-any") {
		// The fault: each term may hold for another element.
		return func(o object) bool {
			merged := object{}
			for _, one := range list(field(o, a.Name)) {
				for k, v := range one.(object) {
					merged[k] = append(list(merged[k]), v)
				}
			}
			return match(merged)
		}
	}
	return func(o object) bool {
		for _, one := range list(field(o, a.Name)) {
			if match(one.(object)) {
				return true
			}
		}
		return false
	}
}
