package scim

import (
	"slices"
	"strings"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/schema"
)

// maxValues bounds the elements of one multi-valued attribute. Members are
// counted apart: they are rows, not part of a document.
const maxValues = 1000

// normalizer turns what came over the wire into canonical documents: canonical
// spelling, extension attributes nested under their URN, only what is assigned.
// RFC 7643 §2.5: null and the empty array are the same as absent. In compat the
// empty string is too, because that is how Entra ID and Okta clear a value.
type normalizer struct {
	c *Compiled
	q Quirks
}

// target is what a name points to: an attribute, a sub-attribute of it, or (attr
// is nil) a whole extension.
type target struct {
	urn  string
	attr *Attr
	sub  *Attr
}

// resource normalizes the body of a POST or PUT.
func (n normalizer) resource(raw map[string]any) (scim.ResourceAttributes, error) {
	if err := n.schemas(raw); err != nil {
		return nil, err
	}
	doc := scim.ResourceAttributes{}
	for _, name := range sortedNames(raw) {
		if strings.EqualFold(name, "schemas") {
			continue
		}
		t, ok := n.resolve(name)
		if !ok {
			if err := n.unknown(doc, name, raw[name]); err != nil {
				return nil, err
			}
			continue
		}
		if err := n.assign(doc, t, name, raw[name]); err != nil {
			return nil, err
		}
	}
	if err := n.complete(doc, func(a *Attr) error { return invalidValue("%s is required.", a.Path()) }); err != nil {
		return nil, err
	}
	return doc, n.check(doc)
}

// sortedNames are the names of an object in order, so that a refusal names the same one
// each time.
func sortedNames(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// schemas checks the attribute that every resource must have (RFC 7643 §3).
func (n normalizer) schemas(raw map[string]any) error {
	list, err := stringsOf(raw, "schemas")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return invalidSyntax(`"schemas" is missing. Send "schemas": [%q].`, n.c.URN)
	}
	core := false
	for _, urn := range list {
		known, ok := n.urn(urn)
		if !ok && n.q.UnknownSchemas == rejectIt {
			return invalidSyntax("%q is not a schema of this resource; see /ResourceTypes.", urn)
		}
		core = core || known == n.c.URN
	}
	if n.q.Strict && !core {
		return invalidSyntax(`"schemas" must contain %q.`, n.c.URN)
	}
	return nil
}

// stringsOf reads a list of strings, or one string, under a name in any case.
func stringsOf(raw map[string]any, name string) ([]string, error) {
	_, v := anyCase(raw, name)
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, invalidSyntax("%q must be a list of strings.", name)
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, invalidSyntax("%q must be a list of strings.", name)
}

// anyCase finds name in an object without regard to case.
func anyCase(raw map[string]any, name string) (string, any) {
	if v, ok := raw[name]; ok {
		return name, v
	}
	for k, v := range raw {
		if strings.EqualFold(k, name) {
			return k, v
		}
	}
	return "", nil
}

// urn gives the canonical spelling of one of the resource's schemas.
func (n normalizer) urn(s string) (string, bool) {
	for _, urn := range n.c.URNs() {
		if strings.EqualFold(s, urn) {
			return urn, true
		}
	}
	return "", false
}

// resolve finds what a name means: userName, name.givenName,
// urn:...:User, urn:...:User:department, urn:...:User:manager.value, and with a dot
// after the URN, as Microsoft's collection has it (AzureAD/SCIMReferenceCode).
func (n normalizer) resolve(name string) (target, bool) {
	urn, rest := "", name
	for _, u := range n.c.URNs() {
		if len(name) < len(u) || !strings.EqualFold(name[:len(u)], u) {
			continue
		}
		if len(name) == len(u) {
			return target{urn: u}, true
		}
		if c := name[len(u)]; c == ':' || c == '.' {
			urn, rest = u, name[len(u)+1:]
			break
		}
	}
	attr, sub, dotted := strings.Cut(rest, ".")
	a, ok := n.c.Find(urn, attr, "")
	if !ok || !dotted {
		return target{urn: urn, attr: a}, ok
	}
	s, ok := n.c.Find(urn, attr, sub)
	return target{urn: urn, attr: a, sub: s}, ok
}

// unknown is what happens to a name that no schema has, in a document.
func (n normalizer) unknown(doc map[string]any, name string, raw any) error {
	if n.q.UnknownAttributes == storeIt {
		return n.keep(doc, name, raw)
	}
	return n.unnamed(name)
}

// unnamed refuses a name that no schema has, or leaves it out.
func (n normalizer) unnamed(name string) error {
	if n.q.UnknownAttributes == rejectIt {
		return invalidSyntax("%q is not an attribute of this resource; see /Schemas.", name)
	}
	return nil
}

// assign puts a wire value into doc. Read-only attributes are ignored, as RFC
// 7644 §3.3 and §3.5.1 ask for.
func (n normalizer) assign(doc map[string]any, t target, name string, raw any) error {
	if t.attr == nil {
		return n.extension(doc, t.urn, name, raw)
	}
	drop, err := n.unwritable(t)
	if err == nil && drop && isPassword(t) {
		_, err = passwordText(raw) // left out, but not whatever it is
	}
	if err != nil || drop {
		return err
	}
	in := container(doc, t.attr, true)
	if t.sub != nil {
		v, err := n.value(t.sub, raw)
		if err != nil || v == nil {
			return err
		}
		return graft(in, t.attr, name, map[string]any{t.sub.Name: v})
	}
	v, err := n.value(t.attr, raw)
	if err != nil || v == nil {
		return err
	}
	return graft(in, t.attr, name, v)
}

// extension takes the nested form {"urn:...:User": {...}}.
func (n normalizer) extension(doc map[string]any, urn, name string, raw any) error {
	if raw == nil || raw == "" && !n.q.Strict {
		return nil
	}
	fields, ok := raw.(map[string]any)
	if !ok {
		return invalidValue("%q holds attributes: want an object.", name)
	}
	for _, field := range sortedNames(fields) {
		t, ok := n.resolve(urn + ":" + field)
		if !ok {
			if err := n.unknown(doc, urn+":"+field, fields[field]); err != nil {
				return err
			}
			continue
		}
		if err := n.assign(doc, t, urn+":"+field, fields[field]); err != nil {
			return err
		}
	}
	return nil
}

// graft sets an attribute that two spellings may name in parts (name and
// name.givenName, nested and flat extension).
func graft(in map[string]any, a *Attr, name string, v any) error {
	old, twice := in[a.Name]
	if !twice {
		in[a.Name] = v
		return nil
	}
	have, ok := old.(map[string]any)
	add, isMap := v.(map[string]any)
	if !ok || !isMap {
		return invalidSyntax("%q gives an attribute a second time, in another spelling.", name)
	}
	for k, v := range add {
		if _, ok := have[k]; ok {
			return invalidSyntax("%q gives %s.%s a second time, in another spelling.", name, a.Name, k)
		}
		have[k] = v
	}
	return nil
}

// container is the object that holds a: the document, or the extension in it.
// Without create it may be nil, which reads as empty.
func container(doc map[string]any, a *Attr, create bool) map[string]any {
	if !a.Extension() {
		return doc
	}
	in, _ := doc[a.URN].(map[string]any)
	if in == nil && create {
		in = map[string]any{}
		doc[a.URN] = in
	}
	return in
}

// unwritable tells that a value for t is left out, or refused.
func (n normalizer) unwritable(t target) (drop bool, err error) {
	if t.attr.Name == "password" && !t.attr.Extension() {
		if n.q.PasswordHandling == rejectIt {
			return true, invalidSyntax("password is not accepted: people sign in elsewhere. Remove it from the attribute mapping.")
		}
		return true, nil
	}
	return t.attr.Mutability == readOnly || t.sub != nil && t.sub.Mutability == readOnly, nil
}

// complete asks refuse about each required attribute that a document does not have.
func (n normalizer) complete(doc map[string]any, refuse func(*Attr) error) error {
	for _, a := range n.c.Required() {
		if in := container(doc, a, false); in[a.Name] == nil && a.Mutability != readOnly {
			if err := refuse(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// check is what must hold of a whole document: the library's own validation
// (schema.Schema.Validate), which knows nothing of quirks.
func (n normalizer) check(doc map[string]any) error {
	for urn, v := range doc {
		if in, ok := v.(map[string]any); ok && len(in) == 0 && strings.HasPrefix(urn, "urn:") {
			delete(doc, urn)
		}
	}
	if n.q.UnknownAttributes == storeIt {
		if err := n.checkStrays(doc); err != nil {
			return err
		}
	}
	for _, s := range n.c.Schemas() {
		part := doc
		if s.ID != n.c.URN {
			in, ok := doc[s.ID].(map[string]any)
			if !ok {
				continue
			}
			part = in
		}
		if n.c.fits(s.ID, part) {
			continue
		}
		if own, ok := n.c.lenient[s.ID]; ok {
			s = own
		}
		if err := validate(s, part); err != nil {
			return err
		}
	}
	return nil
}

func validate(s schema.Schema, part map[string]any) error {
	if _, err := s.Validate(part); err != nil {
		return invalidValue("The values do not fit the schema %s.", s.ID)
	}
	return nil
}
