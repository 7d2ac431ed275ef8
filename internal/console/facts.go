package console

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/store"
)

// What the organization has added to its users, on the page of one person.

// fact is an attribute with its value in words.
type fact struct{ Name, Value string }

// facts are the organization's own attributes that a person has.
func facts(d *store.Definitions, doc store.Doc) (list []fact) {
	doc = d.Masked(doc)
	for _, s := range d.Of(store.UserResource) {
		in, _ := doc[s.URN].(map[string]any)
		for _, a := range s.Attributes {
			if v := in[a.Name]; v != nil {
				list = append(list, fact{a.Name, inWords(v)})
			}
		}
	}
	return list
}

func inWords(v any) string {
	var parts []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			parts = append(parts, inWords(e))
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+" "+inWords(v[k]))
		}
		return strings.Join(parts, ", ")
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case string:
		if len(v) > 300 {
			return strings.ToValidUTF8(v[:300], "") + "…"
		}
		return v
	}
	return fmt.Sprint(v)
}
