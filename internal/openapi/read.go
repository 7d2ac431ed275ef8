package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/web"
)

// group is a tag with its operations, as a page shows it.
type group struct {
	Slug, Name, Says string
	Operations       []operation
}

type operation struct {
	ID, Method, Path   string
	Summary            string
	Says               template.HTML
	Parameters, Fields []line // of the request
	BodyKind           string // content type of the body; empty: none
	Answers            []answer
	Refusals           []answer
	Example            string

	query []web.Parameter
}

// line is a parameter or a field.
type line struct {
	Name, Kind string
	Says       template.HTML
	Needed     bool // a body without it is refused
}

type answer struct {
	Status, Kind string
	Says         template.HTML
	Fields       []line
}

// node is what of a schema is shown.
type node struct {
	Ref         string `json:"$ref"`
	Description string
	Type        any
	Enum        []string
	Properties  json.RawMessage
	Required    []string
	Items       *node
	AnyOf       []node
	Minimum     *int
	Maximum     *int
	Default     any
}

type media map[string]struct{ Schema node }

type raw struct {
	Tags       []struct{ Name, Description string }
	Paths      json.RawMessage
	Components struct {
		Schemas    map[string]node
		Responses  map[string]struct{ Description string }
		Parameters map[string]parameter
	}
}

type parameter struct {
	Ref         string `json:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Schema      node
}

type rawOperation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Security                          []any
	Parameters                        []parameter
	RequestBody                       struct{ Content media }
	Responses                         json.RawMessage
}

// read makes the pages' groups of a document; base is where the server is.
func read(document []byte, base string) ([]group, error) {
	var doc raw
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	groups := make([]group, len(doc.Tags))
	for i, t := range doc.Tags {
		groups[i] = group{Slug: strings.ReplaceAll(strings.ToLower(t.Name), " ", "-"), Name: t.Name, Says: t.Description}
	}
	paths, err := members(doc.Paths)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		methods, err := members(path.value)
		if err != nil {
			return nil, err
		}
		for _, m := range methods {
			var in rawOperation
			if err := json.Unmarshal(m.value, &in); err != nil {
				return nil, err
			}
			o, err := doc.operation(strings.ToUpper(m.name), path.name, in, base)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", in.OperationID, err)
			}
			i := slices.IndexFunc(groups, func(g group) bool { return g.Name == in.Tags[0] })
			groups[i].Operations = append(groups[i].Operations, o)
		}
	}
	return groups, nil
}

func (d *raw) operation(method, path string, in rawOperation, base string) (operation, error) {
	o := operation{ID: in.OperationID, Method: method, Path: path, Summary: in.Summary, Says: marked(in.Description)}
	for _, p := range in.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[last(p.Ref)]
		}
		if p.In == "query" {
			o.query = append(o.query, web.Parameter{Name: p.Name, Many: p.Schema.Type == "array", Boolean: p.Schema.Type == "boolean"})
		}
		o.Parameters = append(o.Parameters, line{Name: p.Name, Kind: d.kind(p.Schema), Says: marked(p.Description)})
	}
	body := ""
	for kind, m := range in.RequestBody.Content {
		o.BodyKind = max(o.BodyKind, kind)
		if kind == "application/json" {
			o.BodyKind = kind
			o.Fields = d.lines("", m.Schema, nil)
			for i, f := range o.Fields {
				o.Fields[i].Needed = slices.Contains(m.Schema.Required, f.Name)
			}
			body = d.sample(m.Schema, 0)
			break
		}
	}
	responses, err := members(in.Responses)
	if err != nil {
		return o, err
	}
	for _, r := range responses {
		var a struct {
			Ref, Description string
			Content          media
		}
		if err := json.Unmarshal(r.value, &a); err != nil {
			return o, err
		}
		var ref node
		if err := json.Unmarshal(r.value, &ref); err != nil {
			return o, err
		}
		if ref.Ref != "" {
			if r.name != "default" {
				o.Refusals = append(o.Refusals, answer{Status: r.name, Says: marked(d.Components.Responses[last(ref.Ref)].Description)})
			}
			continue
		}
		one := answer{Status: r.name}
		var kinds []string
		for kind, m := range a.Content {
			kinds = append(kinds, kind)
			if kind == "application/json" {
				one.Fields = d.lines("", m.Schema, nil)
			}
		}
		slices.Sort(kinds)
		one.Kind = strings.Join(kinds, ", ")
		o.Answers = append(o.Answers, one)
	}
	o.Example = example(o, in, base, body)
	return o, nil
}

// marked has what stands between backticks as code.
func marked(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String())
}

// example asks with curl.
func example(o operation, in rawOperation, base, body string) string {
	var b strings.Builder
	b.WriteString("curl -s")
	if o.Method != "GET" {
		b.WriteString(" -X " + o.Method)
	}
	if len(in.Security) > 0 {
		b.WriteString(` -H "Authorization: Bearer $KEY"`)
	}
	switch {
	case body != "":
		b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(body, "'", `'\''`) + "'")
	case o.BodyKind != "":
		b.WriteString(" \\\n  -H 'Content-Type: text/csv' --data-binary @people.csv")
	}
	address := o.Path
	for _, p := range in.Parameters {
		if p.In == "path" {
			address = strings.ReplaceAll(address, "{"+p.Name+"}", "$"+strings.ToUpper(p.Name))
		}
	}
	return b.String() + " \\\n  \"" + base + address + `"`
}

func last(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// seen resolves a reference.
func (d *raw) seen(n node) node {
	if n.Ref == "" {
		return n
	}
	says := n.Description
	n = d.Components.Schemas[last(n.Ref)]
	if says != "" {
		n.Description = says
	}
	return n
}

// kind is a type in words.
func (d *raw) kind(n node) string {
	if name := last("/" + n.Ref); name == "ID" || name == "Time" {
		return strings.ToLower(name)
	}
	n = d.seen(n)
	var word string
	switch t := n.Type.(type) {
	case string:
		word = t
	case []any:
		var list []string
		for _, one := range t {
			list = append(list, fmt.Sprint(one))
		}
		word = strings.Join(list, " | ")
	}
	switch {
	case len(n.AnyOf) > 0:
		var list []string
		for _, one := range n.AnyOf {
			list = append(list, d.kind(one))
		}
		return strings.Join(list, " | ")
	case word == "array" && n.Items != nil:
		return d.kind(*n.Items) + "[]"
	case n.Enum != nil:
		return strings.Join(n.Enum, " | ")
	case n.Minimum != nil && n.Maximum != nil:
		word += " " + strconv.Itoa(*n.Minimum) + "–" + strconv.Itoa(*n.Maximum)
	case word == "":
		word = "any"
	}
	if n.Default != nil {
		word += fmt.Sprintf(" (%v)", n.Default)
	}
	return word
}

// lines are the fields of a schema, those of objects inside behind the name of theirs.
func (d *raw) lines(before string, n node, above []string) (list []line) {
	if n.Ref != "" {
		if slices.Contains(above, n.Ref) {
			return nil
		}
		above = append(slices.Clone(above), n.Ref)
	}
	n = d.seen(n)
	if n.Items != nil {
		return d.lines(before, *n.Items, above)
	}
	for _, one := range n.AnyOf {
		list = append(list, d.lines(before, one, above)...)
	}
	fields, err := members(n.Properties)
	if err != nil {
		return list
	}
	for _, f := range fields {
		var of node
		if json.Unmarshal(f.value, &of) != nil {
			continue
		}
		name := before + f.name
		list = append(list, line{Name: name, Kind: d.kind(of), Says: marked(d.seen(of).Description)})
		if len(above) < 4 {
			list = append(list, d.lines(name+".", of, append(slices.Clone(above), name))...)
		}
	}
	return list
}

// sample is a body that has the shape of a schema.
func (d *raw) sample(n node, depth int) string {
	n = d.seen(n)
	kind, _ := n.Type.(string)
	if list, ok := n.Type.([]any); ok && len(list) > 0 {
		kind, _ = list[0].(string)
	}
	switch {
	case n.Enum != nil:
		return strconv.Quote(n.Enum[0])
	case kind == "string":
		return `"..."`
	case kind == "integer", kind == "number":
		return "1"
	case kind == "boolean":
		return "true"
	case kind == "array" && n.Items != nil && depth < 3:
		return "[" + d.sample(*n.Items, depth+1) + "]"
	case kind == "array":
		return "[]"
	case kind != "object" || depth > 2:
		return "{}"
	}
	fields, err := members(n.Properties)
	if err != nil {
		return "{}"
	}
	var parts []string
	for _, f := range fields {
		var of node
		if json.Unmarshal(f.value, &of) == nil {
			parts = append(parts, strconv.Quote(f.name)+": "+d.sample(of, depth+1))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

type member struct {
	name  string
	value json.RawMessage
}

// members of an object, in their order.
func members(object json.RawMessage) (list []member, err error) {
	if len(object) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}
