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
	return Blank(field, text)
}

// Blank refuses a text that is there and shows nothing.
func Blank(field, text string) error {
	if strings.TrimSpace(text) != "" && !Shows(text) {
		return Invalid.On(field, "This consists of characters that nobody can see. Type something that can be read.")
	}
	return nil
}

// Shows tells whether a reader sees anything of text: zero-width characters, soft hyphens,
// the fillers of Hangul and the like are letters or marks to a program alone.
func Shows(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool {
		switch {
		case unicode.Is(unicode.Prepended_Concatenation_Mark, c): // format characters that are drawn
			return true
		case c == '\u2800': // the Braille pattern without a dot
			return false
		}
		return !unicode.IsSpace(c) && !unicode.In(c, unicode.C, unicode.Z, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || unicode.Is(unicode.Co, c)
	})
}

// Unseen tells of a character that shows nothing or turns what stands around it.
func Unseen(c rune) bool {
	return unicode.IsControl(c) || c > unicode.MaxLatin1 && (c == unicode.ReplacementChar || unicode.Is(unicode.Bidi_Control, c))
}
