package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// notAttributes are what Detail has beside attributes.
var notAttributes = []string{"before", "after", "why", "ip", "reference", "request", "check", "hint", "trace", "agent"}

const maxChanges = 40

// AttributeChange is one attribute before and after, in words.
type AttributeChange struct{ Name, Before, After string }

// Changes lists what differed, attribute by attribute, in order of their names;
// the first 40. Long values and lists are cut.
func (a Activity) Changes() []AttributeChange {
	before, after := map[string]string{}, map[string]string{}
	flatten(before, "", a.Detail["before"])
	flatten(after, "", a.Detail["after"])
	for k, v := range a.Detail {
		if !slices.Contains(notAttributes, k) {
			flatten(after, k, v)
		}
	}
	names := maps.Clone(before)
	maps.Copy(names, after)
	var list []AttributeChange
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] == after[name] {
			continue
		}
		list = append(list, AttributeChange{name, before[name], after[name]})
		if len(list) == maxChanges {
			break
		}
	}
	return list
}

// flatten names every leaf by its path; long values are cut.
func flatten(into map[string]string, path string, v any) {
	under := func(k string) string {
		if i := strings.LastIndexByte(k, ':'); i >= 0 { // a schema's URN: its last part is enough
			k = k[i+1:]
		}
		if path == "" {
			return k
		}
		return path + "." + k
	}
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for k, x := range v {
			flatten(into, under(k), x)
		}
	case []any:
		for i, x := range v {
			if i == 20 {
				into[under("more")] = fmt.Sprint(len(v) - i)
				return
			}
			flatten(into, under(fmt.Sprint(i+1)), x)
		}
	default:
		s, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v) // it came from JSON
			s = string(b)
		}
		if runes := []rune(s); len(runes) > 200 {
			s = string(runes[:200]) + "…"
		}
		into[path] = s
	}
}
