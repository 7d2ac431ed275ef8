package web

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
)

// Form is what somebody typed and what is wrong with it. A page shows it with
// the templates "errors", "field", "select" and "checks".
//
//	{{template "errors" .Form}}
//	{{template "field" (.Form.Input "email" "E-mail address" "type=email" "autocomplete=username" "required")}}
type Form struct {
	Values map[string][]string
	Errors []FieldError // in the order found
}

// FieldError is one sentence about one field; Field is empty when it is about the whole
// form. Pages show it in the reader's language.
type FieldError struct {
	Field, Text string
	err         error // the fault that Text comes from, if one does
}

// ReadForm parses the posted fields (url-encoded or multipart, files stay in
// r.MultipartForm). Faults: Invalid (malformed, or larger than allowed).
// Values are trimmed, except of fields named password.
func ReadForm(r *http.Request) (Form, error) {
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(1 << 20)
	} else {
		err = r.ParseForm()
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return Form{}, fault.Invalid.Wrap(err, "The form is larger than the %d kB that are allowed here.", tooLarge.Limit>>10)
	}
	if err != nil {
		return Form{}, fault.Invalid.Wrap(err, "The form could not be read. Load the page again and send it once more.")
	}
	f := Form{Values: map[string][]string{}}
	for name, values := range r.PostForm {
		for _, v := range values {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return Form{}, fault.Invalid.On(name, "A field holds characters that cannot be read. Type it again.")
			}
			if !strings.Contains(name, "password") {
				v = strings.TrimSpace(v)
			}
			f.Values[name] = append(f.Values[name], v)
		}
	}
	return f, nil
}

// Get is the first value of a field.
func (f Form) Get(name string) string {
	if v := f.Values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Version is that of the setting that was on the page; 0 when there was none yet.
func (f Form) Version() int64 {
	n, _ := strconv.ParseInt(f.Get("version"), 10, 64)
	return max(n, 0)
}

// All are the values of a field with several.
func (f Form) All(name string) []string { return f.Values[name] }

// Set puts a value in, for a form that starts filled.
func (f *Form) Set(name string, values ...string) {
	if f.Values == nil {
		f.Values = map[string][]string{}
	}
	f.Values[name] = values
}

// Default is Set for what was not sent.
func (f *Form) Default(name string, values ...string) {
	if _, sent := f.Values[name]; !sent {
		f.Set(name, values...)
	}
}

// hidden is a field that a page carries on unseen.
type hidden struct{ Name, Value string }

// hidden are the fields whose name is wanted, by name.
func (f Form) hidden(wanted func(name string) bool) (list []hidden) {
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		for _, v := range f.Values[name] {
			if wanted(name) {
				list = append(list, hidden{name, v})
			}
		}
	}
	return list
}

// Fail says what is wrong with a field.
func (f *Form) Fail(field, text string) {
	f.Errors = append(f.Errors, FieldError{Field: field, Text: text})
}

// FailWith is Fail with the sentence of a fault.
func (f *Form) FailWith(field string, err error) {
	f.Errors = append(f.Errors, FieldError{Field: field, Text: Sentence(err), err: err})
}

// Take puts err into the form when the person can mend it there (Invalid,
// Conflict, TooMany, Expired with a sentence), each of several by itself, and tells
// whether it did.
// Show the form again with Status(err) then, else return the error. When somebody else was
// faster, what was typed stays, but for the version: the page has the one of now.
func (f *Form) Take(err error) bool {
	switch fault.Of(err) {
	case fault.Invalid, fault.Conflict, fault.TooMany, fault.Expired:
		for _, e := range fault.All(err) {
			if _, sent := f.Values["version"]; !sent || e.Kind != fault.Conflict || e.Field != "version" {
				f.FailWith(e.Field, e)
				continue
			}
			delete(f.Values, "version")
			f.FailWith("", e)
			f.FailWith("", fault.Conflict.Say("What you typed is still here: save again to put it in the place of what is stored now."))
		}
		return true
	}
	return false
}

// Problem is one of Errors.
func (f Form) Problem(i int) *FieldError { return &f.Errors[i] }

// Bad tells whether anything is wrong.
func (f Form) Bad() bool { return len(f.Errors) > 0 }

func (f Form) errorOf(name string) *FieldError {
	for i, e := range f.Errors {
		if e.Field == name {
			return &f.Errors[i]
		}
	}
	return nil
}

// Field is one control as the templates draw it.
type Field struct {
	ID, Name, Label, Value, Help                 string
	Error                                        *FieldError
	Type, Autocomplete, InputMode, Placeholder   string
	MinLength, MaxLength, Accept, Pattern, Rows  string
	By                                           string // id of what explains the control elsewhere on the page
	Required, Autofocus, Checked, Multiple, Wide bool
	Options                                      []Option
}

// Finder is a choice among more than a page can show: boxes of what is chosen and what was
// found, and where to look for others.
type Finder struct {
	Checks     Field
	Find       Field
	Many       bool // there are more: they are looked for
	None, More bool // nothing was found, or more than is shown
}

// Option is one choice of a select or of a group of boxes.
type Option struct {
	Value, Label string
	Help         string
	Chosen       bool
}

// Describe lists the ids that explain the control, for aria-describedby.
func (f Field) Describe() string {
	var ids []string
	if f.By != "" {
		ids = append(ids, f.By)
	}
	if f.Help != "" {
		ids = append(ids, f.ID+"-help")
	}
	if f.Error != nil {
		ids = append(ids, f.ID+"-error")
	}
	return strings.Join(ids, " ")
}

// Input is a text control, a checkbox, a file or a textarea ("type=textarea").
// attrs are "name=value" or a bare name: type, autocomplete, inputmode,
// placeholder, minlength, maxlength, accept, pattern, rows, help, by (see Field.By), value
// (what a checkbox sends), required, autofocus, multiple.
func (f Form) Input(name, label string, attrs ...string) Field {
	d := Field{ID: "f-" + name, Name: name, Label: label, Value: f.Get(name), Error: f.errorOf(name), Type: "text", Rows: "4"}
	text := map[string]*string{
		"type": &d.Type, "autocomplete": &d.Autocomplete, "inputmode": &d.InputMode, "placeholder": &d.Placeholder,
		"minlength": &d.MinLength, "maxlength": &d.MaxLength, "accept": &d.Accept, "pattern": &d.Pattern, "rows": &d.Rows, "help": &d.Help, "by": &d.By,
	}
	flags := map[string]*bool{"required": &d.Required, "autofocus": &d.Autofocus, "multiple": &d.Multiple}
	value := "on"
	for _, a := range attrs {
		key, v, _ := strings.Cut(a, "=")
		if to, ok := text[key]; ok {
			*to = v
		} else if to, ok := flags[key]; ok {
			*to = true
		} else if key == "value" {
			value = v
		}
	}
	switch d.Type {
	case "password", "file":
		d.Value = "" // never sent back
	case "checkbox":
		d.Checked = d.Value == value
		d.Value = value
	}
	return d
}

// Select is a drop-down.
func (f Form) Select(name, label string, options []Option, attrs ...string) Field {
	d := f.Input(name, label, attrs...)
	d.Options = f.choose(name, options)
	return d
}

// Checks is a group of boxes of which several may be chosen.
func (f Form) Checks(name, label string, options []Option, attrs ...string) Field {
	d := f.Input(name, label, attrs...)
	d.Options = f.choose(name, options)
	return d
}

func (f Form) choose(name string, options []Option) []Option {
	chosen := make([]Option, len(options))
	for i, o := range options {
		for _, v := range f.Values[name] {
			o.Chosen = o.Chosen || v == o.Value
		}
		chosen[i] = o
	}
	return chosen
}

// Typed is what came in a URL, fit for the database: no control characters, no
// broken UTF-8, not too long.
func Typed(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, ""))
	if runes := []rune(s); len(runes) > 200 {
		s = string(runes[:200])
	}
	return strings.TrimSpace(s)
}
