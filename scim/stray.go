package scim

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/elimity-com/scim"
	filter "github.com/scim2/filter-parser/v2"
)

// Stray attributes are those that no schema of the resource has. A directory whose
// unknownAttributes is store keeps them in the document as they came:
//
//	{"shoeSize": 9}                         at the top
//	{"urn:acme:1.0:User": {"badge": "7"}}   under a URN that is no schema here
//	{"urn:...:enterprise:2.0:User": {...}}  in a declared extension
//	{"name": {"petName": "Jo"}}             in a declared complex attribute
//
// They are returned, can be chosen with attributes, and PATCH reaches them by a path
// of names. A filter in the path, or a step through something that has several
// values or none, is refused, because only a schema could say what is meant. They
// are in no /Schemas, filters on them are invalidFilter, and a declared name is
// never one of them. PUT without them removes them; null and [] are no value.

// Bounds of all of them in one resource.
const (
	maxStrays     = 100
	maxStrayBytes = 16 << 10
	maxStrayDepth = 6
)

// strayName is RFC 7643 §2.1's ATTRNAME, with the $ of $ref.
var strayName = regexp.MustCompile(`^[A-Za-z$][A-Za-z0-9_$-]{0,99}$`)

// strayKeys are the names from the document down to a stray attribute. An unknown
// URN with an object is an extension as a whole; with anything else its last part
// is an attribute.
func (n normalizer) strayKeys(name string, object bool) ([]string, error) {
	keys := []string{}
	rest := name
	for _, u := range n.c.URNs() {
		if len(name) > len(u) && strings.EqualFold(name[:len(u)], u) && (name[len(u)] == ':' || name[len(u)] == '.') {
			if rest = name[len(u)+1:]; u != n.c.URN {
				keys = append(keys, u)
			}
		}
	}
	if rest == name && len(name) > 4 && strings.EqualFold(name[:4], "urn:") {
		at := strings.LastIndexByte(name, ':')
		if object {
			return []string{name}, nil
		}
		keys, rest = append(keys, name[:at]), name[at+1:]
	}
	for i, c := range name {
		if t, ok := n.resolve(name[:i]); ok && c == '.' && t.attr != nil && (t.sub != nil || t.attr.Type != typeComplex || t.attr.MultiValued || t.attr.Mutability == readOnly) {
			return nil, invalidPath("%.200q: %s has no attributes of its own that could be changed by name.", name, t.attr.Path())
		}
	}
	for part := range strings.SplitSeq(rest, ".") {
		if !strayName.MatchString(part) {
			return nil, invalidSyntax("%.200q is not the name of an attribute.", name)
		}
		keys = append(keys, part)
	}
	return keys, nil
}

// keep puts a stray attribute of a POST or PUT into doc.
func (n normalizer) keep(doc map[string]any, name string, raw any) error {
	_, object := raw.(map[string]any)
	keys, err := n.strayKeys(name, object)
	if err != nil {
		return err
	}
	if old, twice := strayAt(doc, keys); twice && old != nil {
		return invalidSyntax("%q gives an attribute a second time, in another spelling.", name)
	}
	return n.setStray(doc, scim.PatchOperationReplace, name, keys, raw)
}

// strayAt follows names without regard to case.
func strayAt(doc map[string]any, keys []string) (v any, ok bool) {
	in := doc
	for i, key := range keys {
		name, v := anyCase(in, key)
		if name == "" {
			return nil, false
		}
		if i == len(keys)-1 {
			return v, true
		}
		if in, ok = v.(map[string]any); !ok {
			return nil, false
		}
	}
	return nil, false
}

// stray compiles an operation of a PATCH on a path that no schema has.
func (p *plan) stray(op scim.PatchOperation, path string) error {
	if op.Path.ValueExpression != nil || hasFilter(op.Path) {
		return invalidPath("%s: no schema says what a filter on this attribute would mean. Replace all of it.", path)
	}
	_, object := op.Value.(map[string]any)
	if op.Op == scim.PatchOperationRemove && op.Value != nil {
		return invalidSyntax("remove takes no value.")
	}
	keys, err := p.n.strayKeys(path, object)
	if err != nil {
		return err
	}
	p.steps = append(p.steps, step{op: op.Op, path: path, stray: keys, value: op.Value})
	return nil
}

func hasFilter(path *filter.Path) bool { return path.SubAttribute != nil }

// setStray assigns, adds to or removes one stray attribute.
func (n normalizer) setStray(doc map[string]any, op, path string, keys []string, value any) error {
	if list, ok := value.([]any); ok && len(list) == 0 {
		value = nil
	}
	if (op == scim.PatchOperationRemove || value == nil) && len(keys) == 2 && lookupWhole(doc, path) {
		keys = []string{path} // a whole URN that is there
	}
	in, last := doc, keys[len(keys)-1]
	for i, key := range keys[:len(keys)-1] {
		name, v := n.spelled(in, key, i == 0)
		next, ok := v.(map[string]any)
		switch {
		case ok:
		case v != nil:
			return invalidPath("%s: %s has no attributes of its own that could be changed by name.", path, name)
		case value == nil || op == scim.PatchOperationRemove:
			return nil
		default:
			next = map[string]any{}
			in[name] = next
		}
		defer func(in map[string]any) {
			if len(next) == 0 {
				delete(in, name)
			}
		}(in)
		in = next
	}
	name, old := anyCase(in, last)
	if name == "" {
		name = last
	}
	switch {
	case op == scim.PatchOperationRemove || value == nil && op == scim.PatchOperationReplace:
		delete(in, name)
	case value == nil:
	case op == scim.PatchOperationAdd:
		in[name] = added(old, value)
	default:
		in[name] = value
	}
	return nil
}

// lookupWhole tells whether the document has the whole name as one key.
func lookupWhole(doc map[string]any, name string) bool {
	key, _ := anyCase(doc, name)
	return key != ""
}

// spelled is a key as the document or the schema spells it, and what is there.
func (n normalizer) spelled(in map[string]any, key string, top bool) (string, any) {
	if name, v := anyCase(in, key); name != "" {
		return name, v
	}
	if a, ok := n.c.Find("", key, ""); ok && top {
		return a.Name, nil
	}
	return key, nil
}

// added is RFC 7644 §3.5.2.1 as far as it goes without a schema: lists grow by what
// they do not have, objects take over what is named, all else is replaced.
func added(old, value any) any {
	switch o := old.(type) {
	case []any:
		more, ok := value.([]any)
		if !ok {
			more = []any{value}
		}
		for _, v := range more {
			text := string(appendJSON(nil, v))
			if !slices.ContainsFunc(o, func(e any) bool { return string(appendJSON(nil, e)) == text }) {
				o = append(o, v)
			}
		}
		return o
	case map[string]any:
		if fields, ok := value.(map[string]any); ok {
			for k, v := range fields {
				name, _ := anyCase(o, k)
				if name == "" {
					name = k
				}
				o[name] = v
			}
			return o
		}
	}
	return value
}

// checkStrays holds the stray attributes of a document to their bounds.
func (n normalizer) checkStrays(doc map[string]any) error {
	count, size := 0, 0
	check := func(name string, v any) error {
		if secretName.MatchString(name) {
			return invalidSyntax("%s sounds like a secret, which is not kept where everybody who reads the resource sees it.", name)
		}
		count++
		size += len(name) + len(appendJSON(nil, v))
		return n.checkStray(name, v, 1)
	}
	if err := n.eachStray(doc, check); err != nil {
		return err
	}
	if count > maxStrays || size > maxStrayBytes {
		return invalidValue("The attributes that no schema has are %d with %d bytes; at most %d with %d bytes are kept.", count, size, maxStrays, maxStrayBytes)
	}
	return nil
}

// eachStray visits the stray attributes, wherever they stand.
func (n normalizer) eachStray(doc map[string]any, visit func(name string, v any) error) error {
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		v := doc[name]
		a, declared := n.c.Find("", name, "")
		urn, extension := n.urn(name)
		var err error
		switch fields, _ := v.(map[string]any); {
		case declared:
			err = straysIn(a, v, visit)
		case extension && fields != nil:
			for _, k := range slices.Sorted(maps.Keys(fields)) {
				if inner, ok := n.c.Find(urn, k, ""); ok {
					err = straysIn(inner, fields[k], visit)
				} else {
					err = visit(urn+":"+k, fields[k])
				}
				if err != nil {
					return err
				}
			}
		default:
			err = visit(name, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// straysIn visits the stray sub-attributes of a declared attribute's value.
func straysIn(a *Attr, v any, visit func(name string, v any) error) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := straysIn(a, e, visit); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if a.subOf(k) == nil {
				if err := visit(a.Path()+"."+k, v[k]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkStray looks into a value: how deep it is, whether its numbers can be kept, and
// that no name in it sounds like a secret or is a schema's, by which answers tell
// which schemas a resource has.
func (n normalizer) checkStray(name string, v any, depth int) error {
	if depth > maxStrayDepth {
		return invalidValue("%s is nested deeper than the %d levels that are kept of an attribute that no schema has.", name, maxStrayDepth)
	}
	switch v := v.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil || len(v) > 40 {
			return invalidValue("%s has a number that cannot be kept: %s.", name, show(v))
		}
	case []any:
		for _, e := range v {
			if err := n.checkStray(name, e, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if _, schema := n.urn(k); schema || secretName.MatchString(k) {
				return invalidSyntax("%s has %.100q inside, which cannot stand there.", name, k)
			}
			if err := n.checkStray(name, e, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidy leaves out what a document has of an extension but cannot have: a stray value
// that was kept before a schema said what it must be. Everything that a request
// brings is read by the schema before, so only what was stored can be so.
func (n normalizer) tidy(doc map[string]any) (changed bool) {
	for _, urn := range n.c.URNs()[1:] {
		fields, _ := doc[urn].(map[string]any)
		for name, v := range fields {
			a, declared := n.c.Find(urn, name, "")
			if !declared {
				continue
			}
			if read, err := n.value(a, v); err != nil || read == nil {
				delete(fields, name)
				changed = true
			}
		}
	}
	return changed
}
