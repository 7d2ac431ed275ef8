package password

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"

	"github.com/muster-id/muster/internal/fault"
)

// The rule for new passwords: length and guessability, no kinds of characters.
const (
	minCharacters = 12
	maxBytes      = 1024 // more only costs us time
	minScore      = 3
	scored        = 128 // zxcvbn is slow on long input
	minOwn        = 6   // characters beyond the person's own words, in whatever order those stand
)

// Policy tells why a password is not good enough, in a sentence for the person.
// words are what an attacker would try first: name, address, organization.
// Faults: Invalid on "password".
func (s *Store) Policy(password string, words ...string) error {
	refuse := func(why string) error { return fault.Invalid.On("password", "%s", why) }
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return refuse("The password holds characters that cannot be read. Type it again.")
	}
	if len(password) > maxBytes || len(normal(password)) > maxBytes {
		return refuse("The password is too long: at most 1,024 bytes are possible.")
	}
	runes := []rune(normal(password))
	if len(runes) < minCharacters {
		return refuse("The password is too short: use at least 12 characters. Three or four unrelated words are easy to remember.")
	}
	known := inputs(words)
	const ownWords = "it is built on your own name, address or organization"
	result := zxcvbn.PasswordStrength(string(runes[:min(len(runes), scored)]), known)
	why := "it is too easy to guess"
	switch {
	case beyond(string(runes), known) < minOwn:
		return refuse(choose(ownWords))
	case result.Score >= minScore:
		return nil
	}
	for _, m := range result.Sequence {
		switch {
		case m.DictionaryName == "user_inputs":
			why = ownWords
		case m.Pattern == "repeat":
			why = "it repeats itself"
		case m.Pattern == "sequence" || m.Pattern == "spatial":
			why = "it follows a sequence or a row of keys"
		case m.DictionaryName == "passwords":
			why = "it contains one of the most common passwords"
		default:
			continue
		}
		break
	}
	return refuse(choose(why))
}

func choose(why string) string {
	return "Choose another password: " + why + ". Three or four unrelated words make a good one."
}

// beyond counts the characters that are left without the known words.
func beyond(password string, known []string) int {
	rest := strings.ToLower(password)
	slices.SortStableFunc(known, func(a, b string) int { return len(b) - len(a) })
	for _, w := range known {
		if len(w) >= 4 {
			rest = strings.ReplaceAll(rest, w, "")
		}
	}
	n := 0
	for _, c := range rest {
		if !unicode.IsSpace(c) {
			n++
		}
	}
	return n
}

// inputs cuts names and addresses into the pieces that people reuse.
func inputs(words []string) []string {
	list := []string{"muster"}
	for _, w := range words {
		w = strings.ToLower(w)
		pieces := strings.FieldsFunc(w, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
		for _, p := range append(pieces, w, strings.Join(pieces, "")) {
			if n := utf8.RuneCountInString(p); n >= 3 && n <= 100 && !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list[:min(len(list), 100)]
}
