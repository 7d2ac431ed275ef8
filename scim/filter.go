package scim

import (
	"fmt"
	"strings"
	"unicode/utf8"

	scimerr "github.com/elimity-com/scim/errors"
	"github.com/scim2/filter-parser/v2"
)

// Bounds of one filter. They hold while reading, so a hostile one costs no more
// than a long honest one. (The library's own parser dies of 200 kB of "(".)
const (
	maxFilterBytes = 8 << 10
	maxFilterDepth = 32
	maxFilterTerms = 256
)

// ParseOptions say how far from RFC 7644 a filter may be.
type ParseOptions struct {
	UnquotedValues bool // externalId eq jyoung
}

// ParseFilter reads a filter (RFC 7644 §3.4.2.2 with errata 4690, 7319 and 7322)
// into the library's syntax tree. Numbers are json.Number, strings are unescaped,
// operators lower-case. x[a].sub op v becomes x[a and sub op v], which says the
// same and fits the tree. Errors are invalidFilter and name the byte.
func ParseFilter(s string, opt ParseOptions) (filter.Expression, error) {
	p := &parser{s: s, opt: opt, kind: scimerr.ScimTypeInvalidFilter}
	if err := p.bounds(); err != nil {
		return nil, err
	}
	e, err := p.or(false)
	if err != nil {
		return nil, err
	}
	if p.blank(); p.pos < len(p.s) {
		return nil, p.wrong(p.pos, "and, or, or the end of the filter")
	}
	return e, nil
}

type parser struct {
	s     string
	pos   int
	depth int
	terms int
	opt   ParseOptions
	kind  scimerr.ScimType // what an error here is: invalidFilter, or invalidPath outside the brackets of a path
}

func (p *parser) bounds() error {
	if len(p.s) > maxFilterBytes {
		return refuse(p.kind, "The filter has %d bytes; at most %d are read. Ask for fewer values at once.", len(p.s), maxFilterBytes)
	}
	if !utf8.ValidString(p.s) {
		return refuse(p.kind, "The filter is not valid UTF-8. Encode the query as UTF-8 before percent-encoding it.")
	}
	return nil
}

const theEnd = "the end"

// wrong says what stands at a byte where something else was wanted.
func (p *parser) wrong(at int, want string) error {
	found := theEnd
	if at < len(p.s) {
		rest := p.s[at:]
		if i := strings.IndexAny(rest, " )]"); i > 0 {
			rest = rest[:i]
		}
		if len(rest) > 24 {
			rest = strings.ToValidUTF8(rest[:24], "")
		}
		found = `"` + rest + `"`
	}
	return refuse(p.kind, "At byte %d stands %s: want %s.", at, found, want)
}

// or reads a whole expression; inside brackets there are no value paths.
func (p *parser) or(inside bool) (filter.Expression, error) {
	left, err := p.and(inside)
	for err == nil && p.word("or") {
		var right filter.Expression
		if right, err = p.and(inside); err == nil {
			left = &filter.LogicalExpression{Left: left, Right: right, Operator: filter.OR}
		}
	}
	return left, err
}

func (p *parser) and(inside bool) (filter.Expression, error) {
	left, err := p.factor(inside)
	for err == nil && p.word("and") {
		var right filter.Expression
		if right, err = p.factor(inside); err == nil {
			left = &filter.LogicalExpression{Left: left, Right: right, Operator: filter.AND}
		}
	}
	return left, err
}

// factor reads one term: in parentheses, negated, or an attribute with what is said of it.
func (p *parser) factor(inside bool) (filter.Expression, error) {
	p.blank()
	if p.peek() == '(' {
		return p.group(inside)
	}
	if n := len("not"); len(p.s)-p.pos > n && strings.EqualFold(p.s[p.pos:p.pos+n], "not") {
		rest := strings.TrimLeft(p.s[p.pos+n:], " ") // the blank is optional: erratum 7319
		if strings.HasPrefix(rest, "(") {
			p.pos = len(p.s) - len(rest)
			e, err := p.group(inside)
			if err != nil {
				return nil, err
			}
			return &filter.NotExpression{Expression: e}, nil
		}
	}
	at := p.pos
	path, err := p.attrPath()
	if err != nil {
		return nil, err
	}
	p.blank()
	if p.peek() != '[' {
		return p.compare(path)
	}
	if inside {
		return nil, p.wrong(at, "an attribute without brackets (brackets do not nest)")
	}
	return p.valuePath(path)
}

func (p *parser) group(inside bool) (filter.Expression, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	e, err := p.or(inside)
	if err != nil {
		return nil, err
	}
	return e, p.leave(')')
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxFilterDepth {
		return refuse(p.kind, "At byte %d the filter is nested deeper than %d levels.", p.pos, maxFilterDepth)
	}
	p.pos++
	return nil
}

func (p *parser) leave(end byte) error {
	if p.blank(); p.peek() != end {
		return p.wrong(p.pos, fmt.Sprintf("and, or, or %s", string(end)))
	}
	p.depth--
	p.pos++
	return nil
}

func (p *parser) valuePath(path filter.AttributePath) (filter.Expression, error) {
	within, err := p.brackets()
	if err != nil {
		return nil, err
	}
	if p.peek() == '.' {
		p.pos++
		sub, err := p.attrPath()
		if err != nil {
			return nil, err
		}
		term, err := p.compare(sub)
		if err != nil {
			return nil, err
		}
		within = &filter.LogicalExpression{Left: within, Right: term, Operator: filter.AND}
	}
	return &filter.ValuePath{AttributePath: path, ValueFilter: within}, nil
}

func (p *parser) brackets() (filter.Expression, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	e, err := p.or(true)
	if err != nil {
		return nil, err
	}
	return e, p.leave(']')
}

const operators = "an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)"

func (p *parser) compare(path filter.AttributePath) (filter.Expression, error) {
	if p.terms++; p.terms > maxFilterTerms {
		return nil, refuse(p.kind, "The filter has more than %d terms. Ask for fewer values at once.", maxFilterTerms)
	}
	p.blank() // a name ends only where something else than a letter stands
	at := p.pos
	for p.pos < len(p.s) && isAlpha(p.s[p.pos]) {
		p.pos++
	}
	op := filter.CompareOperator(strings.ToLower(p.s[at:p.pos]))
	switch op {
	case filter.PR:
		return &filter.AttributeExpression{AttributePath: path, Operator: op}, nil
	case filter.EQ, filter.NE, filter.CO, filter.SW, filter.EW, filter.GT, filter.GE, filter.LT, filter.LE:
	default:
		return nil, p.wrong(at, operators)
	}
	if p.blank() == 0 {
		return nil, p.wrong(p.pos, `a blank and a value, as in userName eq "bjensen"`)
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	return &filter.AttributeExpression{AttributePath: path, Operator: op, CompareValue: value}, nil
}

// word reads and or or: blanks or a bracket before it, a blank or ( after it.
func (p *parser) word(w string) bool {
	at := p.pos
	blanks := p.blank()
	end := p.pos + len(w)
	if end >= len(p.s) || !strings.EqualFold(p.s[p.pos:end], w) ||
		p.s[end] != ' ' && p.s[end] != '(' ||
		blanks == 0 && !strings.ContainsRune(`)]"`, rune(p.s[at-1])) {
		p.pos = at
		return false
	}
	p.pos = end
	return true
}

func (p *parser) blank() int {
	at := p.pos
	for p.pos < len(p.s) && p.s[p.pos] == ' ' {
		p.pos++
	}
	return p.pos - at
}

func (p *parser) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
