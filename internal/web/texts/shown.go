package texts

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/muster-id/muster/internal/fault"
)

// Shown is a text of somebody else's, as a page of ours shows it. One that is written from
// right to left, or that turns the direction of writing, is isolated from what stands
// around it (UAX #9 §2.4.2); one of which nothing can be seen is named by its characters.
// All other texts stay as they are.
func Shown(text string) string {
	switch {
	case !odd(text):
		return text
	case strings.TrimSpace(text) != "" && !fault.Shows(text):
		return byNumber(text)
	case !strings.ContainsFunc(text, turns):
		return text
	}
	return isolated(text)
}

// odd is a quick look: whatever is special is beyond the Latin letters.
func odd(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] >= 0xcc || text[i] == 0xc2 { // U+0300 and above, or U+0080 to U+00BF
			return true
		}
	}
	return false
}

// mostNamed is enough to tell what stands there.
const mostNamed = 4

func byNumber(text string) string {
	var b strings.Builder
	n := 0
	for _, c := range text {
		if n++; n > mostNamed {
			b.WriteString(" …")
			break
		}
		if n > 1 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "U+%04X", c)
	}
	return "[" + b.String() + "]"
}

// turns tells of characters that are written from right to left or say what is. The blocks
// are those that Unicode has set aside for such scripts.
func turns(c rune) bool {
	return c >= 0x590 && c <= 0x8ff || c >= 0xfb1d && c <= 0xfdff || c >= 0xfe70 && c <= 0xfefe || c >= 0x10800 && c <= 0x10fff || c >= 0x1e800 && c <= 0x1efff ||
		unicode.Is(unicode.Bidi_Control, c)
}

// The characters that isolate, UAX #9 §2.4.
const (
	firstStrong = '\u2068'
	popIsolate  = '\u2069'
)

// isolated ends where it should: an end of an isolate that the text has not begun would end
// ours, as would the end of a paragraph; what the text has begun ends before.
func isolated(text string) string {
	var b strings.Builder
	b.WriteRune(firstStrong)
	open := 0
	for _, c := range text {
		switch {
		case c == '\u2029':
			c = ' '
		case c >= '\u2066' && c <= firstStrong:
			open++
		case c == popIsolate && open == 0:
			continue
		case c == popIsolate:
			open--
		}
		b.WriteRune(c)
	}
	for ; open >= 0; open-- {
		b.WriteRune(popIsolate)
	}
	return b.String()
}

// shown is Shown within a sentence, once the verb has cut or quoted it.
func shown(text string) any {
	if !odd(text) {
		return text
	}
	return written(text)
}

type written string

// Format is for fmt.
func (w written) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, Shown(fmt.Sprintf(fmt.FormatString(f, verb), string(w))))
}
