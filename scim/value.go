package scim

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// value reads a wire value for a. nil is "not assigned".
func (n normalizer) value(a *Attr, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if !a.MultiValued {
		return n.single(a, v)
	}
	list, ok := v.([]any)
	if !ok {
		if n.q.Strict {
			return nil, invalidValue("%s has several values: want an array.", a.Path())
		}
		list = []any{v}
	}
	if len(list) > maxValues {
		return nil, invalidValue("%s has %d values; at most %d are kept.", a.Path(), len(list), maxValues)
	}
	out := make([]any, 0, len(list))
	for _, e := range list {
		x, err := n.single(a, e)
		if err != nil {
			return nil, err
		}
		if x != nil {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, onePrimary(a, out)
}

// onePrimary is RFC 7643 §2.4: primary is true at most once.
func onePrimary(a *Attr, list []any) error {
	found := false
	for _, e := range list {
		if m, ok := e.(map[string]any); ok && m["primary"] == true {
			if found {
				return invalidValue("%s has more than one primary value.", a.Path())
			}
			found = true
		}
	}
	return nil
}

func (n normalizer) single(a *Attr, v any) (any, error) {
	if a.Type == typeComplex {
		return n.complex(a, v)
	}
	return n.simple(a, v)
}

func (n normalizer) complex(a *Attr, v any) (any, error) {
	switch x := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return n.object(a, x)
	case string:
		if x == "" && !n.q.Strict {
			return nil, nil
		}
		if sub := a.subOf("value"); sub != nil && n.bareValue(a) {
			return map[string]any{sub.Name: x}, nil
		}
	case []any:
		// Microsoft's collection sends manager as [{"$ref": ..., "value": ...}].
		if n.q.ManagerAsString && a.Name == "manager" && len(x) <= 1 {
			if len(x) == 0 {
				return nil, nil
			}
			return n.complex(a, x[0])
		}
	}
	return nil, invalidValue("%s has sub-attributes: want an object.", a.Path())
}

// bareValue tells whether a string stands for {"value": string}.
func (n normalizer) bareValue(a *Attr) bool {
	if a.MultiValued {
		return !n.q.Strict
	}
	return n.q.ManagerAsString
}

func (n normalizer) object(a *Attr, raw map[string]any) (any, error) {
	out := make(map[string]any, len(raw))
	for name, v := range raw {
		sub := a.subOf(name)
		if sub == nil {
			if n.q.UnknownAttributes == storeIt && v != nil {
				out[name] = v
			}
			if err := n.unnamed(a.Path() + "." + name); err != nil {
				return nil, err
			}
			continue
		}
		if sub.Mutability == readOnly {
			continue
		}
		x, err := n.value(sub, v)
		if err != nil {
			return nil, err
		}
		if x != nil {
			out[sub.Name] = x
		}
	}
	if n.q.RolesAsJSON && a.Name == "roles" && !a.Extension() {
		unpackRole(out)
	}
	if _, sent := raw["value"]; len(out) == 0 || sent && n.hollow(a, out) {
		return nil, nil
	}
	return out, nil
}

// unpackRole takes value and display out of a value that is a JSON object in a
// string, see Quirks.RolesAsJSON. What is no such object stays as it is.
func unpackRole(element map[string]any) {
	var in struct{ Value, DisplayName string }
	packed, _ := element["value"].(string)
	if !strings.HasPrefix(packed, "{") || json.Unmarshal([]byte(packed), &in) != nil || in.Value+in.DisplayName == "" {
		return
	}
	element["value"] = cmp.Or(in.Value, in.DisplayName)
	if element["display"] == nil && in.DisplayName != "" {
		element["display"] = in.DisplayName
	}
}

// hollow tells that an element has lost what it is about: in compat
// {"type": "mobile", "value": ""} is how clients say that there is none.
func (n normalizer) hollow(a *Attr, element map[string]any) bool {
	return !n.q.Strict && a.MultiValued && a.subOf("value") != nil && element["value"] == nil
}

func (n normalizer) simple(a *Attr, v any) (any, error) {
	if v == nil || v == "" && !n.q.Strict {
		return nil, nil
	}
	switch a.Type {
	case typeBoolean:
		if _, ok := v.(bool); ok {
			return v, nil
		}
		if s, ok := v.(string); ok && n.q.StringBooleans {
			switch strings.ToLower(s) {
			case "true":
				return true, nil
			case "false":
				return false, nil
			}
		}
		return nil, invalidValue("%s is a boolean: want true or false, got %s.", a.Path(), show(v))
	case typeInteger:
		if i, ok := v.(json.Number); ok {
			if _, err := i.Int64(); err == nil {
				return v, nil
			}
		}
		return nil, invalidValue("%s is an integer, got %s.", a.Path(), show(v))
	case typeDecimal:
		if f, ok := v.(json.Number); ok {
			if _, err := f.Float64(); err == nil {
				return v, nil
			}
		}
		return nil, invalidValue("%s is a number, got %s.", a.Path(), show(v))
	case typeDateTime:
		s, _ := v.(string)
		t, ok := parseTime(s)
		if !ok {
			return nil, invalidValue("%s is a dateTime such as \"2026-01-31T08:00:00Z\", which %s is not.", a.Path(), show(v))
		}
		return t.Format(time.RFC3339Nano), nil // one spelling for one moment: so texts sort as times do
	default:
		if _, ok := v.(string); !ok {
			return nil, invalidValue("%s is a %s: want text in quotes, got %s.", a.Path(), a.Type, show(v))
		}
		if _, err := a.core.ValidateSingular(v); err != nil {
			return nil, invalidValue("%s is a %s, which %s is not.", a.Path(), a.Type, show(v))
		}
		return v, nil // and not its text, which would be put into an interface once more
	}
}

const longerValue = "a longer value"

// show is a value in an error sentence, cut short.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil || len(b) > 80 {
		return longerValue
	}
	return string(b)
}
