package texts

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Known are sentences that are stored in English, where programs read them: Read finds
// which one a text was made of, so that a page says it in its reader's language.
// The patterns are made when the first text is read: most programs read none.
type Known struct{ list func() []known }

type known struct {
	format string
	verbs  []byte         // s, q, d, or v for what is one of these sentences itself
	made   *regexp.Regexp // nil for a sentence without arguments
}

var knownVerb = regexp.MustCompile(`%[sqdv]`)

// Know makes them of formats for fmt.
func Know(formats ...string) Known {
	return Known{sync.OnceValue(func() []known { return patterns(formats) })}
}

func patterns(formats []string) []known {
	list := make([]known, len(formats))
	for i, f := range formats {
		list[i].format = f
		at, pattern := 0, ""
		for _, m := range knownVerb.FindAllStringIndex(f, -1) {
			verb := f[m[0]+1]
			list[i].verbs = append(list[i].verbs, verb)
			pattern += regexp.QuoteMeta(f[at:m[0]]) + map[byte]string{'s': `(.*)`, 'v': `(.*)`, 'q': `("(?:[^"\\]|\\.)*")`, 'd': `(-?\d{1,18})`}[verb]
			at = m[1]
		}
		if at > 0 {
			list[i].made = regexp.MustCompile(`(?s)^` + pattern + regexp.QuoteMeta(f[at:]) + `$`)
		}
	}
	return list
}

// Read is the sentence that text says; what is none of these is shown as it is.
func (k Known) Read(text string) Said {
	if text == "" {
		return Said{}
	}
	if s, ok := k.find(text); ok {
		return s
	}
	return Say("%s", text)
}

func (k Known) find(text string) (Said, bool) {
	for _, one := range k.list() {
		if one.made == nil {
			if one.format == text {
				return Say(one.format), true
			}
			continue
		}
		if m := one.made.FindStringSubmatch(text); m != nil {
			return Say(one.format, k.args(one.verbs, m[1:])...), true
		}
	}
	return Said{}, false
}

func (k Known) args(verbs []byte, found []string) (args []any) {
	for i, text := range found {
		switch verbs[i] {
		case 'q':
			if plain, err := strconv.Unquote(text); err == nil {
				text = plain
			} else {
				text = strings.Trim(text, `"`)
			}
			args = append(args, text)
		case 'd':
			n, _ := strconv.Atoi(text) // digits, as the pattern has them
			args = append(args, n)
		case 'v':
			if s, ok := k.find(text); ok {
				args = append(args, s)
			} else {
				args = append(args, Say(text))
			}
		default:
			args = append(args, text)
		}
	}
	return args
}
