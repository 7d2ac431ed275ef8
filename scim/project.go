package scim

import (
	"strings"
)

// Projection is what a client wants to see of a resource (RFC 7644 §3.9). The zero
// Projection is everything.
type Projection struct {
	c        *Compiled
	only     bool            // attributes=: nothing but these
	named    map[*Attr]bool  // attributes and sub-attributes that were named
	parents  map[*Attr]bool  // attributes of which a sub-attribute was named
	wholeURN map[string]bool // extensions that were named as a whole
	strays   map[string]bool // names that no schema has, in small letters
	sent     bool            // the client has sent the resource: what is returned on request is shown too
}

// ParseProjection reads attributes and excludedAttributes, which exclude each
// other. Names that no schema has choose what the document has under them, and a
// filter in brackets after a name is passed over: Microsoft's collection sends emails[type eq "work"].
func ParseProjection(attributes, excluded string, c *Compiled) (Projection, error) {
	list := attributes
	if attributes != "" && excluded != "" {
		return Projection{}, invalidValue("attributes and excludedAttributes exclude each other: send one of them.")
	}
	if attributes == "" {
		list = excluded
	}
	if len(list) > maxFilterBytes {
		return Projection{}, invalidValue("The list of attributes has %d bytes; at most %d are read.", len(list), maxFilterBytes)
	}
	if strings.TrimSpace(list) == "" {
		if c.veiled {
			return Projection{c: c}, nil
		}
		return Projection{}, nil
	}
	p := Projection{c: c, only: attributes != "", named: map[*Attr]bool{}}
	for _, name := range splitNames(list) {
		p.add(name)
	}
	return p, nil
}

// splitNames cuts at the commas that are not inside brackets.
func splitNames(list string) []string {
	var out []string
	start, depth, quoted := 0, 0, false
	for i := range len(list) {
		switch c := list[i]; {
		case c == '"' && depth > 0:
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth <= 0:
			out = append(out, list[start:i])
			start = i + 1
		}
	}
	return append(out, list[start:])
}

// mark makes the map when something comes into it: most stay empty.
func mark[K comparable](m *map[K]bool, key K) {
	if *m == nil {
		*m = map[K]bool{}
	}
	(*m)[key] = true
}

func (p *Projection) add(name string) {
	name = strings.TrimSpace(name)
	for _, urn := range p.c.URNs() {
		if strings.EqualFold(urn, name) {
			mark(&p.wholeURN, urn)
			return
		}
	}
	path, err := ParsePath(name, ParseOptions{UnquotedValues: true})
	if err != nil {
		return
	}
	sub := path.AttributePath.SubAttributeName()
	if path.SubAttribute != nil {
		sub = *path.SubAttribute
	}
	a, ok := p.c.Find(path.AttributePath.URI(), path.AttributePath.AttributeName, sub)
	if !ok {
		mark(&p.strays, strings.ToLower(name))
		return
	}
	p.named[a] = true
	if a.Parent != nil {
		mark(&p.parents, a.Parent)
	}
}

// written is the projection of an answer to a POST, PUT or PATCH: what is returned on
// request is in it (RFC 7643 §7), though a PATCH may not have been about it.
func (p Projection) written() Projection {
	p.sent = true
	return p
}

// All tells that nothing is left out, so that stored bytes can go out as they are.
func (p Projection) All() bool { return p.c == nil }

// whole tells that the stored document is shown as it is: nothing is left out, or
// nothing but what stands in other tables. Directories ask for
// excludedAttributes=members all the time.
func (p Projection) whole() bool {
	if p.All() {
		return true
	}
	if p.c.veiled {
		return false
	}
	for a := range p.named {
		if a.Name != "members" && a.Name != "groups" {
			return false
		}
	}
	return !p.only && len(p.wholeURN) == 0 && len(p.strays) == 0
}

// Wants tells whether a core attribute is shown, so that what is not shown is not
// read from the database either.
func (p Projection) Wants(name string) bool {
	if p.All() {
		return true
	}
	a, ok := p.c.Find("", name, "")
	return ok && p.attr(a)
}

// Names tells whether a sub-attribute was asked for by name.
func (p Projection) Names(attr, sub string) bool {
	if p.All() || !p.only {
		return false
	}
	a, ok := p.c.Find("", attr, sub)
	return ok && p.named[a]
}

// attr tells whether an attribute is shown, at least in part.
func (p Projection) attr(a *Attr) bool {
	switch {
	case a.Returned == returnedAlways:
		return true
	case a.Returned == returnedNever:
		return false
	case p.only:
		return p.named[a] || p.parents[a] || p.wholeURN[a.URN]
	case a.Returned == returnedRequest && !p.sent:
		return false
	}
	return !p.named[a] && !p.wholeURN[a.URN]
}

func (p Projection) sub(s *Attr) bool {
	switch {
	case s.Returned == returnedAlways:
		return true
	case s.Returned == returnedNever:
		return false
	case p.only:
		return p.named[s] || p.wholeURN[s.URN] || s.Returned != returnedRequest && p.named[s.Parent]
	case s.Returned == returnedRequest && !p.sent:
		return false
	}
	return !p.named[s]
}

// Apply takes what is not shown out of a resource in canonical form.
func (p Projection) Apply(doc map[string]any) {
	if p.All() {
		return
	}
	p.apply(doc, "")
	for _, urn := range p.c.URNs()[1:] {
		if in, ok := doc[urn].(map[string]any); ok {
			if p.apply(in, urn); len(in) == 0 {
				delete(doc, urn)
			}
		}
	}
}

func (p Projection) apply(in map[string]any, urn string) {
	for name, v := range in {
		a, ok := p.c.Find(urn, name, "")
		switch {
		case !ok && urn == "" && p.c.index[strings.ToLower(name)] != nil: // an extension
		case !ok:
			full := strings.TrimPrefix(urn+":"+name, ":")
			if p.c.leaving[strings.ToLower(full)] || p.strays[strings.ToLower(full)] != p.only { // named to be shown, or to be left out
				delete(in, name)
			}
		case !p.attr(a):
			delete(in, name)
		case len(a.Subs) > 0:
			p.inside(a, v)
		}
	}
}

func (p Projection) inside(a *Attr, v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			p.inside(a, e)
		}
	case map[string]any:
		for name := range v {
			s := a.subOf(name)
			if s == nil && p.only && !p.named[a] || s != nil && !p.sub(s) {
				delete(v, name)
			}
		}
	}
}
