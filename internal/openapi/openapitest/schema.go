package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/constant"
	"go/types"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// schema is a JSON Schema (2020-12) as far as our types need it.
type schema struct {
	kind      string // object, array, string, integer, number, boolean; empty: anything
	ref       string // a component
	says      string
	enum      []string
	pattern   string
	format    string
	fields    []field
	elem      *schema // of an array, or the values of a map
	nullable  bool
	closed    bool     // a field that is not named is refused
	needed    []string // fields of a body that must be there
	any       []*schema
	minimum   *int
	maximum   *int
	otherwise any // the default
}

type field struct {
	name     string
	of       *schema
	required bool
}

func (s *schema) add(f field) {
	if f.of == nil {
		f.of = &schema{}
	}
	for i, old := range s.fields {
		if old.name == f.name {
			s.fields[i].of = old.of.or(f.of)
			return
		}
	}
	s.fields = append(s.fields, f)
}

// pairs is an object whose members stay in their order.
type pairs []pair

type pair struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o pairs) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := plain(p.name)
		if err != nil {
			return nil, err
		}
		value, err := plain(p.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// plain is JSON for people: < stays <.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// MarshalJSON writes the schema.
func (s *schema) MarshalJSON() ([]byte, error) {
	o := pairs{}
	put := func(name string, value any) { o = append(o, pair{name, value}) }
	if s.says != "" {
		put("description", s.says)
	}
	switch {
	case s.ref != "" && s.nullable:
		put("anyOf", []any{pairs{{"$ref", "#/components/schemas/" + s.ref}}, pairs{{"type", "null"}}})
		return plain(o)
	case s.ref != "":
		put("$ref", "#/components/schemas/"+s.ref)
		if s.needed != nil { // beside those of the component, which other bodies may have, too
			put("required", s.needed)
		}
		return plain(o)
	case len(s.any) > 0:
		put("anyOf", s.any)
		return plain(o)
	case s.kind != "" && s.nullable:
		put("type", []string{s.kind, "null"})
	case s.kind != "":
		put("type", s.kind)
	}
	if s.enum != nil {
		put("enum", s.enum)
	}
	for _, c := range []pair{{"format", s.format}, {"pattern", s.pattern}} {
		if c.value != "" {
			o = append(o, c)
		}
	}
	if s.minimum != nil {
		put("minimum", *s.minimum)
	}
	if s.maximum != nil {
		put("maximum", *s.maximum)
	}
	if s.otherwise != nil {
		put("default", s.otherwise)
	}
	if s.kind == "array" {
		put("items", s.elem)
	}
	if s.kind == "object" {
		o = append(o, s.members()...)
	}
	return plain(o)
}

func (s *schema) members() (o pairs) {
	var properties pairs
	required := s.needed
	for _, f := range s.fields {
		properties = append(properties, pair{f.name, f.of})
		if f.required {
			required = append(required, f.name)
		}
	}
	if properties != nil {
		o = append(o, pair{"properties", properties})
	}
	if required != nil {
		o = append(o, pair{"required", required})
	}
	if s.elem != nil {
		o = append(o, pair{"additionalProperties", s.elem})
	} else if s.closed {
		o = append(o, pair{"additionalProperties", false})
	}
	return o
}

func (s *schema) same(t *schema) bool {
	a, _ := s.MarshalJSON()
	b, _ := t.MarshalJSON()
	return bytes.Equal(a, b)
}

// or is a schema for what either is for.
func (s *schema) or(t *schema) *schema {
	switch {
	case s == nil:
		return t
	case t == nil || s.same(t):
		return s
	case len(s.any) > 0:
		if slices.ContainsFunc(s.any, t.same) {
			return s
		}
		return &schema{any: append(slices.Clone(s.any), t)}
	}
	return &schema{any: []*schema{s, t}}
}

// direction is which way a value goes: what is sent has all of its fields, what is
// received may leave them out and has no others.
type direction int

const (
	sent direction = iota
	received
)

// schemas are the components that types become.
type schemas struct {
	*program
	list  map[string]*schema
	names map[string]string // by the type's full name and the direction
}

var (
	timePattern = `^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z)?$`
	isTime      = regexp.MustCompile(`(^|_)(at|since|until)$|^active_from$`)
)

func (m *schemas) of(t types.Type, dir direction) *schema {
	t = types.Unalias(t)
	switch t := t.(type) {
	case *types.Pointer:
		s := *m.of(t.Elem(), dir)
		s.nullable = true
		return &s
	case *types.Named:
		return m.ofNamed(t, dir)
	case *types.Slice:
		if b, ok := t.Elem().Underlying().(*types.Basic); ok && b.Kind() == types.Byte {
			return &schema{kind: "string", format: "byte"}
		}
		return &schema{kind: "array", elem: m.of(t.Elem(), dir)}
	case *types.Array:
		return &schema{kind: "array", elem: m.of(t.Elem(), dir)}
	case *types.Map:
		return &schema{kind: "object", elem: m.of(t.Elem(), dir)}
	case *types.Basic:
		return basic(t)
	case *types.Struct:
		return m.object(t, dir)
	}
	return &schema{}
}

func basic(t *types.Basic) *schema {
	switch info := t.Info(); {
	case info&types.IsBoolean != 0:
		return &schema{kind: "boolean"}
	case info&types.IsInteger != 0:
		return &schema{kind: "integer"}
	case info&types.IsFloat != 0:
		return &schema{kind: "number"}
	case info&types.IsString != 0:
		return &schema{kind: "string"}
	}
	return &schema{}
}

func (m *schemas) ofNamed(t *types.Named, dir direction) *schema {
	obj := t.Obj()
	switch path := ""; {
	case obj.Pkg() == nil:
		return &schema{}
	default:
		path = obj.Pkg().Path() + "." + obj.Name()
		switch {
		case path == "encoding/json.RawMessage" || path == module+"store.JSON":
			return &schema{}
		case path == "time.Time":
			return &schema{kind: "string", format: "date-time"}
		case path == module+"store.ID" && dir == sent:
			return &schema{ref: "ID"}
		case path == module+"internal/web/texts.Said":
			return &schema{kind: "string"}
		case path == module+"internal/access.Permission": // the operator's catalog has more
			return &schema{kind: "string"}
		case dir == received && hasMethod(t, "UnmarshalJSON"), dir == sent && hasMethod(t, "MarshalJSON"):
			return &schema{}
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Struct:
		return m.component(t, u, dir)
	case *types.Basic:
		s := basic(u)
		if dir == sent {
			s.enum = m.values(t)
		}
		return s
	default:
		return m.of(u, dir)
	}
}

func hasMethod(t *types.Named, name string) bool {
	m, _, _ := types.LookupFieldOrMethod(t, true, t.Obj().Pkg(), name)
	return m != nil
}

// values are the constants of a type of texts.
func (m *schemas) values(t *types.Named) []string {
	b, ok := t.Underlying().(*types.Basic)
	if !ok || b.Kind() != types.String || t.Obj().Pkg() == nil {
		return nil
	}
	var list []string
	all := t.Obj().Pkg().Scope()
	for _, name := range all.Names() {
		if c, ok := all.Lookup(name).(*types.Const); ok && types.Identical(c.Type(), t) && c.Val().Kind() == constant.String {
			if v := constant.StringVal(c.Val()); !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	slices.Sort(list)
	return list
}

// component is a type with a name of its own.
func (m *schemas) component(t *types.Named, u *types.Struct, dir direction) *schema {
	key := types.TypeString(t, nil)
	if dir == received {
		key += " received"
	}
	if name, ok := m.names[key]; ok {
		return &schema{ref: name}
	}
	name := m.name(t, dir)
	m.names[key] = name
	m.list[name] = &schema{}
	*m.list[name] = *m.object(u, dir)
	return &schema{ref: name}
}

// nouns are what a package is about; its View or Info is that.
var nouns = map[string]string{"account": "Account", "answer": "SignIn", "checklist": "Checklist", "importer": "Import", "invite": "Invitation", "jobs": "Job", "operate": "Operator", "policy": "Policy",
	"review": "Review", "scim": "Directory", "sso": "Connection"}

// general are names that say something only together with the package's noun.
var general = []string{"", "Rules", "Rule", "Patch", "Outcome", "Row", "Counts", "Entry", "Item", "Items", "Task", "Change", "Column", "Settings", "List", "Page", "Preview", "Result", "Run", "Made", "Problem", "Many", "Started", "Template"}

// name of a type among the components: teamJSON is Team, jobs.View is Job.
func (m *schemas) name(t *types.Named, dir direction) string {
	name := t.Obj().Name()
	for _, end := range []string{"JSON", "View", "Info", "Body", "view", "info"} {
		name = strings.TrimSuffix(name, end)
	}
	if name != "" {
		name = string(unicode.ToUpper(rune(name[0]))) + name[1:]
	}
	noun := nouns[t.Obj().Pkg().Name()]
	if slices.Contains(general, name) {
		name = noun + name
	}
	if dir == received {
		name += "Input"
	}
	if m.list[name] != nil {
		name = noun + name
	}
	if m.list[name] != nil || name == "" {
		panic(fmt.Sprintf("openapitest: no name is left for %s: give its package a noun", t))
	}
	return name
}

func (m *schemas) object(u *types.Struct, dir direction) *schema {
	o := &schema{kind: "object", closed: dir == received}
	m.fill(o, u, dir)
	return o
}

func (m *schemas) fill(o *schema, u *types.Struct, dir direction) {
	for i := range u.NumFields() {
		f := u.Field(i)
		tag := reflect.StructTag(u.Tag(i)).Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.Exported() && !f.Embedded() {
			continue
		}
		if f.Embedded() && name == "" {
			inner := f.Type()
			if ptr, ok := inner.(*types.Pointer); ok {
				inner = ptr.Elem()
			}
			if inner, ok := inner.Underlying().(*types.Struct); ok {
				m.fill(o, inner, dir)
			}
			continue
		}
		if name == "" {
			name = f.Name()
		}
		of := *m.of(f.Type(), dir)
		left := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if left {
			of.nullable = false
		}
		if says := m.comments[f.Pos()]; says != "" {
			of.says = says
		}
		if of.kind == "string" && of.enum == nil && dir == sent && isTime.MatchString(name) {
			of = schema{ref: "Time", says: of.says}
		}
		o.add(field{name, &of, dir == sent && !left})
	}
}
