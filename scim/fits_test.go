package scim

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/elimity-com/scim/schema"
)

// allTypes is an extension with an attribute of each type.
func allTypes() schema.Schema {
	return schema.Schema{ID: "urn:example:all", Attributes: schema.Attributes{
		schema.SimpleCoreAttribute(schema.SimpleNumberParams(schema.NumberParams{Name: "grade", Type: schema.AttributeTypeInteger()})),
		schema.SimpleCoreAttribute(schema.SimpleNumberParams(schema.NumberParams{Name: "rate", Type: schema.AttributeTypeDecimal(), MultiValued: true})),
		schema.SimpleCoreAttribute(schema.SimpleDateTimeParams(schema.DateTimeParams{Name: "hired"})),
		schema.SimpleCoreAttribute(schema.SimpleBooleanParams(schema.BooleanParams{Name: "remote", Required: true})),
		schema.SimpleCoreAttribute(schema.SimpleBinaryParams(schema.BinaryParams{Name: "badge"})),
		schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{Name: "tags", MultiValued: true, Required: true})),
		schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{Name: "seen", Mutability: schema.AttributeMutabilityReadOnly()})),
		schema.ComplexCoreAttribute(schema.ComplexParams{Name: "desk", SubAttributes: []schema.SimpleParams{
			schema.SimpleStringParams(schema.StringParams{Name: "room", Required: true}),
			schema.SimpleNumberParams(schema.NumberParams{Name: "floor", Type: schema.AttributeTypeInteger()}),
		}}),
	}}
}

// valueFor is a sound value of an attribute.
func valueFor(a *Attr, sub bool) any {
	if a.MultiValued && !sub {
		return []any{valueFor(a, true)}
	}
	switch a.Type {
	case typeBoolean:
		return true
	case typeInteger:
		return json.Number("7")
	case typeDecimal:
		return json.Number("1.5")
	case typeDateTime:
		return "2026-01-02T03:04:05Z"
	case typeBinary:
		return "YWJj"
	case typeComplex:
		m := map[string]any{}
		for _, s := range a.Subs {
			m[s.Name] = valueFor(s, false)
		}
		return m
	}
	return "x"
}

// spoilt is v with something else at one place in it.
func spoilt(r *rand.Rand, v any) any {
	odd := []any{nil, "x", "", true, json.Number("7"), json.Number("1.5"), []any{}, []any{nil}, map[string]any{}, map[string]any{"value": true}}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || r.IntN(6) == 0 {
			break
		}
		names := sortedNames(v)
		name := names[r.IntN(len(names))]
		switch r.IntN(6) {
		case 0:
			delete(v, name)
		case 1:
			v[strings.ToUpper(name)] = v[name]
		case 2:
			v["shoeSize"] = v[name]
		default:
			v[name] = spoilt(r, v[name])
		}
		return v
	case []any:
		if len(v) > 0 && r.IntN(3) > 0 {
			v[0] = spoilt(r, v[0])
			return v
		}
	}
	return odd[r.IntN(len(odd))]
}

// What is found to fit at a glance, the library finds nothing wrong with.
func TestWhatFitsIsValid(t *testing.T) {
	t.Parallel()
	c := Compile(coreUser(), Extension{Schema: enterpriseUser()}, Extension{Schema: allTypes()})
	r := rand.New(rand.NewPCG(1, 2))
	fit, bad := 0, 0
	for i := range 10_000 {
		for _, s := range c.Schemas() {
			part := map[string]any{}
			for _, a := range c.Attrs {
				if a.URN == s.ID && (a.Required || r.IntN(3) > 0) {
					part[a.Name] = valueFor(a, false)
				}
			}
			if i == 0 && !c.fits(s.ID, part) {
				t.Errorf("a sound document does not fit at a glance: %v", part)
			}
			for range r.IntN(3) {
				part, _ = spoilt(r, part).(map[string]any)
			}
			_, err := s.Validate(part)
			if err != nil {
				bad++
			}
			if c.fits(s.ID, part) {
				if fit++; err != nil {
					t.Fatalf("%s\n%v fits; the library: %v", s.ID, part, err)
				}
			}
		}
	}
	if fit < 5_000 || bad < 5_000 {
		t.Errorf("%d fitted and %d were wrong: too few to tell", fit, bad)
	}
}
