package scim

import (
	"reflect"

	"github.com/muster-id/muster/store"
)

// kept are the values of an organization's own attributes that a directory may not
// change at will, as they were before a change: readOnly and immutable ones, and those
// that are required.
type kept map[*Attr]any

// remember copies them. A nil doc has none.
func (c *Compiled) remember(doc map[string]any) kept {
	if len(c.guarded) == 0 && len(c.must) == 0 {
		return nil
	}
	k := kept{}
	for _, list := range [][]*Attr{c.guarded, c.required} {
		for _, a := range list {
			if v := container(doc, a, false)[a.Name]; v != nil {
				k[a] = fresh(v)
			}
		}
	}
	return k
}

// guard puts back what is readOnly, whatever happened to it, and refuses to change what
// is immutable and has a value (RFC 7643 §7). A PUT that says nothing about it leaves
// it alone (RFC 7644 §3.5.1); a PATCH can lose it with the whole extension.
func (c *Compiled) guard(doc map[string]any, was kept, put bool) error {
	for _, a := range c.guarded {
		old, now := was[a], container(doc, a, false)[a.Name]
		switch {
		case reflect.DeepEqual(old, now):
		case a.Mutability == readOnly && old == nil:
			delete(container(doc, a, false), a.Name)
		case a.Mutability == readOnly, put && now == nil:
			container(doc, a, true)[a.Name] = old
		case old != nil:
			return mutability("%s cannot be changed once it is set.", a.Path())
		}
	}
	return nil
}

// replaced is a document that a PUT has sent, with what the client cannot take away
// from old.
func (c *Compiled) replaced(sent store.Doc, old func() (store.Doc, error)) (store.Doc, error) {
	if len(c.guarded) == 0 {
		return sent, nil
	}
	before, err := old()
	if err != nil {
		return nil, err
	}
	doc := fresh(sent).(map[string]any) // for one attempt: another one may find other values
	return doc, c.guard(doc, c.remember(before), true)
}
