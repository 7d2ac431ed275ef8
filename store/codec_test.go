package store

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lib/pq"
)

// slowly is decodeDoc by encoding/json.
func slowly(text string) (doc Doc, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return doc, d.Decode(&doc)
}

// Whatever encoding/json reads as an object is read as the same, and written so that
// encoding/json reads the same again.
func FuzzCodec(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":null,"b":[],"c":{},"d":[{"e":[true,false]}]}`, ` { "a" : [ 1 , -2.5e+10 ] , "b" : "x" } `, `{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`,
		`{"é":"日本語","<&>":"\u2028 < & >"}`, `{"a":"x\\"}`, `{"a":1,"a":2}`, "{\"a\":\"\x7f\x01\"}", "{\"a\":\"\xff\"}", `{"a":tru}`, `{"a":1 2}`, `{"a":"`, `[1]`, `{"a":1}}`, `{"a",1}`, `{"a":"\`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := slowly(text)
		if err != nil || !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			return // a database has none such
		}
		got, err := decodeDoc(JSON(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q\ngot  %v %v\nwant %v", text, got, err, want)
		}
		out, err := encode(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := slowly(out)
		if err != nil || !reflect.DeepEqual(again, want) {
			t.Fatalf("%q was written as %q: %v", text, out, err)
		}
		var slow bytes.Buffer
		e := json.NewEncoder(&slow)
		e.SetEscapeHTML(false)
		if err := e.Encode(want); err != nil || !strings.ContainsAny(out, "\\\u2028\u2029") && strings.TrimSuffix(slow.String(), "\n") != out {
			t.Fatalf("got %q\nwant %q", out, slow.String())
		}
	})
}

func TestBrokenDocumentIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `{`, `{"a"`, `{"a":}`, `{"a":1`, `[]`, `"a"`, `{"a":"b}`, `{"a":nul}`} {
		if doc, err := decodeDoc(JSON(text)); err == nil {
			t.Errorf("%q is %v", text, doc)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	values := []any{nil, true, false, "", "a", json.Number("1"), json.Number("1.0"), map[string]any{}, map[string]any{"a": nil}, map[string]any{"a": "x"}, map[string]any{"b": "x"},
		map[string]any{"a": []any{"x", map[string]any{"n": json.Number("1")}}}, []any{}, []any{"a"}, []any{"a", "b"}, []any{map[string]any{"a": "x"}}, []string{"a"}, Active}
	for i, a := range values {
		for j, b := range values {
			if same(a, b) != (i == j) {
				t.Errorf("%#v and %#v: %v", a, b, same(a, b))
			}
		}
	}
}

func TestEncodeKnowsOurTypes(t *testing.T) {
	t.Parallel()
	got, err := encode(map[string]any{"status": Active, "source": FromSCIM, "users": []UserID{"a"}, "n": 3, "m": int64(4), "nil": nil, "list": []any(nil), "x": json.Number("1.50"), "bad": "\xff"})
	want := `{"bad":"\ufffd","list":null,"m":4,"n":3,"nil":null,"source":"scim","status":"active","users":["a"],"x":1.50}`
	if err != nil || got != want {
		t.Errorf("got  %s %v\nwant %s", got, err, want)
	}
}

// An array for PostgreSQL is what lib/pq writes.
func TestTexts(t *testing.T) {
	t.Parallel()
	for _, list := range []texts{{}, {""}, {"a", "", "NULL"}, {`{"name":"O\"Neil \\ {x}","at":[1,2]}`, "ä, 語", "line\nbreak", `\`, `"`, `""\\`}} {
		got, err := list.Value()
		if want, _ := pq.StringArray(list).Value(); err != nil || got != want {
			t.Errorf("%q is %q, %v; lib/pq writes %q", []string(list), got, err, want)
		}
	}
}

// Of attributes that are not keyed no column follows but the search key, and no row.
func TestKeyedAttributes(t *testing.T) {
	t.Parallel()
	element := func(v string) any { return []any{map[string]any{"value": v, "type": "work", "formatted": v}} }
	whole := func(v string) Doc {
		return Doc{"userName": "n" + v, "externalId": "X" + v, "displayName": "d" + v, "name": map[string]any{"givenName": "g" + v, "familyName": "f" + v, "formatted": "o" + v},
			"title": "t" + v, "nickName": "k" + v, "locale": "de", "userType": v, "emails": element(v + "@example.com"), "phoneNumbers": element("12345" + v), "ims": element(v), "photos": element(v),
			"addresses": element(v), "roles": element("r" + v), "entitlements": element("e" + v), "x509Certificates": element(v),
			EnterpriseURN: map[string]any{"employeeNumber": "7" + v, "department": v, "manager": map[string]any{"value": v}}, "urn:example:own": map[string]any{"a": v}}
	}
	derived := func(doc Doc) hotColumns {
		hot, err := hotOf(doc)
		if err != nil {
			t.Fatal(err)
		}
		hot.searchKey = ""
		return hot
	}
	for name, v := range whole("2") {
		for _, bare := range []bool{false, true} { // what others stand in for shows alone
			doc := whole("1")
			if bare {
				doc = Doc{"userName": "jane"}
			}
			was := derived(doc)
			doc[name] = v
			if follows := !reflect.DeepEqual(derived(doc), was); follows && !keyedAttr(name) {
				t.Errorf("%s, bare %v: something follows from it, but it is not keyed", name, bare)
			} else if !bare && !follows && keyedAttr(name) {
				t.Errorf("%s: nothing follows from it, but it is keyed", name)
			}
		}
	}
}

// Two documents differ in what encode tells apart.
func TestDiffering(t *testing.T) {
	t.Parallel()
	old := Doc{"same": []any{"x"}, "one": json.Number("1"), "gone": "g", "null": nil, "other": map[string]any{"a": "b"}}
	now := Doc{"same": []any{"x"}, "one": 1, "null": nil, "other": map[string]any{"a": "c"}, "new": nil}
	names, err := differing(old, now)
	slices.Sort(names)
	if want := []string{"gone", "new", "other"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, want %q (%v)", names, want, err)
	}
}
