package house

import (
	"maps"
	"regexp"
	"slices"
	"testing"
)

// counts finds a number with what it counts, in the plural. What follows "at most" and its
// like is a limit of ours.
var (
	counts = regexp.MustCompile(`(?i)(at most|at least|more than|up to|1 to|than the|first|longer than|older than|larger than|within|last|the)?(?: the)? ?%(?:\[\d\])?d (?:more |other |new |good )?([a-z]{3,}[^s\W]s|people)\b`)
	limits = regexp.MustCompile(`at most|as many as|at once`) // said of what is over it, and so many
	acts   = []string{"holds", "stands", "times"}
)

// neverOne are sentences that are said of several only, or have a sibling for one.
var neverOne = []string{
	"%d bytes", "%d characters", "(%d bytes that are no JSON object; not kept)", // what a check has measured
	"%d assertions", "there are %d signatures", "%d certificates tried: none of them made this signature",
	"%d more requests were over the rate within this minute.", "%d more requests without a good token came within this minute.",
	"%d networks are more than the %d that a token can have. Write larger ones.",
	"%d people ask for access",
	"%d people fit %.100q. Choose one of them below, or write more.",
	"%d people have the address %.100q. Write the manager's user name instead.",
	"%d people have the address %q. Write the user name instead.",
	"%d people have this address.", "%d people have this employee number.", "%d people are meant by this manager.",
	"%d people here have the user name, address or id %.100q. Name one.",
	"%d of %d lines", "%d of %d operations failed.",
	"%d jobs of this organization are waiting or running already. Let some of them end, or cancel one.",
	"%d reviews of this organization are open already. Finish one of them first.",
	"%s has %d clients already. Revoke one that is not used any more.",
	"%s has %d tokens already. Revoke one that is not used any more.",
	"A link can work for 1 hour to 90 days (2160 hours), not for %d hours.",
	"A list can have %d tasks.",
	"A task can be due %d days before or after.",
	"At byte %d the filter is nested deeper than %d levels.", "The JSON is nested deeper than %d levels.",
	"%s is nested deeper than the %d levels that are kept of an attribute that no schema has.",
	"Choose one of the %d identity providers in the metadata.",
	"The metadata lists %d identity providers (%s). Choose one and give the <EntityDescriptor> of that one only.",
	"The metadata lists %d identity providers. Choose one by its entity ID: %s.",
	"There are %d entries; send 1 to %d at once.",
	"You have %d passkeys already. Remove one that you do not use.",
	"A new one is asked for after %d days.",
	"every %d minutes",
	"The cursor has expired: it is good for %d seconds. Begin again with an empty cursor.",
	"%s chooses %d elements: want one.",
	"%s has %d attributes; a schema can have %d. Make a second schema.",
	"Up to %d MB and %d people, one on each line.",
	"The key set at %s answered with status %d and %d bytes.",
	"The picture has %d times %d pixels. At most %d million are possible: make it smaller.",
}

// A number that can be one has a sentence for it: n in templates, N, SayN and fault.Count.
func TestSentencesKnowOne(t *testing.T) {
	t.Parallel()
	keys := sentences(t)
	for _, s := range slices.Sorted(maps.Keys(keys)) {
		if keys[s].other != "" || limits.MatchString(s) || slices.Contains(neverOne, s) {
			continue
		}
		for _, m := range counts.FindAllStringSubmatch(s, -1) {
			if m[1] == "" && !slices.Contains(acts, m[2]) {
				t.Errorf("%s: %q has no form for one of them", keys[s].at, s)
			}
		}
	}
	for _, s := range neverOne {
		if k, ok := keys[s]; !ok || k.other != "" {
			t.Errorf("%q need not be named any more", s)
		}
	}
}
