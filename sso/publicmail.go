package sso

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

//go:embed publicmail.txt
var publicMailText string

// publicMailDomains are the names in publicmail.txt, sorted.
var publicMailDomains = sync.OnceValue(func() []string {
	var list []string
	for line := range strings.Lines(publicMailText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, strings.Fields(line)...)
		}
	}
	slices.Sort(list)
	return list
})

// isPublicMail: providers where anybody gets an address. They prove nothing
// about an organization, and neither do names below theirs.
func isPublicMail(name string) bool {
	suffix, _ := publicsuffix.PublicSuffix(name)
	for n := name; n != suffix; {
		if _, found := slices.BinarySearch(publicMailDomains(), n); found {
			return true
		}
		_, rest, below := strings.Cut(n, ".")
		if !below {
			break
		}
		n = rest
	}
	// yahoo.co.jp, hotmail.fr, gmx.at: the same providers in other countries.
	label := strings.TrimSuffix(name, "."+suffix)
	return slices.Contains(publicMailLabels, label)
}

var publicMailLabels = []string{"aol", "gmx", "hotmail", "live", "msn", "outlook", "yahoo", "yandex"}
