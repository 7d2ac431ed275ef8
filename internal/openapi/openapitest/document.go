// Package openapitest makes the OpenAPI document of the REST API out of the source, and
// holds every exchange of the tests against it.
//
// The document is made of what the compiler knows, see routes.go: a route on web.Mux is an
// operation, the comment behind it is its summary; the handler is followed through the
// functions that have the request in hand, to what it reads (web.ReadJSON, the query), to
// what it answers (web.JSON, statuses, files) and to the kinds of faults that it may end
// in. Types become schemas, comments of fields their descriptions, and constants of a type
// of texts its enumeration (schema.go). What no code tells is in words.go, and a word that
// nothing needs is an error.
//
// So a handler cannot be forgotten or documented as something else. Whether the document is
// true is tested from the other side: Checked lets tests' requests through to a server,
// and fails when an answer is not what the document says.
package openapitest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
)

// Make is the document of the repository at root.
func Make(root string) ([]byte, error) {
	p, err := load(root)
	if err != nil {
		return nil, err
	}
	d := &document{made: &schemas{program: p, list: map[string]*schema{}, names: map[string]string{}}, used: map[string]bool{}, paths: map[string]pairs{}, ids: map[string]string{}}
	if err := d.components(p); err != nil {
		return nil, err
	}
	for _, r := range p.routes(d.made) {
		d.add(r)
	}
	for _, words := range []map[string]parameter{parameters, inPath} {
		for name := range words {
			if strings.Contains(name, " ") && !d.used[name] {
				d.wrong = append(d.wrong, fmt.Errorf("words.go: nothing has the parameter %q", name))
			}
		}
	}
	if err := errors.Join(d.wrong...); err != nil {
		return nil, err
	}
	b, err := plain(d.whole())
	if err != nil {
		return nil, err
	}
	return indent(b)
}

func indent(b []byte) ([]byte, error) {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(json.RawMessage(b))
	return []byte(out.String()), err
}

type document struct {
	made  *schemas
	used  map[string]bool // words
	paths map[string]pairs
	ids   map[string]string // pattern by operationId
	wrong []error
}

func (d *document) components(p *program) error {
	d.made.list["ID"] = &schema{kind: "string", pattern: "^([0-9a-f]{32})?$", says: "An id of ours, or nothing."}
	d.made.list["Time"] = &schema{kind: "string", pattern: timePattern, says: "RFC 3339 in UTC; empty: not (yet)."}
	s := p.packages[module+"internal/web"]
	if s == nil || s.pkg.Scope().Lookup("problem") == nil {
		return errors.New("internal/web has no problem")
	}
	d.made.of(s.pkg.Scope().Lookup("problem").Type(), sent)
	return nil
}

func (d *document) complain(r *route, format string, args ...any) {
	d.wrong = append(d.wrong, fmt.Errorf("%s: %s: "+format, append([]any{r.at, r.pattern}, args...)...))
}

func (d *document) add(r *route) {
	method, path, _ := strings.Cut(r.pattern, " ")
	short := strings.TrimPrefix(path, "/api/v1")
	if r.says == "" {
		d.complain(r, "say behind it what it does: // Get a team")
	}
	for _, what := range r.unclear {
		d.complain(r, "%s cannot be made out", what)
	}
	summary, more, _ := strings.Cut(r.says, ". ")
	id := operationID(method, short)
	if other := d.ids[id]; other != "" {
		d.complain(r, "operationId %s is that of %s", id, other)
	}
	d.ids[id] = r.pattern
	o := pairs{{"operationId", id}, {"tags", []string{groupOf(method, short)}}, {"summary", summary}}
	if says := sentences(more, r); says != "" {
		o = append(o, pair{"description", says})
	}
	o = append(o, pair{"security", security(r)})
	if list := d.parameters(r, method, short); len(list) > 0 {
		o = append(o, pair{"parameters", list})
	}
	if r.body != nil || r.raw {
		o = append(o, pair{"requestBody", requestBody(r)})
	}
	o = append(o, pair{"responses", d.responses(r, path)})
	d.paths[path] = append(d.paths[path], pair{strings.ToLower(method), o})
}

// sentences are what is behind the summary, and what the guard asks for.
func sentences(more string, r *route) string {
	var list []string
	if more != "" {
		list = append(list, strings.ToUpper(more[:1])+more[1:]+".")
	}
	switch {
	case r.need != "":
		list = append(list, "Needs the permission `"+r.need+"`.")
	case strings.HasPrefix(r.guard, "Operator") || strings.Contains(r.pattern, "/operator/"):
		list = append(list, "For operators of the server.")
	}
	if strings.HasSuffix(r.guard, "Fresh") {
		list = append(list, "A person must have signed in lately; a key is not asked.")
	}
	return strings.Join(list, " ")
}

// open tells that everybody may ask.
func (r *route) open() bool { return r.guard == "Public" && !r.faults[fault.SignIn] }

// security: role names are what OpenAPI 3.1 allows for schemes other than OAuth 2.0.
func security(r *route) []any {
	if r.open() {
		return []any{}
	}
	needs := []string{}
	if r.need != "" {
		needs = append(needs, r.need)
	} else if strings.HasPrefix(r.guard, "Operator") {
		needs = append(needs, "server.operate")
	}
	return []any{pairs{{"key", needs}}, pairs{{"session", needs}}}
}

var wildcard = regexp.MustCompile(`\{([a-z]+)\}`)

func (d *document) parameters(r *route, method, short string) (list []any) {
	for _, m := range wildcard.FindAllStringSubmatch(short, -1) {
		p, ok := d.words(inPath, method+" "+short, m[1])
		if !ok {
			p = parameter{of: &schema{ref: "ID"}, says: "Id of the " + m[1] + "."}
		}
		list = append(list, pairs{{"name", m[1]}, {"in", "path"}, {"required", true}, {"description", p.says}, {"schema", p.of}})
	}
	for _, name := range r.query {
		p, ok := d.words(parameters, method+" "+short, name)
		if !ok {
			d.complain(r, "words.go does not say what the parameter %q is", name)
			continue
		}
		one := pairs{{"name", name}, {"in", "query"}, {"description", p.says}, {"schema", p.of}}
		if p.repeated {
			one[3].value = &schema{kind: "array", elem: p.of}
		}
		list = append(list, one)
	}
	if r.need != "" {
		list = append(list, pairs{{"$ref", "#/components/parameters/org"}})
	}
	return list
}

func (d *document) words(list map[string]parameter, operation, name string) (parameter, bool) {
	if p, ok := list[operation+" "+name]; ok {
		d.used[operation+" "+name] = true
		return p, true
	}
	p, ok := list[name]
	return p, ok
}

func requestBody(r *route) pairs {
	content := pairs{}
	if r.body != nil {
		content = append(content, pair{"application/json", pairs{{"schema", r.body}}})
	} else {
		content = append(content, pair{"text/csv", pairs{{"schema", text()}}}, pair{"application/octet-stream", pairs{{"schema", pairs{}}}})
	}
	return pairs{{"required", !r.optional}, {"content", content}}
}

func (d *document) responses(r *route, path string) (o pairs) {
	if _, there := r.answers[http.StatusOK]; len(r.files) > 0 && !there {
		r.answers[http.StatusOK] = nil
	}
	if len(r.answers) > 1 { // what answers with something does not answer with nothing
		delete(r.answers, http.StatusNoContent)
	}
	for _, status := range slices.Sorted(maps.Keys(r.answers)) {
		one := pairs{{"description", http.StatusText(status)}}
		content := pairs{}
		if body := r.answers[status]; body != nil {
			content = append(content, pair{"application/json", pairs{{"schema", body}}})
		}
		for _, kind := range r.files {
			kind, _, _ = strings.Cut(kind, ";")
			body := text()
			if kind == "application/json" {
				body = &schema{}
			}
			if status == http.StatusOK {
				content = append(content, pair{kind, pairs{{"schema", body}}})
			}
		}
		if len(content) > 0 {
			one = append(one, pair{"content", content})
		}
		o = append(o, pair{strconv.Itoa(status), one})
	}
	if len(r.answers) == 0 {
		d.complain(r, "no answer was found")
	}
	return append(o, d.refusalsOf(r, path)...)
}

// refusalsOf are the faults that the handler may end in, and those of its guard.
func (d *document) refusalsOf(r *route, path string) (o pairs) {
	if r.open() {
		return nil
	}
	kinds := maps.Clone(r.faults)
	kinds[fault.SignIn] = true
	kinds[fault.Unavailable] = true
	if r.need != "" || strings.HasPrefix(r.guard, "Operator") || !strings.HasPrefix(r.pattern, "GET ") {
		kinds[fault.Denied] = true
	}
	if !strings.HasPrefix(r.pattern, "GET ") { // what two write at once, see store's dialect
		kinds[fault.Conflict] = true
	}
	if r.guard != "Public" { // a parameter that is not known
		kinds[fault.Invalid] = true
	}
	if r.need != "" { // ?org=
		kinds[fault.NotFound] = true
	}
	if strings.Contains(path, "{") {
		kinds[fault.NotFound] = true
	}
	for _, f := range refusals {
		if kinds[f.kind] {
			o = append(o, pair{strconv.Itoa(statusOf(f.kind)), pairs{{"$ref", "#/components/responses/" + f.name}}})
		}
	}
	if r.body != nil || r.raw {
		o = append(o, pair{strconv.Itoa(http.StatusRequestEntityTooLarge), pairs{{"$ref", "#/components/responses/TooLarge"}}})
	}
	slices.SortFunc(o, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
	return append(o, pair{"default", pairs{{"$ref", "#/components/responses/Internal"}}})
}

func statusOf(kind fault.Kind) int { return web.Status(&fault.Error{Kind: kind}) }

// operationID is stable: GET /teams/{team}/members is getTeamMembers.
func operationID(method, path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	id := strings.ToLower(method)
	for i := 0; i < len(parts); i++ {
		part := strings.Trim(parts[i], "{}")
		if one := singular(part); i+1 < len(parts) && strings.HasPrefix(parts[i+1], "{") && parts[i+1] != "{kind}" && one != part {
			part = one // teams/{team} and organizations/{slug}: one of them
			i++
		}
		for _, word := range strings.FieldsFunc(part, func(c rune) bool { return c == '-' || c == '.' }) {
			id += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return id
}

func singular(word string) string {
	if y, ok := strings.CutSuffix(word, "ies"); ok {
		return y + "y"
	}
	if strings.HasSuffix(word, "ss") {
		return word
	}
	return strings.TrimSuffix(word, "s")
}

func groupOf(method, path string) string {
	best, longest := "", 0
	for _, g := range groups {
		for _, begin := range g.paths {
			only, at, named := strings.Cut(begin, " ")
			if !named {
				only, at = "", begin
			}
			if named && (only != method || path != at) || path != at && !strings.HasPrefix(path, at+"/") {
				continue
			}
			if n := len(begin); n > longest {
				best, longest = g.name, n
			}
		}
	}
	return best
}

func (d *document) whole() pairs {
	var tags []any
	for _, g := range groups {
		tags = append(tags, pairs{{"name", g.name}, {"description", g.says}})
	}
	var paths, list, answers pairs
	for _, path := range slices.Sorted(maps.Keys(d.paths)) {
		paths = append(paths, pair{path, d.paths[path]})
	}
	for _, name := range slices.Sorted(maps.Keys(d.made.list)) {
		list = append(list, pair{name, d.made.list[name]})
	}
	problem := pairs{{"application/problem+json", pairs{{"schema", &schema{ref: "Problem"}}}}}
	for _, f := range refusals {
		one := pairs{{"description", f.says}}
		if f.kind == fault.TooMany || f.kind == fault.Unavailable {
			one = append(one, pair{"headers", pairs{{"Retry-After", pairs{{"description", "Seconds to wait."}, {"schema", &schema{kind: "integer"}}}}}})
		}
		answers = append(answers, pair{f.name, append(one, pair{"content", problem})})
	}
	answers = append(answers, pair{"TooLarge", pairs{{"description", "The body is larger than is read here."}, {"content", problem}}},
		pair{"Internal", pairs{{"description", "Something went wrong here; it is logged under `request_id`."}, {"content", problem}}})
	return pairs{
		{"openapi", "3.1.1"},
		{"info", pairs{{"title", "Muster"}, {"version", "v1"}, {"description", aboutTheAPI}, {"license", pairs{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
		{"servers", []any{pairs{{"url", "/"}}}},
		{"tags", tags},
		{"paths", paths},
		{"components", pairs{
			{"schemas", list},
			{"responses", answers},
			{"parameters", pairs{{"org", pairs{{"name", "org"}, {"in", "query"}, {"description", "Short name of the organization that is meant; an operator must say it, everybody else may."}, {"schema", text()}}}}},
			{"securitySchemes", pairs{
				{"key", pairs{{"type", "http"}, {"scheme", "bearer"}, {"description", "An API key, made with `muster key create` or, for operators, in the console. What it may do is what its role allows."}}},
				{"session", pairs{{"type", "apiKey"}, {"in", "cookie"}, {"name", "__Host-muster"}, {"description", "The session of a browser; requests from other sites are refused. On plain http the name is `muster`."}}},
			}},
		}},
	}
}
