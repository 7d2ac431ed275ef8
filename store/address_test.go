package store_test

import (
	"testing"

	"github.com/muster-id/muster/store"
)

// What a directory sent in parts is read as a letter has it, and written as one text in
// its place; other addresses stay.
func TestThePostalAddress(t *testing.T) {
	t.Parallel()
	home := map[string]any{"type": "home", "formatted": "Elsewhere"}
	work := map[string]any{"type": "work", "primary": true, "streetAddress": "1 Engine Row", "postalCode": "W1", "locality": "London", "country": "GB"}
	for name, c := range map[string]struct {
		doc  store.Doc
		want string
	}{
		"none":           {store.Doc{}, ""},
		"parts":          {store.Doc{"addresses": []any{home, work}}, "1 Engine Row\nW1 London\nGB"},
		"first":          {store.Doc{"addresses": []any{home}}, "Elsewhere"},
		"no address":     {store.Doc{"addresses": "Elsewhere"}, ""},
		"nothing inside": {store.Doc{"addresses": []any{map[string]any{}}}, ""},
	} {
		p := store.ProfileOf(c.doc)
		if p.Address != c.want {
			t.Errorf("%s: %q, want %q", name, p.Address, c.want)
		}
	}
	doc := store.Doc{"addresses": []any{home, work}}
	p := store.ProfileOf(doc)
	p.Address = "New Street 2"
	p.Apply(doc)
	list := doc["addresses"].([]any)
	if len(list) != 2 || store.ProfileOf(doc).Address != "New Street 2" || list[1].(map[string]any)["formatted"] != "Elsewhere" || list[0].(map[string]any)["locality"] != nil {
		t.Errorf("written: %v", list)
	}
	p.Address = ""
	p.Apply(doc)
	if list := doc["addresses"].([]any); len(list) != 1 {
		t.Errorf("taken away: %v", list)
	}
}
