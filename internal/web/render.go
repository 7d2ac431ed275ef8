package web

import (
	"fmt"
	"html/template"
	"reflect"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/texts"
)

// rendering is a parsed page and who reads it now: templates' functions are bound to
// it, so one page at a time is made with it, see Pages.
type rendering struct {
	page *template.Template
	to   Reader
}

// funcs are what templates may call besides the built-in ones.
//
//	t "Hello %s" .Name, t .Said               a sentence
//	n .Count "one person" "%d people"         a sentence about a number
//	h "Ask <strong>%s</strong> first." .Name  with markup, which stands in the template itself
//	when .At, day .At                         a time on the reader's clock; also as an argument of t and h
//	said .Error                               what is wrong with a form
//	who .By                                   a name; the command line has one in each language
//	kept .Reason                              a sentence of ours that was kept in English, see texts.Reader
func (p *rendering) funcs() template.FuncMap {
	return template.FuncMap{
		"static": staticURL,
		"t":      p.t,
		"n":      p.n,
		"h":      p.h,
		"when":   func(v any) template.HTML { return p.timeTag(v, p.to.When) },
		"day":    func(v any) template.HTML { return p.timeTag(v, p.to.Day) },
		"join":   strings.Join,
		"said":   p.said,
		"kept":   func(text string) string { return p.to.Kept(text) },
		"number": Number,
		"shown":  shown,
		"who":    func(name string) string { return p.to.Say(Who(name)) },
	}
}

// Number groups digits: 1 204.
func Number(n int) string { return texts.Count(n).String() }

func staticURL(name string) (string, error) {
	if url, ok := staticNames[name]; ok {
		return url, nil
	}
	return "", fmt.Errorf("no static file %q", name)
}

// t is text unless an argument is markup of ours, such as a time: then all else is
// escaped here. A sentence that code has made comes as a Said.
func (p *rendering) t(sentence any, args ...any) (any, error) {
	v := reflect.ValueOf(sentence)
	if said, ok := sentence.(Said); ok {
		return p.to.Say(said), nil
	}
	if v.Kind() != reflect.String {
		return nil, fmt.Errorf("t: %v is no sentence", sentence)
	}
	english := v.String()
	for _, a := range args {
		if _, ok := a.(template.HTML); ok {
			return p.markup(template.HTMLEscapeString(p.to.Language.Sentence(english)), args), nil
		}
	}
	return p.to.T(english, args...), nil
}

// h has markup in the sentence. Arguments are escaped.
func (p *rendering) h(english string, args ...any) template.HTML {
	return p.markup(p.to.Language.Sentence(english), args)
}

func (p *rendering) markup(sentence string, args []any) template.HTML {
	if len(args) == 0 {
		return template.HTML(sentence)
	}
	safe := make([]any, len(args))
	for i, a := range args {
		safe[i] = p.safe(a)
	}
	return template.HTML(fmt.Sprintf(sentence, safe...))
}

// safe is an argument that can stand between tags and in quotes.
func (p *rendering) safe(a any) any {
	switch a := a.(type) {
	case template.HTML:
		return string(a)
	case fault.Word:
		return template.HTMLEscapeString(p.to.Language.Sentence(string(a)))
	case fault.Some:
		return template.HTMLEscapeString(p.to.N(a.N, a.One, a.Other))
	case Said:
		return template.HTMLEscapeString(p.to.Say(a))
	}
	if _, ok := texts.Moment(a); ok {
		return string(p.timeTag(a, p.to.When))
	}
	switch reflect.ValueOf(a).Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint, reflect.Uint64:
		return texts.Number{N: a}
	}
	return template.HTMLEscapeString(texts.Shown(fmt.Sprint(a)))
}

// n takes whatever kind of whole number a page has.
func (p *rendering) n(count any, one, other string, args ...any) (string, error) {
	v := reflect.ValueOf(count)
	if !v.CanInt() {
		return "", fmt.Errorf("n: %v is no whole number", count)
	}
	return p.to.N(int(v.Int()), one, other, args...), nil
}

// said is what is wrong, in the reader's language; without a fault the text is one of
// our sentences.
func (p *rendering) said(e *FieldError) string {
	switch {
	case e == nil:
		return ""
	case e.err != nil:
		return sentenceIn(p.to, e.err)
	}
	return p.to.T(e.Text)
}

// timeTag shows a time for people and machines, with UTC on pointing at it.
func (p *rendering) timeTag(v any, show func(time.Time) string) template.HTML {
	t, ok := texts.Moment(v)
	if s, is := v.(string); is { // as our JSON has it
		var err error
		t, err = time.Parse(time.RFC3339, s)
		ok = err == nil
	}
	if !ok {
		return template.HTML(template.HTMLEscapeString(fmt.Sprint(v)))
	}
	t = t.UTC()
	shown := template.HTMLEscapeString(show(t))
	if t.IsZero() || t.UnixMicro() == 0 {
		return template.HTML(shown)
	}
	title := ""
	if utc := template.HTMLEscapeString(p.to.UTC(t)); utc != shown {
		title = ` title="` + utc + `"`
	}
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `"` + title + `>` + shown + `</time>`)
}
