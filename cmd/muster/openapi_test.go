package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/openapi"
)

// apiOperation is an operation of the OpenAPI document.
type apiOperation struct {
	method, path string
	OperationID  string
	Tags         []string
	Security     []map[string][]string
	Parameters   []struct {
		Name, In string
		Schema   struct {
			Type             any
			Enum             []string
			Minimum, Maximum *int
			Items            struct{ Enum []string }
		}
	}
	RequestBody struct {
		Content map[string]any
	}
}

func everyOperation(t *testing.T) (list []apiOperation) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]apiOperation
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for _, method := range []string{"get", "put", "post", "patch", "delete"} { // what is there is looked at before it goes
			if o, ok := document.Paths[path][method]; ok {
				o.method, o.path = strings.ToUpper(method), path
				list = append(list, o)
			}
		}
	}
	return list
}

func (o apiOperation) operators() bool {
	return len(o.Security) > 0 && slices.Contains(o.Security[0]["key"], "server.operate") || strings.Contains(o.path, "/operator/")
}

// booleans are the names of parameters that are true or false.
func (o apiOperation) booleans() (list []string) {
	for _, p := range o.Parameters {
		if p.In == "query" && p.Schema.Type == "boolean" {
			list = append(list, p.Name)
		}
	}
	return list
}

// needed are the fields that a body must have.
func (o apiOperation) needed() (list []string) {
	content, _ := o.RequestBody.Content["application/json"].(map[string]any)
	schema, _ := content["schema"].(map[string]any)
	names, _ := schema["required"].([]any)
	for _, name := range names {
		list = append(list, fmt.Sprint(name))
	}
	return list
}

// firstOnes are the ids of the first thing in each list, by the list's path.
func firstOnes(s *server, key string) map[string]string {
	ids := map[string]string{}
	for _, path := range []string{"users", "teams", "jobs", "invitations", "directories", "connections", "domains", "reviews", "imports", "roles", "schemas", "signins", "checklists", "setup-links", "import-feeds"} {
		_, body := s.do("GET", "/api/v1/"+path, key, "")
		var answer map[string]json.RawMessage
		json.Unmarshal([]byte(body), &answer)
		for _, v := range answer {
			var list []map[string]any
			if json.Unmarshal(v, &list) != nil || len(list) == 0 {
				continue
			}
			for _, name := range []string{"id", "name"} {
				if id, _ := list[0][name].(string); id != "" {
					ids[path] = id
					break
				}
			}
		}
	}
	ids["records"] = "ticket"
	return ids
}

var inPath = regexp.MustCompile(`([a-z-]+)/\{[a-z]+\}`)

// filled is a path with ids of what is there; of nothing where there is none.
func filled(path string, ids map[string]string) string {
	for strings.Contains(path, "{") {
		m := inPath.FindStringSubmatchIndex(path)
		if m == nil {
			return path[:strings.Index(path, "{")] + nobodysID + path[strings.LastIndex(path, "}")+1:] // two in a row
		}
		id := ids[path[m[2]:m[3]]]
		if id == "" {
			id = nobodysID
		}
		path = path[:m[3]] + "/" + url.PathEscape(id) + path[m[1]:]
	}
	return path
}

const nobodysID = "00000000000000000000000000000001"

// Every operation answers as the document says: to whom it may serve, to whom it may not,
// and to bodies and parameters that are wrong. server.do holds each answer against it.
func TestEveryOperationAnswersAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "openapi", func(t *testing.T, env ...string) {
		p := newProgram(t, env...)
		s := p.serve("--demo")
		key := func(args ...string) string {
			text, _ := p.must(append([]string{"key", "create"}, args...)...)["key"].(string)
			return text
		}
		admin, viewer, operator := key("--org", "acme", "--role", "admin"), key("--org", "acme", "--role", "viewer"), key("--operator")
		ids := firstOnes(s, admin)
		answered := map[int]int{}
		needing := 0
		ask := func(method, path, key, body string) int {
			status, _ := s.do(method, path, key, body)
			answered[status]++
			return status
		}
		for _, o := range everyOperation(t) {
			mine := admin
			if o.operators() {
				mine = operator
			}
			if o.path != "/api/v1/me" && len(o.Security) > 0 {
				status, said := s.do(o.method, filled(o.path, ids)+"?statsu=active", mine, "")
				if status != http.StatusBadRequest || !strings.Contains(said, `"field":"statsu"`) {
					t.Errorf("%s %s?statsu=active: %d %s", o.method, o.path, status, said)
				}
			}
			if list := o.needed(); len(list) > 0 {
				needing++
				status, said := s.do(o.method, filled(o.path, ids), mine, "{}")
				if status != http.StatusNotFound && (status != http.StatusBadRequest || !strings.Contains(said, `"detail":"`+list[0]+` is missing. `)) {
					t.Errorf("%s %s needs %v, but {} is answered %d %s", o.method, o.path, list, status, said)
				}
			}
			for _, name := range o.booleans() {
				for _, value := range []string{"yes", "True", ""} {
					status, said := s.do(o.method, filled(o.path, ids)+"?"+name+"="+value, mine, "")
					if status != http.StatusBadRequest || !strings.Contains(said, `"field":"`+name+`"`) {
						t.Errorf("%s %s?%s=%s: %d %s", o.method, o.path, name, value, status, said)
					}
				}
			}
			if o.method == "GET" {
				ask("GET", filled(o.path, ids), mine, "")
				o.bounds(t, func(query string) int { return ask("GET", filled(o.path, ids)+"?"+query, mine, "") })
			}
			if status := ask(o.method, filled(o.path, nil), "", ""); len(o.Security) > 0 && status != http.StatusUnauthorized {
				t.Errorf("%s %s without a key: %d, want 401", o.method, o.path, status)
			}
			body := ""
			if o.RequestBody.Content != nil {
				body = "{}"
			}
			ask(o.method, filled(o.path, nil), viewer, body)
			if o.path == "/api/v1/doctor" && o.method == "POST" {
				continue // a minute
			}
			ask(o.method, filled(o.path, nil), mine, body)
			if o.RequestBody.Content["application/json"] != nil {
				status, said := s.do(o.method, filled(o.path, ids), mine, `{"no_such_field": 1}`)
				answered[status]++
				if status < 400 || status == 400 && !strings.Contains(said, `"field":"no_such_field"`) {
					t.Errorf("%s %s with a field that the document does not know: %d %s", o.method, o.path, status, said)
				}
			}
		}
		t.Log(answered, needing)
		if needing < 25 {
			t.Errorf("only %d operations need a field", needing)
		}
		for _, status := range []int{200, 400, 401, 403, 404} {
			if answered[status] < 30 {
				t.Errorf("only %d answers were %d", answered[status], status)
			}
		}
	})
}

// bounds asks for what a parameter may be, and what it may not.
func (o apiOperation) bounds(t *testing.T, ask func(query string) int) {
	t.Helper()
	for _, p := range o.Parameters {
		if p.In != "query" {
			continue
		}
		values := append(p.Schema.Enum, p.Schema.Items.Enum...)
		if p.Schema.Type == "boolean" {
			values = []string{"true", "false"}
		}
		for _, value := range values {
			if status := ask(p.Name + "=" + value); status == http.StatusBadRequest {
				t.Errorf("%s?%s=%s: %d, but the document has it", o.path, p.Name, value, status)
			}
		}
		if p.Name != "limit" {
			continue
		}
		for n, good := range map[int]bool{*p.Schema.Minimum: true, *p.Schema.Maximum: true, *p.Schema.Minimum - 1: false, *p.Schema.Maximum + 1: false} {
			if status := ask(fmt.Sprintf("limit=%d", n)); (status != http.StatusBadRequest) != good && status != http.StatusNotFound {
				t.Errorf("%s?limit=%d: %d", o.path, n, status)
			}
		}
	}
}
