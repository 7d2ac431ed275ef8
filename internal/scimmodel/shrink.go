package scimmodel

import (
	"encoding/json"
	"slices"
	"time"
)

// Shrink finds a short sequence that still fails: it leaves out steps, then parts
// of bodies, as long as there is time.
func Shrink(steps []Step, limit time.Time, fails func([]Step) bool) []Step {
	for size := len(steps) / 2; size > 0; {
		smaller := false
		for at := 0; at < len(steps) && time.Now().Before(limit); {
			end := min(at+size, len(steps))
			if without := slices.Concat(steps[:at], steps[end:]); fails(without) {
				steps, smaller = without, true
				continue
			}
			at = end
		}
		if !smaller || time.Now().After(limit) {
			size /= 2
		}
	}
	for i := range steps {
		steps = shrinkBody(steps, i, limit, fails)
	}
	return steps
}

// shrinkBody leaves out members of objects and elements of arrays.
func shrinkBody(steps []Step, at int, limit time.Time, fails func([]Step) bool) []Step {
	var body any
	if json.Unmarshal([]byte(steps[at].Body), &body) != nil {
		return steps
	}
	for n := 0; time.Now().Before(limit); {
		left := n
		smaller, ok := without(body, &left)
		if !ok {
			break
		}
		text, err := json.Marshal(smaller)
		if err != nil {
			break
		}
		try := slices.Clone(steps)
		try[at].Body = string(text)
		if fails(try) {
			steps, body = try, smaller
		} else {
			n++
		}
	}
	return steps
}

// without is v less its n-th part, counted through all levels; n counts down.
func without(v any, n *int) (any, bool) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if *n == 0 {
				return append(append([]any{}, v[:i]...), v[i+1:]...), true // not null
			}
			*n--
			if smaller, ok := without(e, n); ok {
				out := slices.Clone(v)
				out[i] = smaller
				return out, true
			}
		}
	case map[string]any:
		return withoutName(v, n)
	}
	return v, false
}

func withoutName(v map[string]any, n *int) (any, bool) {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = e
		}
		if *n == 0 {
			delete(out, name)
			return out, true
		}
		*n--
		if smaller, ok := without(v[name], n); ok {
			out[name] = smaller
			return out, true
		}
	}
	return v, false
}
