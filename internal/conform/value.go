package conform

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// name makes a name that nobody else has.
func (r *runner) name(hint string) string {
	r.counter++
	return fmt.Sprintf("conform-%s-%s%d", r.word, hint, r.counter)
}

// sample makes a value for one attribute, another one with every call. ok is false
// when none can be made: a reference to a type of which there is nothing.
func (c *check) sample(a attribute) (value any, ok bool) {
	if !a.MultiValued {
		return c.single(a)
	}
	v, ok := c.single(a)
	return []any{v}, ok
}

func (c *check) single(a attribute) (any, bool) {
	if strings.EqualFold(a.Type, "complex") {
		return c.complex(a)
	}
	return c.simple(a), true
}

// complex makes an object of all sub-attributes that can be written. What points to
// another resource is its id alone: the rest follows from it.
func (c *check) complex(a attribute) (any, bool) {
	if to := a.refersTo(); to != "" {
		id := c.someone(to)
		return object{"value": id}, id != ""
	}
	v := object{}
	for _, s := range a.SubAttributes {
		if s.Mutability == "readOnly" || s.Name == "$ref" {
			continue
		}
		if s.Name == "primary" {
			v[s.Name] = true
			continue
		}
		if one, ok := c.sample(c.within(a, s)); ok {
			v[s.Name] = one
		}
	}
	return v, len(v) > 0
}

// within gives a sub-attribute a name by which simple can tell what it holds.
func (c *check) within(parent, sub attribute) attribute {
	if sub.Name == "value" {
		sub.Name = parent.Name
	}
	return sub
}

// simple makes a value by type and, for strings with a form, by name (RFC 7643 §4.1).
func (c *check) simple(a attribute) any {
	c.counter++
	n := c.counter
	switch strings.ToLower(a.Type) {
	case "boolean":
		return n%2 == 0
	case "integer":
		return json.Number(strconv.Itoa(n))
	case "decimal":
		return json.Number(fmt.Sprintf("%d.5", n))
	case "datetime":
		return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Hour).Format(time.RFC3339)
	case "binary":
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "conform %s %d", c.word, n))
	case "reference":
		return fmt.Sprintf("https://example.com/%s/%d", c.word, n)
	}
	if len(a.CanonicalValues) > 0 {
		return a.CanonicalValues[n%len(a.CanonicalValues)]
	}
	pickOf := func(values ...string) string { return values[n%len(values)] }
	switch strings.ToLower(a.Name) {
	case "username", "emails":
		return fmt.Sprintf("conform-%s-%d@example.com", c.word, n)
	case "phonenumbers":
		return fmt.Sprintf("+1-201-555-%04d", n%10000)
	case "preferredlanguage":
		return pickOf("en-US", "fr-FR", "de-DE")
	case "locale":
		return pickOf("en-US", "fr-FR", "de-DE")
	case "timezone":
		return pickOf("Europe/Paris", "America/Denver", "Asia/Tokyo")
	case "country":
		return pickOf("US", "FR", "JP")
	case "password":
		return fmt.Sprintf("Conform-%s-%d!xQ", c.word, n)
	}
	return fmt.Sprintf("conform-%s-%d", c.word, n)
}

// someone is a resource of a type to point to: one of the fixtures.
func (c *check) someone(typeName string) string {
	t, ok := c.typed(typeName)
	if !ok || !c.writes(t) {
		return ""
	}
	all := c.some(t)
	if len(all) == 0 {
		return ""
	}
	c.counter++
	id, _ := all[c.counter%len(all)]["id"].(string)
	return id
}

// agree tells whether what is read is what was written. Objects may have more than
// was asked (RFC 7644 §3.3: the server completes), lists are sets, a false that is
// not shown is false, and times are compared as times.
func agree(got, want any) bool {
	switch w := want.(type) {
	case object:
		g, ok := got.(object)
		for k, v := range w {
			if !ok || !agree(field(g, k), v) {
				return false
			}
		}
		return ok
	case []any:
		g := list(got)
		if len(g) != len(w) {
			return false
		}
		for _, v := range w {
			if !contains(g, v) {
				return false
			}
		}
		return true
	case bool:
		b, ok := got.(bool)
		return ok && b == w || got == nil && !w
	case json.Number:
		g, ok := got.(json.Number)
		x, err1 := g.Float64()
		y, err2 := w.Float64()
		return ok && err1 == nil && err2 == nil && x == y
	case string:
		g, ok := got.(string)
		if x, err := time.Parse(time.RFC3339, w); err == nil && ok {
			y, err := time.Parse(time.RFC3339, g)
			return err == nil && x.Equal(y)
		}
		return ok && g == w
	}
	return reflect.DeepEqual(got, want)
}

func contains(all []any, want any) bool {
	for _, g := range all {
		if agree(g, want) {
			return true
		}
	}
	return false
}

// empty is unassigned: null, an empty list or nothing at all (RFC 7643 §2.5).
func empty(v any) bool {
	if o, ok := v.(object); ok {
		return len(o) == 0
	}
	return v == nil || len(list(v)) == 0 && reflect.TypeOf(v).Kind() == reflect.Slice
}

// field is a member of an object, its name in any case (RFC 7643 §2.1).
func field(o object, name string) any {
	if v, ok := o[name]; ok {
		return v
	}
	for k, v := range o {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

// list is v as a list; nil when it is none.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// pick follows a JSON pointer (RFC 6901) without escapes: /emails/0/value.
func pick(v any, pointer string) any {
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch x := v.(type) {
		case object:
			v = field(x, part)
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// of is an attribute's value in a resource; an extension's stands under its URN.
func of(doc object, a attribute) any {
	if a.urn != "" {
		ext, _ := field(doc, a.urn).(object)
		return field(ext, a.Name)
	}
	return field(doc, a.Name)
}

// put sets an attribute's value in a resource that is to be sent.
func put(doc object, a attribute, v any) {
	if a.urn == "" {
		doc[a.Name] = v
		return
	}
	ext, ok := doc[a.urn].(object)
	if !ok {
		ext = object{}
		doc[a.urn] = ext
		doc["schemas"] = append(list(doc["schemas"]), a.urn)
	}
	ext[a.Name] = v
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func number(v any) int {
	n, ok := v.(json.Number)
	if !ok {
		return -1
	}
	i, err := strconv.Atoi(n.String())
	if err != nil {
		return -1
	}
	return i
}

func show(v any) string { return cut(encode(v)) }
