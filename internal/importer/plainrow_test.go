package importer

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// A row is read as encoding/json reads it, as it was written and as PostgreSQL shows it.
func TestRowsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row   Row
		plain bool
	}{
		"nothing": {Row{}, true},
		"usual":   {Row{Cells: map[string]string{"email": "ann@example.com", "first": "Ännchen", "role": "a, b: {c}"}, Boss: 17}, true},
		"manager": {Row{Cells: map[string]string{"email": "a@example.com"}, Manager: store.NewID[store.User](), Named: "ann.lee"}, true},
		"quoted":  {Row{Cells: map[string]string{"a": "say \"x\""}}, false},
		"escaped": {Row{Cells: map[string]string{"b": "R&D"}}, false},
		"lines":   {Row{Cells: map[string]string{"c": "two\nlines"}}, false},
		"slash":   {Row{Cells: map[string]string{"d": `back\slash`}}, false},
		"changes": {Row{Cells: map[string]string{"a": "b"}, Changes: []Change{{"title", "", "Boss"}}}, false},
		"problem": {Row{Problem: &Problem{Column: "a", Why: web.Say("No."), Remedy: web.Say("Yes.")}}, false},
	} {
		raw, err := json.Marshal(c.row)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(raw), strings.ReplaceAll(strings.ReplaceAll(string(raw), `":`, `": `), `,"`, `, "`)} {
			var got, want Row
			if err := json.Unmarshal([]byte(text), &want); err != nil {
				t.Fatal(err)
			}
			if err := got.decode(store.JSON(text)); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s is %+v, %v; want %+v", name, text, got, err, want)
			}
			if ok := (&plainJSON{rest: text}).row(&Row{}); ok != c.plain {
				t.Errorf("%s: %s is plain: %v", name, text, ok)
			}
		}
	}
	for _, text := range []string{``, `{`, `{"cells":{"a":"b"}`, `{"boss":}`, `{"boss":1}x`, `{"boss":99999999999999999999}`, `{"cells":{"a":1}}`, `{"cells":{"a":"b",}}`, `{"named":"`, `[]`} {
		if (&plainJSON{rest: text}).row(&Row{}) || (&Row{}).decode(store.JSON(text)) == nil {
			t.Errorf("%q was read", text)
		}
	}
}
