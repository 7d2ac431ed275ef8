package scim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of one body. They hold before anything is built from it.
const (
	maxUserBody  = 4 << 20
	maxGroupBody = 64 << 20 // a full push of 100,000 members is about 10 MB
	maxDepth     = 64
	maxNodes     = 1 << 20 // values in one body; a member is two to four of them
)

// copyBuffers spare each request the 32 KB that io.Copy takes.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// decodeObject reads one JSON object and nothing after it. Numbers stay
// json.Number. Refused with invalidSyntax: anything that encoding/json would
// repair in silence (broken UTF-8, lone surrogates, the last of two equal names),
// NUL, names that differ in case only (RFC 7643 §2.1: names are case-insensitive,
// so they are one name twice), and more than maxDepth levels.
//
// It is our own reader because a token reader on encoding/json, the only way to
// see duplicate names, costs three times as much per request.
func decodeObject(body io.Reader) (map[string]any, error) {
	var text strings.Builder // the strings of the result share this one copy
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	if _, err := io.CopyBuffer(&text, body, buf[:]); err != nil {
		if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
			return nil, err
		}
		return nil, invalidSyntax("The body could not be read to its end.")
	}
	return decodeText(text.String())
}

func decodeText(raw string) (map[string]any, error) {
	if raw == "" {
		return nil, invalidSyntax("The body is empty. Send one JSON object.")
	}
	if !utf8.ValidString(raw) {
		return nil, invalidSyntax("The body is not valid UTF-8.")
	}
	d := decoder{s: strings.TrimPrefix(raw, "\ufeff")}
	d.blank()
	if d.peek() != '{' {
		return nil, invalidSyntax("The body is not a JSON object.")
	}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.blank(); d.i < len(d.s) {
		return nil, d.bad("nothing after the end of the object")
	}
	return v.(map[string]any), nil
}

type decoder struct {
	s     string
	i     int
	nodes int
}

// bad says what stood where something else was wanted.
func (d *decoder) bad(want string) error {
	if d.i >= len(d.s) {
		return invalidSyntax("The JSON ends too early: want %s.", want)
	}
	r, _ := utf8.DecodeRuneInString(d.s[d.i:])
	return invalidSyntax("The JSON is broken at byte %d, at %q: want %s.", d.i, string(r), want)
}

func (d *decoder) peek() byte {
	if d.i < len(d.s) {
		return d.s[d.i]
	}
	return 0
}

func (d *decoder) blank() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) value(depth int) (any, error) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, status(http.StatusRequestEntityTooLarge, "The body has more than %d values. Send fewer per request.", maxNodes)
	}
	switch c := d.peek(); {
	case c == '{':
		if depth >= maxDepth {
			return nil, invalidSyntax("The JSON is nested deeper than %d levels.", maxDepth)
		}
		return d.object(depth + 1)
	case c == '[':
		if depth >= maxDepth {
			return nil, invalidSyntax("The JSON is nested deeper than %d levels.", maxDepth)
		}
		return d.array(depth + 1)
	case c == '"':
		return d.text()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case strings.HasPrefix(d.s[d.i:], "true"):
		d.i += 4
		return true, nil
	case strings.HasPrefix(d.s[d.i:], "false"):
		d.i += 5
		return false, nil
	case strings.HasPrefix(d.s[d.i:], "null"):
		d.i += 4
		return nil, nil
	}
	return nil, d.bad("a value")
}

func (d *decoder) object(depth int) (any, error) {
	out := map[string]any{}
	seen := names{few: make([]string, 0, 17)}
	d.i++
	if d.blank(); d.peek() == '}' {
		d.i++
		return out, nil
	}
	for {
		if d.blank(); d.peek() != '"' {
			return nil, d.bad("a name in quotes")
		}
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if d.blank(); d.peek() != ':' {
			return nil, d.bad("a colon")
		}
		d.i++
		d.blank()
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		if twin, ok := seen.twin(name); ok {
			return nil, invalidSyntax("%q and %q are one name (names have no case) and stand in the same object.", twin, name)
		}
		out[name] = v
		d.blank()
		switch d.peek() {
		case ',':
			d.i++
		case '}':
			d.i++
			return out, nil
		default:
			return nil, d.bad("a comma or the end of the object")
		}
	}
}

// names is the set of names of one object. Few are compared one by one, many
// through their folded forms, so a hostile object costs no quadratic time.
type names struct {
	few    []string
	folded map[string]string
}

// twin adds name and returns the name it repeats, if any.
func (n *names) twin(name string) (string, bool) {
	if n.folded == nil {
		for _, k := range n.few {
			if len(k) == len(name) && strings.EqualFold(k, name) {
				return k, true
			}
		}
		if n.few = append(n.few, name); len(n.few) <= 16 {
			return "", false
		}
		n.folded = make(map[string]string, 32)
		for _, k := range n.few {
			n.folded[strings.ToLower(k)] = k
		}
		return "", false
	}
	key := strings.ToLower(name)
	if k, ok := n.folded[key]; ok {
		return k, true
	}
	n.folded[key] = name
	return "", false
}

func (d *decoder) array(depth int) (any, error) {
	out := []any{}
	d.i++
	if d.blank(); d.peek() == ']' {
		d.i++
		return out, nil
	}
	for {
		d.blank()
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		d.blank()
		switch d.peek() {
		case ',':
			d.i++
		case ']':
			d.i++
			return out, nil
		default:
			return nil, d.bad("a comma or the end of the array")
		}
	}
}

func (d *decoder) number() (any, error) {
	start := d.i
	digits := func() bool {
		from := d.i
		for c := d.peek(); c >= '0' && c <= '9'; c = d.peek() {
			d.i++
		}
		return d.i > from
	}
	if d.peek() == '-' {
		d.i++
	}
	if d.peek() == '0' {
		d.i++
	} else if !digits() {
		return nil, d.bad("a digit")
	}
	if d.peek() == '.' {
		d.i++
		if !digits() {
			return nil, d.bad("a digit")
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.i++
		if c := d.peek(); c == '+' || c == '-' {
			d.i++
		}
		if !digits() {
			return nil, d.bad("a digit")
		}
	}
	return json.Number(d.s[start:d.i]), nil
}

// text reads a string. One without escapes is a slice of the body.
func (d *decoder) text() (string, error) {
	d.i++
	start := d.i
	for d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			d.i++
			return d.s[start : d.i-1], nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", d.bad("no control character inside a string")
		}
		d.i++
	}
	return "", d.bad("the closing quote")
}

func (d *decoder) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(d.s[start:d.i])
	for d.i < len(d.s) {
		c := d.s[d.i]
		switch {
		case c == '"':
			d.i++
			return b.String(), nil
		case c < 0x20:
			return "", d.bad("no control character inside a string")
		case c != '\\':
			b.WriteByte(c)
			d.i++
			continue
		}
		d.i++
		if d.peek() == 'u' {
			d.i++
			r, err := d.unicode()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			continue
		}
		at := strings.IndexByte(`"\/bfnrt`, d.peek())
		if at < 0 || d.i >= len(d.s) {
			return "", d.bad("an escape that JSON knows")
		}
		b.WriteByte("\"\\/\b\f\n\r\t"[at])
		d.i++
	}
	return "", d.bad("the closing quote")
}

// unicode reads the digits of \u, and of a second \u when the first is half of a pair.
func (d *decoder) unicode() (rune, error) {
	r, err := d.hex4()
	if err != nil {
		return 0, err
	}
	if r == 0 {
		return 0, invalidSyntax("The body has a NUL character (\\u0000), which no attribute can hold.")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if strings.HasPrefix(d.s[d.i:], `\u`) {
		d.i += 2
		low, err := d.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, invalidSyntax("The body has half of a surrogate pair (\\u%04x), which is no character.", r)
}

func (d *decoder) hex4() (rune, error) {
	var r rune
	for range 4 {
		c := d.peek()
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, d.bad("four hexadecimal digits")
		}
		d.i++
	}
	return r, nil
}
