package scim

import (
	"strings"

	scimerr "github.com/elimity-com/scim/errors"
	"github.com/scim2/filter-parser/v2"
)

// ParsePath reads the path of a PATCH operation (RFC 7644 §3.5.2, figure 7) into
// the library's syntax tree. Errors are invalidPath, and invalidFilter inside
// the brackets (§3.12, table 9). The bounds are those of a filter.
func ParsePath(s string, opt ParseOptions) (filter.Path, error) {
	p := &parser{s: s, opt: opt, kind: scimerr.ScimTypeInvalidPath}
	if err := p.bounds(); err != nil {
		return filter.Path{}, err
	}
	p.blank()
	attr, err := p.attrPath()
	if err != nil {
		return filter.Path{}, err
	}
	path := filter.Path{AttributePath: attr}
	if p.blank(); p.peek() == '[' {
		p.kind = scimerr.ScimTypeInvalidFilter
		if path.ValueExpression, err = p.brackets(); err != nil {
			return filter.Path{}, err
		}
		p.kind = scimerr.ScimTypeInvalidPath
		if p.peek() == '.' {
			p.pos++
			sub, err := p.name(p.nameEnd())
			if err != nil {
				return filter.Path{}, err
			}
			path.SubAttribute = &sub
		}
	}
	if p.blank(); p.pos < len(p.s) {
		return filter.Path{}, p.wrong(p.pos, `the end of the path; a path is attribute, attribute.sub or attribute[filter].sub`)
	}
	return path, nil
}

// attrPath reads [URN:]attribute[.sub]. The URN may have every character that
// RFC 8141 allows; its parentheses must be balanced, else they are the filter's.
func (p *parser) attrPath() (filter.AttributePath, error) {
	var path filter.AttributePath
	colon, open := -1, 0
	end := p.pos
scan:
	for ; end < len(p.s); end++ {
		switch c := p.s[end]; {
		case c == ':':
			colon = end
		case isNameChar(c) || c == '.' || c == '$':
		case colon < 0:
			break scan
		case c == '(':
			open++
		case c == ')' && open > 0:
			open--
		case strings.IndexByte("%/~@!&'*+,;=", c) < 0:
			break scan
		}
	}
	if colon >= 0 {
		if colon == p.pos {
			return path, p.wrong(p.pos, "a schema URN before the colon")
		}
		urn := p.s[p.pos:colon]
		path.URIPrefix = &urn
		p.pos = colon + 1
	}
	attr, sub, dotted := strings.Cut(p.s[p.pos:end], ".")
	var err error
	if path.AttributeName, err = p.name(p.pos + len(attr)); err != nil || !dotted {
		return path, err
	}
	p.pos++
	if sub, err = p.name(p.pos + len(sub)); err == nil {
		path.SubAttribute = &sub
	}
	return path, err
}

// name reads ATTRNAME up to end: an optional $, a letter, then letters, digits, - and _.
func (p *parser) name(end int) (string, error) {
	at := p.pos
	letters := strings.TrimPrefix(p.s[at:end], "$")
	if letters == "" || !isAlpha(letters[0]) {
		return "", p.wrong(at, "the name of an attribute")
	}
	for i := range len(letters) {
		if !isNameChar(letters[i]) {
			return "", p.wrong(end-len(letters)+i, "a name of letters, digits, - and _ with one dot at most")
		}
	}
	p.pos = end
	return p.s[at:end], nil
}

func (p *parser) nameEnd() int {
	end := p.pos
	for end < len(p.s) && (isNameChar(p.s[end]) || p.s[end] == '$') {
		end++
	}
	return end
}

func isNameChar(c byte) bool { return isAlpha(c) || isDigit(c) || c == '-' || c == '_' }
