package fault

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "",
		"Łukasz 李 مها":                "",
		strings.Repeat("ä", 10):       "",
		strings.Repeat("ä", 10) + "b": "21 bytes long; at most 20",
		"a\nb":                        "control character",
		"a\x00b":                      "control character",
		"a\u202eb":                    "turns the direction",
		"a\xffb":                      "broken text",
		" ":                           "",
		"\u200b\u3164\u00ad \u2060":   "nobody can see",
		"\u2800\ufe0f\U000e0041":      "nobody can see",
		"a\u200bb":                    "",
		"\u0600":                      "",
		"\ue000":                      "",
	} {
		err := Line("note", text, 20)
		if (err == nil) != (want == "") || err != nil && !(Is(err, Invalid) && strings.Contains(Public(err), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
