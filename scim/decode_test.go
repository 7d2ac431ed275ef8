package scim

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	many := func(last string) string {
		var b strings.Builder
		b.WriteString("{")
		for i := range 40 {
			b.WriteString(`"n` + itoa(i) + `":1,`)
		}
		return b.String() + `"` + last + `":1}`
	}
	for _, c := range []struct {
		name, in string
		bad      string // part of the refusal; empty: accepted
	}{
		{"object", ` {"a": [1, -2.5e3, true, false, null, {}], "b": "x"} `, ""},
		{"byte order mark", "\ufeff{}", ""},
		{"as deep as allowed", deep(maxDepth), ""},
		{"one deeper", deep(maxDepth + 1), "deeper than 64"},
		{"arrays count", strings.Repeat("[", 100_000), "not a JSON object"},
		{"many arrays", `{"a":` + strings.Repeat("[", 100_000), "deeper than 64"},
		{"empty", "", "empty"},
		{"blank", "  ", "not a JSON object"},
		{"array", "[]", "not a JSON object"},
		{"text", `"a"`, "not a JSON object"},
		{"garbage behind", `{} {}`, "nothing after"},
		{"half", `{"a": 1`, "ends too early"},
		{"comma at the end", `{"a": 1,}`, "a name in quotes"},
		{"comma at the end of a list", `{"a": [1,]}`, "a value"},
		{"single quotes", `{'a': 1}`, "a name in quotes"},
		{"same name twice", `{"a": 1, "a": 2}`, "one name"},
		{"same name in other case", `{"userName": "a", "USERNAME": "b"}`, "one name"},
		{"same name with null", `{"userName": "a", "username": null}`, "one name"},
		{"same name inside", `{"name": {"x": 1, "X": 2}}`, "one name"},
		{"among many", many("N7"), "one name"},
		{"many and none", many("other"), ""},
		{"escaped NUL", `{"a": "x\u0000y"}`, "NUL"},
		{"raw NUL", "{\"a\": \"x\x00y\"}", "control character"},
		{"raw newline", "{\"a\": \"x\ny\"}", "control character"},
		{"broken UTF-8", "{\"a\": \"\xff\"}", "UTF-8"},
		{"lone surrogate", `{"a": "\ud83d"}`, "surrogate"},
		{"wrong pair", `{"a": "\ud83dA"}`, "surrogate"},
		{"pair", `{"a": "\ud83d\ude00"}`, ""},
		{"unknown escape", `{"a": "\x41"}`, "an escape"},
		{"escape at the end", `{"a": "\`, "ends too early"},
		{"unclosed", `{"a": "x`, "closing quote"},
		{"leading zero", `{"a": 01}`, "a comma"},
		{"plus", `{"a": +1}`, "a value"},
		{"no digit after dot", `{"a": 1.}`, "a digit"},
		{"NaN", `{"a": NaN}`, "a value"},
		{"truex", `{"a": truex}`, "a comma"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeObject(strings.NewReader(c.in))
			if c.bad != "" {
				e := toScim(err)
				if err == nil || e.Status != 400 || e.ScimType != "invalidSyntax" || !strings.Contains(e.Detail, c.bad) {
					t.Fatalf("decodeObject(%.60s)\n got %v\nwant invalidSyntax with %q", c.in, err, c.bad)
				}
				return
			}
			if err != nil {
				t.Fatalf("decodeObject(%.60s): %v", c.in, err)
			}
			if want := stdlib(t, c.in); !reflect.DeepEqual(got, want) {
				t.Errorf("decodeObject(%.60s)\n got %v\nwant %v", c.in, got, want)
			}
		})
	}
}

func TestTooManyValues(t *testing.T) {
	t.Parallel()
	_, err := decodeText(`{"a":[` + strings.Repeat("0,", maxNodes) + `0]}`)
	if got := toScim(err); got.Status != 413 {
		t.Errorf("%d values: %v, want 413", maxNodes+3, err)
	}
}

func stdlib(t testing.TB, in string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(in, "\ufeff")))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	return m
}

// What we accept, encoding/json reads the same way.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,{"b":"\u00e9\n"}]}`, `{"a":-0.1e+9,"b":null}`, `{"a":"\ud83d\ude00"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := decodeText(in)
		if err != nil {
			return
		}
		if want := stdlib(t, in); !reflect.DeepEqual(got, want) {
			t.Errorf("decodeText(%q)\n got %v\nwant %v", in, got, want)
		}
	})
}

func decodeBytes(raw []byte) (map[string]any, error) { return decodeText(string(raw)) }
