package sso

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleanText tells whether both databases and a log line can hold s.
func cleanText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func oneOf(s string, list ...string) bool { return slices.Contains(list, s) }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
