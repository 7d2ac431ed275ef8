package fault

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line refuses a text of one line that would break a page or a log.
func Line(field, text string, most int) error {
	switch {
	case len(text) > most:
		return Invalid.On(field, "This is %d bytes long; at most %d are possible.", len(text), most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, Unseen):
		return Invalid.On(field, "This holds a control character, one that turns the direction of writing, or broken text. Type it again.")
	}
	return nil
}

// Unseen tells of a character that shows nothing or turns what stands around it.
func Unseen(c rune) bool {
	return unicode.IsControl(c) || c == unicode.ReplacementChar || unicode.Is(unicode.Bidi_Control, c)
}
