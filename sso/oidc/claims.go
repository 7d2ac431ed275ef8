package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/muster-id/muster/sso/answer"
)

// Claims are the claims of a token, of userinfo or of any other JSON object of a
// provider, by their exact names. encoding/json matches struct fields without
// regard to case and would take "SUB" for "sub"; a map does not.
type Claims map[string]json.RawMessage

// parseClaims reads an object. A name that comes twice is refused at any depth:
// two readers could each believe another of the two (RFC 8725 §2.4).
func parseClaims(b []byte) (Claims, error) {
	var c Claims
	if err := json.Unmarshal(b, &c); err != nil {
		if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("not a JSON object: broken at byte %d", broken.Offset)
		}
		return nil, errors.New("not a JSON object")
	}
	if c == nil {
		return nil, errors.New("not a JSON object: null")
	}
	if name, twice := duplicate(b); twice {
		return nil, fmt.Errorf("the name %q comes twice", name)
	}
	return c, nil
}

// duplicate finds a name that comes twice in one object of valid JSON.
func duplicate(b []byte) (string, bool) {
	open := make([]map[string]bool, 0, 4) // names of the objects that are open; nil for an array
	name := false                         // a string here is a name
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{':
			open, name = append(open, make(map[string]bool, 16)), true
		case '[':
			open, name = append(open, nil), false
		case '}', ']':
			open, name = open[:len(open)-1], false
		case ',':
			name = open[len(open)-1] != nil
		case '"':
			end := stringEnd(b, i)
			if name {
				s, seen := unquote(b[i:end+1]), open[len(open)-1]
				if seen[s] {
					return s, true
				}
				seen[s] = true
			}
			i, name = end, false
		}
	}
	return "", false
}

// stringEnd is where the string that starts at i ends.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

func unquote(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1])
	}
	var s string
	_ = json.Unmarshal(b, &s) // part of valid JSON
	return s
}

func (c Claims) has(name string) bool {
	raw, ok := c[name]
	return ok && string(raw) != "null"
}

// Text is a string claim; anything else is "".
func (c Claims) Text(name string) string { return textOf(c[name]) }

// At is a NumericDate claim; the zero time when it is missing or no number.
func (c Claims) At(name string) time.Time {
	var n float64
	if !c.has(name) || json.Unmarshal(c[name], &n) != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

func textOf(raw json.RawMessage) string {
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	return unquoteText(raw)
}

func unquoteText(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// list is a claim that may be one string or several. whole is false when it holds
// anything else than text.
func (c Claims) list(name string) (list []string, whole bool) { return listOf(c[name]) }

func listOf(raw json.RawMessage) (list []string, whole bool) {
	if len(raw) == 0 {
		return nil, false
	}
	if raw[0] == '"' {
		if s := unquoteText(raw); s != "" {
			return []string{s}, true
		}
		return nil, true
	}
	if raw[0] != '[' {
		return nil, false
	}
	if json.Unmarshal(raw, &list) == nil && !bytes.Contains(raw, []byte("null")) {
		return list, true
	}
	var many []any
	if json.Unmarshal(raw, &many) != nil {
		return nil, false
	}
	list, whole = make([]string, 0, len(many)), true
	for _, v := range many {
		s, ok := v.(string)
		if !ok {
			whole = false
			continue
		}
		list = append(list, s)
	}
	return list, whole
}

// find is a claim by its name, or by a path through objects such as
// realm_access.roles. Names with a dot in them come first.
func (c Claims) find(path string) (json.RawMessage, bool) {
	if raw, ok := c[path]; ok {
		return raw, string(raw) != "null"
	}
	for i := range path {
		if path[i] != '.' {
			continue
		}
		var inner Claims
		if raw := c[path[:i]]; len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &inner) != nil {
			continue
		}
		if raw, ok := inner.find(path[i+1:]); ok {
			return raw, true
		}
	}
	return nil, false
}

// word reads a yes-or-no claim. Some providers send "true" as a string, and
// Entra's xms_edov comes as 1 or "1".
func (c Claims) word(name string) answer.Word {
	if !c.has(name) {
		return answer.Unsaid
	}
	switch strings.ToLower(strings.Trim(string(c[name]), `"`)) {
	case "true", "1":
		return answer.SaidYes
	}
	return answer.SaidNo
}

// show is a claim for the trace, as sent.
func (c Claims) show(name string) string {
	if !c.has(name) {
		return "(missing)"
	}
	return strings.Trim(string(c[name]), `"`)
}

// Bounds of what a profile repeats of the claims.
const (
	flatDepth = 3
	flatNames = 500
)

// flat gives all simple claims as lists of text, for Profile.Attributes; those in
// objects under their path. One list has been read before: done, under its name.
func (c Claims) flat(name string, done []string) map[string][]string {
	out := make(map[string][]string, len(c))
	if len(done) > 0 {
		out[name] = done
	}
	c.flatInto(out, "", flatDepth)
	return out
}

func (c Claims) flatInto(out map[string][]string, prefix string, depth int) {
	for name, raw := range c {
		if len(out) >= flatNames || len(raw) == 0 || string(raw) == "null" || out[prefix+name] != nil {
			continue
		}
		switch raw[0] {
		case '{':
			var inner Claims
			if depth > 1 && json.Unmarshal(raw, &inner) == nil {
				inner.flatInto(out, prefix+name+".", depth-1)
			}
		case '"', '[':
			if l, _ := listOf(raw); len(l) > 0 {
				out[prefix+name] = l
			}
		default:
			out[prefix+name] = []string{string(raw)}
		}
	}
}
