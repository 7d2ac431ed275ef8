package scimmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lists (RFC 7644 §3.4.2) and searches (§3.4.3).

// maxCount and defaultCount are what /ServiceProviderConfig announces.
const (
	maxCount     = 1000
	defaultCount = 100
)

// search is POST .search: a list whose parameters are in the body.
func (m *Model) search(k *kind, q Request) outcome {
	var body map[string]any
	kinds := m.kinds
	if k != nil {
		kinds = []*kind{k}
	}
	if err := json.Unmarshal([]byte(q.Body), &body); err != nil {
		return outcome{faults: []Fault{{400, "invalidSyntax"}}}
	}
	params := map[string]string{}
	for name, v := range body {
		switch v := v.(type) {
		case string:
			params[strings.ToLower(name)] = v
		case float64:
			params[strings.ToLower(name)] = strconv.Itoa(int(v))
		case []any:
			var names []string
			for _, e := range v {
				names = append(names, fmt.Sprint(e))
			}
			params[strings.ToLower(name)] = strings.Join(names, ",")
		}
	}
	if params["schemas"] != searchURN {
		return outcome{faults: []Fault{{400, "invalidSyntax"}}}
	}
	return m.list(kinds, params)
}

// list finds, sorts, pages and projects.
func (m *Model) list(kinds []*kind, params map[string]string) outcome {
	var out outcome
	var found []*resource
	shown := map[*kind]projection{}
	for i, k := range kinds { // choice: from the root, users come before groups
		r := m.reader(k, &out.faults)
		shown[k] = r.projection(params)
		var where cond
		if filter := strings.TrimSpace(params["filter"]); filter != "" {
			var beside *kind
			if len(kinds) == 2 {
				beside = kinds[1-i]
			}
			var err error
			if where, err = parseFilter(filter, k, beside, m.strict); err != nil {
				r.fault("invalidFilter")
				continue
			}
		}
		for _, res := range m.all {
			if res.k == k && (where == nil || where.holds(scope{doc: m.full(res)})) {
				found = append(found, res)
			}
		}
	}
	m.sortBy(kinds, found, params, &out.faults)
	start, count := integer(params, "startindex", 1, &out.faults), integer(params, "count", defaultCount, &out.faults)
	start, count = max(start, 1), min(max(count, 0), maxCount) // §3.4.2.4
	total := len(found)
	found = found[min(start-1, total):]
	found = found[:min(count, len(found))]
	list := []any{}
	for _, r := range found {
		list = append(list, shown[r.k].apply(m.full(r)))
	}
	out.status, out.shown = []int{http.StatusOK}, found
	out.body = map[string]any{"schemas": []any{listURN}, "Resources": list, "totalResults": total, "itemsPerPage": len(list), "startIndex": start}
	return out
}

func integer(params map[string]string, name string, otherwise int, faults *[]Fault) int {
	if params[name] == "" {
		return otherwise
	}
	n, err := strconv.Atoi(params[name])
	if err != nil {
		*faults = append(*faults, Fault{400, "*"})
	}
	return n
}

// sortBy is §3.4.2.3: "if it's a multi-valued attribute, by the primary, else the
// first"; those without a value come last, or first when descending.
func (m *Model) sortBy(kinds []*kind, found []*resource, params map[string]string, faults *[]Fault) {
	name, descending := params["sortby"], false
	switch strings.ToLower(params["sortorder"]) {
	case "", "ascending":
	case "descending":
		descending = true
	default:
		*faults = append(*faults, Fault{400, "*"})
	}
	if name == "" {
		return
	}
	a := attrOf(kinds[0], name)
	if len(kinds) > 1 || a == nil || a.never || a.kind == complexType && a.sub("value") == nil { // choice: refused
		*faults = append(*faults, Fault{400, "*"})
		return
	}
	slices.SortStableFunc(found, func(x, y *resource) int {
		order := m.compare(a, x, y)
		if order == 0 { // choice: by id, or in its reverse
			order = strings.Compare(x.id, y.id)
		}
		if descending {
			return -order
		}
		return order
	})
}

func (m *Model) compare(a *attr, x, y *resource) int {
	v, w := sortValue(a, m.full(x)), sortValue(a, m.full(y))
	switch {
	case v == "" && w == "":
		return 0
	case v == "":
		return 1
	case w == "":
		return -1
	}
	return strings.Compare(v, w)
}

// sortValue is what a resource is sorted by, in a form whose order is that of text.
func sortValue(a *attr, doc map[string]any) string {
	var v any
	if a.parent == nil {
		v = get(doc, a)
	} else {
		v = get(doc, a.parent)
	}
	if list, ok := v.([]any); ok {
		v = nil
		for _, e := range slices.Backward(list) {
			if m, _ := e.(map[string]any); m["primary"] == true || v == nil || v.(map[string]any)["primary"] != true {
				v = e
			}
		}
	}
	if m, ok := v.(map[string]any); ok {
		name := "value"
		if a.parent != nil {
			name = a.name
		} else {
			a = a.sub(name)
		}
		v = m[name]
	}
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case string:
		if a.kind == dateTime {
			t, err := time.Parse(time.RFC3339Nano, v)
			if err == nil {
				return fmt.Sprintf("%020d", t.UnixMicro())
			}
		}
		return sortKey(a, v)
	}
	return ""
}
