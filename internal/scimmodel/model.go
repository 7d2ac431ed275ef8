package scimmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is one request under a base URL.
type Request struct {
	Method string
	Path   string // with its query
	Head   map[string]string
	Body   string
}

// Answer is what came back.
type Answer struct {
	Status int
	Head   http.Header
	Body   string
}

func (a Answer) object() map[string]any {
	var m map[string]any
	if json.Unmarshal([]byte(a.Body), &m) != nil {
		return nil
	}
	return m
}

// Model is the state of one directory.
type Model struct {
	base   string // base URL
	strict bool
	coarse bool // two changes may have one time
	kinds  []*kind
	all    []*resource // by id; choice: that is the order of creation
}

// New is an empty directory.
func New(base string, strict bool) *Model {
	return &Model{base: base, strict: strict, kinds: []*kind{users(), groups()}}
}

// Clone is a copy that lives on its own.
func (m *Model) Clone() *Model {
	next := *m
	next.all = nil
	for _, r := range m.all {
		c := *r
		c.doc, c.history = clone(r.doc), slices.Clone(r.history)
		next.all = append(next.all, &c)
	}
	return &next
}

// outcome is what a request deserves: one of the faults, or what is said of success.
type outcome struct {
	faults []Fault
	status []int
	body   any // nil: none
	shown  []*resource
}

// Check says what is wrong with an answer, and takes over what the request did.
func (m *Model) Check(q Request, a Answer) error {
	next := m.Clone()
	out := next.do(q, a)
	if len(out.faults) > 0 {
		return refusal(out.faults, a)
	}
	if !slices.Contains(out.status, a.Status) {
		return fmt.Errorf("the status is %d, want %v: %s", a.Status, out.status, a.Body)
	}
	if a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		if a.Body != "" {
			return fmt.Errorf("%d has a body: %s", a.Status, a.Body)
		}
	} else if err := differ(out.body, a.objectOrNil(), ""); err != nil {
		return fmt.Errorf("%w\nanswer %s\nwant   %s", err, a.Body, canonical(out.body))
	}
	if err := next.heads(q, a, out); err != nil {
		return err
	}
	*m = *next
	return nil
}

func (a Answer) objectOrNil() any {
	if m := a.object(); m != nil {
		return m
	}
	return nil
}

// refusal checks that an error is one of those that fit (RFC 7644 §3.12).
func refusal(faults []Fault, a Answer) error {
	body := a.object()
	kind, _ := body["scimType"].(string)
	for _, f := range faults {
		if f.Status == a.Status && (f.Type == kind || f.Type == "*") {
			urns, _ := body["schemas"].([]any)
			if body["status"] != fmt.Sprint(a.Status) || !slices.Contains(urns, any(errorURN)) {
				return fmt.Errorf("the error is not a SCIM error: %s", a.Body)
			}
			return nil
		}
	}
	return fmt.Errorf("got %d %s, want an error, one of %v\nanswer %s", a.Status, kind, faults, a.Body)
}

// heads checks the header fields of an answer with one resource (§3.3, §3.14), and
// observes what the answer shows.
func (m *Model) heads(q Request, a Answer, out outcome) error {
	body := a.object()
	list, isList := body["Resources"].([]any)
	for i, r := range out.shown {
		var shown map[string]any
		switch {
		case isList:
			shown, _ = list[i].(map[string]any)
		case len(out.shown) == 1:
			shown = body
			tag := a.Head.Get("ETag")
			if meta, ok := body["meta"].(map[string]any); ok && meta["version"] != nil && meta["version"] != tag {
				return fmt.Errorf("ETag is %q, meta.version %v", tag, meta["version"])
			}
			if at := a.Head.Get("Location"); a.Status == http.StatusCreated && at != m.location(r) {
				return fmt.Errorf("the header Location is %q, want %q", at, m.location(r))
			}
			if r.told = tag; tag == "" && r.k.name == "User" {
				return fmt.Errorf("no ETag")
			}
		}
		if err := m.observe(r, shown); err != nil {
			return err
		}
	}
	return nil
}

// do is one request on this state.
func (m *Model) do(q Request, a Answer) outcome {
	path, query, _ := strings.Cut(q.Path, "?")
	if path == "/Bulk" {
		return m.bulk(q, a)
	}
	params, err := parameters(query)
	if err != nil {
		return outcome{faults: []Fault{{400, "*"}}}
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	last := parts[len(parts)-1]
	var k *kind
	for _, known := range m.kinds {
		if "/"+parts[0] == known.endpoint() {
			k = known
		}
	}
	switch {
	case last == ".search":
		return m.search(k, q)
	case k == nil:
		return m.list(m.kinds, params)
	case len(parts) == 1 && q.Method == http.MethodGet:
		return m.list([]*kind{k}, params)
	}
	c := change{method: q.Method, k: k, match: q.Head["If-Match"], newID: idIn(a)}
	if len(parts) == 2 {
		c.id = parts[1]
	}
	if q.Method == http.MethodGet {
		return m.get(c, q, params)
	}
	return m.single(c, q, params)
}

func idIn(a Answer) string {
	id, _ := a.object()["id"].(string)
	return id
}

// parameters are those of a query, their names in lower case.
func parameters(query string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	params := map[string]string{}
	for name, v := range values {
		params[strings.ToLower(name)] = v[0]
	}
	return params, err
}

// get is GET of one resource (§3.4.1).
func (m *Model) get(c change, q Request, params map[string]string) outcome {
	var out outcome
	p := m.reader(c.k, &out.faults).projection(params)
	r := m.find(c.k, c.id)
	if r == nil {
		out.faults = append(out.faults, Fault{404, ""})
		return out
	}
	if tag := q.Head["If-None-Match"]; tag != "" && matches(tag, r.tag) { // §3.14
		out.status = []int{http.StatusNotModified}
		return out
	}
	out.status, out.shown, out.body = []int{http.StatusOK}, []*resource{r}, p.apply(m.full(r))
	return out
}

// matches compares tags weakly (RFC 9110 §8.8.3.2).
func matches(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func (m *Model) reader(k *kind, faults *[]Fault) reader {
	return reader{m: m, strict: m.strict, k: k, faults: faults}
}

// single is POST, PUT, PATCH or DELETE of one resource.
func (m *Model) single(c change, q Request, params map[string]string) outcome {
	var out outcome
	p := m.reader(c.k, &out.faults).projection(params)
	if c.method != http.MethodDelete {
		if err := json.Unmarshal([]byte(q.Body), &c.body); err != nil || c.body == nil {
			out.faults = append(out.faults, Fault{400, "invalidSyntax"})
			return out
		}
	}
	r, faults := m.change(c)
	if out.faults = append(out.faults, faults...); len(out.faults) > 0 {
		return out
	}
	switch c.method {
	case http.MethodPost:
		out.status = []int{http.StatusCreated}
	case http.MethodDelete:
		out.status = []int{http.StatusNoContent}
		return out
	case http.MethodPatch: // §3.5.2: 200 with the resource, also whenever attributes are asked for, or 204; choice: 204 for groups
		if c.k.name == "Group" && !p.only {
			out.status = []int{http.StatusNoContent}
			return out
		}
		fallthrough
	default:
		out.status = []int{http.StatusOK}
	}
	out.shown, out.body = []*resource{r}, p.apply(m.full(r))
	return out
}
