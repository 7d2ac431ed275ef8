package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Documents are read and written on every change, and encoding/json goes through
// reflection for each value of a map: it made a third of what a PATCH allocates. This
// is the same for the types that documents are made of; what is not among them goes
// to encoding/json.

// buffers are what is encoded into before its length is known.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// encode is v as JSON. The names of objects are in order, so equal documents are
// equal texts.
func encode(v any) (string, error) {
	box := buffers.Get().(*[]byte)
	defer buffers.Put(box)
	out, err := appendJSON((*box)[:0], v)
	if cap(out) <= 64<<10 { // one large document must not hold its room for ever
		*box = out
	}
	return string(out), err
}

func appendJSON(buf []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(buf, "null"...), nil
	case bool:
		return strconv.AppendBool(buf, v), nil
	case string:
		return appendString(buf, v), nil
	case Status:
		return appendString(buf, string(v)), nil
	case Source:
		return appendString(buf, string(v)), nil
	case int:
		return strconv.AppendInt(buf, int64(v), 10), nil
	case map[string]any:
		return appendObject(buf, v)
	case []any:
		return appendList(buf, v)
	case JSON: // ours, or read from the database
		if len(v) > 0 {
			return append(buf, v...), nil
		}
	}
	b, err := json.Marshal(v)
	return append(buf, b...), err
}

func appendObject(buf []byte, m map[string]any) (_ []byte, err error) {
	if m == nil {
		return append(buf, "null"...), nil
	}
	names := make([]string, 0, 24) // most have fewer, and then it is on the stack
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	buf = append(buf, '{')
	for i, name := range names {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(appendString(buf, name), ':')
		if buf, err = appendJSON(buf, m[name]); err != nil {
			return buf, err
		}
	}
	return append(buf, '}'), nil
}

func appendList(buf []byte, list []any) (_ []byte, err error) {
	if list == nil {
		return append(buf, "null"...), nil
	}
	buf = append(buf, '[')
	for i, v := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		if buf, err = appendJSON(buf, v); err != nil {
			return buf, err
		}
	}
	return append(buf, ']'), nil
}

// appendString leaves what needs an escape, and broken UTF-8, to encoding/json.
func appendString(buf []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf && !utf8.ValidString(s) {
			plain = false
			break
		} else if c >= utf8.RuneSelf {
			plain = !strings.ContainsFunc(s[i:], func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
			break
		}
	}
	if !plain {
		b, _ := json.Marshal(s) // strings always marshal
		return append(buf, b...)
	}
	return append(append(append(buf, '"'), s...), '"')
}

// same is reflect.DeepEqual for what documents hold; that one made 50 allocations of a
// PATCH.
func same(a, b any) bool {
	switch a := a.(type) {
	case nil, bool, string, json.Number:
		return a == b
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if w, there := b[name]; !there || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	}
	return reflect.DeepEqual(a, b)
}

// differing are the attributes that are not the same text in both documents.
func differing(old, doc Doc) (names []string, err error) {
	for name, v := range old {
		w, there := doc[name]
		if there && same(v, w) {
			continue
		}
		a, err := encode(v) // numbers of two kinds may be one text
		if err != nil {
			return nil, err
		}
		b, err := encode(w)
		if err != nil {
			return nil, err
		}
		if !there || a != b {
			names = append(names, name)
		}
	}
	for name := range doc {
		if _, there := old[name]; !there {
			names = append(names, name)
		}
	}
	return names, nil
}

// decodeDoc reads a stored document. Its strings share one copy of the text.
func decodeDoc(raw JSON) (Doc, error) {
	r := reader{s: string(raw)}
	v, ok := r.value()
	if doc, isObject := v.(map[string]any); ok && isObject && r.end() {
		return doc, nil
	}
	d := json.NewDecoder(strings.NewReader(r.s)) // to say what is wrong with it
	d.UseNumber()
	var doc Doc
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("stored document: %w", err)
	}
	return doc, nil
}

// reader reads JSON that a database has found to be such: what it does not know it
// does not explain.
type reader struct {
	s string
	i int
}

// next is the next character that is no blank, 0 at the end.
func (r *reader) next() byte {
	for ; r.i < len(r.s); r.i++ {
		if c := r.s[r.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

func (r *reader) end() bool { return r.next() == 0 }

// take passes over c.
func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.i++
	return true
}

func (r *reader) value() (v any, ok bool) {
	switch c := r.next(); {
	case c == '{':
		return r.object()
	case c == '[':
		return r.list()
	case c == '"':
		return r.text()
	case c == '-' || c >= '0' && c <= '9':
		start := r.i
		for r.i < len(r.s) && strings.IndexByte("+-.0123456789Ee", r.s[r.i]) >= 0 {
			r.i++
		}
		return json.Number(r.s[start:r.i]), true
	}
	for _, word := range literals {
		if strings.HasPrefix(r.s[r.i:], word.text) {
			r.i += len(word.text)
			return word.value, true
		}
	}
	return nil, false
}

var literals = []struct {
	text  string
	value any
}{{"true", true}, {"false", false}, {"null", nil}}

func (r *reader) object() (any, bool) {
	m := map[string]any{}
	if r.i++; r.take('}') {
		return m, true
	}
	for {
		name, ok := r.text()
		if !ok || !r.take(':') {
			return nil, false
		}
		if m[name], ok = r.value(); !ok {
			return nil, false
		}
		if !r.take(',') {
			return m, r.take('}')
		}
	}
}

func (r *reader) list() (any, bool) {
	list := []any{}
	if r.i++; r.take(']') {
		return list, true
	}
	for {
		v, ok := r.value()
		if !ok {
			return nil, false
		}
		list = append(list, v)
		if !r.take(',') {
			return list, r.take(']')
		}
	}
}

// text reads a string. One without escapes is a part of the text.
func (r *reader) text() (string, bool) {
	if r.next() != '"' {
		return "", false
	}
	start, escaped := r.i, false
	for r.i++; r.i < len(r.s); r.i++ {
		switch r.s[r.i] {
		case '\\':
			escaped = true
			r.i++
		case '"':
			r.i++
			if !escaped {
				return r.s[start+1 : r.i-1], true
			}
			var s string
			err := json.Unmarshal([]byte(r.s[start:r.i]), &s)
			return s, err == nil
		}
	}
	return "", false
}
