package saml

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
)

func TestPick(t *testing.T) {
	t.Parallel()
	idp := ssotest.NewIDP()
	entity := string(idp.Metadata())
	entity = strings.Replace(entity[strings.Index(entity, "<EntityDescriptor"):], ` validUntil="0001-01-01T00:00:00Z"`, "", 1)
	list := func(attrs string, inner ...string) string {
		return `<md:EntitiesDescriptor xmlns:md="` + nsMetadata + `"` + attrs + `>` + strings.Join(inner, "") + `</md:EntitiesDescriptor>`
	}
	second := strings.ReplaceAll(entity, idp.EntityID, "https://second.example")
	var many []string
	for i := range 22 {
		many = append(many, strings.ReplaceAll(entity, idp.EntityID, fmt.Sprintf("https://%d.example", i)))
	}
	for _, c := range []struct {
		name, in, entity string
		field, want      string // of the fault; empty: accepted
	}{
		{"alone", entity, "", "", ""},
		{"alone, named", entity, idp.EntityID, "", ""},
		{"nested", list("", list("", second), list("", list("", entity))), idp.EntityID, "", ""},
		{"one of the list alone", list("", entity), "", "", ""},
		{"no choice", list("", entity, second), "", "entity", "https://second.example"},
		{"no choice of many", list("", many...), "", "entity", "https://19.example and 2 more."},
		{"not there", list("", entity), "https://x.example", "entity", "does not list"},
		{"there twice", list("", entity, list("", entity)), idp.EntityID, "entity", "2 times"},
		{"an entity inside an entity", strings.Replace(entity, "</EntityDescriptor>", "<Extensions>"+second+"</Extensions></EntityDescriptor>", 1), "https://second.example", "entity", "does not list"},
		{"DOCTYPE", `<!DOCTYPE x [<!ENTITY a "b">]>` + entity, "", "metadata", "DOCTYPE"},
		{"nested deep", strings.Repeat(`<md:EntitiesDescriptor xmlns:md="`+nsMetadata+`">`, 50), "", "metadata", "deeper"},
		{"cut off", list("", entity)[:len(entity)], "", "metadata", "not"},
		{"not UTF-8", "\xff" + entity, "", "metadata", "UTF-8"},
		{"too large", strings.Repeat(" ", MaxAggregateBytes+1), "", "metadata", "bytes"},
		{"one entity over its limit", list("", strings.Replace(entity, "<EntityDescriptor", "<EntityDescriptor x=\""+strings.Repeat("x", maxSAMLBytes)+"\"", 1)), "", "metadata", "bytes"},
	} {
		picked, err := Pick([]byte(c.in), c.entity)
		if c.field != "" {
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field || !strings.Contains(fault.Public(err), c.want) {
				t.Errorf("%s: %v, want Invalid on %s with %q", c.name, err, c.field, c.want)
			}
			continue
		}
		m, err2 := ParseMetadata(picked)
		if err != nil || err2 != nil || m.EntityID != idp.EntityID || len(m.Certificates) != 1 {
			t.Errorf("%s: %+v, %v, %v", c.name, m, err, err2)
		}
	}

	// Times of the lists around hold for the entity; prefixes declared there too.
	soon := `2030-01-01T00:00:00Z`
	in := `<m:EntitiesDescriptor xmlns:m="` + nsMetadata + `" xmlns:d="` + nsSignature + `" validUntil="2031-01-01T00:00:00Z" cacheDuration="PT2H"><m:EntitiesDescriptor validUntil="` + soon + `">` +
		tagName.ReplaceAllString(strings.ReplaceAll(cutKeys(entity), ` xmlns="`+nsMetadata+`"`, ""), "<${1}m:$2") + `</m:EntitiesDescriptor></m:EntitiesDescriptor>`
	picked, err := Pick([]byte(in), "")
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := ParseMetadata(picked); m.ValidUntil.Format(time.RFC3339) != soon || m.CacheDuration != 2*time.Hour {
		t.Errorf("valid until %s, cached for %s", m.ValidUntil, m.CacheDuration)
	}
}

var tagName = regexp.MustCompile("<(/?)([A-Z])")

// cutKeys leaves out what has another namespace.
func cutKeys(entity string) string {
	i, j := strings.Index(entity, "<KeyInfo"), strings.LastIndex(entity, "</KeyInfo>")
	if i < 0 {
		return entity
	}
	return entity[:i] + entity[j+len("</KeyInfo>"):]
}

// The cost of a federation's document grows with its size and no faster.
func TestAggregateCost(t *testing.T) {
	small, large := ssotest.Federation(500, nil), ssotest.Federation(5000, nil)
	cost := func(b []byte) float64 {
		return testing.AllocsPerRun(1, func() {
			if names, err := Entities(b); err != nil || len(names) < 500 {
				t.Errorf("%d, %v", len(names), err)
			}
		}) / float64(len(b))
	}
	if s, l := cost(small), cost(large); l > 1.5*s {
		t.Errorf("%.4f allocations per byte of a large document, %.4f of a small one", l, s)
	}
	start := time.Now()
	if _, err := Pick(large, "https://idp4999.example"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("%d bytes took %s", len(large), took)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"PT6H": 6 * time.Hour, "P1D": 24 * time.Hour, "P1DT1H1M1.5S": 25*time.Hour + time.Minute + time.Second, "P1M": 30 * 24 * time.Hour,
		"": 0, "6h": 0, "-PT1H": 0, "PT": 0, "P99999999D": 0,
	} {
		if got := duration(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
	if d := duration("P999999Y"); d <= 0 || d > 11*365*24*time.Hour {
		t.Error(fmt.Sprint("a very long time is ", d))
	}
}
