package scim

import (
	"slices"
	"strings"

	"github.com/elimity-com/scim"
	filter "github.com/scim2/filter-parser/v2"
)

const patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// maxSteps bounds the document changes of one PATCH. Member changes are counted
// by the body's size alone: they cost one row each.
const maxSteps = 1000

// maxWork bounds what filters in paths may cost, in elements looked at times
// the length of the path: a body can hold hundreds of long filters.
const maxWork = 1 << 24

// plan is a compiled PATCH. All of it is read and checked before any of it is
// applied (RFC 7644 §3.5.2: all or nothing), first to the document in memory;
// member changes are a set difference that never looks at the group's members.
type plan struct {
	n       normalizer
	steps   []step
	members memberChange

	password string // to be kept; empty: none was sent
}

// step is one change of the document.
type step struct {
	op     string // add, remove or replace
	path   string // as it was sent, for error sentences
	t      target
	filter filter.Expression // which elements; nil for all of them
	value  any               // canonical; nil clears
	stray  []string          // the names that lead to an attribute that no schema has; t is empty then
}

// compile reads a PATCH body.
func (n normalizer) compile(body map[string]any) (*plan, error) {
	urns, err := stringsOf(body, "schemas")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(urns, func(s string) bool { return strings.EqualFold(s, patchURN) }) {
		return nil, invalidSyntax(`A PATCH must have "schemas": [%q].`, patchURN)
	}
	_, raw := anyCase(body, "Operations")
	ops, ok := raw.([]any)
	if !ok || len(ops) == 0 {
		return nil, invalidSyntax(`A PATCH must have "Operations": a list of at least one operation.`)
	}
	p := &plan{n: n}
	for i, o := range ops {
		fields, ok := o.(map[string]any)
		if !ok {
			return nil, invalidSyntax("Operation %d is not an object.", i+1)
		}
		if err := p.operation(fields); err != nil {
			return nil, err
		}
		if len(p.steps) > maxSteps {
			return nil, invalidValue("The PATCH changes more than %d attributes. Split it.", maxSteps)
		}
	}
	return p, nil
}

// onlyActive tells that the plan does nothing but give active a value.
func (p *plan) onlyActive() (active, alone bool) {
	if len(p.steps) != 1 || p.password != "" {
		return false, false
	}
	s := p.steps[0]
	active, isBool := s.value.(bool)
	return active, isBool && s.op != scim.PatchOperationRemove && s.t.attr != nil && s.t.attr.Name == "active" && !s.t.attr.Extension()
}

// operation compiles one element of Operations.
func (p *plan) operation(fields map[string]any) error {
	_, rawOp := anyCase(fields, "op")
	word, _ := rawOp.(string)
	op := scim.PatchOperation{Op: strings.ToLower(word)} // Entra ID sends "Add"
	switch op.Op {
	case scim.PatchOperationAdd, scim.PatchOperationRemove, scim.PatchOperationReplace:
	default:
		return invalidSyntax("op is %s; it can be add, remove or replace.", show(rawOp))
	}
	var sent bool
	for k, v := range fields {
		if strings.EqualFold(k, "value") {
			op.Value, sent = v, true
		}
	}
	_, rawPath := anyCase(fields, "path")
	path, isText := rawPath.(string)
	switch {
	case rawPath != nil && !isText:
		return invalidPath("path must be text.")
	case path == "" && op.Op == scim.PatchOperationRemove:
		return noTarget("remove must have a path (RFC 7644 §3.5.2.2).")
	case path == "" && p.n.q.Strict:
		// draft-zollner-scim-interop-profile §6.5.1.1
		return invalidSyntax("Every operation must have a path.")
	case !sent && op.Op != scim.PatchOperationRemove:
		return invalidValue("%s %s has no value.", op.Op, path)
	case path == "":
		return p.pathless(op)
	}
	ast, err := ParsePath(path, ParseOptions{UnquotedValues: p.n.q.UnquotedFilterValues})
	if err != nil {
		return err
	}
	op.Path = &ast
	return p.targeted(op, path, false)
}

// pathless takes a value object whose names are paths: plain, dotted, with a URN,
// nested under a URN, with a filter (RFC 7644 §3.5.2.1; Okta, and Entra ID with
// aadOptscim062020). Read-only names are ignored, as in a PUT: Okta renames a
// group with {"id": ..., "displayName": ...}.
func (p *plan) pathless(op scim.PatchOperation) error {
	values, ok := op.Value.(map[string]any)
	if !ok {
		return invalidValue("%s without a path needs an object as its value.", op.Op)
	}
	for _, name := range sortedNames(values) {
		ast, err := ParsePath(name, ParseOptions{UnquotedValues: p.n.q.UnquotedFilterValues})
		if err != nil {
			if p.n.q.UnknownAttributes == storeIt {
				return invalidSyntax("%.200q is not the name of an attribute.", name)
			}
			if err := p.n.unnamed(name); err != nil {
				return err
			}
			continue
		}
		if err := p.targeted(scim.PatchOperation{Op: op.Op, Path: &ast, Value: values[name]}, name, true); err != nil {
			return err
		}
	}
	return nil
}

// targeted compiles an operation on one path. implied means that the path was a
// name in a value object.
func (p *plan) targeted(op scim.PatchOperation, path string, implied bool) error {
	t, ok := p.find(op.Path)
	if !ok {
		return p.unknown(op, path)
	}
	if t.attr == nil {
		return p.extension(op, t.urn, path, implied)
	}
	if strings.EqualFold(t.attr.Name, "schemas") {
		return p.schemas(op, implied)
	}
	drop, err := p.n.unwritable(t)
	switch {
	case err != nil:
		return err
	case drop && !implied && t.attr.Name != "password":
		return mutability("%s is read-only.", path)
	case drop && isPassword(t) && p.n.q.PasswordHandling == storeIt:
		return p.takePassword(op.Op, op.Value)
	case drop && isPassword(t):
		_, err := passwordText(op.Value) // left out, but not whatever it is
		return err
	case drop:
		return nil
	case t.attr.Name == "members" && !t.attr.Extension():
		return p.members.compile(p.n, op, path)
	}
	s := step{op: op.Op, path: path, t: t, filter: op.Path.ValueExpression}
	if s.filter != nil {
		if err := p.checkFilter(s); err != nil {
			return err
		}
	}
	return p.add(s, op.Value)
}

// unknown is what happens to a path that no schema has.
func (p *plan) unknown(op scim.PatchOperation, path string) error {
	if p.n.q.UnknownAttributes == storeIt {
		return p.stray(op, path)
	}
	return p.n.unnamed(path)
}

// find resolves a parsed path.
func (p *plan) find(path *filter.Path) (target, bool) {
	name := path.AttributePath.AttributeName
	if urn := path.AttributePath.URI(); urn != "" {
		name = urn + ":" + name
	}
	if sub := path.AttributePath.SubAttributeName(); sub != "" {
		name += "." + sub
	}
	if sub := path.SubAttributeName(); sub != "" {
		name += "." + sub
	}
	return p.n.resolve(name)
}

// checkFilter refuses filters that could never be evaluated.
func (p *plan) checkFilter(s step) error {
	a := s.t.attr
	if !a.MultiValued {
		return invalidPath("%s has no elements to choose from with a filter.", a.Path())
	}
	if p.n.q.Strict && s.t.sub == nil && s.op != scim.PatchOperationRemove {
		// draft-zollner-scim-interop-profile §6.5.2.2
		return invalidPath("%s must name a sub-attribute after the filter.", s.path)
	}
	_, err := MatchValue(s.filter, map[string]any{}, a)
	return err
}

// add appends the steps of one operation on an attribute.
func (p *plan) add(s step, raw any) error {
	if s.op == scim.PatchOperationRemove {
		return p.remove(s, raw)
	}
	a := s.t.attr
	if s.t.sub != nil {
		a = s.t.sub
	}
	// RFC 7644 §3.5.2.3: a complex value leaves the sub-attributes alone that it does
	// not name. The profile wants replace to replace (§6.5.2.1), and so does manager: a
	// new one has not the old one's $ref.
	fields, isObject := raw.(map[string]any)
	merges := s.op == scim.PatchOperationAdd || !p.n.q.Strict
	if isObject && a.Type == typeComplex && !a.MultiValued && (a.URN != enterpriseURN || a.Name != "manager") && merges {
		return p.fields(s, a, fields)
	}
	var err error
	if s.filter != nil && s.t.sub == nil && raw != nil { // one element
		s.value, err = p.n.single(a, raw)
	} else {
		s.value, err = p.n.value(a, raw)
	}
	if err != nil {
		return err
	}
	if s.value == nil && s.op == scim.PatchOperationAdd && a.MultiValued {
		return nil // adding nothing
	}
	p.steps = append(p.steps, s)
	return nil
}

// fields is one step for each sub-attribute that an object names.
func (p *plan) fields(s step, a *Attr, fields map[string]any) error {
	for _, name := range sortedNames(fields) {
		sub := a.subOf(name)
		if sub == nil {
			if err := p.unknown(scim.PatchOperation{Op: s.op, Path: &filter.Path{}, Value: fields[name]}, a.Path()+"."+name); err != nil {
				return err
			}
			continue
		}
		if sub.Mutability == readOnly {
			continue
		}
		v, err := p.n.value(sub, fields[name])
		if err != nil {
			return err
		}
		p.steps = append(p.steps, step{op: s.op, path: s.path + "." + name, t: target{attr: a, sub: sub}, value: v})
	}
	return nil
}

// remove compiles "remove". A value with it names the elements to remove, which
// RFC 7644 does not know; taken literally all of them would go.
func (p *plan) remove(s step, raw any) error {
	empty := raw == nil || raw == ""
	if list, ok := raw.([]any); ok && len(list) == 0 {
		empty = !p.n.q.RemoveWithValueArray
	}
	if empty || !s.t.attr.MultiValued || s.filter != nil || s.t.sub != nil {
		p.steps = append(p.steps, s)
		return nil
	}
	if !p.n.q.RemoveWithValueArray {
		return invalidSyntax("remove takes no value. Choose elements with a filter: %s[value eq \"...\"].", s.path)
	}
	v, err := p.n.value(s.t.attr, raw)
	if err != nil || v == nil { // it names none of the values
		return err
	}
	s.value = v
	p.steps = append(p.steps, s)
	return nil
}

// extension compiles an operation on all of an extension. By path, replace
// replaces it; as a name in a value object each attribute is on its own.
func (p *plan) extension(op scim.PatchOperation, urn, path string, implied bool) error {
	if urn == p.n.c.URN || op.Path.ValueExpression != nil {
		return invalidPath("%s names no attribute.", path)
	}
	whole := step{op: scim.PatchOperationRemove, path: path, t: target{urn: urn}}
	if op.Op == scim.PatchOperationRemove || op.Value == nil || op.Value == "" {
		p.steps = append(p.steps, whole)
		return nil
	}
	fields, ok := op.Value.(map[string]any)
	if !ok {
		return invalidValue("%s holds attributes: want an object.", path)
	}
	if op.Op == scim.PatchOperationReplace && !implied {
		p.steps = append(p.steps, whole)
	}
	for _, name := range sortedNames(fields) {
		full := urn + ":" + name
		t, ok := p.n.resolve(full)
		if !ok || t.attr == nil {
			if err := p.unknown(scim.PatchOperation{Op: op.Op, Path: &filter.Path{}, Value: fields[name]}, full); err != nil {
				return err
			}
			continue
		}
		if drop, err := p.n.unwritable(t); err != nil || drop {
			continue
		}
		if err := p.add(step{op: op.Op, path: full, t: t}, fields[name]); err != nil {
			return err
		}
	}
	return nil
}

// schemas follow from the document, so naming a known one changes nothing.
func (p *plan) schemas(op scim.PatchOperation, implied bool) error {
	if implied {
		return nil
	}
	if op.Op == scim.PatchOperationRemove {
		return mutability("schemas follows from the attributes; remove those.")
	}
	urns, err := stringsOf(map[string]any{"schemas": op.Value}, "schemas")
	if err != nil {
		return err
	}
	for _, urn := range urns {
		if _, ok := p.n.urn(urn); !ok && p.n.q.UnknownSchemas == rejectIt {
			return invalidValue("%q is not a schema of this resource; see /ResourceTypes.", urn)
		}
	}
	return nil
}
