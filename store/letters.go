package store

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FoldLetters is the folding of texts that have no key column: each letter by
// itself (Unicode simple folding), so that SQL can do the same for the letters of
// one value. ASCII letters fold among themselves only.
func FoldLetters(s string) string { return strings.Map(foldLetter, s) }

func foldLetter(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for f := range others(r) {
		least = min(least, f)
	}
	return least
}

// others are the non-ASCII letters that differ from r in case only. Cherokee is
// left out: Fold gives its two cases different keys (golang.org/x/text/cases
// swaps them), and this must never be coarser.
func others(r rune) iter.Seq[rune] {
	return func(yield func(rune) bool) {
		if unicode.Is(unicode.Cherokee, r) {
			return
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if f >= utf8.RuneSelf && !yield(f) {
				return
			}
		}
	}
}

// variants are the letters that fold to the non-ASCII letters of a value, each
// with what it folds to.
func variants(folded string) (pairs [][2]string) {
	seen := map[rune]bool{}
	for _, r := range folded {
		if r < utf8.RuneSelf || seen[r] {
			continue
		}
		seen[r] = true
		for f := range others(r) {
			pairs = append(pairs, [2]string{string(f), string(r)})
		}
	}
	return pairs
}

// MaxLetters bounds how many variants of letters one AnyCase comparison may ask for.
const MaxLetters = 100

// Letters counts the variants of a value's non-ASCII letters.
func Letters(value string) int { return len(variants(FoldLetters(value))) }
