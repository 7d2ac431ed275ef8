package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What the log keeps of a request is redacted first: values of attributes whose
// name sounds like a secret, wherever they stand, and whatever looks like a token.

const (
	redacted = "[redacted]"
	maxRead  = 64 << 10 // a larger body is not looked at, and so not kept
	maxShown = 4 << 10  // of the redacted body
)

// secretName is part of the names of attributes that hold secrets.
var secretName = regexp.MustCompile(`(?i)passw|secret|token|credential|authorization|api_?key|private_?key|passphrase|otp|cookie`)

var (
	// secretTerm is password eq "x" in a filter, secretParam access_token=x in a query.
	secretTerm  = regexp.MustCompile(`(?i)([\w.:\[\]-]*(?:passw|secret|token|credential|authorization|api_?key|private_?key|passphrase|otp)[\w.:\]-]*\s+(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)("(?:[^"\\]|\\.)*"?|[^\s)&]+)`)
	secretParam = regexp.MustCompile(`(?i)([?&][\w.-]*(?:passw|secret|token|credential|authorization|api_?key|private_?key|passphrase|otp|code)[\w.-]*=)([^&\s]+)`)
	// secretField is JSON inside a string, as Entra ID sends roles.
	secretField = regexp.MustCompile(`(?i)(\\*"[\w.:-]*(?:passw|secret|token|credential|authorization|api_?key|private_?key|passphrase|otp)[\w.:-]*\\*"\s*:\s*)(\\*"[^"]*"?|[^\s,}\]"\[{]+)`)
	bearer      = regexp.MustCompile(`(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}`)
	jwt         = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)+`)
	tokenLike   = regexp.MustCompile(`[A-Za-z0-9_+-]{32,}=*`)
	pem         = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]+-----.*`)
)

// redactText takes secrets out of a text whose structure is not known.
func redactText(s string) string {
	if mayHoldSecret(s) {
		return redactAll(s)
	}
	return s
}

// secretWords are what each expression above needs, but for tokenLike.
var secretWords = []string{"passw", "secret", "token", "credential", "authorization", "apikey", "api_key", "privatekey", "private_key",
	"passphrase", "otp", "code", "bearer", "basic", "eyj", "-----begin"}

// mayHoldSecret is false when none of the expressions can match. They took a tenth
// of a small request's time, for paths and clients' names that hold nothing.
func mayHoldSecret(s string) bool {
	var run, upper, lower, digit int // of letters and digits as tokens have them
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf: // other letters may fold to these
			return true
		case c >= 'a' && c <= 'z':
			run, lower = run+1, 1
		case c >= 'A' && c <= 'Z':
			run, upper = run+1, 1
		case c >= '0' && c <= '9':
			run, digit = run+1, 1
		case c == '_', c == '+', c == '-':
			run++
		default:
			run, upper, lower, digit = 0, 0, 0, 0
		}
		if run >= 32 && upper+lower+digit == 3 {
			return true
		}
	}
	s = strings.ToLower(s)
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(s, word) })
}

func redactAll(s string) string {
	s = pem.ReplaceAllString(s, redacted)
	s = secretTerm.ReplaceAllString(s, "${1}"+redacted)
	s = secretField.ReplaceAllString(s, `${1}"`+redacted+`"`)
	s = secretParam.ReplaceAllString(s, "${1}"+redacted)
	s = bearer.ReplaceAllString(s, "${1}${2}"+redacted)
	s = jwt.ReplaceAllString(s, redacted)
	return tokenLike.ReplaceAllStringFunc(s, func(t string) string {
		if looksRandom(t) {
			return redacted
		}
		return t
	})
}

// looksRandom tells tokens from ids and long words: tokens mix capitals, small
// letters and digits.
func looksRandom(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsDigit)
}

// redactor takes secrets out of one body and remembers them, so that they are
// found in the sentence that refuses it too.
type redactor struct {
	found []string
	own   [2]map[string]bool // Compiled.secrets of users and groups
}

// secret tells whether a name or a path is that of a secret.
func (x *redactor) secret(name string) bool {
	if secretName.MatchString(name) {
		return true
	}
	if len(x.own[0])+len(x.own[1]) == 0 {
		return false
	}
	name, _, _ = strings.Cut(strings.ToLower(name), "[")
	name = name[strings.LastIndexByte(name, ':')+1:]
	for part := range strings.SplitSeq(name, ".") {
		if x.own[0][part] || x.own[1][part] {
			return true
		}
	}
	return false
}

// secretFilter tells whether a path with a query compares an attribute that is never
// shown with something.
func secretFilter(path string, own [2]map[string]bool) bool {
	path = strings.ToLower(path)
	for _, names := range own {
		for name := range names {
			if strings.Contains(path, ":"+name+" ") || strings.Contains(path, "."+name+" ") {
				return true
			}
		}
	}
	return false
}

// body is a refused body as the log keeps it, and the name that it gives its
// resource. A body that is no JSON is not kept: what in it is secret cannot be told.
func (x *redactor) body(raw []byte, cut bool) (shown, name string) {
	var doc map[string]any
	switch {
	case len(raw) == 0:
		return "", ""
	case cut:
		return fmt.Sprintf("(more than %d bytes; not kept)", maxRead), ""
	case json.Unmarshal(raw, &doc) != nil:
		return fmt.Sprintf("(%d bytes that are no JSON object; not kept)", len(raw)), ""
	}
	return x.document(doc)
}

// document is body for what is read already; nil shows nothing.
func (x *redactor) document(doc map[string]any) (shown, name string) {
	if doc == nil {
		return "", ""
	}
	for _, attr := range []string{"userName", "displayName"} {
		if _, v := anyCase(doc, attr); v != nil && name == "" {
			name, _ = v.(string)
		}
	}
	clean, err := json.Marshal(x.value(doc, false))
	if err != nil {
		return "", name
	}
	return cutText(string(clean), maxShown), name
}

// value copies v without its secrets; all of it is one when secret is set.
func (x *redactor) value(v any, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		return x.object(v, secret)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = x.value(e, secret)
		}
		return out
	case nil, bool:
		return v
	default:
		if text, ok := v.(string); ok && !secret {
			return redactText(text)
		}
		if !secret {
			return v
		}
		x.found = append(x.found, fmt.Sprint(v))
		return redacted
	}
}

func (x *redactor) object(m map[string]any, secret bool) map[string]any {
	_, path := anyCase(m, "path") // {"op":"replace","path":"password","value":"x"}
	p, _ := path.(string)
	bySecretPath := x.secret(p)
	if name, within, ok := strings.Cut(p, "["); ok && bySecretPath { // passwords[value eq "x"]
		for i, piece := range strings.Split(within, `"`) {
			if i%2 == 1 { // inside quotes
				x.found = append(x.found, piece)
			}
		}
		m = maps.Clone(m)
		for k := range m {
			if strings.EqualFold(k, "path") {
				m[k] = name + redacted
			}
		}
	}
	out := make(map[string]any, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		hide := secret || x.secret(k) || bySecretPath && strings.EqualFold(k, "value")
		out[redactText(k)] = x.value(m[k], hide)
	}
	return out
}

// text is redactText, and without the secrets that were found in the body.
func (x *redactor) text(s string) string {
	for _, secret := range x.found {
		if len(secret) > 2 {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	return redactText(s)
}

// cutText keeps what can be stored, and at most n bytes of it.
func cutText(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == utf8.RuneError {
			return -1
		}
		return c
	}, s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
