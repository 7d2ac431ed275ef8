package extra_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

const (
	one = "urn:one"
	two = "urn:two"
)

// definitions are two schemas that share a name.
func definitions() *store.Definitions {
	return &store.Definitions{Schemas: []store.Schema{
		{URN: one, Resource: store.UserResource, Attributes: []store.Attribute{{Name: "code", Type: "string", Required: true}, {Name: "n", Type: "integer"}, {Name: "x", Type: "decimal"},
			{Name: "on", Type: "boolean"}, {Name: "at", Type: "dateTime"}, {Name: "shared", Type: "string"}, {Name: "secret", Type: "string", Returned: "never", Required: true},
			{Name: "parts", Type: "complex", Required: true}, {Name: "many", Type: "string", MultiValued: true, Required: true}}},
		{URN: two, Resource: store.UserResource, Attributes: []store.Attribute{{Name: "shared", Type: "string"}}},
		{URN: "urn:group", Resource: store.GroupResource, Attributes: []store.Attribute{{Name: "team", Type: "string", Required: true}}},
	}}
}

func TestValuesAreSetByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typed map[string]string
		want  string // the document, or the start of the refusal
	}{
		{map[string]string{"CODE": "a"}, `{"urn:one":{"code":"a"}}`},
		{map[string]string{"urn:one:code": " a ", "n": "-7", "x": "1.50", "on": "true", "at": "2026-11-30T19:00:00+01:00"}, `{"urn:one":{"at":"2026-11-30T18:00:00Z","code":"a","n":-7,"on":true,"x":1.5}}`},
		{map[string]string{"code": "a", "urn:two:shared": "b"}, `{"urn:one":{"code":"a"},"urn:two":{"shared":"b"}}`},
		{map[string]string{"code": "a", "n": ""}, `{"urn:one":{"code":"a"}}`},
		{nil, "code is required"},
		{map[string]string{"code": "  "}, "code is required"},
		{map[string]string{"code": "a", "shared": "b"}, "Several attributes are called"},
		{map[string]string{"code": "a", "many": "b"}, "There is no attribute"},
		{map[string]string{"code": "a", "secret": "b"}, "There is no attribute"},
		{map[string]string{"code": "a", "team": "b"}, "There is no attribute"},
		{map[string]string{"code": "a", "n": "7.5"}, `n is "7.5"`},
		{map[string]string{"code": "a", "x": "Inf"}, `x is "Inf"`},
		{map[string]string{"code": "a", "on": "maybe"}, `on is "maybe"`},
		{map[string]string{"code": "a", "at": "soon"}, `at is "soon"`},
		{map[string]string{"code": "a\x01"}, "code is longer"},
		{map[string]string{"code": "\u200b\u3164"}, "This consists of characters that nobody can see"},
		{map[string]string{"code": "a\u200b"}, `{"urn:one":{"code":"a` + "\u200b" + `"}}`},
		{map[string]string{"code": strings.Repeat("a", 10_000)}, "code is longer"},
	} {
		doc := store.Doc{}
		err := extra.Set(definitions(), doc, c.typed)
		got, _ := json.Marshal(doc)
		if err != nil {
			got = []byte(fault.Public(err))
		}
		if strings.HasPrefix(c.want, "{") != (err == nil) || !strings.HasPrefix(string(got), c.want) {
			t.Errorf("%.80v gives %s, want %s", c.typed, got, c.want)
		}
	}
}

func TestProgramsSendValues(t *testing.T) {
	t.Parallel()
	var sent map[string]json.RawMessage
	if err := json.Unmarshal([]byte(`{"a":"x \"y\"","b":12345678901234567890,"c":true,"d":null}`), &sent); err != nil {
		t.Fatal(err)
	}
	got, err := extra.Texts(sent)
	if want := map[string]string{"a": `x "y"`, "b": "12345678901234567890", "c": "true"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{`{}`, `[1]`} {
		if _, err := extra.Texts(map[string]json.RawMessage{"a": json.RawMessage(bad)}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
