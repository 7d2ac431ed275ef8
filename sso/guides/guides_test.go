package guides_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/sso/guides"
)

const docs = "../../docs/sso"

// docs/sso is what make generate writes, one page for each vendor.
func TestPagesAreTheGuides(t *testing.T) {
	t.Parallel()
	want := map[string]string{"README.md": guides.Index()}
	for _, v := range guides.Vendors() {
		want[v.Name+".md"] = guides.Markdown(v.Name)
	}
	for name, page := range want {
		path := filepath.Join(docs, name)
		if os.Getenv("MUSTER_WRITE_DOCS") != "" {
			if err := os.MkdirAll(docs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || string(have) != page {
			t.Errorf("%s is stale (%v); run: make generate", path, err)
		}
	}
}

// Every file in text is read, belongs to a vendor of the list, and says what an
// administrator needs.
func TestGuidesAreWhole(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("text/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	known := map[string]bool{}
	for _, v := range guides.Vendors() {
		protocols := guides.Protocols(v.Name)
		if len(protocols) == 0 {
			t.Errorf("%s has no guide", v.Name)
		}
		for i, p := range protocols {
			name := v.Name + "-" + p
			known[name] = true
			g, _ := guides.For(v.Name, p, guides.Placeholders(p))
			if g.Vendor != v.Name || g.Protocol != p || len(g.Sources) == 0 || len(g.Steps) < 3 {
				t.Errorf("%s: vendor %q, protocol %q, %d sources, %d steps", name, g.Vendor, g.Protocol, len(g.Sources), len(g.Steps))
			}
			if g.Recommended != (i == 0) {
				t.Errorf("%s: recommended is %v; exactly one protocol of a vendor is", name, g.Recommended)
			}
			needed, gives := guides.Placeholders(p)["acs_url"], []string{"metadata", "file"}
			if p == "oidc" {
				needed, gives = guides.Placeholders(p)["redirect_url"], []string{"client"}
				if g.Issuer == "" {
					t.Errorf("%s does not say how the issuer looks", name)
				}
			}
			if !slices.Contains(gives, g.Gives) {
				t.Errorf("%s gives %q, want one of %q", name, g.Gives, gives)
			}
			// AD FS and Shibboleth take the ACS URL from our metadata.
			if !copies(g, needed) && !copies(g, guides.Placeholders(p)["metadata_url"]) {
				t.Errorf("%s never says where %s goes", name, needed)
			}
		}
	}
	for _, path := range names {
		if name := strings.TrimSuffix(filepath.Base(path), ".txt"); !known[name] {
			t.Errorf("%s belongs to no vendor of the list", path)
		}
	}
}

func copies(g guides.Guide, value string) bool {
	for _, s := range g.Steps {
		for _, p := range s.Parts {
			for _, f := range p.Fields {
				if f.Copy && f.Value == value {
					return true
				}
			}
		}
	}
	return false
}

func TestValuesStandInTheirPlace(t *testing.T) {
	t.Parallel()
	values := guides.Placeholders("saml")
	values["acs_url"] = "https://id.example/sso/saml/abc/acs"
	values["acs_regex"] = guides.Regex(values["acs_url"])
	g, ok := guides.For("onelogin", "saml", values)
	if !ok || !copies(g, values["acs_url"]) || !copies(g, `^https:\/\/id\.example\/sso\/saml\/abc\/acs$`) {
		t.Errorf("the guide for OneLogin does not have our values: %+v", g.Steps[1])
	}
	if _, ok := guides.For("shibboleth", "oidc", values); ok {
		t.Error("there is a guide for Shibboleth over OIDC")
	}
}

// The index leads to pages that are there.
func TestTheIndexLeadsSomewhere(t *testing.T) {
	t.Parallel()
	links := regexp.MustCompile(`\(([a-z]+\.md)\)`).FindAllStringSubmatch(guides.Index(), -1)
	if len(links) < len(guides.Vendors()) {
		t.Errorf("%d links in the index", len(links))
	}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(docs, l[1])); err != nil {
			t.Error(err)
		}
	}
}
