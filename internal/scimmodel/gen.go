package scimmodel

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
)

// Source makes random requests: few names, so that they collide, and some of
// everything that can be wrong.
type Source struct {
	rng    *rand.Rand
	strict bool
	made   map[string][]string // handles that were given out, by endpoint
	n      int
}

// NewSource makes the same steps for the same seed.
func NewSource(seed uint64, strict bool) *Source {
	return &Source{rng: rand.New(rand.NewPCG(seed, 3)), strict: strict, made: map[string][]string{}}
}

// Steps makes a sequence.
func (s *Source) Steps(n int) []Step {
	steps := make([]Step, 0, n)
	for len(steps) < n {
		steps = append(steps, s.Step())
	}
	return steps
}

// Step makes one request.
func (s *Source) Step() Step {
	weighted := []struct {
		n    int
		make func() Step
	}{
		{12, func() Step { return s.create("Users") }}, {7, func() Step { return s.create("Groups") }},
		{9, func() Step { return s.change(http.MethodPut, "Users") }}, {5, func() Step { return s.change(http.MethodPut, "Groups") }},
		{24, func() Step { return s.change(http.MethodPatch, "Users") }}, {15, func() Step { return s.change(http.MethodPatch, "Groups") }},
		{4, func() Step { return s.change(http.MethodDelete, "Users") }}, {2, func() Step { return s.change(http.MethodDelete, "Groups") }},
		{6, s.get}, {14, s.list}, {5, s.search}, {7, s.walk}, {7, s.bulk},
	}
	total := 0
	for _, w := range weighted {
		total += w.n
	}
	at := s.rng.IntN(total)
	for _, w := range weighted {
		if at -= w.n; at < 0 {
			return w.make()
		}
	}
	return s.get()
}

func (s *Source) one(in int) bool { return s.rng.IntN(in) == 0 }

func pick[T any](s *Source, list ...T) T { return list[s.rng.IntN(len(list))] }

// body is a value as JSON.
func body(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}

// handle names something that is about to be made.
func (s *Source) handle(endpoint string) string {
	s.n++
	name := strings.ToLower(endpoint[:1]) + fmt.Sprint(s.n)
	s.made[endpoint] = append(s.made[endpoint], name)
	return name
}

// some is a handle from the latest, at times one of nothing.
func (s *Source) some(endpoint string) string {
	all := s.made[endpoint]
	if len(all) == 0 || s.one(40) {
		return "nothing"
	}
	return all[max(0, len(all)-1-s.rng.IntN(min(len(all), 5)))]
}

func (s *Source) ref(endpoint string) string { return "‹" + s.some(endpoint) + "›" }

func (s *Source) resource(endpoint string) map[string]any {
	if endpoint == "Users" {
		return s.user()
	}
	return s.group()
}

func (s *Source) create(endpoint string) Step {
	b := body(s.resource(endpoint))
	return Step{Request: Request{Method: http.MethodPost, Path: "/" + endpoint + s.projected(endpoint), Body: b}, Makes: s.handle(endpoint)}
}

func (s *Source) change(method, endpoint string) Step {
	name := s.some(endpoint)
	q := Request{Method: method, Path: "/" + endpoint + "/‹" + name + "›", Head: map[string]string{}}
	switch method {
	case http.MethodPut:
		q.Body, q.Path = body(s.resource(endpoint)), q.Path+s.projected(endpoint)
	case http.MethodPatch:
		q.Body, q.Path = body(s.patch(endpoint)), q.Path+s.projected(endpoint)
	}
	if s.one(7) {
		q.Head["If-Match"] = pick(s, "‹tag "+name+"›", "‹tag "+name+"›", "‹old "+name+"›", "*", `W/"x", ‹tag `+name+"›")
	}
	return Step{Request: q}
}

func (s *Source) get() Step {
	endpoint := pick(s, "Users", "Users", "Groups")
	name := s.some(endpoint)
	q := Request{Method: http.MethodGet, Path: "/" + endpoint + "/‹" + name + "›" + s.projected(endpoint), Head: map[string]string{}}
	if s.one(2) {
		q.Head["If-None-Match"] = pick(s, "‹tag "+name+"›", "‹old "+name+"›", "*")
	}
	return Step{Request: q}
}

// projected is a query of attributes or excludedAttributes, mostly none.
func (s *Source) projected(endpoint string) string {
	if !s.one(6) {
		return ""
	}
	return "?" + s.projection(endpoint).Encode()
}

func (s *Source) projection(endpoint string) url.Values {
	v := url.Values{}
	if s.one(30) {
		v.Set("attributes", "id")
		v.Set("excludedAttributes", "meta")
		return v
	}
	var names []string
	for range 1 + s.rng.IntN(3) {
		names = append(names, s.attribute(endpoint, true))
	}
	v.Set(pick(s, "attributes", "excludedAttributes"), strings.Join(names, ","))
	return v
}

// query is what a list asks for.
func (s *Source) query(endpoint string) url.Values {
	v := url.Values{}
	if s.one(4) {
		v = s.projection(endpoint)
	}
	if endpoint != "" && s.one(3) {
		v.Set("sortBy", s.sortable(endpoint))
	}
	if s.one(4) {
		v.Set("sortOrder", pick(s, "ascending", "descending", "Descending"))
	}
	if !s.one(4) {
		v.Set("filter", s.filter(endpoint, 2))
	}
	return v
}

func (s *Source) paged(endpoint string) url.Values {
	v := s.query(endpoint)
	if s.one(3) {
		v.Set("count", pick(s, "0", "1", "2", "3", "-1", "100"))
	}
	if s.one(3) {
		v.Set("startIndex", pick(s, "1", "2", "3", "0", "-3", "50"))
	}
	return v
}

func (s *Source) list() Step {
	endpoint := pick(s, "Users", "Users", "Users", "Groups", "Groups", "")
	return Step{Request: Request{Method: http.MethodGet, Path: "/" + endpoint + "?" + s.paged(endpoint).Encode()}}
}

// walk goes through a list by cursor, 1 to 3 at a time.
func (s *Source) walk() Step {
	endpoint := pick(s, "Users", "Users", "Groups", "")
	v := s.query(endpoint)
	if endpoint != "" && s.one(2) {
		v.Set("sortBy", s.sortable(endpoint))
		v.Set("sortOrder", pick(s, "ascending", "descending"))
	}
	if s.one(2) {
		v.Del("filter")
	}
	v.Set("count", fmt.Sprint(1+s.rng.IntN(3)))
	return Step{Request: Request{Method: http.MethodGet, Path: "/" + endpoint + "?" + v.Encode() + "&cursor="}, Walk: true}
}

// search is POST .search with what a list would ask.
func (s *Source) search() Step {
	endpoint := pick(s, "Users", "Groups", "")
	path := "/.search"
	if endpoint != "" {
		path = "/" + endpoint + path
	}
	m := map[string]any{"schemas": []any{searchURN}}
	for name, v := range s.paged(endpoint) {
		var n json.Number
		switch {
		case name == "count" || name == "startIndex":
			n = json.Number(v[0])
			m[name] = n
		case strings.Contains(strings.ToLower(name), "attributes"):
			m[name] = strings.Split(v[0], ",")
		default:
			m[name] = v[0]
		}
	}
	return Step{Request: Request{Method: http.MethodPost, Path: path, Body: body(m)}}
}

// bulk is some operations, at times in a circle or with a bulkId that comes later.
func (s *Source) bulk() Step {
	var ops []any
	touched := map[string]bool{}
	var fresh []string
	for range 1 + s.rng.IntN(5) {
		endpoint := pick(s, "Users", "Users", "Groups")
		if s.one(2) {
			name := s.handle(endpoint)
			data := s.resource(endpoint)
			fresh = append(fresh, name)
			ops = append(ops, map[string]any{"method": "POST", "path": "/" + endpoint, "bulkId": name, "data": data})
			continue
		}
		name := s.some(endpoint)
		op := map[string]any{"method": pick(s, "PUT", "PATCH", "PATCH", "DELETE"), "path": "/" + endpoint + "/‹" + name + "›"}
		switch op["method"] {
		case "PUT":
			op["data"] = s.resource(endpoint)
		case "PATCH":
			op["data"] = s.patch(endpoint)
		}
		if endpoint == "Users" && !touched[name] && s.one(6) {
			op["version"] = pick(s, "‹tag "+name+"›", "‹old "+name+"›")
		}
		touched[name] = true
		ops = append(ops, op)
	}
	s.interlace(ops, fresh)
	m := map[string]any{"schemas": []any{bulkURN}, "Operations": ops}
	if s.one(4) {
		m["failOnErrors"] = 1 + s.rng.IntN(2)
	}
	return Step{Request: Request{Method: http.MethodPost, Path: "/Bulk", Body: body(m)}}
}

// interlace lets operations refer to those that create something.
func (s *Source) interlace(ops []any, fresh []string) {
	for _, o := range ops {
		data, _ := o.(map[string]any)["data"].(map[string]any)
		if len(fresh) == 0 || data["Operations"] != nil || !s.one(2) {
			continue
		}
		ref := "bulkId:" + pick(s, fresh...)
		if s.one(12) {
			ref = "bulkId:nothing"
		}
		if data["displayName"] != nil && data["userName"] == nil {
			data["members"] = []any{map[string]any{"value": ref}}
		} else if data["userName"] != nil && strings.HasPrefix(ref, "bulkId:u") {
			data[enterpriseURN] = map[string]any{"manager": map[string]any{"value": ref}}
		}
	}
}
