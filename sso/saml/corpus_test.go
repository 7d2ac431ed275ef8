package saml

import (
	"encoding/base64"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/ssotest"
)

// update writes the corpus anew: go test ./sso/saml -run TestHostileCorpus -update
var update = flag.Bool("update", false, "write testdata/hostile anew from the cases in this package")

const (
	corpus      = "testdata/hostile"
	corpusEntry = 32 << 10 // what is longer is made when the tests run, and only then
)

// corpusIDP is the provider of the corpus: its name and key stay, so the files do.
func corpusIDP() *ssotest.IDP {
	idp := ssotest.NewIDP()
	idp.EntityID = "https://idp.example/corpus"
	return idp
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// corpusName is the file of a case, empty when the case is not in the response alone.
func corpusName(c hostileCase) string {
	if c.party != nil || c.expect != nil {
		return ""
	}
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(c.name), "-"), "-") + ".txt"
}

// TestHostileCorpus: each stored response is refused, and by the check that the
// index names; each case that is in the response alone is stored.
func TestHostileCorpus(t *testing.T) {
	t.Parallel()
	if *update {
		writeCorpus(t)
	}
	index := readCorpus(t)
	for _, c := range hostileCases() {
		name := corpusName(c)
		if name == "" {
			continue
		}
		switch stop, stored := index[name]; {
		case !stored:
			t.Errorf("%q is not in %s; run go test ./sso/saml -run TestHostileCorpus -update", name, corpus)
		case stop != c.stop && stop != "long":
			t.Errorf("%s: the index says %s, the case %s", name, stop, c.stop)
		}
	}
	p, expect := party(corpusIDP()), Expect{RequestID: testRequest, Now: now}
	files := 0
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if index[name] == "long" {
			continue
		}
		files++
		form, err := os.ReadFile(filepath.Join(corpus, name))
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(name, func(t *testing.T) {
			profile, _, trace, err := CheckResponse(p, Form{string(form)}, expect)
			ssotest.InGerman(t, trace)
			refused(t, index[name], profile, trace, err)
		})
	}
	if entries, err := os.ReadDir(corpus); err != nil || len(entries) != files+2 {
		t.Errorf("%s has %d entries (%v), want %d responses, index.txt and README.md", corpus, len(entries), err, files)
	}
}

// readCorpus gives the check that stops each file.
func readCorpus(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, "index.txt"))
	if err != nil {
		t.Fatal(err)
	}
	index := map[string]string{}
	for line := range strings.Lines(string(text)) {
		stop, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			t.Fatalf("index.txt: %q", line)
		}
		index[name] = stop
	}
	return index
}

func writeCorpus(t *testing.T) {
	t.Helper()
	old, err := filepath.Glob(corpus + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	var index strings.Builder
	for _, c := range hostileCases() {
		name := corpusName(c)
		if name == "" {
			continue
		}
		l := login()
		if c.login != nil {
			c.login(&l)
		}
		form := base64.StdEncoding.EncodeToString(corpusIDP().Document(l))
		if c.form != nil {
			form = c.form(form)
		}
		if len(form) > corpusEntry {
			fmt.Fprintf(&index, "long %s\n", name)
			continue
		}
		fmt.Fprintf(&index, "%s %s\n", c.stop, name)
		if err := os.WriteFile(filepath.Join(corpus, name), []byte(form), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(corpus, "index.txt"), []byte(index.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
