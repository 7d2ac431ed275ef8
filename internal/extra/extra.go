/*
Package extra has what an organization adds to its users in forms and in what programs
send: fields for the attributes with one simple value, and such values read from what
was typed.

	Of     the attributes that a form can ask for; Due those that must be there by whatever door
	Rows   their fields; Fill and Take put values in and out of a person's document
	Set    values that were named one by one, for somebody new, who must have the required ones
	       but for those that people fill in themselves: Mine

What has several values or parts is shown elsewhere, and comes from directories and
files. The package owns no table; the definitions are store's.
*/
package extra

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Field is an own attribute that a form can ask for.
type Field struct {
	store.Attribute
	URN string // of its schema
}

// Key is the attribute's name in the form, and in store's faults about it.
func (x Field) Key() string { return x.URN + ":" + x.Name }

// Of are those with one simple value that may be read.
func Of(d *store.Definitions) (list []Field) {
	for _, s := range d.Of(store.UserResource) {
		for _, a := range s.Attributes {
			if a.MultiValued || a.Secret() || a.Type == "complex" || a.Type == "binary" {
				continue
			}
			list = append(list, Field{a, s.URN})
		}
	}
	return list
}

// Due are the required attributes that somebody else than the person gives, of every kind:
// also those that no form asks for.
func Due(d *store.Definitions) (list []Field) {
	for _, s := range d.Of(store.UserResource) {
		for _, a := range s.Attributes {
			if a.Required && !a.Self {
				list = append(list, Field{a, s.URN})
			}
		}
	}
	return list
}

// Mine are those that people fill in themselves.
func Mine(d *store.Definitions) []Field {
	return slices.DeleteFunc(Of(d), func(x Field) bool { return !x.Self })
}

// ForOthers are attributes as somebody else gives them: what people fill in themselves
// need not be there.
func ForOthers(list []Field) []Field {
	for i := range list {
		list[i].Required = list[i].Required && !list[i].Self
	}
	return list
}

// Rows are their fields, two side by side. must says that whoever
// fills them in gives the required ones.
func Rows(f web.Form, list []Field, must bool) (rows [][]web.Field) {
	for i, x := range list {
		if i%2 == 0 {
			rows = append(rows, nil)
		}
		rows[i/2] = append(rows[i/2], x.input(f, must))
	}
	return rows
}

func (x Field) input(f web.Form, must bool) web.Field {
	attrs, help := []string{"autocomplete=off", "maxlength=1000"}, x.Description
	if must && x.Required {
		attrs = append(attrs, "required")
	}
	switch x.Type {
	case "integer":
		attrs = append(attrs, "inputmode=numeric")
	case "decimal":
		attrs = append(attrs, "inputmode=decimal")
	case "boolean":
		field := f.Select(x.Key(), x.Name, []web.Option{{Value: "", Label: "Not known"}, {Value: "true", Label: "Yes"}, {Value: "false", Label: "No"}}, append(attrs, "help="+help)...)
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
	return f.Input(x.Key(), x.Name, append(attrs, "help="+help)...)
}

// Fill puts what a person has into the form.
func Fill(f *web.Form, list []Field, doc store.Doc) {
	for _, x := range list {
		in, _ := doc[x.URN].(map[string]any)
		f.Default(x.Key(), typedIn(in[x.Name]))
	}
}

// typedIn is a value as the form has it; a line break cannot stand there.
func typedIn(v any) string {
	if v == nil {
		return ""
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(fmt.Sprint(v))
}

// Take puts what was typed into the document. Faults: Invalid, Conflict.
func Take(f web.Form, list []Field, doc store.Doc) (sent bool, err error) {
	for _, x := range list {
		if _, ok := f.Values[x.Key()]; !ok {
			continue
		}
		sent = true
		if f.Get(x.Key()) == typedIn(x.In(doc)) {
			continue // also what would not pass: nobody has touched it
		}
		if err := x.put(doc, f.Get(x.Key())); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// In is the value in a document; nil is none.
func (x Field) In(doc store.Doc) any {
	in, _ := doc[x.URN].(map[string]any)
	return in[x.Name]
}

func (x Field) put(doc store.Doc, text string) error {
	in, _ := doc[x.URN].(map[string]any)
	old := in[x.Name]
	v, err := x.value(text)
	switch {
	case err != nil:
		return err
	case reflect.DeepEqual(old, v):
		return nil
	case v == nil && x.Required:
		return x.Lacks()
	case old != nil && x.Mutability == "immutable":
		return fault.Conflict.On(x.Key(), "%s cannot be changed once it is set. It is %v.", x.Name, old)
	}
	if in == nil {
		in = map[string]any{}
		doc[x.URN] = in
	}
	if in[x.Name] = v; v == nil {
		delete(in, x.Name)
	}
	if len(in) == 0 {
		delete(doc, x.URN)
	}
	return nil
}

// Lacks is the fault of a required attribute that is not there.
func (x Field) Lacks() error {
	return fault.Invalid.On(x.Key(), "%s is required. Enter a value.", x.Name)
}

// Missing are the required attributes that a document lacks.
func Missing(list []Field, doc store.Doc) (lacking []Field) {
	for _, x := range list {
		if x.Required && x.In(doc) == nil {
			lacking = append(lacking, x)
		}
	}
	return lacking
}

// Set puts values into the document of somebody new, by the name of the attribute or by
// its URN, a colon and the name; each required one must be there. Faults: Invalid, also
// several joined.
func Set(d *store.Definitions, doc store.Doc, typed map[string]string) error {
	list := ForOthers(Of(d))
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(typed)) {
		x, err := find(list, name)
		if err == nil && strings.TrimSpace(typed[name]) != "" {
			err = x.put(doc, typed[name])
		}
		wrong = append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	for _, x := range Missing(list, doc) {
		wrong = append(wrong, x.Lacks())
	}
	return errors.Join(wrong...)
}

func find(list []Field, name string) (Field, error) {
	var found []Field
	for _, x := range list {
		if strings.EqualFold(x.Key(), name) || strings.EqualFold(x.Name, name) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return Field{}, fault.Invalid.On("attributes", "There is no attribute %.100q with one value that can be given here.", name)
	case 1:
		return found[0], nil
	}
	return Field{}, fault.Invalid.On("attributes", "Several attributes are called %.100q. Write %s.", name, found[0].Key())
}

// Texts are values that a program has sent as JSON, as somebody would type them: texts,
// numbers, true and false. Faults: Invalid on "attributes".
func Texts(sent map[string]json.RawMessage) (map[string]string, error) {
	typed := map[string]string{}
	for name, raw := range sent {
		text := string(raw)
		switch {
		case text == "null":
			continue
		case strings.HasPrefix(text, `"`):
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, fault.Invalid.On("attributes", "The value of %.100q cannot be read.", name)
			}
		case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
			return nil, fault.Invalid.On("attributes", "%.100q can have one simple value here: a text, a number, true or false.", name)
		}
		typed[name] = text
	}
	return typed, nil
}

// value reads what was typed; nil is none.
func (x Field) value(text string) (any, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	if len(text) > 1000 || strings.ContainsFunc(text, fault.Unseen) {
		return nil, fault.Invalid.On(x.Key(), "%s is longer than 1,000 bytes, or holds a control character or broken text.", x.Name)
	}
	if err := fault.Blank(x.Key(), text); err != nil {
		return nil, err
	}
	wrong := func(want string) error {
		return fault.Invalid.On(x.Key(), "%s is %.60q: want %s.", x.Name, text, want)
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
