package scimmodel

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// Fault is an error that a request deserves. A request may deserve several; the
// server names one of them.
type Fault struct {
	Status int
	Type   string // scimType (RFC 7644 §3.12, table 9); "*" where the RFC names none
}

// reader turns what was sent into what is kept, and collects what is wrong with it.
type reader struct {
	m      *Model
	strict bool
	k      *kind
	faults *[]Fault
}

func (r reader) fault(t string) { *r.faults = append(*r.faults, Fault{400, t}) }

// unknown is a name that no schema has. Choice: left out, or refused in strict.
func (r reader) unknown() {
	if r.strict {
		r.fault("invalidSyntax")
	}
}

// value reads a value for a. nil is "unassigned" (RFC 7643 §2.5).
func (r reader) value(a *attr, raw any) any {
	if !a.multi {
		return r.single(a, raw)
	}
	list, ok := raw.([]any)
	switch {
	case raw == nil:
		return nil
	case !ok && r.strict:
		r.fault("invalidValue")
		return nil
	case !ok: // choice: one value for a list of one
		list = []any{raw}
	}
	var out []any
	primary := 0
	for _, e := range list {
		v := r.single(a, e)
		if v == nil {
			continue
		}
		if m, ok := v.(map[string]any); ok && m["primary"] == true {
			primary++
		}
		out = append(out, v)
	}
	if primary > 1 { // RFC 7643 §2.4: true MUST appear no more than once
		r.fault("invalidValue")
	}
	if out == nil {
		return nil
	}
	return out
}

func (r reader) single(a *attr, raw any) any {
	if raw == nil || raw == "" && !r.strict { // choice in compat: "" clears
		return nil
	}
	switch a.kind {
	case complexType:
		return r.complex(a, raw)
	case boolean:
		switch v := raw.(type) {
		case bool:
			return v
		case string:
			if !r.strict && (strings.EqualFold(v, "true") || strings.EqualFold(v, "false")) { // choice: Entra ID
				return strings.EqualFold(v, "true")
			}
		}
	default:
		s, ok := raw.(string)
		if a.kind == binary && ok { // RFC 7643 §2.3.6
			if _, err := base64.StdEncoding.DecodeString(s); err != nil {
				ok = false
			}
		}
		if ok {
			return s
		}
	}
	r.fault("invalidValue") // RFC 7644 §3.12: not compatible with the attribute's type
	return nil
}

func (r reader) complex(a *attr, raw any) any {
	switch v := raw.(type) {
	case map[string]any:
		return r.object(a, v)
	case string: // choice in compat: a bare value
		if !r.strict && a.sub("value") != nil {
			return map[string]any{"value": v}
		}
	}
	r.fault("invalidValue")
	return nil
}

func (r reader) object(a *attr, raw map[string]any) any {
	out := map[string]any{}
	named := false
	for name, v := range raw {
		s := a.sub(name)
		switch {
		case s == nil:
			r.unknown()
			continue
		case s.readOnly: // RFC 7644 §3.3: ignored
			continue
		}
		named = named || s.name == "value"
		if x := r.value(s, v); x != nil {
			out[s.name] = x
		}
	}
	if len(out) == 0 || named && r.hollow(a, out) {
		return nil
	}
	return out
}

// hollow is a choice in compat: an element without its value is none.
func (r reader) hollow(a *attr, e map[string]any) bool {
	return !r.strict && a.multi && a.sub("value") != nil && e["value"] == nil
}

// resource reads the body of a POST or PUT (RFC 7644 §3.3, §3.5.1).
func (r reader) resource(raw map[string]any) map[string]any {
	doc := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if strings.EqualFold(name, "schemas") {
			r.schemas(raw[name])
			continue
		}
		if urn := r.k.schema(name); urn != "" && urn != r.k.urn {
			fields, ok := raw[name].(map[string]any)
			if !ok && raw[name] != nil {
				r.fault("invalidValue")
			}
			for _, field := range slices.Sorted(maps.Keys(fields)) {
				r.assign(doc, urn, field, fields[field])
			}
			continue
		}
		r.assign(doc, "", name, raw[name])
	}
	if _, there := raw["schemas"]; !there { // RFC 7643 §3: MUST be present
		r.fault("invalidSyntax")
	}
	r.complete(doc)
	return doc
}

// schemas says which schemas the body has. Choice: unknown ones are ignored, and
// refused in strict, where the core schema must be among them.
func (r reader) schemas(raw any) {
	list, ok := raw.([]any)
	if s, single := raw.(string); single {
		list, ok = []any{s}, true
	}
	core := false
	for _, v := range list {
		s, _ := v.(string)
		if known := r.k.schema(s); known == "" && r.strict {
			r.fault("invalidSyntax")
		} else if known == r.k.urn {
			core = true
		}
	}
	if !ok || len(list) == 0 || r.strict && !core {
		r.fault("invalidSyntax")
	}
}

func (r reader) assign(doc map[string]any, urn, name string, raw any) {
	a := r.k.find(urn, name)
	switch {
	case a == nil:
		r.unknown()
	case a.readOnly: // RFC 7644 §3.3, §3.5.1: SHALL be ignored
	case a.name == "password":
		r.password()
	default:
		set(doc, a, r.value(a, raw))
	}
}

// password is a choice: never kept; refused in strict.
func (r reader) password() {
	if r.strict {
		r.fault("invalidSyntax")
	}
}

// complete checks that all required attributes have values.
func (r reader) complete(doc map[string]any) {
	for _, a := range r.k.attrs {
		if v := get(doc, a); a.required && (v == nil || isBlank(v)) {
			r.fault("invalidValue")
		}
	}
}

func isBlank(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == ""
}

// place is the object in which an attribute stands: the resource or its extension.
func place(doc map[string]any, a *attr) map[string]any {
	if a.urn == "" {
		return doc
	}
	in, _ := doc[a.urn].(map[string]any)
	return in
}

func get(doc map[string]any, a *attr) any { return place(doc, a)[a.name] }

func set(doc map[string]any, a *attr, v any) {
	in := place(doc, a)
	if v == nil {
		delete(in, a.name)
		if a.urn != "" && len(in) == 0 {
			delete(doc, a.urn)
		}
		return
	}
	if in == nil {
		in = map[string]any{}
		doc[a.urn] = in
	}
	in[a.name] = v
}

// clone copies a JSON value.
func clone[T any](v T) T {
	out, _ := copied(v).(T)
	return out
}

func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}
