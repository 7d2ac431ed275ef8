package web

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// Parameter is what may stand in the query of an API route.
type Parameter struct {
	Name    string
	Many    bool // several times
	Boolean bool // true or false, and nothing else
}

// Parameters has an API route refuse what its query has and known has not: a filter that
// was mistyped and passed over would mean everybody, and a preview that was would be done. pattern is as it was mounted, or
// will be. Routes of which nothing is told here read their query as they like.
func (m *Mux) Parameters(pattern string, known []Parameter) { m.parameters[pattern] = known }

// Query reads text as the query of a route: that of the request, or one that was handed
// over in another way. Faults: Invalid, on the parameter.
func Query(ctx context.Context, pattern, text string) (url.Values, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fault.Invalid.Wrap(err, "The query cannot be read: percent-encode its values (%v).", err)
	}
	s := stateIn(ctx)
	if s.mux == nil {
		return values, nil
	}
	known, told := s.mux.parameters[pattern]
	if !told {
		return values, nil
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(known, func(p Parameter) bool { return p.Name == name })
		switch {
		case i < 0 && len(known) == 0:
			return nil, fault.Invalid.On(name, "There is no parameter %.64q, nor any other. Leave it out.", name)
		case i < 0:
			return nil, NoParameter(name, names(known))
		case len(values[name]) > 1 && !known[i].Many:
			return nil, fault.Invalid.On(name, "%s is there twice.", name)
		case known[i].Boolean && values.Get(name) != "true" && values.Get(name) != "false":
			return nil, fault.Invalid.On(name, "%s is %.64q; it can be true or false.", name, values.Get(name))
		}
	}
	return values, nil
}

func names(known []Parameter) (list []string) {
	for _, p := range known {
		list = append(list, p.Name)
	}
	return list
}

// NoParameter refuses a parameter that is not one of those known.
func NoParameter(name string, known []string) error {
	return fault.Invalid.On(name, "There is no parameter %.64q. Possible: %s.", name, strings.Join(known, ", "))
}

// asked checks the query of a request.
func asked(r *http.Request) error {
	_, err := Query(r.Context(), r.Pattern, r.URL.RawQuery)
	return err
}
