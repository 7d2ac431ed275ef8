package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What the organization has added to its users, on the page of one person and in the
// form. What has several values or parts is shown, and changed by directories alone.

// fact is an attribute with its value in words.
type fact struct{ Name, Value string }

// facts are the organization's own attributes that a person has.
func facts(d *store.Definitions, doc store.Doc) (list []fact) {
	doc = d.Masked(doc)
	for _, s := range d.Of(store.UserResource) {
		in, _ := doc[s.URN].(map[string]any)
		for _, a := range s.Attributes {
			if v := in[a.Name]; v != nil {
				list = append(list, fact{a.Name, inWords(v)})
			}
		}
	}
	return list
}

func inWords(v any) string {
	var parts []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			parts = append(parts, inWords(e))
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+" "+inWords(v[k]))
		}
		return strings.Join(parts, ", ")
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case string:
		if len(v) > 300 {
			return strings.ToValidUTF8(v[:300], "") + "…"
		}
		return v
	}
	return fmt.Sprint(v)
}

// extra is an own attribute that the form can change.
type extra struct {
	store.Attribute
	urn string
}

// field is the attribute's name in the form, and in store's faults about it.
func (x extra) field() string { return x.urn + ":" + x.Name }

// extras are those with one simple value that may be read.
func extras(d *store.Definitions) (list []extra) {
	for _, s := range d.Of(store.UserResource) {
		for _, a := range s.Attributes {
			if a.MultiValued || a.Secret() || a.Type == "complex" || a.Type == "binary" {
				continue
			}
			list = append(list, extra{a, s.URN})
		}
	}
	return list
}

// extraRows are the fields of the organization's own attributes, two side by side.
func extraRows(f web.Form, list []extra) (rows [][]web.Field) {
	for i, x := range list {
		if i%2 == 0 {
			rows = append(rows, nil)
		}
		rows[i/2] = append(rows[i/2], x.input(f))
	}
	return rows
}

func (x extra) input(f web.Form) web.Field {
	attrs := []string{"autocomplete=off", "maxlength=1000"}
	help := x.Description
	switch x.Type {
	case "integer":
		attrs = append(attrs, "inputmode=numeric")
	case "decimal":
		attrs = append(attrs, "inputmode=decimal")
	case "boolean":
		field := f.Select(x.field(), x.Name, []web.Option{{Value: "", Label: "Not known"}, {Value: "true", Label: "Yes"}, {Value: "false", Label: "No"}}, "help="+help)
		if i := slices.IndexFunc(field.Options, func(o web.Option) bool { return o.Chosen }); i >= 0 {
			field.Value = field.Options[i].Label
		}
		return field
	case "dateTime":
		help = strings.TrimSpace(help + " Such as 2026-11-30T18:00:00Z.")
	}
	if len(x.Canonical) > 0 {
		help = strings.TrimSpace(help + " For example " + strings.Join(x.Canonical, ", ") + ".")
	}
	return f.Input(x.field(), x.Name, append(attrs, "help="+help)...)
}

// fillExtras puts what a person has into the form.
func fillExtras(f *web.Form, list []extra, doc store.Doc) {
	for _, x := range list {
		in, _ := doc[x.urn].(map[string]any)
		f.Set(x.field(), typedIn(in[x.Name]))
	}
}

// typedIn is a value as the form has it; a line break cannot stand there.
func typedIn(v any) string {
	if v == nil {
		return ""
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(fmt.Sprint(v))
}

// takeExtras puts what was typed into the document. Faults: Invalid, Conflict.
func takeExtras(f web.Form, list []extra, doc store.Doc) (sent bool, err error) {
	for _, x := range list {
		if _, ok := f.Values[x.field()]; !ok {
			continue
		}
		sent = true
		in, _ := doc[x.urn].(map[string]any)
		old := in[x.Name]
		if f.Get(x.field()) == typedIn(old) {
			continue // also what would not pass: nobody has touched it
		}
		v, err := x.value(f.Get(x.field()))
		if err != nil {
			return sent, err
		}
		switch {
		case reflect.DeepEqual(old, v):
			continue
		case v == nil && x.Required:
			return sent, fault.Invalid.On(x.field(), "%s is required. Enter a value.", x.Name)
		case old != nil && x.Mutability == "immutable":
			return sent, fault.Conflict.On(x.field(), "%s cannot be changed once it is set. It is %v.", x.Name, old)
		}
		if in == nil {
			in = map[string]any{}
			doc[x.urn] = in
		}
		if in[x.Name] = v; v == nil {
			delete(in, x.Name)
		}
		if len(in) == 0 {
			delete(doc, x.urn)
		}
	}
	return sent, nil
}

// value reads what was typed; nil is none.
func (x extra) value(text string) (any, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	if len(text) > 1000 || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || c == unicode.ReplacementChar }) {
		return nil, fault.Invalid.On(x.field(), "%s is longer than 1,000 bytes, or holds a control character or broken text.", x.Name)
	}
	wrong := func(want string) error {
		return fault.Invalid.On(x.field(), "%s is %.60q: want %s.", x.Name, text, want)
	}
	switch x.Type {
	case "boolean":
		if text != "true" && text != "false" {
			return nil, wrong("yes or no")
		}
		return text == "true", nil
	case "integer":
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, wrong("a whole number")
		}
		return json.Number(strconv.FormatInt(i, 10)), nil
	case "decimal":
		n, err := strconv.ParseFloat(text, 64)
		b, err2 := json.Marshal(n) // not of what is infinite
		if err != nil || err2 != nil {
			return nil, wrong("a number, such as 1.5")
		}
		return json.Number(b), nil
	case "dateTime":
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, wrong("a time such as 2026-11-30T18:00:00Z")
		}
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	return text, nil
}
