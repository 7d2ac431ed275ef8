package saml

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// canonical writes el by Exclusive XML Canonicalization 1.0 without comments, as
// if skip, a child of it, were not there. inclusive are the prefixes of an
// InclusiveNamespaces list, "" for #default.
//
// goxmldsig canonicalizes too, with six times the allocations: it copies the tree
// once for each signature, once for the transform and once for the look-up of the
// signature. A fault in here can refuse a good signature but accept no bad one,
// because verify reads on in the bytes that were digested and nowhere else.
func canonical(el, skip *etree.Element, inclusive []string) []byte {
	c := canonicalizer{skip: skip, inclusive: inclusive, scope: append(make([]binding, 0, 16), binding{"xml", nsXML})}
	if parent := el.Parent(); parent != nil {
		c.scope = append(c.scope, scopeOf(parent)...)
	}
	c.out.Grow(4 << 10)
	c.element(el)
	return c.out.Bytes()
}

// canonicalizer is the state of one run. Both lists are stacks: an element takes
// off at its end what it has put on.
type canonicalizer struct {
	skip      *etree.Element
	inclusive []string
	scope     []binding // declared here and around
	rendered  []binding // written on the elements that are open
	out       bytes.Buffer
	attrs     []sortedAttr // used again by each element
}

// sortedAttr is an attribute and the key of its place.
type sortedAttr struct {
	uri string
	*etree.Attr
}

func (c *canonicalizer) element(el *etree.Element) {
	scope, rendered := len(c.scope), len(c.rendered)
	c.attrs = c.attrs[:0]
	for i := range el.Attr {
		switch a := &el.Attr[i]; {
		case a.Space == "xmlns":
			c.scope = append(c.scope, binding{a.Key, a.Value})
		case a.Space == "" && a.Key == "xmlns":
			c.scope = append(c.scope, binding{"", a.Value})
		default:
			c.attrs = append(c.attrs, sortedAttr{"", a})
		}
	}
	c.declare(el.Space)
	for i, a := range c.attrs {
		if a.Space != "" {
			c.attrs[i].uri, _ = lookUp(c.scope, a.Space)
			c.declare(a.Space)
		}
	}
	for _, prefix := range c.inclusive {
		c.declare(prefix)
	}
	c.name('<', el)
	fresh := c.rendered[rendered:]
	slices.SortFunc(fresh, func(a, b binding) int { return strings.Compare(a.prefix, b.prefix) })
	for _, b := range fresh {
		c.out.WriteString(" xmlns")
		if b.prefix != "" {
			c.out.WriteByte(':')
			c.out.WriteString(b.prefix)
		}
		c.value(b.uri)
	}
	slices.SortFunc(c.attrs, func(a, b sortedAttr) int {
		return cmp.Or(strings.Compare(a.uri, b.uri), strings.Compare(a.Key, b.Key))
	})
	for _, a := range c.attrs {
		c.out.WriteByte(' ')
		if a.Space != "" {
			c.out.WriteString(a.Space)
			c.out.WriteByte(':')
		}
		c.out.WriteString(a.Key)
		c.value(a.Value)
	}
	c.out.WriteByte('>')
	for _, child := range el.Child {
		switch child := child.(type) {
		case *etree.Element:
			if child != c.skip {
				c.element(child)
			}
		case *etree.CharData:
			escape(&c.out, child.Data, false)
		}
	}
	c.out.WriteByte('<')
	c.name('/', el)
	c.out.WriteByte('>')
	c.scope, c.rendered = c.scope[:scope], c.rendered[:rendered]
}

// declare renders the declaration of a prefix that is used here, unless an open
// element has said the same.
func (c *canonicalizer) declare(prefix string) {
	uri, known := lookUp(c.scope, prefix)
	if prefix == "xml" || !known && prefix != "" {
		return
	}
	// No default namespace at all is the same as an empty one.
	if said, _ := lookUp(c.rendered, prefix); said != uri {
		c.rendered = append(c.rendered, binding{prefix, uri})
	}
}

// lookUp finds the innermost declaration of a prefix.
func lookUp(list []binding, prefix string) (uri string, ok bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].prefix == prefix {
			return list[i].uri, true
		}
	}
	return "", false
}

func (c *canonicalizer) name(before byte, el *etree.Element) {
	c.out.WriteByte(before)
	if el.Space != "" {
		c.out.WriteString(el.Space)
		c.out.WriteByte(':')
	}
	c.out.WriteString(el.Tag)
}

func (c *canonicalizer) value(s string) {
	c.out.WriteString(`="`)
	escape(&c.out, s, true)
	c.out.WriteByte('"')
}

// escape writes text as Canonical XML 1.0 §2.3 says; quoted is the form for
// attribute values.
func escape(out *bytes.Buffer, s string, quoted bool) {
	from := 0
	for i := 0; i < len(s); i++ {
		var with string
		switch b := s[i]; {
		case b == '&':
			with = "&amp;"
		case b == '<':
			with = "&lt;"
		case b == '\r':
			with = "&#xD;"
		case b == '>' && !quoted:
			with = "&gt;"
		case b == '"' && quoted:
			with = "&quot;"
		case b == '\t' && quoted:
			with = "&#x9;"
		case b == '\n' && quoted:
			with = "&#xA;"
		default:
			continue
		}
		out.WriteString(s[from:i])
		out.WriteString(with)
		from = i + 1
	}
	out.WriteString(s[from:])
}
