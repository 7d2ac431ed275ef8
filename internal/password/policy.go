package password

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"

	"github.com/muster-id/muster/internal/fault"
)

// What holds in every organization.
const (
	maxBytes = 1024 // more only costs us time
	scored   = 128  // zxcvbn is slow on long input
	minOwn   = 6    // characters beyond the person's own words, in whatever order those stand
)

// class is a kind of characters that a rule may ask for.
type class struct {
	rule, missing string
	has           func(rune) bool
}

// classes are the kinds that these rules ask for.
func (r Rules) classes() (list []class) {
	for _, c := range []struct {
		on bool
		class
	}{
		{r.Upper, class{"An upper-case letter.", "The password needs an upper-case letter.", unicode.IsUpper}},
		{r.Lower, class{"A lower-case letter.", "The password needs a lower-case letter.", unicode.IsLower}},
		{r.Digit, class{"A digit.", "The password needs a digit.", unicode.IsDigit}},
		{r.Special, class{"A special character: neither a letter nor a digit; a blank counts.", "The password needs a special character: one that is neither a letter nor a digit.",
			func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }}},
	} {
		if c.on {
			list = append(list, c.class)
		}
	}
	return list
}

// Check tells which rules a password breaks, in a sentence each. words are what an
// attacker would try first: name, address, organization. Faults: Invalid on "password",
// joined when there are several.
func (r Rules) Check(password string, words ...string) error {
	refuse := func(why string, args ...any) error { return fault.Invalid.On("password", why, args...) }
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return refuse("The password holds characters that cannot be read. Type it again.")
	}
	if len(password) > maxBytes || len(normal(password)) > maxBytes {
		return refuse("The password is too long: at most 1,024 bytes are possible.")
	}
	runes := []rune(normal(password))
	var wrong []error
	if len(runes) < r.MinLength {
		wrong = append(wrong, refuse("The password is too short: use at least %d characters. Three or four unrelated words are easy to remember.", r.MinLength))
	}
	for _, c := range r.classes() {
		if !slices.ContainsFunc(runes, c.has) {
			wrong = append(wrong, refuse("%s", fault.Word(c.missing)))
		}
	}
	if len(runes) > 0 {
		if why := r.guessable(runes, inputs(words)); why != "" && (len(wrong) == 0 || why != tooEasy) {
			wrong = append(wrong, refuse("Choose another password: %s. Three or four unrelated words make a good one.", fault.Word(why)))
		}
	}
	return join(wrong)
}

// Why a password can be guessed.
const (
	tooEasy  = "it is too easy to guess"
	ownWords = "it is built on your own name, address or organization"
	repeats  = "it repeats itself"
	inARow   = "it follows a sequence or a row of keys"
	tooWell  = "it contains one of the most common passwords"
)

// guessable says why a password can be guessed; empty: it cannot.
func (r Rules) guessable(runes []rune, known []string) string {
	result := zxcvbn.PasswordStrength(string(runes[:min(len(runes), scored)]), known)
	common := len(result.Sequence) == 1 && result.Sequence[0].DictionaryName == "passwords"
	switch {
	case beyond(string(runes), known) < minOwn && len(runes) >= r.MinLength:
		return ownWords
	case result.Score >= r.Strength && !common:
		return ""
	}
	for _, m := range result.Sequence {
		switch {
		case m.DictionaryName == "user_inputs":
			return ownWords
		case m.Pattern == "repeat":
			return repeats
		case m.Pattern == "sequence" || m.Pattern == "spatial":
			return inARow
		case m.DictionaryName == "passwords":
			return tooWell
		}
	}
	return tooEasy
}

// join is errors.Join that leaves one error as it is.
func join(list []error) error {
	if len(list) == 1 {
		return list[0]
	}
	return errors.Join(list...)
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
