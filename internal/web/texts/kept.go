package texts

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Kept is text in the reader's language where it is one of our sentences, in the English
// in which programs read it: what a log has kept of an answer to a machine, an error that
// knows no readers. What is none of ours, and what stands in a sentence of ours, stays.
func (r Reader) Kept(text string) string {
	if r.Language == nil || r.Language.entries == nil || text == "" {
		return text
	}
	return r.kept(text, keptOf(r.Language), maxKeptDepth)
}

// maxKeptDepth bounds sentences in sentences: the text is partly somebody else's.
const maxKeptDepth = 12

// keptPrefix is the field in front of a sentence about it.
var keptPrefix = regexp.MustCompile(`(?s)^([A-Za-z][\w.:$-]*: )(.+)$`)

func (r Reader) kept(text string, all catalogue, depth int) string {
	if said, ok := r.readBack(text, all, depth); ok {
		return said
	}
	if depth == 0 {
		return text
	}
	if m := keptPrefix.FindStringSubmatch(text); m != nil {
		return m[1] + r.kept(m[2], all, depth-1)
	}
	if parts := strings.Split(text, "; "); len(parts) > 1 && len(parts) < 20 {
		for i, part := range parts {
			parts[i] = r.kept(part, all, 0)
		}
		return strings.Join(parts, "; ")
	}
	for at := range text { // several sentences, one after the other
		if strings.HasPrefix(text[at:], ". ") {
			if head, ok := r.readBack(text[:at+1], all, depth); ok {
				return head + " " + r.kept(text[at+2:], all, depth-1)
			}
		}
	}
	return text
}

// readBack finds the one sentence that the whole of text is.
func (r Reader) readBack(text string, all catalogue, depth int) (string, bool) {
	if text == "" {
		return "", false
	}
	if e, ok := r.Language.entries[text]; ok && e.One != "" && !isName(text) {
		return strings.ReplaceAll(e.One, "%%", "%"), true
	}
	best := len(all.list)
	var found []string
	for _, list := range [][]int{all.begin[text[0]], all.verb} {
		for _, i := range list { // the most of ours first
			if i >= best {
				break
			}
			if m, ok := all.list[i].read(text); ok {
				best, found = i, m
				break
			}
		}
	}
	if best == len(all.list) {
		return "", false
	}
	one := all.list[best]
	args := make([]any, len(found))
	for i, m := range found {
		if args[i] = argument(one.verbs[i], m); args[i] == m && depth > 0 && strings.ContainsAny(m, " (") {
			args[i] = r.kept(m, all, depth-1) // a phrase of ours; a word is the name of something
		}
	}
	return r.T(one.format, args...), true
}

// isName tells that a text may as well be what somebody calls something.
func isName(text string) bool {
	return !strings.Contains(text, " ") && strings.ContainsFunc(text, unicode.IsUpper)
}

// catalogue are the sentences with verbs that a text can be read back as, in the order
// of how much of them is ours.
type catalogue struct {
	list  []shape
	begin [256][]int // by their first letter
	verb  []int      // those that begin with a verb
}

// leastKept is how many letters of ours a sentence must have around its verbs: with
// fewer, it could be anybody's text.
const leastKept = 5

var catalogues sync.Map // *Language -> func() catalogue

func keptOf(l *Language) catalogue {
	made, ok := catalogues.Load(l)
	if !ok {
		made, _ = catalogues.LoadOrStore(l, sync.OnceValue(func() catalogue { return l.catalogue() }))
	}
	return made.(func() catalogue)()
}

func (l *Language) catalogue() (out catalogue) {
	weight := map[string]int{}
	for format, e := range l.entries {
		if e.One == "" || strings.Contains(format, "%[") || strings.Contains(format, "%%") {
			continue
		}
		one := shapeOf(format)
		for _, s := range one.literals {
			for _, c := range s {
				if unicode.IsLetter(c) {
					weight[format]++
				}
			}
		}
		if len(one.verbs) == 0 || weight[format] < leastKept {
			continue
		}
		out.list = append(out.list, one)
	}
	slices.SortFunc(out.list, func(a, b shape) int {
		return cmp.Or(cmp.Compare(weight[b.format], weight[a.format]), cmp.Compare(a.format, b.format))
	})
	for i, one := range out.list {
		if first := one.literals[0]; first != "" {
			out.begin[first[0]] = append(out.begin[first[0]], i)
		} else {
			out.verb = append(out.verb, i)
		}
	}
	return out
}
