package scimmodel

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// projection is attributes and excludedAttributes (RFC 7644 §3.9).
type projection struct {
	k        *kind
	only     bool
	named    []*attr
	wholeURN []string
}

func (r reader) projection(params map[string]string) projection {
	p := projection{k: r.k}
	list := params["excludedattributes"]
	if params["attributes"] != "" {
		if list != "" {
			r.fault("*") // §3.9: mutually exclusive
		}
		p.only, list = true, params["attributes"]
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); r.k.schema(name) != "" {
			p.wholeURN = append(p.wholeURN, r.k.schema(name))
		} else if a := attrOf(r.k, name); a != nil {
			p.named = append(p.named, a)
		}
	}
	p.only = p.only && strings.TrimSpace(list) != ""
	return p
}

// shows tells whether an attribute, or something of it, is in the answer.
func (p projection) shows(a *attr) bool {
	named := slices.Contains(p.named, a) || slices.Contains(p.wholeURN, p.schemaOf(a))
	if a.parent != nil {
		named = named || p.only && slices.Contains(p.named, a.parent)
	}
	for _, s := range a.subs {
		named = named || p.only && slices.Contains(p.named, s)
	}
	switch {
	case a.always: // RFC 7643 §7, "returned"
		return true
	case a.never:
		return false
	case a.request: // choice: of members.display, by its own name
		return p.only && slices.Contains(p.named, a)
	}
	return p.only == named
}

func (p projection) schemaOf(a *attr) string {
	if a.urn != "" {
		return a.urn
	}
	return p.k.urn
}

// apply leaves out what is not shown.
func (p projection) apply(full map[string]any) map[string]any {
	out := map[string]any{}
	for _, a := range p.k.attrs {
		v := get(full, a)
		if v == nil || !p.shows(a) {
			continue
		}
		if len(a.subs) > 0 {
			v = p.inside(a, v)
		}
		set(out, a, v)
	}
	return out
}

func (p projection) inside(a *attr, v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = p.inside(a, e)
		}
		return list
	case map[string]any:
		out := map[string]any{}
		for _, s := range a.subs {
			if x := v[s.name]; x != nil && p.shows(s) {
				out[s.name] = x
			}
		}
		return out
	}
	return v
}

// unknown stands for a value that the server has just chosen.
type unknown struct{}

func (unknown) MarshalJSON() ([]byte, error) { return []byte(`"(any)"`), nil }

// differ compares what is wanted with what came: objects name by name, arrays
// without their order (RFC 7643 §2.4: it has no meaning), except those of an
// answer.
func differ(want, got any, at string) error {
	switch w := want.(type) {
	case unknown:
		if s, _ := got.(string); s == "" {
			return fmt.Errorf("%s is %s, want something", at, canonical(got))
		}
		return nil
	case error: // found before
		return fmt.Errorf("%s: %w", at, w)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %s, want an object", at, canonical(got))
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			if err := differ(w[name], g[name], at+"."+name); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(g)) {
			if _, ok := w[name]; !ok {
				return fmt.Errorf("%s.%s is %s, want nothing", at, name, canonical(g[name]))
			}
		}
		return nil
	case []any:
		return differLists(w, got, at)
	}
	if canonical(want) != canonical(got) {
		return fmt.Errorf("%s is %s, want %s", at, canonical(got), canonical(want))
	}
	return nil
}

func differLists(w []any, got any, at string) error {
	g, ok := got.([]any)
	if !ok || len(g) != len(w) {
		return fmt.Errorf("%s is %s, want %s", at, canonical(got), canonical(w))
	}
	if !strings.HasSuffix(at, ".Resources") && !strings.HasSuffix(at, ".Operations") {
		byText := func(a, b any) int { return strings.Compare(canonical(a), canonical(b)) }
		w, g = slices.Clone(w), slices.Clone(g)
		slices.SortFunc(w, byText)
		slices.SortFunc(g, byText)
	}
	for i := range w {
		if err := differ(w[i], g[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return err
		}
	}
	return nil
}
