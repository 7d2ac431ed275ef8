package scim

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// value reads a JSON literal, or with UnquotedValues a bare word.
func (p *parser) value() (any, error) {
	if p.peek() == '"' {
		return p.text()
	}
	at := p.pos
	for p.pos < len(p.s) && !strings.ContainsRune(" )]\"", rune(p.s[p.pos])) {
		p.pos++
	}
	word := p.s[at:p.pos]
	switch {
	case word == "" || p.peek() == '"':
		return nil, p.wrong(at, `a value, as in userName eq "bjensen"`)
	case strings.EqualFold(word, "true"):
		return true, nil
	case strings.EqualFold(word, "false"):
		return false, nil
	case strings.EqualFold(word, "null"):
		return nil, nil
	case isNumber(word):
		return json.Number(strings.ReplaceAll(word, "E", "e")), nil
	case p.opt.UnquotedValues && word[0] != '\'' && strings.IndexByte(word, 0) < 0:
		return word, nil
	}
	return nil, p.wrong(at, `true, false, null, a number, or a text in double quotes, as in userName eq "bjensen"`)
}

// text reads a JSON string. NUL and half surrogate pairs are no text: no stored
// value has them and PostgreSQL takes neither.
func (p *parser) text() (string, error) {
	open := p.pos
	p.pos++
	start := p.pos
	var b []byte
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case c == '"':
			p.pos++
			if b == nil {
				return p.s[start : p.pos-1], nil
			}
			return string(append(b, p.s[start:p.pos-1]...)), nil
		case c == '\\':
			b = append(b, p.s[start:p.pos]...)
			r, ok := p.escape()
			if !ok {
				return "", p.wrong(p.pos, `one of the escapes of JSON: \" \\ \/ \b \f \n \r \t \uXXXX (not NUL, no half surrogate pair)`)
			}
			b = utf8.AppendRune(b, r)
			start = p.pos
			continue
		case c < 0x20:
			return "", p.wrong(p.pos, `control characters to be written as \uXXXX`)
		}
		p.pos++
	}
	return "", p.wrong(len(p.s), fmt.Sprintf("the closing quote of the text that begins at byte %d", open))
}

// escape reads one escape (two for a surrogate pair) and moves behind it.
func (p *parser) escape() (rune, bool) {
	rest := p.s[p.pos+1:]
	if rest == "" {
		return 0, false
	}
	if i := strings.IndexByte(`"\/bfnrt`, rest[0]); i >= 0 {
		p.pos += 2
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	r, ok := hex4(rest)
	if !ok || r == 0 {
		return 0, false
	}
	n := 6
	if utf16.IsSurrogate(r) {
		if len(rest) < 6 || rest[5] != '\\' {
			return 0, false
		}
		low, ok := hex4(rest[6:])
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0, false
		}
		n = 12
	}
	p.pos += n
	return r, true
}

// hex4 reads uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	var r rune
	for i := 1; i < 5; i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// isNumber tells whether all of s is a JSON number.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	if s = s[whole:]; strings.HasPrefix(s, ".") {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && s[0]|0x20 == 'e' {
		if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := digits(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return s == ""
}

// digits counts the digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}
