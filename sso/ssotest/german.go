package ssotest

import (
	"regexp"
	"testing"

	"github.com/muster-id/muster/internal/web/texts"
	said "github.com/muster-id/muster/sso/answer"
)

var englishWords = regexp.MustCompile(`(?:^|[\s(])(the|is|are|want|must|cannot|not|of|with|has|have|none|no|one|at most|after|before|missing|any|bytes|characters)(?:$|[\s),;:])`)

// InGerman fails for what an admin who reads German would find in English among the
// checks. theirs are texts of the other side, which stay.
func InGerman(t testing.TB, trace said.Trace, theirs ...string) {
	t.Helper()
	german := texts.ReaderOf("de", "")
	for _, c := range trace {
		for _, text := range []string{c.Expected, c.Got} {
			shown := german.Kept(text)
			for _, s := range theirs {
				shown = regexp.MustCompile(regexp.QuoteMeta(s)).ReplaceAllString(shown, "")
			}
			if englishWords.MatchString(shown) {
				t.Errorf("%s: %q is said in German as %q", c.Name, text, shown)
			}
		}
	}
}
