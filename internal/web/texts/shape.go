package texts

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// shape is how a text looks that was made of a format for fmt.
type shape struct {
	format   string
	literals []string // what stands around the verbs: one more than there are verbs
	verbs    []byte
	pattern  func() *regexp.Regexp // made when a text first looks like it
}

var shapeVerb = regexp.MustCompile(`%0?\d*(?:\.\d+)?([sqdvx])`)

var verbPatterns = map[byte]string{'s': `(.*?)`, 'v': `(.*?)`, 'q': `("(?:[^"\\]|\\.)*")`, 'd': `(-?\d{1,18})`, 'x': `([0-9a-f]{1,15})`}

func shapeOf(format string) shape {
	one := shape{format: format}
	at := 0
	for _, m := range shapeVerb.FindAllStringSubmatchIndex(format, -1) {
		one.literals, one.verbs = append(one.literals, format[at:m[0]]), append(one.verbs, format[m[2]])
		at = m[1]
	}
	one.literals = append(one.literals, format[at:])
	literals, verbs := one.literals, one.verbs
	one.pattern = sync.OnceValue(func() *regexp.Regexp {
		pattern := `(?s)^` + regexp.QuoteMeta(literals[0])
		for i, verb := range verbs {
			pattern += verbPatterns[verb] + regexp.QuoteMeta(literals[i+1])
		}
		return regexp.MustCompile(pattern + `$`)
	})
	return one
}

// read gives what stands in text where the verbs are; false when text is another sentence.
// The literals are looked for first: that costs much less than the pattern.
func (one shape) read(text string) ([]string, bool) {
	last := len(one.literals) - 1
	if last == 0 {
		return nil, text == one.format
	}
	if !strings.HasPrefix(text, one.literals[0]) || !strings.HasSuffix(text, one.literals[last]) {
		return nil, false
	}
	rest := text[len(one.literals[0]):]
	for _, s := range one.literals[1:last] {
		at := strings.Index(rest, s)
		if at < 0 {
			return nil, false
		}
		rest = rest[at+len(s):]
	}
	m := one.pattern().FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	return m[1:], true
}

// argument is what stood there, for the verb in another language's sentence.
func argument(verb byte, text string) any {
	switch verb {
	case 'q':
		if plain, err := strconv.Unquote(text); err == nil {
			return plain
		}
		return strings.Trim(text, `"`)
	case 'd':
		n, _ := strconv.Atoi(text) // digits, as the pattern has them
		return n
	case 'x':
		n, _ := strconv.ParseInt(text, 16, 64)
		return hex(n)
	}
	return text
}

// hex is a number for %x, which fmt writes as digits of a text otherwise.
type hex int64
