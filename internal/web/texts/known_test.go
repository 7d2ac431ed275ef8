package texts

import "testing"

func TestKnownSentencesAreReadBack(t *testing.T) {
	t.Parallel()
	k := Know("It failed.", "a %q of %s has %d", "re-keyed: %v", "the end")
	german := Reader{Language: &Language{entries: map[string]Entry{"It failed.": {One: "Es ging schief."}, "a %q of %s has %d": {One: "%[2]s: ein %[1]q mit %[3]d"},
		"re-keyed: %v": {One: "umgestellt: %v"}, "the end": {One: "das Ende"}, "Open": {One: "Offen"}, "Said elsewhere.": {One: "Anderswo gesagt."}}}}
	for text, want := range map[string]string{
		"":                            "",
		"It failed.":                  "Es ging schief.",
		`a "b\"c" of somebody has 12`: `somebody: ein "b\"c" mit 12`,
		"re-keyed: the end":           "umgestellt: das Ende",
		"re-keyed: Said elsewhere.":   "umgestellt: Anderswo gesagt.",
		"Open":                        "Open", // a name, not a sentence of these
		"100% of it":                  "100% of it",
		`a "b of x has 12`:            `a "b of x has 12`,
	} {
		got := k.Read(text)
		if s := german.Say(got); s != want {
			t.Errorf("%q is said as %q, want %q", text, s, want)
		}
		if got.String() != text {
			t.Errorf("%q is %q in English", text, got.String())
		}
	}
}

func TestWhoIsNoPersonHasANameInEachLanguage(t *testing.T) {
	t.Parallel()
	german := ReaderOf("de", "")
	for name, want := range map[string]string{
		"The command line":                           "Die Befehlszeile",
		"Muster, as planned by The command line":     "Muster (geplant: Die Befehlszeile)",
		"Muster, as planned by Bea, as planned by 7": "Muster (geplant: Bea, as planned by 7)",
		"Active": "Active", // somebody's name
		"":       "",
	} {
		if got := german.Say(Who(name)); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
		if got := Who(name).String(); got != name {
			t.Errorf("%q is %q in English", name, got)
		}
	}
}
