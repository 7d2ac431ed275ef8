package saml

import (
	"fmt"
	"strings"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/sso/answer"
)

// scopeOf lists the declarations in scope at el, outer ones first, el's own included.
func scopeOf(el *etree.Element) []binding {
	var chain []*etree.Element
	for e := el; e != nil; e = e.Parent() {
		chain = append(chain, e)
	}
	var out []binding
	for i := len(chain) - 1; i >= 0; i-- {
		for _, a := range chain[i].Attr {
			switch {
			case a.Space == "xmlns":
				out = append(out, binding{a.Key, a.Value})
			case a.Space == "" && a.Key == "xmlns":
				out = append(out, binding{"", a.Value})
			}
		}
	}
	return out
}

// inherit declares on el, which has no parent, what scope has and el has not.
func inherit(el *etree.Element, scope []binding) {
	declared := map[string]bool{}
	for _, b := range scopeOf(el) {
		declared[b.prefix] = true
	}
	for i := len(scope) - 1; i >= 0; i-- { // inner ones hide outer ones
		b := scope[i]
		if declared[b.prefix] {
			continue
		}
		declared[b.prefix] = true
		switch {
		case b.prefix != "":
			el.Attr = append(el.Attr, etree.Attr{Space: "xmlns", Key: b.prefix, Value: b.uri})
		case b.uri != "": // at the top, no default namespace needs no declaration
			el.Attr = append(el.Attr, etree.Attr{Key: "xmlns", Value: b.uri})
		}
	}
}

// isElement tells whether el has this full name.
func isElement(el *etree.Element, space, local string) bool {
	return el != nil && el.Tag == local && el.NamespaceURI() == space
}

// attr is the value of an attribute without a prefix. etree's own look-up takes
// the first of that name in any namespace.
func attr(el *etree.Element, name string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

// one is the only child of this name, nil when there is none. Two are refused:
// another reader could take the other one.
func one(el *etree.Element, space, local string) (*etree.Element, error) {
	var found *etree.Element
	for child := range el.ChildElementsSeq() {
		if child.Tag != local || !isElement(child, space, local) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("<%s> has two <%s>", el.Tag, local)
		}
		found = child
	}
	return found, nil
}

// hasElements tells whether el holds more than text.
func hasElements(el *etree.Element) bool {
	for range el.ChildElementsSeq() {
		return true
	}
	return false
}

// textOf is the trimmed text of an element that must have nothing but text.
func textOf(el *etree.Element) (string, error) {
	if el == nil {
		return "", nil
	}
	if hasElements(el) {
		return "", fmt.Errorf("<%s> must hold text only", answer.Clip(el.Tag, 80))
	}
	return strings.TrimSpace(el.Text()), nil
}

// childrenOf wants exactly the named children in this order; a name ending in
// "?" may be missing, its place is then nil.
func childrenOf(el *etree.Element, space string, names ...string) ([]*etree.Element, error) {
	children := el.ChildElements()
	out := make([]*etree.Element, len(names))
	for i, name := range names {
		bare, optional := strings.CutSuffix(name, "?")
		switch {
		case len(children) > 0 && isElement(children[0], space, bare):
			out[i], children = children[0], children[1:]
		case !optional:
			return nil, fmt.Errorf("<%s> has no <%s> where one belongs", el.Tag, bare)
		}
	}
	if len(children) > 0 {
		return nil, fmt.Errorf("<%s> has an unexpected <%s>", el.Tag, answer.Clip(children[0].Tag, 80))
	}
	return out, nil
}
